//! From the disk to a tree.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Statx, StatxFlags, readlinkat, statx};
use rustix::io::Errno;
use strata_tree::{Leaf, LeafKind, Metadata, Timestamp, Tree, TreePath, Xattrs};

use crate::attributes::Attributes;
use crate::context::Context;
use crate::error::ContextError;
use crate::filter::{Filter, Verdict};

/// A directory that is still to be listed. They are opened anew by their path, so that no depth exhausts
/// the descriptors.
struct Pending {
    path: TreePath,
    /// The directories above, and this one, that the filter did not keep but something below may.
    unkept: Vec<(TreePath, Metadata)>,
}

struct Scan<'a, C, F> {
    context: &'a Context,
    filter: &'a mut dyn Filter,
    content: F,
    attributes: Attributes,
    pending: Vec<Pending>,
    tree: Tree<C>,
    /// What has other names and is no part of the tree yet.
    linked: Vec<(TreePath, Leaf<C>, Identity)>,
}

/// Device and inode number.
type Identity = (u32, u32, u64);

pub(crate) fn scan<C: Clone>(
    context: &Context,
    filter: &mut dyn Filter,
    content: impl Fn(&TreePath) -> C,
) -> Result<Tree<C>, ContextError> {
    let mut scan = Scan {
        context,
        filter,
        content,
        attributes: Attributes::new(),
        pending: vec![Pending { path: TreePath::root(), unkept: Vec::new() }],
        tree: Tree::default(),
        linked: Vec::new(),
    };
    scan.root()?;
    while let Some(directory) = scan.pending.pop() {
        scan.directory(&directory)?;
    }
    Ok(scan.into_tree())
}

