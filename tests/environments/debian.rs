//! Real images: a Debian root and what Dockerfiles do with it, in every environment.
//!
//! This takes minutes and downloads packages, so it runs when it is asked for, and writes what it finds to
//! `docs/environments.md`:
//!
//! ```text
//! cargo test --test strata -- --ignored environments
//! ```
//!
//! `STRATA_TEST_ENVIRONMENTS` names the environments to build in, if not all, with commas between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::runc::{Container, Net};
use super::table::{ENVIRONMENTS, Environment};
use super::{diff_ids, found_by_doctor, text};
use crate::debian::surroundings;
use crate::distribution::DockerRegistry;
use crate::requirement::{NOTHING, Need, package_host, require};

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("runc"),
    Need::StaticBusybox,
    Need::Network,
    Need::Program("docker-registry"),
    Need::Program("mmdebstrap"),
];

const CHECK: &str = include_str!("check.sh");
const CHECKS: &str = include_str!("checks.sh");
const LANGUAGES: &str = include_str!("languages.sh");

/// What the root for the languages has.
const LANGUAGE_PACKAGES: &str =
    "ca-certificates,default-jre-headless,gcc-multilib,golang-go,musl-tools,nodejs,npm";

/// How a line of a check begins.
const CHECKED: &str = "CHECKED|";

const DOCKERFILE: &str = "\
ARG BASE
FROM ${BASE}
ARG PACKAGE_HOST
RUN --mount=type=bind,target=/context . /context/check.sh; . /context/checks.sh
RUN test -e /srv/checks/first
";

const WITH_LANGUAGES: &str = "\
ARG BASE
FROM ${BASE}
RUN --mount=type=bind,target=/context . /context/check.sh; . /context/languages.sh
";

/// What comes out the same wherever and whenever it is built.
const ALIKE: &str = "\
ARG BASE
FROM ${BASE}
# The day of a password's last change is what useradd thinks today is.
ARG SOURCE_DATE_EPOCH
RUN useradd --create-home --uid 1500 one && mkdir /srv/d && for id in 1 33 1000 60000; do \\
    echo $id > /srv/d/$id; chown $id:one /srv/d/$id; done; ln /srv/d/1 /srv/d/linked; chmod 4755 /srv/d/33
RUN rm -r /usr/share/doc && mkdir /usr/share/doc && mv /etc/skel /etc/other && mkfifo /srv/pipe && chmod 600 /srv/pipe
COPY --chown=one:daemon checks.sh /srv/
RUN perl -e 'my ($file, $name, $value) = (\"/srv/checks.sh\", \"security.capability\", pack(\"V5\", 0x2000001, 0x2000, 0, 0, 0)); \\
    syscall(188, $file, $name, $value, 20, 0) == 0 or die $!'
USER one
RUN echo mine > /tmp/mine
";

/// What was found in an environment.
struct Column {
    environment: Environment,
    /// Of each check, and why it failed.
    checks: BTreeMap<String, Option<String>>,
    /// Why there are not all images.
    failure: Option<String>,
    /// The diff ids of what must be alike, or why there are none.
    alike: Result<Vec<String>, String>,
}

fn build(
    container: &Container,
    base: &str,
    dockerfile: &str,
    layout: &str,
) -> Result<Result<String, String>> {
    container.write("Dockerfile", dockerfile)?;
    container.write("check.sh", CHECK)?;
    container.write("checks.sh", CHECKS)?;
    container.write("languages.sh", LANGUAGES)?;
    container.give_away()?;
    let host = package_host().context("there is a network")?;
    let mut arguments: Vec<String> =
        ["/bin/strata", "build", "--progress=plain", "--no-cache"].map(str::to_owned).into();
    arguments.push(format!("--build-arg=BASE={base}"));
    arguments.push(format!("--build-arg=PACKAGE_HOST={host}"));
    arguments.push(format!("--output=type=oci,dest=/volume/out/{layout}"));
    arguments.extend(surroundings());
    arguments.push("/volume/context".to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = container.run(&arguments)?;
    let said = text(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(Ok(said));
    }
    Ok(Err(said))
}

/// The error in a build's talk, with the last thing that the command said.
fn reason(said: &str) -> String {
    let error = said.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("no error");
    let last = said.lines().take_while(|line| !line.starts_with("error: "));
    let last = last.filter(|line| !line.contains(" ERROR ")).last();
    let last = last.and_then(|line| line.splitn(3, ' ').nth(2)).unwrap_or_default();
    format!("{} ({last})", error.split(" `RUN").next().unwrap_or(error))
}

/// Reads the lines of checks out of a build's talk: `#3 12.345 CHECKED|name|works|`.
fn checks(said: &str) -> BTreeMap<String, Option<String>> {
    let check = |line: &str| {
        let mut fields = line.split_once(CHECKED)?.1.split('|');
        let (name, result, reason) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name.to_owned(), (result != "works").then(|| reason.to_owned())))
    };
    said.lines().filter_map(check).collect()
}

