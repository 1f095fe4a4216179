//! Real input: Dockerfiles on a Debian root, built, pushed, read back with skopeo, and run.

use std::fmt::Write;

use anyhow::{Context, Result};
use strata_testkit::TestEnvironment;

use crate::container;
use crate::distribution::{DockerRegistry, config, diff_ids, manifest};
use crate::person::{Person, succeed};
use crate::requirement::{Need, require};

const NEEDS: &[Need] = &[
    Need::Root,
    Need::UserNamespaces,
    Need::Network,
    Need::Program("docker-registry"),
    Need::Program("mmdebstrap"),
    Need::Program("newuidmap"),
    Need::Program("runc"),
    Need::Program("skopeo"),
    Need::Program("umoci"),
];

/// One download of packages, for all that is built on it.
const TOOLS: &str = "\
ARG BASE
FROM ${BASE}
RUN apt-get update \\
    && apt-get install -y --no-install-recommends python3 python3-pip gcc libc6-dev \\
    && rm -rf /var/lib/apt/lists/*
CMD [\"python3\", \"-c\", \"print(6 * 7)\"]
";

const TWO_STAGES: &str = include_str!("../examples/two-stages/Dockerfile");
const HELLO: &str = include_str!("../examples/two-stages/hello.c");

/// Is a Dockerfile, what its image has, and what that says when it runs.
struct Case {
    name: &'static str,
    dockerfile: String,
    /// What is built on: the root, or that with tools.
    base: &'static str,
    /// Layers on top of the base; all of them, FROM scratch.
    layers: usize,
    prints: &'static str,
}

fn cases() -> Vec<Case> {
    let users = "\
ARG BASE
FROM ${BASE}
RUN groupadd --gid 2000 staff2 && useradd --create-home --uid 1500 --groups staff2 app \\
    && mkdir /srv/app && chown app:staff2 /srv/app
COPY --chown=app:staff2 hello.c /srv/app/
COPY --chown=1501:2001 hello.c /srv/app/numbers
WORKDIR /srv/app
USER app
CMD [\"sh\", \"-c\", \"id -un; id -Gn; pwd; stat -c '%U:%G %n' /srv/app hello.c; stat -c %u:%g numbers\"]
";
    let pip = "\
ARG BASE
FROM ${BASE}
RUN --mount=type=secret,id=authorities \\
    PIP_CERT=/run/secrets/authorities pip install --no-cache-dir --break-system-packages six==1.16.0
RUN test ! -e /run/secrets/authorities
CMD [\"python3\", \"-c\", \"import six; print(six.__version__)\"]
";
    let mut many = "ARG BASE\nFROM ${BASE}\n".to_owned();
    for step in 1..=20 {
        // Each changes what the one before made, and takes something away.
        writeln!(many, "RUN echo {step} >> /log && touch /mark{step} && rm -f /mark{}", step - 1)
            .expect("a string takes everything");
    }
    many.push_str("CMD [\"sh\", \"-c\", \"tr '\\\\n' ' ' < /log; echo /mark*\"]\n");
    vec![
        Case {
            name: "users",
            dockerfile: users.to_owned(),
            base: "debian:minbase",
            // WORKDIR of a directory that is there makes an empty one, as BuildKit does.
            layers: 4,
            prints: "app\napp staff2\n/srv/app\napp:staff2 /srv/app\napp:staff2 hello.c\n1501:2001\n",
        },
        Case {
            name: "pip",
            dockerfile: pip.to_owned(),
            base: "tools",
            layers: 2,
            prints: "1.16.0\n",
        },
        Case {
            name: "two-stages",
            dockerfile: TWO_STAGES.to_owned(),
            base: "tools",
            layers: 1,
            prints: "hello from an image with one file\n",
        },
        Case {
            name: "many",
            dockerfile: many,
            base: "debian:minbase",
            layers: 20,
            prints: "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 /mark20\n",
        },
    ]
}

/// Proxies and package indexes of this machine, for commands that download.
pub(crate) fn surroundings() -> Vec<String> {
    let names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    names
        .iter()
        .filter_map(|name| Some(format!("--build-arg={name}={}", std::env::var(name).ok()?)))
        .collect()
}

/// The certificate authorities that this machine believes.
fn authorities() -> String {
    std::env::var("SSL_CERT_FILE")
        .unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned())
}

fn build(environment: &TestEnvironment, dockerfile: &str, base: &str, tag: &str) -> Result<()> {
    build_in(environment, "auto", dockerfile, base, tag)
}

fn build_in(
    environment: &TestEnvironment,
    isolation: &str,
    dockerfile: &str,
    base: &str,
    tag: &str,
) -> Result<()> {
    environment.write("Dockerfile", dockerfile)?;
    environment.write("hello.c", HELLO)?;
    // The user who builds may not be able to read where the bundle lies.
    let bundle = environment.write("authorities.pem", std::fs::read(authorities())?)?;
    let base = format!("--build-arg=BASE={base}");
    let secret = format!("--secret=id=authorities,src={}", bundle.display());
    let isolation = format!("--isolation={isolation}");
    let mut arguments = vec!["build", "--push", "--tag", tag, &base, &secret, &isolation];
    let surroundings = surroundings();
    arguments.extend(surroundings.iter().map(String::as_str));
    arguments.push(".");
    succeed(environment, arguments)?;
    Ok(())
}

/// Checks what was pushed against the base, as another tool reads it, and what it prints.
fn check(case: &str, base: Option<&str>, tag: &str, layers: usize, prints: &str) -> Result<()> {
    let image = format!("docker://{tag}");
    let lower = base.map(|base| diff_ids(&format!("docker://{base}"))).transpose()?;
    let lower = lower.unwrap_or_default();
    let ids = diff_ids(&image)?;
    assert_eq!(ids.get(..lower.len()), Some(&lower[..]), "{case}: the base's layers come first");
    assert_eq!(ids.len(), lower.len() + layers, "{case}");
    let blobs = manifest(&image)?["layers"].as_array().map(Vec::len);
    assert_eq!(blobs, Some(ids.len()), "{case}");
    let config = config(&image)?;
    let history = config["history"].as_array().context("a config has a history")?;
    let filled = history.iter().filter(|row| row["empty_layer"] != true).count();
    assert_eq!(filled, ids.len(), "{case}: each layer has its row of history");
    let ran = container::run(tag)?;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), prints), "{case}: {}", ran.stderr);
    Ok(())
}

fn real_input_builds_and_runs(person: Person) -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    let registry = DockerRegistry::start_with_debian()?;
    let environment = person.environment()?;
    let root = registry.reference("debian:minbase");
    let tools = registry.reference("tools:1");
    build(&environment, TOOLS, &root, &tools)?;
    check("tools", Some(&root), &tools, 1, "42\n")?;
    for case in cases() {
        let base = if case.base == "tools" { &tools } else { &root };
        let tag = registry.reference(&format!("{}:1", case.name));
        build(&environment, &case.dockerfile, base, &tag)?;
        let below = (case.name != "two-stages").then_some(base.as_str());
        check(case.name, below, &tag, case.layers, case.prints)?;
    }
    Ok(())
}

#[test]
fn real_input_builds_and_runs_as_caller() -> Result<()> {
    real_input_builds_and_runs(Person::Caller)
}

#[test]
fn real_input_builds_and_runs_as_ordinary_user() -> Result<()> {
    real_input_builds_and_runs(Person::Ordinary)
}

/// Who builds is no input of a build.
#[test]
fn everybody_builds_the_same_image() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    let registry = DockerRegistry::start_with_debian()?;
    let root = registry.reference("debian:minbase");
    let dockerfile = "\
ARG BASE
FROM ${BASE}
COPY --chown=daemon:daemon hello.c /srv/daemon/
COPY hello.c /srv/
WORKDIR /srv/work
RUN chown -R www-data:1234 /srv/daemon && chmod 4755 /srv/hello.c && ln -s hello.c /srv/link \\
    && ln /srv/hello.c /srv/same && rm -r /usr/share/doc && mkdir /usr/share/doc && mkfifo -m 600 pipe
RUN install -d -m 2775 -g staff /srv/shared && echo x > /srv/shared/x && cp -a /srv/shared /srv/copied \\
    && su daemon -s /bin/sh -c 'mkdir /tmp/theirs && echo x > /tmp/theirs/x' && mv /tmp/theirs /srv/theirs
RUN mkdir /srv/closed && cd /srv/closed && echo a > a && chmod 440 a && echo b > b && chmod 0 b && cat b \\
    && mkdir -m 555 d && echo x > d/x && chmod 4711 d/x && cp -a . ../copied/closed && chmod u-r /etc/passwd
RUN test \"$(stat -c %a /srv/copied/closed/b /etc/passwd | tr '\\n' ' ')\" = '0 244 ' && chmod 644 /etc/passwd && rm /srv/closed/d/x
RUN rm /srv/theirs/x && echo y > /srv/theirs/x && chown :1234 /srv/copied/x && test \"$(stat -c %U /srv/theirs)\" = daemon
USER daemon
RUN echo mine > /tmp/mine
";
    let mut built = Vec::new();
    let persons = Person::all_with_faked_ids().iter().map(|person| (*person, "auto"));
    // Who is allowed nothing at all.
    for (person, isolation) in persons.chain([(Person::Single, "translated")]) {
        let environment = person.environment()?.with_variable("SOURCE_DATE_EPOCH", "1700000000");
        let tag = registry.reference(&format!("same:{person:?}-{isolation}").to_lowercase());
        build_in(&environment, isolation, dockerfile, &root, &tag)?;
        built.push(manifest(&format!("docker://{tag}"))?);
    }
    for other in &built {
        assert_eq!(other, &built[0]);
    }
    assert_eq!(built[0]["layers"].as_array().map(Vec::len), Some(10));
    Ok(())
}
