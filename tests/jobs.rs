//! Jobs as a runner of GitLab starts them, and Pods as Kubernetes does: the image of `Dockerfile.debug`, built by strata
//! itself, in containers of runc with Docker's default capabilities and seccomp profile.

pub(crate) mod script;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use strata_testkit::{Access, Ran, TestEnvironment, TestImage, TestRegistry};

use crate::environments::ordinary_container;
use crate::person::{STRATA, succeed};
use crate::requirement::{Need, busybox, require};
use crate::secure::SecureRegistry;
use script::{DETECTOR, commands};

const JOBS: &str = include_str!("../examples/.gitlab-ci.yml");
const NEEDS: [Need; 4] =
    [Need::Root, Need::Program("runc"), Need::StaticBusybox, Need::UserNamespaces];

/// An application without a base: the machine of the test has no Docker Hub.
const DOCKERFILE: &str = "\
FROM scratch
COPY busybox /bin/sh
COPY . /app
RUN echo built > /app/built
CMD [\"/bin/sh\"]
";

/// An image unpacked, and the containers that are started of it.
struct Bundle {
    environment: TestEnvironment,
    /// What the image's config says.
    variables: Vec<String>,
    number: u32,
}

/// What is special about a container.
struct Start<'a> {
    words: &'a [&'a str],
    stdin: &'a str,
    /// Where the project is mounted.
    project: &'a str,
    /// As a Pod under the restricted standard: some user, nothing but `/tmp` and the project to write to.
    restricted: bool,
}

impl Bundle {
    /// Builds the image as the README says, and unpacks it.
    fn new(dockerfile: &str) -> Result<Self> {
        let environment = TestEnvironment::new(STRATA)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let context = environment.temporary().join("source");
        fs::create_dir_all(context.join("target/any/release"))?;
        fs::copy(STRATA, context.join("target/any/release/strata"))?;
        for name in [dockerfile, ".dockerignore"] {
            fs::copy(source.join(name), context.join(name))?;
        }
        let copied =
            Command::new("cp").arg("-a").arg(source.join("image")).arg(&context).status()?;
        ensure!(copied.success());
        let shells = environment.temporary().join("shells");
        fs::create_dir(&shells)?;
        fs::copy(busybox().context("it was required")?, shells.join("busybox"))?;
        let bundle = environment.temporary().join("bundle");
        fs::create_dir(&bundle)?;
        let text = |path: &Path| path.display().to_string();
        let shells = format!("--build-context=busybox={}", text(&shells));
        let root = format!("--output=type=local,dest={}", text(&bundle.join("rootfs")));
        let layout = format!("--output=type=oci,dest={}", text(&bundle.join("layout")));
        let file = format!("--file={}", text(&context.join(dockerfile)));
        succeed(&environment, ["build", &file, &shells, &root, &layout, &text(&context)])?;
        let location = format!("oci:{}", text(&bundle.join("layout")));
        let inspected = succeed(&environment, ["inspect", "--json", &location])?.stdout;
        let image: Value = serde_json::from_str(&inspected)?;
        let listed = image["config"]["config"]["Env"].as_array().context("it has variables")?;
        let variables = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        for directory in ["dev", "proc", "sys", "builds"] {
            fs::create_dir_all(bundle.join("rootfs").join(directory))?;
        }
        fs::write(bundle.join("rootfs/etc/resolv.conf"), "")?;
        let bundle = Self { environment, variables, number: 0 };
        bundle.environment.write("Dockerfile", DOCKERFILE)?;
        let test =
            bundle.environment.write("test", "#!/bin/sh\ntest \"$(cat /app/built)\" = built\n")?;
        fs::set_permissions(test, fs::Permissions::from_mode(0o755))?;
        fs::copy(busybox().context("it was required")?, bundle.project().join("busybox"))?;
        Ok(bundle)
    }

    fn directory(&self) -> PathBuf {
        self.environment.temporary().join("bundle")
    }

