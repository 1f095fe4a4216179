//! Which program each thread executes, as the image has it.
//!
//! The kernel knows the interpreter of a dynamic program as what was executed, and everything by its path
//! on the host.

use std::collections::HashMap;
use std::rc::Rc;

use super::place::number;
use rustix::process::Pid;

/// The paths of programs, by the numbers of threads.
#[derive(Debug, Default)]
pub(super) struct Programs {
    threads: HashMap<i32, Rc<[u8]>>,
}

impl Programs {
    pub(super) fn knows(&self, thread: i32) -> bool {
        self.threads.contains_key(&thread)
    }

    pub(super) fn path(&self, thread: i32) -> Option<&[u8]> {
        self.threads.get(&thread).map(AsRef::as_ref).filter(|path| !path.is_empty())
    }

    pub(super) fn put(&mut self, thread: Pid, path: &[u8]) {
        self.threads.insert(number(thread), path.into());
    }

    /// A child or another thread executes what the one executes that made it.
    pub(super) fn inherit(&mut self, from: Pid, child: i32) {
        let path = self.threads.get(&number(from)).cloned().unwrap_or_else(|| Rc::from([]));
        self.threads.insert(child, path);
    }

    pub(super) fn forget(&mut self, thread: Pid) {
        self.threads.remove(&number(thread));
    }
}
