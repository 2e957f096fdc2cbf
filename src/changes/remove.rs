//! Directories with all that is in them: to count it, and to remove it.

use super::descent::Descent;
use super::list::Inside;
use super::metadata::set_mode;
use super::state::{FileType, State};
use super::store::{HEAD, Store, failed};
use crate::error::Result;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Counts what is below the directory `name` of `parent`, and says whether all that can be deleted.
pub fn measure(parent: BorrowedFd<'_>, name: &CStr) -> Inside {
    let mut inside = Inside::default();
    let counted = Descent::open_in(parent, name, OFlags::RDONLY)
        .and_then(|descent| count(descent, &mut inside));
    if let Err(errno) = counted {
        let reason = match errno {
            Errno::XDEV => "another file system is mounted in it".to_string(),
            errno => crate::error::Errno::from(errno).to_string(),
        };
        inside.obstacle.get_or_insert(reason);
    }
    inside
}

fn count(mut at: Descent, inside: &mut Inside) -> rustix::io::Result<()> {
    let mut frames = vec![enter_counted(&at, inside)?];
    while let Some(names) = frames.last_mut() {
        let Some(name) = names.pop() else {
            frames.pop();
            at.leave()?;
            continue;
        };
        let state = State::from(&statat(at.current(), &name, AtFlags::SYMLINK_NOFOLLOW)?);
        inside.entries += 1;
        inside.latest = inside.latest.max(state.mtime);
        inside.latest_change = inside.latest_change.max(state.ctime);
        match state.file_type {
            FileType::Directory => {
                at.enter(&name)?;
                frames.push(enter_counted(&at, inside)?);
            }
            FileType::File => inside.bytes += state.size,
            _ => {}
        }
    }
    Ok(())
}

/// The names in a directory from which they can be deleted.
fn enter_counted(at: &Descent, inside: &mut Inside) -> rustix::io::Result<Vec<CString>> {
    let state = State::from(&fstat(at.current())?);
    inside.latest = inside.latest.max(state.mtime);
    inside.latest_change = inside.latest_change.max(state.ctime);
    let names = at.names()?;
    // An owner can make it writable.
    let own = state.uid == rustix::process::geteuid().as_raw();
    if !names.is_empty() && !own {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        accessat(at.current(), c".", access, AtFlags::EACCESS)?;
    }
    Ok(names)
}

/// Removes `name` from `parent`, and all below it when it is a directory. Makes directories writable on the way; neither
/// follows symbolic links nor goes into other file systems.
pub fn remove(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    if unlink(parent, name)? {
        return Ok(());
    }
    make_writable(parent, name)?;
    let mut at = Descent::open_in(parent, name, OFlags::RDONLY)?;
    let mut frames = vec![(name.to_owned(), at.names()?)];
    while let Some((_, names)) = frames.last_mut() {
        if let Some(name) = names.pop() {
            if unlink(at.current(), &name)? {
                continue;
            }
            make_writable(at.current(), &name)?;
            at.enter(&name)?;
            frames.push((name, at.names()?));
        } else if let Some((name, _)) = frames.pop() {
            let at_root = frames.is_empty();
            at.leave()?;
            let above = if at_root { parent } else { at.current() };
            unlinkat(above, &name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Removes a file or an empty directory; false means that there is something in it, or that one has to look.
fn unlink(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<bool> {
    let refused = match unlinkat(parent, name, AtFlags::empty()) {
        // EPERM: POSIX allows it for a directory.
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => errno,
        result => return result.map(|()| true),
    };
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTDIR) => Err(refused),
        Err(_) => Ok(false),
    }
}

/// Removes a work directory with what the kernel leaves in that of a volatile overlay: names that are known need not be looked
/// for. What does not work out, the search does.
fn remove_work(work: &Path) {
    use std::fs::{Permissions, remove_dir, remove_file, set_permissions};
    let inner = work.join("work");
    let incompatible = inner.join("incompat");
    let volatile = incompatible.join("volatile");
    // The kernel has made them so that nobody may search them.
    let made = [&inner, &incompatible, &volatile];
    let open = |path| set_permissions(path, Permissions::from_mode(0o700));
    let _ = made
        .iter()
        .try_for_each(open)
        .and_then(|()| remove_file(volatile.join("dirty")))
        .and_then(|()| made.iter().rev().try_for_each(remove_dir))
        .and_then(|()| remove_dir(work));
}

/// Lets us into a directory of ours, whatever its mode.
fn make_writable(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    let state = State::from(&fstat(&directory)?);
    let own = state.uid == rustix::process::geteuid().as_raw();
    match state.mode & 0o700 {
        0o700 => Ok(()),
        // Where it is not ours, what follows says so.
        _ => match set_mode(directory.as_fd(), state.mode | 0o700) {
            Err(Errno::PERM) if !own => Ok(()),
            result => result,
        },
    }
}

impl Store {
    /// Removes the store with all that it holds. What a dead [`Store::apply`] has left on the host goes too.
    ///
    /// # Errors
    /// When another rootlet works on it, or something in it cannot be removed; then the rest of it is still a store.
    pub fn drop(self) -> Result<()> {
        let _lock = self.lock()?;
        self.remove_leftovers()?;
        for number in 0..self.pieces() {
            if !self.is_bare(number) {
                remove_work(&self.work(number));
            }
            let _ = std::fs::remove_dir(self.upper(number));
        }
        let directory = self.directory();
        let at = Descent::open(directory, OFlags::RDONLY)
            .map_err(|errno| failed("open directory", directory, errno))?;
        let mut names = at
            .names()
            .map_err(|errno| failed("read directory", directory, errno))?;
        // The last one, since without it this is no store any more.
        names.sort_by_key(|name| name.to_bytes() == HEAD.as_bytes());
        for name in names {
            remove(at.current(), &name).map_err(|errno| {
                let path: PathBuf = directory.join(OsStr::from_bytes(name.to_bytes()));
                failed("remove", &path, errno)
            })?;
        }
        std::fs::remove_dir(directory).map_err(|error| failed("remove directory", directory, error))
    }
}
