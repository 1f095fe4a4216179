//! What an agent answers (draft-ietf-sshm-ssh-agent).
//!
//! ```text
//! message   uint32 length, byte type, body
//! 11 request identities   -> 12 uint32 n, n × (string public key, string comment)
//! 13 sign request          string public key, string data, uint32 flags -> 14 string signature
//! anything else           -> 5 failure
//! ```

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::key::{PrivateKey, RsaHash};
use crate::wire::{Reader, put_number, put_string};

/// The longest message that OpenSSH's agent takes or gives.
const LONGEST: u32 = 256 << 10;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGNATURE: u8 = 14;

const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// Something that signs: keys of our own, or an agent that runs elsewhere.
#[derive(Clone)]
pub struct Agent(Source);

#[derive(Clone)]
enum Source {
    Keys(Arc<[PrivateKey]>),
    Socket(PathBuf),
}

impl Agent {
    /// An agent of keys in memory.
    pub fn of_keys(keys: Vec<PrivateKey>) -> Self {
        Self(Source::Keys(keys.into()))
    }

    /// The agent that listens on a socket.
    pub fn at(socket: PathBuf) -> Self {
        Self(Source::Socket(socket))
    }

    /// The socket of the agent, if it is not ours.
    pub fn socket(&self) -> Option<&Path> {
        match &self.0 {
            Source::Keys(_) => None,
            Source::Socket(path) => Some(path),
        }
    }

    /// Opens what one client needs.
    pub(crate) fn connect(&self) -> io::Result<Connection<'_>> {
        match &self.0 {
            Source::Keys(keys) => Ok(Connection::Keys(keys)),
            Source::Socket(path) => UnixStream::connect(path).map(Connection::Socket),
        }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Keys(keys) => write!(f, "Agent({} keys)", keys.len()),
            Source::Socket(path) => write!(f, "Agent({})", path.display()),
        }
    }
}

/// An agent for one client.
pub(crate) enum Connection<'a> {
    Keys(&'a [PrivateKey]),
    Socket(UnixStream),
}

impl Connection<'_> {
    /// Answers until the client leaves.
    pub(crate) fn serve(&mut self, mut client: &UnixStream) -> io::Result<()> {
        while let Some(request) = read_message(&mut client)? {
            let answer = self.answer(&request)?;
            write_message(&mut client, &answer)?;
        }
        Ok(())
    }

    fn answer(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let Some((&(REQUEST_IDENTITIES | SIGN_REQUEST), _)) = request.split_first() else {
            return Ok(vec![FAILURE]);
        };
        match self {
            Self::Keys(keys) => Ok(of_keys(keys, request).unwrap_or_else(|| vec![FAILURE])),
            Self::Socket(agent) => {
                write_message(agent, request)?;
                read_message(agent)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}

fn of_keys(keys: &[PrivateKey], request: &[u8]) -> Option<Vec<u8>> {
    let (kind, body) = request.split_first()?;
    if *kind == REQUEST_IDENTITIES {
        let mut answer = vec![IDENTITIES];
        put_number(&mut answer, u32::try_from(keys.len()).ok()?);
        for key in keys {
            put_string(&mut answer, &key.public());
            put_string(&mut answer, key.comment().as_bytes());
        }
        return Some(answer);
    }
    let mut reader = Reader::new(body);
    let (public, data, flags) = (reader.string()?, reader.string()?, reader.number()?);
    let key = keys.iter().find(|key| key.public() == public)?;
    let hash = if flags & RSA_SHA2_512 != 0 {
        Some(RsaHash::Sha512)
    } else if flags & RSA_SHA2_256 != 0 {
        Some(RsaHash::Sha256)
    } else {
        None
    };
    let mut answer = vec![SIGNATURE];
    put_string(&mut answer, &key.sign(data, hash)?);
    Some(answer)
}

/// A message without its length; nothing at the end of the stream.
fn read_message(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    // The end between two messages is how a client leaves.
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message is too long"));
    }
    // Grows with what arrives, not with what is announced.
    let mut message = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut message)?;
    if message.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(message))
}

fn write_message(into: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let mut framed = Vec::with_capacity(message.len() + 4);
    put_string(&mut framed, message);
    into.write_all(&framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_and_whole() {
        let read = |mut bytes: &[u8]| read_message(&mut bytes).map_err(|error| error.kind());
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[0, 0, 0, 1, 11]), Ok(Some(vec![11])));
        assert_eq!(read(&[0, 0]), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(&[0, 0, 0, 2, 11]), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(&[0, 4, 0, 1, 11]), Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn only_two_questions_are_answered() {
        let mut keys = Connection::Keys(&[]);
        let mut ask = |request: &[u8]| keys.answer(request).expect("keys in memory always answer");
        assert_eq!(ask(&[REQUEST_IDENTITIES]), [IDENTITIES, 0, 0, 0, 0]);
        // A sign request for a key that is not there, one that is cut off, all that changes keys, nothing.
        let unknown = [&[SIGN_REQUEST][..], &[0; 12]].concat();
        for request in [&unknown[..], &[SIGN_REQUEST], &[17], &[19], &[22], &[27, 0], &[]] {
            assert_eq!(ask(request), [FAILURE], "{request:?}");
        }
    }
}
