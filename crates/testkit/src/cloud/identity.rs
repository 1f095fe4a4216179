//! What gives identities: the services' protocols as their documentation has them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{TestCloud, signature};
use crate::server::{Answer, Request, pairs};

/// Far enough away.
const EXPIRES: &str = "2099-01-01T00:00:00Z";

/// Answers what no object store does.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    Some(match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/") => amazon(request),
        ("GET", "/container") => {
            let right = request.header("authorization") == Some("container-token");
            if right { document(&session("Token")) } else { refusal("container token is wrong") }
        }
        ("PUT", "/latest/api/token") => Answer::new(200).body(b"machine-session".to_vec()),
        ("GET", path) if path.starts_with("/latest/meta-data/iam/security-credentials/") => {
            if request.header("x-aws-ec2-metadata-token") != Some("machine-session") {
                return Some(refusal("no session"));
            }
            match path.rsplit('/').next() {
                Some("") => Answer::new(200).body(b"role".to_vec()),
                _ => document(&session("Token")),
            }
        }
        ("POST", "/google/token") => google(request),
        ("POST", "/google/impersonate") => {
            let right = request.header("authorization") == Some("Bearer external-token");
            let given = json!({"accessToken": TestCloud::GOOGLE_TOKEN, "expireTime": EXPIRES});
            if right { document(&given) } else { refusal("who are you") }
        }
        ("GET", "/computeMetadata/v1/instance/service-accounts/default/token") => {
            let right = request.header("metadata-flavor") == Some("Google");
            let given = json!({"access_token": TestCloud::GOOGLE_TOKEN, "expires_in": 3599});
            if right { document(&given) } else { refusal("missing Metadata-Flavor:Google") }
        }
        ("POST", "/tenant/oauth2/v2.0/token") => microsoft(request),
        ("GET", "/metadata/identity/oauth2/token") => {
            managed(request, request.header("metadata") == Some("true"))
        }
        ("GET", "/identity") => {
            managed(request, request.header("x-identity-header") == Some("service-secret"))
        }
        _ => return None,
    })
}

fn document(value: &Value) -> Answer {
    Answer::new(200).with("Content-Type", "application/json").body(value.to_string().into_bytes())
}

fn refusal(why: &str) -> Answer {
    let body = json!({"error": "invalid_grant", "error_description": why});
    Answer::new(400).with("Content-Type", "application/json").body(body.to_string().into_bytes())
}

fn session(token: &str) -> Value {
    json!({
        "AccessKeyId": "ASIASESSION",
        "SecretAccessKey": "session-secret",
        token: "session-token",
        "Expiration": EXPIRES,
    })
}

/// STS, and the services of registries.
fn amazon(request: &Request) -> Answer {
    if request.parameter("Action") == Some("AssumeRoleWithWebIdentity") {
        let asked = [request.parameter("WebIdentityToken"), request.parameter("RoleArn")];
        if asked != [Some("web-identity-token"), Some("arn:aws:iam::1:role/builder")] {
            let why = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>No such token</Message></Error></ErrorResponse>";
            return Answer::new(400).body(why.as_bytes().to_vec());
        }
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIASESSION</AccessKeyId><SecretAccessKey>session-secret</SecretAccessKey><SessionToken>session-token</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        return Answer::new(200).body(body.into_bytes());
    }
    let password = STANDARD.encode(format!("AWS:{}", TestCloud::ECR_PASSWORD));
    let given = json!({"authorizationToken": password, "expiresAt": 4_070_908_800.0});
    let (service, data) = match request.header("x-amz-target") {
        Some("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") => {
            ("ecr", json!([given]))
        }
        Some("SpencerFrontendService.GetAuthorizationToken") => ("ecr-public", given),
        _ => return refusal("no such operation"),
    };
    match signature::check(request, service) {
        Ok(()) => document(&json!({"authorizationData": data})),
        Err(why) => {
            let body = json!({"__type": "UnrecognizedClientException", "message": why});
            Answer::new(400).body(body.to_string().into_bytes())
        }
    }
}

fn google(request: &Request) -> Answer {
    let form = pairs(&String::from_utf8_lossy(&request.body));
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    let given = |token: &str| document(&json!({"access_token": token, "expires_in": 3600}));
    match field("grant_type") {
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            let claim = field("assertion").and_then(claim).unwrap_or_default();
            let audience = claim["aud"].as_str().unwrap_or_default().ends_with("/google/token");
            if claim["iss"] == "robot@example.com" && audience && claim["exp"].is_u64() {
                given(TestCloud::GOOGLE_TOKEN)
            } else {
                refusal("Invalid JWT")
            }
        }
        Some("refresh_token") if field("refresh_token") == Some("google-refresh") => {
            given(TestCloud::GOOGLE_TOKEN)
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange")
            if field("subject_token") == Some("subject") =>
        {
            given("external-token")
        }
        _ => refusal("Bad Request"),
    }
}

/// The claim of a signed token of 2048 bits or more, without a look at the signature's bits.
fn claim(token: &str) -> Option<Value> {
    let pieces: Vec<&str> = token.split('.').collect();
    let [header, claim, signature] = pieces[..] else { return None };
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let long = URL_SAFE_NO_PAD.decode(signature).ok()?.len() >= 256;
    let value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claim).ok()?).ok()?;
    (header["alg"] == "RS256" && long).then_some(value)
}

fn microsoft(request: &Request) -> Answer {
    let form = pairs(&String::from_utf8_lossy(&request.body));
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    let client = field("client_id") == Some("client")
        && field("grant_type") == Some("client_credentials")
        && field("scope").is_some_and(|scope| scope.ends_with("/.default"));
    let known = field("client_secret") == Some("client-secret")
        || field("client_assertion") == Some("federated");
    if client && known {
        document(&json!({"access_token": "azure-token", "expires_in": 3599}))
    } else {
        refusal("AADSTS7000215: Invalid client secret provided.")
    }
}

fn managed(request: &Request, right: bool) -> Answer {
    let known = right && request.parameter("resource").is_some();
    // App Services write numbers as text.
    let given = json!({"access_token": "azure-token", "expires_in": "86399"});
    if known { document(&given) } else { refusal("Identity not found") }
}
