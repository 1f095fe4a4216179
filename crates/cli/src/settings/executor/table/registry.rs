//! How registries are reached.

use strata_remote::ImmutableTags;

use super::{Effect, KanikoOption, Switch, Text, row};
use crate::args::build::PushPermission;
use crate::args::registry::credential_helper;
use crate::settings::executor::option::truth;
use crate::value::host::{self, HostMirror};

const HEADING: &str = "Registries";

/// How references spell Docker Hub.
const HUB: &str = "docker.io";

pub(super) const OPTIONS: &[KanikoOption] = &[
    row(
        "insecure",
        Switch,
        HEADING,
        "Push without TLS",
        Effect::Sets(|draft, value| {
            draft.unchecked.push |= truth(value)?;
            Ok(())
        }),
    ),
    row(
        "insecure-pull",
        Switch,
        HEADING,
        "Pull without TLS",
        Effect::Sets(|draft, value| {
            draft.unchecked.pull |= truth(value)?;
            Ok(())
        }),
    ),
    row(
        "insecure-registry",
        Text("HOST"),
        HEADING,
        "Talk to this registry without TLS",
        Effect::Sets(|draft, value| {
            let host = host::host(value).map_err(|error| error.to_string())?;
            draft.build.registry.insecure_registry.push(host);
            Ok(())
        }),
    ),
    row(
        "skip-tls-verify",
        Switch,
        HEADING,
        "Push without checking certificates",
        Effect::Sets(|draft, value| {
            draft.unchecked.push |= truth(value)?;
            Ok(())
        }),
    ),
    row(
        "skip-tls-verify-pull",
        Switch,
        HEADING,
        "Pull without checking certificates",
        Effect::Sets(|draft, value| {
            draft.unchecked.pull |= truth(value)?;
            Ok(())
        }),
    ),
    row(
        "skip-tls-verify-registry",
        Text("HOST"),
        HEADING,
        "Do not check the certificate of this registry",
        Effect::Sets(|draft, value| {
            let host = host::host(value).map_err(|error| error.to_string())?;
            draft.build.registry.insecure_registry.push(host);
            Ok(())
        }),
    ),
    row(
        "registry-certificate",
        Text("HOST=FILE"),
        HEADING,
        "Trust this certificate authority for a registry",
        Effect::Sets(|draft, value| {
            let authority = host::authority(value).map_err(|error| error.to_string())?;
            draft.build.registry.registry_ca.push(authority);
            Ok(())
        }),
    ),
    row(
        "registry-client-cert",
        Text("HOST=CERT,KEY"),
        HEADING,
        "Show this certificate to a registry",
        Effect::Sets(|draft, value| {
            let identity = host::identity(value).map_err(|error| error.to_string())?;
            draft.build.registry.registry_client_cert.push(identity);
            Ok(())
        }),
    ),
    KanikoOption {
        variable: Some("KANIKO_REGISTRY_MIRROR"),
        ..row(
            "registry-mirror",
            Text("MIRROR[/PREFIX]"),
            HEADING,
            "Ask this mirror before Docker Hub; may be given several times",
            Effect::Sets(|draft, value| {
                for mirror in value.split([',', ';']).filter(|mirror| !mirror.is_empty()) {
                    draft.build.registry.registry_mirror.push(mirror_of(HUB, mirror)?);
                }
                Ok(())
            }),
        )
    },
    KanikoOption {
        variable: Some("KANIKO_REGISTRY_MAP"),
        ..row(
            "registry-map",
            Text("HOST=MIRROR[/PREFIX][;…]"),
            HEADING,
            "Ask this mirror before a registry; may be given several times",
            Effect::Sets(|draft, value| {
                for pair in value.split(';').filter(|pair| !pair.is_empty()) {
                    let Some((host, mirror)) = pair.split_once('=') else {
                        return Err(format!("`{pair}` is not `HOST=MIRROR[/PREFIX]`"));
                    };
                    draft.build.registry.registry_mirror.push(mirror_of(host, mirror)?);
                }
                Ok(())
            }),
        )
    },
    row(
        "skip-default-registry-fallback",
        Switch,
        HEADING,
        "Ask mirrors only, where a registry has some",
        Effect::Sets(|draft, value| {
            draft.build.registry.mirrors_only = truth(value)?;
            Ok(())
        }),
    ),
    row(
        "push-retry",
        Text("N"),
        HEADING,
        "Try again as often; default 5",
        Effect::Sets(|draft, value| retries(&mut draft.build.registry.registry_retries, value)),
    ),
    row(
        "image-download-retry",
        Text("N"),
        HEADING,
        "Try again as often; default 5",
        Effect::Sets(|draft, value| retries(&mut draft.build.registry.registry_retries, value)),
    ),
    row(
        "push-ignore-immutable-tag-errors",
        Switch,
        HEADING,
        "Go on where a tag that exists cannot be moved",
        Effect::Sets(|draft, value| {
            draft.build.extra.immutable_tags =
                if truth(value)? { ImmutableTags::Keep } else { ImmutableTags::Fail };
            Ok(())
        }),
    ),
    row(
        "skip-push-permission-check",
        Switch,
        HEADING,
        "Do not ask a destination beforehand whether it takes anything",
        Effect::Sets(|draft, value| {
            draft.build.extra.permission =
                if truth(value)? { PushPermission::Awaited } else { PushPermission::Asked };
            Ok(())
        }),
    ),
    row(
        "credential-helpers",
        Text("NAME[,NAME…]"),
        HEADING,
        "Use these sources of credentials: env, gitlab, google, ecr, acr; none if empty",
        Effect::Sets(|draft, value| {
            let chosen = draft.build.registry.credential_helpers.get_or_insert_default();
            for name in value.split(',') {
                chosen.push(credential_helper(name)?);
            }
            Ok(())
        }),
    ),
];

/// A mirror of a registry, which may be spelled as kaniko spells Docker Hub.
fn mirror_of(host: &str, mirror: &str) -> Result<HostMirror, String> {
    let host = if host == "index.docker.io" { HUB } else { host };
    let mirror = mirror.trim_start_matches("https://");
    host::mirror(&format!("{host}={mirror}")).map_err(|error| error.to_string())
}

/// The larger number counts: neither option takes back what the other asks for.
fn retries(place: &mut Option<u32>, value: &str) -> Result<(), String> {
    let number: u32 = value.parse().map_err(|_| "it is not a number".to_owned())?;
    *place = Some(place.unwrap_or(0).max(number));
    Ok(())
}
