//! Ports with behaviour: one base image, blobs in memory, commands that write one file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use strata_build::event::{Event, Events, StepNumber};
use strata_build::ports::{
    Arriving, BlobWriter, Blobs, Downloaded, Downloads, ImageSource, Images, Lookup, PortError,
    PortErrorClass, ResolvedImage, StepCache, StepResult, Uploads,
};
use strata_build::{BuildContext, BuildError, Builder, Built, Ports, Settings, plan};
use strata_context::Context;
use strata_dockerfile::{Source, parse};
use strata_layer::{Content, EncodeOptions, Index, OpenContent, decompress, encode};
use strata_oci::{
    Descriptor, DiffId, Digest, ImageConfig, LayerRef, MediaType, Platform, Timestamp,
};
use strata_plan::{ContextId, Request, StepKey};
use strata_rootfs::WalkSnapshotter;
use strata_sandbox::{Cancel, Command, Exit, Isolation, Outcome, RunError, Stream};
use strata_tree::{Change, ChangeSet, Entry, Metadata, TreePath};

/// Blobs by digest, and what is in them by diff id.
#[derive(Debug, Default)]
struct Memory {
    blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    indexes: Mutex<BTreeMap<DiffId, Index>>,
    /// The steps whose layers could be sent while they were written.
    along: Mutex<BTreeSet<u32>>,
}

#[derive(Debug, Default)]
struct Counts {
    indexed: AtomicU32,
    fetched: AtomicU32,
    opened: AtomicU32,
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Events for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

struct NoContents;

impl OpenContent for NoContents {
    fn open(&self, _: &Content, _: u64) -> io::Result<Box<dyn Read + Send>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The base image's only layer and its blob: one directory.
pub(crate) fn base_layer() -> (LayerRef, Vec<u8>, Index) {
    let path = TreePath::parse("app").unwrap();
    let put = Change::Put { path, entry: Entry::Directory(Metadata::with_mode(0o755)) };
    let mut blob = Vec::new();
    let options = EncodeOptions::default();
    let encoded = encode(&ChangeSet::new(vec![put]), &NoContents, &options, &mut blob).unwrap();
    let descriptor = Descriptor::of(encoded.media_type, &blob);
    (LayerRef { blob: descriptor, diff_id: encoded.diff_id }, blob, encoded.index)
}

#[derive(Debug)]
struct FakeImages {
    memory: Arc<Memory>,
    counts: Arc<Counts>,
}

impl Images for FakeImages {
    fn resolve<'a>(
        &'a self,
        _: &'a ImageSource,
        platform: &'a Platform,
    ) -> BoxFuture<'a, Result<ResolvedImage, PortError>> {
        let layer = base_layer().0;
        let mut config = ImageConfig::empty(platform);
        config.rootfs.diff_ids = vec![layer.diff_id];
        config.history.push(strata_oci::History::default());
        let manifest = Descriptor::of(MediaType::OciManifest, b"base");
        async move { Ok(ResolvedImage { manifest, config, layers: vec![layer], reference: None }) }
            .boxed()
    }

    fn index<'a>(&'a self, layer: &'a LayerRef) -> BoxFuture<'a, Result<Arc<Index>, PortError>> {
        self.counts.indexed.fetch_add(1, Ordering::Relaxed);
        let found = self.memory.indexes.lock().unwrap().get(&layer.diff_id).cloned();
        async move { found.map(Arc::new).ok_or_else(gone) }.boxed()
    }

    fn fetch<'a>(&'a self, _: &'a LayerRef) -> BoxFuture<'a, Result<(), PortError>> {
        self.counts.fetched.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }.boxed()
    }

    fn arrive<'a>(&'a self, layer: &'a LayerRef) -> Arriving<'a> {
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        let (memory, digest) = (Arc::clone(&self.memory), layer.blob.digest);
        let open = move || {
            let blob = memory.blobs.lock().unwrap().get(&digest).cloned();
            decompress(Cursor::new(blob.ok_or(io::ErrorKind::NotFound)?), None)
        };
        Arriving { whole: self.fetch(layer), open: Box::new(open) }
    }

    fn open(&self, layer: &LayerRef) -> io::Result<Box<dyn Read + Send>> {
        self.counts.opened.fetch_add(1, Ordering::Relaxed);
        let blob = self.memory.blobs.lock().unwrap().get(&layer.blob.digest).cloned();
        decompress(Cursor::new(blob.ok_or(io::ErrorKind::NotFound)?), None)
    }

    fn remember_index(&self, diff_id: DiffId, index: Index) {
        self.memory.indexes.lock().unwrap().insert(diff_id, index);
    }
}

