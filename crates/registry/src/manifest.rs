//! Manifests: which one a tag points to, its bytes, and pushing one.

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use strata_oci::{
    AnyManifest, Descriptor, Digest, Document, DocumentError, Format, ImageConfig, Index,
    MediaType, Reference, Repository,
};

use crate::auth::{Access, Scopes};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::{Body, Request, read_bounded};
use crate::push::Pushed;

/// Is what a reference points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The reference with the digest pinned.
    pub reference: Reference,
}

/// Is a manifest or index that was fetched and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The manifest or index, with its exact bytes.
    pub document: AnyManifest,
    /// It, described.
    pub descriptor: Descriptor,
}

pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

const DIGEST_HEADER: &str = "docker-content-digest";

impl Client {
    /// Finds which manifest a reference points to, without fetching it where the registry says enough.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved, RegistryError> {
        let mut pull =
            self.pull(reference.repository(), Operation::Resolve { target: reference.target() });
        let descriptor = loop {
            match self.head_or_get(pull.endpoint(), reference).await {
                Ok(descriptor) => break descriptor,
                Err(kind) => pull.recover(kind).await?,
            }
        };
        let reference = reference.clone().with_digest(descriptor.digest);
        Ok(Resolved { descriptor, reference })
    }

    /// Fetches a manifest or index, at most 4 MiB of it. The bytes have the reference's digest if it has one.
    pub async fn manifest(&self, reference: &Reference) -> Result<Fetched, RegistryError> {
        let operation = Operation::FetchManifest { target: reference.target() };
        let mut pull = self.pull(reference.repository(), operation);
        loop {
            match self.get(pull.endpoint(), reference).await {
                Ok(fetched) => return Ok(fetched),
                Err(kind) => pull.recover(kind).await?,
            }
        }
    }

    /// Asks the registry itself, no mirror, whether a repository has a manifest. Registries take a manifest only
    /// with everything that it names.
    pub async fn has_manifest(
        &self,
        repository: &Repository,
        digest: Digest,
    ) -> Result<bool, RegistryError> {
        let endpoint = self.origin(repository);
        let reference = repository.pinned(digest);
        let operation = Operation::Resolve { target: reference.target() };
        let mut attempts = self.attempts();
        loop {
            match self.head(&endpoint, &reference).await {
                Ok(found) => return Ok(found.is_some()),
                Err(ErrorKind::NotFound { .. }) => return Ok(false),
                Err(kind) => attempts
                    .wait_after(kind)
                    .await
                    .map_err(|kind| endpoint.error(operation.clone(), kind))?,
            }
        }
    }

    /// Fetches an image config.
    pub async fn config(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Document<ImageConfig>, RegistryError> {
        let bytes = self.small_blob(repository, descriptor, ImageConfig::LIMIT as u64).await?;
        Document::parse(bytes.as_ref()).map_err(|source| {
            let operation = Operation::FetchBlob { digest: descriptor.digest };
            self.origin(repository).error(operation, ErrorKind::Document { source })
        })
    }

    /// Puts a manifest under a tag, or under its digest.
    ///
    /// Registries with immutable tags refuse to overwrite; if the tag has these very bytes already, that is
    /// [`Pushed::AlreadyThere`].
    pub async fn push_manifest(
        &self,
        reference: &Reference,
        bytes: impl Into<Bytes>,
        media_type: &MediaType,
    ) -> Result<Pushed, RegistryError> {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let endpoint = self.origin(reference.repository());
        let target = put_target(reference, digest);
        let operation = Operation::PushManifest { target: target.clone() };
        let failed = |kind| endpoint.error(operation.clone(), kind);
        let content_type = HeaderValue::from_str(media_type.as_str()).map_err(|_| {
            failed(ErrorKind::Protocol { what: format!("`{media_type}` is no media type") })
        })?;
        let scopes = Scopes::of(&endpoint.path, Access::PullAndPush);
        let mut attempts = self.attempts();
        loop {
            let put = async {
                let url = manifest_url(self, &endpoint, &target).await?;
                let mut request = Request::new(Method::PUT, url, scopes.clone());
                request.headers.insert(CONTENT_TYPE, content_type.clone());
                request.body = Body::Bytes(bytes.clone());
                let response = self.exchange(&endpoint.host, &request).await?;
                check_digest_header(&response, digest)
            };
            let kind = match put.await {
                Ok(()) => return Ok(Pushed::Uploaded),
                Err(kind) => kind,
            };
            let may_be_immutable =
                matches!(kind, ErrorKind::Refused { .. } | ErrorKind::Denied { .. });
            if may_be_immutable && reference.tag().is_some() {
                let tagged = reference.tag().map(|tag| reference.repository().tagged(tag.clone()));
                if let Some(tagged) = tagged
                    && let Ok(Some(there)) = self.head(&endpoint, &tagged).await
                    && there.digest == digest
                {
                    return Ok(Pushed::AlreadyThere);
                }
            }
            attempts.wait_after(kind).await.map_err(failed)?;
        }
    }

    async fn head_or_get(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Descriptor, ErrorKind> {
        match self.head(endpoint, reference).await? {
            Some(descriptor) => Ok(descriptor),
            None => self.get(endpoint, reference).await.map(|fetched| fetched.descriptor),
        }
    }

    /// Asks for a manifest's headers. `None` if they do not say enough.
    async fn head(
        &self,
        endpoint: &Endpoint,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, ErrorKind> {
        let request = manifest_request(self, endpoint, Method::HEAD, &reference.target()).await?;
        let response = match self.exchange(&endpoint.host, &request).await {
            Ok(response) => response,
            // Servers that know GET alone.
            Err(ErrorKind::Refused { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let (digest, media_type) = (digest_header(&response), content_type(response.headers()));
        // Not `content_length()`: that is the length of the body, and a HEAD's is empty.
        let size = response.headers().get(reqwest::header::CONTENT_LENGTH);
        let size = size.and_then(|size| size.to_str().ok()?.parse().ok());
        let (Some(digest), Some(media_type), Some(size)) = (digest, media_type, size) else {
            return Ok(None);
        };
        if let Some(expected) = reference.digest()
            && expected != digest
        {
            return Err(ErrorKind::DigestMismatch { expected, actual: digest });
        }
        let usable = media_type.is_index() || media_type.is_manifest();
        Ok(usable.then(|| Descriptor::new(media_type, digest, size)))
    }

    async fn get(&self, endpoint: &Endpoint, reference: &Reference) -> Result<Fetched, ErrorKind> {
        let request = manifest_request(self, endpoint, Method::GET, &reference.target()).await?;
        let response = self.exchange(&endpoint.host, &request).await?;
        let (promised, told) = (digest_header(&response), content_type(response.headers()));
        let bytes = read_bounded(response, Index::LIMIT, self.timeouts().idle).await?;
        let actual = Digest::of(&bytes);
        if let Some(expected) = reference.digest().or(promised)
            && expected != actual
        {
            return Err(ErrorKind::DigestMismatch { expected, actual });
        }
        let document = AnyManifest::parse(bytes.as_ref(), told.as_ref())
            .map_err(|source: DocumentError| ErrorKind::Document { source })?;
        let media_type = told.filter(|told| told.is_index() || told.is_manifest());
        let media_type = media_type.unwrap_or_else(|| document.media_type());
        let descriptor = Descriptor::new(media_type, actual, bytes.len() as u64);
        Ok(Fetched { document, descriptor })
    }
}

/// A reference with tag and digest is written under its tag: that is what pushing it is for.
fn put_target(reference: &Reference, digest: Digest) -> String {
    match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag.as_str().to_owned(),
        (None, Some(_)) => digest.to_string(),
        (None, None) => reference.target(),
    }
}

async fn manifest_url(
    client: &Client,
    endpoint: &Endpoint,
    target: &str,
) -> Result<reqwest::Url, ErrorKind> {
    client.url(&endpoint.host, &format!("v2/{}/manifests/{target}", endpoint.path)).await
}

async fn manifest_request(
    client: &Client,
    endpoint: &Endpoint,
    method: Method,
    target: &str,
) -> Result<Request, ErrorKind> {
    let url = manifest_url(client, endpoint, target).await?;
    let mut request = Request::new(method, url, Scopes::of(&endpoint.path, Access::Pull));
    request.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    Ok(request)
}

fn content_type(headers: &HeaderMap) -> Option<MediaType> {
    headers.get(CONTENT_TYPE)?.to_str().ok().map(MediaType::parse)
}

/// Reads the digest a registry gives; one of another algorithm is as good as none, for bytes are checked anyway.
fn digest_header(response: &Response) -> Option<Digest> {
    response.headers().get(DIGEST_HEADER)?.to_str().ok()?.parse().ok()
}

fn check_digest_header(response: &Response, expected: Digest) -> Result<(), ErrorKind> {
    match digest_header(response) {
        Some(actual) if actual != expected => Err(ErrorKind::DigestMismatch { expected, actual }),
        Some(_) | None => Ok(()),
    }
}
