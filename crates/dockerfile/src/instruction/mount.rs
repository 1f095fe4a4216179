//! `--mount` of RUN: as written, and as meant once its values are expanded.

mod reading;

use crate::expand::ExpandError;
use crate::source::Span;
use crate::word::Word;

use reading::Reading;
pub(crate) use reading::type_names;

/// A `--mount` as written. Keys are known, values are not expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// The flag.
    pub span: Span,
    /// The fields, in order.
    pub fields: Vec<MountField>,
}

/// One `key` or `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountField {
    /// The key; aliases are told apart nowhere but in `span`.
    pub key: MountKey,
    /// The value, if there is one.
    pub value: Option<Word>,
    /// The field.
    pub span: Span,
}

macro_rules! mount_keys {
    ($($variant:ident $name:literal $(| $alias:literal)*,)*) => {
        /// A key of a mount.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is its own name")]
        pub enum MountKey {
            $($variant,)*
        }

        impl MountKey {
            /// Every spelling, aliases included.
            pub(crate) const SPELLINGS: &'static [&'static str] = &[$($name, $($alias,)*)*];

            /// The name that documentation gives it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Reads a key in lower case.
            pub(crate) fn read(text: &str) -> Option<Self> {
                match text {
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

mount_keys! {
    Type "type",
    From "from",
    Source "source" | "src",
    Target "target" | "dst" | "destination",
    ReadOnly "readonly" | "ro",
    ReadWrite "readwrite" | "rw",
    Id "id",
    Sharing "sharing",
    Required "required",
    Size "size",
    Mode "mode",
    Uid "uid",
    Gid "gid",
    Env "env",
}

/// A mount whose values are expanded and fit together.
///
/// A `target` is as given: possibly relative to the working directory, and empty when absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Files of the context, of a stage or of an image.
    Bind {
        /// A stage, image or named context; the build context when absent.
        from: Option<String>,
        /// The path in there; empty for all of it.
        source: String,
        /// Where.
        target: String,
        /// Writes are thrown away.
        access: Access,
    },
    /// A directory kept between builds.
    Cache {
        /// Its name; the cleaned target when absent.
        id: Option<String>,
        /// What it begins as; empty when absent.
        from: Option<String>,
        /// The path in there.
        source: String,
        /// Where.
        target: String,
        /// What concurrent builds do.
        sharing: Sharing,
        /// Usually writable.
        access: Access,
        /// Of the directory, when it is made.
        owner: MountOwner,
    },
    /// Memory.
    Tmpfs {
        /// Where.
        target: String,
        /// In bytes; 0 is no limit.
        size: u64,
        /// Usually writable.
        access: Access,
    },
    /// A secret as a file, a variable or both.
    Secret {
        /// Its id: given, or the last component of the target.
        id: String,
        /// The file; absent when only a variable is asked for.
        target: Option<String>,
        /// The variable.
        env: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// Of the file: 0, 0 and 0400 where absent.
        owner: MountOwner,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// Its id; `default` when absent.
        id: Option<String>,
        /// The socket, when a place is asked for.
        target: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// Of the socket: 0, 0 and 0600 where absent.
        owner: MountOwner,
    },
}

/// Whether a mount may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is its own name")]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// How concurrent builds use one cache directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Each its own.
    Private,
    /// One after the other.
    Locked,
}

/// Owner and mode asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field is its own name")]
pub struct MountOwner {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: Option<u32>,
}

/// Why a `--mount` cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// A value does not expand.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// No such key.
    #[error("unknown key `{key}` of `--mount`")]
    UnknownKey {
        /// As written.
        key: String,
    },
    /// A key without a value.
    #[error("the key `{key}` of `--mount` needs a value")]
    MissingValue {
        /// The key.
        key: &'static str,
    },
    /// No such type.
    #[error("unsupported mount type `{value}`")]
    UnknownType {
        /// The value.
        value: String,
    },
    /// A value that the key cannot take.
    #[error("`{value}` is not a value for the key `{key}` of `--mount`: expected {expected}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it could have been.
        expected: &'static str,
    },
    /// A key that mounts of this type, known at this field, do not have.
    #[error("the key `{key}` is not allowed for a mount of type `{kind}`")]
    NotAllowed {
        /// The key.
        key: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// A secret that nothing names.
    #[error("a secret mount needs one of `id`, `source` or `target`")]
    UnnamedSecret,
    /// A secret with two names.
    #[error("a secret mount cannot have both `id` and `source`")]
    SecretNamedTwice,
}

impl MountSpec {
    /// The value of a key as written; the last one counts.
    pub fn value(&self, key: MountKey) -> Option<&Word> {
        self.fields.iter().rev().find(|field| field.key == key)?.value.as_ref()
    }

    /// Expands every value and reads the mount, with the place of what is wrong.
    ///
    /// Fields are read in order: `size` and `required` must come after the `type` they belong to.
    pub fn resolve(
        &self,
        mut expand: impl FnMut(&Word) -> Result<String, ExpandError>,
    ) -> Result<Mount, (Span, MountError)> {
        let mut reading = Reading::new();
        for field in &self.fields {
            let value = match &field.value {
                Some(word) => Some(expand(word).map_err(|error| (word.span, error.into()))?),
                None => None,
            };
            reading.field(field, value).map_err(|error| (field.span, error))?;
        }
        reading.finish(self.span)
    }
}
