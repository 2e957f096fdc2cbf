//! Mounts: taken, attached, made private, made read-only.

use ::core::ffi::CStr;
use ::core::prelude::rust_2024::*;
use ::rustix::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use ::rustix::fs::{CWD, FileType, Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, mount_change, move_mount, unmount,
};

use super::step::{Attributes, Fallback, Slot, Text};
use super::{Task, borrow};
use crate::sys::{self, RawFd};

/// Makes every mount of this namespace private.
pub fn make_private() -> Result<(), Errno> {
    mount_change(
        c"/",
        MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
    )
}

/// Takes the tree at `path` into `slot`.
pub fn open_tree(
    task: &mut Task<'_>,
    path: Text,
    slot: Slot,
    attributes: Attributes,
) -> Result<(), Errno> {
    let name = task.text(path);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let taken = match task.detached {
        true => ask_for_move_mount().and_then(|()| ::rustix::mount::open_tree(CWD, name, flags)),
        false => Err(Errno::NOSYS),
    };
    let fd = match taken {
        // EPERM is a system call filter's answer; if it is the kernel's, the bind will be refused in the same way.
        Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
            task.fall_back(Fallback::OpenTree, errno)?;
            task.detached = false;
            ::rustix::fs::openat(CWD, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?
        }
        taken => taken?,
    };
    if attributes != Attributes::NONE && task.detached {
        let flags = ::libc::AT_RECURSIVE | ::libc::AT_EMPTY_PATH;
        match sys::set_mount_attributes(fd.as_raw_fd(), c"", flags, attributes.0.into()) {
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                task.fall_back(Fallback::MountSetattr, errno)?;
                task.sealed = false;
            }
            result => result?,
        }
    }
    task.set_slot(slot, fd.into_raw_fd());
    Ok(())
}

/// Makes an overlay of `lower`, `upper` and `work`, in this order in `layers`, and takes it into `slot`.
pub fn open_overlay(
    task: &mut Task<'_>,
    layers: [Option<Text>; 3],
    volatile: bool,
    slot: Slot,
) -> Result<(), Errno> {
    let overlay = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, layer) in [c"lowerdir", c"upperdir", c"workdir"]
        .into_iter()
        .zip(layers)
    {
        if let Some(layer) = layer {
            fsconfig_set_string(borrow(overlay.as_raw_fd()), key, task.text(layer))?;
        }
    }
    fsconfig_set_flag(borrow(overlay.as_raw_fd()), c"userxattr")?;
    if volatile {
        fsconfig_set_flag(borrow(overlay.as_raw_fd()), c"volatile")?;
    }
    fsconfig_create(borrow(overlay.as_raw_fd()))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let mount = fsmount(borrow(overlay.as_raw_fd()), flags, attributes)?;
    task.set_slot(slot, mount.into_raw_fd());
    Ok(())
}

/// Makes a proc(5), and takes it into `slot`; nothing where that takes calls which are not to be had.
pub fn open_proc(task: &mut Task<'_>, slot: Slot) -> Result<(), Errno> {
    let opened = match task.detached {
        true => fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC),
        false => return Ok(()),
    };
    let proc = match opened {
        Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
            task.fall_back(Fallback::OpenTree, errno)?;
            task.detached = false;
            return Ok(());
        }
        opened => opened?,
    };
    // As mount(2) would have it, for mountinfo.
    fsconfig_set_string(borrow(proc.as_raw_fd()), c"source", c"proc")?;
    fsconfig_create(borrow(proc.as_raw_fd()))?;
    let attributes = MountAttrFlags::from_bits_retain(PROC_FLAGS);
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let mount = fsmount(borrow(proc.as_raw_fd()), flags, attributes)?;
    task.set_slot(slot, mount.into_raw_fd());
    Ok(())
}

/// MS_NOSUID, MS_NODEV and MS_NOEXEC, whose bits are those of MOUNT_ATTR_* too.
const PROC_FLAGS: u32 = (::libc::MS_NOSUID | ::libc::MS_NODEV | ::libc::MS_NOEXEC) as u32;

/// Attaches it, or mounts one.
pub fn attach_proc(task: &mut Task<'_>, slot: Slot, target: Text) -> Result<(), Errno> {
    match task.slot(slot) < 0 {
        true => mount(c"proc", task.text(target), PROC_FLAGS, c""),
        false => attach(task, slot, target, Attributes::NONE),
    }
}

/// Makes sure that what is in `slot` is this file. ESTALE if it is not.
pub fn require_same(task: &Task<'_>, slot: Slot, device: u64, inode: u64) -> Result<(), Errno> {
    let found = ::rustix::fs::fstat(borrow(task.slot(slot)))?;
    match found.st_dev == device && found.st_ino == inode {
        true => Ok(()),
        false => Err(Errno::STALE),
    }
}

