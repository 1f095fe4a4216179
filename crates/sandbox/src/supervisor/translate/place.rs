//! From what a caller calls a file to the file.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::Translated;
use crate::supervisor::call::{AT_FDCWD, Ask, At};
use crate::supervisor::caller::Caller;
use crate::supervisor::place::{self, Place, Whose};
use crate::supervisor::process::split;

/// As many links as the kernel itself follows in one path.
const MOST_LINKS: usize = 40;

/// How a path is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// Whether the last component is looked at itself, should it be a link.
    pub(super) link: bool,
    /// Whether an empty path means the descriptor.
    pub(super) descriptor: bool,
}

impl Way {
    /// To what a path leads to.
    pub(super) const FOLLOW: Self = Self { link: false, descriptor: false };
    /// To the entry itself.
    pub(super) const ENTRY: Self = Self { link: true, descriptor: false };
    /// To what is open.
    pub(super) const DESCRIPTOR: Self = Self { link: false, descriptor: true };

    pub(super) fn of(ask: &Ask) -> Self {
        Self { link: ask.is_about_link(), descriptor: ask.takes_descriptors() }
    }

    /// By the flags that many calls have.
    pub(super) fn of_flags(flags: i32) -> Self {
        let flags = AtFlags::from_bits_retain(flags.cast_unsigned());
        Self {
            link: flags.contains(AtFlags::SYMLINK_NOFOLLOW),
            descriptor: flags.contains(AtFlags::EMPTY_PATH),
        }
    }
}

/// What a path means.
#[derive(Debug)]
pub(super) enum Target {
    /// A place that is served.
    Served(Place),
    /// A path in the image, from its root.
    Image(Vec<u8>),
    /// What is open under a number; a link below procfs leads to it.
    Descriptor(String),
}

/// The directory that an entry is in, and its name there.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) parent: OwnedFd,
    pub(super) name: Vec<u8>,
}

impl Translated {
    /// Reads the path of a call.
    pub(super) fn read_path(caller: &mut Caller<'_>, at: At, way: Way) -> Result<Vec<u8>, Errno> {
        // Older calls have no path where they mean a descriptor.
        if at.path == 0 && way.descriptor {
            return Ok(Vec::new());
        }
        caller.string(at.path)
    }

    /// What the path of a call means.
    pub(super) fn target(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        way: Way,
    ) -> Result<Target, Errno> {
        let path = Self::read_path(caller, at, way)?;
        self.target_of(caller.thread, at.dir, &path, way)
    }

    pub(super) fn target_of(
        &mut self,
        thread: Pid,
        dir: i32,
        path: &[u8],
        way: Way,
    ) -> Result<Target, Errno> {
        if path.is_empty() {
            return match (way.descriptor, dir) {
                (false, _) => Err(Errno::NOENT),
                (true, AT_FDCWD) => Ok(Target::Descriptor(format!("{}/cwd", number(thread)))),
                (true, 0..) => Ok(Target::Descriptor(format!("{}/fd/{dir}", number(thread)))),
                (true, _) => Err(Errno::BADF),
            };
        }
        let mut whole = self.whole(thread, dir, path)?;
        // Links of procfs that lead back into the image are followed by text.
        for _ in 0..MOST_LINKS {
            if !place::may_be_served(&whole) {
                return Ok(Target::Image(whole));
            }
            let Some(place) = place::find(&whole, way.link) else {
                return Ok(Target::Image(whole));
            };
            match self.leading_back(thread, &place, way.link)? {
                Some(path) => whole = path,
                None => return Ok(Target::Served(place)),
            }
        }
        Err(Errno::LOOP)
    }

    /// The path as it would be written from the root.
    pub(super) fn whole(&self, thread: Pid, dir: i32, path: &[u8]) -> Result<Vec<u8>, Errno> {
        if path.starts_with(b"/") {
            return Ok(path.to_vec());
        }
        let mut whole = self.base(thread, dir)?;
        whole.push(b'/');
        whole.extend_from_slice(path);
        Ok(whole)
    }

    /// Where relative paths start, as the image has it.
    pub(super) fn base(&self, thread: Pid, dir: i32) -> Result<Vec<u8>, Errno> {
        let link = match dir {
            AT_FDCWD => format!("{}/cwd", number(thread)),
            0.. => format!("{}/fd/{dir}", number(thread)),
            _ => return Err(Errno::BADF),
        };
        match readlinkat(&self.procfs, link, Vec::new()) {
            Ok(path) => self.inside(path.as_bytes()).ok_or(Errno::NOTDIR),
            Err(Errno::NOENT) => Err(Errno::BADF),
            Err(errno) => Err(errno),
        }
    }

    /// A path of the host as the image has it, if it is in the image or in what is served.
    pub(super) fn inside(&self, path: &[u8]) -> Option<Vec<u8>> {
        inside(&self.prefix, path)
    }

    /// Where a link of procfs leads, if that is a place in the image.
    fn leading_back(
        &self,
        thread: Pid,
        place: &Place,
        link: bool,
    ) -> Result<Option<Vec<u8>>, Errno> {
        let Place::Process { whose, rest } = place else {
            return Ok(None);
        };
        let split = split(rest);
        if !split.leads_out || (link && split.beyond.is_empty()) {
            return Ok(None);
        }
        let thread = match whose {
            Whose::Own | Whose::OwnThread => number(thread),
            Whose::Number(number) => *number,
        };
        let mut path = match split.here.rsplit(|&byte| byte == b'/').next() {
            Some(b"root") => b"/".to_vec(),
            Some(b"exe") if split.beyond.is_empty() => {
                return Ok(self.programs.path(thread).map(<[u8]>::to_vec));
            }
            // A file may have lost its name; then the descriptor itself is what is left.
            _ if split.beyond.is_empty() && split.here != b"cwd" => return Ok(None),
            _ => {
                let link = [thread.to_string().as_bytes(), b"/", split.here].concat();
                let found = readlinkat(&self.procfs, link, Vec::new())?;
                match self.inside(found.as_bytes()) {
                    Some(path) => path,
                    None => return Ok(None),
                }
            }
        };
        if !split.beyond.is_empty() {
            path.push(b'/');
            path.extend_from_slice(split.beyond);
        }
        Ok(Some(path))
    }

