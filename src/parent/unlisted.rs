//! A container that nobody has given a name: it is listed when its command has run for a moment. Most are over by then, and
//! pay nothing for a list.

use super::companion::{Companion, Typed};
use super::service::{Listing, Service};
use super::{Event, Outcome, Running};
use crate::child::record::Process;
use crate::child::step::Fallback;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::spec::Spec;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::time::{Duration, Instant};

/// How long a command runs before it is listed.
const UNLISTED: Duration = Duration::from_millis(30);

/// What becomes a [`Service`], if there is the time.
pub struct Unlisted<'s> {
    spec: &'s Spec,
    plan: &'s Plan,
    before: Vec<Before>,
    ruleset: Option<OwnedFd>,
    started: Option<Started>,
    asked_to_end: bool,
    service: Option<Box<Service<'s>>>,
    failure: Option<Error>,
}

/// What happened before there was a list.
enum Before {
    SteppedDown(Process, usize, i32),
    FellBack(Fallback, i32),
}

/// A command that runs.
struct Started {
    pid: i32,
    init: Option<i32>,
    /// The command itself, since its id may be another's by then.
    held: Option<OwnedFd>,
    due: Instant,
}

impl<'s> Unlisted<'s> {
    /// For a container that is launched by `plan`, which `spec` has asked for.
    pub fn new(spec: &'s Spec, plan: &'s Plan) -> Unlisted<'s> {
        Unlisted {
            spec,
            plan,
            before: Vec::new(),
            ruleset: None,
            started: None,
            asked_to_end: false,
            service: None,
            failure: None,
        }
    }

    /// The container has ended: nothing is left of what was known of it.
    ///
    /// # Errors
    /// When it could not be listed, or something is left.
    pub fn end(self, outcome: &Result<Outcome>) -> Result<()> {
        let Some(mut service) = self.service else {
            return self.failure.map_or(Ok(()), Err);
        };
        let failure = service.failure();
        service.end(outcome)?;
        failure.map_or(Ok(()), Err)
    }

    #[cold]
    fn list(&mut self, running: &Running<'_>, started: &Started) -> Result<()> {
        // It may have ended, and whoever has waited for it has not been heard yet.
        if started.held.as_ref().is_none_or(has_ended) {
            return Ok(());
        }
        let listing = Listing {
            remove: true,
            ..Listing::default()
        };
        let mut service = Box::new(Service::new(listing, self.spec, self.plan)?);
        for before in self.before.drain(..) {
            match before {
                Before::SteppedDown(process, step, errno) => {
                    service.stepped_down(process, step, errno);
                }
                Before::FellBack(fallback, errno) => service.fell_back(fallback, errno),
            }
        }
        if let Some(ruleset) = self.ruleset.take() {
            service.take_ruleset(ruleset);
        }
        if self.asked_to_end {
            service.asked_to_end();
        }
        service.started(running, started.pid, started.init);
        self.service = Some(service);
        Ok(())
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    let at_once = rustix::event::Timespec::default();
    !matches!(rustix::event::poll(&mut polled, Some(&at_once)), Ok(0))
}

impl Companion for Unlisted<'_> {
    fn event(&mut self, running: &Running<'_>, event: &Event) {
        if let Some(service) = &mut self.service {
            return service.event(running, event);
        }
        match *event {
            Event::Started { pid, init, .. } => {
                let process = Pid::from_raw(pid);
                let held = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                let due = Instant::now() + UNLISTED;
                self.started = Some(Started {
                    pid,
                    init,
                    held,
                    due,
                });
            }
            Event::SteppedDown {
                process,
                step,
                errno,
            } => self.before.push(Before::SteppedDown(process, step, errno)),
            Event::FellBack { fallback, errno } => {
                self.before.push(Before::FellBack(fallback, errno));
            }
            _ => {}
        }
    }

    fn wanted(&self) -> Vec<PollFd<'_>> {
        let service = self.service.as_ref();
        service.map_or(Vec::new(), |service| service.wanted())
    }

    fn due(&self) -> Option<Instant> {
        self.started.as_ref().map(|started| started.due)
    }

    fn turn(&mut self, running: &mut Running<'_>, happened: &[PollFlags]) {
        if let Some(service) = &mut self.service {
            return service.turn(running, happened);
        }
        let is_due = |started: &mut Started| started.due <= Instant::now();
        if let Some(started) = self.started.take_if(is_due)
            && let Err(error) = self.list(running, &started)
        {
            self.failure = Some(error);
        }
    }

    fn asked_to_end(&mut self) {
        self.asked_to_end = true;
        if let Some(service) = &mut self.service {
            service.asked_to_end();
        }
    }

    fn is_paused(&self) -> bool {
        self.service
            .as_ref()
            .is_some_and(|service| service.is_paused())
    }

    fn typed(&mut self) -> Option<Typed> {
        self.service.as_mut().and_then(|service| service.typed())
    }

    fn take_ruleset(&mut self, ruleset: OwnedFd) {
        self.ruleset = Some(ruleset);
    }
}
