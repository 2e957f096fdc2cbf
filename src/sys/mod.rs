//! System calls that neither nix nor rustix wraps, or that they wrap in a way that may not be used after clone.
//!
//! Every function here is one system call (or names the few that it is), allocates nothing and takes no lock, so that
//! [`crate::child`] may call it. They are raw on purpose: libc's sigprocmask leaves out the signals that libc keeps for
//! itself, its sigaction takes a lock, and all of it writes to the calling thread's errno, which a process inside may
//! share with its launcher (see `raw`).

pub mod alloc;
mod instruction;
pub mod landlock;
pub mod namespace;
pub mod probe;
mod processors;
mod raw;
pub mod seccomp;

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::AtomicI32;
pub use processors::Processors;
use raw::syscall;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::CString;

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

    /// These signals.
    pub fn of(signals: &[i32]) -> Self {
        let bits = signals.iter().map(|&signal| SignalSet::only(signal).0);
        SignalSet(bits.fold(0, |set, bit| set | bit))
    }
}

/// The kernel's struct clone_args, in its third version (clone3(2), Linux 5.7).
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
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Bytes of its first version, which is all that there is before Linux 5.5.
const CLONE_ARGS_FIRST: usize = 64;

/// Bytes of its second version, with `set_tid` (Linux 5.5).
const CLONE_ARGS_SECOND: usize = 80;

/// From linux/sched.h (Linux 5.7).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// From linux/sched.h (Linux 5.5); libc's constant has a type too small for it.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// What a new process does: it is called once, on a stack of its own.
pub type Body = extern "C" fn(*mut c_void) -> !;

/// The memory of a stack.
pub type Stack = [core::mem::MaybeUninit<u8>];

/// Makes a process in the new namespaces that `flags` name, which calls `body(argument)` on `stack`. With CLONE_VM it
/// shares this process's memory, otherwise it has a copy. No signal handler is installed in it (CLONE_CLEAR_SIGHAND,
/// Linux 5.5). It starts in the control group whose directory `cgroup` is (CLONE_INTO_CGROUP, Linux 5.7), or in this
/// process's. clone3(2).
///
/// It sends no signal when it ends, so that a caller who ignores SIGCHLD or waits for "any child" neither loses nor
/// steals its status; wait for it with `__WALL`.
///
/// # Safety
/// The new process has one thread only, whatever locks the others held: `body` may make system calls and no more, and
/// must not allocate or panic. With CLONE_VM the stack, the argument and all that they lead to stay where they are, and
/// are nobody else's, until the process has ended or has executed a program.
pub unsafe fn clone3(
    flags: u64,
    cgroup: Option<RawFd>,
    stack: &mut Stack,
    body: Body,
    argument: *mut c_void,
) -> Result<RawPid, Errno> {
    let base = stack.as_mut_ptr() as u64;
    let (into, size) = match cgroup {
        Some(_) => (CLONE_INTO_CGROUP, size_of::<CloneArgs>()),
        None => (0, CLONE_ARGS_FIRST),
    };
    let args = CloneArgs {
        flags: flags | CLONE_CLEAR_SIGHAND | into,
        cgroup: cgroup.unwrap_or_default() as u64,
        stack: base,
        stack_size: top(stack) as u64 - base,
        ..CloneArgs::default()
    };
    let arguments = [&raw const args as usize, size, 0, 0, 0];
    // SAFETY: `args` is at least as long as the second argument says, and names the aligned stack; the rest is the caller's.
    unsafe { raw::call_clone(libc::SYS_clone3, arguments, body, argument) }.map(|pid| pid as RawPid)
}

/// [`clone3`] of a process that is not this one's child but its parent's (CLONE_PARENT), and a descriptor of it (CLONE_PIDFD, Linux
/// 5.2).
///
/// # Safety
/// See [`clone3`].
pub unsafe fn clone3_beside(
    flags: u64,
    stack: &mut Stack,
    body: Body,
    argument: *mut c_void,
) -> Result<OwnedFd, Errno> {
    let base = stack.as_mut_ptr() as u64;
    let mut held: RawFd = -1;
    let args = CloneArgs {
        flags: flags | CLONE_CLEAR_SIGHAND | (libc::CLONE_PARENT | libc::CLONE_PIDFD) as u64,
        pidfd: &raw mut held as u64,
        stack: base,
        stack_size: top(stack) as u64 - base,
        ..CloneArgs::default()
    };
    let arguments = [&raw const args as usize, CLONE_ARGS_FIRST, 0, 0, 0];
    // SAFETY: `args` is at least as long as the second argument says, names the aligned stack, and has room for a descriptor; the
    // rest is the caller's.
    unsafe { raw::call_clone(libc::SYS_clone3, arguments, body, argument) }?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(held) })
}

