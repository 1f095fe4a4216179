//! Contexts that are archives, however they are compressed and wherever they come from.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use strata_testkit::TestEnvironment;

use crate::person::STRATA;
use crate::requirement::{Need, require};

fn archive() -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", "FROM scratch\nCOPY f /\n"), ("f", "content")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}

#[test]
fn archives_of_every_compression_are_contexts() -> Result<()> {
    let programs = [None, Some("gzip"), Some("zstd"), Some("xz"), Some("bzip2")];
    let needs: Vec<Need> = programs.iter().flatten().copied().map(Need::Program).collect();
    if !require(&needs) {
        return Ok(());
    }
    let environment = TestEnvironment::new(STRATA)?;
    let plain = environment.write("plain.tar", archive()?)?;
    for program in programs {
        let name = program.unwrap_or("plain");
        let path = environment.temporary().join(name);
        match program {
            Some(program) => {
                let packing = Command::new(program)
                    .arg("-c")
                    .stdin(File::open(&plain)?)
                    .stdout(File::create(&path)?)
                    .status()?;
                ensure!(packing.success(), "{program}");
            }
            None => _ = std::fs::copy(&plain, &path)?,
        }
        for piped in [false, true] {
            let out = tempfile::tempdir_in(environment.temporary())?;
            let output = format!("--output=type=local,dest={}", out.path().display());
            let mut command = environment.command();
            command.args(["build", "-q", &output]);
            if piped {
                command.arg("-").stdin(File::open(&path)?);
            } else {
                command.arg(&path).stdin(Stdio::null());
            }
            let ran = command.output()?;
            let said = String::from_utf8_lossy(&ran.stderr);
            ensure!(ran.status.success(), "{name}, piped: {piped}: {said}");
            let found = std::fs::read_to_string(out.path().join("f"))?;
            assert_eq!(found, "content", "{name}, piped: {piped}");
        }
    }
    Ok(())
}
