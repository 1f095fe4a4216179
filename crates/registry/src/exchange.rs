//! One request and its answer: login, redirects, limits, and what went wrong in this crate's words.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode, Url};

use crate::auth::{Authorization, Challenge, Scopes};
use crate::client::Client;
use crate::error::{ErrorKind, body};
use crate::host::{Connections, Host, registry_of};
use crate::settings::Timeouts;

mod upload;

pub(crate) use upload::{Sent, Upload, source_error};

/// Storage behind a registry needs one redirect, a front before it another.
const REDIRECT_LIMIT: usize = 8;
/// More refusals than there are identities mean a registry that accepts nothing.
const REFUSAL_LIMIT: usize = 16;

/// Is a request, which can be sent any number of times.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) scopes: Scopes,
}

#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    Upload(Upload),
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Body::Empty, scopes }
    }
}

impl Client {
    /// Sends a request with whatever login the registry wants. Success is any status below 400.
    pub(crate) async fn exchange(
        &self,
        host: &Host,
        request: &Request,
    ) -> Result<Response, ErrorKind> {
        let connections = self.connections();
        let origin = host.origin(connections).await?;
        let mut authorization = host.session.authorize(connections, &request.scopes).await?;
        for _ in 0..REFUSAL_LIMIT {
            let response = self.follow(origin, request, &authorization).await?;
            match response.status() {
                StatusCode::UNAUTHORIZED => {
                    let challenge = Challenge::read(response.headers());
                    let words = excerpt(response).await;
                    authorization = host
                        .session
                        .answer(connections, &request.scopes, &authorization, challenge, words)
                        .await?;
                }
                status if status.as_u16() < 400 => {
                    host.session.accepted(&request.scopes, &authorization).await;
                    return Ok(response);
                }
                _ => return Err(refusal(response, &authorization.tried).await),
            }
        }
        Err(ErrorKind::Protocol { what: "it refuses each login and asks for another".to_owned() })
    }

    /// Sends, and follows redirects of requests without a body. The login stays with the registry's own origin:
    /// an upload's URL may be elsewhere from the start.
    async fn follow(
        &self,
        origin: &Url,
        request: &Request,
        authorization: &Authorization,
    ) -> Result<Response, ErrorKind> {
        let connections = self.connections();
        let mut url = request.url.clone();
        for _ in 0..REDIRECT_LIMIT {
            if origin.scheme() == "https" && !connections.may_trust(&url) {
                let host = registry_of(&url);
                return Err(ErrorKind::PlainHttp { what: "go on", host });
            }
            let header = authorization.header.as_ref().filter(|_| url.origin() == origin.origin());
            if header.is_some() && !connections.may_trust(&url) {
                let host = registry_of(&url);
                return Err(ErrorKind::PlainHttp { what: "send credentials", host });
            }
            let response = send(connections, self.timeouts(), &url, request, header).await?;
            let follows = matches!(request.method, Method::GET | Method::HEAD)
                && response.status().is_redirection()
                && response.status() != StatusCode::NOT_MODIFIED;
            if !follows {
                return Ok(response);
            }
            url = location(&response).ok_or_else(|| ErrorKind::Protocol {
                what: "a redirect does not say where to".to_owned(),
            })?;
        }
        Err(ErrorKind::Protocol { what: format!("it redirects more than {REDIRECT_LIMIT} times") })
    }
}

async fn send(
    connections: &Connections,
    timeouts: &Timeouts,
    url: &Url,
    request: &Request,
    authorization: Option<&HeaderValue>,
) -> Result<Response, ErrorKind> {
    let mut builder = connections
        .client(url)
        .request(request.method.clone(), url.clone())
        .headers(request.headers.clone());
    if let Some(authorization) = authorization {
        builder = builder.header(AUTHORIZATION, authorization);
    }
    let timed_out = |silence| ErrorKind::TimedOut { host: registry_of(url), silence };
    match &request.body {
        Body::Upload(upload) => upload.send(builder, url, timeouts).await,
        Body::Bytes(bytes) => {
            let sending = builder.body(bytes.clone()).send();
            match tokio::time::timeout(timeouts.commit, sending).await {
                Ok(sent) => sent.map_err(|error| transport_error(url, &error)),
                Err(_) => Err(timed_out(timeouts.commit)),
            }
        }
        Body::Empty => {
            if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
                builder = builder.header(CONTENT_LENGTH, 0);
            }
            match tokio::time::timeout(timeouts.idle, builder.send()).await {
                Ok(sent) => sent.map_err(|error| transport_error(url, &error)),
                Err(_) => Err(timed_out(timeouts.idle)),
            }
        }
    }
}

