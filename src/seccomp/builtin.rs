//! The filters that rootlet has of its own: what each takes away, and why.
//!
//! docs/seccomp.md lists the same, and a test compares the two.

use super::arch::Arch;
use super::profile::{Action, Comparison, ENOSYS, Profile, Rule, Test};

/// A filter of rootlet's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// Takes away what a program without privileges has no business with.
    Default,
    /// And the ways to change mounts, and what else a sandbox does not need.
    Sandbox,
    /// And new namespaces, other processes' memory, and what has had many holes.
    Strict,
}

/// Some system calls of one fate.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Their names; those that an architecture has not got are left out there.
    pub calls: &'static [&'static str],
    /// What has to hold of the arguments.
    pub tests: &'static [Test],
    /// What is done then.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Builtin; 3] = [Builtin::Default, Builtin::Sandbox, Builtin::Strict];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Builtin::Default => "default",
            Builtin::Sandbox => "sandbox",
            Builtin::Strict => "strict",
        }
    }

    /// What it takes away, in the order in which it is tested.
    pub fn entries(self) -> impl Iterator<Item = &'static Entry> {
        let (sandbox, strict): (&[Entry], &[Entry]) = match self {
            Builtin::Default => (&[], &[]),
            Builtin::Sandbox => (SANDBOX, &[]),
            Builtin::Strict => (SANDBOX, STRICT),
        };
        DEFAULT.iter().chain(sandbox).chain(strict)
    }

    /// The profile for `arch`.
    pub fn profile(self, arch: Arch) -> Profile {
        let mut profile = Profile::new(arch, Action::Allow);
        if self == Builtin::Strict {
            profile.unknown = Action::Errno(ENOSYS);
        }
        for entry in self.entries() {
            let numbers = entry.calls.iter().filter_map(|name| arch.number(name));
            profile.rules.extend(numbers.map(|number| Rule {
                number,
                tests: entry.tests.to_vec(),
                action: entry.action,
            }));
        }
        profile
    }
}

/// EPERM and EAFNOSUPPORT on both architectures.
const EPERM: Action = Action::Errno(1);
const EAFNOSUPPORT: Action = Action::Errno(97);

const fn entry(
    calls: &'static [&'static str],
    tests: &'static [Test],
    action: Action,
    reason: &'static str,
) -> Entry {
    Entry {
        calls,
        tests,
        action,
        reason,
    }
}

/// The low 32 bits of an argument: all that the kernel looks at where it takes an int.
const fn int(argument: u8, value: u32) -> Test {
    Test {
        argument,
        comparison: Comparison::MaskedEqual(0xffff_ffff),
        value: value as u64,
    }
}

/// None of these bits is set.
const fn without(argument: u8, bits: u64) -> Test {
    Test {
        argument,
        comparison: Comparison::MaskedEqual(bits),
        value: 0,
    }
}

const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const AF_ALG: u32 = 38;
const AF_VSOCK: u32 = 40;

/// CLONE_NEW* that clone(2) takes: time (0x80), mount, cgroup, UTS, IPC, user, PID, network.
const NAMESPACES: u64 = 0x7e02_0080;

