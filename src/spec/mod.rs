//! WHAT is asked for: plain owned data, in the order in which the user gave it.
//!
//! Every front (flags, a TOML file, code) writes a [`Spec`] and nothing else; [`crate::plan`] turns it into steps. There
//! is no input or output here, and nothing is checked that needs to know the host.
#![forbid(unsafe_code)]

mod capability;
mod descriptors;
mod filter;
mod identity;
mod kept;
mod limits;
mod manner;
mod mount;
mod mount_words;
mod rung;
mod text;
mod ulimit;

pub use capability::{Capabilities, Capability};
pub use descriptors::Descriptors;
pub use filter::Seccomp;
pub use identity::{IdRange, User};
pub use limits::{Cpus, Limits, MemorySwap, Size, WhenRefused};
pub use manner::{Keyring, Lives, Nesting, Places, Propagation, Signals};
pub use mount::{Content, Kept, Kernel, Missing, Mount, Without};
pub use rung::Rung;
pub use text::parse_duration;
pub use ulimit::{Resource, UNLIMITED, Ulimit, shown as shown_limit};

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that can be asked of a container. `Spec::default()` is what plain `rootlet run` means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// The command and its arguments; empty means the caller's shell.
    #[serde(with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<OsString>,
    /// What the command is told that it is called; none: its first word.
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    pub argv0: Option<OsString>,
    /// Whether a command that is neither a program nor a script with an interpreter of its own (ENOEXEC) is given to /bin/sh, as
    /// execvp(3) does.
    #[serde(skip_serializing_if = "is_default")]
    pub scripts: bool,
    /// Who the command is inside.
    pub user: User,
    /// Ranges of user ids, inside to outside; empty means one line that follows from [`Spec::user`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_map: Vec<IdRange>,
    /// Ranges of group ids, like [`Spec::uid_map`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_map: Vec<IdRange>,
    /// Whether there are namespaces at all. Without them the command is the caller, among the host's processes, and only
    /// what it may do with files is restricted: by Landlock and a system call filter.
    pub namespaces: bool,
    /// The network.
    pub net: Net,
    /// Whether the host's abstract unix sockets (unix(7)) can be reached, where the network is the host's.
    #[serde(skip_serializing_if = "is_default")]
    pub abstract_sockets: AbstractSockets,
    /// Namespaces that stay the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub share: Vec<Share>,
    /// The host name inside; none keeps the host's.
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    pub hostname: Option<OsString>,
    /// Seconds that are added to the boot-time clock inside; asks for a time namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boottime: Option<i64>,
    /// Seconds that are added to the monotonic clock inside; asks for a time namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotonic: Option<i64>,
    /// The root tree.
    #[serde(skip_serializing_if = "is_default")]
    pub root: Root,
    /// Whether the root tree is read-only, with every mount below it.
    pub read_only: bool,
    /// Whether what may be written is also said to Landlock.
    #[serde(skip_serializing_if = "is_default")]
    pub landlock: Landlock,
    /// What /proc is; none: fresh, with the dangerous parts of it closed unless the view is the plain one of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proc: Option<Proc>,
    /// The working directory; none keeps the caller's (with a root of its own: `/`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<PathBuf>,
    /// Where the command starts if it cannot start there: the first of these that it can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workdir_else: Vec<PathBuf>,
    /// Whether the variable PWD tells the command where it starts.
    #[serde(skip_serializing_if = "is_default")]
    pub set_pwd: bool,
    /// Whether the environment starts empty, and not as the caller's.
    pub clear_env: bool,
    /// Variables of the caller's that the command does not get.
    #[serde(with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub unset_env: Vec<OsString>,
    /// Changes to the environment: `K=V` sets, `K` takes the caller's value.
    #[serde(with = "text::list", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<OsString>,
    /// Descriptors that the command gets besides 0, 1 and 2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_fds: Vec<i32>,
    /// Descriptors of the caller's that are made use of in another way.
    #[serde(skip_serializing_if = "is_default")]
    pub descriptors: Descriptors,
    /// Whether rootlet's init is PID 1; otherwise the command itself is.
    pub init: bool,
    /// What ends with the command, and with the launcher.
    #[serde(skip_serializing_if = "is_default")]
    pub lives: Lives,
    /// What becomes of signals to the launcher.
    #[serde(skip_serializing_if = "is_default")]
    pub signals: Signals,
    /// Files inside that init holds a lock of for as long as it lives: to read, the whole file (fcntl(2), F_SETLK).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<PathBuf>,
    /// Whether whoever launches it is told of the first process before anything else happens: all its namespaces are made by
    /// the clone then, and init can be looked at from outside.
    #[serde(skip_serializing_if = "is_default")]
    pub announced: bool,
    /// Whether the command leads a session without a terminal, where it has not one of its own.
    #[serde(skip_serializing_if = "is_default")]
    pub new_session: bool,
    /// The session keyring.
    #[serde(skip_serializing_if = "is_default")]
    pub keyring: Keyring,
    /// Whether the command gets a terminal of its own.
    pub tty: Tty,
    /// What the command gets in the place of files that are the caller's standard input, output and error.
    #[serde(skip_serializing_if = "is_default")]
    pub stdio: Stdio,
    /// After this time the command is asked to end, and [`crate::parent::GRACE`] later made to.
    #[serde(with = "text::duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How much of the machine the container may have.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// Limits of each process; the last one for a resource counts. No core files are written unless it is named here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Whether a crash may leave a core file, as the caller's own limit has it, where no limit of these is one of it.
    #[serde(skip_serializing_if = "is_default")]
    pub core_files: bool,
    /// How willingly the kernel ends the container for want of memory, from -1000 to 1000; none: as the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// The nice value, from -20 to 19; none: the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// Whether the command may gain privileges by executing a set-user-id program or one with file capabilities.
    pub allow_new_privs: bool,
    /// Capabilities that the command has besides those that it has by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<Capability>,
    /// Capabilities that it has not, of those that it has by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<Capability>,
    /// Whether a user other than root has all of them that it can have, and not only those that are named.
    #[serde(skip_serializing_if = "is_default")]
    pub ambient: bool,
    /// Whether further user namespaces can be made inside.
    #[serde(skip_serializing_if = "is_default")]
    pub nesting: Nesting,
    /// Which system calls get through.
    #[serde(skip_serializing_if = "is_default")]
    pub seccomp: Seccomp,
    /// Whether a host that refuses something is an error, where rootlet would otherwise step down and say so.
    pub strict: bool,
    /// Steps down that are errors, of those that rootlet makes by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Rung>,
    /// Steps down that rootlet may make, of those that it does not make by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<Rung>,
    /// Whether whoever is allowed to unmount inside may uncover what a view hides.
    #[serde(skip_serializing_if = "is_default")]
    pub unlocked: bool,
    /// Where what views need may be made.
    #[serde(skip_serializing_if = "is_default")]
    pub places: Places,
    /// Whether mounts that are made on the host later appear inside.
    #[serde(skip_serializing_if = "is_default")]
    pub propagation: Propagation,
    /// Views, in the order in which they are laid down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            command: Vec::new(),
            argv0: None,
            scripts: false,
            user: User::Root,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            namespaces: true,
            net: Net::Host,
            abstract_sockets: AbstractSockets::Host,
            share: Vec::new(),
            hostname: None,
            boottime: None,
            monotonic: None,
            root: Root::Host,
            read_only: false,
            landlock: Landlock::None,
            proc: None,
            workdir: None,
            workdir_else: Vec::new(),
            set_pwd: false,
            clear_env: false,
            unset_env: Vec::new(),
            env: Vec::new(),
            pass_fds: Vec::new(),
            descriptors: Descriptors::default(),
            init: true,
            lives: Lives::Tied,
            signals: Signals::Passed,
            locks: Vec::new(),
            announced: false,
            new_session: false,
            keyring: Keyring::New,
            tty: Tty::Auto,
            stdio: Stdio::Inherit,
            timeout: None,
            limits: Limits::default(),
            ulimits: Vec::new(),
            core_files: false,
            oom_score_adj: None,
            nice: None,
            allow_new_privs: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            ambient: false,
            nesting: Nesting::Allowed,
            seccomp: Seccomp::Default,
            strict: false,
            require: Vec::new(),
            optional: Vec::new(),
            unlocked: false,
            places: Places::Memory,
            propagation: Propagation::Private,
            mounts: Vec::new(),
        }
    }
}

