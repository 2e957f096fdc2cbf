//! Kernels and system call filters that refuse what is new: the older calls do the same.

#[path = "support/filter.rs"]
mod filter;
mod support;

use filter::{filter, filter_to, install};
use rootlet::spec::Tty;
use rootlet::{Facts, Outcome, Plan, Spec, parent};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use support::{Dir, PROGRAMS, ROOTLET, Ran, field, finish, rootfs, rootlet, run};

const NEW: [i64; 5] = [
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
];

/// Runs rootlet with a kernel that has none of these system calls, or refuses them.
fn run_without(calls: &[i64], errno: i32, arguments: &[&str]) -> Ran {
    finish_without(calls, errno, rootlet(arguments))
}

/// Runs `command` likewise.
fn finish_without(calls: &[i64], errno: i32, mut command: Command) -> Ran {
    let filter = filter(calls, errno);
    // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
    unsafe { command.pre_exec(move || install(&filter)) };
    finish(command)
}

/// Does `check` with each of the new calls missing, and with all of them missing.
fn without_each(check: impl Fn(&[i64], i32)) {
    for call in NEW {
        check(&[call], libc::ENOSYS);
    }
    check(&NEW, libc::ENOSYS);
    check(&NEW, libc::EPERM);
}

#[test]
fn the_filter_refuses_what_it_should() {
    let seen = std::thread::spawn(|| {
        install(&filter(
            &[libc::SYS_getppid, libc::SYS_getpgrp],
            libc::ENOSYS,
        ))
        .unwrap();
        // SAFETY: these take nothing and return plain numbers.
        [libc::SYS_getppid, libc::SYS_getpgrp, libc::SYS_getpid]
            .map(|call| unsafe { libc::syscall(call) } == -1)
    });
    assert_eq!(seen.join().unwrap(), [true, true, false]);
}

#[test]
fn a_container_is_the_same_without_the_new_calls() {
    let script = "id -u; echo $PPID; cat /proc/1/comm; cat </dev/null; exit 7";
    without_each(|calls, errno| {
        let ran = run_without(
            calls,
            errno,
            &["--net", "none", "--hostname", "box", "sh", "-c", script],
        );
        assert_eq!(
            (ran.status, &*ran.out),
            (7, "0\n1\nrootlet-init"),
            "{calls:?} {errno}"
        );
        // Nothing is mounted here from elsewhere, so that only two of the calls are missed.
        let missed = [
            (libc::SYS_clone3, "clone3"),
            (libc::SYS_close_range, "close_range"),
        ];
        let missed = missed.iter().filter(|(call, _)| calls.contains(call));
        let said: Vec<&str> = ran.err.lines().collect();
        assert_eq!(
            said.len(),
            missed.clone().count(),
            "{calls:?} {errno}: {said:?}"
        );
        for ((_, name), line) in missed.zip(said) {
            let start = format!("rootlet: note: {name}: ");
            assert!(line.starts_with(&start), "{calls:?} {errno}: {line}");
        }
    });
}

#[test]
fn bwraps_roots_are_the_same_without_the_new_calls() {
    let root = rootfs();
    let hosts = ["--ro-bind", "/", "/"];
    let own = [
        &["--ro-bind", root.text(), "/", "--ro-bind", "/usr", "/usr"][..],
        &["--ro-bind", "/bin", "/bin", "--ro-bind", "/lib", "/lib"],
        &["--ro-bind-try", "/lib64", "/lib64"],
    ]
    .concat();
    // A device that cannot be used would show that what was taken from the host lost what its surroundings have lost.
    let script = "echo lost >/dev/null; head -c 2 /dev/zero | wc -c; echo $$; \
                  for at in / /usr /mnt; do if (: >$at/x) 2>&-; then echo $at; fi; done; \
                  if ! test /.. -ef /; then echo /..; fi";
    without_each(|calls, errno| {
        for views in [&hosts[..], &own] {
            let mut command = Command::new(ROOTLET);
            command.args(["bwrap", "--unshare-all"]).args(views);
            command.args(["--proc", "/proc", "--dev", "/dev", "sh", "-c", script]);
            let ran = finish_without(calls, errno, command);
            let seen = (ran.status, &*ran.out, &*ran.err);
            assert_eq!(seen, (0, "2\n2", ""), "{calls:?} {errno} {views:?}");
        }
    });
}

