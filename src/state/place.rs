//! The directory of the folders, and who may change what is in it.

use super::Name;
use crate::error::{Error, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, open, openat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a directory is opened that may be anybody's.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How long it is waited for another command that makes or removes a folder: that takes it a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// The directory with a folder for each container of this user's.
#[derive(Debug)]
pub struct Place {
    pub(super) directory: OwnedFd,
    path: PathBuf,
}

/// Nobody else makes, removes or renames a folder while this is held.
#[derive(Debug)]
pub struct Locked(#[allow(dead_code, reason = "open is locked")] OwnedFd);

impl Place {
    /// The directory, which is made if it is not there: `$XDG_RUNTIME_DIR/rootlet`; where there is no such directory of
    /// the user's, `/tmp/rootlet-UID`.
    ///
    /// # Errors
    /// When it cannot be made or opened, is a link, belongs to somebody else, or others may look into it.
    pub fn make() -> Result<Place> {
        let path = path()?;
        loop {
            match mkdirat(CWD, &path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    let step = format!("make the directory {}, mkdir", path.display());
                    return Err(Error::setup(step, errno)
                        .with_hint("what is known of running containers is kept there"));
                }
            }
            // The last one to leave may have removed it meanwhile.
            if let Some(place) = Place::open(&path)? {
                return Ok(place);
            }
        }
    }

    /// The directory, made if it is not there, and locked.
    ///
    /// # Errors
    /// See [`Place::make`] and [`Place::lock`].
    pub fn make_locked() -> Result<(Place, Locked)> {
        loop {
            let place = Place::make()?;
            let locked = place.lock()?;
            // The last one to leave may have removed it meanwhile.
            if fstat(&place.directory).is_ok_and(|stat| stat.st_nlink > 0) {
                return Ok((place, locked));
            }
        }
    }

    /// Removes the directory if nothing is in it, and it is where one may.
    ///
    /// # Errors
    /// When the kernel refuses it for another reason.
    pub(super) fn tidy(&self, _locked: &Locked) -> Result<()> {
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => Ok(()),
            // An empty one does no harm there.
            Err(Errno::ACCESS | Errno::ROFS | Errno::BUSY) => Ok(()),
            Err(errno) => {
                let step = format!("remove the directory {}, rmdir", self.path.display());
                Err(Error::setup(step, errno))
            }
        }
    }

    /// The directory, if there is one.
    ///
    /// # Errors
    /// See [`Place::make`].
    pub fn find() -> Result<Option<Place>> {
        Place::open(&path()?)
    }

    /// None when there is none.
    fn open(path: &Path) -> Result<Option<Place>> {
        let shown = path.display();
        let directory = match open(path, DIRECTORY, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            // Of a link the kernel says one or the other.
            Err(Errno::LOOP | Errno::NOTDIR) if path.is_symlink() => {
                return Err(Error::usage(format!(
                    "{shown} is a symbolic link: what it says of containers cannot be trusted"
                ))
                .with_hint(format!("look who made it, and then: rm {shown}")));
            }
            Err(errno) => {
                return Err(Error::setup(format!("open the directory {shown}"), errno));
            }
        };
        let stat = fstat(&directory)
            .map_err(|errno| Error::setup(format!("look at {shown}, fstat"), errno))?;
        let user = rustix::process::geteuid().as_raw();
        if stat.st_uid != user {
            return Err(Error::usage(format!(
                "{shown} belongs to user {}, not to you: what it says of containers cannot be trusted",
                stat.st_uid
            ))
            .with_hint("set XDG_RUNTIME_DIR to a directory of your own"));
        }
        if stat.st_mode & 0o077 != 0 {
            return Err(Error::usage(format!(
                "{shown} is open to others (mode {:04o}): what it says of containers cannot be trusted",
                stat.st_mode & 0o7777
            ))
            .with_hint(format!("look who did that, and then: chmod 700 {shown}")));
        }
        Ok(Some(Place {
            directory,
            path: path.to_path_buf(),
        }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until nobody else makes or removes a folder.
    ///
    /// # Errors
    /// When that takes more than ten seconds: somebody has been stopped in the middle of it.
    pub fn lock(&self) -> Result<Locked> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(locked) = self.try_lock()? {
                return Ok(locked);
            }
            if Instant::now() >= until {
                return Err(Error::usage(format!(
                    "another command has held the lock of {} for more than {} seconds",
                    self.path.display(),
                    PATIENCE.as_secs()
                ))
                .with_hint("`fuser -v` on that directory tells which; a stopped one goes on with kill -CONT"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// None when somebody else makes or removes a folder now.
    ///
    /// # Errors
    /// When the directory cannot be locked at all.
    pub fn try_lock(&self) -> Result<Option<Locked>> {
        let refused = |what: &str, errno| {
            Error::setup(
                format!("{what} the directory {}", self.path.display()),
                errno,
            )
        };
        // Opened once more: a lock is that of an open file, and shared by all who have this one.
        let own = openat(&self.directory, c".", DIRECTORY, Mode::empty())
            .map_err(|errno| refused("open", errno))?;
        match flock(&own, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Locked(own))),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(errno) => Err(refused("lock", errno)),
        }
    }

    /// The names of all folders, in their order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self) -> Result<Vec<Name>> {
        let refused =
            |errno| Error::setup(format!("read the directory {}", self.path.display()), errno);
        let own = openat(&self.directory, c".", DIRECTORY, Mode::empty()).map_err(refused)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(own).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            // `.` and `..` are no names, nor is what a user may have put here.
            names.extend(name.to_str().and_then(|name| name.parse::<Name>().ok()));
        }
        names.sort();
        Ok(names)
    }
}

/// Where the directory is. Somebody who has become another user may still have the first one's XDG_RUNTIME_DIR.
fn path() -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(runtime) = runtime.filter(|path| path.is_absolute()) {
        match rustix::fs::stat(&runtime) {
            Ok(stat) if stat.st_uid == user && stat.st_mode & libc::S_IFMT == libc::S_IFDIR => {
                return Ok(runtime.join("rootlet"));
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => {}
            // It may well be there, with what one looks for in it.
            Err(errno) => {
                let step = format!("look at {}, stat", runtime.display());
                return Err(Error::setup(step, errno));
            }
        }
    }
    Ok(format!("/tmp/rootlet-{user}").into())
}
