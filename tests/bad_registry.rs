//! Registries that refuse, lie or go away: one clear error, exit code 3, no tag, nothing left behind.

use anyhow::Result;
use strata_testkit::{Access, Fault, TestEnvironment, TestImage, TestRegistry};

use crate::bad_input::left_behind;
use crate::person::{STRATA, succeed};
use crate::requirement::noise;

const LAYER: &str =
    "/etc/ 0755 0:0\n/etc/some 0644 0:0 file \"some content of a file, not too short\"";

/// Is what is wrong, and the essential lines of what is said about it.
struct Case {
    name: &'static str,
    registry: fn() -> TestRegistry,
    dockerfile: &'static str,
    says: &'static [&'static str],
}

fn with_base(access: Access, image: &TestImage) -> TestRegistry {
    let registry = TestRegistry::start_with(access);
    registry.add_image("base", "1", &image.build());
    registry
}

fn with_fault(fault: Fault) -> TestRegistry {
    let registry = with_base(Access::Open, &TestImage::new().layer(LAYER));
    registry.add_fault(fault);
    registry
}

/// An index of one image, for another processor.
fn with_index() -> TestRegistry {
    let registry = TestRegistry::start();
    let image = TestImage::new().architecture("s390x").layer(LAYER).build();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": image.manifest_media_type,
            "digest": registry.add_image("base", "s390x", &image),
            "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": "s390x"},
        }],
    });
    registry.add_manifest("base", "1", INDEX, index.to_string().as_bytes());
    registry
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const COPY: &str = "FROM REGISTRY/base:1\nCOPY --chown=some file /etc/some/file\n";
const ADD: &str = "FROM REGISTRY/base:1\nCOPY file /file\n";

const CASES: &[Case] = &[
    Case {
        name: "base not found",
        registry: TestRegistry::start,
        dockerfile: "FROM scratch AS unused\nFROM REGISTRY/base:2\nCOPY file /file\n",
        says: &["error: ", "REGISTRY/base", "not found", " --> Dockerfile:2:6"],
    },
    Case {
        name: "tag not found",
        registry: || with_base(Access::Open, &TestImage::new().layer(LAYER)),
        dockerfile: "FROM REGISTRY/base:2\n",
        says: &["error: ", "REGISTRY/base:2", "not found", " --> Dockerfile:1:6"],
    },
    Case {
        name: "unauthorised",
        registry: || with_base(Access::basic(), &TestImage::new().layer(LAYER)),
        dockerfile: ADD,
        says: &[
            "not authorized with no credentials",
            " --> Dockerfile:1:6",
            "= help: log in with `strata login REGISTRY`",
        ],
    },
    Case {
        name: "unauthorised by a token server",
        registry: || with_base(Access::bearer(), &TestImage::new().layer(LAYER)),
        dockerfile: ADD,
        says: &[
            "not authorized",
            " --> Dockerfile:1:6",
            "= help: log in with `strata login REGISTRY`",
        ],
    },
    Case {
        name: "forbidden",
        registry: || with_fault(Fault::status(403).on("", "/base/manifests/")),
        dockerfile: ADD,
        says: &[
            "denied with no credentials",
            " --> Dockerfile:1:6",
            "= help: check that this user",
        ],
    },
    Case {
        name: "other platform only",
        registry: with_index,
        dockerfile: "FROM --platform=linux/amd64 REGISTRY/base:1\nCOPY file /file\n",
        says: &[
            "image `REGISTRY/base:1` is not available for platform `linux/amd64`: it has `linux/s390x`",
            " --> Dockerfile:1:29",
            "= help: choose another platform with `--platform`",
        ],
    },
    Case {
        name: "blob that always breaks off",
        registry: || with_fault(Fault::cut_body(0).on("GET", "/base/blobs/").after(1)),
        dockerfile: COPY,
        says: &["error: ", "connection was cut after 0 of ", " --> Dockerfile:2:1"],
    },
    Case {
        name: "truncated blob",
        registry: || {
            let image = TestImage::new().layer(LAYER).build();
            let registry = TestRegistry::start();
            registry.add_image("base", "1", &image);
            let layer = &image.layers[0];
            registry.add_blob_as("base", &layer.digest, &layer.blob[..100]);
            registry
        },
        dockerfile: COPY,
        says: &["error: ", "100", " --> Dockerfile:2:1"],
    },
    Case {
        name: "corrupted blob",
        registry: || with_base(Access::Open, &TestImage::new().layer(LAYER).corrupt()),
        dockerfile: COPY,
        says: &["error: ", "content has digest `sha256:", "not the expected `sha256:"],
    },
    Case {
        name: "wrong diff id",
        registry: || with_base(Access::Open, &TestImage::new().layer(LAYER).wrong_diff_id()),
        dockerfile: COPY,
        says: &[
            "error: cannot read layer `sha256:",
            " --> Dockerfile:2:1",
            "which is not what the image's config says",
        ],
    },
    Case {
        name: "config that is no config",
        registry: || with_fault(Fault::answer(200, &[], "{").on("GET", "/base/blobs/")),
        dockerfile: ADD,
        says: &["error: ", " --> Dockerfile:1:6"],
    },
    Case {
        name: "down in mid-push",
        registry: || with_fault(Fault::go_down(1000).on("PUT", "/out/blobs/uploads/")),
        dockerfile: ADD,
        says: &["error: ", "cannot reach `REGISTRY`"],
    },
    Case {
        name: "down before the manifest",
        registry: || with_fault(Fault::go_down(0).on("PUT", "/out/manifests/")),
        dockerfile: ADD,
        says: &["error: ", "cannot reach `REGISTRY`"],
    },
    Case {
        name: "push forbidden",
        registry: || with_fault(Fault::status(403).on("POST", "/out/blobs/uploads/")),
        dockerfile: ADD,
        says: &["error: ", "denied with no credentials", "= help: check that this user"],
    },
    Case {
        name: "storage of the registry full",
        registry: || with_fault(Fault::status(507).on("", "/out/blobs/uploads/")),
        dockerfile: ADD,
        says: &["error: ", "507"],
    },
];

