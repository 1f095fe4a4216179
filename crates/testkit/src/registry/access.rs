//! Who may do what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;

use crate::server::{Answer, Request, pairs};

/// Says whom a registry lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Whoever sends this name and password with each request.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// Whoever has a token of the registry's own token server at `/token`.
    Bearer {
        /// Who gets a token for everything.
        username: String,
        /// Their password; as a refresh token it buys the same.
        password: String,
        /// Whether others get a token for pulling.
        anonymous_pull: bool,
        /// The token's lifetime in seconds; 0 is what the answer says, and not meant.
        expires_in: Option<u64>,
    },
}

impl Access {
    /// Is [`Access::Basic`] for `user` with the password `secret`.
    pub fn basic() -> Self {
        Self::Basic { username: "user".to_owned(), password: "secret".to_owned() }
    }

    /// Is [`Access::Bearer`] for `user` with the password `secret`, and nobody else.
    pub fn bearer() -> Self {
        Self::Bearer {
            username: "user".to_owned(),
            password: "secret".to_owned(),
            anonymous_pull: false,
            expires_in: Some(300),
        }
    }
}

/// What a request needs to be let in: repository and action.
pub(super) type Needs<'a> = &'a [(&'a str, &'static str)];

#[derive(Debug)]
pub(super) struct Guard {
    access: Access,
    address: SocketAddr,
    issued: usize,
    tokens: BTreeMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    /// What it is for: `repository:name:action`.
    granted: Vec<String>,
    ends: Option<Instant>,
}

impl Guard {
    pub(super) fn new(access: Access, address: SocketAddr) -> Self {
        Self { access, address, issued: 0, tokens: BTreeMap::new() }
    }

    pub(super) fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// Gives the refusal, if there is one.
    pub(super) fn check(&self, request: &Request, needs: Needs<'_>) -> Option<Answer> {
        let authorization = request.header("authorization").unwrap_or_default();
        match &self.access {
            Access::Open => None,
            Access::Basic { username, password } => {
                let right = login(authorization) == Some((username.clone(), password.clone()));
                let refusal = Answer::error(401, "UNAUTHORIZED");
                (!right).then(|| refusal.with("WWW-Authenticate", "Basic realm=\"testkit\""))
            }
            Access::Bearer { .. } => {
                let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
                let token = self.tokens.get(token);
                let token = token.filter(|token| token.ends.is_none_or(|end| Instant::now() < end));
                let enough = token.is_some_and(|token| {
                    needs.iter().all(|(repository, action)| {
                        token.granted.contains(&format!("repository:{repository}:{action}"))
                    })
                });
                let scopes: Vec<String> = needs
                    .iter()
                    .map(|(name, action)| format!("repository:{name}:{action}"))
                    .collect();
                let challenge = format!(
                    "Bearer realm=\"http://{}/token\",service=\"testkit\",scope=\"{}\"",
                    self.address,
                    scopes.join(" ")
                );
                let refusal = Answer::error(401, "UNAUTHORIZED");
                (!enough).then(|| refusal.with("WWW-Authenticate", challenge))
            }
        }
    }

    /// Answers as a token server.
    pub(super) fn token(&mut self, request: &Request) -> Answer {
        let Access::Bearer { username, password, anonymous_pull, expires_in } = &self.access else {
            return Answer::error(404, "NO_TOKEN_SERVER");
        };
        let form = pairs(&String::from_utf8_lossy(&request.body));
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        let sent = match (request.method.as_str(), field("grant_type")) {
            ("POST", Some("refresh_token")) => {
                field("refresh_token").map(|token| (username.clone(), token.to_owned()))
            }
            ("POST", _) => field("username")
                .zip(field("password"))
                .map(|(name, secret)| (name.to_owned(), secret.to_owned())),
            _ => login(request.header("authorization").unwrap_or_default()),
        };
        let known = match sent {
            Some((name, secret)) if name == *username && secret == *password => true,
            Some(_) => return Answer::error(401, "UNAUTHORIZED"),
            None => false,
        };
        let asked = request.query.iter().chain(&form).filter(|(name, _)| name == "scope");
        let mut granted = Vec::new();
        for scope in asked.flat_map(|(_, value)| value.split(' ')) {
            let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
            for action in actions.split(',') {
                if known || (*anonymous_pull && action == "pull") {
                    granted.push(format!("{resource}:{action}"));
                }
            }
        }
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        let mut body = serde_json::json!({"token": token});
        if let Some(seconds) = expires_in {
            body["expires_in"] = (*seconds).into();
        }
        let lifetime = expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let ends = lifetime.map(|lifetime| Instant::now() + lifetime);
        self.tokens.insert(token, Token { granted, ends });
        Answer::new(200)
            .with("Content-Type", "application/json")
            .body(body.to_string().into_bytes())
    }
}

fn login(authorization: &str) -> Option<(String, String)> {
    let packed = authorization.strip_prefix("Basic ")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
