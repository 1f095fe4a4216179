//! Turns syntax, arguments and base configs into a graph of stages and steps, what each needs, and key recipes.
//!
//! What it does not do: it reads no file, no environment, no clock and no registry. What it has to know of
//! base images it asks for as values ([`Planner::advance`]), and contents of files enter keys through holes
//! that the engine fills ([`RecipeTemplate::fill`]).
//!
//! Invariants:
//! - The plan that is shown is the plan that is run. Whatever this stage of the project does not execute is
//!   refused here, with the place that asks for it; the refusals are the table in `unsupported`.
//! - A stage comes after every stage it depends on; only stages the target reaches are in a plan, and only
//!   their bases are asked for.
//! - All findings are returned, not the first.
//! - What must not change a key (display texts, spans, proxies, hosts) is not in a recipe.
//!
//! Map: [`request`] what is asked; [`Planner`] the conversation; [`plan`] its result, [`op`] what steps do;
//! [`recipe`] what keys are made of; [`outline`] what a Dockerfile offers; [`error`] what can be wrong. How a Dockerfile is evaluated, in this order:
//! `global` variables, `head` the FROMs and what names mean, `reach` what the target needs, `check` literals,
//! `evaluate` instructions to steps; with `scope` variables of a stage, `findings` what is wrong so far, `value`
//! readers of single values. `merge` makes one plan of several platforms'; `unsupported` what is refused; `wants` what has to be there; `text` how a plan is shown.

mod check;
pub mod error;
mod evaluate;
mod findings;
mod global;
mod head;
mod merge;
pub mod op;
pub mod outline;
pub mod plan;
mod planner;
mod reach;
pub mod recipe;
pub mod request;
mod scope;
mod text;
mod unsupported;
mod value;
mod wants;

pub use error::{PlanError, PlanErrorKind, PlanErrors};
pub use op::{
    Access, Chmod, Chown, CopyKind, CopyOp, CopySource, GitSource, InlineFile, Mount, MountFrom,
    MountKind, MountOwner, Network, Op, Origin, Principal, RunOp, Sharing, SymbolicMode, UrlSource,
    WorkdirOp,
};
pub use plan::{
    Base, HistoryRow, ImageId, Need, Plan, PlannedImage, Stage, StageId, Step, StepPosition,
};
pub use planner::{Planner, Progress};
pub use recipe::{Recipe, RecipeTemplate, StepKey};
pub use request::{BaseImage, BaseRequest, ContextId, ImageSource, NamedContext, Request};
pub use wants::{Want, WantKind, wants};
