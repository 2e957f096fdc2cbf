//! Making the host equal to the upper directories.
//!
//! Each file is written beside the one that it replaces, and takes its place by rename(2): whoever looks finds the old
//! file or the new one. The files of a *batch* are written first, then the file system is synced once, then all are
//! renamed. So no name ever leads to a file whose content is not on the disk.

mod batch;
mod leftovers;
mod place;

use super::descent::{Descent, c_name};
use super::list::{Change, Changes, Kind, Unmatched, look};
use super::metadata;
use super::pattern::Patterns;
use super::record::Record;
use super::state::{State, Time};
use super::store::{Store, failed};
use super::text::shown;
use crate::error::{Error, Result};
use batch::Batch;
use leftovers::Note;
use place::Placed;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fchmod, fstat, mkdirat, openat, syncfs};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

/// What came of [`Store::apply`].
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// How many changes the host has now that it had not before.
    pub applied: usize,
    /// What was not applied; the host still has there what it had.
    pub refused: Vec<Refusal>,
    /// Files that were one with others on the host (hard links), which are as they were.
    pub parted: Vec<PathBuf>,
    /// The patterns for which there was nothing to do.
    pub unmatched: Vec<Unmatched>,
}

impl Applied {
    /// Whether anything was refused for what the host has there: that can be forced.
    pub fn has_conflicts(&self) -> bool {
        let conflict = |it: &Refusal| matches!(it, Refusal::Conflict { .. });
        self.refused.iter().any(conflict)
    }
}

/// Why a change was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host has something else there than when the command had ended.
    Conflict {
        /// The path on the host.
        path: PathBuf,
        /// What is the matter with it, to be read after the path.
        reason: &'static str,
    },
    /// It could not be done.
    Failed(Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Conflict { path, reason } => write!(f, "{} {reason}", shown(path)),
            Refusal::Failed(error) => error.fmt(f),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Changes that have been dealt with.
    pub done: usize,
    /// Changes in all.
    pub total: usize,
}

impl Store {
    /// Makes the host equal to the upper directories in what `patterns` choose. What the host already has is left alone,
    /// so it can be called again after it was killed.
    ///
    /// A path that the host changed since [`Store::record`] is refused and left as it is, unless `force`; so is one that
    /// cannot be written. The others are applied nevertheless.
    ///
    /// # Errors
    /// When nothing can be done at all: see [`Store::changes`]; when another rootlet works on the store.
    pub fn apply(
        &self,
        patterns: &Patterns,
        force: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Applied> {
        let _lock = self.lock()?;
        self.remove_leftovers()?;
        let changes = self.changes()?;
        let record = self.recorded(&changes)?;
        let chosen = choose(&changes, patterns);
        let mut job = Job {
            store: self,
            note: Note::new(self),
            total: chosen.len(),
            done: 0,
            progress,
            result: Applied {
                unmatched: changes.unmatched(patterns),
                ..Applied::default()
            },
        };
        job.result.refused = changes
            .unread
            .iter()
            .cloned()
            .map(Refusal::Failed)
            .collect();
        for (number, linked) in changes.linked.iter().enumerate() {
            let of_piece = chosen.iter().filter(|change| change.piece == number);
            let wanted: Vec<Change<'_>> = of_piece.copied().collect();
            if !wanted.is_empty() {
                let record = (!force).then_some(&record);
                job.piece(
                    number,
                    linked.clone().into_iter().collect(),
                    &wanted,
                    record,
                );
            }
        }
        job.note.remove()?;
        Ok(job.result)
    }
}

/// The changes that `patterns` choose, and the new directories that they lie in.
fn choose<'a>(changes: &'a Changes, patterns: &Patterns) -> Vec<Change<'a>> {
    let list: Vec<Change<'_>> = changes.list.iter().collect();
    let mut chosen = vec![false; list.len()];
    let mut above: Vec<usize> = Vec::new();
    for (number, change) in list.iter().enumerate() {
        while above
            .last()
            .is_some_and(|&it| !change.path.starts_with(list[it].path))
        {
            above.pop();
        }
        if patterns.matches(change.path) {
            chosen[number] = true;
            above.iter().for_each(|&it| chosen[it] = true);
        }
        if change.makes_directory() {
            above.push(number);
        }
    }
    let list = list.into_iter().zip(chosen);
    list.filter_map(|(change, chosen)| chosen.then_some(change))
        .collect()
}

