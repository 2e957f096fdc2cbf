//! `rootlet ps`.

use super::{plain, say_one, shown_command};
use crate::cli::written;
use rootlet::error::{Error, Result};
use rootlet::state::processes::{self, Seen, Table, Tree};
use rootlet::state::{Known, Process, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The options.
#[derive(clap::Args)]
pub struct ListLine {
    /// Those too that have ended
    #[arg(short, long)]
    all: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print the names only
    #[arg(short, long)]
    quiet: bool,
    /// Only those of which this holds: name=TEXT, label=K[=V] or status=WORD (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
}

/// Which containers are listed.
#[derive(Clone)]
enum Filter {
    Name(String),
    Label(String, Option<String>),
    Status(String),
}

/// What [`Known::state`] says.
const STATES: [&str; 5] = ["created", "running", "paused", "restarting", "exited"];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::usage("expected name=TEXT, label=K[=V] or status=WORD");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        Ok(match key {
            "name" => Filter::Name(value.to_string()),
            "status" if STATES.contains(&value) => Filter::Status(value.to_string()),
            "status" => {
                let step = format!("expected status=WORD, of: {}", STATES.join(", "));
                return Err(Error::usage(step));
            }
            "label" => match value.split_once('=') {
                Some((label, value)) => Filter::Label(label.to_string(), Some(value.to_string())),
                None => Filter::Label(value.to_string(), None),
            },
            _ => return Err(wrong()),
        })
    }
}

impl Filter {
    fn holds(&self, known: &Known) -> bool {
        match self {
            Filter::Name(part) => known.name().as_ref().contains(part.as_str()),
            Filter::Status(word) => known.state() == word,
            Filter::Label(key, wanted) => {
                let value = known.record.labels.get(key);
                value.is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            }
        }
    }
}

/// Lists the containers.
pub fn list(line: &ListLine) -> anyhow::Result<u8> {
    let found = Known::all()?;
    let wanted = |known: &&Known| {
        let listed = line.all
            || super::runs(known)
            || line.filter.iter().any(|it| matches!(it, Filter::Status(_)));
        listed && line.filter.iter().all(|filter| filter.holds(known))
    };
    let containers: Vec<&Known> = found.containers.iter().filter(wanted).collect();
    let mut out = std::io::stdout();
    let text = match line {
        ListLine { quiet: true, .. } => containers
            .iter()
            .map(|known| format!("{}\n", known.name()))
            .collect(),
        _ => {
            let rows = rows(&containers)?;
            match line.json {
                true => serde_json::to_string_pretty(&rows)? + "\n",
                false if out.is_terminal() => table(&rows),
                false => columns(&rows),
            }
        }
    };
    for error in found.unread {
        say_one(Some(error));
    }
    written(out.write_all(text.as_bytes()))
}

/// What is listed of a container.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row<'a> {
    name: &'a str,
    command: &'a [String],
    /// When the command was executed, in RFC 3339; none while it is set up.
    started: Option<String>,
    #[serde(skip)]
    since: Option<Duration>,
    status: &'static str,
    /// The exit status that stands for its end.
    exit: Option<u8>,
    /// As seen from here; none where the container is in a PID namespace that this is not.
    pid: Option<i32>,
    init_pid: Option<i32>,
    supervisor_pid: i32,
    /// How many processes are in it, rootlet's init not counted.
    pids: usize,
    /// The kinds of namespaces that are its own.
    namespaces: &'a [String],
    /// Bytes.
    memory: u64,
    /// Seconds of processor time.
    cpu: f64,
    detached: bool,
    restarts: u32,
    labels: &'a BTreeMap<String, String>,
}

fn rows<'a>(containers: &[&'a Known]) -> Result<Vec<Row<'a>>> {
    let namespace = processes::own_namespace()?;
    let is_here = |known: &Known| known.record.pid_namespace == namespace;
    // Who holds a lock lives, and so does the init of one that runs.
    let here = containers
        .iter()
        .filter(|known| known.held && is_here(known));
    let table = Table::read_but(here.flat_map(|known| rootlets(known)))?;
    let tree = table.tree();
    Ok(containers
        .iter()
        .map(|known| row(known, is_here(known), &tree))
        .collect())
}

