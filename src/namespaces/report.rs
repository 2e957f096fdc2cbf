//! The tree, and where a process is, for people.

use super::{Id, Node, Range, Tree, Whereabouts};
use crate::changes::text::shown;
use std::fmt::Write;
use std::path::Path;

/// Letters of a command line that are shown.
const MOST_LETTERS: usize = 64;

/// What the mark at an own namespace means.
const LEGEND: &str = "* your own: this process is in it\n";

/// The tree for people: what a user namespace owns is below it, two columns to the right.
pub fn text(tree: &Tree) -> String {
    let mut rows =
        vec![["NAMESPACE", "PROCESSES", "PID", "CONTAINER", "COMMAND"].map(String::from)];
    for node in &tree.namespaces {
        add(&mut rows, node, 0);
    }
    if rows[1..]
        .iter()
        .all(|[_, _, _, containers, _]| containers.is_empty())
    {
        rows[0][3].clear();
    }
    let mut text = table(&rows, [false, true, true, false, false]);
    text += "\n";
    text += LEGEND;
    text += &left_out(tree.unreadable);
    text
}

fn add(rows: &mut Vec<[String; 5]>, node: &Node, depth: usize) {
    let own = if node.own { " *" } else { "" };
    rows.push([
        format!(
            "{:1$}{2} {3}{own}",
            "",
            2 * depth,
            node.kind.name(),
            node.id
        ),
        node.processes.to_string(),
        node.pid.map_or("-".to_string(), |pid| pid.to_string()),
        containers(&node.containers),
        command(node.command.as_deref()),
    ]);
    for owned in &node.owns {
        add(rows, owned, depth + 1);
    }
}

/// Columns as wide as their widest cell, those of numbers flush right; a column with nothing in it takes no room.
fn table<const N: usize>(rows: &[[String; N]], right: [bool; N]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for column in (0..N).filter(|&column| widths[column] > 0) {
            let (cell, width) = (&row[column], widths[column]);
            // Writing to a string cannot fail.
            let _ = match right[column] {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn containers(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| shown(Path::new(name))).collect();
    names.join(", ")
}

/// The beginning of a command line.
fn command(line: Option<&str>) -> String {
    let line = shown(Path::new(line.unwrap_or_default()));
    match line.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn left_out(processes: usize) -> String {
    match processes {
        0 => String::new(),
        1 => "left out: 1 process that may not be looked at\n".to_string(),
        many => format!("left out: {many} processes that may not be looked at\n"),
    }
}

/// Where a process is, for people.
pub fn whereabouts_text(whereabouts: &Whereabouts) -> String {
    let command = command(whereabouts.command.as_deref());
    let mut text = format!("process {}: {command}\n", whereabouts.pid);
    text += &ids(&whereabouts.nspid);
    text += "\n";
    let mut rows = vec![["NAMESPACE", "OWNER", "CONTAINER"].map(String::from)];
    for place in &whereabouts.namespaces {
        let own = if place.own { " *" } else { "" };
        rows.push([
            format!("{} {}{own}", place.kind.name(), place.id),
            place.owner.map_or("-".to_string(), user),
            containers(&place.containers),
        ]);
    }
    if rows[1..]
        .iter()
        .all(|[_, _, containers]| containers.is_empty())
    {
        rows[0][2].clear();
    }
    text += &table(&rows, [false; 3]);
    text += "\n";
    text += LEGEND;
    text += "\n";
    text += &map("user", &whereabouts.uid_map);
    text += &map("group", &whereabouts.gid_map);
    text
}

fn user(id: Id) -> String {
    format!("user {id}")
}

/// The ids of a process, where it has more than one.
fn ids(nspid: &[i32]) -> String {
    let [here, below @ ..] = nspid else {
        return String::new();
    };
    let below: Vec<String> = below.iter().map(i32::to_string).collect();
    match below.is_empty() {
        true => String::new(),
        false => format!(
            "process id {here} here, {} in the PID namespaces below\n",
            below.join(", then ")
        ),
    }
}

fn map(what: &str, ranges: &[Range]) -> String {
    if ranges.is_empty() {
        return format!("no {what} id inside is one outside\n");
    }
    ranges.iter().map(|range| said(what, range)).collect()
}

fn said(what: &str, range: &Range) -> String {
    let Range {
        inside,
        outside,
        count,
    } = *range;
    let is = match count {
        1 => "is",
        _ => "are",
    };
    let to = |first: u32| match count {
        0 | 1 => first.to_string(),
        // The sum of a line of the kernel's fits; one that was made up may not.
        _ => format!("{first} to {}", u64::from(first) + u64::from(count) - 1),
    };
    let outside = match outside {
        // What the kernel gives for an id that the reader's user namespace does not have.
        u32::MAX => "no id".to_string(),
        outside if outside == inside => "the same".to_string(),
        outside => to(outside),
    };
    let (ids, unit) = match count {
        1 => ("id", "1 id".to_string()),
        _ => ("ids", format!("{count} ids")),
    };
    format!(
        "{what} {ids} {} inside {is} {outside} outside ({unit})\n",
        to(inside)
    )
}
