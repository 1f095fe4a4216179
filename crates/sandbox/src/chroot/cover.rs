//! One place of a root that shows something else for a while.

use strata_sys::{Dir, Kind, Metadata, PathError, Root};

/// What a place shows during the run, and where it is kept before and after.
#[derive(Debug)]
pub(super) struct Piece {
    /// The directory it lies in, on the root's own file system.
    pub(super) dir: Dir,
    /// Its name there.
    pub(super) name: Vec<u8>,
    /// Whether it has to be back there after the run.
    pub(super) keep: bool,
}

/// A place whose own entry has been moved away for a [`Piece`].
#[derive(Debug)]
pub(super) struct Cover {
    parent: Dir,
    name: Vec<u8>,
    piece: Piece,
    /// What the piece is, to know it again.
    metadata: Metadata,
    /// Where the place's own entry waits: a directory of its own, and a name in it.
    aside: Dir,
}

/// The name under which a place's own entry waits.
const THEIRS: &str = "theirs";

impl Cover {
    /// Moves what `path` has into `aside`, and the piece to `path`, which must exist and have no links
    /// in it.
    pub(super) fn put(
        root: &Root,
        path: &[u8],
        piece: Piece,
        aside: Dir,
    ) -> Result<Self, PathError> {
        let slash = path.iter().rposition(|&byte| byte == b'/');
        let (parent, name) = match slash {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let (parent, name) = (root.open_dir(parent)?, name.to_vec());
        let metadata = piece.dir.metadata(&piece.name)?;
        let before = parent.metadata(b".")?;
        parent.rename(&name, &aside, THEIRS)?;
        if let Err(error) = piece.dir.rename(&piece.name, &parent, &name) {
            aside.rename(THEIRS, &parent, &name)?;
            parent.set_times(b".", before.accessed, before.modified)?;
            return Err(error);
        }
        parent.set_times(b".", before.accessed, before.modified)?;
        Ok(Self { parent, name, piece, metadata, aside })
    }

    /// Puts everything back. The directory around it keeps the times that the command left it with.
    pub(super) fn take_away(&self) -> Result<(), PathError> {
        // The command may have removed the directory; then there is nothing to go back to.
        let Some(before) = found(self.parent.metadata(b"."))? else {
            return Ok(());
        };
        if let Some(standing) = found(self.parent.metadata(&self.name))? {
            self.remove(&standing)?;
        }
        match self.aside.rename(THEIRS, &self.parent, &self.name) {
            // The directory has been removed while it was empty, as far as the command could see.
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        }
        self.parent.set_times(b".", before.accessed, before.modified)
    }

    fn remove(&self, standing: &Metadata) -> Result<(), PathError> {
        let same = (standing.inode, standing.device) == (self.metadata.inode, self.metadata.device);
        if self.piece.keep && same {
            // An empty directory that somebody put there meanwhile is replaced.
            return self.parent.rename(&self.name, &self.piece.dir, &self.piece.name);
        }
        match standing.kind {
            Kind::Dir => self.parent.remove_all(&self.name),
            _ => self.parent.unlink(&self.name),
        }
    }
}

fn found<T>(result: Result<T, PathError>) -> Result<Option<T>, PathError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
