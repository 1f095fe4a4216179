//! Ctrl-C and SIGTERM: the first asks to stop, the second stops.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// How long work that was asked to stop may take to do so.
const GRACE: Duration = Duration::from_secs(10);

/// Listens from now on, so that no signal is missed.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

/// What became of work that can be interrupted.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    /// It came to its own end.
    Done(T),
    /// It was asked to stop, and did, or was dropped.
    Stopped(Exit),
}

impl Interrupts {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }

    /// Runs `work` to its end. With the first signal `stop` is called, and `work` may put things in
    /// order for a while; with the second this process ends at once.
    pub(crate) async fn guard<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: impl FnOnce(),
    ) -> Ended<T> {
        tokio::pin!(work);
        let exit = tokio::select! {
            result = &mut work => return Ended::Done(result),
            exit = self.next() => exit,
        };
        stop();
        tokio::select! {
            _ = &mut work => {}
            () = tokio::time::sleep(GRACE) => {
                tracing::warn!("work did not stop in time and was dropped");
            }
            exit = self.next() => leave(exit),
        }
        Ended::Stopped(exit)
    }
}

/// Ends the process without a further word: commands that run die with the helper that watches them.
#[expect(clippy::exit, reason = "the second signal means now")]
fn leave(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts")
    }

    /// One test, as a signal goes to everybody in the process who listens.
    #[test]
    fn work_comes_to_its_end_unless_a_signal_asks_to_stop() {
        runtime().block_on(async {
            let mut interrupts = Interrupts::listen().expect("signals can be listened to");
            let ended = interrupts.guard(async { 7 }, || {}).await;
            assert!(matches!(ended, Ended::Done(7)));

            let (sender, receiver) = tokio::sync::oneshot::channel();
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::TERM)
                .expect("a process may signal itself");
            let ended = interrupts
                .guard(async { receiver.await.is_ok() }, || {
                    let _ = sender.send(());
                })
                .await;
            assert!(matches!(ended, Ended::Stopped(Exit::Terminated)));
        });
    }
}
