//! System call filters (seccomp(2)), as containers and services have them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io;

/// A call, the bits of its first argument one of which it must have (0 for any argument), and what it is answered.
pub type Rule = (i64, u32, u32);

/// The answer that is an errno.
pub const fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// A filter that answers `number` to these system calls, and lets all others through.
pub fn filter(calls: &[i64], number: i32) -> Vec<Rule> {
    filter_to(calls, errno(number))
}

/// A filter that does `action` at these system calls, and lets all others through (seccomp(2)).
pub fn filter_to(calls: &[i64], action: u32) -> Vec<Rule> {
    calls.iter().map(|&call| (call, 0, action)).collect()
}

/// What a default Docker container has in the way of namespaces.
pub fn like_docker() -> Vec<Rule> {
    let refused = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_mount_setattr,
        libc::SYS_sethostname,
        libc::SYS_keyctl,
    ];
    let mut rules = filter(&refused, libc::EPERM);
    rules.push((libc::SYS_clone3, 0, errno(libc::ENOSYS)));
    rules.push((libc::SYS_clone, NAMESPACES, errno(libc::EPERM)));
    rules
}

/// The flags that make namespaces.
pub const NAMESPACES: u32 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u32;

/// Where struct seccomp_data has the number of the call and the lower half of its first argument.
const NUMBER: u32 = 0;
const ARGUMENT: u32 = 16;

/// Installs a filter in the calling thread, for good. Other calls get through.
pub fn install(rules: &[Rule]) -> io::Result<()> {
    let mut filter = Vec::new();
    let mut statement = |code: u32, k: u32, jt: u8, jf: u8| {
        let code = code as u16;
        filter.push(libc::sock_filter { code, jt, jf, k });
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let some_bit = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    for &(call, bits, reply) in rules {
        statement(load, NUMBER, 0, 0);
        if bits == 0 {
            statement(equal, call as u32, 0, 1);
        } else {
            statement(equal, call as u32, 0, 3);
            statement(load, ARGUMENT, 0, 0);
            statement(some_bit, bits, 0, 1);
        }
        statement(answer, reply, 0, 0);
    }
    statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel reads `len` statements, and changes none.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
    };
    match failed {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}
