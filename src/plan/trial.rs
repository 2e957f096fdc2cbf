//! Launches without a command, by which a host's answers are found.

use super::{Arena, Callers, Enforced, ParentStep, Plan, setup::must};
use crate::child::step::{Entry, Fallback, Fallbacks, Slot, Step};
use crate::error::Result;

impl Plan {
    /// A launch that only does `steps`, in the new namespaces `flags` (CLONE_NEW*). `ids` are the caller's user and group
    /// id, which are mapped to themselves; none writes no map.
    ///
    /// # Errors
    /// Those of `steps`, which has the arena for its strings and the first free slot.
    pub fn trial(
        flags: u64,
        ids: Option<(u32, u32)>,
        steps: impl FnOnce(&mut Arena, Slot) -> Result<Vec<Step>>,
    ) -> Result<Plan> {
        let mut arena = Arena::default();
        let mut parent = vec![ParentStep::OpenChannels, ParentStep::Clone { flags }];
        let mut setup = vec![Step::Tie];
        if let Some((uid, gid)) = ids {
            let mut map = |id: u32| arena.text(format!("{id} {id} 1\n"));
            let (users, groups) = (map(uid)?, map(gid)?);
            parent.extend([
                ParentStep::DenySetgroups,
                ParentStep::WriteUidMap { lines: users },
                ParentStep::WriteGidMap { lines: groups },
                ParentStep::Release,
            ]);
            setup.push(Step::AwaitIdMaps);
        }
        setup.extend(steps(&mut arena, Slot(Slot::SOURCES))?);
        Ok(Plan {
            arena,
            parent,
            setup: setup.into_iter().map(must).collect(),
            init: Vec::new(),
            command: vec![must(Step::Ready)],
            ids: ids.map_or([0, 0], |(uid, gid)| [uid, gid]),
            argv: Vec::new(),
            shell: None,
            envp: Vec::new(),
            candidates: Vec::new(),
            slots: Slot::SOURCES + 1,
            clone_flags: flags,
            fallbacks: Fallback::ALL
                .into_iter()
                .fold(Fallbacks::default(), Fallbacks::with),
            stepped_down: Vec::new(),
            notes: Vec::new(),
            paths: Vec::new(),
            contents: Vec::new(),
            filters: Default::default(),
            programs: Vec::new(),
            callers: Callers::default(),
            sets_pwd: false,
            listened: None,
            uppers: Vec::new(),
            pass_fds: Vec::new(),
            pipes: Vec::new(),
            tty: false,
            timeout: None,
            enforced: Enforced::default(),
        })
    }

    /// The same launch up to the exec of the command, where it ends, in one process: what init gives up is given up last.
    pub fn rehearsal(mut self) -> Plan {
        let limits = |entry: &Entry| matches!(entry.step, Step::LimitInit);
        let limited: Vec<Entry> = self.init.drain(..).filter(limits).collect();
        self.candidates.clear();
        self.command
            .retain(|entry| !matches!(entry.step, Step::TieToInit | Step::Ready | Step::Exec));
        self.command.extend(limited);
        self.command.push(must(Step::Ready));
        self
    }

    /// Whether there is no command, so that this is only to find out how the host answers.
    pub fn is_trial(&self) -> bool {
        self.candidates.is_empty()
    }
}
