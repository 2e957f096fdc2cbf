//! `rootlet inspect`.

use super::top::inside;
use super::{Chosen, each, shown_command};
use rootlet::error::{Error, Result};
use rootlet::host::mountinfo::{MountInfo, MountPoint};
use rootlet::state::processes::Table;
use rootlet::state::{Known, Status};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

/// The options.
#[derive(clap::Args)]
pub struct InspectLine {
    #[command(flatten)]
    chosen: Chosen,
    /// Print JSON: an array with an object for each
    #[arg(long)]
    json: bool,
}

/// Prints all that is known.
pub fn inspect(line: &InspectLine) -> anyhow::Result<u8> {
    let mut all = Vec::new();
    let status = each(line.chosen.found(|_| true)?, |known| {
        match about(known) {
            // Nobody has asked for it by its name.
            Err(_) if line.chosen.all && known.is_gone() => {}
            about => all.push(about?),
        }
        Ok(())
    });
    let text = match line.json {
        true => serde_json::to_string_pretty(&all)? + "\n",
        false => all.iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    crate::cli::written(std::io::stdout().write_all(text.as_bytes()))?;
    status
}

fn about(known: &Known) -> Result<Value> {
    let broken =
        |error: serde_json::Error| Error::broken(format!("write what is known as JSON: {error}"));
    let record = serde_json::to_value(&known.record).map_err(broken)?;
    let details = serde_json::to_value(known.folder.details()?).map_err(broken)?;
    let mut about = Map::new();
    about.insert("name".into(), json!(known.name()));
    about.insert("state".into(), json!(known.state()));
    let story = serde_json::to_value(known.folder.story()?).map_err(broken)?;
    for part in [record, details, story] {
        if let Value::Object(part) = part {
            about.extend(part);
        }
    }
    // The command's variables may be secrets: who wants them reads /proc/PID/environ.
    about.remove("environment");
    about.remove("filter");
    if let (Status::Running { process, .. }, true) = (&known.record.status, known.is_of_here()) {
        let pids: Vec<i32> = inside(known, &Table::read()?)?
            .iter()
            .map(|seen| seen.process.pid)
            .collect();
        about.insert("pids".into(), json!(pids));
        about.insert("namespace-ids".into(), json!(namespaces(process.pid)));
        about.insert("mounts".into(), json!(mounts(process.pid)));
    }
    Ok(Value::Object(about))
}

/// The inode numbers of the namespaces of a process, by their names in /proc.
fn namespaces(pid: i32) -> BTreeMap<&'static str, u64> {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let number = |kind: &'static str| {
        let data = std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok()?;
        Some((kind, data.ino()))
    };
    kinds.into_iter().filter_map(number).collect()
}

/// What is mounted inside, where that can be read: each line of mountinfo in short.
fn mounts(pid: i32) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let line = |mount: &MountPoint| {
        let mode = if mount.is_read_only() { "ro" } else { "rw" };
        format!("{} {} {mode}", mount.path.display(), mount.kind.display())
    };
    MountInfo::parse(&text)
        .visible()
        .into_iter()
        .map(line)
        .collect()
}

/// For people: what is asked most often.
fn text(about: &Value) -> String {
    let mut text = String::new();
    let word = |key: &str| match &about[key] {
        Value::String(word) => Some(word.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    let _ = writeln!(
        text,
        "{} ({})",
        word("name").unwrap_or_default(),
        word("state").unwrap_or_default()
    );
    let command: Vec<String> = serde_json::from_value(about["command"].clone()).unwrap_or_default();
    let _ = writeln!(text, "  command      {}", shown_command(&command));
    for key in ["process", "init", "supervisor"] {
        if let Some(pid) = about[key]["pid"].as_i64() {
            let _ = writeln!(text, "  {key:<12} {pid}");
        }
    }
    for key in [
        "pids",
        "code",
        "signal",
        "error",
        "restarts",
        "labels",
        "group",
        "namespaces",
        "namespace-ids",
        "stepped-down",
        "log-failure",
    ] {
        if let Some(value) = word(key).filter(|value| !["[]", "{}", "0"].contains(&value.as_str()))
        {
            let _ = writeln!(text, "  {key:<12} {value}");
        }
    }
    if let Value::Object(enforced) = &about["enforced"] {
        let _ = writeln!(text, "  enforced");
        for (key, value) in enforced {
            let _ = writeln!(text, "    {key:<12} {value}");
        }
    }
    for (heading, key) in [("mounts", "mounts"), ("spec", "spec")] {
        match &about[key] {
            Value::Array(lines) if !lines.is_empty() => {
                let _ = writeln!(text, "  {heading}");
                for line in lines.iter().filter_map(Value::as_str) {
                    let _ = writeln!(text, "    {line}");
                }
            }
            Value::Object(parts) => {
                let _ = writeln!(text, "  {heading}");
                for (key, value) in parts {
                    let _ = writeln!(text, "    {key:<16} {value}");
                }
            }
            _ => {}
        }
    }
    let steps = |process: &Value| process["steps"].as_array().map_or(0, Vec::len);
    if let Some(processes) = about["plan"]["processes"].as_array() {
        let steps: Vec<String> = processes
            .iter()
            .map(|process| {
                format!(
                    "{} {} steps",
                    process["name"].as_str().unwrap_or_default(),
                    steps(process)
                )
            })
            .collect();
        let _ = writeln!(text, "  plan         {} (--json: each)", steps.join(", "));
    }
    text
}
