//! Why one recipe is not another, in facts that can be told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use strata_oci::Digest;

use super::fact::{Fact, FactKind};
use super::ingredient::{Content, Ingredient, Place};
use super::{OpKind, Recipe};

/// One reason why a step's result could not be taken from a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum MissReason {
    /// Another version of this program's keys.
    Version,
    /// Another kind of instruction stands here.
    Instruction {
        /// What it was.
        before: OpKind,
        /// What it is.
        after: OpKind,
    },
    /// The step stands on something else: an earlier step or the base changed.
    Parent,
    /// A property of the step is not what it was.
    Property {
        /// Which: `command`, `user`, `destination`, `--chown`, ….
        name: String,
        /// What it was, if it was there.
        before: Option<String>,
        /// What it is, if it is there.
        after: Option<String>,
    },
    /// A build argument is not what it was.
    Argument {
        /// Its name.
        name: String,
        /// What it was, if it was set.
        before: Option<String>,
        /// What it is, if it is set.
        after: Option<String>,
    },
    /// Another variable of the environment is not what it was.
    Variable {
        /// Its name.
        name: String,
        /// What it was, if it was set.
        before: Option<String>,
        /// What it is, if it is set.
        after: Option<String>,
    },
    /// A file that is copied or mounted is not what it was.
    File {
        /// Where it is in its tree.
        path: String,
        /// What is different.
        change: FileChange,
    },
    /// The content of a source or mount that is known only as a whole.
    Content {
        /// The source's text or the mount's target.
        place: String,
    },
}

/// What is different about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has other bytes.
    Content {
        /// Their digest before.
        before: Digest,
        /// Their digest now.
        after: Digest,
    },
    /// It is of another type, or a link to something else.
    Type,
    /// It has another mode, owner or attribute.
    Metadata,
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = |f: &mut fmt::Formatter<'_>,
                      before: &Option<String>,
                      after: &Option<String>| match (before, after) {
            (Some(before), Some(after)) => {
                write!(f, "{} → {}", excerpt(before), excerpt(after))
            }
            (None, Some(after)) => write!(f, "is now {}", excerpt(after)),
            (Some(before), None) => write!(f, "is no longer {}", excerpt(before)),
            (None, None) => f.write_str("changed"),
        };
        match self {
            Self::Version => f.write_str("the cache is of another version"),
            Self::Instruction { .. } => f.write_str("another instruction stood here"),
            Self::Parent => f.write_str("what it stands on changed"),
            Self::Property { name, before, after } => {
                write!(f, "{name} ")?;
                change(f, before, after)
            }
            Self::Argument { name, before, after } => {
                write!(f, "ARG {name} ")?;
                change(f, before, after)
            }
            Self::Variable { name, before, after } => {
                write!(f, "variable {name} ")?;
                change(f, before, after)
            }
            Self::File { path, change } => {
                write!(f, "{} ", path.trim_start_matches('/'))?;
                match change {
                    FileChange::Added => f.write_str("is new"),
                    FileChange::Removed => f.write_str("is gone"),
                    FileChange::Content { before, after } => {
                        write!(f, "changed ({} → {})", abbreviated(*before), abbreviated(*after))
                    }
                    FileChange::Type => f.write_str("has another type or target"),
                    FileChange::Metadata => f.write_str("has another mode, owner or attribute"),
                }
            }
            Self::Content { place } => write!(f, "the content of {place} changed"),
        }
    }
}

/// Enough of a digest to tell it from another one.
fn abbreviated(digest: Digest) -> String {
    const SHOWN: usize = 7;
    format!("{}…", &digest.to_hex()[..SHOWN])
}

/// Values are shown short: they can be whole scripts.
fn excerpt(value: &str) -> String {
    const SHOWN: usize = 60;
    let line = value.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < value.len() => format!("{line}…"),
        None if line.is_empty() => "empty".to_owned(),
        None => line.to_owned(),
    }
}

/// What an ingredient is about, apart from its value. Several of one step may be about the same thing (two
/// `--exclude`s); they are told apart by their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Property(String),
    Variable(String),
    Content(Place),
}

enum Value<'a> {
    Text(String),
    /// The value of a variable that an ARG set.
    Argument(String),
    Content(&'a Content),
}

