//! The C library's allocator.

/// How many heaps threads share. The allocator's own choice is eight for each processor: threads that live for one
/// layer each leave one behind that is never small again, and what one phase of a build frees on one heap is not there
/// for the next on another. Small blocks come from each thread's own cache, without a lock.
const HEAPS: libc::c_int = 1;

/// Lets all threads of this process share one heap. To be called before there are any.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and keeps no pointer; no other thread allocates yet. Refused, it leaves
    // everything as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}
