//! The end of a container: all who wait are told, and it is written down, or nothing is left of it.

use super::{Client, Service};
use crate::error::Result;
use crate::parent::{Outcome, timespec};
use crate::state::{End, Reply, Status, milliseconds};
use rustix::event::PollFd;
use std::time::{Duration, Instant, SystemTime};

/// How long it is waited at the end for those who have not yet read what the command has written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often the end of a container is written down, or its folder removed, where that is refused; and how long is waited
/// between.
const LAST_ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

impl Service<'_> {
    /// The container has ended for good: tells all who wait, writes it down, or removes what was known of it.
    ///
    /// # Errors
    /// When that cannot be done. All who wait have been told.
    pub fn end(mut self, outcome: &Result<Outcome>) -> Result<()> {
        let end = end_of(outcome);
        self.close_log();
        let reply = Reply::Ended(end.clone());
        self.last_words(&reply);
        let ended = milliseconds(SystemTime::now());
        self.record.status = Status::Exited { ended, end };
        self.record.execs.clear();
        let started = self.on_start.is_none() || outcome.is_ok();
        // Who asked for a detached container that could not be started is told so, and has no name for it.
        let remove = self.listing.remove || self.forsaken.is_some() || !started;
        let mut done = match remove {
            true => at_last(|| self.held.remove()),
            false => at_last(|| self.held.write(&self.record)),
        };
        // It can be over before the caller has told of it.
        if !remove && self.caller.take().is_some_and(|caller| !caller.has_told()) {
            done = at_last(|| self.held.remove());
        }
        // Who has called meanwhile is told too, and is not to take this for a supervisor that was killed.
        let told = std::mem::take(&mut self.clients);
        self.accept();
        self.clients.iter_mut().for_each(Client::wait);
        self.last_words(&reply);
        self.clients.iter_mut().for_each(Client::hear_no_more);
        drop(told);
        done
    }

    /// Tells those who wait and those who are attached how it has ended.
    fn last_words(&mut self, reply: &Reply) {
        let until = Instant::now() + LAST_WORDS;
        self.clients.iter_mut().for_each(|client| client.end(reply));
        while self.clients.iter().any(Client::is_behind) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let mut polled: Vec<PollFd<'_>> = self.clients.iter().map(Client::wanted).collect();
            let ready = rustix::event::poll(&mut polled, Some(&timespec(left)));
            drop(polled);
            if !matches!(ready, Ok(1..) | Err(rustix::io::Errno::INTR)) {
                return;
            }
            self.clients.iter_mut().for_each(Client::pass);
            self.clients.retain(Client::is_open);
        }
    }
}

/// Does what is done last, once more if the kernel refuses it: a disk may be full for a moment, and nobody comes after
/// this process who would do it.
fn at_last(mut done: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 1..LAST_ATTEMPTS {
        match done() {
            Err(error) if error.errno.is_some() => std::thread::sleep(BETWEEN_ATTEMPTS),
            done => return done,
        }
    }
    done()
}

fn end_of(outcome: &Result<Outcome>) -> End {
    let end = End::default();
    match outcome {
        Ok(Outcome::Exited(code)) => End {
            code: Some(*code),
            ..end
        },
        Ok(Outcome::Killed(signal)) => End {
            signal: Some(*signal),
            ..end
        },
        Ok(Outcome::TimedOut) => End {
            timed_out: true,
            ..end
        },
        Err(error) => End {
            error: Some(error.to_string()),
            ..end
        },
    }
}
