//! The places: what each refuses, what rootlet says, and what works all the same. docs/hosts.md shows the same table.

use crate::filter::{NAMESPACES, Rule, errno, install};
use crate::place::{
    bind, chroot, cover, deeper, landlock, limit, masked, mount, no_new_privileges, remount,
    rlimit, user, without_capabilities, without_group_id, without_user_id,
};
use crate::support::ROOTLET;
use std::io::Result;
use std::path::Path;

/// A place that refuses something.
pub struct Row {
    /// What it is.
    pub place: &'static str,
    /// Makes the calling process's surroundings this place; the directory is empty, and for that.
    pub make: fn(&Path) -> Result<()>,
    /// The environment's variables that say which place this is.
    pub variables: &'static [(&'static str, &'static str)],
    /// What starts rootlet there, if something has to: a program and its arguments.
    pub through: &'static [&'static str],
    /// Options of `rootlet run`.
    pub options: &'static [&'static str],
    /// The command; none is one that looks around.
    pub command: &'static [&'static str],
    /// The gates that are shut, and with which errno: as `rootlet doctor --json` has them, beyond what is shut on every place
    /// of this machine. What is not tried because of another is left out.
    pub shut: &'static str,
    /// The causes that doctor names.
    pub causes: &'static str,
    /// How `rootlet run` ends.
    pub run: Run,
    /// What does not work, or with less, as doctor has it; what is not named works.
    pub but: &'static str,
}

/// How `rootlet run` ends.
pub enum Run {
    /// As anywhere, and without a word.
    Works,
    /// With less; a note begins with each of these.
    Less(&'static [&'static str]),
    /// Not at all: with this status and all these words, of which the last is in the hint.
    Fails(i32, &'static [&'static str]),
    /// The kernel ends rootlet with this signal.
    Killed(i32),
}

use Run::{Fails, Killed, Less, Works};

/// A place that refuses nothing.
pub const OPEN: Row = Row {
    place: "",
    make: |_| Ok(()),
    variables: &[],
    through: &[],
    options: &[],
    command: &[],
    shut: "",
    causes: "",
    run: Works,
    but: "",
};

const EPERM: u32 = errno(libc::EPERM);
const ENOSYS: u32 = errno(libc::ENOSYS);
const EACCES: u32 = errno(libc::EACCES);
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// What Docker's, containerd's and Flatpak's own filters refuse of what rootlet asks for.
const DOCKER: [Rule; 16] = [
    (libc::SYS_clone, NAMESPACES, EPERM),
    (libc::SYS_clone3, 0, ENOSYS),
    (libc::SYS_unshare, 0, EPERM),
    (libc::SYS_setns, 0, EPERM),
    (libc::SYS_mount, 0, EPERM),
    (libc::SYS_umount2, 0, EPERM),
    (libc::SYS_pivot_root, 0, EPERM),
    (libc::SYS_mount_setattr, 0, EPERM),
    (libc::SYS_open_tree, 0, EPERM),
    (libc::SYS_move_mount, 0, EPERM),
    (libc::SYS_fsopen, 0, EPERM),
    (libc::SYS_fsmount, 0, EPERM),
    (libc::SYS_fsconfig, 0, EPERM),
    (libc::SYS_sethostname, 0, EPERM),
    (libc::SYS_setdomainname, 0, EPERM),
    (libc::SYS_keyctl, 0, EPERM),
];

/// The calls that Linux 4.18 does not have.
const NEW: [i64; 11] = [
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_openat2,
    libc::SYS_pidfd_open,
    libc::SYS_landlock_create_ruleset,
];

fn docker(_: &Path) -> Result<()> {
    masked()?;
    install(&DOCKER)
}

fn without(calls: &[i64], answer: u32) -> Result<()> {
    let rules: Vec<Rule> = calls.iter().map(|&call| (call, 0, answer)).collect();
    install(&rules)
}

