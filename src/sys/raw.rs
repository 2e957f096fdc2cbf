//! The bare system call, for x86-64 and arm64.
//!
//! libc's syscall(2) puts a failure into `errno`, which is a variable of the calling thread. A process that shares its
//! launcher's memory has the launcher's thread-local variables too, so that each would overwrite the other's errno. Here
//! the answer stays in a register.

use core::arch::asm;
use core::ffi::{c_long, c_void};
use rustix::io::Errno;

/// What can be an argument of a system call: one register's worth.
pub(super) trait Word {
    /// As the register has it.
    fn word(self) -> usize;
}

macro_rules! words {
    ($($number:ty),*) => { $(impl Word for $number {
        fn word(self) -> usize {
            self as usize
        }
    })* };
}
words!(i32, u32, u64, usize);

impl<T: ?Sized> Word for *const T {
    fn word(self) -> usize {
        self.cast::<u8>() as usize
    }
}

impl<T: ?Sized> Word for *mut T {
    fn word(self) -> usize {
        self.cast::<u8>() as usize
    }
}

impl<T> Word for &T {
    fn word(self) -> usize {
        core::ptr::from_ref(self).word()
    }
}

impl<T> Word for &mut T {
    fn word(self) -> usize {
        core::ptr::from_mut(self).word()
    }
}

/// `syscall!(SYS_close, fd)`: see [`call`].
macro_rules! syscall {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        $crate::sys::raw::call(libc::$number, [$($crate::sys::raw::Word::word($argument)),*])
    };
}
pub(super) use syscall;

/// A system call with its arguments, six at most.
///
/// # Safety
/// The arguments are what the call with this number asks for.
pub(super) unsafe fn call<const N: usize>(
    number: c_long,
    arguments: [usize; N],
) -> Result<usize, Errno> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    let result: isize;
    // SAFETY: the kernel's calling convention: it preserves every register but those that are named here.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, out("rcx") _, out("r11") _, options(nostack))
    };
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, in("x5") f, options(nostack))
    };
    answer(result)
}

/// A system call that makes a process (clone or clone3), with up to five arguments. It returns in the caller alone: the
/// new process calls `body(argument)`, on the stack that the arguments name.
///
/// # Safety
/// The arguments are what the call with this number asks for, and name a stack, whose end is aligned to 16 bytes.
pub(super) unsafe fn call_clone(
    number: c_long,
    arguments: [usize; 5],
    body: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> Result<usize, Errno> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: in the caller this is a system call like any other. The new process has the same registers but for the
    // stack and the result, 0: it ends the chain of frames, calls `body`, and never comes to the end of this block. What
    // the call overwrites is an `out`, not a `lateout`, which could share its register with `body`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, {argument}", "call {body}", "ud2", "2:",
            argument = in(reg) argument, body = in(reg) body, inlateout("rax") number as isize => result, in("rdi") a,
            in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, out("rcx") _, out("r11") _)
    };
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", "cbnz x0, 2f", "mov x29, xzr", "mov x0, {argument}", "blr {body}", "brk #1", "2:",
            argument = in(reg) argument, body = in(reg) body, in("x8") number, inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, out("lr") _)
    };
    answer(result)
}

/// The kernel's answer as a result: the last 4,095 values are errnos, negated.
fn answer(value: isize) -> Result<usize, Errno> {
    match value {
        -4095..0 => Err(Errno::from_raw_os_error(-value as i32)),
        value => Ok(value as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_errno_and_leaves_the_threads_errno_alone() {
        // SAFETY: the address of this thread's errno is always valid.
        let errno = unsafe { &mut *libc::__errno_location() };
        *errno = 7;
        // SAFETY: takes a plain number; no such descriptor is open.
        let closed = unsafe { syscall!(SYS_close, -1) };
        assert_eq!((closed, *errno), (Err(Errno::BADF), 7));
    }

    #[test]
    fn every_argument_arrives() {
        // SAFETY: an anonymous mapping at no address of ours is no one else's.
        let mapped = unsafe { syscall!(SYS_mmap, 0, 4096, 3, 0x22, -1, 0) }.unwrap();
        // SAFETY: the page was mapped for reading and writing.
        unsafe { *(mapped as *mut u8) = 1 };
        // SAFETY: the page is ours, and is not used after this.
        assert_eq!(unsafe { syscall!(SYS_munmap, mapped, 4096) }, Ok(0));
    }
}
