//! PID 1: starts the command, passes signals on, reaps orphans, and ends when the command or the launcher does.

use ::core::ffi::c_void;
use ::core::mem::MaybeUninit;
use ::core::prelude::rust_2024::*;
use ::rustix::event::{PollFd, PollFlags, poll};
use ::rustix::fs::{CWD, Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, UCred};
use ::rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::record::{Kind, Process};
use super::step::{FAILED, Slot};
use super::{Task, borrow, files, own_pid, walk};
use crate::sys::{self, Processors, RawFd, RawPid, SignalSet};

/// Orphans come to this process, although it is not PID 1, and it can list them.
pub fn become_subreaper(task: &mut Task<'_>) -> Result<(), Errno> {
    ::rustix::process::set_child_subreaper(Some(::rustix::process::getpid()))?;
    // Opened by name once: the file is this thread's list at every read (CONFIG_PROC_CHILDREN, proc_pid_task(5)).
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let list = ::rustix::fs::openat(CWD, c"/proc/thread-self/children", flags, Mode::empty())?;
    task.set_slot(Slot::CHILDREN, ::rustix::fd::IntoRawFd::into_raw_fd(list));
    Ok(())
}

/// Starts the command's process and waits until it has executed the command, or has ended.
pub fn spawn_command(
    task: &mut Task<'_>,
    foreign_pids: bool,
    listened: bool,
    shares_files: bool,
) -> Result<(), Errno> {
    task.init_pid = own_pid();
    // Before the command runs, so that it does not run in vain when this is refused.
    let ended = sys::signalfd(SignalSet::only(::libc::SIGCHLD))?;
    task.set_slot(Slot::ENDED, ::rustix::fd::IntoRawFd::into_raw_fd(ended));
    let stack = ::core::mem::take(&mut task.stack);
    let argument: *mut Task<'_> = task;
    let shared = match listened || shares_files {
        true => ::libc::CLONE_FILES,
        false => 0,
    };
    let flags = (::libc::CLONE_VM | ::libc::CLONE_VFORK | ::libc::SIGCHLD | shared) as u64;
    task.processors = Processors::stay();
    // SAFETY: this process has one thread and waits in the call (CLONE_VFORK), so that nobody else uses the task and the
    // stack meanwhile. `become_command` makes system calls, and writes to its stack and to the task.
    task.command_pid =
        unsafe { sys::clone(flags, stack, become_command, argument.cast::<c_void>()) }?;
    if let Some(processors) = task.processors {
        processors.take()?;
    }
    if let Some((step, errno)) = task.refused {
        // Before the launcher hears of it, who then ends this process: a dead one in a PID namespace that is not this
        // process's own would go to the machine's first process, and hold the namespace until that has waited for it.
        await_dead(task.command_pid);
        task.report(Kind::Failed, Process::Command, step, errno)?;
    }
    // Not refused, and not executed either: it was killed. Then its end, which comes next, is that of a set-up.
    if !task.executed {
        return Ok(());
    }
    if listened {
        task.send(Kind::Listener, Process::Init, task.listener)?;
    }
    report_started(task, foreign_pids)
}

/// Waits for a child that ends.
fn await_dead(child: RawPid) {
    let child = Pid::from_raw(child);
    while let Err(Errno::INTR) = ::rustix::process::waitpid(child, WaitOptions::empty()) {}
}

