//! The command that has asked for a detached container, until it has told its user that there is one.

use crate::error::Error;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};

/// The connection with it. What it sends, whatever that is, says that its user knows of the container.
pub struct Caller(OwnedFd);

impl Caller {
    pub fn new(connection: OwnedFd) -> Caller {
        Caller(connection)
    }

    pub fn wanted(&self) -> PollFd<'_> {
        PollFd::new(&self.0, PollFlags::IN)
    }

    /// Waits until it has told its user, or has gone. Where that cannot be learnt, the container is not ended for it.
    pub fn has_told(&self) -> bool {
        let heard = retry_on_intr(|| rustix::io::read(&self.0, &mut [0u8; 1]));
        !matches!(heard, Ok(0) | Err(Errno::CONNRESET))
    }
}

/// Why a container is ended of which nobody has been told.
pub fn gone() -> Error {
    Error::broken("the command that has asked for the container ended before it could tell of it")
}