/// [`clone3`] in the older way, clone(2): the caller's signal handlers are still installed in the new process, and
/// `flags` may hold the signal that it sends when it ends.
///
/// # Safety
/// See [`clone3`].
pub unsafe fn clone(
    flags: u64,
    stack: &mut Stack,
    body: Body,
    argument: *mut c_void,
) -> Result<RawPid, Errno> {
    let arguments = [flags as usize, top(stack), 0, 0, 0];
    // SAFETY: the stack is aligned. Where x86-64 and arm64 order the last arguments differently, all are 0.
    unsafe { raw::call_clone(libc::SYS_clone, arguments, body, argument) }.map(|pid| pid as RawPid)
}

/// [`clone3`] of a process that shares this one's memory, with the process id `pid` (set_tid, Linux 5.5); when it has ended, 0 is
/// written to `ended`, and who waits for that ([`await_change`]) is woken (CLONE_CHILD_CLEARTID).
///
/// # Safety
/// See [`clone3`]; `ended` stays where it is until then.
pub unsafe fn clone3_sharing(
    flags: u64,
    pid: RawPid,
    stack: &mut Stack,
    ended: &AtomicI32,
    body: Body,
    argument: *mut c_void,
) -> Result<RawPid, Errno> {
    let flags = flags | (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64;
    let base = stack.as_mut_ptr() as u64;
    let args = CloneArgs {
        flags,
        child_tid: ended.as_ptr() as u64,
        stack: base,
        stack_size: top(stack) as u64 - base,
        set_tid: &raw const pid as u64,
        set_tid_size: 1,
        ..CloneArgs::default()
    };
    let arguments = [&raw const args as usize, CLONE_ARGS_SECOND, 0, 0, 0];
    // SAFETY: `args` is at least as long as the second argument says, and names the aligned stack, the word and one process id.
    unsafe { raw::call_clone(libc::SYS_clone3, arguments, body, argument) }.map(|pid| pid as RawPid)
}

/// Waits while `word` is `value`, or for a moment only (futex(2), FUTEX_WAIT; not the private one, since the kernel's wake-up at
/// an exit is none).
pub fn await_change(word: &AtomicI32, value: i32) {
    // SAFETY: the word is there, and no time limit is named.
    let _ = unsafe { syscall!(SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, 0) };
}

/// Wakes who waits for a change of `word` (FUTEX_WAKE).
pub fn wake(word: &AtomicI32) {
    // SAFETY: the word is there.
    let _ = unsafe { syscall!(SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

/// The end of a stack, where it begins to be used: the ABIs want it aligned to 16 bytes.
fn top(stack: &mut Stack) -> usize {
    let end = stack.as_mut_ptr_range().end as usize;
    end - end % 16
}

/// execve(2). Returns only when it failed.
///
/// # Safety
/// `argv` and `envp` point to arrays that end with a null pointer, of pointers to NUL-terminated strings.
pub unsafe fn execve(path: &CStr, argv: *const *const c_char, envp: *const *const c_char) -> Errno {
    // SAFETY: the caller's promise; `path` is NUL-terminated by its type.
    match unsafe { syscall!(SYS_execve, path.as_ptr(), argv, envp) } {
        Err(errno) => errno,
        Ok(_) => Errno::IO,
    }
}

/// Executes `path` in the place of this program, with these words and this environment; returns only what was refused.
pub fn execute(path: &CStr, words: &[CString], environment: &[CString]) -> Errno {
    let pointers = |list: &[CString]| -> Vec<*const c_char> {
        let strings = list.iter().map(|string| string.as_ptr());
        strings.chain([core::ptr::null()]).collect()
    };
    let (words, environment) = (pointers(words), pointers(environment));
    // SAFETY: both lists end with a null pointer, and what they point to is borrowed for longer than the call.
    unsafe { execve(path, words.as_ptr(), environment.as_ptr()) }
}

/// Blocks exactly `mask` in this thread and returns what was blocked before (rt_sigprocmask(2)).
pub fn set_signal_mask(mask: SignalSet) -> SignalSet {
    let mut old = SignalSet(0);
    // SAFETY: both sets are 8 bytes, as the last argument says. It cannot fail with valid addresses.
    let _ = unsafe {
        syscall!(
            SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &mask.0,
            &mut old.0,
            8
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
    unsafe { syscall!(SYS_rt_sigaction, signal, 0, &mut old, 8) }?;
    Ok(old[0] as usize)
}

/// Sets what this process does on `signal` to [`libc::SIG_DFL`] or [`libc::SIG_IGN`] (rt_sigaction(2)).
pub fn set_signal_disposition(signal: i32, disposition: usize) -> Result<(), Errno> {
    let new: KernelSigaction = [disposition as u64, 0, 0, 0];
    // SAFETY: `new` is as large as the kernel's struct, and names no handler, so that no code of ours is called.
    unsafe { syscall!(SYS_rt_sigaction, signal, &new, 0, 8) }.map(drop)
}

/// A descriptor from which the signals of `set` are read, closed on exec (signalfd4(2)).
pub fn signalfd(set: SignalSet) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is 8 bytes, as the third argument says.
    let fd = unsafe { syscall!(SYS_signalfd4, -1, &set.0, 8, flags) }?;
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
    unsafe { syscall!(SYS_rt_sigtimedwait, &set.0, &mut info, &now, 8) }.ok()?;
    Some((info[2], info[4]))
}

/// The signals that wait until this thread no longer blocks them (rt_sigpending(2)).
pub fn pending_signals() -> SignalSet {
    let mut set = SignalSet(0);
    // SAFETY: the set is 8 bytes, as the last argument says. It cannot fail with a valid address.
    let _ = unsafe { syscall!(SYS_rt_sigpending, &mut set.0, 8) };
    set
}

/// kill(2): `pid` below -1 means that process group.
pub fn kill(pid: RawPid, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes and returns plain numbers.
    unsafe { syscall!(SYS_kill, pid, signal) }.map(drop)
}

/// Limits what this process may have of the resource with this number; `u64::MAX` is no limit (prlimit64(2)).
pub fn set_limit(resource: u8, soft: u64, hard: u64) -> Result<(), Errno> {
    let new = [soft, hard];
    // SAFETY: `new` is a struct rlimit64; a null pointer asks for no old one.
    unsafe { syscall!(SYS_prlimit64, 0, i32::from(resource), &new, 0) }.map(drop)
}

/// What this process may have of the resource with this number: the soft limit and the hard one (prlimit64(2)). rustix's
/// getrlimit takes it for granted that this cannot be refused; a system call filter may.
pub fn limits(resource: u8) -> Result<[u64; 2], Errno> {
    let mut old = [0u64; 2];
    // SAFETY: `old` has room for a struct rlimit64; a null pointer asks for no change.
    unsafe { syscall!(SYS_prlimit64, 0, i32::from(resource), 0, &mut old) }?;
    Ok(old)
}

/// Closes every descriptor from `first` to `last` (close_range(2), Linux 5.9).
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: takes plain numbers; whoever calls this owns every descriptor of the process.
    unsafe { syscall!(SYS_close_range, first, last, 0) }.map(drop)
}

/// Closes `fd` where close_range(2) is not to be had.
pub fn close(fd: RawFd) {
    // SAFETY: takes a plain number; whoever calls this owns every descriptor of the process.
    let _ = unsafe { syscall!(SYS_close, fd) };
}

/// Moves this process into a new namespace of the kind that `flag` names, one of CLONE_NEW* (unshare(2)).
pub fn unshare(flag: i32) -> Result<(), Errno> {
    // SAFETY: takes a plain number; the flags of namespaces do not unshare memory or descriptors.
    unsafe { syscall!(SYS_unshare, flag) }.map(drop)
}

/// Enters the namespace of `fd`, of the kind that `flag` names, one of CLONE_NEW* (setns(2)).
pub fn join_namespace(fd: RawFd, flag: i32) -> Result<(), Errno> {
    // SAFETY: takes plain numbers.
    unsafe { syscall!(SYS_setns, fd, flag) }.map(drop)
}

/// Makes `to` the same open file as `from`, open across exec (dup3(2)).
pub fn duplicate_onto(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers; the callers replace 0, 1 and 2 only.
    unsafe { syscall!(SYS_dup3, from, to, 0) }.map(drop)
}

/// Whether `fd` is open, and stays so across exec (fcntl(2), F_GETFD).
pub fn is_inheritable(fd: RawFd) -> bool {
    // SAFETY: takes plain numbers.
    unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFD, 0) }
        .is_ok_and(|flags| flags as i32 & libc::FD_CLOEXEC == 0)
}

/// Leaves `fd` open across exec (fcntl(2), F_SETFD).
pub fn keep_across_exec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers.
    unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFD, 0) }.map(drop)
}

