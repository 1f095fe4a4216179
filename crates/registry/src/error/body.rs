//! What a registry says in the body of an error.

use serde::Deserialize;

/// The most bytes of an error's body that are read.
pub(crate) const LIMIT: usize = 16 << 10;
/// The most characters of a registry's words that are shown.
const SHOWN: usize = 300;

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    detail: serde_json::Value,
}

/// The forms that token servers use.
#[derive(Deserialize)]
struct Single {
    #[serde(alias = "error_description", alias = "message")]
    details: String,
}

/// Takes the words out of a body, on one line, without control characters, cut short.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = if let Ok(Errors { errors }) = serde_json::from_slice(body) {
        errors.iter().map(describe).collect::<Vec<_>>().join("; ")
    } else if let Ok(Single { details }) = serde_json::from_slice(body) {
        details
    } else {
        let text = String::from_utf8_lossy(body);
        // A page for browsers says nothing that fits a line.
        if text.trim_start().starts_with('<') { of_xml(&text) } else { text.into_owned() }
    };
    one_line(&text)
}

fn describe(entry: &Entry) -> String {
    let said = [entry.code.as_deref(), entry.message.as_deref()];
    let mut text = said.into_iter().flatten().collect::<Vec<_>>().join(": ");
    if let serde_json::Value::String(detail) = &entry.detail {
        text.push_str(": ");
        text.push_str(detail);
    }
    text
}

/// The clouds' object stores answer with `<Error><Code>…</Code><Message>…</Message></Error>`.
fn of_xml(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let Some(code) = element("Code") else { return String::new() };
    match element("Message") {
        // A store's second line is the request's number and the time.
        Some(message) => format!("{code}: {}", message.lines().next().unwrap_or_default()),
        None => code.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let mut line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(SHOWN) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Appends the registry's words to a message, if there are any.
pub(crate) fn suffix(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn takes_the_words_of_each_kind_of_body() {
        let long = "x".repeat(400);
        let table: &[(&str, &str)] = &[
            (r#"{"errors":[{"code":"DENIED","message":"no push"}]}"#, "DENIED: no push"),
            (
                r#"{"errors":[{"code":"A"},{"message":"b","detail":"c\u001b[1m\nd"}]}"#,
                "A; b: c [1m d",
            ),
            (r#"{"errors":[{"code":"X","message":"m","detail":{"a":1}}]}"#, "X: m"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "expired"),
            ("<html>Bad gateway</html>", ""),
            (
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>No key.\nId: 1</Message></Error>",
                "NoSuchKey: No key.",
            ),
            ("<Error><Code>Broken</Code><Message>", "Broken"),
            ("plain\r\n  words", "plain words"),
            ("", ""),
            (&long, &format!("{}…", "x".repeat(300))),
        ];
        for (body, expected) in table {
            assert_eq!(excerpt(body.as_bytes()), *expected, "{body}");
        }
    }
}