/// rootlet's own processes of a container.
fn rootlets(known: &Known) -> impl Iterator<Item = Process> {
    let init = match known.record.status {
        Status::Running { init, .. } => init,
        _ => None,
    };
    std::iter::once(known.record.supervisor).chain(init)
}

fn row<'a>(known: &'a Known, here: bool, tree: &Tree<'_>) -> Row<'a> {
    let record = &known.record;
    let (init, process) = match &record.status {
        Status::Running { init, process, .. } => (*init, Some(*process)),
        _ => (None, None),
    };
    let inside = match here {
        true => tree.inside(init, process, &record.execs),
        false => Vec::new(),
    };
    let (memory, cpu) = used(record.group.as_deref(), &inside);
    let since = record.started.map(|started| {
        let started = UNIX_EPOCH + Duration::from_millis(started);
        SystemTime::now()
            .duration_since(started)
            .unwrap_or_default()
    });
    let time = |milliseconds: u64| {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(milliseconds))
            .to_string()
    };
    Row {
        name: known.name().as_ref(),
        command: &record.command,
        started: record.started.map(time),
        since,
        status: known.state(),
        exit: match &record.status {
            Status::Exited { end, .. } => Some(end.exit_status()),
            _ => None,
        },
        pid: process.filter(|_| here).map(|process| process.pid),
        init_pid: init.filter(|_| here).map(|init| init.pid),
        supervisor_pid: record.supervisor.pid,
        pids: inside.len(),
        namespaces: &record.namespaces,
        memory,
        cpu,
        detached: record.detached,
        restarts: record.restarts,
        labels: &record.labels,
    }
}

/// Bytes of memory and seconds of processor time: as the group has counted them, or the sum of the processes that there are.
fn used(group: Option<&Path>, inside: &[&Seen]) -> (u64, f64) {
    let counted = group.and_then(|group| {
        let memory = std::fs::read_to_string(group.join("memory.current")).ok()?;
        let cpu = std::fs::read_to_string(group.join("cpu.stat")).ok()?;
        let micros = cpu
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))?;
        Some((
            memory.trim().parse().ok()?,
            micros.parse::<f64>().ok()? / 1e6,
        ))
    });
    counted.unwrap_or_else(|| {
        let ticks: u64 = inside.iter().map(|seen| seen.ticks).sum();
        let memory = inside.iter().map(|seen| seen.memory()).sum();
        (
            memory,
            ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        )
    })
}

const HEADINGS: [&str; 8] = [
    "NAME",
    "COMMAND",
    "STARTED",
    "STATUS",
    "PIDS",
    "NAMESPACES",
    "MEMORY",
    "CPU",
];

/// For programs: with a tab between columns, nothing cut short, in units that do not change.
fn columns(rows: &[Row<'_>]) -> String {
    let mut text = HEADINGS.join("\t") + "\n";
    for row in rows {
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.2}",
            row.name,
            shown_command(row.command),
            row.started.as_deref().unwrap_or("-"),
            status(row),
            row.pids,
            if row.namespaces.is_empty() {
                "-".to_string()
            } else {
                row.namespaces.join(",")
            },
            row.memory,
            row.cpu
        );
    }
    text
}

fn status(row: &Row<'_>) -> String {
    match row.exit {
        Some(exit) => format!("{} ({exit})", row.status),
        None => row.status.to_string(),
    }
}

/// For people.
fn table(rows: &[Row<'_>]) -> String {
    let mut lines = vec![HEADINGS.map(ToString::to_string)];
    for row in rows {
        lines.push([
            row.name.to_string(),
            short(&shown_command(row.command), 32),
            row.since.map_or("-".to_string(), ago),
            status(row),
            row.pids.to_string(),
            row.namespaces.join(","),
            size(row.memory),
            format!("{:.1} s", row.cpu),
        ]);
    }
    aligned(&lines)
}

/// Columns that are as wide as what is in them.
pub fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let cells: Vec<String> = cells.collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn short(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => plain(text),
    }
}

fn ago(since: Duration) -> String {
    let seconds = since.as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
