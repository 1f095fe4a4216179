//! What a processor runs besides code made for exactly it.

use super::Platform;

/// Lists what `wanted` (normalised) runs, best first.
pub(super) fn runs(wanted: &Platform) -> Vec<Platform> {
    let like = |architecture: &str, variant: String| Platform {
        architecture: architecture.to_owned(),
        variant,
        ..wanted.clone()
    };
    let level = wanted.variant.strip_prefix('v').unwrap_or(&wanted.variant).parse::<u32>().ok();
    match wanted.architecture.as_str() {
        "amd64" => {
            // Levels are 1 to 4; the cap keeps a hostile `v4000000000` from becoming a long list.
            let below = (1..level.unwrap_or(1).min(9)).rev();
            let mut list = vec![wanted.clone()];
            list.extend(below.map(|level| like("amd64", format!("v{level}"))));
            list.push(like("386", String::new()));
            list
        }
        "arm" => {
            let below = (5..level.unwrap_or(5).min(9)).rev();
            let mut list = vec![wanted.clone()];
            list.extend(below.map(|level| like("arm", format!("v{level}"))));
            list
        }
        "arm64" => {
            let versions = arm64_versions(&wanted.variant);
            if versions.is_empty() {
                // An unknown version runs nothing but itself, and 32-bit code if it says so.
                return vec![wanted.clone()];
            }
            let mut list: Vec<Platform> =
                versions.into_iter().map(|version| like("arm64", version)).collect();
            list.extend((5..=8).rev().map(|level| like("arm", format!("v{level}"))));
            list
        }
        _ => vec![wanted.clone()],
    }
}

/// Armv9.n includes Armv8.(n+5).
fn arm64_versions(variant: &str) -> Vec<String> {
    let variant = if variant.is_empty() { "v8" } else { variant };
    let (major, minor) = variant.split_once('.').unwrap_or((variant, "0"));
    let Ok(minor @ 0..=9) = minor.parse::<u32>() else {
        return Vec::new();
    };
    let down = |major: u32, minor: u32| {
        (0..=minor).rev().map(move |minor| match minor {
            0 => format!("v{major}"),
            _ => format!("v{major}.{minor}"),
        })
    };
    match (major, minor) {
        ("v8", _) => down(8, minor).collect(),
        ("v9", 0..=7) => down(9, minor).chain(down(8, (minor + 5).min(9))).collect(),
        _ => Vec::new(),
    }
}
