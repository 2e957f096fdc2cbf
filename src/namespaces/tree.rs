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

#[cfg(test)]
mod tests {
    use super::super::{Namespace, Seats};
    use super::*;

    const HOST: [(Kind, Id); 3] = [(Kind::User, 1), (Kind::Mnt, 2), (Kind::Pid, 3)];

    fn process(pid: i32, seats: &[(Kind, Id)]) -> Process {
        Process {
            pid,
            seats: seats.iter().copied().collect(),
            command: Some(format!("command {pid}")),
        }
    }

    fn namespace(kind: Kind, owner: Option<Id>, parent: Option<Id>) -> Namespace {
        Namespace {
            kind,
            owner,
            parent,
        }
    }

    /// A host, a container in it, and in that a user namespace which has a process only further below.
    fn facts() -> Facts {
        let namespaces = [
            (1, namespace(Kind::User, None, None)),
            (2, namespace(Kind::Mnt, Some(1), None)),
            (3, namespace(Kind::Pid, Some(1), None)),
            (10, namespace(Kind::User, Some(1), Some(1))),
            (12, namespace(Kind::Mnt, Some(10), None)),
            (11, namespace(Kind::Pid, Some(10), Some(3))),
            (4, namespace(Kind::User, Some(10), Some(10))),
            (5, namespace(Kind::User, Some(4), Some(4))),
        ];
        let container = [(Kind::User, 10), (Kind::Mnt, 12), (Kind::Pid, 11)];
        let below = [(Kind::User, 5), (Kind::Mnt, 12), (Kind::Pid, 11)];
        Facts {
            own: HOST.into_iter().collect(),
            namespaces: namespaces.into_iter().collect(),
            processes: vec![
                process(7, &HOST),
                process(20, &container),
                process(21, &below),
                process(22, &HOST),
            ],
            unreadable: 3,
        }
    }

    /// The nodes of a tree in their order, each with its depth.
    fn nodes(tree: &Tree) -> Vec<(usize, &Node)> {
        fn add<'a>(all: &mut Vec<(usize, &'a Node)>, nodes: &'a [Node], depth: usize) {
            for node in nodes {
                all.push((depth, node));
                add(all, &node.owns, depth + 1);
            }
        }
        let mut all = Vec::new();
        add(&mut all, &tree.namespaces, 0);
        all
    }

    fn ids(tree: &Tree) -> Vec<(usize, Id)> {
        let nodes = nodes(tree).into_iter();
        nodes.map(|(depth, node)| (depth, node.id)).collect()
    }

    fn node(tree: &Tree, id: Id) -> &Node {
        let mut nodes = nodes(tree).into_iter();
        nodes.find(|(_, node)| node.id == id).unwrap().1
    }

    #[test]
    fn each_namespace_is_below_its_owner_and_user_namespaces_come_last() {
        let tree = Tree::new(&facts(), &Containers::new());
        let expected = [
            (0, 1),
            (1, 2),
            (1, 3),
            (1, 10),
            (2, 12),
            (2, 11),
            (2, 4),
            (3, 5),
        ];
        assert_eq!(ids(&tree), expected);
        assert_eq!((tree.processes, tree.unreadable), (4, 3));
        assert_eq!(node(&tree, 11).owner, Some(10));
        assert_eq!(node(&tree, 11).parent, Some(3));
    }

    #[test]
    fn a_namespace_whose_owner_cannot_be_seen_is_at_the_top() {
        let mut facts = facts();
        facts.namespaces.remove(&1);
        facts.namespaces.insert(2, namespace(Kind::Mnt, None, None));
        let tree = Tree::new(&facts, &Containers::new());
        let top: Vec<Id> = tree.namespaces.iter().map(|node| node.id).collect();
        assert_eq!(top, [2, 3, 10]);
        assert_eq!(nodes(&tree).len(), 7);
        assert_eq!(node(&tree, 3).owner, Some(1));
    }

    #[test]
    fn each_says_how_many_are_in_it_and_who_is_the_lowest() {
        let mut facts = facts();
        facts.processes.reverse();
        let tree = Tree::new(&facts, &Containers::new());
        let occupied = |id| {
            let node = node(&tree, id);
            (node.processes, node.pid, node.command.as_deref())
        };
        assert_eq!(occupied(1), (2, Some(7), Some("command 7")));
        assert_eq!(occupied(12), (2, Some(20), Some("command 20")));
        assert_eq!(occupied(5), (1, Some(21), Some("command 21")));
        assert_eq!(occupied(4), (0, None, None));
    }

    #[test]
    fn those_of_the_reader_are_marked_by_kind_and_number() {
        let tree = Tree::new(&facts(), &Containers::new());
        let own = nodes(&tree).into_iter().filter(|(_, node)| node.own);
        assert_eq!(own.map(|(_, node)| node.id).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_container_has_what_its_process_is_in_and_the_reader_is_not() {
        let mut facts = facts();
        let mut shares = Seats::from(HOST);
        shares.insert(Kind::User, 10);
        facts
            .processes
            .push(process(30, &shares.into_iter().collect::<Vec<_>>()));
        let names = [(20, "web"), (30, "shares"), (99, "gone"), (21, "web")];
        let containers = names.map(|(pid, name)| (pid, name.to_string()));
        let tree = Tree::new(&facts, &containers.into());
        let of = |id| node(&tree, id).containers.join(" ");
        assert_eq!([1, 2, 3].map(of), ["", "", ""]);
        assert_eq!(of(10), "web shares");
        assert_eq!([12, 11, 5].map(of), ["web", "web", "web"]);
        assert_eq!(of(4), "", "no process is in it");
    }

    #[test]
    fn nothing_makes_an_empty_tree() {
        let tree = Tree::new(&Facts::default(), &Containers::new());
        assert_eq!(nodes(&tree), []);
    }

    #[test]
    fn the_keys_for_programs_are_these() {
        let tree = Tree::new(&facts(), &Containers::from([(20, "web".to_string())]));
        let json = serde_json::to_value(&tree).unwrap();
        let keys = |value: &serde_json::Value| {
            let object = value.as_object().unwrap();
            object.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(&json), "namespaces processes unreadable");
        let expected = serde_json::json!({
            "kind": "pid", "id": 11, "owner": 10, "parent": 3, "own": false, "containers": ["web"],
            "processes": 2, "pid": 20, "command": "command 20", "owns": [],
        });
        assert_eq!(json["namespaces"][0]["owns"][2]["owns"][1], expected);
    }
}
