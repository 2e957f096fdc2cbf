//! Questions about files that the kernel does not answer.
//!
//! "Is it there?" has many answers, and an error is one: nothing has that name (ENOENT), one may not look (EACCES). That
//! there is no memory or no descriptor left, that the call was interrupted, or that a filter takes it away, is none: who
//! took it for "no" would start another container than was asked for.

use crate::error::{Errno, Error, Result};
use rustix::fs::{Mode, OFlags};
use std::cell::OnceCell;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Whether `errno` tells nothing of the file that was asked about.
pub fn is_no_answer(errno: &Errno) -> bool {
    const NONE: [i32; 8] = [
        libc::EAGAIN,
        libc::EINTR,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOSPC,
        libc::ENOSYS,
        libc::EPERM,
    ];
    NONE.contains(&errno.0)
}

/// What the kernel said of `path` when it was asked by `call`; none when it said that there is nothing to be had.
///
/// # Errors
/// When it did not answer.
pub fn answer<T>(
    call: &str,
    path: &Path,
    result: std::result::Result<T, impl Into<Errno>>,
) -> Result<Option<T>> {
    match result.map_err(Into::into) {
        Ok(value) => Ok(Some(value)),
        Err(errno) if is_no_answer(&errno) => Err(Error::setup(
            format!("look at {}, {call}", path.display()),
            errno,
        )),
        Err(_) => Ok(None),
    }
}

/// `path` without symbolic links. The kernel knows it when it has opened the file; realpath(3) asks for each part of the path.
///
/// # Errors
/// When nothing is there, or it cannot be reached.
pub fn real_path(path: &Path) -> std::io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    match std::fs::read_link(link) {
        Ok(path) if path.is_absolute() => Ok(path),
        // It is out of reach of the root directory, or has a longer path than can be told; or there is no /proc.
        _ => path.canonicalize(),
    }
}

/// The caller's working directory; none when it has no name, or not one that the caller may know.
///
/// # Errors
/// When the kernel did not answer.
pub fn working_directory() -> Result<Option<PathBuf>> {
    answer("getcwd", Path::new("."), std::env::current_dir())
}

/// Keeps the first question that was not answered, for those who ask many and look once.
#[derive(Debug, Default)]
pub struct Unanswered(OnceCell<Error>);

impl Unanswered {
    /// As [`answer`]; a question that was not answered is noted, and then none is the answer.
    pub fn answer<T>(
        &self,
        call: &str,
        path: &Path,
        result: std::result::Result<T, impl Into<Errno>>,
    ) -> Option<T> {
        answer(call, path, result).unwrap_or_else(|error| {
            self.0.get_or_init(|| error);
            None
        })
    }

    /// Whether all was answered.
    ///
    /// # Errors
    /// The first question that was not.
    pub fn check(&self) -> Result<()> {
        self.0.get().cloned().map_or(Ok(()), Err)
    }
}
