//! Descriptors, directories and small files.

use ::core::ffi::CStr;
use ::core::mem::MaybeUninit;
use ::core::prelude::rust_2024::*;
use ::rustix::fd::BorrowedFd;
use ::rustix::fs::{CWD, FileType, Mode, OFlags, RawDir};
use ::rustix::io::Errno;

use super::record::{Kind, Process};
use super::step::Text;
use super::{Task, borrow};
use crate::sys::{self, RawFd};

/// Closes every descriptor above 2 that is not in `keep`, which is in ascending order.
pub fn close_others(keep: &[RawFd]) -> Result<(), Errno> {
    // Whatever the errno: this is done while the command runs, which is not to end for it.
    close_ranges(keep).or_else(|_| close_listed(keep))
}

/// The same by close_range(2) alone.
pub fn close_ranges(keep: &[RawFd]) -> Result<(), Errno> {
    let mut first = 3u32;
    for &fd in keep.iter().filter(|&&fd| fd > 2) {
        let fd = fd as u32;
        if fd > first {
            sys::close_range(first, fd.wrapping_sub(1))?;
        }
        first = fd.wrapping_add(1);
    }
    sys::close_range(first, u32::MAX)
}

/// The same before Linux 5.9: closes what /proc/self/fd lists. The directory is read from its start until nothing is found to
/// close, since closing moves its entries.
#[cold]
#[inline(never)]
pub fn close_listed(keep: &[RawFd]) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = ::rustix::fs::openat(CWD, c"/proc/self/fd", flags, Mode::empty())?;
    let own = ::rustix::fd::AsRawFd::as_raw_fd(&directory);
    loop {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 2048];
        let mut entries = RawDir::new(&directory, &mut buffer);
        let mut closed = false;
        while let Some(entry) = entries.next() {
            let fd = number(entry?.file_name().to_bytes());
            if fd > 2 && fd != own && !keep.contains(&fd) {
                sys::close(fd);
                closed = true;
            }
        }
        if !closed {
            return Ok(());
        }
        ::rustix::fs::seek(&directory, ::rustix::fs::SeekFrom::Start(0))?;
    }
}

/// Closes every descriptor above 2 that is not in `keep`, without a look at which there are. They have been closed before,
/// but for those up to `last`; and what was opened since has the lowest numbers that were free.
#[cold]
#[inline(never)]
pub fn close_numbers(keep: &[RawFd], last: RawFd) {
    /// More than are ever open at a time inside.
    const OPENED: RawFd = 256;
    for fd in 3..=last.saturating_add(OPENED) {
        if !keep.contains(&fd) {
            sys::close(fd);
        }
    }
}

/// The decimal number that `digits` are, or -1.
pub fn number(digits: &[u8]) -> i32 {
    let mut value = 0i32;
    for &digit in digits {
        let Some(digit) = (digit as char).to_digit(10) else {
            return -1;
        };
        value = value.wrapping_mul(10).wrapping_add(digit as i32);
    }
    if digits.is_empty() { -1 } else { value }
}

/// Writes `text` to a file that is there, in one call.
pub fn write_at(directory: BorrowedFd<'_>, path: &CStr, text: &CStr) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = ::rustix::fs::openat(directory, path, flags, Mode::empty())?;
    ::rustix::io::write(&file, text.to_bytes()).map(drop)
}

/// Writes the offsets of this time namespace's clocks, and enters it.
pub fn set_clocks(offsets: &CStr) -> Result<(), Errno> {
    write_at(CWD, c"/proc/self/timens_offsets", offsets)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = ::rustix::fs::openat(
        CWD,
        c"/proc/self/ns/time_for_children",
        flags,
        Mode::empty(),
    )?;
    ::rustix::thread::move_into_link_name_space(
        ::rustix::fd::AsFd::as_fd(&namespace),
        ::core::option::Option::None,
    )
}

/// mkdir(2), with these permission bits whatever the umask; one that is there will do.
pub fn make_directory(path: &CStr, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    match ::rustix::fs::mkdir(path, mode) {
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
        Ok(()) => ::rustix::fs::chmod(path, mode),
    }
}

