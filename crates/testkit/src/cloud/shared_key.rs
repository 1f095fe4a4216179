//! Azure's signatures with the key of an account, from the specification: a second opinion on those of the program.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::TestCloud;
use super::signature::hmac;
use crate::server::Request;

/// What is signed of every request, in this order, besides the `x-ms-` headers.
const HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Checks `account:signature`.
pub(super) fn check(request: &Request, claim: &str) -> Result<(), &'static str> {
    let signature = claim.strip_prefix("account:").ok_or("No such account")?;
    let has = |name| request.header(name).is_some();
    if !(has("date") || has("x-ms-date")) || !has("x-ms-version") {
        return Err("No date or no version");
    }
    let mut text = format!("{}\n", request.method);
    for name in HEADERS {
        // A length of nothing is signed as nothing.
        let value = request.header(name).filter(|value| (name, *value) != ("content-length", "0"));
        text.extend([value.unwrap_or_default(), "\n"]);
    }
    for (name, value) in &request.headers {
        if name.starts_with("x-ms-") {
            text.extend([name.as_str(), ":", value.as_str(), "\n"]);
        }
    }
    text.extend(["/account", request.target_path()]);
    let mut query = request.query.clone();
    query.sort();
    for (name, value) in query {
        text.extend(["\n", name.as_str(), ":", value.as_str()]);
    }
    let key = STANDARD.decode(TestCloud::ACCOUNT_KEY).expect("the key is base64");
    let right = STANDARD.encode(hmac(&key, text.as_bytes())) == signature;
    if right { Ok(()) } else { Err("The MAC signature found in the HTTP request is not the same") }
}
