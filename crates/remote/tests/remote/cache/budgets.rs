//! What a rebuild may ask of a registry.

use super::job::{Job, Project};

/// Twenty commands on a base.
fn twenty() -> String {
    let commands: Vec<String> = (0..20).map(|number| format!("RUN make {number}\n")).collect();
    format!("FROM BASE\n{}", commands.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn fully_cached_build_with_push_takes_ten_requests_and_no_layer() {
    let project = Project::new();
    let first = project.run(&twenty(), project.job()).await;
    assert_eq!(first.ran.len(), 20);
    let second = project.run(&twenty(), project.job()).await;
    assert_eq!((&second.ran, &second.warnings[..]), (&Vec::new(), &[][..]), "{:#?}", second.log);
    assert_eq!(second.image, first.image);
    assert!(second.log.len() <= 10, "{:#?}", second.log);
    // The base's config and the cache's.
    assert_eq!(second.requests("GET", "/blobs/").len(), 2, "{:#?}", second.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_file_uploads_one_layer_and_downloads_none() {
    let project = Project::new();
    for number in 0..200 {
        project.write(&format!("src/{number}"), "content");
    }
    let text = "FROM BASE\nRUN setup\nCOPY src /app/src\n";
    project.run(text, project.job()).await;
    project.write("src/7", "other");
    let second = project.run(text, project.job()).await;
    assert_eq!(second.ran, Vec::<String>::new());
    assert_eq!(second.reasons, ["src/7 changed (ed7002b… → d9298a1…)"]);
    let layers: Vec<String> =
        second.image.layers.iter().map(|layer| layer.blob.digest.to_string()).collect();
    for layer in project.base_layers().iter().map(String::as_str).chain([&layers[1][..15]]) {
        assert_eq!(second.requests("GET", layer), Vec::<&String>::new(), "{:#?}", second.log);
    }
    // The layer and the config.
    assert_eq!(second.requests("PUT", "/app/blobs/uploads/").len(), 2, "{:#?}", second.log);
    // In the cache it is mounted; its index, the recipe and the records are new.
    let cache = second.requests("PUT", "/app/cache/blobs/uploads/");
    assert_eq!(cache.len(), 3, "{:#?}", second.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_stages_only_the_changed_one_runs() {
    let project = Project::new();
    for name in ["one", "two", "three"] {
        project.write(name, "1");
    }
    let stage = |name: &str| format!("FROM BASE AS {name}\nCOPY {name} /\nRUN make {name}\n");
    let copy = |name: &str| format!("COPY --from={name} /made /{name}\n");
    let text = ["one", "two", "three"].map(stage).concat()
        + "FROM BASE\n"
        + &["one", "two", "three"].map(copy).concat();
    let first = project.run(&text, project.job()).await;
    assert_eq!(first.ran.len(), 3);
    project.write("two", "2");
    let second = project.run(&text, project.job()).await;
    assert_eq!(second.ran, ["make two"]);
    // What the stage made is what it was, so that what was copied from it was found.
    assert_eq!(second.image, first.image);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_result_of_a_rebuilt_stage_is_found_by_content() {
    let project = Project::new();
    let text = |remark: &str| {
        format!(
            "FROM BASE AS made\nRUN make all{remark}\nFROM BASE\nCOPY --from=made /made /\nRUN install\n"
        )
    };
    let first = project.run(&text("#1"), project.job()).await;
    assert_eq!(first.ran, ["make all#1", "install"]);
    let second = project.run(&text("#2"), project.job()).await;
    assert_eq!(second.ran, ["make all#2"]);
    assert_eq!(second.image, first.image);
    // And now it is known by definition too.
    let third = project.run(&text("#2"), project.job()).await;
    assert_eq!(third.ran, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_a_base_are_known_without_it() {
    for cache in ["app/cache:main", "app/cache"] {
        let project = Project::new();
        let job = || Job {
            from: vec![project.source(cache)],
            to: vec![project.target(cache)],
            push: Some(project.registry.reference("app:1")),
            ..Job::default()
        };
        let text = "FROM BASE\nCOPY --chown=www:7 file /app/file\n";
        project.write("file", "1");
        project.run(text, job()).await;
        project.write("file", "2");
        let second = project.run(text, job()).await;
        assert_eq!(second.reasons, ["file changed (6b86b27… → d4735e3…)"]);
        for layer in project.base_layers() {
            assert_eq!(second.requests("GET", &layer), Vec::<&String>::new(), "{:#?}", second.log);
        }
        assert_eq!(second.image.layers.len(), 2);
    }
}
