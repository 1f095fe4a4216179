//! What names a file of an object store.
//!
//! ```text
//! s3://BUCKET/KEY
//! gs://BUCKET/KEY
//! https://ACCOUNT.blob.core.windows.net/CONTAINER/KEY     and the same of other clouds of Microsoft
//! ```

use std::fmt;

use percent_encoding::percent_decode_str;

/// The key that is meant where only a bucket is named, as kaniko has it.
const DEFAULT_KEY: &str = "context.tar.gz";

const SCHEMES: &[&str] = &["s3://", "gs://", "az://", "azure://"];

/// Where Azure's accounts are.
const BLOB_DOMAINS: &[&str] = &[
    "blob.core.windows.net",
    "blob.core.chinacloudapi.cn",
    "blob.core.usgovcloudapi.net",
    "blob.core.cloudapi.de",
];

/// Names a file of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Amazon's, or one that speaks like it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The file in it.
        key: String,
    },
    /// Google's.
    Google {
        /// The bucket.
        bucket: String,
        /// The file in it.
        key: String,
    },
    /// Microsoft's.
    Azure {
        /// `ACCOUNT.blob.core.windows.net`.
        host: String,
        /// The container.
        container: String,
        /// The file in it.
        key: String,
    },
}

/// Says why a text names no file of an object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No bucket.
    #[error("`{text}` names no bucket")]
    NoBucket {
        /// The text.
        text: String,
    },
    /// A directory: a context is one file.
    #[error("`{text}` names a directory: a context in an object store is an archive")]
    Directory {
        /// The text.
        text: String,
    },
    /// A query or a fragment.
    #[error("`{text}` has something behind its key")]
    Behind {
        /// The text up to there.
        text: String,
    },
    /// Other names of Azure's, which do not say the account.
    #[error(
        "`{text}` does not say which account: write `https://ACCOUNT.blob.core.windows.net/CONTAINER/KEY`"
    )]
    NoAccount {
        /// The text.
        text: String,
    },
    /// Bytes that are no text.
    #[error("`{text}` has a key that is not UTF-8")]
    NotText {
        /// The text.
        text: String,
    },
}

impl Address {
    /// Whether a text has the form of such an address. One of Azure with a query has its permission in there, and is
    /// an address like any other.
    pub fn is_one(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme)) || blob(text).is_some()
    }

    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let owned = || text.to_owned();
        if text.starts_with("az://") || text.starts_with("azure://") {
            return Err(AddressError::NoAccount { text: owned() });
        }
        if let Some(at) = text.find(['?', '#']) {
            return Err(AddressError::Behind { text: text[..at].to_owned() });
        }
        let (bucket, key) = match (text.split_once("://"), blob(text)) {
            (_, Some((_, path))) => path.split_once('/').unwrap_or((path, "")),
            (Some((_, rest)), None) => rest.split_once('/').unwrap_or((rest, "")),
            (None, None) => ("", ""),
        };
        if bucket.is_empty() {
            return Err(AddressError::NoBucket { text: owned() });
        }
        if key.ends_with('/') {
            return Err(AddressError::Directory { text: owned() });
        }
        let key = if key.is_empty() { DEFAULT_KEY } else { key };
        let key = percent_decode_str(key).decode_utf8();
        let key = key.map_err(|_| AddressError::NotText { text: owned() })?.into_owned();
        let bucket = bucket.to_owned();
        Ok(match blob(text) {
            Some((host, _)) => Self::Azure { host: host.to_owned(), container: bucket, key },
            None if text.starts_with("gs://") => Self::Google { bucket, key },
            None => Self::S3 { bucket, key },
        })
    }

    /// The file.
    pub fn key(&self) -> &str {
        match self {
            Self::S3 { key, .. } | Self::Google { key, .. } | Self::Azure { key, .. } => key,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Google { bucket, key } => write!(f, "gs://{bucket}/{key}"),
            Self::Azure { host, container, key } => write!(f, "https://{host}/{container}/{key}"),
        }
    }
}

/// Splits `https://ACCOUNT.DOMAIN/PATH`.
fn blob(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.strip_prefix("https://")?.split_once('/')?;
    let (account, domain) = host.split_once('.')?;
    let is_account =
        !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_account && BLOB_DOMAINS.contains(&domain) && !path.contains('?')).then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let s3 = |bucket: &str, key: &str| Address::S3 { bucket: bucket.into(), key: key.into() };
        let azure = |container: &str, key: &str| Address::Azure {
            host: "acct.blob.core.windows.net".into(),
            container: container.into(),
            key: key.into(),
        };
        let text = |text: &str| text.to_owned();
        for (written, expected) in [
            ("s3://b/c.tar.gz", Ok(s3("b", "c.tar.gz"))),
            ("s3://b/d/e%20f.tar", Ok(s3("b", "d/e f.tar"))),
            ("s3://b", Ok(s3("b", "context.tar.gz"))),
            ("s3://b/", Ok(s3("b", "context.tar.gz"))),
            ("s3://b/d/", Err(AddressError::Directory { text: text("s3://b/d/") })),
            ("s3:///d", Err(AddressError::NoBucket { text: text("s3:///d") })),
            ("s3://b/c?versionId=1", Err(AddressError::Behind { text: text("s3://b/c") })),
            ("s3://b/%ff", Err(AddressError::NotText { text: text("s3://b/%ff") })),
            ("az://k/c", Err(AddressError::NoAccount { text: text("az://k/c") })),
            ("gs://b/c", Ok(Address::Google { bucket: text("b"), key: text("c") })),
            ("https://acct.blob.core.windows.net/k/c.tar", Ok(azure("k", "c.tar"))),
            ("https://acct.blob.core.windows.net/k", Ok(azure("k", "context.tar.gz"))),
        ] {
            assert!(Address::is_one(written), "{written}");
            assert_eq!(Address::parse(written), expected, "{written}");
        }
        for other in [
            "https://example.com/k/c.tar",
            "https://acct.blob.core.windows.net.example.com/k/c.tar",
            "https://acct.blob.core.windows.net/k/c.tar?sv=1&sig=2",
            "http://acct.blob.core.windows.net/k/c.tar",
            "dir/s3://b",
        ] {
            assert!(!Address::is_one(other), "{other}");
        }
    }
}