fn column(environment: Environment, base: &str, languages: &str) -> Result<Column> {
    let container = Container::new(environment, Net::Machine)?;
    container.give_away()?;
    let before = container.written()?;
    let built = [
        build(&container, base, DOCKERFILE, "checks")?,
        build(&container, languages, WITH_LANGUAGES, "languages")?,
    ];
    let alike = build(&container, base, ALIKE, "alike")?
        .map_err(|said| reason(&said))
        .and_then(|_| diff_ids(&container.layout("alike")).map_err(|error| error.to_string()));
    assert_eq!(container.written()?, before, "{}: the container changed", environment.name);
    let failure = built.iter().find_map(|built| built.as_ref().err()).map(|said| reason(said));
    let checks = built.iter().flat_map(|(Ok(said) | Err(said))| checks(said)).collect();
    Ok(Column { environment, checks, failure, alike })
}

/// What `doctor` would take.
fn chosen(environment: Environment) -> Result<Option<String>> {
    let container = Container::new(environment, Net::Machine)?;
    container.give_away()?;
    container.assert_environment()?;
    Ok(found_by_doctor(&container)?.1)
}

fn names() -> Vec<&'static str> {
    let line = |line: &'static str| line.strip_prefix("check '")?.split('\'').next();
    CHECKS.lines().chain(LANGUAGES.lines()).filter_map(line).collect()
}

/// Reasons, each with a number.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, note: String) -> usize {
        let known = self.0.iter().position(|one| *one == note);
        known.map_or_else(
            || {
                self.0.push(note);
                self.0.len()
            },
            |index| index + 1,
        )
    }
}

const HEAD: &str = "\
<!-- Written by `cargo test --test strata -- --ignored environments`. -->

# Environments

What was found when Debian images were built in containers that allow little, by the static program alone, started by
runc with exactly the settings that `tests/environments/table.rs` states. `strata doctor` says the same about the place
where it runs.

| environment | what it is | commands run in |
|---|---|---|
";

fn page(
    chosen: &[(Environment, Option<String>)],
    columns: &[Column],
) -> Result<String, std::fmt::Error> {
    let mut page = HEAD.to_owned();
    for (environment, chosen) in chosen {
        let chosen =
            chosen.as_ref().map_or("nothing: no RUN".to_owned(), |name| format!("`{name}`"));
        writeln!(page, "| {} | {} | {chosen} |", environment.name, environment.description)?;
    }
    page.push_str("\n## What commands can do\n\n| check |");
    for column in columns {
        write!(page, " {} |", column.environment.name)?;
    }
    writeln!(page, "\n|---|{}", "---|".repeat(columns.len()))?;
    let mut notes = Notes::default();
    for name in names() {
        write!(page, "| {name} |")?;
        for column in columns {
            match column.checks.get(name) {
                Some(None) => page.push_str(" yes |"),
                Some(Some(reason)) => {
                    write!(page, " no ({}) |", notes.number(format!("{name}: `{reason}`")))?;
                }
                None => page.push_str(" not tried |"),
            }
        }
        page.push('\n');
    }
    page.push_str("| an image with the same layers |");
    let expected = columns.iter().find_map(|column| column.alike.as_ref().ok());
    for column in columns {
        match &column.alike {
            Ok(ids) if Some(ids) == expected => page.push_str(" yes |"),
            Ok(_) => page.push_str(" another |"),
            Err(reason) => write!(page, " no ({}) |", notes.number(reason.clone()))?,
        }
    }
    page.push_str("\n\n");
    for (number, note) in (1..).zip(&notes.0) {
        writeln!(page, "{number}. {note}")?;
    }
    for Column { environment, failure, .. } in columns {
        if let Some(failure) = failure {
            writeln!(
                page,
                "\nIn {} the checks could not be run to their end: {failure}",
                environment.name
            )?;
        }
    }
    let built = |name: &str| columns.iter().any(|column| column.environment.name == name);
    let left =
        chosen.iter().filter(|(environment, chosen)| chosen.is_some() && !built(environment.name));
    let left: Vec<&str> = left.map(|(environment, _)| environment.name).collect();
    if !left.is_empty() {
        writeln!(page, "\nNot tried in the last run: {}.", left.join(", "))?;
    }
    Ok(page)
}

#[test]
#[ignore = "takes minutes, and downloads packages"]
fn debian_images_in_every_environment() -> Result<()> {
    if !require(NEEDS) {
        return Ok(());
    }
    let registry = DockerRegistry::start_with_debian()?;
    let base = registry.reference("debian:minbase");
    let with_languages = DockerRegistry::start_with_packages("languages", LANGUAGE_PACKAGES)?;
    let languages = with_languages.reference("debian:languages");
    let chosen = ENVIRONMENTS
        .into_iter()
        .map(|environment| Ok((environment, chosen(environment)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut columns = Vec::new();
    let wanted = std::env::var("STRATA_TEST_ENVIRONMENTS").ok();
    let is_wanted = |environment: &Environment| {
        wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == environment.name))
    };
    let built = chosen.iter().filter(|(one, chosen)| chosen.is_some() && is_wanted(one));
    for (environment, _) in built {
        columns.push(column(*environment, &base, &languages).with_context(|| environment.name)?);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        fs::write(directory.join("environments.md"), page(&chosen, &columns)?)?;
    }
    // A way that works runs its checks to the end, whatever they find.
    let broken = columns.iter().filter(|column| column.failure.is_some());
    let broken: Vec<String> = broken.map(|column| column.environment.name.to_owned()).collect();
    assert_eq!(broken, NOTHING);
    Ok(())
}