    /// Finds what a call means, as a location.
    pub(super) fn locate(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        way: Way,
    ) -> Result<OwnedFd, Errno> {
        let target = self.target(caller, at, way)?;
        self.locate_target(caller, target, way)
    }

    pub(super) fn locate_target(
        &mut self,
        caller: &mut Caller<'_>,
        target: Target,
        way: Way,
    ) -> Result<OwnedFd, Errno> {
        let link = if way.link { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::PATH | OFlags::CLOEXEC | link;
        match target {
            Target::Served(place) => self.served.obtain(caller, &place, flags),
            Target::Descriptor(link) => {
                // It is this link that is to be followed, to what is open, which may be a link itself.
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                let found = match openat(&self.procfs, link, flags, Mode::empty()) {
                    Err(Errno::NOENT) => return Err(Errno::BADF),
                    other => other?,
                };
                self.served.confine(&found)?;
                Ok(found)
            }
            Target::Image(path) => match self.open_in_root(&path, flags, Mode::empty()) {
                Err(Errno::NOENT) if !way.link => match self.beyond_link(caller.thread, &path)? {
                    Some(target) => self.locate_target(caller, target, way),
                    None => Err(Errno::NOENT),
                },
                other => other,
            },
        }
    }

    /// Where a link leads that leads to nothing in the image's directory: perhaps to what is served.
    pub(super) fn beyond_link(
        &mut self,
        thread: Pid,
        path: &[u8],
    ) -> Result<Option<Target>, Errno> {
        let mut path = path.to_vec();
        for _ in 0..MOST_LINKS {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(link) = self.open_in_root(&path, flags, Mode::empty()) else {
                return Ok(None);
            };
            let Ok(text) = readlinkat(&link, "", Vec::new()) else {
                return Ok(None);
            };
            let text = text.into_bytes();
            path = if text.starts_with(b"/") {
                text
            } else {
                let Some(own) = self.image_path(&link)? else { return Ok(None) };
                let slash = own.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                [&own[..slash], b"/", &text].concat()
            };
            if place::may_be_served(&path) && place::find(&path, false).is_some() {
                return self.target_of(thread, AT_FDCWD, &path, Way::FOLLOW).map(Some);
            }
        }
        Ok(None)
    }

    /// The path of something that is open here, as the image has it.
    pub(super) fn image_path(&self, found: &impl AsFd) -> Result<Option<Vec<u8>>, Errno> {
        let path = self.host_path(found)?;
        Ok(self.inside(&path))
    }

    /// The path of something that is open here, as the host has it.
    pub(super) fn host_path(&self, found: &impl AsFd) -> Result<Vec<u8>, Errno> {
        let path = readlinkat(&self.procfs, super::link_to(found), Vec::new())?;
        Ok(path.into_bytes())
    }

    /// Opens what a path of the image leads to, without leaving the image.
    pub(super) fn open_in_root(
        &self,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN says that a rename elsewhere made the answer to a `..` uncertain.
        for _ in 0..64 {
            match openat2(&self.root, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The directory of an entry, and its name.
    pub(super) fn name(&mut self, caller: &mut Caller<'_>, at: At) -> Result<Name, Errno> {
        let path = caller.string(at.path)?;
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let whole = self.whole(caller.thread, at.dir, &path)?;
        self.name_of(&whole)
    }

    pub(super) fn name_of(&self, whole: &[u8]) -> Result<Name, Errno> {
        let end = whole.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let slash = whole[..end].iter().rposition(|&byte| byte == b'/');
        let (directory, name) = match slash {
            // With the slashes behind it, by which the kernel knows that a directory is meant.
            Some(slash) => (&whole[..=slash], &whole[slash + 1..]),
            None => (&b"/"[..], &b"."[..]),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = self.open_in_root(directory, flags, Mode::empty())?;
        Ok(Name { parent, name: name.to_vec() })
    }
}

fn inside(prefix: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    match path.strip_prefix(prefix) {
        Some(b"") => Some(b"/".to_vec()),
        Some(rest) if rest.starts_with(b"/") => Some(rest.to_vec()),
        _ => place::may_be_served(path).then(|| path.to_vec()),
    }
}

pub(super) fn number(thread: Pid) -> i32 {
    thread.as_raw_nonzero().get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_paths_are_the_images_or_served_or_nothing() {
        let cases = [
            ("/s/root", Some("/")),
            ("/s/root/etc/x", Some("/etc/x")),
            ("/s/rooted/x", None),
            ("/s", None),
            ("/etc/x", None),
            ("/proc/7/fd", Some("/proc/7/fd")),
            ("/dev/pts/3", Some("/dev/pts/3")),
            ("pipe:[7]", None),
        ];
        for (path, expected) in cases {
            let found = inside(b"/s/root", path.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn flags_say_how_a_path_is_understood() {
        let way = |link, descriptor| Way { link, descriptor };
        let cases = [(0, way(false, false)), (0x100, way(true, false)), (0x1000, way(false, true))];
        for (flags, expected) in cases {
            assert_eq!(Way::of_flags(flags), expected, "{flags:#x}");
        }
    }
}
