//! Pushing blobs: find, mount, upload; and whether pushing is allowed at all.

use std::fmt;
use std::sync::Arc;

use reqwest::{Method, StatusCode, Url};
use strata_oci::{Descriptor, Digest, Repository};

use crate::auth::{Access, Scopes};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::{Body, Request, Sent, Upload, location};
use crate::retry::Attempts;
use crate::source::BlobSource;

mod pieces;
mod stream;

pub use stream::NamelessBlob;

/// Says what a push had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The content was sent.
    Uploaded,
    /// The registry had it in this repository.
    AlreadyThere,
    /// The registry had it in another repository and linked it.
    Mounted,
}

/// Is a blob to push.
#[derive(Clone)]
pub struct BlobPush {
    /// What it is.
    pub blob: Descriptor,
    /// Where its bytes come from. They must be the descriptor's: the registry refuses others.
    pub source: BlobSource,
    /// Repositories that may have it already; those of the same registry are tried in turn.
    pub mount_from: Vec<Repository>,
    /// Is told how many bytes went out since it was told last. An upload that starts over counts again.
    pub sent: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl BlobPush {
    /// Makes a push with nothing optional.
    pub fn new(blob: Descriptor, source: BlobSource) -> Self {
        Self { blob, source, mount_from: Vec::new(), sent: None }
    }
}

impl fmt::Debug for BlobPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobPush")
            .field("blob", &self.blob)
            .field("source", &self.source)
            .field("mount_from", &self.mount_from)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Brings a blob into a repository, by the cheapest way that works.
    ///
    /// The upload is one streamed request. If it fails in the middle, it starts over, and looks first whether the
    /// registry had got everything after all. A large blob is then sent in pieces, each of which can fail by itself:
    /// some fronts carry no more in one request, and some connections do not last.
    pub async fn push_blob(
        &self,
        to: &Repository,
        push: &BlobPush,
    ) -> Result<Pushed, RegistryError> {
        let endpoint = self.origin(to);
        let operation = Operation::PushBlob { digest: push.blob.digest };
        let mut sources: Vec<&Repository> = push
            .mount_from
            .iter()
            .filter(|from| from.registry() == to.registry() && from.path() != to.path())
            .collect();
        sources.dedup();
        let mut attempts = self.attempts();
        let mut manner = Manner::Whole;
        let mut uploads = 0;
        loop {
            let pushing = self.push_once(&endpoint, push, &mut sources, manner, &mut attempts);
            let kind = match pushing.await {
                Ok(pushed) => return Ok(pushed),
                Err(kind) => kind,
            };
            uploads += 1;
            let is_large = push.blob.size > self.upload_piece() as u64;
            let too_large = matches!(kind, ErrorKind::Refused { status: 413, .. });
            let failed = |kind| endpoint.error(operation.clone(), kind);
            if is_large && too_large && manner == Manner::Whole {
                tracing::debug!(digest = %push.blob.digest, "too large for one request");
            } else if uploads >= attempts.limit() {
                // Pieces that arrive begin the count anew; uploads that are lost each time do not.
                return Err(failed(kind));
            } else {
                attempts.wait_after(kind).await.map_err(failed)?;
            }
            if is_large {
                manner = Manner::Pieces;
            }
        }
    }

    /// Copies a blob from one repository to another, of the same registry or not, without storing it.
    pub async fn copy_blob(
        &self,
        from: &Repository,
        to: &Repository,
        blob: &Descriptor,
    ) -> Result<Pushed, RegistryError> {
        let source = BlobSource::remote(self.clone(), from.clone(), blob.clone());
        let push =
            BlobPush { mount_from: vec![from.clone()], ..BlobPush::new(blob.clone(), source) };
        self.push_blob(to, &push).await
    }

    /// Finds out whether a push to a repository will be let in, before there is something to push: begins an
    /// upload and cancels it.
    pub async fn check_push(&self, to: &Repository) -> Result<(), RegistryError> {
        let endpoint = self.origin(to);
        let mut attempts = self.attempts();
        loop {
            match self.try_upload(&endpoint).await {
                Ok(()) => return Ok(()),
                Err(kind) => attempts
                    .wait_after(kind)
                    .await
                    .map_err(|kind| endpoint.error(Operation::CheckPush, kind))?,
            }
        }
    }

    /// Begins an upload and cancels it.
    pub(crate) async fn try_upload(&self, endpoint: &Endpoint) -> Result<(), ErrorKind> {
        let scopes = Scopes::of(&endpoint.path, Access::PullAndPush);
        if let Begun::Upload(session) = self.begin_upload(endpoint, &scopes, None).await? {
            self.cancel_upload(endpoint, session, &scopes).await;
        }
        Ok(())
    }