fn limited(kind: &str) -> Result<()> {
    user()?;
    limit(kind, 0)
}

/// Every place.
pub const PLACES: &[Row] = &[
    Row {
        place: "Docker as it comes",
        make: docker,
        run: Fails(125, &["EPERM", "a system call filter (seccomp) refuses it"]),
        shut: "user EPERM, open-tree EPERM, clone3 ENOSYS, keyring EPERM",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "Kubernetes, seccompProfile RuntimeDefault",
        make: docker,
        variables: &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
        run: Fails(125, &["EPERM", "in Kubernetes"]),
        shut: "user EPERM, open-tree EPERM, clone3 ENOSYS, keyring EPERM",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "GitHub Actions, a `container:` job",
        make: docker,
        variables: &[("GITHUB_ACTIONS", "true")],
        run: Fails(125, &["EPERM", "on GitHub Actions"]),
        shut: "user EPERM, open-tree EPERM, clone3 ENOSYS, keyring EPERM",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "GitLab CI, docker executor",
        make: docker,
        variables: &[("GITLAB_CI", "true")],
        run: Fails(125, &["EPERM", "on GitLab"]),
        shut: "user EPERM, open-tree EPERM, clone3 ENOSYS, keyring EPERM",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "CircleCI, docker executor",
        make: docker,
        variables: &[("CIRCLECI", "true")],
        run: Fails(125, &["EPERM", "on CircleCI"]),
        shut: "user EPERM, open-tree EPERM, clone3 ENOSYS, keyring EPERM",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "Docker with --cap-add SYS_ADMIN",
        make: |_| {
            masked()?;
            without(&[libc::SYS_pivot_root, libc::SYS_keyctl], EPERM)
        },
        run: Less(&[
            "mount proc on /proc: Operation not permitted (EPERM)",
            "make a session keyring: Operation not permitted (EPERM)",
        ]),
        shut: "proc EPERM, sysfs EPERM, pivot-root EPERM, keyring EPERM",
        causes: "filter, hidden",
        but: "run --net none with less, run --no-namespaces with less, run --rootfs DIR, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "Docker with --cap-add SYS_ADMIN, a root of one's own",
        make: |_| {
            masked()?;
            without(&[libc::SYS_pivot_root, libc::SYS_keyctl], EPERM)
        },
        options: &[
            "--root", "empty", "-v", "/usr", "-v", "/bin", "-v", "/lib", "-v", "/lib64",
        ],
        run: Fails(
            125,
            &[
                "make /proc the root: ",
                "EPERM",
                "a system call filter (seccomp) refuses it",
            ],
        ),
        shut: "proc EPERM, sysfs EPERM, pivot-root EPERM, keyring EPERM",
        causes: "filter, hidden",
        but: "run --net none with less, run --no-namespaces with less, run --rootfs DIR, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "Docker with seccomp=unconfined; Kubernetes with seccompProfile Unconfined",
        make: |_| masked(),
        run: Less(&["mount proc on /proc: Operation not permitted (EPERM)"]),
        shut: "proc EPERM, sysfs EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "Docker with seccomp=unconfined, with --strict",
        make: |_| masked(),
        options: &["--strict"],
        run: Fails(125, &["EPERM", "parts are hidden here"]),
        shut: "proc EPERM, sysfs EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "Docker with seccomp and systempaths unconfined",
        make: |_| user(),
        ..OPEN
    },
    Row {
        place: "Docker with --cap-drop ALL, seccomp and systempaths unconfined",
        make: |_| {
            user()?;
            without_capabilities()
        },
        run: Fails(
            125,
            &[
                "uid_map",
                "EPERM",
                "root may map its user id, 0, only with CAP_SETFCAP",
            ],
        ),
        shut: "id-maps EPERM",
        causes: "root-without-setfcap",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "Podman in a container, not unmasked",
        make: |_| masked(),
        variables: &[("container", "podman")],
        options: &["--strict"],
        run: Fails(125, &["EPERM", "with Podman"]),
        shut: "proc EPERM, sysfs EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "LXC, Incus, Proxmox, Crostini without nesting (lxcfs over /proc)",
        make: |_| {
            user()?;
            cover(&["/mnt"])?;
            std::fs::write("/mnt/meminfo", "MemTotal: 1 kB\n")?;
            bind("/mnt/meminfo", "/proc/meminfo")
        },
        variables: &[("container", "lxc")],
        options: &["--strict"],
        run: Fails(125, &["/proc/meminfo", "with LXD, Incus or Proxmox"]),
        shut: "proc EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "LXC with nesting: a whole /proc kept elsewhere",
        make: |_| {
            user()?;
            cover(&["/mnt"])?;
            std::fs::create_dir_all("/mnt/proc")?;
            bind("/proc", "/mnt/proc")?;
            cover(&["/proc/fs"])
        },
        ..OPEN
    },
    Row {
        place: "systemd, RestrictNamespaces=yes",
        make: |_| {
            install(&[
                (libc::SYS_clone, NAMESPACES, EPERM),
                (libc::SYS_clone3, 0, ENOSYS),
                (libc::SYS_unshare, NAMESPACES, EPERM),
                (libc::SYS_setns, 0, EPERM),
            ])
        },
        run: Fails(125, &["EPERM", "a system call filter (seccomp) refuses it"]),
        shut: "user EPERM, clone3 ENOSYS",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "systemd, RestrictNamespaces=~uts (ProtectHostname=yes)",
        make: |_| {
            let uts = libc::CLONE_NEWUTS as u32;
            install(&[
                (libc::SYS_clone, uts, EPERM),
                (libc::SYS_clone3, 0, ENOSYS),
                (libc::SYS_unshare, uts, EPERM),
            ])
        },
        run: Fails(125, &["EPERM", "a system call filter (seccomp) refuses it"]),
        shut: "uts EPERM, together EPERM, clone3 ENOSYS",
        causes: "filter",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "systemd, SystemCallFilter=~@mount with SystemCallErrorNumber=EACCES",
        make: |_| {
            let calls = [
                libc::SYS_mount,
                libc::SYS_umount2,
                libc::SYS_pivot_root,
                libc::SYS_mount_setattr,
                libc::SYS_open_tree,
                libc::SYS_move_mount,
                libc::SYS_fsopen,
                libc::SYS_fsmount,
                libc::SYS_fsconfig,
            ];
            without(&calls, EACCES)
        },
        run: Fails(
            125,
            &["EACCES", "a system call filter (seccomp) refuses it"],
        ),
        shut: "private-mounts EACCES, open-tree EACCES",
        causes: "filter",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "systemd, RestrictSUIDSGID=yes",
        make: |_| without(&[libc::SYS_openat2], ENOSYS),
        shut: "open-at2 ENOSYS",
        causes: "filter",
        ..OPEN
    },
    Row {
        place: "systemd, ProtectKernelTunables=yes",
        make: |_| {
            user()?;
            remount("/proc/sys", libc::MS_RDONLY)
        },
        run: Less(&["mount proc on /proc: Operation not permitted (EPERM)"]),
        shut: "proc EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "systemd, RestrictAddressFamilies=AF_UNIX, --net none",
        make: |_| {
            // The bits that AF_INET, AF_INET6 and AF_NETLINK have, and AF_UNIX has not.
            let others = (libc::AF_INET | libc::AF_INET6 | libc::AF_NETLINK) as u32;
            install(&[(libc::SYS_socket, others, errno(libc::EAFNOSUPPORT))])
        },
        options: &["--net", "none"],
        run: Fails(
            125,
            &["EAFNOSUPPORT", "a system call filter (seccomp) refuses it"],
        ),
        shut: "loopback EAFNOSUPPORT",
        causes: "filter",
        but: "run --net none, sandbox",
        ..OPEN
    },
    Row {
        place: "a filter that ends who makes namespaces",
        make: |_| {
            install(&[
                (libc::SYS_clone, NAMESPACES, KILL),
                (libc::SYS_clone3, 0, ENOSYS),
                (libc::SYS_unshare, NAMESPACES, KILL),
            ])
        },
        run: Killed(libc::SIGSYS),
        shut: "user killed, clone3 ENOSYS",
        causes: "filter, filter-kills",
        but: "run, run --net none, run --no-namespaces with less, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a filter that ends who mounts",
        make: |_| without(&[libc::SYS_mount], KILL),
        run: Fails(
            125,
            &[
                "SIGSYS",
                "a system call filter (seccomp) ends every process that asks for it",
            ],
        ),
        shut: "private-mounts killed",
        causes: "filter-kills",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a filter that knows no call newer than Linux 4.18 (ENOSYS)",
        make: |_| without(&NEW, ENOSYS),
        run: Less(&[
            "clone3: Function not implemented (ENOSYS)",
            "close_range: Function not implemented (ENOSYS)",
        ]),
        shut: "overlay ENOSYS, mount-setattr ENOSYS, open-tree ENOSYS, open-at2 ENOSYS, clone3 ENOSYS, close-range ENOSYS, pidfd ENOSYS, landlock ENOSYS",
        causes: "filter",
        but: "run --net none with less, run --no-namespaces, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try",
        ..OPEN
    },
    Row {
        place: "a filter that knows no call newer than Linux 4.18 (EPERM)",
        make: |_| without(&NEW, EPERM),
        run: Less(&[
            "clone3: Operation not permitted (EPERM)",
            "close_range: Operation not permitted (EPERM)",
        ]),
        shut: "overlay EPERM, mount-setattr EPERM, open-tree EPERM, open-at2 EPERM, clone3 EPERM, close-range EPERM, pidfd EPERM, landlock EPERM",
        causes: "filter",
        but: "run --net none with less, run --no-namespaces, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try",
        ..OPEN
    },
    Row {
        place: "no clone3",
        make: |_| without(&[libc::SYS_clone3], ENOSYS),
        run: Less(&["clone3: Function not implemented (ENOSYS)"]),
        shut: "clone3 ENOSYS",
        causes: "filter",
        but: "run --net none with less, run --no-namespaces with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no close_range",
        make: |_| without(&[libc::SYS_close_range], ENOSYS),
        run: Less(&["close_range: Function not implemented (ENOSYS)"]),
        shut: "close-range ENOSYS",
        causes: "filter",
        but: "run --net none with less, run --no-namespaces with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no mount_setattr, --read-only",
        make: |_| without(&[libc::SYS_mount_setattr], ENOSYS),
        options: &["--read-only"],
        run: Less(&["mount_setattr: Function not implemented (ENOSYS)"]),
        shut: "mount-setattr ENOSYS",
        causes: "filter",
        but: "run --rootfs DIR with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no mount_setattr, a read-only volume, with --strict",
        make: |_| without(&[libc::SYS_mount_setattr], ENOSYS),
        options: &["--strict", "-v", "/usr:/mnt:ro"],
        run: Fails(
            125,
            &[
                "mount_setattr",
                "ENOSYS",
                "a system call filter (seccomp) refuses it",
            ],
        ),
        shut: "mount-setattr ENOSYS",
        causes: "filter",
        but: "run --rootfs DIR with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no open_tree, with a volume",
        make: |_| without(&[libc::SYS_open_tree, libc::SYS_move_mount], ENOSYS),
        options: &["-v", "/usr:/mnt"],
        run: Less(&["open_tree: Function not implemented (ENOSYS)"]),
        shut: "open-tree ENOSYS",
        causes: "filter",
        but: "run --rootfs DIR with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no pidfd_open",
        make: |_| without(&[libc::SYS_pidfd_open], ENOSYS),
        shut: "pidfd ENOSYS",
        causes: "filter",
        ..OPEN
    },
    Row {
        place: "no keyctl, with --strict",
        make: |_| without(&[libc::SYS_keyctl], EPERM),
        options: &["--strict"],
        run: Fails(
            125,
            &[
                "make a session keyring: Operation not permitted (EPERM)",
                "a system call filter (seccomp) refuses it",
            ],
        ),
        shut: "keyring EPERM",
        causes: "filter",
        but: "run --net none with less, run --no-namespaces with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "no sethostname (systemd, ProtectHostname=yes), --hostname",
        make: |_| without(&[libc::SYS_sethostname], EPERM),
        options: &["--hostname", "box"],
        run: Fails(125, &["EPERM", "a system call filter (seccomp) refuses it"]),
        shut: "hostname EPERM",
        causes: "filter",
        ..OPEN
    },
    Row {
        place: "no capset (an old filter)",
        make: |_| without(&[libc::SYS_capset], EPERM),
        run: Fails(125, &["EPERM", "a system call filter (seccomp) refuses it"]),
        shut: "capabilities EPERM",
        causes: "filter",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "no Landlock",
        make: |_| {
            let calls = [
                libc::SYS_landlock_create_ruleset,
                libc::SYS_landlock_add_rule,
                libc::SYS_landlock_restrict_self,
            ];
            without(&calls, ENOSYS)
        },
        shut: "landlock ENOSYS",
        causes: "filter",
        but: "run --no-namespaces",
        ..OPEN
    },
    Row {
        place: "a chroot",
        make: |dir| chroot(dir, "/tree"),
        run: Fails(125, &["EPERM", "this is in a chroot"]),
        shut: "user EPERM",
        causes: "chroot",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a chroot at a mount point (schroot)",
        make: |dir| chroot(dir, ""),
        run: Fails(125, &["EPERM", "this is in a chroot"]),
        shut: "user EPERM",
        causes: "chroot",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a user id that is not mapped",
        make: |_| without_user_id(),
        run: Fails(125, &["EPERM", "/proc/self/uid_map does not name it"]),
        shut: "user EPERM",
        causes: "unmapped-id",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a group id that is not mapped",
        make: |_| without_group_id(),
        run: Fails(125, &["EPERM", "/proc/self/gid_map does not name it"]),
        shut: "user EPERM",
        causes: "unmapped-group",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_user_namespaces=0 (RHEL 7, STIG)",
        make: |_| limited("user"),
        run: Fails(125, &["ENOSPC", "max_user_namespaces is 0"]),
        shut: "user ENOSPC",
        causes: "limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_pid_namespaces=0",
        make: |_| limited("pid"),
        run: Fails(125, &["ENOSPC", "max_pid_namespaces is 0"]),
        shut: "pid ENOSPC",
        causes: "limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_mnt_namespaces=0",
        make: |_| limited("mnt"),
        run: Fails(125, &["ENOSPC", "max_mnt_namespaces is 0"]),
        shut: "mount ENOSPC",
        causes: "limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_ipc_namespaces=0",
        make: |_| limited("ipc"),
        run: Fails(125, &["ENOSPC", "max_ipc_namespaces is 0"]),
        shut: "ipc ENOSPC, together ENOSPC",
        causes: "limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_uts_namespaces=0, with --optional uts",
        make: |_| limited("uts"),
        options: &["--optional", "uts"],
        run: Less(&[
            "make a new UTS namespace: No space left on device (ENOSPC); instead: keep the host's UTS namespace",
        ]),
        shut: "uts ENOSPC, together ENOSPC",
        causes: "limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "user.max_net_namespaces=0",
        make: |_| limited("net"),
        shut: "net ENOSPC, together ENOSPC",
        causes: "limit",
        but: "run --net none, sandbox",
        ..OPEN
    },
    Row {
        place: "user.max_net_namespaces=0, --net none",
        make: |_| limited("net"),
        options: &["--net", "none"],
        run: Fails(125, &["ENOSPC", "max_net_namespaces is 0"]),
        shut: "net ENOSPC, together ENOSPC",
        causes: "limit",
        but: "run --net none, sandbox",
        ..OPEN
    },
    Row {
        place: "a limit of user namespaces outside of the container",
        make: |_| {
            user()?;
            limit("user", 1)?;
            deeper()
        },
        run: Fails(
            125,
            &[
                "ENOSPC",
                "a limit of namespaces is reached, not one of the disk",
            ],
        ),
        shut: "user ENOSPC",
        causes: "outer-limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "as deep as containers can be nested",
        make: |_| {
            user()?;
            while deeper().is_ok() {}
            Ok(())
        },
        run: Fails(125, &["ENOSPC", "32 levels of nesting"]),
        shut: "user ENOSPC",
        causes: "outer-limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "inside bwrap --disable-userns",
        through: &[
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            "--unshare-user",
            "--disable-userns",
        ],
        run: Fails(125, &["ENOSPC", "a limit of namespaces is reached"]),
        shut: "user ENOSPC",
        causes: "outer-limit",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "inside bwrap",
        through: &[
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--unshare-all",
        ],
        ..OPEN
    },
    Row {
        place: "inside bwrap without --proc, where /proc is another PID namespace's",
        through: &["bwrap", "--dev-bind", "/", "/", "--unshare-all"],
        run: Less(&[
            "the container was not listed by `rootlet ps` as it should: /proc is that of another PID namespace",
        ]),
        ..OPEN
    },
    Row {
        place: "inside rootlet run",
        through: &[ROOTLET, "run", "-t", "never", "--"],
        ..OPEN
    },
    Row {
        place: "inside rootlet run --read-only, where parts of /proc are closed",
        through: &[ROOTLET, "run", "-t", "never", "--read-only", "--"],
        run: Less(&[
            "mount proc on /proc: Operation not permitted (EPERM)",
            "the container was not listed by `rootlet ps` as it should: make the directory",
        ]),
        shut: "proc EPERM",
        causes: "hidden",
        but: "run --net none with less, run --rootfs DIR with less, run -t always with less, run with less, sandbox with less, try with less",
        ..OPEN
    },
    Row {
        place: "ulimit -u 1",
        make: |_| rlimit(libc::RLIMIT_NPROC, 1),
        run: Fails(125, &["EAGAIN", "`ulimit -u` is 1"]),
        shut: "process EAGAIN",
        causes: "processes",
        but: "run, run --net none, run --no-namespaces, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "ulimit -n 6",
        make: |_| rlimit(libc::RLIMIT_NOFILE, 6),
        run: Fails(125, &["EMFILE", "`ulimit -n` is 6"]),
        shut: "process EMFILE",
        causes: "open-files",
        but: "run, run --net none, run --no-namespaces, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "ulimit -f 0",
        make: |_| rlimit(libc::RLIMIT_FSIZE, 0),
        run: Less(&[
            "the container was not listed by `rootlet ps` as it should: write details.json",
        ]),
        ..OPEN
    },
    Row {
        place: "no /proc",
        make: |_| {
            user()?;
            cover(&["/proc"])
        },
        run: Fails(125, &["ENOENT", "there is no /proc here"]),
        shut: "id-maps ENOENT",
        causes: "no-proc",
        but: "run, run --net none, run --no-namespaces, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "/proc is read-only",
        make: |_| {
            user()?;
            remount("/proc", libc::MS_RDONLY)
        },
        run: Fails(125, &["EROFS", "/proc is read-only here"]),
        shut: "id-maps EROFS",
        causes: "read-only-proc",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "/proc with hidepid=2",
        through: &[
            "unshare",
            "-Urmpf",
            "sh",
            "-c",
            r#"mount -t proc -o hidepid=2 none /proc && exec "$@""#,
            "sh",
        ],
        ..OPEN
    },
    Row {
        place: "a part of /sys is hidden, --net none and a root of one's own",
        make: |_| {
            user()?;
            cover(&["/sys/kernel"])
        },
        options: &[
            "--net", "none", "--root", "empty", "-v", "/usr", "-v", "/bin", "-v", "/lib", "-v",
            "/lib64",
        ],
        run: Less(&["mount sysfs on /sys: Operation not permitted (EPERM)"]),
        shut: "sysfs EPERM",
        causes: "hidden",
        ..OPEN
    },
    Row {
        place: "a Landlock sandbox of files",
        // LANDLOCK_ACCESS_FS_MAKE_SOCK
        make: |_| landlock(1 << 9, 0),
        run: Fails(125, &["EPERM", "this is in a Landlock sandbox"]),
        shut: "private-mounts EPERM",
        causes: "landlock",
        but: "run, run --net none, run --rootfs DIR, run -t always, sandbox, try",
        ..OPEN
    },
    Row {
        place: "a Landlock sandbox of the network",
        // LANDLOCK_ACCESS_NET_CONNECT_TCP
        make: |_| landlock(0, 1 << 1),
        ..OPEN
    },
    Row {
        place: "no_new_privs (NoNewPrivileges=yes, allowPrivilegeEscalation: false)",
        make: |_| no_new_privileges(),
        ..OPEN
    },
    Row {
        place: "a home directory mounted noexec",
        make: |_| {
            user()?;
            mount("tmpfs", "/mnt", "tmpfs", libc::MS_NOEXEC, "")?;
            std::fs::copy("/bin/true", "/mnt/true").map(drop)
        },
        variables: &[("HOME", "/mnt")],
        command: &["/mnt/true"],
        run: Fails(126, &["EACCES", "lies on a file system mounted noexec"]),
        ..OPEN
    },
    Row {
        place: "a home directory on an overlay",
        make: |dir| {
            user()?;
            let dir = dir.to_string_lossy();
            cover(&[&dir])?;
            for name in ["lower", "upper", "work"] {
                std::fs::create_dir(format!("{dir}/{name}"))?;
            }
            let options =
                format!("userxattr,lowerdir={dir}/lower,upperdir={dir}/upper,workdir={dir}/work");
            mount("overlay", "/mnt", "overlay", 0, &options)
        },
        variables: &[("HOME", "/mnt")],
        causes: "not-for-overlays",
        but: "try",
        ..OPEN
    },
    Row {
        place: "an interpreter that is not there",
        make: |_| {
            user()?;
            cover(&["/mnt"])?;
            std::fs::write("/mnt/script", "#!/nowhere/sh\n")?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions("/mnt/script", mode)
        },
        command: &["/mnt/script"],
        run: Fails(
            127,
            &["ENOENT", "the interpreter that a script's first line names"],
        ),
        ..OPEN
    },
    Row {
        place: "a program whose dynamic loader is not there",
        options: &["--root", "empty", "-v", "/bin/true:/true"],
        command: &["/true"],
        run: Fails(127, &["ENOENT", "the dynamic loader of a program"]),
        ..OPEN
    },
    Row {
        place: "a command that is in no directory of PATH",
        command: &["no-such-command"],
        run: Fails(127, &["ENOENT", "in no directory of PATH inside"]),
        ..OPEN
    },
    Row {
        place: "no /dev/ptmx, no /dev/net/tun: an empty /dev",
        make: |_| {
            user()?;
            cover(&["/dev"])
        },
        options: &["-t", "always"],
        run: Fails(125, &["ENOENT", "there is no /dev/ptmx"]),
        shut: "pty ENOENT",
        causes: "no-device",
        but: "run --rootfs DIR, run -t always, sandbox",
        ..OPEN
    },
];