impl Spec {
    /// Whether `namespace` stays the host's.
    pub fn shares(&self, namespace: Share) -> bool {
        !self.namespaces || self.share.contains(&namespace)
    }
}

/// The tree that a container sees as `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum Root {
    /// The host's.
    #[default]
    Host,
    /// An empty one in memory, with the directories that programs expect.
    Empty,
    /// An empty one in memory, with nothing in it at all: /proc and /dev neither.
    Bare,
    /// A directory of the host.
    Directory(PathBuf),
}

impl Root {
    /// Whether it is the host's, which `/` is as well.
    pub fn is_host(&self) -> bool {
        match self {
            Root::Host => true,
            Root::Empty | Root::Bare => false,
            Root::Directory(path) => path == Path::new("/"),
        }
    }
}

impl From<PathBuf> for Root {
    /// `host`, `empty` and `bare` are the words; a directory of that name is `./host`.
    fn from(path: PathBuf) -> Self {
        match path.as_os_str().as_bytes() {
            b"host" => Root::Host,
            b"empty" => Root::Empty,
            b"bare" => Root::Bare,
            _ => Root::Directory(path),
        }
    }
}

impl From<Root> for PathBuf {
    fn from(root: Root) -> Self {
        match root {
            Root::Host => "host".into(),
            Root::Empty => "empty".into(),
            Root::Bare => "bare".into(),
            Root::Directory(path) => match Root::from(path.clone()) {
                Root::Directory(_) => path,
                _ => Path::new(".").join(path),
            },
        }
    }
}

/// What a container has at /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proc {
    /// The host's, with the host's processes.
    Host,
    /// That of the container's own processes, all of it.
    Fresh,
    /// None.
    None,
}

/// The network that a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// The host's.
    #[default]
    Host,
    /// A network namespace of its own, in which only the loopback device is, and is up.
    None,
}

/// What of the host's abstract unix sockets can be reached: they belong to the network, and have no file that could be
/// hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbstractSockets {
    /// All of them.
    #[default]
    Host,
    /// None: those only that the container has made.
    None,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A namespace that is new by default and that can stay the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// Process ids; with it /proc stays the host's too.
    Pid,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name and domain name.
    Uts,
    /// The view of the control groups.
    Cgroup,
}

/// Whether the command gets a pseudo-terminal of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tty {
    /// When standard input and standard output are terminals.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// Not at all: a terminal that the caller has is shared with the command.
    Never,
}

/// What the command has as standard input, output and error, where they are no terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// The caller's own.
    #[default]
    Inherit,
    /// Pipes, whose other ends rootlet reads and writes: a file of the caller's can then not be opened again by its
    /// descriptor, to be read, emptied or written (proc(5), /proc/pid/fd).
    Pipe,
}

/// Whether there is a second layer beneath the view of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landlock {
    /// No: mounts alone say what may be written, and can be changed by further namespaces inside.
    #[default]
    None,
    /// Where the kernel has it (Linux 6.2). Nobody inside can mount anything then, in a namespace of their own neither.
    Auto,
}
