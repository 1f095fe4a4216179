//! Questions about files and about the caller.

use std::os::fd::AsFd;

use rustix::fs::{Access, FileType, Mode, OFlags, readlinkat};
use rustix::io::Errno;
use strata_sys::Root;
use strata_sys::caps::DOCKER_DEFAULT;
use strata_sys::record::{Disguise as Record, FileSystem, Stat, Statx};

use super::Translated;
use super::place::{Target, Way};
use crate::supervisor::Answer;
use crate::supervisor::call::{AT_EMPTY_PATH, AT_FDCWD, Ask, At, PathCall};
use crate::supervisor::caller::Caller;
use crate::supervisor::place::Place;
use crate::supervisor::process::split;

impl Translated {
    pub(super) fn stat(
        &mut self,
        caller: &mut Caller<'_>,
        call: &PathCall,
    ) -> Result<Answer, Errno> {
        let found = self.locate(caller, call.at, Way::of(&call.ask))?;
        match call.ask {
            Ask::Statx { record, mask, .. } => {
                let mut statx = Statx::at(found.as_fd(), b"", AT_EMPTY_PATH, mask)?;
                statx.disguise(&self.record(&found, statx.owner())?);
                caller.write(record, statx.as_bytes())?;
            }
            Ask::Stat { record, .. } => {
                let mut stat = Stat::at(found.as_fd(), b"", AT_EMPTY_PATH)?;
                stat.disguise(&self.record(&found, stat.owner())?);
                caller.write(record, stat.as_bytes())?;
            }
            _ => return Err(Errno::NOSYS),
        }
        Ok(Answer::Value(0))
    }

    /// What is said about a file: this user's own files are root's, unless the journal knows better.
    fn record(&self, found: &impl AsFd, (uid, gid): (u32, u32)) -> Result<Record, Errno> {
        let seems = if self.disguise.knows_nothing() {
            crate::Seeming::default()
        } else {
            self.seeming(&Root::metadata_of(found.as_fd())?)
        };
        let mut record = Record::from(seems);
        if uid != self.own.0 {
            record.uid = uid;
        }
        if gid != self.own.1 {
            record.gid = gid;
        }
        Ok(record)
    }

    /// Root may do everything, but execute what nobody may.
    pub(super) fn access(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        mode: u32,
    ) -> Result<Answer, Errno> {
        let target = self.target(caller, at, Way::FOLLOW)?;
        if let Target::Served(place) = &target {
            let call = PathCall { at, ask: Ask::Access { mode } };
            return self.served.answer(caller, &call, place);
        }
        let found = self.locate_target(caller, target, Way::FOLLOW)?;
        if Access::from_bits_retain(mode).contains(Access::EXEC_OK) {
            let metadata = Root::metadata_of(found.as_fd())?;
            let is_directory = metadata.kind == strata_sys::Kind::Dir;
            if !is_directory && self.mode(&metadata) & 0o111 == 0 {
                return Err(Errno::ACCESS);
            }
        }
        Ok(Answer::Value(0))
    }

    pub(super) fn read_link(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        buffer: u64,
        size: u64,
    ) -> Result<Answer, Errno> {
        let way = Way { link: true, descriptor: true };
        let path = Self::read_path(caller, at, way)?;
        // Without a path, a link that is open.
        let text = match self.target_of(caller.thread, at.dir, &path, way)? {
            Target::Served(place) => match self.program_of(caller, &place) {
                Some(program) => program,
                None => {
                    let call = PathCall { at, ask: Ask::Readlink { buffer, size } };
                    return self.served.answer(caller, &call, &place);
                }
            },
            target => {
                let found = self.locate_target(caller, target, way)?;
                let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
                if kind != FileType::Symlink {
                    return Err(if path.is_empty() { Errno::NOENT } else { Errno::INVAL });
                }
                readlinkat(&found, "", Vec::new())?.into_bytes()
            }
        };
        let size = usize::try_from(size).map_err(|_| Errno::INVAL)?;
        if size == 0 {
            return Err(Errno::INVAL);
        }
        let text = text.get(..size).unwrap_or(&text);
        caller.write(buffer, text)?;
        i64::try_from(text.len()).map(Answer::Value).map_err(|_| Errno::INVAL)
    }

    /// What a link to a process's program says.
    fn program_of(&self, caller: &Caller<'_>, place: &Place) -> Option<Vec<u8>> {
        let Place::Process { whose, rest } = place else {
            return None;
        };
        let split = split(rest);
        if !(split.here == b"exe" || split.here.ends_with(b"/exe")) || !split.beyond.is_empty() {
            return None;
        }
        self.programs.path(Self::number_in(caller, *whose)).map(<[u8]>::to_vec)
    }

    pub(super) fn file_system(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        record: u64,
    ) -> Result<Answer, Errno> {
        let found = self.locate(caller, at, Way::FOLLOW)?;
        let file_system = FileSystem::of(found.as_fd())?;
        caller.write(record, file_system.as_bytes()).map(|()| Answer::Value(0))
    }

    pub(super) fn working_directory(
        &mut self,
        caller: &mut Caller<'_>,
        buffer: u64,
        size: u64,
    ) -> Result<Answer, Errno> {
        let mut path = self.base(caller.thread, AT_FDCWD).map_err(|_| Errno::NOENT)?;
        if path.ends_with(b" (deleted)") {
            // Unless it is its name.
            self.open_in_root(&path, OFlags::PATH, Mode::empty())?;
        }
        path.push(0);
        if (path.len() as u64) > size {
            return Err(Errno::RANGE);
        }
        caller.write(buffer, &path)?;
        i64::try_from(path.len()).map(Answer::Value).map_err(|_| Errno::RANGE)
    }

    /// Some programs change to the root that they have.
    pub(super) fn change_root(&mut self, caller: &mut Caller<'_>, at: At) -> Result<Answer, Errno> {
        let found = self.locate(caller, at, Way::FOLLOW)?;
        let found = Root::metadata_of(found.as_fd())?.identity();
        let same = found == Root::metadata_of(self.root.as_fd())?.identity();
        if same { Ok(Answer::Value(0)) } else { Err(Errno::PERM) }
    }

    /// Who seems root seems to have what Docker leaves to root.
    pub(super) fn capabilities(
        &mut self,
        caller: &mut Caller<'_>,
        header: u64,
        data: u64,
    ) -> Result<Answer, Errno> {
        const FIRST: u32 = 0x1998_0330;
        const LAST: u32 = 0x2008_0522;
        let mut version = [0; 4];
        if caller.read(header, &mut version)? < version.len() {
            return Err(Errno::FAULT);
        }
        let version = u32::from_ne_bytes(version);
        let words = match version {
            FIRST => 1,
            0x2007_1026 | LAST => 2,
            // So programs ask which one the kernel has.
            _ => {
                caller.write(header, &LAST.to_ne_bytes())?;
                return if data == 0 { Ok(Answer::Value(0)) } else { Err(Errno::INVAL) };
            }
        };
        if data == 0 {
            return Ok(Answer::Value(0));
        }
        let privileged = self.credentials(caller.thread)?.is_privileged();
        let all = if privileged { DOCKER_DEFAULT.bits() } else { 0 };
        let mut bytes = Vec::new();
        for word in 0..words {
            let set = u32::try_from((all >> (32 * word)) & u64::from(u32::MAX)).unwrap_or(0);
            // Effective, permitted, inheritable.
            for set in [set, set, 0] {
                bytes.extend(set.to_ne_bytes());
            }
        }
        caller.write(data, &bytes).map(|()| Answer::Value(0))
    }
}
