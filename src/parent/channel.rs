//! The launcher's end of the reports.

use super::group::Usage;
use crate::child::record::{Kind, Process, Record};
use crate::child::step::Fallback;
use crate::seccomp::Call;
use crate::sys::RawPid;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use std::mem::MaybeUninit;

/// Something that happened inside.
#[derive(Debug)]
pub enum Event {
    /// A step is done.
    Done {
        /// By which process.
        process: Process,
        /// Which step of its list.
        step: usize,
        /// When: nanoseconds of the real-time clock.
        nanos: u64,
    },
    /// A step was refused, and what the plan names instead was done.
    SteppedDown {
        /// By which process.
        process: Process,
        /// Which step of its list.
        step: usize,
        /// The kernel's answer.
        errno: i32,
    },
    /// A step was refused.
    Failed {
        /// To which process.
        process: Process,
        /// Which step of its list.
        step: usize,
        /// The kernel's answer.
        errno: i32,
    },
    /// A system call is not to be had, and an older one is used in its place, with the same result.
    FellBack {
        /// Which.
        fallback: Fallback,
        /// The kernel's answer.
        errno: i32,
    },
    /// A system call is not to be had, and no older one may be used: the step fails that needs it.
    Missing(Fallback),
    /// All is set up, and the exec is next. Where there is no init this is the last that is heard.
    Ready,
    /// The command has been executed.
    Started {
        /// The command, as the launcher sees it.
        pid: i32,
        /// init, likewise; none when the command itself is process 1.
        init: Option<i32>,
        /// When: nanoseconds of the real-time clock.
        nanos: u64,
    },
    /// The command's filter did not let this call through; only where somebody listens ([`crate::Plan::listening`]).
    Refused(Call),
    /// The outer side of the command's terminal.
    Terminal(OwnedFd),
    /// The descriptor by which it is answered what the command's filter refuses. When it is closed, such calls fail with
    /// ENOSYS.
    Listener(OwnedFd),
    /// The ruleset that set-up has made for the command.
    Ruleset(OwnedFd),
    /// A directory above a place that was to be made could not be made: the failure of that step follows.
    NoDirectory,
    /// What is in the way of a link that was to be made: the failure of that step follows.
    InTheWay(OwnedFd),
    /// The command was stopped by a signal.
    Stopped(i32),
    /// The command exited.
    Exited(i32),
    /// The command was ended by a signal.
    Killed(i32),
    /// All has ended, and this is what it has used; only where there is a control group. It comes last.
    Used(Usage),
    /// What was told could not be read, because of this errno: nothing more is known.
    Unread(i32),
}

/// A socket and not a pipe, since the kernel writes down who sent each message, and says it in the receiver's process
/// ids (unix(7), SO_PASSCRED): nothing else tells the launcher which process in the container the command is.
pub struct Channel(OwnedFd);

impl Channel {
    /// The launcher's end and the other one.
    pub fn new() -> Result<(Channel, OwnedFd), Errno> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::sockopt::set_socket_passcred(&ours, true)?;
        Ok((Channel(ours), theirs))
    }

    /// Waits for the next event; none when the other end is closed in every process. `init` is init's process id, where
    /// there is one.
    pub fn receive(&self, init: Option<RawPid>) -> Option<Event> {
        let mut bytes = [0u8; Record::SIZE];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message.bytes,
                Err(Errno::INTR) => {}
                Err(errno) => return Some(Event::Unread(errno.raw_os_error())),
            }
        };
        let (mut sender, mut descriptor) = (0, None);
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(credentials) => {
                    sender = credentials.pid.as_raw_nonzero().get()
                }
                RecvAncillaryMessage::ScmRights(descriptors) => descriptor = descriptors.last(),
                _ => {}
            }
        }
        let record = Record::from_bytes(&bytes[..length])?;
        let (process, step) = (record.process, usize::from(record.step));
        Some(match record.kind {
            Kind::Done => Event::Done {
                process,
                step,
                nanos: record.nanos,
            },
            Kind::SteppedDown => Event::SteppedDown {
                process,
                step,
                errno: record.value,
            },
            Kind::Failed => Event::Failed {
                process,
                step,
                errno: record.value,
            },
            Kind::FellBack => Event::FellBack {
                fallback: *Fallback::ALL.get(step)?,
                errno: record.value,
            },
            Kind::Missing => Event::Missing(*Fallback::ALL.get(step)?),
            Kind::Ready => Event::Ready,
            Kind::Started => Event::Started {
                pid: if record.value == 0 {
                    sender
                } else {
                    record.value
                },
                init,
                nanos: record.nanos,
            },
            Kind::Terminal => Event::Terminal(descriptor?),
            Kind::Listener => Event::Listener(descriptor?),
            Kind::Ruleset => Event::Ruleset(descriptor?),
            Kind::NoDirectory => Event::NoDirectory,
            Kind::InTheWay => Event::InTheWay(descriptor?),
            Kind::Stopped => Event::Stopped(record.value),
            Kind::Exited => Event::Exited(record.value),
            Kind::Killed => Event::Killed(record.value),
        })
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
