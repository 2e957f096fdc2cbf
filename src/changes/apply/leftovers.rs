//! What an apply that was killed has left beside the host's files.

use super::super::descent::Descent;
use super::super::remove::remove;
use super::super::state::Time;
use super::super::store::{Store, failed};
use crate::error::Result;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The file in the store that is there while an apply runs: a prefix of names, and the directories where they may be.
const FILE: &str = "applying";

/// Notes where temporary names are in use, before they are.
pub struct Note<'a> {
    store: &'a Store,
    prefix: String,
    names: usize,
    file: Option<File>,
    last: Option<(usize, PathBuf)>,
}

impl<'a> Note<'a> {
    /// Writes nothing yet.
    pub fn new(store: &'a Store) -> Self {
        let unique = Time::now().total_nanoseconds();
        Note {
            store,
            prefix: format!(".rootlet-{unique:x}-"),
            names: 0,
            file: None,
            last: None,
        }
    }

    /// A new name for use in `directory` of a piece.
    pub fn name_in(&mut self, piece: usize, directory: &Path) -> rustix::io::Result<CString> {
        let known = |(number, path): &(usize, PathBuf)| *number == piece && path == directory;
        if !self.last.as_ref().is_some_and(known) {
            self.write(piece, directory)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            self.last = Some((piece, directory.to_path_buf()));
        }
        self.names += 1;
        CString::new(format!("{}{}", self.prefix, self.names)).map_err(|_| Errno::INVAL)
    }

    fn write(&mut self, piece: usize, directory: &Path) -> std::io::Result<()> {
        let mut line = Vec::new();
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                line.extend_from_slice(self.prefix.as_bytes());
                line.push(0);
                let path = self.store.directory().join(FILE);
                let file = OpenOptions::new()
                    .append(true)
                    .create_new(true)
                    .open(path)?;
                none.insert(file)
            }
        };
        write!(line, "{piece} ")?;
        line.extend_from_slice(directory.as_os_str().as_bytes());
        line.push(0);
        file.write_all(&line)
    }

    /// Nothing is left.
    pub fn remove(self) -> Result<()> {
        let path = self.store.directory().join(FILE);
        match self.file {
            None => Ok(()),
            Some(_) => std::fs::remove_file(&path).map_err(|error| failed("remove", &path, error)),
        }
    }
}

impl Store {
    /// Removes what an apply that was killed has left on the host.
    pub(in super::super) fn remove_leftovers(&self) -> Result<()> {
        let path = self.directory().join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("read", &path, error)),
        };
        let mut lines = bytes.split(|&byte| byte == 0);
        let prefix = lines.next().unwrap_or_default();
        if prefix.starts_with(b".rootlet-") {
            for (piece, directory) in lines.filter_map(place) {
                self.sweep(piece, directory, prefix)?;
            }
        }
        std::fs::remove_file(&path).map_err(|error| failed("remove", &path, error))
    }

    fn sweep(&self, piece: usize, directory: &Path, prefix: &[u8]) -> Result<()> {
        if piece >= self.pieces() {
            return Ok(());
        }
        let root = self.path(piece);
        let swept = Descent::open(root, OFlags::PATH).and_then(|mut at| {
            at.go(directory)?;
            let names = at.names()?;
            let ours = names
                .iter()
                .filter(|name| name.to_bytes().starts_with(prefix));
            for name in ours {
                remove(at.current(), name)?;
            }
            Ok(())
        });
        match swept {
            // The directory is gone, and all in it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            result => result
                .map_err(|errno| failed("remove what is left in", &root.join(directory), errno)),
        }
    }
}

/// A line of the note.
fn place(line: &[u8]) -> Option<(usize, &Path)> {
    let at = line.iter().position(|&byte| byte == b' ')?;
    let piece = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
    Some((piece, Path::new(OsStr::from_bytes(&line[at + 1..]))))
}
