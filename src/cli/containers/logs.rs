//! `rootlet logs`.

use crate::cli::written;
use rootlet::error::{Error, Result};
use rootlet::spec::parse_duration;
use rootlet::state::log::{Entry, Follower, Query, Stream};
use rootlet::state::{Known, Name};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::time::SystemTime;

/// The options.
#[derive(clap::Args)]
pub struct LogsLine {
    /// The container
    name: Name,
    /// Go on with what comes, until the container has ended
    #[arg(short, long)]
    follow: bool,
    /// What was written since: a time such as 2026-11-30T12:00:00Z, or how long ago (10m, 1h30m, …)
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<SystemTime>,
    /// The last N lines only
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<usize>,
    /// Each line with its time
    #[arg(short, long)]
    timestamps: bool,
}

fn when(text: &str) -> Result<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let ago = parse_duration(text).ok();
    ago.and_then(|ago| SystemTime::now().checked_sub(ago))
        .ok_or_else(|| {
            Error::usage(
                "expected a time such as 2026-11-30T12:00:00Z, or how long ago, such as 10m",
            )
        })
}

/// How often it is looked whether the container has ended.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Prints what the command has written: output to standard output, errors to standard error.
pub fn logs(line: &LogsLine) -> anyhow::Result<u8> {
    let known = Known::named(&line.name)?;
    if !known.record.detached {
        return Err(Error::usage(format!(
            "container {} is not detached: its output went to whoever started it, and there is no log",
            line.name
        ))
        .into());
    }
    let query = Query {
        tail: line.tail,
        since: line.since,
    };
    let result = print(&known, line, &query);
    if let Ok(Some(record)) = known.folder.record()
        && let Some(failure) = record.log_failure
    {
        say!("rootlet: note: the log is not whole: {failure}");
    }
    written(result)
}

fn print(known: &Known, line: &LogsLine, query: &Query) -> io::Result<()> {
    let mut sink = |entry: &Entry<'_>| show(entry, line.timestamps).map(|()| true);
    let mut follower = Follower::read(&known.folder, query, &mut sink)?;
    io::stdout().flush()?;
    if line.follow {
        follow(known, &mut follower, &mut sink)?;
    }
    Ok(())
}

/// Until the container has ended.
fn follow(
    known: &Known,
    follower: &mut Follower,
    sink: &mut dyn FnMut(&Entry<'_>) -> io::Result<bool>,
) -> io::Result<()> {
    loop {
        // Asked before the rest is read: what was written last is not lost.
        let runs = known.folder.is_held().map_err(io::Error::other)?;
        follower.next(sink)?;
        io::stdout().flush()?;
        if !runs {
            return Ok(());
        }
        let wanted = follower.wanted();
        let wanted = wanted.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // Interrupted or not: it is looked again.
        let _ = poll(
            wanted.into_iter().collect::<Vec<_>>().as_mut_slice(),
            Some(&GLANCE),
        );
    }
}

fn show(entry: &Entry<'_>, timestamps: bool) -> io::Result<()> {
    let mut text = Vec::with_capacity(entry.text.len() + 40);
    if timestamps {
        write!(text, "{} ", humantime::format_rfc3339_nanos(entry.time))?;
    }
    text.extend_from_slice(entry.text);
    if !entry.partial {
        text.push(b'\n');
    }
    match entry.stream {
        Stream::Stdout => io::stdout().write_all(&text),
        Stream::Stderr => {
            // In the order in which they were written, where both go to one place.
            io::stdout().flush()?;
            io::stderr().write_all(&text)
        }
    }
}
