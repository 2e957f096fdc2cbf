//! `rootlet changes`, `diff`, `apply` and `drop`: what a `rootlet try` has left; and what that asks at its end.

mod json;
mod lines;
mod question;
mod words;

use super::written;
use clap::Args;
use json::json;
use lines::list;
pub use question::ask;
use rootlet::changes::text::shown;
use rootlet::changes::{Applied, Changes, Patterns, Progress, Store};
use rootlet::error::Result;
use rootlet::sys::{set_signal_disposition, signal_disposition};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lines of a list that are shown before a question is asked.
const MOST_LINES: usize = 200;
/// How long an apply may take before it says how far it is, and how often it says so.
const PATIENCE: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(100)];

/// A store, and what of it is meant.
#[derive(Args)]
pub struct Chosen {
    /// The directory that `rootlet try` has left
    dir: PathBuf,
    /// Only these paths and what is below them; * and ? stand for letters, ** for directories
    #[arg(value_name = "PATTERN")]
    patterns: Vec<PathBuf>,
}

#[derive(Args)]
pub struct ChangesLine {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Args)]
pub struct ApplyLine {
    /// Also where the host has changed since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    chosen: Chosen,
}

#[derive(Args)]
pub struct DropLine {
    /// The directories that `rootlet try` has left
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
}

impl Chosen {
    fn open(&self) -> Result<(Store, Patterns)> {
        let store = Store::open(&std::path::absolute(&self.dir).unwrap_or(self.dir.clone()))?;
        Ok((store, patterns(&self.patterns)))
    }
}

fn patterns(words: &[PathBuf]) -> Patterns {
    Patterns::new(words, &std::env::current_dir().unwrap_or_default())
}

/// `rootlet changes`.
pub fn changes(line: &ChangesLine) -> anyhow::Result<u8> {
    let (store, patterns) = line.chosen.open()?;
    let mut changes = store.changes()?;
    note_unmatched(&changes, &patterns);
    if !patterns.is_empty() {
        changes.list.retain(|change| patterns.matches(change.path));
    }
    let mut out = io::stdout().lock();
    let terminal = out.is_terminal();
    written(match line.json {
        true => out.write_all(json(&store, Some(store.directory()), &changes)?.as_bytes()),
        false => list(&changes, terminal, usize::MAX, &mut out),
    })
}

/// `rootlet diff`.
pub fn diff(chosen: &Chosen) -> anyhow::Result<u8> {
    let (store, patterns) = chosen.open()?;
    let changes = store.changes()?;
    note_unmatched(&changes, &patterns);
    match io::stdout().is_terminal() {
        true => paged(&store, &changes, &patterns),
        false => written(store.diff(&changes, &patterns, false, &mut io::stdout().lock())),
    }
}

fn note_unmatched(changes: &Changes, patterns: &Patterns) {
    for unmatched in changes.unmatched(patterns) {
        say!("rootlet: note: {unmatched}");
    }
}

/// Through the user's pager.
fn paged(store: &Store, changes: &Changes, patterns: &Patterns) -> anyhow::Result<u8> {
    let pager = std::env::var_os("PAGER").filter(|pager| !pager.is_empty());
    let pager = pager.unwrap_or(OsString::from("less -R"));
    let started = Command::new("sh")
        .arg("-c")
        .arg(pager)
        .stdin(Stdio::piped())
        .spawn();
    if let Ok(mut pager) = started {
        let (result, status) = undisturbed(|| {
            let to = pager.stdin.take();
            let result = to.map(|mut to| store.diff(changes, patterns, true, &mut to));
            (result.unwrap_or(Ok(())), pager.wait())
        });
        // The shell has not found it.
        if status?.code() != Some(127) {
            return written(result);
        }
    }
    written(store.diff(changes, patterns, true, &mut io::stdout().lock()))
}

/// Does something while the terminal belongs to a program that was started before: ^C and ^\ are for that alone.
fn undisturbed<T>(something: impl FnOnce() -> T) -> T {
    let signals = [libc::SIGINT, libc::SIGQUIT];
    let before = signals.map(|signal| signal_disposition(signal).unwrap_or(libc::SIG_DFL));
    let set = |dispositions: [usize; 2]| {
        for (signal, disposition) in signals.into_iter().zip(dispositions) {
            // It fails for no signal that there is.
            let _ = set_signal_disposition(signal, disposition);
        }
    };
    set([libc::SIG_IGN; 2]);
    let result = something();
    set(before);
    result
}

