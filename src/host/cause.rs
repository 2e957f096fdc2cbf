//! WHY a host refuses: a pure function of what was refused, of the answer, and of the [`Place`].
//!
//! A cause is named only where something tells it from every other that has the same errno; otherwise it is
//! [`Cause::Unknown`]. Sources: user_namespaces(7), namespaces(7), mount_namespaces(7), landlock(7), seccomp(2), and what
//! was observed where these are silent.

use super::cgroup::Cgroups;
use super::gate::{Answer, Gate};
use super::place::{Container, Place, ProcState};
use serde::Serialize;

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "id",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Cause {
    /// A system call filter (seccomp) answers.
    Filter,
    /// A system call filter ends whoever asks.
    FilterKills,
    /// The root of this process is not the root of its mount namespace.
    Chroot,
    /// The caller's user id has no id outside this user namespace.
    UnmappedId {
        /// The id.
        uid: u32,
    },
    /// The caller's group id has no id outside this user namespace.
    UnmappedGroup {
        /// The id.
        gid: u32,
    },
    /// The caller is root without CAP_SETFCAP, and may not map user id 0.
    RootWithoutSetfcap,
    /// kernel.unprivileged_userns_clone is 0.
    UsernsCloneOff,
    /// kernel.apparmor_restrict_unprivileged_userns is 1.
    AppArmorUserns,
    /// AppArmor, SELinux or another security module.
    SecurityModule {
        /// What it calls this process, if it does.
        label: Option<String>,
    },
    /// A limit of this user namespace is 0.
    Limit {
        /// The file in /proc/sys/user.
        file: String,
    },
    /// A limit is reached, of this user namespace or of one around it; or there are 32 levels of them already.
    OuterLimit {
        /// The file in /proc/sys/user of the limit that this user namespace has.
        file: String,
    },
    /// The kernel is made without something.
    KernelLacks {
        /// What.
        what: String,
    },
    /// The kernel is older than what it is asked for.
    OldKernel {
        /// The version that has it.
        since: String,
    },
    /// WSL 1 has no Linux kernel.
    Wsl1,
    /// The limit of processes.
    Processes {
        /// RLIMIT_NPROC, if that is it; otherwise the control group's.
        limit: Option<u64>,
    },
    /// The limit of open files.
    OpenFiles {
        /// RLIMIT_NOFILE.
        limit: Option<u64>,
    },
    /// The limit of keys and keyrings.
    Keys,
    /// No proc file system is at /proc.
    NoProc,
    /// /proc is that of another PID namespace.
    ForeignProc,
    /// /proc is mounted read-only.
    ReadOnlyProc,
    /// Parts of /proc or /sys are hidden by other mounts.
    Hidden {
        /// Where those lie.
        mounts: Vec<String>,
    },
    /// A Landlock domain, in which no mount may be changed.
    Landlock,
    /// Landlock is there but switched off.
    LandlockOff,
    /// The root is that of the initial RAM file system, which pivot_root does not take.
    Initramfs,
    /// A device is not there.
    NoDevice {
        /// Its path.
        path: &'static str,
    },
    /// A device may not be opened.
    ClosedDevice {
        /// Its path.
        path: &'static str,
    },
    /// A directory that an overlay cannot write to.
    NotForOverlays {
        /// Which.
        path: String,
    },
    /// The control group is not this user's.
    NoDelegation {
        /// What is in the way.
        #[serde(rename = "reason")]
        cgroups: Cgroups,
    },
    /// It cannot be told.
    Unknown,
}

