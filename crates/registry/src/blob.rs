//! Blobs: whether one is there, and its bytes, verified.

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use strata_oci::{Descriptor, Hasher, Repository};

use crate::auth::{Access, Scopes};
use crate::client::{Client, Endpoint};
use crate::error::{ErrorKind, Operation, RegistryError};
use crate::exchange::{Request, next_piece};
use crate::pull::Pull;

/// This much in one go pays for the failures before it, so that a large blob over a bad line is not counted out.
const PROGRESS: u64 = 8 << 20;

/// Reads a blob piece by piece, and goes on where a connection was cut.
///
/// Nothing is to be trusted until [`BlobReader::chunk`] has given `None`: only then are size and digest known to
/// be right. No more bytes come than the descriptor says. Memory: one piece.
#[derive(Debug)]
pub struct BlobReader {
    pull: Pull,
    blob: Descriptor,
    hasher: Option<Hasher>,
    response: Option<Response>,
    /// Bytes of the current answer that were had before, from a server that ignores `Range`.
    skip: u64,
    /// Where the bytes given are counted from, for [`PROGRESS`].
    resumed_at: u64,
    received: u64,
}

impl Client {
    /// Begins to read a blob. The first request is sent by the first [`BlobReader::chunk`].
    pub fn blob(&self, repository: &Repository, blob: &Descriptor) -> BlobReader {
        BlobReader {
            pull: self.pull(repository, Operation::FetchBlob { digest: blob.digest }),
            blob: blob.clone(),
            hasher: Some(Hasher::new()),
            response: None,
            skip: 0,
            resumed_at: 0,
            received: 0,
        }
    }

    /// Reads a whole blob into memory: a config, an index. More than `limit` bytes are not even asked for.
    pub async fn small_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Bytes, RegistryError> {
        if blob.size > limit {
            let kind = ErrorKind::SizeMismatch { expected: limit, actual: blob.size };
            let operation = Operation::FetchBlob { digest: blob.digest };
            return Err(self.origin(repository).error(operation, kind));
        }
        let mut reader = self.blob(repository, blob);
        let mut bytes = BytesMut::new();
        while let Some(piece) = reader.chunk().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Asks whether a blob is in a repository.
    pub async fn has_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<bool, RegistryError> {
        let endpoint = self.origin(repository);
        let operation = Operation::FindBlob { digest: blob.digest };
        let mut attempts = self.attempts();
        loop {
            match self.find_blob(&endpoint, blob, Access::Pull).await {
                Ok(there) => return Ok(there),
                Err(kind) => attempts
                    .wait_after(kind)
                    .await
                    .map_err(|kind| endpoint.error(operation.clone(), kind))?,
            }
        }
    }

    /// Asks once. `access` is what the token should be for: one that is for pushing too saves a second.
    pub(crate) async fn find_blob(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        access: Access,
    ) -> Result<bool, ErrorKind> {
        let path = format!("v2/{}/blobs/{}", endpoint.path, blob.digest);
        let url = self.url(&endpoint.host, &path).await?;
        let request = Request::new(Method::HEAD, url, Scopes::of(&endpoint.path, access));
        match self.exchange(&endpoint.host, &request).await {
            Ok(_) => Ok(true),
            Err(ErrorKind::NotFound { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

impl BlobReader {
    /// Counts the bytes given so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Is the blob that is read.
    pub fn descriptor(&self) -> &Descriptor {
        &self.blob
    }

    /// Gives the next bytes; `None` once everything came and is what it should be. Not to be called after an
    /// error or `None`: it then gives `None`.
    ///
    /// Cancelling it loses nothing.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            if self.hasher.is_none() {
                return Ok(None);
            }
            match self.step().await {
                Ok(Step::Piece(bytes)) => return Ok(Some(bytes)),
                Ok(Step::Nothing) => {}
                Ok(Step::End) => return self.verify().map(|()| None),
                Err(kind) => {
                    self.response = None;
                    if let Err(error) = self.pull.recover(kind).await {
                        self.hasher = None;
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step, ErrorKind> {
        let patience = self.pull.client().timeouts().idle;
        let Some(response) = &mut self.response else {
            if self.received == self.blob.size && self.received > 0 {
                return Ok(Step::End);
            }
            let response = self.open().await?;
            self.response = Some(response);
            return Ok(Step::Nothing);
        };
        let piece = next_piece(response, patience).await.map_err(|error| match error {
            ErrorKind::Unreachable { .. } if self.received < self.blob.size => {
                ErrorKind::Cut { received: self.received, expected: self.blob.size }
            }
            other => other,
        })?;
        let Some(mut bytes) = piece else {
            if self.received < self.blob.size {
                let (received, expected) = (self.received, self.blob.size);
                return Err(ErrorKind::Cut { received, expected });
            }
            return Ok(Step::End);
        };
        let known = self.skip.min(bytes.len() as u64);
        self.skip -= known;
        let known = usize::try_from(known).expect("it is at most the length of a buffer");
        let bytes = bytes.split_off(known);
        let received = self.received + bytes.len() as u64;
        if received > self.blob.size {
            return Err(ErrorKind::SizeMismatch { expected: self.blob.size, actual: received });
        }
        if bytes.is_empty() {
            return Ok(Step::Nothing);
        }
        // One piece is some tens of kilobytes: hashing it takes less time than handing it to a thread.
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.received = received;
        if received - self.resumed_at >= PROGRESS {
            self.pull.progressed();
        }
        Ok(Step::Piece(bytes))
    }

    async fn open(&mut self) -> Result<Response, ErrorKind> {
        let (client, endpoint) = (self.pull.client(), self.pull.endpoint());
        let path = format!("v2/{}/blobs/{}", endpoint.path, self.blob.digest);
        let url = client.url(&endpoint.host, &path).await?;
        let scopes = Scopes::of(&endpoint.path, Access::Pull);
        let mut request = Request::new(Method::GET, url, scopes);
        if self.received > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.received))
                .expect("digits make a header value");
            request.headers.insert(RANGE, range);
        }
        let response = client.exchange(&endpoint.host, &request).await?;
        self.resumed_at = self.received;
        let from = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let from = range_start(&response);
                if from != Some(self.received) {
                    let what = "it sends another range than was asked for".to_owned();
                    return Err(ErrorKind::Protocol { what });
                }
                self.skip = 0;
                self.received
            }
            StatusCode::OK => {
                self.skip = self.received;
                0
            }
            other => {
                let what =
                    format!("it answers a request for a blob with status {}", other.as_u16());
                return Err(ErrorKind::Protocol { what });
            }
        };
        match response.content_length().map(|length| from + length) {
            Some(actual) if actual != self.blob.size => {
                Err(ErrorKind::SizeMismatch { expected: self.blob.size, actual })
            }
            Some(_) | None => Ok(response),
        }
    }

    fn verify(&mut self) -> Result<(), RegistryError> {
        self.response = None;
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        let (expected, actual) = (self.blob.digest, hasher.finish());
        if actual == expected {
            return Ok(());
        }
        Err(self.pull.error(ErrorKind::DigestMismatch { expected, actual }))
    }
}

enum Step {
    Piece(Bytes),
    Nothing,
    End,
}

/// Reads the first number of `Content-Range: bytes 5-9/10`.
fn range_start(response: &Response) -> Option<u64> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
