//! What a registry does wrong, and when.

use std::time::Duration;

use super::http::Answer;

/// Is a fault: for which requests, which of those, and what happens.
///
/// ```text
/// Fault::status(503).on("PUT", "/blobs/uploads/").first(2)
/// Fault::cut_body(1000).on("GET", "/blobs/").after(1).first(1)
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) action: Action,
    method: String,
    part: String,
    skip: usize,
    times: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Answers without looking at the request.
    Answer(Answer),
    /// Announces the whole body and closes the connection after some of it.
    CutBody(usize),
    /// Changes the body's middle byte.
    CorruptBody,
    /// Closes the connection without an answer, after reading some bytes of the request's body.
    Hang { after: u64 },
    /// The same, and closes the port too.
    GoDown { after: u64 },
    /// Answers 413 to a request whose body has more bytes.
    LimitBody(usize),
    /// Keeps what came of the body, as far as it goes, then closes the connection without an answer.
    KeepAndHang { after: u64 },
    /// Forgets all tokens, then answers as usual.
    RevokeTokens,
    /// Does the work, then closes the connection without an answer.
    LoseAnswer,
    /// Sends the whole body whatever range was asked for.
    IgnoreRange,
    /// Leaves a header out.
    OmitHeader(String),
    /// Waits, then answers as usual.
    Delay(Duration),
}

impl Fault {
    fn new(action: Action) -> Self {
        let (method, part) = (String::new(), String::new());
        Self { action, method, part, skip: 0, times: usize::MAX }
    }

    /// Answers with a status and a small error body.
    pub fn status(status: u16) -> Self {
        Self::new(Action::Answer(Answer::error(status, "SCRIPTED")))
    }

    /// Answers with a status, headers and a body.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let answer = Answer::new(status).body(body.as_bytes().to_vec());
        let answer = headers.iter().fold(answer, |answer, (name, value)| answer.with(name, *value));
        Self::new(Action::Answer(answer))
    }

    /// Closes the connection after `after` bytes of the body, which was announced whole.
    pub fn cut_body(after: usize) -> Self {
        Self::new(Action::CutBody(after))
    }

    /// Sends the body with one byte changed.
    pub fn corrupt_body() -> Self {
        Self::new(Action::CorruptBody)
    }

    /// Closes the connection without an answer, after reading `after` bytes of the request's body.
    pub fn hang_up(after: u64) -> Self {
        Self::new(Action::Hang { after })
    }

    /// Closes the connection like [`Fault::hang_up`], and the port: nothing is ever answered again.
    pub fn go_down(after: u64) -> Self {
        Self::new(Action::GoDown { after })
    }

    /// Answers 413 to a request whose body has more than `most` bytes.
    pub fn limit_body(most: usize) -> Self {
        Self::new(Action::LimitBody(most))
    }

    /// Reads `after` bytes of the request's body, does with them what is asked, and closes the connection.
    pub fn keep_and_hang_up(after: u64) -> Self {
        Self::new(Action::KeepAndHang { after })
    }

    /// Forgets all tokens before the request is looked at.
    pub fn revoke_tokens() -> Self {
        Self::new(Action::RevokeTokens)
    }

    /// Does what is asked, but the answer is lost on the way.
    pub fn lose_answer() -> Self {
        Self::new(Action::LoseAnswer)
    }

    /// Sends the whole of what was asked for in part.
    pub fn ignore_range() -> Self {
        Self::new(Action::IgnoreRange)
    }

    /// Leaves a header out of the answer.
    pub fn omit_header(name: &str) -> Self {
        Self::new(Action::OmitHeader(name.to_owned()))
    }

    /// Waits before the answer.
    pub fn delay(time: Duration) -> Self {
        Self::new(Action::Delay(time))
    }

    /// Applies to requests of this method (any, if empty) whose target has this part.
    #[must_use]
    pub fn on(self, method: &str, part: &str) -> Self {
        Self { method: method.to_owned(), part: part.to_owned(), ..self }
    }

    /// Lets the first `count` such requests pass.
    #[must_use]
    pub fn after(self, count: usize) -> Self {
        Self { skip: count, ..self }
    }

    /// Applies to `count` such requests and then no more.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        Self { times: count, ..self }
    }
}

/// Is a fault with the requests it has seen.
#[derive(Debug)]
pub(crate) struct Armed {
    fault: Fault,
    seen: usize,
}

impl Armed {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, seen: 0 }
    }

    /// Counts a request and tells what happens to it.
    pub(crate) fn strike(&mut self, method: &str, target: &str) -> Option<Action> {
        let fault = &self.fault;
        let applies =
            (fault.method.is_empty() || fault.method == method) && target.contains(&fault.part);
        if !applies {
            return None;
        }
        self.seen += 1;
        let struck = self.seen > fault.skip && self.seen - fault.skip <= fault.times;
        struck.then(|| fault.action.clone())
    }
}
