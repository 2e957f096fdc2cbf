//! The two places where a process is made.
#![allow(unsafe_code)]

use crate::child::{self, Task};
use crate::sys::{self, Cloned, RawFd, RawPid};
use rustix::io::Errno;
use rustix::termios::Termios;

// -------------------------------------------------------------------------------------------------------------------
// From the clone on, the new process runs in crate::child and never comes back here: it is a copy of one thread of a
// program that may have many, and a lock that another thread held will never be released. All that it needs has been
// made before.
// -------------------------------------------------------------------------------------------------------------------

/// Makes the container's first process. Every signal is blocked when this is called.
pub fn container(flags: u64, task: &mut Task<'_>) -> Result<RawPid, Errno> {
    // SAFETY: the child goes to `child::run`, which makes system calls only and does not return.
    match unsafe { sys::clone(flags) }? {
        Cloned::Parent(pid) => Ok(pid),
        Cloned::Child { handlers } => child::run(task, handlers),
    }
}

/// Makes the process that keeps the caller's terminal: see [`child::keep_terminal`].
pub fn terminal_keeper(
    terminal: RawFd,
    life: RawFd,
    raw: &Termios,
    saved: &Termios,
) -> Result<RawPid, Errno> {
    let mask = sys::set_signal_mask(sys::SignalSet::ALL);
    // SAFETY: the child goes to `child::keep_terminal`, which makes system calls only and does not return.
    let cloned = unsafe { sys::clone(0) };
    if let Ok(Cloned::Child { .. }) = cloned {
        child::keep_terminal(terminal, life, raw, saved)
    }
    sys::set_signal_mask(mask);
    match cloned? {
        Cloned::Parent(pid) => Ok(pid),
        Cloned::Child { .. } => sys::exit(0),
    }
}
