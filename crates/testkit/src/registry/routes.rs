//! The distribution protocol, the server's side.

use std::io::BufReader;
use std::net::{Shutdown, TcpStream};

use super::fault::Action;
use super::http::{self, Answer, Request};
use super::{Shared, State};

/// Answers the requests of one connection until it ends.
pub(super) fn serve(shared: &Shared, stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    // An error here is a client that went away.
    while let Ok(Some(mut request)) = http::read_head(&mut reader) {
        let action = strike(shared, &request);
        let (limit, goes_down) = match &action {
            Some(Action::Hang { after }) => (Some(*after), false),
            Some(Action::GoDown { after }) => (Some(*after), true),
            _ => (None, false),
        };
        let kept = match &action {
            Some(Action::KeepAndHang { after }) => Some(*after),
            _ => limit,
        };
        if http::read_body(&mut reader, &mut request, kept.unwrap_or(u64::MAX)).is_err() {
            break;
        }
        if limit.is_some() {
            note(shared, &request, None);
            if goes_down {
                shared.close();
            }
            break;
        }
        if let Some(Action::Delay(time)) = action {
            std::thread::sleep(time);
        }
        let mut answer = answer(shared, &mut request, action.as_ref());
        let mut cut_after = None;
        match &action {
            Some(Action::LoseAnswer | Action::KeepAndHang { .. }) => {
                note(shared, &request, None);
                break;
            }
            Some(Action::CutBody(after)) => cut_after = Some(*after),
            Some(Action::CorruptBody) => {
                let middle = answer.body.len() / 2;
                if let Some(byte) = answer.body.get_mut(middle) {
                    *byte ^= 0x20;
                }
            }
            Some(Action::OmitHeader(omitted)) => answer.headers.retain(|(name, _)| name != omitted),
            _ => {}
        }
        note(shared, &request, Some(answer.status));
        let is_head = request.method == "HEAD";
        let written = http::write(stream, &answer, is_head, cut_after);
        if written.is_err() || cut_after.is_some() {
            break;
        }
    }
    let _already_closed = stream.shutdown(Shutdown::Both);
}

fn strike(shared: &Shared, request: &Request) -> Option<Action> {
    let mut state = shared.state();
    // All faults count the request, also those behind the one that acts.
    let mut actions: Vec<Action> = Vec::new();
    for fault in &mut state.faults {
        actions.extend(fault.strike(&request.method, &request.target));
    }
    actions.into_iter().next()
}

/// Appends to the log, with digests short enough to read.
fn note(shared: &Shared, request: &Request, status: Option<u16>) {
    let mut target = request.target.replace("sha256%3A", "sha256:").replace("%2F", "/");
    let mut from = 0;
    while let Some(at) = target[from..].find("sha256:").map(|at| from + at + "sha256:".len()) {
        let digits = target[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        target.replace_range(at + digits.min(8)..at + digits, "");
        from = at;
    }
    let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    shared.state().log.push(format!("{} {target} {status}", request.method));
}

fn answer(shared: &Shared, request: &mut Request, action: Option<&Action>) -> Answer {
    let mut state = shared.state();
    match action {
        Some(Action::Answer(answer)) => return answer.clone(),
        Some(Action::LimitBody(most)) if request.body.len() > *most => {
            return Answer::error(413, "TOO_LARGE");
        }
        Some(Action::RevokeTokens) => state.access.revoke(),
        Some(Action::IgnoreRange) => {
            request.headers.remove("range");
        }
        _ => {}
    }
    if request.path == "/token" {
        return state.access.token(request);
    }
    let Some(rest) = request.path.strip_prefix("/v2/") else {
        return Answer::error(404, "NOT_FOUND");
    };
    let rest = rest.to_owned();
    if rest.is_empty() {
        return state.access.check(request, &[]).unwrap_or_else(|| Answer::new(200));
    }
    // The repository may have any number of components; the words behind it are fixed.
    for (marker, route) in ROUTES {
        if let Some((repository, tail)) = rest.rsplit_once(marker) {
            let action =
                if matches!(request.method.as_str(), "GET" | "HEAD") { "pull" } else { "push" };
            let mut needs = vec![(repository, action)];
            let from = request.parameter("from").map(str::to_owned);
            needs.extend(from.as_deref().map(|from| (from, "pull")));
            if let Some(refusal) = state.access.check(request, &needs) {
                return refusal;
            }
            return route(&mut state, request, repository, tail);
        }
    }
    Answer::error(404, "NOT_FOUND")
}

type Route = fn(&mut State, &Request, &str, &str) -> Answer;

const ROUTES: &[(&str, Route)] = &[
    ("/blobs/uploads/", uploads),
    ("/blobs/", blobs),
    ("/manifests/", manifests),
    ("/tags/", tags),
];

fn blobs(state: &mut State, request: &Request, repository: &str, digest: &str) -> Answer {
    let Some(bytes) = state.storage.blob(repository, digest) else {
        return Answer::error(404, "BLOB_UNKNOWN");
    };
    let answer = Answer::new(200)
        .with("Content-Type", "application/octet-stream")
        .with("Docker-Content-Digest", digest);
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return answer.body(bytes.to_vec());
    };
    let length = bytes.len();
    let first = first.parse().unwrap_or(length);
    let last = last.parse().map_or(length, |last: usize| length.min(last + 1));
    if first >= last {
        return Answer::error(416, "RANGE_INVALID");
    }
    let content_range = format!("bytes {first}-{}/{length}", last - 1);
    Answer { status: 206, ..answer }
        .with("Content-Range", content_range)
        .body(bytes[first..last].to_vec())
}

