//! Platforms: operating system, processor, variant.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::lenient::{is_default, null_as_default};

mod fallback;

/// Is what an image runs on, in Go's words. Empty strings stand for "not said".
///
/// Values are kept as they were written; comparison for choosing goes through [`Platform::normalized`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The processor.
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// The operating system.
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// The version of the operating system (Windows).
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "is_default"
    )]
    pub os_version: String,
    /// What the operating system must be able to do.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "is_default"
    )]
    pub os_features: Vec<String>,
    /// The variant of the processor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub variant: String,
}

/// Says why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A component with characters that no platform has.
    #[error(
        "`{component}` in platform `{platform}` is not a word of letters, digits, `_`, `.` and `-`"
    )]
    Component {
        /// The component.
        component: String,
        /// The whole text.
        platform: String,
    },
    /// One word that is neither an operating system nor a processor.
    #[error("platform `{platform}` is neither a known operating system nor a known architecture")]
    Unknown {
        /// The whole text.
        platform: String,
    },
    /// More than three components.
    #[error("platform `{platform}` is not of the form `os/architecture/variant`")]
    TooManyComponents {
        /// The whole text.
        platform: String,
    },
    /// One component where there is no host to complete it from.
    #[error("platform `{platform}` must name both an operating system and an architecture")]
    Incomplete {
        /// The whole text.
        platform: String,
    },
}

/// Orders the offers that fit, best (least) first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The place in the list of what the wanted platform can run.
    position: usize,
    /// Of two, the one that uses more of the host's features is the better.
    features: Reverse<usize>,
}

impl Platform {
    /// Makes a platform of an operating system and a processor.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }
    }

    /// Adds a variant.
    #[must_use]
    pub fn with_variant(self, variant: &str) -> Self {
        Self { variant: variant.to_owned(), ..self }
    }

    /// Reads `os`, `architecture`, `os/architecture` or `os/architecture/variant`, completing the first two
    /// from `host`. Common other names (`x86_64`, `aarch64`, `armhf`, `macos`) become Go's.
    pub fn parse(text: &str, host: &Self) -> Result<Self, PlatformError> {
        let platform = || text.to_owned();
        let components: Vec<&str> = text.split('/').collect();
        // `os(version+feature)`, containerd's notation for Windows, is let through the first component only.
        for (position, component) in components.iter().enumerate() {
            let (word, _) = match position {
                0 => split_options(component),
                _ => (*component, ""),
            };
            let is_word = !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !is_word {
                let component = (*component).to_owned();
                return Err(PlatformError::Component { component, platform: platform() });
            }
        }
        let (os_word, options) = split_options(components[0]);
        let (os_version, os_features) = split_features(options);
        let os = normalize_os(os_word);
        let named = |architecture: String, variant: String| Self {
            architecture,
            os: os.clone(),
            os_version,
            os_features,
            variant,
        };
        match components[..] {
            [_] if is_known_os(&os) => Ok(named(host.architecture.clone(), host.variant.clone())),
            [word] => {
                let (architecture, variant) = normalize_architecture(word, "");
                if !is_known_architecture(&architecture) {
                    return Err(PlatformError::Unknown { platform: platform() });
                }
                let variant = omit_default_arm(&architecture, variant);
                Ok(Self { variant, ..Self::new(&host.os, &architecture) })
            }
            [_, architecture] => {
                let (architecture, variant) = normalize_architecture(architecture, "");
                let variant = omit_default_arm(&architecture, variant);
                Ok(named(architecture, variant))
            }
            [_, architecture, variant] => {
                let (architecture, mut variant) = normalize_architecture(architecture, variant);
                // Said explicitly, v8 stays visible.
                if architecture == "arm64" && variant.is_empty() {
                    "v8".clone_into(&mut variant);
                }
                Ok(named(architecture, variant))
            }
            _ => Err(PlatformError::TooManyComponents { platform: platform() }),
        }
    }

    /// Brings the many spellings of one platform into one: lower case, Go's names, default variants removed
    /// (`amd64/v1`, `arm64/v8`) or added (`arm` is `arm/v7`), features sorted.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let (architecture, variant) = normalize_architecture(&self.architecture, &self.variant);
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Self {
            architecture,
            os: normalize_os(&self.os),
            os_version: self.os_version.clone(),
            os_features,
            variant,
        }
    }

    /// Is true if both name the same platform, whatever the spelling.
    pub fn matches(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.normalized(), other.normalized());
        mine.os == theirs.os
            && mine.architecture == theirs.architecture
            && mine.variant == theirs.variant
            && mine.accepts_os_version(&theirs)
            && theirs.os_features.iter().all(|feature| mine.os_features.contains(feature))
    }

    /// Ranks what an index offers for this platform: `None` if it cannot run here, else the least is the best.
    ///
    /// An `amd64/v3` runs v3, v2, v1 and 386 in this order; an `arm64` also runs `arm/v8` to `arm/v5`.
    pub fn rank(&self, offered: &Self) -> Option<Rank> {
        let runs = fallback::runs(&self.normalized());
        let position = runs.iter().position(|candidate| candidate.matches(offered))?;
        Some(Rank { position, features: Reverse(offered.os_features.len()) })
    }

    /// Windows runs images of its own build only; elsewhere the version says nothing.
    fn accepts_os_version(&self, offered: &Self) -> bool {
        let build =
            |version: &str| version.split('.').take(3).map(str::to_owned).collect::<Vec<_>>();
        self.os != "windows"
            || self.os_version.is_empty()
            || build(&self.os_version) == build(&offered.os_version)
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads `os/architecture[/variant]`; see [`Platform::parse`] for shorter forms, which need a host.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains('/') {
            return Err(PlatformError::Incomplete { platform: text.to_owned() });
        }
        Self::parse(text, &Self::default())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.pad("unknown");
        }
        let parts = [self.os.as_str(), &self.architecture, &self.variant];
        let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.pad(&said.join("/"))
    }
}

fn split_options(component: &str) -> (&str, &str) {
    match component.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
        Some((word, options)) => (word, options),
        None => (component, ""),
    }
}

fn split_features(options: &str) -> (String, Vec<String>) {
    let mut words = options.split('+').map(str::to_owned);
    let version = words.next().unwrap_or_default();
    (version, words.filter(|word| !word.is_empty()).collect())
}

fn normalize_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        // An index row that leaves the system out means Linux in every registry seen so far.
        "" => "linux".to_owned(),
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

fn normalize_architecture(architecture: &str, variant: &str) -> (String, String) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.to_ascii_lowercase();
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64" | "arm64", other) => ("arm64", other),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        (other, variant) => (other, variant),
    };
    (architecture.to_owned(), variant.to_owned())
}

/// `linux/arm` prints as it was written, though it means v7.
fn omit_default_arm(architecture: &str, variant: String) -> String {
    if architecture == "arm" && variant == "v7" { String::new() } else { variant }
}

fn is_known_os(os: &str) -> bool {
    const KNOWN: &[&str] = &[
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ];
    KNOWN.contains(&os)
}

fn is_known_architecture(architecture: &str) -> bool {
    const KNOWN: &[&str] = &[
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ];
    KNOWN.contains(&architecture)
}