    async fn push_once(
        &self,
        endpoint: &Endpoint,
        push: &BlobPush,
        sources: &mut Vec<&Repository>,
        manner: Manner,
        attempts: &mut Attempts<'_>,
    ) -> Result<Pushed, ErrorKind> {
        let scopes = Scopes::of(&endpoint.path, Access::PullAndPush);
        if self.find_blob(endpoint, &push.blob, Access::PullAndPush).await? {
            return Ok(Pushed::AlreadyThere);
        }
        let mut session = None;
        // Each source is tried once, also over several attempts.
        for from in std::mem::take(sources) {
            if let Some(unused) = session.take() {
                self.cancel_upload(endpoint, unused, &scopes).await;
            }
            let both = scopes.clone().and_pull(from.path());
            match self.begin_upload(endpoint, &both, Some((&push.blob, from))).await {
                Ok(Begun::Mounted) => return Ok(Pushed::Mounted),
                Ok(Begun::Upload(location)) => session = Some(location),
                // Whoever may not read the source, or asks a registry that cannot mount, uploads.
                Err(kind) => tracing::debug!(%from, problem = %kind, "cannot mount"),
            }
        }
        let session = match session {
            Some(session) => session,
            None => match self.begin_upload(endpoint, &scopes, None).await? {
                Begun::Upload(session) => session,
                Begun::Mounted => return Err(mounted_unasked()),
            },
        };
        match manner {
            Manner::Whole => {
                let sent: Option<Sent> = push.sent.clone();
                let length = Some(push.blob.size);
                let upload = Upload { source: push.source.clone(), length, sent };
                self.finish_upload(
                    endpoint,
                    session,
                    push.blob.digest,
                    scopes,
                    Body::Upload(upload),
                )
                .await
            }
            Manner::Pieces => {
                let session =
                    self.upload_pieces(endpoint, session, push, &scopes, attempts).await?;
                self.finish_upload(endpoint, session, push.blob.digest, scopes, Body::Empty).await
            }
        }
    }

    async fn begin_upload(
        &self,
        endpoint: &Endpoint,
        scopes: &Scopes,
        mount: Option<(&Descriptor, &Repository)>,
    ) -> Result<Begun, ErrorKind> {
        let path = format!("v2/{}/blobs/uploads/", endpoint.path);
        let mut url = self.url(&endpoint.host, &path).await?;
        if let Some((blob, from)) = mount {
            url.query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", from.path());
        }
        let request = Request::new(Method::POST, url, scopes.clone());
        let response = self.exchange(&endpoint.host, &request).await?;
        match (response.status(), mount) {
            (StatusCode::CREATED, Some(_)) => Ok(Begun::Mounted),
            (StatusCode::ACCEPTED, _) => location(&response).map(Begun::Upload).ok_or_else(|| {
                ErrorKind::Protocol { what: "it does not say where to upload to".to_owned() }
            }),
            (other, _) => {
                let what =
                    format!("it answers the start of an upload with status {}", other.as_u16());
                Err(ErrorKind::Protocol { what })
            }
        }
    }

    async fn finish_upload(
        &self,
        endpoint: &Endpoint,
        mut session: Url,
        digest: Digest,
        scopes: Scopes,
        body: Body,
    ) -> Result<Pushed, ErrorKind> {
        // What the registry put into the query is its own affair; the digest goes behind it.
        session.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut request = Request::new(Method::PUT, session, scopes);
        request.headers.insert(
            reqwest::header::CONTENT_TYPE,
            reqwest::header::HeaderValue::from_static("application/octet-stream"),
        );
        request.body = body;
        match self.exchange(&endpoint.host, &request).await {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(Pushed::Uploaded),
            // Some registries answer so although the blob is complete.
            Ok(response) if response.status() == StatusCode::NO_CONTENT => Ok(Pushed::Uploaded),
            Ok(response) => {
                let status = response.status().as_u16();
                let what = format!("it answers the end of an upload with status {status}");
                Err(ErrorKind::Protocol { what })
            }
            // The upload was forgotten, or another replica answers: a new one may do.
            Err(ErrorKind::NotFound { message }) => {
                Err(ErrorKind::Unavailable { status: 404, retry_after: None, message })
            }
            Err(other) => Err(other),
        }
    }

    /// Tells the registry to forget an upload; if it will not, it forgets by itself in time.
    async fn cancel_upload(&self, endpoint: &Endpoint, session: Url, scopes: &Scopes) {
        let request = Request::new(Method::DELETE, session, scopes.clone());
        if let Err(problem) = self.exchange(&endpoint.host, &request).await {
            tracing::debug!(%problem, "cannot cancel an upload");
        }
    }
}

/// Is how a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As one request.
    Whole,
    /// As many.
    Pieces,
}

enum Begun {
    Upload(Url),
    Mounted,
}

fn mounted_unasked() -> ErrorKind {
    ErrorKind::Protocol { what: "it claims a mount that was not asked for".to_owned() }
}
