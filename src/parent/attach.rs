//! Somebody's terminal, or files, at a detached container.

use super::terminal::Keeper;
use crate::error::{Error, Result};
use crate::state::{Call, End, Received, Reply, Request};
use crate::sys::{self, SignalSet};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use std::time::{Duration, Instant};

/// What is passed on to the command.
const PASSED: [i32; 6] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// ^P and ^Q, one after the other, leave the container, as docker has it.
const LEAVE: [u8; 2] = [0x10, 0x11];

/// How long it is waited for the second of them before the first one is a key like others.
const BETWEEN: Duration = Duration::from_millis(500);

/// Why it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The container has ended.
    Ended(End),
    /// The user has left it.
    Detached,
}

/// Shows what the command writes, and passes signals on; keys too where it has a terminal (`types`). The calling thread
/// has the signals that are passed on blocked while it runs.
///
/// # Errors
/// When the supervisor does not let one attach, or has gone.
pub fn attach(call: &Call, types: bool) -> Result<Left> {
    call.ask(&Request::Attach)?;
    match call.answer(None)? {
        Some((Reply::Done, _)) => {}
        Some((Reply::Refused { reason, .. }, _)) => return Err(Error::usage(reason)),
        _ => {
            return Err(Error::broken(
                "the container's supervisor does not say whether one may attach",
            ));
        }
    }
    let set = SignalSet::of(&PASSED);
    let mask = sys::set_signal_mask(set);
    let outcome = attached(call, types, set);
    sys::set_signal_mask(mask);
    outcome
}

fn attached(call: &Call, types: bool, set: SignalSet) -> Result<Left> {
    let signals =
        sys::signalfd(set).map_err(|errno| Error::setup("open a descriptor for signals", errno))?;
    let keeper = match types && rustix::termios::isatty(rustix::stdio::stdin()) {
        true => Some(
            Keeper::new().map_err(|errno| Error::setup("keep the terminal's settings", errno))?,
        ),
        false => None,
    };
    let mut attached = Attached {
        call,
        signals,
        reads: types,
        leaving: None,
        keeper,
    };
    if let Some(keeper) = &mut attached.keeper {
        keeper.enter_raw_mode();
        attached.tell_size()?;
    }
    loop {
        if let Some(left) = attached.turn()? {
            return Ok(left);
        }
    }
}

struct Attached<'c> {
    call: &'c Call,
    signals: OwnedFd,
    /// Whether there may be more to read at standard input.
    reads: bool,
    /// Until when the first key of the two that leave is not passed on.
    leaving: Option<Instant>,
    keeper: Option<Keeper>,
}

impl Attached<'_> {
    fn turn(&mut self) -> Result<Option<Left>> {
        let mut polled = vec![
            PollFd::new(self.call, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        if self.reads {
            polled.push(PollFd::from_borrowed_fd(
                rustix::stdio::stdin(),
                PollFlags::IN,
            ));
        }
        let patience = self.leaving.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            super::timespec(left)
        });
        match poll(&mut polled, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::setup("wait for the container, poll", errno)),
        }
        let happened: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        if !happened[1].is_empty() {
            self.pass_signals()?;
        }
        if happened.get(2).is_some_and(|flags| !flags.is_empty()) && self.pass_keys()? {
            return Ok(Some(Left::Detached));
        }
        if self.leaving.is_some_and(|until| until <= Instant::now()) {
            self.leaving = None;
            self.send(&LEAVE[..1])?;
        }
        match happened[0].is_empty() {
            true => Ok(None),
            false => self.take(),
        }
    }

    fn pass_signals(&self) -> Result<()> {
        let mut buffer = [0u8; 128 * 8];
        let length = rustix::io::read(&self.signals, &mut buffer).unwrap_or(0);
        for info in buffer[..length].chunks_exact(128) {
            let signal = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            match signal {
                libc::SIGWINCH => self.tell_size()?,
                _ => self.call.ask(&Request::Signal {
                    signal,
                    stop: false,
                })?,
            }
        }
        Ok(())
    }

    fn tell_size(&self) -> Result<()> {
        match rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
            Ok(size) if self.keeper.is_some() => self.call.ask(&Request::Resize {
                rows: size.ws_row,
                columns: size.ws_col,
            }),
            _ => Ok(()),
        }
    }

    /// Whether the user leaves.
    fn pass_keys(&mut self) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        let length = match retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut buffer)) {
            Ok(length @ 1..) => length,
            Ok(_) | Err(Errno::IO) => {
                self.reads = false;
                return Ok(false);
            }
            Err(Errno::AGAIN) => return Ok(false),
            Err(errno) => return Err(Error::setup("read from standard input", errno)),
        };
        let begun = self.leaving.take().map(|_| LEAVE[0]);
        let mut keys: Vec<u8> = begun
            .into_iter()
            .chain(buffer[..length].iter().copied())
            .collect();
        if self.keeper.is_some() {
            if keys.windows(2).any(|two| two == LEAVE) {
                return Ok(true);
            }
            if keys.last() == Some(&LEAVE[0]) {
                keys.pop();
                self.leaving = Some(Instant::now() + BETWEEN);
            }
        }
        self.send(&keys)?;
        Ok(false)
    }

    fn send(&self, keys: &[u8]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        self.call
            .send(&[&[0], keys].concat(), None, SendFlags::empty())
            .map_err(|errno| Error::setup("send the container what was typed", errno))
    }

    /// Shows what has come, or tells the end.
    fn take(&mut self) -> Result<Option<Left>> {
        loop {
            let bytes = match self.call.receive() {
                Ok(Received::Message(bytes, _)) => bytes,
                Ok(Received::Nothing) => return Ok(None),
                Ok(Received::Closed) => return Err(Error::broken("the container's supervisor has closed the connection")
                    .with_hint("it does so when it was killed, or when what it shows is not read: `rootlet logs` has all of it")),
                Err(errno) => return Err(Error::setup("read what the container shows", errno)),
            };
            match bytes.split_first() {
                Some((1, shown)) => show(1, shown)?,
                Some((2, shown)) => show(2, shown)?,
                _ => {
                    if let Ok(Reply::Ended(end)) = serde_json::from_slice(&bytes) {
                        return Ok(Some(Left::Ended(end)));
                    }
                }
            }
        }
    }
}

fn show(standard: i32, bytes: &[u8]) -> Result<()> {
    use std::io::{ErrorKind, Write};
    let shown = match standard {
        2 => std::io::stderr().write_all(bytes),
        _ => {
            let mut out = std::io::stdout();
            out.write_all(bytes).and_then(|()| out.flush())
        }
    };
    match shown {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::setup("show what the command has written", error))
        }
        _ => Ok(()),
    }
}
