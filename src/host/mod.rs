//! FACTS: read-only questions to this machine and about the caller, asked once, before anything is decided.
#![forbid(unsafe_code)]

pub mod cause;
pub mod cgroup;
pub mod gate;
pub mod look;
pub mod mountinfo;
pub mod place;
pub mod remedy;
mod source;
pub mod tree;
pub mod unanswered;

pub use source::{GUARDED, Guard, Source, descriptor_of};

use crate::error::{Errno, Error, Result};
use crate::seccomp::{self, Instruction};
use crate::spec::{Landlock, Root, Seccomp, Spec, User};
use crate::sys;
use cgroup::Cgroups;
use rustix::fd::BorrowedFd;
use rustix::thread::CapabilitySet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tree::Tree;

/// What [`crate::plan`] needs to know. Plain data, so that a plan can be made for any host, on any host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The caller's user id.
    pub uid: u32,
    /// The caller's group id.
    pub gid: u32,
    /// Whether the caller may map any user ids (CAP_SETUID in its user namespace).
    pub may_map_users: bool,
    /// Whether the caller may map any group ids (CAP_SETGID in its user namespace).
    pub may_map_groups: bool,
    /// Whether the kernel started this program with privileges that its caller does not have.
    pub privileged_start: bool,
    /// The caller's working directory; none when it has been removed or cannot be reached.
    pub cwd: Option<PathBuf>,
    /// The caller's environment.
    pub env: Vec<(OsString, OsString)>,
    /// Whether standard input, output and error are terminals.
    pub terminals: [bool; 3],
    /// Whether standard output and error are the same file.
    pub one_output: bool,
    /// Whether the caller's session has a terminal, which sends signals to process groups.
    pub controlling_terminal: bool,
    /// Whether nobody is there to whom standard input, output and error belong, so that pipes stand for all of them.
    pub detached: bool,
    /// How many files may be open: the soft limit.
    pub open_files: u64,
    /// How many files may be open: the hard limit.
    pub most_open_files: u64,
    /// Whether the caller ignores SIGCHLD.
    pub ignores_sigchld: bool,
    /// Whether the calling thread is the process's first, so that its end is the end of the process.
    pub main_thread: bool,
    /// Those of [`Spec::pass_fds`] that are not open.
    pub closed_fds: Vec<i32>,
    /// What each of [`Spec::mounts`] has on the host.
    pub sources: Vec<Source>,
    /// The filter that the file of [`Spec::seccomp`] makes.
    pub filter: Option<Vec<Instruction>>,
    /// The filters that the descriptors of [`Spec::seccomp`] have.
    pub programs: Vec<Vec<Instruction>>,
    /// Those parts of /proc that are there and are to be closed.
    pub guarded: Vec<(&'static str, Guard)>,
    /// Files of /etc that are links, and where they lead; asked for when a view may cover that.
    pub linked_files: Vec<(PathBuf, PathBuf)>,
    /// Destinations of [`Spec::mounts`] that have `..` in them, and what they name.
    pub destinations: Vec<(PathBuf, PathBuf)>,
    /// Whether the directory that is to be the root has a place for /sys.
    pub has_sys: bool,
    /// The version of Landlock that the kernel has, where that matters: where it is asked for, and where there are to be no
    /// namespaces.
    pub landlock: Option<u32>,
    /// The host's files, likewise.
    pub tree: Tree,
    /// Whether a control group can be had; asked when [`Spec::limits`] need one.
    pub cgroups: Option<Cgroups>,
    /// Whether limits of a control group can be kept from those in it: see [`cgroup::limits_hold`]; asked with `cgroups`.
    pub limits_hold: bool,
    /// The hard limits of what [`Spec::ulimits`] limit, by the kernel's number.
    pub hard_limits: Vec<(u8, u64)>,
}

impl Facts {
    /// Asks what `spec` makes it necessary to know.
    ///
    /// # Errors
    /// When the kernel does not answer a question that it always answers.
    pub fn gather(spec: &Spec) -> Result<Self> {
        let [open_files, most_open_files] = sys::open_files()
            .map_err(|errno| Error::setup("ask how many files may be open, prlimit64", errno))?;
        let capabilities = rustix::thread::capabilities(None)
            .map(|sets| sets.effective)
            .unwrap_or(CapabilitySet::empty());
        let cwd = unanswered::working_directory()?;
        Ok(Facts {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            may_map_users: capabilities.contains(CapabilitySet::SETUID),
            may_map_groups: capabilities.contains(CapabilitySet::SETGID),
            privileged_start: sys::started_with_privileges(),
            env: std::env::vars_os().collect(),
            terminals: [
                rustix::termios::isatty(rustix::stdio::stdin()),
                rustix::termios::isatty(rustix::stdio::stdout()),
                rustix::termios::isatty(rustix::stdio::stderr()),
            ],
            one_output: is_same(rustix::stdio::stdout(), rustix::stdio::stderr())?,
            controlling_terminal: has_controlling_terminal()?,
            detached: false,
            open_files,
            most_open_files,
            ignores_sigchld: sys::signal_disposition(libc::SIGCHLD)
                .is_ok_and(|handler| handler == libc::SIG_IGN),
            main_thread: rustix::thread::gettid() == rustix::process::getpid(),
            closed_fds: closed(&spec.pass_fds)?,
            sources: spec.mounts.iter().map(Source::of).collect::<Result<_>>()?,
            filter: filter(spec)?,
            programs: programs(spec)?,
            guarded: source::guarded(spec)?,
            linked_files: source::linked_files(spec)?,
            destinations: source::destinations(spec, cwd.as_deref())?,
            cwd,
            landlock: landlock(spec)?,
            tree: Tree::of(spec)?,
            has_sys: has_sys(spec)?,
            cgroups: spec.limits.are_asked_for().then(Cgroups::look),
            limits_hold: spec.limits.are_asked_for() && cgroup::limits_hold(),
            hard_limits: hard_limits(spec)?,
        })
    }
}

