//! Landlock (landlock(7)), which neither libc nor rustix knows.

use super::raw::syscall;
use super::{RawFd, close};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// The kernel's struct landlock_ruleset_attr (landlock_create_ruleset(2)), as of Linux 6.12. An older kernel takes it too,
/// if what it does not know is 0.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// The kernel's struct landlock_path_beneath_attr (landlock_add_rule(2)).
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// From linux/landlock.h: enum landlock_rule_type.
const LANDLOCK_RULE_PATH_BENEATH: u32 = 1;
/// From linux/landlock.h.
const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;

/// The LANDLOCK_ACCESS_FS_* that have a meaning for what is no directory: EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE,
/// IOCTL_DEV and RESOLVE_UNIX.
pub const OF_FILES: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15 | 1 << 16;

/// A ruleset that refuses `files` (LANDLOCK_ACCESS_FS_*) wherever no rule allows it, and all of `scopes`
/// (LANDLOCK_SCOPE_*); closed on exec (landlock_create_ruleset(2), Linux 5.13).
pub fn create_ruleset(files: u64, scopes: u64) -> Result<OwnedFd, Errno> {
    let ruleset = Ruleset {
        handled_access_fs: files,
        handled_access_net: 0,
        scoped: scopes,
    };
    let size = size_of::<Ruleset>();
    // SAFETY: `ruleset` is as long as the second argument says.
    let fd = unsafe { syscall!(SYS_landlock_create_ruleset, &ruleset, size, 0) }?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Allows `access` to what `path` is a descriptor of, and to all below it (landlock_add_rule(2)).
pub fn allow(ruleset: BorrowedFd<'_>, path: BorrowedFd<'_>, access: u64) -> Result<(), Errno> {
    let rule = PathBeneath {
        allowed_access: access,
        parent_fd: path.as_raw_fd(),
    };
    let kind = LANDLOCK_RULE_PATH_BENEATH;
    // SAFETY: `rule` is the kernel's struct for this kind of rule.
    unsafe { syscall!(SYS_landlock_add_rule, ruleset.as_raw_fd(), kind, &rule, 0) }.map(drop)
}

/// Puts this thread, for good, under `ruleset` as well as under all that it is under already (landlock_restrict_self(2)).
pub fn restrict_self(ruleset: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers.
    unsafe { syscall!(SYS_landlock_restrict_self, ruleset, 0) }.map(drop)
}

/// Cuts this thread off from abstract unix sockets that it or its descendants do not make (two system calls).
pub fn scope_abstract_sockets() -> Result<(), Errno> {
    let ruleset = create_ruleset(0, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET)?;
    let fd = rustix::fd::IntoRawFd::into_raw_fd(ruleset);
    let restricted = restrict_self(fd);
    close(fd);
    restricted
}
