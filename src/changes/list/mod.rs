//! The comparison of the upper directories with the host.
//!
//! Each directory is a task of its own ([`queue`]), done by as many threads as there are processors. What each thread
//! finds stays in its own memory, and is put in the order of paths at the end ([`entries`]).

mod directories;
mod entries;
mod files;
mod names;
mod queue;

use super::pattern::Patterns;
use super::state::{FileType, State, Time};
use super::store::Store;
use super::text::shown;
use crate::error::Error;
pub use entries::List;
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// What sort of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The host has nothing there.
    Added,
    /// The content differs: bytes, the target of a symbolic link, the number of a device.
    Changed,
    /// The command deleted it.
    Deleted,
    /// The content is equal, and something else is not: mode, time, attributes, owner, or of what it is a hard link.
    Mode,
    /// It is something else now, such as a directory in place of a file.
    Type,
}

impl Kind {
    /// The letter in a list.
    pub fn letter(self) -> char {
        match self {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
            Kind::Mode => 'M',
            Kind::Type => 'T',
        }
    }
}

/// A difference between the upper directories and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The path on the host.
    pub path: &'a Path,
    /// What sort of difference.
    pub kind: Kind,
    /// What the host has now.
    pub before: Option<&'a State>,
    /// What the upper directory has; none for what was deleted.
    pub after: Option<&'a State>,
    /// What goes with a directory of the host that was deleted or replaced by something else.
    pub inside: Option<&'a Inside>,
    /// The number of the piece that it is in.
    pub(super) piece: usize,
}

impl Change<'_> {
    /// The type of the file: the new one, if it is there.
    pub fn file_type(&self) -> FileType {
        let state = self.after.or(self.before);
        state.map_or(FileType::File, |state| state.file_type)
    }

    /// Whether a directory is made, where none was.
    pub(super) fn makes_directory(&self) -> bool {
        self.after.is_some_and(State::is_directory) && !self.before.is_some_and(State::is_directory)
    }
}

/// What is below a directory of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// How many files and directories.
    pub entries: u64,
    /// The bytes of the regular files.
    pub bytes: u64,
    /// When the content of any was changed last, the directory's own included.
    pub latest: Time,
    /// The same for anything that the kernel notes of a file.
    pub(super) latest_change: Time,
    /// Why it could not be deleted as a whole.
    pub obstacle: Option<String>,
}

/// Every difference.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Sorted by path.
    pub list: List,
    /// What could not be compared, so that there may be more.
    pub unread: Vec<Error>,
    /// For each piece: files with several names in the upper directory of which the host has one already, by inode.
    pub(super) linked: Vec<BTreeMap<u64, Linked>>,
}

/// A file that is as the upper directory has it.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    /// Its path from the root of the piece.
    pub path: PathBuf,
    /// Its inode on the host.
    pub inode: u64,
}

/// Sums over a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// How many were added.
    pub added: u64,
    /// How many have another content.
    pub changed: u64,
    /// How many were deleted, those in deleted directories included.
    pub deleted: u64,
    /// How many differ in something but the content.
    pub mode: u64,
    /// How many are something else now.
    #[serde(rename = "type")]
    pub of_type: u64,
    /// Bytes of the regular files that were added or changed.
    pub bytes: u64,
    /// Bytes of the regular files that were deleted.
    pub bytes_deleted: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, change: Change<'_>) {
        let file_size = |state: Option<&State>| match state {
            Some(state) if state.file_type == FileType::File => state.size,
            _ => 0,
        };
        if let Some(inside) = change.inside {
            self.deleted += inside.entries;
            self.bytes_deleted += inside.bytes;
        }
        match change.kind {
            Kind::Added => self.added += 1,
            Kind::Changed => self.changed += 1,
            Kind::Deleted => self.deleted += 1,
            Kind::Mode => self.mode += 1,
            Kind::Type => self.of_type += 1,
        }
        match change.kind {
            Kind::Deleted => self.bytes_deleted += file_size(change.before),
            Kind::Mode => {}
            _ => self.bytes += file_size(change.after),
        }
    }
}

/// A pattern that matches no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The pattern, with the directory where it begins.
    pub pattern: PathBuf,
    /// A directory above that goes as a whole: what was in it is not in the list.
    pub gone: Option<PathBuf>,
}

impl std::fmt::Display for Unmatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no change matches {}", shown(&self.pattern))?;
        match &self.gone {
            Some(directory) => write!(f, ": {} is deleted as a whole", shown(directory)),
            None => Ok(()),
        }
    }
}

impl Changes {
    /// The patterns that match none of the differences.
    pub fn unmatched(&self, patterns: &Patterns) -> Vec<Unmatched> {
        let paths = self.list.iter().map(|change| change.path);
        let unmatched = patterns.unmatched(paths).into_iter().map(|pattern| {
            let mut whole = self.list.iter().filter(|change| change.inside.is_some());
            let above = whole.find(|change| pattern.starts_with(change.path));
            Unmatched {
                pattern: pattern.to_path_buf(),
                gone: above.map(|change| change.path.to_path_buf()),
            }
        });
        unmatched.collect()
    }

    /// The sums.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.list.iter().for_each(|change| counts.add(change));
        counts
    }
}

impl Store {
    /// Compares the upper directories with the host as it is now. The work is in proportion to what the upper
    /// directories hold, and to what is in directories of the host that were deleted.
    ///
    /// # Errors
    /// None at present: what cannot be compared is in [`Changes::unread`].
    pub fn changes(&self) -> crate::error::Result<Changes> {
        Ok(entries::merge(self, queue::walk(self)))
    }
}

/// What is at `name` in `directory`.
pub(super) fn look(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Option<State>> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(State::from(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