/// Finds the cause of `answer` to `gate`.
pub fn cause(gate: Gate, answer: Answer, place: &Place) -> Cause {
    let errno = match answer {
        Answer::Killed(libc::SIGSYS) => return Cause::FilterKills,
        Answer::Absent if gate == Gate::Cgroups => return delegation(place),
        Answer::Works | Answer::Killed(_) | Answer::Absent => return Cause::Unknown,
        Answer::Refused(errno) => errno,
    };
    match errno {
        libc::EMFILE => Cause::OpenFiles {
            limit: place.open_files,
        },
        libc::EAGAIN => processes(place),
        libc::ENOSPC => limit(gate, place),
        libc::ENOSYS => not_there(gate, place),
        _ if gate == Gate::IdMaps && place.proc == ProcState::Foreign => Cause::ForeignProc,
        libc::EACCES if !matches!(gate, Gate::Tun | Gate::Pty) => access(gate, place),
        libc::EDQUOT if gate == Gate::Keyring => Cause::Keys,
        libc::EAFNOSUPPORT if place.seccomp == Some(2) => Cause::Filter,
        _ => match gate {
            Gate::User => user(errno, place),
            Gate::IdMaps => id_maps(errno, place),
            Gate::Proc | Gate::Sysfs => kernel_view(gate, errno, place),
            Gate::Tun => device("/dev/net/tun", errno, place),
            Gate::Pty => device("/dev/ptmx", errno, place),
            Gate::Landlock if errno == libc::EOPNOTSUPP => Cause::LandlockOff,
            Gate::PivotRoot if errno == libc::EINVAL && place.root_kind == "rootfs" => {
                Cause::Initramfs
            }
            _ => other(gate, errno, place),
        },
    }
}

/// Why no user namespace can be made: EPERM and EINVAL have several causes in the kernel, and each has a mark.
fn user(errno: i32, place: &Place) -> Cause {
    match errno {
        libc::EPERM if is_chroot(place) => Cause::Chroot,
        libc::EPERM if place.has_own_id() == Some(false) => Cause::UnmappedId { uid: place.uid },
        libc::EPERM if place.has_own_group() == Some(false) => {
            Cause::UnmappedGroup { gid: place.gid }
        }
        libc::EPERM if place.userns_clone == Some(0) => Cause::UsernsCloneOff,
        // None of the kernel's own reasons is left but that of a filter, which may look at the flags.
        libc::EPERM if is_filtered(place.unshare_nothing) || place.seccomp == Some(2) => {
            Cause::Filter
        }
        libc::EINVAL if place.container == Some(Container::Wsl1) => Cause::Wsl1,
        libc::EINVAL if place.has_user_namespaces == Some(false) => lacks(Gate::User),
        _ => Cause::Unknown,
    }
}

/// Whether the root of this process is another than that of its mount namespace. Where it is a mount point itself, only the
/// number of mounts above it tells: there is one at most, on which the namespace's root was mounted, and in a chroot there
/// are those of the whole machine, at least /, /proc and /dev.
fn is_chroot(place: &Place) -> bool {
    place.root_is_mount == Some(false) || place.unreachable_mounts.is_some_and(|above| above > 2)
}

/// capabilities(7).
const CAP_SETFCAP: u32 = 31;

fn id_maps(errno: i32, place: &Place) -> Cause {
    match errno {
        libc::ENOENT if place.proc == ProcState::Missing => Cause::NoProc,
        libc::EROFS => Cause::ReadOnlyProc,
        libc::EPERM if place.apparmor_userns == Some(1) && place.uid != 0 => Cause::AppArmorUserns,
        // Since Linux 5.12 (user_namespaces(7)): who is 0 in both could give a file capabilities that count outside.
        libc::EPERM if place.uid == 0 && place.has_capability(CAP_SETFCAP) == Some(false) => {
            Cause::RootWithoutSetfcap
        }
        _ => Cause::Unknown,
    }
}

/// /proc and /sys: the kernel mounts a new one only for those who see the whole of one (`mount_too_revealing`).
fn kernel_view(gate: Gate, errno: i32, place: &Place) -> Cause {
    let mounts = match gate {
        Gate::Proc => &place.hidden_proc,
        _ => &place.hidden_sys,
    };
    match errno {
        libc::EPERM if is_filtered(place.mount_nothing) => Cause::Filter,
        libc::EPERM if !mounts.is_empty() => Cause::Hidden {
            mounts: mounts.clone(),
        },
        libc::EPERM if gate == Gate::Proc && place.proc == ProcState::Missing => Cause::NoProc,
        libc::EPERM if gate == Gate::Proc && place.proc == ProcState::ReadOnly => {
            Cause::ReadOnlyProc
        }
        _ => other(gate, errno, place),
    }
}

