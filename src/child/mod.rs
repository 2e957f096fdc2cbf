//! AFTER CLONE: the processes inside, from the clone to the exec of the command and the end of init.
//!
//! Whoever runs here is a copy of one thread of a program that may have had many, so that any lock may be held for ever:
//! there are raw system calls only, and nothing allocates, panics, prints, or decides what the plan has decided. The
//! module has no prelude, so that `Vec`, `String`, `format!` and `println!` do not compile in it.
//!
//! - [`step`]: what a process does, as data
//! - [`record`]: what it tells the launcher
//! - `walk`: does the steps of a list, one after the other
//! - `init`: PID 1: starts the command, passes signals on, reaps
#![no_implicit_prelude]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

use ::core::ffi::{CStr, c_char};
use ::core::mem::MaybeUninit;
use ::core::prelude::rust_2024::*;
use ::rustix::fd::BorrowedFd;
use ::rustix::fs::Mode;
use ::rustix::io::{Errno, IoSlice};
use ::rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use ::rustix::termios::{Termios, Winsize};

mod capabilities;
mod files;
mod group;
mod init;
mod mounts;
mod network;
pub mod record;
pub mod step;
mod terminal;
mod walk;

pub use files::close_others;
pub use group::{end_group, keep_group, remove_group};
pub use network::Network;
pub use terminal::keep_terminal;

use crate::sys::{self, Processors, RawFd, RawPid, SignalSet};
use record::{Kind, Process, Record};
use step::{Entry, Fallback, Fallbacks, FilterOf, Instruction, Slot, Text};

/// Everything that the processes inside need. The launcher makes it before the clone; they have a copy of it, or share it
/// with a launcher that does not touch it.
pub struct Task<'a> {
    /// Every string of the plan, each with its NUL.
    pub arena: &'a [u8],
    /// What the new process does first.
    pub setup: &'a [Entry],
    /// What it does then, as PID 1. Empty: it walks the command's list itself.
    pub init: &'a [Entry],
    /// What the process does that becomes the command.
    pub command: &'a [Entry],
    /// Where to look for the command, in order.
    pub candidates: &'a [Text],
    /// The command's arguments and environment: pointers into `arena`, each list ended by a null pointer.
    pub argv: &'a [*const c_char],
    /// The arguments of the shell that executes a command which is no program by itself: the shell, room for the command's path, and
    /// the command's own arguments. Empty: there is none.
    pub script: &'a mut [*const c_char],
    /// See `argv`.
    pub envp: &'a mut [*const c_char],
    /// Where in it the variable PWD is, if set-up chooses that.
    pub pwd: Option<usize>,
    /// Open descriptors, by slot; -1 where nothing is open yet.
    pub slots: &'a mut [RawFd],
    /// The descriptors above 2 that set-up keeps, in ascending order.
    pub keep: &'a [RawFd],
    /// Descriptors that are the launcher's alone, where nothing of the caller's is closed.
    pub launchers: &'a [RawFd],
    /// What init holds open: room for its own four and for its locks, where there is -1, and descriptors of the caller's.
    pub held: &'a mut [RawFd],
    /// The signals that the command starts with blocked: the caller's.
    pub mask: SignalSet,
    /// The settings and the size of the caller's terminal, where it has one; the settings where they are meant for us.
    pub terminal: Option<(Option<Termios>, Winsize)>,
    /// Whether each step is reported when it is done.
    pub trace: bool,
    /// A stack for the process that becomes the command.
    pub stack: &'a mut [MaybeUninit<u8>],
    /// Where the process that makes the network namespace says so, its stack, and its pid.
    pub network: &'a Network,
    /// See `network`.
    pub network_stack: &'a mut [MaybeUninit<u8>],
    /// See `network`.
    pub network_pid: RawPid,
    /// What is in the files that exist only inside.
    pub contents: &'a [&'a [u8]],
    /// Filters of system calls, in the order of [`FilterOf`].
    pub filters: [&'a [Instruction]; 3],
    /// Filters of system calls that the caller has made.
    pub programs: &'a [&'a [Instruction]],
    /// The caller's umask, while it is clear.
    pub umask: Mode,
    /// Who listens to the command's filter; -1 while nobody does.
    pub listener: RawFd,
    /// The step of its list that the command's process was refused, and the errno. init tells of it: the process may have a
    /// filter by then that does not let it.
    pub refused: Option<(usize, i32)>,
    /// Where the caller may run, while this process stays on one processor.
    pub processors: Option<Processors>,
    /// The number of the step that is done.
    pub at: usize,
    /// What may be done where a system call is not to be had; and what of that has been reported.
    pub fallbacks: Fallbacks,
    /// See `fallbacks`.
    pub fell_back: Fallbacks,
    /// Set to false when the kernel has no open_tree(2): sources are then paths, and are bound in the old way.
    pub detached: bool,
    /// Set to false when the kernel has no mount_setattr(2): trees are then made read-only when they are attached.
    pub sealed: bool,
    /// How many old roots lie over the new one, of which no path is to lead into any.
    pub old_roots: u16,
    /// Whether signal handlers of the calling program are still installed in the new process.
    pub handlers: bool,
    /// Whether [`Slot::JOINED`] is this process itself.
    pub holds_itself: bool,
    /// init's pid, for the command's tie; and the command's, once init has started it. Both as init sees them.
    pub init_pid: RawPid,
    /// See `init_pid`.
    pub command_pid: RawPid,
    /// Whether the command's process has come to its exec, and was not refused it. It shares init's memory until then.
    pub executed: bool,
}

