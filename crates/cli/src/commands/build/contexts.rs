//! The contexts of a build: numbered, opened and read.

use std::collections::BTreeMap;
use std::sync::Arc;

use strata_build::ports::ImageSource;
use strata_build::{BuildContext, ErrorKind, Ignore};
use strata_context::Context;
use strata_dockerfile::IgnoreFile;
use strata_plan::{ContextId, NamedContext};

use super::fetch::Fetch;
use crate::args::build::BuildArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::settings::context::{self, OpenedContext};
use crate::settings::dockerfile::{self, Found, IgnoreText};
use crate::settings::gitlab::{GitLab, Part, REPORTS};
use crate::value::context::{ContextSource, operand};

/// Everything that a build reads from this machine.
pub(super) struct Contexts {
    pub(super) dockerfile: Found,
    pub(super) by_number: BTreeMap<ContextId, Arc<BuildContext>>,
    pub(super) named: BTreeMap<String, NamedContext>,
    pub(super) layouts: BTreeMap<ContextId, ImageSource>,
    /// When contexts were made, of those that say so.
    pub(super) times: BTreeMap<ContextId, i64>,
    // Unpacked archives live as long as this.
    opened: Vec<OpenedContext>,
}

/// Opens and scans every context. Blocks.
pub(super) async fn open(
    arguments: &BuildArgs,
    environment: &Environment,
    fetch: &Fetch,
) -> Result<Contexts, Failure> {
    let BuildArgs { input: arguments, extra, .. } = arguments;
    let mut main = open_one(&operand(arguments.operand()), fetch).await?;
    if let Some(directory) = &extra.context_directory {
        main.enter(directory)?;
    }
    let address = dockerfile::address(arguments.file.as_deref());
    let dockerfile = match (&main.dockerfile, address) {
        (_, Some(url)) => fetch.dockerfile(url).await?,
        (Some(text), None) => dockerfile::of_bytes(text.clone())?,
        (None, None) => dockerfile::read(arguments.file.as_deref(), main.path())?,
    };
    let mut ignore = dockerfile::ignore(&dockerfile, main.path())?;
    if GitLab::of(environment)?.does(Part::Reports) {
        // What one build of a job reports must not be in the context of the next.
        ignore = Some(dockerfile::ignoring(ignore, REPORTS));
    }
    let mut contexts = Contexts {
        dockerfile,
        by_number: BTreeMap::new(),
        named: BTreeMap::new(),
        layouts: BTreeMap::new(),
        times: BTreeMap::new(),
        opened: Vec::new(),
    };
    contexts.add(ContextId::MAIN, main, ignore)?;
    for (number, named) in (ContextId::MAIN.0 + 1..).zip(&arguments.build_context) {
        let id = ContextId(number);
        let meaning = match &named.source {
            ContextSource::Image(reference) => NamedContext::Image(reference.clone()),
            ContextSource::Layout { directory, selector } => {
                let source = ImageSource::Layout {
                    directory: directory.clone(),
                    selector: selector.clone(),
                };
                contexts.layouts.insert(id, source);
                NamedContext::Layout(id)
            }
            source => {
                let opened = open_one(source, fetch).await?;
                let ignore = dockerfile::ignore_of_context(opened.path())?;
                contexts.add(id, opened, ignore)?;
                NamedContext::Directory(id)
            }
        };
        contexts.named.insert(named.name.clone(), meaning);
    }
    Ok(contexts)
}

async fn open_one(source: &ContextSource, fetch: &Fetch) -> Result<OpenedContext, Failure> {
    match source {
        ContextSource::Git(address) => fetch.repository(address),
        ContextSource::Url(url) => fetch.archive(url).await,
        ContextSource::Object(address) => fetch.object(address).await,
        local => context::open(local, fetch.scratch()),
    }
}

impl Contexts {
    fn add(
        &mut self,
        id: ContextId,
        opened: OpenedContext,
        ignore: Option<IgnoreText>,
    ) -> Result<(), Failure> {
        let failed =
            |error: &dyn std::error::Error| Failure::new(Exit::Failed, Diagnostic::of(error));
        let ignore = ignore.map(parse_ignore).transpose()?;
        let directory = Context::open(opened.path()).map_err(|error| failed(&error))?;
        let context = BuildContext::scan(id.0, directory, ignore)
            .map_err(|error: ErrorKind| failed(&error))?;
        self.by_number.insert(id, Arc::new(context));
        self.times.extend(opened.time.map(|time| (id, time)));
        self.opened.push(opened);
        Ok(())
    }
}

fn parse_ignore(IgnoreText { name, text }: IgnoreText) -> Result<Ignore, Failure> {
    match IgnoreFile::parse(&text) {
        Ok(patterns) => Ok(Ignore { file: name, patterns }),
        Err(error) => {
            let message = format!("cannot read the patterns of `{name}`");
            Err(Failure::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(&error))))
        }
    }
}