impl<C: Clone, F: Fn(&TreePath) -> C> Scan<'_, C, F> {
    fn root(&mut self) -> Result<(), ContextError> {
        let path = TreePath::root();
        let fail =
            |errno: Errno| ContextError::List { path: TreePath::root(), source: errno.into() };
        let fd = self.context.resolve(&path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail)?;
        let entry = inspect(fd.as_fd(), c".").map_err(fail)?;
        let xattrs = self.attributes.read(fd.as_fd(), c".").map_err(fail)?;
        self.tree.put_directory(&path, metadata(&entry, xattrs));
        Ok(())
    }

    fn directory(&mut self, pending: &Pending) -> Result<(), ContextError> {
        let base = &pending.path;
        let fail = |errno: Errno| ContextError::List { path: base.clone(), source: errno.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match self.context.resolve(base, flags) {
            Ok(fd) => fd,
            // Removed, or swapped for something else, since its parent was listed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !base.is_root() => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        };
        let mut unkept = pending.unkept.clone();
        for (name, hint) in list(fd.as_fd()).map_err(fail)? {
            let path = base
                .join(name.to_bytes())
                .map_err(|source| ContextError::Name { directory: base.clone(), source })?;
            // Most file systems tell the type with the name, so that what is ignored costs no further call.
            let mut entry = None;
            let is_directory = match hint {
                FileType::Unknown => {
                    let Some(found) = look(fd.as_fd(), &name, &path)? else { continue };
                    entry = Some(found);
                    kind(&found) == FileType::Directory
                }
                hint => hint == FileType::Directory,
            };
            let verdict = self.filter.decide(&path, is_directory);
            if verdict == Verdict::SkipSubtree || (verdict == Verdict::Skip && !is_directory) {
                continue;
            }
            let entry = match entry {
                Some(entry) => entry,
                None => match look(fd.as_fd(), &name, &path)? {
                    Some(entry) => entry,
                    None => continue,
                },
            };
            if (kind(&entry) == FileType::Directory) != is_directory {
                // Swapped between the listing and now: the filter decided about something else.
                continue;
            }
            self.entry(fd.as_fd(), &name, path, &entry, verdict, &mut unkept)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        path: TreePath,
        entry: &Statx,
        verdict: Verdict,
        unkept: &mut Vec<(TreePath, Metadata)>,
    ) -> Result<(), ContextError> {
        let fail = |errno: Errno| ContextError::Read { path: path.clone(), source: errno.into() };
        let xattrs = match kind(entry) {
            // The kernel allows these attributes nowhere else.
            FileType::RegularFile | FileType::Directory => {
                match self.attributes.read(directory, name) {
                    Err(Errno::NOENT) => return Ok(()),
                    other => other.map_err(fail)?,
                }
            }
            _ => Xattrs::new(),
        };
        let metadata = metadata(entry, xattrs);
        let kind = match kind(entry) {
            FileType::Directory => {
                let mut above = Vec::new();
                if verdict == Verdict::Keep {
                    self.keep_parents(unkept);
                    self.tree.put_directory(&path, metadata);
                } else {
                    above.clone_from(unkept);
                    above.push((path.clone(), metadata));
                }
                self.pending.push(Pending { path, unkept: above });
                return Ok(());
            }
            FileType::RegularFile => {
                LeafKind::File { size: entry.stx_size, content: (self.content)(&path) }
            }
            FileType::Symlink => {
                let target = match readlinkat(directory, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                    other => other.map_err(fail)?.into_bytes(),
                };
                LeafKind::Symlink { target }
            }
            FileType::Fifo => LeafKind::Fifo,
            FileType::CharacterDevice => {
                LeafKind::CharDevice { major: entry.stx_rdev_major, minor: entry.stx_rdev_minor }
            }
            FileType::BlockDevice => {
                LeafKind::BlockDevice { major: entry.stx_rdev_major, minor: entry.stx_rdev_minor }
            }
            FileType::Socket | FileType::Unknown => return Ok(()),
        };
        self.keep_parents(unkept);
        let identity = (entry.stx_nlink > 1).then_some((
            entry.stx_dev_major,
            entry.stx_dev_minor,
            entry.stx_ino,
        ));
        let leaf = Leaf { metadata, kind };
        match identity {
            Some(identity) => self.linked.push((path, leaf, identity)),
            None => self.tree.put_leaf(&path, leaf),
        }
        Ok(())
    }

    /// Something was kept, so that the directories above it are part of the context after all.
    fn keep_parents(&mut self, unkept: &mut Vec<(TreePath, Metadata)>) {
        for (path, metadata) in unkept.drain(..) {
            self.tree.put_directory(&path, metadata);
        }
    }

    fn into_tree(mut self) -> Tree<C> {
        // Sorted first, so that the first name of a hard-linked file is the same whatever the disk's order.
        self.linked.sort_by(|a, b| a.0.cmp(&b.0));
        let mut first_names: HashMap<Identity, TreePath> = HashMap::new();
        for (path, leaf, identity) in self.linked {
            match first_names.entry(identity) {
                Entry::Occupied(first) => {
                    self.tree.link(&path, first.get()).expect("its first name is in the tree");
                }
                Entry::Vacant(first) => {
                    self.tree.put_leaf(&path, leaf);
                    first.insert(path);
                }
            }
        }
        self.tree
    }
}

fn list(directory: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
    let mut reader = RawDir::new(directory, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push((name.to_owned(), entry.file_type()));
        }
    }
    // The filter is asked in the same order on every machine.
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// What stands there now, or nothing if it is gone since it was listed.
fn look(
    directory: BorrowedFd<'_>,
    name: &CStr,
    path: &TreePath,
) -> Result<Option<Statx>, ContextError> {
    match inspect(directory, name) {
        Ok(entry) => Ok(Some(entry)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(ContextError::Read { path: path.clone(), source: errno.into() }),
    }
}

fn inspect(directory: BorrowedFd<'_>, name: &CStr) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(directory, name, flags, StatxFlags::BASIC_STATS)
}

fn kind(entry: &Statx) -> FileType {
    FileType::from_raw_mode(entry.stx_mode.into())
}

fn metadata(entry: &Statx, xattrs: Xattrs) -> Metadata {
    Metadata {
        mode: u32::from(entry.stx_mode) & 0o7777,
        uid: entry.stx_uid,
        gid: entry.stx_gid,
        mtime: Timestamp { seconds: entry.stx_mtime.tv_sec, nanoseconds: entry.stx_mtime.tv_nsec },
        xattrs,
    }
}
