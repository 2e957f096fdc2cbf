//! The time between the end of a command and its next start.

use super::Service;
use crate::error::{Error, Result};
use crate::parent::companion::Companion;
use crate::parent::supervise::ENDING;
use crate::parent::timespec;
use crate::state::Status;
use crate::sys::{self, SignalSet};
use rustix::event::{PollFd, PollFlags};
use std::time::{Duration, Instant};

impl Service<'_> {
    /// The container will be started again: nobody is told that it has ended. Waits for `delay`, and serves meanwhile;
    /// less if it is to be stopped.
    ///
    /// # Errors
    /// When waiting is refused.
    pub fn restart_after(&mut self, delay: Duration) -> Result<()> {
        self.record.status = Status::Created;
        self.record.restarts += 1;
        self.record.group = None;
        self.record.execs.clear();
        self.ruleset = None;
        self.note(Self::write);
        let set = SignalSet::of(&ENDING);
        let mask = sys::set_signal_mask(set);
        let waited = self.wait_until(Instant::now() + delay, set);
        sys::set_signal_mask(mask);
        waited
    }

    /// Serves until then, or until it is to be stopped.
    fn wait_until(&mut self, until: Instant, ending: SignalSet) -> Result<()> {
        let signals = sys::signalfd(ending)
            .map_err(|errno| Error::setup("open a descriptor for signals", errno))?;
        while !self.stopping && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let mut polled = Companion::wanted(self);
            polled.push(PollFd::new(&signals, PollFlags::IN));
            match rustix::event::poll(&mut polled, Some(&timespec(left))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::setup(
                        "wait to start the container again, poll",
                        errno,
                    ));
                }
            }
            let happened: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
            drop(polled);
            let (happened, asked) = happened.split_at(happened.len() - 1);
            if asked[0].contains(PollFlags::IN) {
                // Taken, so that it is not there when it is no longer blocked.
                let _ = rustix::io::read(&signals, &mut [0u8; 128]);
                self.stopping = true;
            }
            self.serve(None, happened);
        }
        Ok(())
    }
}
