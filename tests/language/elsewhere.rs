//! Sources, contexts and Dockerfiles that are on a server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use strata_testkit::TestEnvironment;

use crate::person::STRATA;
use crate::requirement::{Need, require};

/// A web server of files, on a thread that ends with the process.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves files by their paths; below `/secret/` only with this `Authorization`.
    fn start(files: BTreeMap<String, Vec<u8>>, authorization: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (files, log) = (Arc::new(files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (Arc::clone(&files), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &files, &log, authorization));
            }
        });
        Ok(Self { address, asked })
    }

    fn asked(&self, path: &str) -> usize {
        let asked = self.asked.lock().expect("no thread panics with it");
        asked.iter().filter(|one| *one == path).count()
    }
}

fn answer(
    stream: TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    log: &Mutex<Vec<String>>,
    authorization: &str,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.split('?').next()?.to_owned();
    let mut allowed = !path.starts_with("/secret/");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        allowed |= name.eq_ignore_ascii_case("authorization") && value == authorization;
    }
    log.lock().ok()?.push(path.clone());
    let (status, body) = match files.get(&path) {
        _ if !allowed => ("401 Unauthorized", &[][..]),
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

fn read_all(root: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_all(&entry.path(), &path, into)?;
        } else {
            into.insert(path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// A repository as a plain web server has it.
fn repository() -> Result<BTreeMap<String, Vec<u8>>> {
    let place = tempfile::tempdir()?;
    let directory = make_repository(place.path())?;
    let mut files = BTreeMap::new();
    read_all(&directory, "/r.git", &mut files)?;
    Ok(files)
}

/// Makes a repository of a file `top`, an executable `sub/run` and a Dockerfile in `sub`, and gives its directory.
pub(super) fn make_repository(place: &Path) -> Result<PathBuf> {
    let work = place.join("work");
    std::fs::create_dir_all(work.join("sub"))?;
    std::fs::write(work.join("top"), "top")?;
    std::fs::write(work.join("sub/run"), "run")?;
    std::fs::write(work.join("sub/Dockerfile"), "FROM scratch\nCOPY run /\n")?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(work.join("sub/run"), mode)?;
    let git = |words: &[&str]| -> Result<()> {
        let status = Command::new("git")
            .current_dir(&work)
            .args(["-c", "user.name=n", "-c", "user.email=e"])
            .args(words)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_COMMITTER_DATE", "1600000000 +0000")
            .status()?;
        ensure!(status.success(), "git {words:?}");
        Ok(())
    };
    git(&["init", "-q", "-b", "trunk"])?;
    git(&["add", "."])?;
    git(&["commit", "-q", "-m", "1"])?;
    git(&["update-server-info"])?;
    Ok(work.join(".git"))
}

fn environment() -> Result<TestEnvironment> {
    let environment = TestEnvironment::new(STRATA)?;
    Ok(environment.with_variable("SOURCE_DATE_EPOCH", "1700000000").with_variable("TOKEN", "t"))
}

/// Builds and gives the files of the result with their modes.
pub(super) fn build(environment: &TestEnvironment, arguments: &[&str]) -> Result<String> {
    let out = tempfile::tempdir_in(environment.temporary())?;
    let archive = out.path().join("out.tar");
    let output = format!("type=tar,dest={}", archive.display());
    let arguments = ["build", "-o", &output].into_iter().chain(arguments.iter().copied());
    let ran = environment.run(arguments)?;
    ensure!(ran.code == Some(0), "{}", ran.stderr);
    let mut lines = Vec::new();
    for entry in tar::Archive::new(std::fs::File::open(&archive)?).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let header = entry.header().clone();
        let link = entry.link_name()?.map(|link| format!(" -> {}", link.display()));
        let mut text = String::new();
        if header.entry_type().is_file() && header.size()? < 100 {
            std::io::Read::read_to_string(&mut entry, &mut text)?;
        }
        let owner = format!("{}:{}", header.uid()?, header.gid()?);
        let text = if text.is_empty() { text } else { format!(" {}", text.trim_end()) };
        let line = format!("{path} {:o} {owner}{text}{}", header.mode()?, link.unwrap_or_default());
        lines.push(line);
    }
    lines.retain(|line| !line.starts_with("./ "));
    lines.sort();
    Ok(lines.join("\n"))
}

#[test]
fn add_takes_repositories() -> Result<()> {
    if !require(&[Need::Program("git")]) {
        return Ok(());
    }
    let server = Server::start(repository()?, "")?;
    let environment = environment()?;
    let address = &server.address;
    environment.write(
        "Dockerfile",
        format!(
            "FROM scratch\nADD http://{address}/r.git#trunk /a/\nADD --chown=1:2 http://{address}/r.git#:sub /b\n"
        ),
    )?;
    let expected = "a/ 755 0:0\na/sub/ 755 0:0\na/sub/Dockerfile 644 0:0 FROM scratch\nCOPY run /\n\
        a/sub/run 755 0:0 run\na/top 644 0:0 top\nb/ 755 1:2\n\
        b/Dockerfile 644 1:2 FROM scratch\nCOPY run /\nb/run 755 1:2 run";
    let found = build(&environment, &["."])?.replace("./", "");
    assert_eq!(found, expected);
    environment
        .write("Dockerfile", format!("FROM scratch\nADD http://{address}/r.git#none /\n"))?;
    let ran = environment.run(["build", "."])?;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let message = format!("`http://{address}/r.git` has no reference `none`");
    ensure!(ran.stderr.contains(&message), "{}", ran.stderr);
    Ok(())
}

#[test]
fn contexts_and_dockerfiles_come_from_servers() -> Result<()> {
    if !require(&[Need::Program("git")]) {
        return Ok(());
    }
    let mut files = repository()?;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", "FROM scratch\nCOPY f /\n"), ("f", "tar")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    files.insert("/context.tar".to_owned(), archive.into_inner()?);
    files.insert("/D".to_owned(), b"FROM scratch\nCOPY <<f /\nhere\nf\n".to_vec());
    files.insert("/E".to_owned(), b"FROM scratch\nCOPY --from=other run /\n".to_vec());
    let server = Server::start(files, "")?;
    let environment = environment()?;
    let url = |path: &str| format!("http://{}/{path}", server.address);
    let named = format!("other={}", url("r.git#trunk:sub"));
    for (arguments, expected) in [
        (vec![url("r.git#trunk:sub")], "run 755 0:0 run"),
        (vec![url("context.tar")], "f 644 0:0 tar"),
        (vec![url("D")], "f 644 0:0 here"),
        (vec!["-f".to_owned(), url("D"), ".".to_owned()], "f 644 0:0 here"),
        (
            vec!["-f".to_owned(), url("E"), "--build-context".to_owned(), named, ".".to_owned()],
            "run 755 0:0 run",
        ),
    ] {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let found = build(&environment, &words).with_context(|| arguments.join(" "))?;
        assert_eq!(found.replace("./", ""), expected, "{arguments:?}");
    }
    Ok(())
}

/// The token opens the context, which the user names, and nothing that a Dockerfile names.
#[test]
fn token_of_the_environment_opens_a_git_context() -> Result<()> {
    if !require(&[Need::Program("git")]) {
        return Ok(());
    }
    let files = repository()?.into_iter();
    let files = files.map(|(path, bytes)| (format!("/secret{path}"), bytes)).collect();
    // `x-access-token:hunter2`
    let server = Server::start(files, "basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMg==")?;
    let url = format!("http://{}/secret/r.git#trunk:sub", server.address);
    let stranger = environment()?.run(["build", &url])?;
    assert_eq!(stranger.code, Some(3), "{}", stranger.stderr);
    let environment = environment()?.with_variable("GIT_TOKEN", "hunter2");
    assert_eq!(build(&environment, &[&url])?.replace("./", ""), "run 755 0:0 run");
    environment.write("Dockerfile", format!("FROM scratch\nADD {url} /\n"))?;
    let added = environment.run(["build", "."])?;
    ensure!(added.code == Some(1) || added.code == Some(3), "{}", added.stderr);
    ensure!(!added.stderr.contains("hunter2"), "{}", added.stderr);
    Ok(())
}

#[test]
fn the_epoch_is_the_time_of_a_repository_or_archive() -> Result<()> {
    if !require(&[Need::Program("git")]) {
        return Ok(());
    }
    let mut archive = tar::Builder::new(Vec::new());
    for (name, time) in [("Dockerfile", 5), ("f", 6), ("g", 4)] {
        let text = "FROM scratch\nCOPY f /\n";
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(time);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    let mut files = repository()?;
    files.insert("/context.tar".to_owned(), archive.into_inner()?);
    let server = Server::start(files, "")?;
    let environment = environment()?;
    environment.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")?;
    let (repository, archive) = (
        format!("http://{}/r.git#trunk:sub", server.address),
        format!("http://{}/context.tar", server.address),
    );
    let named = format!("named={repository}");
    for (epoch, context, expected) in [
        ("context", repository.as_str(), Some(1_600_000_000)),
        ("context", &archive, Some(6)),
        ("named", &archive, Some(1_600_000_000)),
        // A directory has no time.
        ("context", ".", None),
    ] {
        let argument = format!("SOURCE_DATE_EPOCH={epoch}");
        let words = ["build", "--dry-run", "--progress", "json", "--build-context", &named];
        let ran = environment.run(words.into_iter().chain(["--build-arg", &argument, context]))?;
        ensure!(ran.code == Some(0), "{}", ran.stderr);
        let plan: serde_json::Value = serde_json::from_str(&ran.stdout)?;
        assert_eq!(plan["source_date_epoch"].as_i64(), expected, "{epoch} {context}");
    }
    Ok(())
}

#[test]
fn secrets_open_servers_and_checksums_save_downloads() -> Result<()> {
    let files = ["/secret/f", "/f"].map(|path| (path.to_owned(), b"x".to_vec()));
    let server = Server::start(files.into(), "Bearer t")?;
    let environment = environment()?;
    let address = &server.address;
    // Of `x`.
    let digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    environment.write("Dockerfile", format!(
        "FROM scratch\nADD http://{address}/secret/f /a\nADD --checksum={digest} http://{address}/f /b\n"
    ))?;
    let secret = ["--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN", "."];
    for _ in 0..2 {
        assert_eq!(build(&environment, &secret)?.replace("./", ""), "a 600 0:0 x\nb 600 0:0 x");
    }
    assert_eq!((server.asked("/secret/f"), server.asked("/f")), (2, 1));
    let ran = environment.run(["build", "."])?;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let wrong = digest.replace("2d7", "000");
    environment.write(
        "Dockerfile",
        format!("FROM scratch\nADD --checksum={wrong} http://{address}/f /\n"),
    )?;
    let ran = environment.run(["build", "."])?;
    ensure!(ran.stderr.contains("digest mismatch"), "{}", ran.stderr);
    Ok(())
}
