//! Steps down: what rootlet may do without where the host refuses it.

use super::Spec;
use serde::{Deserialize, Serialize};

/// Something that a host may refuse, and that has something weaker or older in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// A /proc of the container's own; else the host's.
    Proc,
    /// A /sys of the container's own network; else the host's, read-only.
    Sys,
    /// Abstract sockets out of reach; else they stay in reach.
    AbstractSockets,
    /// A session keyring of the container's own; else the caller's.
    Keyring,
    /// The overlays of `rootlet try`; else the directory is read-only.
    Overlay,
    /// clone3(2); else clone(2).
    Clone3,
    /// open_tree(2) and move_mount(2); else bind mounts.
    OpenTree,
    /// mount_setattr(2); else a remount of each mount.
    MountSetattr,
    /// close_range(2); else each descriptor that /proc lists.
    CloseRange,
    /// The ranges of ids that are asked for; else the caller's one id.
    Ids,
    /// An IPC namespace; else the host's.
    Ipc,
    /// A UTS namespace; else the host's.
    Uts,
    /// A cgroup namespace; else the host's.
    Cgroup,
    /// A time namespace; else the host's clocks.
    Time,
    /// Modes, owners, times and extended attributes that nobody can change, where there are no namespaces and something may
    /// not be written; else they can be changed in all the caller's files.
    Attributes,
}

impl Rung {
    /// Whether rootlet steps down by itself, and says so. Of the others what was asked for is what there is, unless
    /// [`Spec::optional`] names them.
    fn is_by_itself(self) -> bool {
        !matches!(
            self,
            Rung::Ids | Rung::Ipc | Rung::Uts | Rung::Cgroup | Rung::Time | Rung::Attributes
        )
    }
}

impl Spec {
    /// Whether something else may be done where the host refuses `rung`.
    pub fn may_step_down(&self, rung: Rung) -> bool {
        let refused = self.strict || self.require.contains(&rung);
        !refused && (rung.is_by_itself() || self.optional.contains(&rung))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_stepped_down_from_only_when_the_user_says_so() {
        let mut spec = Spec::default();
        assert!(spec.may_step_down(Rung::Proc) && !spec.may_step_down(Rung::Ipc));
        spec.optional = vec![Rung::Ipc];
        assert!(spec.may_step_down(Rung::Ipc) && !spec.may_step_down(Rung::Uts));
        spec.require = vec![Rung::Proc, Rung::Ipc];
        assert!(!spec.may_step_down(Rung::Proc) && !spec.may_step_down(Rung::Ipc));
        assert!(spec.may_step_down(Rung::Sys));
        spec.strict = true;
        assert!(!spec.may_step_down(Rung::Sys));
    }
}
