//! The distribution protocol, the server's side.

use super::State;
use crate::server::{Answer, Request};

pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
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
            return route(state, request, repository, tail);
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
