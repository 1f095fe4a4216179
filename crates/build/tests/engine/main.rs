//! The engine with everything around it made up: what it asks for, and what it never asks for.

#![allow(clippy::unwrap_used, reason = "a test that is set up wrongly has to stop")]

mod fakes;

use std::sync::Arc;

use fakes::{World, base_layer};
use strata_build::event::Event;
use strata_sandbox::Exit;

/// The texts of the steps that ran, in order.
fn ran(world: &World) -> Vec<String> {
    world.commands.lock().unwrap().clone()
}

fn steps(events: &[Event], wanted: impl Fn(&Event) -> Option<u32>) -> Vec<u32> {
    events.iter().filter_map(wanted).collect()
}

fn started(world: &World) -> Vec<u32> {
    steps(&world.events(), |event| match event {
        Event::StepStarted { step } => Some(step.0),
        _ => None,
    })
}

fn cached(world: &World) -> Vec<u32> {
    steps(&world.events(), |event| match event {
        Event::StepCached { step } => Some(step.0),
        _ => None,
    })
}

#[tokio::test]
async fn metadata_alone_asks_for_no_layer() {
    let world = World::new(&[]);
    let built = world.build("FROM base\nENV A=1\nLABEL b=2\n").await.expect("builds");
    assert_eq!(built.image.layers, [base_layer().0]);
    assert_eq!(world.counts(), "indexed 0, fetched 0, opened 0");
}

