//! What a job of GitLab CI need not say: with `GITLAB_CI=true`, and never elsewhere.
//!
//! `STRATA_GITLAB` takes parts of it back: `off`, or a list such as `no-labels,no-reports`.

use std::path::PathBuf;

use strata_dockerfile::Dockerfile;
use strata_dockerfile::instruction::Instruction;
use strata_oci::Timestamp;

use crate::diagnostic::Failure;
use crate::environment::{Environment, variable};

/// Where reports are, in the project's directory.
pub(crate) const REPORTS: &str = ".strata";

/// What is done by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GitLab {
    parts: Vec<Part>,
}

/// One thing that is done by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The project's directory is the context.
    Context,
    /// The image says which commit it is of.
    Labels,
    /// The image is as old as its commit.
    Time,
    /// The log can be folded.
    Sections,
    /// The image and the Dockerfile's findings are reported.
    Reports,
    /// The registry of the project and the dependency proxy know the job.
    Credentials,
    /// The dependency proxy is a mirror of Docker Hub.
    Mirror,
    /// The authorities of the runner are believed.
    Authorities,
}

const PARTS: [(&str, Part); 8] = [
    ("no-context", Part::Context),
    ("no-labels", Part::Labels),
    ("no-time", Part::Time),
    ("no-sections", Part::Sections),
    ("no-reports", Part::Reports),
    ("no-credentials", Part::Credentials),
    ("no-mirror", Part::Mirror),
    ("no-authorities", Part::Authorities),
];

