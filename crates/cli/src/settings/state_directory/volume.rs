//! Volumes of a container: mounted file systems of disks, apart from the root's.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// File systems that volumes have and an overlay can lie on. Those in memory are too small to be found.
const KINDS: [&str; 5] = ["btrfs", "ext4", "f2fs", "xfs", "zfs"];

/// What can be written, in the order of mounting.
///
/// A volume that is the context itself, or the current directory, is left out: what is put there would get
/// into images.
pub(super) fn all(context: Option<&Path>) -> Vec<PathBuf> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return Vec::new() };
    let current = std::env::current_dir().ok();
    let context = context.and_then(|path| path.canonicalize().ok());
    let mut found = listed(&mounts);
    found.retain(|path| {
        let taken = [&current, &context].into_iter().flatten().any(|place| place == path);
        !taken && path.is_dir() && access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    });
    found
}

/// The volumes that a text like `/proc/self/mountinfo` lists.
fn listed(mounts: &str) -> Vec<PathBuf> {
    let volume = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(4);
        let (place, options) = (before.next()?, before.next()?);
        let kind = after.split(' ').next()?;
        let writable = options.split(',').any(|option| option == "rw");
        // The kernel writes spaces and backslashes in octal; such places are not worth it.
        let plain = place != "/" && !place.contains('\\');
        (KINDS.contains(&kind) && writable && plain).then(|| PathBuf::from(place))
    };
    mounts.lines().filter_map(volume).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_writable_disks_elsewhere_than_the_root() {
        let mounts = "\
100 1 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/x
101 100 0:51 / /proc rw,nosuid - proc proc rw
102 100 259:1 /var/lib/volumes/a /builds rw,relatime shared:7 - ext4 /dev/root rw
103 100 259:1 /secret /run/secret ro,relatime - ext4 /dev/root rw
104 100 259:1 /b /with\\040space rw - xfs /dev/root rw
105 100 0:60 / /dev/shm rw - tmpfs shm rw
106 100 259:2 / / rw - ext4 /dev/root rw
broken
";
        assert_eq!(listed(mounts), [PathBuf::from("/builds")]);
    }
}
