//! System call filters (seccomp(2)).

use super::raw::syscall;
use rustix::io::Errno;

/// An instruction of a filter, the kernel's struct sock_filter (bpf in linux/filter.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// BPF_*: what is done.
    pub code: u16,
    /// How many instructions are left out when a comparison is true.
    pub jt: u8,
    /// How many when it is false.
    pub jf: u8,
    /// A number.
    pub k: u32,
}

/// The kernel's struct sock_fprog.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const Instruction,
}

/// Puts this thread, for good, under `filter` as well as under those that it is under already. It needs no_new_privs, or
/// CAP_SYS_ADMIN.
pub fn install_filter(filter: &[Instruction]) -> Result<(), Errno> {
    let program = Program {
        length: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` names as many instructions as there are; the kernel reads them.
    unsafe { syscall!(SYS_seccomp, mode, 0, &program) }.map(drop)
}
