//! Who believes to be whom: the credentials of each thread of a command.
//!
//! Nobody tells when a process is forked, so a thread that is heard of for the first time is looked
//! up: a thread has what its process has, a process what its parent has. That is right as long as the
//! parent is what it was at the fork, and so children are looked up before a parent changes its ids
//! or ends.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::os::fd::OwnedFd;

use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, openat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::credentials::Credentials;

/// Threads that were killed leave their lines; when there are this many, they are cleaned away.
const MOST_THREADS: usize = 4096;

/// How many generations nobody was heard of are looked up at once.
const MOST_GENERATIONS: usize = 64;

/// The credentials of the threads that were heard of.
#[derive(Debug)]
pub(super) struct Population {
    first: Credentials,
    threads: HashMap<i32, Member>,
}

#[derive(Debug, Clone)]
struct Member {
    process: i32,
    credentials: Credentials,
}

/// What procfs says about a thread.
struct Status {
    process: i32,
    parent: i32,
    umask: u32,
}

impl Population {
    /// Everybody descends from a program with these credentials.
    pub(super) fn new(first: Credentials) -> Self {
        Self { first, threads: HashMap::new() }
    }

    pub(super) fn credentials(
        &mut self,
        procfs: &OwnedFd,
        thread: Pid,
    ) -> Result<&mut Credentials, Errno> {
        let number = thread.as_raw_nonzero().get();
        if !self.threads.contains_key(&number) {
            self.clean(procfs);
            self.look_up(procfs, number, MOST_GENERATIONS)?;
        }
        let member = self.threads.get_mut(&number).ok_or(Errno::SRCH)?;
        Ok(&mut member.credentials)
    }

    /// Remembers what a process's children have got from it, before it changes or ends.
    pub(super) fn settle(&mut self, procfs: &OwnedFd, thread: Pid) {
        if let Some(member) = self.threads.get(&thread.as_raw_nonzero().get()).cloned() {
            self.settle_children(procfs, &member);
        }
    }

    /// Forgets a process that ends. Its children are settled, unless they have what all have.
    pub(super) fn end(&mut self, procfs: &OwnedFd, thread: Pid) {
        let Ok(credentials) = self.credentials(procfs, thread).cloned() else {
            return;
        };
        if credentials != self.first {
            self.settle(procfs, thread);
        }
        if let Some(ended) = self.threads.get(&thread.as_raw_nonzero().get()) {
            let process = ended.process;
            self.threads.retain(|_, member| member.process != process);
        }
    }

    fn settle_children(&mut self, procfs: &OwnedFd, member: &Member) {
        let mut pending = vec![member.process];
        while let Some(process) = pending.pop() {
            for child in children(procfs, process) {
                if let MapEntry::Vacant(place) = self.threads.entry(child) {
                    let credentials = member.credentials.clone();
                    place.insert(Member { process: child, credentials });
                    pending.push(child);
                }
            }
        }
    }

    fn look_up(&mut self, procfs: &OwnedFd, thread: i32, left: usize) -> Result<(), Errno> {
        if self.threads.contains_key(&thread) {
            return Ok(());
        }
        let status = status(procfs, thread)?;
        let from = if status.process == thread { status.parent } else { status.process };
        // Above the first program, and where a parent has died, there is only what all began with.
        if left > 0 && from > 1 {
            // A parent that cannot be looked up is one that has just ended.
            let _ = self.look_up(procfs, from, left - 1);
        }
        let credentials =
            self.threads.get(&from).map_or(&self.first, |member| &member.credentials).clone();
        self.threads.insert(thread, Member { process: status.process, credentials });
        Ok(())
    }

    fn clean(&mut self, procfs: &OwnedFd) {
        if self.threads.len() >= MOST_THREADS {
            let lives = |number: &i32| {
                let name = number.to_string();
                accessat(procfs, name, Access::EXISTS, AtFlags::empty()).is_ok()
            };
            self.threads.retain(|number, _| lives(number));
        }
    }
}

/// The permissions that new files of a thread do not get.
pub(super) fn umask(procfs: &OwnedFd, thread: Pid) -> Result<u32, Errno> {
    status(procfs, thread.as_raw_nonzero().get()).map(|status| status.umask)
}

fn status(procfs: &OwnedFd, thread: i32) -> Result<Status, Errno> {
    let text = read(procfs, format!("{thread}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).ok_or(Errno::SRCH)
    };
    let number = |name: &str| field(name)?.parse().map_err(|_| Errno::SRCH);
    let umask = field("Umask:").ok().and_then(|mask| u32::from_str_radix(mask, 8).ok());
    Ok(Status {
        process: number("Tgid:")?,
        parent: number("PPid:")?,
        umask: umask.unwrap_or(0o022),
    })
}

fn children(procfs: &OwnedFd, process: i32) -> Vec<i32> {
    let tasks = openat(
        procfs,
        format!("{process}/task"),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let Ok(tasks) = tasks.map(strata_sys::Dir::from_fd) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for task in tasks.entries().unwrap_or_default() {
        let name = String::from_utf8_lossy(&task.name).into_owned();
        let text = read(&tasks, format!("{name}/children"));
        let text = text.unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    found
}

fn read(directory: &impl std::os::fd::AsFd, path: String) -> Result<String, Errno> {
    let file = openat(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    std::io::read_to_string(std::fs::File::from(file)).map_err(|error| crate::errno::of(&error))
}
