//! Work of ports that a request to stop need not wait for.

use std::future::Future;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use strata_sandbox::Cancel;

/// How often is looked. Watching the descriptor itself takes a function of tokio that cannot be called safely,
/// and nobody sees a tenth of a second between Ctrl-C and the end.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for `work`, or for a request to stop: then `work` is dropped and there is nothing.
///
/// Only for what may be dropped at any point: transfers, never commands or writing to a workspace.
pub(crate) async fn unless_cancelled<T>(
    cancel: &Cancel,
    work: impl Future<Output = T>,
) -> Option<T> {
    let asked = async {
        while !is_asked(cancel) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = asked => None,
        result = work => Some(result),
    }
}

fn is_asked(cancel: &Cancel) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut waiting = [PollFd::new(cancel, PollFlags::IN)];
    // A poll that fails says nothing; the next look is soon.
    matches!(poll(&mut waiting, Some(&now)), Ok(count) if count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_dropped_once_asked_to_stop() {
        let cancel = Cancel::new().unwrap();
        assert_eq!(unless_cancelled(&cancel, async { 7 }).await, Some(7));
        let asked = cancel.clone();
        let stop = async move {
            tokio::task::yield_now().await;
            asked.cancel();
        };
        let (stopped, ()) =
            tokio::join!(unless_cancelled(&cancel, std::future::pending::<()>()), stop);
        assert_eq!(stopped, None);
        assert_eq!(unless_cancelled(&cancel, async { 7 }).await, None, "it stays asked");
    }
}
