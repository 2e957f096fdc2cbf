//! Mount points that had to be made on the host, for views that only cover: they go when the container has.

use crate::child::step::Step;
use crate::plan::Plan;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A mount point that was made.
pub struct Made {
    /// The directory that it is in.
    above: OwnedFd,
    name: OsString,
    inode: u64,
}

impl Made {
    /// What step `step` of the set-up has made: the last name of the first `length` bytes of its path.
    pub fn of(plan: &Plan, step: usize, length: usize, inode: u64, above: OwnedFd) -> Option<Self> {
        let Step::MakePlace { path, .. } = plan.setup.get(step)?.step else {
            return None;
        };
        let path = plan.arena.get(path).to_bytes().get(..length)?;
        let name = path.rsplit(|&byte| byte == b'/').next()?;
        Some(Made {
            above,
            name: OsString::from_vec(name.to_vec()),
            inode,
        })
    }

    /// Removes it, if it is still what was made, and empty. Nobody has anything mounted on it any more: the kernel would take
    /// that away.
    pub fn remove(&self) {
        let Ok(found) = rustix::fs::statat(&self.above, &self.name, AtFlags::SYMLINK_NOFOLLOW)
        else {
            return;
        };
        let flags = match FileType::from_raw_mode(found.st_mode) {
            _ if found.st_ino != self.inode => return,
            FileType::Directory => AtFlags::REMOVEDIR,
            FileType::RegularFile if found.st_size == 0 => AtFlags::empty(),
            _ => return,
        };
        if let Err(errno) = rustix::fs::unlinkat(&self.above, &self.name, flags) {
            log::debug!("the mount point {:?} was left: {errno}", self.name);
        }
    }
}
