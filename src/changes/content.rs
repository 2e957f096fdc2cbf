//! What is in regular files.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, copy_file_range, fstat, ftruncate, openat};
use rustix::fs::{ioctl_ficlone, seek};
use rustix::io::{Errno, Result, pread, read, write};
use std::ffi::CStr;

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// Opens a regular file for reading. Anything else, such as a pipe that has been put in its place, is refused (EINVAL)
/// and never waited for.
pub fn open_file(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags | OFlags::NOCTTY, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(Errno::INVAL),
    }
}

/// Whether two files hold the same bytes.
pub fn same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let (mut left, mut right) = ([0; BLOCK], [0; BLOCK]);
    let mut offset = 0;
    loop {
        let (length, same_length) = (
            fill(one, &mut left, offset)?,
            fill(other, &mut right, offset)?,
        );
        if left[..length] != right[..same_length] {
            return Ok(false);
        }
        if length < BLOCK {
            return Ok(true);
        }
        offset += BLOCK as u64;
    }
}

/// Reads until `block` is full or the file has ended.
fn fill(file: BorrowedFd<'_>, block: &mut [u8], offset: u64) -> Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match pread(file, &mut block[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

/// Gives `to`, which is empty, the `size` bytes of `from`: as a shared copy (reflink) where the file system has that,
/// else by copying; holes stay holes.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<()> {
    if size <= BLOCK as u64 {
        return copy_plainly(from, to);
    }
    if ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut position = 0;
    loop {
        let (start, end) = match seek(from, SeekFrom::Data(position)) {
            Ok(start) => (start, seek(from, SeekFrom::Hole(start))?),
            // No data from here on.
            Err(Errno::NXIO) => return ftruncate(to, size),
            Err(Errno::INVAL) if position == 0 => return copy_plainly(from, to),
            Err(errno) => return Err(errno),
        };
        copy_range(from, to, start, end)?;
        position = end;
    }
}

fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut at: u64, end: u64) -> Result<()> {
    while at < end {
        let (mut source, mut target) = (at, at);
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 30);
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), length) {
            // Cut short meanwhile.
            Ok(0) => return Ok(()),
            Ok(copied) => at += copied as u64,
            Err(Errno::INTR) => {}
            // Between some file systems the kernel does not copy by itself.
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                seek(from, SeekFrom::Start(at))?;
                seek(to, SeekFrom::Start(at))?;
                return copy_bytes(from, to, end - at);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn copy_plainly(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    copy_bytes(from, to, u64::MAX)
}

/// Copies at most `length` bytes from where both files stand.
fn copy_bytes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut length: u64) -> Result<()> {
    let mut block = [0; BLOCK];
    while length > 0 {
        let wanted = BLOCK.min(usize::try_from(length).unwrap_or(BLOCK));
        let got = match read(from, &mut block[..wanted]) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        write_all(to, &block[..got])?;
        length -= got as u64;
    }
    Ok(())
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(to.as_fd(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
