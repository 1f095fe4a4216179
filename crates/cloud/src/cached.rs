//! What is good for a while.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Keeps a value until it expires. Whoever asks while it is made waits for it.
#[derive(Debug)]
pub(crate) struct Cached<T>(Mutex<Option<(T, Option<Instant>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Cached<T> {
    /// Gives the value, or what `make` makes with how long that is good; without a time it is for ever. A failure
    /// is not kept.
    pub(crate) async fn get<E>(
        &self,
        make: impl Future<Output = Result<(T, Option<Duration>), E>>,
    ) -> Result<T, E> {
        let mut held = self.0.lock().await;
        if let Some((value, expires)) = &*held
            && expires.is_none_or(|expires| Instant::now() < expires)
        {
            return Ok(value.clone());
        }
        let (value, lifetime) = make.await?;
        // Given back early, so that it does not expire on the way.
        let usable = lifetime
            .map(|lifetime| lifetime.saturating_sub((lifetime / 5).min(Duration::from_mins(1))));
        let expires = usable.and_then(|usable| Instant::now().checked_add(usable));
        *held = Some((value.clone(), expires));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn value_is_made_anew_when_it_has_expired() {
        let (cached, ever) = (Cached::default(), Cached::default());
        for (number, expected, kept) in [(1, 1, 1), (2, 2, 1), (3, 3, 1)] {
            let at_once = async { Ok::<_, ()>((number, Some(Duration::ZERO))) };
            assert_eq!(cached.get(at_once).await, Ok(expected));
            assert_eq!(ever.get(async { Ok::<_, ()>((number, None)) }).await, Ok(kept));
        }
        let hour = Cached::default();
        assert_eq!(hour.get(async { Err::<(i32, _), _>("no") }).await, Err("no"));
        for number in [4, 5] {
            let made = async { Ok::<_, ()>((number, Some(Duration::from_hours(1)))) };
            assert_eq!(hour.get(made).await, Ok(4));
        }
    }
}