/// Reads where an answer points to, relative to the URL it is an answer of.
///
/// A registry behind a front that ends TLS often calls itself `http://` without knowing better; on the same host
/// that means the same front.
pub(crate) fn location(response: &Response) -> Option<Url> {
    let text = response.headers().get(LOCATION)?.to_str().ok()?;
    let base = response.url();
    let mut target = base.join(text).ok()?;
    let same_host = base.host_str() == target.host_str();
    if base.scheme() == "https" && target.scheme() == "http" && same_host {
        // The port is the front's too: what the registry says is its inner one, or none.
        target.set_scheme("https").ok()?;
        target.set_port(base.port()).ok()?;
    }
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// Turns an answer that is no success into an error, with the registry's words. `tried` says with which login.
pub(crate) async fn refusal(response: Response, tried: &str) -> ErrorKind {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let message = excerpt(response).await;
    let tried = tried.to_owned();
    match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized { tried, message },
        StatusCode::FORBIDDEN => ErrorKind::Denied { tried, message },
        StatusCode::NOT_FOUND => ErrorKind::NotFound { message },
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::TooManyRequests { retry_after, message },
        // 501 and 505 stay what they are however often one asks.
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            ErrorKind::Unavailable { status: status.as_u16(), retry_after, message }
        }
        _ => ErrorKind::Refused { status: status.as_u16(), message },
    }
}

/// Reads `Retry-After`: seconds, or a date, which is counted from the answer's own `Date`. The clocks of two
/// machines differ; that of one does not differ from itself.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    until.duration_since(now).ok()
}

/// Takes the words out of an error's body; if it cannot be read, there are none.
async fn excerpt(response: Response) -> String {
    let patience = Duration::from_secs(5);
    match read_prefix(response, body::LIMIT, patience).await {
        Ok((prefix, _)) => body::excerpt(&prefix),
        Err(_) => String::new(),
    }
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn read_bounded(
    response: Response,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, ErrorKind> {
    match read_prefix(response, limit, patience).await? {
        (bytes, true) => Ok(bytes),
        (bytes, false) => {
            Err(ErrorKind::SizeMismatch { expected: limit as u64, actual: bytes.len() as u64 + 1 })
        }
    }
}

/// Reads up to `limit` bytes and tells whether that was all.
async fn read_prefix(
    mut response: Response,
    limit: usize,
    patience: Duration,
) -> Result<(Bytes, bool), ErrorKind> {
    let expected = response.content_length();
    let mut bytes = BytesMut::new();
    while let Some(piece) = next_piece(&mut response, patience).await.map_err(|error| {
        // What stops in the middle was cut, whatever the library calls it.
        match (error, expected) {
            (ErrorKind::Unreachable { .. }, Some(expected)) => {
                ErrorKind::Cut { received: bytes.len() as u64, expected }
            }
            (error, _) => error,
        }
    })? {
        let room = limit - bytes.len();
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok((bytes.freeze(), false));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), true))
}

/// Reads the next piece of a body, of whatever size the connection gives.
pub(crate) async fn next_piece(
    response: &mut Response,
    patience: Duration,
) -> Result<Option<Bytes>, ErrorKind> {
    match tokio::time::timeout(patience, response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(transport_error(response.url(), &error)),
        Err(_) => {
            let host = registry_of(response.url());
            Err(ErrorKind::TimedOut { host, silence: patience })
        }
    }
}

/// Puts a failure of the connection into this crate's words. The URL is left out: it may hold a signature.
pub(crate) fn transport_error(url: &Url, error: &reqwest::Error) -> ErrorKind {
    let host = registry_of(url);
    let mut reason = None;
    let mut refused = false;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(current) = cause {
        if let Some(tls) = tls_error(current) {
            return ErrorKind::Tls { host, reason: tls.to_string() };
        }
        refused |= current
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        // The innermost cause says what happened; those around it, that something did.
        reason = Some(current.to_string());
        cause = current.source();
    }
    let reason = reason.unwrap_or_else(|| "connection failed".to_owned());
    ErrorKind::Unreachable { host, reason, refused }
}

/// Finds the TLS library's error, which travels inside `io::Error`s that do not name it as their source.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    tls_error(error.downcast_ref::<std::io::Error>()?.get_ref()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let seconds = |count| Some(Duration::from_secs(count));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (after, now, expected) in [
            ("3", None, seconds(3)),
            (" 0 ", None, seconds(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(date), seconds(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(date), None),
            ("Sun, 06 Nov 1994 08:49:47 GMT", None, None),
            ("soon", Some(date), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
            if let Some(now) = now {
                headers.insert(DATE, HeaderValue::from_static(now));
            }
            assert_eq!(retry_after(&headers), expected, "{after} at {now:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
