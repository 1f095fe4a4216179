//! What a registry wants to see: the `WWW-Authenticate` header.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Is a way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token from a server named here.
    Bearer { realm: String, service: Option<String> },
    /// User and password with each request.
    Basic,
}

impl Challenge {
    /// Reads the challenge to answer: a Bearer one if there is any, else Basic.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Self> =
            values.filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
        let bearer = challenges.iter().find(|c| matches!(c, Self::Bearer { .. })).cloned();
        bearer.or_else(|| challenges.into_iter().next())
    }
}

/// Splits a header's value into challenges. Both challenges and their parameters are separated by commas (RFC 9110,
/// 11.6.1): a word that is followed by `=` is a parameter, any other begins a challenge.
///
/// ```text
/// Basic realm="x", Bearer realm="https://auth.example/token",service="registry"
/// ```
fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = value;
    while let Some((scheme, parameters, after)) = one(rest) {
        rest = after;
        let find = |name: &str| {
            let mut named = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            if let Some(realm) = find("realm") {
                challenges.push(Challenge::Bearer { realm, service: find("service") });
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        }
    }
    challenges
}

type Parameters = Vec<(String, String)>;

fn one(text: &str) -> Option<(&str, Parameters, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let (scheme, mut rest) = word(text);
    if scheme.is_empty() {
        return None;
    }
    let mut parameters = Vec::new();
    loop {
        let at = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = word(at);
        let Some(value) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else {
            return Some((scheme, parameters, at));
        };
        let (value, after) = quoted(value.trim_start());
        parameters.push((name.to_owned(), value));
        rest = after;
    }
}

fn word(text: &str) -> (&str, &str) {
    let is_separator = |c: char| matches!(c, ' ' | '\t' | ',' | '=' | '"');
    text.split_at(text.find(is_separator).unwrap_or(text.len()))
}

fn quoted(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &inner[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn reads_the_forms_that_registries_send() {
        let table: &[(&[&str], Option<Challenge>)] = &[
            (
                &[
                    r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:x:pull""#,
                ],
                Some(bearer("https://a.example/token", Some("r.example"))),
            ),
            (&[r#"bearer realm="https://a.example/""#], Some(bearer("https://a.example/", None))),
            (
                &[r"Bearer realm=https://a.example/t, service=s"],
                Some(bearer("https://a.example/t", Some("s"))),
            ),
            (&[r#"Basic realm="a, b=\"c\"""#], Some(Challenge::Basic)),
            (&["Basic"], Some(Challenge::Basic)),
            (
                &[r#"Basic realm="x", Bearer realm="https://a.example/t""#],
                Some(bearer("https://a.example/t", None)),
            ),
            (
                &[r#"Basic realm="x""#, r#"Bearer realm="u",error="invalid_token""#],
                Some(bearer("u", None)),
            ),
            (&[r#"Bearer service="no realm""#], None),
            (&[r"Negotiate"], None),
            (&[r#"Negotiate, Basic realm="x""#], Some(Challenge::Basic)),
            (&[r#"Bearer realm="unterminated"#], Some(bearer("unterminated", None))),
            (&["", ",,", "= = ="], None),
            (&[], None),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(WWW_AUTHENTICATE, value.parse().expect("a header value"));
            }
            assert_eq!(Challenge::read(&headers), *expected, "{values:?}");
        }
    }
}
