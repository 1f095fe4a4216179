//! The same against other people's programs, where they are installed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strata_build::event::{Event, Transfer};
use strata_remote::{Destination, Output};

use crate::{World, registry_with_base};

fn installed(program: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&directories).map(|path| path.join(program));
    programs.find(|program| program.is_file())
}

fn skip(test: &str, feature: &str) {
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    {
        eprintln!("skipped: {test}: needs {feature}");
    }
}

struct Running {
    child: Child,
    address: String,
    _storage: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

fn start(program: &Path) -> Running {
    let storage = tempfile::tempdir().unwrap();
    let config = storage.path().join("config.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n",
        storage.path().join("data").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(program)
        .arg("serve")
        .arg(&config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.by_ref().find_map(|line| {
        let rest = line.split("listening on ").nth(1)?.to_owned();
        Some(rest.split(['"', ' ', ',']).next()?.to_owned())
    });
    // Its log has to be read on, or it stops when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, address: address.unwrap(), _storage: storage }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_registry_takes_pushes_and_mounts() {
    let Some(program) = installed("docker-registry") else {
        return skip("the_usual_registry_takes_pushes_and_mounts", "docker-registry");
    };
    let running = start(&program);
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let pushed = format!("{}/app:1", running.address);
    world.publish(&image, &Output::Registry, &[&pushed]).await.unwrap();
    // Built on what was pushed: its layers are mounted.
    let other = World::new();
    let mut image = other.image(&pushed).await;
    image.config.author = "somebody".to_owned();
    let (one, two) =
        (format!("{}/other:1", running.address), format!("{}/other:2", running.address));
    let published = other.publish(&image, &Output::Registry, &[&one, &two]).await.unwrap();
    let mounts = other
        .events
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|event| matches!(event, Event::Blob { transfer: Transfer::Mount, .. }))
        .count();
    assert_eq!(mounts, 2);
    for name in [one, two] {
        let seen = World::new().resolve(&name).await.unwrap();
        assert_eq!(seen.manifest.digest, published.descriptor.digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_reads_what_is_written() {
    let Some(skopeo) = installed("skopeo") else {
        return skip("skopeo_reads_what_is_written", "skopeo");
    };
    let (_registry, reference) = registry_with_base();
    let world = World::new();
    let image = world.image(&reference).await;
    let path = |name: &str| world.path(name);
    let file = |name: &str| Destination::File(path(name));
    let table = [
        (Output::OciLayout(path("layout")), format!("oci:{}:1", path("layout").display())),
        (Output::OciArchive(file("o.tar")), format!("oci-archive:{}", path("o.tar").display())),
        (
            Output::DockerArchive(file("d.tar")),
            format!("docker-archive:{}", path("d.tar").display()),
        ),
    ];
    for (number, (output, location)) in table.into_iter().enumerate() {
        world.publish(&image, &output, &["app:1"]).await.unwrap();
        // A copy reads and checks every blob.
        let copy = format!("dir:{}", path(&format!("copy{number}")).display());
        let ran = Command::new(&skopeo)
            .args(["--insecure-policy", "copy", "-q", &location, &copy])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{location}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}