/// Closes `fd` at the exec (fcntl(2), F_SETFD).
pub fn close_at_exec(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers.
    unsafe { syscall!(SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) }.map(drop)
}

/// Takes a lock of the whole of an open file, to read, which others hold too, or gives the errno back at once (fcntl(2), F_SETLK). It
/// is the process's, and ends when that closes the file.
pub fn lock_to_read(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let lock = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: `lock` is the kernel's struct flock, which it reads.
    unsafe { syscall!(SYS_fcntl, file.as_raw_fd(), libc::F_SETLK, &lock) }.map(drop)
}

/// The kernel's struct mount_attr (mount_setattr(2), Linux 5.12).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets `attributes`, MOUNT_ATTR_*, of the mount at `path`, and with AT_RECURSIVE in `flags` of every mount below it, in one call
/// (mount_setattr(2), Linux 5.12). A `path` that is empty means the mount of `at`, with AT_EMPTY_PATH in `flags`.
pub fn set_mount_attributes(
    at: RawFd,
    path: &CStr,
    flags: i32,
    attributes: u64,
) -> Result<(), Errno> {
    let attr = MountAttr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: `path` is NUL-terminated by its type and `attr` is as long as the last argument says.
    unsafe {
        syscall!(
            SYS_mount_setattr,
            at,
            path.as_ptr(),
            flags,
            &attr,
            size_of::<MountAttr>()
        )
    }
    .map(drop)
}

