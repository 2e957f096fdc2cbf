//! Descriptors that are given to a program, and what comes out of pipes.

use crate::support::DEADLINE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A descriptor that a program inherits under the number that it has here, and in a text that number: one of two digits, since
/// scripts use the others.
pub struct Fd(OwnedFd);

impl Fd {
    /// Any one.
    pub fn of(fd: impl Into<OwnedFd>) -> Fd {
        Fd(rustix::io::fcntl_dupfd_cloexec(fd.into(), 10).unwrap())
    }

    /// One from which this is to be read.
    pub fn text(text: impl AsRef<[u8]>) -> Fd {
        let memory = rustix::fs::memfd_create("text", MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(memory);
        file.write_all(text.as_ref()).unwrap();
        file.rewind().unwrap();
        Fd::of(file)
    }

    /// A file or a directory, to be read.
    pub fn open(path: impl AsRef<Path>) -> Fd {
        Fd::of(File::open(path).unwrap())
    }

    /// The end of a pipe that the program writes to, and the test's.
    pub fn to_test() -> (Fd, PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        (Fd::of(writer), reader)
    }

    /// The end of a pipe that the program reads from, and the test's.
    pub fn from_test() -> (Fd, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        (Fd::of(reader), writer)
    }
}

impl Display for Fd {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        self.0.as_raw_fd().fmt(text)
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Has what `command` starts inherit these.
pub fn inherit(command: &mut Command, fds: &[&Fd]) {
    let fds: Vec<_> = fds.iter().map(|fd| fd.0.as_raw_fd()).collect();
    // SAFETY: system calls only, of descriptors that the caller holds until the program has been started.
    unsafe {
        command.pre_exec(move || {
            let kept = |&fd| rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(fd), FdFlags::empty());
            Ok(fds.iter().try_for_each(kept)?)
        })
    };
}

/// A number that is no descriptor's, here or in a program that is started.
pub const CLOSED: &str = "999";

/// Waits until there is something to read, or the end.
#[track_caller]
pub fn await_input(fd: impl AsFd) {
    let deadline = Timespec::try_from(DEADLINE).unwrap();
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&deadline)).unwrap();
    assert_eq!(ready, 1, "nothing to read within {DEADLINE:?}");
}

/// Whether there is something to read now, or the end.
pub fn has_input(fd: impl AsFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
}

/// All that is written to this pipe before its last writer closes it.
#[track_caller]
pub fn text_of(mut pipe: PipeReader) -> String {
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        await_input(&pipe);
        match pipe.read(&mut part).unwrap() {
            0 => return text,
            length => text.push_str(std::str::from_utf8(&part[..length]).unwrap()),
        }
    }
}
