//! System calls that neither nix nor rustix wraps, or that they wrap in a way that may not be used after clone.
//!
//! Every function here is one system call (or names the few that it is), allocates nothing and takes no lock, so that
//! [`crate::child`] may call it. They are raw on purpose: libc's sigprocmask leaves out the signals that libc keeps for
//! itself, and its sigaction takes a lock.

pub mod alloc;

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;

/// A process id, in the PID namespace of whoever holds it.
pub type RawPid = i32;
/// A file descriptor whose owner is written down elsewhere (in a slot of the plan).
pub type RawFd = i32;

/// A set of signals, as the kernel has it: bit n-1 is signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Every signal, those that libc keeps for itself too.
    pub const ALL: SignalSet = SignalSet(!0);

    /// This one signal.
    pub const fn only(signal: i32) -> Self {
        SignalSet(1 << (signal - 1))
    }
}

/// The kernel's answer as a result: -1 means that errno says why.
fn answer(value: c_long) -> Result<c_long, Errno> {
    if value != -1 {
        return Ok(value);
    }
    // SAFETY: the address of this thread's own errno is always valid.
    Err(Errno::from_raw_os_error(unsafe {
        *libc::__errno_location()
    }))
}

/// The kernel's struct clone_args, in its first version (clone3(2), Linux 5.3).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// From linux/sched.h (Linux 5.5); libc's constant has a type too small for it.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// What [`clone`] was answered, and where.
pub enum Cloned {
    /// In the caller: the new process.
    Parent(RawPid),
    /// In the new process; `handlers` says whether the caller's signal handlers are still installed.
    Child {
        /// True where clone3 and its CLONE_CLEAR_SIGHAND (Linux 5.5) are not to be had.
        handlers: bool,
    },
}

/// Makes a process that is a copy of this one (nothing is shared) in the new namespaces that `flags` name.
///
/// It sends no signal when it ends, so that a caller who ignores SIGCHLD or waits for "any child" neither loses nor
/// steals its status; wait for it with `__WALL`. clone3(2) first, for CLONE_CLEAR_SIGHAND; where a filter or an old
/// kernel refuses it, clone(2).
///
/// # Safety
/// The new process has one thread only, whatever locks the others held: it may make system calls and no more, must not
/// allocate or panic, and must never return from the caller's function.
pub unsafe fn clone(flags: u64) -> Result<Cloned, Errno> {
    let args = CloneArgs {
        flags: flags | CLONE_CLEAR_SIGHAND,
        ..CloneArgs::default()
    };
    // SAFETY: no CLONE_VM, so that the child runs on a copy of this stack; the rest is the caller's promise.
    match answer(unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) }) {
        Ok(0) => return Ok(Cloned::Child { handlers: false }),
        Ok(pid) => return Ok(Cloned::Parent(pid as RawPid)),
        Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    // SAFETY: as above; a null stack means a copy of this one. Where x86-64 and arm64 order the last two arguments
    // differently, both are 0.
    match answer(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        0 => Ok(Cloned::Child { handlers: true }),
        pid => Ok(Cloned::Parent(pid as RawPid)),
    }
}

/// Runs `body(argument)` on `stack` in a new process that borrows this one's memory, and waits until it has executed
/// another program or has ended (clone(2), CLONE_VM and CLONE_VFORK): no page table is copied.
///
/// # Safety
/// The caller has one thread. `body` may only make system calls and write to `argument` and its own stack.
pub unsafe fn vfork(
    stack: &mut [core::mem::MaybeUninit<u8>],
    body: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<RawPid, Errno> {
    let top = stack.as_mut_ptr_range().end;
    // The ABIs want a stack that is aligned to 16 bytes.
    let top = top.wrapping_sub(top as usize % 16);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `top` is the aligned end of a slice that is borrowed until this returns. With CLONE_VM libc's clone is the
    // bare system call with a jump to `body`; it touches nothing else in musl and glibc.
    answer(unsafe { libc::clone(body, top.cast(), flags, argument) }.into())
        .map(|pid| pid as RawPid)
}

/// execve(2). Returns only when it failed.
///
/// # Safety
/// `argv` and `envp` point to arrays that end with a null pointer, of pointers to NUL-terminated strings.
pub unsafe fn execve(path: &CStr, argv: *const *const c_char, envp: *const *const c_char) -> Errno {
    // SAFETY: the caller's promise; `path` is NUL-terminated by its type.
    match answer(unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), argv, envp) }) {
        Err(errno) => errno,
        Ok(_) => Errno::IO,
    }
}

/// Blocks exactly `mask` in this thread and returns what was blocked before (rt_sigprocmask(2)).
pub fn set_signal_mask(mask: SignalSet) -> SignalSet {
    let mut old = SignalSet(0);
    // SAFETY: both sets are 8 bytes, as the last argument says. It cannot fail with valid addresses.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &mask.0,
            &mut old.0,
            8,
        )
    };
    old
}

/// The kernel's struct sigaction is 32 bytes on x86-64 and arm64, and starts with the handler.
type KernelSigaction = [u64; 4];

/// What this process does on `signal`: 0 is the default, 1 ignores it, the rest is a handler (rt_sigaction(2)).
pub fn signal_disposition(signal: i32) -> Result<usize, Errno> {
    let mut old: KernelSigaction = [0; 4];
    // SAFETY: `old` has room for the kernel's struct; a null pointer asks for no change.
    answer(unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            core::ptr::null::<u64>(),
            &mut old,
            8,
        )
    })?;
    Ok(old[0] as usize)
}

