//! Who runs the program: the caller, or an ordinary user with or without subordinate ids.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strata_testkit::{Ran, TestEnvironment};

use crate::requirement::{is_root, output};

pub(crate) const STRATA: &str = env!("CARGO_BIN_EXE_strata");

/// Becomes Debian's `daemon`, which exists everywhere and has nothing, with a range of ids that is granted in a mount
/// namespace of its own: no file of the machine changes. The program comes along by a bind, for the directory it was
/// built in may be closed to others.
const BECOME_ORDINARY: &str = r#"#!/bin/sh
exec unshare --mount sh -ec '
    root=${HOME%/home}
    mount --bind "$root/ids" /etc/subuid
    mount --bind "$root/ids" /etc/subgid
    mount --bind "$root/program" "$root/strata"
    exec setpriv --reuid 1 --regid 1 --clear-groups -- "$root/strata" "$@"
' strata "$@"
"#;

/// Is somebody who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    /// Whoever runs the tests.
    Caller,
    /// Somebody without any rights but a range in `/etc/subuid`; only root can become that.
    Ordinary,
    /// Somebody without even that, for whom all other ids are faked.
    Single,
}

impl Person {
    /// Everybody there is on this machine. An ordinary caller is the ordinary user already.
    pub(crate) fn all() -> &'static [Self] {
        if is_root() { &[Self::Caller, Self::Ordinary] } else { &[Self::Caller] }
    }

    /// The same, with those for whom ids are faked.
    pub(crate) fn all_with_faked_ids() -> &'static [Self] {
        if is_root() { &[Self::Caller, Self::Ordinary, Self::Single] } else { &[Self::Caller] }
    }

    /// Makes an environment in which this person runs the program.
    pub(crate) fn environment(self) -> Result<TestEnvironment> {
        if self == Self::Caller {
            return TestEnvironment::new(STRATA);
        }
        let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("as-ordinary-user");
        let written = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        std::fs::write(written.path(), BECOME_ORDINARY)?;
        std::fs::set_permissions(written.path(), PermissionsExt::from_mode(0o755))?;
        // Not persisted by the handle: an executable that is open for writing cannot be started.
        std::fs::rename(written.into_temp_path().keep()?, &script)?;
        let environment = TestEnvironment::new(script)?;
        let home = environment.home();
        let root = home.parent().context("the home has a parent")?;
        std::fs::set_permissions(root, PermissionsExt::from_mode(0o755))?;
        let ids = match self {
            Self::Caller | Self::Single => "",
            Self::Ordinary => "1:100000:65536\ndaemon:200000:1000\n",
        };
        std::fs::write(root.join("ids"), ids)?;
        std::os::unix::fs::symlink(STRATA, root.join("program"))?;
        std::fs::write(root.join("strata"), "")?;
        for directory in [environment.home(), environment.state(), environment.temporary()] {
            output(Command::new("chown").arg("1:1").arg(directory));
        }
        Ok(environment)
    }
}

/// Runs the program and expects it to succeed.
pub(crate) fn succeed<'a>(
    environment: &TestEnvironment,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Result<Ran> {
    let arguments: Vec<&str> = arguments.into_iter().collect();
    let ran = environment.run(&arguments)?;
    ensure!(ran.code == Some(0), "strata {}: {ran:#?}\n{}", arguments.join(" "), ran.stderr);
    Ok(ran)
}
