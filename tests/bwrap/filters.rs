//! System call filters (seccomp(2)) that are read from descriptors: classic BPF, as the kernel has it.

use crate::fds::Fd;
use crate::programs::{WAYS, each, in_tools};
use std::io::Write;

/// A program that answers this errno to each of these system calls, and lets all others through.
pub fn refusing(calls: &[i64], errno: i32) -> Fd {
    Fd::text(program(calls, libc::SECCOMP_RET_ERRNO | errno as u32))
}

fn program(calls: &[i64], answer: u32) -> Vec<u8> {
    const NUMBER: u32 = 0;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER);
    let returned = |value| (libc::BPF_RET | libc::BPF_K, 0, 0, value);
    let refusal = |&call: &i64| {
        let equal = (
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            call as u32,
        );
        [equal, returned(answer)]
    };
    let mut program = vec![load];
    program.extend(calls.iter().flat_map(refusal));
    program.push(returned(libc::SECCOMP_RET_ALLOW));
    program.into_iter().flat_map(bytes).collect()
}

/// A struct sock_filter.
fn bytes((code, then, otherwise, k): (u32, u8, u8, u32)) -> [u8; 8] {
    let [low, high] = (code as u16).to_ne_bytes();
    let [a, b, c, d] = k.to_ne_bytes();
    [low, high, then, otherwise, a, b, c, d]
}

/// A script that prints what becomes of uname(2) and of mkdir(2).
const TRY: &str =
    "for try in 'uname' 'mkdir /d'; do LC_ALL=C $try 2>&1 >/dev/null | sed 's/.*: //'; done";
const DENIED: &str = "Permission denied";
const NOT_PERMITTED: &str = "Operation not permitted";

#[test]
fn a_filter_applies_to_the_command_and_to_what_it_starts() {
    each(|bwrap| {
        for option in ["--seccomp", "--add-seccomp-fd"] {
            for way in WAYS {
                let filter = refusing(&[libc::SYS_uname], libc::EPERM);
                let options = format!("{option} {filter} {way}");
                assert_eq!(
                    bwrap.inside(&[&filter], &options, TRY),
                    NOT_PERMITTED,
                    "{options}"
                );
            }
        }
    });
}

#[test]
fn several_filters_all_apply_and_of_two_that_refuse_the_last_says_how() {
    const BOTH: &str = "Operation not permitted\nPermission denied";
    let cases = [
        (
            (libc::SYS_uname, libc::EPERM),
            (libc::SYS_mkdir, libc::EACCES),
            BOTH,
        ),
        (
            (libc::SYS_mkdir, libc::EACCES),
            (libc::SYS_uname, libc::EPERM),
            BOTH,
        ),
        (
            (libc::SYS_uname, libc::EPERM),
            (libc::SYS_uname, libc::EACCES),
            DENIED,
        ),
        (
            (libc::SYS_uname, libc::EACCES),
            (libc::SYS_uname, libc::EPERM),
            NOT_PERMITTED,
        ),
    ];
    each(|bwrap| {
        for (first, last, wanted) in cases {
            let [first, last] = [first, last].map(|(call, errno)| refusing(&[call], errno));
            let options = format!("--add-seccomp-fd {first} --add-seccomp-fd {last}");
            assert_eq!(bwrap.inside(&[&first, &last], &options, TRY), wanted);
        }
    });
}

#[test]
fn of_filters_that_count_once_the_last_is_taken_and_that_is_warned_of() {
    each(|bwrap| {
        let first = refusing(&[libc::SYS_uname], libc::EPERM);
        let last = refusing(&[libc::SYS_mkdir], libc::EACCES);
        let options = format!("--seccomp {first} --seccomp {last}");
        let ran = bwrap.run(&[&first, &last], &in_tools(&options, TRY));
        let warning = "bwrap: Only the last --seccomp option will take effect";
        assert_eq!((ran.status, &*ran.out, &*ran.err), (0, DENIED, warning));
    });
}

#[test]
fn a_filter_does_not_hinder_what_comes_before_the_command() {
    let calls = [
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chdir,
        libc::SYS_setsid,
        libc::SYS_capset,
        libc::SYS_prctl,
    ];
    each(|bwrap| {
        let filter = refusing(&calls, libc::ENOSYS);
        let options = format!(
            "--add-seccomp-fd {filter} --unshare-all --dev /dev --proc /proc --new-session --chdir /usr \
             --cap-add CAP_KILL"
        );
        assert_eq!(bwrap.inside(&[&filter], &options, "pwd"), "/usr");
    });
}

#[test]
fn a_filter_that_refuses_to_execute_anything_leaves_nothing_to_run() {
    each(|bwrap| {
        let filter = refusing(&[libc::SYS_execve, libc::SYS_execveat], libc::EPERM);
        let why = "execvp sh: Operation not permitted";
        bwrap.refuses_inside(&[&filter], &format!("--seccomp {filter}"), why);
    });
}

#[test]
fn a_filter_can_kill_the_command() {
    each(|bwrap| {
        let filter = Fd::text(program(&[libc::SYS_uname], libc::SECCOMP_RET_KILL_PROCESS));
        let options = format!("--seccomp {filter}");
        let ran = bwrap.run(&[&filter], &in_tools(&options, "ulimit -c 0; exec uname"));
        assert_eq!((ran.status, &*ran.out), (128 + libc::SIGSYS, ""));
    });
}

#[test]
fn a_filter_is_read_from_a_pipe_too() {
    each(|bwrap| {
        let (filter, mut writer) = Fd::from_test();
        let answer = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        writer
            .write_all(&program(&[libc::SYS_uname], answer))
            .unwrap();
        drop(writer);
        let options = format!("--seccomp {filter}");
        assert_eq!(bwrap.inside(&[&filter], &options, TRY), NOT_PERMITTED);
    });
}

#[test]
fn what_is_no_filter_is_refused() {
    const LENGTH: &str = "Invalid seccomp data, must be multiple of 8";
    const KERNEL: &str = "Unable to set up system call filtering as requested";
    let program = program(&[], 0);
    each(|bwrap| {
        for option in ["--seccomp", "--add-seccomp-fd"] {
            // One that is right in length the kernel may still refuse: if it is empty, or has no end.
            for (bytes, why) in [
                (&b"x"[..], LENGTH),
                (&program[1..], LENGTH),
                (b"", KERNEL),
                (&program[..8], KERNEL),
            ] {
                let filter = Fd::text(bytes);
                bwrap.refuses_inside(&[&filter], &format!("{option} {filter}"), why);
            }
        }
    });
}