fn gone() -> PortError {
    PortError {
        message: "gone".to_owned(),
        class: PortErrorClass::NotFound,
        hint: None,
        source: None,
    }
}

#[derive(Debug)]
struct FakeBlobs(Arc<Memory>);

#[derive(Debug)]
struct FakeWriter(Arc<Memory>, Vec<u8>);

impl Blobs for FakeBlobs {
    fn writer(&self, ships: Option<StepNumber>) -> io::Result<Box<dyn BlobWriter>> {
        self.0.along.lock().unwrap().extend(ships.map(|step| step.0));
        Ok(Box::new(FakeWriter(Arc::clone(&self.0), Vec::new())))
    }
}

impl Write for FakeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for FakeWriter {
    fn commit(self: Box<Self>, media_type: MediaType) -> io::Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, &self.1);
        self.0.blobs.lock().unwrap().insert(descriptor.digest, self.1);
        Ok(descriptor)
    }
}

/// The layers that were told to be part of the result, in this order.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Digest>>);

impl Uploads for Told {
    fn begin(&self, layer: &LayerRef) {
        self.0.lock().unwrap().push(layer.blob.digest);
    }
}

#[derive(Debug)]
struct NoDownloads;

impl Downloads for NoDownloads {
    fn download<'a>(
        &'a self,
        _: &'a str,
        _: Option<&'a str>,
        _: &'a std::path::Path,
    ) -> BoxFuture<'a, Result<Downloaded, PortError>> {
        async { Err(gone()) }.boxed()
    }
}

#[derive(Debug, Default)]
struct FakeCache(Mutex<BTreeMap<StepKey, (Vec<u8>, StepResult)>>);

impl StepCache for FakeCache {
    fn lookup<'a>(&'a self, key: &'a StepKey, _: &'a Bytes) -> BoxFuture<'a, Lookup> {
        let found = self.0.lock().unwrap().get(key).cloned();
        let answer = match found {
            Some((_, result)) => Lookup::Hit(Box::new(result)),
            None => Lookup::Miss { closest: None },
        };
        async move { answer }.boxed()
    }

    fn store<'a>(
        &'a self,
        key: &'a StepKey,
        recipe: &'a Bytes,
        result: &'a StepResult,
    ) -> BoxFuture<'a, ()> {
        self.0.lock().unwrap().insert(*key, (recipe.to_vec(), result.clone()));
        async {}.boxed()
    }
}

/// How many commands run, and how many ran at the same time at most.
#[derive(Debug, Default)]
pub(crate) struct AtOnce {
    now: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

/// A command writes its own text into `/made`, says so, and ends as it was told to. One that begins with `wait` takes
/// its time.
#[derive(Debug)]
struct Scripted {
    commands: Arc<Mutex<Vec<String>>>,
    at_once: Arc<AtOnce>,
    exits: Arc<Mutex<BTreeMap<String, Exit>>>,
}

impl Isolation for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn run(
        &self,
        command: &Command,
        _: &Cancel,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome, RunError> {
        let text = command.arguments.last().unwrap().to_string_lossy().into_owned();
        self.commands.lock().unwrap().push(text.clone());
        let now = self.at_once.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.most.fetch_max(now, Ordering::SeqCst);
        if text.starts_with("wait") {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.at_once.now.fetch_sub(1, Ordering::SeqCst);
        std::fs::write(command.root.join("made"), &text).unwrap();
        output(Stream::Stdout, format!("output of {text}\n").as_bytes());
        let exit = self.exits.lock().unwrap().get(&text).copied().unwrap_or(Exit::Code(0));
        Ok(Outcome { exit, mount_points: Vec::new(), owners: None })
    }
}

/// Everything around the engine.
pub(crate) struct World {
    directory: tempfile::TempDir,
    memory: Arc<Memory>,
    counts: Mutex<Arc<Counts>>,
    recorder: Mutex<Arc<Recorder>>,
    cache: Arc<FakeCache>,
    uploads: Arc<Told>,
    pub(crate) commands: Arc<Mutex<Vec<String>>>,
    pub(crate) at_once: Arc<AtOnce>,
    exits: Arc<Mutex<BTreeMap<String, Exit>>>,
}

impl World {
    /// A world whose build context has these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["context", "scratch", "snapshots", "caches"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let memory = Arc::new(Memory::default());
        let (layer, blob, index) = base_layer();
        memory.blobs.lock().unwrap().insert(layer.blob.digest, blob);
        memory.indexes.lock().unwrap().insert(layer.diff_id, index);
        let world = Self {
            directory,
            memory,
            counts: Mutex::default(),
            recorder: Mutex::default(),
            cache: Arc::default(),
            uploads: Arc::default(),
            commands: Arc::default(),
            at_once: Arc::default(),
            exits: Arc::default(),
        };
        for (name, content) in files {
            world.write(name, content);
        }
        world
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.place("context").join(name), content).unwrap();
    }

