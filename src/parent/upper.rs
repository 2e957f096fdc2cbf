//! Directories that overlays write to: one container at a time, and nothing left beside them.

use super::{Observer, refused};
use crate::error::{Error, Result};
use crate::plan::{ParentStep, Plan, Upper};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, mkdirat, open, openat};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Holds the upper directories of a plan for one container.
///
/// The kernel would let a second overlay write to the same directory, with undefined results (its overlayfs
/// documentation, "Sharing and copying layers").
pub struct Held {
    /// Removed when this is dropped, and before the locks go.
    _works: Vec<Work>,
    /// Locked as long as they are open.
    _uppers: Vec<File>,
}

impl Held {
    /// Locks each of them (flock(2)), and makes the work directories that it has to have.
    ///
    /// # Errors
    /// When another container holds one, or it cannot be opened; or its work directory cannot be made.
    pub fn all_of(plan: &Plan, observer: &mut dyn Observer) -> Result<Self> {
        let uppers = plan.uppers.iter().map(hold).collect::<Result<_>>()?;
        let works = plan.uppers.iter().filter_map(|upper| upper.work.as_deref());
        let steps = plan
            .parent
            .iter()
            .filter(|step| matches!(step, ParentStep::MakeWork { .. }));
        let make = |(work, &step)| {
            let made = Work::make(work).map_err(|errno| refused(plan, step, errno))?;
            observer.parent_step(plan, step);
            Ok(made)
        };
        Ok(Held {
            _uppers: uppers,
            _works: works.zip(steps).map(make).collect::<Result<_>>()?,
        })
    }
}

fn hold(upper: &Upper) -> Result<File> {
    let shown = upper.path.display();
    let file = File::open(&upper.path)
        .map_err(|error| Error::setup(format!("open the upper directory {shown}"), error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Error::usage(format!(
            "another container writes to the upper directory {shown} now"
        ))),
        Err(errno) => Err(Error::setup(
            format!("lock the upper directory {shown}"),
            errno,
        )),
    }
}

/// A work directory that was made for a container, in a directory that is held: it is removed there, whatever has been
/// renamed meanwhile.
struct Work {
    parent: OwnedFd,
    name: OsString,
}

impl Work {
    fn make(path: &Path) -> rustix::io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = open(parent, flags, Mode::empty())?;
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(Work {
                parent,
                name: name.to_os_string(),
            }),
            Err(errno) => Err(errno),
        }
    }

    /// What the kernel has made in it, only its owner may search (mode 0). No link is followed.
    fn remove(&self) -> std::io::Result<()> {
        use std::fs::{Permissions, remove_dir_all, set_permissions};
        use std::os::unix::fs::PermissionsExt;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let work = openat(&self.parent, &self.name, flags, Mode::empty())?;
        if let Ok(inner) = openat(&work, "work", flags, Mode::empty()) {
            set_permissions(named(&inner), Permissions::from_mode(0o700))?;
        }
        remove_dir_all(named(&self.parent).join(&self.name))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            log::debug!("{} was not removed: {error}", self.name.display());
        }
    }
}

/// The path of what an open descriptor means.
fn named(fd: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}
