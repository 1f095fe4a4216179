//! What executing a path comes to: which program of the image, by which interpreter, with which arguments.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;
use strata_sys::{Identity, Kind, Root};

use super::elf::Elf;
use super::place::{Way, number};
use super::{Translated, link_to};
use crate::supervisor::call::{AT_FDCWD, At};
use crate::supervisor::caller::Caller;

/// How many scripts may be each other's interpreters, as the kernel has it.
const MOST_SCRIPTS: usize = 5;

/// How much of a file the kernel looks at to find out what it is.
const START: usize = 256;

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;

/// A program that is about to be executed.
#[derive(Debug)]
pub(super) struct Executable {
    /// The path by which the kernel finds what it executes; `None` if that is the one it was given.
    pub(super) host: Option<Vec<u8>>,
    /// What the kernel then executes: the program, or its interpreter.
    pub(super) executed: Identity,
    /// Arguments before the second one of the call, if they are not only the first one of the call.
    pub(super) arguments: Vec<Vec<u8>>,
    /// What was asked for.
    pub(super) name: Vec<u8>,
    /// The program's path in the image.
    pub(super) path: Vec<u8>,
    /// What the kernel's program, an interpreter, is to find loaded.
    pub(super) loaded: Option<Loaded>,
    pub(super) set_ids: (Option<u32>, Option<u32>),
}

/// A program with an interpreter.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) file: File,
    pub(super) elf: Elf,
    /// Where the interpreter begins, relative to where it is put.
    pub(super) interpreter_entry: u64,
}

/// A program of the image.
struct Found {
    location: OwnedFd,
    file: File,
    set_ids: (Option<u32>, Option<u32>),
}

impl Translated {
    /// Finds out what executing comes to. The errors are those of `execve`.
    pub(super) fn executable(
        &mut self,
        caller: &mut Caller<'_>,
        at: At,
        way: Way,
    ) -> Result<Executable, Errno> {
        let path = Self::read_path(caller, at, way)?;
        let name = match (at.dir, path.as_slice()) {
            (AT_FDCWD, _) | (_, [b'/', ..]) => path.clone(),
            (dir, b"") => format!("/dev/fd/{dir}").into_bytes(),
            (dir, path) => [format!("/dev/fd/{dir}/").as_bytes(), path].concat(),
        };
        let target = self.target_of(caller.thread, at.dir, &path, way)?;
        let location = self.locate_target(caller, target, way)?;
        let mut found = self.program(location)?;
        let mut arguments = Vec::new();
        let mut script = name.clone();
        for _ in 0..=MOST_SCRIPTS {
            let mut start = [0; START];
            let length =
                found.file.read_at(&mut start, 0).map_err(|error| crate::errno::of(&error))?;
            let start = &start[..length];
            if start.starts_with(b"\x7fELF") {
                return self.of_elf(caller, found, name, arguments);
            }
            let (interpreter, argument) = interpreter_line(start)?;
            // The first argument of the script gives way to the script's path.
            let mut before = vec![interpreter.clone()];
            before.extend(argument);
            before.push(std::mem::replace(&mut script, interpreter.clone()));
            arguments = [before, arguments.split_off(usize::from(!arguments.is_empty()))].concat();
            let target = self.target_of(caller.thread, AT_FDCWD, &interpreter, Way::FOLLOW)?;
            let location = self.locate_target(caller, target, Way::FOLLOW)?;
            found = self.program(location)?;
        }
        Err(Errno::LOOP)
    }

