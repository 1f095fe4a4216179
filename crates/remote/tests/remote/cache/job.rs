//! One CI job after the other. Commands are made up; everything else is real.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strata_build::event::{Event, Events};
use strata_build::{BuildContext, Builder, Ports, Settings, plan};
use strata_context::{Context, Git};
use strata_dockerfile::{Source, parse};
use strata_layer::EncodeOptions;
use strata_oci::{Image, MediaTypes, Platform, Timestamp};
use strata_plan::{ContextId, Request};
use strata_remote::{
    CachePlace, CacheSource, CacheTarget, Caches, ClientDownloads, Export, Extent, Output,
    StoreBlobs,
};
use strata_rootfs::WalkSnapshotter;
use strata_sandbox::{Cancel, Command, Exit, Isolation, Outcome, RunError, Stream};
use strata_testkit::{TestImage, TestRegistry};
use tempfile::TempDir;

use crate::{World, client, parse as reference};

/// A registry with a base image, and the checkout that jobs build.
pub(crate) struct Project {
    pub(crate) registry: TestRegistry,
    checkout: TempDir,
}

/// What a job is told to do.
#[derive(Default)]
pub(crate) struct Job {
    pub(crate) from: Vec<CacheSource>,
    pub(crate) to: Vec<CacheTarget>,
    pub(crate) inline: bool,
    pub(crate) push: Option<String>,
    /// Days since the first job.
    pub(crate) day: i64,
    pub(crate) age_limit: Option<Duration>,
    /// The machine's architecture, if it is not amd64.
    pub(crate) architecture: Option<&'static str>,
    /// How many threads compress.
    pub(crate) threads: Option<usize>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) image: Image,
    /// The commands that ran.
    pub(crate) ran: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) reasons: Vec<String>,
    /// What the registry was asked.
    pub(crate) log: Vec<String>,
}

/// A command writes its text up to a `#` into `/made`. With a cache mount it says what stood in its `log` and with
/// which mode, and adds its name; `big` also leaves three megabytes there.
#[derive(Debug)]
struct Scripted(Arc<Mutex<Vec<String>>>);

impl Isolation for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn run(
        &self,
        command: &Command,
        _: &Cancel,
        _: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError> {
        let text = command.arguments.last().unwrap().to_string_lossy().into_owned();
        let made = text.split('#').next().unwrap_or_default();
        std::fs::write(command.root.join("made"), made).unwrap();
        let mut told = text.clone();
        for mount in &command.mounts {
            if let strata_sandbox::Mount::Bind { source, read_only: false, .. } = mount {
                let log = source.join("log");
                let before = std::fs::read_to_string(&log).unwrap_or_default();
                let mode = std::fs::metadata(&log).map_or(0, |found| found.permissions().mode());
                told = format!("{text}: {before}{:o}", mode & 0o7777);
                std::fs::write(&log, format!("{before}{text} ")).unwrap();
                std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o640)).unwrap();
                if text == "big" {
                    std::fs::write(source.join("noise"), noise(3 << 20)).unwrap();
                }
            }
        }
        self.0.lock().unwrap().push(told);
        Ok(Outcome { exit: Exit::Code(0), mount_points: Vec::new(), owners: None })
    }
}

/// Bytes without a pattern.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

