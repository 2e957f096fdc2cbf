//! A container that was started, and how its command ended.

use super::channel::{Channel, Event};
use super::clone::FirstProcess;
use super::group::Group;
use super::stdio::Streams;
use super::upper::Held;
use super::{Observer, hint, named, unread};
use crate::child::record::{Place, Process};
use crate::child::step::{Fallback, Step};
use crate::error::{Errno, Error, Kind, Result, Subject};
use crate::plan::Plan;
use crate::sys::{self, RawFd, RawPid};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions};
use std::borrow::Cow;
use std::path::PathBuf;

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

/// A container that was started. Dropping it ends the container: the life pipe closes.
pub struct Running<'a> {
    pub(super) plan: Cow<'a, Plan>,
    /// init, or the command itself where there is no init; as the launcher sees it.
    pub(super) pid: RawPid,
    pub(super) _process: FirstProcess<'a>,
    /// The only end of the life pipe that can write; none once the container is to end.
    pub(super) life: Option<OwnedFd>,
    pub(super) channel: Channel,
    /// How the first process ended, once it has been waited for.
    pub(super) reaped: Option<Outcome>,
    /// It has told how the command ended, and goes on by itself.
    pub(super) left: bool,
    pub(super) ready: bool,
    /// The call that the step needs which fails next.
    pub(super) missing: Option<Fallback>,
    pub(super) _uppers: Held,
    pub(super) streams: Streams,
    pub(super) group: Option<Group>,
    /// What the command is under, where the launcher has made it.
    pub(super) ruleset: Option<OwnedFd>,
    /// The outer side of the command's terminal, which nobody has taken: if it were closed, that would hang up.
    pub(super) terminal: Option<OwnedFd>,
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
    pub(super) fn tell_usage(&self, observer: &mut dyn Observer) {
        if let Some(group) = self.group.as_ref().filter(|group| group.is_own()) {
            observer.event(&self.plan, &Event::Used(group.usage()));
        }
    }

    /// What `event` means for the whole, if it is the last that matters. The first process has then been waited for.
    pub(super) fn ending(&mut self, event: &Event) -> Option<Result<Outcome>> {
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
    pub(super) fn silence(&mut self) -> Result<Outcome> {
        let name = self.last_name().unwrap_or_default();
        let outcome = self.reap()?;
        match outcome {
            // The command is executed before init can tell that it has been: it may have run, and has ended with init.
            Outcome::Killed(signal @ libc::SIGKILL) if !self.ready && self.is_init(&name) => {
                let said = "init was killed by SIGKILL before it could tell that it has started the command";
                Err(Error::broken(said).about(Subject::KilledInit(signal)))
            }
            _ if !self.ready => Err(self.died_in_setup(outcome, Place::from_name(&name))),
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

    /// What the first process is called, or was when it died.
    fn last_name(&self) -> Option<Vec<u8>> {
        // Death comes before the end of the reports is seen, but for the reading of the name it has to be complete.
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::NOWAIT
            | WaitIdOptions::from_bits_retain(libc::__WALL as u32);
        let _ = rustix::process::waitid(
            WaitId::Pid(rustix::process::Pid::from_raw(self.pid)?),
            options,
        );
        let name = std::fs::read(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_ascii_end().to_vec())
    }

    /// Whether this is what init calls itself, which it does before it starts the command.
    fn is_init(&self, called: &[u8]) -> bool {
        self.plan.init.iter().any(|entry| match entry.step {
            Step::Rename { name } => self.plan.arena.get(name).to_bytes() == called,
            _ => false,
        })
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
    pub(super) fn failure(&self, process: Process, number: usize, errno: i32) -> Error {
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
    pub(super) fn childs_cause(&mut self) -> Option<Error> {
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
    pub(super) fn reap(&mut self) -> Result<Outcome> {
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
    pub(super) fn own_fds(&self) -> Option<Vec<RawFd>> {
        let plan = self.plan();
        let more =
            plan.tty || !plan.uppers.is_empty() || !plan.pipes.is_empty() || self.group.is_some();
        let life = self.life.as_ref().filter(|_| !more)?;
        Some(vec![life.as_raw_fd(), self.channel_fd().as_raw_fd()])
    }

    pub(super) fn channel_fd(&self) -> BorrowedFd<'_> {
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
