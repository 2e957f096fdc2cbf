//! What is compared of a file.

use rustix::fs::{self, RawMode, Stat};

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl FileType {
    /// Every type with the letter that stands for it in a record, as find(1) has them.
    pub(super) const LETTERS: [(FileType, char); 6] = [
        (FileType::File, 'f'),
        (FileType::Directory, 'd'),
        (FileType::Symlink, 'l'),
        (FileType::Fifo, 'p'),
        (FileType::Socket, 's'),
        (FileType::Device, 'b'),
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            FileType::File => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symbolic link",
            FileType::Fifo => "named pipe",
            FileType::Socket => "socket",
            FileType::Device => "device",
        }
    }

    fn of(mode: RawMode) -> FileType {
        match fs::FileType::from_raw_mode(mode) {
            fs::FileType::Directory => FileType::Directory,
            fs::FileType::Symlink => FileType::Symlink,
            fs::FileType::Fifo => FileType::Fifo,
            fs::FileType::Socket => FileType::Socket,
            fs::FileType::CharacterDevice | fs::FileType::BlockDevice => FileType::Device,
            _ => FileType::File,
        }
    }
}

/// A moment of the real-time clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanoseconds: u32,
}

impl Time {
    /// Nanoseconds since 1970.
    pub fn total_nanoseconds(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds)
    }

    /// The reverse of [`Self::total_nanoseconds`].
    pub fn from_nanoseconds(total: i128) -> Time {
        Time {
            seconds: total.div_euclid(1_000_000_000) as i64,
            nanoseconds: total.rem_euclid(1_000_000_000) as u32,
        }
    }

    /// Now.
    pub fn now() -> Time {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Time {
            seconds: now.tv_sec,
            nanoseconds: now.tv_nsec as u32,
        }
    }
}

/// A file as stat(2) sees it, without following a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its type.
    pub file_type: FileType,
    /// Permissions, with the setuid, setgid and sticky bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes; of a symbolic link those of its target.
    pub size: u64,
    /// When the content was changed last.
    pub mtime: Time,
    /// When anything of the file was changed last.
    pub ctime: Time,
    /// The number of the file in its file system.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// The number of a device.
    pub device: u64,
}

impl From<&Stat> for State {
    // The fields of stat have other types on other architectures.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn from(stat: &Stat) -> State {
        let time = |seconds, nanoseconds| Time {
            seconds,
            nanoseconds,
        };
        State {
            file_type: FileType::of(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            inode: stat.st_ino,
            links: u64::from(stat.st_nlink),
            device: stat.st_rdev,
        }
    }
}

impl State {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// Whether it is what an overlay writes for a name that was deleted.
    pub(super) fn is_whiteout(&self) -> bool {
        self.file_type == FileType::Device && self.device == 0
    }

    /// Whether somebody has given the directory `self` its time since `started`, when `host` lay below it: another one than
    /// the host's, and one that was past by then. What is made in a directory gives it the time of that moment, which is no
    /// change of its own.
    pub(super) fn was_given_time(&self, host: &State, started: Time) -> bool {
        let past = Time {
            seconds: started.seconds - 1,
            ..started
        };
        // A file system may only know seconds.
        let exact = [self, host].iter().all(|it| it.mtime.nanoseconds != 0);
        let differs = match exact {
            true => self.mtime != host.mtime,
            false => self.mtime.seconds != host.mtime.seconds,
        };
        // The kernel's clock for files is behind by some milliseconds.
        differs && self.mtime < past && host.mtime <= started
    }

    /// Whether `now` is this file, and nobody has written to it since.
    pub(super) fn same_file(&self, now: &State) -> bool {
        let what = |state: &State| (state.file_type, state.inode, state.size, state.mtime);
        what(self) == what(now)
    }
}
