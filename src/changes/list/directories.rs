//! One directory of an upper directory: what of it differs itself, and which names in it are to be compared.

use super::entries::{Found, Part};
use super::files::Pair;
use super::names::Names;
use super::{Kind, look};
use crate::changes::remove::measure;
use crate::changes::state::State;
use crate::changes::store::{Store, failed, seen_mode};
use crate::changes::upper::Opacity;
use rustix::fs::fstat;
use rustix::io::{Errno, Result};
use std::ffi::{CStr, OsStr};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many names of one directory are a task of their own.
const RUN: usize = 1000;

/// What a thread does without asking for more.
pub enum Task {
    /// To look into a directory.
    Directory(Below),
    /// To compare some names of a directory that has many.
    Names(Arc<Directory>, Range<usize>),
}

/// A directory that nobody has looked into yet.
pub struct Below {
    piece: usize,
    /// The path on the host.
    path: PathBuf,
    /// What the host and the upper directory have there; none for the root of a piece.
    seen: Option<(Option<State>, State)>,
    /// Whether what the host has in it is hidden.
    hidden: bool,
}

/// A directory whose names are being compared.
pub struct Directory {
    piece: usize,
    path: PathBuf,
    /// Whether the host has it too.
    pub on_host: bool,
    /// Whether what the host has in it is hidden.
    opaque: bool,
    pub marked_whiteouts: bool,
    names: Names,
}

/// One thread, with what it has found.
pub struct Worker<'a> {
    store: &'a Store,
    /// Where it is.
    pair: Option<Pair<'a>>,
    found: Part,
    names_read: usize,
    /// Memory for the names of the next directory.
    names: Names,
}

impl Task {
    /// The whole of a piece.
    pub fn root(store: &Store, piece: usize) -> Task {
        Task::Directory(Below {
            piece,
            path: store.path(piece).to_path_buf(),
            seen: None,
            hidden: false,
        })
    }

    fn place(&self) -> (usize, &Path) {
        match self {
            Task::Directory(below) => (below.piece, &below.path),
            Task::Names(directory, _) => (directory.piece, &directory.path),
        }
    }
}

impl Directory {
    fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.to_bytes()))
    }
}

impl<'a> Worker<'a> {
    /// Has found nothing yet.
    pub fn new(store: &'a Store) -> Self {
        Worker {
            store,
            pair: None,
            found: Part::default(),
            names_read: 0,
            names: Names::default(),
        }
    }

    /// How many names there were in the directories that it has looked into.
    pub fn names_read(&self) -> usize {
        self.names_read
    }

    /// All that it has found.
    pub fn found(self) -> Part {
        self.found
    }

    /// Does a task, and returns those that come of it.
    pub fn work(&mut self, task: Task) -> Vec<Task> {
        let (piece, path) = task.place();
        let path = path.to_path_buf();
        let there = self.pair.take().filter(|pair| pair.piece == piece);
        let mut pair = match there.map_or_else(|| Pair::open(self.store, piece), Ok) {
            Ok(pair) => pair,
            // The host's directory has gone since. If nothing was written over it, nobody misses it.
            Err(_) if self.store.wrote_nothing(piece) => return Vec::new(),
            Err(error) => {
                self.found.unread.push((piece, path, error));
                return Vec::new();
            }
        };
        self.found.begin();
        let done = match task {
            Task::Directory(below) => self.directory(&mut pair, below),
            Task::Names(directory, names) => pair
                .go(&directory.path, directory.on_host)
                .map(|()| self.compare(&pair, &directory, names)),
        };
        // After ESTALE, `pair` stands nobody knows where.
        if !matches!(done, Err(Errno::STALE)) {
            self.pair = Some(pair);
        }
        done.unwrap_or_else(|errno| {
            self.unread(piece, path, errno);
            Vec::new()
        })
    }

    fn unread(&mut self, piece: usize, path: PathBuf, errno: Errno) {
        let error = failed("compare", &path, errno);
        let error = match errno {
            Errno::XDEV => error.with_hint("another file system is mounted there on the host"),
            _ => error,
        };
        self.found.unread.push((piece, path, error));
    }

    fn directory(&mut self, pair: &mut Pair<'_>, below: Below) -> Result<Vec<Task>> {
        let directory = self.enter(pair, below)?;
        let count = directory.names.len();
        self.names_read += count;
        if count <= RUN {
            let tasks = self.compare(pair, &directory, 0..count);
            self.names = directory.names;
            return Ok(tasks);
        }
        let directory = Arc::new(directory);
        let runs = (0..count).step_by(RUN).map(|start| {
            let names = start..count.min(start + RUN);
            Task::Names(Arc::clone(&directory), names)
        });
        Ok(runs.collect())
    }