#[rustfmt::skip] // one entry looks like the other
static DEFAULT: &[Entry] = &[
    entry(&["keyctl"], &[int(0, KEYCTL_JOIN_SESSION_KEYRING), without(1, u64::MAX)], Action::Allow,
        "a new and empty keyring for the session, as a container inside makes"),
    entry(&["keyctl", "add_key", "request_key"], &[], EPERM,
        "keyrings belong to no namespace: the keys of the session, such as those of Kerberos or an encrypted home, would be there"),
    entry(&["bpf"], &[], EPERM,
        "loads programs into the kernel; its verifier has had many holes"),
    entry(&["perf_event_open"], &[], EPERM,
        "measures the kernel and other programs, which tells secrets, and has had many holes"),
    entry(&["userfaultfd"], &[], EPERM,
        "lets a program hold the kernel up in the middle of a copy, which makes other holes usable"),
    entry(&["io_uring_setup", "io_uring_enter", "io_uring_register"], &[], EPERM,
        "does by its queue what filters and auditing see as system calls, and has had many holes"),
    entry(&["open_by_handle_at"], &[], EPERM,
        "opens files by their number, past every mount and mask: it was the way out of early containers"),
    entry(&["ioctl"], &[int(1, TIOCSTI)], EPERM,
        "types into the terminal; what is typed runs in your shell afterwards"),
    entry(&["ioctl"], &[int(1, TIOCLINUX)], EPERM,
        "pastes into a console, to the same effect"),
    entry(&["socket"], &[int(0, AF_ALG)], EAFNOSUPPORT,
        "the kernel's ciphers, which programs have of their own; modules load by themselves, and have had many holes"),
    entry(&["socket"], &[int(0, AF_VSOCK)], EAFNOSUPPORT,
        "speaks to the hypervisor and to other virtual machines, and belongs to no network namespace"),
    entry(&["kexec_load", "kexec_file_load", "reboot"], &[], EPERM,
        "starts another kernel, or ends this one: the machine's administrator's"),
    entry(&["init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms"], &[], EPERM,
        "kernel modules: the machine's administrator's"),
    entry(&["swapon", "swapoff", "acct", "quotactl", "quotactl_fd"], &[], EPERM,
        "swap, accounting and quotas: the machine's administrator's"),
    entry(&["settimeofday", "clock_settime"], &[], EPERM,
        "the machine's clock, which belongs to no namespace"),
    entry(&["iopl", "ioperm"], &[], EPERM,
        "the machine's ports: its administrator's"),
    entry(&["nfsservctl", "lookup_dcookie", "uselib", "_sysctl", "vserver", "afs_syscall", "tuxcall", "security"], &[], Action::Errno(ENOSYS),
        "obsolete: newer kernels have not got them"),
];

#[rustfmt::skip]
static SANDBOX: &[Entry] = &[
    entry(&["mount", "umount2", "pivot_root"], &[], EPERM,
        "could undo what hides or protects files, and mounts file systems, whose code has had many holes"),
    entry(&["open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"], &[], EPERM,
        "the same by the newer calls"),
    entry(&["syslog"], &[], EPERM,
        "the kernel's log: addresses, devices, and what others do"),
    entry(&["socket"], &[int(0, AF_UNIX)], Action::Allow, "local sockets"),
    entry(&["socket"], &[int(0, AF_INET)], Action::Allow, "IPv4"),
    entry(&["socket"], &[int(0, AF_INET6)], Action::Allow, "IPv6"),
    entry(&["socket"], &[int(0, AF_NETLINK)], Action::Allow, "how a program asks for its network's addresses and routes"),
    entry(&["socket"], &[], EAFNOSUPPORT,
        "every other family: their modules load by themselves when somebody asks, few people use them, and they have had many holes"),
];

#[rustfmt::skip]
static STRICT: &[Entry] = &[
    entry(&["clone"], &[without(0, NAMESPACES)], Action::Allow, "processes and threads"),
    entry(&["clone"], &[], EPERM,
        "a process in new namespaces: with a user namespace it has every capability there, and reaches much more of the kernel"),
    entry(&["clone3"], &[], Action::Errno(ENOSYS),
        "its flags lie in memory, where no filter sees them; libraries go on with clone"),
    entry(&["unshare", "setns"], &[], EPERM,
        "other namespaces, as with clone"),
    entry(&["chroot"], &[], EPERM,
        "another root, by which programs can be led astray"),
    entry(&["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"], &[], EPERM,
        "other processes' memory and files; so no debugger and no strace"),
    entry(&["personality"], &[int(0, 0)], Action::Allow, "the usual personality"),
    entry(&["personality"], &[int(0, u32::MAX)], Action::Allow, "asks which one it is"),
    entry(&["personality"], &[], EPERM,
        "can turn protections off, such as random addresses"),
    entry(&["name_to_handle_at"], &[], EPERM,
        "numbers of files, for open_by_handle_at"),
    entry(&["fanotify_init", "fanotify_mark"], &[], EPERM,
        "watches whole file systems"),
    entry(&["mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages", "remap_file_pages", "vmsplice"], &[], EPERM,
        "memory in unusual ways, which has had many holes; programs go on without"),
    entry(&["modify_ldt"], &[], EPERM,
        "segments for 16-bit programs, which has had many holes"),
    entry(&["adjtimex", "clock_adjtime"], &[], EPERM,
        "how the machine's clock is kept"),
    entry(&["ustat", "sysfs", "vhangup"], &[], EPERM,
        "nothing that a program needs today"),
];
