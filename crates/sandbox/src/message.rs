//! What the builder and its helper say to each other: one request, then the first answer counts.
//!
//! ```text
//! length (4 bytes, little endian) | JSON
//! ```
//!
//! The end of the stream is a message too. To the helper it says that the builder wants the command
//! killed, or is dead; to the builder, that every process of the command is gone.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ownership::Entry;
use crate::{Exit, RunError};

/// Longer messages are a bug or a lie.
const LONGEST: u32 = 64 << 20;

/// What became of the command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It ran, and ended so.
    Ended(Exit),
    /// It could not be run.
    Failed(RunError),
    /// What its files seem, after everything has ended.
    Owners(Vec<Entry>),
}

pub(crate) fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::Error::from_raw_os_error(rustix::io::Errno::MSGSIZE.raw_os_error()))?;
    // One write, so that a short message is never seen in halves.
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    stream.write_all(&frame)
}

/// Reads one message; `None` at the end of the stream.
pub(crate) fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    stream.take(length.into()).read_to_end(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}
