//! The control group of a container: made before it, filled with its limits, and removed when it has ended.

mod bus;
mod message;
mod scope;
mod usage;

pub use usage::Usage;

use super::{Observer, clone};
use crate::child;
use crate::error::{Errno, Error, Kind, Result};
use crate::host::cgroup::{Cgroups, Own, REST, lacking};
use crate::plan::{ParentStep, Plan};
use crate::sys::{RawFd, RawPid};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::ffi::{CStr, CString, OsStr};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the names of the groups of containers begin with.
const PREFIX: &str = "rootlet-";

type Refusable<T> = std::result::Result<T, Cgroups>;

/// A control group. Dropping it ends what is in it, and removes it; if this process is killed, its keeper does.
pub struct Group {
    path: PathBuf,
    /// Its directory, locked: so another rootlet can tell it from one whose launcher and keeper were killed.
    directory: OwnedFd,
    /// None for a group that is somebody else's.
    keeper: Option<Keeper>,
}

impl Group {
    /// Makes the group that `plan` asks for, if it does, with its limits.
    ///
    /// # Errors
    /// A step that was refused, of [`Kind::Limits`]. Nothing is left then, but that this process may be in a scope of its
    /// own.
    pub fn make(plan: &Plan, observer: &mut dyn Observer) -> Result<Option<Group>> {
        let of_group = |step: &ParentStep| {
            matches!(
                step,
                ParentStep::MakeGroup { .. } | ParentStep::EnterGroup { .. }
            )
        };
        match plan.parent.iter().any(of_group) {
            true => Group::of_plan(plan, observer),
            false => Ok(None),
        }
    }

    /// A function of its own: what it needs of the stack would cost every launch seven page faults.
    #[cold]
    #[inline(never)]
    fn of_plan(plan: &Plan, observer: &mut dyn Observer) -> Result<Option<Group>> {
        let text = |text| plan.arena.show(text);
        let path = |text| Path::new(OsStr::from_bytes(plan.arena.get(text).to_bytes()));
        let mut group = None;
        for &step in &plan.parent {
            let done = match (step, &group) {
                (ParentStep::JoinScope { bus }, _) => scope::join(path(bus)),
                (ParentStep::MakeGroup { base, controllers }, _) => {
                    Group::below(base.map(path), &text(controllers)).map(|made| group = Some(made))
                }
                (ParentStep::EnterGroup { path: text }, _) => {
                    Group::there(path(text)).map(|there| group = Some(there))
                }
                (
                    ParentStep::WriteLimit {
                        file,
                        value,
                        optional,
                    },
                    Some(group),
                ) => group.limit(&text(file), &text(value), optional),
                _ => continue,
            };
            done.map_err(|refusal| refused(plan, step, &refusal))?;
            observer.parent_step(plan, step);
        }
        Ok(group)
    }

    /// The directory of a group that there may be.
    pub fn fd(group: &Option<Group>) -> Option<RawFd> {
        group.as_ref().map(|group| group.directory.as_raw_fd())
    }

