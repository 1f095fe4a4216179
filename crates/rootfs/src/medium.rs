//! What the disk can hold, and what stands there instead of what it cannot.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::{getegid, geteuid};
use strata_sys::caps::CapabilitySet;
use strata_sys::idmap::{IdKind, IdMap};
use strata_sys::{Dir, Node as SpecialFile};
use strata_tree::{LeafKind, Metadata, Node, Timestamp, Xattrs};

use crate::error::SnapshotError;

/// The file system below a state directory, as this process may use it.
///
/// In a user namespace no device node can be made, no owner outside the namespace's map be set and no
/// `trusted.*` attribute be written. Such things are *projected* onto something close that can, and the
/// tree keeps what was meant; [`Medium::reveal`] tells what a command really changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    ids: Ids,
    abilities: BTreeSet<Ability>,
}

/// Whose files there can be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ids {
    /// Those of root's namespace. Modes mean nothing to root.
    Mapped { users: IdMap, groups: IdMap },
    /// One user's, who can give nothing away, and has the rights that the modes of files give their owner. So
    /// those have all that root would have; and a set-id bit, which would mean something else, nothing has.
    Own { uid: u32, gid: u32 },
}

/// Something that may be put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ability {
    Devices,
    UserXattrs,
    TrustedXattrs,
    Capabilities,
}

/// What stands, or is to stand, at a path of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) shape: Shape,
    pub(crate) metadata: Metadata,
}

/// What kind of entry it is, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Directory,
    Leaf(LeafKind<()>),
}

impl Shape {
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }
}

impl Standing {
    /// What a tree's node would be on a disk that can hold everything.
    pub(crate) fn of<C: Clone>(node: &Node<C>) -> Self {
        match node {
            Node::Directory(directory) => {
                Self { shape: Shape::Directory, metadata: directory.metadata.clone() }
            }
            Node::Leaf(leaf) => Self::of_leaf(&leaf.kind, &leaf.metadata),
        }
    }

    pub(crate) fn of_leaf<C: Clone>(kind: &LeafKind<C>, metadata: &Metadata) -> Self {
        let shape = Shape::Leaf(kind.clone().map(|_| ()));
        Self { shape, metadata: metadata.clone() }
    }
}

/// The kernel's own stand-in for an owner that does not exist in a namespace.
const OVERFLOW_ID: u32 = 65534;

/// The times that ext4 keeps exactly: 1901 to 2446. Others are cut by the kernel, silently.
const OLDEST: Timestamp = Timestamp::from_seconds(-(1 << 31));
const NEWEST: Timestamp = Timestamp::from_seconds((1 << 34) - (1 << 31) - 1);

/// File capabilities, version 2: a magic number and two times two masks. Version 3 adds the id of the root
/// they count for (`struct vfs_ns_cap_data`).
pub(crate) const CAPABILITY: &[u8] = b"security.capability";
const CAPABILITY_2: usize = 20;
const CAPABILITY_3: usize = 24;

