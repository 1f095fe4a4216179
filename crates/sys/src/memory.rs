//! The memory of other processes.

use rustix::io::Errno;
use rustix::process::Pid;

/// Copies from another process's memory, and tells how much could be: the next page may not be there.
///
/// `EPERM` if this process may not trace the other one.
pub fn read(process: Pid, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = remote(address, buffer.len())?;
    // SAFETY: `local` is all of `buffer`, which is writable and outlives the call; the remote address
    // is only ever dereferenced by the kernel, in the other process.
    let result = unsafe {
        libc::process_vm_readv(
            process.as_raw_nonzero().get(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    check(result)
}

/// Copies into another process's memory; `EFAULT` if not all of it could be.
pub fn write(process: Pid, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = remote(address, bytes.len())?;
    // SAFETY: `local` is all of `bytes`, which is only read and outlives the call; the remote address
    // is only ever dereferenced by the kernel, in the other process.
    let result = unsafe {
        libc::process_vm_writev(
            process.as_raw_nonzero().get(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    match check(result)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::FAULT),
    }
}

fn remote(address: u64, length: usize) -> Result<libc::iovec, Errno> {
    let address = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length })
}

fn check(result: libc::ssize_t) -> Result<usize, Errno> {
    // `ssize_t` and `long` are the same size on Linux.
    crate::process::check(result as libc::c_long)
}
