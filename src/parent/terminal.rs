//! The caller's terminal, and the relay between it and the command's own.

use super::clone;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
};

/// Bytes that are on their way in one direction at most.
const RELAYED: usize = 16 * 1024;

/// The settings and the size of the terminal on standard input, or else output, or else error.
pub fn callers_settings() -> Option<(Termios, Winsize)> {
    let terminal = callers_terminal()?;
    Some((tcgetattr(terminal).ok()?, tcgetwinsize(terminal).ok()?))
}

fn callers_terminal() -> Option<BorrowedFd<'static>> {
    let standard = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    standard.into_iter().find(|fd| rustix::termios::isatty(fd))
}

/// The caller's terminal on standard input, whose settings come back whatever happens to this process: a small process
/// waits for its end (see [`crate::child::keep_terminal`]).
pub struct Keeper {
    saved: Termios,
    raw: Termios,
    pid: i32,
    life: Option<OwnedFd>,
    in_raw_mode: bool,
}

impl Keeper {
    /// Remembers the settings as they are now.
    pub fn new() -> Result<Keeper, Errno> {
        let terminal = rustix::stdio::stdin();
        let saved = tcgetattr(terminal)?;
        let mut raw = saved.clone();
        raw.make_raw();
        let (watched, life) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let pid = clone::terminal_keeper(terminal.as_raw_fd(), watched.as_raw_fd(), &raw, &saved)?;
        Ok(Keeper {
            saved,
            raw,
            pid,
            life: Some(life),
            in_raw_mode: false,
        })
    }

    /// Every key goes through as it is: only while this process is in the foreground, since the terminal is shared.
    fn enter_raw_mode(&mut self) {
        let terminal = rustix::stdio::stdin();
        let foreground = rustix::termios::tcgetpgrp(terminal) == Ok(rustix::process::getpgrp());
        if foreground && !self.in_raw_mode {
            self.in_raw_mode = tcsetattr(terminal, OptionalActions::Now, &self.raw).is_ok();
        }
    }

    fn leave_raw_mode(&mut self) {
        if std::mem::take(&mut self.in_raw_mode) {
            // After the output has gone out, as a program does that leaves the terminal to another.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.saved);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.leave_raw_mode();
        drop(self.life.take());
        let options = rustix::process::WaitOptions::from_bits_retain(libc::__WALL as u32);
        let pid = rustix::process::Pid::from_raw(self.pid);
        while let Err(Errno::INTR) = rustix::process::waitpid(pid, options) {}
    }
}

/// The outer side of the command's terminal, and what is on its way to and from it.
pub struct Terminal {
    outer: OwnedFd,
    keeper: Option<Keeper>,
    /// Typed, not yet taken by the command's terminal.
    input: Vec<u8>,
    input_ended: bool,
    outer_ended: bool,
}

impl Terminal {
    /// Takes over the relay.
    pub fn new(outer: OwnedFd, keeper: Option<Keeper>) -> Terminal {
        // Writing to a terminal whose program does not read must not keep us from everything else.
        let _ = rustix::fs::fcntl_setfl(
            &outer,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK,
        );
        let mut terminal = Terminal {
            outer,
            keeper,
            input: Vec::new(),
            input_ended: false,
            outer_ended: false,
        };
        terminal.resume();
        terminal
    }

    /// What is to be waited for: standard input while there is room for it, the command's terminal.
    pub fn wanted(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut wanted = Vec::new();
        if !self.outer_ended {
            let pending = if self.input.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            wanted.push((self.outer.as_fd(), PollFlags::IN | pending));
            if self.reads_input() {
                wanted.push((rustix::stdio::stdin(), PollFlags::IN));
            }
        }
        wanted
    }

    /// A terminal that is read from while in the background would stop us.
    fn reads_input(&self) -> bool {
        let ours = self.keeper.as_ref().is_none_or(|keeper| keeper.in_raw_mode);
        ours && !self.input_ended && self.input.is_empty()
    }

    /// Moves what can be moved; `happened` answers [`Terminal::wanted`].
    pub fn relay(&mut self, happened: &[PollFlags]) {
        if happened
            .first()
            .is_some_and(|flags| flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR))
        {
            self.pass_output();
        }
        if happened.get(1).is_some_and(|flags| !flags.is_empty()) {
            self.take_input();
        }
        if !self.input.is_empty() {
            self.pass_input();
        }
    }

    /// One piece of the command's output; false when there is no more now.
    fn pass_output(&mut self) -> bool {
        let mut buffer = [0u8; RELAYED];
        match rustix::io::read(&self.outer, &mut buffer) {
            Ok(length @ 1..) => {
                if write_all(rustix::stdio::stdout(), &buffer[..length]).is_err() {
                    // Nobody reads us any more: the command's terminal hangs up, as the reader's has.
                    self.outer_ended = true;
                }
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            // EIO: no process has the inner side open. One may open it again by its name, but then as a new user of it.
            Ok(_) | Err(_) => {
                self.outer_ended = true;
                false
            }
        }
    }

    fn take_input(&mut self) {
        let mut buffer = [0u8; RELAYED];
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(length @ 1..) => self.input.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(_) | Err(_) => self.end_input(),
        }
    }

    /// The end of a file that is not a terminal becomes what a terminal has for it, ^D.
    fn end_input(&mut self) {
        self.input_ended = true;
        if let Ok(settings) = tcgetattr(&self.outer) {
            self.input
                .push(settings.special_codes[SpecialCodeIndex::VEOF]);
        }
    }

    fn pass_input(&mut self) {
        match rustix::io::write(&self.outer, &self.input) {
            Ok(length) => drop(self.input.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.input.clear(),
        }
    }

    /// The size of the caller's window has changed.
    pub fn resize(&self) {
        if let Some(size) = callers_terminal().and_then(|terminal| tcgetwinsize(terminal).ok()) {
            let _ = rustix::termios::tcsetwinsize(&self.outer, size);
        }
    }

    /// The caller's terminal is its own again, for a while.
    pub fn suspend(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.leave_raw_mode();
        }
    }

    /// The caller's terminal is the command's.
    pub fn resume(&mut self) {
        self.resize();
        if let Some(keeper) = &mut self.keeper {
            keeper.enter_raw_mode();
        }
    }

    /// The command has ended: what it has written last is passed on, and the terminal is put back.
    pub fn finish(&mut self) {
        while !self.outer_ended && self.pass_output() {}
        self.suspend();
    }
}

/// Writes all of it, waiting where the descriptor is in non-blocking mode.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut ready = [rustix::event::PollFd::from_borrowed_fd(
                    fd.as_fd(),
                    PollFlags::OUT,
                )];
                let _ = rustix::event::poll(&mut ready, None);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
