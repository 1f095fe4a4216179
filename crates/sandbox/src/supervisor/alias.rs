//! Short names of programs.

use strata_sys::{Dir, PathError};

/// The most that fit into a name.
const MOST: usize = 1000;

/// Names that lead to programs and are no longer than `/proc/self/exe`: links in a directory of the root that is not
/// part of the image.
#[derive(Debug)]
pub(super) struct Aliases {
    directory: Dir,
    programs: Vec<Vec<u8>>,
}

impl Aliases {
    pub(super) fn new(root: &Dir) -> Result<Self, PathError> {
        Ok(Self { directory: root.dir("dev")?, programs: Vec::new() })
    }

    /// Gives a program a path that leads to it and is no longer than this. It ends in `exe`, as the link that it stands
    /// for does: that is what the kernel calls a process which executes it.
    pub(super) fn path(&mut self, program: &[u8], room: usize) -> Option<Vec<u8>> {
        let known = self.programs.iter().position(|known| known == program);
        let number = known.unwrap_or(self.programs.len());
        let directory = format!(".{number:03}");
        let path = format!("/dev/{directory}/exe").into_bytes();
        if path.len() > room || number >= MOST {
            return None;
        }
        if known.is_none() {
            self.directory.mkdir(&directory, 0o755).ok()?;
            let place = self.directory.dir(&directory).ok()?;
            place.symlink(program, "exe").ok()?;
            self.programs.push(program.to_vec());
        }
        Some(path)
    }
}
