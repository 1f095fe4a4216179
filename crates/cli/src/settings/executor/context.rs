//! kaniko's words for contexts, in ours.
//!
//! ```text
//! dir:///work           /work
//! tar:///work.tar.gz    /work.tar.gz
//! tar://stdin           -
//! git://host/a.git#refs/heads/b#COMMIT    https://host/a.git?submodules=false#COMMIT
//! https://host/a.tar.gz, s3://…, gs://…   as they are
//! ```

use std::fmt::Write as _;

/// What else is known of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GitWishes {
    /// Of `--git branch=…`: what is checked out where the address says nothing.
    pub(crate) branch: Option<String>,
    /// Of `--git recurse-submodules=…`.
    pub(crate) submodules: bool,
    /// Of `GIT_PULL_METHOD`.
    pub(crate) plain_http: bool,
}

/// Says in our words what `--context` names.
pub(crate) fn operand(text: &str, bucket: Option<&str>, git: &GitWishes) -> String {
    if let Some(bucket) = bucket.filter(|_| !text.contains("://")) {
        return format!("gs://{bucket}/{}", text.trim_start_matches('/'));
    }
    if text == "tar://stdin" {
        return "-".to_owned();
    }
    if let Some(path) = text.strip_prefix("dir://").or_else(|| text.strip_prefix("tar://")) {
        // A directory may have a name that means something else to us.
        return if path.starts_with('/') { path.to_owned() } else { format!("./{path}") };
    }
    match text.strip_prefix("git://") {
        Some(address) => repository(address, git),
        None => text.to_owned(),
    }
}

/// kaniko's `git://` is a mark, not the protocol: it fetches over HTTPS.
fn repository(address: &str, git: &GitWishes) -> String {
    let mut pieces = address.split('#');
    let address = pieces.next().unwrap_or_default();
    let (reference, commit) = (pieces.next(), pieces.next());
    let reference = commit.or(reference).filter(|text| !text.is_empty());
    let reference = reference.or(git.branch.as_deref());
    let mut url = String::from(if git.plain_http { "http://" } else { "https://" });
    url.push_str(address.trim_end_matches('/'));
    // What comes over HTTP is a repository by its suffix, which servers do not insist on.
    if address.trim_end_matches('/').strip_suffix(".git").is_none() {
        url.push_str(".git");
    }
    write!(url, "?submodules={}", git.submodules).expect("a string takes everything");
    if let Some(reference) = reference {
        write!(url, "#{}", reference.replace('%', "%25").replace(':', "%3A"))
            .expect("a string takes everything");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_said_in_our_words() {
        let none = GitWishes::default();
        let wishes = GitWishes { branch: Some("main".into()), submodules: true, plain_http: true };
        for (text, bucket, git, expected) in [
            ("/work", None, &none, "/work"),
            ("dir:///work", None, &none, "/work"),
            ("dir://work", None, &none, "./work"),
            ("tar:///a.tar.gz", None, &none, "/a.tar.gz"),
            ("tar://stdin", None, &none, "-"),
            ("a/b.tar.gz", Some("store"), &none, "gs://store/a/b.tar.gz"),
            ("s3://b/c.tar.gz", None, &none, "s3://b/c.tar.gz"),
            ("https://h/c.tar.gz", None, &none, "https://h/c.tar.gz"),
            ("git://h/a/b.git", None, &none, "https://h/a/b.git?submodules=false"),
            (
                "git://h/a/b#refs/heads/x",
                None,
                &none,
                "https://h/a/b.git?submodules=false#refs/heads/x",
            ),
            (
                "git://h/b.git#refs/heads/x#0a1b",
                None,
                &none,
                "https://h/b.git?submodules=false#0a1b",
            ),
            ("git://h/b.git", None, &wishes, "http://h/b.git?submodules=true#main"),
            ("git://t@h/b.git#v1", None, &wishes, "http://t@h/b.git?submodules=true#v1"),
        ] {
            assert_eq!(operand(text, bucket, git), expected, "{text}");
        }
    }
}
