//! The builder's side of a helper: starting it, passing on what its command prints, waiting for its end.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::message::{self, Answer};
use crate::ownership::Entry;
use crate::{Cancel, Command, Exit, RunError, Stream};

/// How many pieces are read before looking whether there is something else to do: a command that
/// prints without end can still be cancelled.
const SOME: usize = 16;

/// A helper with the builder's ends of what connects them.
pub(crate) struct Attendance {
    helper: Child,
    socket: UnixStream,
    outputs: [Option<(Stream, OwnedFd)>; 2],
}

impl Attendance {
    /// Starts this program again as the helper that answers to `name`.
    pub(crate) fn start(name: &str) -> Result<Self, RunError> {
        let refused = |source| RunError::HelperStart { source };
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| refused(crate::errno::of(&error)))?;
        let (stdout, stdout_end) = pipe_with(PipeFlags::CLOEXEC).map_err(refused)?;
        let (stderr, stderr_end) = pipe_with(PipeFlags::CLOEXEC).map_err(refused)?;
        for end in [&stdout, &stderr] {
            rustix::io::ioctl_fionbio(end, true).map_err(refused)?;
        }
        // The link leads to this very file, even if it has been replaced or is out of sight.
        let helper = process::Command::new("/proc/self/exe")
            .arg0(name)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout_end)
            .stderr(stderr_end)
            .spawn()
            .map_err(|error| refused(crate::errno::of(&error)))?;
        Ok(Self {
            helper,
            socket: ours,
            outputs: [Some((Stream::Stdout, stdout)), Some((Stream::Stderr, stderr))],
        })
    }

    /// Has the command run, and tells how it ended when every process of it is gone, and what its
    /// files seem, if anything was faked.
    pub(crate) fn conclude(
        mut self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<(Exit, Vec<Entry>), RunError> {
        let mut journal = Vec::new();
        let answer = self.attend(command, cancel, output, &mut journal);
        // Closes the socket, should the helper still be there.
        let status = self.finish()?;
        match answer? {
            Some(Answer::Ended(exit)) => Ok((exit, journal)),
            Some(Answer::Failed(error)) => Err(error),
            Some(Answer::Owners(_)) | None => {
                Err(RunError::HelperLost { status: status.to_string() })
            }
        }
    }

    /// Sends the request and passes on what is printed, until every process is gone.
    fn attend(
        &mut self,
        command: &Command,
        cancel: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
        journal: &mut Vec<Entry>,
    ) -> Result<Option<Answer>, RunError> {
        let failed =
            |operation: &str, source| RunError::Setup { operation: operation.to_owned(), source };
        match message::send(&mut self.socket, command) {
            Ok(()) => {}
            // It ended before it read everything, and may have said why.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                return Err(failed("send the command to its helper", crate::errno::of(&error)));
            }
        }
        let mut answer = None;
        let mut cancelled = false;
        loop {
            let ready = self
                .wait((!cancelled).then_some(cancel))
                .map_err(|errno| failed("wait for the command", errno))?;
            self.pass_on(SOME, output)
                .map_err(|errno| failed("read what the command prints", errno))?;
            if ready.cancel {
                cancelled = true;
                // The end of the stream makes the helper kill the command.
                let _ = self.socket.shutdown(std::net::Shutdown::Write);
            }
            if ready.socket {
                let received = message::receive(&mut self.socket);
                match received {
                    Ok(Some(Answer::Owners(entries))) => *journal = entries,
                    // The first answer tells the cause, later ones its consequences.
                    Ok(Some(next)) => answer = answer.or(Some(next)),
                    Ok(None) => break,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                    Err(error) => {
                        return Err(failed("read the helper's answer", crate::errno::of(&error)));
                    }
                }
            }
        }
        // Nobody can write any more, so whatever the pipes hold is all there will be.
        self.pass_on(usize::MAX, output)
            .map_err(|errno| failed("read what the command prints", errno))?;
        if cancelled && !matches!(answer, Some(Answer::Ended(Exit::Code(_)))) {
            return Err(RunError::Cancelled);
        }
        Ok(answer)
    }

    fn wait(&self, cancel: Option<&Cancel>) -> Result<Ready, Errno> {
        let mut waiting = vec![PollFd::new(&self.socket, PollFlags::IN)];
        if let Some(cancel) = cancel {
            waiting.push(PollFd::new(cancel, PollFlags::IN));
        }
        for (_, pipe) in self.outputs.iter().flatten() {
            waiting.push(PollFd::new(pipe, PollFlags::IN));
        }
        retry_on_intr(|| poll(&mut waiting, None))?;
        let ready = |index: usize| !waiting[index].revents().is_empty();
        Ok(Ready { socket: ready(0), cancel: cancel.is_some() && ready(1) })
    }

    /// Reads what is there, in at most `times` pieces.
    fn pass_on(
        &mut self,
        times: usize,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<(), Errno> {
        let mut buffer = [0; 16 * 1024];
        for place in &mut self.outputs {
            for _ in 0..times {
                let Some((stream, pipe)) = place else {
                    break;
                };
                match rustix::io::read(&*pipe, &mut buffer) {
                    Ok(0) => *place = None,
                    Ok(length) => output(*stream, &buffer[..length]),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ExitStatus, RunError> {
        drop(self.socket);
        self.helper.wait().map_err(|error| RunError::Setup {
            operation: "wait for the helper process".into(),
            source: crate::errno::of(&error),
        })
    }
}

/// What there is to do.
struct Ready {
    socket: bool,
    cancel: bool,
}
