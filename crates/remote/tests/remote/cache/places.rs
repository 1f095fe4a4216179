//! Where caches are, and what becomes of what is in them.

use std::time::Duration;

use strata_remote::{CachePlace, CacheSource, CacheTarget, Extent};

use super::job::{Job, Project};

const TEXT: &str =
    "FROM BASE AS tool\nRUN make tool\nFROM BASE\nCOPY --from=tool /made /tool\nRUN make app\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_place_is_read_by_the_next_job() {
    let project = Project::new();
    let directory = |project: &Project| {
        let (directory, tag) = (project.path("cache"), "latest".to_owned());
        let place = CachePlace::Directory { directory, tag };
        CacheTarget { extent: Extent::Everything, ..CacheTarget::new(place) }
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
        (
            "tags",
            Job { to: vec![project.target("tags")], ..Job::default() },
            project.source("tags"),
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

#[tokio::test(flavor = "multi_thread")]
async fn jobs_with_tags_write_side_by_side() {
    let project = Project::new();
    let tags = || Job { to: vec![project.target("tags")], ..Job::default() };
    let (one, two) = ("FROM BASE\nRUN one\n", "FROM BASE\nRUN two\n");
    tokio::join!(project.run(one, tags()), project.run(two, tags()));
    for text in [one, two] {
        let job = Job { from: vec![project.source("tags")], ..tags() };
        let done = project.run(text, job).await;
        assert_eq!((done.ran.len(), &done.warnings[..]), (0, &[][..]), "{text}");
        // What is known is not written again.
        assert_eq!(done.requests("PUT", ""), Vec::<&String>::new(), "{:#?}", done.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_among_tags_is_explained_and_needs_no_base() {
    let project = Project::new();
    project.write("file", "1");
    let text = "FROM BASE\nCOPY file /app/\n";
    let tags = || Job { to: vec![project.target("tags")], ..Job::default() };
    let first = project.run(text, tags()).await;
    assert_eq!(first.warnings, Vec::<String>::new());
    project.write("file", "2");
    let push = Some(project.registry.reference("app:1"));
    let job = Job { from: vec![project.source("tags")], push, ..tags() };
    let second = project.run(text, job).await;
    assert_eq!(second.reasons, ["file changed (6b86b27… → d4735e3…)"]);
    for layer in project.base_layers() {
        assert_eq!(second.requests("GET", &layer), Vec::<&String>::new(), "{:#?}", second.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_old_is_made_again() {
    let project = Project::new();
    for name in ["cache:1", "tags"] {
        let to = || vec![project.target(name)];
        let from = || vec![project.source(name)];
        let text = "FROM BASE\nRUN one\n";
        project.run(text, Job { to: to(), ..Job::default() }).await;
        // Use does not make it younger.
        let job = Job { from: from(), to: to(), day: 5, ..Job::default() };
        assert_eq!(project.run(text, job).await.ran, Vec::<String>::new(), "{name}");
        let age_limit = Some(Duration::from_hours(24 * 7));
        for (day, ran) in [(6, 0), (8, 1), (14, 0)] {
            let job = Job { from: from(), to: to(), day, age_limit, ..Job::default() };
            assert_eq!(project.run(text, job).await.ran.len(), ran, "{name}, day {day}");
        }
    }
}
