//! What a process inside does, as data: small `Copy` values that point into the plan's arena and at its slots.
//!
//! Each step is one thing that can be refused, a few system calls at most. What each looks like to a reader (name,
//! arguments, plain words, man page) is in [`crate::plan::describe`].

use ::core::prelude::rust_2024::*;

pub use crate::sys::seccomp::Instruction;

/// Which filter of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOf {
    /// The command's: what was asked for.
    Command,
    /// The same, which init takes before it starts the command, and the command inherits: the kernel takes a filter in
    /// once, which costs it more than anything else of the confinement.
    Both,
    /// init's.
    Init,
    /// The command's as well, where there are no namespaces: what Landlock knows nothing of.
    Files {
        /// Whether it refuses to change the attributes of files.
        attributes: bool,
    },
}

impl FilterOf {
    /// Its place among the task's.
    pub const fn index(self) -> usize {
        match self {
            FilterOf::Command | FilterOf::Both => 0,
            FilterOf::Init => 1,
            FilterOf::Files { .. } => 2,
        }
    }
}

/// The exit status of a process inside that was refused a step; the launcher has been told which.
pub const FAILED: i32 = 125;

/// A string: where it starts in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text(pub u32);

/// A place for an open descriptor, known by number before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u16);

impl Slot {
    /// The read end of the life pipe: its end of file means that the launcher has gone. The first byte says that the id
    /// maps are written; each byte after that is a signal for the command.
    pub const LIFE: Slot = Slot(0);
    /// The socket to which records go.
    pub const RECORDS: Slot = Slot(1);
    /// The inner side of the command's pseudo-terminal.
    pub const TERMINAL: Slot = Slot(2);
    /// The list of init's children in /proc, when init has no PID namespace to clear up for it.
    pub const CHILDREN: Slot = Slot(3);
    /// init's descriptor for the ends of its children (signalfd).
    pub const ENDED: Slot = Slot(4);
    /// A process of the container that is joined (pidfd); then this process itself, for the tie of the command that it starts
    /// there.
    pub const JOINED: Slot = Slot(5);
    /// The first of the slots that the sources of mounts get.
    pub const SOURCES: u16 = 6;
}

/// What is taken from a mount: the bits of MS_* and of MOUNT_ATTR_*, which are the same for these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub u8);

impl Attributes {
    /// Nothing.
    pub const NONE: Attributes = Attributes(0);
    /// Writing: MS_RDONLY.
    pub const READ_ONLY: Attributes = Attributes(1);
    /// The effect of set-user-ID bits and file capabilities: MS_NOSUID.
    pub const NO_SETUID: Attributes = Attributes(2);
    /// Devices: MS_NODEV.
    pub const NO_DEVICES: Attributes = Attributes(4);

    /// Writing, or nothing.
    pub const fn read_only(read_only: bool) -> Attributes {
        Attributes(read_only as u8)
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Attributes) -> Attributes {
        Attributes(self.0 | others.0)
    }

    /// Whether writing is among them.
    pub const fn is_read_only(self) -> bool {
        self.0 & Attributes::READ_ONLY.0 != 0
    }
}

