//! `rootlet ns`: the namespaces that can be seen, or where one process is.

use super::written;
use rootlet::namespaces::{Containers, Facts, Tree, Whereabouts, text, whereabouts_text};
use rootlet::state::{Known, Status};
use serde::Serialize;
use std::io::Write;

/// The options.
#[derive(clap::Args)]
pub struct NsLine {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The process to look at; without it, all that can be seen
    pid: Option<String>,
}

/// Looks, and tells.
pub fn namespaces(line: &NsLine) -> anyhow::Result<u8> {
    let containers = containers()?;
    let said = match &line.pid {
        Some(pid) => {
            let whereabouts = Whereabouts::of(pid, &containers)?;
            said(line.json, &whereabouts, whereabouts_text)?
        }
        None => said(line.json, &Tree::new(&Facts::gather()?, &containers), text)?,
    };
    written(std::io::stdout().write_all(said.as_bytes()))
}

/// The command of each container, by its process id: init is closed to those who look.
fn containers() -> rootlet::error::Result<Containers> {
    let found = Known::all()?;
    let name = |known: Known| match known.record.status {
        Status::Running { process, .. } if known.is_of_here() => {
            Some((process.pid, known.name().to_string()))
        }
        _ => None,
    };
    Ok(found.containers.into_iter().filter_map(name).collect())
}

fn said<T: Serialize>(json: bool, what: &T, text: fn(&T) -> String) -> anyhow::Result<String> {
    Ok(match json {
        true => serde_json::to_string_pretty(what)? + "\n",
        false => text(what),
    })
}
