//! What was found, in little memory: each page that is touched costs as much as looking at a file.

use super::{Change, Changes, Inside, Kind, Linked};
use crate::changes::bytes::append;
use crate::changes::state::State;
use crate::changes::store::Store;
use crate::error::Error;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The differences, sorted by path.
#[derive(Clone, Default)]
pub struct List {
    parts: Vec<Part>,
    stretches: Vec<Stretch>,
}

/// What one thread has found.
#[derive(Clone, Default)]
pub struct Part {
    entries: Vec<Entry>,
    /// The paths of the entries, one behind the other.
    paths: Vec<u8>,
    /// What is before and after them, as far as there is something.
    states: Vec<State>,
    /// Where a run of entries begins that are sorted and without anything between them.
    starts: Vec<usize>,
    /// What could not be compared: the piece, the path, the reason.
    pub unread: Vec<(usize, PathBuf, Error)>,
}

#[derive(Clone)]
struct Entry {
    path: Range<usize>,
    /// Its first state.
    states: usize,
    has_before: bool,
    has_after: bool,
    /// None for what is as it is on the host: one of several names of a file, or what is not wanted.
    kind: Option<Kind>,
    piece: u32,
    inside: Option<Box<Inside>>,
}

/// Entries that stand side by side in the list.
#[derive(Clone)]
struct Stretch {
    part: usize,
    entries: Range<usize>,
}

/// A difference on its way into the list.
pub struct Found<'a> {
    pub piece: usize,
    /// None for a file with several names that is as the host has it.
    pub kind: Option<Kind>,
    pub before: Option<&'a State>,
    pub after: Option<&'a State>,
    pub inside: Option<Box<Inside>>,
}

impl List {
    /// Every difference, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> + Clone {
        self.stretches.iter().flat_map(|stretch| {
            let part = &self.parts[stretch.part];
            let entries = &part.entries[stretch.entries.clone()];
            entries.iter().filter_map(|entry| part.change(entry))
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Leaves only those that are `wanted`.
    pub fn retain(&mut self, mut wanted: impl FnMut(Change<'_>) -> bool) {
        for part in &mut self.parts {
            for number in 0..part.entries.len() {
                let change = part.change(&part.entries[number]);
                if change.is_some_and(|change| !wanted(change)) {
                    part.entries[number].kind = None;
                }
            }
        }
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Part {
    /// What is added from here on may lie elsewhere.
    pub fn begin(&mut self) {
        let here = self.entries.len();
        if self.starts.last() != Some(&here) {
            self.starts.push(here);
        }
    }

    /// Adds a difference at the path that `directory` and `name` make up.
    pub fn add(&mut self, directory: &[u8], name: &[u8], found: Found<'_>) {
        let start = self.paths.len();
        append(&mut self.paths, directory);
        append(&mut self.paths, name);
        self.entries.push(Entry {
            path: start..self.paths.len(),
            states: self.states.len(),
            has_before: found.before.is_some(),
            has_after: found.after.is_some(),
            kind: found.kind,
            piece: found.piece as u32,
            inside: found.inside,
        });
        self.states.extend(found.before);
        self.states.extend(found.after);
    }

    fn path(&self, entry: &Entry) -> &Path {
        Path::new(OsStr::from_bytes(&self.paths[entry.path.clone()]))
    }

    fn before(&self, entry: &Entry) -> Option<&State> {
        entry.has_before.then(|| &self.states[entry.states])
    }

    fn after(&self, entry: &Entry) -> Option<&State> {
        let place = entry.states + usize::from(entry.has_before);
        entry.has_after.then(|| &self.states[place])
    }

    fn change<'a>(&'a self, entry: &'a Entry) -> Option<Change<'a>> {
        Some(Change {
            path: self.path(entry),
            kind: entry.kind?,
            before: self.before(entry),
            after: self.after(entry),
            inside: entry.inside.as_deref(),
            piece: entry.piece as usize,
        })
    }
}

/// Puts what the threads have found in the order of paths.
pub fn merge(store: &Store, mut parts: Vec<Part>) -> Changes {
    let mut unread: Vec<_> = parts
        .iter_mut()
        .flat_map(|part| part.unread.drain(..))
        .collect();
    unread.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let mut changes = Changes {
        list: List {
            stretches: stretches(&parts, is_nested(store)),
            parts,
        },
        unread: unread.into_iter().map(|(_, _, error)| error).collect(),
        linked: vec![Default::default(); store.pieces()],
    };
    settle_links(store, &mut changes);
    changes
}

/// Whether a piece lies in another one, so that entries of the other may come before and after its own.
fn is_nested(store: &Store) -> bool {
    let paths = || (0..store.pieces()).map(|piece| store.path(piece));
    paths().enumerate().any(|(number, path)| {
        let mut others = paths().enumerate().filter(|(other, _)| *other != number);
        others.any(|(_, other)| path.starts_with(other))
    })
}

fn stretches(parts: &[Part], one_by_one: bool) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let length = part.entries.len();
        let mut add = |entries: Range<usize>| {
            if !entries.is_empty() {
                stretches.push(Stretch {
                    part: number,
                    entries,
                });
            }
        };
        match one_by_one {
            true => (0..length).for_each(|entry| add(entry..entry + 1)),
            false => {
                let ends = part.starts.iter().skip(1).chain([&length]);
                part.starts
                    .iter()
                    .zip(ends)
                    .for_each(|(&start, &end)| add(start..end));
            }
        }
    }
    let first = |stretch: &Stretch| {
        let part = &parts[stretch.part];
        let entry = &part.entries[stretch.entries.start];
        (part.path(entry), entry.piece)
    };
    stretches.sort_by(|one, other| first(one).cmp(&first(other)));
    stretches
}

/// Of several names of a file that is as the host has it, the first says which file the host has there. The others are no
/// difference where they are names of the same.
fn settle_links(store: &Store, changes: &mut Changes) {
    for stretch in &changes.list.stretches {
        let part = &mut changes.list.parts[stretch.part];
        for number in stretch.entries.clone() {
            let entry = &part.entries[number];
            let (None, Some(host), Some(upper)) =
                (entry.kind, part.before(entry), part.after(entry))
            else {
                continue;
            };
            let piece = entry.piece as usize;
            let known = changes.linked[piece].entry(upper.inode).or_insert_with(|| {
                let (path, root) = (part.path(entry), store.path(piece));
                Linked {
                    path: path.strip_prefix(root).unwrap_or(path).to_path_buf(),
                    inode: host.inode,
                }
            });
            if known.inode != host.inode {
                part.entries[number].kind = Some(Kind::Mode);
            }
        }
    }
}