#[test]
fn a_later_root_of_bwraps_is_read_only_or_an_error_without_the_new_calls() {
    let root = rootfs();
    without_each(|calls, errno| {
        let mut command = Command::new(ROOTLET);
        command.args(["bwrap", "--tmpfs", "/", "--ro-bind", root.text(), "/"]);
        let views = ["usr", "bin", "lib"].map(|name| format!("/{name}"));
        views.iter().for_each(|path| {
            command.args(["--ro-bind", path, path]);
        });
        command.args(["--ro-bind-try", "/lib64", "/lib64", "sh", "-c"]);
        command.arg("if (: >/mnt/x) 2>&-; then echo written; else echo read-only; fi");
        let ran = finish_without(calls, errno, command);
        let needed = [
            libc::SYS_mount_setattr,
            libc::SYS_open_tree,
            libc::SYS_move_mount,
        ];
        if calls.iter().any(|call| needed.contains(call)) {
            ran.fails(1, &["bwrap: Can't bind mount", "on /: ", "not implemented"]);
        } else {
            assert_eq!(ran.ok(), "read-only", "{calls:?} {errno}");
        }
    });
}

/// Each call with the step down that it stands for, and options that need the call.
const RUNGS: [(i64, &str, &[&str]); 6] = [
    (libc::SYS_clone3, "clone3", &[]),
    (libc::SYS_close_range, "close-range", &[]),
    (libc::SYS_mount_setattr, "mount-setattr", &["--read-only"]),
    (
        libc::SYS_mount_setattr,
        "mount-setattr",
        &["-v", "/usr:/mnt:ro"],
    ),
    (libc::SYS_open_tree, "open-tree", &["-v", "/usr:/mnt"]),
    (libc::SYS_move_mount, "open-tree", &["-v", "/usr:/mnt"]),
];

