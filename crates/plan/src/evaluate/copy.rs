//! COPY and ADD.

use strata_dockerfile::instruction::{Add, Copy, Instruction};
use strata_dockerfile::{Expander, Heredoc, Literal, Statement, Word};
use strata_oci::Digest;

use super::stage::{Current, StepParts, shown};
use super::warn;
use crate::error::PlanErrorKind;
use crate::op::{Chmod, Chown, CopyKind, CopyOp, CopySource, InlineFile, Op, Origin, UrlSource};
use crate::plan::Need;
use crate::request::ContextId;
use crate::value::address::{self, Address, GitAddress};
use crate::value::path;

type Written = Statement<Instruction>;

/// What COPY and ADD have in common.
struct Flags<'s> {
    kind: CopyKind,
    sources: &'s [Word],
    files: &'s [Heredoc],
    destination: &'s Word,
    chown: Option<&'s Word>,
    chmod: Option<&'s Word>,
    link: bool,
    excludes: &'s [Literal],
    parents: bool,
    from: Origin,
    unpack: Option<bool>,
    keep_git_dir: Option<bool>,
    checksum: Option<&'s Word>,
}

impl Current<'_, '_> {
    pub(super) fn copy(&mut self, statement: &Written, copy: &Copy) {
        let from = match &copy.from {
            None => Origin::Context(ContextId::MAIN),
            Some(from) => {
                let evaluation = &mut *self.evaluation;
                let (heads, request) = (evaluation.heads, evaluation.request);
                let target = heads.copy_from(
                    request,
                    &from.text,
                    self.number,
                    from.span,
                    evaluation.findings,
                );
                evaluation.origin(&target)
            }
        };
        let flags = Flags {
            kind: CopyKind::Copy,
            sources: &copy.sources,
            files: &copy.files,
            destination: &copy.destination,
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            link: copy.link,
            excludes: &copy.excludes,
            parents: copy.parents,
            from,
            unpack: Some(false),
            keep_git_dir: None,
            checksum: None,
        };
        self.copy_or_add(statement, &flags);
    }

    pub(super) fn add(&mut self, statement: &Written, add: &Add) {
        let flags = Flags {
            kind: CopyKind::Add,
            sources: &add.sources,
            files: &add.files,
            destination: &add.destination,
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            link: add.link,
            excludes: &add.excludes,
            parents: false,
            from: Origin::Context(ContextId::MAIN),
            unpack: add.unpack,
            keep_git_dir: add.keep_git_dir,
            checksum: add.checksum.as_ref(),
        };
        self.copy_or_add(statement, &flags);
    }

    fn copy_or_add(&mut self, statement: &Written, flags: &Flags<'_>) {
        let comments = &statement.comments;
        let mut row = vec![match flags.kind {
            CopyKind::Copy => "COPY".to_owned(),
            CopyKind::Add => "ADD".to_owned(),
        }];
        if flags.parents {
            row.push("--parents".to_owned());
        }
        let chown = self.flag(flags.chown, comments);
        if let Some(chown) = &chown {
            row.push(format!("--chown={chown}"));
        }
        let chmod = self.flag(flags.chmod, comments);
        if let Some(chmod) = &chmod {
            row.push(format!("--chmod={chmod}"));
        }
        let parsed_chmod = chmod.as_deref().and_then(Chmod::parse);
        if let (Some(value), None, Some(word)) = (&chmod, &parsed_chmod, flags.chmod) {
            self.error(word.span, PlanErrorKind::InvalidChmod { value: value.clone() });
        }
        let mut sources = Vec::new();
        for word in flags.sources {
            let Some(text) = self.expand(word, comments) else {
                continue;
            };
            row.push(text.clone());
            sources.extend(self.source(flags, word, text, comments));
        }
        for heredoc in flags.files {
            row.push(format!("<<{}", heredoc.name));
            sources.extend(self.inline(heredoc, comments));
        }
        if let Some(word) = flags.checksum {
            self.check_checksum(word, &sources, comments);
        }
        let Some(destination) = self.expand(flags.destination, comments) else {
            return;
        };
        row.push(format!("{destination} # buildkit"));
        let chown = chown.as_deref().and_then(Chown::parse);
        let looks_up = chown.as_ref().is_some_and(Chown::needs_lookup);
        let op = CopyOp {
            kind: flags.kind,
            sources,
            from: flags.from,
            destination: path::destination(self.directory(), &destination),
            chown,
            chmod: parsed_chmod,
            link: flags.link,
            parents: flags.parents,
            excludes: flags.excludes.iter().map(|exclude| exclude.text.clone()).collect(),
            unpack_local: flags.unpack.unwrap_or(flags.kind == CopyKind::Add),
            unpack_remote: flags.unpack.unwrap_or(false),
        };
        let text = shown(&statement.code, self.expander(), &self.scope);
        let need = if looks_up { Need::Files } else { Need::Index };
        self.step(
            statement.span,
            StepParts { text, op: Op::Copy(Box::new(op)), need },
            Some(row.join(" ")),
        );
    }

