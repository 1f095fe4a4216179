//! The login of one registry: challenges, tokens, and which identity works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use reqwest::header::HeaderValue;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::ErrorKind;
use crate::host::Connections;
use crate::{Candidate, Credential, CredentialProvider, Credentials, Secret};

mod challenge;
mod scope;
mod token;

pub(crate) use challenge::Challenge;
pub(crate) use scope::{Access, Scopes};
use token::Token;

/// A build of a day has fewer credentials of an hour; what expires at once must not be made for ever.
const RENEWAL_LIMIT: usize = 32;

/// Holds what is known about logging in to a registry.
#[derive(Debug)]
pub(crate) struct Session {
    registry: String,
    identities: Identities,
    /// Held while a token is fetched, so that ten layers that start at once fetch one token.
    state: Mutex<State>,
}

#[derive(Debug)]
enum Identities {
    /// Whatever is configured, then nobody.
    Configured(Credentials),
    /// This one and no other: to find out whether it works.
    Only(Candidate),
}

#[derive(Debug, Default)]
struct State {
    challenge: Option<Challenge>,
    /// By repository, as entries may be for a namespace.
    lineups: BTreeMap<String, Lineup>,
    tokens: Vec<(Scopes, Token)>,
}

/// Is the identities for one repository, and the one that was not refused yet.
#[derive(Debug, Default)]
struct Lineup {
    candidates: Vec<Candidate>,
    /// Index of the current one; one past the end is the anonymous user.
    current: usize,
    /// Who may have more candidates, the next one last. They are asked once the others are refused.
    providers: Vec<Arc<dyn CredentialProvider>>,
    /// Where candidates that expire came from, by their index.
    provided: BTreeMap<usize, Arc<dyn CredentialProvider>>,
    /// How often one was made anew.
    renewals: usize,
    problem: Option<crate::CredentialError>,
    anonymous: bool,
    /// Whether the current one was let in, whatever for.
    let_in: bool,
    /// How the best candidate was refused, in the registry's words.
    refusal: Option<String>,
}

/// Is what a request was sent with, so that a refusal can be answered.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) header: Option<HeaderValue>,
    /// The identity, for messages.
    pub(crate) tried: String,
    standing: Standing,
}

/// Is which identity of a lineup it was, and how often one was made anew by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    position: usize,
    renewals: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The registry has not said yet what it wants.
    Unasked,
    /// A token from before, which may have been revoked or be too old.
    Reused,
    /// What the current identity gives, made just now, and until when that is good.
    Fresh { turn: Turn, expires: Option<Instant>, is_second: bool },
}

impl Session {
    pub(crate) fn new(registry: &str, credentials: Credentials) -> Self {
        Self::with(registry, Identities::Configured(credentials))
    }

    pub(crate) fn only(registry: &str, candidate: Candidate) -> Self {
        Self::with(registry, Identities::Only(candidate))
    }

    fn with(registry: &str, identities: Identities) -> Self {
        let state = Mutex::new(State::default());
        Self { registry: registry.to_owned(), identities, state }
    }

    /// Tells what the registry wanted to see, once it was asked for something.
    pub(crate) async fn challenge(&self) -> Option<Challenge> {
        self.state.lock().await.challenge.clone()
    }

    /// Gives what a request should be sent with, as far as is known.
    pub(crate) async fn authorize(
        &self,
        connections: &Connections,
        scopes: &Scopes,
    ) -> Result<Authorization, ErrorKind> {
        let state = self.state.lock().await;
        self.authorize_as_current(state, connections, scopes).await
    }

    /// Notes that the registry took what a request was sent with.
    pub(crate) async fn accepted(&self, scopes: &Scopes, taken: &Authorization) {
        if let Standing::Fresh { turn, .. } = taken.standing {
            let mut state = self.state.lock().await;
            let lineup = self.lineup(&mut state, scopes).await;
            lineup.let_in |= lineup.turn() == turn;
        }
    }

