use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn repository(remote: &str, reference: Option<&str>, checksum: Option<&str>) -> Repository {
    Repository {
        remote: remote.to_owned(),
        reference: reference.map(str::to_owned),
        checksum: checksum.map(str::to_owned),
    }
}

#[test]
fn addresses_have_a_server_and_hide_passwords() {
    for (remote, host, shown) in [
        ("https://h/r.git", Some("h"), "https://h/r.git"),
        ("https://me:secret@h:8/r.git", Some("h"), "https://h:8/r.git"),
        ("https://token@h/r@1.git", Some("h"), "https://h/r@1.git"),
        ("ssh://git@h:22/r", Some("h"), "ssh://git@h:22/r"),
        ("git@h:o/r.git", Some("h"), "git@h:o/r.git"),
        ("git://[::1]:9/r", Some("::1"), "git://[::1]:9/r"),
        ("file:///r", None, "file:///r"),
    ] {
        let repository = repository(remote, None, None);
        assert_eq!((repository.host(), repository.shown().as_str()), (host, shown), "{remote}");
    }
}

/// A repository with two commits, a tag and an annotated tag on the first, and a submodule.
struct Fixture {
    directory: tempfile::TempDir,
    first: String,
    second: String,
}

fn git(directory: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // The same commit ids in every run.
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000")
        .output()
        .ok()?;
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Fixture {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (main, part) = (directory.path().join("main"), directory.path().join("part"));
        for path in [&main, &part] {
            std::fs::create_dir(path).expect("is new");
            if git(path, &["init", "-q", "-b", "trunk"]).is_none() {
                writeln!(std::io::stderr(), "skipped: a test of git: needs the program `git`")
                    .expect("standard error can be written");
                return None;
            }
        }
        std::fs::write(part.join("p"), "part").expect("can be written");
        git(&part, &["add", "."])?;
        git(&part, &["commit", "-q", "-m", "0"])?;
        std::fs::create_dir(main.join("sub")).expect("is new");
        std::fs::write(main.join("sub/run"), "1").expect("can be written");
        std::fs::set_permissions(
            main.join("sub/run"),
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .expect("is ours");
        git(&main, &["add", "."])?;
        git(&main, &["commit", "-q", "-m", "1"])?;
        let first = git(&main, &["rev-parse", "HEAD"])?;
        git(&main, &["tag", "light"])?;
        git(&main, &["tag", "-a", "-m", "t", "heavy"])?;
        git(&main, &["update-ref", "refs/merge-requests/7/head", "HEAD"])?;
        std::fs::write(main.join("new"), "2").expect("can be written");
        git(&main, &["submodule", "--quiet", "add", "../part", "mod"])?;
        git(&main, &["add", "."])?;
        git(&main, &["commit", "-q", "-m", "2"])?;
        let second = git(&main, &["rev-parse", "HEAD"])?;
        Some(Self { directory, first, second })
    }

    fn remote(&self) -> String {
        format!("file://{}", self.directory.path().join("main").display())
    }

    fn git() -> Git {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Git { protocols: "file".to_owned(), ..Git::new([("PATH".to_owned(), path)]) }
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for entry in std::fs::read_dir(directory.join(&relative)).expect("is a directory") {
            let path = relative.join(entry.expect("can be listed").file_name());
            let metadata = directory.join(&path).symlink_metadata().expect("is there");
            found.push(format!("{} {:o}", path.display(), metadata.mode() & 0o7777));
            if metadata.is_dir() && path != Path::new(".git") {
                pending.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn references_are_resolved() {
    let Some(fixture) = Fixture::new() else { return };
    let (first, second) = (fixture.first.as_str(), fixture.second.as_str());
    let (git, remote) = (Fixture::git(), fixture.remote());
    for (reference, expected_name, expected_commit) in [
        (None, Some("refs/heads/trunk"), second),
        (Some("trunk"), Some("refs/heads/trunk"), second),
        (Some("refs/heads/trunk"), Some("refs/heads/trunk"), second),
        (Some("heads/trunk"), Some("refs/heads/trunk"), second),
        (Some("light"), Some("refs/tags/light"), first),
        (Some("heavy"), Some("refs/tags/heavy"), first),
        (Some("refs/merge-requests/7/head"), Some("refs/merge-requests/7/head"), first),
        (Some(first), None, first),
    ] {
        let found = git.resolve(&repository(&remote, reference, Some(&expected_commit[..7])));
        let found = found.map_err(|error| error.to_string()).expect("is there");
        let name = found.reference.as_deref();
        assert_eq!(
            (name, found.commit.as_str()),
            (expected_name, expected_commit),
            "{reference:?}"
        );
    }
}

#[test]
fn what_cannot_be_resolved_is_named() {
    let Some(fixture) = Fixture::new() else { return };
    let remote = fixture.remote();
    // A prefix that the commit has for certain not.
    let other = if fixture.first.starts_with('0') { "1" } else { "0" };
    for (reference, checksum, expected) in [
        (Some("nothing"), None, format!("`{remote}` has no reference `nothing`")),
        (
            Some("--upload-pack=touch x"),
            None,
            "`--upload-pack=touch x` is no name of a git reference".into(),
        ),
        (Some("a:refs/heads/b"), None, "`a:refs/heads/b` is no name of a git reference".into()),
        (Some("*"), None, "`*` is no name of a git reference".into()),
        (
            Some("light"),
            Some(other),
            format!(
                "`{remote}` is at commit `{}`, which does not begin with `{other}`",
                fixture.first
            ),
        ),
    ] {
        let error = Fixture::git().resolve(&repository(&remote, reference, checksum));
        assert_eq!(error.expect_err("cannot be").to_string(), expected);
    }
    let error = Git::new([]).resolve(&repository("git://127.0.0.1:1/x", None, None));
    assert!(matches!(error, Err(GitError::NoProgram { .. } | GitError::Failed { .. })));
    // The protocol of the tests is not one of those that are allowed.
    let strict = Git::new([("PATH".to_owned(), std::env::var_os("PATH").unwrap_or_default())]);
    let error = strict.resolve(&repository(&remote, None, None)).expect_err("is refused");
    assert_eq!(
        error.to_string(),
        format!("`git ls-remote` failed for `{remote}`: transport 'file' not allowed")
    );
}

#[test]
fn commits_are_checked_out() {
    let Some(fixture) = Fixture::new() else { return };
    let first: &[&str] = &["sub 755", "sub/run 755"];
    let second: &[&str] = &[".gitmodules 644", "mod 755", "new 644", "sub 755", "sub/run 755"];
    let whole: &[&str] =
        &[".gitmodules 644", "mod 755", "mod/p 644", "new 644", "sub 755", "sub/run 755"];
    let kept: &[&str] = &[".git 755", "sub 755", "sub/run 755"];
    for (reference, submodules, git_directory, expected) in [
        (None, true, false, whole),
        (None, false, false, second),
        (Some("light"), true, false, first),
        (Some("heavy"), true, true, kept),
        (Some(fixture.first.as_str()), true, false, first),
        (Some("refs/merge-requests/7/head"), true, false, first),
    ] {
        let into = tempfile::tempdir().expect("a temporary directory can be made");
        let repository = repository(&fixture.remote(), reference, None);
        let git = Fixture::git();
        let revision = git.resolve(&repository).expect("is there");
        let extras = Extras { submodules, git_directory };
        let time = git
            .checkout(&repository, &revision, extras, into.path())
            .map_err(|error| error.to_string())
            .expect("can be had");
        assert_eq!(time, 1_700_000_000);
        assert_eq!(files(into.path()), expected, "{reference:?}");
    }
}
