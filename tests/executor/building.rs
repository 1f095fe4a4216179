//! What is built, and how it is told.

use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strata_testkit::TestCloud;

use super::Row;
use super::scene::{Scene, ran};
use crate::requirement::{Need, busybox, output, require};

pub(super) const ROWS: &[Row] = &[
    (&["dockerfile"], dockerfile),
    (&["context"], context),
    (&["context-sub-path"], context_sub_path),
    (&["bucket"], bucket),
    (&["git"], git),
    (&["build-arg"], build_arg),
    (&["target"], target),
    (&["secret"], secret),
    (&["custom-platform"], custom_platform),
    (&["dryrun"], dryrun),
    (&["verbosity", "log-format", "log-timestamp"], log),
    (&["kaniko-dir"], kaniko_dir),
];

fn dockerfile(scene: &Scene) -> Result<()> {
    let path = scene.environment.write("deploy/D", "FROM scratch\nLABEL which=second\n")?;
    for file in ["deploy/D", &path.display().to_string()] {
        scene.build(&["-f", file])?;
        ensure!(scene.label("which")? == "second");
    }
    Ok(())
}

fn context(scene: &Scene) -> Result<()> {
    let archive = scene.path("context.tar.gz");
    output(Command::new("tar").args(["-czf", &archive, "-C", &scene.context(), "."]));
    let destination = scene.destination();
    for context in
        [format!("dir://{}", scene.context()), format!("tar://{archive}"), "tar://stdin".into()]
    {
        let mut command = scene.command();
        command.args([
            "-c",
            &context,
            "-d",
            &destination,
            "--build-arg",
            &format!("VERSION={context}"),
        ]);
        if context == "tar://stdin" {
            command.stdin(File::open(&archive)?);
        }
        let built = ran(&mut command)?;
        ensure!(built.code == Some(0), "{context}: {built:#?}");
        ensure!(scene.label("version")? == context);
    }
    Ok(())
}

fn context_sub_path(scene: &Scene) -> Result<()> {
    scene.environment.write("part/Dockerfile", "FROM scratch\nCOPY own /\nLABEL which=part\n")?;
    scene.environment.write("part/own", "")?;
    scene.build(&["--context-sub-path", "part"])?;
    ensure!(scene.label("which")? == "part");
    let said = scene.fail(&["--context-sub-path", ".."])?;
    ensure!(said.contains("`..` is no directory of the context"), "{said}");
    Ok(())
}

/// The store of the test is asked for the file; contexts that are there are elsewhere.
fn bucket(scene: &Scene) -> Result<()> {
    let cloud = TestCloud::start();
    let mut command = scene.command();
    command.args(["-b", "store", "-c", "a/b.tar.gz", "-d", &scene.destination()]);
    let built = ran(command.env("STORAGE_EMULATOR_HOST", cloud.host()))?;
    ensure!(built.code == Some(1), "{built:#?}");
    ensure!(built.stderr.contains("cannot download `gs://store/a/b.tar.gz`"), "{}", built.stderr);
    ensure!(cloud.take_log() == ["GET /store/a/b%2Etar%2Egz 403"], "the store is asked");
    Ok(())
}

/// kaniko's `git://` is a mark: the registry of the test is asked for the repository.
fn git(scene: &Scene) -> Result<()> {
    if !require(&[Need::Program("git")]) {
        return Ok(());
    }
    let destination = scene.destination();
    let address = format!("git://{}/team/app#refs/heads/main", scene.registry.host());
    let mut command = scene.command();
    command.args(["-c", &address, "-d", &destination]).env("GIT_PULL_METHOD", "http");
    ensure!(ran(&mut command)?.code == Some(1));
    let log = scene.registry.take_log().join("\n");
    ensure!(log.contains("/team/app.git/info/refs"), "{log}");
    let said = scene.fail(&["--git", "branch=main,depth=1", "--git", "colour=red"])?;
    ensure!(said.contains("`--git colour=red`: `colour` is not known"), "{said}");
    Ok(())
}

fn build_arg(scene: &Scene) -> Result<()> {
    scene.build(&["--build-arg", "VERSION=one two"])?;
    ensure!(scene.label("version")? == "one two");
    scene.build_with(&[("VERSION", "three")], &["--build-arg=VERSION"])?;
    ensure!(scene.label("version")? == "three");
    Ok(())
}

