//! Dockerfiles in, plans out: the planner with bases that are made up.

#[path = "main/case.rs"]
mod case;
#[path = "main/configs.rs"]
mod configs;
#[path = "main/errors.rs"]
mod errors;
#[path = "main/golden.rs"]
mod golden;
#[path = "main/keys.rs"]
mod keys;
#[path = "main/lint.rs"]
mod lint;
#[path = "main/plans.rs"]
mod plans;
#[path = "main/platforms.rs"]
mod platforms;
#[path = "main/properties.rs"]
mod properties;
#[path = "main/wants.rs"]
mod wants;
