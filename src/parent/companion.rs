//! What a supervisor does beside watching its command.

use super::{Event, Running};
use crate::child::step::Slot;
use crate::sys::RawFd;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use std::time::Instant;

/// Served in the same loop as the command: [`Service`](super::Service) for a container that others may ask for,
/// [`Guest`](super::Guest) for a command in somebody else's.
pub trait Companion {
    /// Descriptors that the plan's steps find open, by slot.
    fn given(&self) -> Vec<(Slot, RawFd)> {
        Vec::new()
    }

    /// Descriptors that it has open for itself.
    fn own_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    /// Something happened inside.
    fn event(&mut self, _running: &Running<'_>, _event: &Event) {}

    /// What is to be waited for.
    fn wanted(&self) -> Vec<PollFd<'_>> {
        Vec::new()
    }

    /// When there is something to be done, whatever happens.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does what there is to do; `happened` answers [`Companion::wanted`].
    fn turn(&mut self, _running: &mut Running<'_>, _happened: &[PollFlags]) {}

    /// Somebody has asked this process to end (SIGTERM, ^C), which the command is told too.
    fn asked_to_end(&mut self) {}

    /// Whether the container is paused, so that its stopping is nobody's wish to stop the supervisor too.
    fn is_paused(&self) -> bool {
        false
    }

    /// Whether what the command writes goes here, and not to the supervisor's own standard output and error.
    fn takes_output(&self) -> bool {
        false
    }

    /// Takes what the command has written to its standard output (1) or error (2).
    fn take_output(&mut self, _standard: i32, _bytes: &[u8]) {}

    /// What others have typed for the command's terminal.
    fn typed(&mut self) -> Option<Typed> {
        None
    }

    /// Takes the ruleset that the command is under.
    fn take_ruleset(&mut self, _ruleset: OwnedFd) {}
}

/// What others have done at the command's terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Keys.
    Keys(Vec<u8>),
    /// Their window's size: rows and columns.
    Size(u16, u16),
}

/// Nothing.
impl Companion for () {}
