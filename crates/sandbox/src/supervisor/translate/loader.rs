//! Doing for a program what the kernel does: mapping it beside its interpreter, and telling both about it.
//!
//! ```text
//! the kernel executed      the image's ld.so, by its path on the host
//! mapped here              the program, as its table of segments says
//! told on the stack        the program's table, its entry, where ld.so is, whose process it seems
//! ```
//!
//! So the interpreter finds what it always finds, and begins where it always does.

use rustix::io::Errno;
use rustix::process::Pid;
use strata_sys::children::ChildNews;
use strata_sys::ptrace::{self, Registers, Resume};
use strata_sys::seccomp::number;

use super::auxiliary::{self, Auxiliary};
use super::elf::{Elf, Load, PAGE, Position, down, up};
use super::exec::{Executable, Loaded};
use super::injection::{Failure, Injection};
use crate::supervisor::Supervisor;
use crate::supervisor::credentials::Credentials;

const PROT_WRITE: u64 = 2;
const PROT_READ_WRITE: u64 = 3;
const MAP_PRIVATE: u64 = 0x2;
const MAP_FIXED: u64 = 0x10;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_NO_RESERVE: u64 = 0x4000;
const MAP_FIXED_NO_REPLACE: u64 = 0x10_0000;
/// In place of a descriptor.
const NO_FILE: u64 = u64::MAX;
const PR_SET_NAME: u64 = 15;
/// A thread's name, with its end.
const NAME_LENGTH: usize = 16;

/// How much of the kernel's page is searched.
const KERNELS_PAGE_LENGTH: usize = 2 * 4096;

/// Loads the rest of a program whose thread is stopped as having executed it, and lets it begin.
pub(super) fn load(
    thread: Pid,
    executable: &Executable,
    credentials: &Credentials,
    news: &ChildNews,
    supervisor: &mut Supervisor,
) -> Result<(), Failure> {
    let begin = Registers::of(thread)?;
    let mut caller = supervisor.memories.caller(thread);
    let mut told = Auxiliary::find(&mut caller, begin.stack())?;
    let kernels_page = told.get(auxiliary::KERNELS_PAGE).ok_or(Errno::NOSYS)?;
    let mut code = vec![0; KERNELS_PAGE_LENGTH];
    let length = caller.read(kernels_page, &mut code)?;
    let offset = code[..length].windows(2).position(|pair| pair == [0x0f, 0x05]);
    let instruction = kernels_page + offset.ok_or(Errno::NOSYS)? as u64;
    let host_length = executable.host.as_ref().map_or(0, Vec::len);

    let ids = [
        (auxiliary::USER, credentials.user.real),
        (auxiliary::EFFECTIVE_USER, credentials.user.effective),
        (auxiliary::GROUP, credentials.group.real),
        (auxiliary::EFFECTIVE_GROUP, credentials.group.effective),
    ];
    for (key, id) in ids {
        told.set(key, id.into());
    }
    let mut injection = Injection::start((thread, begin), instruction, news, supervisor)?;
    if let Some(loaded) = &executable.loaded {
        let interpreter = told.get(auxiliary::ENTRY).unwrap_or(0);
        let interpreter = interpreter.wrapping_sub(loaded.interpreter_entry);
        let position = map(&mut injection, loaded)?;
        told.set(auxiliary::TABLE, position.wrapping_add(loaded.elf.table.0));
        told.set(auxiliary::ROWS, loaded.elf.table.1);
        told.set(auxiliary::ENTRY, position.wrapping_add(loaded.elf.entry));
        told.set(auxiliary::BASE, interpreter);
    }
    // The path that was asked for, in place of the longer one that the kernel was given.
    let name = [executable.name.as_slice(), b"\0"].concat();
    let place = match told.get(auxiliary::FILE_NAME) {
        Some(place) if executable.name.len() <= host_length => place,
        _ => map_memory(&mut injection, 0, up(name.len() as u64), PROT_READ_WRITE, 0)?,
    };
    told.set(auxiliary::FILE_NAME, place);
    // Below the stack pointer is nothing yet.
    let scratch = begin.scratch(NAME_LENGTH);
    let mut caller = injection.supervisor().memories.caller(thread);
    caller.write(place, &name)?;
    caller.write(scratch, &thread_name(&executable.name))?;
    told.write(&mut caller)?;
    injection.call(number::PRCTL, [PR_SET_NAME, scratch, 0, 0, 0, 0])?;
    injection.finish().map_err(Failure::Refused)
}

