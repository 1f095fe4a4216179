//! Maps between the ids inside a user namespace and those outside.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::process::Command;

use rustix::process::Pid;

/// Consecutive ids and what they are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside, in the parent user namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The ranges of one map, as `/proc/PID/uid_map` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct IdMap {
    ranges: Vec<IdRange>,
}

/// Which kind of id a map is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// User ids.
    User,
    /// Group ids.
    Group,
}

/// Whether a user namespace lets its processes change their supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setgroups {
    /// As capabilities allow.
    Allow,
    /// Never; the kernel wants this before a user without privileges maps a group.
    Deny,
}

/// Why a map could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdMapError {
    /// A file of procfs, or of the subordinate ranges, could not be read or written.
    #[error("cannot access `{path}`")]
    Access {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("cannot understand line `{line}` of `{path}`")]
    Syntax {
        /// The file.
        path: String,
        /// The line.
        line: String,
    },
    /// The set-id program that writes maps for ordinary users could not be started.
    #[error("cannot run `{program}`")]
    Start {
        /// `newuidmap` or `newgidmap`.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The set-id program refused.
    #[error("`{program}` refused the map `{map}`: {message}")]
    Refused {
        /// `newuidmap` or `newgidmap`.
        program: &'static str,
        /// The map, one range after another.
        map: String,
        /// What it said.
        message: String,
    },
}

impl IdKind {
    fn map_file(self) -> &'static str {
        match self {
            Self::User => "uid_map",
            Self::Group => "gid_map",
        }
    }

    fn subordinate_file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::User => "newuidmap",
            Self::Group => "newgidmap",
        }
    }
}

impl IdMap {
    /// Makes a map of ranges that do not overlap.
    pub fn new(ranges: Vec<IdRange>) -> Self {
        Self { ranges }
    }

    /// Maps one id alone.
    pub fn single(inside: u32, outside: u32) -> Self {
        Self::new(vec![IdRange { inside, outside, count: 1 }])
    }

    /// Reads the map of the user namespace this process is in.
    pub fn own(kind: IdKind) -> Result<Self, IdMapError> {
        let path = format!("/proc/self/{}", kind.map_file());
        let text = fs::read_to_string(&path)
            .map_err(|source| IdMapError::Access { path: path.clone(), source })?;
        let ranges = text.lines().map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count))) => {
                    Ok(IdRange { inside, outside, count })
                }
                _ => Err(IdMapError::Syntax { path: path.clone(), line: line.to_owned() }),
            }
        });
        ranges.collect::<Result<_, _>>().map(Self::new)
    }

    /// The ranges, as they were given.
    pub fn ranges(&self) -> &[IdRange] {
        &self.ranges
    }

    /// Every id that exists here, mapped to itself: what a child namespace needs to see the same ids.
    #[must_use]
    pub fn to_identity(&self) -> Self {
        let ranges = self.ranges.iter().map(|range| IdRange { outside: range.inside, ..*range });
        Self::new(ranges.collect())
    }

    /// Every id that exists here but 0, end to end from 0 on: what a child namespace can have where
    /// nobody may map user 0.
    #[must_use]
    pub fn without_root(&self) -> Self {
        let mut ranges = Vec::new();
        let mut inside = 0;
        for range in &self.ranges {
            let skipped = u32::from(range.inside == 0);
            let (outside, count) = (range.inside + skipped, range.count - skipped);
            if count > 0 {
                ranges.push(IdRange { inside, outside, count });
                inside += count;
            }
        }
        Self::new(ranges)
    }

    /// Tells whether an id exists inside.
    pub fn contains(&self, id: u32) -> bool {
        self.ranges.iter().any(|range| id >= range.inside && id - range.inside < range.count)
    }

    /// How many ids exist inside.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| u64::from(range.count)).sum()
    }

    /// Tells whether no id exists inside.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for range in &self.ranges {
            writeln!(text, "{} {} {}", range.inside, range.outside, range.count)
                .expect("writing to a string cannot fail");
        }
        text
    }

    /// Writes the map of the namespace that process `pid` has just made.
    ///
    /// A range needs capabilities in the parent namespace; one's own id alone needs none, but
    /// [`Setgroups::Deny`] before a group.
    pub fn write(&self, pid: Pid, kind: IdKind) -> Result<(), IdMapError> {
        let path = format!("/proc/{}/{}", pid.as_raw_nonzero(), kind.map_file());
        fs::write(&path, self.to_text()).map_err(|source| IdMapError::Access { path, source })
    }

    /// Lets `newuidmap` or `newgidmap`, found in `PATH`, write the map.
    pub fn write_by_program(&self, pid: Pid, kind: IdKind) -> Result<(), IdMapError> {
        let program = kind.program();
        let map = self.to_text().replace('\n', " ").trim_end().to_owned();
        let output = Command::new(program)
            .arg(pid.as_raw_nonzero().to_string())
            .args(map.split(' '))
            .output()
            .map_err(|source| IdMapError::Start { program, source })?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(IdMapError::Refused { program, map, message })
    }
}

