//! One at a time for the same thing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// Lets one caller at a time work on a key. Whoever comes second looks at what the first has done.
///
/// Dropping a caller's future lets the next one in, which finds the work undone and does it.
#[derive(Debug)]
pub(super) struct Flights<K>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>);

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Flights<K> {
    pub(super) async fn enter(&self, key: K) -> OwnedMutexGuard<()> {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| flight.strong_count() > 0);
            let known = flights.get(&key).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let flight = Arc::default();
                flights.insert(key, Arc::downgrade(&flight));
                flight
            })
        };
        flight.lock_owned().await
    }
}