/// Kills a process that cannot be loaded, as the kernel does.
pub(super) fn give_up(thread: Pid) -> Result<(), Errno> {
    const KILL: i32 = 9;
    ptrace::signal_thread(thread, thread, KILL)?;
    ptrace::resume(thread, Resume::Freely, 0)
}

fn thread_name(path: &[u8]) -> [u8; NAME_LENGTH] {
    let last = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let mut name = [0; NAME_LENGTH];
    let length = last.len().min(NAME_LENGTH - 1);
    name[..length].copy_from_slice(&last[..length]);
    name
}

/// Maps a program, and gives by how much its addresses are moved.
fn map(injection: &mut Injection<'_>, loaded: &Loaded) -> Result<u64, Failure> {
    let Loaded { file, elf, .. } = loaded;
    let position = reserve(injection, elf)?;
    let descriptor = injection.open(file)?;
    for load in &elf.loads {
        map_load(injection, load, position, descriptor)?;
    }
    injection.call(number::CLOSE, [descriptor, 0, 0, 0, 0, 0])?;
    Ok(position)
}

/// Finds a place for all segments, and gives by how much it moves them.
fn reserve(injection: &mut Injection<'_>, elf: &Elf) -> Result<u64, Failure> {
    let (first, last) = elf.span();
    match elf.position {
        Position::Fixed => {
            let flags = MAP_NO_RESERVE | MAP_FIXED_NO_REPLACE;
            map_memory(injection, first, last - first, 0, flags).map(|_| 0)
        }
        Position::Anywhere { alignment } => {
            let first = first & !(alignment - 1);
            let slack = if alignment > PAGE { alignment } else { 0 };
            let place = map_memory(injection, 0, last - first + slack, 0, MAP_NO_RESERVE)?;
            let aligned = place.checked_add(alignment - 1).ok_or(Errno::NOMEM)? & !(alignment - 1);
            Ok(aligned.wrapping_sub(first))
        }
    }
}

fn map_load(
    injection: &mut Injection<'_>,
    load: &Load,
    position: u64,
    descriptor: u64,
) -> Result<(), Failure> {
    let address = position.wrapping_add(load.address);
    let within = load.address % PAGE;
    let mut mapped = down(address);
    if load.in_file > 0 {
        let length = up(load.in_file + within);
        let flags = MAP_PRIVATE | MAP_FIXED;
        let arguments = [mapped, length, load.protection, flags, descriptor, load.offset - within];
        injection.call(number::MMAP, arguments)?;
        mapped += length;
        // What is behind the file's part of the last page is the file's too, and has to be zero.
        let file_end = address + load.in_file;
        let memory_end = mapped.min(address + load.in_memory);
        if load.protection & PROT_WRITE != 0 && load.in_memory > load.in_file {
            let zeroes =
                vec![0; usize::try_from(memory_end - file_end).map_err(|_| Errno::NOEXEC)?];
            if !zeroes.is_empty() {
                let thread = injection.thread();
                injection.supervisor().memories.caller(thread).write(file_end, &zeroes)?;
            }
        }
    }
    let end = up(address + load.in_memory);
    if end > mapped {
        map_memory(injection, mapped, end - mapped, load.protection, MAP_FIXED)?;
    }
    Ok(())
}

fn map_memory(
    injection: &mut Injection<'_>,
    address: u64,
    length: u64,
    protection: u64,
    flags: u64,
) -> Result<u64, Failure> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | flags;
    injection.call(number::MMAP, [address, length, protection, flags, NO_FILE, 0])
}
