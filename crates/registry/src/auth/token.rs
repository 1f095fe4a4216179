//! Tokens and the servers that give them.

use std::fmt;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::{Scopes, basic};
use crate::error::ErrorKind;
use crate::exchange::{read_bounded, refusal, transport_error};
use crate::host::{Connections, registry_of};
use crate::{Credential, Secret};

/// A token is a few kilobytes; this is what may come.
const ANSWER_LIMIT: usize = 1 << 20;
/// The lifetime of a token that does not say, by the token specification.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(1);
/// A token server that takes longer is down.
const PATIENCE: Duration = Duration::from_mins(1);
/// How this program calls itself to token servers.
const CLIENT_ID: &str = "strata";

/// Is an access token, until it expires.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    expires: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Token {
    pub(super) fn header(&self) -> &HeaderValue {
        &self.header
    }

    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Is a question to a token server.
pub(super) struct Request<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) credential: Option<Credential>,
}

impl Request<'_> {
    /// Asks. A refusal is [`ErrorKind::Unauthorized`] or [`ErrorKind::Denied`] with the server's words.
    pub(super) async fn fetch(&self, connections: &Connections) -> Result<Token, ErrorKind> {
        let realm = Url::parse(self.realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| ErrorKind::Protocol {
                what: "the token server it names is not a URL".to_owned(),
            })?;
        // Without a credential too: a token that is sent in the clear is one for everybody on the way.
        if !connections.may_trust(&realm) {
            let host = registry_of(&realm);
            return Err(ErrorKind::PlainHttp { what: "ask for a token", host });
        }
        let started = Instant::now();
        let response = match &self.credential {
            None => self.send(connections, self.query(realm, None)).await?,
            Some(Credential::Basic { username, password }) => {
                let asked = self.query(realm.clone(), Some((username, password)));
                let response = self.send(connections, asked).await?;
                // Servers that know OAuth 2 only.
                if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                    let grant = [
                        ("grant_type", "password"),
                        ("username", username),
                        ("password", password.expose()),
                    ];
                    self.send(connections, self.form(realm, &grant)).await?
                } else {
                    response
                }
            }
            Some(Credential::Identity(token) | Credential::Registry(token)) => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
                self.send(connections, self.form(realm, &grant)).await?
            }
        };
        if !response.status().is_success() {
            return Err(match refusal(response, "token server").await {
                // A form with a token that has been revoked is answered so by several servers.
                ErrorKind::Refused { status: 400, message } => {
                    ErrorKind::Unauthorized { tried: String::new(), message }
                }
                other => other,
            });
        }
        let body = read_bounded(response, ANSWER_LIMIT, PATIENCE).await?;
        parse(&body, started)
    }

    fn query(&self, mut realm: Url, login: Option<(&str, &Secret)>) -> Prepared {
        {
            let mut pairs = realm.query_pairs_mut();
            if let Some(service) = self.service {
                pairs.append_pair("service", service);
            }
            for scope in self.scopes.parameters() {
                pairs.append_pair("scope", &scope);
            }
            if let Some((username, _)) = login {
                pairs.append_pair("account", username);
            }
        }
        // `query_pairs_mut` leaves a bare `?` where nothing was added.
        if realm.query() == Some("") {
            realm.set_query(None);
        }
        let authorization = login.map(|(username, password)| basic(username, password));
        Prepared { url: realm, authorization, form: None }
    }

    fn form(&self, realm: Url, grant: &[(&str, &str)]) -> Prepared {
        let scope = self.scopes.parameters().collect::<Vec<_>>().join(" ");
        let own = [
            ("service", self.service.unwrap_or_default()),
            ("client_id", CLIENT_ID),
            ("scope", scope.as_str()),
        ];
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs =
            grant.iter().chain(&own).map(|(name, value)| format!("{name}={}", encode(value)));
        let form = Some(Secret::new(pairs.collect::<Vec<_>>().join("&")));
        Prepared { url: realm, authorization: None, form }
    }

    async fn send(
        &self,
        connections: &Connections,
        prepared: Prepared,
    ) -> Result<reqwest::Response, ErrorKind> {
        let Prepared { url, authorization, form } = prepared;
        let client = connections.client(&url);
        let mut builder = match form {
            None => client.get(url.clone()),
            Some(form) => client
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose().to_owned()),
        };
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        match tokio::time::timeout(PATIENCE, builder.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(transport_error(&url, &error)),
            Err(_) => Err(ErrorKind::TimedOut { host: registry_of(&url), silence: PATIENCE }),
        }
    }
}

struct Prepared {
    url: Url,
    authorization: Option<HeaderValue>,
    form: Option<Secret>,
}

fn parse(body: &[u8], asked: Instant) -> Result<Token, ErrorKind> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let no_token =
        || ErrorKind::Protocol { what: "the token server's answer holds no token".to_owned() };
    let answer = answer.ok_or_else(no_token)?;
    let said = [answer.token, answer.access_token];
    let text = said.into_iter().flatten().find(|text| !text.is_empty()).ok_or_else(no_token)?;
    let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
    // Given back a little early, so that it does not expire on the way; counted from before it was asked for.
    let usable = lifetime.saturating_sub((lifetime / 5).min(Duration::from_secs(30)));
    let expires = asked.checked_add(usable).unwrap_or(asked + Duration::from_hours(24));
    Ok(Token { header: bearer(&text)?, expires })
}

/// Makes an `Authorization: Bearer` value, marked so that no log shows it.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, ErrorKind> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ErrorKind::Protocol {
            what: "the token has characters that a header cannot hold".to_owned(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}
