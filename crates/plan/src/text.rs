//! A plan as people read it: what `--dry-run` prints.
//!
//! ```text
//! stage 0 builder for linux/amd64
//!   FROM golang:1.25
//!     image docker.io/library/golang:1.25 sha256:…, 7 layers
//!   [builder 2/3] WORKDIR /src                                    needs the index
//!     directory /src
//! ```

use std::fmt;

use crate::op::{
    Access, CopyOp, CopySource, Mount, MountFrom, MountKind, Network, Op, Origin, RunOp, Sharing,
};
use crate::plan::{Base, Need, Plan, Stage, Step};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(epoch) = self.source_date_epoch {
            writeln!(f, "source date epoch {epoch}")?;
        }
        for stage in &self.stages {
            self.stage_text(stage, f)?;
        }
        for name in &self.unused_arguments {
            writeln!(f, "warning: build argument `{name}` is not used")?;
        }
        for warning in &self.warnings {
            let line = self.source(warning.span).position(warning.span.start).line;
            writeln!(f, "warning: line {line}: {} ({})", warning.message, warning.rule.name())?;
        }
        Ok(())
    }
}

impl Plan {
    fn stage_text(&self, stage: &Stage, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {}", stage.number)?;
        if let Some(name) = &stage.name {
            write!(f, " {name}")?;
        }
        write!(f, " for {}", stage.platform)?;
        writeln!(f, "{}", if self.targets().any(|id| id == stage.id) { " (target)" } else { "" })?;
        writeln!(f, "  FROM {}", stage.from)?;
        match stage.base {
            Base::Scratch => {}
            Base::Stage(base) => writeln!(f, "    stage {}", self.stage(base).number)?,
            Base::Image(image) => writeln!(f, "    {}", self.image_text(image))?,
        }
        for step in &stage.steps {
            self.step_text(stage, step, f)?;
        }
        Ok(())
    }

    fn image_text(&self, image: crate::ImageId) -> String {
        let image = self.image(image);
        let layers = image.layers().len();
        let plural = if layers == 1 { "" } else { "s" };
        format!("image {} {}, {layers} layer{plural}", image.source, image.image.manifest.digest)
    }

