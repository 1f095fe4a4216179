//! Every option of kaniko's executor, and what it comes to here.

use super::option::{Effect, KanikoOption, Takes};

mod cache;
mod input;
mod log;
mod registry;
mod result;
mod snapshot;

use Takes::{Switch, Text};

/// A row; what most rows have not is left out.
const fn row(
    long: &'static str,
    takes: Takes,
    heading: &'static str,
    help: &'static str,
    effect: Effect,
) -> KanikoOption {
    KanikoOption {
        long,
        short: None,
        deprecated: &[],
        variable: None,
        takes,
        heading,
        help,
        effect,
    }
}

/// The table, in the order of `--help`.
pub(crate) const OPTIONS: &[KanikoOption] = &{
    const PARTS: [&[KanikoOption]; 6] = [
        input::OPTIONS,
        result::OPTIONS,
        cache::OPTIONS,
        registry::OPTIONS,
        log::OPTIONS,
        snapshot::OPTIONS,
    ];
    const LENGTH: usize = {
        let (mut length, mut part) = (0, 0);
        while part < PARTS.len() {
            length += PARTS[part].len();
            part += 1;
        }
        length
    };
    let mut all = [input::OPTIONS[0]; LENGTH];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            all[at] = PARTS[part][index];
            (at, index) = (at + 1, index + 1);
        }
        part += 1;
    }
    all
};