/// Sets what this process does on `signal` to [`libc::SIG_DFL`] or [`libc::SIG_IGN`] (rt_sigaction(2)).
pub fn set_signal_disposition(signal: i32, disposition: usize) -> Result<(), Errno> {
    let new: KernelSigaction = [disposition as u64, 0, 0, 0];
    // SAFETY: `new` is as large as the kernel's struct, and names no handler, so that no code of ours is called.
    answer(unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &new,
            core::ptr::null::<u64>(),
            8,
        )
    })
    .map(drop)
}

/// A descriptor from which the signals of `set` are read, closed on exec (signalfd4(2)).
pub fn signalfd(set: SignalSet) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is 8 bytes, as the third argument says.
    let fd = answer(unsafe { libc::syscall(libc::SYS_signalfd4, -1, &set.0, 8, flags) })?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Takes `signal` from this thread's pending ones, if it is there. Returns its si_code, positive when the kernel sent it,
/// and the sender's process id as seen from this PID namespace: 0 for a sender outside of it and for the kernel
/// (rt_sigtimedwait(2)).
pub fn take_pending(signal: i32) -> Option<(i32, RawPid)> {
    let set = SignalSet::only(signal);
    let now = [0i64; 2];
    // The kernel's siginfo_t is 128 bytes: si_signo, si_errno, si_code, padding, then si_pid for signals from kill(2).
    let mut info = [0i32; 32];
    // SAFETY: the set is 8 bytes, `info` has room for a siginfo_t, `now` for a 64-bit struct timespec.
    answer(unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &set.0, &mut info, &now, 8) }).ok()?;
    Some((info[2], info[4]))
}

/// The signals that wait until this thread no longer blocks them (rt_sigpending(2)).
pub fn pending_signals() -> SignalSet {
    let mut set = SignalSet(0);
    // SAFETY: the set is 8 bytes, as the last argument says. It cannot fail with a valid address.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &mut set.0, 8) };
    set
}

/// kill(2): `pid` below -1 means that process group.
pub fn kill(pid: RawPid, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes and returns plain numbers.
    answer(unsafe { libc::syscall(libc::SYS_kill, pid, signal) }).map(drop)
}

/// Closes every descriptor from `first` to `last` (close_range(2), Linux 5.9).
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: takes plain numbers; whoever calls this owns every descriptor of the process.
    answer(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Closes `fd` where close_range(2) is not to be had.
pub fn close(fd: RawFd) {
    // SAFETY: takes a plain number; whoever calls this owns every descriptor of the process.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Moves this process into a new namespace of the kind that `flag` names, one of CLONE_NEW* (unshare(2)).
pub fn unshare(flag: i32) -> Result<(), Errno> {
    // SAFETY: takes a plain number; the flags of namespaces do not unshare memory or descriptors.
    answer(unsafe { libc::syscall(libc::SYS_unshare, flag) }).map(drop)
}

/// Makes `to` the same open file as `from`, open across exec (dup3(2)).
pub fn duplicate_onto(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers; the callers replace 0, 1 and 2 only.
    answer(unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) }).map(drop)
}

/// Leaves `fd` open across exec (fcntl(2), F_SETFD).
pub fn keep_across_exec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers.
    answer(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_SETFD, 0) }).map(drop)
}

/// The kernel's struct mount_attr (mount_setattr(2), Linux 5.12).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Makes the mount at `path` and every mount below it read-only, in one call (mount_setattr(2), Linux 5.12).
pub fn set_tree_read_only(path: &CStr) -> Result<(), Errno> {
    let attr = MountAttr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let size = size_of::<MountAttr>();
    let flags = libc::AT_RECURSIVE;
    // SAFETY: `path` is NUL-terminated by its type and `attr` is as long as `size` says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &attr,
            size,
        )
    };
    answer(result).map(drop)
}

/// The length of the working directory's name with its NUL, written to `buffer` (getcwd(2)). Unlike libc's, the raw
/// call also answers for a directory that is not below the root: with a name that does not start with `/`.
pub fn getcwd(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `len` bytes.
    let result = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    answer(result).map(|length| length as usize)
}

/// Whether `fd` is an open descriptor (fcntl(2), F_GETFD).
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes plain numbers, and changes nothing.
    answer(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_GETFD) }).is_ok()
}

/// A descriptor of one's own for the open file of `fd`, closed on exec (fcntl(2), F_DUPFD_CLOEXEC).
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes plain numbers.
    let new = answer(unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(new as RawFd) })
}

/// Whether the kernel started this program with privileges that its caller does not have (getauxval(3), AT_SECURE).
pub fn started_with_privileges() -> bool {
    // SAFETY: takes a number and returns one.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Brings the loopback device of this network namespace up (netdevice(7), SIOCSIFFLAGS; three system calls).
pub fn loopback_up() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    let mut request = [0u8; 40];
    let (name, rest) = request.split_at_mut(libc::IFNAMSIZ);
    name[..2].copy_from_slice(b"lo");
    rest[..2].copy_from_slice(&(libc::IFF_UP as u16).to_ne_bytes());
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: `request` has the layout and size (40 bytes) of struct ifreq: 16 bytes of name, then the flags.
    answer(unsafe { libc::syscall(libc::SYS_ioctl, fd, libc::SIOCSIFFLAGS, &request) }).map(drop)
}

/// Ends this process and its threads at once, without running anything on the way (exit_group(2)).
pub fn exit(status: i32) -> ! {
    // SAFETY: takes a number, and does not return.
    unsafe { libc::syscall(libc::SYS_exit_group, status) };
    // SAFETY: the kernel has no way to refuse exit_group; this stands here for the type.
    unsafe { core::hint::unreachable_unchecked() }
}
