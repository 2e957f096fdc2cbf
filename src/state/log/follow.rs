//! Follows a log that is being written.

use super::Sink;
use super::lines::Cursor;
use super::read::{Choice, Query};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, retry_on_intr};
use std::io;

/// One who reads a log, and then what is added to it.
///
/// It does not wait: its owner does, for [`Follower::wanted`] or a little while, and then calls [`Follower::next`].
pub struct Follower {
    directory: OwnedFd,
    inotify: Option<OwnedFd>,
    cursor: Cursor,
    choice: Choice,
}

impl Follower {
    /// Gives the lines that there are to `sink`, as [`read`](super::read()) does.
    ///
    /// # Errors
    /// When a file cannot be read; of the sink.
    pub fn read(directory: impl AsFd, query: &Query, sink: &mut Sink<'_>) -> io::Result<Follower> {
        let directory = directory.as_fd().try_clone_to_owned()?;
        let mut follower = Follower {
            // Before anything is read: of what comes later there is an event.
            inotify: watch(directory.as_fd()).ok(),
            cursor: Cursor::new(directory.as_fd())?,
            choice: Choice::new(query),
            directory,
        };
        let (choice, cursor) = (&mut follower.choice, &mut follower.cursor);
        choice.all(cursor, query.tail, sink)?;
        Ok(follower)
    }

