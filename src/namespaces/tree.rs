//! The tree: each namespace below the user namespace that owns it. A pure function of the facts.

use super::{Containers, Facts, Id, Kind, Process, marks};
use serde::Serialize;
use std::collections::BTreeMap;

/// The namespaces that can be seen, as `rootlet ns --json` prints them. Keys stay as they are; others may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tree {
    /// Those whose owner is beyond what may be seen.
    pub namespaces: Vec<Node>,
    /// How many processes were looked at.
    pub processes: usize,
    /// How many may not be looked at, so that they are missing.
    pub unreadable: usize,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// What it is one of.
    pub kind: Kind,
    /// Its number.
    pub id: Id,
    /// The user namespace that owns it; none where that is beyond what may be seen.
    pub owner: Option<Id>,
    /// The namespace above a user or PID namespace; none where that is beyond what may be seen.
    pub parent: Option<Id>,
    /// Whether the reader is in it.
    pub own: bool,
    /// The containers that have a process in it.
    pub containers: Vec<String>,
    /// How many processes are in it.
    pub processes: usize,
    /// The lowest of them; none where only a namespace below it has any.
    pub pid: Option<i32>,
    /// The command line of that.
    pub command: Option<String>,
    /// What a user namespace owns: other kinds first, then the user namespaces below it.
    pub owns: Vec<Node>,
}

impl Tree {
    /// The tree of these facts.
    pub fn new(facts: &Facts, containers: &Containers) -> Self {
        let seats = |pid| {
            let mut processes = facts.processes.iter();
            let process = processes.find(|process| process.pid == pid)?;
            Some(process.seats.clone())
        };
        let growth = Growth {
            facts,
            marks: marks(containers, &facts.own, seats),
            occupants: occupants(facts),
            owned: owned(facts),
        };
        Tree {
            namespaces: growth.nodes(None),
            processes: facts.processes.len(),
            unreadable: facts.unreadable,
        }
    }
}

/// The processes of each namespace.
fn occupants(facts: &Facts) -> BTreeMap<Id, Vec<&Process>> {
    let mut occupants: BTreeMap<Id, Vec<&Process>> = BTreeMap::new();
    for process in &facts.processes {
        for &id in process.seats.values() {
            occupants.entry(id).or_default().push(process);
        }
    }
    occupants
}

/// What each user namespace owns, and what has no owner that can be seen.
fn owned(facts: &Facts) -> BTreeMap<Option<Id>, Vec<Id>> {
    let mut owned: BTreeMap<Option<Id>, Vec<Id>> = BTreeMap::new();
    for (&id, namespace) in &facts.namespaces {
        let known = |owner: &Id| facts.namespaces.contains_key(owner);
        let owner = namespace.owner.filter(known);
        owned.entry(owner).or_default().push(id);
    }
    for ids in owned.values_mut() {
        ids.sort_by_key(|id| {
            let kind = facts.namespaces[id].kind;
            (kind == Kind::User, kind, *id)
        });
    }
    owned
}

/// What a tree is made of.
struct Growth<'a> {
    facts: &'a Facts,
    marks: BTreeMap<Id, Vec<String>>,
    occupants: BTreeMap<Id, Vec<&'a Process>>,
    owned: BTreeMap<Option<Id>, Vec<Id>>,
}

impl Growth<'_> {
    fn nodes(&self, owner: Option<Id>) -> Vec<Node> {
        let ids = self.owned.get(&owner).into_iter().flatten();
        ids.map(|&id| self.node(id)).collect()
    }

    fn node(&self, id: Id) -> Node {
        let namespace = self.facts.namespaces[&id];
        let processes = self.occupants.get(&id).map_or(&[][..], Vec::as_slice);
        let lowest = processes.iter().min_by_key(|process| process.pid);
        Node {
            kind: namespace.kind,
            id,
            owner: namespace.owner,
            parent: namespace.parent,
            own: self.facts.own.get(&namespace.kind) == Some(&id),
            containers: self.marks.get(&id).cloned().unwrap_or_default(),
            processes: processes.len(),
            pid: lowest.map(|process| process.pid),
            command: lowest.and_then(|process| process.command.clone()),
            owns: self.nodes(Some(id)),
        }
    }
}
