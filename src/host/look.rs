//! Looks at directories, as the caller may: what is in them, and what of it can be written.

use super::unanswered::Unanswered;
use crate::error::{Errno, Result};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use std::ffi::{CStr, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many names are looked at below a directory, before it is taken to hold something to write: to look at more would
/// take as long as the overlay that might be saved.
const MOST_NAMES: usize = 40;

/// What a name in a directory stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A symbolic link, and what it holds.
    Symlink(PathBuf),
    /// A regular file.
    File,
    /// A socket, a pipe or a device.
    Other,
}

/// One name in a directory. What is mounted there does not count: the kind is that of the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name.
    pub name: OsString,
    /// What it stands for.
    pub kind: EntryKind,
}

/// Questions about the tree of files, all of them about what the caller may do.
pub trait Look {
    /// What is in `directory`, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// The kernel's answer when it cannot be listed.
    fn entries(&self, directory: &Path) -> std::result::Result<Vec<DirectoryEntry>, Errno>;

    /// Whether the caller may write to `path`: for a directory, make and remove names in it.
    fn may_write(&self, path: &Path) -> bool;

    /// Whether the caller may use the names in `directory`.
    fn may_search(&self, directory: &Path) -> bool;

    /// Whether `path` is a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// The size of a regular file in bytes; none when it is no regular file, or gone.
    fn size(&self, file: &Path) -> Option<u64>;

    /// Whether the caller may be able to write anything in `directory` or below: it may write to a file or a
    /// directory, or a directory cannot be listed but searched, or there is too much to look at.
    fn may_hold_something_to_write(&self, directory: &Path) -> bool;
}

/// This machine, as the calling process sees it.
#[derive(Debug, Default)]
pub struct ThisMachine {
    unanswered: Unanswered,
}

impl ThisMachine {
    /// Whether every question was answered: where one was not, nothing may be made of the others.
    ///
    /// # Errors
    /// The first question that was not.
    pub fn check(&self) -> Result<()> {
        self.unanswered.check()
    }

    /// access(2) of the caller's real ids, which are the effective ones: rootlet is never set-user-ID. That one may not
    /// (EPERM, for an immutable file) is an answer. `path` is what is asked about, as errors call it.
    fn may(
        &self,
        directory: impl AsFd,
        name: impl rustix::path::Arg,
        access: Access,
        path: &Path,
    ) -> bool {
        match rustix::fs::accessat(directory, name, access, AtFlags::empty()) {
            Err(rustix::io::Errno::PERM) => false,
            asked => self.unanswered.answer("access", path, asked).is_some(),
        }
    }

    /// Whether `directory` may hold something to write; `left` is how many names may still be looked at. Errors call it
    /// `path`, which it is or is below.
    fn may_hold_something(&self, directory: &OwnedFd, path: &Path, left: &mut usize) -> bool {
        // Access to a directory that can be listed but not searched is refused for every name in it, and rightly so.
        if self.may(directory, c".", Access::WRITE_OK, path) {
            return true;
        }
        let mut names = Vec::new();
        let listed = each_name(directory, |name, kind| {
            if kind != FileType::Symlink {
                names.push((name.to_owned(), kind));
            }
            names.len() <= *left
        });
        let listed = self.unanswered.answer("getdents", path, listed);
        if listed.is_none() || names.len() > *left {
            return true;
        }
        *left -= names.len();
        names.iter().any(|(name, kind)| {
            if *kind != FileType::Directory {
                return self.may(directory, name, Access::WRITE_OK, path);
            }
            let opened = open_in(directory, name);
            match self.unanswered.answer("openat", path, opened) {
                Some(below) => self.may_hold_something(&below, path, left),
                None => self.may(directory, name, Access::EXEC_OK, path),
            }
        })
    }
}

impl Look for ThisMachine {
    fn entries(&self, directory: &Path) -> std::result::Result<Vec<DirectoryEntry>, Errno> {
        let fd = open(directory)?;
        let mut entries = Vec::new();
        each_name(&fd, |name, kind| {
            let kind = match kind {
                FileType::Directory => EntryKind::Directory,
                FileType::RegularFile => EntryKind::File,
                FileType::Symlink => {
                    let read = rustix::fs::readlinkat(&fd, name, Vec::new());
                    match self.unanswered.answer("readlink", directory, read) {
                        Some(to) => EntryKind::Symlink(OsStr::from_bytes(to.as_bytes()).into()),
                        None => return true, // gone meanwhile
                    }
                }
                _ => EntryKind::Other,
            };
            let name = OsStr::from_bytes(name.to_bytes()).to_os_string();
            entries.push(DirectoryEntry { name, kind });
            true
        })?;
        Ok(entries)
    }

    fn may_write(&self, path: &Path) -> bool {
        self.may(CWD, path, Access::WRITE_OK, path)
    }

    fn may_search(&self, directory: &Path) -> bool {
        self.may(CWD, directory, Access::EXEC_OK, directory)
    }

    fn is_directory(&self, path: &Path) -> bool {
        let found = self.unanswered.answer("stat", path, path.metadata());
        found.is_some_and(|data| data.is_dir())
    }

    fn size(&self, file: &Path) -> Option<u64> {
        let data = self
            .unanswered
            .answer("lstat", file, file.symlink_metadata())?;
        data.is_file().then_some(data.len())
    }

    fn may_hold_something_to_write(&self, directory: &Path) -> bool {
        match self.unanswered.answer("open", directory, open(directory)) {
            Some(fd) => self.may_hold_something(&fd, directory, &mut { MOST_NAMES }),
            None => self.may_search(directory),
        }
    }
}

fn open(directory: &Path) -> rustix::io::Result<OwnedFd> {
    open_in(CWD, directory)
}

fn open_in(at: impl AsFd, directory: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, directory, flags, Mode::empty())
}

/// Calls `with` for each name and its type until it says false.
fn each_name(
    fd: &OwnedFd,
    mut with: impl FnMut(&CStr, FileType) -> bool,
) -> rustix::io::Result<()> {
    let mut buffer = [const { MaybeUninit::uninit() }; 8192];
    let mut directory = RawDir::new(fd, &mut buffer);
    while let Some(entry) = directory.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => type_of(fd, name),
            kind => kind,
        };
        if !with(name, kind) {
            break;
        }
    }
    Ok(())
}

/// Some file systems do not tell the type with the name (readdir(3)).
fn type_of(fd: &OwnedFd, name: &CStr) -> FileType {
    rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(FileType::Unknown, |stat| {
        FileType::from_raw_mode(stat.st_mode)
    })
}
