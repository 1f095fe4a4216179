//! Calls that a stopped thread does because its tracer wants them done.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::Pid;
use strata_sys::children::ChildNews;
use strata_sys::ptrace::{self, Registers, Resume, Stop};
use strata_sys::seccomp::{CloseOnExec, number};

use crate::supervisor::Supervisor;

/// Why a call was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The kernel, or the program's own file, made it impossible.
    Refused(Errno),
    /// The thread has ended, and this is its last news.
    Ended(Stop),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

/// A thread that has just executed a program, and does what it is told before the program begins.
pub(super) struct Injection<'a> {
    thread: Pid,
    news: &'a ChildNews,
    supervisor: &'a mut Supervisor,
    /// As the kernel has set them for the program.
    pub(super) begin: Registers,
    /// Where a `syscall` instruction is.
    instruction: u64,
    /// Signals that came in between.
    signals: Vec<i32>,
}

impl<'a> Injection<'a> {
    /// Takes a thread over that is stopped as having executed, and leads it out of that call.
    pub(super) fn start(
        (thread, begin): (Pid, Registers),
        instruction: u64,
        news: &'a ChildNews,
        supervisor: &'a mut Supervisor,
    ) -> Result<Self, Failure> {
        let signals = Vec::new();
        let mut injection = Self { thread, news, supervisor, begin, instruction, signals };
        injection.run_to_call(None)?;
        Ok(injection)
    }

    pub(super) fn supervisor(&mut self) -> &mut Supervisor {
        self.supervisor
    }

    pub(super) fn thread(&self) -> Pid {
        self.thread
    }

    /// Has a call done.
    pub(super) fn call(&mut self, number: u32, arguments: [u64; 6]) -> Result<u64, Failure> {
        self.do_call(number, arguments, None)
    }

    /// Has it open a file, which is one that is open here.
    pub(super) fn open(&mut self, file: &File) -> Result<u64, Failure> {
        self.do_call(number::OPENAT, [0; 6], Some(file))
    }

    fn do_call(
        &mut self,
        number: u32,
        arguments: [u64; 6],
        answer: Option<&File>,
    ) -> Result<u64, Failure> {
        let registers = self.begin.calling(self.instruction, number.into(), arguments);
        registers.give(self.thread)?;
        self.run_to_call(None)?;
        self.run_to_call(answer)?;
        let result = Registers::of(self.thread)?.result();
        match u64::try_from(result) {
            Ok(value) => Ok(value),
            Err(_) => {
                let errno = i32::try_from(-result).map_or(Errno::IO, Errno::from_raw_os_error);
                Err(Failure::Refused(errno))
            }
        }
    }

    /// Lets the program begin.
    pub(super) fn finish(self) -> Result<(), Errno> {
        self.begin.outside_of_call().give(self.thread)?;
        for &signal in &self.signals {
            ptrace::signal_thread(self.thread, self.thread, signal)?;
        }
        ptrace::resume(self.thread, Resume::Freely, 0)
    }

    /// Waits for the begin or end of a call. What others ask meanwhile waits, but for the file.
    fn run_to_call(&mut self, answer: Option<&File>) -> Result<(), Failure> {
        ptrace::resume(self.thread, Resume::ToCall, 0)?;
        loop {
            match ptrace::news(Some(self.thread))? {
                Some((_, Stop::Call)) => return Ok(()),
                Some((_, end @ (Stop::Exited(_) | Stop::Killed(_)))) => {
                    return Err(Failure::Ended(end));
                }
                Some((_, stop)) => {
                    if let Stop::Signal(signal) = stop {
                        self.signals.push(signal);
                    }
                    ptrace::resume(self.thread, Resume::ToCall, 0)?;
                }
                None => self.wait(answer)?,
            }
        }
    }

    fn wait(&mut self, answer: Option<&File>) -> Result<(), Errno> {
        let listener = self.supervisor.listener.as_fd();
        let mut waiting = vec![PollFd::new(self.news, PollFlags::IN)];
        // Where no answer is due, nobody has to be looked at before the main loop does.
        if answer.is_some() {
            waiting.push(PollFd::from_borrowed_fd(listener, PollFlags::IN));
        }
        retry_on_intr(|| poll(&mut waiting, None))?;
        let asks = waiting.get(1).is_some_and(|one| one.revents().contains(PollFlags::IN));
        if !waiting[0].revents().is_empty() {
            self.news.take();
        }
        let (Some(file), true) = (answer, asks) else {
            return Ok(());
        };
        let received = self.supervisor.listener.receive().map_err(|error| error.source)?;
        match received {
            Some(call) if call.thread == self.thread => {
                let listener = &self.supervisor.listener;
                listener.reply_descriptor(call.id, file.as_fd(), CloseOnExec::No)
            }
            Some(other) => {
                self.supervisor.waiting.push_back(other);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
