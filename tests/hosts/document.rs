//! docs/hosts.md, which has the table of places, and what can be done about each cause.

use crate::table::{PLACES, Row, Run};
use crate::{Findings, OF_THE_MACHINE, text};
use serde_json::Value;
use std::fmt::Write;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hosts.md");

/// What the generated part lies between.
const MARKS: [&str; 2] = [
    "<!-- the table of tests/hosts.rs -->\n",
    "<!-- its end -->\n",
];

fn document() -> String {
    std::fs::read_to_string(PATH).unwrap()
}

/// The table, and what came out.
fn table() -> String {
    let mut table = String::from(
        "| Place | What is shut | Cause | `rootlet run` there | What does not work, or with less |\n|---|---|---|---|---|\n",
    );
    for row in PLACES {
        let causes = row.causes.split(", ").filter(|cause| !cause.is_empty());
        let causes: Vec<String> = causes.map(|cause| format!("[{cause}](#{cause})")).collect();
        let cells = [
            row.place.to_string(),
            row.shut.to_string(),
            causes.join(", "),
            ending(row),
            but(row),
        ];
        writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    }
    let places = PLACES.len();
    write!(
        table,
        "\n**{places} of {places} places diagnosed rightly, 0 steps down in silence, 0 wrong hints.**\n"
    )
    .unwrap();
    table
}

/// How `rootlet run` ends, in words.
fn ending(row: &Row) -> String {
    let options = row.options.join(" ");
    let asked = match row.options {
        [] => String::new(),
        _ => format!("`{options}`: "),
    };
    let how = match row.run {
        Run::Works => "works".to_string(),
        Run::Less(notes) => {
            let notes: Vec<String> = notes.iter().map(|note| format!("`{note}...`")).collect();
            format!("works, and notes: {}", notes.join(", "))
        }
        Run::Fails(status, words) => {
            format!("status {status}, hint: {}", words.last().unwrap_or(&""))
        }
        Run::Killed(_) => "is ended by SIGSYS, and the shell says `Bad system call`".to_string(),
    };
    asked + &how
}

/// What does not work or with less, shorter where it is all but one.
fn but(row: &Row) -> String {
    let commands = [
        "run",
        "run --net none",
        "run --rootfs DIR",
        "run -t always",
        "sandbox",
        "try",
    ];
    let named: Vec<&str> = row.but.split(", ").collect();
    let are_all = |end: &str| {
        let is_named = |command: &&str| named.contains(&&*format!("{command}{end}"));
        commands.iter().all(is_named)
    };
    let without = match &named {
        named if named.contains(&"run --no-namespaces") => "",
        named if named.contains(&"run --no-namespaces with less") => {
            "; `run --no-namespaces` works with less"
        }
        _ => "; `run --no-namespaces` works",
    };
    match row.but {
        _ if are_all("") => format!("nothing works{without}"),
        _ if are_all(" with less") => format!("all works with less{without}"),
        but => but.to_string(),
    }
}

/// The document shows the table as it is.
pub fn has_table() {
    let text = document();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (shown, after) = rest.split_once(MARKS[1]).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let [begin, end] = MARKS;
        std::fs::write(PATH, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(shown, table, "UPDATE_GOLDENS=1 writes it anew");
}

/// The section about a cause, and those that it sends the reader to.
fn sections(document: &str, cause: &str) -> Vec<String> {
    let section = |name: &str| {
        let heading = format!("\n### {name}\n");
        let text = document.split_once(&heading);
        let (_, text) = text.unwrap_or_else(|| panic!("docs/hosts.md has no section:{heading}"));
        text.split("\n##").next().unwrap().to_string()
    };
    let own = section(cause);
    let others = own.split("](#").skip(1);
    let others: Vec<String> = others
        .map(|rest| section(rest.split(')').next().unwrap()))
        .collect();
    std::iter::once(own).chain(others).collect()
}

/// A line for one kind of namespace stands for the same line for each.
fn of_any_kind(line: &str) -> String {
    let kinds = ["pid", "mnt", "ipc", "uts", "cgroup", "net", "time"];
    kinds.iter().fold(line.to_string(), |line, kind| {
        line.replace(&format!("max_{kind}_"), "max_user_")
    })
}

/// The document has a section for each cause that was found, with each line that doctor would have one paste.
pub fn has_remedies(found: &Findings) {
    let document = document();
    for cause in found.list("causes") {
        let gates = cause["gates"].as_array().unwrap();
        let is_machines = |gate: &Value| OF_THE_MACHINE.contains(&text(gate));
        if !gates.is_empty() && gates.iter().all(is_machines) {
            continue;
        }
        let id = text(&cause["id"]);
        let sections = sections(&document, id);
        for remedy in cause["remedies"].as_array().unwrap() {
            for line in remedy["lines"].as_array().unwrap() {
                let line = of_any_kind(text(line));
                assert!(
                    sections.iter().any(|section| section.contains(&line)),
                    "docs/hosts.md does not say about {id}: {line}"
                );
            }
        }
    }
}
