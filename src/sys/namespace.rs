//! Questions about a namespace whose file (/proc/PID/ns/KIND) is open: ioctl_ns(2).

use super::RawFd;
use super::raw::syscall;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// The user namespace that owns this one, open; of a user namespace that is its parent (NS_GET_USERNS). EPERM: it is
/// neither the caller's own nor below that, or there is none.
pub fn owner(namespace: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    relative(namespace, libc::NS_GET_USERNS as u32)
}

/// The namespace above this one, open; only user and PID namespaces have one, others answer EINVAL (NS_GET_PARENT). EPERM:
/// it is neither the caller's own nor below that, or there is none.
pub fn parent(namespace: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    relative(namespace, libc::NS_GET_PARENT as u32)
}

/// The kernel opens it with O_CLOEXEC.
fn relative(namespace: BorrowedFd<'_>, request: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes plain numbers; neither request has an argument.
    let fd = unsafe { syscall!(SYS_ioctl, namespace.as_raw_fd(), request, 0) }?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
