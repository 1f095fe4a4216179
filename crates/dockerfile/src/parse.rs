//! From text to typed syntax.

mod command;
mod files;
mod line;
mod metadata;
mod run;

use crate::error::{ParseError, ParseErrorKind, ParseErrors};
use crate::heredoc::{self, Heredoc};
use crate::instruction::{Arg, Dockerfile, From, Instruction, Keyword, Stage, Statement};
use crate::lines::{Logical, Reader};
use crate::lint::{self, LintSettings};
use crate::source::{Source, Span};
use crate::suggest::suggest;
use line::{Context, Line, Node};

/// After so many errors a text is not a Dockerfile with errors, but something else.
const MAX_ERRORS: usize = 1000;

/// Parses a Dockerfile, or tells all that is wrong with it (up to a thousand errors).
///
/// Takes time linear in the text.
pub fn parse(source: &Source) -> Result<Dockerfile, ParseErrors> {
    parse_with_lint(source, None)
}

/// Parses a Dockerfile as [`parse`] does. Settings of the lint that are given stand in for those of
/// the text's `check` directive.
pub fn parse_with_lint(
    source: &Source,
    lint: Option<LintSettings>,
) -> Result<Dockerfile, ParseErrors> {
    let mut parser = Parser::new(source)?;
    let mut outline = Outline::default();
    parser.statements(&mut outline);
    let reader = parser.reader;
    let mut errors = reader.errors;
    let lint = match (lint, &reader.directives.check) {
        (Some(lint), _) => lint,
        (None, Some(check)) => LintSettings::parse(&check.value.text).unwrap_or_else(|option| {
            let kind = ParseErrorKind::InvalidCheck { option };
            errors.push(ParseError::new(check.value.span, kind));
            LintSettings::default()
        }),
        (None, None) => LintSettings::default(),
    };
    let end = source.text().len();
    let whole = Span { source: source.index(), start: 0, end: u32::try_from(end).unwrap_or(0) };
    // An instruction that could not be read may have been the missing FROM.
    if errors.is_empty() {
        if let Some((span, keyword)) = outline.before_from {
            let kind = ParseErrorKind::BeforeFrom { keyword };
            errors.push(ParseError::new(span, kind));
        } else if outline.stages.is_empty() {
            let kind = match outline.global_args.last() {
                Some(_) => ParseErrorKind::NoStages,
                None => ParseErrorKind::NoInstructions,
            };
            let span = outline.global_args.last().map_or(whole, |statement| statement.span);
            errors.push(ParseError::new(span, kind));
        }
    }
    if let Some(errors) = ParseErrors::new(errors) {
        return Err(errors);
    }
    let mut dockerfile = Dockerfile {
        directives: reader.directives,
        escape: reader.escape,
        global_args: outline.global_args,
        stages: outline.stages,
        lint,
        warnings: Vec::new(),
    };
    dockerfile.warnings = lint::check(&dockerfile, &parser.empty_continuations);
    Ok(dockerfile)
}

/// Parses the text of one ONBUILD trigger, as a base image's configuration keeps it.
///
/// FROM, MAINTAINER and ONBUILD are refused, as where triggers are written.
pub fn parse_trigger(source: &Source) -> Result<Statement<Instruction>, ParseErrors> {
    let mut parser = Parser::new(source)?;
    let mut outline = Outline { in_trigger: true, ..Outline::default() };
    parser.statements(&mut outline);
    let mut errors = parser.reader.errors;
    let mut triggers = outline.triggers.into_iter();
    let (first, second) = (triggers.next(), triggers.next());
    match (first, second) {
        (Some(trigger), None) if errors.is_empty() => return Ok(trigger),
        (None, _) if errors.is_empty() => {
            let span = Span { source: source.index(), start: 0, end: 0 };
            errors.push(ParseError::new(span, ParseErrorKind::NoInstructions));
        }
        (_, Some(second)) => {
            errors.push(ParseError::new(second.span, ParseErrorKind::SeveralTriggers));
        }
        _ => {}
    }
    Err(ParseErrors::new(errors).expect("every way here adds an error"))
}

/// What has been read so far.
#[derive(Default)]
struct Outline {
    global_args: Vec<Statement<Arg>>,
    stages: Vec<Stage>,
    /// The first instruction that has no stage to be in.
    before_from: Option<(Span, String)>,
    /// Whether there are no stages, only triggers.
    in_trigger: bool,
    triggers: Vec<Statement<Instruction>>,
}

impl Outline {
    fn add(&mut self, statement: Statement<Node>) {
        let Statement { span, keyword, code, comments, node } = statement;
        let text = Statement { span, keyword, code, comments, node: () };
        match node {
            Node::From(from) => self.add_from(text, from),
            Node::Instruction(instruction) => self.add_instruction(text, instruction),
        }
    }

    fn add_from(&mut self, text: Statement<()>, from: From) {
        self.stages.push(Stage { from: text.map(|()| from), instructions: Vec::new() });
    }