#[test]
fn an_older_call_is_told_once_and_refused_by_strict_and_by_require() {
    for (call, rung, options) in RUNGS {
        let with = |more: &[&str]| {
            let arguments = [options, more, &["true"]].concat();
            run_without(&[call], libc::ENOSYS, &arguments)
        };
        let ran = with(&["--status-fd", "1"]);
        let note = format!(
            "{}: Function not implemented (ENOSYS); instead, with the same result: ",
            rung.replace('-', "_")
        );
        assert_eq!(ran.status, 0, "{rung}: {ran:#?}");
        assert_eq!(ran.err.matches(&note).count(), 1, "{rung}: {ran:#?}");
        assert!(
            ran.out.contains(&format!(r#""stepped_down":["{note}"#)),
            "{rung}: {ran:#?}"
        );

        for refusal in [&["--strict"][..], &["--require", rung]] {
            let named = format!(
                "{}: Function not implemented (ENOSYS)",
                rung.replace('-', "_")
            );
            with(refusal).fails(125, &[&named, "hint: a system call filter"]);
        }
        let others = [
            "proc",
            "clone3",
            "close-range",
            "mount-setattr",
            "open-tree",
        ];
        let others: Vec<&str> = others.into_iter().filter(|&other| other != rung).collect();
        assert_eq!(with(&["--require", &others.join(",")]).status, 0, "{rung}");
    }
}

#[test]
fn a_namespace_that_is_refused_is_an_error_unless_it_is_optional() {
    for (kind, options) in [
        ("ipc", &[][..]),
        ("uts", &[]),
        ("cgroup", &[]),
        ("time", &["--boottime", "5"]),
    ] {
        let inside = |more: &str| {
            let options = options.join(" ");
            let script = format!(
                "echo 0 >/proc/sys/user/max_{kind}_namespaces
                 exec '{ROOTLET}' run -t never --status-fd 1 {options} {more} -- true"
            );
            run(["sh", "-c", &script])
        };
        inside("").fails(125, &["No space left on device (ENOSPC)", "max_", "is 0"]);
        let ran = inside(&format!("--optional {kind}"));
        assert_eq!(ran.status, 0, "{kind}: {ran:#?}");
        assert!(
            ran.err.contains("instead: keep the host's "),
            "{kind}: {ran:#?}"
        );
        let started = ran.out.lines().next().unwrap();
        let (new, shared) = started.split_once(r#""shared""#).unwrap();
        let name = format!("\"{kind}\"");
        assert!(
            !new.contains(&name) && shared.contains(&name),
            "{kind}: {started}"
        );
        inside(&format!("--optional {kind} --strict")).fails(125, &["(ENOSPC)"]);
    }
}

#[test]
fn a_range_of_ids_is_one_id_where_that_is_said_to_be_enough() {
    if support::is_root() {
        return support::skip("root may map any range");
    }
    let options = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];
    let script = "id -u; id -g; wc -l </proc/self/uid_map";
    let with = |more: &[&str]| run([&options[..], more, &["sh", "-c", script]].concat());
    with(&[]).fails(125, &["an ordinary user may map one user id, its own"]);
    let ran = with(&["--optional", "ids"]);
    assert_eq!((ran.status, &*ran.out), (0, "0\n0\n1"), "{ran:#?}");
    for side in ["user", "group"] {
        assert!(
            ran.err
                .contains(&format!("instead: map one {side} id: 0 inside is ")),
            "{ran:#?}"
        );
    }
    with(&["--optional", "ids", "--strict"]).fails(125, &["an ordinary user may map one user id"]);
}

#[test]
fn fd1_descriptors_are_closed_without_close_range() {
    without_each(|calls, errno| {
        let mut command = rootlet(["--pass-fd", "200", "bash", "-c", "echo /proc/self/fd/*"]);
        let filter = filter(calls, errno);
        let open = move || {
            for fd in [3, 4, 5, 77, 200, 201] {
                // SAFETY: copies standard input; nothing else is open there in a process that is about to execute.
                unsafe { libc::dup2(0, fd) };
            }
            install(&filter)
        };
        // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
        unsafe { command.pre_exec(open) };
        let expected =
            "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/200 /proc/self/fd/3";
        let mut names: Vec<String> = finish(command).ok().split(' ').map(String::from).collect();
        names.sort();
        // 3 is the directory that the shell reads.
        assert_eq!(names.join(" "), expected, "{calls:?} {errno}");
    });
}

#[test]
fn m5_a_read_only_tree_and_a_read_only_volume_have_no_holes_without_the_new_calls() {
    let dir = Dir::new();
    dir.directory("a b");
    let volume = format!("{}:/mnt:ro", dir.text());
    let script = "for place in / /dev/shm /tmp /mnt '/mnt/a b' /sys/fs/cgroup; do
        if (: >\"$place/x\") 2>&-; then echo \"$place\"; fi; done; : >/srv/x; head -c 3 /dev/zero | wc -c";
    without_each(|calls, errno| {
        let ran = run_without(
            calls,
            errno,
            &[
                "--read-only",
                "-v",
                &volume,
                "--tmpfs",
                "/srv",
                "sh",
                "-c",
                script,
            ],
        );
        assert_eq!(ran.ok(), "3", "{calls:?} {errno}");
    });
}

#[test]
fn volumes_below_a_tmpfs_work_without_the_new_calls() {
    let dir = Dir::new();
    let project = dir.directory("project");
    let file = dir.file("project/file", "text");
    without_each(|calls, errno| {
        let volume = format!("{file}:/mnt/copy");
        let arguments = [
            "--tmpfs",
            dir.text(),
            "-v",
            &project,
            "--tmpfs",
            "/mnt",
            "-v",
            &volume,
            "cat",
            &file,
            "/mnt/copy",
        ];
        assert_eq!(
            run_without(calls, errno, &arguments).ok(),
            "texttext",
            "{calls:?} {errno}"
        );
    });
}

#[test]
fn a_root_of_ones_own_works_without_the_new_calls() {
    let root = rootfs();
    let arguments = [&["--rootfs", root.text()], &PROGRAMS[..]].concat();
    let script = "ls /; cut -d ' ' -f 5 /proc/self/mountinfo | grep -c '^/$'; echo x >/dev/null";
    without_each(|calls, errno| {
        let ran = run_without(
            calls,
            errno,
            &[&arguments[..], &["sh", "-c", script]].concat(),
        );
        assert_eq!(
            ran.ok(),
            "bin\ndev\nlib\nlib64\nmnt\nproc\ntmp\nusr\n1",
            "{calls:?} {errno}"
        );
    });
}

extern "C" fn handle(_: i32) {}

/// The signals that init catches, of a container that this program launches.
fn caught_by_init() -> u64 {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let fd = theirs.as_raw_fd();
    let script = format!("echo ready >&{fd}; read -r line <&{fd}; exit 7");
    let command = ["bash", "-c", &script].map(Into::into).to_vec();
    let spec = Spec {
        command,
        pass_fds: vec![fd],
        tty: Tty::Never,
        ..Spec::default()
    };
    let plan = Plan::new(&spec, &Facts::gather(&spec).unwrap()).unwrap();
    let running = parent::launch(&plan, false, &mut ()).unwrap();
    drop(theirs);
    ours.read_exact(&mut [0; 6]).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    ours.write_all(b"end\n").unwrap();
    assert_eq!(running.wait(&mut ()).unwrap(), Outcome::Exited(7));
    u64::from_str_radix(field(&status, "SigCgt"), 16).unwrap()
}

#[test]
fn l11_the_callers_signal_handlers_are_gone_inside_with_and_without_clone3() {
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGUSR1, handle as *const () as libc::sighandler_t) };
    assert_eq!(caught_by_init(), 0);
    let without_clone3 = std::thread::spawn(|| {
        install(&filter(&[libc::SYS_clone3], libc::ENOSYS)).unwrap();
        caught_by_init()
    });
    assert_eq!(without_clone3.join().unwrap(), 0);
}

#[test]
fn a_set_up_that_is_killed_is_told_with_its_step() {
    for (call, options, words) in [
        (
            libc::SYS_sethostname,
            &["--hostname", "box"][..],
            "the setup process was killed by SIGSYS at its step",
        ),
        (
            libc::SYS_sethostname,
            &["--hostname", "box", "--no-init"],
            ": set the host name to \"box\"",
        ),
        (
            libc::SYS_setpgid,
            &[],
            "the process that was to become the command was killed by SIGSYS before its exec",
        ),
        (
            libc::SYS_setpgid,
            &["--no-init"],
            "the command process was killed by SIGSYS at its step 1: lead a process group",
        ),
    ] {
        let filter = filter_to(&[call], libc::SECCOMP_RET_KILL_PROCESS);
        let mut command = rootlet(options.iter().chain(&["true"]));
        // SAFETY: setsid, so that there is no terminal and the command leads a group; then two system calls.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                install(&filter)
            })
        };
        finish(command).fails(125, &[words]);
    }
}

