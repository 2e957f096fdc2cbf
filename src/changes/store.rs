//! The directory that holds what a command changed: `try.toml`, the upper directories, and what was noted of the host.

use super::descent::Descent;
use super::state::Time;
use super::text::shown;
use crate::error::{Errno, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The file that makes a directory a store.
pub(super) const HEAD: &str = "try.toml";
/// The version that is written, and the newest that is understood.
const VERSION: u32 = 1;

/// The lowest number for the descriptor of a new store's lock: one that a user names to be passed to the command, and has
/// forgotten to open, is to be missing, and not the lock.
const LOWEST: i32 = 200;

/// A directory that holds what a command changed.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    head: Head,
    /// The lock, from the start, of a store that was made here: until its command has ended, nobody else is to work on it.
    held: Option<OwnedFd>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    command: Vec<String>,
    /// Nanoseconds since 1970.
    started: i64,
    #[serde(default)]
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    path: PathBuf,
    upper: PathBuf,
    /// Whether the upper directory was mounted by itself, without an overlay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    bare: bool,
}

/// A directory of the host that a new store stands in for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The directory.
    pub path: PathBuf,
    /// Whether an overlay lies over it, with the upper directory: otherwise it is empty, and the upper directory is in its place.
    pub by_overlay: bool,
}

/// The version alone, for stores whose other fields are not known here.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Store {
    /// Makes the store `directory`, which must not be there yet, for the host's directories `covered`, and notes that `command`
    /// starts now. Each upper directory has the mode that the command sees. Others can list what is in the store, and neither
    /// apply nor drop it, for as long as the result lives.
    ///
    /// # Errors
    /// A piece that is no absolute path or not UTF-8, which `try.toml` cannot hold; what the kernel refuses.
    pub fn create(directory: &Path, covered: &[Covered], command: &[OsString]) -> Result<Store> {
        let head = Head {
            version: VERSION,
            command: command
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            started: i64::try_from(Time::now().total_nanoseconds()).unwrap_or(i64::MAX),
            pieces: (0..)
                .zip(covered)
                .map(|(number, covered)| Piece::new(number, covered))
                .collect::<Result<_>>()?,
        };
        let mut store = Store {
            directory: directory.to_path_buf(),
            head,
            held: None,
        };
        make(directory, 0o700)?;
        match store.fill() {
            Ok(lock) => store.held = Some(lock),
            Err(error) => {
                // Nothing is in it but what has just been made.
                let _ = fs::remove_dir_all(directory);
                return Err(error);
            }
        }
        Ok(store)
    }

    /// Makes all that a new store holds, and returns its lock.
    fn fill(&self) -> Result<OwnedFd> {
        own(&self.directory)?;
        self.check_file_system()?;
        for name in ["upper", "work"] {
            make(&self.directory.join(name), 0o700)?;
        }
        for (number, Piece { path, bare, .. }) in self.head.pieces.iter().enumerate() {
            let look = |path| -> rustix::io::Result<u32> {
                let host = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                seen_mode(&host, rustix::fs::fstat(&host)?.st_mode & 0o7777)
            };
            let mode = match look(path) {
                Ok(mode) => mode,
                // It has gone since it was found.
                Err(rustix::io::Errno::NOENT) => 0o755,
                Err(errno) => return Err(failed("look at", path, errno)),
            };
            make(&self.upper(number), mode)?;
            if !bare {
                make(&self.work(number), 0o700)?;
            }
        }
        let text = toml::to_string(&self.head)
            .map_err(|error| Error::usage(format!("write {HEAD}: {error}")))?;
        let path = self.directory.join(HEAD);
        let refused = |error| failed("write", &path, error);
        let mut file = fs::File::create_new(&path).map_err(refused)?;
        // Before it is a store for others.
        self.take(&file)?;
        file.write_all(text.as_bytes()).map_err(refused)?;
        let far = rustix::io::fcntl_dupfd_cloexec(&file, LOWEST);
        Ok(far.unwrap_or(file.into()))
    }

    /// Where upper directories are on an overlay themselves, the kernel says no more than EINVAL at the mount. On a file system
    /// without user attributes it makes one all the same, and then fails with EIO when something is deleted or replaced.
    fn check_file_system(&self) -> Result<()> {
        if is_overlay(&self.directory).map_err(|errno| failed("look at", &self.directory, errno))? {
            let directory = shown(&self.directory);
            return Err(Error::usage(format!(
                "the changes cannot be kept in {directory}: that is on an overlay, as it is in many containers, and no other can write to it"
            ))
            .with_hint("name a place on another file system, such as a volume or a tmpfs, with --keep DIR"));
        }
        let mut none: [u8; 0] = [];
        match rustix::fs::lgetxattr(&self.directory, c"user.overlay.opaque", &mut none) {
            Err(errno @ rustix::io::Errno::OPNOTSUPP) => {
                Err(failed("read user attributes of", &self.directory, errno).with_hint(
                    "overlays note there what was deleted; keep the changes on ext4, xfs or btrfs, with --keep DIR",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Opens the store in `directory`.
    ///
    /// # Errors
    /// A directory that is no store, or one of a newer version.
    pub fn open(directory: &Path) -> Result<Store> {
        let path = directory.join(HEAD);
        let no_store = |reason: String| {
            Error::usage(format!(
                "{} is not what `rootlet try` leaves: {reason}",
                shown(directory)
            ))
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Err(no_store(format!("{HEAD}: {}", Errno::from(error))));
            }
            Err(error) => return Err(failed("read", &path, error)),
        };
        let broken = |error: toml::de::Error| no_store(format!("{HEAD}: {}", error.message()));
        let Version { version } = toml::from_str(&text).map_err(broken)?;
        if version > VERSION {
            return Err(Error::usage(format!(
                "{} is of version {version}, and this rootlet knows those up to {VERSION}",
                shown(directory)
            ))
            .with_hint("use the rootlet that made it, or a newer one"));
        }
        let head: Head = toml::from_str(&text).map_err(broken)?;
        match head.pieces.iter().find(|piece| !piece.is_sound()) {
            Some(piece) => Err(no_store(format!(
                "{HEAD} has a piece {} in {}",
                shown(&piece.path),
                shown(&piece.upper)
            ))),
            None => Ok(Store {
                directory: directory.to_path_buf(),
                head,
                held: None,
            }),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The command and its arguments, for display: what was not UTF-8 has been replaced.
    pub fn command(&self) -> &[String] {
        &self.head.command
    }

    /// When the command was started.
    pub fn started(&self) -> Time {
        Time::from_nanoseconds(self.head.started.into())
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.head.pieces.len()
    }

    /// The host's directory that piece `number` lies over.
    ///
    /// # Panics
    /// When there is no such piece; likewise the next two.
    pub fn path(&self, number: usize) -> &Path {
        &self.head.pieces[number].path
    }

    /// The upper directory of piece `number`.
    pub fn upper(&self, number: usize) -> PathBuf {
        self.directory.join(&self.head.pieces[number].upper)
    }

    /// Opens the upper directory of piece `number`, with `flags`, and the host's, which need not be readable.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub(super) fn sides(&self, number: usize, flags: OFlags) -> Result<[Descent; 2]> {
        let open = |path: &Path, flags| {
            Descent::open(path, flags).map_err(|errno| failed("open directory", path, errno))
        };
        Ok([
            open(&self.upper(number), flags)?,
            open(self.path(number), OFlags::PATH)?,
        ])
    }

    /// Whether the upper directory of piece `number` was mounted by itself: then nothing in it is an overlay's notation.
    pub(super) fn is_bare(&self, number: usize) -> bool {
        self.head.pieces[number].bare
    }

    /// The work directory of piece `number`, if it has one.
    pub fn work(&self, number: usize) -> PathBuf {
        self.directory.join("work").join(number.to_string())
    }

    /// Keeps others from working on the store for as long as the result lives; none where this one does that all the time.
    ///
    /// # Errors
    /// When somebody else works on it.
    pub(super) fn lock(&self) -> Result<Option<OwnedFd>> {
        if self.held.is_some() {
            return Ok(None);
        }
        let path = self.directory.join(HEAD);
        let file = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failed("lock", &path, errno))?;
        self.take(&file)?;
        Ok(Some(file))
    }

    /// Locks the open `try.toml`. The lock belongs to what was opened (flock(2)), not to the process: whoever opens the file
    /// once more, in the same process too, is refused.
    fn take(&self, file: impl AsFd) -> Result<()> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::usage(format!(
                "{} is in use by another rootlet",
                shown(&self.directory)
            ))),
            Err(errno) => Err(failed("lock", &self.directory.join(HEAD), errno)),
        }
    }
}

