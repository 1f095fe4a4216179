//! Ending every process that a command started.
//!
//! The helper is the subreaper of all of them: whoever loses its parent, by whatever means, becomes
//! its child. So all of them are found below it.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// Kills all descendants of this process and waits for their ends.
pub(in crate::helper) fn kill() -> Result<(), Errno> {
    // Nearly always there are none, and a look through procfs takes longer than the run's start.
    if !reap(WaitOptions::NOHANG)? {
        return Ok(());
    }
    // Stopped processes start no others: after a look that finds no new one, all are known.
    let mut stopped = HashSet::new();
    loop {
        let fresh: Vec<Pid> =
            below(getpid())?.into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            send(pid, Signal::STOP)?;
        }
    }
    for pid in stopped {
        send(pid, Signal::KILL)?;
    }
    reap(WaitOptions::empty()).map(drop)
}

/// Takes leave of children that have ended, and says whether there are others.
fn reap(options: WaitOptions) -> Result<bool, Errno> {
    loop {
        match retry_on_intr(|| wait(options)) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(Errno::CHILD) => return Ok(false),
            Err(errno) => return Err(errno),
        }
    }
}

/// Who has ended already does not need a signal.
fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    match kill_process(pid, signal) {
        Err(Errno::SRCH) => Ok(()),
        other => other,
    }
}

/// Everybody who is below a process now.
pub(crate) fn below(ancestor: Pid) -> Result<Vec<Pid>, Errno> {
    let mut children: HashMap<i32, Vec<Pid>> = HashMap::new();
    let processes = fs::read_dir("/proc").map_err(|error| crate::errno::of(&error))?;
    for entry in processes {
        let entry = entry.map_err(|error| crate::errno::of(&error))?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // It may have ended since, and then it has no children.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = children.remove(&ancestor.as_raw_nonzero().get()).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let more = children.remove(&pid.as_raw_nonzero().get()).unwrap_or_default();
        found.extend(more);
        next += 1;
    }
    Ok(found)
}

/// The fourth field of `/proc/PID/stat`; the second may hold anything, in parentheses.
fn parent(stat: &str) -> Option<i32> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn parent_is_found_after_any_name() {
        let cases = [
            ("7 (sh) S 3 7 7 0", Some(3)),
            ("7 (a) S 9 (b) R 4 7 7 0", Some(4)),
            ("7 (x y) Z 1 7", Some(1)),
            ("", None),
            ("7 (sh) S", None),
        ];
        for (stat, expected) in cases {
            assert_eq!(super::parent(stat), expected, "{stat}");
        }
    }
}
