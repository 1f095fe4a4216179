//! A server of tokens as a registry's owner runs one: it knows one user, and signs what that user may do.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "secret";
const SERVICE: &str = "the-registry";
const ISSUER: &str = "the-issuer";

/// Is a running server of tokens.
pub(super) struct Tokens {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tokens {
    /// Starts one. Its key is `tokens.key`, with the certificate `tokens.pem` of an authority that registries know.
    pub(super) fn start(directory: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (directory, log) = (directory.to_owned(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (directory, log) = (directory.clone(), Arc::clone(&log));
                // Whoever goes away in the middle gets no answer.
                std::thread::spawn(move || answer(stream, &directory, &log).ok());
            }
        });
        Ok(Self { address, asked })
    }

    /// What a registry has to be told of it.
    pub(super) fn setting(&self, authority: &Path) -> String {
        format!(
            "auth: {{token: {{realm: 'http://{}/token', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {}}}}}\n",
            self.address,
            authority.display()
        )
    }

    /// What it was asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panics with it").clone()
    }
}

fn answer(stream: TcpStream, directory: &Path, log: &Mutex<Vec<String>>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).context("a request has a target")?.to_owned();
    let mut authorization = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("authorization") {
            value.clone_into(&mut authorization);
        }
    }
    log.lock().expect("no thread panics with it").push(target.clone());
    let login = base64(format!("{USER}:{PASSWORD}").as_bytes())?;
    let (status, body) = if authorization == format!("Basic {login}") {
        ("200 OK", json!({"token": token(directory, &target)?, "expires_in": 300}).to_string())
    } else {
        ("401 Unauthorized", String::new())
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body.as_bytes())?)
}

/// Signs what is asked for.
fn token(directory: &Path, target: &str) -> Result<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let access = query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).map(|scope| {
        let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        let mut parts = scope.splitn(3, ':');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (kind, name, actions) = (part(), part(), part());
        json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()})
    });
    let access: Vec<Value> = access.collect();
    let certificate = openssl(&["x509", "-in", "tokens.pem", "-outform", "DER"], directory, b"")?;
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [base64(&certificate)?]});
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": USER, "jti": now.to_string(),
        "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
    });
    let part = |bytes: &[u8]| -> Result<String> {
        let text = base64(bytes)?;
        Ok(text.trim_end_matches('=').replace('+', "-").replace('/', "_"))
    };
    let signed = format!(
        "{}.{}",
        part(header.to_string().as_bytes())?,
        part(claims.to_string().as_bytes())?
    );
    let sign = ["dgst", "-sha256", "-sign", "tokens.key"];
    let signature = openssl(&sign, directory, signed.as_bytes())?;
    Ok(format!("{signed}.{}", part(&signature)?))
}

fn base64(bytes: &[u8]) -> Result<String> {
    Ok(String::from_utf8(openssl(&["base64", "-A"], &PathBuf::from("/"), bytes)?)?)
}

fn openssl(arguments: &[&str], directory: &Path, stdin: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("is piped")?.write_all(stdin)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "openssl {arguments:?}");
    Ok(output.stdout)
}
