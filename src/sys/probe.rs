//! Questions to the kernel about itself: whether a call is there, and whether it gets through. Each is one system call that
//! changes nothing outside of the process that asks.

use super::raw::syscall;
use super::seccomp::{Instruction, install_filter};
use super::{RawFd, close};
use core::ffi::CStr;
use rustix::io::Errno;

/// The size of struct clone_args in its first version.
const CLONE_ARGS: usize = 64;

/// Whether one of `answers`, which only the kernel itself gives, is the answer.
fn expect(answer: Result<usize, Errno>, answers: &[Errno]) -> Result<(), Errno> {
    match answer {
        Err(errno) if !answers.contains(&errno) => Err(errno),
        _ => Ok(()),
    }
}

/// unshare(0): everybody may ask for nothing. Whatever refuses it is no part of the kernel's own rules.
pub fn unshare_nothing() -> Result<(), Errno> {
    // SAFETY: takes a plain number, and changes nothing.
    unsafe { syscall!(SYS_unshare, 0) }.map(drop)
}

/// mount(2) with addresses that are none: the kernel says EFAULT before it looks at who asks.
pub fn mount_nothing() -> Result<(), Errno> {
    // SAFETY: the kernel reads no memory at address 1, and says so.
    let answer = unsafe { syscall!(SYS_mount, 1usize, 1usize, 1usize, 0usize, 1usize) };
    expect(answer, &[Errno::FAULT])
}

/// clone3(2) with flags that contradict each other (CLONE_FS with CLONE_NEWNS): EINVAL.
pub fn clone3() -> Result<(), Errno> {
    let mut arguments = [0u64; CLONE_ARGS / 8];
    arguments[0] = (libc::CLONE_FS | libc::CLONE_NEWNS) as u64;
    // SAFETY: the structure is as long as the last argument says; the kernel makes no process of it.
    let answer = unsafe { syscall!(SYS_clone3, &arguments, CLONE_ARGS) };
    expect(answer, &[Errno::INVAL])
}

/// open_tree(2) of the working directory, which is not even copied.
pub fn open_tree() -> Result<(), Errno> {
    let path: &CStr = c".";
    let flags = libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated by its type.
    let fd = unsafe { syscall!(SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) }?;
    close(fd as RawFd);
    Ok(())
}

/// Whether there are calls to take a tree of mounts (open_tree(2)) and to attach it (move_mount(2), Linux 5.2).
pub fn takes_trees() -> bool {
    let (empty, here): (&CStr, i32) = (c"", libc::AT_FDCWD);
    // SAFETY: the paths are NUL-terminated by their type; nothing is moved.
    let moved = unsafe {
        syscall!(
            SYS_move_mount,
            here,
            empty.as_ptr(),
            here,
            empty.as_ptr(),
            0
        )
    };
    open_tree().is_ok() && moved != Err(Errno::NOSYS)
}

/// openat2(2), with a root of its own.
pub fn openat2() -> Result<(), Errno> {
    const RESOLVE_IN_ROOT: u64 = 0x10;
    let path: &CStr = c"/";
    let how = [(libc::O_PATH | libc::O_CLOEXEC) as u64, 0, RESOLVE_IN_ROOT];
    // SAFETY: the path is NUL-terminated by its type, and `how` is as long as the last argument says.
    let fd = unsafe { syscall!(SYS_openat2, libc::AT_FDCWD, path.as_ptr(), &how, 24usize) }?;
    close(fd as RawFd);
    Ok(())
}

/// pidfd_open(2) of the calling process.
pub fn pidfd_open() -> Result<(), Errno> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: takes plain numbers.
    let fd = unsafe { syscall!(SYS_pidfd_open, pid, 0) }?;
    close(fd as RawFd);
    Ok(())
}

/// Installs a filter that lets everything through (seccomp(2)); it needs no_new_privs, which it sets.
pub fn filter() -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    let allow = Instruction {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    install_filter(&[allow])
}

/// The version of Landlock that the kernel has, from 1 (landlock_create_ruleset(2), Linux 5.13).
pub fn landlock_version() -> Result<usize, Errno> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    let version = LANDLOCK_CREATE_RULESET_VERSION;
    // SAFETY: with this flag the kernel reads no memory.
    unsafe { syscall!(SYS_landlock_create_ruleset, 0usize, 0usize, version) }
}

/// A tunnel device (TUNSETIFF), which goes with its descriptor.
pub fn tun() -> Result<(), Errno> {
    use rustix::fs::{CWD, Mode, OFlags};
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let tun = rustix::fs::openat(CWD, c"/dev/net/tun", flags, Mode::empty())?;
    let mut request = [0u8; 40];
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as u16;
    request[libc::IFNAMSIZ..][..2].copy_from_slice(&flags.to_ne_bytes());
    let fd = std::os::fd::AsRawFd::as_raw_fd(&tun);
    // SAFETY: `request` has the layout and size (40 bytes) of struct ifreq: 16 bytes of name, then the flags.
    unsafe { syscall!(SYS_ioctl, fd, libc::TUNSETIFF, &mut request) }.map(drop)
}

/// How many mounts the mount namespace has whose file (/proc/PID/ns/mnt) is open as `namespace`: NS_MNT_GET_INFO, from
/// Linux 6.12 on (linux/nsfs.h).
pub fn mounts(namespace: RawFd) -> Result<u32, Errno> {
    const NS_MNT_GET_INFO: u32 = 0x8010_b70a;
    // Its size, the number, and the id of the namespace in two words.
    let mut info = [16u32, 0, 0, 0];
    // SAFETY: `info` has the layout and size (16 bytes) of struct mnt_ns_info.
    unsafe { syscall!(SYS_ioctl, namespace, NS_MNT_GET_INFO, &mut info) }?;
    Ok(info[1])
}
