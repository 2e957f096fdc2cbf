//! What there is: one pass through /proc, in which each namespace is opened once.

use super::read::{self, Look};
use super::{Id, Kind, Seats};
use crate::error::Result;
use rustix::fd::OwnedFd;
use std::collections::{BTreeMap, BTreeSet};

/// The namespaces and processes that can be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The reader's own namespaces.
    pub own: Seats,
    /// Every namespace that a process is in, and what is above them.
    pub namespaces: BTreeMap<Id, Namespace>,
    /// The processes, lowest first.
    pub processes: Vec<Process>,
    /// Processes that may not be looked at.
    pub unreadable: usize,
}

/// What the kernel says of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What it is one of.
    pub kind: Kind,
    /// The user namespace that owns it; none where that is beyond what may be seen.
    pub owner: Option<Id>,
    /// The namespace above a user or PID namespace; none where that is beyond what may be seen.
    pub parent: Option<Id>,
}

/// A process, and the namespaces that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id in the reader's PID namespace.
    pub pid: i32,
    /// Where it is.
    pub seats: Seats,
    /// Its command line; known of those that are the lowest of some namespace.
    pub command: Option<String>,
}

impl Facts {
    /// Looks at every process. Those that end meanwhile are left out.
    ///
    /// # Errors
    /// When /proc cannot be read, or the kernel does not answer about a namespace.
    pub fn gather() -> Result<Self> {
        let mut facts = Facts {
            own: read::own()?,
            ..Facts::default()
        };
        let mut occupied = BTreeSet::new();
        for pid in read::processes()? {
            match read::look(pid)? {
                Look::Gone => {}
                Look::Refused(_) => facts.unreadable += 1,
                Look::Seen(seats) => facts.add(pid, seats, &mut occupied)?,
            }
        }
        facts.complete();
        Ok(facts)
    }

    fn add(&mut self, pid: i32, seats: Seats, occupied: &mut BTreeSet<Id>) -> Result<()> {
        let mut command = None;
        for (&kind, &id) in &seats {
            if !self.namespaces.contains_key(&id)
                && let Some(namespace) = read::open(pid, kind, id)?
            {
                self.explore(kind, id, &namespace)?;
            }
            if occupied.insert(id) && command.is_none() {
                command = read::command(pid);
            }
        }
        self.processes.push(Process {
            pid,
            seats,
            command,
        });
        Ok(())
    }

    /// Notes this namespace and all above it. They nest 32 deep at most.
    fn explore(&mut self, kind: Kind, id: Id, namespace: &OwnedFd) -> Result<()> {
        if self.namespaces.contains_key(&id) {
            return Ok(());
        }
        let owner = self.explored(Kind::User, read::owner(namespace)?)?;
        let parent = match kind {
            Kind::User => owner,
            Kind::Pid => self.explored(Kind::Pid, read::parent(namespace)?)?,
            _ => None,
        };
        let found = Namespace {
            kind,
            owner,
            parent,
        };
        self.namespaces.insert(id, found);
        Ok(())
    }

    fn explored(&mut self, kind: Kind, above: Option<(Id, OwnedFd)>) -> Result<Option<Id>> {
        let Some((id, namespace)) = above else {
            return Ok(None);
        };
        self.explore(kind, id, &namespace)?;
        Ok(Some(id))
    }

    /// A namespace that could not be opened, since its processes left it, is one of which no more is known.
    fn complete(&mut self) {
        for process in &self.processes {
            for (&kind, &id) in &process.seats {
                self.namespaces.entry(id).or_insert(Namespace {
                    kind,
                    owner: None,
                    parent: None,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_could_not_be_opened_is_there_without_an_owner() {
        let known = Namespace {
            kind: Kind::User,
            owner: None,
            parent: None,
        };
        let process = Process {
            pid: 7,
            seats: Seats::from([(Kind::User, 1), (Kind::Pid, 2)]),
            command: None,
        };
        let mut facts = Facts {
            namespaces: BTreeMap::from([(
                1,
                Namespace {
                    owner: Some(9),
                    ..known
                },
            )]),
            processes: vec![process],
            ..Facts::default()
        };
        facts.complete();
        let expected = [
            (
                1,
                Namespace {
                    owner: Some(9),
                    ..known
                },
            ),
            (
                2,
                Namespace {
                    kind: Kind::Pid,
                    ..known
                },
            ),
        ];
        assert_eq!(facts.namespaces, BTreeMap::from(expected));
    }

    #[test]
    fn every_namespace_of_this_process_is_found_with_what_is_above_it() {
        let facts = Facts::gather().unwrap();
        assert_eq!(facts.own.len(), Kind::ALL.len());
        for (kind, id) in &facts.own {
            assert_eq!(facts.namespaces[id].kind, *kind);
        }
        for namespace in facts.namespaces.values() {
            let above = [namespace.owner, namespace.parent];
            for id in above.into_iter().flatten() {
                assert!(facts.namespaces.contains_key(&id), "{namespace:?}");
            }
        }
        let pids: Vec<i32> = facts.processes.iter().map(|process| process.pid).collect();
        assert!(pids.is_sorted() && pids.contains(&(std::process::id() as i32)));
    }
}
