//! Configs as they come out of Dockerfiles, field by field: `testdata/configs/NAME.Dockerfile` gives
//! `NAME.json`, on a base that is `base.config.json`.
//!
//! `STRATA_BLESS=1 cargo test -p strata-plan golden` writes the results anew; read them before they are kept.

use std::path::{Path, PathBuf};

use strata_oci::ImageConfig;

use crate::case::Case;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/configs")
}

#[test]
fn configs_are_those_of_the_reference() {
    let base = std::fs::read(directory().join("base.config.json")).expect("there is a base");
    let base: ImageConfig = serde_json::from_slice(&base).expect("the base is a config");
    let mut names: Vec<PathBuf> = std::fs::read_dir(directory())
        .expect("there are cases")
        .map(|entry| entry.expect("can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "Dockerfile"))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    for path in names {
        let text = std::fs::read_to_string(&path).expect("is text");
        let config = Case::new(&text).base("base", |config| *config = base.clone()).stage().config;
        let mut found = serde_json::to_string_pretty(&config).expect("a config is JSON");
        found.push('\n');
        let expected = path.with_extension("json");
        if std::env::var_os("STRATA_BLESS").is_some() {
            std::fs::write(&expected, &found).expect("can be written");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        assert!(found == expected, "{}: found\n{found}", path.display());
    }
}
