//! The log of a container that goes on by itself: what its command has written, as Kubernetes' CRI has it.
//!
//! ```text
//! 2026-11-30T07:38:50.123456789Z stdout F a whole line
//! 2026-11-30T07:38:50.623456789Z stderr P the first 16 KiB of a long line, which has not ended
//! ```
//!
//! It is two files of a directory: `log`, and `log.1`, what `log` was before it was full. [`Writer`] is the only one that
//! writes them; any number of others may [`read`](read()) and [follow](Follower) meanwhile.
#![forbid(unsafe_code)]

mod follow;
mod lines;
mod read;
mod write;

pub use follow::Follower;
pub use read::{Query, read};
pub use write::Writer;

use std::time::SystemTime;

/// What is written now.
const CURRENT: &str = "log";
/// What was before; the one before that is gone.
const BEFORE: &str = "log.1";

/// What the command writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As it stands in the log: `stdout` or `stderr`.
    pub fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was written, by the clock of the host.
    pub time: SystemTime,
    /// What the command wrote it to.
    pub stream: Stream,
    /// The line of the command does not end here: it goes on with the next entry of this stream.
    pub partial: bool,
    /// What the command wrote, without the newline.
    pub text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// A line of the file, without its newline; none if it is not of the format.
    fn parse(line: &'a [u8]) -> Option<Entry<'a>> {
        let mut fields = line.splitn(4, |&byte| byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?;
        Some(Entry {
            time: humantime::parse_rfc3339(time).ok()?,
            stream: match fields.next()? {
                b"stdout" => Stream::Stdout,
                b"stderr" => Stream::Stderr,
                _ => return None,
            },
            partial: match fields.next()? {
                b"F" => false,
                b"P" => true,
                _ => return None,
            },
            text: fields.next()?,
        })
    }
}

/// What is done with each entry: says whether to go on.
pub type Sink<'a> = dyn FnMut(&Entry<'_>) -> std::io::Result<bool> + 'a;

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use rustix::fs::{Mode, OFlags, open};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory of a test, gone with it.
    pub(super) struct Place(pub PathBuf);

    impl Place {
        pub(super) fn new() -> Place {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("rootlet-log-{}-{number}", std::process::id());
            let place = Place(std::env::temp_dir().join(name));
            std::fs::create_dir(&place.0).unwrap();
            place
        }

        pub(super) fn open(&self) -> OwnedFd {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            open(&self.0, flags, Mode::empty()).unwrap()
        }

        pub(super) fn writer(&self, limit: u64) -> Writer {
            Writer::new(self.open(), limit).unwrap()
        }

        pub(super) fn text(&self, file: &str) -> String {
            let bytes = std::fs::read(self.0.join(file)).unwrap();
            String::from_utf8(bytes).unwrap()
        }

        /// The lines of a file, without their times.
        pub(super) fn lines(&self, file: &str) -> Vec<String> {
            let text = self.text(file);
            assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
            let line = |line: &str| line.split_once(' ').unwrap().1.to_owned();
            text.lines().map(line).collect()
        }

        /// Writes a file as somebody would by hand.
        pub(super) fn put(&self, file: &str, text: impl AsRef<[u8]>) {
            std::fs::write(self.0.join(file), text).unwrap();
        }

        pub(super) fn read(&self, tail: Option<usize>, since: Option<SystemTime>) -> Vec<String> {
            let mut found = Vec::new();
            read(
                self.open(),
                &Query { tail, since },
                &mut collect(&mut found),
            )
            .unwrap();
            found
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A sink that notes each entry, a `+` behind it where the line goes on.
    pub(super) fn collect(
        found: &mut Vec<String>,
    ) -> impl FnMut(&Entry<'_>) -> std::io::Result<bool> {
        |entry| {
            let text = String::from_utf8_lossy(entry.text);
            found.push(format!("{text}{}", if entry.partial { "+" } else { "" }));
            Ok(true)
        }
    }

    #[test]
    fn a_line_is_its_time_its_stream_its_sort_and_its_text() {
        let entry = Entry::parse(b"2026-11-30T07:38:50.123456789Z stderr P a  b").unwrap();
        let time = humantime::format_rfc3339_nanos(entry.time).to_string();
        assert_eq!(time, "2026-11-30T07:38:50.123456789Z");
        assert_eq!((entry.stream, entry.partial), (Stream::Stderr, true));
        assert_eq!(entry.text, b"a  b");
        let empty = Entry::parse(b"2026-11-30T07:38:50.123456789Z stdout F ").unwrap();
        assert_eq!((empty.stream, empty.partial), (Stream::Stdout, false));
        assert_eq!(empty.text, b"");
    }

    #[test]
    fn what_is_not_of_the_format_is_no_entry() {
        let time = "2026-11-30T07:38:50.123456789Z";
        for line in [
            String::new(),
            "   ".into(),
            "stdout F a".into(),
            time.into(),
            format!("{time} stdout"),
            format!("{time} stdout F"),
            format!("{time} stdin F a"),
            format!("{time} stdout X a"),
            format!("{}9 stdout F a", &time[..28]),
            "1969-11-30T07:38:50Z stdout F a".into(),
            "é026-11-30T07:38:50Z stdout F a".into(),
        ] {
            assert_eq!(Entry::parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(Entry::parse(b"\xff\xfe\0 stdout F a"), None);
    }
}
