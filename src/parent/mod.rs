//! OUTSIDE: makes the new process, writes its id maps, and stays with it until it ends.
//!
//! [`launch`] does a [`Plan`] and returns a [`Running`] container. What a command-line tool wants besides (signals passed
//! on, a terminal, a time limit) is [`supervise`].
#![deny(unsafe_code)]

mod attach;
mod attempt;
mod channel;
mod clone;
mod companion;
mod group;
mod guest;
mod handshake;
mod hint;
mod listener;
mod memory;
mod ruleset;
mod running;
mod service;
mod stdio;
mod supervise;
mod terminal;
mod unlisted;
mod upper;

pub use attach::{Left, attach};
pub use attempt::{Attempt, ask, attempt};
pub use channel::Event;
pub use clone::{Side, detach};
pub use companion::{Companion, Typed};
pub use group::Usage;
pub use guest::Guest;
pub use running::{Outcome, Running};
pub use service::{Listing, Service, details};
pub use stdio::close_callers;
pub use supervise::{GRACE, die_of, serve, supervise};
pub use unlisted::Unlisted;

use stdio::Pipes;

use crate::child::step::{Fallback, Slot};
use crate::error::{Errno, Error, Result, Subject};
use crate::plan::{ParentStep, Plan};
use crate::sys::{self, Processors, RawFd, SignalSet};
use channel::Channel;
use clone::FirstProcess;
use group::Group;
use memory::Memory;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::borrow::Cow;
use std::time::Duration;
use upper::Held;

/// Is told what happens, when it happens.
pub trait Observer {
    /// Something happened inside.
    fn event(&mut self, plan: &Plan, event: &Event);
    /// The new process has been made, where the plan announces it, and waits. An error ends it.
    ///
    /// # Errors
    /// Whatever keeps the observer from telling of it.
    fn made(&mut self, _plan: &Plan, _pid: i32) -> Result<()> {
        Ok(())
    }
    /// Descriptors that it has open for itself: where the command inherits the caller's, the launcher closes all others.
    fn own_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }
    /// The launcher has done a step.
    fn parent_step(&mut self, _plan: &Plan, _step: ParentStep) {}
}

/// An observer that takes no interest.
impl Observer for () {
    fn event(&mut self, _: &Plan, _: &Event) {}
}

/// Starts what `plan` says: makes the new process, writes its id maps and releases it. Set-up goes on inside, in a copy of
/// this program's memory; [`Running::next_event`] tells how. `trace` asks for an event for each step.
///
/// # Errors
/// A step that was refused. Nothing is left running then. A plan with pipes, which only [`supervise`] relays.
///
/// Where limits need a control group that a systemd has to make, the calling process is moved into it as well.
pub fn launch<'a>(plan: &'a Plan, trace: bool, observer: &mut dyn Observer) -> Result<Running<'a>> {
    start(Cow::Borrowed(plan), &[], trace, observer)
}

/// [`launch`] of a plan that the container keeps.
///
/// # Errors
/// See [`launch`].
pub fn launch_own(plan: Plan) -> Result<Running<'static>> {
    start(Cow::Owned(plan), &[], false, &mut ())
}

/// Executes a command in a container that runs: `plan` is one of [`Plan::join`], `joined` holds somebody who is in it, and
/// `ruleset` is that of its command.
///
/// # Errors
/// See [`launch`].
pub fn execute(
    plan: Plan,
    joined: BorrowedFd<'_>,
    ruleset: Option<BorrowedFd<'_>>,
) -> Result<Running<'static>> {
    let ruleset = ruleset.map(|ruleset| (crate::plan::join::RULESET, ruleset.as_raw_fd()));
    let joined = (Slot::JOINED, joined.as_raw_fd());
    let given: Vec<(Slot, RawFd)> = std::iter::once(joined).chain(ruleset).collect();
    start(Cow::Owned(plan), &given, false, &mut ())
}

/// [`launch`], with what the plan's steps find open, by slot.
fn start<'a>(
    plan: Cow<'a, Plan>,
    given: &[(Slot, RawFd)],
    trace: bool,
    observer: &mut dyn Observer,
) -> Result<Running<'a>> {
    let whole = plan;
    let plan = &*whole;
    if !plan.pipes.is_empty() {
        return Err(Error::usage(
            "pipes in the place of files need somebody who reads and writes them: supervise",
        ));
    }
    let uppers = Held::all_of(plan, observer)?;
    let group = Group::make(plan, observer)?;
    let channels = Channels::open(plan, observer)?;
    // No handler of the caller's may run in the copy of it that the new process is.
    let mask = sys::set_signal_mask(SignalSet::ALL);
    join_namespaces(plan, observer)?;
    let mut memory = Memory::new(plan, &channels, given, &observer.own_fds());
    let (mut task, stack) = memory.task(plan, mask, trace);
    let made = match makes_pids_inside(plan) {
        true => clone::copying_inside(plan.clone_flags, &mut task, stack),
        false => clone::copying(plan.clone_flags, Group::fd(&group), &mut task, stack),
    };
    drop(memory);
    let held = (uppers, group);
    let running = release(whole, held, channels, made, observer);
    sys::set_signal_mask(mask);
    running
}

