//! Forking, executing, and what a process inherits.

pub use rustix::process::Pid;
pub use rustix::thread::UnshareFlags;

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;

use crate::CallError;

/// Which side of a [`fork`] this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The process that forked, with its child.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Copies this process.
///
/// `EBUSY` in a process with more than one thread: in its child any lock may be held for ever by a
/// thread that is not there. A threaded program starts its own executable again instead.
pub fn fork() -> Result<Fork, CallError> {
    let error = |errno| CallError::new("fork", errno);
    require_single_thread().map_err(error)?;
    // SAFETY: this is the only thread, so the child's copy of the memory is consistent: no lock is
    // held by a thread that the child lacks.
    let result = unsafe { libc::fork() };
    let child = check(result.into()).map_err(error)?;
    let child = i32::try_from(child).ok().and_then(Pid::from_raw);
    Ok(child.map_or(Fork::Child, Fork::Parent))
}

/// Leaves this process's namespaces for new ones. A new pid namespace is for children only; a new
/// user namespace needs a process with one thread.
///
/// [`UnshareFlags::FILES`] is `EINVAL`: descriptors owned by one thread would vanish for another.
pub fn unshare(flags: UnshareFlags) -> Result<(), CallError> {
    let error = |errno| CallError::new(format!("unshare {flags:?}"), errno);
    if flags.contains(UnshareFlags::FILES) {
        return Err(error(Errno::INVAL));
    }
    // SAFETY: the only memory-unsafe flag, FILES, was excluded.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(error)
}

/// Replaces the program of this process; returns only with the reason why not.
///
/// Arguments and environment are passed on as they are: order and duplicates stay.
pub fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        let strings = strings.iter().map(|string| string.as_ptr());
        strings.chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: `program` is NUL-terminated; both arrays end with a null pointer and point to
    // NUL-terminated strings, which are borrowed until the call returns.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_errno()
}

/// Ends this process at once, without running what the standard library runs at exit.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default effect and blocks none, as a program expects to be started. (The
/// standard library ignores `SIGPIPE`, and an ignored signal stays ignored across `execve`.)
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: the default action runs no code of this process. The calls that fail are for
        // signals that cannot be changed or that the C library keeps, and those are left alone.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero `sigset_t` is valid to pass to `sigemptyset`, which then initialises it; the
    // old mask is not asked for.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Marks all descriptors from `first` on close-on-exec, whoever opened them.
pub fn close_on_exec_from(first: RawFd) -> Result<(), CallError> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
        .map_err(|errno| CallError::new("mark descriptors close-on-exec", errno))
}

/// Takes over what was passed as standard input, under another number, and leaves `/dev/null` there.
pub fn take_stdin() -> Result<OwnedFd, CallError> {
    let error = |errno| CallError::new("take over standard input", errno);
    // SAFETY: duplicating does not affect the descriptor that it reads.
    let result = unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) };
    let number = check(result.into()).map_err(error)?;
    let number = RawFd::try_from(number).map_err(|_| error(Errno::BADF))?;
    // SAFETY: the number was just allocated for this descriptor, and nobody else knows it.
    let taken = unsafe { OwnedFd::from_raw_fd(number) };
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(error)?;
    // SAFETY: descriptor 0 is nobody's `OwnedFd`; the standard library refers to it by number.
    let result = unsafe { libc::dup2(null.as_raw_fd(), 0) };
    check(result.into()).map_err(error)?;
    Ok(taken)
}

/// Gives this process a session keyring of its own, so that it cannot read its parent's keys.
///
/// `ENOSYS`, `EPERM` and `EDQUOT` mean that there is none to leave, or that a filter keeps all of
/// them out of reach; callers may go on.
pub fn new_session_keyring() -> Result<(), CallError> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing is read.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<libc::c_char>())
    };
    check(result).map(drop).map_err(|errno| CallError::new("make a session keyring", errno))
}

/// Brings the loopback interface of a new network namespace up.
pub fn bring_loopback_up() -> Result<(), CallError> {
    // IFF_UP, in the type of the field.
    const UP: libc::c_short = 1;
    let error = |errno| CallError::new("bring the loopback interface up", errno);
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .map_err(error)?;
    // SAFETY: `ifreq` is plain data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = UP;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, whose name is NUL-terminated and whose flags are set.
    let result = unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as libc::Ioctl, &raw const request)
    };
    check(result.into()).map(drop).map_err(error)
}

/// Closes all descriptors from 3 on: what a parent forgot to mark close-on-exec.
///
/// `EBUSY` with more than one thread. For the first lines of a helper's `main` only, when this program
/// has opened nothing yet; a descriptor it owned would be closed under its owner.
pub fn close_inherited_descriptors() -> Result<(), CallError> {
    require_single_thread()
        .and_then(|()| close_range(3, 0))
        .map_err(|errno| CallError::new("close inherited descriptors", errno))
}

/// Acts on files as another user for a moment: what it opens is checked, and what it asks about other
/// processes is allowed, as for that user. Only this thread does.
pub fn as_file_user<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    // SAFETY: both calls change credentials of this thread only, in the kernel; they cannot fail in
    // another way than by doing nothing.
    let (old_uid, old_gid) = unsafe {
        let old_gid = libc::setfsgid(gid);
        (libc::setfsuid(uid), old_gid)
    };
    let result = act();
    // SAFETY: as above. Going back to one's own ids needs no privilege.
    unsafe {
        libc::setfsuid(old_uid.cast_unsigned());
        libc::setfsgid(old_gid.cast_unsigned());
    }
    result
}

fn close_range(first: RawFd, flags: libc::c_uint) -> Result<(), Errno> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::BADF)?;
    // SAFETY: with CLOEXEC no descriptor is closed; without, the caller vouches that none above
    // `first` is owned by this program.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            libc::c_long::from(first),
            libc::c_long::from(u32::MAX),
            libc::c_long::from(flags),
        )
    };
    check(result).map(drop)
}

fn require_single_thread() -> Result<(), Errno> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Errno::BUSY),
        // Without procfs: sharing signal handlers with a thread makes this `EINVAL`, and for a single
        // thread it changes nothing.
        Err(_) => {
            // SAFETY: unsharing signal handlers has no effect on memory or descriptors.
            let result = unsafe { libc::unshare(libc::CLONE_SIGHAND) };
            check(result.into()).map(drop).map_err(|errno| match errno {
                Errno::INVAL => Errno::BUSY,
                other => other,
            })
        }
    }
}

/// Turns the C library's answer into a count, or into its errno.
pub(crate) fn check(result: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| last_errno())
}

fn last_errno() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}
