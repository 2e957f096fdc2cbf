//! A terminal to test in: a program in a session of its own, on a pseudo-terminal that the test types into and reads.
#![allow(dead_code, reason = "each test program uses a part of it")]

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take that is certain to happen. Nothing is measured by it: it only keeps a failure from
/// hanging.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `happened`, or fails saying `what` did not.
pub fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What is seen of a program, and where one types.
pub struct Screen {
    outer: OwnedFd,
    /// Open all the time, so that the settings can be read when the program has ended.
    inner: OwnedFd,
    program: Child,
    /// Shown, but not asked for yet.
    shown: Vec<u8>,
}

impl Screen {
    /// Starts `command` as the leader of a new session which has this terminal.
    pub fn start(command: &mut Command) -> Screen {
        Screen::start_with(command, |_| ())
    }

    /// The same, on a terminal whose settings `change` has changed.
    pub fn start_with(command: &mut Command, change: impl FnOnce(&mut Termios)) -> Screen {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let outer = rustix::fs::open("/dev/ptmx", flags, Mode::empty()).unwrap();
        rustix::pty::unlockpt(&outer).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let inner = rustix::pty::ioctl_tiocgptpeer(&outer, flags).unwrap();
        let mut settings = tcgetattr(&inner).unwrap();
        change(&mut settings);
        tcsetattr(&inner, OptionalActions::Now, &settings).unwrap();

        let standard = || inner.try_clone().unwrap();
        command
            .stdin(standard())
            .stdout(standard())
            .stderr(standard());
        // SAFETY: system calls only, none of which allocates or takes a lock.
        unsafe {
            command.pre_exec(|| {
                // Whoever started the tests in the background has interrupts ignored.
                for signal in [
                    libc::SIGINT,
                    libc::SIGQUIT,
                    libc::SIGHUP,
                    libc::SIGTSTP,
                    libc::SIGTTIN,
                    libc::SIGTTOU,
                ] {
                    rootlet::sys::set_signal_disposition(signal, libc::SIG_DFL)?;
                }
                rustix::process::setsid()?;
                Ok(rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?)
            })
        };
        let program = command.spawn().unwrap();
        // The command holds descriptors of the terminal too.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let screen = Screen {
            outer,
            inner,
            program,
            shown: Vec::new(),
        };
        screen.resize(24, 80);
        screen
    }

    /// The process that was started.
    pub fn pid(&self) -> i32 {
        self.program.id() as i32
    }

    /// The terminal's name.
    pub fn name(&self) -> String {
        rustix::termios::ttyname(&self.inner, Vec::new())
            .unwrap()
            .into_string()
            .unwrap()
    }

    /// Every setting, for comparison.
    pub fn settings(&self) -> String {
        format!("{:?}", tcgetattr(&self.inner).unwrap())
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(
            &self.outer,
            Winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )
        .unwrap();
    }

    /// Presses keys.
    pub fn types(&mut self, keys: impl AsRef<[u8]>) {
        let mut keys = keys.as_ref();
        let end = Instant::now() + DEADLINE;
        while !keys.is_empty() {
            match rustix::io::write(&self.outer, keys) {
                Ok(length) => keys = &keys[length..],
                Err(Errno::AGAIN) => self.look(),
                Err(errno) => panic!("type: {errno}"),
            }
            assert!(
                Instant::now() < end,
                "nobody takes the keys; on the screen: {:?}",
                self.text()
            );
        }
    }

    /// Waits until `text` is shown, and returns all that was shown up to it. What is waited for next comes after it.
    pub fn shows(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self
                .shown
                .windows(text.len())
                .position(|window| window == text.as_bytes())
            {
                let rest = self.shown.split_off(at + text.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.shown, rest))
                    .into_owned();
            }
            assert!(
                Instant::now() < end,
                "{text:?} is not shown, but {:?}",
                self.text()
            );
            self.look();
        }
    }

    /// Waits until the program ends; returns how, and all that it has shown last.
    pub fn ends(&mut self) -> (ExitStatus, String) {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < end,
                "the program does not end; on the screen: {:?}",
                self.text()
            );
            self.look();
        };
        while self.take() {}
        (
            status,
            String::from_utf8_lossy(&std::mem::take(&mut self.shown)).into_owned(),
        )
    }

    /// Closes the window. The program gets SIGHUP.
    pub fn hang_up(self) -> Child {
        self.program
    }

    /// How many bytes wait in the terminal to be read by somebody inside.
    pub fn unread_keys(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.inner).unwrap()
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.shown)
    }

    /// Waits a moment for something to be shown.
    fn look(&mut self) {
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        let _ = poll(
            &mut [PollFd::new(&self.outer, PollFlags::IN)],
            Some(&moment),
        );
        self.take();
    }

    /// Takes a piece of what is shown; false when there is none.
    fn take(&mut self) -> bool {
        let mut buffer = [0; 65536];
        match rustix::io::read(&self.outer, &mut buffer) {
            Ok(length @ 1..) => {
                self.shown.extend_from_slice(&buffer[..length]);
                true
            }
            _ => false,
        }
    }
}
