//! Looks at directories, as the caller may: what is in them, and what of it can be written.

use super::unanswered::Unanswered;
use crate::error::{Errno, Result};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use rustix::process::{Gid, Uid};
use std::ffi::{CStr, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many names are looked at in a directory, before it is taken to be one to write to: to look at more would take as
/// long as the overlay that might be saved.
const MOST_NAMES: usize = 400;

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

/// Where in a directory, and right below it, the caller may change something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changeable {
    /// The directory itself, or files of the caller's in it; or it cannot be told, since it can be searched and not listed,
    /// or there is too much to look at.
    pub itself: bool,
    /// The directories in it which the caller may write or owns, by name and in any order, as far as it was looked. None
    /// are named in a directory that the caller may write or owns.
    pub directories: Vec<OsString>,
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

    /// Whether `path` has the caller's user and group for owners.
    fn is_callers(&self, path: &Path) -> bool;

    /// Where in `directory` the caller may change something.
    fn changeable(&self, directory: &Path) -> Changeable;

    /// Whether `directory` has nothing in it; false when it cannot be listed.
    fn is_empty(&self, directory: &Path) -> bool;
}

/// This machine, as the calling process sees it.
#[derive(Debug)]
pub struct ThisMachine {
    user: Uid,
    group: Gid,
    unanswered: Unanswered,
}

impl Default for ThisMachine {
    fn default() -> Self {
        ThisMachine {
            user: rustix::process::geteuid(),
            group: rustix::process::getegid(),
            unanswered: Unanswered::default(),
        }
    }
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

    /// Whether the caller owns `name`, or may write to it where it is a directory: a file of somebody else's stays theirs.
    /// `path` is the directory `at`, as errors call it.
    fn may_change(
        &self,
        at: impl AsFd + Copy,
        name: impl rustix::path::Arg + Copy,
        kind: FileType,
        path: &Path,
    ) -> bool {
        let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
        let Some(stat) = self.unanswered.answer("stat", path, stat) else {
            return false;
        };
        // Where the mode lets nobody else write, no list of access does (acl(5): its mask is the group's part).
        let others = stat.st_mode & 0o022 != 0 || self.user.is_root();
        stat.st_uid == self.user.as_raw()
            || others && kind == FileType::Directory && self.may(at, name, Access::WRITE_OK, path)
    }

    /// What of the names in `directory`, which errors call `path`, the caller may change.
    fn changeable_in(&self, directory: &OwnedFd, path: &Path) -> Changeable {
        let mut found = Changeable::default();
        let mut looked_at = 0;
        let listed = each_name(directory, |name, kind| {
            looked_at += 1;
            let counts = matches!(kind, FileType::Directory | FileType::RegularFile);
            if counts && self.may_change(directory, name, kind, path) {
                match kind {
                    FileType::Directory => {
                        let name = OsStr::from_bytes(name.to_bytes());
                        found.directories.push(name.to_os_string());
                    }
                    _ => found.itself = true,
                }
            }
            looked_at < MOST_NAMES
        });
        let listed = self.unanswered.answer("getdents", path, listed);
        found.itself |= listed.is_none() || looked_at == MOST_NAMES;
        found
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

    fn is_callers(&self, path: &Path) -> bool {
        let found = self.unanswered.answer("stat", path, rustix::fs::stat(path));
        found.is_some_and(|stat| {
            stat.st_uid == self.user.as_raw() && stat.st_gid == self.group.as_raw()
        })
    }

    fn changeable(&self, directory: &Path) -> Changeable {
        let only_itself = |itself| Changeable {
            itself,
            directories: Vec::new(),
        };
        if self.may_change(CWD, directory, FileType::Directory, directory) {
            return only_itself(true);
        }
        let opened = self.unanswered.answer("open", directory, open(directory));
        let Some(fd) = opened else {
            return only_itself(self.may_search(directory));
        };
        match self.may(&fd, c".", Access::EXEC_OK, directory) {
            true => self.changeable_in(&fd, directory),
            // The names in it lead nowhere.
            false => only_itself(false),
        }
    }

    fn is_empty(&self, directory: &Path) -> bool {
        let mut is_empty = true;
        let listed = open(directory).and_then(|fd| {
            each_name(&fd, |_, _| {
                is_empty = false;
                false
            })
        });
        let listed = self.unanswered.answer("getdents", directory, listed);
        listed.is_some() && is_empty
    }
}

fn open(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::empty())
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
