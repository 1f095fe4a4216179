//! Which paths are served, decided by their text.

/// A place that a root without mounts lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/proc` itself.
    Processes,
    /// Something of one process.
    Process {
        whose: Whose,
        /// Below its directory; empty for the directory itself.
        rest: Vec<u8>,
    },
    /// A link of procfs that leads to the caller's own directory, as a link.
    Link { name: &'static str },
    /// What procfs has for everybody.
    Global { rest: Vec<u8> },
    /// What is kept from commands, because it tells about the host or controls it.
    Hidden,
    /// A harmless device, below `/dev`.
    Device { name: &'static str },
    /// What makes a new terminal.
    TerminalMaker,
    /// The command's end of a terminal.
    Terminal { number: u32 },
}

/// Which process is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller.
    Own,
    /// The caller's thread.
    OwnThread,
    /// The one with this number.
    Number(i32),
}

/// What Docker hides.
const HIDDEN: [&[u8]; 10] = [
    b"acpi",
    b"asound",
    b"interrupts",
    b"kcore",
    b"keys",
    b"latency_stats",
    b"sched_debug",
    b"scsi",
    b"timer_list",
    b"timer_stats",
];

/// Whether a name in `/proc` is kept from commands.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    HIDDEN.contains(&name)
}

/// Whether a path can be one that is served: the rest of the work is for those only.
pub(super) fn may_be_served(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && components(path).next().is_some_and(|first| first == b"proc" || first == b"dev")
}

/// Finds the place that an absolute path means. `link` says whether the path's last component is
/// looked at itself, should it be a link.
pub(super) fn find(path: &[u8], link: bool) -> Option<Place> {
    let mut way: Vec<&[u8]> = Vec::new();
    for component in components(path) {
        if component == b".." {
            way.pop();
        } else {
            way.push(component);
        }
    }
    match way.split_first()? {
        (&b"proc", rest) => Some(of_proc(rest, link)),
        (&b"dev", rest) => of_dev(rest, link),
        _ => None,
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|component| !component.is_empty() && *component != b".")
}

fn of_proc(way: &[&[u8]], link: bool) -> Place {
    let Some((&first, rest)) = way.split_first() else {
        return Place::Processes;
    };
    let links: [(&str, Whose, &[u8]); 4] = [
        ("self", Whose::Own, b""),
        ("thread-self", Whose::OwnThread, b""),
        ("mounts", Whose::Own, b"mounts"),
        ("net", Whose::Own, b"net"),
    ];
    for (name, whose, to) in links {
        if first == name.as_bytes() {
            if link && rest.is_empty() {
                return Place::Link { name };
            }
            let mut below = to.to_vec();
            for component in rest {
                push(&mut below, component);
            }
            return Place::Process { whose, rest: below };
        }
    }
    if let Some(number) = number(first) {
        return Place::Process { whose: Whose::Number(number), rest: rest.join(&b'/') };
    }
    if is_hidden(first) { Place::Hidden } else { Place::Global { rest: way.join(&b'/') } }
}

fn of_dev(way: &[&[u8]], link: bool) -> Option<Place> {
    let (&first, rest) = way.split_first()?;
    let own = |rest: Vec<u8>| Some(Place::Process { whose: Whose::Own, rest });
    match (first, rest) {
        // The root has links of these names, to what is served.
        (b"fd" | b"stdin" | b"stdout" | b"stderr", []) if link => None,
        (b"fd", rest) => own([&[b"fd".as_slice()], rest].concat().join(&b'/')),
        (b"stdin", []) => own(b"fd/0".to_vec()),
        (b"stdout", []) => own(b"fd/1".to_vec()),
        (b"stderr", []) => own(b"fd/2".to_vec()),
        (b"ptmx", []) if !link => Some(Place::TerminalMaker),
        (b"pts", [b"ptmx"]) => Some(Place::TerminalMaker),
        (b"pts", [name]) => Some(Place::Terminal { number: number(name)?.cast_unsigned() }),
        (name, []) => {
            let devices = crate::chroot::DEVICES.iter();
            let mut names = devices.map(|(name, ..)| *name);
            names.find(|known| known.as_bytes() == name).map(|name| Place::Device { name })
        }
        _ => None,
    }
}

fn push(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

fn number(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(rest: &str) -> Place {
        Place::Process { whose: Whose::Own, rest: rest.into() }
    }

    #[test]
    fn places_are_found_by_text() {
        let global = |rest: &str| Some(Place::Global { rest: rest.into() });
        let cases = [
            ("/proc", Some(Place::Processes)),
            ("//proc/./", Some(Place::Processes)),
            ("/proc/self", Some(own(""))),
            ("/proc/self/fd/3", Some(own("fd/3"))),
            ("/proc/self/../cpuinfo", global("cpuinfo")),
            ("/proc/self/../../etc/passwd", None),
            (
                "/proc/thread-self/attr",
                Some(Place::Process { whose: Whose::OwnThread, rest: b"attr".to_vec() }),
            ),
            ("/proc/mounts", Some(own("mounts"))),
            ("/proc/net/dev", Some(own("net/dev"))),
            (
                "/proc/17/stat",
                Some(Place::Process { whose: Whose::Number(17), rest: b"stat".to_vec() }),
            ),
            ("/proc/+17/stat", global("+17/stat")),
            ("/proc/sys/kernel/osrelease", global("sys/kernel/osrelease")),
            ("/proc/kcore", Some(Place::Hidden)),
            ("/dev/fd/5", Some(own("fd/5"))),
            ("/dev/fd", Some(own("fd"))),
            ("/dev/stdout", Some(own("fd/1"))),
            ("/dev/ptmx", Some(Place::TerminalMaker)),
            ("/dev/pts/12", Some(Place::Terminal { number: 12 })),
            ("/dev/null", Some(Place::Device { name: "null" })),
            ("/dev/sda", None),
            ("/dev/shm/x", None),
            ("/processes", None),
            ("/", None),
        ];
        for (path, expected) in cases {
            assert_eq!(find(path.as_bytes(), false), expected, "{path}");
        }
    }

    #[test]
    fn links_are_links_where_they_are_asked_about() {
        let cases = [
            ("/proc/self", Some(Place::Link { name: "self" })),
            ("/proc/self/exe", Some(own("exe"))),
            ("/proc/mounts", Some(Place::Link { name: "mounts" })),
            ("/dev/fd", None),
            ("/dev/fd/1", Some(own("fd/1"))),
            ("/dev/stdout", None),
        ];
        for (path, expected) in cases {
            assert_eq!(find(path.as_bytes(), true), expected, "{path}");
        }
    }
}