/// What is asked for in the new user namespace, where every capability is there.
fn other(gate: Gate, errno: i32, place: &Place) -> Cause {
    match errno {
        libc::EPERM if place.apparmor_userns == Some(1) && place.uid != 0 => Cause::AppArmorUserns,
        libc::EPERM if is_mount(gate) => match place.mount_nothing {
            answer if is_filtered(answer) => Cause::Filter,
            // The mount call gets through to the kernel, which has no other reason to refuse it to who may do all.
            Some(Answer::Works) => Cause::Landlock,
            _ => Cause::Unknown,
        },
        libc::EPERM if gate == Gate::Overlay => not_there(gate, place),
        libc::EPERM if place.seccomp == Some(2) => Cause::Filter,
        libc::EINVAL | libc::ENODEV if gate.namespace().is_some() || is_file_system(gate) => {
            lacks(gate)
        }
        libc::EINVAL if gate == Gate::Seccomp => lacks(gate),
        _ => Cause::Unknown,
    }
}

/// What Landlock refuses in any domain: everything that changes the mounts.
fn is_mount(gate: Gate) -> bool {
    matches!(gate, Gate::PrivateMounts | Gate::Bind | Gate::Tmpfs)
}

fn is_file_system(gate: Gate) -> bool {
    matches!(
        gate,
        Gate::Tmpfs | Gate::Overlay | Gate::Devpts | Gate::Mqueue | Gate::Proc | Gate::Sysfs
    )
}

/// Whether the answer to a call that asks for nothing is somebody else's than the kernel's.
fn is_filtered(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Refused(_) | Answer::Killed(_)))
}

fn lacks(gate: Gate) -> Cause {
    Cause::KernelLacks {
        what: format!("{}s", gate.name().trim_end_matches('s')),
    }
}

fn processes(place: &Place) -> Cause {
    // Nobody has so few unless it was set; a group's limit (pids.max) is the other that answers so.
    Cause::Processes {
        limit: place.processes.filter(|&limit| limit < 4096),
    }
}

fn limit(gate: Gate, place: &Place) -> Cause {
    let kinds: Vec<&str> = match gate.namespace() {
        // A process that is made is in a new user namespace and in a new PID namespace at once.
        Some("user") => vec!["user", "pid"],
        Some(kind) => vec![kind],
        None if gate == Gate::Together => {
            place.limits.iter().map(|(kind, _)| kind.as_str()).collect()
        }
        None => return Cause::Unknown,
    };
    let file = |kind: &str| format!("/proc/sys/user/max_{kind}_namespaces");
    match kinds.iter().find(|kind| place.limit(kind) == Some(0)) {
        Some(kind) => Cause::Limit { file: file(kind) },
        None => Cause::OuterLimit {
            file: file(kinds.first().unwrap_or(&"user")),
        },
    }
}

/// ENOSYS: a kernel that is too old has no such call; one that is not has it, so that a filter answers for it.
fn not_there(gate: Gate, place: &Place) -> Cause {
    match old_kernel(gate, place) {
        Cause::Unknown if place.seccomp == Some(2) => Cause::Filter,
        cause => cause,
    }
}

fn old_kernel(gate: Gate, place: &Place) -> Cause {
    match gate.since() {
        Some(since) if place.is_at_least(since) == Some(false) => Cause::OldKernel {
            since: format!("{}.{}", since.0, since.1),
        },
        _ => Cause::Unknown,
    }
}

/// EACCES: a security module's word, and that of a filter which was told to say so.
fn access(gate: Gate, place: &Place) -> Cause {
    let is_filtered = match gate {
        Gate::User => is_filtered(place.unshare_nothing),
        gate if is_mount(gate) || is_file_system(gate) || gate == Gate::PivotRoot => {
            is_filtered(place.mount_nothing)
        }
        // Whether these calls are there is asked with nothing that anybody could mind.
        Gate::OpenTree | Gate::OpenAt2 | Gate::Clone3 | Gate::CloseRange | Gate::Pidfd => {
            place.seccomp == Some(2)
        }
        _ => false,
    };
    match is_filtered {
        true => Cause::Filter,
        false => security_module(place),
    }
}

fn security_module(place: &Place) -> Cause {
    match place.apparmor_userns {
        Some(1) if place.uid != 0 => Cause::AppArmorUserns,
        _ => Cause::SecurityModule {
            label: place.label.clone(),
        },
    }
}

fn device(path: &'static str, errno: i32, place: &Place) -> Cause {
    match errno {
        libc::ENOENT | libc::ENXIO | libc::ENODEV => Cause::NoDevice { path },
        libc::EACCES => Cause::ClosedDevice { path },
        libc::EPERM if place.seccomp == Some(2) => Cause::Filter,
        _ => Cause::Unknown,
    }
}

