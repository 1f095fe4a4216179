//! What the supervisor hears of the processes that it traces, and does about it.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::process::Pid;
use strata_sys::CallError;
use strata_sys::children::ChildNews;
use strata_sys::ptrace::{self, Registers, Resume, Stop};
use strata_sys::seccomp::number;

use super::exec::Executable;
use super::injection::Failure;
use super::loader;
use super::place::number as number_of;
use super::rewrite::Rewritten;
use crate::Exit;
use crate::supervisor::{Ability, Supervisor};

/// Traces all processes of one command.
#[derive(Debug)]
pub(crate) struct Tracer {
    news: ChildNews,
    /// The command's first process.
    program: Pid,
    ended: Option<Exit>,
    /// Calls that were rewritten and are not done.
    under_way: HashMap<i32, UnderWay>,
    /// New threads of which nobody has said whose they are.
    held: HashSet<i32>,
}

/// A call that was rewritten.
#[derive(Debug)]
struct UnderWay {
    before: Registers,
    executable: Option<Box<Executable>>,
}

impl Tracer {
    /// Begins with a process that has executed nothing yet.
    pub(crate) fn new(news: ChildNews, program: Pid) -> Result<Self, CallError> {
        ptrace::seize(program)?;
        let (under_way, held) = (HashMap::new(), HashSet::new());
        Ok(Self { news, program, ended: None, under_way, held })
    }

    /// How the first process ended, if it has.
    pub(crate) fn ended(&self) -> Option<Exit> {
        self.ended
    }

