//! Repositories over ssh. The `ssh` here is a script that logs in nowhere: it writes down what it was asked and what
//! the agent offers, and does the server's part itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strata_testkit::TestEnvironment;

use super::elsewhere::{build, make_repository};
use crate::person::STRATA;
use crate::requirement::{Need, output, require};

/// Puts the script before the real program on `PATH`.
fn with_ssh(environment: TestEnvironment, log: &Path) -> Result<TestEnvironment> {
    let programs = environment.temporary().join("programs");
    std::fs::create_dir(&programs)?;
    let script = format!(
        "#!/bin/sh\n{{ echo \"$*\"; ssh-add -L; }} >> {} 2>&1\nfor last; do :; done\nexec sh -c \"$last\"\n",
        log.display()
    );
    std::fs::write(programs.join("ssh"), script)?;
    std::fs::set_permissions(programs.join("ssh"), PermissionsExt::from_mode(0o755))?;
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    Ok(environment.with_variable("PATH", &path))
}

#[test]
fn repositories_come_over_ssh_with_the_agent() -> Result<()> {
    let needs = ["git", "ssh-add", "ssh-keygen"].map(Need::Program);
    if !require(&needs) {
        return Ok(());
    }
    let environment =
        TestEnvironment::new(STRATA)?.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let log = environment.temporary().join("log");
    let environment = with_ssh(environment, &log)?;
    let key = environment.temporary().join("key");
    output(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f"])
            .arg(&key),
    );
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    let repository = make_repository(&environment.temporary())?;
    let repository = repository.display();
    let ssh = format!("default={}", key.display());
    let asked = |path: &str| -> Result<()> {
        let found = std::fs::read_to_string(&log).context("ssh was asked")?;
        std::fs::remove_file(&log)?;
        // Nobody is there to type a password.
        for part in ["-o BatchMode=yes", "git@host.test", path, public.trim_end()] {
            ensure!(found.contains(part), "{part} is not in {found}");
        }
        Ok(())
    };
    let address = format!("ssh://git@host.test:2222{repository}#trunk:sub");
    environment.write("Dockerfile", format!("FROM scratch\nADD {address} /\n"))?;
    let found = build(&environment, &["--ssh", &ssh, "."])?;
    ensure!(found.contains("run 755 0:0 run"), "{found}");
    asked("-p 2222")?;
    let context = format!("git@host.test:{repository}#trunk:sub");
    let found = build(&environment, &["--ssh", &ssh, &context])?;
    assert_eq!(found, "run 755 0:0 run");
    asked("git-upload-pack")
}

#[test]
fn a_context_over_ssh_comes_with_the_users_agent() -> Result<()> {
    if !require(&["git", "ssh-add", "ssh-agent"].map(Need::Program)) {
        return Ok(());
    }
    let environment =
        TestEnvironment::new(STRATA)?.with_variable("SOURCE_DATE_EPOCH", "1700000000");
    let log = environment.temporary().join("log");
    let socket = environment.temporary().join("agent");
    let environment =
        with_ssh(environment, &log)?.with_variable("SSH_AUTH_SOCK", &socket.display().to_string());
    let repository = make_repository(&environment.temporary())?;
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    while !socket.exists() {
        ensure!(agent.try_wait()?.is_none(), "the agent has ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let context = format!("git@host.test:{}#trunk:sub", repository.display());
    let found = build(&environment, &[&context]);
    agent.kill()?;
    agent.wait()?;
    assert_eq!(found?, "run 755 0:0 run");
    let found = std::fs::read_to_string(&log)?;
    ensure!(found.contains("The agent has no identities."), "{found}");
    Ok(())
}