impl Project {
    pub(crate) fn new() -> Self {
        let registry = TestRegistry::start();
        let base = TestImage::new().layer(
            "/app/ 0755 0:0
             /etc/ 0755 0:0
             /etc/passwd 0644 0:0 file \"www:x:33:33:::\\n\"",
        );
        registry.add_image("base", "1", &base.build());
        Self { registry, checkout: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.checkout.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.checkout.path().join("context").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The digests of the base's layers, as the log shortens them.
    pub(crate) fn base_layers(&self) -> Vec<String> {
        let (_, bytes) = self.registry.manifest("base", "1").unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["digest"].as_str().unwrap()[..15].to_owned()).collect()
    }

    pub(crate) fn source(&self, name: &str) -> CacheSource {
        CacheSource::Registry(reference(&self.registry.reference(name)))
    }

    pub(crate) fn target(&self, name: &str) -> CacheTarget {
        let reference = reference(&self.registry.reference(name));
        let place = match reference.tag() {
            Some(_) => CachePlace::Registry(reference),
            None => CachePlace::Tags(reference.repository().clone()),
        };
        CacheTarget { extent: Extent::Everything, ..CacheTarget::new(place) }
    }

    /// A job that reads and writes one cache and pushes.
    pub(crate) fn job(&self) -> Job {
        Job {
            from: vec![self.source("app/cache:main")],
            to: vec![self.target("app/cache:main")],
            push: Some(self.registry.reference("app:1")),
            ..Job::default()
        }
    }

    /// Does a job as `strata build` does it, with no local state.
    pub(crate) async fn run(&self, text: &str, job: Job) -> Done {
        let world = World::new();
        std::fs::create_dir_all(self.path("context")).unwrap();
        for name in ["snapshots", "mounts"] {
            std::fs::create_dir(world.path(name)).unwrap();
        }
        let events: Arc<dyn Events> = world.events.clone();
        let text = text.replace("BASE", &self.registry.reference("base:1"));
        let source = Source::new(0, "Dockerfile", &text);
        let dockerfile = parse(&source).unwrap();
        let platform = Platform::new("linux", job.architecture.unwrap_or("amd64"));
        let request = Request::new(source, dockerfile, platform.clone());
        let plan = Arc::new(plan(request, world.images(), &BTreeMap::new()).await.unwrap());
        let context = Context::open(&self.path("context")).unwrap();
        let context = BuildContext::scan(0, context, None).unwrap();
        let now = Timestamp::from_unix(1_700_000_000 + job.day * 86_400, 0).unwrap();
        let caches = Caches {
            client: client(),
            images: world.images().clone(),
            local: world.publisher.local.clone(),
            events: Arc::clone(&events),
            now: now.unix_seconds(),
            age_limit: job.age_limit,
        };
        let steps = caches.open(&job.from, &platform).await;
        let ran = Arc::new(Mutex::new(Vec::new()));
        let mut encode = EncodeOptions::default();
        encode.threads = job.threads.unwrap_or(encode.threads);
        let builder = Builder {
            ports: Ports {
                images: Arc::new(world.images().clone()),
                blobs: Arc::new(StoreBlobs::new(
                    world.publisher.local.clone(),
                    strata_remote::Uploads::none(),
                )),
                uploads: Arc::new(strata_remote::Uploads::none()),
                downloads: Arc::new(ClientDownloads::new(client())),
                cache: Arc::new(steps.clone()),
                events: Arc::clone(&events),
                snapshotter: Arc::new(WalkSnapshotter::open(&world.path("snapshots")).unwrap()),
                isolation: Ok(Arc::new(Scripted(Arc::clone(&ran)))),
            },
            settings: Settings {
                encode,
                git: Git::new([]),
                scratch: world.path("scratch"),
                cache_mounts: world.path("mounts"),
                secrets: BTreeMap::new(),
                ssh: BTreeMap::new(),
                host: platform.clone(),
                resolver_configuration: None,
                ulimits: Vec::new(),
                shm_size: 1 << 20,
                now,
            },
            contexts: BTreeMap::from([(ContextId::MAIN, Arc::new(context))]),
            cancel: Cancel::new().unwrap(),
        };
        let names: Vec<_> = job.push.iter().map(|name| reference(name)).collect();
        let output = if names.is_empty() { Output::Store } else { Output::Registry };
        let image = loop {
            let mut image = builder.build(Arc::clone(&plan)).await.unwrap().image;
            if job.inline {
                caches.write_inline(&mut image, &steps);
            }
            let images = std::slice::from_ref(&image);
            let published = world
                .publisher
                .publish(images, &output, &names, MediaTypes::Oci, &BTreeMap::new())
                .await;
            match published {
                Ok(_) => break image,
                Err(error) => {
                    let blob = error.unusable_blob();
                    assert!(blob.is_some_and(|blob| steps.retract(blob)), "{error:?}");
                    events.emit(Event::Warning { message: error.to_string(), line: None });
                }
            }
        };
        let bases: Vec<_> = plan.images.iter().flat_map(|image| image.layers().to_vec()).collect();
        let pushed: Vec<_> = names.iter().map(|name| name.repository().clone()).collect();
        let images = std::slice::from_ref(&image);
        let export = Export { steps: &steps, images, bases: &bases, pushed: &pushed };
        for target in &job.to {
            if let Err(error) = caches.export(target, export).await {
                let message = format!("not written: {}", error.chain());
                events.emit(Event::Warning { message, line: None });
            }
        }
        let (mut warnings, mut reasons) = (Vec::new(), Vec::new());
        for event in world.events.0.lock().unwrap().iter() {
            match event {
                Event::Warning { message, .. } => warnings.push(message.clone()),
                Event::StepMissed { reason: Some(reason), .. } => reasons.push(reason.clone()),
                _ => {}
            }
        }
        let ran = ran.lock().unwrap().clone();
        Done { image, ran, warnings, reasons, log: self.registry.take_log() }
    }
}

impl Done {
    /// Requests of this method for something with this part in its address.
    pub(crate) fn requests(&self, method: &str, part: &str) -> Vec<&String> {
        let fits = |line: &&String| line.starts_with(method) && line.contains(part);
        self.log.iter().filter(fits).collect()
    }
}
