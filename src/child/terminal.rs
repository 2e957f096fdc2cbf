//! Terminals: the command's own, and the caller's.

use ::core::option::Option::None;
use ::core::prelude::rust_2024::*;
use ::rustix::fd::{AsRawFd, IntoRawFd};
use ::rustix::fs::{Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::pty::OpenptFlags;
use ::rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr, tcsetwinsize};

use super::files::close_others;
use super::record::{Kind, Process};
use super::step::Slot;
use super::{Task, borrow};
use crate::sys::{self, RawFd};

/// Opens a pseudo-terminal, sends its outer side to the launcher and keeps the inner one in its slot.
pub fn open_terminal(task: &mut Task<'_>) -> Result<(), Errno> {
    // In a container that runs already this name may lead to anything: to a pipe, which would be waited for.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let outer = ::rustix::fs::open(c"/dev/ptmx", flags, Mode::empty())?;
    if ::rustix::fs::fstat(&outer)?.st_rdev != ::rustix::fs::makedev(5, 2) {
        return Err(Errno::NOTTY);
    }
    ::rustix::pty::unlockpt(&outer)?;
    // By the descriptor, not by name: nobody can put another file in its place (TIOCGPTPEER, Linux 4.13).
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let inner = ::rustix::pty::ioctl_tiocgptpeer(&outer, flags)?;
    if let Some((settings, size)) = &task.terminal {
        if let Some(settings) = settings {
            tcsetattr(&inner, OptionalActions::Now, settings)?;
        }
        tcsetwinsize(&inner, *size)?;
    }
    task.send(Kind::Terminal, Process::Setup, outer.as_raw_fd())?;
    task.set_slot(Slot::TERMINAL, inner.into_raw_fd());
    Ok(())
}

/// Waits until the launcher has gone, and puts the caller's terminal back if it is still as the launcher left it: in
/// raw mode, because the launcher was killed. Anything else there was set by somebody who knows better.
pub fn keep_terminal(terminal: RawFd, life: RawFd, raw: &Termios, saved: &Termios) -> ! {
    let _ = close_others(&[terminal.min(life), terminal.max(life)]);
    // A process group of its own: a signal to the launcher's group is not for it.
    let _ = ::rustix::process::setpgid(None, None);
    let mut byte = [0u8; 1];
    while let Err(Errno::INTR) = ::rustix::io::read(borrow(life), &mut byte) {}
    if let Ok(now) = tcgetattr(borrow(terminal))
        && now.local_modes == raw.local_modes
        && now.input_modes == raw.input_modes
        && now.output_modes == raw.output_modes
    {
        let _ = tcsetattr(borrow(terminal), OptionalActions::Now, saved);
    }
    sys::exit(0)
}
