//! Uploads in pieces, for connections that do not carry a whole blob.
//!
//! ```text
//! PATCH  Content-Range: 0-16777215        202, Range: 0-16777215
//! PATCH  Content-Range: 16777216-…        connection lost
//! GET                                     204, Range: 0-20000000     what is there is not sent again
//! PATCH  Content-Range: 20000001-…        202
//! PUT    ?digest=…                        201
//! ```

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::BlobPush;
use crate::auth::Scopes;
use crate::client::{Client, Endpoint};
use crate::error::ErrorKind;
use crate::exchange::{Body, Request, location, source_error};
use crate::retry::Attempts;

/// Is an upload that a registry has begun, and how much of the blob it has.
struct Place {
    session: Url,
    offset: u64,
}

impl Client {
    /// Sends a blob in pieces and gives where the upload is to be finished.
    ///
    /// A piece that fails is sent again, from where the registry says that it stopped. If the registry has lost the
    /// upload, that is [`ErrorKind::Unavailable`]: a new one may do.
    pub(super) async fn upload_pieces(
        &self,
        endpoint: &Endpoint,
        session: Url,
        push: &BlobPush,
        scopes: &Scopes,
        attempts: &mut Attempts<'_>,
    ) -> Result<Url, ErrorKind> {
        let mut pieces = Pieces { stream: push.source.open(), held: BytesMut::new() };
        let mut place = Place { session, offset: 0 };
        loop {
            let piece = pieces.next(self.upload_piece()).await;
            let piece = piece.map_err(|error| source_error(&push.source, error))?;
            let Some(piece) = piece else { break };
            if place.offset + piece.len() as u64 > push.blob.size {
                break;
            }
            self.send_piece(endpoint, &mut place, &piece, scopes, attempts).await?;
            attempts.progressed();
            if let Some(sent) = &push.sent {
                sent(piece.len() as u64);
            }
        }
        if place.offset != push.blob.size {
            let text = format!("it does not have {} bytes", push.blob.size);
            let error = io::Error::new(io::ErrorKind::InvalidData, text);
            return Err(source_error(&push.source, error));
        }
        Ok(place.session)
    }

    async fn send_piece(
        &self,
        endpoint: &Endpoint,
        place: &mut Place,
        piece: &Bytes,
        scopes: &Scopes,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), ErrorKind> {
        let (begin, end) = (place.offset, place.offset + piece.len() as u64);
        while place.offset < end {
            let there = usize::try_from(place.offset - begin).expect("a piece fits in memory");
            match self.patch(endpoint, place, piece.slice(there..), scopes).await {
                Ok(session) => *place = Place { session, offset: end },
                Err(
                    ErrorKind::NotFound { message } | ErrorKind::Refused { status: 416, message },
                ) => return Err(lost(message)),
                Err(kind) => {
                    attempts.wait_after(kind).await?;
                    let now = self.upload_status(endpoint, &place.session, scopes).await?;
                    if now.offset < begin || now.offset > end {
                        let message = format!("it has {} bytes of an upload", now.offset);
                        return Err(lost(message));
                    }
                    *place = now;
                }
            }
        }
        Ok(())
    }

    async fn patch(
        &self,
        endpoint: &Endpoint,
        place: &Place,
        bytes: Bytes,
        scopes: &Scopes,
    ) -> Result<Url, ErrorKind> {
        let mut request = Request::new(Method::PATCH, place.session.clone(), scopes.clone());
        let last = place.offset + bytes.len() as u64 - 1;
        let range = HeaderValue::from_str(&format!("{}-{last}", place.offset));
        request.headers.insert(CONTENT_RANGE, range.expect("digits make a header value"));
        let kind = HeaderValue::from_static("application/octet-stream");
        request.headers.insert(CONTENT_TYPE, kind);
        request.body = Body::Bytes(bytes);
        let response = self.exchange(&endpoint.host, &request).await?;
        if response.status() != StatusCode::ACCEPTED {
            let status = response.status().as_u16();
            let what = format!("it answers a piece of an upload with status {status}");
            return Err(ErrorKind::Protocol { what });
        }
        // Most registries keep state in the address; one that gives none means the same again.
        Ok(location(&response).unwrap_or_else(|| place.session.clone()))
    }

    /// Asks how much of an upload is there.
    async fn upload_status(
        &self,
        endpoint: &Endpoint,
        session: &Url,
        scopes: &Scopes,
    ) -> Result<Place, ErrorKind> {
        let request = Request::new(Method::GET, session.clone(), scopes.clone());
        match self.exchange(&endpoint.host, &request).await {
            Ok(response) => Ok(Place {
                offset: received(&response),
                session: location(&response).unwrap_or_else(|| session.clone()),
            }),
            Err(ErrorKind::NotFound { message } | ErrorKind::Refused { message, .. }) => {
                Err(lost(message))
            }
            Err(other) => Err(other),
        }
    }
}

/// Is how an upload fails that can only begin anew.
fn lost(message: String) -> ErrorKind {
    ErrorKind::Unavailable { status: 404, retry_after: None, message }
}

/// Reads `Range: 0-99` as 100 bytes. `0-0` is what registries say of one byte and, more often, of none.
fn received(response: &Response) -> u64 {
    let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok());
    let last = range.and_then(|range| range.trim_start_matches("bytes=").strip_prefix("0-"));
    match last.and_then(|last| last.parse().ok()) {
        None | Some(0) => 0,
        Some(last) => last + 1,
    }
}

/// Is a blob's stream, cut into pieces.
struct Pieces {
    stream: BoxStream<'static, io::Result<Bytes>>,
    held: BytesMut,
}

impl Pieces {
    async fn next(&mut self, size: usize) -> io::Result<Option<Bytes>> {
        while self.held.len() < size {
            match self.stream.next().await {
                Some(bytes) => self.held.extend_from_slice(&bytes?),
                None if self.held.is_empty() => return Ok(None),
                None => return Ok(Some(self.held.split().freeze())),
            }
        }
        Ok(Some(self.held.split_to(size).freeze()))
    }
}
