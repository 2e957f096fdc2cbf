//! Namespaces that are taken from another sandbox, or whose user namespace is set up by the caller.

use crate::fds::{Fd, text_of};
use crate::live::{ANSWER, LEAVE, Live, documents, info_of};
use crate::programs::{each, in_tools};
use crate::support::send;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::process::{getgid, getuid};
use std::io::Write;
use std::path::Path;

/// A namespace of a process.
fn namespace(pid: u32, kind: &str) -> Fd {
    Fd::open(format!("/proc/{pid}/ns/{kind}"))
}

/// Its name, as a link to it has it.
fn name(fd: &Fd) -> String {
    let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
    target.into_os_string().into_string().unwrap()
}

/// The user namespace in which that of users `fd` was made (ioctl_nsfs(2)).
fn parent(fd: &Fd) -> Fd {
    const NS_GET_PARENT: libc::Ioctl = 0xb702;
    // SAFETY: takes plain numbers, and returns a new descriptor.
    let parent = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_PARENT) };
    assert!(parent >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it is nobody else's.
    Fd::of(unsafe { OwnedFd::from_raw_fd(parent) })
}

#[test]
fn a_user_namespace_can_be_that_of_another_sandbox() {
    each(|bwrap| {
        let (mut other, pid) = info_of(bwrap, "--unshare-user --uid 5", ANSWER);
        let user = namespace(pid, "user");
        let options = format!("--userns {user} --uid 5 --proc /proc");
        let shown = bwrap.inside(&[&user], &options, "readlink /proc/self/ns/user; id -u");
        assert_eq!(shown, format!("{}\n5", name(&user)));
        other.answers();
        other.end();
    });
}

#[test]
fn set_up_is_made_in_one_user_namespace_and_the_command_runs_in_one_below() {
    each(|bwrap| {
        let script = format!("exec unshare -U sh -c '{ANSWER}'");
        let (mut other, pid) = info_of(bwrap, "--unshare-user", &script);
        let second = namespace(pid, "user");
        let first = parent(&second);
        let options = format!("--userns {first} --userns2 {second} --proc /proc");
        let shown = bwrap.inside(&[&first, &second], &options, "readlink /proc/self/ns/user");
        assert_eq!(shown, name(&second));
        other.end();
    });
}

#[test]
fn a_pid_namespace_can_be_that_of_another_sandbox_and_one_more_be_made_in_it() {
    each(|bwrap| {
        let (mut other, pid) = info_of(bwrap, "--unshare-user --unshare-pid", ANSWER);
        let (user, pids) = (namespace(pid, "user"), namespace(pid, "pid"));
        let fds = [&user, &pids];
        let joined = format!("--userns {user} --pidns {pids} --proc /proc");
        let script = "readlink /proc/self/ns/pid; test $$ -gt 2; ls -d /proc/2; exit 42";
        let ran = bwrap.run(&fds, &in_tools(&joined, script));
        let shown = format!("{}\n/proc/2", name(&pids));
        assert_eq!((ran.status, ran.out, &*ran.err), (42, shown, ""));
        let script = "readlink /proc/self/ns/pid; echo $$";
        let shown = bwrap.inside(&fds, &format!("{joined} --unshare-pid"), script);
        let (made, number) = shown.split_once('\n').unwrap();
        assert_eq!((made == name(&pids), number), (false, "2"));
        other.answers();
        other.end();
    });
}

#[test]
fn what_is_left_in_anothers_pid_namespace_keeps_that_alive_and_ends_with_it() {
    each(|bwrap| {
        let (mut other, pid) = info_of(bwrap, "--unshare-user --unshare-pid", ANSWER);
        let (user, pids) = (namespace(pid, "user"), namespace(pid, "pid"));
        let joined = format!("--userns {user} --pidns {pids}");
        let mut left = Live::of(bwrap, &[&user, &pids], &joined, LEAVE);
        assert_eq!(left.status(), Some(0));
        other.close();
        assert_eq!(other.status(), Some(0));
        left.answers();
        send(pid, libc::SIGKILL);
        left.is_killed();
    });
}

#[test]
fn a_descriptor_of_something_else_is_no_namespace() {
    each(|bwrap| {
        let (text, own) = (Fd::text(""), Fd::open("/proc/self/ns/user"));
        // One's own is nowhere to go.
        for (options, why) in [
            (
                format!("--userns {text}"),
                "Joining the specified user namespace failed",
            ),
            (
                format!("--userns {own}"),
                "Joining the specified user namespace failed",
            ),
            (
                format!("--pidns {text}"),
                "Setting pidns failed: Invalid argument",
            ),
        ] {
            bwrap.refuses_inside(&[&text, &own], &options, why);
        }
    });
}

#[test]
fn the_caller_can_map_ids_before_anything_else_happens() {
    each(|bwrap| {
        let (blocks, mut release) = Fd::from_test();
        let (info, reader) = Fd::to_test();
        let options = format!("--unshare-user --userns-block-fd {blocks} --info-fd {info}");
        let words = in_tools(&options, "echo $(id -u) $(id -g)");
        let mut live = Live::unanswered(bwrap.command(&[&blocks, &info], &words));
        drop((blocks, info));
        let process = format!("/proc/{}", documents(&text_of(reader))[0]["child-pid"]);
        for (file, text) in [
            ("uid_map", format!("3 {} 1", getuid().as_raw())),
            ("setgroups", "deny".to_string()),
            ("gid_map", format!("4 {} 1", getgid().as_raw())),
        ] {
            std::fs::write(Path::new(&process).join(file), text).unwrap();
        }
        release.write_all(b"x").unwrap();
        assert_eq!(live.line().as_deref(), Some("3 4"));
        assert_eq!(live.status(), Some(0));
    });
}