    /// A flag's value, if there is one and it is not empty.
    fn flag(&mut self, word: Option<&Word>, comments: &[Literal]) -> Option<String> {
        self.expand(word?, comments).filter(|value| !value.is_empty())
    }

    fn source(
        &mut self,
        flags: &Flags<'_>,
        word: &Word,
        text: String,
        comments: &[Literal],
    ) -> Option<CopySource> {
        let address = match address::parse(&text) {
            Ok(address) => address,
            Err(problem) => {
                self.error(word.span, PlanErrorKind::InvalidGit { address: text, problem });
                return None;
            }
        };
        match address {
            Address::Local => {
                if flags.from == Origin::Context(ContextId::MAIN) {
                    let keyword = match flags.kind {
                        CopyKind::Copy => "COPY",
                        CopyKind::Add => "ADD",
                    };
                    warn::ignored(self, keyword, &text, word.span, comments);
                }
                Some(local(&text, flags.parents))
            }
            Address::Http { .. } | Address::Git(_) if flags.kind == CopyKind::Copy => {
                let help = Some("use `ADD`".to_owned());
                let kind = PlanErrorKind::RemoteCopy { source_text: text };
                self.evaluation.findings.error_with_help(word.span, kind, help);
                None
            }
            Address::Http { name } => {
                let checksum = self.digest(flags.checksum, comments);
                Some(CopySource::Url(UrlSource { url: text, name, checksum }))
            }
            Address::Git(git) => self.git(flags, word, text, git, comments),
        }
    }

    fn git(
        &mut self,
        flags: &Flags<'_>,
        word: &Word,
        text: String,
        git: GitAddress,
        comments: &[Literal],
    ) -> Option<CopySource> {
        let checksum = self.flag(flags.checksum, comments);
        match git.into_source(flags.keep_git_dir, checksum) {
            Ok(source) => Some(CopySource::Git(source)),
            Err(flag) => {
                self.error(word.span, PlanErrorKind::GitContradiction { flag, address: text });
                None
            }
        }
    }

    fn digest(&mut self, word: Option<&Word>, comments: &[Literal]) -> Option<Digest> {
        let value = self.flag(word, comments)?;
        match value.parse::<Digest>() {
            Ok(digest) => Some(digest),
            Err(error) => {
                let problem = error.to_string();
                let kind = PlanErrorKind::InvalidChecksum { value, problem };
                self.error(word?.span, kind);
                None
            }
        }
    }

    fn check_checksum(&mut self, word: &Word, sources: &[CopySource], comments: &[Literal]) {
        // Without any source there was an error, which is told.
        let remote = matches!(sources, [] | [CopySource::Url(_) | CopySource::Git(_)]);
        if !remote && self.flag(Some(word), comments).is_some() {
            self.error(word.span, PlanErrorKind::ChecksumSource);
        }
    }

    fn inline(&mut self, heredoc: &Heredoc, comments: &[Literal]) -> Option<CopySource> {
        let content = heredoc.content().into_owned();
        let content = if heredoc.expand {
            self.expand_text(Expander::heredoc(), &content, heredoc.span, comments)?
        } else {
            content
        };
        let file = InlineFile::new(&heredoc.name, content);
        if file.is_none() {
            let name = heredoc.name.clone();
            self.error(heredoc.marker, PlanErrorKind::InvalidFileName { name });
        }
        file.map(CopySource::Inline)
    }
}

fn local(text: &str, parents: bool) -> CopySource {
    let (pivot, pattern) = match text.split_once("/./").filter(|_| parents) {
        Some((pivot, pattern)) => (pivot, pattern),
        None => ("/", text),
    };
    CopySource::Path {
        pattern: path::clean(pattern),
        pivot: parents.then(|| path::clean(pivot)),
        wildcard: path::has_wildcard(text),
        written: text.to_owned(),
    }
}
