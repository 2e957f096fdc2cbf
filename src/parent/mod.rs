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
mod ruleset;
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
pub use service::{Listing, Service, details};
pub use stdio::close_callers;
pub use supervise::{GRACE, die_of, serve, supervise};
pub use unlisted::Unlisted;

use stdio::{Pipes, Streams};

use crate::child::record::{Place, Process};
use crate::child::step::{Fallback, Fallbacks, Slot, Step, Text};
use crate::child::{Network, Task};
use crate::error::{Errno, Error, Kind, Result};
use crate::plan::{ParentStep, Plan};
use crate::seccomp::Instruction;
use crate::sys::{self, Processors, RawFd, RawPid, SignalSet, Stack};
use channel::Channel;
use clone::FirstProcess;
use group::Group;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::process::{WaitId, WaitIdOptions};
use std::borrow::Cow;
use std::ffi::c_char;
use std::path::PathBuf;
use std::time::Duration;
use upper::Held;

/// Bytes of stack for each process inside: plenty, since what is not touched costs nothing. The deepest that they go is
/// some 45 KiB, to read a list of mounts on an old kernel.
const STACK: usize = 128 * 1024;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// It was ended because its time was over.
    TimedOut,
}

impl Outcome {
    /// The exit status that stands for it: the command's own, 128+n for signal n, 124 for a time limit.
    pub fn exit_status(self) -> u8 {
        match self {
            Outcome::Exited(status) => status as u8,
            Outcome::Killed(signal) => 128 + signal as u8,
            Outcome::TimedOut => 124,
        }
    }
}

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

/// A container that was started. Dropping it ends the container: the life pipe closes.
pub struct Running<'a> {
    plan: Cow<'a, Plan>,
    /// init, or the command itself where there is no init; as the launcher sees it.
    pid: RawPid,
    _process: FirstProcess<'a>,
    /// The only end of the life pipe that can write; none once the container is to end.
    life: Option<OwnedFd>,
    channel: Channel,
    /// How the first process ended, once it has been waited for.
    reaped: Option<Outcome>,
    /// It has told how the command ended, and goes on by itself.
    left: bool,
    ready: bool,
    /// The call that the step needs which fails next.
    missing: Option<Fallback>,
    _uppers: Held,
    streams: Streams,
    group: Option<Group>,
    /// What the command is under, where the launcher has made it.
    ruleset: Option<OwnedFd>,
    /// The outer side of the command's terminal, which nobody has taken: if it were closed, that would hang up.
    terminal: Option<OwnedFd>,
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

/// What the processes inside work with, besides the plan.
struct Memory<'m> {
    slots: Vec<RawFd>,
    keep: Vec<RawFd>,
    launchers: Vec<RawFd>,
    held: Vec<RawFd>,
    argv: Vec<*const c_char>,
    script: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    contents: Vec<&'m [u8]>,
    programs: Vec<&'m [Instruction]>,
    network: Network,
    stacks: [Vec<u8>; 3],
}

