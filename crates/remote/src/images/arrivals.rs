//! Blobs that are read while they still arrive.
//!
//! The file that a download writes is the buffer between it and its readers: whoever is faster waits for the other,
//! a download that starts over at a byte goes on in the same file, and memory stays that of a read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use strata_oci::Digest;

/// The blobs on their way, by digest. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    under_way: Mutex<HashMap<Digest, Arc<Arrival>>>,
    /// Something begins to arrive, or will not.
    changed: Condvar,
}

/// A blob on its way.
#[derive(Debug)]
struct Arrival {
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
    /// All of it is there and is what its digest says.
    Whole,
    /// It will not be.
    Broken,
}

/// Says that somebody will bring a blob, for as long as it lives.
///
/// Whoever waits for the blob stops waiting once the promise is gone.
#[derive(Debug)]
pub(super) struct Promise {
    arrivals: Arrivals,
    given_up: Arc<AtomicBool>,
}

/// Waits for what a [`Promise`] promises.
#[derive(Debug)]
pub(super) struct Waiting {
    arrivals: Arrivals,
    given_up: Arc<AtomicBool>,
}

/// The writing end of an arrival. Dropped without [`complete`](Self::complete), readers fail.
#[derive(Debug)]
pub(super) struct Arriving {
    arrivals: Arrivals,
    digest: Digest,
    arrival: Arc<Arrival>,
}

/// The reading end: ends where a whole blob ends, and fails where a broken one was given up.
#[derive(Debug)]
pub(super) struct Follow {
    arrival: Arc<Arrival>,
    offset: u64,
}

impl Arrivals {
    /// Makes a promise, and the way to wait for it.
    pub(super) fn promise(&self) -> (Promise, Waiting) {
        let given_up = Arc::new(AtomicBool::new(false));
        let promise = Promise { arrivals: self.clone(), given_up: Arc::clone(&given_up) };
        (promise, Waiting { arrivals: self.clone(), given_up })
    }

    /// A blob begins to be written to `file`.
    pub(super) fn begin(&self, digest: Digest, file: File) -> Arriving {
        let arrival = Arc::new(Arrival { file, state: Mutex::default(), moved: Condvar::new() });
        self.under_way().insert(digest, Arc::clone(&arrival));
        self.0.changed.notify_all();
        Arriving { arrivals: self.clone(), digest, arrival }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Arrival>>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        // Under the lock, so that nobody looks just before and waits just after.
        let _under_way = self.arrivals.under_way();
        self.given_up.store(true, Ordering::Relaxed);
        self.arrivals.0.changed.notify_all();
    }
}

impl Waiting {
    /// Waits until the blob arrives, whoever brings it, or the promise is gone: then there is nothing to follow.
    /// `stored` looks whether the blob is there already, and is asked whenever something changed. Blocking.
    pub(super) fn wait(
        self,
        digest: Digest,
        mut stored: impl FnMut() -> io::Result<Option<File>>,
    ) -> io::Result<Found> {
        let mut under_way = self.arrivals.under_way();
        loop {
            if let Some(arrival) = under_way.get(&digest) {
                return Ok(Found::Arriving(Follow { arrival: Arc::clone(arrival), offset: 0 }));
            }
            if let Some(file) = stored()? {
                return Ok(Found::Stored(file));
            }
            if self.given_up.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            under_way =
                self.arrivals.0.changed.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where a blob can be read.
#[derive(Debug)]
pub(super) enum Found {
    Stored(File),
    Arriving(Follow),
}

impl Arriving {
    /// This many bytes are written by now.
    pub(super) fn reached(&self, length: u64) {
        self.arrival.state().length = length;
        self.arrival.moved.notify_all();
    }

    /// All of it is written and is what its digest says.
    pub(super) fn complete(self) {
        self.end(End::Whole);
    }

    fn end(&self, end: End) {
        self.arrival.state().end.get_or_insert(end);
        self.arrival.moved.notify_all();
        self.arrivals.under_way().remove(&self.digest);
        self.arrivals.0.changed.notify_all();
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.end(End::Broken);
    }
}

impl Arrival {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.arrival.state();
        let room = loop {
            match (state.length.checked_sub(self.offset), state.end) {
                (Some(room), _) if room > 0 => break room,
                (_, Some(End::Whole)) => return Ok(0),
                (_, Some(End::Broken)) => return Err(stopped()),
                (_, None) => {}
            }
            state = self.arrival.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let length = usize::try_from(room).map_or(buffer.len(), |room| room.min(buffer.len()));
        let read = self.arrival.file.read_at(&mut buffer[..length], self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "transfer stopped")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    fn follow(waiting: Waiting, digest: Digest) -> Follow {
        match waiting.wait(digest, || Ok(None)).expect("something arrives") {
            Found::Stored(_) => unreachable!("nothing is stored"),
            Found::Arriving(follow) => follow,
        }
    }

    fn whole(mut follow: Follow) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        follow.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn readers_get_bytes_before_the_end_and_end_with_the_blob() {
        let digest = Digest::of(b"whole");
        let arrivals = Arrivals::default();
        let mut file = tempfile::tempfile().unwrap();
        let arriving = arrivals.begin(digest, file.try_clone().unwrap());
        let (mut first, second) =
            (follow(arrivals.promise().1, digest), follow(arrivals.promise().1, digest));
        let second = thread::spawn(move || whole(second));
        file.write_all(b"who").unwrap();
        arriving.reached(3);
        let mut three = [0; 3];
        first.read_exact(&mut three).unwrap();
        assert_eq!(&three, b"who", "before the rest is there");
        file.write_all(b"le").unwrap();
        arriving.reached(5);
        arriving.complete();
        assert_eq!(whole(first).unwrap(), b"le");
        assert_eq!(second.join().unwrap().unwrap(), b"whole");
    }

    #[test]
    fn what_breaks_off_has_no_end() {
        let digest = Digest::of(b"whole");
        let arrivals = Arrivals::default();
        let mut file = tempfile::tempfile().unwrap();
        let arriving = arrivals.begin(digest, file.try_clone().unwrap());
        let follow = follow(arrivals.promise().1, digest);
        file.write_all(b"wrong").unwrap();
        arriving.reached(5);
        // All bytes that were promised are there, and still not the right ones.
        drop(arriving);
        assert_eq!(whole(follow).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn whoever_waits_learns_that_nothing_comes() {
        let arrivals = Arrivals::default();
        let (promise, waiting) = arrivals.promise();
        let waiting = thread::spawn(move || waiting.wait(Digest::of(b"x"), || Ok(None)));
        drop(promise);
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_stored_meanwhile_is_found() {
        let arrivals = Arrivals::default();
        let (promise, waiting) = arrivals.promise();
        let found = waiting.wait(Digest::of(b"x"), || tempfile::tempfile().map(Some)).unwrap();
        assert!(matches!(found, Found::Stored(_)));
        drop(promise);
    }
}
