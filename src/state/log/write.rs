//! Writes the log, and begins a new file when one is full.

use super::{BEFORE, CURRENT, Stream};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fstat, ftruncate, openat, renameat};
use rustix::io::{Errno, pread, retry_on_intr, write};
use std::time::SystemTime;

/// Bytes of a line that is kept in memory, or written at once, at most.
const PIECE: usize = 16 * 1024;
/// Bytes that are collected for one write(2). What a pipe holds (64 KiB) of usual lines, with their times, is less.
const BATCH: usize = 128 * 1024;

/// The one who writes the log.
///
/// While nothing comes it holds two descriptors, and of each stream what has no newline yet.
pub struct Writer {
    directory: OwnedFd,
    /// None when the file before is full, and a new one could not be made.
    file: Option<OwnedFd>,
    /// Bytes in the file.
    size: u64,
    /// Bytes that a file is to have at most.
    limit: u64,
    /// The file does not end with a newline.
    torn: bool,
    /// What has no newline yet, of each stream; at most [`PIECE`].
    unfinished: [Vec<u8>; 2],
}

/// Lines on their way to the file.
struct Batch {
    /// When they came: one time for all.
    time: String,
    lines: Vec<u8>,
    /// The first failure.
    result: Result<(), Errno>,
}

impl Batch {
    fn new() -> Batch {
        // Before 1970 there is no such text.
        let time = SystemTime::now().max(SystemTime::UNIX_EPOCH);
        Batch {
            time: humantime::format_rfc3339_nanos(time).to_string(),
            lines: Vec::new(),
            result: Ok(()),
        }
    }
}

impl Writer {
    /// Writes to `log` in `directory`, behind what is there already, and begins a new file where it would come to have
    /// more than `limit` bytes. One line is always taken, whatever the limit.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn new(directory: OwnedFd, limit: u64) -> Result<Writer, Errno> {
        let mut writer = Writer {
            directory,
            file: None,
            size: 0,
            limit,
            torn: false,
            unfinished: Default::default(),
        };
        writer.open()?;
        Ok(writer)
    }

    /// Takes what the command has written to `stream`: its whole lines are in the log when this returns, by one write(2)
    /// as long as they are no more than 128 KiB.
    ///
    /// # Errors
    /// When a write failed (`ENOSPC`). The lines of which not all could be written are then lost; no half of one is in the
    /// log, and what comes later is written as if nothing had been.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Errno> {
        let mut batch = Batch::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.take(stream, piece, &mut batch);
        }
        self.flush(&mut batch);
        batch.result
    }

    /// The command writes no more: writes what has no newline, as parts.
    ///
    /// # Errors
    /// When a write failed, as [`Writer::write`].
    pub fn finish(&mut self) -> Result<(), Errno> {
        let mut batch = Batch::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let text = std::mem::take(&mut self.unfinished[stream as usize]);
            if !text.is_empty() {
                self.line(stream, "P", [&text, b""], &mut batch);
            }
        }
        self.flush(&mut batch);
        batch.result
    }

    /// Takes a line, or what there is of it.
    fn take(&mut self, stream: Stream, piece: &[u8], batch: &mut Batch) {
        let (mut text, whole) = match piece {
            [text @ .., b'\n'] => (text, true),
            text => (text, false),
        };
        // Taken and not cleared: its memory is given back.
        let mut before = std::mem::take(&mut self.unfinished[stream as usize]);
        while before.len() + text.len() > PIECE {
            let (now, later) = text.split_at(PIECE - before.len());
            self.line(stream, "P", [&before, now], batch);
            before = Vec::new();
            text = later;
        }
        if whole {
            return self.line(stream, "F", [&before, text], batch);
        }
        before.extend_from_slice(text);
        self.unfinished[stream as usize] = before;
    }

    /// Puts a line into the batch.
    fn line(&mut self, stream: Stream, sort: &str, text: [&[u8]; 2], batch: &mut Batch) {
        let (stream, sort) = (stream.word().as_bytes(), sort.as_bytes());
        let words = batch.time.len() + stream.len() + sort.len();
        let length = words + text[0].len() + text[1].len() + b"   \n".len();
        if let Err(errno) = self.make_room(length, batch) {
            batch.result = batch.result.and(Err(errno));
            return;
        }
        let Batch { time, lines, .. } = batch;
        let words = [time.as_bytes(), b" ", stream, b" ", sort, b" "];
        for part in words.into_iter().chain(text).chain([&b"\n"[..]]) {
            lines.extend_from_slice(part);
        }
    }

    /// Writes what is in the batch already, where that or the file would come to have too much, and begins a new file where
    /// it still would.
    fn make_room(&mut self, length: usize, batch: &mut Batch) -> Result<(), Errno> {
        let collected = batch.lines.len();
        if collected + length > BATCH || self.would_be_full(collected + length) {
            self.flush(batch);
        }
        // Asked again: it is not if that could not be written.
        match self.size > 0 && self.would_be_full(length) {
            true => self.rotate(),
            false => Ok(()),
        }
    }

    fn would_be_full(&self, more: usize) -> bool {
        self.size + more as u64 > self.limit
    }

    fn flush(&mut self, batch: &mut Batch) {
        if batch.lines.is_empty() {
            return;
        }
        let written = self.append(&batch.lines);
        batch.result = batch.result.and(written);
        batch.lines.clear();
    }

    /// Writes whole lines; of those that do not all fit, as many as do.
    fn append(&mut self, lines: &[u8]) -> Result<(), Errno> {
        if self.file.is_none() {
            self.open()?;
        }
        let Some(file) = &self.file else {
            return Err(Errno::BADF);
        };
        if self.torn {
            self.size += retry_on_intr(|| write(file, b"\n"))? as u64;
            self.torn = false;
        }
        let (written, errno) = write_all(file, lines);
        let Some(errno) = errno else {
            self.size += written as u64;
            return Ok(());
        };
        // The kernel takes what there is room for: the last line of that is none.
        let newline = lines[..written].iter().rposition(|&byte| byte == b'\n');
        let whole = newline.map_or(0, |newline| newline + 1);
        self.torn = cut(file, (written - whole) as u64).is_err();
        self.size += if self.torn { written } else { whole } as u64;
        Err(errno)
    }

    fn rotate(&mut self) -> Result<(), Errno> {
        match renameat(&self.directory, CURRENT, &self.directory, BEFORE) {
            // NOENT: somebody has deleted it.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        // From here on readers take the file to be complete: nothing is written to it any more, also if there is no other.
        self.file = None;
        self.size = 0;
        self.open()
    }

    fn open(&mut self) -> Result<(), Errno> {
        // Appends, so that it is written behind what is there also after somebody has emptied it.
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = retry_on_intr(|| openat(&self.directory, CURRENT, flags, mode))?;
        self.size = fstat(&file)?.st_size as u64;
        self.torn = self.size > 0 && !ends_with_newline(&file, self.size)?;
        self.file = Some(file);
        Ok(())
    }
}