impl<'m> Memory<'m> {
    /// `given` is what the plan's steps find open, by slot.
    fn new(
        plan: &'m Plan,
        channels: &Channels,
        given: &[(Slot, RawFd)],
        launchers: &[RawFd],
    ) -> Memory<'m> {
        let [life, records] = channels.inside.each_ref().map(AsRawFd::as_raw_fd);
        let mut slots = vec![-1; usize::from(plan.slots)];
        slots[usize::from(Slot::LIFE.0)] = life;
        slots[usize::from(Slot::RECORDS.0)] = records;
        let mut keep = [
            &plan.pass_fds[..],
            &plan.callers.consumed,
            &plan.callers.held,
            &[life, records],
        ]
        .concat();
        for (slot, pipe) in &channels.pipes.inside {
            slots[usize::from(slot.0)] = pipe.as_raw_fd();
            keep.push(pipe.as_raw_fd());
        }
        if let Some((slot, ruleset)) = plan.ruleset().zip(channels.ruleset.as_ref()) {
            slots[usize::from(slot.0)] = ruleset.as_raw_fd();
            keep.push(ruleset.as_raw_fd());
        }
        for &(slot, fd) in given {
            slots[usize::from(slot.0)] = fd;
            keep.push(fd);
        }
        keep.sort_unstable();
        Memory {
            slots,
            keep,
            argv: pointers(plan, &plan.argv),
            script: plan
                .shell
                .map_or_else(Vec::new, |shell| script(plan, shell)),
            envp: pointers(plan, &plan.envp),
            launchers: [launchers, &channels.own_fds()].concat(),
            held: [&vec![-1; 4 + plan.locks()], &plan.callers.held[..]].concat(),
            contents: plan.contents.iter().map(Vec::as_slice).collect(),
            programs: plan.programs.iter().map(Vec::as_slice).collect(),
            network: Network::new(),
            stacks: [(); 3].map(|()| Vec::with_capacity(STACK)),
        }
    }

    /// The task of the new process, and its stack. `mask` is the one that the command is to have.
    fn task<'t>(
        &'t mut self,
        plan: &'t Plan,
        mask: SignalSet,
        trace: bool,
    ) -> (Task<'t>, &'t mut Stack) {
        // The last is the null pointer.
        let pwd = self.envp.len().checked_sub(2).filter(|_| plan.sets_pwd);
        let [first, commands, networks] = self.stacks.each_mut().map(Vec::spare_capacity_mut);
        let task = Task {
            arena: plan.arena.bytes(),
            setup: &plan.setup,
            init: &plan.init,
            command: &plan.command,
            candidates: &plan.candidates,
            argv: &self.argv,
            script: &mut self.script,
            envp: &mut self.envp,
            pwd,
            slots: &mut self.slots,
            keep: &self.keep,
            launchers: &self.launchers,
            held: &mut self.held,
            mask,
            terminal: plan.tty.then(terminal::callers_settings).flatten(),
            trace,
            stack: commands,
            network: &self.network,
            network_stack: networks,
            network_pid: 0,
            contents: &self.contents,
            filters: plan.filters.each_ref().map(AsRef::as_ref),
            programs: &self.programs,
            umask: Mode::empty(),
            at: 0,
            processors: None,
            listener: -1,
            refused: None,
            fallbacks: plan.fallbacks,
            fell_back: Fallbacks::default(),
            detached: true,
            sealed: true,
            old_roots: 0,
            handlers: false,
            holds_itself: false,
            init_pid: 0,
            command_pid: 0,
            executed: false,
        };
        (task, first)
    }
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

/// The list that execve(2) takes: pointers into the arena, and a null one.
fn pointers(plan: &Plan, texts: &[Text]) -> Vec<*const c_char> {
    let strings = texts.iter().map(|&text| plan.arena.get(text).as_ptr());
    strings.chain([std::ptr::null()]).collect()
}

