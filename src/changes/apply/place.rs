//! A new file, written beside the one that it is to replace.

use super::super::descent::Descent;
use super::super::list::{Linked, look};
use super::super::state::{FileType, State};
use super::super::{content, metadata};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Mode, OFlags, fstat, linkat, mknodat, openat, readlinkat, symlinkat, unlinkat,
};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Makes `temporary` in `host` equal to `name` in `upper`, which is no directory and was seen as `state`. Leaves nothing
/// when it fails.
pub fn write(
    upper: BorrowedFd<'_>,
    name: &CStr,
    host: BorrowedFd<'_>,
    temporary: &CStr,
    state: &State,
) -> Result<()> {
    let written = match state.file_type {
        FileType::File => write_file(upper, name, host, temporary, state),
        FileType::Symlink => {
            let target = readlinkat(upper, name, Vec::new())?;
            symlinkat(&target, host, temporary)
                .and_then(|()| metadata::give(host, temporary, state))
        }
        _ => make_node(host, temporary, state),
    };
    // Of an error with EEXIST, the file is somebody else's.
    if written.is_err_and(|errno| errno != Errno::EXIST) {
        let _ = unlinkat(host, temporary, AtFlags::empty());
    }
    written
}

fn write_file(
    upper: BorrowedFd<'_>,
    name: &CStr,
    host: BorrowedFd<'_>,
    temporary: &CStr,
    state: &State,
) -> Result<()> {
    let from = content::open_file(upper, name)?;
    if State::from(&fstat(&from)?).inode != state.inode {
        return Err(Errno::STALE);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let to = openat(host, temporary, flags, Mode::from_raw_mode(0o600))?;
    content::copy(from.as_fd(), to.as_fd(), state.size)?;
    metadata::copy(from.as_fd(), to.as_fd(), state)
}

/// A pipe, a socket or a device.
fn make_node(host: BorrowedFd<'_>, temporary: &CStr, state: &State) -> Result<()> {
    let file_type = match state.file_type {
        FileType::Fifo => rustix::fs::FileType::Fifo,
        FileType::Socket => rustix::fs::FileType::Socket,
        // Only root may make one, and what it was is not kept: a block or a character device.
        _ => return Err(Errno::PERM),
    };
    mknodat(
        host,
        temporary,
        file_type,
        Mode::from_raw_mode(state.mode),
        0,
    )?;
    // The umask has taken from the mode.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let node = openat(host, temporary, flags, Mode::empty())?;
    metadata::give(host, temporary, state)?;
    metadata::set_mode(node.as_fd(), state.mode)
}

/// Where the host has a file that is to have further names.
pub struct Placed {
    directory: PathBuf,
    name: CString,
    inode: u64,
}

impl Placed {
    /// The host had it already.
    pub fn there(linked: Linked) -> Placed {
        let name = linked.path.file_name().unwrap_or_default().as_bytes();
        Placed {
            directory: linked.path.parent().unwrap_or(Path::new("")).to_path_buf(),
            name: CString::new(name).unwrap_or_default(),
            inode: linked.inode,
        }
    }

    /// It has just been written as `name` in `host`, which is `directory`.
    pub fn at(host: BorrowedFd<'_>, directory: &Path, name: &CStr) -> Result<Placed> {
        let state = look(host, name)?.ok_or(Errno::NOENT)?;
        Ok(Placed {
            directory: directory.to_path_buf(),
            name: name.to_owned(),
            inode: state.inode,
        })
    }

    /// The name that it has now.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// It is called `name` now, if it was called `temporary`.
    pub fn renamed(&mut self, temporary: &CStr, name: &CStr) {
        if self.name.as_c_str() == temporary {
            self.name = name.to_owned();
        }
    }

    /// Gives it the name `temporary` in `host`; false where that cannot be, and a copy has to do.
    pub fn link(&self, root: &Path, host: BorrowedFd<'_>, temporary: &CStr) -> bool {
        let linked = Descent::open(root, OFlags::PATH).and_then(|mut at| {
            at.go(&self.directory)?;
            match look(at.current(), &self.name)? {
                Some(state) if state.inode == self.inode => {}
                _ => return Err(Errno::STALE),
            }
            linkat(at.current(), &self.name, host, temporary, AtFlags::empty())
        });
        linked.is_ok()
    }
}