    /// Gives what to send instead after the registry refused `refused` with a challenge and some words.
    pub(crate) async fn answer(
        &self,
        connections: &Connections,
        scopes: &Scopes,
        refused: &Authorization,
        challenge: Option<Challenge>,
        words: String,
    ) -> Result<Authorization, ErrorKind> {
        let mut state = self.state.lock().await;
        if challenge.is_some() {
            state.challenge = challenge;
        }
        if state.challenge.is_none() {
            // 401 without saying what would do: nothing can be answered.
            return Err(ErrorKind::Unauthorized { tried: refused.tried.clone(), message: words });
        }
        let mut is_second = false;
        match refused.standing {
            Standing::Unasked => {}
            // A request that takes longer than a token lives says nothing about who sent it.
            Standing::Fresh { expires: Some(expires), .. } if expires <= Instant::now() => {
                state.tokens.retain(|(_, token)| Some(token.header()) != refused.header.as_ref());
            }
            Standing::Reused => {
                state.tokens.retain(|(_, token)| Some(token.header()) != refused.header.as_ref());
            }
            Standing::Fresh { turn, is_second: was_second, .. } => {
                state.tokens.retain(|(_, token)| Some(token.header()) != refused.header.as_ref());
                let is_token = matches!(state.challenge, Some(Challenge::Bearer { .. }));
                let lineup = self.lineup(&mut state, scopes).await;
                // Another request may have moved on already.
                if lineup.turn() == turn {
                    // Tokens are revoked when keys change, so that of somebody who was let in is asked for once more.
                    if is_token && lineup.let_in && !was_second {
                        is_second = true;
                    } else if !lineup.renew(&self.registry).await {
                        lineup.refuse(&self.registry, words)?;
                    }
                }
            }
        }
        let mut answer = self.authorize_as_current(state, connections, scopes).await?;
        if let Standing::Fresh { is_second: second, .. } = &mut answer.standing {
            *second = is_second;
        }
        Ok(answer)
    }

    async fn authorize_as_current(
        &self,
        mut state: MutexGuard<'_, State>,
        connections: &Connections,
        scopes: &Scopes,
    ) -> Result<Authorization, ErrorKind> {
        let Some(challenge) = state.challenge.clone() else {
            let (header, tried) = (None, "no credentials".to_owned());
            return Ok(Authorization { header, tried, standing: Standing::Unasked });
        };
        let now = Instant::now();
        state.tokens.retain(|(_, token)| token.is_fresh(now));
        loop {
            let reused = match &challenge {
                Challenge::Bearer { .. } => state
                    .tokens
                    .iter()
                    .find(|(granted, _)| granted.cover(scopes))
                    .map(|t| t.1.header().clone()),
                Challenge::Basic => None,
            };
            let lineup = self.lineup(&mut state, scopes).await;
            lineup.ask_providers(&self.registry).await;
            let turn = lineup.turn();
            let candidate = lineup.candidates.get(turn.position).cloned();
            let tried = describe(candidate.as_ref());
            if reused.is_some() {
                return Ok(Authorization { header: reused, tried, standing: Standing::Reused });
            }
            let credential = candidate.map(|candidate| candidate.credential);
            let standing = Standing::Fresh { turn, expires: None, is_second: false };
            match (&challenge, credential) {
                (Challenge::Basic, Some(Credential::Basic { username, password })) => {
                    let header = Some(basic(&username, &password));
                    return Ok(Authorization { header, tried, standing });
                }
                (Challenge::Basic, Some(Credential::Identity(_) | Credential::Registry(_))) => {
                    lineup.refuse(&self.registry, "the registry wants a password".to_owned())?;
                }
                (Challenge::Basic, None) => {
                    lineup.refuse(&self.registry, String::new())?;
                }
                (Challenge::Bearer { .. }, Some(Credential::Registry(token))) => {
                    let header = token::bearer(token.expose())?;
                    return Ok(Authorization { header: Some(header), tried, standing });
                }
                (Challenge::Bearer { realm, service }, credential) => {
                    let request =
                        token::Request { realm, service: service.as_deref(), scopes, credential };
                    match request.fetch(connections).await {
                        Ok(token) => {
                            let header = Some(token.header().clone());
                            // One that never was good is no excuse.
                            let expires =
                                Some(token.expires()).filter(|expires| *expires > Instant::now());
                            let standing = Standing::Fresh { turn, expires, is_second: false };
                            state.tokens.push((scopes.clone(), token));
                            return Ok(Authorization { header, tried, standing });
                        }
                        Err(
                            ErrorKind::Unauthorized { message, .. }
                            | ErrorKind::Denied { message, .. },
                        ) => {
                            if !lineup.renew(&self.registry).await {
                                lineup.refuse(&self.registry, message)?;
                            }
                        }
                        Err(other) => return Err(other),
                    }
                }
            }
        }
    }

