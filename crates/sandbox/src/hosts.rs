//! Contents of the files that tell a command about names.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

/// What `/etc/hosts` holds: the loopback names, the container's own name, and the added ones.
pub fn hosts_file(hostname: &str, extra: &[(String, IpAddr)]) -> Vec<u8> {
    let mut text = String::from("127.0.0.1\tlocalhost");
    if !hostname.is_empty() {
        text.push(' ');
        text.push_str(hostname);
    }
    text.push_str("\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for (name, address) in extra {
        writeln!(text, "{address}\t{name}").expect("writing to a string cannot fail");
    }
    text.into_bytes()
}

/// Reads a resolver configuration of the host, at most 64 KiB of it.
///
/// A command on the host's network reaches the same name servers, local ones included, so the file
/// is passed on as it is. `None` if the host has none: then the C library asks the loopback address.
pub fn resolver_configuration(path: &Path) -> Result<Option<Vec<u8>>, std::io::Error> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(64 << 10).read_to_end(&mut content)?;
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_names_loopback_then_extra_hosts() {
        let extra = [
            ("db".to_owned(), IpAddr::from([10, 0, 0, 1])),
            ("six".to_owned(), "fe80::1".parse().unwrap()),
        ];
        let cases: [(&str, &[_], &str); 2] = [
            ("", &[], "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
            (
                "box",
                &extra,
                "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\nfe80::1\tsix\n",
            ),
        ];
        for (hostname, extra, expected) in cases {
            assert_eq!(String::from_utf8(hosts_file(hostname, extra)).unwrap(), expected);
        }
    }
}
