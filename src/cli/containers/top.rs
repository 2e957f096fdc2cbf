//! `rootlet top`.

use super::list::aligned;
use super::plain;
use crate::cli::written;
use rootlet::error::{Error, Result};
use rootlet::state::processes::{Seen, Table};
use rootlet::state::{Known, Name, Status};
use std::io::Write;

/// The options.
#[derive(clap::Args)]
pub struct TopLine {
    /// The container
    name: Name,
}

/// Prints the processes of a container.
pub fn top(line: &TopLine) -> anyhow::Result<u8> {
    let known = Known::named(&line.name)?;
    let mut lines = vec![
        ["PID", "INSIDE", "PPID", "STATE", "MEMORY", "CPU", "COMMAND"].map(ToString::to_string),
    ];
    let table = Table::read()?;
    lines.extend(inside(&known, &table)?.into_iter().map(row));
    written(std::io::stdout().write_all(aligned(&lines).as_bytes()))
}

/// The processes of a container, rootlet's own not counted.
pub fn inside<'t>(known: &Known, table: &'t Table) -> Result<Vec<&'t Seen>> {
    known.running()?;
    let Status::Running { init, process, .. } = &known.record.status else {
        return Err(Error::usage(format!(
            "container {} does not run yet",
            known.name()
        )));
    };
    if !known.is_of_here() {
        return Err(known.elsewhere());
    }
    Ok(table
        .tree()
        .inside(*init, Some(*process), &known.record.execs))
}

fn row(seen: &Seen) -> [String; 7] {
    let pid = seen.process.pid;
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&line)
        .trim_end_matches('\0')
        .replace('\0', " ");
    let command = if words.is_empty() {
        format!("[{}]", seen.name)
    } else {
        words
    };
    let ticks = rustix::param::clock_ticks_per_second();
    [
        pid.to_string(),
        inner_pid(pid).unwrap_or("-".to_string()),
        seen.parent.to_string(),
        seen.state.to_string(),
        format!("{} KiB", seen.memory() >> 10),
        format!("{:.2} s", seen.ticks as f64 / ticks as f64),
        plain(&command),
    ]
}

/// What a process is called in its own PID namespace (proc_pid_status(5), NSpid).
fn inner_pid(pid: i32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last().map(ToString::to_string)
}
