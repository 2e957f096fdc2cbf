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
use std::time::Duration;

/// How long the container's supervisor may take to hand out the ruleset.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command needs that is executed in a container, and what ties it to that.
pub struct Guest<'k> {
    /// None for processes that are in no container of rootlet's.
    container: Option<(&'k Known, Call)>,
    /// Somebody who is in the namespaces that are joined.
    joined: OwnedFd,
    ruleset: Option<OwnedFd>,
    /// Whether nothing but this process would end the command with the container.
    sweeps: bool,
    open: bool,
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
            joined: processes::hold(process)?.ok_or_else(none)?,
            ruleset: None,
            sweeps: false,
            open: false,
        })
    }

    /// For a command in a container, with its ruleset if it has one; its supervisor counts it.
    ///
    /// # Errors
    /// When the container does not run, or its supervisor does not answer.
    pub fn of_container(known: &'k Known, ruleset: bool) -> Result<Guest<'k>> {
        let ended = || Error::usage(format!("container {} has ended", known.name()));
        let Status::Running { process, .. } = &known.record.status else {
            return Err(Error::usage(format!(
                "container {} does not run now",
                known.name()
            )));
        };
        let joined = processes::hold(*process)?.ok_or_else(ended)?;
        let call = known.folder.call()?;
        call.ask(&Request::Exec)?;
        let sweeps = !known.record.namespaces.iter().any(|name| name == "pid");
        let mut guest = Guest {
            container: None,
            joined,
            ruleset: None,
            sweeps,
            open: true,
        };
        // The others need not wait: the namespaces end the command with the container.
        if ruleset || sweeps {
            match call.answer(Some(PATIENCE))? {
                Some((Reply::Exec, handed)) => guest.ruleset = handed,
                Some((Reply::Refused { reason, .. }, _)) => return Err(Error::usage(reason)),
                Some(_) => {
                    return Err(Error::broken(
                        "the container's supervisor does not say whether a command may be executed",
                    ));
                }
                None => return Err(known.silent()),
            }
            if ruleset && guest.ruleset.is_none() {
                return Err(Error::broken(
                    "the container's supervisor has not handed out the ruleset that its command is under",
                ));
            }
        }
        guest.container = Some((known, call));
        Ok(guest)
    }

    /// The process by which the namespaces are joined.
    pub fn joined(&self) -> &OwnedFd {
        &self.joined
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
        let call = self.container.iter().filter(|_| self.open);
        call.map(|(_, call)| PollFd::new(call, PollFlags::IN))
            .collect()
    }

    fn turn(&mut self, running: &mut Running<'_>, happened: &[PollFlags]) {
        if happened.iter().all(|flags| flags.is_empty()) {
            return;
        }
        let received = self.container.as_ref().map(|(_, call)| call.receive());
        if matches!(received, Some(Ok(Received::Closed) | Err(_))) {
            // The container has ended.
            self.open = false;
            if self.sweeps {
                running.kill();
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.container
            .as_ref()
            .is_some_and(|(known, _)| known.folder.is_marked("paused"))
    }
}
