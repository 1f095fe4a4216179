//! Recorded builds, replayed.

use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use serde::Deserialize;

use super::json::Json;
use super::line::Colour;
use super::plain::Plain;
use super::quiet::Quiet;
use super::tty::Tty;
use super::view::Size;
use super::*;

const TWO_STAGES: &str = include_str!("../../../../testdata/events/two-stages.jsonl");
const FAILING_RUN: &str = include_str!("../../../../testdata/events/failing-run.jsonl");
const SIZE: Size = Size { width: 60, height: 12 };

#[derive(Deserialize)]
struct Recorded {
    at: u64,
    #[serde(flatten)]
    event: Event,
}

fn recorded(text: &str) -> Vec<(Duration, Event)> {
    text.lines()
        .map(|line| {
            let recorded: Recorded = serde_json::from_str(line).expect("is a recorded event");
            (Duration::from_millis(recorded.at), recorded.event)
        })
        .collect()
}

/// A writer whose bytes can be read while somebody else writes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("no test panics while writing").clone();
        String::from_utf8(bytes).expect("renderers write UTF-8")
    }
}

fn replay(text: &str, renderer: impl FnOnce(Shared) -> Box<dyn Renderer>) -> String {
    let out = Shared::default();
    let mut renderer = renderer(out.clone());
    let mut state = State::default();
    for (at, event) in recorded(text) {
        state.apply(at, &event);
        renderer.event(&state, &event).expect("memory takes everything");
    }
    renderer.end(&state).expect("memory takes everything");
    out.text()
}

fn plain(text: &str) -> String {
    replay(text, |out| Box::new(Plain::new(out, Colour::Never)))
}

fn live_at(text: &str, milliseconds: u64, size: Size) -> String {
    let now = Duration::from_millis(milliseconds);
    let mut state = State::default();
    for (at, event) in recorded(text).into_iter().filter(|(at, _)| *at <= now) {
        state.apply(at, &event);
    }
    let lines: Vec<String> =
        view::live(&state, size, now).iter().map(|line| line.render(Colour::Never)).collect();
    lines.join("\n")
}

#[test]
fn plain_appends_lines() {
    assert_snapshot!(plain(TWO_STAGES), @"
    resolved docker.io/library/alpine:3.20 is sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    warning: stage name `Builder` is not lower case (line 1)
    #1 [builder 1/2] COPY . /src
    #1 CACHED
    #2 not cached: src/main.c changed
    blob sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa downloaded, 4.0 MB
    #2 [builder 2/2] RUN make -C /src
    #2 0.125 cc -c main.c
    #2 0.335 main.c:1: warning: odd
    #2 1.200 cc -o app
    #2 DONE 1.2s
    #2 layer sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, 5.2 MB (20.9 MB uncompressed)
    #3 [stage-1 1/1] COPY --from=builder <<END /app …
    #3 DONE 0.0s
    blob sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb already there, 5.2 MB
    exported oci to out.tar
    pushed example.com/app:1@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
    finished sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc in 2.1s
    ");
}

#[test]
fn plain_shows_a_failure() {
    assert_snapshot!(plain(FAILING_RUN), @"
    #1 [1/2] RUN ./configure &&     make
    #1 0.889 99%
    #1 0.949 no rule to make target
    #1 ERROR 0.9s
    ");
}

#[test]
fn live_view_shows_what_moves() {
    assert_snapshot!(live_at(TWO_STAGES, 400, SIZE), @"
    downloading sha256:aaaaaaaaaaaa [======                  ]…
       building 0.4s, 1 of 3 steps
    ");
}

#[test]
fn live_view_shows_the_output_of_running_steps() {
    assert_snapshot!(live_at(TWO_STAGES, 2000, SIZE), @"
     running [builder 2/2] RUN make -C /src 1.0s
             | cc -c main.c
             | main.c:1: warning: odd
    building 2.0s, 1 of 3 steps
    ");
}

#[test]
fn live_view_fits_a_small_terminal() {
    assert_snapshot!(live_at(TWO_STAGES, 2000, Size { width: 30, height: 3 }), @"
     running [builder 2/2] RU…
    building 2.0s, 1 of 3 ste…
    ");
}

#[test]
fn finished_steps_scroll_away() {
    let text = replay(TWO_STAGES, |out| Box::new(Tty::new(out, Colour::Never, Box::new(|| SIZE))));
    let text = text.replace("\x1b[J", "").replace("\x1b[?7l", "").replace("\x1b[?7h", "");
    assert_snapshot!(text, @"
    resolved docker.io/library/alpine:3.20 is sha256:aaaaaaaaaaaa
     warning stage name `Builder` is not lower case (line 1)
      cached [builder 1/2] COPY . /src
     changed src/main.c changed
        done [builder 2/2] RUN make -C /src 1.2s
        done [stage-1 1/1] COPY --from=builder <<END /app … 0.0s
    exported oci to out.tar
      pushed example.com/app:1@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
    finished sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc in 2.1s
    ");
}

#[test]
fn live_view_is_drawn_over() {
    let out = Shared::default();
    let mut tty = Tty::new(out.clone(), Colour::Never, Box::new(|| SIZE));
    let mut state = State::default();
    for (at, event) in recorded(TWO_STAGES).into_iter().take(7) {
        state.apply(at, &event);
    }
    let now = Duration::from_millis(500);
    tty.tick(&state, now).expect("memory takes everything");
    let first = out.text().len();
    tty.tick(&state, now).expect("memory takes everything");
    assert!(out.text()[first..].starts_with("\x1b[2A\r\x1b[J"), "{:?}", out.text());
}

#[test]
fn quiet_prints_the_digest_alone() {
    let digest = "sha256:".to_owned() + &"c".repeat(64);
    assert_eq!(replay(TWO_STAGES, |out| Box::new(Quiet::new(out))), digest + "\n");
    assert_eq!(replay(FAILING_RUN, |out| Box::new(Quiet::new(out))), "");
}

#[test]
fn json_keeps_the_events() {
    let text = replay(TWO_STAGES, |out| Box::new(Json::new(out)));
    let events: Vec<Event> =
        text.lines().map(|line| serde_json::from_str(line).expect("is an event")).collect();
    let expected: Vec<Event> = recorded(TWO_STAGES).into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, expected);
}

#[test]
fn reader_that_went_away_does_not_stop_a_build() {
    struct Gone;
    impl Renderer for Gone {
        fn event(&mut self, _state: &State, _event: &Event) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let (channel, showing) = Showing::start(Box::new(Gone)).expect("a thread starts");
    for (_, event) in recorded(FAILING_RUN) {
        channel.emit(event);
    }
    showing.finish();
}
