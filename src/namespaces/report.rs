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

#[cfg(test)]
mod tests {
    use super::super::{Kind, Place};
    use super::*;

    fn node(kind: Kind, id: Id, owns: Vec<Node>) -> Node {
        Node {
            kind,
            id,
            owner: None,
            parent: None,
            own: id < 10,
            containers: Vec::new(),
            processes: 12,
            pid: Some(345),
            command: Some("sleep 9".to_string()),
            owns,
        }
    }

    fn tree(namespaces: Vec<Node>, unreadable: usize) -> Tree {
        Tree {
            namespaces,
            processes: 12,
            unreadable,
        }
    }

    #[test]
    fn the_tree_is_indented_and_own_ones_are_marked() {
        let mut empty = node(Kind::User, 11, vec![node(Kind::Net, 12, Vec::new())]);
        (empty.processes, empty.pid, empty.command) = (0, None, None);
        let owns = vec![node(Kind::Mnt, 2, Vec::new()), empty];
        let said = text(&tree(vec![node(Kind::User, 1, owns)], 0));
        let expected = "\
NAMESPACE   PROCESSES  PID  COMMAND
user 1 *           12  345  sleep 9
  mnt 2 *          12  345  sleep 9
  user 11           0    -
    net 12         12  345  sleep 9

* your own: this process is in it
";
        assert_eq!(said, expected);
    }

    #[test]
    fn containers_have_a_column_where_there_are_any() {
        let mut marked = node(Kind::Pid, 11, Vec::new());
        marked.containers = vec!["web".to_string(), "d\nb".to_string()];
        let said = text(&tree(vec![node(Kind::Pid, 1, Vec::new()), marked], 0));
        let expected = "\
NAMESPACE  PROCESSES  PID  CONTAINER  COMMAND
pid 1 *           12  345             sleep 9
pid 11            12  345  web, d\\nb  sleep 9
";
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn what_is_left_out_is_said_last() {
        let last = |unreadable| {
            let said = text(&tree(Vec::new(), unreadable));
            said.lines().next_back().unwrap().to_string()
        };
        assert_eq!(last(0), LEGEND.trim_end());
        assert_eq!(last(1), "left out: 1 process that may not be looked at");
        assert_eq!(last(7), "left out: 7 processes that may not be looked at");
    }

    #[test]
    fn a_command_line_stays_on_its_line_and_is_cut() {
        assert_eq!(command(Some("sh -c 'a\n\x1b[0m'")), "sh -c 'a\\n\\x1b[0m'");
        assert_eq!(command(Some(&"ä".repeat(64))), "ä".repeat(64));
        assert_eq!(command(Some(&"ä".repeat(65))), "ä".repeat(64) + "...");
    }

    #[test]
    fn where_a_process_is_is_said_with_its_ids_in_words() {
        let place = |kind, id, owner, own| Place {
            kind,
            id,
            owner,
            parent: None,
            own,
            containers: Vec::new(),
        };
        let range = |inside, outside, count| Range {
            inside,
            outside,
            count,
        };
        let whereabouts = Whereabouts {
            pid: 345,
            command: Some("sleep 9".to_string()),
            nspid: vec![345, 20, 2],
            namespaces: vec![
                place(Kind::User, 11, Some(1), false),
                place(Kind::Net, 3, None, true),
            ],
            uid_map: vec![
                range(0, 1000, 1),
                range(1, 100000, 65536),
                range(70000, 70000, 2),
                range(80000, u32::MAX, 1),
            ],
            gid_map: Vec::new(),
        };
        let expected = "\
process 345: sleep 9
process id 345 here, 20, then 2 in the PID namespaces below

NAMESPACE  OWNER
user 11    user 1
net 3 *    -

* your own: this process is in it

user id 0 inside is 1000 outside (1 id)
user ids 1 to 65536 inside are 100000 to 165535 outside (65536 ids)
user ids 70000 to 70001 inside are the same outside (2 ids)
user id 80000 inside is no id outside (1 id)
no group id inside is one outside
";
        assert_eq!(whereabouts_text(&whereabouts), expected);
    }

    #[test]
    fn a_map_of_every_id_there_is_is_said_without_overflow() {
        let range = Range {
            inside: u32::MAX,
            outside: 1,
            count: u32::MAX,
        };
        let expected = "user ids 4294967295 to 8589934589 inside are 1 to 4294967295 outside (4294967295 ids)\n";
        assert_eq!(said("user", &range), expected);
    }
}
