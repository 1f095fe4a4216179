//! Running images with an OCI runtime: what users do with what was built.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use strata_testkit::Ran;

use crate::requirement::{output, program};

/// Runs the image of a registry as a container with its own command and gives how that ended.
///
/// skopeo pulls, umoci unpacks and writes the runtime's config, and runc starts it, so that nothing of strata takes
/// part. crun stands in where runc is missing.
pub(crate) fn run(reference: &str) -> Result<Ran> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let image = format!("{}/layout:image", directory.path().display());
    let bundle = directory.path().join("bundle");
    output(
        Command::new("skopeo")
            .args(["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{reference}")])
            .arg(format!("oci:{image}")),
    );
    output(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    config["process"]["terminal"] = Value::Bool(false);
    std::fs::write(&path, config.to_string())?;
    let runtime = program("runc").or_else(|| program("crun")).context("there is a runtime")?;
    let name = directory.path().file_name().context("it has a name")?;
    let ran = Command::new(runtime)
        .arg("--root")
        .arg(directory.path().join("state"))
        .args(["run", "--bundle"])
        .arg(&bundle)
        .arg(name.to_string_lossy().replace('.', "strata-test-"))
        .output()?;
    Ok(Ran {
        code: ran.status.code(),
        stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
    })
}
