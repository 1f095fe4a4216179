//! Becoming an ordinary user, with or without subordinate ids, whatever this machine's files say.

use std::fs;
use std::path::Path;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use strata_sys::mount::{Depth, Detached, make_all_private};
use strata_sys::process::{UnshareFlags, unshare};

/// Debian's `daemon`: it exists everywhere and has nothing.
const USER: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubordinateIds {
    Granted,
    None,
}

pub(crate) fn has_mapping_programs() -> bool {
    ["newuidmap", "newgidmap"].iter().all(|program| Path::new("/usr/bin").join(program).exists())
}

pub(crate) fn become_ordinary(ids: SubordinateIds) {
    unshare(UnshareFlags::NEWNS).unwrap();
    make_all_private().unwrap();
    let text = match ids {
        SubordinateIds::Granted => format!("{USER}:100000:65536\ndaemon:200000:1000\n"),
        SubordinateIds::None => String::new(),
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ids");
    fs::write(&file, text).unwrap();
    for target in ["/etc/subuid", "/etc/subgid"] {
        if Path::new(target).exists() {
            Detached::bind(&file, Depth::Single).unwrap().attach_at(Path::new(target)).unwrap();
        }
    }
    let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(gid, gid, gid).unwrap();
    set_thread_res_uid(uid, uid, uid).unwrap();
    // A program that changed its user is not dumpable until it executes another, and owns nothing of
    // its own procfs; a user's program was executed by that user.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
}

pub(crate) fn mask_proc() {
    unshare(UnshareFlags::NEWNS).unwrap();
    make_all_private().unwrap();
    let cover = Detached::new("tmpfs", &[], strata_sys::mount::Attributes::empty()).unwrap();
    cover.attach_at(Path::new("/proc/fs")).unwrap();
}
