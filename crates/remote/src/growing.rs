//! Files that are read while they are still written.
//!
//! The file is the buffer between its writer and its readers: whoever is faster waits for the other, and memory
//! stays that of a read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The writing end. Dropped without [`complete`](Self::complete), readers fail.
#[derive(Debug)]
pub(crate) struct Growing(Arc<Shared>);

/// A reading end: ends where a complete file ends, and fails where a broken one was given up. A clone goes on where
/// this one is.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    shared: Arc<Shared>,
    offset: u64,
}

#[derive(Debug)]
struct Shared {
    file: File,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    length: u64,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All of it is there and is what it should be.
    Complete,
    /// It will not be.
    Broken,
}

impl Growing {
    /// A file of which nothing is known to be written yet.
    pub(crate) fn new(file: File) -> Self {
        Self(Arc::new(Shared { file, state: Mutex::default(), moved: Condvar::new() }))
    }

    /// This many bytes are written by now.
    pub(crate) fn reached(&self, length: u64) {
        self.0.state().length = length;
        self.0.moved.notify_all();
    }

    /// All of it is written and is what it should be.
    pub(crate) fn complete(self) {
        self.end(End::Complete);
    }

    /// Reads it from its beginning.
    pub(crate) fn follow(&self) -> Follow {
        Follow { shared: Arc::clone(&self.0), offset: 0 }
    }

    fn end(&self, end: End) {
        self.0.state().end.get_or_insert(end);
        self.0.moved.notify_all();
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.end(End::Broken);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.shared.state();
        let room = loop {
            match (state.length.checked_sub(self.offset), state.end) {
                (Some(room), _) if room > 0 => break room,
                (_, Some(End::Complete)) => return Ok(0),
                (_, Some(End::Broken)) => return Err(stopped()),
                (_, None) => {}
            }
            state = self.shared.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let length = usize::try_from(room).map_or(buffer.len(), |room| room.min(buffer.len()));
        let read = self.shared.file.read_at(&mut buffer[..length], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// What a reader of something that was given up gets.
pub(crate) fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "transfer stopped")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    fn whole(mut follow: Follow) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        follow.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn readers_get_bytes_before_the_end_and_end_with_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let growing = Growing::new(file.try_clone().unwrap());
        let (mut first, second) = (growing.follow(), growing.follow());
        let second = thread::spawn(move || whole(second));
        file.write_all(b"who").unwrap();
        growing.reached(3);
        let mut three = [0; 3];
        first.read_exact(&mut three).unwrap();
        assert_eq!(&three, b"who", "before the rest is there");
        file.write_all(b"le").unwrap();
        growing.reached(5);
        growing.complete();
        assert_eq!(whole(first).unwrap(), b"le");
        assert_eq!(second.join().unwrap().unwrap(), b"whole");
    }

    #[test]
    fn what_breaks_off_has_no_end() {
        let mut file = tempfile::tempfile().unwrap();
        let growing = Growing::new(file.try_clone().unwrap());
        let follow = growing.follow();
        file.write_all(b"wrong").unwrap();
        growing.reached(5);
        // All bytes that were promised are there, and still not the right ones.
        drop(growing);
        assert_eq!(whole(follow).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
