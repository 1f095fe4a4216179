//! What holds for the whole Dockerfile: variables before the first FROM, and build arguments.

use std::collections::{BTreeMap, BTreeSet};

use strata_dockerfile::instruction::Instruction;
use strata_dockerfile::{Expander, Span};

use crate::error::PlanErrorKind;
use crate::findings::Findings;
use crate::request::{ContextId, NamedContext, Request};
use crate::scope::Scope;

pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";
const HOSTNAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";
/// Settings of other builders that mean nothing here, or are read elsewhere: nobody declares them.
const SETTINGS: [&str; 8] = [
    "BUILDKIT_BUILD_NAME",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
    "BUILDKIT_SYNTAX",
];
/// Usable in every RUN without being declared.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Variables and settings that all stages start with.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    /// Platform arguments and global ARGs, in that order.
    pub(crate) scope: Scope,
    /// Build arguments, `SOURCE_DATE_EPOCH` of the environment among them.
    pub(crate) arguments: BTreeMap<String, String>,
    /// As [`crate::RunOp::proxies`].
    pub(crate) proxies: Vec<(String, String)>,
    pub(crate) epoch: Option<i64>,
    /// What the ids of cache mounts begin with.
    pub(crate) cache_namespace: Option<String>,
    pub(crate) hostname: Option<String>,
}

impl Globals {
    pub(crate) fn of(request: &Request, findings: &mut Findings) -> Self {
        let mut arguments = request.build_args.clone();
        if let Some(epoch) = request.source_date_epoch {
            arguments.entry(EPOCH.to_owned()).or_insert_with(|| epoch.to_string());
        }
        let mut scope = platform_arguments(request, &arguments);
        declare(request, &arguments, &mut scope, Some(findings));
        let said = arguments.get(EPOCH).map(String::as_str).or_else(|| scope.get(EPOCH));
        let said = said.filter(|text| !text.is_empty());
        let line = if arguments.contains_key(EPOCH) { None } else { default_of(request, EPOCH) };
        let epoch = said.and_then(|text| epoch(request, text, line, findings));
        // Stages see the seconds, however they were said.
        if arguments.remove(EPOCH).is_some() {
            arguments.extend(epoch.map(|epoch| (EPOCH.to_owned(), epoch.to_string())));
        }
        if scope.get(EPOCH).is_some() {
            match epoch {
                Some(epoch) => scope.set(EPOCH, &epoch.to_string()),
                None => scope.unset(EPOCH),
            }
        }
        let setting = |name: &str| arguments.get(name).filter(|value| !value.is_empty()).cloned();
        Self {
            proxies: proxies(&arguments),
            cache_namespace: setting(CACHE_NAMESPACE),
            hostname: request.hostname.clone().or_else(|| setting(HOSTNAME)),
            scope,
            arguments,
            epoch,
        }
    }

    /// The variables as they would be without any build argument, for the lint.
    pub(crate) fn defaults(request: &Request) -> Scope {
        let none = BTreeMap::new();
        let mut scope = platform_arguments(request, &none);
        declare(request, &none, &mut scope, None);
        scope
    }
}

/// Where the value of an argument before the first FROM is written.
fn default_of(request: &Request, name: &str) -> Option<Span> {
    let declared = request.dockerfile.global_args.iter().flat_map(|arg| &arg.node.args);
    let values = declared.filter(|declaration| declaration.name.text == name);
    values.filter_map(|declaration| declaration.value.as_ref()).map(|value| value.span).next_back()
}

/// The time that `SOURCE_DATE_EPOCH` says: seconds, or whose time to take. `line` is where the Dockerfile says
/// it, if that does.
fn epoch(
    request: &Request,
    text: &str,
    line: Option<Span>,
    findings: &mut Findings,
) -> Option<i64> {
    if text == "context" {
        return request.context_epochs.get(&ContextId::MAIN).copied();
    }
    // A context without a time, as a directory is, leaves the build without an epoch.
    match request.named_contexts.get(text) {
        Some(NamedContext::Directory(id)) => return request.context_epochs.get(id).copied(),
        Some(NamedContext::Image(_) | NamedContext::Layout(_)) => return None,
        None => {}
    }
    let seconds = text.parse().ok();
    let valid = seconds.filter(|seconds| strata_oci::Timestamp::from_unix(*seconds, 0).is_some());
    if valid.is_none() {
        let stage = request.dockerfile.stage_by_name(text, usize::MAX);
        let stage = stage.and_then(|stage| request.dockerfile.stages.get(stage));
        let kind = if stage.is_some() {
            PlanErrorKind::Unsupported {
                what: "`SOURCE_DATE_EPOCH` of a stage",
                reason: "its time is only known once it was downloaded",
            }
        } else {
            PlanErrorKind::InvalidEpoch { value: text.to_owned() }
        };
        // A build argument has no line of its own, but the stage that it names has.
        match line.or_else(|| stage.map(|stage| stage.from.span)) {
            Some(span) => findings.error(span, kind),
            None => findings.error_of_request(kind, None),
        }
    }
    valid
}

