//! The engine: walk the plan, hit or execute, seal layers, emit events; defines its ports.
//!
//! What it does not do: it plans nothing (that is `plan`), knows no registry and no store (they come in as
//! [`ports`]), prints nothing (it emits [`event`]s).
//!
//! ```text
//! Plan ─► keys of every step ─► look-ups ─► stages that something asks for, at the same time
//!                                             step: hit ─► its layer, nothing unpacked
//!                                                   miss ─► Tree (COPY, WORKDIR) or Workspace (RUN) ─► ChangeSet ─► layer
//! ```
//!
//! Invariants:
//! - a stage without a RUN that has to run never unpacks anything; one with, unpacks once, while the layers still arrive;
//! - a stage is run only if its layers are part of the result or a step that runs takes files from it;
//! - a layer is written in one pass, in constant memory, and every file that goes into it is opened through the
//!   one door of [`contents`];
//! - when [`Builder::build`] returns, no command runs and no scratch file is left.
//!
//! Modules: [`engine`] (a build), [`planning`] (images for the planner), [`early`] (what needs no image to be told),
//! `keys` and `content_key` (recipes filled in), `stage` (one stage), `trees` (what layers show), `materialise` (its directory), `copy_step` and `run` (COPY and RUN as steps),
//! [`copy`] (COPY as a function of trees), `archive` and `spool` (bytes inside archives and layers), `download`,
//! `repository` and [`authorization`] (what ADD takes from elsewhere), [`context`] and [`contents`] (where files come
//! from), [`users`] and [`filter`] (`--chown`, `--exclude`), [`kept_mount`] (cache mounts as archives), `cancelled` (transfers that stop), [`settings`], [`ports`],
//! [`event`], [`error`].

mod archive;
pub mod authorization;
mod blocking;
mod cancelled;
mod content_key;
pub mod contents;
pub mod context;
pub mod copy;
mod copy_step;
mod download;
pub mod early;
pub mod engine;
pub mod error;
pub mod event;
pub mod filter;
mod ignored;
pub mod kept_mount;
mod keys;
mod materialise;
pub mod planning;
pub mod ports;
mod repository;
mod run;
mod sealing;
pub mod settings;
mod single_layer;
mod spool;
mod stage;
mod trees;
pub mod users;

pub use context::{BuildContext, Ignore};
pub use engine::{Builder, Built};
pub use error::{BuildError, Disk, ErrorKind, MissingReason};
pub use planning::{PlanningError, plan};
pub use settings::{Ports, Secret, Settings};
