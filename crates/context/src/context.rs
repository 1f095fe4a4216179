//! The opened directory: opening and hashing its files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use strata_tree::{Tree, TreePath};

use crate::error::ContextError;
use crate::filter::Filter;
use crate::scan;

/// How much of a file is read at once: of a short one no more than it has, and not too little of one that says it is
/// empty, as some file systems do of files that are not.
const SHORTEST_PIECE: u64 = 4 << 10;
const LONGEST_PIECE: u64 = 128 << 10;

/// A directory that a build reads from. Cheap to share between threads; every method takes `&self`.
#[derive(Debug)]
pub struct Context {
    root: OwnedFd,
    directory: PathBuf,
}

/// What a file held when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileDigest {
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// How many bytes were read, which tells a file that changed since it was scanned.
    pub size: u64,
}

impl Context {
    /// Opens a directory, following symbolic links on the way to it: the path is the user's own.
    pub fn open(directory: &Path) -> Result<Self, ContextError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(directory, flags, Mode::empty()).map_err(|errno| ContextError::Open {
            directory: directory.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self { root, directory: directory.to_owned() })
    }

    /// The directory as it was given, for messages.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads names, types, metadata and extended attributes of everything the filter keeps; no contents. `content`
    /// says what stands for the bytes of the file at a path; hard links of one file share the first of their names.
    ///
    /// Sockets are left out, since no image can hold one. A name that disappears during the scan is left
    /// out too, as if the scan had come later.
    pub fn scan<C: Clone>(
        &self,
        filter: &mut dyn Filter,
        content: impl Fn(&TreePath) -> C,
    ) -> Result<Tree<C>, ContextError> {
        scan::scan(self, filter, content)
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: &TreePath) -> Result<File, ContextError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fail = |errno: Errno| match errno {
            Errno::LOOP | Errno::NXIO => ContextError::NotAFile { path: path.clone() },
            errno => ContextError::Read { path: path.clone(), source: errno.into() },
        };
        let fd = self.resolve(path, flags).map_err(fail)?;
        match FileType::from_raw_mode(fstat(&fd).map_err(fail)?.st_mode) {
            FileType::RegularFile => Ok(File::from(fd)),
            _ => Err(ContextError::NotAFile { path: path.clone() }),
        }
    }

    /// Hashes a regular file in constant memory.
    pub fn digest(&self, path: &TreePath) -> Result<FileDigest, ContextError> {
        let mut file = self.open_file(path)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        // Most files are short, and to clear what they do not fill takes time too.
        let length = file.metadata().map_or(LONGEST_PIECE, |file| file.len());
        let length = length.clamp(SHORTEST_PIECE, LONGEST_PIECE);
        let length = usize::try_from(length).expect("128 KiB at the most");
        let mut buffer = vec![0; length];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(FileDigest { sha256: hasher.finalize().into(), size }),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ContextError::Read { path: path.clone(), source }),
            }
        }
    }

    /// Opens what stands at a path, with no symbolic link anywhere on the way.
    pub(crate) fn resolve(&self, path: &TreePath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_root() { b".".as_slice() } else { path.as_bytes() };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                other => return other,
            }
        }
    }
}
