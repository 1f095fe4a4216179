//! COPY and ADD of local files: what each flag comes to in the image.

use anyhow::{Context, Result};
use strata_testkit::TestEnvironment;

use super::elsewhere::build;
use crate::person::STRATA;

#[test]
fn copy_means_what_it_says() -> Result<()> {
    let environment = TestEnvironment::new(STRATA)?;
    let environment = environment.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    for (path, text) in
        [("hom.txt", "1"), ("home", "2"), ("d/e/f.go", "3"), ("d/g.txt", "4"), ("x/d/h.go", "5")]
    {
        environment.write(path, text)?;
    }
    std::os::unix::fs::symlink("g.txt", environment.context().join("d/link"))?;
    for (instructions, expected) in [
        ("COPY --exclude=*.txt hom* /m/", "m/ 755 0:0\nm/home 644 0:0 2"),
        ("COPY --exclude=home home hom.txt /m/", "m/ 755 0:0\nm/hom.txt 644 0:0 1"),
        ("COPY home /m/n/", "m/ 755 0:0\nm/n/ 755 0:0\nm/n/home 644 0:0 2"),
        ("COPY home /m/n", "m/ 755 0:0\nm/n 644 0:0 2"),
        ("COPY ../../home /", "home 644 0:0 2"),
        ("COPY none* home /m/", "m/ 755 0:0\nm/home 644 0:0 2"),
        ("COPY --link home /m\nCOPY --link hom.txt /m", "m 644 0:0 1"),
        ("COPY --chmod=g+w home /m", "m 664 0:0 2"),
        ("COPY --chown=7:8 home /m/", "m/ 755 7:8\nm/home 644 7:8 2"),
        ("COPY --parents ./x/./d/*.go /p/", "p/ 755 0:0\np/d/ 755 0:0\np/d/h.go 644 0:0 5"),
        ("COPY --parents d/e/**/*.go /", "d/ 755 0:0\nd/e/ 755 0:0\nd/e/f.go 644 0:0 3"),
        ("COPY d/link /m", "m 644 0:0 4"),
        (
            "COPY d /m/",
            "m/ 755 0:0\nm/e/ 755 0:0\nm/e/f.go 644 0:0 3\nm/g.txt 644 0:0 4\nm/link 777 0:0 -> g.txt",
        ),
    ] {
        let from_scratch = format!("FROM scratch\n{instructions}\n");
        environment.write("Dockerfile", from_scratch)?;
        let found = build(&environment, &["."]).with_context(|| instructions.to_owned())?;
        assert_eq!(found.replace("./", ""), expected, "{instructions}");
    }
    Ok(())
}