fn describe(ingredient: &Ingredient) -> (Subject, Value<'_>) {
    let property =
        |name: &str, value: String| (Subject::Property(name.to_owned()), Value::Text(value));
    match ingredient {
        Ingredient::Epoch(seconds) => property("source date epoch", seconds.to_string()),
        Ingredient::Platform(platform) => property("platform", platform.clone()),
        Ingredient::Command(argv) => property("command", argv.join(" ")),
        Ingredient::Script { name, content } => {
            property(&format!("heredoc {name}"), content.to_string())
        }
        Ingredient::Variable { name, value } => {
            (Subject::Variable(name.clone()), Value::Text(value.clone()))
        }
        Ingredient::Argument { name, value } => {
            (Subject::Variable(name.clone()), Value::Argument(value.clone()))
        }
        Ingredient::User(user) => property("user", user.clone()),
        Ingredient::Directory(directory) => property("directory", directory.clone()),
        Ingredient::Network(network) => property("network", network.clone()),
        Ingredient::Hostname(name) => property("host name", name.clone()),
        Ingredient::Host { name, address } => property(&format!("host {name}"), address.clone()),
        Ingredient::Mount { target, properties } => {
            let shown: Vec<_> =
                properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
            property(&format!("mount {target}"), shown.join(","))
        }
        Ingredient::Destination(path) => property("destination", path.clone()),
        Ingredient::Flag { name, value } => property(&format!("--{name}"), value.clone()),
        Ingredient::Source(source) => property("source", source.clone()),
        Ingredient::Content { place, content } => {
            (Subject::Content(place.clone()), Value::Content(content))
        }
    }
}

type Described<'a> = BTreeMap<(Subject, usize), Value<'a>>;

fn described(recipe: &Recipe) -> Described<'_> {
    let mut counts: BTreeMap<Subject, usize> = BTreeMap::new();
    let mut all = Described::new();
    for ingredient in &recipe.ingredients {
        let (subject, value) = describe(ingredient);
        let count = counts.entry(subject.clone()).or_default();
        all.insert((subject, *count), value);
        *count += 1;
    }
    all
}

pub(super) fn differences(older: &Recipe, newer: &Recipe) -> Vec<MissReason> {
    if older.version != newer.version {
        return vec![MissReason::Version];
    }
    if older.op != newer.op {
        return vec![MissReason::Instruction { before: older.op, after: newer.op }];
    }
    let mut reasons = Vec::new();
    let (before, after) = (described(older), described(newer));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        compare(&key.0, before.get(key), after.get(key), &mut reasons);
    }
    // A step that stands on something else is rebuilt in any case; its own changes say more, and come first.
    if older.parent != newer.parent {
        reasons.push(MissReason::Parent);
    }
    reasons
}

fn compare(
    subject: &Subject,
    before: Option<&Value<'_>>,
    after: Option<&Value<'_>>,
    reasons: &mut Vec<MissReason>,
) {
    let text = |value: Option<&Value<'_>>| match value {
        Some(Value::Text(text) | Value::Argument(text)) => Some(text.clone()),
        Some(Value::Content(_)) | None => None,
    };
    match subject {
        Subject::Property(name) => {
            let (before, after) = (text(before), text(after));
            if before != after {
                reasons.push(MissReason::Property { name: name.clone(), before, after });
            }
        }
        Subject::Variable(name) => {
            let is_argument = matches!(after.or(before), Some(Value::Argument(_)));
            let (before, after) = (text(before), text(after));
            if before != after {
                let name = name.clone();
                reasons.push(if is_argument {
                    MissReason::Argument { name, before, after }
                } else {
                    MissReason::Variable { name, before, after }
                });
            }
        }
        Subject::Content(place) => match (before, after) {
            (
                Some(Value::Content(Content::Files(before))),
                Some(Value::Content(Content::Files(after))),
            ) => {
                files(before, after, reasons);
            }
            (Some(Value::Content(before)), Some(Value::Content(after))) if before == after => {}
            _ => {
                let (Place::Source(place) | Place::Mount(place)) = place;
                reasons.push(MissReason::Content { place: place.clone() });
            }
        },
    }
}

fn files(before: &[Fact], after: &[Fact], reasons: &mut Vec<MissReason>) {
    let by_path = |facts: &'_ [Fact]| -> BTreeMap<_, _> {
        facts.iter().map(|fact| (fact.path.clone(), fact.clone())).collect()
    };
    let (before, after) = (by_path(before), by_path(after));
    let mut paths: Vec<_> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let change = match (before.get(path), after.get(path)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) if before.kind == after.kind => FileChange::Metadata,
            (Some(before), Some(after)) => match (&before.kind, &after.kind) {
                (FactKind::File(before), FactKind::File(after)) => {
                    FileChange::Content { before: *before, after: *after }
                }
                _ => FileChange::Type,
            },
            (None, _) => FileChange::Added,
            (Some(_), None) => FileChange::Removed,
        };
        reasons.push(MissReason::File { path: path.to_string(), change });
    }
}