/// The permission bits of a directory of the host, as an overlay over it has them. There it belongs to the caller: so where
/// the caller may not write, nobody may.
pub(super) fn seen_mode(directory: impl AsFd, mode: u32) -> rustix::io::Result<u32> {
    use rustix::io::Errno;
    let (access, flags) = (rustix::fs::Access::WRITE_OK, rustix::fs::AtFlags::empty());
    match rustix::fs::accessat(directory, c".", access, flags) {
        Ok(()) => Ok(mode),
        // EPERM: it is immutable.
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(mode & !0o222),
        Err(errno) => Err(errno),
    }
}

impl Piece {
    fn new(number: usize, covered: &Covered) -> Result<Piece> {
        let path = &covered.path;
        if path.to_str().is_none() {
            return Err(Error::usage(format!(
                "{} is not UTF-8, and {HEAD} can hold nothing else",
                shown(path)
            )));
        }
        let piece = Piece {
            path: path.clone(),
            upper: Path::new("upper").join(number.to_string()),
            bare: !covered.by_overlay,
        };
        match piece.is_sound() {
            true => Ok(piece),
            false => Err(Error::usage(format!(
                "{} is not an absolute path without ..",
                shown(path)
            ))),
        }
    }

    /// Whether the host's path is absolute and the upper directory is in the store.
    fn is_sound(&self) -> bool {
        let named = |path: &Path| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        self.path.strip_prefix("/").is_ok_and(named) && named(&self.upper)
    }
}

/// Whether `path` is on an overlay (statfs(2)).
fn is_overlay(path: &Path) -> rustix::io::Result<bool> {
    // It has another type on other architectures.
    #[allow(clippy::unnecessary_cast)]
    Ok(rustix::fs::statfs(path)?.f_type as i64 == libc::OVERLAYFS_SUPER_MAGIC as i64)
}

/// Makes a directory with this mode, whatever the umask.
fn make(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().mode(mode).create(path);
    made.map_err(|error| failed("make directory", path, error))?;
    if mode != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| failed("set the mode of", path, error))?;
    }
    Ok(())
}

/// Gives a new directory the caller's group, where it has that of the directory which it is in (inode(7), set-group-ID):
/// the kernel writes to no upper directory of a group that is not mapped.
fn own(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let refused = |error| failed("give the caller's group to", path, error);
    let group = rustix::process::getegid().as_raw();
    if path.metadata().map_err(refused)?.gid() == group {
        return Ok(());
    }
    std::os::unix::fs::chown(path, None, Some(group)).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(refused)
}

/// An error that names what was attempted with `path`.
pub(super) fn failed(what: &str, path: &Path, errno: impl Into<Errno>) -> Error {
    Error::setup(format!("{what} {}", shown(path)), errno)
}
