//! A root with a shell, and a way to run something in it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};

use strata_sandbox::enter::{Entry, Mode, Processes};
use strata_sandbox::{
    Cancel, Chroot, Command, Exit, Isolation, Mount, Namespaces, Network, Outcome, RunError,
    Stream, User,
};

const BUSYBOX: &str = "/bin/busybox";

/// The argument of a builder that is to be killed.
pub(crate) const VICTIM: &str = "--victim";

pub(crate) fn has_busybox() -> bool {
    Path::new(BUSYBOX).exists()
}

pub(crate) struct Fixture {
    /// What the builder entered; in a changed root all ids are there, as in the first.
    pub(crate) entry: Entry,
    isolation: Box<dyn Isolation>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

/// What a command did, with its outputs whole.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) result: Result<Outcome, RunError>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn exit(&self) -> Exit {
        match &self.result {
            Ok(outcome) => outcome.exit,
            Err(error) => panic!("{error:?} ({})", self.stderr),
        }
    }
}

impl Fixture {
    pub(crate) fn new(entry: Entry) -> Self {
        Self::with(entry, Box::new(Namespaces::new(entry).unwrap()))
    }

    pub(crate) fn in_changed_root() -> Self {
        let entry = Entry { mode: Mode::Identity, processes: Processes::Shared };
        Self::with(entry, Box::new(Chroot::new().unwrap()))
    }

    /// In a root of an ordinary user, who is allowed nothing.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn translated() -> Self {
        let entry = Entry { mode: Mode::Single, processes: Processes::Shared };
        Self::with(entry, Box::new(strata_sandbox::Translated::new().unwrap()))
    }

    fn with(entry: Entry, isolation: Box<dyn Isolation>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
        let applets = [
            "sh", "cat", "echo", "env", "id", "ls", "sleep", "pwd", "hostname", "ip", "stat",
            "grep", "touch", "readlink", "kill", "mkdir", "rm", "chown", "mount", "head", "wc",
            "true", "tty", "setsid", "nc", "ln", "dd", "rmdir", "su", "mv", "mkfifo", "mknod",
            "chmod",
        ];
        for applet in applets {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        Self { entry, isolation, directory, root }
    }

    pub(crate) fn isolation(&self) -> &dyn Isolation {
        self.isolation.as_ref()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        Command {
            root: self.root.clone(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: vec![("PATH".into(), "/bin".into())],
            working_directory: b"/".to_vec(),
            user: User::default(),
            hostname: "box".into(),
            network: Network::Host,
            mounts: Vec::new(),
            extra_hosts: Vec::new(),
            resolver_configuration: Some(b"nameserver 192.0.2.1\n".to_vec()),
            ulimits: Vec::new(),
            shm_size: strata_sandbox::command::DEFAULT_SHM_SIZE,
            owners: None,
        }
    }

    pub(crate) fn script(&self, script: &str) -> Command {
        self.command(&["sh", "-c", script])
    }

    pub(crate) fn run(&self, command: &Command) -> Done {
        self.run_until(command, &Cancel::new().unwrap())
    }

    pub(crate) fn run_until(&self, command: &Command, cancel: &Cancel) -> Done {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let result = self.isolation.run(command, cancel, &mut |stream, bytes| match stream {
            Stream::Stdout => stdout.extend_from_slice(bytes),
            Stream::Stderr => stderr.extend_from_slice(bytes),
        });
        Done {
            result,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs a script that must succeed, and gives what it printed.
    pub(crate) fn stdout(&self, script: &str) -> String {
        let done = self.run(&self.script(script));
        assert_eq!((done.exit(), done.stderr.as_str()), (Exit::Code(0), ""), "{script}");
        done.stdout
    }

    /// A fifo of the host with its mount in the command. It reads as ended exactly when no process
    /// that opened it for writing is left: how a test sees that they are gone.
    pub(crate) fn fifo(&self) -> (PathBuf, Mount) {
        let path = self.directory.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let mount =
            Mount::Bind { source: path.clone(), target: b"/run/fifo".to_vec(), read_only: false };
        (path, mount)
    }

    /// Every path in the root with mode, size and modification time.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, u32, u64, std::time::SystemTime)> {
        let mut found = Vec::new();
        let mut left = vec![self.root.clone()];
        while let Some(path) = left.pop() {
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let mode = metadata.permissions().mode();
            found.push((path, mode, metadata.len(), metadata.modified().unwrap()));
        }
        found.sort();
        found
    }

    /// Starts a builder of its own that runs a script in this root.
    pub(crate) fn victim(&self, script: &str) -> Child {
        let name = std::env::args_os().next().unwrap();
        std::process::Command::new("/proc/self/exe")
            .arg0(name)
            .arg(VICTIM)
            .arg(self.directory.path())
            .arg(script)
            // What it leaves when it is killed goes with this fixture.
            .env("TMPDIR", self.directory.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// Runs a script with the fifo of another process's fixture, and waits to be killed.
pub(crate) fn be_the_victim(entry: Entry) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(2).collect();
    let own = Fixture::new(entry);
    let directory = Path::new(&arguments[0]);
    let mut command = own.script(arguments[1].to_str().unwrap());
    command.root = directory.join("root");
    command.mounts.push(Mount::Bind {
        source: directory.join("fifo"),
        target: b"/run/fifo".to_vec(),
        read_only: false,
    });
    let done = own.run(&command);
    panic!("the victim was not killed: {done:?}");
}

/// Reads until the first line is there.
pub(crate) fn line(file: &mut File) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while !line.ends_with('\n') && file.read(&mut byte).unwrap() == 1 {
        line.push(byte[0].into());
    }
    line
}
