//! The list of changes for programs.

use rootlet::changes::{Change, Changes, FileType, Kind, List, State, Store};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// All of it. Here and below, the keys are in the order of the alphabet.
#[derive(Serialize)]
struct Object<'a> {
    changes: Entries<'a>,
    command: &'a [String],
    counts: Value,
    dir: Option<Cow<'a, str>>,
    not_compared: Vec<String>,
}

struct Entries<'a>(&'a List);

#[derive(Serialize)]
struct Entry<'a> {
    entries_deleted: Option<u64>,
    kind: Kind,
    mode: Option<String>,
    path: Cow<'a, str>,
    size_after: Option<u64>,
    size_before: Option<u64>,
    #[serde(rename = "type")]
    file_type: &'static str,
}

/// One object, on one line. `kept` is where the changes are, if they stay.
pub fn json(store: &Store, kept: Option<&Path>, changes: &Changes) -> anyhow::Result<String> {
    let object = Object {
        changes: Entries(&changes.list),
        command: store.command(),
        counts: serde_json::to_value(changes.counts())?,
        dir: kept.map(Path::to_string_lossy),
        not_compared: changes.unread.iter().map(ToString::to_string).collect(),
    };
    Ok(serde_json::to_string(&object)? + "\n")
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Entry::new))
    }
}

impl<'a> Entry<'a> {
    fn new(change: Change<'a>) -> Self {
        let file_type = change.file_type();
        let size = |state: Option<&State>| {
            let state = state.filter(|_| file_type == FileType::File);
            state.map(|state| state.size)
        };
        Entry {
            entries_deleted: change.inside.map(|inside| inside.entries),
            kind: change.kind,
            mode: change
                .after
                .map(|state| format!("{:o}", state.mode & 0o7777)),
            path: change.path.to_string_lossy(),
            size_after: size(change.after),
            size_before: size(change.before),
            file_type: file_type.name(),
        }
    }
}
