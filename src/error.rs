//! One error type for the whole library, with one [`Display`](std::fmt::Display).
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// A specialised result: everything that can fail here fails with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of failure it is; decides the exit status that a launcher reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked cannot be: a contradiction, a bad value, something that this user may not have.
    Usage,
    /// The kernel refused a step of the launch.
    Setup,
    /// No control group could be made for the limits, and nothing was started.
    Limits,
    /// The command was found, but cannot be executed.
    NotExecutable,
    /// There is no such command.
    NotFound,
}

/// What a failure is about, for a front whose dialect has words of its own for it: the [`Error::step`] is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file or directory of the host, which is to be seen inside, cannot be found.
    Source(PathBuf),
    /// What a file inside is to hold cannot be read.
    Content(PathBuf),
    /// The name of the host inside.
    Hostname(OsString),
    /// init was ended by this signal when it could not yet tell whether the command was executed.
    KilledInit(i32),
    /// A step of the launcher's, by its number in [`Plan::parent`](crate::Plan::parent).
    Launcher(usize),
}

/// A failure, said once: what was attempted, with its arguments, the kernel's answer, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The sort of failure.
    pub kind: Kind,
    /// What was attempted, with its arguments: lower case, no full stop.
    pub step: String,
    /// The kernel's answer, where it gave one.
    pub errno: Option<i32>,
    /// What the user can do, where the cause is known.
    pub hint: Option<String>,
    /// What it is about, where that has a name.
    pub subject: Option<Box<Subject>>,
}

impl Error {
    /// What was asked cannot be, and `reason` says why.
    pub fn usage(reason: impl Into<String>) -> Self {
        Self::new(Kind::Usage, reason, None)
    }

    /// The kernel refused `step` with `errno`.
    pub fn setup(step: impl Into<String>, errno: impl Into<Errno>) -> Self {
        Self::new(Kind::Setup, step, Some(errno.into().0))
    }

    /// A failure of the set-up that has no errno of its own, such as a process that was killed.
    pub fn broken(step: impl Into<String>) -> Self {
        Self::new(Kind::Setup, step, None)
    }

    fn new(kind: Kind, step: impl Into<String>, errno: Option<i32>) -> Self {
        Error {
            kind,
            step: step.into(),
            errno,
            hint: None,
            subject: None,
        }
    }

    /// The same error as another [`Kind`].
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, with what it is about.
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(Box::new(subject));
        self
    }

    /// The exit status that stands for this failure: 125 for rootlet's own, 126 and 127 for a command that cannot be
    /// executed or is not there, as env(1), docker and POSIX shells have it.
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            Kind::Usage | Kind::Setup | Kind::Limits => 125,
            Kind::NotExecutable => 126,
            Kind::NotFound => 127,
        }
    }
}

impl fmt::Display for Error {
    /// The sentence without the hint: `mount proc on /proc: Operation not permitted (EPERM)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.step)?;
        match self.errno {
            Some(errno) => write!(f, ": {}", Errno(errno)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// An errno that knows its words and its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The symbol: `EPERM`.
    pub fn symbol(self) -> String {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => format!("error {}", self.0),
            known => format!("{known:?}"),
        }
    }
}

impl Errno {
    /// The errno with this symbol.
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        let known = (1..=133).map(Errno);
        known.into_iter().find(|errno| errno.symbol() == symbol)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = nix::errno::Errno::from_raw(self.0);
        match known {
            nix::errno::Errno::UnknownErrno => write!(f, "unknown error {}", self.0),
            _ => {
                // strerror(3)'s words; the standard library adds the number, where the symbol says more.
                let words = std::io::Error::from_raw_os_error(self.0).to_string();
                let words = words.split(" (os error").next().unwrap_or(&words);
                write!(f, "{words} ({known:?})")
            }
        }
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Errno(errno.raw_os_error())
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Errno(errno as i32)
    }
}

impl From<std::io::Error> for Errno {
    /// An error that did not come from the kernel (a short write, say) counts as `EIO`.
    fn from(error: std::io::Error) -> Self {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_step_the_words_and_the_symbol() {
        let error = Error::setup("mount proc on /proc", Errno(libc::EPERM));
        assert_eq!(
            error.to_string(),
            "mount proc on /proc: Operation not permitted (EPERM)"
        );
        assert_eq!(Errno(4095).to_string(), "unknown error 4095");
    }

    #[test]
    fn each_kind_has_its_exit_status() {
        let status = |kind| Error::usage("x").of_kind(kind).exit_status();
        assert_eq!(
            [
                Kind::Usage,
                Kind::Setup,
                Kind::NotExecutable,
                Kind::NotFound
            ]
            .map(status),
            [125, 125, 126, 127]
        );
    }
}
