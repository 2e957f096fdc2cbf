//! System call filters (seccomp(2)).

pub use super::instruction::Instruction;

use super::raw::syscall;
use super::{RawFd, RawPid};
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
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

/// [`install_filter`], by the call that filters of before Linux 3.17 let through (PR_SET_SECCOMP(2const)).
pub fn install_filter_by_prctl(filter: &[Instruction]) -> Result<(), Errno> {
    let program = Program {
        length: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr(),
    };
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `program` names as many instructions as there are; the kernel reads them.
    unsafe { syscall!(SYS_prctl, libc::PR_SET_SECCOMP, mode, &program, 0, 0) }.map(drop)
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

/// A system call that a filter leaves to who listens.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// What the answer is given with.
    pub id: u64,
    /// Who makes the call, as the listener sees it; 0 for somebody whom it cannot see.
    pub pid: RawPid,
    /// The call's number.
    pub number: u32,
    /// In whose manner it is made: AUDIT_ARCH_*.
    pub arch: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// The kernel's struct seccomp_notif.
#[repr(C)]
#[derive(Default)]
struct Received {
    id: u64,
    pid: u32,
    flags: u32,
    number: u32,
    arch: u32,
    instruction_pointer: u64,
    arguments: [u64; 6],
}

/// The kernel's struct seccomp_notif_resp.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp) of linux/seccomp.h.
const SECCOMP_IOCTL_NOTIF_RECV: u32 = 0xc050_2100;
const SECCOMP_IOCTL_NOTIF_SEND: u32 = 0xc018_2101;

/// Takes the next call from a listener; waits for one (seccomp_unotify(2)). ENOENT: who made it has gone.
pub fn receive_notification(listener: &OwnedFd) -> Result<Notification, Errno> {
    let mut received = Received::default();
    let fd = listener.as_raw_fd();
    // SAFETY: `received` is the kernel's struct for this request, and all zeros, as it has to be.
    unsafe { syscall!(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_RECV, &mut received) }?;
    Ok(Notification {
        id: received.id,
        pid: received.pid as RawPid,
        number: received.number,
        arch: received.arch,
        arguments: received.arguments,
    })
}

/// Lets the call fail with `errno`. ENOENT: who made it has gone.
pub fn answer_notification(listener: &OwnedFd, id: u64, errno: i32) -> Result<(), Errno> {
    let response = Response {
        id,
        value: 0,
        error: -errno,
        flags: 0,
    };
    let fd = listener.as_raw_fd();
    // SAFETY: `response` is the kernel's struct for this request.
    unsafe { syscall!(SYS_ioctl, fd, SECCOMP_IOCTL_NOTIF_SEND, &response) }.map(drop)
}
