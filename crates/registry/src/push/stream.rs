//! Uploads of blobs that are still being made: the bytes go first, the digest last.
//!
//! ```text
//! POST                                    202, Location
//! PATCH  chunked, as the bytes come       202, Location
//! PUT    ?digest=…                        201
//! ```
//!
//! That is how `docker push` sends every layer, so that each registry knows it. Nothing here is tried twice: whoever
//! is refused has the blob once it is made, and pushes it as any other.

use std::fmt;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use strata_oci::{Digest, Repository};

use super::Begun;
use crate::auth::{Access, Scopes};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::{Body, Request, Sent, Upload, location};
use crate::source::BlobSource;

/// Is a blob whose bytes a registry has, and whose digest it was not told: nobody can see it yet.
///
/// Dropped without an end, it is left to the registry, which forgets it in time.
#[must_use]
pub struct NamelessBlob {
    client: Client,
    endpoint: Endpoint,
    session: Url,
    scopes: Scopes,
}

impl Client {
    /// Sends what `source` gives until it ends, at the source's own pace, before anybody knows the digest. `sent` is
    /// told how many bytes went out since it was told last.
    ///
    /// A source that fails ends the upload: the registry is told to forget it.
    pub async fn stream_blob(
        &self,
        to: &Repository,
        source: BlobSource,
        sent: Option<Sent>,
    ) -> Result<NamelessBlob, RegistryError> {
        let endpoint = self.origin(to);
        let scopes = Scopes::of(&endpoint.path, Access::PullAndPush);
        let failed = |kind| endpoint.error(Operation::StreamBlob, kind);
        let session = match self.begin_upload(&endpoint, &scopes, None).await.map_err(failed)? {
            Begun::Upload(session) => session,
            Begun::Mounted => return Err(failed(super::mounted_unasked())),
        };
        let mut blob = NamelessBlob { client: self.clone(), endpoint, session, scopes };
        match blob.send(Upload { source, length: None, sent }).await {
            Ok(session) => {
                blob.session = session;
                Ok(blob)
            }
            Err(kind) => {
                let error = blob.endpoint.error(Operation::StreamBlob, kind);
                blob.abandon().await;
                Err(error)
            }
        }
    }
}

impl NamelessBlob {
    /// Gives the blob its name. A registry that has other bytes refuses, and is told to forget them.
    pub async fn finish(self, digest: Digest) -> Result<(), RegistryError> {
        let (session, scopes) = (self.session.clone(), self.scopes.clone());
        let finished =
            self.client.finish_upload(&self.endpoint, session, digest, scopes, Body::Empty).await;
        match finished {
            Ok(_) => Ok(()),
            Err(kind) => {
                let error = self.endpoint.error(Operation::PushBlob { digest }, kind);
                self.abandon().await;
                Err(error)
            }
        }
    }

    /// Tells the registry to forget it.
    pub async fn abandon(self) {
        self.client.cancel_upload(&self.endpoint, self.session, &self.scopes).await;
    }

    /// Sends a body and gives where the upload goes on.
    async fn send(&self, upload: Upload) -> Result<Url, ErrorKind> {
        let mut request = Request::new(Method::PATCH, self.session.clone(), self.scopes.clone());
        let kind = HeaderValue::from_static("application/octet-stream");
        request.headers.insert(CONTENT_TYPE, kind);
        request.body = Body::Upload(upload);
        let response = self.client.exchange(&self.endpoint.host, &request).await?;
        if response.status() != StatusCode::ACCEPTED {
            let status = response.status().as_u16();
            let what = format!("it answers the bytes of an upload with status {status}");
            return Err(ErrorKind::Protocol { what });
        }
        // Most registries keep state in the address; one that gives none means the same again.
        Ok(location(&response).unwrap_or_else(|| self.session.clone()))
    }
}

impl fmt::Debug for NamelessBlob {
    /// Leaves out the address, which may hold a signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamelessBlob").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
