//! Listens to the command's filter, and answers as the filter would (seccomp_unotify(2), Linux 5.0).

use crate::plan::Plan;
use crate::seccomp::{Action, Call, Instruction, evaluate};
use crate::sys;
use crate::sys::seccomp::{answer_notification, receive_notification};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// Who decides what the filter leaves open.
pub struct Listener {
    descriptor: OwnedFd,
    /// The filter as it was asked for.
    filter: Vec<Instruction>,
}

impl Listener {
    /// Takes the descriptor over.
    pub fn new(descriptor: OwnedFd, plan: &Plan) -> Listener {
        let filter = plan.listened.as_deref().unwrap_or_default().to_vec();
        Listener { descriptor, filter }
    }

    /// What is to be waited for.
    pub fn wanted(&self) -> PollFd<'_> {
        PollFd::new(&self.descriptor, PollFlags::IN)
    }

    /// Takes one call, and answers it. None if the process has gone that made it.
    ///
    /// # Errors
    /// When there is nobody left under the filter.
    pub fn answer(&self) -> Result<Option<Call>, Errno> {
        let notification = match receive_notification(&self.descriptor) {
            Err(Errno::NOENT | Errno::INTR) => return Ok(None),
            notification => notification?,
        };
        let call = Call {
            number: notification.number,
            arch: notification.arch,
            arguments: notification.arguments,
        };
        let code = evaluate(&self.filter, &call).unwrap_or_default();
        let errno = match code & SECCOMP_RET_ACTION {
            SECCOMP_RET_ERRNO => (code & SECCOMP_RET_DATA) as i32,
            // To be killed, or to be told by SIGSYS. The process is stopped in its call, so that its id is its own.
            _ => {
                let _ = sys::kill(notification.pid, libc::SIGSYS);
                libc::EPERM
            }
        };
        match answer_notification(&self.descriptor, notification.id, errno) {
            Ok(()) | Err(Errno::NOENT | Errno::INTR) => Ok(Some(call)),
            Err(errno) => Err(errno),
        }
    }
}

/// What a filter returned: the action, and with an errno that.
const SECCOMP_RET_ACTION: u32 = 0xffff_0000;
const SECCOMP_RET_DATA: u32 = 0xffff;
const SECCOMP_RET_ERRNO: u32 = Action::Errno(0).code();
