//! The places where a process is made.
#![allow(unsafe_code)]

use crate::child::step::Fallback;
use crate::child::{self, Task};
use crate::plan::CLONE_INTO_CGROUP;
use crate::sys::{self, RawFd, RawPid, Stack};
use core::ffi::{CStr, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, WaitOptions};
use rustix::termios::Termios;

// -------------------------------------------------------------------------------------------------------------------
// From the clone on, the new process runs in crate::child and never comes back here: it is made from one thread of a
// program that may have many, and a lock that another thread held will never be released. All that it needs has been
// made before.
// -------------------------------------------------------------------------------------------------------------------

/// The container's first process, for which somebody has to wait before the memory that it uses (`'m`) is used again.
pub struct FirstProcess<'m> {
    /// Its process id, as the launcher sees it.
    pub pid: RawPid,
    /// How clone3(2) was refused, where clone(2) was not.
    pub clone3_refused: Option<Errno>,
    /// Whether it is in the control group that it was to start in.
    pub in_group: bool,
    memory: PhantomData<&'m mut ()>,
}

/// Makes the container's first process, with a copy of this program's memory. Every signal is blocked.
pub fn copying(
    flags: u64,
    group: Option<RawFd>,
    task: &mut Task<'_>,
    stack: &mut Stack,
) -> Result<FirstProcess<'static>, Errno> {
    // SAFETY: nothing of this program's memory is used by a process that has a copy of it.
    unsafe { container(flags & !(libc::CLONE_VM as u64), group, task, stack) }
}

/// Makes the container's first process; with CLONE_VM in `flags` it shares this program's memory. Every signal is blocked.
pub fn sharing<'m>(
    flags: u64,
    group: Option<RawFd>,
    task: &'m mut Task<'_>,
    stack: &'m mut Stack,
) -> Result<FirstProcess<'m>, Errno> {
    // SAFETY: task and stack are borrowed for as long as there is a `FirstProcess`, and its holder, `Running`, does not end
    // before the process has: it waits for it when it is dropped. But for one that lives on, and has told how its command ended:
    // that one uses nothing but its stack from then on, which whoever has made it never gives back.
    unsafe { container(flags, group, task, stack) }
}

/// [`copying`], where this process has joined a PID namespace for its children: only one of those can make the first process of
/// another in there. It is made by one that has ended before this returns, and is this process's child all the same.
pub fn copying_inside(
    flags: u64,
    task: &mut Task<'_>,
    stack: &mut Stack,
) -> Result<FirstProcess<'static>, Errno> {
    let mut between = Between {
        flags,
        task: core::ptr::from_mut(task).cast::<c_void>(),
        stack,
        made: Err(Errno::SRCH),
    };
    let argument = (&raw mut between).cast::<c_void>();
    let mut its_own = [MaybeUninit::uninit(); KEEPER_STACK];
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES) as u64;
    // SAFETY: this thread waits in the call until that process has ended, which makes system calls only. Other threads do not
    // know of what it works with.
    let pid = unsafe { sys::clone(flags, &mut its_own, become_between, argument) }?;
    let options = WaitOptions::from_bits_retain(libc::__WALL as u32);
    retry_on_intr(|| rustix::process::waitpid(Pid::from_raw(pid), options))?;
    let held = between.made?;
    Ok(FirstProcess {
        pid: pid_of(&held)?,
        clone3_refused: None,
        in_group: false,
        memory: PhantomData,
    })
}

/// What the process needs that stands between.
struct Between<'a> {
    flags: u64,
    task: *mut c_void,
    stack: &'a mut Stack,
    made: Result<OwnedFd, Errno>,
}

extern "C" fn become_between(argument: *mut c_void) -> ! {
    // SAFETY: `copying_inside` gave a pointer to its `Between`, and waits until this process has ended.
    let between = unsafe { &mut *argument.cast::<Between<'_>>() };
    let flags = between.flags & !(libc::CLONE_VM as u64);
    // SAFETY: nothing of this program's memory is used by a process that has a copy of it; `become_container` makes system calls only.
    between.made =
        unsafe { sys::clone3_beside(flags, between.stack, become_container, between.task) };
    sys::exit(0)
}

/// The process that a descriptor holds, as this process sees it (proc_pid_fdinfo(5)).
pub(super) fn pid_of(held: &OwnedFd) -> Result<RawPid, Errno> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", held.as_raw_fd()));
    let info = info.map_err(|_| Errno::SRCH)?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    pid.and_then(|pid| pid.trim().parse().ok())
        .ok_or(Errno::SRCH)
}

