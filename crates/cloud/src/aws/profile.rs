//! `~/.aws/credentials` and `~/.aws/config`.
//!
//! ```text
//! [default]                     in `config`: [default], [profile NAME]
//! aws_access_key_id = …
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use object_store::aws::AwsCredential;

use crate::error::IdentityError;
use crate::file;
use crate::variables::Variables;

/// Is what one profile says, as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) keys: Option<Keys>,
    pub(super) region: Option<String>,
}

/// The library's own credential cannot be copied.
#[derive(Clone)]
pub(super) struct Keys {
    id: String,
    secret: String,
    token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl From<Keys> for AwsCredential {
    fn from(Keys { id, secret, token }: Keys) -> Self {
        Self { key_id: id, secret_key: secret, token }
    }
}

impl Profile {
    /// Reads the profile that is meant. Files that are not there say nothing.
    pub(super) async fn read(variables: &Variables) -> Result<Self, IdentityError> {
        let name = variables.get("AWS_PROFILE").unwrap_or("default");
        let of = |variable, path| variables.path(variable).or_else(|| variables.at_home(path));
        let credentials = of("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = of("AWS_CONFIG_FILE", ".aws/config");
        Ok(Self::of(name, &text(credentials).await?, &text(config).await?))
    }

    fn of(name: &str, credentials: &str, config: &str) -> Self {
        let long = format!("profile {name}");
        let mut found = section(config, &[name, &long]);
        found.extend(section(credentials, &[name]));
        let mut take = |key: &str| found.remove(key).filter(|value| !value.is_empty());
        let (id, secret) = (take("aws_access_key_id"), take("aws_secret_access_key"));
        let token = take("aws_session_token");
        let keys = id.zip(secret).map(|(id, secret)| Keys { id, secret, token });
        Self { keys, region: take("region") }
    }
}

async fn text(path: Option<PathBuf>) -> Result<String, IdentityError> {
    match path {
        Some(path) => Ok(file::read_if_there(path).await?.unwrap_or_default()),
        None => Ok(String::new()),
    }
}

/// The pairs of a section, by any of its names. Indented lines belong to a nested setting that is not read.
fn section(text: &str, names: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            inside = names.contains(&name.0.trim());
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !is_nested
            && !line.starts_with(['#', ';'])
        {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_is_put_together_from_both_files() {
        let credentials = "# mine\n[default]\naws_access_key_id = ID\naws_secret_access_key=se=cret\n\
                           [other]\naws_access_key_id=OTHER\naws_secret_access_key=s\naws_session_token=t\n[half]\naws_access_key_id=H\n";
        let config = "[default]\nregion = eu-west-1\ns3 =\n  region = nested\n[profile other]\nregion=us-east-2\n\
                      [profile whole]\naws_access_key_id=W\naws_secret_access_key=w\n";
        for (name, keys, region) in [
            ("default", Some(("ID", "se=cret", None)), Some("eu-west-1")),
            ("other", Some(("OTHER", "s", Some("t"))), Some("us-east-2")),
            ("whole", Some(("W", "w", None)), None),
            ("half", None, None),
            ("none", None, None),
        ] {
            let profile = Profile::of(name, credentials, config);
            let found = profile.keys.as_ref();
            let found = found.map(|keys| (&*keys.id, &*keys.secret, keys.token.as_deref()));
            assert_eq!((found, profile.region.as_deref()), (keys, region), "{name}");
        }
    }
}