fn target(scene: &Scene) -> Result<()> {
    let two = "FROM scratch AS a\nLABEL which=a\nFROM scratch AS b\nCOPY data /b\nFROM a\nLABEL which=c\n";
    scene.environment.write("two", two)?;
    let said = scene.build(&["--dockerfile=two", "--target", "a,b"])?.stderr;
    ensure!(scene.label("which")? == "a");
    ensure!(said.contains("COPY data /b"), "{said}");
    let said = scene.fail(&["--dockerfile=two", "--target", "a,d"])?;
    ensure!(said.contains("no stage is called `d`"), "{said}");
    Ok(())
}

fn secret(scene: &Scene) -> Result<()> {
    if !require(&[Need::StaticBusybox, Need::UserNamespaces]) {
        return Ok(());
    }
    let shell = busybox().context("it was required")?;
    std::fs::copy(shell, scene.environment.context().join("busybox"))?;
    let check =
        "RUN --mount=type=secret,id=token,required test \"$(cat /run/secrets/token)\" = s3cret\n";
    let text = format!(
        "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/cat\nCOPY busybox /bin/test\n{check}"
    );
    scene.environment.write("sealed", text)?;
    scene.environment.write("token", "s3cret")?;
    let file = format!("id=token,src={}/token", scene.context());
    scene.build(&["-f", "sealed", "--secret", &file])?;
    scene.build_with(&[("TOKEN", "s3cret")], &["-f", "sealed", "--secret=id=token,env=TOKEN"])?;
    scene.fail(&["-f", "sealed"])?;
    // The code is that of the command, as for kaniko.
    scene.environment.write("token", "other")?;
    scene.environment.write("odd", "FROM scratch\nCOPY busybox /bin/sh\nRUN exit 42\n")?;
    for (file, code) in [("sealed", 1), ("odd", 42)] {
        let mut command = scene.command();
        command.args(scene.usual()).args(["-f", file, "--secret=id=token,src=token"]);
        let built = ran(&mut command)?;
        ensure!(built.code == Some(code), "{built:#?}");
    }
    Ok(())
}

fn custom_platform(scene: &Scene) -> Result<()> {
    for option in ["--custom-platform", "--customPlatform"] {
        scene.build(&[option, "linux/arm64"])?;
        ensure!(scene.config()?["architecture"] == "arm64", "{option}");
        scene.build(&[])?;
        ensure!(scene.config()?["architecture"] != "arm64", "{option}");
    }
    Ok(())
}

fn dryrun(scene: &Scene) -> Result<()> {
    for (variables, arguments) in
        [(&[][..], &["--dryrun"][..]), (&[("KANIKO_PRINT_PLAN", "true")], &[])]
    {
        let plan = scene.build_with(variables, arguments)?.stdout;
        ensure!(plan.contains("COPY data /data"), "{plan}");
    }
    ensure!(scene.registry.take_log().is_empty());
    Ok(())
}

fn log(scene: &Scene) -> Result<()> {
    let said = scene.build(&["--verbosity=debug"])?.stderr;
    ensure!(said.contains("DEBUG strata_"), "{said}");
    let silent = scene.build(&["-v", "error"])?;
    ensure!(
        (silent.stderr.as_str(), silent.stdout.trim()) == ("", &*scene.digest()?),
        "{silent:#?}"
    );
    ensure!(scene.build(&["--log-format=color"])?.stderr.contains("\x1b["));
    ensure!(!scene.build(&["--log-format", "text"])?.stderr.contains("\x1b["));
    let events = scene.build(&["--log-format=json"])?.stdout;
    for line in events.lines() {
        serde_json::from_str::<serde_json::Value>(line)?;
    }
    ensure!(events.contains("\"event\":\"finished\""), "{events}");
    let stamped = scene.build(&["--log-timestamp"])?.stderr;
    let has_time = |line: &str| line.len() > 20 && line.as_bytes()[10] == b'T';
    ensure!(stamped.lines().all(has_time), "{stamped}");
    Ok(())
}

fn kaniko_dir(scene: &Scene) -> Result<()> {
    let (option, variable) = (scene.path("option"), scene.path("variable"));
    scene.build(&["--kaniko-dir", &option])?;
    scene.build_with(&[("KANIKO_DIR", &variable)], &[])?;
    for directory in [option, variable] {
        ensure!(std::path::Path::new(&directory).join("store").is_dir(), "{directory}");
    }
    Ok(())
}
