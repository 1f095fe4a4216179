//! Amazon's signatures, version 4, from the specification: a second opinion on those of the program.

use sha2::{Digest, Sha256};

use super::TestCloud;
use crate::server::Request;

/// Checks the signature of a request to a service.
pub(super) fn check(request: &Request, service: &str) -> Result<(), &'static str> {
    let authorization = request.header("authorization").unwrap_or_default();
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("No signature")?;
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let credential = field("Credential").ok_or("No credential")?;
    let (key, scope) = credential.split_once('/').ok_or("No scope")?;
    let secret = match (key, request.header("x-amz-security-token")) {
        (TestCloud::KEY, None) => TestCloud::SECRET,
        ("ASIASESSION", Some("session-token")) => "session-secret",
        _ => return Err("The AWS Access Key Id you provided does not exist in our records."),
    };
    let [day, region, signed_for, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err("No such scope");
    };
    if service != signed_for {
        return Err("Signed for another service");
    }
    let date = request.header("x-amz-date").ok_or("No date")?;
    let signed = field("SignedHeaders").ok_or("No signed headers")?;
    let payload = request.header("x-amz-content-sha256").ok_or("No digest")?;
    if payload != "UNSIGNED-PAYLOAD" && payload != hex(&Sha256::digest(&request.body)) {
        return Err("Another body was signed");
    }
    let mut canonical = format!("{}\n{}\n", request.method, request.target_path());
    let mut query: Vec<&str> = request.target_query().split('&').collect();
    query.sort_unstable();
    canonical.push_str(&query.join("&"));
    canonical.push('\n');
    for name in signed.split(';') {
        let value = request.header(name).ok_or("A signed header is missing")?;
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", signed, "\n", payload]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let start = format!("AWS4{secret}").into_bytes();
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(start, |key, part| hmac(&key, part.as_bytes()));
    let right = field("Signature") == Some(hex(&hmac(&key, text.as_bytes())).as_str());
    if right { Ok(()) } else { Err("The request signature we calculated does not match") }
}

/// RFC 2104.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
