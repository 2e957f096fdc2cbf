//! System call filters, for processes that the tests start.
#![allow(dead_code, reason = "each test program uses a part of it")]

/// A filter that answers `errno` to these system calls, and lets all others through.
pub fn filter(calls: &[i64], errno: i32) -> Vec<libc::sock_filter> {
    filter_to(calls, libc::SECCOMP_RET_ERRNO | errno as u32)
}

/// A filter that does `action` at these system calls, and lets all others through (seccomp(2)).
pub fn filter_to(calls: &[i64], action: u32) -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32, jt: u8| libc::sock_filter {
        code: code as u16,
        jt,
        jf: 0,
        k,
    };
    let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (number, &call) in calls.iter().enumerate() {
        // Over the other comparisons and the statement that allows.
        filter.push(statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            call as u32,
            (calls.len() - number) as u8,
        ));
    }
    filter.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
        0,
    ));
    filter.push(statement(libc::BPF_RET | libc::BPF_K, action, 0));
    filter
}

/// Installs a filter in the calling thread, for good.
pub fn install(filter: &[libc::sock_filter]) -> std::io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads `len` statements, and changes none.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
    };
    if failed {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What a default Docker container has in the way of namespaces: filters, of which each answers to some calls.
pub fn like_docker() -> Vec<Vec<libc::sock_filter>> {
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
    vec![
        filter(&refused, libc::EPERM),
        filter(&[libc::SYS_clone3], libc::ENOSYS),
        no_namespaces(),
    ]
}

/// EPERM for a clone(2) with a flag of CLONE_NEW*.
fn no_namespaces() -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let answer = libc::BPF_RET | libc::BPF_K;
    let is_clone = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let has = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
    vec![
        statement(load, 0, 0, 0),
        statement(is_clone, libc::SYS_clone as u32, 0, 3),
        statement(load, 16, 0, 0),
        statement(has, 0x7e02_0000, 0, 1),
        statement(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
        statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
    ]
}
