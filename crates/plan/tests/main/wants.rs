//! What is looked for before any image is.

use strata_dockerfile::{Source, parse};
use strata_plan::{ContextId, NamedContext, Request, WantKind, wants};

use crate::case::amd64;

#[test]
fn fixed_sources_and_required_secrets_of_needed_stages() {
    for (text, expected) in [
        ("FROM a\nCOPY x ./y/ /z/\nADD w /\n", vec!["0 /x", "0 /y", "0 /w"]),
        ("FROM a\nCOPY *.c $X https://h/x /z/\n", vec![]),
        ("FROM a\nADD https://h/x https://h/r.git /z/\n", vec![]),
        ("FROM a AS b\nCOPY x /\nFROM a\n", vec![]),
        ("FROM a AS b\nCOPY x /\nFROM a\nCOPY --from=b p /\n", vec!["0 /x"]),
        ("FROM a\nCOPY --from=named p /\nCOPY --from=image p /\n", vec!["7 /p"]),
        ("FROM a\nCOPY <<f /\nx\nf\n", vec![]),
        ("FROM a\nRUN --mount=type=secret,id=s,required=true x\n", vec!["secret s"]),
        ("FROM a\nRUN --mount=type=secret,id=s x\n", vec![]),
        ("FROM a\nRUN --mount=type=secret,id=$S,required=true x\n", vec![]),
        ("FROM a\nCOPY x /\nSTOPSIGNAL SIGTERM\nCOPY --from=9 y /\n", vec![]),
    ] {
        let source = Source::new(0, "Dockerfile", text);
        let dockerfile = parse(&source).expect("is a Dockerfile");
        let mut request = Request::new(source, dockerfile, amd64());
        let named = NamedContext::Directory(ContextId(7));
        request.named_contexts.insert("named".into(), named);
        let found: Vec<String> = wants(&request)
            .into_iter()
            .map(|want| match want.kind {
                WantKind::File { context, path, .. } => format!("{} {path}", context.0),
                WantKind::Secret { id } => format!("secret {id}"),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}
