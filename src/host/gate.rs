//! What a launch asks of a host, one thing at a time, and how it can be answered.

use serde::Serialize;

/// One thing that a host can refuse. The order is that in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// A process, in no new namespaces, and the channels to it.
    Process,
    /// A user namespace (clone(2), CLONE_NEWUSER).
    User,
    /// Its id maps, written from outside.
    IdMaps,
    /// A PID namespace.
    Pid,
    /// A mount namespace.
    Mount,
    /// An IPC namespace.
    Ipc,
    /// A UTS namespace.
    Uts,
    /// A cgroup namespace.
    Cgroup,
    /// A network namespace.
    Net,
    /// A time namespace, with clocks of its own.
    Time,
    /// A host name in a UTS namespace of its own.
    Hostname,
    /// All of these namespaces at once, each a level deeper than the host's.
    Together,
    /// Mounts that nobody outside sees (MS_PRIVATE).
    PrivateMounts,
    /// A part of the tree shown elsewhere.
    Bind,
    /// A file system in memory.
    Tmpfs,
    /// An overlay, as `rootlet try` needs it.
    Overlay,
    /// Pseudo-terminals of its own.
    Devpts,
    /// POSIX message queues of its own.
    Mqueue,
    /// A /proc of its own.
    Proc,
    /// A /sys of its own.
    Sysfs,
    /// Another root.
    PivotRoot,
    /// Trees that are read-only with every mount below (Linux 5.12).
    MountSetattr,
    /// Trees that are taken before they are attached (Linux 5.2).
    OpenTree,
    /// Names that are looked up within a directory (Linux 5.6).
    OpenAt2,
    /// Processes made without the caller's signal handlers (Linux 5.3).
    Clone3,
    /// Descriptors closed in one call (Linux 5.9).
    CloseRange,
    /// Processes held by a descriptor (Linux 5.3).
    Pidfd,
    /// 127.0.0.1 in a network of its own.
    Loopback,
    /// A tunnel device in a network of its own.
    Tun,
    /// A pseudo-terminal.
    Pty,
    /// Fewer capabilities (capset(2)).
    Capabilities,
    /// A session keyring of its own.
    Keyring,
    /// A system call filter.
    Seccomp,
    /// Restrictions of files without namespaces (Linux 5.13).
    Landlock,
    /// Control groups to make and to limit.
    Cgroups,
}

/// Every gate with its name for people.
const NAMES: [(Gate, &str); 35] = [
    (Gate::Process, "process"),
    (Gate::User, "user namespace"),
    (Gate::IdMaps, "id maps"),
    (Gate::Pid, "PID namespace"),
    (Gate::Mount, "mount namespace"),
    (Gate::Ipc, "IPC namespace"),
    (Gate::Uts, "UTS namespace"),
    (Gate::Cgroup, "cgroup namespace"),
    (Gate::Net, "network namespace"),
    (Gate::Time, "time namespace"),
    (Gate::Hostname, "host name"),
    (Gate::Together, "all namespaces together"),
    (Gate::PrivateMounts, "private mounts"),
    (Gate::Bind, "bind mounts"),
    (Gate::Tmpfs, "tmpfs"),
    (Gate::Overlay, "overlay"),
    (Gate::Devpts, "devpts"),
    (Gate::Mqueue, "mqueue"),
    (Gate::Proc, "fresh /proc"),
    (Gate::Sysfs, "fresh /sys"),
    (Gate::PivotRoot, "pivot_root"),
    (Gate::MountSetattr, "mount_setattr"),
    (Gate::OpenTree, "open_tree"),
    (Gate::OpenAt2, "openat2"),
    (Gate::Clone3, "clone3"),
    (Gate::CloseRange, "close_range"),
    (Gate::Pidfd, "pidfd_open"),
    (Gate::Loopback, "loopback device"),
    (Gate::Tun, "tun device"),
    (Gate::Pty, "pseudo-terminal"),
    (Gate::Capabilities, "capset"),
    (Gate::Keyring, "session keyring"),
    (Gate::Seccomp, "system call filter"),
    (Gate::Landlock, "Landlock"),
    (Gate::Cgroups, "cgroup delegation"),
];

impl Gate {
    /// Every gate, in order.
    pub fn all() -> impl Iterator<Item = Gate> {
        NAMES.iter().map(|&(gate, _)| gate)
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        let known = NAMES.iter().find(|(gate, _)| *gate == self);
        known.map_or("", |(_, name)| name)
    }

    /// The kind of namespace that it is, as the names of the limits in /proc/sys/user have it.
    pub fn namespace(self) -> Option<&'static str> {
        Some(match self {
            Gate::User => "user",
            Gate::Pid => "pid",
            Gate::Mount => "mnt",
            Gate::Ipc => "ipc",
            Gate::Uts => "uts",
            Gate::Cgroup => "cgroup",
            Gate::Net => "net",
            Gate::Time => "time",
            _ => return None,
        })
    }

    /// The kernel from which on the system call is there, where it is a newer one.
    pub fn since(self) -> Option<(u32, u32)> {
        Some(match self {
            Gate::OpenTree => (5, 2),
            Gate::Clone3 | Gate::Pidfd => (5, 3),
            Gate::OpenAt2 | Gate::Time => (5, 6),
            Gate::CloseRange => (5, 9),
            Gate::Overlay => (5, 11),
            Gate::MountSetattr => (5, 12),
            Gate::Landlock => (5, 13),
            _ => return None,
        })
    }
}

/// How a host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Works,
    /// The kernel, or somebody in its name, says no, with this errno.
    Refused(i32),
    /// Whoever asked was ended by this signal.
    Killed(i32),
    /// There is nothing to ask.
    Absent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_has_a_name_and_they_are_in_order() {
        let gates: Vec<Gate> = Gate::all().collect();
        assert!(gates.is_sorted());
        assert_eq!(gates.last(), Some(&Gate::Cgroups));
        assert_eq!(gates.len(), Gate::Cgroups as usize + 1);
        assert!(gates.iter().all(|gate| !gate.name().is_empty()));
    }
}
