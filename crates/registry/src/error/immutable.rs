//! Which refusals say that a tag does not move. No code of the specification does: each registry has its own words.

use super::{ErrorKind, Operation, RegistryError};

/// A piece of each registry's sentence.
const WORDS: &[&str] = &[
    // Amazon ECR, which ends in "the repository is immutable" or "the tag is immutable".
    "cannot be overwritten because the",
    // Google Artifact Registry.
    "The repository has enabled tag immutability",
    // Harbor.
    "configured as immutable",
];

pub(super) fn says(error: &RegistryError) -> bool {
    let (
        Operation::PushManifest { .. },
        ErrorKind::Denied { message, .. } | ErrorKind::Refused { message, .. },
    ) = (&error.operation, &*error.kind)
    else {
        return false;
    };
    WORDS.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immutable_tags_are_told_from_other_refusals() {
        let push = || Operation::PushManifest { target: "1".to_owned() };
        let refused =
            |message: &str| ErrorKind::Refused { status: 400, message: message.to_owned() };
        let denied = |message: &str| ErrorKind::Denied {
            tried: "a token".to_owned(),
            message: message.to_owned(),
        };
        let ecr = "TAG_INVALID: The image tag '1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable.";
        let google =
            "MANIFEST_INVALID: cannot update tag 1. The repository has enabled tag immutability";
        let harbor =
            "PRECONDITION: Failed to process request due to 'app:1' configured as immutable.";
        for (operation, kind, expected) in [
            (push(), refused(ecr), true),
            (push(), refused(google), true),
            (push(), denied(google), true),
            (push(), refused(harbor), true),
            (push(), refused("MANIFEST_INVALID: manifest invalid"), false),
            (push(), denied("DENIED: requested access to the resource is denied"), false),
            (push(), ErrorKind::NotFound { message: ecr.to_owned() }, false),
            (Operation::CheckPush, refused(ecr), false),
        ] {
            let shown = format!("{operation:?} {kind:?}");
            let error = RegistryError {
                registry: "r.example".to_owned(),
                repository: Some("app".to_owned()),
                operation,
                kind: Box::new(kind),
            };
            assert_eq!(error.is_immutable_tag(), expected, "{shown}");
        }
    }
}
