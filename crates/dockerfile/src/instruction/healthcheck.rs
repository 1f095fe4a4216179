//! HEALTHCHECK.

use std::time::Duration;

use super::CommandLine;

/// `HEALTHCHECK NONE` or `HEALTHCHECK [options] CMD command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// Takes away the base's check.
    None,
    /// Runs a command from time to time.
    Check {
        /// The command.
        command: CommandLine,
        /// How and when.
        options: HealthcheckOptions,
    },
}

/// The options of a check; an absent or zero one leaves it to the runtime. Durations given are at
/// least a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthcheckOptions {
    /// `--interval`.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`; 0 when absent.
    pub retries: u32,
}
