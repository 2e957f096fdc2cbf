//! One directory down, and never elsewhere: not by a symbolic link, not by `..`, not into what is mounted there.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags, openat, openat2, statx};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, Ordering};

/// How openat2(2) was refused; 0 as long as it was not.
static REFUSED: AtomicI32 = AtomicI32::new(0);

/// The errno with which openat2(2) was refused to this program, so that directories are opened in two steps.
pub fn openat2_refused() -> Option<i32> {
    Some(REFUSED.load(Ordering::Relaxed)).filter(|&errno| errno != 0)
}

/// Opens the directory `name` of `parent` (openat2(2), Linux 5.6).
///
/// # Errors
/// ELOOP or ENOTDIR when it is no directory; EXDEV when another file system is mounted on it.
pub fn open_directory(parent: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if openat2_refused().is_some() {
        return in_two_steps(parent, name, flags);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    loop {
        match openat2(parent, name, flags, Mode::empty(), resolve) {
            // Something was renamed meanwhile, and the kernel could not be sure.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                REFUSED.store(errno.raw_os_error(), Ordering::Relaxed);
                return in_two_steps(parent, name, flags);
            }
            result => return result,
        }
    }
}

/// The same for one name where openat2(2) is not to be had: what was opened must be on the mount that `parent` is on.
fn in_two_steps(parent: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    if name == c".." || name.to_bytes().contains(&b'/') {
        return Err(Errno::XDEV);
    }
    let opened = openat(parent, name, flags, Mode::empty())?;
    match mount_of(&opened)? == mount_of(parent)? {
        true => Ok(opened),
        false => Err(Errno::XDEV),
    }
}

/// The number of the mount and of the file system that a directory is on. Before Linux 5.8 the first is not told.
fn mount_of(directory: impl AsFd) -> Result<(u64, u32, u32)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let found = statx(directory, c"", flags, StatxFlags::MNT_ID)?;
    Ok((found.stx_mnt_id, found.stx_dev_major, found.stx_dev_minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, open};

    #[test]
    fn two_steps_lead_where_one_does() {
        let root = open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let ways = [
            (c"usr", None),
            (c"proc", Some(Errno::XDEV)),
            (c"..", Some(Errno::XDEV)),
            (c"not there", Some(Errno::NOENT)),
        ];
        for (name, refusal) in ways {
            let one = open_directory(root.as_fd(), name, flags).err();
            let two = in_two_steps(root.as_fd(), name, flags).err();
            assert_eq!((one, two), (refusal, refusal), "{name:?}");
        }
        let fds = openat(CWD, c"/proc/self", flags - OFlags::NOFOLLOW, Mode::empty()).unwrap();
        let linked = in_two_steps(fds.as_fd(), c"cwd", flags).err();
        assert_eq!(linked, Some(Errno::NOTDIR));
    }
}
