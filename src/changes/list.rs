//! The comparison of the upper directories with the host.

use super::content;
use super::descent::Descent;
use super::remove::measure;
use super::state::{FileType, State, Time};
use super::store::{Store, failed, seen_mode};
use super::upper::{Opacity, marks_whiteout, opacity};
use super::xattr;
use crate::error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path on the host.
    pub path: PathBuf,
    /// What sort of difference.
    pub kind: Kind,
    /// What the host has now.
    pub before: Option<State>,
    /// What the upper directory has; none for what was deleted.
    pub after: Option<State>,
    /// What goes with a directory of the host that was deleted or replaced by something else.
    pub inside: Option<Box<Inside>>,
    /// The number of the piece that it is in.
    pub(super) piece: usize,
}

impl Change {
    /// The type of the file: the new one, if it is there.
    pub fn file_type(&self) -> FileType {
        let state = self.after.or(self.before);
        state.map_or(FileType::File, |state| state.file_type)
    }

    /// Whether a directory is made, where none was.
    pub(super) fn makes_directory(&self) -> bool {
        let directory = |state: Option<State>| state.is_some_and(|state| state.is_directory());
        directory(self.after) && !directory(self.before)
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
    pub list: Vec<Change>,
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

impl Changes {
    /// The sums.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let file_size = |state: Option<State>| match state {
            Some(state) if state.file_type == FileType::File => state.size,
            _ => 0,
        };
        for change in &self.list {
            let inside = change.inside.as_deref();
            counts.deleted += inside.map_or(0, |inside| inside.entries);
            counts.bytes_deleted += inside.map_or(0, |inside| inside.bytes);
            match change.kind {
                Kind::Added => counts.added += 1,
                Kind::Changed => counts.changed += 1,
                Kind::Deleted => counts.deleted += 1,
                Kind::Mode => counts.mode += 1,
                Kind::Type => counts.of_type += 1,
            }
            match change.kind {
                Kind::Deleted => counts.bytes_deleted += file_size(change.before),
                Kind::Mode => {}
                _ => counts.bytes += file_size(change.after),
            }
        }
        counts
    }
}

impl Store {
    /// Compares the upper directories with the host as it is now. The work is in proportion to what the upper
    /// directories hold, and to what is in directories of the host that were deleted.
    ///
    /// # Errors
    /// None at present: what cannot be compared is in [`Changes::unread`].
    pub fn changes(&self) -> Result<Changes> {
        let mut changes = Changes::default();
        for number in 0..self.pieces() {
            let linked = match Walk::new(self, number, &mut changes) {
                Ok(walk) => walk.walk(),
                // The host's directory has gone since. If nothing was written over it, nobody misses it.
                Err(_) if self.wrote_nothing(number) => BTreeMap::new(),
                Err(error) => {
                    changes.unread.push(error);
                    BTreeMap::new()
                }
            };
            changes.linked.push(linked);
        }
        if !changes
            .list
            .is_sorted_by(|one, other| one.path <= other.path)
        {
            changes.list.sort_by(|one, other| one.path.cmp(&other.path));
        }
        Ok(changes)
    }
}

impl Store {
    fn wrote_nothing(&self, number: usize) -> bool {
        std::fs::read_dir(self.upper(number)).is_ok_and(|mut names| names.next().is_none())
    }
}

/// One piece, on the way through its directories.
struct Walk<'a> {
    piece: usize,
    upper: Descent,
    /// Where the upper one is, or, if the host has no such directory, above.
    host: Descent,
    root: &'a Path,
    /// The host's path of the current directory.
    path: PathBuf,
    changes: &'a mut Changes,
    linked: BTreeMap<u64, Linked>,
    /// Whether owners are compared: others than root cannot change them.
    owners: bool,
}

/// A directory that is being compared.
struct Frame {
    names: std::vec::IntoIter<Name>,
    /// Whether the host has it too.
    on_host: bool,
    /// Whether what the host has in it is hidden.
    opaque: bool,
    marked_whiteouts: bool,
}

struct Name {
    name: CString,
    in_upper: bool,
}

impl<'a> Walk<'a> {
    fn new(store: &'a Store, piece: usize, changes: &'a mut Changes) -> Result<Self> {
        let open = |path: &Path, flags| {
            Descent::open(path, flags).map_err(|errno| failed("open directory", path, errno))
        };
        let root = store.path(piece);
        Ok(Walk {
            piece,
            upper: open(&store.upper(piece), OFlags::RDONLY)?,
            host: open(root, OFlags::PATH)?,
            root,
            path: root.to_path_buf(),
            changes,
            linked: BTreeMap::new(),
            owners: rustix::process::geteuid().is_root(),
        })
    }

