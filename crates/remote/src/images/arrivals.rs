//! Blobs that are read while they still arrive: whoever wants one finds the file that its download writes.
//!
//! A download that starts over at a byte goes on in the same file.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use strata_oci::Digest;

use crate::growing::{Follow, Growing, stopped};

/// The blobs on their way, by digest. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    under_way: Mutex<HashMap<Digest, Follow>>,
    /// Something begins to arrive, or will not.
    changed: Condvar,
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
    growing: Option<Growing>,
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
        let growing = Growing::new(file);
        self.under_way().insert(digest, growing.follow());
        self.0.changed.notify_all();
        Arriving { arrivals: self.clone(), digest, growing: Some(growing) }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, Follow>> {
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
            if let Some(follow) = under_way.get(&digest) {
                return Ok(Found::Arriving(follow.clone()));
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
        if let Some(growing) = &self.growing {
            growing.reached(length);
        }
    }

    /// All of it is written and is what its digest says.
    pub(super) fn complete(mut self) {
        if let Some(growing) = self.growing.take() {
            growing.complete();
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Readers learn that it broke off before anybody looks for another.
        drop(self.growing.take());
        self.arrivals.under_way().remove(&self.digest);
        self.arrivals.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use super::*;

    #[test]
    fn whoever_waited_reads_what_arrives() {
        let digest = Digest::of(b"whole");
        let arrivals = Arrivals::default();
        let (_promise, waiting) = arrivals.promise();
        let waiting = thread::spawn(move || waiting.wait(digest, || Ok(None)));
        let arriving = arrivals.begin(digest, tempfile::tempfile().unwrap());
        let Found::Arriving(mut follow) = waiting.join().unwrap().unwrap() else {
            unreachable!("nothing is stored")
        };
        arriving.complete();
        assert_eq!(follow.read(&mut [0]).unwrap(), 0);
        assert!(arrivals.under_way().is_empty());
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
