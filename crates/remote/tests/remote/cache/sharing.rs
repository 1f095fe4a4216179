//! Which builds may share a result, and which must not.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::job::{Job, Project};

/// What happens between two jobs of the same text.
type Change = fn(&Project);

fn context(project: &Project, name: &str) -> std::path::PathBuf {
    project.path("context").join(name)
}

async fn hits_of(text: [&str; 2], change: Change) -> (usize, usize) {
    let project = Project::new();
    project.write("src/file", "1");
    symlink("file", context(&project, "src/link")).unwrap();
    let to = || vec![project.target("cache:1")];
    let [before, after] = text.map(|text| format!("FROM BASE\n{text}\n"));
    project.run(&before, Job { to: to(), ..Job::default() }).await;
    change(&project);
    let job = Job { from: vec![project.source("cache:1")], ..Job::default() };
    let done = project.run(&after, job).await;
    (done.ran.len(), done.reasons.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_that_differ_where_it_counts_share_nothing() {
    for text in [
        ["ARG A=1\nRUN x", "ARG A=2\nRUN x"],
        ["ENV A=1\nRUN x", "ENV A=2\nRUN x"],
        ["RUN x", "SHELL [\"/bin/bash\", \"-c\"]\nRUN x"],
        ["RUN x", "USER 7\nRUN x"],
        ["RUN x", "WORKDIR /app\nRUN x"],
        ["RUN <<E\none\nE", "RUN <<E\ntwo\nE"],
        ["RUN x", "RUN --network=none x"],
    ] {
        let (ran, _) = hits_of(text, |_| {}).await;
        assert_eq!(ran, 1, "{text:?}");
    }
    let changes: [(&str, Change); 4] = [
        ("content", |project| project.write("src/file", "2")),
        ("exec bit", |project| {
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(context(project, "src/file"), mode).unwrap();
        }),
        ("link target", |project| {
            std::fs::remove_file(context(project, "src/link")).unwrap();
            symlink("other", context(project, "src/link")).unwrap();
        }),
        ("new file", |project| project.write("src/new", "")),
    ];
    for (name, change) in changes {
        for text in ["COPY src /s\nRUN x", "RUN --mount=target=/s,source=src x"] {
            let (ran, _) = hits_of([text, text], change).await;
            assert_eq!(ran, 1, "{name}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_that_differ_elsewhere_share_everything() {
    let text = "COPY src /s\nRUN x";
    let changes: [(&str, Change); 3] = [
        ("nothing", |_| {}),
        ("mtime", |project| {
            let path = context(project, "src/file");
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).unwrap();
        }),
        ("unrelated file", |project| project.write("other", "2")),
    ];
    for (name, change) in changes {
        assert_eq!(hits_of([text, text], change).await, (0, 0), "{name}");
    }
    let other = "LABEL a=b\nCOPY src /s\nRUN x\nCMD y";
    assert_eq!(hits_of([text, other], |_| {}).await, (0, 0), "{other}");
}