    fn step_text(&self, stage: &Stage, step: &Step, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}{}", step.prefix(&stage.label), step.text)?;
        match &step.op {
            Op::Config => return Ok(()),
            Op::Workdir(workdir) => {
                write!(f, "    directory {}", workdir.path)?;
                match &workdir.owner {
                    Some(owner) => writeln!(f, " of {owner}")?,
                    None => writeln!(f)?,
                }
            }
            Op::Copy(copy) => self.copy_text(copy, f)?,
            Op::Run(run) => self.run_text(run, f)?,
        }
        let cache = if step.no_cache { ", not from the cache" } else { "" };
        writeln!(f, "    needs {}{cache}", step.need)
    }

    fn copy_text(&self, copy: &CopyOp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &copy.sources {
            match source {
                CopySource::Path { pattern, pivot, .. } => {
                    let origin = self.origin_text(copy.from);
                    match pivot.as_deref().filter(|pivot| *pivot != "/") {
                        Some(pivot) => writeln!(f, "    {pattern} below {pivot} of {origin}")?,
                        None => writeln!(f, "    {pattern} of {origin}")?,
                    }
                }
                CopySource::Inline(file) => {
                    writeln!(f, "    heredoc {} of {} bytes", file.name, file.bytes.len())?;
                }
                CopySource::Url(url) => {
                    write!(f, "    download {} as {}", url.url, url.name)?;
                    match url.checksum {
                        Some(checksum) => writeln!(f, " with {checksum}")?,
                        None => writeln!(f)?,
                    }
                }
                CopySource::Git(git) => {
                    write!(f, "    repository {}", git.remote)?;
                    if let Some(reference) = &git.reference {
                        write!(f, " at {reference}")?;
                    }
                    if let Some(directory) = &git.directory {
                        write!(f, " directory {directory}")?;
                    }
                    writeln!(f)?;
                }
            }
        }
        write!(f, "    to {}", copy.destination)?;
        if let Some(chown) = &copy.chown {
            write!(f, " owner {chown}")?;
        }
        if let Some(chmod) = &copy.chmod {
            write!(f, " mode {chmod}")?;
        }
        let unpacks = copy.sources.iter().any(|source| match source {
            CopySource::Path { .. } => copy.unpack_local,
            CopySource::Url(_) => copy.unpack_remote,
            CopySource::Inline(_) | CopySource::Git(_) => false,
        });
        for (set, word) in
            [(copy.link, "linked"), (copy.parents, "with parents"), (unpacks, "unpacking")]
        {
            if set {
                write!(f, ", {word}")?;
            }
        }
        for exclude in &copy.excludes {
            write!(f, " without {exclude}")?;
        }
        writeln!(f)
    }

    fn run_text(&self, run: &RunOp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    run {:?}", run.argv)?;
        for file in &run.files {
            writeln!(f, "    file {} of {} bytes", file.name, file.bytes.len())?;
        }
        let user = if run.user.is_empty() { "root" } else { &run.user };
        write!(f, "    as {user} in {}", run.directory)?;
        match run.network {
            Network::Default => writeln!(f)?,
            Network::None => writeln!(f, " without a network")?,
            Network::Host => writeln!(f, " in the host's network")?,
        }
        let variables: Vec<_> =
            run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(f, "    with {}", variables.join(" "))?;
        for mount in &run.mounts {
            self.mount_text(mount, f)?;
        }
        Ok(())
    }

    fn mount_text(&self, mount: &Mount, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    mount ")?;
        let from = |from: &MountFrom| format!("{} of {}", from.path, self.origin_text(from.origin));
        let access = match &mount.kind {
            MountKind::Bind { from: place, access } => {
                write!(f, "{}", from(place))?;
                Some(*access)
            }
            MountKind::Cache { id, from: place, sharing, access, owner: _ } => {
                write!(f, "cache {id}")?;
                match sharing {
                    Sharing::Shared => {}
                    Sharing::Private => write!(f, " private")?,
                    Sharing::Locked => write!(f, " locked")?,
                }
                if let Some(place) = place {
                    write!(f, " beginning as {}", from(place))?;
                }
                Some(*access)
            }
            MountKind::Tmpfs { size, access } => {
                write!(f, "tmpfs")?;
                if let Some(size) = size {
                    write!(f, " of {size} bytes")?;
                }
                Some(*access)
            }
            MountKind::Secret { id, required, env, owner: _ } => {
                write!(f, "{}secret {id}", if *required { "required " } else { "" })?;
                if let Some(env) = env {
                    write!(f, " as ${env}")?;
                }
                None
            }
            MountKind::Ssh { id, required, owner: _ } => {
                write!(f, "{}ssh agent {id}", if *required { "required " } else { "" })?;
                None
            }
        };
        if let Some(target) = &mount.target {
            write!(f, " at {target}")?;
        }
        match access {
            Some(Access::ReadWrite) => writeln!(f, ", writable"),
            Some(Access::ReadOnly) | None => writeln!(f),
        }
    }

    fn origin_text(&self, origin: Origin) -> String {
        match origin {
            Origin::Context(context) if context.0 == 0 => "the context".to_owned(),
            Origin::Context(context) => format!("context {}", context.0),
            Origin::Stage(stage) => format!("stage {}", self.stage(stage).number),
            Origin::Image(image) => format!("image {}", self.image(image).source),
            Origin::Scratch => "nothing".to_owned(),
        }
    }
}

impl Step {
    /// What stands before the step in progress: `[builder 2/5] `, or nothing for a step that only changes the
    /// config.
    pub fn prefix(&self, label: &str) -> String {
        let Some(position) = self.position else {
            return String::new();
        };
        let total = position.total.to_string();
        let place = format!("{:>width$}/{total}", position.index, width = total.len());
        let trigger = if self.trigger_of.is_some() { "ONBUILD " } else { "" };
        match label {
            "" => format!("[{place}] {trigger}"),
            label => format!("[{label} {place}] {trigger}"),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "the config",
            Self::Index => "the index",
            Self::Files => "files",
            Self::Root => "a root",
        })
    }
}
