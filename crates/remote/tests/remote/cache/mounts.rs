//! What commands leave in cache mounts, from job to job.

use strata_remote::{CachePlace, CacheSource, CacheTarget};
use strata_testkit::Fault;

use super::job::{Done, Job, Project};

fn text(command: &str) -> String {
    format!("FROM BASE\nRUN --mount=type=cache,target=/c {command}\n")
}

fn keeping(target: CacheTarget) -> CacheTarget {
    CacheTarget { mounts: Some(1 << 30), ..target }
}

/// A job that begins with nothing but a cache, and writes it.
async fn run(project: &Project, name: &str, command: &str) -> Done {
    let (from, to) = (vec![project.source(name)], vec![keeping(project.target(name))]);
    project.run(&text(command), Job { from, to, ..Job::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_job_left_the_next_one_finds() {
    let project = Project::new();
    let place =
        CachePlace::Directory { directory: project.path("cache"), tag: "latest".to_owned() };
    let directory = CacheSource::Directory { directory: project.path("cache"), selector: None };
    for (name, to, from) in [
        ("registry", project.target("cache:1"), project.source("cache:1")),
        ("tags", project.target("tags"), project.source("tags")),
        ("directory", CacheTarget::new(place), directory),
    ] {
        let job = |from| Job { from, to: vec![keeping(to.clone())], ..Job::default() };
        let first = project.run(&text("one"), job(Vec::new())).await;
        assert_eq!((&first.ran[..], &first.warnings[..]), (&["one: 0".to_owned()][..], &[][..]));
        for (command, ran) in [("two", "two: one 640"), ("three", "three: one two 640")] {
            let done = project.run(&text(command), job(vec![from.clone()])).await;
            assert_eq!(done.ran, [ran], "{name}");
            assert_eq!(done.warnings, Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_travels_and_only_for_a_command_that_runs() {
    let project = Project::new();
    run(&project, "cache:1", "big").await;
    let second = run(&project, "cache:1", "two").await;
    assert_eq!(second.ran, ["two: big 640"]);
    let uploads = second.requests("PUT", "/cache/blobs/uploads/").len();
    // The first piece, the layer, its index and the records; the noise is known.
    assert!(uploads <= 5, "{:#?}", second.log);
    let third = run(&project, "cache:1", "two").await;
    assert_eq!(third.ran, Vec::<String>::new());
    // The layer goes into the local store, which this job was asked for; no piece comes.
    assert!(third.requests("GET", "/cache/blobs/").len() <= 2, "{:#?}", third.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_cannot_be_had_begins_empty() {
    for (name, fault) in [
        ("gone", Fault::status(404)),
        ("wrong", Fault::corrupt_body()),
        ("cut", Fault::cut_body(10)),
    ] {
        let project = Project::new();
        run(&project, "cache:1", "one").await;
        // After the records.
        project.registry.add_fault(fault.on("GET", "/cache/blobs/").after(1));
        let from = vec![project.source("cache:1")];
        let second = project.run(&text("two"), Job { from, ..Job::default() }).await;
        assert_eq!(second.ran, ["two: 0"], "{name}");
        let [warning] = &second.warnings[..] else { panic!("{name}: {:?}", second.warnings) };
        assert!(warning.starts_with("cache mount `/c` begins empty: "), "{name}: {warning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_holds_too_much_is_not_kept() {
    let project = Project::new();
    let target = CacheTarget { mounts: Some(1 << 20), ..project.target("cache:1") };
    let job = Job { to: vec![target], ..Job::default() };
    let first = project.run(&text("big"), job).await;
    assert_eq!(first.warnings, ["cache mount `/c` is not kept: it holds more than 1048576 bytes"]);
    let from = vec![project.source("cache:1")];
    let second = project.run(&text("two"), Job { from, ..Job::default() }).await;
    assert_eq!(second.ran, ["two: 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_side_by_side_leave_one_of_their_mounts_whole() {
    for name in ["cache:1", "tags"] {
        let project = Project::new();
        tokio::join!(run(&project, name, "one"), run(&project, name, "two"));
        let next = run(&project, name, "next").await;
        // Where one was late, it began with what the other one left.
        let whole = ["one", "two", "one two", "two one"].map(|log| format!("next: {log} 640"));
        assert!(whole.contains(&next.ran[0]), "{:?}", next.ran);
        assert_eq!(next.warnings, Vec::<String>::new(), "{name}");
    }
}
