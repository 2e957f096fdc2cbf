//! The whole lines of the files of a log, oldest first.

use super::{BEFORE, CURRENT, Entry, Stream};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::{Errno, pread, retry_on_intr};
use std::io;
use std::time::SystemTime;

/// Bytes that are read at once. A line is shorter, unless somebody else has written it.
const CHUNK: usize = 64 * 1024;

/// A file, and how far it has been read.
pub(super) struct Source {
    file: OwnedFd,
    /// Device and inode.
    identity: (u64, u64),
    /// Bytes of the whole lines that were read.
    at: u64,
    /// Where to stop, if that is before the end.
    until: u64,
}

/// Says whether to go on, at each line.
type Each<'a> = &'a mut dyn FnMut(Line<'_>) -> io::Result<bool>;

struct Line<'a> {
    /// Where it begins.
    at: u64,
    text: &'a [u8],
    /// It goes on.
    cut: bool,
}

impl Source {
    fn open(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<Source>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match retry_on_intr(|| openat(directory, name, flags, Mode::empty())) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        Ok(Some(Source {
            identity: identity(&fstat(&file)?),
            file,
            at: 0,
            until: u64::MAX,
        }))
    }

    /// Reads from where it is. `complete`: nothing is written to the file any more, and so what stands at its end without
    /// a newline is a line too.
    fn lines(&mut self, complete: bool, each: Each<'_>) -> io::Result<bool> {
        if (fstat(&self.file)?.st_size as u64) < self.at {
            // Somebody has emptied it.
            self.at = 0;
        }
        let mut buffer = vec![0; CHUNK];
        let mut held = 0usize;
        loop {
            let room = self.until.saturating_sub(self.at + held as u64);
            let room = buffer.len().min(held.saturating_add(room as usize));
            let at = self.at + held as u64;
            let read = retry_on_intr(|| pread(&self.file, &mut buffer[held..room], at))?;
            held += read;
            let end = complete && read == 0;
            let begin = match self.lines_of(&buffer[..held], end, each)? {
                Some(begin) => begin,
                None => return Ok(false),
            };
            if read == 0 {
                return Ok(true);
            }
            buffer.copy_within(begin..held, 0);
            held -= begin;
        }
    }

    /// The lines in what was read at `self.at`: how many bytes they are; none if it is not to go on.
    fn lines_of(&mut self, bytes: &[u8], end: bool, each: Each<'_>) -> io::Result<Option<usize>> {
        let mut begin = 0;
        while begin < bytes.len() {
            let rest = &bytes[begin..];
            let newline = rest.iter().position(|&byte| byte == b'\n');
            let (length, after) = match newline {
                Some(newline) => (newline, 1),
                None if end || rest.len() == CHUNK => (rest.len(), 0),
                None => break,
            };
            let line = Line {
                at: self.at,
                text: &rest[..length],
                cut: newline.is_none() && !end,
            };
            self.at += (length + after) as u64;
            begin += length + after;
            if !each(line)? {
                return Ok(None);
            }
        }
        Ok(Some(begin))
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The files that there are, oldest first.
///
/// Between the one open and the other the writer may have begun a new file. It is so if `log` is another then: what was
/// opened as `log` has an inode that no other file gets as long as it is open. What comes after that does no harm: no file
/// that was opened is lost by what becomes of its name.
fn open_both(directory: BorrowedFd<'_>) -> io::Result<Vec<Source>> {
    loop {
        let current = Source::open(directory, CURRENT)?;
        let before = Source::open(directory, BEFORE)?;
        let identity = current.as_ref().map(|source| source.identity);
        if current_identity(directory)? == identity {
            return Ok(before.into_iter().chain(current).collect());
        }
    }
}

/// Which file `log` is now.
fn current_identity(directory: BorrowedFd<'_>) -> io::Result<Option<(u64, u64)>> {
    match statat(directory, CURRENT, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(identity(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// A place before a line.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Which of the files that are open.
    file: usize,
    at: u64,
    /// The time of the line before.
    time: SystemTime,
}

/// Says whether to go on, at each entry, with its place.
type EachEntry<'a> = &'a mut dyn FnMut(&Entry<'_>, Position) -> io::Result<bool>;

/// The files, and how far they have been read.
pub(super) struct Cursor {
    /// Oldest first. All but the last are complete.
    pub(super) sources: Vec<Source>,
    /// Where to go on, in them.
    file: usize,
    /// The time of the line before, for a line that has none.
    time: SystemTime,
}

impl Cursor {
    /// Before the first line of the oldest file.
    pub(super) fn new(directory: BorrowedFd<'_>) -> io::Result<Cursor> {
        Ok(Cursor {
            sources: open_both(directory)?,
            file: 0,
            time: SystemTime::UNIX_EPOCH,
        })
    }

    /// Reads what there is, of the files that are open; says whether `each` has let it come to the end.
    pub(super) fn entries(&mut self, each: EachEntry<'_>) -> io::Result<bool> {
        loop {
            let (file, time) = (self.file, &mut self.time);
            let complete = file + 1 < self.sources.len();
            let Some(source) = self.sources.get_mut(file) else {
                return Ok(true);
            };
            let come_to_end = source.lines(complete, &mut |line| {
                let at = line.at;
                let position = Position {
                    file,
                    at,
                    time: *time,
                };
                let entry = entry(&line, *time);
                *time = entry.time;
                each(&entry, position)
            })?;
            if !come_to_end || !complete {
                return Ok(come_to_end);
            }
            self.file += 1;
        }
    }

    /// Back to `position`; what was read since is then read again, and nothing that comes after it.
    pub(super) fn back(&mut self, position: Position) {
        for source in &mut self.sources {
            source.until = source.at;
        }
        for source in &mut self.sources[position.file + 1..] {
            source.at = 0;
        }
        self.sources[position.file].at = position.at;
        self.file = position.file;
        self.time = position.time;
    }

    /// Forgets where [`Cursor::back`] has said to stop.
    pub(super) fn go_on(&mut self) {
        for source in &mut self.sources {
            source.until = u64::MAX;
        }
    }

    /// Opens the files that came after the last one, and closes those that are read; says whether there are any.
    ///
    /// Where the writer has begun more than two since, those between are gone.
    pub(super) fn later(&mut self, directory: BorrowedFd<'_>) -> io::Result<bool> {
        self.sources.drain(..self.file);
        self.file = 0;
        let last = self.sources.last().map(|source| source.identity);
        match current_identity(directory)? {
            // The writer is between two files, or could not begin the new one.
            None => return Ok(false),
            current if current == last => return Ok(false),
            _ => {}
        }
        let mut files = open_both(directory)?;
        let known = files.iter().position(|file| Some(file.identity) == last);
        files.drain(..known.map_or(0, |known| known + 1));
        let found = !files.is_empty();
        self.sources.append(&mut files);
        Ok(found)
    }
}

/// A line that is not of the format is an entry too, of the time of the line before.
fn entry<'a>(line: &Line<'a>, time: SystemTime) -> Entry<'a> {
    let mut entry = Entry::parse(line.text).unwrap_or(Entry {
        time,
        stream: Stream::Stdout,
        partial: false,
        text: line.text,
    });
    entry.partial |= line.cut;
    entry
}