/// Takes the stage down. In the old way the host's /proc is needed again; what was taken as a path only is lost.
pub fn close_stage(task: &Task<'_>, path: Text, shown: bool) -> Result<(), Errno> {
    match shown || !task.detached || !task.sealed {
        true => unmount(task.text(path), UnmountFlags::DETACH),
        false => Ok(()),
    }
}

/// Takes the stage down, if it lies over the host's /proc. That itself cannot be taken away: it is locked
/// (mount_namespaces(7)).
pub fn keep_proc(path: &CStr) -> Result<(), Errno> {
    match unmount(path, UnmountFlags::DETACH) {
        Err(Errno::INVAL) => Ok(()),
        result => result,
    }
}

/// Asks for move_mount(2): without it a tree that open_tree has taken could not be attached at all. The empty path is
/// refused in another way (ENOENT) than a call that is missing or filtered.
fn ask_for_move_mount() -> Result<(), Errno> {
    match move_mount(CWD, c"", CWD, c"", MoveMountFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Attaches what is in `slot` at `target`, and closes it.
pub fn attach(
    task: &mut Task<'_>,
    slot: Slot,
    target: Text,
    attributes: Attributes,
) -> Result<(), Errno> {
    let source = task.slot(slot);
    if source < 0 {
        return Ok(());
    }
    let path = task.text(target);
    let left = match task.detached && task.sealed {
        true => Attributes::NONE,
        false => attributes,
    };
    // The name of what lies over the root leads to what is under it: nothing would be taken from the right one.
    if left != Attributes::NONE && path.to_bytes() == b"/" {
        return Err(Errno::NOSYS);
    }
    // At hand before it can be covered.
    let list = match left == Attributes::NONE {
        true => None,
        false => Some(list_of_mounts()?),
    };
    match task.detached {
        true => {
            let flags =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
            move_mount(borrow(source), c"", CWD, path, flags)?;
        }
        false => bind(source, path)?,
    }
    close_slot(task, slot);
    match list {
        None => Ok(()),
        list => take_attributes(task, target, left, true, list),
    }
}

fn close_slot(task: &mut Task<'_>, slot: Slot) {
    let fd = task.slot(slot);
    task.set_slot(slot, -1);
    // SAFETY: the slot owned the descriptor, and has just given it up.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

/// Hides what is at `target` with what is in `file` or `directory`, as it is one or the other.
pub fn mask(task: &mut Task<'_>, target: Text, file: Slot, directory: Slot) -> Result<(), Errno> {
    let path = task.text(target);
    match ::rustix::fs::stat(path).map(|found| FileType::from_raw_mode(found.st_mode)) {
        // Nothing is there, or the command can get no further either.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
        Err(Errno::NOTCONN) if task.detached => return mask_dead(task, target, file, directory),
        Err(errno) => return Err(errno),
        Ok(FileType::Directory) if task.detached => {
            attach(task, directory, target, Attributes::READ_ONLY)?
        }
        Ok(_) if task.detached => attach(task, file, target, Attributes::READ_ONLY)?,
        Ok(FileType::Directory) => mount(
            c"tmpfs",
            path,
            ::libc::MS_RDONLY as u32,
            c"mode=555,nr_inodes=1",
        )?,
        Ok(_) => ::rustix::mount::mount_bind(c"/dev/null", path)?,
    }
    Ok(())
}

/// Hides a FUSE mount whose server has gone. It does not say what it is, but the kernel knows where it is mounted, so that
/// something can be mounted over it; what lies in it nobody can get to any more.
fn mask_dead(task: &mut Task<'_>, target: Text, file: Slot, directory: Slot) -> Result<(), Errno> {
    let mut hide = |slot| attach(task, slot, target, Attributes::READ_ONLY);
    let hidden = match hide(directory) {
        // It is mounted on a file.
        Err(Errno::NOTDIR) => hide(file),
        hidden => hidden,
    };
    match hidden {
        Err(Errno::NOTCONN) => Ok(()),
        hidden => hidden,
    }
}

/// Mounts the part of the tree at `path` on itself, read-only.
pub fn seal(task: &mut Task<'_>, target: Text, if_writable: bool) -> Result<(), Errno> {
    let path = task.text(target);
    if if_writable && ::rustix::fs::access(path, ::rustix::fs::Access::WRITE_OK).is_err() {
        return Ok(());
    }
    match ::rustix::mount::mount_bind_recursive(path, path) {
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
        Ok(()) => set_attributes(task, target, Attributes::READ_ONLY, true),
    }
}

/// Makes sure of what [`mask`] and [`seal`] have done to `count` names in /proc, whatever was renamed meanwhile: /proc is
/// looked up once. ESTALE where one of them lies open.
pub fn require_closed(task: &Task<'_>, first: Text, count: u16) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let proc = ::rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())?;
    let is_proc = |fd: &OwnedFd| {
        ::rustix::fs::fstatfs(fd).map(|found| found.f_type == ::rustix::fs::PROC_SUPER_MAGIC)
    };
    if !is_proc(&proc)? {
        return Err(Errno::STALE);
    }
    let mut next = first;
    for _ in 0..count {
        let name = task.text(next);
        next = Text(
            next.0
                .wrapping_add(name.count_bytes() as u32)
                .wrapping_add(1),
        );
        let found = match ::rustix::fs::openat(&proc, name, flags | OFlags::NOFOLLOW, Mode::empty())
        {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        let read_only = ::rustix::fs::fstatvfs(&found)?
            .f_flag
            .contains(::rustix::fs::StatVfsMountFlags::RDONLY);
        if is_proc(&found)? && !read_only {
            return Err(Errno::STALE);
        }
    }
    Ok(())
}

/// Mounts the inner side of the command's terminal on `target`.
pub fn attach_terminal(task: &Task<'_>, target: Text) -> Result<(), Errno> {
    let (terminal, target) = (task.slot(Slot::TERMINAL), task.text(target));
    if !task.detached {
        return bind(terminal, target);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let taken = ::rustix::mount::open_tree(borrow(terminal), c"", flags)?;
    move_mount(
        &taken,
        c"",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Takes every old root away, the one on top first, or puts it off.
pub fn detach_old_root(task: &mut Task<'_>, last: bool) -> Result<(), Errno> {
    let now = last || (task.detached && task.sealed);
    if !now {
        return Ok(());
    }
    while let Some(left) = task.old_roots.checked_sub(1) {
        unmount(c".", UnmountFlags::DETACH)?;
        task.old_roots = left;
    }
    Ok(())
}

/// Before Linux 5.2: binds the file behind an open path, by its name in the host's /proc. That is there while the old root lies
/// over the new one, where `..` at the top leads into it.
fn bind(source: RawFd, target: &CStr) -> Result<(), Errno> {
    let mut name = [0u8; 32];
    let prefix = b"/../proc/self/fd/";
    let mut digits = [0u8; 10];
    let mut rest = source as u32;
    let mut length = 0usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        length = length.wrapping_add(1);
        if rest == 0 {
            break;
        }
    }
    let digits = digits
        .get(digits.len().saturating_sub(length)..)
        .unwrap_or_default();
    for (place, &byte) in name.iter_mut().zip(prefix.iter().chain(digits)) {
        *place = byte;
    }
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    ::rustix::mount::mount_bind_recursive(name, target)
}

/// mount(2) of a file system without a source; its kind is its name in the list of mounts.
pub fn mount(kind: &CStr, target: &CStr, flags: u32, options: &CStr) -> Result<(), Errno> {
    let options = if options.is_empty() {
        None
    } else {
        Some(options)
    };
    ::rustix::mount::mount(
        kind,
        target,
        kind,
        MountFlags::from_bits_retain(flags),
        options,
    )
}

/// The new root: the mount at `path`. The old one then lies over it, where `..` at the top leads into it.
pub fn enter_root(task: &mut Task<'_>, path: Text) -> Result<(), Errno> {
    let path = task.text(path);
    ::rustix::process::chdir(path)?;
    ::rustix::process::pivot_root(c".", c".")?;
    task.old_roots = task.old_roots.saturating_add(1);
    Ok(())
}

/// Takes `attributes` from the mount at `path`, with `recursive` from every mount below it too.
pub fn set_attributes(
    task: &mut Task<'_>,
    target: Text,
    attributes: Attributes,
    recursive: bool,
) -> Result<(), Errno> {
    take_attributes(task, target, attributes, recursive, None)
}

/// The same with a list of the mounts that may be open already.
fn take_attributes(
    task: &mut Task<'_>,
    target: Text,
    attributes: Attributes,
    recursive: bool,
    list: Option<OwnedFd>,
) -> Result<(), Errno> {
    let path = task.text(target);
    let flags = if recursive { ::libc::AT_RECURSIVE } else { 0 };
    match sys::set_mount_attributes(::libc::AT_FDCWD, path, flags, attributes.0.into()) {
        Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
            task.fall_back(Fallback::MountSetattr, errno)?;
            match recursive {
                true => remount_each(path, attributes, list),
                false => remount(path, attributes),
            }
        }
        result => result,
    }
}

/// Before Linux 5.12: remounts `path`, and everything that mountinfo lists below it, without `attributes`.
///
/// A function of its own: its buffer, in the frame of the one that does the steps, would cost every launch eleven page
/// faults.
#[cold]
#[inline(never)]
fn remount_each(path: &CStr, attributes: Attributes, list: Option<OwnedFd>) -> Result<(), Errno> {
    remount(path, attributes)?;
    let file = list.map_or_else(list_of_mounts, Ok)?;
    // A line holds one path of at most 4,096 bytes, each up to four long when escaped, twice.
    let mut buffer = [0u8; 40_960];
    let mut filled = 0usize;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = ::rustix::io::read(&file, room)?;
        filled = filled.saturating_add(read);
        let mut start = 0usize;
        while let Some(line) = line_at(&buffer, start, filled) {
            let end = start.saturating_add(line.len());
            remount_line(line, path, attributes)?;
            start = end.saturating_add(1);
        }
        if read == 0 {
            return Ok(());
        }
        if start == 0 && filled == buffer.len() {
            return Err(Errno::OVERFLOW);
        }
        buffer.copy_within(start..filled, 0);
        filled = filled.saturating_sub(start);
    }
}

/// What the host's /proc says of the mounts that there are when it is read.
fn list_of_mounts() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    ::rustix::fs::openat(CWD, c"/../proc/self/mountinfo", flags, Mode::empty())
}

/// The line that starts at `start`, without its end, if it is whole.
fn line_at(buffer: &[u8], start: usize, filled: usize) -> Option<&[u8]> {
    let rest = buffer.get(start..filled)?;
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    rest.get(..end)
}

/// Remounts the mount point of a line of mountinfo, its fifth field, if it lies below `path`.
fn remount_line(line: &[u8], path: &CStr, attributes: Attributes) -> Result<(), Errno> {
    let Some(field) = line.split(|&byte| byte == b' ').nth(4) else {
        return Err(Errno::INVAL);
    };
    let mut point = [0u8; 4097];
    let length = unescape(field, &mut point);
    let top = path.to_bytes();
    let below = match point
        .get(..length)
        .and_then(|point| point.strip_prefix(top))
    {
        Some(rest) => top == b"/" || rest.first() == Some(&b'/'),
        _ => false,
    };
    if !below {
        return Ok(());
    }
    match remount(
        CStr::from_bytes_until_nul(&point).unwrap_or_default(),
        attributes,
    ) {
        // No mount point is at that name now: it lies beneath another mount, where no name leads to it. Or the name leads
        // through a directory or a file system that answers nobody.
        Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::NOTCONN) => Ok(()),
        result => result,
    }
}

/// Undoes mountinfo's `\ooo` for blanks and the like (proc_pid_mountinfo(5)); returns the length.
fn unescape(field: &[u8], out: &mut [u8]) -> usize {
    let mut rest = field;
    let mut length = 0usize;
    while let Some((&byte, tail)) = rest.split_first() {
        let (byte, tail) = match (byte, tail) {
            (b'\\', [a, b, c, tail @ ..]) => {
                let octal = |digit: u8| digit.wrapping_sub(b'0') & 7;
                ((octal(*a) << 6) | (octal(*b) << 3) | octal(*c), tail)
            }
            (byte, tail) => (byte, tail),
        };
        if let Some(place) = out.get_mut(length) {
            *place = byte;
            length = length.saturating_add(1);
        }
        rest = tail;
    }
    length
}

/// From statvfs(3); not in libc for musl.
const ST_RELATIME: ::libc::c_ulong = 4096;

/// mount(MS_REMOUNT|MS_BIND), with `attributes` and the flags that the mount has: those that came with the user namespace are
/// locked, and leaving one out is refused (mount_namespaces(7)).
fn remount(path: &CStr, attributes: Attributes) -> Result<(), Errno> {
    // Opened as a path, since to ask by the name would wake an automount up.
    let place = ::rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let now = ::rustix::fs::fstatvfs(&place)?.f_flag.bits() as u32;
    // The low bits of statvfs(3) and mount(2) are the same; the bits of "noatime", "nodiratime" and "relatime" are not.
    let same = ::libc::MS_RDONLY | ::libc::MS_NOSUID | ::libc::MS_NODEV | ::libc::MS_NOEXEC;
    let mut flags = (now & same as u32) | u32::from(attributes.0);
    for (statvfs, mount) in [
        (::libc::ST_NOATIME, ::libc::MS_NOATIME),
        (::libc::ST_NODIRATIME, ::libc::MS_NODIRATIME),
        (ST_RELATIME, ::libc::MS_RELATIME),
    ] {
        if now & statvfs as u32 != 0 {
            flags |= mount as u32;
        }
    }
    ::rustix::mount::mount_remount(
        path,
        MountFlags::BIND | MountFlags::from_bits_retain(flags),
        c"",
    )
}