impl Medium {
    /// Finds out by trying, in a directory that must be writable and that is left as it was.
    pub(crate) fn probe(directory: &Path) -> Result<Self, SnapshotError> {
        let state = |source: strata_sys::PathError| SnapshotError::State {
            path: directory.to_owned(),
            source: source.source.into(),
        };
        let dir = Dir::open(directory).map_err(state)?;
        let name = format!(".probe-{}-{:?}", std::process::id(), std::thread::current().id());
        let node = format!("{name}-node");
        drop(dir.create_file(&name, 0o600).map_err(state)?);
        let settable =
            |attribute: &str, value: &[u8]| dir.set_xattr(&name, attribute, value).is_ok();
        // An empty set of capabilities: valid, and without effect.
        let capability = [&[0, 0, 0, 2][..], &[0; 16]].concat();
        let tried = [
            (Ability::UserXattrs, settable("user.strata.probe", b"1")),
            (Ability::TrustedXattrs, settable("trusted.strata.probe", b"1")),
            (Ability::Capabilities, settable("security.capability", &capability)),
            // The null device: harmless for the moment that it exists.
            (Ability::Devices, dir.mknod(&node, SpecialFile::CharDevice(1, 3), 0o600).is_ok()),
        ];
        let abilities: BTreeSet<_> =
            tried.into_iter().filter(|(_, works)| *works).map(|(ability, _)| ability).collect();
        dir.unlink(&name).map_err(state)?;
        if abilities.contains(&Ability::Devices) {
            dir.unlink(&node).map_err(state)?;
        }
        let (uid, gid) = (geteuid(), getegid());
        let ids = if is_powerful() {
            Ids::Mapped {
                users: IdMap::own(IdKind::User).map_err(SnapshotError::Owners)?,
                groups: IdMap::own(IdKind::Group).map_err(SnapshotError::Owners)?,
            }
        } else {
            Ids::Own { uid: uid.as_raw(), gid: gid.as_raw() }
        };
        Ok(Self { ids, abilities })
    }

    fn can(&self, ability: Ability) -> bool {
        self.abilities.contains(&ability)
    }

    pub(crate) fn has_capabilities(&self) -> bool {
        self.can(Ability::Capabilities)
    }

    pub(crate) fn has_user_xattrs(&self) -> bool {
        self.can(Ability::UserXattrs)
    }

    /// A short name for everything that decides about projections. What one medium projected, another must
    /// not take for what was meant: unpacked layers are shared only among processes with the same name.
    pub(crate) fn name(&self) -> String {
        // FNV-1a: the name must be the same in every build of the program, and nobody attacks it.
        let text = format!("{self:?}");
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// What is put on disk for what is meant.
    pub(crate) fn project(&self, meant: &Standing) -> Standing {
        let shape = match &meant.shape {
            // 0/0 is how an overlay spells a removed file; it cannot be anything else on any disk of ours.
            Shape::Leaf(LeafKind::CharDevice { major: 0, minor: 0 }) => empty_file(),
            Shape::Leaf(LeafKind::CharDevice { .. } | LeafKind::BlockDevice { .. })
                if !self.can(Ability::Devices) =>
            {
                empty_file()
            }
            shape => shape.clone(),
        };
        let symlink = matches!(shape, Shape::Leaf(LeafKind::Symlink { .. }));
        let Metadata { mode, uid, gid, mtime, xattrs } = &meant.metadata;
        let (uid, gid) = match &self.ids {
            Ids::Mapped { users, groups } => (owner(users, *uid), owner(groups, *gid)),
            Ids::Own { uid, gid } => (*uid, *gid),
        };
        let metadata = Metadata {
            mode: match &self.ids {
                _ if symlink => 0o777,
                Ids::Mapped { .. } => *mode,
                Ids::Own { .. } => usable_mode(*mode, shape.is_directory()),
            },
            uid,
            gid,
            mtime: if *mtime < OLDEST {
                OLDEST
            } else if *mtime > NEWEST {
                NEWEST
            } else {
                *mtime
            },
            xattrs: xattrs
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.clone(), self.attribute(&shape, name, value)?))
                })
                .collect(),
        };
        Standing { shape, metadata }
    }

    fn attribute(&self, shape: &Shape, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let file = matches!(shape, Shape::Leaf(LeafKind::File { .. }));
        if name.starts_with(b"user.") {
            // The kernel allows these on files and directories only; an overlay's own would forge its marks.
            let allowed = self.can(Ability::UserXattrs) && (file || shape.is_directory());
            (allowed && !name.starts_with(b"user.overlay.")).then(|| value.to_vec())
        } else if name.starts_with(b"trusted.") {
            let allowed =
                self.can(Ability::TrustedXattrs) && !name.starts_with(b"trusted.overlay.");
            allowed.then(|| value.to_vec())
        } else if name == CAPABILITY {
            (self.can(Ability::Capabilities) && file).then(|| capability(value)).flatten()
        } else {
            // Labels, access lists with ids of their own, and whatever else is the host's business.
            None
        }
    }

    /// Whether an attribute of the disk can be an image's.
    pub(crate) fn carries(name: &[u8]) -> bool {
        name == CAPABILITY
            || ((name.starts_with(b"user.") || name.starts_with(b"trusted."))
                && !name.starts_with(b"user.overlay.")
                && !name.starts_with(b"trusted.overlay."))
    }

    /// What a command means by what now stands where `before` stood: every attribute that still equals its
    /// projection is as it was meant before, every other is as it stands.
    pub(crate) fn reveal(&self, standing: &Standing, before: Option<&Standing>) -> Standing {
        let Some(meant) = before else { return standing.clone() };
        let projected = self.project(meant);
        let same_kind = std::mem::discriminant(&projected.shape)
            == std::mem::discriminant(&standing.shape)
            && match (&projected.shape, &standing.shape) {
                (Shape::Leaf(one), Shape::Leaf(other)) => {
                    std::mem::discriminant(one) == std::mem::discriminant(other)
                }
                _ => true,
            };
        if !same_kind {
            return standing.clone();
        }
        let (old, new) = (&projected.metadata, &standing.metadata);
        let was = &meant.metadata;
        Standing {
            shape: pick(&standing.shape, &projected.shape, &meant.shape),
            metadata: Metadata {
                mode: pick(&new.mode, &old.mode, &was.mode),
                uid: pick(&new.uid, &old.uid, &was.uid),
                gid: pick(&new.gid, &old.gid, &was.gid),
                mtime: pick(&new.mtime, &old.mtime, &was.mtime),
                xattrs: reveal_xattrs(&new.xattrs, &old.xattrs, &was.xattrs),
            },
        }
    }
}

