//! The caller's terminal, and the relay between it and the command's own.

use super::clone;
use crate::error::Error;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::termios::{
    OptionalActions, SpecialCodeIndex, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
};

/// Bytes that are on their way in one direction at most.
const RELAYED: usize = 16 * 1024;

/// The settings and the size of the terminal on standard input, or else output, or else error. In the background the
/// settings are not for us, but for the program in front: a shell that edits a line, say.
pub fn callers_settings() -> Option<(Option<Termios>, Winsize)> {
    let terminal = callers_terminal()?;
    let settings = if in_front(terminal) {
        tcgetattr(terminal).ok()
    } else {
        None
    };
    Some((settings, tcgetwinsize(terminal).ok()?))
}

/// Whether the terminal is this process group's to use. A group whose leader is outside of this PID namespace has the
/// number 0, which rustix has no value for; both are taken for the same one then, as a shell is not known to be between.
fn in_front(terminal: BorrowedFd<'_>) -> bool {
    nix::unistd::tcgetpgrp(terminal) == Ok(nix::unistd::getpgrp())
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
    /// Others have had the terminal since its settings were remembered.
    outdated: bool,
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
            outdated: false,
        })
    }

    /// Every key goes through as it is: only while this process is in the foreground, since the terminal is shared.
    pub fn enter_raw_mode(&mut self) {
        let terminal = rustix::stdio::stdin();
        if self.in_raw_mode {
            return;
        }
        if !in_front(terminal) {
            self.outdated = true;
            return;
        }
        if self.outdated
            && let Ok(keeper) = Keeper::new()
        {
            *self = keeper;
        }
        self.in_raw_mode = tcsetattr(terminal, OptionalActions::Now, &self.raw).is_ok();
    }

    fn leave_raw_mode(&mut self) {
        if std::mem::take(&mut self.in_raw_mode) {
            // After the output has gone out, as a program does that leaves the terminal to another.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.saved);
            self.outdated = true;
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
    /// None when it has hung up.
    outer: Option<OwnedFd>,
    keeper: Option<Keeper>,
    /// Typed, not yet taken by the command's terminal.
    input: Vec<u8>,
    input_ended: bool,
    /// The last byte that was typed: whether the next one starts a line.
    last_input: u8,
    /// Shown, not yet taken by whoever reads our standard output.
    output: Vec<u8>,
    /// What was refused first, on the way of what is typed and shown, and how.
    refused: Option<(&'static str, Errno)>,
}

/// What a relay waits for.
#[derive(Clone, Copy)]
pub enum End {
    /// The command's terminal.
    Outer,
    /// Our standard input.
    Input,
    /// Our standard output.
    Output,
}

impl Terminal {
    /// Takes over the relay.
    pub fn new(outer: OwnedFd, keeper: Option<Keeper>) -> Terminal {
        // Writing to a terminal whose program does not read must not keep us from everything else.
        let _ = rustix::fs::fcntl_setfl(
            &outer,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK,
        );
        let (input, output) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            outer: Some(outer),
            keeper,
            input,
            input_ended: false,
            last_input: b'\n',
            output,
            refused: None,
        };
        terminal.resume();
        terminal
    }

    /// What is to be waited for: in each direction the source while nothing is on its way, else the sink.
    pub fn wanted(&self) -> Vec<(End, BorrowedFd<'_>, PollFlags)> {
        let mut wanted = Vec::new();
        if !self.output.is_empty() {
            wanted.push((End::Output, rustix::stdio::stdout(), PollFlags::OUT));
        }
        if let Some(outer) = &self.outer {
            let read = if self.output.is_empty() {
                PollFlags::IN
            } else {
                PollFlags::empty()
            };
            let write = if self.input.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            // One that is not waited for must be left out: its end would be reported all the same, again and again.
            if !(read | write).is_empty() {
                wanted.push((End::Outer, outer.as_fd(), read | write));
            }
            if self.reads_input() {
                wanted.push((End::Input, rustix::stdio::stdin(), PollFlags::IN));
            }
        }
        wanted
    }

    /// A terminal that is read from while in the background would stop us.
    fn reads_input(&self) -> bool {
        let ours = self.keeper.as_ref().is_none_or(|keeper| keeper.in_raw_mode);
        ours && !self.input_ended && self.input.is_empty()
    }

    /// Whether the caller's terminal is used by others. Nothing tells a running job that it was put in front, so that
    /// [`Terminal::come_to_front`] has to ask now and then.
    pub fn in_background(&self) -> bool {
        self.outer.is_some()
            && self
                .keeper
                .as_ref()
                .is_some_and(|keeper| !keeper.in_raw_mode)
    }

    /// Takes the caller's terminal if it is ours to use by now.
    pub fn come_to_front(&mut self) {
        if in_front(rustix::stdio::stdin()) {
            self.resume();
        }
    }

    /// Moves what can be moved; `happened` answers [`Terminal::wanted`]. False when nobody reads our output any more.
    pub fn relay(&mut self, happened: &[PollFlags]) -> bool {
        let mut is_read = true;
        let ends: Vec<End> = self.wanted().into_iter().map(|(end, ..)| end).collect();
        for (end, _) in ends
            .into_iter()
            .zip(happened)
            .filter(|(_, flags)| !flags.is_empty())
        {
            match end {
                End::Outer => {
                    self.take_output();
                    self.pass_input();
                }
                End::Input => self.take_input(),
                End::Output => is_read = self.pass_output(),
            }
        }
        is_read
    }

    /// One piece of the command's output, when the last one has gone. A function of its own, as [`Terminal::take_input`] is:
    /// a buffer in the frame of the one that waits for the command costs every launch its page faults.
    #[inline(never)]
    fn take_output(&mut self) {
        let Some(outer) = self.outer.as_ref().filter(|_| self.output.is_empty()) else {
            return;
        };
        let mut buffer = [0u8; RELAYED];
        match retry_on_intr(|| rustix::io::read(outer, &mut buffer)) {
            Ok(length @ 1..) => self.output.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN) => {}
            // No process has the inner side open. One may open it again by its name, but then as a new user of it.
            Ok(_) | Err(Errno::IO) => self.hang_up(),
            Err(errno) => {
                self.refuse("read from the command's terminal", errno);
                self.hang_up();
            }
        }
    }

    fn refuse(&mut self, step: &'static str, errno: Errno) {
        self.refused.get_or_insert((step, errno));
    }

    /// Why something that was typed or shown did not get where it should.
    pub fn failure(&self) -> Option<Error> {
        let (step, errno) = self.refused?;
        Some(Error::setup(step, errno))
    }

    /// Writes no more than a pipe takes without blocking when it is ready (PIPE_BUF): standard output is shared with
    /// others, and so is not ours to put into non-blocking mode.
    fn pass_output(&mut self) -> bool {
        let length = self.output.len().min(rustix::pipe::PIPE_BUF);
        match rustix::io::write(rustix::stdio::stdout(), &self.output[..length]) {
            Ok(length) => drop(self.output.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Whoever reads it has seen enough, or was a terminal that has hung up.
            Err(Errno::PIPE | Errno::IO) => return false,
            Err(errno) => {
                self.refuse("write what the command shows to standard output", errno);
                return false;
            }
        }
        true
    }

    /// What the command has shown, for a caller who passes nothing on.
    pub fn shown(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Somebody who is attached has typed this.
    pub fn type_keys(&mut self, keys: &[u8]) {
        self.input.extend_from_slice(keys);
        self.pass_input();
    }

    /// The window of somebody who is attached has this size.
    pub fn set_size(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        if let Some(outer) = &self.outer {
            let _ = rustix::termios::tcsetwinsize(outer, size);
        }
    }

    /// Nobody types at our standard input.
    pub fn without_input(mut self) -> Terminal {
        self.input_ended = true;
        self
    }

    /// The end of the command's terminal.
    pub fn hang_up(&mut self) {
        self.outer = None;
        self.input.clear();
        self.output.clear();
    }

    #[inline(never)]
    fn take_input(&mut self) {
        let mut buffer = [0u8; RELAYED];
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(length @ 1..) => {
                self.input.extend_from_slice(&buffer[..length]);
                self.last_input = buffer[length - 1];
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            // EIO: a terminal that has hung up, or is another's.
            Ok(_) | Err(Errno::IO) => self.end_input(),
            Err(errno) => {
                self.refuse("read from standard input for the command's terminal", errno);
                self.end_input();
            }
        }
    }

    /// The end of a file that is not a terminal becomes what a terminal has for it: ^D, and twice after a line without
    /// its end, since the first one then only hands that over.
    fn end_input(&mut self) {
        self.input_ended = true;
        if let Some(settings) = self.outer.as_ref().and_then(|outer| tcgetattr(outer).ok()) {
            let times = if self.last_input == b'\n' { 1 } else { 2 };
            self.input.extend(std::iter::repeat_n(
                settings.special_codes[SpecialCodeIndex::VEOF],
                times,
            ));
        }
    }

    fn pass_input(&mut self) {
        let Some(outer) = self.outer.as_ref().filter(|_| !self.input.is_empty()) else {
            return;
        };
        match rustix::io::write(outer, &self.input) {
            Ok(length) => drop(self.input.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(Errno::IO) => self.input.clear(),
            Err(errno) => {
                self.refuse("write to the command's terminal", errno);
                self.input.clear();
            }
        }
    }

    /// The size of the caller's window has changed.
    pub fn resize(&self) {
        let size = callers_terminal().and_then(|terminal| tcgetwinsize(terminal).ok());
        if let (Some(outer), Some(size)) = (&self.outer, size) {
            let _ = rustix::termios::tcsetwinsize(outer, size);
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

    /// The command has ended: whether there is something left that it has written.
    pub fn has_more_output(&mut self) -> bool {
        self.input_ended = true;
        self.input.clear();
        self.take_output();
        !self.output.is_empty()
    }
}
