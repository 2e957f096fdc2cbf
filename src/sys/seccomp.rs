//! System call filters (seccomp(2)).

pub use super::instruction::Instruction;

use super::RawFd;
use super::raw::syscall;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;

/// The kernel's struct sock_fprog.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const Instruction,
}

/// Puts this thread, for good, under `filter` as well as under those that it is under already. It needs no_new_privs, or
/// CAP_SYS_ADMIN in the user namespace.
pub fn install_filter(filter: &[Instruction]) -> Result<(), Errno> {
    set_filter(filter, 0).map(drop)
}

/// [`install_filter`], and a descriptor by which somebody else decides of the calls that the filter leaves to it (Linux
/// 5.0, seccomp_unotify(2)). It is closed on exec.
pub fn install_filter_to_listen(filter: &[Instruction]) -> Result<OwnedFd, Errno> {
    let fd = set_filter(filter, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize)?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn set_filter(filter: &[Instruction], flags: usize) -> Result<usize, Errno> {
    let program = Program {
        length: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` names as many instructions as there are; the kernel reads them.
    unsafe { syscall!(SYS_seccomp, mode, flags, &program) }
}