fn manifests(state: &mut State, request: &Request, repository: &str, target: &str) -> Answer {
    match request.method.as_str() {
        "PUT" => {
            let digest = crate::sha256(&request.body);
            if target.starts_with("sha256:") && target != digest {
                return Answer::error(400, "DIGEST_INVALID");
            }
            let media_type = request.header("content-type").unwrap_or_default();
            state.storage.put_manifest(repository, &digest, media_type, request.body.clone());
            if !target.starts_with("sha256:") {
                state.storage.put_tag(repository, target, &digest);
            }
            Answer::new(201)
                .with("Location", format!("/v2/{repository}/manifests/{digest}"))
                .with("Docker-Content-Digest", digest)
        }
        "DELETE" if state.storage.remove_manifest(repository, target) => Answer::new(202),
        "GET" | "HEAD" => match state.storage.manifest(repository, target) {
            Some((media_type, bytes)) => Answer::new(200)
                .with("Content-Type", media_type)
                .with("Docker-Content-Digest", crate::sha256(bytes))
                .body(bytes.to_vec()),
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
        },
        _ => Answer::error(404, "MANIFEST_UNKNOWN"),
    }
}

fn tags(state: &mut State, _request: &Request, repository: &str, _tail: &str) -> Answer {
    let Some(tags) = state.storage.tags(repository) else {
        return Answer::error(404, "NAME_UNKNOWN");
    };
    let body = serde_json::json!({"name": repository, "tags": tags});
    Answer::new(200).with("Content-Type", "application/json").body(body.to_string().into_bytes())
}

fn uploads(state: &mut State, request: &Request, repository: &str, id: &str) -> Answer {
    let at = |id: &str| format!("/v2/{repository}/blobs/uploads/{id}?state=kept");
    match (request.method.as_str(), id) {
        ("POST", "") => {
            let mount = request.parameter("mount").zip(request.parameter("from"));
            let found = mount.and_then(|(digest, from)| {
                Some((digest, state.storage.blob(from, digest)?.to_vec()))
            });
            if let Some((digest, bytes)) = found {
                state.storage.put_blob(repository, digest, bytes);
                return created(repository, digest);
            }
            let id = state.storage.begin_upload();
            if let Some(digest) = request.parameter("digest") {
                return finish(state, request, repository, &id, digest);
            }
            Answer::new(202).with("Location", at(&id)).with("Range", "0-0")
        }
        ("PATCH", id) => {
            let Some(upload) = state.storage.upload(id) else {
                return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
            };
            let starts = request.header("content-range").and_then(|range| range.split('-').next());
            let fits = starts.is_none_or(|first| first.parse() == Ok(upload.len()));
            if !fits {
                return Answer::error(416, "RANGE_INVALID");
            }
            upload.extend_from_slice(&request.body);
            let range = format!("0-{}", upload.len().saturating_sub(1));
            Answer::new(202).with("Location", at(id)).with("Range", range)
        }
        ("PUT", id) => match request.parameter("digest") {
            Some(digest) if request.parameter("state") == Some("kept") => {
                finish(state, request, repository, id, digest)
            }
            Some(_) => Answer::error(400, "UPLOAD_STATE_LOST"),
            None => Answer::error(400, "DIGEST_INVALID"),
        },
        ("GET", id) => match state.storage.upload(id) {
            Some(upload) => {
                let range = format!("0-{}", upload.len().saturating_sub(1));
                Answer::new(204).with("Location", at(id)).with("Range", range)
            }
            None => Answer::error(404, "BLOB_UPLOAD_UNKNOWN"),
        },
        ("DELETE", id) => match state.storage.end_upload(id) {
            Some(_) => Answer::new(204),
            None => Answer::error(404, "BLOB_UPLOAD_UNKNOWN"),
        },
        _ => Answer::error(405, "UNSUPPORTED"),
    }
}

fn finish(
    state: &mut State,
    request: &Request,
    repository: &str,
    id: &str,
    digest: &str,
) -> Answer {
    let Some(mut bytes) = state.storage.end_upload(id) else {
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    bytes.extend_from_slice(&request.body);
    if crate::sha256(&bytes) != digest {
        return Answer::error(400, "DIGEST_INVALID");
    }
    state.storage.put_blob(repository, digest, bytes);
    created(repository, digest)
}

fn created(repository: &str, digest: &str) -> Answer {
    Answer::new(201)
        .with("Location", format!("/v2/{repository}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest)
}
