//! Sending, for everything that speaks to clouds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use strata_registry::{
    Answer, Client, Credentials, ErrorKind, PlainHttp, Proxies, RetryPolicy, Settings,
};
use tokio::sync::OnceCell;

use crate::error::IdentityError;

/// No token and no list of credentials comes near it.
const ANSWER_LIMIT: usize = 1 << 20;
/// A request whose signature is older is refused anyway.
const RETRY_TIME: Duration = Duration::from_mins(3);

/// Is how something is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As registries are.
    Usual,
    /// By an address that the user chose, which may be one without TLS.
    Chosen,
    /// On the machine itself or next to it: without a proxy and without TLS, and at once or not at all.
    Nearby,
}

/// Holds the connections. They are set up when the first is used.
#[derive(Debug)]
pub(crate) struct Http {
    settings: Settings,
    usual: OnceCell<Client>,
    nearby: OnceCell<Client>,
}

impl Http {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, usual: OnceCell::new(), nearby: OnceCell::new() }
    }

    pub(crate) async fn client(&self, way: Way) -> Result<&Client, IdentityError> {
        let make = |settings: Settings| async move {
            Client::new(&settings, Credentials::anonymous())
                .map_err(|source| IdentityError::Settings { source })
        };
        match way {
            Way::Usual | Way::Chosen => {
                self.usual.get_or_try_init(|| make(self.settings.clone())).await
            }
            Way::Nearby => {
                let mut settings = self.settings.clone();
                settings.proxies = Proxies::default();
                settings.retry = RetryPolicy::never();
                settings.timeouts.connect = Duration::from_secs(1);
                settings.timeouts.idle = Duration::from_secs(5);
                self.nearby.get_or_try_init(|| make(settings)).await
            }
        }
    }

    /// Asks a service for a document. `service` and `tried` are for messages: who is asked, and as whom.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        way: Way,
        request: http::Request<Bytes>,
        [service, tried, expected]: [&'static str; 3],
    ) -> Result<T, IdentityError> {
        let client = self.client(way).await?;
        let bytes =
            client.ask(&request, way.plain(), ANSWER_LIMIT, tried).await.map_err(|kind| {
                IdentityError::Service { service: service.to_owned(), source: kind.into() }
            })?;
        serde_json::from_slice(&bytes)
            .map_err(|_| IdentityError::Answer { service: service.to_owned(), expected })
    }

    /// How object stores repeat requests.
    pub(crate) fn retry(&self) -> RetryConfig {
        let policy = self.settings.retry;
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: policy.first_delay,
                max_backoff: policy.longest_delay,
                base: 2.0,
            },
            max_retries: policy.attempts.saturating_sub(1) as usize,
            retry_timeout: RETRY_TIME,
        }
    }
}

impl Way {
    fn plain(self) -> PlainHttp {
        match self {
            Self::Usual => PlainHttp::Refused,
            Self::Chosen | Self::Nearby => PlainHttp::Allowed,
        }
    }
}

/// Makes a request of a form.
pub(crate) fn form(address: &str, pairs: &[(&str, &str)]) -> http::Result<http::Request<Bytes>> {
    http::Request::post(address)
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(pairs_of(pairs).into())
}

/// Writes `a=b&c=d`.
pub(crate) fn pairs_of(pairs: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Carries the requests of the object stores' library, and remembers how the last one failed: its errors are text.
#[derive(Clone, Debug)]
pub(crate) struct Carrier {
    pub(crate) http: Arc<Http>,
    pub(crate) way: Way,
    /// Who asks, for messages.
    pub(crate) tried: String,
    pub(crate) failure: Failure,
}

/// How the last request failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<ErrorKind>>>);

impl Failure {
    pub(crate) fn take(&self) -> Option<ErrorKind> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, kind: ErrorKind) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }
}

impl HttpConnector for Carrier {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Carrier {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // What is sent is in memory: files are read from stores, not written to them.
        let body = body.as_bytes().cloned().unwrap_or_default();
        let client = self.http.client(self.way).await;
        let client = client.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let request = http::Request::from_parts(parts, body);
        let sent = client.send(request, self.way.plain()).await;
        let answer = sent.map_err(|kind| failed(&self.failure, kind))?;
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = if status.is_success() {
            // What failed before was made good.
            self.failure.take();
            HttpResponseBody::new(Pieces::of(answer, self.failure.clone()))
        } else {
            let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            self.failure.note(match (answer.refusal(&self.tried).await, region) {
                (ErrorKind::Refused { status, message }, Some(region)) => ErrorKind::Refused {
                    status,
                    message: format!("{message} (the bucket is in region `{region}`)"),
                },
                (kind, _) => kind,
            });
            Bytes::new().into()
        };
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Notes a failure and says whether it may go away.
fn failed(failure: &Failure, kind: ErrorKind) -> HttpError {
    let what = match &kind {
        ErrorKind::Unreachable { .. } => HttpErrorKind::Connect,
        ErrorKind::TimedOut { .. } => HttpErrorKind::Timeout,
        ErrorKind::Cut { .. } => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    let error = HttpError::new(what, std::io::Error::other(kind.to_string()));
    failure.note(kind);
    error
}

/// Is the body of an answer. In a lock that nobody waits for, as the library wants it shared.
struct Pieces(Mutex<BoxStream<'static, Result<Bytes, HttpError>>>);

impl Pieces {
    fn of(answer: Answer, failure: Failure) -> Self {
        let pieces = stream::try_unfold(answer, |mut answer| async move {
            Ok::<_, ErrorKind>(answer.chunk().await?.map(|piece| (piece, answer)))
        });
        Self(Mutex::new(pieces.map_err(move |kind| failed(&failure, kind)).boxed()))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, HttpError>>> {
        let pieces = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        pieces.poll_next_unpin(context).map_ok(http_body::Frame::data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        assert_eq!(pairs_of(&[("a", "b c&d"), ("e", "é/+")]), "a=b%20c%26d&e=%C3%A9%2F%2B");
    }
}
