//! The overlay's notation in an upper directory (overlayfs.rst in the kernel's documentation).

use super::content::open_file;
use super::xattr;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Result;
use std::ffi::CStr;

/// What an upper directory says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opacity {
    /// It lies over the host's directory of that name.
    Merged,
    /// The same, and among its files may be whiteouts that are marked by an attribute (since Linux 6.7).
    HoldsWhiteouts,
    /// It stands in place of the host's.
    Opaque,
}

/// Reads the attribute of an upper directory.
pub fn opacity(directory: BorrowedFd<'_>) -> Result<Opacity> {
    let value = xattr::value(directory, c"user.overlay.opaque")?;
    Ok(match value.as_deref() {
        Some(b"y") => Opacity::Opaque,
        Some(b"x") => Opacity::HoldsWhiteouts,
        _ => Opacity::Merged,
    })
}

/// Whether an empty file of an upper directory is a whiteout.
pub fn marks_whiteout(directory: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let file = open_file(directory, name)?;
    Ok(xattr::value(file.as_fd(), c"user.overlay.whiteout")?.is_some())
}
