//! A network namespace, made by a process of its own meanwhile.
//!
//! To make one takes the kernel half a millisecond of work, as much as everything else of a launch together: it registers
//! a few hundred settings. So another process does it, on another processor, and ends; its namespace is entered when it
//! is needed, at the last moment before the exec if nothing needs it before.

use ::core::ffi::c_void;
use ::core::prelude::rust_2024::*;
use ::core::sync::atomic::{AtomicI32, Ordering};
use ::rustix::fd::IntoRawFd;
use ::rustix::fs::{CWD, Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::process::{Pid, WaitOptions, waitpid};

use super::{Task, borrow};
use crate::sys::{self, Processors, RawFd};

/// What the two processes tell each other.
pub struct Network {
    /// The host's /proc, by which the namespace is opened: nothing may have been mounted over it by then.
    proc: AtomicI32,
    /// The namespace's descriptor, or an errno, negated.
    namespace: AtomicI32,
    /// 0 if its loopback device is up, or an errno, negated.
    loopback: AtomicI32,
    /// How far the process is that makes it; in the end 0, which the kernel writes when it has gone.
    progress: AtomicI32,
}

/// It has been made, and does not run yet.
const MADE: i32 = 1;
/// It makes the namespace.
const BEGUN: i32 = 2;
/// The namespace is there.
const READY: i32 = 3;

impl Network {
    /// Before anything is told.
    pub const fn new() -> Self {
        Network {
            proc: AtomicI32::new(-1),
            namespace: AtomicI32::new(-1),
            loopback: AtomicI32::new(-1),
            progress: AtomicI32::new(MADE),
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
    // Descriptors are shared, since one is the result. The command is to be process 2, which it would be without this.
    let flags = ::libc::CLONE_FILES as u64;
    const ANOTHER: sys::RawPid = 3;
    let ended = &task.network.progress;
    // SAFETY: the stack is that process's alone, and what it is told is behind a shared reference. Both outlive it: `join`
    // waits for it, and if this process ends before that, so does its PID namespace, for which the kernel waits until
    // nobody is left in it. `make` makes system calls only.
    let made = unsafe { sys::clone3_sharing(flags, ANOTHER, stack, ended, make, argument) };
    match made {
        Ok(pid) => {
            task.network_pid = pid;
            Processors::send_elsewhere(pid);
        }
        // Without clone3 the command would not be process 2: then it takes the time that it takes.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => sys::unshare(::libc::CLONE_NEWNET)?,
        Err(errno) => return Err(errno),
    }
    Ok(())
}

extern "C" fn make(argument: *mut c_void) -> ! {
    // SAFETY: `start` gave a reference.
    let network = unsafe { &*argument.cast_const().cast::<Network>() };
    network.progress.store(BEGUN, Ordering::Relaxed);
    let negated = |errno: Errno| errno.raw_os_error().wrapping_neg();
    let made = namespace(network.proc.load(Ordering::Relaxed)).unwrap_or_else(negated);
    network.namespace.store(made, Ordering::Relaxed);
    network.progress.store(READY, Ordering::Release);
    sys::wake(&network.progress);
    if made >= 0 {
        let up = sys::loopback_up().map_or_else(negated, |()| 0);
        network.loopback.store(up, Ordering::Relaxed);
    }
    sys::exit(0)
}

fn namespace(proc: RawFd) -> Result<RawFd, Errno> {
    sys::unshare(::libc::CLONE_NEWNET)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let name = c"thread-self/ns/net";
    ::rustix::fs::openat(borrow(proc), name, flags, Mode::empty()).map(IntoRawFd::into_raw_fd)
}

/// Waits for the namespace, and enters it. Whoever needs it does: init, and the command that it has started before. Its
/// descriptor stays open, until the exec and until init closes all that it does not need.
pub fn join(task: &Task<'_>) -> Result<(), Errno> {
    if task.network_pid == 0 {
        return Ok(());
    }
    await_end(task);
    let made = task.network.namespace.load(Ordering::Relaxed);
    if made < 0 {
        return Err(Errno::from_raw_os_error(made.wrapping_neg()));
    }
    sys::join_namespace(made, ::libc::CLONE_NEWNET)?;
    let options = WaitOptions::from_bits_retain(::libc::__WALL as u32);
    loop {
        match waitpid(Pid::from_raw(task.network_pid), options) {
            Err(Errno::INTR) => {}
            // It is init's to wait for.
            Err(Errno::CHILD) => return Ok(()),
            result => return result.map(drop),
        }
    }
}

/// Waits until the process has gone that makes the namespace.
fn await_end(task: &Task<'_>) {
    let progress = &task.network.progress;
    loop {
        let value = progress.load(Ordering::Acquire);
        if value == 0 {
            return;
        }
        // At work it is left where it is: to move a process that runs takes longer than to wait for it. Else it may wait for
        // a processor on which others are, such as the kernel, which takes another network namespace down: a millisecond
        // without a pause.
        if value != BEGUN {
            Processors::call_here(task.network_pid);
        }
        sys::await_change(progress, value);
    }
}

/// Whether the loopback device is up; brings it up, where nobody has done that meanwhile.
pub fn loopback_up(task: &Task<'_>) -> Result<(), Errno> {
    if task.network_pid == 0 {
        return sys::loopback_up();
    }
    match task.network.loopback.load(Ordering::Relaxed) {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(errno.wrapping_neg())),
    }
}