/// A step of a list, with what the user's `Try` allows in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is done.
    pub step: Step,
    /// What is done when that is refused. The launcher is told of it, and tells the user.
    pub instead: Option<Step>,
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// prctl(PR_SET_PDEATHSIG): be killed when the launcher dies; then look at the life pipe, since it may have died
    /// before. In a new PID namespace getppid() is 0 either way and says nothing. The kernel takes the signal back at
    /// every change of credentials, so this is done again after the last.
    Tie,
    /// prctl(PR_SET_PDEATHSIG, 0), for an init that must not be killed: PDEATHSIG comes when the launching *thread* ends,
    /// and an init without a PID namespace has to end the others first. From here on the life pipe alone tells.
    Untie,
    /// As [`Step::Tie`], for the command under an init that has no PID namespace to take everything down with it, or under
    /// a process outside ([`Step::HoldOneself`]).
    TieToInit,
    /// setns(2) by a process of a container (Linux 5.8): enters its namespaces, all at a time or none. From then on this
    /// process has every capability over those that belong to the container's user namespace.
    JoinNamespaces {
        /// Which: CLONE_NEW*.
        flags: i32,
    },
    /// pidfd_open(2) of this process itself: the command, which is born in another PID namespace and sees no parent there
    /// (getppid() is 0), looks by it whether this process is still alive.
    HoldOneself,
    /// close_range(2) around what is kept: nothing of the caller's that was not asked for comes along.
    CloseOthers,
    /// close(2) of what is the launcher's alone, where the caller's descriptors stay: its ends of the pipe and of the socket, above
    /// all, by whose closing its end is seen.
    CloseLaunchers,
    /// fcntl(F_SETFD, FD_CLOEXEC): a descriptor of the caller's that set-up makes use of, and the command does not get.
    CloseAtExec {
        /// Which.
        fd: i32,
    },
    /// Sets what a signal does: before init waits for children (SIGCHLD ignored would lose their status), and before the
    /// exec (SIGPIPE, which Rust's runtime ignores).
    SetSignal {
        /// The signal.
        signal: i32,
        /// Whether it is ignored, or has its default effect.
        ignore: bool,
    },
    /// Waits for the first byte on the life pipe. Until the id maps are written this process has no user id inside, and
    /// files that it made would belong to nobody.
    AwaitIdMaps,
    /// setresgid, setgroups, setresuid: become ids of the map when one's own is not among them. Capabilities are kept
    /// (PR_SET_KEEPCAPS) until the exec, since set-up goes on.
    BecomeIds {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
        /// Whether the supplementary groups are dropped; a map written without privileges forbids setgroups.
        drop_groups: bool,
    },
    /// setrlimit(RLIMIT_NOFILE) up to the hard limit, while many volumes are open at once.
    RaiseOpenFiles,
    /// Puts the soft limit back.
    RestoreOpenFiles {
        /// The caller's soft limit.
        soft: u64,
    },
    /// unshare(2) of one kind of namespace, so that a refusal names the kind.
    Unshare {
        /// One of CLONE_NEW*.
        flag: i32,
    },
    /// clone3(CLONE_VM|CLONE_FILES): a process that makes the network namespace, meanwhile, and brings its loopback device up. Where
    /// there is no clone3(2), this one makes it.
    StartNetwork,
    /// futex(2) until that process has ended, and setns(2) into what it made.
    JoinNetwork,
    /// Writes the clocks' offsets, possible only until a process is in the time namespace, and enters it
    /// (time_namespaces(7): unshare moves only children there).
    SetClocks {
        /// The lines of timens_offsets.
        offsets: Text,
    },
    /// mount(MS_REC|MS_PRIVATE) on /: no mount made here is seen outside, nor one made outside later in here.
    MakePrivate,
    /// open_tree(OPEN_TREE_CLONE, AT_RECURSIVE): a copy of the tree at `path`, not yet attached anywhere. Sources are
    /// taken before anything is laid over them. Before Linux 5.2: the path is opened, and bound when it is attached.
    OpenTree {
        /// The path outside.
        path: Text,
        /// Where the descriptor goes.
        slot: Slot,
        /// What is taken from the copy, and from every mount in it: before anybody can see it.
        attributes: Attributes,
        /// Whether nothing need be there: the slot stays empty then, and nothing is attached.
        optional: bool,
    },
    /// fsopen("overlay") and fsmount(2): directories seen as one, not yet attached anywhere (Linux 5.11, for `userxattr`:
    /// without privileges the kernel's notes cannot be trusted.* attributes).
    OpenOverlay {
        /// The directories that are read, with colons between them.
        lower: Text,
        /// The directory that is written, if there is one.
        upper: Option<Text>,
        /// The directory in which the kernel prepares its files.
        work: Option<Text>,
        /// Whether it is never synchronised (Linux 5.10).
        volatile: bool,
        /// Where the descriptor goes.
        slot: Slot,
    },
    /// fstat(2): what was taken is still what the caller's descriptor holds, by whose name it was found. ESTALE if not.
    RequireSame {
        /// What was taken.
        slot: Slot,
        /// The device that it is on, st_dev.
        device: u64,
        /// Its number there, st_ino.
        inode: u64,
    },
    /// fsopen("proc") and fsmount(2): a proc(5) that is not yet attached anywhere: a new one is only for those who see the whole
    /// of one (mount_namespaces(7)), which they do not once the old root has gone. Before Linux 5.2: nothing.
    OpenProc {
        /// Where the descriptor goes.
        slot: Slot,
    },
    /// move_mount(2) of what [`Step::OpenProc`] has made; or mount(2), where that could not be.
    AttachProc {
        /// Where the descriptor is.
        slot: Slot,
        /// Where it appears.
        target: Text,
    },
    /// umount2(MNT_DETACH) of the memory that sources were taken from: they hold it. Where something will cover it, it
    /// stays, since the kernel waits for every processor at an unmount, a third of a millisecond.
    CloseStage {
        /// Where it is.
        path: Text,
        /// Whether nothing will cover it.
        shown: bool,
    },
    /// move_mount(2): attaches what [`Step::OpenTree`] took, if there was something to take.
    Attach {
        /// Where the descriptor is.
        slot: Slot,
        /// The path inside.
        target: Text,
        /// What is taken from it. It is already, unless the kernel is older than Linux 5.12: then it is done now.
        attributes: Attributes,
    },
    /// move_mount(2) of an empty file or directory over what is at `target`; nothing, if nothing is there. Before Linux
    /// 5.2: an empty file system, or /dev/null.
    Mask {
        /// What is hidden.
        target: Text,
        /// What hides a file.
        file: Slot,
        /// What hides a directory.
        directory: Slot,
    },
    /// A part of the tree mounted on itself, read-only; nothing, if nothing is there.
    Seal {
        /// The top of the part.
        path: Text,
        /// Whether nothing is done either, where access(2) says that it cannot be written.
        if_writable: bool,
    },
    /// Requires that /proc is the kernel's, and that all of these in it are read-only or covered: whoever can rename what is
    /// at /proc in a root of his can make the steps before this one work elsewhere (CVE-2019-19921).
    RequireClosed {
        /// The first of the names in /proc; the others come after it.
        first: Text,
        /// How many they are.
        count: u16,
    },
    /// The command's terminal appears at this place too.
    AttachTerminal {
        /// A file.
        target: Text,
    },
    /// mount_setattr(2): takes something from a mount, with AT_RECURSIVE from the whole tree with no mount forgotten. Before
    /// Linux 5.12: a remount for each line of mountinfo, keeping the flags that are locked.
    SetAttributes {
        /// The top of the tree.
        path: Text,
        /// What is taken from it.
        attributes: Attributes,
        /// Whether every mount below it is meant too.
        recursive: bool,
    },
    /// chdir and pivot_root(".", "."): the new root; the old one lies beneath until [`Step::DetachOldRoot`].
    EnterRoot {
        /// A mount point.
        path: Text,
    },
    /// umount2(".", MNT_DETACH): from here on nothing of the old root has a name, so that no link and no `..` in the new
    /// one leads there. Where sources are still to be bound by their names, or the list of
    /// mounts to be read (before Linux 5.12), it is put off to the last.
    DetachOldRoot {
        /// Whether this is the last occasion.
        last: bool,
    },
    /// mount(2) of a file system that has no source.
    Mount {
        /// Such as proc.
        kind: Text,
        /// Where.
        target: Text,
        /// MS_* flags.
        flags: u32,
        /// Options of that file system.
        options: Text,
    },
    /// The host's /proc stays where it is; what sources were taken from in its place goes. Only ever what is done instead
    /// of a fresh one.
    KeepProc {
        /// Where it is.
        path: Text,
    },
    /// umask(2): what is made from here on has the permission bits that the steps say.
    ClearUmask,
    /// umask(2): the caller's.
    RestoreUmask,
    /// mkdir(2), or a file, with the directories above it that are missing; what is there already will do. Where that is in a
    /// view of the host, it is made on the host.
    MakePlace {
        /// Where.
        path: Text,
        /// Its permission bits.
        mode: u32,
        /// Those of the directories above.
        above: u32,
        /// Whether it is a file.
        file: bool,
    },
    /// chmod(2).
    Chmod {
        /// What is there.
        path: Text,
        /// Its permission bits.
        mode: u32,
    },
    /// mkdir(2); one that is there already will do.
    MakeDirectory {
        /// Where.
        path: Text,
        /// Its permission bits, whatever the umask.
        mode: u32,
    },
    /// An empty file; one that is there already will do.
    MakeFile {
        /// Where.
        path: Text,
        /// Its permission bits, whatever the umask.
        mode: u32,
    },
    /// A file with what the launcher has read for it.
    WriteFile {
        /// Where.
        path: Text,
        /// Which of the task's contents.
        content: u16,
        /// Its permission bits, whatever the umask.
        mode: u32,
        /// Whether one that is there is written over, and keeps its permission bits (creat(2)).
        replace: bool,
    },
    /// symlink(2); one that is there and holds the same will do.
    MakeSymlink {
        /// What it points to.
        to: Text,
        /// Where.
        path: Text,
    },
    /// sethostname(2).
    SetHostname {
        /// The name.
        name: Text,
    },
    /// Brings `lo` up, or makes sure that it is: a new network namespace has it down, and 127.0.0.1 cannot be reached.
    LoopbackUp,
    /// chdir(2), then getcwd(2): a directory that is not below the root would be a way out (CVE-2024-21626).
    ChangeDirectory {
        /// Where.
        path: Text,
    },
    /// The same for the first of several directories that can be, and tells the command which, by the variable PWD.
    ChangeToFirst {
        /// The first of the variables, `PWD=` and the directory; the others come after it.
        first: Text,
        /// How many they are.
        count: u16,
    },
    /// poll(2): waits until there is something to read, or the other end is closed.
    AwaitDescriptor {
        /// Which.
        fd: i32,
        /// Whether the end of the launcher, or its word to end, ends that too.
        tied: bool,
    },
    /// setsid(2): a session without a terminal.
    LeaveSession,
    /// A pseudo-terminal, in the devpts that the command will see: the outer side goes to the launcher, over the socket
    /// of the records; the inner one gets the settings and the size of the caller's terminal.
    OpenTerminal,
    /// setsid(2) and TIOCSCTTY: the session of the command's own terminal.
    LeadSession,
    /// setpgid(2), and tcsetpgrp(3) on a terminal of one's own: a group that job control can stop, since its parent is
    /// in the same session.
    LeadGroup {
        /// Whether there is such a terminal.
        foreground: bool,
    },
    /// dup3(2) of the terminal, or of a pipe, over a standard descriptor.
    StandardAs {
        /// Where it is.
        slot: Slot,
        /// 0, 1 or 2.
        fd: i32,
    },
    /// prctl(PR_SET_NAME): what ps shows.
    Rename {
        /// At most 15 bytes.
        name: Text,
    },
    /// prctl(PR_SET_DUMPABLE, 0): nobody inside can trace init or open its memory, its program or its descriptors.
    HideInit,
    /// prctl(PR_SET_CHILD_SUBREAPER): orphans come to init although it is not PID 1; and the list of its children is
    /// opened, by which it ends them.
    Subreaper,
    /// fcntl(F_SETLK): a lock of a whole file, to read, for as long as init lives.
    Lock {
        /// The file.
        path: Text,
    },
    /// clone(CLONE_VM|CLONE_VFORK): the process that becomes the command; init goes on when it has executed it, and tells
    /// the launcher.
    SpawnCommand {
        /// Whether process ids inside are others than the launcher's.
        foreign_pids: bool,
        /// Whether somebody listens to the command's filter: then that process has its descriptors in common with init,
        /// which sends the listener's to the launcher. After its filter the process itself might not be able to.
        listened: bool,
        /// Whether it has its descriptors in common with init for another reason: that of the network namespace may still have
        /// to come, from the process that makes it.
        shares_files: bool,
    },
    /// init's life: passes signals on, reaps, and ends when the command or the launcher does.
    Supervise {
        /// Whether the command is in the launcher's process group, and so gets the signals to that group itself.
        shared_group: bool,
        /// Whether init has to end what is left; otherwise the kernel does, with the PID namespace.
        sweep: bool,
        /// Whether what is left goes on, and init with it, when the command or the launcher has ended.
        lives_on: bool,
    },
    /// prlimit(2): what the command's process may have at most of something, and its descendants each.
    SetLimit {
        /// The kernel's number of RLIMIT_*.
        resource: u8,
        /// What is enforced.
        soft: u64,
        /// Up to which it may be raised inside.
        hard: u64,
    },
    /// prctl(PR_SET_NO_NEW_PRIVS).
    NoNewPrivileges,
    /// landlock_create_ruleset(2) and landlock_restrict_self(2): abstract unix sockets of others cannot be connected to
    /// (LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, Linux 6.12). It needs no_new_privs, or CAP_SYS_ADMIN.
    ScopeSockets,
    /// landlock_create_ruleset(2).
    MakeRuleset {
        /// What it refuses where no rule allows it, LANDLOCK_ACCESS_FS_*.
        files: u64,
        /// What it refuses in any case, LANDLOCK_SCOPE_*.
        scopes: u64,
        /// Where its descriptor goes.
        slot: Slot,
    },
    /// landlock_add_rule(2): what may be done at `path` and below; nothing, if nothing is there.
    Allow {
        /// Where the ruleset is.
        slot: Slot,
        /// A directory or file inside.
        path: Text,
        /// LANDLOCK_ACCESS_FS_*; of a file that which has a meaning for it.
        access: u64,
    },
    /// sendmsg(2): hands the launcher the ruleset, for commands that are executed in the container later.
    SendRuleset {
        /// Where its descriptor is.
        slot: Slot,
    },
    /// landlock_restrict_self(2): from here on the ruleset holds that the launcher has made, for this process and for all
    /// that come from it. init stays outside: what is inside can then neither trace it nor, since Linux 6.12, signal it.
    Restrict {
        /// Where the ruleset's descriptor is.
        slot: Slot,
    },
    /// seccomp(2): from here on only the system calls that a filter lets through. It needs no_new_privs, or CAP_SYS_ADMIN
    /// in the user namespace. One of the command's own is the last step before the exec, for which alone it has to leave
    /// room: nothing is reported and no name is set after it.
    Filter {
        /// Whose.
        of: FilterOf,
    },
    /// prctl(PR_SET_SECCOMP): a filter that the caller has made. Those that come before the last have to let this call
    /// through.
    Program {
        /// Which of the task's.
        number: u16,
    },
    /// The command's, with SECCOMP_FILTER_FLAG_NEW_LISTENER (Linux 5.0): the launcher answers what the filter refuses.
    ListenToFilter,
    /// Nothing: they stay in reach. Only ever what is done instead.
    KeepSockets,
    /// keyctl(KEYCTL_JOIN_SESSION_KEYRING): keys of the caller's session are out of reach. Keyrings are no part of a
    /// namespace, but one of a user's in it.
    NewKeyring,
    /// Nothing: the caller's session keyring stays. Only ever what is done instead.
    KeepKeyring,
    /// setns(2), of a descriptor of the caller's.
    JoinUserNamespace {
        /// Which.
        fd: i32,
    },
    /// Writes 1 to /proc/sys/user/max_user_namespaces, which is this user namespace's own limit (Linux 4.9): for the one in which the
    /// command will be, which has no power over this one.
    LimitUserNamespaces {
        /// A copy of the host's /proc.
        proc: Slot,
    },
    /// unshare(CLONE_NEWUSER) has to be refused, else this is, with EPERM.
    RequireNoUserNamespaces,
    /// unshare(CLONE_NEWNS) in a user namespace inside that of the container: every mount is locked in there
    /// (mount_namespaces(7)), so that CAP_SYS_ADMIN over it uncovers nothing.
    LockMounts,
    /// unshare(CLONE_NEWUSER), and its id maps.
    EnterUserNamespace {
        /// A copy of the host's /proc.
        proc: Slot,
        /// The line of uid_map, which maps the user id to itself.
        uid_map: Text,
        /// The line of gid_map.
        gid_map: Text,
    },
    /// The capabilities that the program will have: the bounding set, no inheritable ones, securebits; the exec does the
    /// rest (capabilities(7)).
    LimitCapabilities {
        /// The bounding set, bit n for capability n.
        kept: u64,
        /// Those of them that the kernel must know.
        named: u64,
        /// Those that a user other than root gets through the exec: the ambient set.
        ambient: u64,
        /// Whether user id 0 has them by being that.
        root: bool,
    },
    /// capset(2): of its capabilities init keeps that to send signals. It needs the others to report the command's start,
    /// so that the command runs for a moment before this; but init is closed to it already ([`Step::HideInit`]), and this
    /// is for whoever found another way to use init.
    LimitInit,
    /// Nothing: a namespace stays the host's. Only ever what is done instead.
    KeepNamespace {
        /// One of CLONE_NEW*.
        flag: i32,
    },
    /// Nothing: a view that need not be there has lost its place meanwhile. Only ever what is done instead.
    LeaveOut,
    /// fcntl(F_SETFD, 0): this descriptor stays open across the exec.
    PassFd {
        /// Which.
        fd: i32,
    },
    /// rt_sigprocmask(2): the caller's mask.
    RestoreSignalMask,
    /// sched_setaffinity(2): the caller's processors. Until here this process has stayed on that of who has made it.
    RunAnywhere,
    /// Asks the kernel whether a call is there; only in a trial ([`crate::plan::Plan::trial`]).
    Ask(Question),
    /// Tells the launcher that all is set up, where no init tells it that the command has been executed.
    Ready,
    /// execve(2), in each directory of PATH in turn.
    Exec,
}

