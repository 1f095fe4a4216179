//! `warmer`: base images into a directory of their own, before the builds that need them.

use std::collections::BTreeSet;
use std::path::Path;

use strata_oci::Reference;
use strata_plan::{ImageSource, PlanErrors, Planner, Progress, Request};
use strata_remote::Location;

use crate::args::executor::WarmerArgs;
use crate::args::images::CopyArgs;
use crate::commands::images;
use crate::diagnostic::{Failure, fold};
use crate::environment::Environment;
use crate::settings::{build as settings, dockerfile, lint};
use crate::streams;

/// Copies each image into the layout.
pub(crate) fn run(arguments: &WarmerArgs, environment: &Environment) -> Result<(), Failure> {
    let mut sources = arguments.image.clone();
    if let Some(path) = &arguments.dockerfile {
        sources.extend(bases(path, arguments, environment)?.into_iter().map(Location::Registry));
    }
    if sources.is_empty() {
        return Err(Failure::usage("there is no image to put into the cache")
            .help("name one with `--image`, or a `--dockerfile` that has some"));
    }
    if arguments.force {
        streams::talk(
            "note: `--force` is not needed: what is there already is found by its digest\n",
        );
    }
    if arguments.cache_ttl.is_some() {
        streams::talk(
            "note: `--cache-ttl` is not needed: an image that moved on is put beside the old one\n",
        );
    }
    let host = settings::host_platform();
    let platform = arguments.custom_platform.clone().unwrap_or_else(|| host.to_string());
    for source in sources {
        let source = match source {
            Location::Named(reference) => Location::Registry(reference.or_latest()),
            other => other,
        };
        let selector = Some(source.to_string());
        let destination = Location::Layout { directory: arguments.cache_dir.clone(), selector };
        let copy = CopyArgs {
            source,
            destination,
            platform: Some(platform.clone()),
            registry: arguments.registry.clone(),
            state: arguments.state.clone(),
            progress: arguments.progress,
        };
        images::copy(&copy, environment)?;
    }
    Ok(())
}

/// The images that a Dockerfile is based on, as far as arguments say it.
fn bases(
    path: &Path,
    arguments: &WarmerArgs,
    environment: &Environment,
) -> Result<BTreeSet<Reference>, Failure> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let found = dockerfile::read(Some(path.as_os_str()), directory)?;
    let build_args = settings::build_args(&[], &arguments.build_arg, environment);
    let parsed = strata_dockerfile::parse_with_lint(&found.source, lint::settings(&build_args)?)
        .map_err(|errors| fold::parse_errors(&found.source, &errors))?;
    let host = settings::host_platform();
    let asked = settings::platform(arguments.custom_platform.as_deref(), environment, &host)?;
    let request = Request {
        build_args,
        all_stages: true,
        platform_requested: asked.is_some(),
        build_platform: host.clone(),
        ..Request::new(found.source, parsed, asked.unwrap_or(host))
    };
    let failed = |errors: PlanErrors| fold::plan_errors(&errors);
    let mut planner = Planner::new(request).map_err(failed)?;
    let Progress::Needs(requests) = planner.advance().map_err(failed)? else {
        return Ok(BTreeSet::new());
    };
    let images = requests.into_iter().filter_map(|request| match request.image {
        ImageSource::Reference(reference) => Some(reference),
        ImageSource::Layout(_) => None,
    });
    Ok(images.collect())
}
