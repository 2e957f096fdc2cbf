//! A way down a tree of directories, by descriptors.
//!
//! A path can be longer than the kernel takes (PATH_MAX), and any part of it can be swapped for a symbolic link
//! meanwhile. So each directory is opened by its one name in the directory above.

use super::beneath::open_directory;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, RawDir, fstat, open, openat};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many directories of the way are held open; those above are found again by `..` on the way back.
const HELD: usize = 32;
/// Bytes that are asked for at once from a directory.
const BUFFER: usize = 32 * 1024;

/// The directories from a root down to the current one.
pub struct Descent {
    levels: Vec<Level>,
    flags: OFlags,
}

struct Level {
    name: CString,
    fd: Option<OwnedFd>,
    /// Device and inode, known when the descriptor has been closed.
    id: (u64, u64),
}

impl Descent {
    /// Starts at `root`, which may be reached by symbolic links. With `OFlags::PATH` in `flags` its directories need not
    /// be readable.
    pub fn open(root: &Path, flags: OFlags) -> Result<Descent> {
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Descent::at(open(root, flags, Mode::empty())?, flags))
    }

    /// Starts at the directory `name` in `parent`, which is not reached by a symbolic link.
    pub fn open_in(parent: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<Descent> {
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Descent::at(open_directory(parent, name, flags)?, flags))
    }

    fn at(root: OwnedFd, flags: OFlags) -> Descent {
        let root = Level {
            name: CString::default(),
            fd: Some(root),
            id: (0, 0),
        };
        Descent {
            levels: vec![root],
            flags,
        }
    }

    /// The current directory.
    pub fn current(&self) -> BorrowedFd<'_> {
        let fd = self.levels.last().and_then(|level| level.fd.as_ref());
        fd.expect("the current directory is open").as_fd()
    }

    /// How far below the root the current directory is.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Goes to a directory of the current one.
    ///
    /// # Errors
    /// ELOOP or ENOTDIR when it is no directory; EXDEV when another file system is mounted on it.
    pub fn enter(&mut self, name: &CStr) -> Result<()> {
        let fd = open_directory(self.current(), name, self.flags)?;
        if let Some(far) = self.levels.len().checked_sub(HELD) {
            self.levels[far].close()?;
        }
        self.levels.push(Level {
            name: name.to_owned(),
            fd: Some(fd),
            id: (0, 0),
        });
        Ok(())
    }

    /// Goes back to the directory above. At the root, stays there.
    ///
    /// # Errors
    /// ESTALE when the current directory has been moved elsewhere.
    pub fn leave(&mut self) -> Result<()> {
        let [.., above, below] = &mut self.levels[..] else {
            return Ok(());
        };
        if above.fd.is_none() {
            let below = below.fd.as_ref().expect("the current directory is open");
            let fd = openat(below, c"..", self.flags, Mode::empty())?;
            let stat = fstat(&fd)?;
            if (stat.st_dev, stat.st_ino) != above.id {
                return Err(Errno::STALE);
            }
            above.fd = Some(fd);
        }
        self.levels.pop();
        Ok(())
    }

    /// Goes to `directory`, a path from the root, over what both ways have in common.
    pub fn go(&mut self, directory: &Path) -> Result<()> {
        let bytes = directory.as_os_str().as_bytes();
        let mut names = bytes.split(|&byte| byte == b'/').peekable();
        let mut common = 0;
        for level in &self.levels[1..] {
            if names.next_if_eq(&level.name.as_bytes()).is_none() {
                break;
            }
            common += 1;
        }
        while self.depth() > common {
            self.leave()?;
        }
        for name in names.filter(|name| !name.is_empty()) {
            self.enter(&c_name(OsStr::from_bytes(name))?)?;
        }
        Ok(())
    }

    /// The names in the current directory, but `.` and `..`, sorted.
    pub fn names(&self) -> Result<Vec<CString>> {
        let mut names = Vec::new();
        each_name(self.current(), |name| names.push(name.to_owned()))?;
        names.sort_unstable();
        Ok(names)
    }
}

impl Level {
    fn close(&mut self) -> Result<()> {
        if let Some(fd) = self.fd.take() {
            let stat = fstat(&fd)?;
            self.id = (stat.st_dev, stat.st_ino);
        }
        Ok(())
    }
}

/// A name as the kernel takes it.
pub fn c_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)
}

/// The names in `directory`, which may be a descriptor with O_PATH, as they come.
pub fn each_name(directory: BorrowedFd<'_>, mut found: impl FnMut(&CStr)) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(directory, c".", flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        match entry?.file_name() {
            name if name == c"." || name == c".." => {}
            name => found(name),
        }
    }
    Ok(())
}
