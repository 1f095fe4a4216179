//! The one way from the runtime to work that blocks.

use crate::error::ErrorKind;

/// Runs `work` on a thread that may block. The runtime bounds how many there are.
///
/// Whoever calls waits: dropped at its await point, the work still runs to its end and its result is dropped,
/// which every piece of work here is written for (files aside, guards that clean up).
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ErrorKind> + Send + 'static,
) -> Result<T, ErrorKind> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(ErrorKind::Worker { message: error.to_string() }),
        Err(_) => Err(ErrorKind::Cancelled),
    }
}