#[test]
fn registry_that_fails_is_named_and_gets_no_tag() {
    std::thread::scope(|scope| {
        // Most of their time is waiting between attempts.
        let threads: Vec<_> = CASES.iter().map(|case| scope.spawn(|| fails(case))).collect();
        let results =
            threads.into_iter().map(|thread| thread.join().expect("a case does not panic"));
        let wrong: Vec<String> =
            results.filter_map(|result| result.err().map(|e| e.to_string())).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

fn fails(case: &Case) -> Result<()> {
    let registry = (case.registry)();
    let environment = TestEnvironment::new(STRATA)?;
    let host = registry.host();
    environment.write("Dockerfile", case.dockerfile.replace("REGISTRY", &host))?;
    // Does not compress: the push is larger than what a fault lets through.
    environment.write("file", noise(200_000, 1))?;
    let tag = registry.reference("out:1");
    let ran = environment.run(["build", "-q", "--push", "--tag", &tag, "."])?;
    let said = ran.stderr.replace(&host, "REGISTRY");
    let missing: Vec<&&str> = case.says.iter().filter(|text| !said.contains(**text)).collect();
    let errors = said.lines().filter(|line| line.starts_with("error")).count();
    let left = left_behind(&environment)?;
    let tagged = registry.manifest("out", "1").is_some();
    anyhow::ensure!(
        missing.is_empty()
            && errors == 1
            && left.is_empty()
            && !tagged
            && ran.code == Some(3)
            && ran.stdout.is_empty(),
        "== {}: exit {:?}, tagged: {tagged}, left: {left:?}, stdout {:?}, does not say {missing:?}:\n{said}",
        case.name,
        ran.code,
        ran.stdout,
    );
    Ok(())
}

/// What fails once in a while is tried again, and nobody has to know.
#[test]
fn registry_that_stumbles_is_tried_again() -> Result<()> {
    for fault in [
        Fault::status(503).on("GET", "/base/").first(1),
        Fault::cut_body(100).on("GET", "/base/blobs/").first(2),
        Fault::status(500).on("", "/out/blobs/uploads/").first(2),
        Fault::hang_up(10).on("PUT", "/out/blobs/").first(1),
        Fault::lose_answer().on("PUT", "/out/").first(1),
    ] {
        let text = format!("{fault:?}");
        let registry = with_fault(fault);
        let environment = TestEnvironment::new(STRATA)?;
        environment.write("Dockerfile", ADD.replace("REGISTRY", &registry.host()))?;
        environment.write("file", "content\n")?;
        let tag = registry.reference("out:1");
        succeed(&environment, ["build", "-q", "--push", "--tag", &tag, "."])?;
        assert!(registry.manifest("out", "1").is_some(), "{text}");
    }
    Ok(())
}
