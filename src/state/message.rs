//! What commands ask a container's supervisor, over the socket in its folder: a request and a reply, a message each.

use crate::error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Bytes of a message at most.
pub const LARGEST: usize = 32 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Send the command a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether it is to end it, so that it is not started again.
        stop: bool,
    },
    /// End everything inside, at once (SIGKILL).
    Kill,
    /// Let nothing inside run.
    Pause,
    /// Let all of it run again.
    Resume,
    /// Tell when it has ended, and how.
    Wait,
    /// Show what it writes from now on, and take what is typed.
    Attach,
    /// The window of whoever is attached has this size.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters of a line.
        columns: u16,
    },
    /// Count this connection as that of a command that is executed in it, until it is closed.
    Exec {
        /// Whether there is to be an answer, with the ruleset of the container's command if it has one.
        answer: bool,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done,
    /// It cannot be done.
    Refused {
        /// Why.
        reason: String,
        /// The kernel's answer, where it gave one.
        errno: Option<i32>,
    },
    /// The container has ended.
    Ended(End),
    /// A ruleset of the command's comes with this, if it has one.
    Exec,
}

/// How a container has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct End {
    /// The command's exit status.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Whether its time was over.
    #[serde(default)]
    pub timed_out: bool,
    /// Why there was no command to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl End {
    /// The exit status that stands for it: the command's own, 128+n for signal n, 124 for a time limit, 125 for an error.
    pub fn exit_status(&self) -> u8 {
        match (self.timed_out, self.code, self.signal) {
            (true, ..) => 124,
            (_, Some(code), _) => code as u8,
            (_, _, Some(signal)) => 128 + signal as u8,
            _ => 125,
        }
    }
}

/// A connection with a supervisor.
#[derive(Debug)]
pub struct Call(pub(super) OwnedFd);

/// What has come.
#[derive(Debug)]
pub enum Received {
    /// A message, and a descriptor that came with it.
    Message(Vec<u8>, Option<OwnedFd>),
    /// Nothing yet.
    Nothing,
    /// The other side has gone.
    Closed,
}

impl Call {
    /// A connection that somebody has opened.
    pub fn accepted(socket: OwnedFd) -> Call {
        Call(socket)
    }

    /// Asks, without waiting for the answer.
    ///
    /// # Errors
    /// When the supervisor has gone.
    pub fn ask(&self, request: &Request) -> Result<()> {
        self.send(&json(request), None, SendFlags::empty())
            .map_err(|errno| Error::setup("ask the container's supervisor, sendmsg", errno))
    }

    /// Waits for an answer, so long at most; none when there is none in that time.
    ///
    /// # Errors
    /// When the supervisor has gone, or says what cannot be understood.
    pub fn answer(&self, patience: Option<Duration>) -> Result<Option<(Reply, Option<OwnedFd>)>> {
        if !self.wait(patience)? {
            return Ok(None);
        }
        match self.receive() {
            Ok(Received::Message(bytes, descriptor)) => {
                let reply = serde_json::from_slice(&bytes).map_err(|error| {
                    Error::broken(format!(
                        "read the answer of the container's supervisor: {error}"
                    ))
                })?;
                Ok(Some((reply, descriptor)))
            }
            Ok(Received::Nothing) => Ok(None),
            Ok(Received::Closed) => Err(gone()),
            Err(errno) => Err(Error::setup(
                "read the answer of the container's supervisor, recvmsg",
                errno,
            )),
        }
    }

    /// Waits until there is something to be read; false when there is nothing in this time.
    ///
    /// # Errors
    /// When waiting is refused.
    pub fn wait(&self, patience: Option<Duration>) -> Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let until = patience.map(|patience| std::time::Instant::now() + patience);
        loop {
            let left = until.map(|until| {
                let left = until.saturating_duration_since(std::time::Instant::now());
                Timespec {
                    tv_sec: left.as_secs() as i64,
                    tv_nsec: i64::from(left.subsec_nanos()),
                }
            });
            let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut polled, left.as_ref()) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::setup(
                        "wait for the container's supervisor, poll",
                        errno,
                    ));
                }
            }
        }
    }

    /// Answers. A client that has gone, or that does not read, is not waited for.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn reply(
        &self,
        reply: &Reply,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> std::result::Result<(), Errno> {
        self.send(&json(reply), descriptor, SendFlags::DONTWAIT)
    }

    /// Sends a message as it is.
    ///
    /// # Errors
    /// When it cannot be sent; EAGAIN with DONTWAIT when the other side is behind with reading.
    pub fn send(
        &self,
        bytes: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
        flags: SendFlags,
    ) -> std::result::Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let parts = [IoSlice::new(bytes)];
        let flags = flags | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &parts, &mut control, flags)).map(drop)
    }

    /// Takes the next message that has come.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn receive(&self) -> std::result::Result<Received, Errno> {
        let mut bytes = vec![0u8; LARGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                flags,
            )
        });
        let length = match received {
            Ok(message) if message.bytes > 0 => message.bytes,
            Ok(_) | Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(errno) => return Err(errno),
        };
        let mut descriptor = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                descriptor = descriptors.last();
            }
        }
        bytes.truncate(length);
        Ok(Received::Message(bytes, descriptor))
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The error for a supervisor that has ended without an answer.
fn gone() -> Error {
    Error::broken("the container's supervisor has gone without an answer")
}

fn json<T: Serialize>(message: &T) -> Vec<u8> {
    // Of numbers, words and flags only: there is nothing in it that could not be written.
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_arrives() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let flags = SocketFlags::CLOEXEC;
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let (client, server) = (Call(a), Call::accepted(b));
        assert!(matches!(server.receive(), Ok(Received::Nothing)));
        let request = Request::Signal {
            signal: 15,
            stop: true,
        };
        client.ask(&request).unwrap();
        let Ok(Received::Message(bytes, None)) = server.receive() else {
            panic!("no request");
        };
        assert_eq!(serde_json::from_slice::<Request>(&bytes).unwrap(), request);
        let end = End {
            code: Some(3),
            ..End::default()
        };
        server
            .reply(&Reply::Ended(end.clone()), Some(rustix::stdio::stdin()))
            .unwrap();
        let (reply, descriptor) = client.answer(None).unwrap().unwrap();
        assert!(descriptor.is_some());
        assert_eq!(reply, Reply::Ended(end));
        assert!(client.answer(Some(Duration::ZERO)).unwrap().is_none());
        drop(server);
        assert!(client.answer(None).unwrap_err().step.contains("gone"));
    }
}
