//! No network without a network namespace: sockets of other families than these are refused.

use rustix::io::Errno;
use strata_sys::seccomp::{Action, Instruction, Load, number};

/// Sockets within this machine, and the kernel's own messages about devices and routes.
const ALLOWED: [u16; 2] = [1, 16];

/// A filter under which no socket can be made that reaches a network, or another program by the
/// loopback interface.
///
/// Rings of requests could make sockets past the filter, and another architecture's calls have other
/// numbers: both are answered as if the kernel did not have them.
pub(in crate::helper) fn filter() -> Vec<Instruction> {
    let missing = Action::Refuse(Errno::NOSYS);
    let mut program = vec![
        Load::Architecture.instruction(),
        Instruction::skip_if(number::ARCHITECTURE, 1),
        missing.instruction(),
        Load::Number.instruction(),
    ];
    if let Some(other) = number::FOREIGN_FROM {
        // x32 on x86-64: the same architecture, and numbers of its own from here on.
        program.extend([Instruction::skip_unless_at_least(other, 1), missing.instruction()]);
    }
    program.extend([Instruction::skip_unless(number::IO_URING_SETUP, 1), missing.instruction()]);
    let families = u8::try_from(ALLOWED.len()).expect("there are two");
    let mut sockets = vec![Load::Argument(0).instruction()];
    for (index, family) in (0..).zip(ALLOWED) {
        sockets.push(Instruction::skip_if(family.into(), families - index));
    }
    sockets.push(Action::Refuse(Errno::AFNOSUPPORT).instruction());
    let length = u8::try_from(sockets.len()).expect("there are few");
    program.push(Instruction::skip_unless(number::SOCKET, length));
    program.extend(sockets);
    program.push(Action::Allow.instruction());
    program
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use strata_sys::seccomp;

    #[test]
    fn only_local_sockets_can_be_made() {
        // A filter is for a thread and what it starts, so the test's other threads keep theirs.
        let found = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            seccomp::install(&super::filter()).unwrap();
            let refused = |error: std::io::Error| error.raw_os_error();
            let inet = UdpSocket::bind("127.0.0.1:0").map(drop).map_err(refused);
            let inet6 = UdpSocket::bind("[::1]:0").map(drop).map_err(refused);
            (inet, inet6, UnixDatagram::unbound().map(drop).map_err(refused))
        });
        let refused = Err(Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()));
        assert_eq!(found.join().unwrap(), (refused, refused, Ok(())));
    }
}
