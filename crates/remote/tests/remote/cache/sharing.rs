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

fn after_the_change(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("RUN")).count()
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
        ["ARG A=1\nRUN x", "ARG B=1\nRUN x"],
        // Where one value ends and the next begins counts.
        ["ENV A=1 B=23\nRUN x", "ENV A=12 B=3\nRUN x"],
        ["RUN [\"x\", \"y\"]", "RUN [\"x y\"]"],
        ["RUN --mount=type=tmpfs,target=/t x", "RUN x"],
        ["RUN --mount=type=cache,target=/a x", "RUN --mount=type=cache,target=/b x"],
        ["RUN y\nRUN x", "RUN z\nRUN x"],
    ] {
        let (ran, _) = hits_of(text, |_| {}).await;
        // In the last row of the table the first command differs, and the second stands on it.
        assert_eq!(ran, after_the_change(text[1]), "{text:?}");
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
    // The order of variables means nothing to a program.
    let orders = ["ENV A=1\nENV B=2\nRUN x", "ENV B=2\nENV A=1\nRUN x"];
    assert_eq!(hits_of(orders, |_| {}).await, (0, 0), "{orders:?}");
    let other = "LABEL a=b\nCOPY src /s\nRUN x\nCMD y";
    assert_eq!(hits_of([text, other], |_| {}).await, (0, 0), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_base_and_another_stage_share_nothing() {
    let project = Project::new();
    let job = || Job {
        from: vec![project.source("cache")],
        to: vec![project.target("cache")],
        ..Job::default()
    };
    let other = strata_testkit::TestImage::new().layer("/app/ 0755 0:0");
    project.registry.add_image("other", "1", &other.build());
    let base = project.registry.reference("other:1");
    for (text, ran) in [
        ("FROM BASE\nRUN x\n".to_owned(), 1),
        (format!("FROM {base}\nRUN x\n"), 1),
        ("FROM BASE AS s\nRUN one\nFROM BASE\nCOPY --from=s /made /m\nRUN y\n".to_owned(), 2),
        ("FROM BASE AS s\nRUN two\nFROM BASE\nCOPY --from=s /made /m\nRUN y\n".to_owned(), 2),
    ] {
        assert_eq!(project.run(&text, job()).await.ran.len(), ran, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_directory_of_the_context_shares_everything() {
    let (project, elsewhere) = (Project::new(), Project::new());
    for checkout in [&project, &elsewhere] {
        checkout.write("src/file", "1");
    }
    let text = "FROM BASE\nCOPY src /s\nRUN x\n";
    let to = vec![project.target("cache:1")];
    project.run(text, Job { to, ..Job::default() }).await;
    let from = vec![project.source("cache:1")];
    let done = elsewhere.run(text, Job { from, ..Job::default() }).await;
    assert_eq!(done.ran, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_platform_shares_no_command() {
    let project = Project::new();
    let job = |architecture| Job {
        from: vec![project.source("cache:1")],
        to: vec![project.target("cache:1")],
        architecture: Some(architecture),
        ..Job::default()
    };
    project.write("src/file", "1");
    let text = "FROM scratch\nCOPY src /s\nRUN x\n";
    for (architecture, ran) in [("amd64", 1), ("arm64", 1), ("amd64", 0), ("arm64", 0)] {
        let done = project.run(text, job(architecture)).await;
        assert_eq!(done.ran.len(), ran, "{architecture}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_threads_shares_everything() {
    let project = Project::new();
    // More than one thread's share.
    project.write("src/file", &"content\n".repeat(1 << 20));
    let text = "FROM BASE\nCOPY src /s\nRUN x\n";
    let with = |threads| Job { threads: Some(threads), ..project.job() };
    let first = project.run(text, with(1)).await;
    let second = project.run(text, with(4)).await;
    assert_eq!((second.ran.len(), second.reasons.len()), (0, 0));
    assert_eq!(second.image, first.image);
    // And what four make is what one makes.
    let alone = project.run(text, Job { threads: Some(4), ..Job::default() }).await;
    assert_eq!(alone.ran.len(), 1);
    assert_eq!(alone.image.layers[1], first.image.layers[1]);
}
