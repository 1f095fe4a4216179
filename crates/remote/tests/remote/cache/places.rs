//! Where caches are, and what becomes of what is in them.

use strata_remote::{CacheSource, CacheTarget, Extent};

use super::job::{Job, Project};

const TEXT: &str =
    "FROM BASE AS tool\nRUN make tool\nFROM BASE\nCOPY --from=tool /made /tool\nRUN make app\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_place_is_read_by_the_next_job() {
    let project = Project::new();
    let directory = |project: &Project| CacheTarget::Directory {
        directory: project.path("cache"),
        tag: "latest".to_owned(),
        extent: Extent::Everything,
    };
    let image = project.registry.reference("app:1");
    let pushed = || Some(image.clone());
    for (name, job, from) in [
        (
            "registry",
            Job { to: vec![project.target("cache:1")], ..Job::default() },
            project.source("cache:1"),
        ),
        (
            "directory",
            Job { to: vec![directory(&project)], ..Job::default() },
            CacheSource::Directory { directory: project.path("cache"), selector: None },
        ),
        ("inline", Job { inline: true, push: pushed(), ..Job::default() }, project.source("app:1")),
    ] {
        let inline = job.inline;
        let first = project.run(TEXT, job).await;
        assert_eq!((first.ran.len(), &first.warnings[..]), (2, &[][..]), "{name}");
        let next = Job { from: vec![from], inline, push: pushed(), ..Job::default() };
        let second = project.run(TEXT, next).await;
        assert_eq!(second.ran, Vec::<String>::new(), "{name}: {second:#?}");
        assert_eq!(second.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(second.image, first.image, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_caches_are_looked_into_in_order() {
    let project = Project::new();
    let to = |name: &str| Job { to: vec![project.target(name)], ..Job::default() };
    project.run("FROM BASE\nRUN one\n", to("cache:one")).await;
    project.run("FROM BASE\nRUN two\n", to("cache:two")).await;
    let from = vec![project.source("cache:two"), project.source("cache:one")];
    let text = "FROM BASE AS one\nRUN one\nFROM BASE\nRUN two\nCOPY --from=one /made /\n";
    let done = project.run(text, Job { from, ..Job::default() }).await;
    assert_eq!(done.ran, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_job_wrote_meanwhile_stays() {
    let project = Project::new();
    // Neither has read what the other wrote.
    let job = || Job { to: vec![project.target("cache:1")], ..Job::default() };
    project.run("FROM BASE\nRUN one\n", job()).await;
    project.run("FROM BASE\nRUN two\n", job()).await;
    for command in ["one", "two"] {
        let from = vec![project.source("cache:1")];
        let text = format!("FROM BASE\nRUN {command}\n");
        let done = project.run(&text, Job { from, ..Job::default() }).await;
        assert_eq!(done.ran, Vec::<String>::new(), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_used_for_long_goes() {
    let project = Project::new();
    let job = |day| Job { to: vec![project.target("cache:1")], day, ..Job::default() };
    project.run("FROM BASE\nRUN one\n", job(0)).await;
    project.run("FROM BASE\nRUN two\n", job(20)).await;
    for (command, ran) in [("one", &["one"][..]), ("two", &[])] {
        let from = vec![project.source("cache:1")];
        let text = format!("FROM BASE\nRUN {command}\n");
        let done = project.run(&text, Job { from, ..Job::default() }).await;
        assert_eq!(done.ran, ran, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_not_overwritten_by_a_cache() {
    let project = Project::new();
    let to = vec![project.target("base:1")];
    let done = project.run("FROM BASE\nRUN one\n", Job { to, ..Job::default() }).await;
    assert_eq!(done.warnings, ["not written: something other than a cache has this name"]);
}
