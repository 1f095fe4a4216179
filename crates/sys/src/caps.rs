//! Capability sets.

pub use rustix::thread::CapabilitySet;

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::CallError;

/// What Docker leaves to a container's root.
pub const DOCKER_DEFAULT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// The capabilities that are in force for this thread.
pub fn effective() -> Result<CapabilitySet, CallError> {
    capabilities(None)
        .map(|sets| sets.effective)
        .map_err(|errno| CallError::new("read the capabilities", errno))
}

/// Takes every capability that is not in `keep` out of the bounding set, and empties the ambient and
/// inheritable sets: no program executed from now on can have more than `keep`.
pub fn bound(keep: CapabilitySet) -> Result<(), CallError> {
    let error = |errno| CallError::new("reduce the bounding capabilities", errno);
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // The kernel's own last capability ends the list, whichever it is.
        let Ok(present) = capability_is_in_bounding_set(capability) else {
            break;
        };
        if present && !keep.contains(capability) {
            remove_capability_from_bounding_set(capability).map_err(error)?;
        }
    }
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there is none.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(error(errno)),
    }
    let sets = capabilities(None).map_err(error)?;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { inheritable, ..sets }).map_err(error)
}

/// Gives up everything outside `keep` at once, for this thread itself.
pub fn limit(keep: CapabilitySet) -> Result<(), CallError> {
    let error = |errno| CallError::new("reduce the capabilities", errno);
    let sets = capabilities(None).map_err(error)?;
    let sets = CapabilitySets {
        effective: sets.effective & keep,
        permitted: sets.permitted & keep,
        inheritable: sets.inheritable & keep,
    };
    set_capabilities(None, sets).map_err(error)
}

#[cfg(test)]
mod tests {
    #[test]
    fn docker_default_is_the_mask_that_containers_show() {
        assert_eq!(super::DOCKER_DEFAULT.bits(), 0xa804_25fb);
    }
}
