//! Certificates: the authorities that are believed, and what this client shows, from every place that other tools
//! take them from.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use strata_registry::{ClientCertificate, HostSettings, Settings, TrustedRoots};

use super::gitlab::Job;
use crate::environment::{Environment, variable};

/// Adds what the variables and directories of this machine have.
pub(super) fn collect(settings: &mut Settings, environment: &Environment, job: &Job<'_>) {
    let kaniko = super::kaniko_directory(environment).join("ssl/certs");
    settings.roots = TrustedRoots {
        files: environment.path(variable::SSL_CERT_FILE).into_iter().collect(),
        directories: environment
            .get(variable::SSL_CERT_DIR)
            .map(|value| std::env::split_paths(value).collect())
            .unwrap_or_default(),
        additional_files: job.authorities().filter(|file| file.exists()).collect(),
        additional_directories: vec![kaniko],
    };
    let mut directories =
        vec![PathBuf::from("/etc/docker/certs.d"), "/etc/containers/certs.d".into()];
    if let Some(home) = environment.path(variable::HOME) {
        directories.push(home.join(".config/docker/certs.d"));
        directories.push(home.join(".config/containers/certs.d"));
    }
    for directory in directories {
        of_hosts(settings, &directory);
    }
}

/// Reads a directory with one directory for each host.
fn of_hosts(settings: &mut Settings, directory: &Path) {
    for (path, host) in listed(directory) {
        let files = listed(&path);
        if !files.is_empty() {
            // Docker looks for the name with the port; a port that goes without saying is the same host.
            let host = host.strip_suffix(":443").unwrap_or(&host).to_owned();
            of_host(settings.hosts.entry(host).or_default(), &files);
        }
    }
}

/// Sorts the files of one host: `*.crt` is an authority, `*.cert` with a `*.key` of the same name is what this
/// client shows. What this user may not read is passed over, for most builds have nothing to do with the host.
fn of_host(settings: &mut HostSettings, files: &[(PathBuf, String)]) {
    let readable = |path: &Path| std::fs::File::open(path).is_ok();
    for (path, _) in files.iter().filter(|(path, _)| readable(path)) {
        match path.extension().and_then(OsStr::to_str) {
            Some("crt") => settings.certificate_authorities.push(path.clone()),
            Some("cert") => {
                let key = path.with_extension("key");
                if settings.client_certificate.is_none() && readable(&key) {
                    settings.client_certificate =
                        Some(ClientCertificate { certificate: path.clone(), key });
                }
            }
            Some(_) | None => {}
        }
    }
}

/// Lists a directory in order; one that is missing or closed to this user is empty.
fn listed(directory: &Path) -> Vec<(PathBuf, String)> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(path = %directory.display(), %error, "no certificates here");
            return Vec::new();
        }
    };
    let entries = entries.filter_map(Result::ok);
    let mut found: Vec<(PathBuf, String)> = entries
        .filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_hosts_are_read_as_by_docker() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let at = |path: &str| home.path().join(".config/docker/certs.d").join(path);
        for file in [
            "r:443/ca.crt",
            "r:443/client.cert",
            "r:443/client.key",
            "q:5000/b.crt",
            "q:5000/x.cert",
        ] {
            std::fs::create_dir_all(at(file).parent().expect("has one")).expect("can be made");
            std::fs::write(at(file), "").expect("can be written");
        }
        let path = home.path().to_str().expect("is text");
        let environment = Environment::from_pairs(&[("HOME", path), ("KANIKO_DIR", "/k")]);
        let job = Job::of(&environment).expect("is no job");
        let mut settings = Settings::default();
        collect(&mut settings, &environment, &job);
        assert_eq!(settings.hosts["r"].certificate_authorities, [at("r:443/ca.crt")]);
        let shown =
            ClientCertificate { certificate: at("r:443/client.cert"), key: at("r:443/client.key") };
        assert_eq!(settings.hosts["r"].client_certificate, Some(shown));
        assert_eq!(settings.hosts["q:5000"].certificate_authorities, [at("q:5000/b.crt")]);
        assert_eq!(settings.hosts["q:5000"].client_certificate, None);
        assert_eq!(settings.roots.additional_directories, [PathBuf::from("/k/ssl/certs")]);
    }

    #[test]
    fn authorities_of_a_job_are_believed_where_they_exist() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("ca.pem");
        for exists in [false, true] {
            if exists {
                std::fs::write(&file, "").expect("can be written");
            }
            let path = file.to_str().expect("is text");
            let pairs = [("GITLAB_CI", "true"), ("CI_SERVER_TLS_CA_FILE", path)];
            let environment = Environment::from_pairs(&pairs);
            let job = Job::of(&environment).expect("is a job");
            let mut settings = Settings::default();
            collect(&mut settings, &environment, &job);
            assert_eq!(settings.roots.additional_files.contains(&file), exists);
        }
    }
}