/// See [`sys::clone3`] for what is asked of the caller.
unsafe fn container<'m>(
    flags: u64,
    group: Option<RawFd>,
    task: &mut Task<'_>,
    stack: &mut Stack,
) -> Result<FirstProcess<'m>, Errno> {
    let argument = core::ptr::from_mut(task).cast::<c_void>();
    let made = |pid, in_group, clone3_refused| FirstProcess {
        pid,
        clone3_refused,
        in_group,
        memory: PhantomData,
    };
    let flags = flags & !CLONE_INTO_CGROUP;
    if group.is_some() {
        // SAFETY: as below. Where it is refused, by a kernel before Linux 5.7 say, the process gets into the group later.
        if let Ok(pid) = unsafe { sys::clone3(flags, group, stack, become_container, argument) } {
            return Ok(made(pid, true, None));
        }
    }
    // SAFETY: `become_container` runs `child::run`, which makes system calls only; the rest is the caller's promise.
    let refused = match unsafe { sys::clone3(flags, None, stack, become_container, argument) } {
        Ok(pid) => return Ok(made(pid, false, None)),
        Err(errno) => errno,
    };
    // A system call filter, or an older kernel.
    let may_be_missing = [Errno::NOSYS, Errno::INVAL, Errno::PERM].contains(&refused);
    if !may_be_missing || !task.fallbacks.contains(Fallback::Clone3) {
        return Err(refused);
    }
    task.handlers = true;
    // SAFETY: as above.
    let pid = unsafe { sys::clone(flags, stack, become_container, argument) }?;
    Ok(made(pid, false, Some(refused)))
}

extern "C" fn become_container(argument: *mut c_void) -> ! {
    // SAFETY: `container` gave a pointer to its task, which is this process's alone.
    child::run(unsafe { &mut *argument.cast::<Task<'_>>() })
}

/// Which of the two processes this is after [`detach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that has called, and the other's process id.
    Caller(RawPid),
    /// The other one.
    Detached,
}

/// Makes a copy of this process, which goes on in a session of its own, without a terminal (fork(2), setsid(2)). For a
/// program of one thread only.
///
/// # Errors
/// When no process can be made.
pub fn detach() -> Result<Side, Errno> {
    // SAFETY: nobody else holds a lock of this program, which has one thread; libc's fork sees to its own.
    match unsafe { libc::fork() } {
        -1 => Err(Errno::from_raw_os_error(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or_default(),
        )),
        0 => rustix::process::setsid().map(|_| Side::Detached),
        pid => Ok(Side::Caller(pid)),
    }
}

/// Bytes of stack of a process that keeps something.
const KEEPER_STACK: usize = 32 * 1024;

/// What the process needs that keeps the caller's terminal.
struct Keeping<'a> {
    terminal: RawFd,
    life: RawFd,
    raw: &'a Termios,
    saved: &'a Termios,
}

/// Makes the process that keeps the caller's terminal: see [`child::keep_terminal`].
///
/// A function of its own: the stack, in the frame of the caller, would cost every launch eight page faults.
#[inline(never)]
pub fn terminal_keeper(
    terminal: RawFd,
    life: RawFd,
    raw: &Termios,
    saved: &Termios,
) -> Result<RawPid, Errno> {
    keeper(
        Keeping {
            terminal,
            life,
            raw,
            saved,
        },
        become_terminal_keeper,
    )
}

extern "C" fn become_terminal_keeper(argument: *mut c_void) -> ! {
    // SAFETY: `keeper` gave a pointer to its `Keeping`, of which this process has a copy.
    let keeping = unsafe { &*argument.cast::<Keeping<'_>>() };
    child::keep_terminal(keeping.terminal, keeping.life, keeping.raw, keeping.saved)
}

/// Makes the process that keeps a control group: see [`child::keep_group`].
pub fn group_keeper(base: RawFd, name: &CStr, life: RawFd) -> Result<RawPid, Errno> {
    keeper((base, name, life), become_group_keeper)
}

extern "C" fn become_group_keeper(argument: *mut c_void) -> ! {
    // SAFETY: `keeper` gave a pointer to such three, of which this process has a copy.
    let (base, name, life) = unsafe { *argument.cast::<(RawFd, &CStr, RawFd)>() };
    child::keep_group(base, name, life)
}

/// Makes a process with a copy of this program's memory, which makes system calls only, and is given a pointer to `what`.
fn keeper<T>(mut what: T, body: extern "C" fn(*mut c_void) -> !) -> Result<RawPid, Errno> {
    let argument = (&raw mut what).cast::<c_void>();
    let mut stack = [MaybeUninit::uninit(); KEEPER_STACK];
    let mask = sys::set_signal_mask(sys::SignalSet::ALL);
    // SAFETY: nothing of this program's memory is used by a process that has a copy of it. It has the caller's handlers,
    // but all signals are blocked in it.
    let pid = unsafe { sys::clone(0, &mut stack, body, argument) };
    sys::set_signal_mask(mask);
    pid
}