/// An apply on its way.
struct Job<'a> {
    store: &'a Store,
    note: Note<'a>,
    total: usize,
    done: usize,
    progress: &'a mut dyn FnMut(Progress),
    result: Applied,
}

/// One piece of it.
struct Piece<'a> {
    number: usize,
    root: &'a Path,
    upper: Descent,
    host: Descent,
    /// Something on the host's file system that can be synced.
    sync: OwnedFd,
    /// Files with several names, by their inode in the upper directory.
    placed: BTreeMap<u64, Placed>,
    batch: Batch<'a>,
    /// Directories whose mode and times are set when all is in them.
    directories: Vec<Change<'a>>,
    /// When the command was started.
    started: Time,
}

/// The root of a piece, for syncfs(2); where that can be searched and not listed, a directory in it that is written to.
fn to_sync(root: &Path, wanted: &[Change<'_>]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path, more| rustix::fs::open(path, flags | more, Mode::empty());
    open(root, OFlags::empty()).or_else(|errno| {
        let above = wanted.iter().flat_map(|change| change.path.ancestors());
        let mut inside = above.filter(|path| path.starts_with(root));
        let found = inside.find_map(|path| open(path, OFlags::NOFOLLOW).ok());
        found.ok_or_else(|| failed("open directory", root, errno))
    })
}

impl<'a> Piece<'a> {
    fn open(
        store: &'a Store,
        number: usize,
        linked: BTreeMap<u64, super::list::Linked>,
        wanted: &[Change<'a>],
    ) -> Result<Self> {
        let [upper, host] = store.sides(number, OFlags::PATH)?;
        let root = store.path(number);
        Ok(Piece {
            number,
            root,
            upper,
            host,
            sync: to_sync(root, wanted)?,
            placed: linked
                .into_iter()
                .map(|(inode, linked)| (inode, Placed::there(linked)))
                .collect(),
            batch: Batch::default(),
            directories: Vec::new(),
            started: store.started(),
        })
    }

    /// The way from the root of the piece to the directory that `change` is in.
    fn directory(&self, change: Change<'a>) -> &'a Path {
        let path = change.path.strip_prefix(self.root).unwrap_or(change.path);
        path.parent().unwrap_or(path)
    }

    /// Goes to the directories that `change` is in, here and there.
    fn go(&mut self, change: Change<'a>) -> rustix::io::Result<()> {
        let directory = self.directory(change);
        self.upper.go(directory)?;
        self.host.go(directory)
    }
}

impl<'a> Job<'a> {
    fn piece(
        &mut self,
        number: usize,
        linked: BTreeMap<u64, super::list::Linked>,
        wanted: &[Change<'a>],
        record: Option<&Record>,
    ) {
        let mut piece = match Piece::open(self.store, number, linked, wanted) {
            Ok(piece) => piece,
            Err(error) => return self.result.refused.push(Refusal::Failed(error)),
        };
        // A new directory that was refused, with all in it.
        let mut refused: Option<&Path> = None;
        for &change in wanted {
            self.tell();
            if refused.is_some_and(|above| change.path.starts_with(above)) {
                self.result.refused.push(Refusal::Conflict {
                    path: change.path.to_path_buf(),
                    reason: "lies in a directory that was not applied",
                });
                continue;
            }
            if let Err(refusal) = self.prepare(&mut piece, change, record) {
                if change.makes_directory() {
                    refused = Some(change.path);
                }
                self.result.refused.push(refusal);
            }
            if piece.batch.is_full() {
                self.commit(&mut piece);
            }
        }
        self.commit(&mut piece);
        self.finish_directories(&mut piece);
        let synced = syncfs(&piece.sync);
        if let Err(errno) = synced {
            let error = failed("sync the file system of", piece.root, errno);
            self.result.refused.push(Refusal::Failed(error));
        }
    }

    fn tell(&mut self) {
        self.done += 1;
        (self.progress)(Progress {
            done: self.done,
            total: self.total,
        });
    }

    /// Refuses a change, or does what comes before the sync.
    fn prepare(
        &mut self,
        piece: &mut Piece<'a>,
        change: Change<'a>,
        record: Option<&Record>,
    ) -> std::result::Result<(), Refusal> {
        let path = || change.path.to_path_buf();
        if let Some(reason) = record.and_then(|record| record.conflict(change)) {
            return Err(Refusal::Conflict {
                path: path(),
                reason,
            });
        }
        if let Some(inside) = change.inside
            && let Some(obstacle) = &inside.obstacle
        {
            let step = format!("delete directory {}: {obstacle}", shown(change.path));
            return Err(Refusal::Failed(Error::broken(step)));
        }
        let failed = |errno| Refusal::Failed(failed("apply", change.path, errno));
        if change.path == piece.root {
            piece.directories.push(change);
            self.result.applied += 1;
            return Ok(());
        }
        piece.go(change).map_err(failed)?;
        match change.after {
            None => piece
                .batch
                .delete(change, &mut self.note, piece.number, piece.root),
            Some(after) if after.is_directory() => self.directory(piece, change, after),
            Some(after) => self.write(piece, change, after),
        }
        .map_err(failed)
    }

    /// Makes a directory, or makes one writable that is there already.
    fn directory(
        &mut self,
        piece: &mut Piece<'a>,
        change: Change<'a>,
        after: &State,
    ) -> rustix::io::Result<()> {
        let name = c_name(change.path.file_name().unwrap_or_default())?;
        let at = piece.host.current();
        match (change.kind, change.before) {
            (Kind::Mode, Some(before)) => {
                if after.mode & 0o700 & !before.mode != 0 {
                    let directory = open_directory(at, &name)?;
                    fchmod(&directory, Mode::from_raw_mode(before.mode | 0o700))?;
                }
            }
            (_, None) => match mkdirat(at, &name, Mode::from_raw_mode(after.mode | 0o700)) {
                // Somebody was faster.
                Err(Errno::EXIST) if look(at, &name)?.is_some_and(|it| it.is_directory()) => {}
                result => result?,
            },
            (_, Some(before)) => {
                batch::expect(at, &name, Some(before))?;
                let temporary = self.note.name_in(piece.number, piece.directory(change))?;
                mkdirat(at, &temporary, Mode::from_raw_mode(after.mode | 0o700))?;
                batch::exchange(at, &temporary, &name)?;
            }
        }
        piece.directories.push(change);
        self.result.applied += 1;
        Ok(())
    }

    /// Writes a file beside the one that it is to replace.
    fn write(
        &mut self,
        piece: &mut Piece<'a>,
        change: Change<'a>,
        after: &State,
    ) -> rustix::io::Result<()> {
        let name = c_name(change.path.file_name().unwrap_or_default())?;
        let directory = piece.directory(change);
        let temporary = self.note.name_in(piece.number, directory)?;
        let (upper, host) = (piece.upper.current(), piece.host.current());
        let linked = match piece.placed.get(&after.inode) {
            Some(placed) if after.links > 1 => placed.link(piece.root, host, &temporary),
            _ => false,
        };
        if !linked {
            place::write(upper, &name, host, &temporary, after)?;
        }
        if after.links > 1 && !linked {
            let placed = Placed::at(host, directory, &temporary)?;
            piece.placed.insert(after.inode, placed);
        }
        piece.batch.replace(change, name, temporary, after);
        Ok(())
    }

    /// Directories get their mode and times when all is in them: the deepest first.
    fn finish_directories(&mut self, piece: &mut Piece<'a>) {
        while let Some(change) = piece.directories.pop() {
            if let Err(errno) = finish(piece, change) {
                let error = failed("set mode and times of", change.path, errno);
                self.result.refused.push(Refusal::Failed(error));
            }
        }
    }
}

fn finish<'a>(piece: &mut Piece<'a>, change: Change<'a>) -> rustix::io::Result<()> {
    let Some(after) = change.after else {
        return Ok(());
    };
    piece.go(change)?;
    let (upper, host) = match change.path == piece.root {
        true => (
            open_directory(piece.upper.current(), c".")?,
            open_directory(piece.host.current(), c".")?,
        ),
        false => {
            let name = c_name(change.path.file_name().unwrap_or_default())?;
            (
                open_directory(piece.upper.current(), &name)?,
                open_directory(piece.host.current(), &name)?,
            )
        }
    };
    let given = |before: &State| after.was_given_time(before, piece.started);
    // Else its time is that of its last entry, unless it is new.
    let after = match (change.kind, change.before) {
        (Kind::Mode, Some(before)) if !given(before) => State {
            mtime: State::from(&fstat(&host)?).mtime,
            ..*after
        },
        _ => *after,
    };
    metadata::copy(upper.as_fd(), host.as_fd(), &after)
}

fn open_directory(at: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}
