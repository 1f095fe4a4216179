//! What can be told before any image is looked for: files and secrets that are not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use strata_plan::{ContextId, Request, Want, WantKind, wants};
use strata_tree::lookup::Last;
use strata_tree::{Resolved, TreePath};

use crate::context::BuildContext;
use crate::error::{BuildError, ErrorKind};

/// Looks for all that a build of the request needs and that the text alone names.
///
/// What is said here would be said later too, after base images were asked for.
pub fn check(
    request: &Request,
    contexts: &BTreeMap<ContextId, Arc<BuildContext>>,
    has_secret: impl Fn(&str) -> bool,
) -> Result<(), Box<BuildError>> {
    for Want { kind, span } in wants(request) {
        let failure = match kind {
            WantKind::File { context, path, written } => contexts
                .get(&context)
                .and_then(|context| missing(context, &path))
                .map(|reason| ErrorKind::NotInContext { written, reason }),
            WantKind::Secret { id } => {
                (!has_secret(&id)).then_some(ErrorKind::SecretMissing { id })
            }
        };
        if let Some(kind) = failure {
            return Err(Box::new(BuildError { step: None, span: Some(span), kind }));
        }
    }
    Ok(())
}

/// Why a path is not in a context. Paths that cannot be looked up are judged when they are copied.
fn missing(context: &BuildContext, path: &str) -> Option<crate::MissingReason> {
    let path = TreePath::clean(path).ok()?;
    let found = context.tree().resolve(path.as_bytes(), Last::Keep).ok()?;
    matches!(found, Resolved::Missing { .. }).then(|| context.missing_reason(&path))
}

#[cfg(test)]
mod tests {
    use strata_context::Context;
    use strata_dockerfile::{IgnoreFile, Source, parse};
    use strata_oci::Platform;

    use super::*;
    use crate::context::Ignore;

    #[test]
    fn missing_things_are_told_without_any_image() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for name in ["there", "left-out"] {
            std::fs::write(directory.path().join(name), "").expect("can be written");
        }
        let opened = Context::open(directory.path()).expect("can be opened");
        let patterns = IgnoreFile::parse(b"left-out\n").expect("patterns");
        let ignore = Ignore { file: ".dockerignore".into(), patterns };
        let context = BuildContext::scan(0, opened, Some(ignore)).expect("can be read");
        let contexts = BTreeMap::from([(ContextId::MAIN, Arc::new(context))]);
        for (text, expected) in [
            ("COPY there /x", None),
            ("COPY . /x", None),
            ("COPY ther /x", Some("`ther` is not in the build context")),
            ("ADD there left-out /x/", Some("`left-out` is not in the build context")),
            ("RUN --mount=type=secret,id=a,required=true x", None),
            ("RUN --mount=type=secret,id=b,required=true x", Some("secret `b` was not given")),
        ] {
            let source = Source::new(0, "Dockerfile", format!("FROM never/asked:for\n{text}\n"));
            let dockerfile = parse(&source).expect("is a Dockerfile");
            let request = Request::new(source, dockerfile, Platform::new("linux", "amd64"));
            let found = check(&request, &contexts, |id| id == "a").err();
            assert_eq!(found.map(|error| error.to_string()).as_deref(), expected, "{text}");
        }
    }
}
