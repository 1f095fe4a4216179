//! A cache that does not do what it should costs time, never the build, and is told once.

use std::time::Duration;

use strata_testkit::Fault;

use super::job::{Job, Project};

const TEXT: &str = "FROM BASE\nRUN one\nRUN two\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_read_is_one_warning() {
    for (name, fault) in [
        ("missing", Fault::status(404).on("", "/cache/manifests/")),
        ("forbidden", Fault::status(403).on("", "/cache/")),
        ("busy", Fault::status(429).on("", "/cache/")),
        ("broken", Fault::status(503).on("", "/cache/")),
        ("cut manifest", Fault::cut_body(10).on("GET", "/cache/manifests/")),
        ("cut records", Fault::cut_body(10).on("GET", "/cache/blobs/")),
        ("wrong records", Fault::corrupt_body().on("GET", "/cache/blobs/")),
        ("gone records", Fault::status(404).on("GET", "/cache/blobs/")),
        ("no manifest", Fault::answer(200, &[], "{}").on("GET", "/cache/manifests/")),
    ] {
        let project = Project::new();
        let to = vec![project.target("cache:1")];
        let first = project.run(TEXT, Job { to, ..Job::default() }).await;
        project.registry.add_fault(fault);
        let from = vec![project.source("cache:1")];
        let second = project.run(TEXT, Job { from, ..Job::default() }).await;
        assert_eq!(second.ran, ["one", "two"], "{name}");
        assert_eq!(second.warnings.len(), 1, "{name}: {:?}", second.warnings);
        assert_eq!(second.image.layers.len(), first.image.layers.len(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_recovers_is_used() {
    for (name, fault) in [
        ("busy", Fault::status(429).on("", "/cache/").first(1)),
        ("broken", Fault::status(503).on("", "/cache/").first(1)),
        ("cut records", Fault::cut_body(10).on("GET", "/cache/blobs/").first(1)),
    ] {
        let project = Project::new();
        let to = vec![project.target("cache:1")];
        project.run(TEXT, Job { to, ..Job::default() }).await;
        project.registry.add_fault(fault);
        let from = vec![project.source("cache:1")];
        let second = project.run(TEXT, Job { from, ..Job::default() }).await;
        assert_eq!((second.ran.len(), second.warnings.len()), (0, 0), "{name}: {second:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_cannot_be_had_is_made_again() {
    for (name, fault) in [
        ("gone", Fault::status(404)),
        ("wrong", Fault::corrupt_body()),
        ("cut", Fault::cut_body(10)),
    ] {
        // For a command that runs, and for a push to another registry, which takes all bytes there are.
        for text in ["FROM BASE\nRUN one\nRUN other\n", "FROM BASE\nRUN one\n"] {
            let project = Project::new();
            let to = vec![project.target("cache:1")];
            let first = project.run("FROM BASE\nRUN one\n", Job { to, ..Job::default() }).await;
            let layer = &first.image.layers[1].blob.digest.to_string();
            project.registry.add_fault(fault.clone().on("GET", &format!("/cache/blobs/{layer}")));
            let elsewhere = strata_testkit::TestRegistry::start();
            let from = vec![project.source("cache:1")];
            let push = Some(elsewhere.reference("app:1"));
            let second = project.run(text, Job { from, push, ..Job::default() }).await;
            assert_eq!(second.ran.first().map(String::as_str), Some("one"), "{name}: {text}");
            assert_eq!(second.warnings.len(), 1, "{name}: {text}: {:?}", second.warnings);
            assert!(elsewhere.manifest("app", "1").is_some(), "{name}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_had_is_read_from_its_layer() {
    let project = Project::new();
    project.write("file", "1");
    let text = "FROM BASE\nCOPY file /app/\n";
    let to = vec![project.target("cache:1")];
    project.run(text, Job { to, ..Job::default() }).await;
    project.write("file", "2");
    // The records come first; whatever else is read of the cache is gone.
    project.registry.add_fault(Fault::status(404).on("GET", "/cache/blobs/").after(1));
    let from = vec![project.source("cache:1")];
    let second = project.run(text, Job { from, ..Job::default() }).await;
    assert_eq!(second.warnings, Vec::<String>::new());
    assert_eq!(second.image.layers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_cannot_be_written_is_one_warning() {
    let project = Project::new();
    project.registry.add_fault(Fault::status(403).on("PUT", "/cache/manifests/"));
    let to = vec![project.target("cache:1")];
    let done = project.run(TEXT, Job { to, ..Job::default() }).await;
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_cannot_be_read_are_one_warning() {
    for (name, fault, ran) in [
        ("forbidden", Fault::status(403).on("", "/tags/"), 2),
        ("busy", Fault::status(429).on("", "/tags/"), 2),
        ("broken", Fault::status(503).on("", "/tags/"), 2),
        ("no manifest", Fault::answer(200, &[], "{}").on("GET", "/manifests/cache-"), 2),
    ] {
        let project = Project::new();
        project.run(TEXT, Job { to: vec![project.target("tags")], ..Job::default() }).await;
        project.registry.add_fault(fault);
        let from = vec![project.source("tags")];
        let second = project.run(TEXT, Job { from, ..Job::default() }).await;
        assert_eq!(second.ran.len(), ran, "{name}");
        assert_eq!(second.warnings.len(), 1, "{name}: {:?}", second.warnings);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_others_change_meanwhile_is_merged_again() {
    let project = Project::new();
    // One job has read the cache and is slow to write; the other one writes in that time.
    let slow = Fault::delay(Duration::from_secs(3)).on("PUT", "/cache/blobs/uploads/").first(1);
    project.registry.add_fault(slow);
    let job = || Job { to: vec![project.target("cache:1")], ..Job::default() };
    let (one, two) = ("FROM BASE\nRUN one\n", "FROM BASE\nRUN two\n");
    tokio::join!(project.run(one, job()), project.run(two, job()));
    for text in [one, two] {
        let from = vec![project.source("cache:1")];
        let done = project.run(text, Job { from, ..Job::default() }).await;
        assert_eq!((done.ran.len(), done.warnings.len()), (0, 0), "{text}");
    }
}
