//! When a failed request is repeated.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::ErrorKind;

/// Says how often a request is repeated, and how long to wait before.
///
/// The wait doubles from `first_delay` to `longest_delay`, and is shortened by up to half at random so that many
/// jobs that failed together do not come back together. What a registry asks for with `Retry-After` is the least
/// that is waited; if it asks for more than `longest_wait`, the operation fails at once and says so. A port where nothing
/// listens is more often a mistake than a service that is about to start: it is tried half as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often an operation is tried in all, at least once.
    pub attempts: u32,
    /// The wait after the first failure.
    pub first_delay: Duration,
    /// The wait that is not doubled any more.
    pub longest_delay: Duration,
    /// The most a registry may ask for.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Tries for about half a minute.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(20),
            longest_wait: Duration::from_mins(2),
        }
    }
}

impl RetryPolicy {
    /// Never repeats anything.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Tells how long to wait after the `failures`th failure in a row, or `None` to give up. `jitter` is in 0..=1.
    pub(crate) fn delay(
        &self,
        failures: u32,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if failures >= self.attempts || asked.is_some_and(|asked| asked > self.longest_wait) {
            return None;
        }
        let doubled = self.first_delay.saturating_mul(1 << (failures.max(1) - 1).min(16));
        let jittered = doubled.min(self.longest_delay).mul_f64(1.0 - jitter / 2.0);
        Some(jittered.max(asked.unwrap_or_default()))
    }
}

/// Counts the failures of one operation and waits between its attempts.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    failures: u32,
}

impl<'a> Attempts<'a> {
    /// Begins after some failures that were counted before.
    pub(crate) fn after(policy: &'a RetryPolicy, failures: u32) -> Self {
        Self { policy, failures }
    }

    /// Forgets the failures, after real progress.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Tells how often an operation is tried in all.
    pub(crate) fn limit(&self) -> u32 {
        self.policy.attempts
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Waits before the next attempt, or gives the error back if there is none to be made.
    pub(crate) async fn wait_after(&mut self, kind: ErrorKind) -> Result<(), ErrorKind> {
        if !is_transient(&kind) {
            return Err(kind);
        }
        self.failures += 1;
        if matches!(kind, ErrorKind::Unreachable { refused: true, .. })
            && self.failures >= self.policy.attempts.div_ceil(2)
        {
            return Err(kind);
        }
        let asked = match &kind {
            ErrorKind::TooManyRequests { retry_after, .. }
            | ErrorKind::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        };
        match self.policy.delay(self.failures, asked, jitter()) {
            Some(delay) => {
                tracing::debug!(failure = self.failures, ?delay, problem = %kind, "waiting to try again");
                tokio::time::sleep(delay).await;
                Ok(())
            }
            None => Err(kind),
        }
    }
}

/// Is true for what may go away by itself. A certificate does not become valid, nor a password right.
fn is_transient(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::TooManyRequests { .. }
        | ErrorKind::Unavailable { .. }
        | ErrorKind::Unreachable { .. }
        | ErrorKind::TimedOut { .. }
        | ErrorKind::Cut { .. } => true,
        ErrorKind::Unauthorized { .. }
        | ErrorKind::Denied { .. }
        | ErrorKind::NotFound { .. }
        | ErrorKind::Refused { .. }
        | ErrorKind::Tls { .. }
        | ErrorKind::DigestMismatch { .. }
        | ErrorKind::SizeMismatch { .. }
        | ErrorKind::Document { .. }
        | ErrorKind::Protocol { .. }
        | ErrorKind::PlainHttp { .. }
        | ErrorKind::Source { .. }
        | ErrorKind::Credentials { .. } => false,
    }
}

/// Draws from 0..1. The standard library seeds its hasher from the system's randomness; that is random enough to
/// spread clients.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 32;
    let random = u32::try_from(random).unwrap_or(u32::MAX);
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_end() {
        let policy = RetryPolicy {
            attempts: 5,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(3),
            longest_wait: Duration::from_secs(10),
        };
        let seconds = Duration::from_secs;
        let table = [
            (1, None, 0.0, Some(seconds(1))),
            (1, None, 1.0, Some(Duration::from_millis(500))),
            (2, None, 0.0, Some(seconds(2))),
            (3, None, 0.0, Some(seconds(3))),
            (4, None, 0.0, Some(seconds(3))),
            (5, None, 0.0, None),
            (1, Some(seconds(0)), 0.0, Some(seconds(1))),
            (1, Some(seconds(7)), 0.0, Some(seconds(7))),
            (1, Some(seconds(10)), 1.0, Some(seconds(10))),
            (1, Some(seconds(11)), 0.0, None),
        ];
        for (failures, asked, jitter, expected) in table {
            assert_eq!(policy.delay(failures, asked, jitter), expected, "{failures} {asked:?}");
        }
        assert_eq!(RetryPolicy::never().delay(1, None, 0.0), None);
    }

    #[tokio::test]
    async fn a_port_where_nothing_listens_is_tried_half_as_often() {
        let policy = RetryPolicy { first_delay: Duration::ZERO, ..RetryPolicy::default() };
        for (refused, expected) in [(true, 3), (false, 6)] {
            let mut attempts = Attempts::after(&policy, 0);
            let mut tried = 1;
            let failure = || {
                let (host, reason) = ("registry.test".to_owned(), "no".to_owned());
                ErrorKind::Unreachable { host, reason, refused }
            };
            while attempts.wait_after(failure()).await.is_ok() {
                tried += 1;
            }
            assert_eq!(tried, expected, "refused: {refused}");
        }
    }

    #[test]
    fn jitter_is_within_bounds() {
        assert!((0..100).map(|_| jitter()).all(|jitter| (0.0..=1.0).contains(&jitter)));
    }
}
