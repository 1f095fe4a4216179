//! COPY and ADD.

use crate::heredoc::Heredoc;
use crate::word::{Literal, Word};

/// `COPY [flags] <source>... <destination>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Sources that are paths; they come before `files` in the order of copying.
    pub sources: Vec<Word>,
    /// Sources that are heredocs, each a file of the heredoc's name.
    pub files: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
    /// `--from`: a stage, a stage's number, an image or a named context. Never expanded.
    pub from: Option<Literal>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, each a pattern as in `.dockerignore`. Never expanded.
    pub excludes: Vec<Literal>,
}

/// `ADD [flags] <source>... <destination>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// Sources that are paths, URLs or git repositories; they come before `files`.
    pub sources: Vec<Word>,
    /// Sources that are heredocs, each a file of the heredoc's name.
    pub files: Vec<Heredoc>,
    /// Where to.
    pub destination: Word,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`, when given.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`, when given.
    pub unpack: Option<bool>,
    /// `--exclude`, each a pattern as in `.dockerignore`. Never expanded.
    pub excludes: Vec<Literal>,
}