/// A system call that has an older one in its place, with the same result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fallback {
    /// clone3(2): clone(2), and the caller's signal handlers are taken away one by one.
    Clone3 = 0,
    /// open_tree(2) and move_mount(2): bind mounts, of paths that are held open.
    OpenTree = 1,
    /// mount_setattr(2): a remount of each mount that mountinfo lists.
    MountSetattr = 2,
    /// close_range(2): each descriptor that /proc/self/fd lists is closed.
    CloseRange = 3,
}

impl Fallback {
    /// All of them, in the order of their numbers.
    pub const ALL: [Fallback; 4] = [
        Fallback::Clone3,
        Fallback::OpenTree,
        Fallback::MountSetattr,
        Fallback::CloseRange,
    ];
}

/// A set of [`Fallback`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks(u8);

impl Fallbacks {
    /// Whether `fallback` is one of them.
    pub fn contains(self, fallback: Fallback) -> bool {
        self.0 & (1 << fallback as u8) != 0
    }

    /// These, and `fallback`.
    #[must_use]
    pub fn with(self, fallback: Fallback) -> Fallbacks {
        Fallbacks(self.0 | (1 << fallback as u8))
    }
}

/// What a trial asks: see [`crate::sys::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether unshare(0) gets through.
    Unshare,
    /// Whether who makes a user namespace lives on.
    User,
    /// Whether mount(2) gets through.
    Mount,
    /// Whether clone3(2) is there.
    Clone3,
    /// Whether close_range(2) is there.
    CloseRange,
    /// Whether open_tree(2) is there.
    OpenTree,
    /// Whether mount_setattr(2) makes the whole tree read-only.
    MountSetattr,
    /// Whether openat2(2) is there.
    OpenAt2,
    /// Whether pidfd_open(2) is there.
    Pidfd,
    /// Whether a system call filter can be installed.
    Filter,
    /// Whether Landlock is there, and switched on.
    Landlock,
    /// Whether a tunnel device can be made.
    Tun,
}