/// Whether this process can give files away, and use those of others whatever their modes.
fn is_powerful() -> bool {
    let needed = CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER;
    strata_sys::caps::effective().is_ok_and(|effective| effective.contains(needed))
}

/// A mode in which the owner of a file can do with it what root can.
///
/// The supervisor of commands without privileges does the same with modes that they set.
fn usable_mode(mode: u32, is_directory: bool) -> u32 {
    let needed = if is_directory { 0o700 } else { 0o600 };
    let executed = if mode & 0o111 == 0 { 0 } else { 0o100 };
    mode & 0o1777 | needed | executed
}

fn pick<T: Clone + PartialEq>(now: &T, projected: &T, meant: &T) -> T {
    if now == projected { meant.clone() } else { now.clone() }
}

fn reveal_xattrs(now: &Xattrs, projected: &Xattrs, meant: &Xattrs) -> Xattrs {
    let mut revealed = now.clone();
    for (name, value) in meant {
        // The same on disk as we put it, which may be: not there at all.
        if now.get(name) == projected.get(name) {
            revealed.insert(name.clone(), value.clone());
        }
    }
    revealed
}

fn empty_file() -> Shape {
    Shape::Leaf(LeafKind::File { size: 0, content: () })
}

fn owner(map: &IdMap, id: u32) -> u32 {
    // The all-ones id is the kernel's "leave it as it is".
    if id != u32::MAX && map.contains(id) {
        id
    } else if map.contains(OVERFLOW_ID) {
        OVERFLOW_ID
    } else {
        0
    }
}

/// Version 3 becomes version 2, whose root is the one of the namespace we are in; the kernel turns that into
/// version 3 by itself and back again for whoever reads it here.
pub(crate) fn capability(value: &[u8]) -> Option<Vec<u8>> {
    match (value.len(), value.get(3)) {
        (CAPABILITY_2, Some(2)) => Some(value.to_vec()),
        (CAPABILITY_3, Some(3)) => {
            let mut value = value[..CAPABILITY_2].to_vec();
            value[3] = 2;
            Some(value)
        }
        _ => None,
    }
}
