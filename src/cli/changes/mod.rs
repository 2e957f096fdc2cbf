//! `rootlet changes`, `diff`, `apply` and `drop`: what a `rootlet try` has left; and what that asks at its end.

mod json;
mod lines;

use super::written;
use clap::Args;
use json::json;
use lines::list;
use rootlet::changes::text::shown;
use rootlet::changes::{Applied, Changes, Patterns, Progress, Refusal, Store};
use rootlet::error::Result;
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
    if !patterns.is_empty() {
        changes.list.retain(|change| patterns.matches(change.path));
    }
    let mut out = io::stdout().lock();
    let terminal = out.is_terminal();
    written(match line.json {
        true => out.write_all(json(&store, &changes)?.as_bytes()),
        false => list(&changes, terminal, usize::MAX, &mut out),
    })
}

/// `rootlet diff`.
pub fn diff(chosen: &Chosen) -> anyhow::Result<u8> {
    let (store, patterns) = chosen.open()?;
    let terminal = io::stdout().is_terminal();
    match terminal {
        true => paged(&store, &patterns),
        false => written(store.diff(&patterns, false, &mut io::stdout().lock())?),
    }
}

/// Through the user's pager.
fn paged(store: &Store, patterns: &Patterns) -> anyhow::Result<u8> {
    let pager = std::env::var_os("PAGER").filter(|pager| !pager.is_empty());
    let pager = pager.unwrap_or(OsString::from("less -R"));
    let child = Command::new("sh")
        .arg("-c")
        .arg(pager)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return written(store.diff(patterns, true, &mut io::stdout().lock())?);
    };
    let result = match child.stdin.take() {
        Some(mut to) => store.diff(patterns, true, &mut to)?,
        None => Ok(()),
    };
    child.wait()?;
    written(result)
}

/// `rootlet apply`: 0 when all is applied, 1 when something is refused.
pub fn apply(line: &ApplyLine) -> anyhow::Result<u8> {
    let (store, patterns) = line.chosen.open()?;
    let applied = applied(&store, &patterns, line.force)?;
    Ok(u8::from(!applied.refused.is_empty()))
}

fn applied(store: &Store, patterns: &Patterns, force: bool) -> Result<Applied> {
    let mut bar = Bar::new();
    let result = store.apply(patterns, force, &mut |progress| bar.show(progress));
    bar.clear();
    let result = result?;
    for refusal in &result.refused {
        say!("rootlet: not applied: {refusal}");
    }
    let conflict = |refusal: &Refusal| matches!(refusal, Refusal::Conflict { .. });
    if result.refused.iter().any(conflict) {
        say!("hint: --force applies it over what the host has now");
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
            eprint!("\r{} of {}\x1b[K", progress.done, progress.total);
        }
    }

    fn clear(&self) {
        if self.said.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// What `rootlet try` says when the command has changed nothing.
pub fn report_nothing(as_json: bool) -> anyhow::Result<u8> {
    match as_json {
        true => written(io::stdout().write_all(b"{\"dir\":null,\"changes\":[]}\n")),
        false => written(writeln!(io::stderr(), "rootlet: nothing was changed")),
    }
}

/// What `rootlet try` says when nobody is asked.
pub fn report(store: &Store, changes: &Changes, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        return written(io::stdout().write_all(json(store, changes)?.as_bytes()));
    }
    let dir = shown(store.directory());
    let mut err = io::stderr().lock();
    let terminal = err.is_terminal();
    let listed = list(changes, terminal, MOST_LINES, &mut err).and_then(|()| {
        write!(
            err,
            "rootlet: the changes are in {dir}\n\
             hint: rootlet changes|diff|apply|drop {dir}\n"
        )
    });
    written(listed)
}

/// Asks what is to become of the changes, until it is decided.
pub fn ask(store: Store) -> anyhow::Result<()> {
    loop {
        let changes = store.changes()?;
        if changes.list.is_empty() && changes.unread.is_empty() {
            return Ok(store.drop()?);
        }
        list(&changes, true, MOST_LINES, &mut io::stderr())?;
        match answer("[k]eep all, keep [s]ome, show [d]ifferences, d[r]op, or [l]eave them? ")?
            .as_str()
        {
            "k" if applied(&store, &Patterns::default(), false)?
                .refused
                .is_empty() =>
            {
                return Ok(store.drop()?);
            }
            "s" => {
                let some = answer("which (paths, or patterns with * and **)? ")?;
                let words: Vec<PathBuf> = some.split_whitespace().map(PathBuf::from).collect();
                if !words.is_empty() {
                    applied(&store, &patterns(&words), false)?;
                }
            }
            "d" => {
                paged(&store, &Patterns::default())?;
            }
            "r" => return Ok(store.drop()?),
            "l" => {
                let dir = shown(store.directory());
                say!("rootlet: the changes are in {dir}");
                say!("hint: rootlet changes|diff|apply|drop {dir}");
                return Ok(());
            }
            _ => {}
        }
    }
}

/// A line from standard input; its end means to leave things as they are.
fn answer(question: &str) -> io::Result<String> {
    eprint!("{question}");
    let mut line = String::new();
    match io::stdin().read_line(&mut line)? {
        0 => {
            say!();
            Ok("l".to_string())
        }
        _ => Ok(line.trim().to_lowercase()),
    }
}
