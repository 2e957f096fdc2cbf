//! What Landlock can refuse (LANDLOCK_ACCESS_FS_* and LANDLOCK_SCOPE_* of linux/landlock.h).

pub const EXECUTE: u64 = 1 << 0;
pub const WRITE_FILE: u64 = 1 << 1;
pub const READ_FILE: u64 = 1 << 2;
pub const READ_DIR: u64 = 1 << 3;
pub const REMOVE_DIR: u64 = 1 << 4;
pub const REMOVE_FILE: u64 = 1 << 5;
pub const MAKE_CHAR: u64 = 1 << 6;
pub const MAKE_DIR: u64 = 1 << 7;
pub const MAKE_REG: u64 = 1 << 8;
pub const MAKE_SOCK: u64 = 1 << 9;
pub const MAKE_FIFO: u64 = 1 << 10;
pub const MAKE_BLOCK: u64 = 1 << 11;
pub const MAKE_SYM: u64 = 1 << 12;
/// To link or rename from one directory to another (version 2, Linux 5.19).
pub const REFER: u64 = 1 << 13;
/// Version 3, Linux 6.2.
pub const TRUNCATE: u64 = 1 << 14;
/// ioctl(2) on a device (version 5, Linux 6.10).
pub const IOCTL_DEV: u64 = 1 << 15;
/// To connect to a unix socket in a file (version 9).
pub const RESOLVE_UNIX: u64 = 1 << 16;

/// Abstract unix sockets of processes outside (version 6, Linux 6.12).
pub const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1 << 0;
/// Signals to processes outside (likewise).
pub const SCOPE_SIGNAL: u64 = 1 << 1;

/// The version from which on files can be truncated only by who may.
pub const TRUNCATES: u32 = 3;
/// The version from which on there are scopes.
pub const SCOPES: u32 = 6;
/// The version from which on sockets in files are files.
pub const SOCKETS: u32 = 9;

/// What a read-only tree allows.
pub const READ: u64 = EXECUTE | READ_FILE | READ_DIR | RESOLVE_UNIX;
/// What a writable tree allows: all but to make devices, which would be ways around.
pub const WRITE: u64 = READ
    | WRITE_FILE
    | TRUNCATE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
    | IOCTL_DEV;
/// What a device allows, or a directory of devices.
pub const DEVICE: u64 = READ | WRITE_FILE | TRUNCATE | IOCTL_DEV;
/// What has a meaning for something that is no directory; the kernel takes no other (EINVAL).
pub const FILE: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX;

/// What a `version` of Landlock, from 3 on, knows to refuse.
pub fn handled(version: u32) -> u64 {
    match version {
        ..5 => IOCTL_DEV - 1,
        5..SOCKETS => RESOLVE_UNIX - 1,
        _ => (RESOLVE_UNIX << 1) - 1,
    }
}

/// Each with its name in the kernel's header, after LANDLOCK_ACCESS_FS_.
pub const NAMES: [(u64, &str); 17] = [
    (EXECUTE, "EXECUTE"),
    (WRITE_FILE, "WRITE_FILE"),
    (READ_FILE, "READ_FILE"),
    (READ_DIR, "READ_DIR"),
    (REMOVE_DIR, "REMOVE_DIR"),
    (REMOVE_FILE, "REMOVE_FILE"),
    (MAKE_CHAR, "MAKE_CHAR"),
    (MAKE_DIR, "MAKE_DIR"),
    (MAKE_REG, "MAKE_REG"),
    (MAKE_SOCK, "MAKE_SOCK"),
    (MAKE_FIFO, "MAKE_FIFO"),
    (MAKE_BLOCK, "MAKE_BLOCK"),
    (MAKE_SYM, "MAKE_SYM"),
    (REFER, "REFER"),
    (TRUNCATE, "TRUNCATE"),
    (IOCTL_DEV, "IOCTL_DEV"),
    (RESOLVE_UNIX, "RESOLVE_UNIX"),
];

/// Each scope with its name, after LANDLOCK_SCOPE_.
pub const SCOPE_NAMES: [(u64, &str); 2] = [
    (SCOPE_ABSTRACT_UNIX_SOCKET, "ABSTRACT_UNIX_SOCKET"),
    (SCOPE_SIGNAL, "SIGNAL"),
];
