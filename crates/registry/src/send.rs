//! Requests to servers that are no registries, over the connections that registries are talked to with: nothing is
//! added to them, and no redirect is followed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::client::Client;
use crate::error::ErrorKind;
use crate::exchange::{next_piece, read_bounded, refusal, transport_error};
use crate::host::registry_of;

/// Says whether a request may travel unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To loopback addresses and insecure hosts only.
    Refused,
    /// To wherever the user, or the cloud that the machine belongs to, says.
    Allowed,
}

/// Is an answer whose body is on its way.
pub struct Answer {
    response: Response,
    patience: Duration,
    received: u64,
}

impl Client {
    /// Sends a request, once. Every status is an answer.
    pub async fn send(
        &self,
        request: http::Request<Bytes>,
        plain: PlainHttp,
    ) -> Result<Answer, ErrorKind> {
        let request = reqwest::Request::try_from(request)
            .map_err(|_| ErrorKind::Protocol { what: "the address is not a URL".to_owned() })?;
        let url = request.url().clone();
        if plain == PlainHttp::Refused && !self.connections().may_trust(&url) {
            return Err(ErrorKind::PlainHttp { what: "send credentials", host: registry_of(&url) });
        }
        let sending = self.connections().client(&url).execute(request);
        let patience = self.timeouts().idle;
        match tokio::time::timeout(patience, sending).await {
            Ok(Ok(response)) => Ok(Answer { response, patience, received: 0 }),
            Ok(Err(error)) => Err(transport_error(&url, &error)),
            Err(_) => Err(ErrorKind::TimedOut { host: registry_of(&url), silence: patience }),
        }
    }

    /// Sends a request until it is answered with success, as often as is worth it, and reads an answer of at most
    /// `limit` bytes. `tried` says who asks, for messages.
    pub async fn ask(
        &self,
        request: &http::Request<Bytes>,
        plain: PlainHttp,
        limit: usize,
        tried: &str,
    ) -> Result<Bytes, ErrorKind> {
        let mut attempts = self.attempts();
        loop {
            let kind = match self.send(request.clone(), plain).await {
                Ok(answer) if answer.response.status().is_success() => {
                    match answer.whole(limit).await {
                        Ok(bytes) => return Ok(bytes),
                        Err(kind) => kind,
                    }
                }
                Ok(answer) => answer.refusal(tried).await,
                Err(kind) => kind,
            };
            attempts.wait_after(kind).await?;
        }
    }

    /// Says under which address a registry is talked to, `scheme://host[:port]/`.
    pub async fn address(&self, registry: &str) -> Result<String, ErrorKind> {
        Ok(self.host(registry).origin(self.connections()).await?.to_string())
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> http::StatusCode {
        self.response.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next bytes of the body; nothing at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ErrorKind> {
        let expected = self.response.content_length();
        match (next_piece(&mut self.response, self.patience).await, expected) {
            (Ok(piece), _) => {
                self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Ok(piece)
            }
            (Err(ErrorKind::Unreachable { .. }), Some(expected)) => {
                Err(ErrorKind::Cut { received: self.received, expected })
            }
            (Err(kind), _) => Err(kind),
        }
    }

    /// The whole body, if it has no more than `limit` bytes.
    pub async fn whole(self, limit: usize) -> Result<Bytes, ErrorKind> {
        read_bounded(self.response, limit, self.patience).await
    }

    /// What an answer that is no success says, with the server's words.
    pub async fn refusal(self, tried: &str) -> ErrorKind {
        refusal(self.response, tried).await
    }
}

impl fmt::Debug for Answer {
    /// Shows the status alone: addresses and headers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.response.status()).finish_non_exhaustive()
    }
}
