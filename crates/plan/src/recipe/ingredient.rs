//! The pieces of a recipe.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strata_oci::Digest;

use super::encode::Encoder;
use super::fact::Fact;
use super::{Recipe, StepKey};

/// What kind of step a recipe is of. COPY and ADD are one: what differs between them are ingredients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpKind {
    /// COPY or ADD.
    Copy,
    /// RUN.
    Run,
    /// WORKDIR.
    Workdir,
}

/// One thing that a result depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ingredient {
    /// The time that new files are limited to.
    Epoch(i64),
    /// The platform a command runs on.
    Platform(String),
    /// Program and arguments.
    Command(Vec<String>),
    /// A file that a command sees.
    Script {
        /// Its name.
        name: String,
        /// Its content.
        content: Digest,
    },
    /// A variable of a command's environment.
    Variable {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A variable that ARG set. To the command it is like any other, and so it is to the key; a miss tells them apart.
    Argument {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// USER of a command, or the owner of a WORKDIR, as text.
    User(String),
    /// Where a command runs, or what a WORKDIR makes.
    Directory(String),
    /// The network, in a word.
    Network(String),
    /// The host name of a command.
    Hostname(String),
    /// A row added to `/etc/hosts`.
    Host {
        /// The name.
        name: String,
        /// The address.
        address: String,
    },
    /// A mount, all but its content. Secrets are here by id only.
    Mount {
        /// Where.
        target: String,
        /// What, each property on its own: `type`, `id`, `path`, ….
        properties: Vec<(String, String)>,
    },
    /// Where a COPY goes, with a trailing slash where one is written.
    Destination(String),
    /// A property of a COPY that is set: `chown`, `chmod`, `parents`, `exclude`, `unpack`, ….
    Flag {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// What a COPY takes, as a pattern, an address or the name of a heredoc.
    Source(String),
    /// The content of a source or a mount.
    Content {
        /// Of which.
        place: Place,
        /// What it is.
        content: Content,
    },
}

/// Where content goes in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A source of a COPY, by its text.
    Source(String),
    /// A mount of a RUN, by its target.
    Mount(String),
}

/// What the bytes of a source are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A whole file system, known by how it comes about: the definition of a key.
    State(StepKey),
    /// The files that are used, in the order of their paths: the content of a key.
    Files(Arc<[Fact]>),
    /// One file.
    Blob(Digest),
    /// A commit of a repository, in full.
    Commit(String),
}

impl Recipe {
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.number(u64::from(self.version));
        encoder.option(self.parent.as_ref(), |encoder, parent| encoder.bytes(&parent.0));
        encoder.tag(match self.op {
            OpKind::Copy => 0,
            OpKind::Run => 1,
            OpKind::Workdir => 2,
        });
        encoder.list(&self.ingredients, |encoder, ingredient| ingredient.encode(encoder));
    }
}

impl Ingredient {
    fn encode(&self, encoder: &mut Encoder) {
        let pair = |encoder: &mut Encoder, tag, name: &str, value: &str| {
            encoder.tag(tag);
            encoder.text(name);
            encoder.text(value);
        };
        let text = |encoder: &mut Encoder, tag, text: &str| {
            encoder.tag(tag);
            encoder.text(text);
        };
        match self {
            Self::Epoch(seconds) => {
                encoder.tag(0);
                encoder.number(seconds.cast_unsigned());
            }
            Self::Platform(platform) => text(encoder, 1, platform),
            Self::Command(argv) => {
                encoder.tag(2);
                encoder.texts(argv);
            }
            Self::Script { name, content } => {
                encoder.tag(3);
                encoder.text(name);
                encoder.bytes(content.as_bytes());
            }
            Self::Variable { name, value } | Self::Argument { name, value } => {
                pair(encoder, 4, name, value);
            }
            Self::User(user) => text(encoder, 5, user),
            Self::Directory(directory) => text(encoder, 6, directory),
            Self::Network(network) => text(encoder, 7, network),
            Self::Hostname(name) => text(encoder, 8, name),
            Self::Host { name, address } => pair(encoder, 9, name, address),
            Self::Mount { target, properties } => {
                encoder.tag(10);
                encoder.text(target);
                encoder.list(properties, |encoder, (name, value)| {
                    encoder.text(name);
                    encoder.text(value);
                });
            }
            Self::Destination(path) => text(encoder, 11, path),
            Self::Flag { name, value } => pair(encoder, 12, name, value),
            Self::Source(source) => text(encoder, 13, source),
            Self::Content { place, content } => {
                encoder.tag(14);
                match place {
                    Place::Source(source) => text(encoder, 0, source),
                    Place::Mount(target) => text(encoder, 1, target),
                }
                content.encode(encoder);
            }
        }
    }
}

impl Content {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::State(key) => {
                encoder.tag(0);
                encoder.bytes(&key.0);
            }
            Self::Files(facts) => {
                encoder.tag(1);
                encoder.list(facts, |encoder, fact| fact.encode(encoder));
            }
            Self::Blob(digest) => {
                encoder.tag(2);
                encoder.bytes(digest.as_bytes());
            }
            Self::Commit(commit) => {
                encoder.tag(3);
                encoder.text(commit);
            }
        }
    }
}
