//! The armour around keys.
//!
//! ```text
//! -----BEGIN RSA PRIVATE KEY-----
//! Proc-Type: 4,ENCRYPTED            headers, which only older formats have
//!
//! MIIEpAIBAAKCAQEA…
//! -----END RSA PRIVATE KEY-----
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The first block of a file that is a private key.
pub(super) struct Pem {
    pub(super) label: String,
    /// A header says so.
    pub(super) is_encrypted: bool,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn read(text: &[u8]) -> Option<Pem> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines().map(str::trim);
    // `openssl ecparam -genkey` writes the parameters of the curve as a block before the key.
    let label = lines.by_ref().find_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        label.ends_with("PRIVATE KEY").then_some(label)
    })?;
    let end = format!("-----END {label}-----");
    let mut is_encrypted = false;
    let mut body = String::new();
    for line in lines {
        if line == end {
            let bytes = STANDARD.decode(body).ok()?;
            return Some(Pem { label: label.to_owned(), is_encrypted, bytes });
        }
        match line.split_once(':') {
            Some((name, value)) => {
                is_encrypted |= name == "Proc-Type" && value.trim() == "4,ENCRYPTED";
            }
            None => body.push_str(line),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found() {
        let block =
            |text: &str| read(text.as_bytes()).map(|pem| (pem.label, pem.is_encrypted, pem.bytes));
        let key = |label: &str, is_encrypted| Some((label.to_owned(), is_encrypted, vec![1, 2, 3]));
        for (text, expected) in [
            (
                "# mine\n-----BEGIN PRIVATE KEY-----\r\nAQ\r\nID\r\n-----END PRIVATE KEY-----\r\n",
                key("PRIVATE KEY", false),
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,0\n\nAQID\n-----END RSA PRIVATE KEY-----",
                key("RSA PRIVATE KEY", true),
            ),
            (
                "-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nAQID\n-----END EC PRIVATE KEY-----\n",
                key("EC PRIVATE KEY", false),
            ),
            ("-----BEGIN PRIVATE KEY-----\nAQID\n", None),
            ("-----BEGIN PRIVATE KEY-----\nA?ID\n-----END PRIVATE KEY-----\n", None),
            ("-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n", None),
            ("ssh-ed25519 AAAA me\n", None),
        ] {
            assert_eq!(block(text), expected, "{text}");
        }
    }
}