/// `rootlet apply`: 0 when all is applied, 1 when something is refused or a pattern matches nothing.
pub fn apply(line: &ApplyLine) -> anyhow::Result<u8> {
    let (store, patterns) = line.chosen.open()?;
    let applied = applied(&store, &patterns, line.force)?;
    if applied.has_conflicts() {
        say!("hint: --force applies it over what the host has now");
    }
    let complete = applied.refused.is_empty() && applied.unmatched.is_empty();
    Ok(u8::from(!complete))
}

fn applied(store: &Store, patterns: &Patterns, force: bool) -> Result<Applied> {
    let mut bar = Bar::new();
    let result = store.apply(patterns, force, &mut |progress| bar.show(progress));
    bar.clear();
    let result = result?;
    for refusal in &result.refused {
        say!("rootlet: not applied: {refusal}");
    }
    for unmatched in &result.unmatched {
        say!("rootlet: {unmatched}");
    }
    if let [path, more @ ..] = &result.parted[..] {
        let path = shown(path);
        let others = match more.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        say!("rootlet: note: other names of {path}{others} (hard links) are what they were");
    }
    say!("{} applied, {} not", result.applied, result.refused.len());
    Ok(result)
}

/// `rootlet drop`.
pub fn drop_stores(line: &DropLine) -> anyhow::Result<u8> {
    let stores = line
        .dirs
        .iter()
        .map(|dir| Store::open(dir))
        .collect::<Result<Vec<_>>>()?;
    for store in stores {
        store.drop()?;
    }
    Ok(0)
}

/// How far an apply is, on a terminal.
struct Bar {
    started: Instant,
    said: Option<Instant>,
    terminal: bool,
}

impl Bar {
    fn new() -> Self {
        Bar {
            started: Instant::now(),
            said: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: Progress) {
        let early = self.started.elapsed() < PATIENCE[0];
        let again = self.said.is_some_and(|said| said.elapsed() < PATIENCE[1]);
        if self.terminal && !early && !again {
            self.said = Some(Instant::now());
            eprint!("\r{}\x1b[K", drawn(progress));
        }
    }

    fn clear(&self) {
        if self.said.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// How many places a bar has.
const BAR: usize = 30;

fn drawn(Progress { done, total }: Progress) -> String {
    let full = (done * BAR).checked_div(total).unwrap_or(BAR);
    format!("[{:BAR$}] {done} of {total}", "#".repeat(full))
}

/// What `rootlet try` says when the command has changed nothing, and nothing stays.
pub fn report_nothing(store: Store, changes: &Changes, as_json: bool) -> anyhow::Result<()> {
    let text = as_json.then(|| json(&store, None, changes)).transpose()?;
    store.drop()?;
    written(match text {
        Some(text) => io::stdout().write_all(text.as_bytes()),
        None => writeln!(io::stderr(), "rootlet: nothing was changed"),
    })
    .map(drop)
}

/// What `rootlet try` says when nobody is asked.
pub fn report(store: &Store, changes: &Changes, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        return written(
            io::stdout().write_all(json(store, Some(store.directory()), changes)?.as_bytes()),
        );
    }
    let terminal = io::stderr().is_terminal();
    let listed = list(changes, terminal, MOST_LINES, &mut io::stderr().lock());
    say_where(store);
    written(listed)
}

fn say_where(store: &Store) {
    let dir = shown(store.directory());
    say!("rootlet: the changes are in {dir}");
    say!("hint: rootlet changes|diff|apply|drop {dir}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_from_nothing_to_its_whole_length() {
        for (done, total, full) in [(0, 40, 0), (20, 40, 15), (40, 40, 30), (0, 0, 30)] {
            let bar = drawn(Progress { done, total });
            let (full, free) = ("#".repeat(full), " ".repeat(30 - full));
            assert_eq!(bar, format!("[{full}{free}] {done} of {total}"));
        }
    }
}
