//! What happens during a build, as facts. Whoever shows a build folds over these; nothing else talks.

use serde::{Deserialize, Serialize};
use strata_oci::{DiffId, Digest};

/// The version of the event schema; it grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// One step of the plan, counted over the whole plan in the order in which it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNumber(pub u32);

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
}

/// What is done with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// Fetched from a registry.
    Download,
    /// Unpacked into a directory.
    Unpack,
    /// Read once to learn what is inside.
    Index,
    /// Sent to a registry.
    Upload,
    /// Made visible in a repository without sending it.
    Mount,
    /// Found at its destination.
    AlreadyThere,
}

/// A step as the plan announces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its number.
    pub number: StepNumber,
    /// The stage it belongs to: its name, or its position as text.
    pub stage: String,
    /// Its place among the steps of its stage, from 1.
    pub position: u32,
    /// How many steps its stage has.
    pub of: u32,
    /// The instruction with its variables expanded.
    pub text: String,
    /// The line of the Dockerfile it begins on, from 1.
    pub line: u32,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is complete: these steps will be looked up or run.
    Planned {
        /// [`SCHEMA`].
        schema: u32,
        /// All steps of all stages that the result needs.
        steps: Vec<PlannedStep>,
    },
    /// A base image is known by digest.
    Resolved {
        /// As the Dockerfile names it.
        reference: String,
        /// What it stands for now.
        digest: Digest,
    },
    /// A step begins to run.
    StepStarted {
        /// Which.
        step: StepNumber,
    },
    /// A step's result was found; nothing ran.
    StepCached {
        /// Which.
        step: StepNumber,
    },
    /// A step's result was looked for and not found.
    StepMissed {
        /// Which.
        step: StepNumber,
        /// What differs from the entry that came closest, if there was one.
        reason: Option<String>,
    },
    /// A step ended well. Its layer may still be on its way to being sealed.
    StepFinished {
        /// Which.
        step: StepNumber,
        /// Time from its start, in milliseconds.
        milliseconds: u64,
    },
    /// A step ended badly; the build's error says why.
    StepFailed {
        /// Which.
        step: StepNumber,
    },
    /// A command wrote something; not necessarily whole lines.
    Output {
        /// Which step's command.
        step: StepNumber,
        /// Where to.
        stream: OutputStream,
        /// What; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// Bytes of a blob moved.
    Blob {
        /// Which blob.
        digest: Digest,
        /// What is done with it.
        transfer: Transfer,
        /// Bytes so far.
        current: u64,
        /// Bytes in all, if known.
        total: Option<u64>,
    },
    /// Bytes of a layer that is still being written went to a registry.
    LayerUploading {
        /// The step that makes it.
        step: StepNumber,
        /// Bytes so far.
        current: u64,
    },
    /// A layer is complete and stored.
    LayerSealed {
        /// The step that made it.
        step: StepNumber,
        /// The digest of the blob.
        digest: Digest,
        /// The digest of the uncompressed archive.
        diff_id: DiffId,
        /// The size of the blob in bytes.
        size: u64,
        /// The size of the uncompressed archive in bytes.
        uncompressed: u64,
    },
    /// Something that the user should know and that stops nothing.
    Warning {
        /// One line.
        message: String,
        /// The line of the Dockerfile, from 1, if it has one.
        line: Option<u32>,
    },
    /// The image was written somewhere other than a registry.
    Exported {
        /// The kind of output: `oci`, `docker`, `local`, `tar`, `store`.
        kind: String,
        /// Where to.
        destination: String,
    },
    /// A tag in a registry now names the image.
    Pushed {
        /// The full reference.
        reference: String,
        /// The digest of the manifest.
        digest: Digest,
    },
    /// The build is done.
    Finished {
        /// The digest of the manifest (or index).
        digest: Digest,
        /// Time from the start, in milliseconds.
        milliseconds: u64,
    },
}

/// Where events go. Must not block for long: it is called from the threads that do the work.
pub trait Events: Send + Sync + std::fmt::Debug {
    /// Takes one event.
    fn emit(&self, event: Event);
}
