//! `RUN --mount=type=ssh`: a real `ssh-add` in an image asks the agent that the build serves.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use strata_testkit::TestEnvironment;

use super::elsewhere::build;
use crate::person::STRATA;
use crate::requirement::{Need, busybox, output, program, require};

/// Puts `ssh-add`, what it is linked with, and a shell into a directory.
fn root_file_system(at: &Path) -> Result<()> {
    let ssh_add = program("ssh-add").context("there is one")?;
    let listed = output(Command::new("ldd").arg(&ssh_add));
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let put = |from: &Path, to: &str| -> Result<()> {
        let to = at.join(to.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().context("is no root")?)?;
        std::fs::copy(from, to).map(drop).with_context(|| from.display().to_string())
    };
    for library in libraries {
        put(Path::new(library), library)?;
    }
    put(&ssh_add, "/bin/ssh-add")?;
    let busybox = busybox().context("there is one")?;
    ["sh", "ls"].iter().try_for_each(|applet| put(&busybox, &format!("/bin/{applet}")))
}

#[test]
fn commands_ask_the_agent_of_their_mount() -> Result<()> {
    let needs = [
        Need::Root,
        Need::UserNamespaces,
        Need::StaticBusybox,
        Need::Program("ssh-add"),
        Need::Program("ssh-keygen"),
    ];
    if !require(&needs) {
        return Ok(());
    }
    let environment = TestEnvironment::new(STRATA)?;
    root_file_system(&environment.context().join("root"))?;
    let key = environment.temporary().join("key");
    let mut generate = Command::new("ssh-keygen");
    output(generate.args(["-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f"]).arg(&key));
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    let secret = std::fs::read_to_string(&key)?;
    let line = secret.lines().nth(2).context("a key has lines")?;
    // In one step: a layer beneath would be looked at for the owner of `/out`.
    let dockerfile = "FROM scratch\nCOPY root /\n\
        RUN --mount=type=ssh,required ssh-add -L > /public && ls -ln $SSH_AUTH_SOCK > /first\n\
        RUN --mount=type=ssh,id=other,target=/a/socket,uid=1000,gid=50,mode=640 \
          ls -ln /a/socket > /second\n\
        RUN --mount=type=ssh,id=absent [ -n $SSH_AUTH_SOCK -a ! -e $SSH_AUTH_SOCK ] && : > /third\n\
        RUN --mount=type=ssh,id=absent --mount=type=ssh \
          [ $SSH_AUTH_SOCK = /run/buildkit/ssh_agent.0 -a -e /run/buildkit/ssh_agent.1 ] && : > /fourth\n\
        ENV SSH_AUTH_SOCK=/mine\n\
        RUN --mount=type=ssh [ $SSH_AUTH_SOCK = /mine ] && : > /fifth\n\
        ENV SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0\n\
        COPY --chown=1000:50 <<f /by/user\nempty\nf\n\
        USER 1000:50\n\
        RUN --mount=type=ssh,uid=1000 ssh-add -L > /by/user\n";
    environment.write("Dockerfile", dockerfile)?;
    let (default, other) =
        (format!("default={0}", key.display()), format!("other={0}", key.display()));
    for isolation in ["auto", "chroot-supervised", "translated"] {
        let arguments = ["--ssh", &default, "--ssh", &other, "--isolation", isolation, "."];
        let found = build(&environment, &arguments).with_context(|| isolation.to_owned())?;
        let found = found.replace("./", "");
        let text = |name: &str| {
            let line = found.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.splitn(4, ' ').nth(3)).unwrap_or_default().to_owned()
        };
        assert_eq!(text("public"), public.trim_end(), "{isolation}: {found}");
        assert_eq!(text("by/user"), public.trim_end(), "{isolation}");
        let columns = |name: &str| {
            let words = text(name);
            let words: Vec<&str> = words.split_whitespace().collect();
            [0, 2, 3].map(|column| words.get(column).copied().unwrap_or_default().to_owned())
        };
        assert_eq!(columns("first"), ["srw-------", "0", "0"], "{isolation}");
        assert_eq!(columns("second"), ["srw-r-----", "1000", "50"], "{isolation}");
        // Without an agent of that id the variable names a socket that is not there, as with BuildKit.
        assert!(found.contains("third 644"), "{isolation}: {found}");
        // The variable names the first mount, whether that has an agent or not, and never replaces one of ENV.
        assert!(found.contains("fourth 644"), "{isolation}: {found}");
        assert!(found.contains("fifth 644"), "{isolation}: {found}");
        let is_trace = |line: &str| line.starts_with("run/") || line.starts_with("a/");
        assert!(!found.lines().any(is_trace), "{isolation}: {found}");
        assert!(!found.contains(line), "{isolation}");
    }
    Ok(())
}
