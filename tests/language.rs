//! The language of Dockerfiles, as the real binary means it.

mod agents;
mod archives;
mod caches;
mod copying;
mod elsewhere;
mod git_by_ssh;
mod mounts;