    fn add_instruction(&mut self, text: Statement<()>, instruction: Instruction) {
        if self.in_trigger {
            self.triggers.push(text.map(|()| instruction));
            return;
        }
        match (self.stages.last_mut(), instruction) {
            (Some(stage), instruction) => stage.instructions.push(text.map(|()| instruction)),
            (None, Instruction::Arg(arg)) => self.global_args.push(text.map(|()| arg)),
            (None, _) => {
                self.before_from.get_or_insert((text.keyword.span, text.keyword.text));
            }
        }
    }
}

struct Parser<'a> {
    reader: Reader<'a>,
    /// The first blank line of each instruction that has some.
    empty_continuations: Vec<Span>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source) -> Result<Self, ParseErrors> {
        // One less than fits, for the place after the last byte.
        if u32::try_from(source.text().len() + 1).is_err() {
            let span = Span { source: source.index(), start: 0, end: 0 };
            let error = ParseError::new(span, ParseErrorKind::TooLong);
            return Err(ParseErrors::new(vec![error]).expect("there is one"));
        }
        Ok(Self { reader: Reader::new(source), empty_continuations: Vec::new() })
    }

    fn statements(&mut self, outline: &mut Outline) {
        while self.reader.errors.len() < MAX_ERRORS && self.statement(outline) {}
    }

    /// Reads one instruction; says whether there was one.
    fn statement(&mut self, outline: &mut Outline) -> bool {
        let Some(logical) = self.reader.next_logical() else { return false };
        let Logical { line: whole, comments, empty_continuation } = logical;
        self.empty_continuations.extend(empty_continuation);
        let escape = self.reader.escape.character();
        let whole = whole.as_slice();
        let line = Line::split(whole, escape);
        let Some(keyword) = Keyword::read(&line.keyword) else {
            self.unknown(&line);
            return true;
        };
        let Some(heredocs) = self.heredocs(&line, keyword, escape) else { return true };
        let mut span = whole.trimmed().span();
        if !heredocs.is_empty() {
            span.end = self.reader.span(0, self.reader.end()).end;
        }
        let context = Context {
            keyword,
            line: &line,
            escape,
            heredocs,
            comments: &comments,
            in_trigger: outline.in_trigger,
            errors: &mut self.reader.errors,
        };
        if let Some(node) = context.build() {
            outline.add(Statement {
                span,
                keyword: line.keyword.literal(),
                code: whole.trim().to_owned(),
                comments,
                node,
            });
        }
        true
    }

    fn unknown(&mut self, line: &Line<'_>) {
        self.reader.errors.push(unknown_instruction(line));
    }

    /// Reads the heredocs of a line; `None` when they are broken.
    fn heredocs(
        &mut self,
        line: &Line<'_>,
        keyword: Keyword,
        escape: char,
    ) -> Option<Vec<Heredoc>> {
        if !line.whole.contains("<<") || !takes_heredocs(line, keyword, escape) {
            return Some(Vec::new());
        }
        let markers = match heredoc::markers(&line.whole) {
            Ok(markers) => markers,
            Err(name) => {
                let kind = ParseErrorKind::InvalidHeredoc { name };
                self.reader.errors.push(ParseError::new(line.whole.span(), kind));
                return None;
            }
        };
        let mut heredocs = Vec::with_capacity(markers.len());
        for heredoc::Placed { marker, place } in markers {
            let place = place.map_or(line.whole, |range| line.whole.part(range)).span();
            let Some((raw, span)) = self.reader.heredoc(&marker.name, marker.strip_tabs) else {
                let kind = ParseErrorKind::UnterminatedHeredoc { name: marker.name };
                self.reader.errors.push(ParseError::new(place, kind));
                return None;
            };
            heredocs.push(Heredoc {
                name: marker.name,
                marker: place,
                expand: marker.expand,
                strip_tabs: marker.strip_tabs,
                raw: raw.to_owned(),
                span,
            });
        }
        Some(heredocs)
    }
}

fn takes_heredocs(line: &Line<'_>, keyword: Keyword, escape: char) -> bool {
    match keyword {
        Keyword::Add | Keyword::Copy | Keyword::Run => !line.is_json(),
        Keyword::Onbuild => {
            let trigger = Line::split(line.arguments, escape);
            matches!(
                Keyword::read(&trigger.keyword),
                Some(Keyword::Add | Keyword::Copy | Keyword::Run)
            ) && !trigger.is_json()
        }
        _ => false,
    }
}

fn unknown_instruction(line: &Line<'_>) -> ParseError {
    let keyword = line.keyword.to_string();
    let upper = keyword.to_uppercase();
    let near = suggest(&upper, Keyword::ALL.iter().map(|keyword| keyword.name()));
    ParseError::new(line.keyword.span(), ParseErrorKind::UnknownInstruction { keyword })
        .with_suggestion(near)
}
