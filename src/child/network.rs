//! A network namespace, made by a process of its own meanwhile.
//!
//! To make one takes the kernel half a millisecond of work, as much as everything else of a launch together: it registers
//! a few hundred settings. So another process does it, on another processor, and ends; its namespace is entered when it
//! is needed.

use ::core::ffi::c_void;
use ::core::prelude::rust_2024::*;
use ::core::sync::atomic::{AtomicI32, Ordering};
use ::rustix::fd::{FromRawFd, IntoRawFd, OwnedFd};
use ::rustix::fs::{CWD, Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::process::{Pid, WaitOptions, waitpid};
use ::rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Task, borrow};
use crate::sys::{self, RawFd};

/// What the two processes tell each other.
pub struct Network {
    /// The host's /proc, by which the namespace is opened: nothing may have been mounted over it by then.
    proc: AtomicI32,
    /// The namespace's descriptor, or an errno, negated.
    namespace: AtomicI32,
}

impl Network {
    /// Before anything is told.
    pub const fn new() -> Self {
        Network {
            proc: AtomicI32::new(-1),
            namespace: AtomicI32::new(-1),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network::new()
    }
}

/// Starts the process that makes the namespace.
pub fn start(task: &mut Task<'_>) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = ::rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())?;
    task.network
        .proc
        .store(proc.into_raw_fd(), Ordering::Relaxed);
    let stack = ::core::mem::take(&mut task.network_stack);
    let argument = ::core::ptr::from_ref(task.network)
        .cast_mut()
        .cast::<c_void>();
    // Descriptors are shared, since one is the result.
    let flags = (::libc::CLONE_VM | ::libc::CLONE_FILES) as u64;
    // SAFETY: the stack is that process's alone, and what it is told is behind a shared reference. Both outlive it: `join`
    // waits for it, and if this process ends before that, so does its PID namespace, for which the kernel waits until
    // nobody is left in it. `make` makes system calls only.
    task.network_pid = unsafe { sys::clone(flags, stack, make, argument) }?;
    Ok(())
}

extern "C" fn make(argument: *mut c_void) -> ! {
    // SAFETY: `start` gave a reference.
    let network = unsafe { &*argument.cast_const().cast::<Network>() };
    let made = match namespace(network.proc.load(Ordering::Relaxed)) {
        Ok(fd) => fd.into_raw_fd(),
        Err(errno) => errno.raw_os_error().wrapping_neg(),
    };
    network.namespace.store(made, Ordering::Release);
    sys::exit(0)
}

fn namespace(proc: RawFd) -> Result<OwnedFd, Errno> {
    sys::unshare(::libc::CLONE_NEWNET)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    ::rustix::fs::openat(borrow(proc), c"thread-self/ns/net", flags, Mode::empty())
}

/// Waits for the namespace, and enters it.
pub fn join(task: &mut Task<'_>) -> Result<(), Errno> {
    let options = WaitOptions::from_bits_retain(::libc::__WALL as u32);
    loop {
        match waitpid(Pid::from_raw(task.network_pid), options) {
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    sys::close(task.network.proc.load(Ordering::Relaxed));
    let made = task.network.namespace.load(Ordering::Acquire);
    if made < 0 {
        return Err(Errno::from_raw_os_error(made.wrapping_neg()));
    }
    // SAFETY: the other process has opened it for this one, and has ended.
    let namespace = unsafe { OwnedFd::from_raw_fd(made) };
    move_into_link_name_space(
        ::rustix::fd::AsFd::as_fd(&namespace),
        Some(LinkNameSpaceType::Network),
    )
}