/// An empty file with these permission bits; one that is there will do.
pub fn make_file(path: &CStr, mode: u32) -> Result<(), Errno> {
    match write_file(path, &[], mode, false) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// A file with this content: a new one, with these permission bits whatever the umask; or with `replace` one that may be
/// there.
pub fn write_file(path: &CStr, content: &[u8], mode: u32, replace: bool) -> Result<(), Errno> {
    let how = if replace { OFlags::TRUNC } else { OFlags::EXCL };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | how;
    let mode = Mode::from_raw_mode(mode);
    let file = ::rustix::fs::open(path, flags, mode)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = ::rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    match replace {
        true => Ok(()),
        false => ::rustix::fs::fchmod(&file, mode),
    }
}

/// A directory, or a file, for a view, with the directories above it that are missing. The umask is clear.
pub fn make_place(
    task: &Task<'_>,
    path: Text,
    mode: u32,
    mode_above: u32,
    file: bool,
) -> Result<(), Errno> {
    let path = task.text(path);
    match make_last(path, mode, file) {
        // Something above it is missing, or is no directory.
        Err(Errno::NOENT | Errno::NOTDIR) if ::rustix::fs::stat(path).is_err() => {}
        result => return result,
    }
    let mut name = [0u8; 4096];
    let mut before = b'/';
    for (place, &byte) in name.iter_mut().zip(path.to_bytes()) {
        *place = byte;
    }
    for (end, &byte) in path.to_bytes().iter().enumerate() {
        // What is above ends where the next name begins.
        if byte == b'/' && before != b'/' {
            let next = name.get_mut(end).ok_or(Errno::NAMETOOLONG)?;
            *next = 0;
            let above = CStr::from_bytes_until_nul(&name).unwrap_or_default();
            let there = make_last(above, mode_above, false);
            if there.is_err() {
                task.report(Kind::NoDirectory, Process::Setup, task.at, 0)?;
            }
            there?;
            if let Some(next) = name.get_mut(end) {
                *next = b'/';
            }
        }
        before = byte;
    }
    make_last(path, mode, file)
}

/// The last name of `path` alone.
fn make_last(path: &CStr, mode: u32, file: bool) -> Result<(), Errno> {
    let bits = Mode::from_raw_mode(mode);
    let made = match file {
        false => ::rustix::fs::mkdir(path, bits),
        // Whatever it is, as long as it is no directory: a file system that is read-only would refuse to make it.
        true => match ::rustix::fs::stat(path) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                Err(Errno::ISDIR)
            }
            Ok(_) => return Ok(()),
            // What a link leads to is made too.
            Err(_) => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
                ::rustix::fs::open(path, flags, bits).map(drop)
            }
        },
    };
    match made {
        Err(Errno::EXIST) => is_directory(path),
        result => result,
    }
}

fn is_directory(path: &CStr) -> Result<(), Errno> {
    let found = ::rustix::fs::stat(path)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Ok(()),
        _ => Err(Errno::NOTDIR),
    }
}

/// symlink(2); one that is there and holds the same will do.
pub fn make_symlink(task: &Task<'_>, to: &CStr, path: &CStr) -> Result<(), Errno> {
    match ::rustix::fs::symlink(to, path) {
        Err(Errno::EXIST) => holds(task, path, to),
        result => result,
    }
}

/// Whether the link at `path` holds `to`; else the launcher is given what is there, and EEXIST is the answer.
#[cold]
#[inline(never)]
fn holds(task: &Task<'_>, path: &CStr, to: &CStr) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    if let Ok((held, _)) = ::rustix::fs::readlinkat_raw(CWD, path, &mut buffer)
        && *held == *to.to_bytes()
    {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = ::rustix::fs::open(path, flags, Mode::empty())?;
    let there = ::rustix::fd::AsRawFd::as_raw_fd(&there);
    task.send(Kind::InTheWay, Process::Setup, there)?;
    Err(Errno::EXIST)
}

/// Takes a lock of the file at `path`, to read, which this process keeps.
pub fn lock(task: &mut Task<'_>, path: &CStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = ::rustix::fs::open(path, flags, Mode::empty())?;
    sys::lock_to_read(::rustix::fd::AsFd::as_fd(&file))?;
    // The first four are for other things.
    let room = task.held.iter_mut().skip(4).find(|held| **held == -1);
    *room.ok_or(Errno::MFILE)? = ::rustix::fd::IntoRawFd::into_raw_fd(file);
    Ok(())
}

/// chdir(2) to the first of `count` directories that is there and may be entered; each is what comes after `PWD=`, and the variable
/// goes into the environment. The last one's errno, if none is.
pub fn change_to_first(task: &mut Task<'_>, first: Text, count: u16) -> Result<(), Errno> {
    let mut next = first;
    let mut result = Err(Errno::NOENT);
    for _ in 0..count {
        let variable = task.text(next);
        let directory = Text(next.0.wrapping_add(b"PWD=".len() as u32));
        result = change_directory(task.text(directory));
        if result.is_ok() {
            let pwd = task.pwd.and_then(|place| task.envp.get_mut(place));
            if let Some(pwd) = pwd {
                *pwd = variable.as_ptr();
            }
            return Ok(());
        }
        if !matches!(
            result,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP)
        ) {
            return result;
        }
        let length = task.text(directory).count_bytes() as u32;
        next = Text(directory.0.wrapping_add(length).wrapping_add(1));
    }
    result
}

/// chdir(2), and makes sure that the directory has a name below the root.
pub fn change_directory(path: &CStr) -> Result<(), Errno> {
    ::rustix::process::chdir(path)?;
    // Most names are short, and a page of the stack that is not touched need not be made.
    match lies_below_root(&mut [0; 256]) {
        Err(Errno::RANGE | Errno::NAMETOOLONG) => long_name_lies_below_root(),
        result => result,
    }
}

#[cold]
#[inline(never)]
fn long_name_lies_below_root() -> Result<(), Errno> {
    match lies_below_root(&mut [0; 4096]) {
        // A name that is longer than the kernel writes is one below the root all the same.
        Err(Errno::RANGE | Errno::NAMETOOLONG) => Ok(()),
        result => result,
    }
}

fn lies_below_root(name: &mut [u8]) -> Result<(), Errno> {
    sys::getcwd(name)?;
    match name.first() {
        Some(b'/') => Ok(()),
        _ => Err(Errno::NOENT),
    }
}

/// Reads from the start of `fd` into `buffer` and returns what is there.
pub fn read_start(fd: RawFd, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    let length = ::rustix::io::pread(borrow(fd), &mut *buffer, 0)?;
    Ok(buffer.get(..length).unwrap_or_default())
}