/// The arguments of the shell that executes the command: itself, room for the command's path, and what comes after that.
fn script(plan: &Plan, shell: Text) -> Vec<*const c_char> {
    let rest = plan.argv.get(1..).unwrap_or_default();
    let first = [shell, shell];
    pointers(plan, &[&first, rest].concat())
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
    let error = Error::setup(named(plan.describe_parent(step).attempt, missing), errno);
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

impl Running<'_> {
    /// The first process inside, init or the command, as the launcher sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for the next thing to happen; none when no process of the set-up or init is left to tell.
    pub fn next_event(&mut self) -> Option<Event> {
        let init = (!self.plan.init.is_empty()).then_some(self.pid);
        let event = self.channel.receive(init)?;
        self.ready |= matches!(event, Event::Ready | Event::Started { .. });
        if let Event::Missing(fallback) = event {
            self.missing = Some(fallback);
        }
        Some(event)
    }

    /// Sends `signal` to the command (to init for it; it arrives when the command has been executed).
    pub fn signal(&self, signal: i32) {
        let sent = match &self.life {
            _ if self.plan.init.is_empty() => sys::kill(self.pid, signal),
            Some(life) => rustix::io::write(life, &[signal as u8]).map(drop),
            None => Ok(()),
        };
        if let Err(errno) = sent {
            log::debug!("signal {signal} was not passed on: {}", Errno::from(errno));
        }
    }

    /// Ends everything inside, at once (SIGKILL).
    pub fn kill(&mut self) {
        drop(self.life.take());
        // Without a PID namespace nobody but init can end what is inside: the end of the life pipe tells it to, and one that
        // has been stopped would not see it.
        let signal = match self.plan.sweeps() {
            true => libc::SIGCONT,
            false => libc::SIGKILL,
        };
        // The process has not been waited for, so its id is its own.
        let _ = sys::kill(self.pid, signal);
    }

    /// [`Running::kill`], and waits until it is done. Somebody who has waited already leaves nothing to be done.
    fn end(&mut self) {
        self.kill();
        if let Err(error) = self.reap() {
            log::debug!("{error}");
        }
    }

    /// Waits until the command has ended. A terminal of the command's own is not read from: a caller that asks for one
    /// takes [`Event::Terminal`] from [`Running::next_event`].
    ///
    /// # Errors
    /// A step of the set-up that was refused, a set-up that was killed, or a status that went to somebody else: to a
    /// `waitpid(-1, __WALL)` of the calling program, or, without init, to nobody because the program ignores SIGCHLD.
    pub fn wait(mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        while let Some(event) = self.next_event() {
            observer.event(&self.plan, &event);
            if let Some(end) = self.ending(&event) {
                self.tell_usage(observer);
                return end;
            }
            if let Event::Terminal(outer) = event {
                self.terminal = Some(outer);
            }
        }
        let end = self.silence();
        self.tell_usage(observer);
        end
    }

    /// Tells what the container has used, if a group has counted it.
    fn tell_usage(&self, observer: &mut dyn Observer) {
        if let Some(group) = self.group.as_ref().filter(|group| group.is_own()) {
            observer.event(&self.plan, &Event::Used(group.usage()));
        }
    }

    /// What `event` means for the whole, if it is the last that matters. The first process has then been waited for.
    fn ending(&mut self, event: &Event) -> Option<Result<Outcome>> {
        match *event {
            Event::Failed {
                process,
                step,
                errno,
            } => {
                self.end();
                Some(Err(self.failure(process, step, errno)))
            }
            Event::Unread(errno) => {
                self.end();
                Some(Err(unread(errno)))
            }
            Event::Exited(status) => Some(self.ended(Outcome::Exited(status))),
            Event::Killed(signal) => Some(self.ended(Outcome::Killed(signal))),
            _ => None,
        }
    }

    /// init has told how the command ended.
    fn ended(&mut self, outcome: Outcome) -> Result<Outcome> {
        // Known already: who else may have waited for init does not matter. One that goes on is not waited for.
        self.left = self.plan.lives_on();
        if !self.left {
            let _ = self.reap();
        }
        if self.ready {
            Ok(outcome)
        } else {
            Err(self.died_in_setup(outcome, None))
        }
    }

    /// The reports have ended without an end: the command was executed as process 1 and holds no report any more, or
    /// set-up or init was killed.
    fn silence(&mut self) -> Result<Outcome> {
        let place = self.last_place();
        let outcome = self.reap()?;
        match outcome {
            _ if !self.ready => Err(self.died_in_setup(outcome, place)),
            // init's own status says nothing of the command's: either init has ended it on our word, by SIGKILL ...
            Outcome::Exited(_) if !self.plan.init.is_empty() && self.life.is_none() => {
                Ok(Outcome::Killed(libc::SIGKILL))
            }
            // ... or it could not tell, and its status is why.
            Outcome::Exited(0) if !self.plan.init.is_empty() => Err(Error::broken(
                "init ended without telling how the command ended",
            )),
            Outcome::Exited(errno) if !self.plan.init.is_empty() => Err(Error::setup(
                "tell how the command ended, write by init",
                Errno(errno),
            )),
            outcome => Ok(outcome),
        }
    }

    /// Where the first process is, or was when it died: see [`Place`].
    fn last_place(&self) -> Option<Place> {
        // Death comes before the end of the reports is seen, but for the reading of the name it has to be complete.
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::NOWAIT
            | WaitIdOptions::from_bits_retain(libc::__WALL as u32);
        let _ = rustix::process::waitid(
            WaitId::Pid(rustix::process::Pid::from_raw(self.pid)?),
            options,
        );
        let name = std::fs::read(format!("/proc/{}/comm", self.pid)).ok()?;
        Place::from_name(name.trim_ascii_end())
    }

    /// The error for a process that was killed before it was ready.
    fn died_in_setup(&self, outcome: Outcome, place: Option<Place>) -> Error {
        let how = match outcome {
            Outcome::Killed(signal) => format!(
                "was killed by {}",
                crate::plan::describe::signal_name(signal)
            ),
            _ => "ended".to_string(),
        };
        let error = Error::broken(match place {
            None => format!("the process that was to become the command {how} before its exec"),
            Some(Place { process, step }) => {
                let name = crate::plan::explain::process_name(process);
                let at = match self.plan.list(process).get(step) {
                    Some(entry) => format!(": {}", self.plan.describe(entry.step).attempt),
                    None => String::new(),
                };
                format!("the {name} process {how} at its step {}{at}", step + 1)
            }
        });
        match outcome {
            Outcome::Killed(signal) if !self.plan.is_trial() => hint::add_killed(error, signal),
            _ => error,
        }
    }

    /// The error for a step that was refused inside.
    fn failure(&self, process: Process, number: usize, errno: i32) -> Error {
        let Some(entry) = self.plan.list(process).get(number) else {
            return Error::setup(format!("step {number} inside"), Errno(errno));
        };
        let attempt = named(self.plan.describe(entry.step).attempt, self.missing);
        let error = Error::setup(attempt, Errno(errno));
        let kind = match (entry.step, errno) {
            (Step::Exec, libc::ENOENT | libc::ENOTDIR) => Kind::NotFound,
            (Step::Exec, _) => Kind::NotExecutable,
            _ => Kind::Setup,
        };
        match self.plan.is_trial() {
            true => error,
            false => hint::add(error.of_kind(kind), &self.plan, entry.step, self.missing),
        }
    }

    /// After a failure outside: if the new process has failed too, then its cause is the true one.
    fn childs_cause(&mut self) -> Option<Error> {
        self.end();
        loop {
            match self.next_event()? {
                Event::Failed {
                    process,
                    step,
                    errno,
                } => return Some(self.failure(process, step, errno)),
                Event::Unread(_) => return None,
                _ => {}
            }
        }
    }

    /// Waits for the first process, once. It sends no SIGCHLD, so that `__WALL` is needed.
    fn reap(&mut self) -> Result<Outcome> {
        if let Some(outcome) = self.reaped {
            return Ok(outcome);
        }
        let outcome = loop {
            let options = rustix::process::WaitOptions::from_bits_retain(libc::__WALL as u32);
            match rustix::process::waitpid(rustix::process::Pid::from_raw(self.pid), options) {
                Ok(Some((_, status))) => {
                    match (status.exit_status(), status.terminating_signal()) {
                        (Some(status), _) => break Outcome::Exited(status),
                        (_, Some(signal)) => break Outcome::Killed(signal),
                        _ => {}
                    }
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                // Somebody else in this program has waited for every child, or it ignores SIGCHLD and there is no init:
                // an exec makes a process one that sends it, and the kernel then keeps no status for anybody.
                Err(errno) => return Err(Error::setup("wait for the container", errno)),
            }
        };
        self.reaped = Some(outcome);
        Ok(outcome)
    }

    /// Where its control group is, if it has one.
    pub fn group_path(&self) -> Option<PathBuf> {
        self.group.as_ref().map(|group| group.path().to_path_buf())
    }

    /// What it does.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ruleset that the command is under, if it is and has come so far.
    pub fn ruleset(&self) -> Option<BorrowedFd<'_>> {
        self.ruleset.as_ref().map(AsFd::as_fd)
    }

    /// Waits until the command has been executed, and returns its process id, as the launcher sees it. Only once: there is
    /// one such moment.
    ///
    /// # Errors
    /// When it cannot be executed: see [`Running::wait`].
    pub fn await_start(&mut self) -> Result<i32> {
        loop {
            let Some(event) = self.next_event() else {
                return match self.ready && self.plan.init.is_empty() {
                    true => Ok(self.pid),
                    false => Err(self.silence().err().unwrap_or_else(|| {
                        Error::broken("the command has ended before it was known that it runs")
                    })),
                };
            };
            if let Some(end) = self.ending(&event) {
                return Err(end
                    .err()
                    .unwrap_or_else(|| Error::broken("the command has ended")));
            }
            match event {
                Event::Started { pid, .. } => return Ok(pid),
                Event::Ruleset(ruleset) => self.ruleset = Some(ruleset),
                Event::Terminal(outer) => self.terminal = Some(outer),
                _ => {}
            }
        }
    }

    /// Descriptors that the launcher has open for the container; none where there are more than the two that it always has.
    fn own_fds(&self) -> Option<Vec<RawFd>> {
        let plan = self.plan();
        let more =
            plan.tty || !plan.uppers.is_empty() || !plan.pipes.is_empty() || self.group.is_some();
        let life = self.life.as_ref().filter(|_| !more)?;
        Some(vec![life.as_raw_fd(), self.channel_fd().as_raw_fd()])
    }

    fn channel_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl Drop for Running<'_> {
    /// Ends what still runs. What it wrote to is cleared up after that.
    fn drop(&mut self) {
        if self.reaped.is_none() && !self.left {
            self.end();
            // A command that is not yet executed has this memory too, and dies a moment after the process that started it:
            // in a container that is joined nothing else waits for it. It holds the reports until then.
            while self.next_event().is_some() {}
        }
    }
}

/// A duration as the kernel takes it.
fn timespec(duration: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
