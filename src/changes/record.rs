//! What the host had when the command had ended: whether somebody else has changed it since.

use super::list::{Change, Changes};
use super::state::{FileType, State, Time};
use super::store::{Store, failed};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The file in the store.
const FILE: &str = "host";

/// What the host had at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Type, inode, bytes, time of the content; none where there was nothing.
    pub state: Option<(FileType, u64, u64, Time)>,
    /// Entries, bytes and the latest time in a directory that was to be deleted.
    pub inside: (u64, u64, Time),
    /// Whether it was changed while the command ran, by somebody else.
    pub meanwhile: bool,
}

/// What the host had at each path that the command changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<PathBuf, Host>);

impl Record {
    /// Notes what `changes` have seen of the host. What was changed later than `started` was changed meanwhile.
    pub fn new(changes: &Changes, started: Time) -> Record {
        let hosts = changes
            .list
            .iter()
            .map(|change| (change.path.to_path_buf(), Host::new(change, started)));
        Record(hosts.collect())
    }

    /// Reads what [`Record::to_bytes`] has written; none if it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        let lines = bytes.split(|&byte| byte == 0);
        let hosts = lines.filter(|line| !line.is_empty()).map(Host::read);
        hosts.collect::<Option<_>>().map(Record)
    }

    /// As it is kept in the store: a line for each path, with a NUL at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (changed, host) in &self.0 {
            text.extend_from_slice(host.line().as_bytes());
            text.extend_from_slice(changed.as_os_str().as_bytes());
            text.push(0);
        }
        text
    }

    /// Why `change` is not to be applied: the host is not what it was when the command had ended.
    ///
    /// What an apply that died has already done is no reason.
    pub fn conflict(&self, change: Change<'_>) -> Option<&'static str> {
        let Some(host) = self.0.get(change.path) else {
            return Some("was changed on the host after the command had ended");
        };
        if host.meanwhile {
            return Some("was changed on the host while the command ran");
        }
        let directory = change.after.is_some_and(State::is_directory);
        match (host.state, change.before) {
            (None, None) => None,
            // A directory that both have made is one directory; it may also be ours, from an apply that died.
            (_, Some(now)) if now.is_directory() && directory => None,
            (None, Some(_)) => Some("has come into being on the host after the command had ended"),
            (Some(_), None) => Some("was deleted on the host after the command had ended"),
            (Some(then), Some(now)) if then == state(now) && host.inside == inside(change) => None,
            _ => Some("was changed on the host after the command had ended"),
        }
    }
}

fn state(state: &State) -> (FileType, u64, u64, Time) {
    // The size and time of a directory are those of the list in it.
    (state.file_type, state.inode, state.size, state.mtime)
}

fn inside(change: Change<'_>) -> (u64, u64, Time) {
    let inside = change.inside;
    inside.map_or_else(Default::default, |inside| {
        (inside.entries, inside.bytes, inside.latest)
    })
}

impl Host {
    fn new(change: Change<'_>, started: Time) -> Host {
        let directory = |state: Option<&State>| state.is_some_and(|state| state.is_directory());
        let mut latest = change.before.map(|state| state.mtime.max(state.ctime));
        if let Some(inside) = change.inside {
            latest = latest.max(Some(inside.latest_change));
        }
        // A directory changes with whatever is made in it.
        let stays = directory(change.before) && directory(change.after);
        Host {
            state: change.before.map(state),
            inside: inside(change),
            meanwhile: !stays && latest.is_some_and(|latest| latest > started),
        }
    }

    /// What stands before the path.
    fn line(&self) -> String {
        let (letter, inode, size, time) = match self.state {
            None => ('-', 0, 0, Time::default()),
            Some((file_type, inode, size, time)) => {
                let known = FileType::LETTERS.iter().find(|(it, _)| *it == file_type);
                (known.map_or('f', |(_, letter)| *letter), inode, size, time)
            }
        };
        let (entries, bytes, latest) = self.inside;
        let (time, latest) = (time.total_nanoseconds(), latest.total_nanoseconds());
        let meanwhile = u8::from(self.meanwhile);
        format!("{letter} {meanwhile} {inode} {size} {time} {entries} {bytes} {latest} ")
    }

    /// Reads what `line` has written, and the path behind it.
    fn read(line: &[u8]) -> Option<(PathBuf, Host)> {
        let mut fields = line.splitn(9, |&byte| byte == b' ');
        let mut field = || std::str::from_utf8(fields.next()?).ok();
        let letter = field()?;
        let meanwhile = field()? == "1";
        let mut number = || field()?.parse::<i128>().ok();
        let (inode, size, time) = (number()?, number()?, number()?);
        let (entries, bytes, latest) = (number()?, number()?, number()?);
        let path = PathBuf::from(OsStr::from_bytes(fields.next()?));
        let known = FileType::LETTERS
            .iter()
            .find(|(_, it)| letter.starts_with(*it));
        let state = match (letter, known) {
            ("-", _) => None,
            (_, known) => Some((
                known?.0,
                inode as u64,
                size as u64,
                Time::from_nanoseconds(time),
            )),
        };
        let inside = (entries as u64, bytes as u64, Time::from_nanoseconds(latest));
        Some((
            path,
            Host {
                state,
                inside,
                meanwhile,
            },
        ))
    }
}

impl Store {
    /// Notes what the host has at each changed path, to be called when the command has ended. [`Store::apply`] then
    /// refuses what was changed since; without a record it makes one at its start, and refuses what was changed since the
    /// command had started.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record(&self, changes: &Changes) -> Result<()> {
        self.write_record(&Record::new(changes, self.started()))
    }

    /// The record; where it is missing, it is made of `changes`, which have just been seen, and written.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn recorded(&self, changes: &Changes) -> Result<Record> {
        let path = self.directory().join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let record = Record::new(changes, self.started());
                let written = self.write_record(&record);
                return written.map(|()| record).map_err(|error| {
                    error.with_hint("apply first notes there what the host has: make some space on that file system")
                });
            }
            Err(error) => return Err(failed("read", &path, error)),
        };
        Record::parse(&bytes).ok_or_else(|| {
            Error::broken(format!("read {}: it is damaged", super::text::shown(&path)))
        })
    }

    fn write_record(&self, record: &Record) -> Result<()> {
        let (path, new) = (
            self.directory().join(FILE),
            self.directory().join("host.new"),
        );
        let written = fs::write(&new, record.to_bytes()).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| {
            // Where the disk is full, half of a record only takes space.
            let _ = fs::remove_file(&new);
            failed("write", &path, error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let time = Time {
            seconds: -5,
            nanoseconds: 7,
        };
        for host in [
            Host {
                state: None,
                inside: Default::default(),
                meanwhile: false,
            },
            Host {
                state: Some((FileType::File, 1, 2, time)),
                inside: (3, 4, time),
                meanwhile: true,
            },
        ] {
            let mut line = host.line().into_bytes();
            line.extend_from_slice(b"/a b\n\xff c");
            let path = PathBuf::from(OsStr::from_bytes(b"/a b\n\xff c"));
            assert_eq!(Host::read(&line), Some((path, host)));
        }
        assert_eq!(Host::read(b"f 0 1 2"), None);
    }
}
