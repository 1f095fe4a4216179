//! Messages between processes, with descriptors attached.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

use crate::CallError;

/// How many descriptors one message may carry.
pub const MOST_DESCRIPTORS: usize = 16;

/// Makes two connected sockets that keep the borders of messages.
pub fn pair() -> Result<(OwnedFd, OwnedFd), CallError> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|errno| CallError::new("make a pair of sockets", errno))
}

/// Sends one message with up to [`MOST_DESCRIPTORS`] descriptors; the other side gets copies.
pub fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), CallError> {
    let error = |errno| CallError::new("send a message", errno);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(error(Errno::TOOBIG));
    }
    let message = [IoSlice::new(message)];
    rustix::io::retry_on_intr(|| sendmsg(socket, &message, &mut ancillary, SendFlags::NOSIGNAL))
        .map(drop)
        .map_err(error)
}

/// Receives one message of at most `limit` bytes (`EMSGSIZE` if it is longer) with its descriptors,
/// which are close-on-exec. An empty message is what the end looks like.
pub fn receive(socket: BorrowedFd<'_>, limit: usize) -> Result<(Vec<u8>, Vec<OwnedFd>), CallError> {
    let error = |errno| CallError::new("receive a message", errno);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut message = vec![0; limit];
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut message)];
        recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(error)?;
    let descriptors = ancillary
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(error(Errno::MSGSIZE));
    }
    message.truncate(received.bytes);
    Ok((message, descriptors))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_message_carries_bytes_and_descriptors() {
        let (left, right) = pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        send(left.as_fd(), b"hello", &[file.as_fd()]).unwrap();
        let (message, mut descriptors) = receive(right.as_fd(), 64).unwrap();
        assert_eq!((message.as_slice(), descriptors.len()), (&b"hello"[..], 1));
        let mut copy = std::fs::File::from(descriptors.remove(0));
        copy.rewind().unwrap();
        let mut content = String::new();
        copy.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }

    #[test]
    fn a_message_longer_than_the_limit_is_refused() {
        let (left, right) = pair().unwrap();
        send(left.as_fd(), b"longer", &[]).unwrap();
        assert_eq!(receive(right.as_fd(), 3).unwrap_err().source, Errno::MSGSIZE);
    }
}
