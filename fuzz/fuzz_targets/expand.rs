//! Any word expands, or says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_dockerfile::{Escape, Expander};

fuzz_target!(|text: &str| {
    let lookup = |name: &str| (name.len() % 2 == 1).then(|| format!("<{name}>"));
    for expander in [
        Expander::new(Escape::Backslash),
        Expander::new(Escape::Backtick),
        Expander::heredoc(),
        Expander::display(Escape::Backslash),
    ] {
        let _ = expander.process_word(text, &lookup);
        let _ = expander.process_words(text, &lookup);
    }
});