extern "C" fn become_command(argument: *mut c_void) -> ! {
    // SAFETY: `spawn_command` gave a pointer to its task, and waits until this process is done with it.
    let task = unsafe { &mut *argument.cast::<Task<'_>>() };
    walk::walk(task, Process::Command, task.command);
    sys::exit(FAILED)
}

/// Tells the launcher that the command runs, and its process id. Where the container has ids of its own, the kernel
/// translates it: a process may name another as the sender of a message, if it has CAP_SYS_ADMIN over the PID namespace
/// (unix(7), SCM_CREDENTIALS), and the launcher reads that sender's id as it is outside.
fn report_started(task: &Task<'_>, foreign_pids: bool) -> Result<(), Errno> {
    let command = task.command_pid;
    if !foreign_pids {
        return task.report(Kind::Started, Process::Init, 0, command);
    }
    let sender = UCred {
        pid: Pid::from_raw(command).ok_or(Errno::SRCH)?,
        uid: ::rustix::process::getuid(),
        gid: ::rustix::process::getgid(),
    };
    let mut space = [MaybeUninit::uninit(); ::rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmCredentials(sender));
    let record = task.record(Kind::Started, Process::Init, 0, 0);
    task.send_with(&record, &mut control)
}

/// Lives until the command ends, or with `lives_on` until nobody is left. Does not return, but for an error.
pub fn supervise(
    task: &mut Task<'_>,
    shared_group: bool,
    sweep: bool,
    lives_on: bool,
) -> Result<(), Errno> {
    let (life, records) = (task.slot(Slot::LIFE), task.slot(Slot::RECORDS));
    let (children, ended) = (task.slot(Slot::CHILDREN), task.slot(Slot::ENDED));
    let keep = ::core::mem::take(&mut task.held);
    for (place, own) in keep.iter_mut().zip([life, records, children, ended]) {
        *place = own;
    }
    keep.sort_unstable();
    match files::close_others(keep) {
        // In a container that was joined /proc knows the container's processes, of which this is none.
        Err(Errno::NOENT) => files::close_numbers(keep, task.keep.last().copied().unwrap_or(0)),
        closed => closed?,
    }
    let supervisor = Supervisor {
        command: task.command_pid,
        shared_group,
        life,
        ended,
        lives_on,
    };
    let end = supervisor.watch(task)?;
    if sweep {
        end_descendants(children)?;
    }
    let told = match end {
        End::Exited(status) => task.report(Kind::Exited, Process::Init, 0, status),
        End::Killed(signal) => task.report(Kind::Killed, Process::Init, 0, signal),
        // Nobody is left to be told. Everything else in this PID namespace ends with this process.
        End::Abandoned => Ok(()),
    };
    if lives_on {
        await_last();
    }
    // With the errno as its status: all that can still be told.
    sys::exit(told.map_or_else(Errno::raw_os_error, |()| 0))
}

/// Reaps whoever ends, until nobody is left.
fn await_last() {
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
}

/// How the command's life ended.
enum End {
    Exited(i32),
    Killed(i32),
    /// The launcher has gone.
    Abandoned,
}

struct Supervisor {
    command: RawPid,
    shared_group: bool,
    life: RawFd,
    ended: RawFd,
    /// Whether the end of the launcher changes nothing.
    lives_on: bool,
}

impl Supervisor {
    fn watch(&self, task: &Task<'_>) -> Result<End, Errno> {
        let mut alone = false;
        loop {
            if let Some(end) = self.reap(task)? {
                return Ok(end);
            }
            let mut events = [
                PollFd::from_borrowed_fd(borrow(self.ended), PollFlags::IN),
                PollFd::from_borrowed_fd(borrow(self.life), PollFlags::IN),
            ];
            let watched = if alone { 1 } else { 2 };
            let watched_events = events.get_mut(..watched).unwrap_or_default();
            match poll(watched_events, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            let [ended, life] = events;
            if ended.revents().contains(PollFlags::IN) {
                // Only that there was one matters; which child it was, wait4 knows.
                let mut signals = [0u8; 128];
                let _ = ::rustix::io::read(borrow(self.ended), &mut signals);
            }
            if !alone && !life.revents().is_empty() && !self.pass_signals_on()? {
                match self.lives_on {
                    true => alone = true,
                    false => return Ok(End::Abandoned),
                }
            }
        }
    }

    /// Reaps whoever has ended, and returns the command's end if it was among them.
    fn reap(&self, task: &Task<'_>) -> Result<Option<End>, Errno> {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some(child)) => child,
                Ok(_) | Err(Errno::CHILD) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            if pid.as_raw_nonzero().get() != self.command {
                continue;
            }
            match status.stopping_signal() {
                Some(signal) => task.report(Kind::Stopped, Process::Init, 0, signal)?,
                _ => return Ok(Some(end_of(status))),
            }
        }
    }

    /// Reads the signals that the launcher was sent and sends them to the command; false when the launcher has gone.
    fn pass_signals_on(&self) -> Result<bool, Errno> {
        let mut signals = [0u8; 64];
        let length = match ::rustix::io::read(borrow(self.life), &mut signals) {
            Ok(0) => return Ok(false),
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            Err(errno) => return Err(errno),
        };
        for &signal in signals.iter().take(length) {
            self.pass_on(signal as i32);
        }
        Ok(true)
    }

    /// A signal that went to the launcher's whole process group, by the terminal or by kill(2), has reached the command
    /// already when it is in that group. This process is in it too: it has the same signal pending, from outside.
    fn pass_on(&self, signal: i32) {
        if self.shared_group && (went_to_group(signal) || is_outdated(signal)) {
            return;
        }
        // What was stopped as a group goes on as a group.
        let whole_group = signal == ::libc::SIGCONT && !self.shared_group;
        let to = if whole_group {
            self.command.wrapping_neg()
        } else {
            self.command
        };
        // The command may have ended a moment ago: then there is nobody to be told.
        let _ = sys::kill(to, signal);
    }
}

/// Whether this signal has come to the whole group, from outside. What the terminal sends the launcher does not pass on:
/// such a one is an older one, which says nothing of this one.
fn went_to_group(signal: i32) -> bool {
    match sys::take_pending(signal) {
        Some((code, _)) if code > 0 => !super::is_typed(signal),
        Some((_, sender)) => sender == 0,
        _ => false,
    }
}

/// Whether the group was stopped again after it was sent this SIGCONT: of the two the kernel keeps the later one only
/// (signal(7)), and the command has had both.
fn is_outdated(signal: i32) -> bool {
    let [stop, input, output] =
        [::libc::SIGTSTP, ::libc::SIGTTIN, ::libc::SIGTTOU].map(SignalSet::only);
    signal == ::libc::SIGCONT && sys::pending_signals().0 & (stop.0 | input.0 | output.0) != 0
}

fn end_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => End::Exited(status),
        (_, Some(signal)) => End::Killed(signal),
        _ => End::Killed(::libc::SIGKILL),
    }
}

/// Kills this process's children, and the orphans that come to it as they die, until none is left.
///
/// A function of its own: its buffer, in the frame of the one that does the steps, would cost every launch a page fault.
#[cold]
#[inline(never)]
fn end_descendants(children: RawFd) -> Result<(), Errno> {
    loop {
        let mut list = [0u8; 4096];
        for word in files::read_start(children, &mut list)?.split(|&byte| byte == b' ') {
            let pid = files::number(word);
            if pid > 1 && pid != own_pid() {
                let _ = sys::kill(pid, ::libc::SIGKILL);
            }
        }
        if !reap_dead()? {
            return Ok(());
        }
    }
}

/// Waits for one child to die, and reaps all that have: the list shows the dead as well, oldest first, and among those of
/// processes that fork as fast as they can the living would not be in its first page. False when there are no children.
fn reap_dead() -> Result<bool, Errno> {
    let mut options = WaitOptions::empty();
    loop {
        match wait(options) {
            Ok(Some(_)) => options = WaitOptions::NOHANG,
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(false),
            Err(errno) => return Err(errno),
        }
    }
}