    /// Ready for reading when the log may have more. None if the kernel has none to give, as when the user has too many
    /// (`fs.inotify.max_user_instances`): then look again after a while.
    pub fn wanted(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Gives what has come since to `sink`, or what it has not been given because the sink had said false; says whether the
    /// sink has let it come to the end.
    ///
    /// A file that the writer is done with is read to its end before the new one. Where there were more than two new ones
    /// since the last time, those between are gone, and their lines with them. A line without its newline waits.
    ///
    /// # Errors
    /// When a file cannot be read; of the sink. It can be called again: only the entry at which the sink failed is not
    /// given again.
    pub fn next(&mut self, sink: &mut Sink<'_>) -> io::Result<bool> {
        // Events first: of what is written from here on there is another.
        self.take_events()?;
        loop {
            if !self.choice.rest(&mut self.cursor, sink)? {
                return Ok(false);
            }
            // What was written between reading to the end and the rename is still to come: `rest` reads on in that file.
            if !self.cursor.later(self.directory.as_fd())? {
                return Ok(true);
            }
        }
    }

    fn take_events(&self) -> io::Result<()> {
        let Some(inotify) = &self.inotify else {
            return Ok(());
        };
        let mut buffer = [0u8; 4096];
        loop {
            match retry_on_intr(|| rustix::io::read(inotify, &mut buffer)) {
                Ok(1..) => {}
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Watches the directory, not the file: a new file is seen too, and what is written to the one that has been renamed.
fn watch(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // There is no call that takes a descriptor.
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
    inotify::add_watch(&inotify, path, events | WatchFlags::ONLYDIR)?;
    Ok(inotify)
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::super::Stream::{self, Stderr, Stdout};
    use super::super::tests::{Place, collect};
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::sync::atomic::{AtomicBool, Ordering};

    impl Follower {
        fn found(&mut self) -> Vec<String> {
            let mut found = Vec::new();
            assert!(self.next(&mut collect(&mut found)).unwrap());
            found
        }

        fn is_ready(&self) -> bool {
            let at_once = Timespec::default();
            let mut wanted = [PollFd::from_borrowed_fd(
                self.wanted().unwrap(),
                PollFlags::IN,
            )];
            poll(&mut wanted, Some(&at_once)).unwrap() > 0
        }
    }

    fn follow(place: &Place, tail: Option<usize>) -> (Follower, Vec<String>) {
        let mut found = Vec::new();
        let query = Query { tail, since: None };
        let follower = Follower::read(place.open(), &query, &mut collect(&mut found)).unwrap();
        (follower, found)
    }

    #[test]
    fn what_is_added_comes_once_and_in_order() {
        let place = Place::new();
        let mut writer = place.writer(1 << 20);
        writer.write(Stdout, b"1\n2\n").unwrap();
        let (mut follower, found) = follow(&place, Some(1));
        assert_eq!(found, ["2"]);
        assert!(!follower.is_ready());
        assert_eq!(follower.found(), [""; 0]);
        writer.write(Stdout, b"3\n4").unwrap();
        writer.write(Stderr, b"5\n").unwrap();
        assert!(follower.is_ready());
        assert_eq!(follower.found(), ["3", "5"]);
        assert!(!follower.is_ready());
        writer.finish().unwrap();
        assert!(follower.is_ready());
        assert_eq!(follower.found(), ["4+"]);
    }

    #[test]
    fn it_goes_on_over_two_new_files() {
        let place = Place::new();
        // Two lines in each file.
        let mut writer = place.writer(100);
        let mut write = |text: &str| writer.write(Stdout, text.as_bytes()).unwrap();
        write("1\n");
        let (mut follower, found) = follow(&place, None);
        assert_eq!(found, ["1"]);
        write("2\n3\n");
        assert!(follower.is_ready());
        assert_eq!(follower.found(), ["2", "3"]);
        write("4\n5\n");
        assert_eq!(follower.found(), ["4", "5"]);
        // Two new files at once.
        write("6\n7\n8\n9\n");
        assert_eq!(follower.found(), ["6", "7", "8", "9"]);
        assert_eq!(follower.cursor.sources.len(), 1);
        // Three: one is gone.
        write("10\n11\n12\n13\n14\n15\n");
        assert_eq!(follower.found(), ["10", "13", "14", "15"]);
    }

    #[test]
    fn a_line_of_which_only_a_part_is_in_the_file_waits() {
        let place = Place::new();
        let line = "2026-11-30T07:38:50.123456789Z stdout F whole\n";
        for length in 0..line.len() {
            place.put("log", &line[..length]);
            let (mut follower, found) = follow(&place, None);
            assert_eq!((found.len(), follower.found().len()), (0, 0));
            place.put("log", line);
            assert_eq!(follower.found(), ["whole"]);
        }
    }

    #[test]
    fn half_a_line_that_was_taken_back_is_never_shown() {
        let place = Place::new();
        let line = |text: &str| format!("2026-11-30T07:38:50.123456789Z stdout F {text}\n");
        place.put("log", line("1"));
        let (mut follower, _) = follow(&place, None);
        place.put("log", line("1") + line("no room").trim_end());
        assert_eq!(follower.found(), [""; 0]);
        place.put("log", line("1") + &line("2"));
        assert_eq!(follower.found(), ["2"]);
    }

    #[test]
    fn a_log_that_is_not_there_yet_and_one_that_is_gone() {
        let place = Place::new();
        let (mut follower, found) = follow(&place, None);
        assert_eq!((found.len(), follower.found().len()), (0, 0));
        let mut writer = place.writer(1 << 20);
        writer.write(Stdout, b"1\n").unwrap();
        assert!(follower.is_ready());
        assert_eq!(follower.found(), ["1"]);
        std::fs::remove_file(place.0.join("log")).unwrap();
        assert_eq!(follower.found(), [""; 0]);
        place.writer(1 << 20).write(Stdout, b"2\n").unwrap();
        assert_eq!(follower.found(), ["2"]);
        // Emptied: from its beginning.
        place.put("log", "");
        assert_eq!(follower.found(), [""; 0]);
        place.writer(1 << 20).write(Stdout, b"3\n").unwrap();
        assert_eq!(follower.found(), ["3"]);
    }

    #[test]
    fn a_sink_that_had_enough_is_given_the_rest_the_next_time() {
        let place = Place::new();
        let mut writer = place.writer(100);
        writer.write(Stdout, b"1\n2\n3\n4\n").unwrap();
        let mut found = Vec::new();
        let mut sink = collect(&mut found);
        let mut one = |entry: &Entry<'_>| sink(entry).map(|_| false);
        let query = Query::default();
        let mut follower = Follower::read(place.open(), &query, &mut one).unwrap();
        assert!(!follower.next(&mut one).unwrap());
        drop(sink);
        assert_eq!(found, ["1", "2"]);
        writer.write(Stdout, b"5\n").unwrap();
        assert_eq!(follower.found(), ["3", "4", "5"]);
    }

    #[test]
    fn a_follower_that_is_quick_enough_sees_each_line_once() {
        const LINES: usize = 5_000;
        let place = Place::new();
        let turn = AtomicBool::new(false);
        let (mut follower, mut seen) = follow(&place, None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = place.writer(40_000);
                for number in 0..LINES {
                    let stream: Stream = [Stdout, Stderr][number % 2];
                    writer
                        .write(stream, format!("{number}\n").as_bytes())
                        .unwrap();
                    // A file holds about a thousand lines: the follower must have come after some hundred.
                    while number % 500 == 499 && !turn.swap(false, Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                }
            });
            while seen.len() < LINES {
                let found = follower.found();
                if found.is_empty() {
                    turn.store(true, Ordering::Relaxed);
                }
                seen.extend(found);
            }
            turn.store(true, Ordering::Relaxed);
        });
        let expected: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
        assert_eq!(seen, expected);
    }
}
