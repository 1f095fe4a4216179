//! Proxies on the way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use strata_registry::{ErrorKind, HostSecurity, Proxies};

use super::*;

/// A proxy that answers in place of the registry, and tells what it was asked. It ends with the test.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, log) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _nobody_listens = asked.send(serve(stream.unwrap()));
        }
    });
    (address, log)
}

fn serve(mut stream: TcpStream) -> String {
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    if first != [5] {
        let head = format!("{}{}", char::from(first[0]), head(&mut stream));
        let mut lines = head.lines();
        let line = lines.next().unwrap().to_owned();
        if line.starts_with("CONNECT ") {
            return line;
        }
        stream.write_all(OK).unwrap();
        let login = lines.find(|line| line.to_lowercase().starts_with("proxy-authorization"));
        return line + login.map_or("", |_| " with a login");
    }
    // RFC 1928: methods, none chosen; CONNECT to a domain name; done.
    let mut methods = [0; 2];
    stream.read_exact(&mut methods[..1]).unwrap();
    let mut offered = vec![0; usize::from(methods[0])];
    stream.read_exact(&mut offered).unwrap();
    stream.write_all(&[5, 0]).unwrap();
    let mut request = [0; 5];
    stream.read_exact(&mut request).unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3], "a name, so that the proxy resolves it");
    let mut target = vec![0; usize::from(request[4]) + 2];
    stream.read_exact(&mut target).unwrap();
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let (name, port) = target.split_at(target.len() - 2);
    let port = u16::from_be_bytes([port[0], port[1]]);
    let text = format!("SOCKS {}:{port}", String::from_utf8_lossy(name));
    if port == 443 {
        return text;
    }
    head(&mut stream);
    stream.write_all(OK).unwrap();
    text
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Proxies, with `PROXY` for the proxy's address → what it is asked, and whether the registry answers. Nothing
/// resolves the registry's name but a proxy.
#[tokio::test]
async fn registries_are_reached_through_proxies() {
    let some = |text: &str| Some(text.to_owned());
    let none = Proxies::default;
    let table: Vec<(Proxies, Vec<&str>, bool)> = vec![
        (
            Proxies { http: some("http://PROXY"), ..none() },
            vec!["GET http://registry.invalid/v2/ HTTP/1.1"; 2],
            true,
        ),
        (
            Proxies { http: some("http://me:hunter2@PROXY"), ..none() },
            vec!["GET http://registry.invalid/v2/ HTTP/1.1 with a login"; 2],
            true,
        ),
        (
            Proxies { http: some("socks5h://PROXY"), ..none() },
            vec!["SOCKS registry.invalid:80"; 2],
            true,
        ),
        (
            Proxies { https: some("http://PROXY"), ..none() },
            vec!["CONNECT registry.invalid:443 HTTP/1.1"],
            false,
        ),
        (
            Proxies { https: some("socks5h://PROXY"), ..none() },
            vec!["SOCKS registry.invalid:443"],
            false,
        ),
        (
            Proxies { http: some("http://PROXY"), none: some("other, .invalid"), ..none() },
            vec![],
            false,
        ),
        (none(), vec![], false),
    ];
    for (proxies, expected, answers) in table {
        let (address, log) = proxy();
        let point = |url: Option<String>| url.map(|url| url.replace("PROXY", &address));
        let name = format!("{proxies:?}");
        let proxies = Proxies { http: point(proxies.http), https: point(proxies.https), ..proxies };
        let insecure = HostSettings { security: HostSecurity::Insecure, ..HostSettings::default() };
        let settings = Settings {
            hosts: BTreeMap::from([("registry.invalid".to_owned(), insecure)]),
            proxies,
            retry: RetryPolicy::never(),
            ..settings()
        };
        let client = Client::new(&settings, Credentials::anonymous()).unwrap();
        let result = client.ping("registry.invalid").await;
        assert_eq!(result.is_ok(), answers, "{name}: {result:?}");
        if let Err(error) = result {
            assert!(matches!(*error.kind, ErrorKind::Unreachable { .. }), "{name}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        // A connection may end before its thread tells of it.
        let patience = Duration::from_secs(10);
        let mut asked: Vec<_> =
            expected.iter().map_while(|_| log.recv_timeout(patience).ok()).collect();
        asked.extend(log.try_iter());
        assert_eq!(asked, expected, "{name}");
    }
}
