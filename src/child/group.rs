//! The end of a container's control group, which has to come even when the launcher is killed.

use ::core::ffi::CStr;
use ::core::mem::MaybeUninit;
use ::core::option::Option::None;
use ::core::prelude::rust_2024::*;
use ::rustix::fd::{AsFd, BorrowedFd};
use ::rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, unlinkat};
use ::rustix::io::Errno;

use super::borrow;
use super::files::close_others;
use crate::sys::{self, RawFd};

/// How often it is tried to remove a group whose processes have been killed, a pause of [`PAUSE`] each: two seconds.
const TRIES: u32 = 1000;

/// Nanoseconds.
const PAUSE: i64 = 2_000_000;

/// How deep groups may lie in one another that are removed. Each level takes a kilobyte of the stack.
const DEEPEST: u32 = 16;

/// Waits until the launcher has gone, and ends the group `name` in the directory `base` if it is still there: the launcher
/// was killed.
pub fn keep_group(base: RawFd, name: &CStr, life: RawFd) -> ! {
    let _ = close_others(&[base.min(life), base.max(life)]);
    // A process group of its own: a signal to the launcher's group is not for it.
    let _ = ::rustix::process::setpgid(None, None);
    let mut byte = [0u8; 1];
    while let Err(Errno::INTR) = ::rustix::io::read(borrow(life), &mut byte) {}
    let _ = end_group(borrow(base), name);
    sys::exit(0)
}

/// Kills what is left in the group `name` in the directory `base`, and removes it.
pub fn end_group(base: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let mut tries = TRIES;
    loop {
        match remove_group(base, name) {
            Err(Errno::BUSY) if tries > 0 => {}
            result => return result,
        }
        let _ = kill_all(base, name);
        let pause = ::rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: PAUSE,
        };
        let _ = ::rustix::thread::nanosleep(&pause);
        tries = tries.saturating_sub(1);
    }
}

/// Removes a group in which nobody is, with those that were made in it. One that has gone is as good.
pub fn remove_group(base: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    remove_at(base, name, DEEPEST)
}

fn remove_at(base: BorrowedFd<'_>, name: &CStr, deepest: u32) -> Result<(), Errno> {
    match unlinkat(base, name, AtFlags::REMOVEDIR) {
        Err(Errno::BUSY) if deepest > 0 => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    let group = open(base, name)?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 1024];
    let mut entries = RawDir::new(&group, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let inner = entry.file_name();
        if entry.file_type() == FileType::Directory && inner != c"." && inner != c".." {
            remove_at(group.as_fd(), inner, deepest.saturating_sub(1))?;
        }
    }
    match unlinkat(base, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Linux 5.14. Before that nobody is left but with `--share pid`: the end of a PID namespace is the end of all in it.
fn kill_all(base: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let group = open(base, name)?;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&group, c"cgroup.kill", flags, Mode::empty())?;
    ::rustix::io::write(&file, b"1").map(drop)
}

fn open(base: BorrowedFd<'_>, name: &CStr) -> Result<::rustix::fd::OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(base, name, flags, Mode::empty())
}