#[tokio::test]
async fn copy_alone_asks_for_an_index_and_opens_nothing() {
    let world = World::new(&[("tool", "bytes")]);
    let built = world.build("FROM base\nCOPY tool /app/\n").await.expect("builds");
    assert_eq!(built.image.layers.len(), 2);
    assert_eq!(world.counts(), "indexed 1, fetched 0, opened 0");
    assert_eq!(built.image.config.history.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn index_is_asked_for_once_however_many_need_the_tree() {
    use std::fmt::Write as _;

    let world = World::new(&[("tool", "bytes")]);
    let mut text = String::new();
    for number in 0..20 {
        writeln!(text, "FROM base AS s{number}\nCOPY tool /app/{number}").expect("fits");
    }
    text.push_str("FROM base\n");
    for number in 0..20 {
        writeln!(text, "COPY --from=s{number} /app /app").expect("fits");
    }
    text.push_str("COPY --from=other /app /one\nCOPY --from=another /app /two\n");
    world.build(&text).await.expect("builds");
    assert_eq!(world.counts(), "indexed 1, fetched 0, opened 0");
    // Stages that are found, and what copies from them is not: each stands on the tree of the base that is there.
    let world = World::new(&[("tool", "bytes")]);
    let text = "FROM base AS a\nCOPY tool /app/a\nFROM base AS b\nCOPY tool /app/b\nFROM base\n\
                COPY --from=a /app /x\nCOPY --from=b /app /y\n";
    world.build(text).await.expect("builds");
    world.forget();
    world.build(&text.replace("/x", "/z")).await.expect("builds");
    // In whichever order: they are looked for at the same time.
    let mut found = cached(&world);
    found.sort_unstable();
    assert_eq!(found, [1, 2]);
    assert_eq!(world.counts(), "indexed 3, fetched 2, opened 2");
}

#[tokio::test]
async fn run_unpacks_once_however_many_there_are() {
    let world = World::new(&[]);
    let built = world.build("FROM base\nRUN one\nRUN two\n").await.expect("builds");
    assert_eq!(ran(&world), ["one", "two"]);
    assert_eq!(built.image.layers.len(), 3);
    assert_eq!(world.counts().split(", ").nth(2), Some("opened 1"));
}

#[tokio::test]
async fn second_build_runs_nothing_and_gives_the_same_image() {
    let world = World::new(&[("f", "1")]);
    let text = "FROM base\nCOPY f /f\nRUN one\nWORKDIR /w\n";
    let first = world.build(text).await.expect("builds");
    world.forget();
    let second = world.build(text).await.expect("builds again");
    assert_eq!(cached(&world), [1, 2, 3]);
    assert_eq!(ran(&world), Vec::<String>::new());
    assert_eq!(world.counts(), "indexed 0, fetched 0, opened 0");
    assert_eq!(first.image, second.image);
}

#[tokio::test]
async fn changed_file_runs_its_step_and_what_stands_on_it() {
    let world = World::new(&[("f", "1"), ("other", "x")]);
    let text = "FROM base\nRUN before\nCOPY f /f\nRUN after\n";
    world.build(text).await.expect("builds");
    world.forget();
    world.write("other", "y");
    world.build(text).await.expect("builds");
    assert_eq!(cached(&world), [1, 2, 3], "a file that is not copied changes nothing");
    world.forget();
    world.write("f", "2");
    world.build(text).await.expect("builds");
    assert_eq!((cached(&world), started(&world)), (vec![1], vec![2, 3]));
    assert_eq!(ran(&world), ["after"]);
}

#[tokio::test]
async fn stage_that_nothing_asks_for_does_not_run() {
    let world = World::new(&[]);
    let text = "FROM base AS unused\nRUN unused\nFROM base AS tool\nRUN tool\nFROM base\nCOPY --from=tool /made /made\n";
    world.build(text).await.expect("builds");
    assert_eq!(ran(&world), ["tool"]);
    world.forget();
    // The COPY hits, so the stage it took files from is not looked into.
    world.lose_step("tool");
    world.build(text).await.expect("builds");
    assert_eq!(ran(&world), Vec::<String>::new());
}

#[tokio::test]
async fn failure_names_its_line_and_keeps_the_last_output() {
    let world = World::new(&[]);
    world.fails("bad", Exit::Code(7));
    let error = world.build("FROM base\nRUN good\nRUN bad\nRUN never\n").await.expect_err("fails");
    let span = error.span.expect("it has a place");
    assert_eq!(&"FROM base\nRUN good\nRUN bad\nRUN never\n"[span.range()], "RUN bad");
    assert_eq!(error.to_string(), "the command `RUN bad` exited with code 7");
    let tail = match &error.kind {
        strata_build::ErrorKind::CommandFailed { tail, .. } => tail.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(tail, ["output of bad"]);
    assert_eq!(ran(&world), ["good", "bad"]);
    assert_eq!(world.scratch_entries(), Vec::<String>::new(), "nothing is left behind");
}

#[tokio::test]
async fn missing_source_is_told_before_anything_runs() {
    let world = World::new(&[("main.rs", "")]);
    let error = world.build("FROM base\nRUN one\nCOPY mian.rs /\n").await.expect_err("fails");
    assert_eq!(error.to_string(), "`mian.rs` is not in the build context");
    match &error.kind {
        strata_build::ErrorKind::NotInContext { reason, .. } => {
            assert_eq!(format!("{reason:?}"), "Similar { path: /main.rs }");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ran(&world), Vec::<String>::new());
}

#[tokio::test]
async fn stage_waits_only_where_it_needs_another() {
    let world = World::new(&[]);
    let text = "FROM base AS a\nRUN a\nFROM base AS b\nRUN b\nCOPY --from=a /made /x\nFROM base\nCOPY --from=b /x /x\n";
    let built = world.build(text).await.expect("builds");
    let mut commands = ran(&world);
    commands.sort();
    assert_eq!(commands, ["a", "b"]);
    assert_eq!(built.image.layers.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_many_stages_do_not_all_run_at_once() {
    use std::fmt::Write as _;

    let world = World::new(&[]);
    let mut text = String::new();
    for number in 0..40 {
        writeln!(text, "FROM base AS s{number}\nRUN wait {number}").expect("fits");
    }
    text.push_str("FROM base\n");
    for number in 0..40 {
        writeln!(text, "COPY --from=s{number} /made /{number}").expect("fits");
    }
    world.build(&text).await.expect("builds");
    assert_eq!(ran(&world).len(), 40);
    let most = world.at_once.most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");
}

#[tokio::test]
async fn failure_of_one_stage_is_the_error_of_the_build() {
    let world = World::new(&[]);
    world.fails("bad", Exit::Signal(9));
    let text = "FROM base AS a\nRUN bad\nFROM base\nCOPY --from=a /made /x\n";
    let error = world.build(text).await.expect_err("fails");
    assert_eq!(error.to_string(), "the command `RUN bad` was killed by signal 9");
    assert!(Arc::strong_count(&error) >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_the_result_go_ahead_and_no_others() {
    let world = World::new(&[("a", "a")]);
    let text = "FROM base AS other\nRUN other\nFROM base AS lower\nRUN one\nFROM lower\nCOPY a /\n\
                COPY --from=other made /x\nRUN two\n";
    let built = world.build(text).await.unwrap();
    let layers: Vec<_> = built.image.layers.iter().map(|layer| layer.blob.digest).collect();
    let mut ahead = world.sent_ahead();
    // A child stage tells again what its parent stage told.
    ahead.sort();
    ahead.dedup();
    let mut expected = layers.clone();
    expected.sort();
    assert_eq!(ahead, expected);
    // All steps but that of the stage that is copied from, the first.
    assert_eq!(Vec::from_iter(world.sent_along()), [2, 3, 4, 5]);
    let failing = World::new(&[]);
    failing.fails("two", strata_sandbox::Exit::Code(3));
    failing.build("FROM base\nRUN one\nRUN two\n").await.unwrap_err();
    assert_eq!(failing.sent_ahead().len(), 2, "the base and what was sealed before the failure");
}
