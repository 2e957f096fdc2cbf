//! The namespaces that this user can see, who owns which, and which processes are in them. `rootlet ns` prints it.
//!
//! [`Facts`] are what /proc and the kernel say, read once; a [`Tree`] is made of them without asking anything more.
//! [`Whereabouts`] are those of a single process.
#![forbid(unsafe_code)]

mod facts;
mod process;
mod read;
mod report;
mod tree;

pub use facts::{Facts, Namespace, Process};
pub use process::{Place, Range, Whereabouts};
pub use report::{text, whereabouts_text};
pub use tree::{Node, Tree};

use serde::Serialize;
use std::collections::BTreeMap;

/// The number of a namespace: the inode of its file, which no two have at the same time, whatever their kinds.
pub type Id = u64;

/// The containers that there are: from a process of each, as seen here, to its name.
pub type Containers = BTreeMap<i32, String>;

/// The namespaces of one process.
pub type Seats = BTreeMap<Kind, Id>;

/// What a namespace is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Ids and capabilities; it owns the others.
    User,
    /// Mounts.
    Mnt,
    /// Process ids.
    Pid,
    /// The network.
    Net,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// The root of control groups.
    Cgroup,
    /// The boot-time and monotonic clocks (Linux 5.6).
    Time,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 8] = [
        Kind::User,
        Kind::Mnt,
        Kind::Pid,
        Kind::Net,
        Kind::Ipc,
        Kind::Uts,
        Kind::Cgroup,
        Kind::Time,
    ];

    /// The name that it has in /proc/PID/ns.
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Mnt => "mnt",
            Kind::Pid => "pid",
            Kind::Net => "net",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Cgroup => "cgroup",
            Kind::Time => "time",
        }
    }
}

/// The containers that each namespace is of: a process of theirs is in it, and the reader is not.
fn marks(
    containers: &Containers,
    own: &Seats,
    seats: impl Fn(i32) -> Option<Seats>,
) -> BTreeMap<Id, Vec<String>> {
    let mut marks: BTreeMap<Id, Vec<String>> = BTreeMap::new();
    for (&pid, name) in containers {
        for (kind, id) in seats(pid).unwrap_or_default() {
            let names = marks.entry(id).or_default();
            if own.get(&kind) != Some(&id) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    marks
}
