//! The end of whoever has started this process.

use rootlet::error::Error;
use rootlet::parent::{Companion, Running};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal,
};

/// Ends everything when the parent ends. It is watched by a descriptor: PR_SET_PDEATHSIG would take the end of the parent's
/// *thread* for it that has started this process, and say nothing of an end that has been before.
#[derive(Default)]
pub struct ParentWatch {
    parent: Option<OwnedFd>,
    /// Whether somebody has typed ^C or ^\ meanwhile.
    pub interrupted: bool,
}

impl ParentWatch {
    /// None stands for a parent in another PID namespace.
    pub fn of(parent: Option<Pid>) -> Result<Self, Error> {
        let held = match parent {
            Some(parent) => pidfd_open(parent, PidfdFlags::empty()),
            None => Err(Errno::NOSYS),
        };
        let (held, signal) = match held {
            // It was still there when its descriptor had been opened, so that it is its own. One who has been stopped
            // would not see the descriptor.
            Ok(held) if getppid() == parent => (Some(held), Signal::CONT),
            Ok(_) | Err(Errno::SRCH) => {
                return Err(Error::broken(
                    "the process that has started this one has ended",
                ));
            }
            // Before Linux 5.3, or out of sight.
            Err(_) => (None, Signal::KILL),
        };
        set_parent_process_death_signal(Some(signal))
            .map_err(|errno| Error::setup("tie this process to its parent, prctl", errno))?;
        Ok(ParentWatch {
            parent: held,
            interrupted: false,
        })
    }
}

impl Companion for ParentWatch {
    fn wanted(&self) -> Vec<PollFd<'_>> {
        let parent = self.parent.iter();
        parent
            .map(|parent| PollFd::new(parent, PollFlags::IN))
            .collect()
    }

    fn own_fds(&self) -> Vec<RawFd> {
        self.parent.iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn turn(&mut self, running: &mut Running<'_>, happened: &[PollFlags]) {
        if happened.iter().any(|flags| !flags.is_empty()) {
            self.parent = None;
            running.kill();
        }
    }

    fn asked_to_end(&mut self) {
        self.interrupted = true;
    }
}