#[test]
fn a_hidden_proc_is_stepped_down_from_aloud_or_refused() {
    // Under a mount that hides a part of /proc no fresh one may be mounted in a user namespace further in.
    let inner = |options: &str, command: &str| {
        let script = format!(
            "mount -t tmpfs none /proc/acpi || mount -t tmpfs none /proc/fs\nexec '{ROOTLET}' run -t never {options} -- {command}"
        );
        run(["sh", "-c", &script])
    };
    let ran = inner("--status-fd 1", "true");
    assert_eq!(ran.status, 0, "{ran:#?}");
    assert!(ran.err.contains("note: mount proc on /proc: Operation not permitted (EPERM); instead: keep the host's /proc"), "{ran:#?}");
    assert!(
        ran.out.contains(r#""stepped_down":["mount proc on /proc"#),
        "{ran:#?}"
    );
    inner("--strict", "true").fails(
        125,
        &[
            "mount proc on /proc: Operation not permitted (EPERM)",
            "hint: parts are hidden here (",
        ],
    );
}

#[test]
fn m3_changes_are_applied_without_openat2_as_with_it() {
    let dir = Dir::new();
    for errno in [libc::ENOSYS, libc::EPERM] {
        let home = dir.directory(&format!("home-{errno}"));
        let store = format!("{home}/store");
        let work = dir.directory(&format!("home-{errno}/work/deep"));
        std::fs::write(format!("{work}/old"), "old").unwrap();
        let rootlet = |words: &[&str], filtered: bool| {
            let mut command = std::process::Command::new(ROOTLET);
            command.args(words).env("HOME", &home).current_dir(&home);
            if filtered {
                let filter = filter(&[libc::SYS_openat2], errno);
                // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
                unsafe { command.pre_exec(move || install(&filter)) };
            }
            finish(command)
        };
        let script = "rm work/deep/old; mkdir -p work/new/er; echo text >work/new/er/file";
        rootlet(&["try", "--keep", &store, "--", "sh", "-c", script], false).ok();
        let (with, without) = (
            rootlet(&["changes", &store], false),
            rootlet(&["changes", &store], true),
        );
        assert_eq!(with.out, without.out);
        assert_eq!(with.err, "");
        let note = "rootlet: note: openat2: ";
        assert!(
            without.err.starts_with(note) && without.err.lines().count() == 1,
            "{without:#?}"
        );
        rootlet(&["apply", &store], true).fails(0, &["4 applied, 0 not", note]);
        let file = std::fs::read_to_string(format!("{home}/work/new/er/file")).unwrap();
        assert_eq!(file, "text\n");
        assert!(!std::path::Path::new(&format!("{work}/old")).exists());
    }
}

#[test]
fn k1_a_keyring_that_is_refused_is_told_or_is_an_error() {
    let with =
        |errno, more: &[&str]| run_without(&[libc::SYS_keyctl], errno, &[more, &["true"]].concat());
    let ran = with(libc::EPERM, &[]);
    let note = "rootlet: note: make a session keyring: Operation not permitted (EPERM); instead: keep the caller's session keyring";
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.starts_with(note), "{ran:?}");
    for refusal in [&["--strict"][..], &["--require", "keyring"]] {
        with(libc::EPERM, refusal).fails(125, &["make a session keyring", "(EPERM)"]);
    }
    // A kernel that has no keyrings has none of the caller's either.
    let ran = with(libc::ENOSYS, &["--strict"]);
    assert_eq!((ran.status, &*ran.err), (0, ""));
}

#[test]
fn m8_a_read_only_volume_keeps_the_flags_that_are_locked() {
    let script = "mount -t tmpfs -o nosuid,nodev,noexec,noatime t /mnt && exec $rootlet run -t never -v /mnt:/srv:ro -- \
                  sh -c 'grep \" /srv \" /proc/self/mountinfo; touch /srv/file'";
    for calls in [&[][..], &[libc::SYS_mount_setattr], &NEW] {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["-Urm", "sh", "-c", script])
            .env("rootlet", ROOTLET);
        let filter = filter(calls, libc::ENOSYS);
        // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
        unsafe { command.pre_exec(move || install(&filter)) };
        let ran = finish(command);
        let flags: Vec<&str> = ran
            .out
            .split(' ')
            .nth(5)
            .unwrap_or_default()
            .split(',')
            .collect();
        for flag in ["ro", "nosuid", "nodev", "noexec", "noatime"] {
            assert!(flags.contains(&flag), "{flag} without {calls:?}: {ran:#?}");
        }
        ran.fails(1, &["Read-only file system"]);
    }
}
