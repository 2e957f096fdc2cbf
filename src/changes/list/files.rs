//! The same directory twice, and what differs between two files in it.

use super::{Kind, look};
use crate::changes::descent::Descent;
use crate::changes::state::{FileType, State, Time};
use crate::changes::store::Store;
use crate::changes::upper::{Opacity, marks_whiteout, opacity};
use crate::changes::{content, xattr};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Result;
use std::ffi::CStr;
use std::path::Path;

/// A directory of a piece, as the upper directory and as the host has it.
pub struct Pair<'a> {
    pub piece: usize,
    root: &'a Path,
    pub upper: Descent,
    /// Where the host has no such directory, this is somewhere else.
    pub host: Descent,
    /// Whether owners are compared: others than root cannot change them.
    owners: bool,
    /// Whether the upper directory was no overlay's: then nothing in it is a notation.
    is_bare: bool,
    /// When the command was started.
    pub started: Time,
}

impl<'a> Pair<'a> {
    /// Starts at the root of a piece.
    pub fn open(store: &'a Store, piece: usize) -> crate::error::Result<Self> {
        let [upper, host] = store.sides(piece, OFlags::RDONLY)?;
        Ok(Pair {
            piece,
            root: store.path(piece),
            upper,
            host,
            owners: rustix::process::geteuid().is_root(),
            is_bare: store.is_bare(piece),
            started: store.started(),
        })
    }

    /// Goes to the directory of this path on the host.
    pub fn go(&mut self, path: &Path, on_host: bool) -> Result<()> {
        let way = path.strip_prefix(self.root).unwrap_or(path);
        self.upper.go(way)?;
        match on_host {
            true => self.host.go(way),
            false => Ok(()),
        }
    }

    /// What the upper directory says of itself.
    pub fn opacity(&self) -> Result<Opacity> {
        match self.is_bare {
            true => Ok(Opacity::Merged),
            false => opacity(self.upper.current()),
        }
    }

    /// What the upper directory has; none where that says that there is nothing.
    pub fn upper_state(&self, name: &CStr, marked_whiteouts: bool) -> Result<Option<State>> {
        let directory = self.upper.current();
        let Some(state) = look(directory, name)? else {
            return Ok(None);
        };
        if self.is_bare {
            return Ok(Some(state));
        }
        let may_be_marked =
            marked_whiteouts && state.file_type == FileType::File && state.size == 0;
        let whiteout = state.is_whiteout() || may_be_marked && marks_whiteout(directory, name)?;
        Ok((!whiteout).then_some(state))
    }

    /// Whether the current directories differ themselves.
    pub fn directory_differs(&self, upper: &State, host: &State) -> Result<bool> {
        if upper.mode != host.mode
            || upper.was_given_time(host, self.started)
            || self.owners_differ(upper, host)
        {
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

    /// What differs of a name that both have, of which the upper one is no directory.
    pub fn difference(&self, name: &CStr, host: &State, upper: &State) -> Result<Option<Kind>> {
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
}