    /// The project, as it is outside of containers.
    fn project(&self) -> PathBuf {
        self.environment.context()
    }

    fn start(&mut self, start: &Start<'_>) -> Result<Ran> {
        self.number += 1;
        let mut config = ordinary_container(&self.project(), start.words);
        config["process"]["env"] = json!(self.variables);
        config["process"]["cwd"] = json!("/workspace");
        let mounts = config["mounts"].as_array_mut().context("it has mounts")?;
        for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/volume") {
            mount["destination"] = json!(start.project);
        }
        if start.restricted {
            let log = self.environment.temporary().join("termination-log");
            fs::write(&log, "")?;
            fs::set_permissions(&log, fs::Permissions::from_mode(0o666))?;
            restrict(&mut config, &log)?;
        }
        fs::write(self.directory().join("config.json"), config.to_string())?;
        let name = format!("strata-job-{}-{}", std::process::id(), self.number);
        let mut child = Command::new("runc")
            .arg("--root")
            .arg(self.directory().join("runc"))
            .args(["run", "--bundle"])
            .args([self.directory().as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run runc")?;
        // A program that reads nothing may be gone before everything is written.
        let _broken_pipe =
            child.stdin.take().context("is piped")?.write_all(start.stdin.as_bytes());
        let output = child.wait_with_output()?;
        Ok(Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Does something with this image in the place of the job's.
    fn within(
        &mut self,
        reference: &str,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let (root, aside) = (self.directory().join("rootfs"), self.directory().join("aside"));
        let place = self.environment.temporary().join("tested");
        fs::create_dir_all(&place)?;
        fs::write(place.join("Dockerfile"), format!("FROM {reference}\n"))?;
        fs::rename(&root, &aside)?;
        let output = format!("--output=type=local,dest={}", root.display());
        succeed(&self.environment, ["build", &output, &place.display().to_string()])?;
        for directory in ["dev", "proc", "sys", "builds", "etc", "workspace"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::write(root.join("etc/resolv.conf"), "")?;
        // It says none itself, and gets what Docker gives.
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let variables = std::mem::replace(&mut self.variables, vec![path]);
        work(self)?;
        self.variables = variables;
        fs::remove_dir_all(&root)?;
        Ok(fs::rename(&aside, &root)?)
    }

    /// Runs a job as a runner does; that must succeed.
    fn job(&mut self, registry: &str, commands: &[String]) -> Result<Ran> {
        let text = script::script(&variables(registry), PROJECT, commands)?;
        let words = ["sh", "-c", DETECTOR];
        let start = Start { words: &words, stdin: &text, project: PROJECT, restricted: false };
        let ran = self.start(&start)?;
        ensure!(ran.code == Some(0), "{commands:?}:\n{}\n{}", ran.stdout, ran.stderr);
        Ok(ran)
    }
}

const PROJECT: &str = "/builds/team/app";

fn variables(host: &str) -> Vec<(String, String)> {
    let list = [
        ("CI", "true".to_owned()),
        ("GITLAB_CI", "true".to_owned()),
        ("CI_PROJECT_DIR", PROJECT.to_owned()),
        ("CI_PROJECT_URL", "https://gitlab.example.com/team/app".to_owned()),
        ("CI_REGISTRY", host.to_owned()),
        ("CI_SERVER_TLS_CA_FILE", format!("{PROJECT}/authority.pem")),
        ("CI_REGISTRY_IMAGE", format!("{host}/team/app")),
        ("CI_COMMIT_TAG", "v1.0".to_owned()),
        ("CI_COMMIT_REF_SLUG", "main".to_owned()),
        ("CI_COMMIT_SHA", "0a1b2c".to_owned()),
        ("CI_COMMIT_TIMESTAMP", "2026-11-25T12:00:00+02:00".to_owned()),
        (
            "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
            format!("{host}/team/dependency_proxy/containers"),
        ),
    ];
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn restrict(config: &mut Value, log: &Path) -> Result<()> {
    config["root"]["readonly"] = json!(true);
    config["process"]["user"] = json!({"uid": 1_000_650_000_u32, "gid": 0});
    config["process"]["noNewPrivileges"] = json!(true);
    config["process"]["capabilities"] = json!({"bounding": [], "effective": [], "permitted": []});
    let mounts = config["mounts"].as_array_mut().context("it has mounts")?;
    mounts.push(json!({
        "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"],
    }));
    mounts.push(json!({
        "destination": "/dev/termination-log", "type": "bind", "source": log, "options": ["bind", "rw"],
    }));
    Ok(())
}

fn labels(registry: &TestRegistry, repository: &str, tag: &str) -> Result<Value> {
    let (_, manifest) =
        registry.manifest(repository, tag).with_context(|| format!("no tag `{tag}`"))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let digest = manifest["config"]["digest"].as_str().context("it has a config")?;
    let config = registry.blob(repository, digest).context("the config was pushed")?;
    let config: Value = serde_json::from_slice(&config)?;
    Ok(config["config"]["Labels"].clone())
}

/// The jobs that are handed out, one after the other in containers of their own.
#[test]
fn jobs_of_gitlab_run_in_our_image() -> Result<()> {
    if !require(&NEEDS) {
        return Ok(());
    }
    let registry = TestRegistry::start();
    let mut bundle = Bundle::new("Dockerfile.debug")?;

    let kaniko = commands(JOBS, "kaniko", "script")?;
    ensure!(kaniko.len() == 1 && kaniko[0].starts_with("/kaniko/executor --context"), "{kaniko:?}");
    let said = bundle.job(&registry.host(), &kaniko)?.stderr;
    ensure!(said.contains("section_start:") && said.contains("section_end:"), "{said}");
    let found = labels(&registry, "team/app", "v1.0")?;
    ensure!(found["org.opencontainers.image.revision"] == "0a1b2c", "{found}");
    ensure!(found["org.opencontainers.image.created"] == "2026-11-25T10:00:00Z", "{found}");

    bundle.job(&registry.host(), &commands(JOBS, "five-lines", "script")?)?;
    labels(&registry, "team/app", "main")?;

    let cached = commands(JOBS, "with-cache", "script")?;
    bundle.job(&registry.host(), &cached)?;
    fs::remove_dir_all(bundle.directory().join("rootfs/root"))?;
    fs::create_dir(bundle.directory().join("rootfs/root"))?;
    let said = bundle.job(&registry.host(), &cached)?.stderr;
    ensure!(said.matches("CACHED").count() == 3, "{said}");
    let report = fs::read_to_string(bundle.project().join(".strata/code-quality.json"))?;
    ensure!(serde_json::from_str::<Value>(&report)?.is_array(), "{report}");

    bundle.environment.write("Dockerfile", "FROM base:1\nCOPY Dockerfile /\n")?;
    let base = TestImage::new().layer("/etc/ 0755 0:0").build();
    registry.add_image("team/dependency_proxy/containers/library/base", "1", &base);
    bundle.job(&registry.host(), &commands(JOBS, "dependency-proxy", "script")?)?;
    bundle.environment.write("Dockerfile", DOCKERFILE)?;

    bundle.job(&registry.host(), &commands(JOBS, "build-image", "script")?)?;
    let report = fs::read_to_string(bundle.project().join(".strata/image.env"))?;
    let exports: Vec<String> = report.lines().map(|line| format!("export {line}")).collect();
    let image =
        report.lines().find_map(|line| line.strip_prefix("IMAGE_REF=")).context("is told")?;
    let test = commands(JOBS, "test-image", "script")?;
    bundle.within(image, |bundle| bundle.job(&registry.host(), &test).map(drop))?;

    let other = TestRegistry::start_with(Access::bearer());
    let mut elsewhere = exports.clone();
    let settings = [("", other.host().as_str()), ("_USER", "user"), ("_PASSWORD", "secret")]
        .map(|(name, value)| format!("export OTHER_REGISTRY{name}={value}"));
    elsewhere.extend(settings);
    elsewhere.extend(commands(JOBS, "publish-elsewhere", "script")?);
    let said = bundle.job(&registry.host(), &elsewhere)?;
    ensure!(!said.stderr.contains("secret"), "{said:#?}");
    ensure!(other.manifest("team/app", "v1.0") == registry.manifest("team/app/test", "0a1b2c"));

    let release = commands(JOBS, "release-image", "script")?;
    let after = commands(JOBS, "release-image", "after_script")?;
    let said = bundle.job(&registry.host(), &[exports, release, after].concat())?;
    ensure!(said.stdout.contains("released sha256:"), "{said:#?}");
    ensure!(
        registry.manifest("team/app", "v1.0") == registry.manifest("team/app/test", "0a1b2c"),
        "what was tested is what is released"
    );
    Ok(())
}

/// The container is the same after ten builds, by kaniko's name for its shell too.
#[test]
fn builds_leave_the_job_as_it_was() -> Result<()> {
    if !require(&NEEDS) {
        return Ok(());
    }
    let registry = TestRegistry::start();
    let mut bundle = Bundle::new("Dockerfile.debug")?;
    let listing = "find / \\( -path /root -o -path /tmp -o -path /builds -o -path /proc -o -path /dev -o -path /sys \\) -prune -o -print | sort | md5sum";
    let mut commands =
        vec!["echo mine > /workspace/mine".to_owned(), format!("before=$({listing})")];
    for number in 0..10 {
        commands.push(format!(
            "/kaniko/executor --destination \"$CI_REGISTRY_IMAGE:{number}\" --build-arg N={number} -v error"
        ));
    }
    commands.extend([
        format!("test \"$before\" = \"$({listing})\""),
        "test \"$(cat /workspace/mine)\" = mine".to_owned(),
        "which sh grep awk strata executor warmer".to_owned(),
        "mkdir -p ~/.docker /kaniko/.docker && echo '{}' > /kaniko/.docker/config.json".to_owned(),
        "echo more >> /kaniko/ssl/certs/additional-ca-cert-bundle.crt".to_owned(),
    ]);
    let text = script::script(&variables(&registry.host()), PROJECT, &commands)?;
    // The image's own entry point is kept, or taken away with `entrypoint: [""]`.
    for words in [&["/kaniko/executor", "sh", "-c", DETECTOR][..], &["sh", "-c", DETECTOR]] {
        let start = Start { words, stdin: &text, project: PROJECT, restricted: false };
        let ran = bundle.start(&start)?;
        ensure!(ran.code == Some(0), "{words:?}: {}\n{}", ran.stdout, ran.stderr);
    }
    for number in 0..10 {
        labels(&registry, "team/app", &number.to_string())?;
    }
    Ok(())
}

/// What jobs write for kaniko: credentials as a file, and an authority beside the usual ones.
#[test]
fn jobs_bring_credentials_and_authorities() -> Result<()> {
    if !require(&NEEDS) || !require(&[Need::Program("docker-registry"), Need::Program("openssl")]) {
        return Ok(());
    }
    let mut bundle = Bundle::new("Dockerfile.debug")?;
    let kaniko = commands(JOBS, "kaniko", "script")?;
    let closed = TestRegistry::start_with(Access::bearer());
    let text = script::script(&variables(&closed.host()), PROJECT, &kaniko)?;
    let words = ["sh", "-c", DETECTOR];
    let refused = bundle.start(&Start {
        words: &words,
        stdin: &text,
        project: PROJECT,
        restricted: false,
    })?;
    ensure!(refused.code == Some(1), "{refused:#?}");
    let login = [
        "mkdir -p /kaniko/.docker".to_owned(),
        "auth=$(printf '%s:%s' user secret | base64 | tr -d '\\n')".to_owned(),
        r#"echo "{\"auths\":{\"$CI_REGISTRY\":{\"auth\":\"$auth\"}}}" > /kaniko/.docker/config.json"#.to_owned(),
    ];
    bundle.job(&closed.host(), &[&login[..], &kaniko].concat())?;
    labels(&closed, "team/app", "v1.0")?;

    // A real registry, with an authority that only the job knows, and tokens.
    let secure = SecureRegistry::start_with_tokens()?;
    fs::copy(secure.authority(), bundle.project().join("authority.pem"))?;
    let trust = [
        "mkdir -p /etc/ssl/certs".to_owned(),
        "cat \"$CI_SERVER_TLS_CA_FILE\" >> /etc/ssl/certs/ca-certificates.crt".to_owned(),
    ];
    let text =
        script::script(&variables(&secure.host()), PROJECT, &[&trust[..], &kaniko].concat())?;
    let start = Start { words: &words, stdin: &text, project: PROJECT, restricted: false };
    let refused = bundle.start(&start)?;
    ensure!(refused.code == Some(1) && secure.tokens().len() == 1, "{refused:#?}");
    let said = bundle.job(&secure.host(), &[&trust[..], &login, &kaniko].concat())?.stderr;
    ensure!(said.contains(&format!("pushed {}/team/app:v1.0@sha256:", secure.host())), "{said}");
    let asked = secure.tokens();
    ensure!(asked.iter().any(|one| one.contains("push")), "{asked:?}");
    Ok(())
}

/// Some user, no capability, a root that cannot be written: builds without RUN.
#[test]
fn restricted_pod_builds_without_run() -> Result<()> {
    if !require(&NEEDS) {
        return Ok(());
    }
    let registry = TestRegistry::start();
    for dockerfile in ["Dockerfile", "Dockerfile.debug"] {
        let mut bundle = Bundle::new(dockerfile)?;
        bundle.environment.write("Dockerfile", "FROM scratch\nCOPY . /app\nLABEL of=pod\n")?;
        // An emptyDir is open to the group.
        fs::set_permissions(bundle.project(), fs::Permissions::from_mode(0o775))?;
        let destination = format!("--destination={}", registry.reference("team/pod:1"));
        let digest = "--digest-file=/dev/termination-log";
        let words = ["/kaniko/executor", "--context=dir:///workspace", &destination, digest];
        let start = Start { words: &words, stdin: "", project: "/workspace", restricted: true };
        let ran = bundle.start(&start)?;
        ensure!(ran.code == Some(0), "{dockerfile}: {ran:#?}");
        ensure!(labels(&registry, "team/pod", "1")?["of"] == "pod");
        let log = bundle.environment.temporary().join("termination-log");
        let digest = fs::read_to_string(log)?;
        ensure!(registry.manifest("team/pod", &digest).is_some(), "{digest}");
    }
    Ok(())
}

/// The slim image has no shell, and says so.
#[test]
fn slim_image_knows_what_a_shell_is() -> Result<()> {
    if !require(&NEEDS) {
        return Ok(());
    }
    let mut bundle = Bundle::new("Dockerfile")?;
    for (words, code, said) in [
        (&["/kaniko/executor", "sh", "-c", "true"][..], 1, "no shell in this image"),
        (&["/kaniko/executor", "version"], 0, "strata "),
        (&["/kaniko/executor", "build", "--help"], 0, "Usage: strata build"),
        (&["strata", "version"], 0, "strata "),
        (&["warmer", "--help"], 0, "Usage: strata executor warmer"),
    ] {
        let start = Start { words, stdin: "", project: "/workspace", restricted: false };
        let ran = bundle.start(&start)?;
        ensure!(ran.code == Some(code), "{words:?}: {ran:#?}");
        ensure!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{words:?}: {ran:#?}");
    }
    Ok(())
}
