//! What a step does, with every word expanded.

mod chmod;
mod copy;
mod run;

pub use chmod::{Chmod, SymbolicMode};
pub use copy::{Chown, CopyKind, CopyOp, CopySource, GitSource, InlineFile, Principal, UrlSource};
pub use run::{Access, Mount, MountFrom, MountKind, MountOwner, Network, RunOp, Sharing};

use serde::Serialize;

use crate::plan::{ImageId, StageId};
use crate::request::ContextId;

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Nothing to the file system: the change is in the stage's config already.
    Config,
    /// Puts files into the stage.
    Copy(Box<CopyOp>),
    /// Runs a command in the stage.
    Run(Box<RunOp>),
    /// Makes sure that a directory is there.
    Workdir(WorkdirOp),
}

/// A tree that files are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A build context; 0 is the main one.
    Context(ContextId),
    /// What another stage ends with.
    Stage(StageId),
    /// The layers of an image.
    Image(ImageId),
    /// Nothing: an empty tree.
    Scratch,
}

/// WORKDIR with a path other than `/`: makes the directory and its parents where they are missing, mode 0755;
/// what exists keeps its owner and mode. Symbolic links on the way are followed inside the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkdirOp {
    /// Absolute and clean.
    pub path: String,
    /// Who owns what is made: the stage's USER, as `--chown` would read it; root if absent.
    pub owner: Option<Chown>,
}