    fn of_elf(
        &mut self,
        caller: &mut Caller<'_>,
        found: Found,
        name: Vec<u8>,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Executable, Errno> {
        let Found { location, file, set_ids } = found;
        let elf = Elf::read(&file)?;
        // A program without a name, in memory, is found as the caller said.
        let path = self.image_path(&location)?;
        let mut host = path.is_some().then(|| self.host_path(&location)).transpose()?;
        let path = path.unwrap_or_else(|| name.clone());
        let mut executed = Root::metadata_of(location.as_fd())?.identity();
        let loaded = match elf.interpreter.clone() {
            Some(interpreter) => {
                let target = self.target_of(caller.thread, AT_FDCWD, &interpreter, Way::FOLLOW)?;
                let interpreter = self.locate_target(caller, target, Way::FOLLOW)?;
                let interpreter = self.program(interpreter)?;
                // The kernel says so of a bad interpreter.
                let read = Elf::read(&interpreter.file).map_err(|_| Errno::LIBBAD)?;
                if read.interpreter.is_some() {
                    return Err(Errno::LIBBAD);
                }
                host = Some(self.host_path(&interpreter.location)?);
                executed = Root::metadata_of(interpreter.location.as_fd())?.identity();
                Some(Loaded { file, elf, interpreter_entry: read.entry })
            }
            None => None,
        };
        Ok(Executable { host, executed, arguments, name, path, loaded, set_ids })
    }

    /// Refuses what a process has executed, unless it is what it was to execute: the path that the kernel was given
    /// lay in memory where another thread can write.
    pub(super) fn check_executed(&self, thread: Pid, expected: Identity) -> Result<(), Errno> {
        let link = format!("{}/exe", number(thread));
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = openat(&self.procfs, link, flags, Mode::empty())?;
        let found = Root::metadata_of(found.as_fd())?.identity();
        if found == expected { Ok(()) } else { Err(Errno::ACCESS) }
    }

    fn program(&self, location: OwnedFd) -> Result<Found, Errno> {
        let metadata = Root::metadata_of(location.as_fd())?;
        if metadata.kind == Kind::Symlink {
            return Err(Errno::LOOP);
        }
        let seems = self.seeming(&metadata);
        let mode = seems.mode.unwrap_or(metadata.mode);
        if metadata.kind != Kind::File || seems.device.is_some() || mode & 0o111 == 0 {
            return Err(Errno::ACCESS);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(openat(&self.procfs, link_to(&location), flags, Mode::empty())?);
        let has = |bit| mode & bit != 0;
        let set_ids = (has(SET_USER).then_some(seems.uid), has(SET_GROUP).then_some(seems.gid));
        Ok(Found { location, file, set_ids })
    }
}

/// The interpreter that a script names, and its one argument.
///
/// ```text
/// #! /usr/bin/env  -S sh
///    ^^^^^^^^^^^^  ^^^^^
/// ```
fn interpreter_line(start: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), Errno> {
    let line = start.strip_prefix(b"#!").ok_or(Errno::NOEXEC)?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\0'));
    let whole = end.is_some() || start.len() < START;
    let line = &line[..end.unwrap_or(line.len())];
    let from = line.iter().position(|byte| !is_space(byte)).ok_or(Errno::NOEXEC)?;
    let line = &line[from..];
    let to = line.iter().position(is_space);
    if to.is_none() && !whole {
        // What it names is not all there.
        return Err(Errno::NOEXEC);
    }
    let (interpreter, rest) = line.split_at(to.unwrap_or(line.len()));
    let argument = rest.iter().position(|byte| !is_space(byte)).map(|from| {
        let to = rest.iter().rposition(|byte| !is_space(byte)).unwrap_or(from);
        rest[from..=to].to_vec()
    });
    Ok((interpreter.to_vec(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected = Result<(&'static str, Option<&'static str>), Errno>;

    #[test]
    fn interpreter_lines_are_read_as_the_kernel_does() {
        let long = [b"#!/".as_slice(), &[b'x'; 300]].concat();
        let argument = [b"#!/x ".as_slice(), &[b'y'; 300]].concat();
        let cases: [(&[u8], Expected); 9] = [
            (b"#!/bin/sh\necho", Ok(("/bin/sh", None))),
            (b"#! \t/bin/sh -e \n", Ok(("/bin/sh", Some("-e")))),
            (b"#!/usr/bin/env -S perl -w\n", Ok(("/usr/bin/env", Some("-S perl -w")))),
            (b"#!/bin/sh", Ok(("/bin/sh", None))),
            (b"#!\n/bin/sh", Err(Errno::NOEXEC)),
            (b"#!   ", Err(Errno::NOEXEC)),
            (b"echo", Err(Errno::NOEXEC)),
            (&long[..START], Err(Errno::NOEXEC)),
            (b"#!/bin/sh\r\n", Ok(("/bin/sh\r", None))),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|(interpreter, argument)| {
                (interpreter.as_bytes().to_vec(), argument.map(|text| text.as_bytes().to_vec()))
            });
            assert_eq!(interpreter_line(line), expected, "{}", line.escape_ascii());
        }
        // A long argument is cut, and not refused.
        let (interpreter, argument) = interpreter_line(&argument[..START]).expect("a line");
        assert_eq!((interpreter.len(), argument.map(|text| text.len())), (2, Some(START - 5)));
    }
}