    fn enter(&mut self, pair: &mut Pair<'_>, below: Below) -> Result<Directory> {
        let Below {
            piece,
            path,
            seen,
            hidden,
        } = below;
        let on_host = match &seen {
            None => true,
            Some((host, _)) => host.as_ref().is_some_and(State::is_directory),
        };
        pair.go(&path, on_host)?;
        if seen.is_none() {
            self.root(pair, &path)?;
        }
        let opacity = pair.opacity()?;
        let opaque = hidden || opacity == Opacity::Opaque;
        let beneath = (opaque && on_host).then(|| pair.host.current());
        let mut names = std::mem::take(&mut self.names);
        names.read(pair.upper.current(), beneath)?;
        if let Some((host, upper)) = seen {
            let kind = match &host {
                None => Some(Kind::Added),
                Some(_) if !on_host => Some(Kind::Type),
                Some(host) => pair
                    .directory_differs(&upper, host)
                    .unwrap_or(false)
                    .then_some(Kind::Mode),
            };
            if let Some(kind) = kind {
                self.add(piece, &path, kind, host.as_ref(), &upper);
            }
        }
        Ok(Directory {
            piece,
            path,
            on_host,
            opaque,
            marked_whiteouts: opacity == Opacity::HoldsWhiteouts,
            names,
        })
    }

    /// The root of a piece was not copied from the host's, but made as the command was to see it.
    fn root(&mut self, pair: &Pair<'_>, path: &Path) -> Result<()> {
        let upper = State::from(&fstat(pair.upper.current())?);
        let host = State::from(&fstat(pair.host.current())?);
        let other_mode = upper.mode != seen_mode(pair.host.current(), host.mode)?;
        if other_mode || upper.was_given_time(&host, pair.started) {
            self.add(pair.piece, path, Kind::Mode, Some(&host), &upper);
        }
        Ok(())
    }

    /// Adds a directory.
    fn add(
        &mut self,
        piece: usize,
        path: &Path,
        kind: Kind,
        before: Option<&State>,
        after: &State,
    ) {
        let found = Found {
            piece,
            kind: Some(kind),
            before,
            after: Some(after),
            inside: None,
        };
        self.found.add(path.as_os_str().as_bytes(), b"", found);
    }

    /// Compares some of the names in the current directory, and returns the directories among them.
    fn compare(
        &mut self,
        pair: &Pair<'_>,
        directory: &Directory,
        names: Range<usize>,
    ) -> Vec<Task> {
        let prefix = directory.path.join("");
        let prefix = prefix.as_os_str().as_bytes();
        let mut tasks = Vec::new();
        for (name, in_upper) in names.map(|number| directory.names.get(number)) {
            match self.name(pair, directory, prefix, name, in_upper) {
                Ok(None) => {}
                Ok(Some(below)) => {
                    self.found.begin();
                    tasks.push(Task::Directory(below));
                }
                Err(errno) => self.unread(directory.piece, directory.path_of(name), errno),
            }
        }
        tasks
    }

    /// Compares one name. A directory is only entered later.
    fn name(
        &mut self,
        pair: &Pair<'_>,
        directory: &Directory,
        prefix: &[u8],
        name: &CStr,
        in_upper: bool,
    ) -> Result<Option<Below>> {
        let before = match directory.on_host {
            true => look(pair.host.current(), name)?,
            false => None,
        };
        let after = match in_upper {
            true => pair.upper_state(name, directory.marked_whiteouts)?,
            false => None,
        };
        let kind = match (&before, &after) {
            (None, None) => return Ok(None),
            (_, Some(upper)) if upper.is_directory() => {
                return Ok(Some(Below {
                    piece: directory.piece,
                    path: directory.path_of(name),
                    seen: Some((before, *upper)),
                    hidden: directory.opaque,
                }));
            }
            (None, Some(_)) => Some(Kind::Added),
            (Some(_), None) => Some(Kind::Deleted),
            (Some(host), Some(upper)) => match pair.difference(name, host, upper)? {
                None if upper.links == 1 => return Ok(None),
                kind => kind,
            },
        };
        let goes = before.as_ref().is_some_and(State::is_directory);
        let found = Found {
            piece: directory.piece,
            kind,
            before: before.as_ref(),
            after: after.as_ref(),
            inside: goes.then(|| Box::new(measure(pair.host.current(), name))),
        };
        self.found.add(prefix, name.to_bytes(), found);
        Ok(None)
    }
}

impl Store {
    fn wrote_nothing(&self, number: usize) -> bool {
        std::fs::read_dir(self.upper(number)).is_ok_and(|mut names| names.next().is_none())
    }
}
