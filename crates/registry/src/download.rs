//! Files of any server, over the connections that registries are talked to with: the same certificates, proxies
//! and patience.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LAST_MODIFIED};
use reqwest::{Response, StatusCode, Url};

use crate::client::Client;
use crate::error::ErrorKind;
use crate::exchange::{location, next_piece, refusal, transport_error};
use crate::host::registry_of;

/// How many redirects are followed, as Go's client does.
const REDIRECT_LIMIT: usize = 10;

/// Says why a file could not be downloaded. The address is shown without user and query.
#[derive(Debug)]
pub struct DownloadError {
    url: String,
    kind: Box<ErrorKind>,
}

impl DownloadError {
    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot download `{}`", self.url)
    }
}

impl std::error::Error for DownloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.kind)
    }
}

/// Is a file that is on its way.
#[derive(Debug)]
pub struct Download {
    response: Response,
    patience: Duration,
    url: String,
    last_modified: Option<i64>,
    received: u64,
}

impl Client {
    /// Begins to download a file. Anything but success is an error; redirects are followed, but never from HTTPS
    /// to plain HTTP. No credential is sent but `authorization`, the value of a header, and that to the server of
    /// the address alone, wherever it redirects to.
    pub async fn download(
        &self,
        address: &str,
        authorization: Option<&str>,
    ) -> Result<Download, DownloadError> {
        let mut shown = redacted(address);
        let failed = |kind, url: &str| DownloadError { url: url.to_owned(), kind: Box::new(kind) };
        let Ok(mut url) = Url::parse(address) else {
            let kind = ErrorKind::Protocol { what: "the address is not a URL".to_owned() };
            return Err(failed(kind, &shown));
        };
        let authorization = match authorization.map(secret_header).transpose() {
            Ok(authorization) => authorization.map(|header| (url.origin(), header)),
            Err(kind) => return Err(failed(kind, &shown)),
        };
        let mut attempts = self.attempts();
        let mut redirects = 0;
        loop {
            let header = authorization.as_ref().filter(|(origin, _)| *origin == url.origin());
            let kind = match self.get_once(&url, header.map(|(_, header)| header)).await {
                Ok(response) if response.status().is_redirection() => {
                    match next(&response, &mut redirects) {
                        Ok(target) => {
                            url = target;
                            shown = redacted(url.as_str());
                            continue;
                        }
                        Err(kind) => kind,
                    }
                }
                Ok(response) if response.status().is_success() => {
                    let last_modified = last_modified(response.headers());
                    let patience = self.timeouts().idle;
                    return Ok(Download {
                        response,
                        patience,
                        url: shown,
                        last_modified,
                        received: 0,
                    });
                }
                Ok(response) => {
                    let with = if header.is_some() { "a secret" } else { "no credentials" };
                    refusal(response, with).await
                }
                Err(kind) => kind,
            };
            attempts.wait_after(kind).await.map_err(|kind| failed(kind, &shown))?;
        }
    }

    async fn get_once(
        &self,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, ErrorKind> {
        let mut request = self.connections().client(url).get(url.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let sending = request.send();
        let silence = self.timeouts().idle;
        match tokio::time::timeout(silence, sending).await {
            Ok(sent) => sent.map_err(|error| transport_error(url, &error)),
            Err(_) => Err(ErrorKind::TimedOut { host: registry_of(url), silence }),
        }
    }
}

impl Download {
    /// `Last-Modified` as seconds since 1970, if the server gave it.
    pub fn last_modified(&self) -> Option<i64> {
        self.last_modified
    }

    /// The next bytes; nothing at the end of a file that came whole.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let expected = self.response.content_length();
        match next_piece(&mut self.response, self.patience).await {
            Ok(piece) => {
                self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Ok(piece)
            }
            Err(kind) => {
                let kind = match (kind, expected) {
                    (ErrorKind::Unreachable { .. }, Some(expected)) => {
                        ErrorKind::Cut { received: self.received, expected }
                    }
                    (kind, _) => kind,
                };
                Err(DownloadError { url: self.url.clone(), kind: Box::new(kind) })
            }
        }
    }
}

fn secret_header(value: &str) -> Result<HeaderValue, ErrorKind> {
    let mut header = HeaderValue::from_str(value).map_err(|_| ErrorKind::Protocol {
        what: "the secret for it has characters that no header can have".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn next(response: &Response, redirects: &mut usize) -> Result<Url, ErrorKind> {
    *redirects += 1;
    if response.status() == StatusCode::NOT_MODIFIED || *redirects > REDIRECT_LIMIT {
        let what = format!("it redirects more than {REDIRECT_LIMIT} times");
        return Err(ErrorKind::Protocol { what });
    }
    let target = location(response).ok_or_else(|| ErrorKind::Protocol {
        what: "a redirect does not say where to".to_owned(),
    })?;
    if response.url().scheme() == "https" && target.scheme() != "https" {
        return Err(ErrorKind::PlainHttp { what: "go on", host: registry_of(&target) });
    }
    Ok(target)
}

fn last_modified(headers: &HeaderMap) -> Option<i64> {
    let text = headers.get(LAST_MODIFIED)?.to_str().ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

// A query may hold a signature, the authority a password.
fn redacted(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.split(['?', '#', '@']).next().unwrap_or_default().to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    // Only addresses without a host refuse these, and those have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        for (address, shown) in [
            ("https://user:pw@host/a/b.tar?sig=1#x", "https://host/a/b.tar"),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
            ("no url?token=1", "no url"),
        ] {
            assert_eq!(redacted(address), shown);
        }
    }

    #[test]
    fn times_of_servers_are_seconds() {
        let mut headers = HeaderMap::new();
        assert_eq!(last_modified(&headers), None);
        let value = "Wed, 04 May 2022 10:20:30 GMT".parse().expect("a header");
        headers.insert(LAST_MODIFIED, value);
        assert_eq!(last_modified(&headers), Some(1_651_659_630));
    }
}
