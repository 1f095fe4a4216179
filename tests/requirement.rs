//! What a test needs of the machine, and what happens where that is missing.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Is something that not every machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A program of this name.
    Program(&'static str),
    /// The caller is uid 0.
    Root,
    /// RUN works: user namespaces can be made.
    UserNamespaces,
    /// A shell without shared libraries, for images FROM scratch.
    StaticBusybox,
    /// Packages can be downloaded.
    Network,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Program(name) => program(name).is_some(),
            Self::Root => is_root(),
            Self::UserNamespaces => succeeds("unshare", &["--user", "--mount", "true"]),
            Self::StaticBusybox => busybox().is_some(),
            Self::Network => {
                package_host().is_some_and(|host| succeeds("getent", &["hosts", &host]))
            }
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Program(name) => format!("the program `{name}`"),
            Self::Root => "uid 0".to_owned(),
            Self::UserNamespaces => "user namespaces".to_owned(),
            Self::StaticBusybox => "a static `busybox`".to_owned(),
            Self::Network => "the network".to_owned(),
        }
    }
}

/// Finds the host that this machine takes packages from.
pub(crate) fn package_host() -> Option<String> {
    let listed = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]).output();
    let listed = String::from_utf8(listed.ok()?.stdout).ok()?;
    let address = listed.lines().next()?.split_once("://")?.1;
    Some(address.split(['/', ':']).next()?.to_owned())
}

/// Tells whether the running test can run here. If not, says so past the capture of its output, or fails where
/// `STRATA_TEST_NO_SKIP` forbids it: a gate that skips silently holds nothing.
pub(crate) fn require(needs: &[Need]) -> bool {
    let Some(missing) = needs.iter().find(|need| !need.is_met()) else { return true };
    let thread = std::thread::current();
    let message =
        format!("skipped: {}: needs {}", thread.name().unwrap_or("a test"), missing.describe());
    assert!(std::env::var_os("STRATA_TEST_NO_SKIP").is_none(), "{message}");
    writeln!(std::io::stderr(), "{message}").expect("standard error can be written");
    false
}

/// Finds a program.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|path| path.join(name)).find(|path| path.is_file())
}

/// Finds a busybox that starts in an image with nothing else.
pub(crate) fn busybox() -> Option<PathBuf> {
    let path = program("busybox")?;
    let listed = Command::new("ldd").arg(&path).output().ok()?;
    (!listed.status.success()).then_some(path)
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What a list of strings is compared with that should be empty.
pub(crate) const NOTHING: [String; 0] = [];

/// Gives bytes that do not compress: Marsaglia's xorshift.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed + 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// Runs another program to its end and gives its output; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
