//! Somebody who asks.

use crate::error::Error;
use crate::parent::companion::Typed;
use crate::state::{Call, Process, Received, Reply, Request, processes};
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::VecDeque;

/// Bytes of the command's output that somebody may be behind with reading.
const MOST_BEHIND: usize = 1 << 20;

/// Bytes of output in a message at most.
const PIECE: usize = 16 * 1024;

/// A connection, and what is wanted over it.
pub struct Client {
    call: Call,
    /// Who asks.
    peer: Process,
    /// Whether that is in the user namespace of the supervisor: what is inside a container may see the socket of another, and
    /// may connect to it where it may not even write.
    is_outside: bool,
    wants: Wants,
    /// Messages that are not sent yet.
    behind: VecDeque<Vec<u8>>,
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// An answer at a time.
    Answers,
    /// To be told of the end.
    End,
    /// All that is written, and then the end.
    Output,
    /// To be counted.
    Exec,
}

/// What has come from a client.
pub enum Heard {
    Nothing,
    Typed(Typed),
    Asked(Request),
}

impl Client {
    /// None for somebody who is not this user, or has gone.
    pub fn new(socket: OwnedFd) -> Option<Client> {
        // Not rustix's, which has no value for 0, the pid of a peer outside of this PID namespace.
        let peer = nix::sys::socket::getsockopt(&socket, PeerCredentials).ok()?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            return None;
        }
        let pid = peer.pid();
        Some(Client {
            call: Call::accepted(socket),
            peer: processes::identify(pid).unwrap_or(Process { pid: 0, start: 0 }),
            is_outside: processes::is_in_own_user_namespace(pid),
            wants: Wants::Answers,
            behind: VecDeque::new(),
            open: true,
        })
    }

    pub fn wanted(&self) -> PollFd<'_> {
        let writes = match self.behind.is_empty() {
            true => PollFlags::empty(),
            false => PollFlags::OUT,
        };
        PollFd::new(&self.call, PollFlags::IN | writes)
    }

    /// Sends what can be sent, and takes what has come.
    pub fn turn(&mut self) -> Heard {
        self.pass();
        match self.call.receive() {
            Ok(Received::Nothing) => Heard::Nothing,
            Ok(Received::Message(bytes, _)) => match bytes.split_first() {
                Some((0, keys)) => Heard::Typed(Typed::Keys(keys.to_vec())),
                _ if !self.is_outside => {
                    self.refuse(&Error::usage(
                        "this was asked from another user namespace, as from inside a container, which has no say in others",
                    ));
                    Heard::Nothing
                }
                _ => match serde_json::from_slice(&bytes) {
                    Ok(request) => Heard::Asked(request),
                    Err(error) => {
                        self.refuse(&Error::usage(format!(
                            "the request is not understood: {error}"
                        )));
                        Heard::Nothing
                    }
                },
            },
            Ok(Received::Closed) | Err(_) => {
                self.close();
                Heard::Nothing
            }
        }
    }

    /// Sends what can be sent without waiting.
    pub fn pass(&mut self) {
        while let Some(message) = self.behind.front() {
            match self.call.send(message, None, SendFlags::DONTWAIT) {
                Ok(()) => drop(self.behind.pop_front()),
                Err(Errno::AGAIN) => return,
                Err(_) => return self.close(),
            }
        }
    }

    fn send(&mut self, message: Vec<u8>) {
        self.behind.push_back(message);
        self.pass();
        let length: usize = self.behind.iter().map(Vec::len).sum();
        if length > MOST_BEHIND {
            self.close();
        }
    }

    pub fn reply(&mut self, reply: &Reply) {
        self.send(serde_json::to_vec(reply).unwrap_or_default());
    }

    pub fn refuse(&mut self, error: &Error) {
        self.reply(&Reply::Refused {
            reason: error.step.clone(),
            errno: error.errno,
        });
    }

    pub fn wait(&mut self) {
        self.wants = Wants::End;
    }

    pub fn attach(&mut self) {
        self.wants = Wants::Output;
        self.reply(&Reply::Done);
    }

    /// Counts it, and hands out the ruleset.
    pub fn execute(&mut self, answer: bool, ruleset: Option<BorrowedFd<'_>>) {
        self.wants = Wants::Exec;
        if answer && self.call.reply(&Reply::Exec, ruleset).is_err() {
            self.close();
        }
    }

    /// The process that waits for a command that is executed in the container.
    pub fn executes(&self) -> Option<Process> {
        (self.wants == Wants::Exec && self.open).then_some(self.peer)
    }

    pub fn is_attached(&self) -> bool {
        self.wants == Wants::Output && self.open
    }

    /// Sends what the command has written: the descriptor's number, and then that.
    pub fn show(&mut self, standard: i32, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.send([&[standard as u8], piece].concat());
        }
    }

    /// The container has ended.
    pub fn end(&mut self, reply: &Reply) {
        if matches!(self.wants, Wants::End | Wants::Output) {
            self.reply(reply);
        }
    }

    /// Takes what has come: of a connection that is closed with anything unread in it, the other side is told that it was
    /// broken off, and not what was said last.
    pub fn hear_no_more(&mut self) {
        let _ = rustix::net::shutdown(&self.call, rustix::net::Shutdown::Read);
        while let Ok(Received::Message(..)) = self.call.receive() {}
    }

    pub fn is_behind(&self) -> bool {
        self.open && !self.behind.is_empty()
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn close(&mut self) {
        self.open = false;
        self.behind.clear();
    }
}
