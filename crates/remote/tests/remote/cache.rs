//! Caches elsewhere: builds by the real engine in jobs that begin with nothing, against a registry that counts.

#[path = "cache/budgets.rs"]
mod budgets;
#[path = "cache/faults.rs"]
mod faults;
#[path = "cache/job.rs"]
mod job;
#[path = "cache/mounts.rs"]
mod mounts;
#[path = "cache/places.rs"]
mod places;
#[path = "cache/sharing.rs"]
mod sharing;