/// The ways between the launcher and the processes inside: the launcher's ends, and the others, which it closes; and the
/// command's ruleset, if it has one.
struct Channels {
    life: OwnedFd,
    records: Channel,
    inside: [OwnedFd; 2],
    pipes: Pipes,
    ruleset: Option<OwnedFd>,
}

impl Channels {
    fn open(plan: &Plan, observer: &mut dyn Observer) -> Result<Channels> {
        let refused = |errno: rustix::io::Errno| refused(plan, ParentStep::OpenChannels, errno);
        let (life_inside, life) = life_pipe().map_err(refused)?;
        let (records, records_inside) = Channel::new().map_err(refused)?;
        observer.parent_step(plan, ParentStep::OpenChannels);
        let pipes =
            Pipes::new(plan).map_err(|errno| self::refused(plan, ParentStep::MakePipes, errno))?;
        if !plan.pipes.is_empty() {
            observer.parent_step(plan, ParentStep::MakePipes);
        }
        Ok(Channels {
            life,
            records,
            inside: [life_inside, records_inside],
            pipes,
            ruleset: ruleset::make(plan, observer)?,
        })
    }

    /// The launcher's ends.
    fn own_fds(&self) -> [RawFd; 2] {
        [self.life.as_raw_fd(), self.records.as_fd().as_raw_fd()]
    }
}

/// The read end and the write end. Writing never blocks: what does not fit is more signals than anybody waits for.
fn life_pipe() -> std::result::Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&write, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// Writes the id maps of the process that was `made`, and releases it.
fn release<'a>(
    whole: Cow<'a, Plan>,
    (uppers, group): (Held, Option<Group>),
    channels: Channels,
    made: std::result::Result<FirstProcess<'a>, rustix::io::Errno>,
    observer: &mut dyn Observer,
) -> Result<Running<'a>> {
    let plan = &*whole;
    let step = ParentStep::Clone {
        flags: plan.clone_flags,
    };
    let process = made.map_err(|errno| refused(plan, step, errno))?;
    let Channels {
        life,
        records,
        inside,
        pipes,
        ruleset,
    } = channels;
    drop((inside, pipes.inside));
    observer.parent_step(plan, step);
    if let Some(errno) = process.clone3_refused {
        let (fallback, errno) = (Fallback::Clone3, errno.raw_os_error());
        observer.event(plan, &Event::FellBack { fallback, errno });
    }

    let entered = match &group {
        Some(group) if !process.in_group => group.take_in(process.pid),
        _ => Ok(()),
    };
    let written = entered
        .and_then(|()| observer.made(plan, process.pid))
        .and_then(|()| handshake::write_maps(plan, process.pid, &life, observer));
    let mut running = Running {
        plan: whole,
        pid: process.pid,
        _process: process,
        life: Some(life),
        channel: records,
        reaped: None,
        left: false,
        ready: false,
        missing: None,
        _uppers: uppers,
        streams: pipes.streams,
        group,
        ruleset,
        terminal: None,
    };
    match written {
        Ok(()) => Ok(running),
        Err(error) => Err(running.childs_cause().unwrap_or(error)),
    }
}

/// Enters the namespaces of the caller's in which the new process is to be made.
fn join_namespaces(plan: &Plan, observer: &mut dyn Observer) -> Result<()> {
    for &step in &plan.parent {
        let ParentStep::JoinNamespace { fd, flag } = step else {
            continue;
        };
        sys::join_namespace(fd, flag).map_err(|errno| refused(plan, step, errno))?;
        observer.parent_step(plan, step);
    }
    Ok(())
}

/// Lets the calling thread run again where it might before it stayed.
fn run_anywhere(processors: Option<Processors>) -> Result<()> {
    let taken = processors.map_or(Ok(()), |processors| processors.take());
    taken.map_err(|errno| Error::setup("run on all processors again, sched_setaffinity", errno))
}

/// Whether a PID namespace is to be made in one that was joined.
fn makes_pids_inside(plan: &Plan) -> bool {
    let joins = |step: &ParentStep| matches!(step, ParentStep::JoinNamespace { flag, .. } if *flag == libc::CLONE_NEWPID);
    plan.clone_flags & libc::CLONE_NEWPID as u64 != 0 && plan.parent.iter().any(joins)
}

/// The error for reports that cannot be read.
fn unread(errno: i32) -> Error {
    Error::setup("read what the container reports, recvmsg", Errno(errno))
}

/// The error for a step of the launcher's.
fn refused(plan: &Plan, step: ParentStep, errno: impl Into<Errno>) -> Error {
    let errno = errno.into();
    // Only a call that is new may be missing; clone(2), which is tried after it if it may be, is not.
    let missing = (errno == Errno(libc::ENOSYS) && matches!(step, ParentStep::Clone { .. }))
        .then_some(Fallback::Clone3);
    let mut error = Error::setup(named(plan.describe_parent(step).attempt, missing), errno);
    if let Some(number) = plan.parent.iter().position(|entry| *entry == step) {
        error = error.about(Subject::Launcher(number));
    }
    match plan.is_trial() {
        true => error,
        false => hint::add_parent(error, step, missing),
    }
}

/// What was attempted, with the very call where the step has several.
fn named(attempt: String, missing: Option<Fallback>) -> String {
    match missing {
        Some(fallback) => format!("{attempt}: {}", Plan::newer_call(fallback)),
        None => attempt,
    }
}

/// A duration as the kernel takes it.
fn timespec(duration: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
