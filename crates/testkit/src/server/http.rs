//! As much of HTTP/1.1 as registry clients speak.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Is a request, its body read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Decoded, in their order.
    pub(crate) query: Vec<(String, String)>,
    /// As it was sent: path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path as it was sent.
    pub(crate) fn target_path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query as it was sent.
    pub(crate) fn target_query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Is an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": code.to_lowercase()}]});
        Self::new(status)
            .with("Content-Type", "application/json")
            .body(body.to_string().into_bytes())
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }
}

/// Reads a request up to its body.
pub(crate) fn read_head(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    // Something else than HTTP, TLS above all, must not be waited for until it happens to hold a line's end.
    if reader.fill_buf()?.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
        write(reader.get_ref(), &Answer::new(400), false, None)?;
        return Ok(None);
    }
    let Some(line) = read_line(reader)? else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("`{line}` is not a request line")));
    };
    // What is sent to a proxy says for whom it is: this server is whoever it is taken for.
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    while let Some(line) = read_line(reader)? {
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: pairs(query),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
    }))
}

/// Reads the body, at most `limit` bytes of it.
pub(crate) fn read_body(
    reader: &mut BufReader<&TcpStream>,
    request: &mut Request,
    limit: u64,
) -> io::Result<()> {
    let chunked =
        request.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    if !chunked {
        let length = request.header("content-length").and_then(|value| value.parse().ok());
        reader.take(length.unwrap_or(0).min(limit)).read_to_end(&mut request.body)?;
        return Ok(());
    }
    while let Some(line) = read_line(reader)? {
        let length = u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let length = length.map_err(io::Error::other)?;
        let room = limit - request.body.len() as u64;
        if length > room {
            reader.take(room).read_to_end(&mut request.body)?;
            return Ok(());
        }
        reader.take(length).read_to_end(&mut request.body)?;
        read_line(reader)?;
        if length == 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Writes an answer, and only so many bytes of its body; `is_head` writes none of it.
pub(crate) fn write(
    mut stream: &TcpStream,
    answer: &Answer,
    is_head: bool,
    cut_after: Option<usize>,
) -> io::Result<()> {
    use std::fmt::Write as _;

    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes everything");
    }
    let has_length = answer.headers.iter().any(|(name, _)| name == "Content-Length");
    if !has_length && answer.status != 204 {
        let length = answer.body.len();
        write!(head, "Content-Length: {length}\r\n").expect("a string takes everything");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if !is_head {
        let length = cut_after.map_or(answer.body.len(), |cut| cut.min(answer.body.len()));
        stream.write_all(&answer.body[..length])?;
    }
    stream.flush()
}

fn read_line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&line);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads `a=b&c=d` of a query or a form.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decode(name), decode(value))
        })
        .collect()
}

pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
