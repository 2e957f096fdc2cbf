//! A command in a container that somebody else supervises.

use super::Running;
use super::companion::Companion;
use crate::child::step::Slot;
use crate::error::{Error, Result};
use crate::plan::join::RULESET;
use crate::state::{Call, Known, Received, Reply, Request, Status, processes};
use crate::sys::RawFd;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long the container's supervisor may take to hand out the ruleset.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a command runs before it is counted in the container's list: most are over by then.
const UNCOUNTED: Duration = Duration::from_millis(30);

/// What a command needs that is executed in a container, and what ties it to that.
pub struct Guest<'k> {
    /// None for processes that are in no container of rootlet's.
    container: Option<&'k Known>,
    /// The connection by which the container's supervisor counts the command, and whose end is the container's.
    call: Option<Call>,
    /// When the command is to be counted.
    due: Option<Instant>,
    /// Somebody who is in the namespaces that are joined.
    joined: OwnedFd,
    ruleset: Option<OwnedFd>,
    /// Whether nothing but this process would end the command with the container.
    sweeps: bool,
}

impl<'k> Guest<'k> {
    /// For a command in the namespaces of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(pid: i32) -> Result<Guest<'k>> {
        let none = || Error::usage(format!("there is no process {pid}"));
        let process = processes::identify(pid).ok_or_else(none)?;
        Ok(Guest {
            container: None,
            call: None,
            due: None,
            joined: processes::hold(process)?.ok_or_else(none)?,
            ruleset: None,
            sweeps: false,
        })
    }

    /// For a command in a container, under its ruleset if it has one.
    ///
    /// # Errors
    /// When the container does not run, or its supervisor does not answer.
    pub fn of_container(known: &'k Known, ruleset: bool) -> Result<Guest<'k>> {
        let name = known.name();
        let Status::Running {
            process, unique, ..
        } = &known.record.status
        else {
            return Err(Error::usage(format!("container {name} does not run now")));
        };
        let gone = || match known.is_of_here() {
            true => Error::usage(format!("container {name} has ended")),
            false => known.elsewhere(),
        };
        let joined = processes::hold_unique(*process, *unique)?.ok_or_else(gone)?;
        let sweeps = !known.record.namespaces.iter().any(|name| name == "pid");
        let mut guest = Guest {
            container: Some(known),
            call: None,
            due: None,
            joined,
            ruleset: None,
            sweeps,
        };
        // The others need not ask: the namespaces end the command with the container.
        match ruleset || sweeps {
            true => guest.ruleset = guest.handed_out(known, ruleset)?,
            false => guest.due = Some(Instant::now() + UNCOUNTED),
        }
        Ok(guest)
    }

    /// Has the command counted, and returns the ruleset of the container's, if that has one.
    fn handed_out(&mut self, known: &Known, expected: bool) -> Result<Option<OwnedFd>> {
        let call = known.folder.call()?;
        call.ask(&Request::Exec { answer: true })?;
        let handed = handed(known, &call)?;
        if expected && handed.is_none() {
            return Err(Error::broken(
                "the container's supervisor has not handed out the ruleset that its command is under",
            ));
        }
        self.call = Some(call);
        Ok(handed)
    }

    /// Has the command counted. A supervisor that cannot count it is none that has to know.
    fn count(&mut self) {
        self.due = None;
        let Some(known) = self.container else {
            return;
        };
        let counted = known.folder.call().and_then(|call| {
            call.ask(&Request::Exec { answer: false })?;
            Ok(call)
        });
        match counted {
            Ok(call) => self.call = Some(call),
            Err(error) => log::debug!("{error}"),
        }
    }
}

/// The answer.
fn handed(known: &Known, call: &Call) -> Result<Option<OwnedFd>> {
    match call.answer(Some(PATIENCE))? {
        Some((Reply::Exec, handed)) => Ok(handed),
        Some((Reply::Refused { reason, .. }, _)) => Err(Error::usage(reason)),
        Some(_) => Err(Error::broken(
            "the container's supervisor does not say whether a command may be executed",
        )),
        None => Err(known.silent()),
    }
}

impl Companion for Guest<'_> {
    fn given(&self) -> Vec<(Slot, RawFd)> {
        let ruleset = self
            .ruleset
            .as_ref()
            .map(|ruleset| (RULESET, ruleset.as_raw_fd()));
        let joined = (Slot::JOINED, self.joined.as_raw_fd());
        std::iter::once(joined).chain(ruleset).collect()
    }

    fn wanted(&self) -> Vec<PollFd<'_>> {
        let call = self.call.iter().filter(|_| self.sweeps);
        call.map(|call| PollFd::new(call, PollFlags::IN)).collect()
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn turn(&mut self, running: &mut Running<'_>, happened: &[PollFlags]) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.count();
        }
        if happened.iter().all(|flags| flags.is_empty()) {
            return;
        }
        let received = self.call.as_ref().map(Call::receive);
        if matches!(received, Some(Ok(Received::Closed) | Err(_))) {
            // The container has ended.
            self.sweeps = false;
            running.kill();
        }
    }

    fn is_paused(&self) -> bool {
        self.container
            .as_ref()
            .is_some_and(|known| known.folder.is_marked("paused"))
    }
}
