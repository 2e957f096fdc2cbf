//! Beside namespaces: what the view allows to be written, once more as a ruleset of Landlock. A mount that was made or
//! changed through a fault of the kernel would still not be written to, nor a file that somebody outside has handed in.

use super::rights;
use crate::child::step::{Slot, Step};
use crate::error::Result;
use crate::host::Facts;
use crate::plan::arena::Arena;
use crate::plan::setup::Slots;
use crate::plan::views::destination;
use crate::spec::{AbstractSockets, Landlock, Mount, Net, Spec};
use std::path::{Path, PathBuf};

/// The second layer, where it is asked for and the kernel has it.
pub struct Layer {
    version: u32,
    slot: Slot,
    /// LANDLOCK_SCOPE_*.
    scopes: u64,
}

impl Layer {
    /// The layer, if it is asked for and the kernel's Landlock can keep from truncating.
    pub fn new(spec: &Spec, facts: &Facts, slots: &mut Slots) -> Option<Layer> {
        if spec.landlock == Landlock::None {
            return None;
        }
        let version = facts
            .landlock
            .filter(|&version| version >= rights::TRUNCATES)?;
        let hides = spec.net == Net::Host && spec.abstract_sockets == AbstractSockets::None;
        let scopes = match (version >= rights::SCOPES, hides) {
            (false, _) => 0,
            (true, false) => rights::SCOPE_SIGNAL,
            (true, true) => rights::SCOPE_SIGNAL | rights::SCOPE_ABSTRACT_UNIX_SOCKET,
        };
        Some(Layer {
            version,
            slot: slots.next(),
            scopes,
        })
    }

    /// Whether it keeps abstract sockets out of reach as well.
    pub fn scopes_sockets(&self) -> bool {
        self.scopes & rights::SCOPE_ABSTRACT_UNIX_SOCKET != 0
    }

    /// What set-up does when all is laid down.
    ///
    /// # Errors
    /// A view that is relative to a working directory that has no name.
    pub fn setup(&self, spec: &Spec, facts: &Facts, arena: &mut Arena) -> Result<Vec<Step>> {
        let slot = self.slot;
        let handled = rights::handled(self.version);
        let mut steps = vec![Step::MakeRuleset {
            files: handled,
            scopes: self.scopes,
            slot,
        }];
        for (path, access) in places(spec, facts)? {
            steps.push(Step::Allow {
                slot,
                path: arena.text(path)?,
                access: access & handled,
            });
        }
        steps.push(Step::SendRuleset { slot });
        Ok(steps)
    }

    /// What the command does.
    pub fn command(&self) -> Step {
        Step::Restrict { slot: self.slot }
    }
}

/// What may be done where: a rule holds for all that is below.
fn places(spec: &Spec, facts: &Facts) -> Result<Vec<(PathBuf, u64)>> {
    let base = if spec.read_only {
        rights::READ
    } else {
        rights::WRITE
    };
    let place = |path: &str, access| (Path::new(path).to_path_buf(), access);
    let mut places = vec![place("/", base)];
    if spec.read_only {
        places.push(place("/dev", rights::DEVICE));
        places.push(place("/dev/shm", rights::WRITE));
        places.push(place("/proc", rights::DEVICE));
        // A file of the caller's: scripts write to /dev/stderr.
        places.push(place("/proc/self/fd/1", rights::DEVICE));
        places.push(place("/proc/self/fd/2", rights::DEVICE));
    }
    for mount in &spec.mounts {
        match mount {
            Mount::Bind {
                read_only: true, ..
            }
            | Mount::Mask { .. }
            | Mount::Seal { .. }
            | Mount::Remount { .. }
            | Mount::Chmod { .. }
            | Mount::Symlink { .. } => {}
            _ => places.push((destination(mount, facts)?, rights::WRITE)),
        }
    }
    Ok(places)
}
