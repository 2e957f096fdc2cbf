//! Extended attributes, except those in which the overlay keeps its own notes.

use rustix::fd::BorrowedFd;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};

/// What an overlay with `userxattr` notes for itself.
const OVERLAY: &[u8] = b"user.overlay.";
/// The largest value that Linux keeps (XATTR_SIZE_MAX), and the longest list of names.
const LARGEST: usize = 64 * 1024;

/// A name and its value.
pub type Attribute = (CString, Vec<u8>);

/// All attributes of a file, sorted. A file system without any has none.
pub fn all(file: BorrowedFd<'_>) -> Result<Vec<Attribute>> {
    let mut names = [0; 1024];
    let names = match flistxattr(file, &mut names[..]) {
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0; LARGEST];
            let length = flistxattr(file, &mut names[..])?;
            names.truncate(length);
            names
        }
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let names = names
        .split_inclusive(|&byte| byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .filter(|name| !name.to_bytes().starts_with(OVERLAY));
    let mut found = Vec::new();
    for name in names {
        if let Some(value) = value(file, name)? {
            found.push((name.to_owned(), value));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The value of one attribute; none when there is no such attribute, or it may not be read.
pub fn value(file: BorrowedFd<'_>, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = [0; 256];
    match fgetxattr(file, name, &mut value[..]) {
        Ok(length) => return Ok(Some(value[..length].to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => return Ok(None),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    let mut value = vec![0; LARGEST];
    let length = fgetxattr(file, name, &mut value[..])?;
    value.truncate(length);
    Ok(Some(value))
}

/// Gives `to` the attributes of `from`, and none besides. What only root may set (`security.`, `trusted.`) is set where
/// that can be done.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let (wanted, there) = (all(from)?, all(to)?);
    for (name, _) in there.iter().filter(|(name, _)| !holds(&wanted, name)) {
        tolerate(name, fremovexattr(to, name))?;
    }
    for attribute in wanted.iter().filter(|attribute| !there.contains(attribute)) {
        let (name, value) = attribute;
        tolerate(name, fsetxattr(to, name, value, XattrFlags::empty()))?;
    }
    Ok(())
}

fn holds(attributes: &[Attribute], name: &CStr) -> bool {
    attributes.iter().any(|(known, _)| known.as_c_str() == name)
}

fn tolerate(name: &CStr, result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP)
            if !name.to_bytes().starts_with(b"user.") =>
        {
            Ok(())
        }
        result => result,
    }
}
