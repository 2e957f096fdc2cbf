//! Which capabilities the command has, and how views stay locked against it.

use super::arena::Arena;
use super::identity::{self, Ids};
use super::setup::Slots;
use crate::child::step::{Attributes, Slot, Step};
use crate::error::{Error, Result};
use crate::spec::{Capabilities, IdRange, Nesting, Spec};

/// The decided capabilities.
pub struct Held {
    /// Those that the command, or what it executes, can come to have: the bounding set.
    pub kept: Capabilities,
    named: Capabilities,
    ambient: Capabilities,
    root: bool,
    /// A copy of the host's /proc, where there is to be a second user namespace inside the first.
    proc: Option<Slot>,
    /// Whether that is to lock the mounts.
    locks: bool,
    nesting: Nesting,
    /// A user namespace of the caller's that the command joins at last.
    joined: Option<i32>,
}

impl Held {
    pub fn new(spec: &Spec, ids: &Ids, slots: &mut Slots) -> Result<Held> {
        let root = ids.uid == 0;
        let kept = spec.kept_capabilities(ids.uid);
        let named = spec.named_capabilities();
        let uncovers = !spec.unlocked
            && spec.has_something_to_lock()
            && kept.contains(Capabilities::SYS_ADMIN);
        let nests = uncovers || spec.nesting == Nesting::Disabled;
        let ranges = |map: &[IdRange]| map.len() > 1 || map.iter().any(|range| range.count > 1);
        if nests && (ranges(&ids.uid_map) || ranges(&ids.gid_map)) {
            return Err(Error::usage(
                "SYS_ADMIN over a view that has to stay as it is, or no user namespaces inside, takes a second user namespace, which can \
                 map one id only",
            )
            .with_hint("leave --cap-add SYS_ADMIN out, or the ranges of ids"));
        }
        Ok(Held {
            kept,
            named,
            ambient: ambient(spec, root, kept),
            root: (root || spec.allow_new_privs) && kept != Capabilities::NONE,
            proc: nests.then(|| slots.next()),
            locks: uncovers,
            nesting: spec.nesting,
            joined: spec.descriptors.last_user_namespace,
        })
    }

    /// Those of a command in a container that runs: its mounts are locked already, if they have to be.
    pub fn joined(spec: &Spec, kept: Capabilities, [uid, _]: [u32; 2]) -> Held {
        let (root, named) = (uid == 0, spec.named_capabilities().and(kept));
        Held {
            kept,
            named,
            ambient: ambient(spec, root, kept),
            root: (root || spec.allow_new_privs) && kept != Capabilities::NONE,
            proc: None,
            locks: false,
            nesting: Nesting::Allowed,
            joined: None,
        }
    }

    /// What set-up does for them before anything is mounted: a copy of /proc is held, which stays writable.
    pub fn prepare(&self, arena: &mut Arena) -> Result<Option<Step>> {
        let open = |slot| {
            Ok(Step::OpenTree {
                path: arena.text("/proc")?,
                slot,
                attributes: Attributes::NONE,
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
            if self.nesting == Nesting::Disabled {
                steps.push(Step::LimitUserNamespaces { proc });
            }
            steps.push(Step::EnterUserNamespace {
                proc,
                uid_map: itself(ids.uid)?,
                gid_map: itself(ids.gid)?,
            });
            if self.locks {
                steps.push(Step::LockMounts);
            }
        }
        steps.extend(self.joined.map(|fd| Step::JoinUserNamespace { fd }));
        if self.nesting != Nesting::Allowed {
            steps.push(Step::RequireNoUserNamespaces);
        }
        steps.push(self.limit());
        Ok(steps)
    }

    /// What the command gives up.
    pub fn limit(&self) -> Step {
        Step::LimitCapabilities {
            kept: self.kept.0,
            named: self.named.0,
            ambient: self.ambient.0,
            root: self.root,
        }
    }
}

/// Those of `kept` that the command has from the start, and not by being root.
fn ambient(spec: &Spec, root: bool, kept: Capabilities) -> Capabilities {
    match (root, spec.ambient) {
        (_, true) => kept,
        (true, false) => Capabilities::NONE,
        (false, false) => spec.named_capabilities().and(kept),
    }
}