    async fn lineup<'a>(&self, state: &'a mut State, scopes: &Scopes) -> &'a mut Lineup {
        let repository = scopes.subject();
        let key = repository.unwrap_or_default().to_owned();
        if !state.lineups.contains_key(&key) {
            let lineup = match &self.identities {
                Identities::Configured(credentials) => {
                    let found = credentials.find(&self.registry, repository).await;
                    Lineup {
                        candidates: found.candidates,
                        problem: found.problems.into_iter().next(),
                        providers: found.providers.into_iter().rev().collect(),
                        anonymous: true,
                        ..Lineup::default()
                    }
                }
                Identities::Only(candidate) => {
                    Lineup { candidates: vec![candidate.clone()], ..Lineup::default() }
                }
            };
            if let Some(problem) = &lineup.problem {
                tracing::warn!(registry = self.registry, %problem, "credentials are passed over");
            }
            state.lineups.insert(key.clone(), lineup);
        }
        state.lineups.entry(key).or_default()
    }
}

impl Lineup {
    fn turn(&self) -> Turn {
        Turn { position: self.current, renewals: self.renewals }
    }

    /// Asks for more candidates, one at a time, if there are no others left.
    async fn ask_providers(&mut self, registry: &str) {
        while self.current >= self.candidates.len() {
            let Some(provider) = self.providers.pop() else { return };
            match provider.find(registry).await {
                Ok(Some(candidate)) => {
                    self.provided.insert(self.candidates.len(), provider);
                    self.candidates.push(candidate);
                }
                Ok(None) => {}
                Err(problem) => {
                    tracing::warn!(registry, %problem, "credentials are passed over");
                    self.problem.get_or_insert(problem);
                }
            }
        }
    }

    /// Replaces the current candidate if it was made and has expired since. Tells whether there is another now.
    async fn renew(&mut self, registry: &str) -> bool {
        let Some(provider) = self.provided.get(&self.current) else { return false };
        if self.renewals >= RENEWAL_LIMIT {
            return false;
        }
        let Ok(Some(candidate)) = provider.find(registry).await else { return false };
        let is_new = candidate.credential != self.candidates[self.current].credential;
        self.candidates[self.current] = candidate;
        self.renewals += usize::from(is_new);
        is_new
    }

    /// Moves on to the next identity. After the last one the lineup starts over, for the next operation, and the
    /// error tells how the best one was refused.
    fn refuse(&mut self, registry: &str, words: String) -> Result<(), ErrorKind> {
        let refused = self.candidates.get(self.current);
        if let Some(candidate) = refused {
            tracing::warn!(registry, identity = candidate.describe(), "credentials are refused");
        }
        if self.refusal.is_none() {
            self.refusal = Some(words);
        }
        self.current += 1;
        self.let_in = false;
        let last = self.candidates.len() + usize::from(self.anonymous);
        if self.current < last || !self.providers.is_empty() {
            return Ok(());
        }
        self.current = 0;
        let message = self.refusal.take().unwrap_or_default();
        match self.problem.take() {
            Some(source) if self.candidates.is_empty() => Err(ErrorKind::Credentials { source }),
            _ => {
                let tried = describe(self.candidates.first());
                Err(ErrorKind::Unauthorized { tried, message })
            }
        }
    }
}

fn describe(candidate: Option<&Candidate>) -> String {
    candidate.map_or_else(|| "no credentials".to_owned(), Candidate::describe)
}

/// Makes an `Authorization: Basic` value, marked so that no log shows it.
fn basic(username: &str, password: &Secret) -> HeaderValue {
    use base64::Engine;
    let pair = format!("{username}:{}", password.expose());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .expect("base64 has no character that a header cannot hold");
    value.set_sensitive(true);
    value
}
