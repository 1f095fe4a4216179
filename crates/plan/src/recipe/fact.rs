//! What counts of a file when it is copied or mounted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strata_oci::Digest;
use strata_tree::TreePath;

use super::encode::Encoder;

/// What counts of one file: everything but its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Where it is in the tree it is taken from.
    #[serde(with = "as_text")]
    pub path: TreePath,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// User and group, where they count: not for files of a build context.
    pub owner: Option<(u32, u32)>,
    /// Extended attributes, where they count.
    #[serde(with = "as_pairs", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its type and what belongs to the type.
    pub kind: FactKind,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactKind {
    /// A directory.
    Directory,
    /// A regular file with this content.
    File(Digest),
    /// A symbolic link with this target.
    Symlink(#[serde(with = "as_text")] Vec<u8>),
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Bytes as text where they are UTF-8, so that stored recipes can be read and stay small.
mod as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Form {
        Text(String),
        Bytes(Vec<u8>),
    }

    impl From<Vec<u8>> for Form {
        fn from(bytes: Vec<u8>) -> Self {
            String::from_utf8(bytes)
                .map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
        }
    }

    impl From<Form> for Vec<u8> {
        fn from(form: Form) -> Self {
            match form {
                Form::Text(text) => text.into_bytes(),
                Form::Bytes(bytes) => bytes,
            }
        }
    }

    pub(super) fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Clone + Into<Vec<u8>>,
        S: Serializer,
    {
        Form::from(value.clone().into()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: TryFrom<Vec<u8>>,
        T::Error: std::fmt::Display,
        D: Deserializer<'de>,
    {
        let bytes = Vec::from(Form::deserialize(deserializer)?);
        T::try_from(bytes).map_err(serde::de::Error::custom)
    }
}

/// A map whose keys need not be text, as JSON can hold it.
mod as_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::as_text::Form;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Vec<u8>, Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let pair = |(name, value): (&Vec<u8>, &Vec<u8>)| {
            (Form::from(name.clone()), Form::from(value.clone()))
        };
        serializer.collect_seq(map.iter().map(pair))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, D::Error> {
        let pairs = Vec::<(Form, Form)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Fact {
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(self.path.as_bytes());
        encoder.number(u64::from(self.mode));
        encoder.option(self.owner, |encoder, (uid, gid)| {
            encoder.number(u64::from(uid));
            encoder.number(u64::from(gid));
        });
        encoder.number(self.xattrs.len() as u64);
        for (name, value) in &self.xattrs {
            encoder.bytes(name);
            encoder.bytes(value);
        }
        match &self.kind {
            FactKind::Directory => encoder.tag(0),
            FactKind::File(digest) => {
                encoder.tag(1);
                encoder.bytes(digest.as_bytes());
            }
            FactKind::Symlink(target) => {
                encoder.tag(2);
                encoder.bytes(target);
            }
            FactKind::CharDevice { major, minor } => {
                encoder.tag(3);
                encoder.number(u64::from(*major));
                encoder.number(u64::from(*minor));
            }
            FactKind::BlockDevice { major, minor } => {
                encoder.tag(4);
                encoder.number(u64::from(*major));
                encoder.number(u64::from(*minor));
            }
            FactKind::Fifo => encoder.tag(5),
        }
    }
}
