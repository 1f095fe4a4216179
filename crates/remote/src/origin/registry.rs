//! Content of one repository.

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use strata_oci::{
    AnyManifest, Descriptor, Digest, DocumentError, MediaType, Reference, Repository,
};
use strata_registry::{BlobReader, Client, ErrorKind, RegistryError};

use super::{Origin, PushSource};
use crate::error::ReadError;
use crate::stream::ByteStream;

/// A repository as a place of content.
#[derive(Clone, Debug)]
pub struct Remote {
    client: Client,
    repository: Repository,
}

impl Remote {
    /// Names the repository; asks nothing.
    pub fn new(client: Client, repository: Repository) -> Self {
        Self { client, repository }
    }
}

/// Fetches what a reference names.
pub(crate) async fn fetch(
    client: &Client,
    reference: &Reference,
) -> Result<AnyManifest, ReadError> {
    let fetched = client.manifest(reference).await.map_err(|error| failed(error, reference))?;
    Ok(fetched.document)
}

/// A registry's error, or a better one if it is known what it means.
pub(crate) fn failed(error: RegistryError, reference: &Reference) -> ReadError {
    if is_schema1(&error) {
        return ReadError::Schema1 { image: reference.familiar().to_string() };
    }
    error.into()
}

fn is_schema1(error: &RegistryError) -> bool {
    match &*error.kind {
        ErrorKind::Document { source } => matches!(
            source,
            DocumentError::UnsupportedSchemaVersion { version: 1 }
                | DocumentError::UnsupportedMediaType {
                    media_type: MediaType::DockerManifestSchema1
                }
        ),
        _ => false,
    }
}

/// The bytes of a blob in a repository; the reader resumes and verifies.
pub(crate) fn stream(client: &Client, repository: &Repository, blob: &Descriptor) -> ByteStream {
    let reader = client.blob(repository, blob);
    stream::try_unfold(reader, |mut reader: BlobReader| async move {
        Ok(reader.chunk().await?.map(|bytes| (bytes, reader)))
    })
    .boxed()
}

impl Origin for Remote {
    fn manifest<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<AnyManifest, ReadError>> {
        async move { fetch(&self.client, &self.repository.pinned(descriptor.digest)).await }.boxed()
    }

    fn blob<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<ByteStream, ReadError>> {
        let stream = stream(&self.client, &self.repository, descriptor);
        futures_util::future::ready(Ok(stream)).boxed()
    }

    fn repository(&self, _digest: Digest) -> Option<Repository> {
        Some(self.repository.clone())
    }

    fn push_source<'a>(
        &'a self,
        _descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, Result<PushSource, ReadError>> {
        let source = PushSource::Repository(self.repository.clone());
        futures_util::future::ready(Ok(source)).boxed()
    }
}
