//! The folder of one container: `record.json`, `details.json`, `story.json`, `lock`, `socket`, and the log of a detached one.

use super::details::{Details, Story};
use super::message::Call;
use super::place::DIRECTORY;
use super::record::{Record, Status};
use super::{Locked, Name, Place};
use crate::error::{Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Write;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// A container's folder, to be read.
#[derive(Debug)]
pub struct Folder {
    /// Its name when it was opened.
    pub name: Name,
    directory: OwnedFd,
}

/// A container's folder, in the hands of its supervisor.
#[derive(Debug)]
pub struct Held {
    folder: Folder,
    place: Place,
    _lock: OwnedFd,
}

impl Folder {
    /// Opens the folder of this name, if there is one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(place: &Place, name: &Name) -> Result<Option<Folder>> {
        match openat(&place.directory, name.as_ref(), DIRECTORY, Mode::empty()) {
            Ok(directory) => Ok(Some(Folder {
                name: name.clone(),
                directory,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::setup(
                format!(
                    "open the directory {}",
                    place.path().join(name.as_ref()).display()
                ),
                errno,
            )),
        }
    }

    /// What is known of the container at a glance; none while nothing is, or when all has just been removed.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub fn record(&self) -> Result<Option<Record>> {
        self.read("record.json")
    }

    /// What is known besides.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is something else.
    pub fn details(&self) -> Result<Details> {
        self.read("details.json")?
            .ok_or_else(|| Error::usage(format!("container {} has just gone", self.name)))
    }

    /// What came of what was asked for.
    ///
    /// # Errors
    /// See [`Folder::details`].
    pub fn story(&self) -> Result<Story> {
        self.read("story.json")?
            .ok_or_else(|| Error::usage(format!("container {} has just gone", self.name)))
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        let said =
            |what: String| Error::broken(format!("read {file} of container {}: {what}", self.name));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match openat(&self.directory, file, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(said(crate::error::Errno::from(errno).to_string())),
        };
        let text =
            whole(&opened).map_err(|errno| said(crate::error::Errno::from(errno).to_string()))?;
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            said(error.to_string())
                .with_hint(format!("`rootlet rm --force {}` removes it", self.name))
        })
    }

    /// Whether a supervisor holds it.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn is_held(&self) -> Result<bool> {
        let refused = |errno| {
            Error::setup(
                format!("ask for the lock of container {}", self.name),
                errno,
            )
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = match openat(&self.directory, c"lock", flags, Mode::empty()) {
            Ok(lock) => lock,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(refused(errno)),
        };
        // Shared: two that ask at a time do not take each other for a supervisor. It is gone with the descriptor.
        match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Whether the supervisor was killed: it has left a record of what runs, and no lock.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn is_dead(&self) -> Result<bool> {
        if self.is_held()? {
            return Ok(false);
        }
        // Read after the lock was found free: a supervisor that has ended meanwhile has written before.
        let record = self.record();
        Ok(!matches!(
            record,
            Ok(Some(Record {
                status: Status::Exited { .. },
                ..
            }))
        ))
    }

    /// A connection with the supervisor.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn call(&self) -> Result<Call> {
        let refused = |errno| {
            let step = format!("call the supervisor of container {}, connect", self.name);
            Error::setup(step, errno)
        };
        let (socket, address) = self.socket().map_err(refused)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => {
                let step = format!("container {} just starts, or has just ended", self.name);
                return Err(Error::usage(step));
            }
            Err(errno) => return Err(refused(errno)),
        }
        Ok(Call(socket))
    }

    /// By the descriptor: a path of any length would not fit into an address (unix(7), 108 bytes).
    fn socket(&self) -> std::result::Result<(OwnedFd, SocketAddrUnix), Errno> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let path = format!("/proc/self/fd/{}/socket", self.directory.as_raw_fd());
        Ok((socket, SocketAddrUnix::new(path)?))
    }

    /// Removes it, with all that is in it.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(&self, place: &Place, locked: &Locked) -> Result<()> {
        self.remove_as(&self.name, place, locked)
    }

    /// The same, of one that may have been renamed.
    fn remove_as(&self, name: &Name, place: &Place, _locked: &Locked) -> Result<()> {
        let refused =
            |errno| Error::setup(format!("remove what is known of container {name}"), errno);
        // The record first: whoever reads meanwhile finds nothing, and not half of it.
        for file in ["record.json", "lock"] {
            match unlinkat(&self.directory, file, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
        let own = openat(&self.directory, c".", DIRECTORY, Mode::empty()).map_err(refused)?;
        for entry in rustix::fs::Dir::new(own).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            if [c".", c".."].contains(&entry.file_name()) {
                continue;
            }
            match unlinkat(&self.directory, entry.file_name(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
        match unlinkat(&place.directory, name.as_ref(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// When that is another container's.
    pub fn rename(&self, place: &Place, name: &Name, locked: &Locked) -> Result<()> {
        if let Some(other) = Folder::open(place, name)? {
            if !other.is_dead()? {
                return Err(in_use(name));
            }
            other.remove(place, locked)?;
        }
        renameat(
            &place.directory,
            self.name.as_ref(),
            &place.directory,
            name.as_ref(),
        )
        .map_err(|errno| Error::setup(format!("rename container {} to {name}", self.name), errno))
    }

    /// Whether this is the folder of that name now: it may have been renamed, or removed and another made.
    pub fn is_called(&self, name: &Name, place: &Place) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let there = rustix::fs::statat(&place.directory, name.as_ref(), flags);
        let own = rustix::fs::fstat(&self.directory);
        matches!((there, own), (Ok(there), Ok(own))
            if there.st_ino == own.st_ino && there.st_dev == own.st_dev)
    }

    /// Notes something by a file's being there, or removes it.
    ///
    /// # Errors
    /// When that is refused.
    pub fn mark(&self, mark: &str, wanted: bool) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let done = match wanted {
            true => openat(&self.directory, mark, flags, Mode::RUSR | Mode::WUSR).map(drop),
            false => unlinkat(&self.directory, mark, AtFlags::empty()),
        };
        match done {
            Err(Errno::NOENT) if !wanted => Ok(()),
            done => done.map_err(|errno| {
                Error::setup(
                    format!("note that container {} is {mark}", self.name),
                    errno,
                )
            }),
        }
    }

    /// Whether that was noted.
    pub fn is_marked(&self, mark: &str) -> bool {
        rustix::fs::statat(&self.directory, mark, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Held {
    /// Makes the folder of a new container; without a name, one with a name that is made up.
    ///
    /// # Errors
    /// When the name is another container's, or the folder cannot be made or written to: nothing of it is left then.
    pub fn make(
        name: Option<&Name>,
        record: &Record,
        details: &Details,
        story: &Story,
    ) -> Result<Held> {
        let (place, locked) = Place::make_locked()?;
        let name = match name {
            Some(name) => {
                if !make_directory(&place, name, &locked)? {
                    return Err(in_use(name));
                }
                name.clone()
            }
            None => make_free(&place, &locked)?,
        };
        let made = Held::fill(place, &name, record, details, story);
        made.map_err(|(place, error)| {
            if let Ok(Some(folder)) = Folder::open(&place, &name)
                && let Err(error) = folder.remove(&place, &locked)
            {
                log::debug!("{error}");
            }
            if let Err(error) = place.tidy(&locked) {
                log::debug!("{error}");
            }
            error
        })
    }

    /// What cannot be filled is given back with the place, to be removed.
    fn fill(
        place: Place,
        name: &Name,
        record: &Record,
        details: &Details,
        story: &Story,
    ) -> std::result::Result<Held, (Place, Error)> {
        let lock = |folder: &Folder| {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            // Under another name: whoever asks for the lock before it is held would take it away.
            let lock = openat(folder, c"lock.new", flags, Mode::RUSR | Mode::WUSR)?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            renameat(folder, c"lock.new", folder, c"lock")?;
            Ok(lock)
        };
        let opened = Folder::open(&place, name)
            .and_then(|folder| folder.ok_or_else(|| Error::broken("the new folder is gone")));
        let folder = match opened {
            Ok(folder) => folder,
            Err(error) => return Err((place, error)),
        };
        let refused =
            |errno: Errno| Error::setup(format!("lock the folder of container {name}"), errno);
        let done = lock(&folder).map_err(refused).and_then(|lock| {
            write(&folder, "details.json", details)?;
            write(&folder, "story.json", story)?;
            write(&folder, "record.json", record)?;
            Ok(lock)
        });
        match done {
            Ok(lock) => Ok(Held {
                folder,
                place,
                _lock: lock,
            }),
            Err(error) => Err((place, error)),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Writes the record anew.
    ///
    /// # Errors
    /// When it cannot be written; the one before it stays.
    pub fn write(&self, record: &Record) -> Result<()> {
        write(&self.folder, "record.json", record)
    }

    /// Writes the story anew.
    ///
    /// # Errors
    /// See [`Held::write`].
    pub fn write_story(&self, story: &Story) -> Result<()> {
        write(&self.folder, "story.json", story)
    }

    /// Where commands call.
    ///
    /// # Errors
    /// When no socket can be made.
    pub fn listen(&self) -> Result<OwnedFd> {
        let listen = || {
            let (socket, address) = self.folder.socket()?;
            rustix::net::bind(&socket, &address)?;
            rustix::net::listen(&socket, BACKLOG)?;
            rustix::fs::fcntl_setfl(&socket, OFlags::RDWR | OFlags::NONBLOCK)?;
            Ok(socket)
        };
        listen().map_err(|errno: Errno| {
            Error::setup(
                format!("listen at the socket of container {}", self.folder.name),
                errno,
            )
        })
    }

    /// What it is called now: it may have been renamed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn name(&self) -> Result<Option<Name>> {
        let is_this = |name: &Name| self.folder.is_called(name, &self.place);
        if is_this(&self.folder.name) {
            return Ok(Some(self.folder.name.clone()));
        }
        Ok(self.place.names()?.into_iter().find(is_this))
    }

    /// Removes it.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        let locked = self.place.lock()?;
        if let Some(name) = self.name()? {
            self.folder.remove_as(&name, &self.place, &locked)?;
        }
        self.place.tidy(&locked)
    }
}

fn in_use(name: &Name) -> Error {
    Error::usage(format!("there is a container called {name} already")).with_hint(format!(
        "`rootlet ps -a` lists it, and `rootlet rm --force {name}` ends and removes it"
    ))
}

/// Makes the directory for `name`, in the place of one whose supervisor was killed; false if it is somebody's.
fn make_directory(place: &Place, name: &Name, locked: &Locked) -> Result<bool> {
    for _ in 0..2 {
        match mkdirat(&place.directory, name.as_ref(), Mode::RWXU) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => {}
            Err(errno) => {
                let path = place.path().join(name.as_ref());
                return Err(Error::setup(
                    format!("make the directory {}", path.display()),
                    errno,
                ));
            }
        }
        match Folder::open(place, name)? {
            Some(folder) if folder.is_dead()? => folder.remove(place, locked)?,
            Some(_) => return Ok(false),
            None => {}
        }
    }
    Ok(false)
}

/// The directory for a name that nobody has.
fn make_free(place: &Place, locked: &Locked) -> Result<Name> {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = time.map_or(0, |time| time.as_nanos() as u64) ^ u64::from(std::process::id()) << 40;
    for number in 0..10_000 {
        let name = Name::made_up(seed.wrapping_add(number));
        // Sooner or later two words are taken.
        let name = match number {
            0..100 => name,
            _ => format!("{name}-{number}").parse()?,
        };
        if make_directory(place, &name, locked)? {
            return Ok(name);
        }
    }
    Err(Error::usage("every name that rootlet can make up is taken")
        .with_hint("give one: --name NAME"))
}

/// What is in a file that does not change. Most are read at once, and a read that is short has come to the end.
fn whole(file: &OwnedFd) -> std::result::Result<Vec<u8>, Errno> {
    const PIECE: usize = 1000;
    let mut text = Vec::new();
    loop {
        let start = text.len();
        text.resize(start + PIECE, 0);
        let read = retry_on_intr(|| rustix::io::read(file, &mut text[start..]))?;
        text.truncate(start + read);
        if read < PIECE {
            return Ok(text);
        }
    }
}

/// A file that appears whole: what is read is the old one or the new one.
fn write<T: Serialize>(folder: &Folder, file: &str, what: &T) -> Result<()> {
    let step = || format!("write {file} of container {}", folder.name);
    let text =
        serde_json::to_vec(what).map_err(|error| Error::broken(format!("{}: {error}", step())))?;
    let new = format!("{file}.new");
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(folder, &new, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| Error::setup(step(), errno))?;
    File::from(opened)
        .write_all(&text)
        .map_err(|error| Error::setup(step(), error))?;
    renameat(folder, &new, folder, file).map_err(|errno| Error::setup(step(), errno))
}
