//! `rootlet ns`: the namespaces that can be seen, or where one process is.

use super::written;
use rootlet::namespaces::{Containers, Facts, Tree, Whereabouts, text, whereabouts_text};
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
    let containers = Containers::new();
    let said = match &line.pid {
        Some(pid) => {
            let whereabouts = Whereabouts::of(pid, &containers)?;
            said(line.json, &whereabouts, whereabouts_text)?
        }
        None => said(line.json, &Tree::new(&Facts::gather()?, &containers), text)?,
    };
    written(std::io::stdout().write_all(said.as_bytes()))
}

fn said<T: Serialize>(json: bool, what: &T, text: fn(&T) -> String) -> anyhow::Result<String> {
    Ok(match json {
        true => serde_json::to_string_pretty(what)? + "\n",
        false => text(what),
    })
}
