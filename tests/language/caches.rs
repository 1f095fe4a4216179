//! Directories that RUN keeps between builds.

use anyhow::{Context, Result};
use strata_testkit::TestEnvironment;

use super::elsewhere::build;
use crate::person::STRATA;
use crate::requirement::{Need, busybox, require};

#[test]
fn cache_begins_with_files_of_elsewhere() -> Result<()> {
    if !require(&[Need::UserNamespaces, Need::StaticBusybox]) {
        return Ok(());
    }
    let environment = TestEnvironment::new(STRATA)?;
    let environment = environment.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let shell = environment.context().join("sh");
    std::fs::copy(busybox().context("there is one")?, shell)?;
    let dockerfile = |command: &str| {
        format!(
            "FROM scratch AS seed\nCOPY <<f /d/\nseed\nf\nFROM scratch\nCOPY sh /bin/sh\n\
             RUN --mount=type=cache,target=/c,from=seed,source=/d {command}\n"
        )
    };
    let only_out = |files: String| {
        let lines = files.lines().filter(|line| line.contains("out")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    environment.write("Dockerfile", dockerfile("read a < /c/f; echo $a > /out; echo b > /c/f"))?;
    assert_eq!(only_out(build(&environment, &["."])?.replace("./", "")), ["out 644 0:0 seed"]);
    // What is in it later is what commands left there.
    environment.write("Dockerfile", dockerfile("read a < /c/f; echo $a > /out"))?;
    assert_eq!(only_out(build(&environment, &["."])?.replace("./", "")), ["out 644 0:0 b"]);
    Ok(())
}
