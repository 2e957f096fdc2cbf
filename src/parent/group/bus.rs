//! A connection to a D-Bus: enough of it for one request. docs/dependencies.md says why it is written here.

use super::message::{Call, FIXED, Kind, Message, Writer, length};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection that has been let in.
pub struct Bus {
    stream: UnixStream,
    serial: u32,
    until: Instant,
}

/// Why a bus was of no help.
#[derive(Debug)]
pub enum Trouble {
    /// It could not be spoken to.
    Broken(io::Error),
    /// It said something else than it should.
    Nonsense(&'static str),
    /// It refused the request: the name of the error, and its words.
    Refused(String, String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Broken(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::error::Errno;
        match self {
            Trouble::Broken(error) if is_late(error) => f.write_str("no answer in time"),
            Trouble::Broken(error) => match error.raw_os_error() {
                Some(errno) => write!(f, "{}", Errno(errno)),
                None => write!(f, "{error}"),
            },
            Trouble::Nonsense(what) => f.write_str(what),
            Trouble::Refused(name, words) => write!(f, "{words} ({name})"),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl Bus {
    /// Connects to the bus at `socket`, and says who we are. All that is done on it has to be done in `time`.
    pub fn connect(socket: &Path, uid: u32, time: Duration) -> Result<Bus, Trouble> {
        let mut bus = Bus {
            stream: UnixStream::connect(socket)?,
            serial: 0,
            until: Instant::now() + time,
        };
        // The kernel tells the other side who we are; EXTERNAL says that this is meant. The name is the number in
        // decimal digits, each byte in hexadecimal ones.
        let name: String = uid
            .to_string()
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        bus.send(format!("\0AUTH EXTERNAL {name}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n") {
            if answer.len() > 1000 {
                return Err(Trouble::Nonsense("it does not speak D-Bus"));
            }
            let mut byte = [0];
            bus.receive(&mut byte)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"OK ") {
            return Err(Trouble::Nonsense("it does not let this user in"));
        }
        bus.send(b"BEGIN\r\n")?;
        bus.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            signature: "",
            body: Writer::default(),
        })?;
        Ok(bus)
    }

    /// Asks to be told of the signals that `rule` describes.
    pub fn listen(&mut self, rule: &str) -> Result<(), Trouble> {
        let mut body = Writer::default();
        body.string(rule);
        self.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "AddMatch",
            signature: "s",
            body,
        })
        .map(drop)
    }

    /// Calls, and waits for the answer. Returns the signals that came before it.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Vec<Message>, Trouble> {
        self.serial += 1;
        let serial = self.serial;
        self.send(&call.to_bytes(serial))?;
        let mut signals = Vec::new();
        loop {
            let message = self.next()?;
            match message.kind {
                Kind::Return if message.answers == serial => return Ok(signals),
                Kind::Error if message.answers == serial => {
                    let words = message.strings().first().copied().unwrap_or_default();
                    return Err(Trouble::Refused(message.error.clone(), words.to_string()));
                }
                Kind::Signal => signals.push(message),
                _ => {}
            }
        }
    }

    /// The next message.
    pub fn next(&mut self) -> Result<Message, Trouble> {
        let mut fixed = [0; FIXED];
        self.receive(&mut fixed)?;
        let nonsense = Trouble::Nonsense("it sent what is no message");
        let Some(length) = length(&fixed) else {
            return Err(nonsense);
        };
        let mut bytes = fixed.to_vec();
        bytes.resize(length, 0);
        self.receive(&mut bytes[FIXED..])?;
        Message::read(&bytes).ok_or(nonsense)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write_all(bytes)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(&mut bytes[done..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}
