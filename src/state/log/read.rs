//! Reads the log: all of it, the last lines, or the lines since a time.

use super::lines::{Cursor, Position};
use super::{Entry, Sink};
use rustix::fd::AsFd;
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The last lines only, as many of them; of those since [`Query::since`]. Lines of the command: one that is in the log
    /// in parts is one.
    pub tail: Option<usize>,
    /// Those only that were written then or later.
    pub since: Option<SystemTime>,
}

/// Gives the lines that there are in `directory` to `sink`, oldest first, until that says false.
///
/// A log that is being written, and begins a new file meanwhile, has each of its lines once. What has no newline yet in the
/// file is no line. One that is not of the format is an entry of [`Stream::Stdout`](super::Stream::Stdout), with all that it
/// has as text and the time of the line before; one that is longer than 64 KiB comes in parts. With [`Query::tail`] the
/// files are read twice, and of each line its place is kept in memory, no text.
///
/// # Errors
/// When a file cannot be read; of the sink.
pub fn read(directory: impl AsFd, query: &Query, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut cursor = Cursor::new(directory.as_fd())?;
    Choice::new(query).all(&mut cursor, query.tail, sink)
}

/// Of each stream, whether its line goes on.
#[derive(Clone, Copy, Default)]
struct Open([bool; 2]);

impl Open {
    /// Whether the line of `entry` has begun before it.
    fn had_begun(&mut self, entry: &Entry<'_>) -> bool {
        let open = &mut self.0[entry.stream as usize];
        std::mem::replace(open, entry.partial)
    }
}

/// Which entries are shown.
pub(super) struct Choice {
    since: Option<SystemTime>,
    /// The lines that have begun before those that are shown.
    hidden: Open,
}

impl Choice {
    pub(super) fn new(query: &Query) -> Choice {
        Choice {
            since: query.since,
            hidden: Open::default(),
        }
    }

    /// The lines that there are, or the last of them.
    pub(super) fn all(
        &mut self,
        cursor: &mut Cursor,
        tail: Option<usize>,
        sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        if let Some(tail) = tail {
            let Some((position, hidden)) = self.first_of(cursor, tail)? else {
                return Ok(());
            };
            self.hidden = hidden;
            cursor.back(position);
        }
        self.rest(cursor, sink)?;
        cursor.go_on();
        Ok(())
    }

