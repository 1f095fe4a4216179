//! A Dockerfile, what is asked of it, and bases to answer with.

use std::collections::BTreeMap;

use strata_dockerfile::{Source, parse};
use strata_oci::{
    Compression, Descriptor, DiffId, Digest, ImageConfig, LayerRef, MediaType, Platform, Reference,
};
use strata_plan::{
    BaseImage, ContextId, ImageSource, NamedContext, Plan, PlanErrors, Planner, Progress, Request,
    Stage,
};

pub(crate) struct Case {
    request: Request,
    bases: BTreeMap<String, ImageConfig>,
    /// The images asked for, by round.
    pub(crate) rounds: Vec<Vec<String>>,
}

pub(crate) fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

impl Case {
    pub(crate) fn new(text: &str) -> Self {
        let source = Source::new(0, "Dockerfile", text);
        let dockerfile = parse(&source).unwrap_or_else(|errors| panic!("{errors}: {text}"));
        Self {
            request: Request::new(source, dockerfile, amd64()),
            bases: BTreeMap::new(),
            rounds: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Request)) -> Self {
        change(&mut self.request);
        self
    }

    pub(crate) fn arg(self, name: &str, value: &str) -> Self {
        self.with(|request| {
            request.build_args.insert(name.into(), value.into());
        })
    }

    pub(crate) fn target(self, target: &str) -> Self {
        self.with(|request| request.target = Some(target.into()))
    }

    pub(crate) fn directory(self, name: &str, id: u32) -> Self {
        self.with(|request| {
            let context = NamedContext::Directory(ContextId(id));
            request.named_contexts.insert(name.into(), context);
        })
    }

    pub(crate) fn image(self, name: &str, reference: &str) -> Self {
        self.with(|request| {
            let reference = Reference::parse(reference).expect("a reference");
            request.named_contexts.insert(name.into(), NamedContext::Image(reference));
        })
    }

    /// The config of a base; others are empty images with one layer.
    pub(crate) fn base(mut self, name: &str, change: impl FnOnce(&mut ImageConfig)) -> Self {
        let mut config = ImageConfig::empty(&amd64());
        change(&mut config);
        self.bases.insert(name.into(), config);
        self
    }

    pub(crate) fn run(&mut self) -> Result<Plan, PlanErrors> {
        let mut planner = Planner::new(self.request.clone())?;
        loop {
            match planner.advance()? {
                Progress::Ready(plan) => return Ok(*plan),
                Progress::Needs(requests) => {
                    assert!(!requests.is_empty(), "asks for nothing");
                    assert!(self.rounds.len() < 10, "asks without end");
                    self.rounds.push(
                        requests.iter().map(|r| format!("{} {}", r.image, r.platform)).collect(),
                    );
                    for request in requests {
                        let name = match &request.image {
                            ImageSource::Reference(reference) => reference.familiar().to_string(),
                            ImageSource::Layout(context) => format!("layout{}", context.0),
                        };
                        if name.starts_with("missing") {
                            planner.provide_missing(&request, "not found");
                        } else {
                            planner.provide(&request, self.answer(&name, &request.platform));
                        }
                    }
                }
            }
        }
    }

    fn answer(&self, name: &str, platform: &Platform) -> BaseImage {
        let name = name.strip_suffix(":latest").unwrap_or(name);
        let config = self.bases.get(name).cloned().unwrap_or_else(|| ImageConfig::empty(platform));
        let digest = Digest::of(name.as_bytes());
        let layer = LayerRef {
            blob: Descriptor::new(MediaType::OciLayer(Compression::Gzip), digest, 1),
            diff_id: DiffId(digest),
        };
        BaseImage {
            manifest: Descriptor::new(MediaType::OciManifest, Digest::of(b"manifest"), 1),
            config,
            layers: vec![layer],
        }
    }

    pub(crate) fn plan(mut self) -> Plan {
        self.run().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The stage that is the result.
    pub(crate) fn stage(self) -> Stage {
        let plan = self.plan();
        plan.target_stage().clone()
    }

    /// What is wrong, each with its line.
    pub(crate) fn errors(mut self) -> Vec<String> {
        let Err(errors) = self.run() else {
            return Vec::new();
        };
        let shown = errors.errors.iter().map(|error| {
            let line = error.span.map_or("request".to_owned(), |span| {
                let source = &errors.sources[usize::from(span.source)];
                format!("{}:{}", source.name(), source.position(span.start))
            });
            let trigger = if error.trigger_of.is_some() { " [trigger]" } else { "" };
            let help = error.help.as_ref().map_or(String::new(), |help| format!(" | {help}"));
            format!("{line}{trigger} {}{help}", error.kind)
        });
        shown.collect()
    }
}

/// The rows of the history that the stage itself adds, layers marked with `+`.
pub(crate) fn history(stage: &Stage) -> Vec<String> {
    let rows = stage.steps.iter().filter_map(|step| step.history.as_ref());
    rows.map(|row| format!("{}{}", if row.empty_layer { "" } else { "+" }, row.created_by))
        .collect()
}
