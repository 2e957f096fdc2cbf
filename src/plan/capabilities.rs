//! Which capabilities the command has, and how views stay locked against it.

use super::arena::Arena;
use super::identity::{self, Ids};
use super::setup::Slots;
use crate::child::step::{Slot, Step};
use crate::error::{Error, Result};
use crate::spec::{Capabilities, Capability, IdRange, Mount, Spec};

/// What root in a namespaced shell needs: what it may do to files, ids, processes, networks and mounts of its own. The
/// others are about the machine, over which no user namespace gives power, so that they only make the kernel's code
/// larger that can be reached.
const SHELL: [&str; 23] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_OWNER",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_ADMIN",
    "SYS_NICE",
    "SYS_RESOURCE",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
    "CHECKPOINT_RESTORE",
];

/// The decided capabilities.
pub struct Held {
    /// Those that the command, or what it executes, can come to have: the bounding set.
    pub kept: Capabilities,
    named: Capabilities,
    ambient: Capabilities,
    root: bool,
    /// A copy of the host's /proc, where the mounts are to be locked by a second user namespace.
    proc: Option<Slot>,
}

impl Held {
    pub fn new(spec: &Spec, ids: &Ids, slots: &mut Slots) -> Result<Held> {
        let root = ids.uid == 0;
        let locked = has_something_to_lock(spec);
        let kept = kept(spec, root, locked);
        let named = Capabilities::of(&named(&spec.cap_add));
        let uncovers = locked && kept.contains(Capabilities::SYS_ADMIN);
        let ranges = |map: &[IdRange]| map.len() > 1 || map.iter().any(|range| range.count > 1);
        if uncovers && (ranges(&ids.uid_map) || ranges(&ids.gid_map)) {
            return Err(Error::usage(
                "SYS_ADMIN over a view that has to stay as it is takes a second user namespace, which can map one id only",
            )
            .with_hint("leave --cap-add SYS_ADMIN out, or the ranges of ids"));
        }
        Ok(Held {
            kept,
            named,
            ambient: if root {
                Capabilities::NONE
            } else {
                named.and(kept)
            },
            root: (root || spec.allow_new_privs) && kept != Capabilities::NONE,
            proc: uncovers.then(|| slots.next()),
        })
    }

    /// What set-up does for them before anything is mounted: a copy of /proc is held, which stays writable.
    pub fn prepare(&self, arena: &mut Arena) -> Result<Option<Step>> {
        let open = |slot| {
            Ok(Step::OpenTree {
                path: arena.text("/proc")?,
                slot,
                read_only: false,
                optional: false,
            })
        };
        self.proc.map(open).transpose()
    }

    /// What the command does for them.
    pub fn steps(&self, ids: &Ids, arena: &mut Arena) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        if let Some(proc) = self.proc {
            let mut itself = |id| {
                let range = IdRange {
                    inside: id,
                    outside: id,
                    count: 1,
                };
                arena.text(identity::lines(&[range]))
            };
            steps.push(Step::LockMounts {
                proc,
                uid_map: itself(ids.uid)?,
                gid_map: itself(ids.gid)?,
            });
        }
        steps.push(Step::LimitCapabilities {
            kept: self.kept.0,
            named: self.named.0,
            ambient: self.ambient.0,
            root: self.root,
        });
        Ok(steps)
    }
}

/// Docker's rule: ALL is taken and given first, then those that are named; who is named in both has it.
fn kept(spec: &Spec, root: bool, locked: bool) -> Capabilities {
    let by_default = match root || spec.allow_new_privs {
        true => by_default(locked),
        false => Capabilities::NONE,
    };
    let all = |words: &[Capability]| words.contains(&Capability::All);
    let start = match (all(&spec.cap_add), all(&spec.cap_drop)) {
        (true, _) => Capabilities::ALL,
        (_, true) => Capabilities::NONE,
        _ => by_default,
    };
    start
        .without(Capabilities::of(&named(&spec.cap_drop)))
        .with(Capabilities::of(&named(&spec.cap_add)))
}

/// [`SHELL`]; where a view is to be locked without what could change mounts, or open files by their handles.
fn by_default(locked: bool) -> Capabilities {
    let taken = |name: &&str| locked && matches!(*name, "SYS_ADMIN" | "DAC_READ_SEARCH");
    let left = SHELL.iter().filter(|name| !taken(name));
    let words: Vec<Capability> = left.filter_map(|name| name.parse().ok()).collect();
    Capabilities::of(&words)
}

fn named(words: &[Capability]) -> Vec<Capability> {
    let is_named = |word: &&Capability| **word != Capability::All;
    words.iter().filter(is_named).copied().collect()
}

/// Whether root inside could show or write, by taking a mount off, what the view hides or keeps from being written.
fn has_something_to_lock(spec: &Spec) -> bool {
    let only_adds = |mount: &Mount| {
        matches!(
            mount,
            Mount::Bind {
                read_only: false,
                ..
            }
        )
    };
    spec.read_only || !spec.root.is_host() || !spec.mounts.iter().all(only_adds)
}
