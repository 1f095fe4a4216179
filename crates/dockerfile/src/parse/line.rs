//! A logical line in pieces, and what building an instruction from it needs.

use std::collections::BTreeMap;

use super::{command, files, metadata, run};
use crate::error::{ParseError, ParseErrorKind};
use crate::flags::{Flags, Takes};
use crate::heredoc::Heredoc;
use crate::instruction::{From, Instruction, Keyword};
use crate::json::{self, Array};
use crate::mapped::{Mapped, Slice};
use crate::source::Span;
use crate::split;
use crate::word::{Literal, Word};

/// A logical line in pieces.
pub(super) struct Line<'a> {
    /// All of it, blanks at its end included.
    pub(super) whole: Slice<'a>,
    pub(super) keyword: Slice<'a>,
    pub(super) flags: Vec<Mapped>,
    pub(super) arguments: Slice<'a>,
}

impl<'a> Line<'a> {
    pub(super) fn split(whole: Slice<'a>, escape: char) -> Self {
        let (keyword, rest) = split::keyword(whole);
        let (flags, arguments) = split::flags(rest, escape);
        Self { whole, keyword, flags, arguments }
    }

    pub(super) fn is_json(&self) -> bool {
        matches!(json::array(&self.arguments), Array::Strings(_))
    }
}

/// What a line becomes.
pub(super) enum Node {
    From(From),
    Instruction(Instruction),
}

/// All that one instruction is built from.
pub(super) struct Context<'a, 'e> {
    pub(super) keyword: Keyword,
    pub(super) line: &'a Line<'a>,
    pub(super) escape: char,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) comments: &'a [Literal],
    pub(super) in_trigger: bool,
    pub(super) errors: &'e mut Vec<ParseError>,
}

/// Arguments in one of their forms.
pub(super) enum Arguments<'a> {
    Text(Slice<'a>),
    Json(Vec<Word>),
}

impl<'a> Context<'a, '_> {
    /// Builds the instruction; `None` when errors were found, which are then recorded.
    pub(super) fn build(mut self) -> Option<Node> {
        let before = self.errors.len();
        let node = match self.keyword {
            Keyword::From | Keyword::Maintainer | Keyword::Onbuild if self.in_trigger => {
                let kind = ParseErrorKind::ForbiddenTrigger { keyword: self.keyword.name() };
                self.error(self.line.keyword.span(), kind);
                return None;
            }
            Keyword::From => metadata::from(&mut self).map(Node::From),
            _ => self.instruction().map(Node::Instruction),
        };
        node.filter(|_| self.errors.len() == before)
    }

    pub(super) fn instruction(&mut self) -> Option<Instruction> {
        Some(match self.keyword {
            Keyword::Add => Instruction::Add(files::add(self)?),
            Keyword::Arg => Instruction::Arg(metadata::arg(self)?),
            Keyword::Cmd => Instruction::Cmd(command::cmd(self)?),
            Keyword::Copy => Instruction::Copy(files::copy(self)?),
            Keyword::Entrypoint => Instruction::Entrypoint(command::entrypoint(self)?),
            Keyword::Env => Instruction::Env(metadata::env(self)?),
            Keyword::Expose => Instruction::Expose(metadata::expose(self)?),
            // Only `build` is given a FROM.
            Keyword::From => return None,
            Keyword::Healthcheck => Instruction::Healthcheck(command::healthcheck(self)?),
            Keyword::Label => Instruction::Label(metadata::label(self)?),
            Keyword::Maintainer => Instruction::Maintainer(metadata::maintainer(self)?),
            Keyword::Onbuild => Instruction::Onbuild(metadata::onbuild(self)?),
            Keyword::Run => Instruction::Run(run::run(self)?),
            Keyword::Shell => Instruction::Shell(command::shell(self)?),
            Keyword::Stopsignal => Instruction::Stopsignal(metadata::stopsignal(self)?),
            Keyword::User => Instruction::User(metadata::user(self)?),
            Keyword::Volume => Instruction::Volume(metadata::volume(self)?),
            Keyword::Workdir => Instruction::Workdir(metadata::workdir(self)?),
        })
    }

    pub(super) fn error(&mut self, span: Span, kind: ParseErrorKind) {
        self.errors.push(ParseError::new(span, kind));
    }

    pub(super) fn flags(&mut self, known: &[(&'static str, Takes)]) -> Flags<'a> {
        Flags::read(self.keyword, &self.line.flags, known, self.errors)
    }

    /// Checks that there are no flags.
    pub(super) fn no_flags(&mut self) {
        self.flags(&[]);
    }

    /// All arguments as one; not empty.
    pub(super) fn argument(&mut self) -> Option<Slice<'a>> {
        self.some_arguments("exactly one argument")
    }

    /// The arguments; not empty.
    pub(super) fn some_arguments(&mut self, required: &'static str) -> Option<Slice<'a>> {
        if self.line.arguments.is_empty() {
            self.missing(required);
            return None;
        }
        Some(self.line.arguments)
    }

    pub(super) fn missing(&mut self, required: &'static str) {
        let kind = ParseErrorKind::MissingArguments { keyword: self.keyword.name(), required };
        self.error(self.line.whole.trimmed().span(), kind);
    }

    /// Tells the JSON form from the other; `None` when it holds other things than strings.
    pub(super) fn arguments(&mut self, text: Slice<'a>) -> Option<Arguments<'a>> {
        match json::array(&text) {
            Array::NotJson => Some(Arguments::Text(text)),
            Array::NotStrings => {
                self.error(text.span(), ParseErrorKind::NotStrings);
                None
            }
            Array::Strings(strings) => Some(Arguments::Json(
                strings
                    .into_iter()
                    .map(|(value, range)| Word { text: value, span: text.part(range).span() })
                    .collect(),
            )),
        }
    }

    /// The arguments as a list: of the JSON form, or between blanks.
    pub(super) fn list(&mut self) -> Option<Vec<Word>> {
        Some(match self.arguments(self.line.arguments)? {
            Arguments::Json(words) => words,
            Arguments::Text(text) => text.fields().into_iter().map(Slice::word).collect(),
        })
    }

    /// The comments that describe names: `# <name> <description>`, the first of each name.
    pub(super) fn descriptions(&self) -> BTreeMap<&'a str, &'a str> {
        let mut descriptions = BTreeMap::new();
        for comment in self.comments {
            if let Some((name, description)) = comment.text.split_once(' ') {
                descriptions.entry(name).or_insert(description);
            }
        }
        descriptions
    }
}