impl<'a> Task<'a> {
    fn filter(&self, of: FilterOf) -> &'a [Instruction] {
        self.filters.get(of.index()).copied().unwrap_or_default()
    }

    fn program(&self, number: u16) -> &'a [Instruction] {
        self.programs
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }

    fn content(&self, number: u16) -> &'a [u8] {
        self.contents
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }

    /// The string at `text`. A plan whose text is not there cannot be made; the empty string stands for the type.
    fn text(&self, text: Text) -> &'a CStr {
        let bytes = self.arena.get(text.0 as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }

    fn slot(&self, slot: Slot) -> RawFd {
        self.slots.get(slot.0 as usize).copied().unwrap_or(-1)
    }

    fn set_slot(&mut self, slot: Slot, fd: RawFd) {
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = fd;
        }
    }

    /// A system call was refused with `errno`: tells the launcher that an older one is used in its place from now on, or
    /// gives the errno back if that is not wanted.
    fn fall_back(&mut self, fallback: Fallback, errno: Errno) -> Result<(), Errno> {
        if self.fell_back.contains(fallback) {
            return Ok(());
        }
        let (number, value) = (fallback as usize, errno.raw_os_error());
        if !self.fallbacks.contains(fallback) {
            self.report(Kind::Missing, Process::Setup, number, value)?;
            return Err(errno);
        }
        self.fell_back = self.fell_back.with(fallback);
        self.report(Kind::FellBack, Process::Setup, number, value)
    }

    /// Hands the launcher a descriptor.
    fn send(&self, kind: Kind, process: Process, descriptor: RawFd) -> Result<(), Errno> {
        let record = self.record(kind, process, 0, 0);
        let descriptors = [borrow(descriptor)];
        let mut space = [MaybeUninit::uninit(); ::rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        self.send_with(&record, &mut control)
    }

    /// Tells the launcher, and sends what goes along with it.
    fn send_with(
        &self,
        record: &Record,
        control: &mut SendAncillaryBuffer<'_, '_, '_>,
    ) -> Result<(), Errno> {
        let bytes = record.to_bytes();
        let records = borrow(self.slot(Slot::RECORDS));
        let parts = [IoSlice::new(&bytes)];
        match ::rustix::net::sendmsg(records, &parts, control, SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn record(&self, kind: Kind, process: Process, step: usize, value: i32) -> Record {
        Record {
            kind,
            process,
            step: step as u16,
            value,
            nanos: record::now(self.trace),
        }
    }

    /// Tells the launcher. When nobody is there to be told, the life pipe says the same, and that is what is acted upon.
    fn report(&self, kind: Kind, process: Process, step: usize, value: i32) -> Result<(), Errno> {
        let bytes = self.record(kind, process, step, value).to_bytes();
        loop {
            match ::rustix::io::write(borrow(self.slot(Slot::RECORDS)), &bytes) {
                Err(Errno::INTR) => {}
                Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Lives as the container's first process.
pub fn run(task: &mut Task<'_>) -> ! {
    if task.handlers {
        drop_signal_handlers();
    }
    walk::walk(task, Process::Setup, task.setup);
    match task.init.is_empty() {
        true => walk::walk(task, Process::Command, task.command),
        false => walk::walk(task, Process::Init, task.init),
    }
    sys::exit(step::FAILED)
}

/// Puts every signal that has a handler back to its default, as CLONE_CLEAR_SIGHAND would have: the handlers are the
/// calling program's, and must not run in here. Ignored signals stay ignored.
fn drop_signal_handlers() {
    for signal in 1..=64 {
        if let Ok(handler) = sys::signal_disposition(signal)
            && handler != ::libc::SIG_DFL
            && handler != ::libc::SIG_IGN
        {
            let _ = sys::set_signal_disposition(signal, ::libc::SIG_DFL);
        }
    }
}

/// Whether the kernel sends this signal for what is done to a terminal, and then to the whole foreground group.
pub fn is_typed(signal: i32) -> bool {
    signal == ::libc::SIGINT || signal == ::libc::SIGQUIT || signal == ::libc::SIGWINCH
}

/// The descriptor of a slot, for rustix.
fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: slots hold descriptors that are open until the step that closes them; -1 is never stored as an open one,
    // and would be refused by the kernel (EBADF), but must not be wrapped.
    unsafe { BorrowedFd::borrow_raw(if fd < 0 { i32::MAX } else { fd }) }
}

/// This process's id in its own PID namespace.
fn own_pid() -> RawPid {
    ::rustix::process::getpid().as_raw_nonzero().get()
}