/// A writer that was killed has left half a line, if the kernel had not come to the end of its write.
fn ends_with_newline(file: &OwnedFd, size: u64) -> Result<bool, Errno> {
    let mut last = [0];
    retry_on_intr(|| pread(file, &mut last, size - 1))?;
    Ok(last == *b"\n")
}

/// Writes `bytes`, or as much as the kernel takes, and says how much that was.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> (usize, Option<Errno>) {
    let mut written = 0;
    while written < bytes.len() {
        match retry_on_intr(|| write(file, &bytes[written..])) {
            // Never so for a file; it would go on for ever.
            Ok(0) => return (written, Some(Errno::IO)),
            Ok(length) => written += length,
            Err(errno) => return (written, Some(errno)),
        }
    }
    (written, None)
}

/// Takes the last bytes from the file. Its size is asked for: somebody may have emptied it.
fn cut(file: &OwnedFd, bytes: u64) -> Result<(), Errno> {
    match bytes {
        0 => Ok(()),
        _ => ftruncate(file, (fstat(file)?.st_size as u64).saturating_sub(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;
    use Stream::{Stderr, Stdout};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn a_line_that_comes_in_pieces_is_written_when_it_ends() {
        let place = Place::new();
        let mut writer = place.writer(1 << 20);
        writer.write(Stdout, b"one\ntw").unwrap();
        writer.write(Stderr, b"aside\n\n").unwrap();
        assert_eq!(
            place.lines("log"),
            ["stdout F one", "stderr F aside", "stderr F "]
        );
        writer.write(Stdout, b"o\nthree").unwrap();
        assert_eq!(place.lines("log")[3..], ["stdout F two"]);
        writer.write(Stderr, b"four").unwrap();
        writer.finish().unwrap();
        writer.finish().unwrap();
        assert_eq!(place.lines("log")[4..], ["stdout P three", "stderr P four"]);
        let mode = std::fs::metadata(place.0.join("log"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_longer_than_16_kib_is_written_in_parts() {
        let place = Place::new();
        let mut writer = place.writer(1 << 20);
        let exact = "a".repeat(PIECE);
        writer.write(Stdout, exact.as_bytes()).unwrap();
        assert_eq!(place.text("log"), "");
        writer.write(Stdout, b"\n").unwrap();
        assert_eq!(place.lines("log"), [format!("stdout F {exact}")]);
        let long = format!("{exact}{exact}b\n");
        writer.write(Stdout, &long.as_bytes()[..5]).unwrap();
        writer.write(Stdout, &long.as_bytes()[5..]).unwrap();
        let part = format!("stdout P {exact}");
        assert_eq!(
            place.lines("log")[1..],
            [part.as_str(), &part, "stdout F b"]
        );
        assert!(writer.unfinished.iter().all(|text| text.capacity() == 0));
    }

    #[test]
    fn the_file_that_would_pass_the_limit_is_kept_as_the_one_before() {
        let place = Place::new();
        // Of "TIME stdout F 0\n", two fit.
        let mut writer = place.writer(100);
        writer.write(Stdout, b"0\n1\n2\n3\n4\n").unwrap();
        assert_eq!(place.lines("log.1"), ["stdout F 2", "stdout F 3"]);
        assert_eq!(place.lines("log"), ["stdout F 4"]);
        drop(writer);
        // The size of what is there counts.
        let mut writer = place.writer(100);
        writer.write(Stdout, b"5\n").unwrap();
        writer.write(Stdout, b"6\n").unwrap();
        assert_eq!(place.lines("log.1"), ["stdout F 4", "stdout F 5"]);
        assert_eq!(place.lines("log"), ["stdout F 6"]);
    }

    #[test]
    fn a_line_larger_than_the_limit_has_a_file_of_its_own() {
        let place = Place::new();
        let mut writer = place.writer(0);
        writer.write(Stdout, b"1\n2\n").unwrap();
        assert_eq!(place.lines("log.1"), ["stdout F 1"]);
        assert_eq!(place.lines("log"), ["stdout F 2"]);
    }

    #[test]
    fn half_a_line_of_a_writer_that_was_killed_is_a_line_of_its_own() {
        let place = Place::new();
        place.put("log", "2026-11-30T07:38:50.123456789Z stdout F ha");
        place.writer(1 << 20).write(Stdout, b"new\n").unwrap();
        assert_eq!(place.lines("log"), ["stdout F ha", "stdout F new"]);
    }

    #[test]
    fn a_file_that_was_deleted_or_emptied_does_not_stop_the_writer() {
        let place = Place::new();
        let mut writer = place.writer(100);
        writer.write(Stdout, b"1\n2\n").unwrap();
        place.put("log", "");
        writer.write(Stdout, b"3\n").unwrap();
        std::fs::remove_file(place.0.join("log")).unwrap();
        writer.write(Stdout, b"4\n5\n6\n").unwrap();
        assert_eq!(place.lines("log"), ["stdout F 5", "stdout F 6"]);
    }

    #[test]
    fn the_limit_holds_also_where_no_new_file_can_be_begun() {
        let place = Place::new();
        let mut writer = place.writer(100);
        std::fs::create_dir(place.0.join("log.1")).unwrap();
        let failed = writer.write(Stdout, b"1\n2\n3\n4");
        assert_eq!(failed, Err(Errno::ISDIR));
        assert_eq!(place.lines("log"), ["stdout F 1", "stdout F 2"]);
        std::fs::remove_dir(place.0.join("log.1")).unwrap();
        writer.write(Stdout, b"\n").unwrap();
        assert_eq!(place.lines("log"), ["stdout F 4"]);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_refused() {
        let place = Place::new();
        std::os::unix::fs::symlink("elsewhere", place.0.join("log")).unwrap();
        assert_eq!(Writer::new(place.open(), 1).err(), Some(Errno::LOOP));
    }

    /// A limit on the size of files stands in for the full disk: the kernel takes what there is room for, and refuses the
    /// rest (EFBIG). It is of the whole process, so that the test runs itself again in one of its own; a shell sets it,
    /// and has the signal ignored that comes with it.
    #[test]
    fn lines_that_there_is_no_room_for_leave_nothing_half() {
        const AGAIN: &str = "ROOTLET_TEST_LITTLE_ROOM";
        if std::env::var_os(AGAIN).is_some() {
            return little_room();
        }
        let script = "trap '' XFSZ; ulimit -S -f 8; exec \"$@\"";
        let test = concat!(
            module_path!(),
            "::lines_that_there_is_no_room_for_leave_nothing_half"
        );
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test.split_once("::").unwrap().1])
            .env(AGAIN, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }

    fn little_room() {
        let place = Place::new();
        let mut writer = place.writer(1 << 20);
        let room = getrlimit(Resource::Fsize).current.unwrap() as usize;
        let many = "a line of which there is no room for all\n".repeat(200);
        assert_eq!(writer.write(Stdout, many.as_bytes()), Err(Errno::FBIG));
        let before = place.lines("log").len();
        assert!(place.text("log").len() > room - 100 && before > 10);
        // What has no newline yet is not lost, and lines for which there is room are written.
        assert_eq!(
            writer.write(Stderr, format!("{many}end").as_bytes()),
            Err(Errno::FBIG)
        );
        assert_eq!(place.lines("log").len(), before);
        assert_eq!(writer.size, place.text("log").len() as u64);
        let more = Rlimit {
            current: None,
            maximum: None,
        };
        setrlimit(Resource::Fsize, more).unwrap();
        writer.write(Stderr, b"ing\n").unwrap();
        assert_eq!(place.lines("log")[before..], ["stderr F ending"]);
    }
}
