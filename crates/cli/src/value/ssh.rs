//! `--ssh ID[=SOCKET|KEY[,KEY…]]`.

use std::path::PathBuf;

/// An agent that `RUN --mount=type=ssh` may talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ssh {
    pub(crate) id: String,
    /// An agent's socket or private keys; none is the agent of `SSH_AUTH_SOCK`.
    pub(crate) paths: Vec<PathBuf>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SshError {
    #[error("the name of the agent is empty: write `default` or `default=SOCKET`")]
    NoId,
    #[error("a path is empty in `{text}`")]
    EmptyPath { text: String },
}

/// Reads `ID[=PATH[,PATH…]]`.
pub(crate) fn parse(text: &str) -> Result<Ssh, SshError> {
    let (id, paths) = match text.split_once('=') {
        Some((id, paths)) => (id, paths.split(',').map(PathBuf::from).collect()),
        None => (text, Vec::new()),
    };
    if id.is_empty() {
        return Err(SshError::NoId);
    }
    if paths.iter().any(|path| path.as_os_str().is_empty()) {
        return Err(SshError::EmptyPath { text: text.to_owned() });
    }
    Ok(Ssh { id: id.to_owned(), paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_is_read() {
        let ssh = |paths: &[&str]| {
            Ok(Ssh { id: "default".into(), paths: paths.iter().map(PathBuf::from).collect() })
        };
        for (text, expected) in [
            ("default", ssh(&[])),
            ("default=/run/agent", ssh(&["/run/agent"])),
            ("default=a,b", ssh(&["a", "b"])),
            ("=a", Err(SshError::NoId)),
            ("default=", Err(SshError::EmptyPath { text: "default=".into() })),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