fn delegation(place: &Place) -> Cause {
    match place.cgroups.refusal(&[]) {
        Some(cgroups) => Cause::NoDelegation { cgroups },
        None => Cause::Unknown,
    }
}

impl Cause {
    /// Why, in one sentence without its end.
    pub fn why(&self) -> String {
        match self {
            Cause::Filter => {
                "a system call filter (seccomp) refuses it, not the kernel itself".to_string()
            }
            Cause::FilterKills => {
                "a system call filter (seccomp) ends every process that asks for it (SIGSYS)"
                    .to_string()
            }
            Cause::Chroot => {
                "this is in a chroot, where the kernel makes no user namespaces".to_string()
            }
            Cause::UnmappedId { uid } => format!(
                "user id {uid} has no id outside this user namespace: /proc/self/uid_map does not name it"
            ),
            Cause::UnmappedGroup { gid } => format!(
                "group id {gid} has no id outside this user namespace: /proc/self/gid_map does not name it"
            ),
            Cause::RootWithoutSetfcap => {
                "root may map its user id, 0, only with CAP_SETFCAP, which it has not here".to_string()
            }
            Cause::UsernsCloneOff => "kernel.unprivileged_userns_clone is 0".to_string(),
            Cause::AppArmorUserns => {
                "kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu 24.04): a user namespace can be made, but \
                 nothing done in it"
                    .to_string()
            }
            Cause::SecurityModule { label } => match label {
                Some(label) => format!("a security module refuses it; it calls this process {label:?}"),
                None => "a security module (AppArmor, SELinux) refuses it".to_string(),
            },
            Cause::Limit { file } => format!("{file} is 0"),
            Cause::OuterLimit { file } => format!(
                "a limit of namespaces is reached, not one of the disk: {file} here, the same outside, or 32 levels of \
                 nesting"
            ),
            Cause::KernelLacks { what } => format!("this kernel is made without {what}"),
            Cause::OldKernel { since } => format!("it needs Linux {since}"),
            Cause::Wsl1 => "WSL 1 is no Linux kernel and has no namespaces".to_string(),
            Cause::Processes { limit: Some(limit) } => {
                format!("the limit of processes is reached: `ulimit -u` is {limit}")
            }
            Cause::Processes { limit: None } => {
                "the limit of processes is reached, the user's (`ulimit -u`) or the control group's (pids.max)"
                    .to_string()
            }
            Cause::OpenFiles { limit: Some(limit) } => {
                format!("the limit of open files is reached: `ulimit -n` is {limit}")
            }
            Cause::OpenFiles { limit: None } => "the limit of open files is reached".to_string(),
            Cause::Keys => {
                "the user's limit of keys is reached: /proc/sys/kernel/keys/maxkeys".to_string()
            }
            Cause::NoProc => "there is no /proc here".to_string(),
            Cause::ForeignProc => {
                "/proc is that of another PID namespace, where this process has another id".to_string()
            }
            Cause::ReadOnlyProc => "/proc is read-only here".to_string(),
            Cause::Hidden { mounts } => format!(
                "parts are hidden here ({}), and the kernel mounts a new one only for those who see the whole",
                listed(mounts)
            ),
            Cause::Landlock => {
                "this is in a Landlock sandbox, where no mount may be changed".to_string()
            }
            Cause::LandlockOff => "the kernel has it, but it was not switched on at boot".to_string(),
            Cause::Initramfs => {
                "the root is the initial RAM file system, which cannot be exchanged".to_string()
            }
            Cause::NoDevice { path } => format!("there is no {path}"),
            Cause::ClosedDevice { path } => format!("{path} may not be opened by you"),
            Cause::NotForOverlays { path } => {
                format!("{path} is on an overlay itself, and the kernel writes no overlay to another")
            }
            Cause::NoDelegation { cgroups } => cgroups.why(),
            Cause::Unknown => "the cause cannot be told".to_string(),
        }
    }
}