/// Sets whether the namespace that process `pid` has just made allows `setgroups`.
pub fn write_setgroups(pid: Pid, setgroups: Setgroups) -> Result<(), IdMapError> {
    let path = format!("/proc/{}/setgroups", pid.as_raw_nonzero());
    let word = match setgroups {
        Setgroups::Allow => "allow",
        Setgroups::Deny => "deny",
    };
    fs::write(&path, word).map_err(|source| IdMapError::Access { path, source })
}

/// The ids that an ordinary user may map besides its own, as first id and count, in the file's order.
///
/// Lines are for a user's name or number; without the file there are none.
pub fn subordinate(
    kind: IdKind,
    user: Option<&str>,
    uid: u32,
) -> Result<Vec<(u32, u32)>, IdMapError> {
    let path = kind.subordinate_file();
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse_subordinate(&text, user, uid)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(IdMapError::Access { path: path.to_owned(), source }),
    }
}

/// Lines that are not understood are passed over, as the programs that write maps do.
fn parse_subordinate(text: &str, user: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        if Some(owner) != user && owner != number {
            return None;
        }
        let start: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        // The last id of all means "unchanged" and cannot be mapped.
        let count = count.min(u32::MAX - start);
        (count > 0 && fields.next().is_none()).then_some((start, count))
    };
    text.lines().filter_map(range).collect()
}

/// The map of a namespace in which the caller is root and its subordinate ids follow from 1.
pub fn root_and_subordinate(own: u32, ranges: &[(u32, u32)]) -> IdMap {
    let mut map = IdMap::single(0, own);
    let mut next = 1u32;
    for &(start, count) in ranges {
        let count = count.min(u32::MAX - next);
        map.ranges.push(IdRange { inside: next, outside: start, count });
        next += count;
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (Option<&'a str>, u32, &'a [(u32, u32)]);

    #[test]
    fn subordinate_ranges_are_found_by_name_and_number() {
        let text =
            "ann:100000:65536\n1000:300000:10\nbob:1:2\nann:x:1\nann:5\n\nann:4294967290:65536\n";
        let cases: [Case<'_>; 4] = [
            (Some("ann"), 1, &[(100_000, 65_536), (4_294_967_290, 5)]),
            (Some("ann"), 1000, &[(100_000, 65_536), (300_000, 10), (4_294_967_290, 5)]),
            (None, 1000, &[(300_000, 10)]),
            (Some("eve"), 7, &[]),
        ];
        for (name, uid, expected) in cases {
            assert_eq!(parse_subordinate(text, name, uid), expected, "{name:?} {uid}");
        }
    }

    #[test]
    fn root_and_subordinate_lays_ranges_end_to_end() {
        let map = root_and_subordinate(1000, &[(100_000, 10), (200_000, 5)]);
        assert_eq!(map.to_text(), "0 1000 1\n1 100000 10\n11 200000 5\n");
        assert_eq!(map.len(), 16);
        let cases = [(0, true), (1, true), (15, true), (16, false), (1000, false)];
        for (id, expected) in cases {
            assert_eq!(map.contains(id), expected, "{id}");
        }
    }

    #[test]
    fn identity_keeps_the_ids_that_exist() {
        let map = root_and_subordinate(1000, &[(100_000, 10)]).to_identity();
        assert_eq!(map.to_text(), "0 0 1\n1 1 10\n");
    }

    #[test]
    fn without_root_the_others_follow_from_0() {
        let cases = [
            (IdMap::new(vec![IdRange { inside: 0, outside: 0, count: 65536 }]), "0 1 65535\n"),
            (root_and_subordinate(1000, &[(100_000, 10)]), "0 1 10\n"),
            (IdMap::single(0, 1000), ""),
        ];
        for (map, expected) in cases {
            assert_eq!(map.without_root().to_text(), expected, "{map:?}");
        }
    }
}