    /// Puts a process into it that has not started in it.
    pub fn take_in(&self, pid: RawPid) -> Result<()> {
        write(&self.path.join("cgroup.procs"), &pid.to_string()).map_err(|error| {
            let group = self.path.display();
            let error = Error::setup(format!("put process {pid} into {group}"), error);
            match self.is_own() {
                true => error.of_kind(Kind::Limits),
                false => error.with_hint(
                    "what is executed in a container counts towards its limits, and the kernel lets nobody into its group \
                     from here: come from the session that started it",
                ),
            }
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its processes have used until now.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.path)
    }

    /// One that is there already, and stays.
    fn there(path: &Path) -> Refusable<Group> {
        let directory = open(path).map_err(|errno| refusal("open", path, errno.into()))?;
        Ok(Group {
            path: path.to_path_buf(),
            directory,
            keeper: None,
        })
    }

    /// Whether it ends with this.
    pub fn is_own(&self) -> bool {
        self.keeper.is_some()
    }

    /// A new group below `base`, or below the group of this process.
    fn below(base: Option<&Path>, controllers: &str) -> Refusable<Group> {
        let base = base.map_or_else(|| Ok(Own::find()?.path), |base| Ok(base.to_path_buf()))?;
        pass_down(&base, controllers)?;
        let name = format!("{PREFIX}{}", unique());
        let path = base.join(&name);
        let refused = |what, errno: rustix::io::Errno| refusal(what, &path, errno.into());
        let directory = open(&base).map_err(|errno| refused("open the directory of", errno))?;
        sweep(&base, &directory);
        let keeper =
            Keeper::new(directory, name).map_err(|errno| refused("make a keeper for", errno))?;
        loop {
            mkdirat(&keeper.base, &*keeper.name, Mode::from_raw_mode(0o755))
                .map_err(|errno| refused("mkdir", errno))?;
            // Another rootlet that sweeps may have been quicker than the lock.
            if let Some(directory) = hold(&keeper.base, &keeper.name) {
                return Ok(Group {
                    path,
                    directory,
                    keeper: Some(keeper),
                });
            }
        }
    }

    fn limit(&self, file: &str, value: &str, optional: bool) -> Refusable<()> {
        let file = self.path.join(file);
        match write(&file, value) {
            Err(error) if error.kind() == ErrorKind::NotFound && optional => Ok(()),
            written => written.map_err(|error| refusal("write", &file, error)),
        }
    }
}

/// Sees to it that a group ends: when it is dropped, and by a small process when this one is killed.
struct Keeper {
    base: OwnedFd,
    name: CString,
    pid: RawPid,
    life: Option<OwnedFd>,
}

impl Keeper {
    /// For the group `name` in the directory `base`, which need not be there yet.
    fn new(base: OwnedFd, name: String) -> std::result::Result<Keeper, rustix::io::Errno> {
        let name = CString::new(name).map_err(|_| rustix::io::Errno::INVAL)?;
        let (watched, life) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let pid = clone::group_keeper(base.as_raw_fd(), &name, watched.as_raw_fd())?;
        Ok(Keeper {
            base,
            name,
            pid,
            life: Some(life),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Err(errno) = child::end_group(self.base.as_fd(), &self.name) {
            log::debug!("{:?} was not removed: {}", self.name, Errno::from(errno));
        }
        drop(self.life.take());
        let options = WaitOptions::from_bits_retain(libc::__WALL as u32);
        while let Err(rustix::io::Errno::INTR) = waitpid(Pid::from_raw(self.pid), options) {}
    }
}

/// What no other launch has in its name: this process's id, which may be used again, and the time.
fn unique() -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = time.map_or(0, |time| time.as_nanos() as u64);
    format!("{}-{nanos:x}", std::process::id())
}

fn open(directory: &Path) -> std::result::Result<OwnedFd, rustix::io::Errno> {
    rustix::fs::open(directory, DIRECTORY, Mode::empty())
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Locks the group `name` in the directory `base`; none when somebody else holds it, or it is gone.
fn hold(base: &OwnedFd, name: &CStr) -> Option<OwnedFd> {
    let directory = openat(base, name, DIRECTORY, Mode::empty()).ok()?;
    flock(&directory, FlockOperation::NonBlockingLockExclusive).ok()?;
    // One that was removed meanwhile has no name any more.
    let there = rustix::fs::statat(base, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let held = rustix::fs::fstat(&directory).ok()?;
    (held.st_ino == there.st_ino).then_some(directory)
}

/// Removes the groups of containers whose launcher and keeper were killed: nobody has locked them, and nobody is in them.
fn sweep(path: &Path, base: &OwnedFd) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name().into_encoded_bytes();
        if name.starts_with(PREFIX.as_bytes())
            && let Ok(name) = CString::new(name)
            && let Some(_held) = hold(base, &name)
            && let Err(errno) = child::remove_group(base.as_fd(), &name)
        {
            log::debug!("{name:?} was left: {}", Errno::from(errno));
        }
    }
}

/// Lets groups below `base` have these controllers.
fn pass_down(base: &Path, controllers: &str) -> Refusable<()> {
    let words = |file: &str| std::fs::read_to_string(base.join(file)).unwrap_or_default();
    let (available, passed) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let wanted: Vec<&str> = controllers.split_whitespace().collect();
    if let Some(lacks) = lacking(base, &available, &wanted) {
        return Err(lacks);
    }
    // The kernel lets nobody into a group below one that has processes and passes something down, but for the root of all,
    // which alone has no type (cgroups(7), "no internal processes"). Of memory and io it says so now, of others later.
    if base.join("cgroup.type").exists() {
        empty(base)?;
    }
    let has = |list: &str, name: &str| list.split_whitespace().any(|known| known == name);
    let file = base.join("cgroup.subtree_control");
    let pass = |name: &str| match has(&passed, name) {
        true => Ok(()),
        false => write(&file, &format!("+{name}")),
    };
    for name in wanted {
        pass(name).map_err(|error| refusal(&format!("write +{name}"), &file, error))?;
    }
    // These count as well as limit.
    for name in ["memory", "pids"] {
        if let (true, Err(error)) = (has(&available, name), pass(name)) {
            log::debug!("{name} is not counted: {error}");
        }
    }
    Ok(())
}

/// Moves the processes of a group into one beside those of containers.
fn empty(base: &Path) -> Refusable<()> {
    let (rest, list) = (base.join(REST), base.join("cgroup.procs"));
    match std::fs::create_dir(&rest) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(refusal("mkdir", &rest, error));
        }
        _ => {}
    }
    // Those that are moved may have children meanwhile.
    for _ in 0..100 {
        let pids = std::fs::read_to_string(&list).map_err(|error| refusal("read", &list, error))?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids.lines() {
            if pid == "0" {
                let base = base.display();
                return Err(Cgroups::Refused(format!(
                    "{base} has processes that cannot be seen from here"
                )));
            }
            match write(&rest.join("cgroup.procs"), pid) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                    return Err(refusal(&format!("move process {pid} to"), &rest, error));
                }
                _ => {}
            }
        }
    }
    Err(Cgroups::Refused(format!(
        "processes come to {} faster than they can be moved",
        base.display()
    )))
}

/// The kernel takes a word in one write, and an existing file only.
fn write(file: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let mut file = std::fs::File::options().write(true).open(file)?;
    file.write_all(text.as_bytes())
}

fn refusal(what: &str, path: &Path, error: io::Error) -> Cgroups {
    let path = path.display();
    Cgroups::Refused(format!("{what} {path}: {}", Errno::from(error)))
}

/// The error for a step of the group's.
fn refused(plan: &Plan, step: ParentStep, refusal: &Cgroups) -> Error {
    let attempt = plan.describe_parent(step).attempt;
    Error::broken(format!("{attempt}: {}", refusal.why()))
        .of_kind(Kind::Limits)
        .with_hint(refusal.hint())
}
