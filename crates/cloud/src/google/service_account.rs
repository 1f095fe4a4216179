//! A key of a service account, and what is signed with it: a claim that buys an access token (RFC 7523).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use strata_registry::Secret;

use super::SCOPE;

pub(super) const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The longest that Google takes.
const LIFETIME: i64 = 3600;

#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) client_email: String,
    #[serde(rename = "private_key")]
    pem: String,
    #[serde(rename = "private_key_id")]
    id: Option<String>,
    token_uri: Option<String>,
}

impl Key {
    pub(super) fn token_uri(&self) -> &str {
        self.token_uri.as_deref().unwrap_or(TOKEN_URI)
    }

    /// The signed claim. `now` is in seconds since 1970. What is wrong with the key is said without its text.
    pub(super) fn assertion(&self, now: i64) -> Result<Secret, &'static str> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = id.clone().into();
        }
        let claim = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri(),
            "iat": now,
            "exp": now + LIFETIME,
        });
        let packed = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", packed(&header), packed(&claim));
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.pem.as_bytes())
            .map_err(|_| "has a `private_key` that is not in PEM")?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
            .map_err(|_| "has a `private_key` that is no RSA key")?;
        let mut signature = vec![0; key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
            .map_err(|_| "has a `private_key` that cannot sign")?;
        Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}