impl GitLab {
    /// What this environment asks for: nothing outside of GitLab.
    pub(crate) fn of(environment: &Environment) -> Result<Self, Failure> {
        if environment.text(variable::GITLAB_CI) != Some("true") {
            return Ok(Self::default());
        }
        let mut parts: Vec<Part> = PARTS.iter().map(|(_, part)| *part).collect();
        let words = environment.text(variable::STRATA_GITLAB).unwrap_or_default();
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match PARTS.iter().find(|(name, _)| *name == word) {
                Some((_, taken)) => parts.retain(|part| part != taken),
                None if word == "off" => parts.clear(),
                None => {
                    let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
                    return Err(Failure::usage(format!("`STRATA_GITLAB`: `{word}` is not known"))
                        .help(format!("known are `off`, {}", crate::value::fields::list(&known))));
                }
            }
        }
        Ok(Self { parts })
    }

    pub(crate) fn does(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// The context where none is given.
    pub(crate) fn context(&self, environment: &Environment) -> Option<PathBuf> {
        environment.path(variable::CI_PROJECT_DIR).filter(|_| self.does(Part::Context))
    }

    /// The directory of reports.
    pub(crate) fn reports(&self, environment: &Environment) -> Option<PathBuf> {
        let project = environment.path(variable::CI_PROJECT_DIR)?;
        self.does(Part::Reports).then(|| project.join(REPORTS))
    }

    /// The time of the commit.
    ///
    /// It is that of the image's config and history, and no `SOURCE_DATE_EPOCH`: that one is part of every step, and
    /// would let no commit use what another has built.
    pub(crate) fn time(&self, environment: &Environment) -> Option<Timestamp> {
        let text = environment.text(variable::CI_COMMIT_TIMESTAMP)?;
        let time: jiff::Timestamp = text.parse().ok()?;
        Timestamp::from_unix(time.as_second(), 0).filter(|_| self.does(Part::Time))
    }

    /// Labels for an image, but for those that the Dockerfile sets itself.
    pub(crate) fn labels(
        &self,
        environment: &Environment,
        dockerfile: &Dockerfile,
    ) -> Vec<(String, String)> {
        if !self.does(Part::Labels) {
            return Vec::new();
        }
        let text = |variable| environment.text(variable).map(str::to_owned);
        let created = || {
            let time: jiff::Timestamp = text(variable::CI_COMMIT_TIMESTAMP)?.parse().ok()?;
            Some(time.to_string())
        };
        let version = text(variable::CI_COMMIT_TAG).or_else(|| text(variable::CI_COMMIT_REF_NAME));
        let own = own_labels(dockerfile);
        [
            ("created", created()),
            ("revision", text(variable::CI_COMMIT_SHA)),
            ("source", text(variable::CI_PROJECT_URL)),
            ("version", version),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
        .filter(|(name, _)| !own.contains(name))
        .collect()
    }
}

/// The names of labels that the Dockerfile sets, in whatever stage.
fn own_labels(dockerfile: &Dockerfile) -> Vec<String> {
    let instructions = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    instructions
        .filter_map(|statement| match &statement.node {
            Instruction::Label(label) => Some(&label.pairs),
            _ => None,
        })
        .flatten()
        .map(|pair| pair.key.text.trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use strata_dockerfile::Source;

    use super::*;

    fn job(more: &[(&str, &str)]) -> Environment {
        let usual = [
            ("GITLAB_CI", "true"),
            ("CI_PROJECT_DIR", "/builds/team/app"),
            ("CI_PROJECT_URL", "https://gitlab.example/team/app"),
            ("CI_COMMIT_SHA", "0a1b"),
            ("CI_COMMIT_REF_NAME", "main"),
            ("CI_COMMIT_TIMESTAMP", "2026-11-25T12:00:00+02:00"),
        ];
        Environment::from_pairs(&[&usual[..], more].concat())
    }

    fn dockerfile(text: &str) -> Dockerfile {
        strata_dockerfile::parse(&Source::new(0, "Dockerfile", text)).expect("is a Dockerfile")
    }

    #[test]
    fn image_says_which_commit_it_is_of() {
        let plain = dockerfile("FROM scratch\nLABEL a=b\n");
        let own = dockerfile("FROM scratch\nLABEL \"org.opencontainers.image.version\"=7\n");
        let names = |environment: &Environment, dockerfile: &Dockerfile| {
            let gitlab = GitLab::of(environment).expect("is well said");
            let labels = gitlab.labels(environment, dockerfile);
            labels
                .iter()
                .map(|(name, value)| format!("{}={value}", &name[25..]))
                .collect::<Vec<_>>()
        };
        let all = [
            "created=2026-11-25T10:00:00Z",
            "revision=0a1b",
            "source=https://gitlab.example/team/app",
            "version=main",
        ];
        assert_eq!(names(&job(&[]), &plain), all);
        assert_eq!(names(&job(&[]), &own), all[..3]);
        assert_eq!(names(&job(&[("CI_COMMIT_TAG", "v1")]), &plain)[3], "version=v1");
        assert_eq!(names(&job(&[("STRATA_GITLAB", "no-labels")]), &plain), [""; 0]);
        assert_eq!(names(&job(&[("GITLAB_CI", "false")]), &plain), [""; 0]);
    }

    #[test]
    fn each_part_can_be_taken_back() {
        for (words, parts) in
            [("", 8), ("no-context", 7), ("no-sections, no-mirror", 6), ("off", 0)]
        {
            let gitlab = GitLab::of(&job(&[("STRATA_GITLAB", words)])).expect("is well said");
            assert_eq!(gitlab.parts.len(), parts, "{words}");
        }
        assert!(GitLab::of(&job(&[("STRATA_GITLAB", "labels")])).is_err());
        assert_eq!(GitLab::of(&Environment::default()), Ok(GitLab::default()));
    }

    #[test]
    fn image_is_as_old_as_its_commit() {
        let seconds = |environment: &Environment| {
            let gitlab = GitLab::of(environment).expect("is well said");
            gitlab.time(environment).map(|time| time.unix_seconds())
        };
        assert_eq!(seconds(&job(&[])), Some(1_795_600_800));
        assert_eq!(seconds(&job(&[("STRATA_GITLAB", "no-time")])), None);
        let gitlab = GitLab::of(&job(&[])).expect("is well said");
        assert_eq!(gitlab.context(&job(&[])), Some("/builds/team/app".into()));
        assert_eq!(gitlab.reports(&job(&[])), Some("/builds/team/app/.strata".into()));
    }
}