    /// Acts on all that has happened.
    pub(crate) fn act(&mut self, supervisor: &mut Supervisor) -> Result<(), Errno> {
        self.news.take();
        loop {
            match ptrace::news(None) {
                Ok(Some((thread, stop))) => match self.stopped(thread, stop, supervisor) {
                    // It was killed meanwhile, and that will be news too.
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(errno) => {
                        tracing::debug!(?thread, ?stop, %errno, "a traced thread is given up");
                        loader::give_up(thread)?;
                    }
                },
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn stopped(
        &mut self,
        thread: Pid,
        stop: Stop,
        supervisor: &mut Supervisor,
    ) -> Result<(), Errno> {
        match stop {
            Stop::Exited(code) => self.end(thread, Exit::Code(code), supervisor),
            Stop::Killed(signal) => self.end(thread, Exit::Signal(signal), supervisor),
            Stop::Signal(signal) => ptrace::resume(thread, Resume::Freely, signal),
            Stop::Group => ptrace::stay(thread),
            Stop::Filtered => self.rewrite(thread, supervisor),
            Stop::Call => self.done(thread),
            Stop::Executed(former) => self.executed(thread, former, supervisor),
            Stop::Born(child) => {
                if let Some(translated) = supervisor.translated() {
                    translated.programs.inherit(thread, child);
                }
                if self.held.remove(&child)
                    && let Some(child) = Pid::from_raw(child)
                {
                    ptrace::resume(child, Resume::Freely, 0)?;
                }
                ptrace::resume(thread, Resume::Freely, 0)
            }
            Stop::Other => {
                let number = number_of(thread);
                let known = supervisor.translated().is_none_or(|one| one.programs.knows(number));
                if known || thread == self.program {
                    return ptrace::resume(thread, Resume::Freely, 0);
                }
                // Until whoever made it has said so: then it is known what it executes.
                self.held.insert(number);
                Ok(())
            }
        }
    }

    fn end(&mut self, thread: Pid, exit: Exit, supervisor: &mut Supervisor) -> Result<(), Errno> {
        if thread == self.program {
            self.ended = Some(exit);
        }
        self.under_way.remove(&number_of(thread));
        if let Some(translated) = supervisor.translated() {
            translated.programs.forget(thread);
        }
        // It may have been about to say whose these are.
        for child in self.held.drain().filter_map(Pid::from_raw) {
            ptrace::resume(child, Resume::Freely, 0)?;
        }
        Ok(())
    }

    /// A call that only the caller can do is about to be done.
    fn rewrite(&mut self, thread: Pid, supervisor: &mut Supervisor) -> Result<(), Errno> {
        let before = Registers::of(thread)?;
        let Supervisor { memories, ability: Ability::TranslatedPaths(translated), .. } = supervisor
        else {
            return ptrace::resume(thread, Resume::Freely, 0);
        };
        let mut caller = memories.caller(thread);
        let rewritten = translated.rewritten(&mut caller, &before);
        let mut after = before;
        let result = rewritten.and_then(|rewritten| match rewritten {
            Rewritten::Unchanged => Ok(None),
            Rewritten::Pointed { argument, bytes, length } => {
                let mut arguments = after.arguments();
                let place = after.scratch(bytes.len());
                caller.write(place, &bytes)?;
                arguments[argument] = place;
                if let Some(length) = length {
                    arguments[length] = bytes.len() as u64;
                }
                after.set_arguments(arguments);
                Ok(Some(None))
            }
            Rewritten::Executed(executable) => {
                put_arguments(&mut caller, &mut after, &executable)?;
                Ok(Some(Some(executable)))
            }
        });
        match result {
            Ok(None) => ptrace::resume(thread, Resume::Freely, 0),
            Ok(Some(executable)) => {
                after.give(thread)?;
                self.under_way.insert(number_of(thread), UnderWay { before, executable });
                ptrace::resume(thread, Resume::ToCall, 0)
            }
            Err(errno) => {
                // No call has this number, and so none is done.
                after.set_call(u64::MAX);
                after.set_result(-i64::from(errno.raw_os_error()));
                after.give(thread)?;
                ptrace::resume(thread, Resume::Freely, 0)
            }
        }
    }

    /// It is done: the caller finds its own arguments where it left them.
    fn done(&mut self, thread: Pid) -> Result<(), Errno> {
        if let Some(UnderWay { before, .. }) = self.under_way.remove(&number_of(thread)) {
            let mut after = Registers::of(thread)?;
            after.set_arguments(before.arguments());
            after.set_call(before.call());
            after.give(thread)?;
        }
        ptrace::resume(thread, Resume::Freely, 0)
    }

    fn executed(
        &mut self,
        thread: Pid,
        former: i32,
        supervisor: &mut Supervisor,
    ) -> Result<(), Errno> {
        // A thread that executes becomes its process's first.
        let Some(UnderWay { executable: Some(executable), .. }) = self.under_way.remove(&former)
        else {
            return ptrace::resume(thread, Resume::Freely, 0);
        };
        let Some(translated) = supervisor.translated() else {
            return ptrace::resume(thread, Resume::Freely, 0);
        };
        translated.check_executed(thread, executable.executed)?;
        if let Some(former) = Pid::from_raw(former) {
            translated.programs.forget(former);
        }
        translated.programs.put(thread, &executable.path);
        let credentials = translated.disguise.executed(thread, executable.set_ids)?;
        match loader::load(thread, &executable, &credentials, &self.news, supervisor) {
            Ok(()) => Ok(()),
            Err(Failure::Ended(end)) => self.stopped(thread, end, supervisor),
            Err(Failure::Refused(errno)) => {
                tracing::debug!(?thread, %errno, "a program could not be loaded");
                loader::give_up(thread)
            }
        }
    }
}

impl AsFd for Tracer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

/// Puts a program's path, and what is before its second argument, below the stack.
fn put_arguments(
    caller: &mut crate::supervisor::caller::Caller<'_>,
    registers: &mut Registers,
    executable: &Executable,
) -> Result<(), Errno> {
    let [_, two, three, four, ..] = registers.arguments();
    let at = registers.call() == u64::from(number::EXECVEAT);
    let Some(host) = &executable.host else {
        return if executable.arguments.is_empty() { Ok(()) } else { Err(Errno::NOENT) };
    };
    let (mut arguments, environment) = if at { (three, four) } else { (two, three) };
    let mut bytes = Vec::new();
    let mut add = |string: &[u8]| {
        let at = bytes.len();
        bytes.extend_from_slice(string);
        bytes.push(0);
        at as u64
    };
    let path = add(host);
    let strings: Vec<u64> = executable.arguments.iter().map(|argument| add(argument)).collect();
    let mut pointers = Vec::new();
    if !strings.is_empty() {
        pointers = pointers_after_first(caller, arguments)?;
    }
    let length = bytes.len().next_multiple_of(8) + 8 * (strings.len() + pointers.len());
    let place = registers.scratch(length);
    if !strings.is_empty() {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        arguments = place + bytes.len() as u64;
        for string in strings {
            bytes.extend((place + string).to_ne_bytes());
        }
        for pointer in pointers {
            bytes.extend(pointer.to_ne_bytes());
        }
    }
    caller.write(place, &bytes).map_err(|_| Errno::TOOBIG)?;
    registers.set_call(number::EXECVE.into());
    registers.set_arguments([place + path, arguments, environment, 0, 0, 0]);
    Ok(())
}

/// The pointers of a list but the first, with the one that ends it.
fn pointers_after_first(
    caller: &mut crate::supervisor::caller::Caller<'_>,
    list: u64,
) -> Result<Vec<u64>, Errno> {
    /// More than the kernel would take the strings of.
    const MOST: usize = 1 << 20;
    let mut pointers = Vec::new();
    let mut next = list;
    let mut chunk = [0; 1024];
    while pointers.len() < MOST {
        let read = caller.read(next, &mut chunk)?;
        if read < 8 {
            return Err(Errno::FAULT);
        }
        for word in chunk[..read].chunks_exact(8) {
            let pointer = u64::from_ne_bytes(word.try_into().unwrap_or_default());
            pointers.push(pointer);
            next += 8;
            if pointer == 0 {
                if pointers.len() > 1 {
                    pointers.remove(0);
                }
                return Ok(pointers);
            }
        }
    }
    Err(Errno::TOOBIG)
}
