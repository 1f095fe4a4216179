//! Image configs: the file that holds what a container starts with, and how the image came to be.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::lenient::{is_default, key_set, null_as_default};
use crate::{DiffId, Platform, Timestamp};

/// Is an image config file, all of it.
///
/// Written with its keys sorted, as `BuildKit` writes it (its exporter passes the file through a Go map).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ImageConfig {
    /// When the image was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// Who made it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub author: String,
    /// The processor it runs on, in Go's words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// The operating system it runs on, in Go's words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// The version of the operating system (Windows).
    #[serde(rename = "os.version", default, deserialize_with = "null_as_default")]
    pub os_version: String,
    /// What the operating system must be able to do (Windows).
    #[serde(rename = "os.features", default, deserialize_with = "null_as_default")]
    pub os_features: Vec<String>,
    /// The variant of the processor.
    #[serde(default, deserialize_with = "null_as_default")]
    pub variant: String,
    /// What a container starts with.
    #[serde(default, deserialize_with = "null_as_default")]
    pub config: ContainerConfig,
    /// The layers' uncompressed digests.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rootfs: RootFs,
    /// How the image came to be, oldest first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub history: Vec<History>,
    /// Fields this type does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl ImageConfig {
    /// Makes the config of an image with no layers and nothing set: what `FROM scratch` starts from.
    pub fn empty(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: platform.os_version.clone(),
            os_features: platform.os_features.clone(),
            variant: platform.variant.clone(),
            ..Self::default()
        }
    }

    /// Is the platform the config names.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
    }
}

/// A value of the top level, so that all of them can be sorted by key before writing.
#[derive(Serialize)]
#[serde(untagged)]
enum Field<'a> {
    Created(&'a Timestamp),
    Text(&'a str),
    Texts(&'a [String]),
    Config(&'a ContainerConfig),
    RootFs(&'a RootFs),
    History(&'a [History]),
    Extra(&'a serde_json::Value),
}

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields: BTreeMap<&str, Field<'_>> =
            self.extra.iter().map(|(key, value)| (key.as_str(), Field::Extra(value))).collect();
        if let Some(created) = &self.created {
            fields.insert("created", Field::Created(created));
        }
        for (key, text) in
            [("author", &self.author), ("os.version", &self.os_version), ("variant", &self.variant)]
        {
            if !text.is_empty() {
                fields.insert(key, Field::Text(text));
            }
        }
        if !self.os_features.is_empty() {
            fields.insert("os.features", Field::Texts(&self.os_features));
        }
        fields.insert("architecture", Field::Text(&self.architecture));
        fields.insert("os", Field::Text(&self.os));
        fields.insert("config", Field::Config(&self.config));
        fields.insert("rootfs", Field::RootFs(&self.rootfs));
        fields.insert("history", Field::History(&self.history));
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (key, field) in &fields {
            map.serialize_entry(key, field)?;
        }
        map.end()
    }
}

/// Is what a container made from the image starts with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `USER`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub user: String,
    /// `EXPOSE`, each as `port/protocol`.
    #[serde(default, with = "key_set", skip_serializing_if = "is_default")]
    pub exposed_ports: BTreeSet<String>,
    /// `ENV`, each as `NAME=value`, in the order they were set.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub env: Vec<String>,
    /// `ENTRYPOINT`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub entrypoint: Vec<String>,
    /// `CMD`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub cmd: Vec<String>,
    /// `VOLUME`.
    #[serde(default, with = "key_set", skip_serializing_if = "is_default")]
    pub volumes: BTreeSet<String>,
    /// `WORKDIR`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub working_dir: String,
    /// `LABEL`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub stop_signal: String,
    /// Windows: the command line is escaped already.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub args_escaped: bool,
    /// `HEALTHCHECK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `ONBUILD`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub on_build: Vec<String>,
    /// `SHELL`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub shell: Vec<String>,
    /// Fields this type does not know, such as `Hostname` and `AttachStdin` of older writers.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl ContainerConfig {
    /// Looks a variable up. The last one of a name wins, as in Docker's own lookups after replacement.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|entry| {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            (key == name).then_some(value)
        })
    }

    /// Sets a variable: in the place it had, else at the end.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let place = self
            .env
            .iter_mut()
            .find(|old| old.split_once('=').map_or(old.as_str(), |p| p.0) == name);
        match place {
            Some(old) => *old = entry,
            None => self.env.push(entry),
        }
    }
}

/// Is how the health of a container is asked for. All durations are whole nanoseconds; 0 inherits the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", text]`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub interval: i64,
    /// Before a check counts as hanging.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// After the start, before failures count.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Between two checks in the start period.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub start_interval: i64,
    /// How many failures in a row make it unhealthy.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub retries: i64,
    /// Fields this type does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// Lists the layers, lowest first, by what they unpack to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub kind: String,
    /// The layers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// Is one step of how the image came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// By which instruction.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub created_by: String,
    /// By whom.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub author: String,
    /// A remark.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub empty_layer: bool,
    /// Fields this type does not know.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}
