//! What kind of file system a path is on.

use std::path::Path;

const OVERLAY: u32 = 0x794c_7630;

/// The name of a file system by its magic number; the kernel's `magic.h` has them.
pub(crate) fn name(path: &Path) -> String {
    match magic(path) {
        None => "unknown".to_owned(),
        Some(0xef53) => "ext4".to_owned(),
        Some(0x5846_5342) => "xfs".to_owned(),
        Some(0x9123_683e) => "btrfs".to_owned(),
        Some(OVERLAY) => "overlay".to_owned(),
        Some(0x0102_1994) => "tmpfs".to_owned(),
        Some(0x6969) => "nfs".to_owned(),
        Some(0x6573_5546) => "fuse".to_owned(),
        Some(0x2fc1_2fc1) => "zfs".to_owned(),
        Some(0xf2f5_2010) => "f2fs".to_owned(),
        Some(other) => format!("{other:#x}"),
    }
}

/// Tells whether a path is, or would be made, on an overlay, which can hold no other.
pub(super) fn is_overlay(path: &Path) -> bool {
    let existing = path.ancestors().find(|path| path.exists());
    existing.is_some_and(|path| magic(path) == Some(OVERLAY))
}

fn magic(path: &Path) -> Option<u32> {
    let found = rustix::fs::statfs(path).ok()?;
    u32::try_from(found.f_type & 0xffff_ffff).ok()
}