    fn walk(mut self) -> BTreeMap<u64, Linked> {
        let mut frames: Vec<Frame> = Vec::new();
        match self.root_frame() {
            Ok(frame) => frames.push(frame),
            Err(errno) => self.unread(&self.path.clone(), errno),
        }
        while let Some(frame) = frames.last_mut() {
            let Some(name) = frame.names.next() else {
                let on_host = frame.on_host;
                frames.pop();
                if let Err(errno) = self.leave(on_host) {
                    self.unread(&self.path.clone(), errno);
                    break;
                }
                continue;
            };
            match self.entry(frame, &name) {
                Ok(None) => {}
                Ok(Some(below)) => frames.push(below),
                Err(errno) => {
                    let path = self.path_of(&name.name);
                    self.unread(&path, errno);
                }
            }
        }
        self.linked
    }

    fn unread(&mut self, path: &Path, errno: Errno) {
        let error = failed("compare", path, errno);
        self.changes.unread.push(match errno {
            Errno::XDEV => error.with_hint("another file system is mounted there on the host"),
            _ => error,
        });
    }

    fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.to_bytes()))
    }

    fn root_frame(&mut self) -> rustix::io::Result<Frame> {
        let upper = State::from(&rustix::fs::fstat(self.upper.current())?);
        let host = State::from(&rustix::fs::fstat(self.host.current())?);
        // It was not copied from the host's, but made as the command was to see it.
        if upper.mode != seen_mode(self.host.current(), host.mode)? {
            self.add(self.path.clone(), Kind::Mode, Some(host), Some(upper));
        }
        self.frame(true, false)
    }

    /// The current directory.
    fn frame(&self, on_host: bool, hidden: bool) -> rustix::io::Result<Frame> {
        let opacity = opacity(self.upper.current())?;
        let opaque = hidden || opacity == Opacity::Opaque;
        let upper = self.upper.names()?;
        let mut names = Vec::with_capacity(upper.len());
        if opaque && on_host {
            for name in self.host.names()? {
                if upper.binary_search(&name).is_err() {
                    let in_upper = false;
                    names.push(Name { name, in_upper });
                }
            }
        }
        let only_upper = names.is_empty();
        names.extend(upper.into_iter().map(|name| Name {
            name,
            in_upper: true,
        }));
        if !only_upper {
            names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        Ok(Frame {
            names: names.into_iter(),
            on_host,
            opaque,
            marked_whiteouts: opacity == Opacity::HoldsWhiteouts,
        })
    }

    fn leave(&mut self, on_host: bool) -> rustix::io::Result<()> {
        if self.upper.depth() == 0 {
            return Ok(());
        }
        self.path.pop();
        self.upper.leave()?;
        match on_host {
            true => self.host.leave(),
            false => Ok(()),
        }
    }

    /// Compares one name, and returns the directory to go on with.
    fn entry(&mut self, frame: &Frame, name: &Name) -> rustix::io::Result<Option<Frame>> {
        let Name { name, in_upper } = name;
        let host = match frame.on_host {
            true => look(self.host.current(), name)?,
            false => None,
        };
        let upper = match in_upper {
            true => self.upper_state(frame, name)?,
            false => None,
        };
        match (host, upper) {
            (None, None) => {}
            (_, Some(upper)) if upper.is_directory() => {
                return self.directory(frame, name, host, upper).map(Some);
            }
            (None, Some(_)) => self.add(self.path_of(name), Kind::Added, host, upper),
            (Some(_), None) => self.add(self.path_of(name), Kind::Deleted, host, None),
            (Some(before), Some(after)) => self.compare(name, before, after)?,
        }
        Ok(None)
    }

    fn upper_state(&self, frame: &Frame, name: &CStr) -> rustix::io::Result<Option<State>> {
        let directory = self.upper.current();
        let Some(state) = look(directory, name)? else {
            return Ok(None);
        };
        let may_be_marked =
            frame.marked_whiteouts && state.file_type == FileType::File && state.size == 0;
        let whiteout = state.is_whiteout() || may_be_marked && marks_whiteout(directory, name)?;
        Ok((!whiteout).then_some(state))
    }

    fn directory(
        &mut self,
        frame: &Frame,
        name: &CStr,
        host: Option<State>,
        upper: State,
    ) -> rustix::io::Result<Frame> {
        let path = self.path_of(name);
        let merged = host.filter(State::is_directory);
        self.upper.enter(name)?;
        if merged.is_some()
            && let Err(errno) = self.host.enter(name)
        {
            self.upper.leave()?;
            return Err(errno);
        }
        let below = self.frame(merged.is_some(), frame.opaque);
        let kind = match (host, merged) {
            (None, _) => Some(Kind::Added),
            (Some(_), None) => Some(Kind::Type),
            (_, Some(host)) => self
                .directory_differs(&upper, &host)
                .unwrap_or(false)
                .then_some(Kind::Mode),
        };
        // The current directories are those of `name` from here on, and so is the path.
        let above = std::mem::replace(&mut self.path, path);
        match (below, kind) {
            (Ok(below), kind) => {
                if let Some(kind) = kind {
                    self.add(self.path.clone(), kind, host, Some(upper));
                }
                Ok(below)
            }
            (Err(errno), _) => {
                self.path = above;
                self.upper.leave()?;
                if merged.is_some() {
                    self.host.leave()?;
                }
                Err(errno)
            }
        }
    }

    fn directory_differs(&self, upper: &State, host: &State) -> rustix::io::Result<bool> {
        if upper.mode != host.mode || self.owners_differ(upper, host) {
            return Ok(true);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(self.host.current(), c".", flags, Mode::empty()) {
            Ok(host) => Ok(xattr::all(self.upper.current())? != xattr::all(host.as_fd())?),
            Err(_) => Ok(false),
        }
    }

    fn owners_differ(&self, upper: &State, host: &State) -> bool {
        self.owners && (upper.uid, upper.gid) != (host.uid, host.gid)
    }

    /// Compares two files that are there, of which the upper one is no directory.
    fn compare(&mut self, name: &CStr, host: State, upper: State) -> rustix::io::Result<()> {
        let mut kind = self.difference(name, &host, &upper)?;
        if kind.is_none() && upper.links > 1 {
            let path = self.path.strip_prefix(self.root).unwrap_or(&self.path);
            let known = self.linked.entry(upper.inode).or_insert_with(|| Linked {
                path: path.join(OsStr::from_bytes(name.to_bytes())),
                inode: host.inode,
            });
            kind = (known.inode != host.inode).then_some(Kind::Mode);
        }
        if let Some(kind) = kind {
            self.add(self.path_of(name), kind, Some(host), Some(upper));
        }
        Ok(())
    }

    fn difference(
        &self,
        name: &CStr,
        host: &State,
        upper: &State,
    ) -> rustix::io::Result<Option<Kind>> {
        if host.file_type != upper.file_type {
            return Ok(Some(Kind::Type));
        }
        if host.size != upper.size || host.device != upper.device {
            return Ok(Some(Kind::Changed));
        }
        let notes_differ = match upper.file_type {
            FileType::File => {
                let upper = content::open_file(self.upper.current(), name);
                let host = content::open_file(self.host.current(), name);
                match (upper, host) {
                    (Ok(upper), Ok(host)) => {
                        let (upper, host) = (upper.as_fd(), host.as_fd());
                        if !content::same(upper, host)? {
                            return Ok(Some(Kind::Changed));
                        }
                        xattr::all(upper)? != xattr::all(host)?
                    }
                    // One that cannot be read cannot be called equal.
                    _ => return Ok(Some(Kind::Changed)),
                }
            }
            FileType::Symlink => {
                let target = |directory| readlinkat(directory, name, Vec::new());
                if target(self.upper.current())? != target(self.host.current())? {
                    return Ok(Some(Kind::Changed));
                }
                false
            }
            _ => false,
        };
        let differs = notes_differ
            || host.mode != upper.mode
            || host.mtime != upper.mtime
            || self.owners_differ(upper, host);
        Ok(differs.then_some(Kind::Mode))
    }

    fn add(&mut self, path: PathBuf, kind: Kind, before: Option<State>, after: Option<State>) {
        let goes = before.is_some_and(|state| state.is_directory())
            && !after.is_some_and(|state| state.is_directory());
        let inside = goes.then(|| {
            let name = path.file_name().unwrap_or_default();
            Box::new(measure(self.host.current(), name))
        });
        self.changes.list.push(Change {
            path,
            kind,
            before,
            after,
            inside,
            piece: self.piece,
        });
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
