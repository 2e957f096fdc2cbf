//! What differs besides the lines of a file, in words.

use super::beneath::open_directory;
use super::content::open_file;
use super::descent::{Descent, c_name};
use super::list::{Change, Kind};
use super::state::{FileType, State, Time};
use super::store::Store;
use super::text::shown;
use super::xattr::{self, Attribute};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{OFlags, readlinkat};
use rustix::io::{Errno, Result};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// The last second that has a year of four digits.
const LAST: u64 = 253_402_300_799;

/// The way to what is compared, on both sides: from one change to the next it is short.
pub struct Ways<'a> {
    store: &'a Store,
    /// The piece, its host's directory and its upper one.
    open: Option<(usize, [Descent; 2])>,
}

/// One side of a change: where it is, and what was seen there.
pub struct Side<'a> {
    at: BorrowedFd<'a>,
    name: CString,
    state: &'a State,
}

impl<'a> Ways<'a> {
    /// Starts nowhere.
    pub fn new(store: &'a Store) -> Self {
        Ways { store, open: None }
    }

    /// When the command was started.
    pub fn started(&self) -> Time {
        self.store.started()
    }

    /// The host's side and the command's, as far as there is something.
    pub fn sides<'b>(&'b mut self, change: Change<'b>) -> Result<[Option<Side<'b>>; 2]> {
        let root = self.store.path(change.piece);
        let path = change.path.strip_prefix(root).unwrap_or(change.path);
        // Where going there fails, nobody knows where the way has ended.
        let mut at = match self.open.take() {
            Some((piece, at)) if piece == change.piece => at,
            _ => [
                Descent::open(root, OFlags::PATH)?,
                Descent::open(&self.store.upper(change.piece), OFlags::PATH)?,
            ],
        };
        let states = [change.before, change.after];
        for (at, _) in at
            .iter_mut()
            .zip(states)
            .filter(|(_, state)| state.is_some())
        {
            at.go(path.parent().unwrap_or(path))?;
        }
        let name = match path.file_name() {
            Some(name) => c_name(name)?,
            None => c".".to_owned(),
        };
        let (_, [host, upper]) = self.open.insert((change.piece, at));
        let side = |at: &'b Descent, state| Side {
            at: at.current(),
            name: name.clone(),
            state,
        };
        Ok([
            change.before.map(|state| side(host, state)),
            change.after.map(|state| side(upper, state)),
        ])
    }
}

impl Side<'_> {
    /// Opens a regular file to read it.
    pub fn open(&self) -> Result<std::fs::File> {
        open_file(self.at, &self.name).map(Into::into)
    }

    /// Where a symbolic link leads.
    fn target(&self) -> Option<String> {
        if self.state.file_type != FileType::Symlink {
            return None;
        }
        let target = readlinkat(self.at, &self.name, Vec::new()).ok()?;
        Some(shown(Path::new(OsStr::from_bytes(target.to_bytes()))))
    }

    fn attributes(&self) -> Result<Vec<Attribute>> {
        let at = self.at;
        let file = match self.state.file_type {
            FileType::File => open_file(at, &self.name)?,
            FileType::Directory => open_directory(at, &self.name, OFlags::RDONLY)?,
            _ => return Err(Errno::INVAL),
        };
        xattr::all(file.as_fd())
    }
}

/// What there is to say of a change behind its path, with a space before it; the command was started at `started`.
pub fn details(change: Change<'_>, sides: &[Option<Side<'_>>; 2], started: Time) -> String {
    let mut said = Vec::new();
    if let (Some(before), Some(after)) = (change.before, change.after) {
        said.extend(states(change.kind, started, before, after));
    }
    let targets = sides.each_ref().map(|side| side.as_ref()?.target());
    match targets {
        [Some(old), Some(new)] if old == new => {}
        [Some(old), Some(new)] => said.push(format!("target {old} to {new}")),
        [None, Some(target)] | [Some(target), None] => said.push(format!("target {target}")),
        [None, None] => {}
    }
    if let (Kind::Mode, [Some(host), Some(upper)]) = (change.kind, sides) {
        said.extend(attributes(host, upper));
    }
    match (change.kind, said.as_slice()) {
        (Kind::Mode, []) => " (a name of another file)".to_string(),
        (_, []) => String::new(),
        (_, said) => format!(" ({})", said.join(", ")),
    }
}

/// What stat(2) tells.
fn states(kind: Kind, started: Time, before: &State, after: &State) -> Vec<String> {
    let mut said = Vec::new();
    if before.file_type != after.file_type {
        let names = [before, after].map(|state| state.file_type.name());
        said.push(format!("{} to {}", names[0], names[1]));
    } else if before.mode != after.mode {
        said.push(format!("mode {:o} to {:o}", before.mode, after.mode));
    }
    if kind == Kind::Mode {
        let root = rustix::process::geteuid().is_root();
        let owners = [before, after].map(|state| format!("{}:{}", state.uid, state.gid));
        if root && owners[0] != owners[1] {
            said.push(format!("owner {} to {}", owners[0], owners[1]));
        }
        let timed = match after.is_directory() {
            true => after.was_given_time(before, started),
            false => before.mtime != after.mtime,
        };
        if timed {
            let times = [before, after].map(|state| moment(state.mtime));
            said.push(format!("time {} to {}", times[0], times[1]));
        }
    }
    said
}

/// The names of the attributes that only one side has, or that have another value there.
fn attributes(host: &Side<'_>, upper: &Side<'_>) -> Vec<String> {
    let (Ok(host), Ok(upper)) = (host.attributes(), upper.attributes()) else {
        return Vec::new();
    };
    let only = |one: &[Attribute], other: &[Attribute]| -> Vec<CString> {
        let differ = one.iter().filter(|attribute| !other.contains(attribute));
        differ.map(|(name, _)| name.clone()).collect()
    };
    let mut names = [only(&host, &upper), only(&upper, &host)].concat();
    names.sort();
    names.dedup();
    let said = |name: CString| {
        let name = Path::new(OsStr::from_bytes(name.to_bytes()));
        format!("attribute {}", shown(name))
    };
    names.into_iter().map(said).collect()
}

/// In words, where there are some for it.
fn moment(time: Time) -> String {
    match u64::try_from(time.seconds) {
        Ok(seconds @ ..=LAST) => {
            let time = UNIX_EPOCH + Duration::new(seconds, time.nanoseconds);
            humantime::format_rfc3339(time).to_string()
        }
        _ => format!("@{}", time.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_of_the_ordinary_is_a_number() {
        for (nanoseconds, text) in [
            (978_307_200 * 1_000_000_000, "2001-01-01T00:00:00Z"),
            (-1, "@-1"),
            (i128::from(LAST + 1) * 1_000_000_000, "@253402300800"),
        ] {
            assert_eq!(moment(Time::from_nanoseconds(nanoseconds)), text);
        }
    }
}
