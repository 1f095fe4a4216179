//! The C library's allocator.

/// How many heaps threads share. The allocator's own choice is eight for each processor: threads that live for one
/// layer each leave one behind that is never small again, and what one phase of a build frees on one heap is not there
/// for the next on another. Small blocks come from each thread's own cache, without a lock.
const HEAPS: libc::c_int = 1;

/// Up to which length blocks come from the heap, and how much that is free stays at its end: the most that the allocator
/// takes. Layers go by in buffers of a megabyte. Given back each time, they come again a page at a time, and each is a
/// fault and is cleared.
const KEPT: libc::c_int = 32 << 20;

/// Lets all threads of this process share one heap, which keeps what is freed. To be called before there are any.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and keeps no pointer; no other thread allocates yet. Refused, it leaves
    // everything as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
