//! The two places where a process is made.
#![allow(unsafe_code)]

use crate::child::step::Fallback;
use crate::child::{self, Task};
use crate::sys::{self, RawFd, RawPid, Stack};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use rustix::io::Errno;
use rustix::termios::Termios;

// -------------------------------------------------------------------------------------------------------------------
// From the clone on, the new process runs in crate::child and never comes back here: it is made from one thread of a
// program that may have many, and a lock that another thread held will never be released. All that it needs has been
// made before.
// -------------------------------------------------------------------------------------------------------------------

/// The container's first process, for which somebody has to wait before the memory that it uses (`'m`) is used again.
pub struct FirstProcess<'m> {
    /// Its process id, as the launcher sees it.
    pub pid: RawPid,
    /// How clone3(2) was refused, where clone(2) was not.
    pub clone3_refused: Option<Errno>,
    memory: PhantomData<&'m mut ()>,
}

/// Makes the container's first process, with a copy of this program's memory. Every signal is blocked.
pub fn copying(
    flags: u64,
    task: &mut Task<'_>,
    stack: &mut Stack,
) -> Result<FirstProcess<'static>, Errno> {
    let memory = PhantomData;
    // SAFETY: nothing of this program's memory is used by a process that has a copy of it.
    let made = unsafe { container(flags & !(libc::CLONE_VM as u64), task, stack) };
    made.map(|(pid, clone3_refused)| FirstProcess {
        pid,
        clone3_refused,
        memory,
    })
}

/// Makes the container's first process; with CLONE_VM in `flags` it shares this program's memory. Every signal is blocked.
pub fn sharing<'m>(
    flags: u64,
    task: &'m mut Task<'_>,
    stack: &'m mut Stack,
) -> Result<FirstProcess<'m>, Errno> {
    let memory = PhantomData;
    // SAFETY: task and stack are borrowed for as long as there is a `FirstProcess`, and its holder, `Running`, does not end
    // before the process has: it waits for it when it is dropped.
    let made = unsafe { container(flags, task, stack) };
    made.map(|(pid, clone3_refused)| FirstProcess {
        pid,
        clone3_refused,
        memory,
    })
}

/// See [`sys::clone3`] for what is asked of the caller. Also tells how clone3 was refused, if it was.
unsafe fn container(
    flags: u64,
    task: &mut Task<'_>,
    stack: &mut Stack,
) -> Result<(RawPid, Option<Errno>), Errno> {
    let argument = core::ptr::from_mut(task).cast::<c_void>();
    // SAFETY: `become_container` runs `child::run`, which makes system calls only; the rest is the caller's promise.
    let refused = match unsafe { sys::clone3(flags, stack, become_container, argument) } {
        Ok(pid) => return Ok((pid, None)),
        Err(errno) => errno,
    };
    // A system call filter, or an older kernel.
    let may_be_missing = [Errno::NOSYS, Errno::INVAL, Errno::PERM].contains(&refused);
    if !may_be_missing || !task.fallbacks.contains(Fallback::Clone3) {
        return Err(refused);
    }
    task.handlers = true;
    // SAFETY: as above.
    let pid = unsafe { sys::clone(flags, stack, become_container, argument) }?;
    Ok((pid, Some(refused)))
}

extern "C" fn become_container(argument: *mut c_void) -> ! {
    // SAFETY: `container` gave a pointer to its task, which is this process's alone.
    child::run(unsafe { &mut *argument.cast::<Task<'_>>() })
}

/// Bytes of stack of the process that keeps the terminal.
const KEEPER_STACK: usize = 32 * 1024;

/// What the process needs that keeps the caller's terminal.
struct Keeping<'a> {
    terminal: RawFd,
    life: RawFd,
    raw: &'a Termios,
    saved: &'a Termios,
}

/// Makes the process that keeps the caller's terminal: see [`child::keep_terminal`].
///
/// A function of its own: the stack, in the frame of the caller, would cost every launch eight page faults.
#[inline(never)]
pub fn terminal_keeper(
    terminal: RawFd,
    life: RawFd,
    raw: &Termios,
    saved: &Termios,
) -> Result<RawPid, Errno> {
    let mut keeping = Keeping {
        terminal,
        life,
        raw,
        saved,
    };
    let argument = (&raw mut keeping).cast::<c_void>();
    let mut stack = [MaybeUninit::uninit(); KEEPER_STACK];
    let mask = sys::set_signal_mask(sys::SignalSet::ALL);
    // SAFETY: the new process has a copy of this one's memory; `become_keeper` makes system calls only. It has the
    // caller's handlers, but all signals are blocked in it.
    let pid = unsafe { sys::clone(0, &mut stack, become_keeper, argument) };
    sys::set_signal_mask(mask);
    pid
}

extern "C" fn become_keeper(argument: *mut c_void) -> ! {
    // SAFETY: `terminal_keeper` gave a pointer to its `Keeping`, of which this process has a copy.
    let keeping = unsafe { &*argument.cast::<Keeping<'_>>() };
    child::keep_terminal(keeping.terminal, keeping.life, keeping.raw, keeping.saved)
}
