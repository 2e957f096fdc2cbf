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

macro_rules! names {
    ($($name:ident)*) => {
        /// The name of a system call.
        pub fn name(call: i64) -> String {
            let known: &[(i64, &str)] = &[$((libc::$name, stringify!($name))),*];
            let found = known.iter().find(|(number, _)| *number == call);
            found.map_or_else(|| format!("call {call}"), |(_, name)| name["SYS_".len()..].to_string())
        }
    };
}

names! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_chmod SYS_chown SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_clone3 SYS_close SYS_close_range SYS_connect SYS_dup SYS_dup2 SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_wait SYS_eventfd2 SYS_execve SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync SYS_flock SYS_fork SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getpgid SYS_getpgrp SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrlimit SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_getuid SYS_getxattr SYS_ioctl SYS_keyctl SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_link SYS_linkat SYS_listxattr SYS_llistxattr SYS_lseek SYS_lstat SYS_madvise SYS_memfd_create SYS_mkdir SYS_mkdirat SYS_mknod SYS_mknodat SYS_mmap SYS_mount SYS_mount_setattr SYS_move_mount SYS_mprotect SYS_mremap SYS_munmap SYS_nanosleep SYS_newfstatat SYS_open SYS_open_tree SYS_openat SYS_openat2 SYS_personality SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe SYS_pipe2 SYS_pivot_root SYS_poll SYS_ppoll SYS_prctl SYS_pread64 SYS_prlimit64 SYS_pwrite64 SYS_read SYS_readlink SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmsg SYS_rename SYS_renameat SYS_renameat2 SYS_rmdir SYS_rseq SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigtimedwait SYS_sched_getaffinity SYS_sched_yield SYS_seccomp SYS_sendmsg SYS_sendto SYS_set_robust_list SYS_set_tid_address SYS_setgid SYS_setgroups SYS_sethostname SYS_setns SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setrlimit SYS_setsid SYS_setsockopt SYS_setuid SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair SYS_stat SYS_statfs SYS_statx SYS_symlink SYS_symlinkat SYS_tgkill SYS_timerfd_create SYS_timerfd_settime SYS_umask SYS_umount2 SYS_uname SYS_unlink SYS_unlinkat SYS_unshare SYS_utimensat SYS_vfork SYS_wait4 SYS_waitid SYS_write SYS_writev
}
