//! `--ssh`: agents for commands and for git.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use strata_agent::{Access, Agent, KeyError, PrivateKey, Server};

use crate::args::build::BuildArgs;
use crate::diagnostic::{Diagnostic, Failure};
use crate::environment::{Environment, variable};
use crate::exit::Exit;
use crate::value::context::{self, ContextSource};
use crate::value::ssh::Ssh;

/// What `BuildKit` reads of a key file at most.
const LARGEST_KEY: u64 = 100 << 10;

/// The longest path that fits into the address of a socket.
const LONGEST_ADDRESS: usize = 107;

/// What `--ssh` gives. A context that is fetched over ssh comes with the user's own agent where nothing is given, as
/// with `docker buildx build`.
pub(crate) fn given(arguments: &BuildArgs, environment: &Environment) -> Vec<Ssh> {
    let given = arguments.run.ssh.clone();
    let needs_agent = match context::operand(arguments.input.operand()) {
        ContextSource::Git(address) => is_ssh(&address),
        _ => false,
    };
    if given.is_empty() && needs_agent && environment.get(variable::SSH_AUTH_SOCK).is_some() {
        return vec![Ssh { id: "default".to_owned(), paths: Vec::new() }];
    }
    given
}

/// `ssh://…` and `USER@HOST:PATH`.
fn is_ssh(address: &str) -> bool {
    address.starts_with("ssh://") || (!address.contains("://") && address.contains('@'))
}

/// The agents, by their ids. Keys are read here and nowhere else.
pub(crate) fn agents(
    given: &[Ssh],
    environment: &Environment,
) -> Result<BTreeMap<String, Agent>, Failure> {
    let mut found = BTreeMap::new();
    for Ssh { id, paths } in given {
        let agent = match paths.as_slice() {
            [] => {
                let socket = environment.path(variable::SSH_AUTH_SOCK).ok_or_else(|| {
                    Failure::usage(format!("`--ssh {id}`: `SSH_AUTH_SOCK` is not set")).help(
                        format!("start an agent, or name a socket or a key: `--ssh {id}=PATH`"),
                    )
                })?;
                agent(id, &[socket])?
            }
            paths => agent(id, paths)?,
        };
        if found.insert(id.clone(), agent).is_some() {
            return Err(Failure::usage(format!("`--ssh {id}` is given twice")));
        }
    }
    Ok(found)
}

fn agent(id: &str, paths: &[PathBuf]) -> Result<Agent, Failure> {
    let mut keys = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|error| unusable(path, &error))?;
        if !metadata.file_type().is_socket() {
            keys.push(read_key(path)?);
        } else if paths.len() == 1 {
            return Ok(Agent::at(path.clone()));
        } else {
            return Err(Failure::usage(format!(
                "`--ssh {id}`: the socket `{}` stands beside other paths",
                path.display()
            ))
            .help("an agent is one socket, or any number of keys"));
        }
    }
    Ok(Agent::of_keys(keys))
}

fn read_key(path: &Path) -> Result<PrivateKey, Failure> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| unusable(path, &error))?;
    file.take(LARGEST_KEY + 1).read_to_end(&mut text).map_err(|error| unusable(path, &error))?;
    if text.len() as u64 > LARGEST_KEY {
        return Err(Failure::usage(format!("the key `{}` is larger than 100 KiB", path.display())));
    }
    PrivateKey::parse(&text).map_err(|error| {
        let message = format!("cannot use the ssh key `{}`", path.display());
        let failure = Failure::new(Exit::Usage, Diagnostic::error(message).caused_by(Some(&error)));
        match error {
            KeyError::Encrypted => failure
                .help("add it to an agent with `ssh-add`, and give the agent: `--ssh default`"),
            KeyError::Unsupported { .. } => {
                failure.help("an agent can hold it: `ssh-add` it, and give `--ssh default`")
            }
            KeyError::NotAKey | KeyError::Damaged { .. } | KeyError::Rejected { .. } => failure,
        }
    })
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure { exit: Exit::Usage, ..Failure::file("use the ssh agent", path, error) }
}

/// Where git finds the agent `default`, for as long as this lives.
#[derive(Debug)]
pub(crate) enum GitAgent {
    /// It runs elsewhere.
    Other(PathBuf),
    /// It is ours.
    Ours(Server),
}

impl GitAgent {
    /// The agent of the id `default`, if it was given.
    pub(crate) fn start(
        agents: &BTreeMap<String, Agent>,
        scratch: &Path,
    ) -> Result<Option<Self>, Failure> {
        let Some(agent) = agents.get("default") else {
            return Ok(None);
        };
        if let Some(socket) = agent.socket() {
            return Ok(Some(Self::Other(socket.to_owned())));
        }
        let access = Access {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            mode: 0o600,
        };
        let server = Server::start(agent.clone(), scratch, access).map_err(|error| {
            let message = "cannot serve the keys of `--ssh default`";
            Failure::new(Exit::Failed, Diagnostic::error(message).caused_by(Some(&error)))
        })?;
        if server.path().as_os_str().len() > LONGEST_ADDRESS {
            return Err(Failure::usage(format!(
                "the path `{}` is too long for the socket of an ssh agent",
                server.path().display()
            ))
            .help("choose a shorter state directory"));
        }
        Ok(Some(Self::Ours(server)))
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Path {
        match self {
            Self::Other(socket) => socket,
            Self::Ours(server) => server.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn agents_are_sockets_or_keys_and_never_both() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        let _listener = UnixListener::bind(path("socket")).expect("socket");
        std::fs::write(path("text"), "no key").expect("written");
        std::fs::write(path("large"), vec![b'x'; (100 << 10) + 1]).expect("written");
        let socket = path("socket");
        let environment = Environment::from_pairs(&[(
            "SSH_AUTH_SOCK",
            socket.to_str().expect("temporary directories are text"),
        )]);
        let ssh = |id: &str, names: &[&str]| Ssh {
            id: id.to_owned(),
            paths: names.iter().map(|name| path(name)).collect(),
        };
        let all = |given: &[Ssh]| match agents(given, &environment) {
            Ok(agents) => agents
                .iter()
                .map(|(id, agent)| format!("{id} {}", agent.socket() == Some(&socket)))
                .collect::<Vec<_>>()
                .join(", "),
            Err(failure) => {
                assert_eq!(failure.exit, Exit::Usage);
                let prefix = format!("{}/", directory.path().display());
                failure.diagnostics[0].message.replace(&prefix, "")
            }
        };
        for (given, expected) in [
            (vec![ssh("default", &[]), ssh("b", &["socket"])], "b true, default true"),
            (
                vec![ssh("a", &["socket", "text"])],
                "`--ssh a`: the socket `socket` stands beside other paths",
            ),
            (vec![ssh("a", &["text"])], "cannot use the ssh key `text`"),
            (vec![ssh("a", &["large"])], "the key `large` is larger than 100 KiB"),
            (vec![ssh("a", &["none"])], "cannot use the ssh agent `none`"),
            (vec![ssh("a", &[]), ssh("a", &[])], "`--ssh a` is given twice"),
        ] {
            assert_eq!(all(&given), expected);
        }
        let failure = agents(&[ssh("a", &[])], &Environment::from_pairs(&[])).err();
        let message = failure.map(|failure| failure.diagnostics[0].message.clone());
        assert_eq!(message.as_deref(), Some("`--ssh a`: `SSH_AUTH_SOCK` is not set"));
    }
}
