//! The shape of the workspace, held by the workspace itself: which crate may know which, which licences may
//! come in, and that no manifest lists what no code uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates a crate names. An arrow is added here with its reason, or not at all.
const ARROWS: &[(&str, &[&str])] = &[
    ("strata", &["cli"]),
    ("oci", &[]),
    ("dockerfile", &[]),
    ("tree", &[]),
    ("sys", &[]),
    ("agent", &[]),
    ("plan", &["dockerfile", "oci", "tree"]),
    ("layer", &["oci", "tree"]),
    ("context", &["tree"]),
    ("rootfs", &["layer", "oci", "sys", "tree"]),
    ("sandbox", &["sys"]),
    ("registry", &["oci"]),
    // `registry` for its connections, and for the ports that its credentials come through. Apart from it, as a program
    // without clouds is to be had, and as the library for object stores is none of the protocol's business.
    ("cloud", &["registry"]),
    ("store", &["oci"]),
    // `agent` for the socket of each ssh mount.
    // `sys` for `Root` alone: files of unpacked layers are opened through it, like every path of an image.
    (
        "build",
        &[
            "agent",
            "context",
            "dockerfile",
            "layer",
            "oci",
            "plan",
            "rootfs",
            "sandbox",
            "sys",
            "tree",
        ],
    ),
    // `sys` for `Root` alone, as above: a root file system is written through it.
    ("remote", &["build", "layer", "oci", "plan", "registry", "store", "sys", "tree"]),
    // The only crate that knows them all: it turns flags into values and wires the rest together.
    (
        "cli",
        &[
            "agent",
            "build",
            "cloud",
            "context",
            "dockerfile",
            "layer",
            "oci",
            "plan",
            "registry",
            "remote",
            "rootfs",
            "sandbox",
            "store",
        ],
    ),
    ("testkit", &[]),
];

/// Licences that a static binary under Apache-2.0 may contain. Each crate must offer one of them.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "Unlicense",
    "MIT-0",
    "CC0-1.0",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CDLA-Permissive-2.0",
    "Apache-2.0 WITH LLVM-exception",
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn ours(metadata: &Value) -> Vec<&Value> {
    let members = metadata["workspace_members"].as_array().expect("members");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().filter(|package| members.contains(&package["id"])).collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("strata-").unwrap_or(name)
}

#[test]
fn crates_know_only_the_crates_below_them() {
    let metadata = metadata();
    let mut found = BTreeMap::new();
    for package in ours(&metadata) {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let arrows: BTreeSet<&str> = dependencies
            // What only tests use makes no arrow.
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(dependency, "name"))
            .filter(|name| name.starts_with("strata-"))
            .map(short)
            .collect();
        found.insert(short(text(package, "name")), arrows);
    }
    let expected: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, arrows)| (*name, arrows.iter().copied().collect())).collect();
    assert_eq!(found, expected);
}

#[test]
fn pure_crates_touch_no_file_clock_or_thread() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let forbidden = [
        "std::fs",
        "std::env",
        "std::net::Tcp",
        "std::net::Udp",
        "ToSocketAddrs",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::now",
        "tokio",
    ];
    let mut broken = Vec::new();
    for name in ["oci", "dockerfile", "tree", "plan"] {
        for file in sources(&root.join("crates").join(name).join("src")) {
            let code = std::fs::read_to_string(&file).expect("source is text");
            for (number, line) in code.lines().enumerate() {
                let line = line.split("//").next().unwrap_or_default();
                if let Some(word) = forbidden.iter().find(|word| line.contains(*word)) {
                    broken.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "pure crates do I/O:\n{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stays_in_sys_and_gives_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for file in sources(&root.join("crates")) {
        let code = std::fs::read_to_string(&file).expect("source is text");
        if code.contains("unsafe {") && !file.starts_with(root.join("crates/sys")) {
            broken.push(file);
        }
    }
    assert!(broken.is_empty(), "unsafe outside of sys: {broken:?}");
}

#[test]
fn dependencies_have_licences_that_may_be_linked() {
    let metadata = metadata();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let licence = text(package, "license");
        if !is_allowed(licence) {
            refused.push(format!(
                "{} {}: `{licence}`",
                text(package, "name"),
                text(package, "version")
            ));
        }
    }
    assert!(refused.is_empty(), "licences to look at:\n{}", refused.join("\n"));
}

/// Without it the checksum alone takes a quarter of the time that inflating does.
#[test]
fn zlib_asks_what_the_processor_can() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let zlib = nodes.iter().find(|node| text(node, "id").contains("zlib-rs@"));
    let features = zlib.and_then(|node| node["features"].as_array()).expect("zlib-rs");
    assert!(features.iter().any(|feature| feature == "std"), "{features:?}");
}

// `A OR B` needs one, `A AND B` needs both. No crate nests deeper than one pair of parentheses.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let all = expression.split(" AND ").map(|part| part.trim_matches(['(', ')', ' ']).to_owned());
    let mut all = all.peekable();
    all.peek().is_some_and(|first| !first.is_empty())
        && all.all(|part| {
            part.split(" OR ").any(|one| LICENCES.contains(&one.trim_matches(['(', ')', ' '])))
        })
}

#[test]
fn manifests_list_only_what_code_uses() {
    let metadata = metadata();
    let mut unused = Vec::new();
    for package in ours(&metadata) {
        let manifest = PathBuf::from(text(package, "manifest_path"));
        let directory = manifest.parent().expect("a manifest is in a directory");
        let files = if directory.join("crates").is_dir() {
            [sources(&directory.join("crates/cli/src")), sources(&directory.join("tests"))].concat()
        } else {
            sources(directory)
        };
        let main = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/cli/main.rs"),
        );
        let mut code: String = main.expect("the program's main file");
        code.extend(
            files.iter().map(|file| std::fs::read_to_string(file).expect("source is text")),
        );
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = text(dependency, "name").replace('-', "_");
            if !code.contains(&name) {
                unused.push(format!("{}: {name}", text(package, "name")));
            }
        }
    }
    assert!(unused.is_empty(), "listed but not used:\n{}", unused.join("\n"));
}

#[test]
fn every_module_of_the_test_binary_is_compiled() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = std::fs::read_to_string(directory.join("main.rs")).expect("main.rs");
    for entry in std::fs::read_dir(&directory).expect("tests/") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "rs") && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/{name}.rs is not in tests/main.rs"
            );
        }
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
