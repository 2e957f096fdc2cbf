//! `rootlet changes`, `diff`, `apply` and `drop`: what a `rootlet try` has left; and what that asks at its end.

use super::written;
use clap::Args;
use rootlet::changes::text::shown;
use rootlet::changes::{
    Applied, Change, Changes, FileType, Kind, Patterns, Progress, Refusal, Store,
};
use rootlet::error::Result;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
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
    changes.list.retain(|change| patterns.matches(&change.path));
    let mut out = io::stdout().lock();
    let text = match line.json {
        true => json(&store, &changes)?,
        false => list(&changes, out.is_terminal(), usize::MAX),
    };
    written(out.write_all(text.as_bytes()))
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
    let terminal = io::stderr().is_terminal();
    written(write!(
        io::stderr(),
        "{}rootlet: the changes are in {dir}\n\
         hint: rootlet changes|diff|apply|drop {dir}\n",
        list(changes, terminal, MOST_LINES)
    ))
}

/// Asks what is to become of the changes, until it is decided.
pub fn ask(store: Store) -> anyhow::Result<()> {
    loop {
        let changes = store.changes()?;
        if changes.list.is_empty() && changes.unread.is_empty() {
            return Ok(store.drop()?);
        }
        eprint!("{}", list(&changes, true, MOST_LINES));
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

fn json(store: &Store, changes: &Changes) -> anyhow::Result<String> {
    let size = |file: FileType, size: Option<u64>| size.filter(|_| file == FileType::File);
    let one = |change: &Change| {
        let file = change.file_type();
        serde_json::json!({
            "path": change.path.to_string_lossy(),
            "kind": change.kind,
            "type": file.name(),
            "size_before": size(file, change.before.map(|state| state.size)),
            "size_after": size(file, change.after.map(|state| state.size)),
            "mode": change.after.map(|state| format!("{:o}", state.mode & 0o7777)),
            "entries_deleted": change.inside.as_ref().map(|inside| inside.entries),
        })
    };
    let object = serde_json::json!({
        "dir": store.directory().to_string_lossy(),
        "command": store.command(),
        "changes": changes.list.iter().map(one).collect::<Vec<_>>(),
        "counts": changes.counts(),
        "not_compared": changes.unread.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string(&object)? + "\n")
}

/// The list for people: on a terminal below their directories and in colour, else a path a line.
fn list(changes: &Changes, terminal: bool, most: usize) -> String {
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let mut text = String::new();
    let mut directory: Option<&Path> = None;
    for change in changes.list.iter().take(most) {
        let parent = change.path.parent().unwrap_or(Path::new("/"));
        if terminal && directory != Some(parent) {
            directory = Some(parent);
            text += &format!("{}\n", shown(parent));
        }
        let name = match (terminal, change.path.file_name()) {
            (true, Some(name)) => format!("  {}", shown(Path::new(name))),
            _ => shown(&change.path),
        };
        let letter = match colour {
            true => format!("\x1b[{}m{}\x1b[0m", tint(change.kind), change.kind.letter()),
            false => change.kind.letter().to_string(),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{letter} {name}{}", detail(change));
    }
    let rest = changes.list.len().saturating_sub(most);
    if rest > 0 {
        text += &format!("... and {rest} more\n");
    }
    for error in &changes.unread {
        text += &format!("? {error}\n");
    }
    text + &sums(changes)
}

fn tint(kind: Kind) -> u8 {
    match kind {
        Kind::Added => 32,
        Kind::Changed | Kind::Type => 33,
        Kind::Deleted => 31,
        Kind::Mode => 36,
    }
}

/// What there is to say of a change behind its name.
fn detail(change: &Change) -> String {
    let slash = match change.file_type() {
        FileType::Directory => "/",
        _ => "",
    };
    let states = (change.before, change.after);
    let more = match (change.kind, states, &change.inside) {
        (_, _, Some(inside)) if inside.entries > 0 => format!("  with {} in it", inside.entries),
        (Kind::Changed, (Some(before), Some(after)), _) if before.size != after.size => {
            format!("  {} to {}", bytes(before.size), bytes(after.size))
        }
        (Kind::Added, (_, Some(after)), _) if after.file_type == FileType::File => {
            format!("  {}", bytes(after.size))
        }
        (Kind::Mode, (Some(before), Some(after)), _) if before.mode != after.mode => {
            format!("  {:o} to {:o}", before.mode & 0o7777, after.mode & 0o7777)
        }
        (Kind::Type, (Some(before), Some(after)), _) => {
            format!(
                "  {} to {}",
                before.file_type.name(),
                after.file_type.name()
            )
        }
        _ => String::new(),
    };
    format!("{slash}{more}")
}

fn sums(changes: &Changes) -> String {
    let counts = changes.counts();
    let named = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.deleted, "deleted"),
        (counts.mode, "with another mode"),
        (counts.of_type, "of another type"),
    ];
    let said: Vec<String> = named
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match said.is_empty() {
        true => "no changes\n".to_string(),
        false => format!("{}; {} written\n", said.join(", "), bytes(counts.bytes)),
    }
}

/// A number of bytes in the largest unit that leaves a number above 1.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match unit {
        "B" => format!("{count} B"),
        _ => format!("{value:.1} {unit}"),
    }
}