impl Facts {
    /// The same, for a process that has no terminal, nobody's input, and a log in the place of its output.
    pub fn detached(self) -> Self {
        Facts {
            terminals: [false; 3],
            one_output: false,
            controlling_terminal: false,
            detached: true,
            ..self
        }
    }
}

fn landlock(spec: &Spec) -> Result<Option<u32>> {
    use rustix::io::Errno;
    if spec.namespaces && spec.landlock == Landlock::None {
        return Ok(None);
    }
    match sys::probe::landlock_version() {
        Ok(version) => Ok(version.try_into().ok()),
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
        // A system call filter's answer: a second layer is done without.
        Err(Errno::PERM) if spec.namespaces => Ok(None),
        Err(errno) => Err(Error::setup(
            "ask for Landlock, which restricts files, landlock_create_ruleset",
            errno,
        )),
    }
}

/// The filter that the file of `spec` makes, if it names one.
fn filter(spec: &Spec) -> Result<Option<Vec<Instruction>>> {
    let Seccomp::File(path) = &spec.seccomp else {
        return Ok(None);
    };
    let uid = match spec.user {
        User::Root => 0,
        User::Keep => rustix::process::geteuid().as_raw(),
        User::Ids { uid, .. } => uid,
    };
    let capabilities = spec.kept_capabilities(uid).0;
    seccomp::load(path, &seccomp::Conditions::here(capabilities)).map(Some)
}

/// What the descriptors of `spec` have, if it names some: struct sock_filter of the kernel's, eight bytes each.
fn programs(spec: &Spec) -> Result<Vec<Vec<Instruction>>> {
    let Seccomp::Programs(fds) = &spec.seccomp else {
        return Ok(Vec::new());
    };
    let program = |&fd: &i32| {
        let bytes = source::read_descriptor(fd)
            .map_err(|error| Error::setup("can't read seccomp data", error))?;
        let (instructions, rest) = bytes.as_chunks::<8>();
        match rest.is_empty() {
            true => Ok(instructions.iter().map(instruction).collect()),
            false => Err(
                Error::usage("invalid seccomp data, must be multiple of 8").with_hint(format!(
                    "descriptor {fd} has {} bytes, and an instruction takes 8",
                    bytes.len()
                )),
            ),
        }
    };
    fds.iter().map(program).collect()
}

/// A struct sock_filter, as it lies in memory and in files.
fn instruction(bytes: &[u8; 8]) -> Instruction {
    let [c0, c1, jt, jf, k0, k1, k2, k3] = *bytes;
    Instruction {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    }
}

/// Whether /dev/tty, which stands for the terminal of one's session, can be opened (tty(4)). EPERM is the answer of a
/// cgroup that has no such device.
fn has_controlling_terminal() -> Result<bool> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(c"/dev/tty", flags, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => Ok(false),
        opened => Ok(unanswered::answer("open", Path::new("/dev/tty"), opened)?.is_some()),
    }
}

/// Whether both are the same file; those that are not open are none.
fn is_same(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<bool> {
    let file = |fd| match rustix::fs::fstat(fd) {
        Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
        Err(rustix::io::Errno::BADF) => Ok(None),
        Err(errno) => Err(Error::setup(
            "look at the standard descriptors, fstat",
            errno,
        )),
    };
    let (a, b) = (file(a)?, file(b)?);
    Ok(a.is_some() && a == b)
}

/// The hard limit of each resource that a limit is asked for.
fn hard_limits(spec: &Spec) -> Result<Vec<(u8, u64)>> {
    let mut limits = Vec::new();
    for limit in &spec.ulimits {
        let resource = limit.resource.number;
        let [_, hard] = sys::limits(resource)
            .map_err(|errno| Error::setup("look at the resource limits, prlimit64", errno))?;
        limits.push((resource, hard));
    }
    Ok(limits)
}

/// Those of `fds` that are not open.
fn closed(fds: &[i32]) -> Result<Vec<i32>> {
    let mut closed = Vec::new();
    for &fd in fds {
        match sys::look_at_descriptor(fd) {
            Ok(()) => {}
            Err(rustix::io::Errno::BADF) => closed.push(fd),
            Err(errno) => {
                let step = format!("look at descriptor {fd}, fcntl");
                return Err(Error::setup(step, Errno::from(errno)));
            }
        }
    }
    Ok(closed)
}

fn has_sys(spec: &Spec) -> Result<bool> {
    let Root::Directory(root) = &spec.root else {
        return Ok(false);
    };
    if spec.root.is_host() {
        return Ok(false);
    }
    let path = root.join("sys");
    let found = unanswered::answer("lstat", &path, path.symlink_metadata())?;
    Ok(found.is_some_and(|data| data.is_dir()))
}