/// The first three.
fn listed(mounts: &[String]) -> String {
    let shown = mounts.iter().take(3).map(String::as_str);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if mounts.len() > 3 {
        text += &format!(" and {} more", mounts.len() - 3);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A machine that refuses nothing.
    pub fn open_place() -> Place {
        Place {
            kernel: "6.18.1-test".into(),
            uid: 1000,
            uid_map: Some("0 0 4294967295\n".into()),
            gid: 1000,
            gid_map: Some("0 0 4294967295\n".into()),
            capabilities: Some(0),
            unreachable_mounts: Some(1),
            proc: ProcState::Writable,
            root_is_mount: Some(true),
            root_kind: "ext4".into(),
            hidden_proc: Vec::new(),
            hidden_sys: Vec::new(),
            seccomp: Some(0),
            unshare_nothing: Some(Answer::Works),
            mount_nothing: Some(Answer::Works),
            has_user_namespaces: Some(true),
            limits: vec![("user".into(), 1000), ("net".into(), 1000)],
            userns_clone: None,
            apparmor_userns: None,
            label: None,
            container: None,
            ci: None,
            processes: None,
            open_files: Some(1024),
            no_exec: Vec::new(),
            overlay_home: None,
            cgroups: Cgroups::NotMounted,
            program: PathBuf::from("/usr/bin/rootlet"),
        }
    }

    fn refused(gate: Gate, errno: i32, place: Place) -> Cause {
        cause(gate, Answer::Refused(errno), &place)
    }

    #[test]
    fn a_user_namespace_that_is_refused_has_one_cause_for_each_mark() {
        let open = open_place;
        let filtered = Some(Answer::Refused(libc::EPERM));
        let cases = [
            (
                Place {
                    root_is_mount: Some(false),
                    ..open()
                },
                Cause::Chroot,
            ),
            (
                Place {
                    uid: 65534,
                    uid_map: Some(String::new()),
                    ..open()
                },
                Cause::UnmappedId { uid: 65534 },
            ),
            (
                Place {
                    unreachable_mounts: Some(20),
                    ..open()
                },
                Cause::Chroot,
            ),
            (
                Place {
                    gid: 65534,
                    gid_map: Some(String::new()),
                    ..open()
                },
                Cause::UnmappedGroup { gid: 65534 },
            ),
            (
                Place {
                    userns_clone: Some(0),
                    ..open()
                },
                Cause::UsernsCloneOff,
            ),
            (
                Place {
                    unshare_nothing: filtered,
                    seccomp: Some(2),
                    ..open()
                },
                Cause::Filter,
            ),
            (
                Place {
                    seccomp: Some(2),
                    ..open()
                },
                Cause::Filter,
            ),
            (open(), Cause::Unknown),
        ];
        for (place, expected) in cases {
            assert_eq!(refused(Gate::User, libc::EPERM, place), expected);
        }
    }

    #[test]
    fn mounts_that_are_refused_are_a_filters_or_landlocks() {
        let filtered = Place {
            mount_nothing: Some(Answer::Refused(libc::EPERM)),
            seccomp: Some(2),
            ..open_place()
        };
        for gate in [Gate::PrivateMounts, Gate::Bind, Gate::Tmpfs] {
            assert_eq!(refused(gate, libc::EPERM, filtered.clone()), Cause::Filter);
            assert_eq!(refused(gate, libc::EPERM, open_place()), Cause::Landlock);
            // A filter is there, but lets the call through.
            let other = Place {
                seccomp: Some(2),
                ..open_place()
            };
            assert_eq!(refused(gate, libc::EPERM, other), Cause::Landlock);
        }
    }

    #[test]
    fn a_limit_that_is_none_of_ours_is_an_outer_one() {
        let none = Place {
            limits: vec![("net".into(), 0)],
            ..open_place()
        };
        let file = "/proc/sys/user/max_net_namespaces".to_string();
        assert_eq!(
            refused(Gate::Net, libc::ENOSPC, none),
            Cause::Limit { file: file.clone() }
        );
        assert_eq!(
            refused(Gate::Net, libc::ENOSPC, open_place()),
            Cause::OuterLimit { file }
        );
        assert_eq!(
            refused(Gate::Tmpfs, libc::ENOSPC, open_place()),
            Cause::Unknown
        );
    }

    #[test]
    fn a_call_that_is_not_there_is_the_kernels_age_or_a_filter() {
        let old = Place {
            kernel: "5.2.0".into(),
            ..open_place()
        };
        assert_eq!(
            refused(Gate::Clone3, libc::ENOSYS, old),
            Cause::OldKernel {
                since: "5.3".into()
            }
        );
        let filter = Place {
            seccomp: Some(2),
            ..open_place()
        };
        assert_eq!(refused(Gate::Clone3, libc::ENOSYS, filter), Cause::Filter);
        assert_eq!(
            refused(Gate::Clone3, libc::ENOSYS, open_place()),
            Cause::Unknown
        );
    }

    #[test]
    fn a_proc_that_is_refused_is_hidden_missing_or_read_only() {
        let hidden = Place {
            hidden_proc: vec!["/proc/acpi".into()],
            ..open_place()
        };
        let mounts = vec!["/proc/acpi".to_string()];
        assert_eq!(
            refused(Gate::Proc, libc::EPERM, hidden),
            Cause::Hidden { mounts }
        );
        let missing = Place {
            proc: ProcState::Missing,
            ..open_place()
        };
        assert_eq!(refused(Gate::Proc, libc::EPERM, missing), Cause::NoProc);
        let read_only = Place {
            proc: ProcState::ReadOnly,
            ..open_place()
        };
        assert_eq!(
            refused(Gate::Proc, libc::EPERM, read_only),
            Cause::ReadOnlyProc
        );
    }

    #[test]
    fn apparmor_is_named_where_it_restricts_user_namespaces() {
        let ubuntu = Place {
            apparmor_userns: Some(1),
            ..open_place()
        };
        for (gate, errno) in [
            (Gate::IdMaps, libc::EPERM),
            (Gate::IdMaps, libc::EACCES),
            (Gate::Mount, libc::EPERM),
            (Gate::PrivateMounts, libc::EACCES),
        ] {
            assert_eq!(
                refused(gate, errno, ubuntu.clone()),
                Cause::AppArmorUserns,
                "{gate:?}"
            );
        }
        let label = Some("docker-default (enforce)".to_string());
        let docker = Place {
            label: label.clone(),
            ..open_place()
        };
        assert_eq!(
            refused(Gate::PrivateMounts, libc::EACCES, docker),
            Cause::SecurityModule { label }
        );
    }

    #[test]
    fn a_filter_that_answers_as_a_security_module_would_is_told_from_one() {
        let filtered = Place {
            seccomp: Some(2),
            mount_nothing: Some(Answer::Refused(libc::EACCES)),
            ..open_place()
        };
        for gate in [Gate::PrivateMounts, Gate::Tmpfs, Gate::OpenTree] {
            assert_eq!(refused(gate, libc::EACCES, filtered.clone()), Cause::Filter);
        }
        let other = Place {
            seccomp: Some(2),
            ..open_place()
        };
        assert_eq!(
            refused(Gate::PrivateMounts, libc::EACCES, other),
            Cause::SecurityModule { label: None }
        );
    }

    #[test]
    fn id_maps_are_refused_in_anothers_proc_and_to_root_without_setfcap() {
        let foreign = Place {
            proc: ProcState::Foreign,
            ..open_place()
        };
        for errno in [libc::EACCES, libc::ENOENT, libc::EPERM] {
            assert_eq!(
                refused(Gate::IdMaps, errno, foreign.clone()),
                Cause::ForeignProc
            );
        }
        let root = |capabilities| Place {
            uid: 0,
            capabilities,
            ..open_place()
        };
        for (capabilities, cause) in [
            (Some(0), Cause::RootWithoutSetfcap),
            (Some(1 << CAP_SETFCAP), Cause::Unknown),
            (None, Cause::Unknown),
        ] {
            assert_eq!(
                refused(Gate::IdMaps, libc::EPERM, root(capabilities)),
                cause
            );
        }
    }

    #[test]
    fn a_process_that_a_filter_ends_says_so() {
        let killed = Answer::Killed(libc::SIGSYS);
        for gate in Gate::all() {
            assert_eq!(cause(gate, killed, &open_place()), Cause::FilterKills);
        }
    }

    #[test]
    fn limits_of_processes_and_files_name_their_number() {
        let few = Place {
            processes: Some(20),
            open_files: Some(8),
            ..open_place()
        };
        assert_eq!(
            refused(Gate::User, libc::EAGAIN, few.clone()),
            Cause::Processes { limit: Some(20) }
        );
        assert_eq!(
            refused(Gate::User, libc::EMFILE, few),
            Cause::OpenFiles { limit: Some(8) }
        );
        assert_eq!(
            refused(Gate::Keyring, libc::EDQUOT, open_place()),
            Cause::Keys
        );
        assert_eq!(
            refused(Gate::User, libc::EAGAIN, open_place()),
            Cause::Processes { limit: None }
        );
    }
}
