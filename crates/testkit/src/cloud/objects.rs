//! Object stores. Each dialect is told by how a request says who it is of.

use super::{State, TestCloud, shared_key, signature};
use crate::server::{Answer, Request, decode};

pub(super) fn answer(state: &State, request: &Request) -> Answer {
    let open = state.open.iter().any(|bucket| request.path.starts_with(bucket.as_str()));
    if !open && let Err(why) = let_in(request) {
        return error(403, "AccessDenied", why);
    }
    let Some(bytes) = state.objects.get(&decode(&request.path)) else {
        return error(404, "NoSuchKey", "The specified key does not exist.\nRequestId: 1");
    };
    let answer = Answer::new(200)
        .with("ETag", "\"one\"")
        .with("Last-Modified", "Wed, 04 May 2022 10:20:30 GMT")
        .with("Content-Type", "application/octet-stream");
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return answer.body(bytes.clone());
    };
    let length = bytes.len();
    let first = first.parse().unwrap_or(length);
    let last = last.parse().map_or(length, |last: usize| length.min(last + 1));
    if first >= last {
        return error(416, "InvalidRange", "The requested range is not satisfiable");
    }
    Answer { status: 206, ..answer }
        .with("Content-Range", format!("bytes {first}-{}/{length}", last - 1))
        .body(bytes[first..last].to_vec())
}

fn let_in(request: &Request) -> Result<(), &'static str> {
    let authorization = request.header("authorization").unwrap_or_default();
    match authorization.split_once(' ') {
        Some(("AWS4-HMAC-SHA256", _)) => signature::check(request, "s3"),
        Some(("Bearer", token)) if [TestCloud::GOOGLE_TOKEN, "azure-token"].contains(&token) => {
            Ok(())
        }
        Some(("SharedKey", claim)) => shared_key::check(request, claim),
        None if request.parameter("sig") == Some("signed") => Ok(()),
        Some(_) => Err("Whoever that is"),
        None => Err("Access Denied"),
    }
}

/// An error as all three stores write it.
fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::new(status).with("Content-Type", "application/xml").body(body.into_bytes())
}
