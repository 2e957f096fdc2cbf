//! System calls by name, and which of them can be refused in which way.

/// The errnos of the matrix.
pub const ERRNOS: [i32; 5] = [
    libc::EPERM,
    libc::ENOMEM,
    libc::EINTR,
    libc::ENOSPC,
    libc::EMFILE,
];

/// How an errno is written: `EPERM`.
pub fn symbol(errno: i32) -> String {
    rootlet::error::Errno(errno).symbol()
}

/// The errno that is written so.
pub fn number(symbol: &str) -> i32 {
    let known = rootlet::error::Errno::from_symbol(symbol);
    known.unwrap_or_else(|| panic!("{symbol} is no errno")).0
}

/// Calls that ask for nothing that could be refused: with right arguments they always succeed. What only a faulty address
/// could make fail is among them. A trace of faults in them would be one of cases that no kernel makes.
const ALWAYS: &[i64] = &[
    libc::SYS_arch_prctl,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpgid,
    libc::SYS_getpgrp,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_rseq,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_umask,
    libc::SYS_uname,
];

/// Calls of the memory allocator, which can find no memory and nothing else.
const MEMORY: &[i64] = &[
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
];

/// Calls that ask whether one may do something. That one may not (EPERM, for an immutable file) is an answer.
const QUESTIONS: &[i64] = &[libc::SYS_access, libc::SYS_faccessat, libc::SYS_faccessat2];

/// The errnos of the matrix that are no answer to such a question.
const NOT_EPERM: [i32; 4] = [libc::ENOMEM, libc::EINTR, libc::ENOSPC, libc::EMFILE];

/// The errnos with which `call` is to be refused.
pub fn errnos(call: i64) -> &'static [i32] {
    match call {
        _ if ALWAYS.contains(&call) => &[],
        _ if MEMORY.contains(&call) => &[libc::ENOMEM],
        _ if QUESTIONS.contains(&call) => &NOT_EPERM,
        _ => &ERRNOS,
    }
}

/// The name of a system call.
pub fn name(call: i64) -> String {
    let known = syscalls::Sysno::new(call as usize);
    known.map_or_else(|| format!("call-{call}"), |known| known.name().to_string())
}
