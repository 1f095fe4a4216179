//! The registry that most people run, and other people's tools to read it with.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::requirement::output;

/// Is a running docker-registry with a storage of its own. It ends when dropped.
#[derive(Debug)]
pub(crate) struct DockerRegistry {
    listening: Listening,
    storage: TempDir,
    /// How many lines of the access log were taken.
    taken: usize,
}

/// Is a server that ends when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

/// What it was asked, in the storage's directory.
const ACCESS_LOG: &str = "access.log";

impl DockerRegistry {
    /// Starts it with nothing inside.
    pub(crate) fn start() -> Result<Self> {
        let storage = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let listening = spawn(storage.path())?;
        Ok(Self { listening, storage, taken: 0 })
    }

    /// Starts it with a Debian root as `debian:minbase`, which strata had no part in making.
    pub(crate) fn start_with_debian() -> Result<Self> {
        Self::start_with(&debian_storage("minbase", "ca-certificates")?)
    }

    /// Starts one that has a Debian root with these packages besides, as `debian:NAME`.
    pub(crate) fn start_with_packages(name: &str, packages: &str) -> Result<Self> {
        Self::start_with(&debian_storage(name, packages)?)
    }

    fn start_with(data: &Path) -> Result<Self> {
        let storage = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        // Blobs are never written to again, so that links are as good as copies.
        output(Command::new("cp").arg("-al").arg(data).arg(storage.path().join("data")));
        let listening = spawn(storage.path())?;
        Ok(Self { listening, storage, taken: 0 })
    }

    /// Spells a reference to something in it.
    pub(crate) fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.listening.address)
    }

    /// Lists the requests since the last call: `METHOD target status`.
    pub(crate) fn take_log(&mut self) -> Result<Vec<String>> {
        const PATIENCE: Duration = Duration::from_secs(10);
        // A line is written after its answer; the line of a later request says that all are there.
        let marker = format!("/v2/marker-{}", self.taken);
        let mut stream = TcpStream::connect(&self.listening.address)?;
        write!(stream, "GET {marker} HTTP/1.1\r\nHost: marker\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.storage.path().join(ACCESS_LOG))?;
            let lines: Vec<String> = text.lines().filter_map(request).collect();
            if lines.iter().any(|line| line.contains(&marker)) {
                let fresh = lines.iter().skip(self.taken);
                let fresh = fresh.filter(|line| !line.contains("/v2/marker-")).cloned().collect();
                self.taken = lines.len();
                return Ok(fresh);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the access log ends early: {lines:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads a line of the access log: `… "GET /v2/ HTTP/1.1" 200 …`.
fn request(line: &str) -> Option<String> {
    let mut parts = line.split('"').skip(1);
    let (request, rest) = (parts.next()?, parts.next()?);
    let (request, _) = request.rsplit_once(' ')?;
    Some(format!("{request} {}", rest.split_whitespace().next()?))
}

fn spawn(directory: &Path) -> Result<Listening> {
    spawn_with(directory, "headers: {}", "")
}

/// Starts it on a free port of loopback. `http` is one more setting of its HTTP side, `more` is whole lines of others.
pub(crate) fn spawn_with(directory: &Path, http: &str, more: &str) -> Result<Listening> {
    let config = directory.join("config.yml");
    let data = directory.join("data");
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '127.0.0.1:0', {http}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n{more}",
        data.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new("docker-registry");
    let access_log = File::create(directory.join(ACCESS_LOG))?;
    command.arg("serve").arg(&config).stdout(access_log).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start docker-registry")?;
    let stderr = child.stderr.take().context("its log is piped")?;
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| {
        let rest = line.split("listening on ").nth(1)?;
        Some(rest.split(['"', ' ', ',']).next()?.to_owned())
    });
    // Its log has to be read on, or it stops when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    let address = address.context("docker-registry does not say where it listens")?;
    Ok(Listening { child, address })
}

/// The storage of a registry that holds a Debian root with some packages; made once for each target directory.
fn debian_storage(name: &str, packages: &str) -> Result<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let storage = directory.join(format!("debian-{name}"));
    let lock = File::create(directory.join(format!("debian-{name}.lock")))?;
    lock.lock()?;
    if !storage.exists() {
        let work = TempDir::new_in(directory)?;
        let archive = work.path().join("root.tar");
        let layout = work.path().join("layout");
        let image = format!("{}:base", layout.display());
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        output(
            Command::new("mmdebstrap")
                .args([
                    "--quiet",
                    "--variant=minbase",
                    &format!("--include={packages}"),
                    "bookworm",
                ])
                .arg(&archive),
        );
        output(Command::new("umoci").args(["init", "--layout"]).arg(&layout));
        output(Command::new("umoci").args(["new", "--image", &image]));
        output(Command::new("umoci").args(["raw", "add-layer", "--image", &image]).arg(&archive));
        output(Command::new("umoci").args(["config", "--image", &image, "--config.env", path]));
        let listening = spawn(work.path())?;
        let pushed = Command::new("skopeo")
            .args(["copy", "--quiet", "--dest-tls-verify=false", &format!("oci:{image}")])
            .arg(format!("docker://{}/debian:{name}", listening.address))
            .output()?;
        drop(listening);
        anyhow::ensure!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        std::fs::rename(work.path().join("data"), &storage)?;
    }
    Ok(storage)
}

/// Reads an image's config, as skopeo sees it. `image` has a transport: `docker://…`, `oci:…`.
pub(crate) fn config(image: &str) -> Result<Value> {
    inspect(image, &["--config"])
}

/// Reads an image's manifest, as it is.
pub(crate) fn manifest(image: &str) -> Result<Value> {
    inspect(image, &["--raw"])
}

fn inspect(image: &str, flags: &[&str]) -> Result<Value> {
    let mut command = Command::new("skopeo");
    command.args(["inspect", "--tls-verify=false"]).args(flags).arg(image);
    let text = output(&mut command);
    serde_json::from_str(&text).with_context(|| format!("skopeo answers `{text}`"))
}

/// The diff ids of an image.
pub(crate) fn diff_ids(image: &str) -> Result<Vec<String>> {
    let config = config(image)?;
    let ids = config["rootfs"]["diff_ids"].as_array().context("a config has diff ids")?;
    Ok(ids.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect())
}
