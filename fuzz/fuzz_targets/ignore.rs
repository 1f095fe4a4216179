//! Any ignore file is read or refused, and judges any path: a walk says what a single question says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_dockerfile::{IgnoreFile, MatchState};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (file, path) = input;
    let Ok(file) = IgnoreFile::parse(file) else { return };
    let components: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).take(16).collect();
    let mut state = MatchState::default();
    for depth in 1..=components.len() {
        let path = components[..depth].join(&b'/');
        let verdict = file.patterns.matches(&path, &state);
        let alone = file.patterns.matches(&path, &MatchState::default());
        assert_eq!(verdict.excluded, alone.excluded, "{path:?}");
        state = verdict.state;
    }
});