/// Build arguments that nothing declares and nothing else uses.
pub(crate) fn unused(request: &Request) -> Vec<String> {
    let global = request.dockerfile.global_args.iter().map(|statement| &statement.node);
    let stages = request.dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let local = stages.filter_map(|statement| match &statement.node {
        Instruction::Arg(arg) => Some(arg),
        _ => None,
    });
    let declared: BTreeSet<&str> =
        global.chain(local).flat_map(|arg| &arg.args).map(|arg| arg.name.text.as_str()).collect();
    let is_used = |name: &str| {
        declared.contains(name)
            || is_proxy(name)
            || [EPOCH, CACHE_NAMESPACE, HOSTNAME].contains(&name)
            || SETTINGS.contains(&name)
            || platform_names().any(|known| known == name)
    };
    request.build_args.keys().filter(|name| !is_used(name)).cloned().collect()
}

fn is_proxy(name: &str) -> bool {
    PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
}

/// Each proxy in both cases, as programs look for either.
fn proxies(arguments: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for proxy in PROXIES {
        let mut given = arguments.iter().filter(|(name, _)| name.eq_ignore_ascii_case(proxy));
        // Of both spellings the one that sorts last counts, which is the one in lower case.
        if let Some((_, value)) = given.next_back() {
            found.push((proxy.to_owned(), value.clone()));
            found.push((proxy.to_ascii_lowercase(), value.clone()));
        }
    }
    found
}

fn platform_names() -> impl Iterator<Item = &'static str> {
    [
        "BUILDPLATFORM",
        "BUILDOS",
        "BUILDOSVERSION",
        "BUILDARCH",
        "BUILDVARIANT",
        "TARGETPLATFORM",
        "TARGETOS",
        "TARGETOSVERSION",
        "TARGETARCH",
        "TARGETVARIANT",
        "TARGETSTAGE",
    ]
    .into_iter()
}

fn platform_arguments(request: &Request, arguments: &BTreeMap<String, String>) -> Scope {
    let (build, target) = (&request.build_platform, &request.target_platform);
    let last = request.dockerfile.stages.last().and_then(|stage| stage.name());
    let stage = request.target.as_deref().or(last).unwrap_or("default");
    let values = [
        build.to_string(),
        build.os.clone(),
        build.os_version.clone(),
        build.architecture.clone(),
        build.variant.clone(),
        target.to_string(),
        target.os.clone(),
        target.os_version.clone(),
        target.architecture.clone(),
        target.variant.clone(),
        stage.to_owned(),
    ];
    let mut scope = Scope::default();
    for (name, value) in platform_names().zip(values) {
        scope.set(name, arguments.get(name).unwrap_or(&value));
    }
    scope
}

/// Evaluates the ARGs before the first FROM.
fn declare(
    request: &Request,
    arguments: &BTreeMap<String, String>,
    scope: &mut Scope,
    mut findings: Option<&mut Findings>,
) {
    let expander = Expander::new(request.dockerfile.escape);
    let declarations = request.dockerfile.global_args.iter().flat_map(|arg| &arg.node.args);
    for declaration in declarations {
        let name = declaration.name.text.as_str();
        let value = match (arguments.get(name), &declaration.value) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => {
                let lookup = |name: &str| scope.get(name).map(str::to_owned);
                match expander.process_word(&default.text, &lookup) {
                    Ok(expansion) => Some(expansion.text),
                    Err(error) => {
                        if let Some(findings) = findings.as_deref_mut() {
                            findings.error(default.span, error);
                        }
                        None
                    }
                }
            }
            (None, None) => None,
        };
        scope.declare(name, value.as_deref());
    }
}