    /// Lets the command with this text end otherwise than well.
    pub(crate) fn fails(&self, command: &str, exit: Exit) {
        self.exits.lock().unwrap().insert(command.to_owned(), exit);
    }

    /// Begins to count, record and remember commands anew; the cache stays.
    pub(crate) fn forget(&self) {
        *self.counts.lock().unwrap() = Arc::default();
        *self.recorder.lock().unwrap() = Arc::default();
        self.commands.lock().unwrap().clear();
    }

    /// Drops the cached result of the command with this text.
    pub(crate) fn lose_step(&self, command: &str) {
        let marker = format!("\"{command}\"");
        self.cache
            .0
            .lock()
            .unwrap()
            .retain(|_, (recipe, _)| !String::from_utf8_lossy(recipe).contains(&marker));
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.recorder.lock().unwrap().0.lock().unwrap().clone()
    }

    pub(crate) fn counts(&self) -> String {
        let counts = self.counts.lock().unwrap();
        let of = |count: &AtomicU32| count.load(Ordering::Relaxed);
        format!(
            "indexed {}, fetched {}, opened {}",
            of(&counts.indexed),
            of(&counts.fetched),
            of(&counts.opened)
        )
    }

    /// The layers that went ahead of the image so far.
    pub(crate) fn sent_ahead(&self) -> Vec<Digest> {
        self.uploads.0.lock().unwrap().clone()
    }

    /// The steps whose layers could go while they were written.
    pub(crate) fn sent_along(&self) -> BTreeSet<u32> {
        self.memory.along.lock().unwrap().clone()
    }

    /// What a build left in its scratch directory.
    pub(crate) fn scratch_entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.place("scratch")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Plans and builds a Dockerfile.
    pub(crate) async fn build(&self, text: &str) -> Result<Built, Arc<BuildError>> {
        let images = Arc::new(FakeImages {
            memory: Arc::clone(&self.memory),
            counts: Arc::clone(&self.counts.lock().unwrap()),
        });
        let source = Source::new(0, "Dockerfile", text);
        let dockerfile = parse(&source).expect("the test's Dockerfile parses");
        let platform: Platform = "linux/amd64".parse().unwrap();
        let request = Request::new(source, dockerfile, platform);
        let plan = plan(request, images.as_ref(), &BTreeMap::new()).await.expect("a plan");
        let context = Context::open(&self.place("context")).expect("the context opens");
        let context = BuildContext::scan(0, context, None).expect("the context scans");
        let recorder = Arc::clone(&self.recorder.lock().unwrap());
        let builder = Builder {
            ports: Ports {
                images,
                blobs: Arc::new(FakeBlobs(Arc::clone(&self.memory))),
                uploads: Arc::clone(&self.uploads) as Arc<dyn Uploads>,
                downloads: Arc::new(NoDownloads),
                cache: Arc::clone(&self.cache) as Arc<dyn StepCache>,
                events: recorder,
                snapshotter: Arc::new(WalkSnapshotter::open(&self.place("snapshots")).unwrap()),
                isolation: Ok(Arc::new(Scripted {
                    commands: Arc::clone(&self.commands),
                    at_once: Arc::clone(&self.at_once),
                    exits: Arc::clone(&self.exits),
                })),
            },
            settings: Settings {
                git: strata_context::Git::new([]),
                encode: EncodeOptions::default(),
                scratch: self.place("scratch"),
                cache_mounts: self.place("caches"),
                secrets: BTreeMap::new(),
                ssh: BTreeMap::new(),
                host: strata_oci::Platform::new("linux", "amd64"),
                resolver_configuration: None,
                ulimits: Vec::new(),
                shm_size: 1 << 20,
                now: Timestamp::from_unix(1_700_000_000, 0).unwrap(),
            },
            contexts: BTreeMap::from([(ContextId::MAIN, Arc::new(context))]),
            cancel: Cancel::new().unwrap(),
        };
        builder.build(Arc::new(plan)).await
    }
}
