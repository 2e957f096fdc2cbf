//! What a file has besides its content.

use super::state::State;
use super::xattr;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown, fstat,
    futimens, utimensat,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;

/// Gives the file `to` the attributes, owner, mode and times of `from`, of which `state` was seen.
///
/// In this order: attributes can only be set while the file can be written to, and a change of owner takes setuid away.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, state: &State) -> Result<()> {
    xattr::copy(from, to)?;
    let now = State::from(&fstat(to)?);
    if (now.uid, now.gid) != (state.uid, state.gid) {
        tolerate(fchown(
            to,
            Some(Uid::from_raw(state.uid)),
            Some(Gid::from_raw(state.gid)),
        ))?;
    }
    if now.mode != state.mode {
        fchmod(to, Mode::from_raw_mode(state.mode))?;
    }
    futimens(to, &times(state))
}

/// The same for what cannot be opened, such as a symbolic link or a pipe: owner and times of `name` in `directory`.
pub fn give(directory: BorrowedFd<'_>, name: &CStr, state: &State) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(state.uid), Gid::from_raw(state.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    tolerate(chownat(directory, name, Some(uid), Some(gid), flags))?;
    utimensat(directory, name, &times(state), flags)
}

/// Changes the mode of a file that is open with O_PATH, which fchmod(2) does not.
pub fn set_mode(file: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))
}

/// Only root gives files away.
fn tolerate(result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        result => result,
    }
}

fn times(state: &State) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: state.mtime.seconds,
            tv_nsec: state.mtime.nanoseconds.into(),
        },
    }
}