/// The length of the working directory's name with its NUL, written to `buffer` (getcwd(2)). Unlike libc's, the raw
/// call also answers for a directory that is not below the root: with a name that does not start with `/`.
pub fn getcwd(buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `len` bytes.
    unsafe { syscall!(SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) }
}

/// Asks about `fd`; EBADF says that it is not open (fcntl(2), F_GETFD).
pub fn look_at_descriptor(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes plain numbers, and changes nothing.
    unsafe { syscall!(SYS_fcntl, fd, libc::F_GETFD) }.map(drop)
}

/// How many files this process may have open: the soft limit and the hard one.
pub fn open_files() -> Result<[u64; 2], Errno> {
    limits(libc::RLIMIT_NOFILE as u8)
}

/// Sets the soft limit of open files, from the limits that there are.
pub fn set_open_files(soft: impl FnOnce([u64; 2]) -> u64) -> Result<(), Errno> {
    let [current, most] = open_files()?;
    set_limit(libc::RLIMIT_NOFILE as u8, soft([current, most]), most)
}

/// A descriptor of one's own for the open file of `fd`, closed on exec (fcntl(2), F_DUPFD_CLOEXEC).
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes plain numbers.
    let new = unsafe { syscall!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 3) }?;
    // SAFETY: the kernel has just made this descriptor, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(new as RawFd) })
}

/// Gives this thread a session keyring of its own, with nothing in it (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
pub fn join_session_keyring() -> Result<(), Errno> {
    // SAFETY: takes plain numbers; a null pointer stands for a keyring without a name.
    unsafe { syscall!(SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0) }.map(drop)
}

/// Whether the kernel started this program with privileges that its caller does not have (getauxval(3), AT_SECURE).
pub fn started_with_privileges() -> bool {
    // SAFETY: takes a number and returns one.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The path by which this program was executed (getauxval(3), AT_EXECFN).
pub fn executed_path() -> Option<&'static CStr> {
    // SAFETY: takes a number and returns one.
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    // SAFETY: the kernel has put a string there, beside the environment, where it stays.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })
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
    unsafe { syscall!(SYS_ioctl, fd, libc::SIOCSIFFLAGS, &request) }.map(drop)
}

/// Ends this process and its threads at once, without running anything on the way (exit_group(2)).
pub fn exit(status: i32) -> ! {
    // SAFETY: takes a number, and does not return.
    let _ = unsafe { syscall!(SYS_exit_group, status) };
    // SAFETY: the kernel has no way to refuse exit_group; this stands here for the type.
    unsafe { core::hint::unreachable_unchecked() }
}