    /// The lines from where the cursor is; whether the sink has let it come to the end.
    pub(super) fn rest(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> io::Result<bool> {
        cursor.entries(&mut |entry, _| match self.shows(entry) {
            true => sink(entry),
            false => Ok(true),
        })
    }

    fn shows(&mut self, entry: &Entry<'_>) -> bool {
        if !self.is_recent(entry) {
            return false;
        }
        let hidden = self.hidden.0[entry.stream as usize];
        if hidden {
            self.hidden.had_begun(entry);
        }
        !hidden
    }

    fn is_recent(&self, entry: &Entry<'_>) -> bool {
        self.since.is_none_or(|since| entry.time >= since)
    }

    /// Where the last lines begin, and which lines go on there that have begun before.
    fn first_of(&self, cursor: &mut Cursor, tail: usize) -> io::Result<Option<(Position, Open)>> {
        let mut last = VecDeque::new();
        let mut open = Open::default();
        cursor.entries(&mut |entry, position| {
            let others = open;
            if self.is_recent(entry) && !open.had_begun(entry) {
                last.push_back((position, others));
                if last.len() > tail {
                    last.pop_front();
                }
            }
            Ok(true)
        })?;
        Ok(last.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, collect};
    use super::super::{Stream, Writer};
    use super::*;
    use Stream::{Stderr, Stdout};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn at(second: u8) -> String {
        format!("2026-11-30T07:38:{second:02}.000000000Z")
    }

    fn time(second: u8) -> Option<SystemTime> {
        Some(humantime::parse_rfc3339(&at(second)).unwrap())
    }

    /// A log by hand, of seconds and lines.
    fn log(lines: &[(u8, &str)]) -> String {
        let line = |(second, line): &(u8, &str)| format!("{} {line}\n", at(*second));
        lines.iter().map(line).collect()
    }

    #[test]
    fn the_file_before_comes_first() {
        let place = Place::new();
        assert!(place.read(None, None).is_empty());
        place.put("log.1", log(&[(1, "stdout F a"), (2, "stderr P b")]));
        assert_eq!(place.read(None, None), ["a", "b+"]);
        place.put("log", log(&[(3, "stderr F c")]));
        assert_eq!(place.read(None, None), ["a", "b+", "c"]);
    }

    #[test]
    fn what_was_written_is_read() {
        let place = Place::new();
        let mut writer = place.writer(1 << 20);
        let long = "x".repeat(40_000);
        let text = format!("a\n\n\u{e9}\r\n{long}\nlast");
        writer.write(Stdout, text.as_bytes()).unwrap();
        writer.finish().unwrap();
        let found = place.read(None, None);
        assert_eq!(found[..3], ["a", "", "\u{e9}\r"]);
        assert_eq!(found[3..6].concat().replace('+', ""), long);
        assert_eq!(found[6..], ["last+"]);
    }

    #[test]
    fn the_tail_counts_lines_of_the_command_not_their_parts() {
        let place = Place::new();
        place.put(
            "log.1",
            log(&[(1, "stdout F a"), (2, "stdout P b"), (3, "stderr P c")]),
        );
        let more = [
            (4, "stdout P b"),
            (5, "stdout F b"),
            (6, "stderr F c"),
            (7, "stdout F d"),
        ];
        place.put("log", log(&more));
        assert_eq!(place.read(Some(0), None), [""; 0]);
        assert_eq!(place.read(Some(1), None), ["d"]);
        // Of the line of standard output that has begun before nothing is shown.
        assert_eq!(place.read(Some(2), None), ["c+", "c", "d"]);
        assert_eq!(place.read(Some(3), None), ["b+", "c+", "b+", "b", "c", "d"]);
        for all in [4, 5, usize::MAX] {
            assert_eq!(place.read(Some(all), None), place.read(None, None));
        }
    }

    #[test]
    fn lines_since_a_time_and_the_last_of_them() {
        let place = Place::new();
        place.put("log.1", log(&[(1, "stdout F a"), (3, "stdout F b")]));
        // The clock was set back.
        place.put(
            "log",
            log(&[(2, "stdout F c"), (4, "stderr F d"), (5, "stdout F e")]),
        );
        assert_eq!(place.read(None, time(3)), ["b", "d", "e"]);
        assert_eq!(place.read(Some(2), time(3)), ["d", "e"]);
        assert_eq!(place.read(Some(9), time(5)), ["e"]);
        assert_eq!(place.read(Some(9), time(6)), [""; 0]);
    }

    #[test]
    fn a_line_that_is_not_of_the_format_is_shown_as_it_is_with_the_time_of_the_one_before() {
        let place = Place::new();
        place.put(
            "log.1",
            [b"\xff\0 by hand\n", log(&[(1, "stdout F a")]).as_bytes()].concat(),
        );
        place.put(
            "log",
            format!("no time\n{}\n{}", at(9), log(&[(2, "stdout F b")])),
        );
        let mut found = Vec::new();
        let mut sink = |entry: &Entry<'_>| {
            found.push((entry.text.to_vec(), Some(entry.time)));
            Ok(true)
        };
        read(place.open(), &Query::default(), &mut sink).unwrap();
        let expected = [
            (b"\xff\0 by hand".to_vec(), Some(SystemTime::UNIX_EPOCH)),
            (b"a".to_vec(), time(1)),
            (b"no time".to_vec(), time(1)),
            (at(9).into_bytes(), time(1)),
            (b"b".to_vec(), time(2)),
        ];
        assert_eq!(found, expected);
        // The place from which the tail is read has the time of the line before, too.
        assert_eq!(place.read(Some(3), time(1)), ["no time", &at(9), "b"]);
    }

    #[test]
    fn a_line_without_its_newline_is_none_in_the_file_that_is_written() {
        let place = Place::new();
        place.put("log.1", log(&[(1, "stdout F a")]).trim_end());
        place.put(
            "log",
            log(&[(1, "stdout F b"), (1, "stdout F c")]).trim_end(),
        );
        assert_eq!(place.read(None, None), ["a", "b"]);
        assert_eq!(place.read(Some(2), None), ["a", "b"]);
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_parts() {
        let place = Place::new();
        let long = "y".repeat(150_000);
        place.put("log", format!("{long}\n{}", log(&[(1, "stdout F b")])));
        let found = place.read(None, None);
        let parts = found.iter().map(|text| text.trim_end_matches('+').len());
        assert_eq!(parts.collect::<Vec<_>>(), [65_536, 65_536, 18_928, 1]);
        assert_eq!(place.read(Some(2), None), found);
        assert_eq!(place.read(Some(1), None), ["b"]);
    }

    #[test]
    fn any_bytes_can_be_read() {
        let place = Place::new();
        let mut state = 1u32;
        let parts: [&[u8]; 9] = [
            b"2026-11-30T07:38:50.1Z",
            b" ",
            b"stdout",
            b"stderr",
            b"F",
            b"P",
            b"\n",
            b"\xc3",
            b"\0",
        ];
        for _ in 0..50 {
            let mut bytes = Vec::new();
            for _ in 0..300 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes.extend_from_slice(parts[(state >> 16) as usize % parts.len()]);
            }
            place.put("log", &bytes);
            let all = place.read(None, None);
            assert_eq!(
                all.len(),
                bytes.iter().filter(|&&byte| byte == b'\n').count()
            );
            let tail = place.read(Some(7), None);
            assert!(tail.len() <= all.len());
        }
    }

    #[test]
    fn a_sink_that_has_enough_is_asked_no_more() {
        let place = Place::new();
        place.put("log.1", log(&[(1, "stdout F a"), (2, "stdout F b")]));
        place.put("log", log(&[(3, "stdout F c")]));
        let mut found = Vec::new();
        let mut sink = collect(&mut found);
        let mut first = |entry: &Entry<'_>| sink(entry).map(|_| false);
        read(place.open(), &Query::default(), &mut first).unwrap();
        let mut failing = |_: &Entry<'_>| Err(io::ErrorKind::BrokenPipe.into());
        let error = read(place.open(), &Query::default(), &mut failing).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        drop(sink);
        assert_eq!(found, ["a"]);
    }

    /// Whatever moment it is read at, a log that begins new files has lines that follow each other.
    #[test]
    fn a_new_file_while_reading_neither_loses_nor_repeats_a_line() {
        let place = Place::new();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer: Writer = place.writer(400);
                for number in 0..8_000 {
                    let stream = [Stdout, Stderr][number % 2];
                    writer
                        .write(stream, format!("{number}\n").as_bytes())
                        .unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads == 0 {
                let found = place.read(None, None);
                let numbers: Vec<u32> = found.iter().map(|text| text.parse().unwrap()).collect();
                let follow = |pair: &[u32]| pair[0] + 1 == pair[1];
                assert!(numbers.windows(2).all(follow), "{numbers:?}");
                assert!(place.read(Some(3), None).len() <= 3);
                reads += 1;
            }
        });
    }
}
