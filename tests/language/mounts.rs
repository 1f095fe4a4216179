//! What RUN sees through its mounts, and that nothing of it stays in the image.

use anyhow::{Context, Result};
use strata_testkit::TestEnvironment;

use super::elsewhere::build;
use crate::person::STRATA;
use crate::requirement::{Need, busybox, require};

/// Lines about what commands wrote to `/out`, for a stage that has a shell and `busybox`.
fn written(environment: &TestEnvironment, instructions: &str, more: &[&str]) -> Result<String> {
    let busybox_program = busybox().context("there is one")?;
    for name in ["sh", "busybox"] {
        std::fs::copy(&busybox_program, environment.context().join(name))?;
    }
    let dockerfile = format!(
        "FROM scratch AS other\nCOPY <<g /d/\nof a stage\ng\nFROM scratch AS made\nCOPY sh busybox /bin/\nCOPY <<f /out/\nf\n{instructions}\n\
         FROM scratch\nCOPY --from=made / /\n"
    );
    environment.write("Dockerfile", dockerfile)?;
    let found = build(environment, &[more, &["."]].concat())
        .with_context(|| instructions.to_owned())?
        .replace("./", "");
    let is_base =
        |line: &str| ["bin/", "out/ ", "out/f "].iter().any(|base| line.starts_with(base));
    Ok(found.lines().filter(|line| !is_base(line)).collect::<Vec<_>>().join("\n"))
}

#[test]
fn mounts_show_what_they_say_and_leave_nothing() -> Result<()> {
    if !require(&[Need::UserNamespaces, Need::StaticBusybox]) {
        return Ok(());
    }
    let environment = TestEnvironment::new(STRATA)?;
    let environment = environment.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    environment.write("d/file", "of the context")?;
    let secret = environment.write("secret", "hidden")?;
    let secret = format!("id=s,src={}", secret.display());
    for (instructions, expected) in [
        (
            "RUN --mount=type=tmpfs,target=/t,size=2m echo x > /t/x && \
             while read device place kind options; do case \"$place $options\" in \
             \"/t \"*size=2048k*) echo $kind;; esac; done < /proc/mounts > /out/said\n\
             RUN [ ! -e /t/x ]",
            "out/said 644 0:0 tmpfs",
        ),
        (
            "RUN --mount=type=tmpfs,target=/out/t busybox stat -c %a /out/t > /out/said",
            "out/said 644 0:0 1777",
        ),
        (
            "RUN --mount=type=bind,source=d,target=/b read a < /b/file; echo $a > /out/said; \
             ! busybox touch /b/new",
            "out/said 644 0:0 of the context",
        ),
        (
            "RUN --mount=source=d,target=/b,rw : > /b/new && echo yes > /out/said\n\
             RUN --mount=source=d,target=/b [ ! -e /b/new ]",
            "out/said 644 0:0 yes",
        ),
        (
            "RUN --mount=type=bind,from=other,target=/b,source=/d/g read a < /b; echo $a > /out/said",
            "out/said 644 0:0 of a stage",
        ),
        (
            "RUN --mount=type=secret,id=s busybox stat -c %a:%u:%g /run/secrets/s > /out/said && \
             read a < /run/secrets/s; [ $a = hidden ]\n\
             RUN [ ! -e /run/secrets/s ]",
            "out/said 644 0:0 400:0:0",
        ),
        (
            "RUN --mount=type=secret,id=s,target=/a/b,mode=0640,uid=3,gid=4 \
             busybox stat -c %a:%u:%g /a/b > /out/said",
            "out/said 644 0:0 640:3:4",
        ),
        (
            "RUN --mount=type=secret,id=s,env=TOLD [ $TOLD = hidden ] && [ ! -e /run/secrets/s ] && \
             echo yes > /out/said",
            "out/said 644 0:0 yes",
        ),
        (
            "RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ] && echo yes > /out/said",
            "out/said 644 0:0 yes",
        ),
    ] {
        let found = written(&environment, instructions, &["--secret", &secret])?;
        assert_eq!(found, expected, "{instructions}");
    }
    Ok(())
}

#[test]
fn shell_runs_what_follows_it() -> Result<()> {
    if !require(&[Need::UserNamespaces, Need::StaticBusybox]) {
        return Ok(());
    }
    let environment = TestEnvironment::new(STRATA)?;
    let environment = environment.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let instructions = "SHELL [\"/bin/busybox\", \"sh\", \"-uc\"]\n\
        RUN case $- in *u*) echo $- > /out/said;; esac\n\
        RUN [\"/bin/sh\", \"-c\", \"case $- in *u*) : > /out/wrong;; esac\"]";
    let found = written(&environment, instructions, &[])?;
    assert_eq!(found, "out/said 644 0:0 uc");
    Ok(())
}
