//! Without namespaces: what the command may do with files, as a ruleset of Landlock and a system call filter.
//!
//! What these two cannot say is refused here, by name.

mod filter;
mod layer;
mod refusals;
pub mod rights;
mod rules;

pub use layer::Layer;
pub use refusals::refuse;

use super::ParentStep;
use super::arena::Arena;
use super::setup::{self, Setup, Slots, must};
use crate::child::step::{FilterOf, Instruction, Slot, Step, Text};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::host::tree::Kind;
use crate::spec::{AbstractSockets, Mount, Rung, Spec};
use rules::Rule;

/// How the command is confined. Where there are namespaces, not at all.
#[derive(Default)]
pub struct Confinement {
    /// What the launcher does for it before the clone.
    pub parent: Vec<ParentStep>,
    /// What the command does before its exec, when it can gain no privileges any more.
    pub command: Vec<Step>,
    /// See [`super::Plan::paths`].
    pub paths: Vec<Text>,
    /// See [`super::Plan::filter`].
    pub filter: Vec<Instruction>,
    /// See [`super::Plan::notes`].
    pub notes: Vec<String>,
    /// See [`super::Plan::stepped_down`].
    pub stepped_down: Vec<String>,
}

impl Confinement {
    /// Decides how what `spec` says is done without namespaces, if that is asked for.
    ///
    /// # Errors
    /// When the host has no Landlock that can do it, or Landlock cannot say it.
    pub fn new(spec: &Spec, facts: &Facts, slots: &mut Slots, arena: &mut Arena) -> Result<Self> {
        if spec.namespaces {
            return Ok(Confinement::default());
        }
        let version = version(facts)?;
        let narrows = narrows(spec, facts);
        let attributes = narrows && !spec.may_step_down(Rung::Attributes);
        let slot = slots.next();
        let mut confinement = Confinement {
            filter: filter::compile(&filter::rules(narrows, attributes)),
            command: vec![
                Step::Restrict { slot },
                Step::Filter {
                    of: FilterOf::Files { attributes },
                },
            ],
            notes: vec![note(spec, facts, version, attributes)],
            ..Confinement::default()
        };
        if narrows && !attributes {
            confinement.stepped_down.push(
                "keep attributes of files as they are: Landlock knows nothing of them; instead: modes, owners, times and \
                 extended attributes can be changed in all your files"
                    .to_string(),
            );
        }
        let scopes = confinement.scopes(spec, version)?;
        confinement.parent.push(ParentStep::MakeRuleset {
            files: rights::handled(version),
            scopes,
            slot,
        });
        for rule in rules::rules(spec, facts)? {
            confinement.allow(&rule, version, slot, arena)?;
        }
        Ok(confinement)
    }

    /// What of others outside is out of reach: their signals and memory as with process ids of one's own, and if that is
    /// asked for their abstract sockets.
    fn scopes(&mut self, spec: &Spec, version: u32) -> Result<u64> {
        let hides = spec.abstract_sockets == AbstractSockets::None;
        if version >= rights::SCOPES {
            let sockets = if hides {
                rights::SCOPE_ABSTRACT_UNIX_SOCKET
            } else {
                0
            };
            return Ok(rights::SCOPE_SIGNAL | sockets);
        }
        if hides {
            let lacks = format!(
                "keep abstract sockets of the host out of reach: Landlock has version {version} here, and that is in version {}",
                rights::SCOPES
            );
            if !spec.may_step_down(Rung::AbstractSockets) {
                return Err(Error::usage(lacks).with_hint("it needs Linux 6.12"));
            }
            self.stepped_down
                .push(format!("{lacks}; instead: leave them in reach"));
        }
        Ok(0)
    }

    fn allow(&mut self, rule: &Rule, version: u32, slot: Slot, arena: &mut Arena) -> Result<()> {
        let access = rule.access & rights::handled(version);
        if access == 0 {
            return Ok(());
        }
        let first = self.paths.len() as u32;
        for path in &rule.paths {
            self.paths.push(arena.text(path)?);
        }
        self.parent.push(ParentStep::Allow {
            slot,
            access,
            first,
            count: rule.paths.len() as u32,
            found: rule.found,
        });
        Ok(())
    }
}

/// The version of Landlock, if it is one that can keep from writing.
fn version(facts: &Facts) -> Result<u32> {
    let lacks = match facts.landlock {
        Some(version) if version >= rights::TRUNCATES => return Ok(version),
        Some(version) => format!(
            "without namespaces files are restricted by Landlock, and version {version}, which is here, cannot keep from \
             truncating them"
        ),
        None => {
            "without namespaces files are restricted by Landlock, which is not here".to_string()
        }
    };
    Err(Error::usage(lacks).with_hint(
        "it needs Linux 6.2 with Landlock switched on, and no older filter of a container's in the way: `rootlet doctor` says more",
    ))
}

/// Whether there is anything that may not be written, or not be read.
fn narrows(spec: &Spec, facts: &Facts) -> bool {
    let narrow = |mount: &Mount| match mount {
        Mount::Mask { .. } => true,
        Mount::Bind { read_only, .. } => *read_only,
        _ => false,
    };
    let mut views = spec.mounts.iter().zip(&facts.tree.places);
    spec.read_only || views.any(|(mount, place)| place.is_some() && narrow(mount))
}

/// In what this is less than a container.
fn note(spec: &Spec, facts: &Facts, version: u32, attributes: bool) -> String {
    let mut note = "without namespaces this is less than a container: the command is you, among the host's processes, in its \
                    network, IPC and mounts"
        .to_string();
    if version < rights::SCOPES {
        note += "; it can signal your processes, and what kills its init leaves others behind (before Linux 6.12)";
    }
    let mut views = spec.mounts.iter().zip(&facts.tree.places);
    let hidden: Vec<Kind> = views
        .by_ref()
        .filter(|(mount, _)| matches!(mount, Mount::Mask { .. }))
        .filter_map(|(_, place)| Some(place.as_ref()?.kind))
        .collect();
    if !hidden.is_empty() {
        note += "; what is hidden can still be seen by name (stat)";
        if version < rights::SOCKETS {
            note += ", and sockets in it be connected to";
        }
        note += "; in the directories that lead to it nothing new can be used";
    }
    if hidden.contains(&Kind::Directory) {
        note += ", and they cannot be listed";
    }
    if attributes {
        note += "; modes, owners, times and extended attributes can be changed nowhere, not even in writable volumes \
                 (everywhere with --optional attributes)";
    }
    note
}

/// What the new process does until it is init.
pub fn setup(spec: &Spec, facts: &Facts, tty: bool, arena: &mut Arena) -> Result<Setup> {
    let mut list = setup::start(spec, facts);
    list.extend(setup::subreaper(spec));
    if tty {
        list.push(must(Step::OpenTerminal));
    }
    list.extend(setup::end(spec, facts, tty, arena)?);
    Ok(Setup {
        list,
        ..Setup::default()
    })
}
