//! Lets one thread inflate while another unpacks.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// The size of one piece. Smaller ones cost a wake-up each, larger ones leave the other thread waiting.
const PIECE: usize = 256 << 10;

/// How many pieces wait, which bounds the memory to 8 MiB and the two at the ends. Many short files are unpacked slower
/// than they are inflated, and a long one faster: with less, each thread waits for the other by turns.
const PIECES: usize = 32;

/// Reads what `reader` gives on a thread of its own, a bounded stretch ahead.
///
/// The bytes, their order and a final error are those of `reader`. Dropped before the end, the thread stops
/// at its next piece; it holds nothing but `reader`.
pub fn read_ahead(
    mut reader: impl Read + Send + 'static,
) -> io::Result<impl Read + Send + 'static> {
    let (sender, pieces) = sync_channel(PIECES);
    thread::Builder::new()
        .name("read-ahead".to_owned())
        .spawn(move || fill(&mut reader, &sender))?;
    Ok(ReadAhead { pieces, piece: Vec::new(), at: 0, ended: false })
}

type Piece = io::Result<Vec<u8>>;

fn fill(reader: &mut impl Read, sender: &SyncSender<Piece>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let end = matches!(read, Ok(0) | Err(_));
        // What came before an error is worth having: the reader may be told where it happened.
        if !piece.is_empty() && sender.send(Ok(piece)).is_err() {
            return;
        }
        if let Err(error) = read {
            // Nobody listens any more, or somebody does; either way this is the end.
            let _ = sender.send(Err(error));
            return;
        }
        if end {
            // An empty piece says that the end was reached, not that the thread died.
            let _ = sender.send(Ok(Vec::new()));
            return;
        }
    }
}

struct ReadAhead {
    pieces: Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() && !self.ended {
            match self.pieces.recv() {
                Ok(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    (self.piece, self.at) = (piece, 0);
                }
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                // Only a panic ends the thread without a last piece.
                Err(_) => return Err(io::Error::other("the thread that reads ahead has died")),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `left` bytes in odd portions, then an error if it was told to.
    struct Portions {
        left: usize,
        fails: bool,
    }

    impl Read for Portions {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 && self.fails {
                return Err(io::Error::other("broken"));
            }
            let count = buffer.len().min(self.left).min(1013);
            for (at, byte) in buffer[..count].iter_mut().enumerate() {
                *byte = u8::try_from((self.left - at) % 251).expect("below 251");
            }
            self.left -= count;
            Ok(count)
        }
    }

    #[test]
    fn bytes_and_end_are_those_of_the_reader() {
        for left in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
            let (mut direct, mut ahead) = (Vec::new(), Vec::new());
            Portions { left, fails: false }.read_to_end(&mut direct).expect("reads");
            let reader = read_ahead(Portions { left, fails: false }).expect("a thread");
            { reader }.read_to_end(&mut ahead).expect("reads");
            assert!(direct == ahead, "{left}");
        }
    }

    #[test]
    fn error_comes_after_the_bytes_before_it() {
        let mut bytes = Vec::new();
        let mut reader = read_ahead(Portions { left: PIECE + 5, fails: true }).expect("a thread");
        let error = reader.read_to_end(&mut bytes).expect_err("is broken");
        assert_eq!((bytes.len(), error.to_string()), (PIECE + 5, "broken".to_owned()));
    }

    #[test]
    fn dropped_early_it_stops() {
        let mut reader =
            read_ahead(Portions { left: usize::MAX / 2, fails: false }).expect("a thread");
        let mut some = [0; 10];
        reader.read_exact(&mut some).expect("reads");
    }
}
