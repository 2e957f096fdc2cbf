//! Filters of system calls, on the kernel: what gets through, in whom, and what is told.

mod support;

use rootlet::seccomp::{Action, Builtin};
use support::{Dir, ROOTLET, field, inside, run, shell};

/// A command that makes system call `number` and prints the errno, 0 if it got through.
fn call(number: i64, arguments: &str) -> String {
    format!(
        "python3 -c 'import ctypes; c = ctypes.CDLL(None, use_errno=True); \
         print(ctypes.get_errno() if c.syscall({number}, {arguments}) < 0 else 0)'"
    )
}

const SYSLOG: &str = "10, 0, 0";
const KEYCTL: &str = "0, -3, 0";

#[test]
fn the_command_and_init_have_the_filter_that_was_asked_for() {
    for (options, filters) in [
        (&[][..], "1"),
        (&["-u", "keep"], "1"),
        (&["--allow-new-privs"], "1"),
        (&["--no-init"], "1"),
        (&["--seccomp", "strict"], "1"),
        (&["--share", "pid"], "1"),
        (&["--seccomp", "none"], "0"),
    ] {
        let status = inside(options, "cat /proc/self/status");
        assert_eq!(field(&status, "Seccomp_filters"), filters, "{options:?}");
    }
    let status = inside(&[], "cat /proc/1/status");
    assert_eq!(field(&status, "Seccomp"), "2");
    // One of its own it takes when it has seen the command start.
    let wait =
        "for i in $(seq 1000); do grep -q 'Seccomp:.2' /proc/1/status && break; sleep .01; done";
    let status = inside(
        &["--seccomp", "strict"],
        &format!("{wait}; cat /proc/1/status"),
    );
    assert_eq!(field(&status, "Seccomp"), "2");
    assert_eq!(field(&status, "NoNewPrivs"), "1");
}

#[test]
fn each_built_in_filter_refuses_what_it_names() {
    let syslog = call(libc::SYS_syslog, SYSLOG);
    let keyctl = call(libc::SYS_keyctl, KEYCTL);
    let unshare = call(libc::SYS_unshare, "0x10000000");
    let with = |filter, script: &str| inside(&["--seccomp", filter], script);
    let both = format!("{keyctl}; {syslog}; {unshare}");
    assert_eq!(with("default", &both).lines().next(), Some("1"));
    assert!(with("default", &both).ends_with("\n0"));
    assert!(with("sandbox", &both).starts_with("1\n1\n"));
    assert!(with("strict", &both).ends_with("1"));
    assert_ne!(with("none", &keyctl), "1");
}

#[test]
fn ordinary_programs_run_under_the_strict_filter() {
    let script = "python3 -c 'import subprocess, threading
t = threading.Thread(target=print, args=[1]); t.start(); t.join()
subprocess.run([\"sh\", \"-c\", \"echo 2 | cat\"])'; ls / >/dev/null; sleep 0; mktemp -d >/dev/null; echo 3";
    assert_eq!(inside(&["--seccomp", "strict"], script), "1\n2\n3");
}

#[test]
fn a_file_says_what_gets_through_in_dockers_words_or_in_ours() {
    let dir = Dir::new();
    let getppid = call(libc::SYS_getppid, "0");
    let ours = dir.file(
        "ours.toml",
        "base = \"default\"\n[[rules]]\nsyscalls = [\"getppid\"]\naction = \"ENOANO\"\n",
    );
    let dockers = dir.file(
        "docker.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 55},
            {"names": ["getpgrp"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}"#,
    );
    for file in [&ours, &dockers] {
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(inside(&["--seccomp", file], &getppid), "55", "{file}");
        }
    }
    let getpgrp = call(libc::SYS_getpgrp, "0");
    assert_eq!(inside(&["--seccomp", &dockers], &getpgrp), "0");
    let locked = ["--read-only", "--seccomp", &dockers];
    assert_eq!(inside(&locked, &getpgrp), "1");
}

#[test]
fn a_cache_that_is_broken_or_cannot_be_written_changes_nothing() {
    let (dir, cache) = (Dir::new(), Dir::new());
    let file = dir.file(
        "f.toml",
        "base = \"default\"\n[[rules]]\nsyscalls = [\"getppid\"]\naction = \"ENOANO\"\n",
    );
    let line = |cache: &str| {
        let script = call(libc::SYS_getppid, "0").replace('\'', "'\\''");
        shell(&format!(
            "XDG_CACHE_HOME='{cache}' '{ROOTLET}' run -t never --seccomp '{file}' -- sh -c '{script}'"
        ))
        .ok()
    };
    assert_eq!(line(cache.text()), "55");
    let kept = std::path::PathBuf::from(shell(&format!("find '{}' -type f", cache.text())).ok());
    assert!(kept.is_file(), "nothing is kept");
    std::fs::write(&kept, "garbage").unwrap();
    assert_eq!(line(cache.text()), "55");
    assert_ne!(std::fs::read(&kept).unwrap(), b"garbage");
    assert_eq!(line("/proc/no/such/place"), "55");
}

#[test]
fn a_file_that_is_wrong_or_hopeless_is_refused_with_its_line() {
    let dir = Dir::new();
    let file = dir.file(
        "f.toml",
        "base = \"default\"\n[[rules]]\nsyscalls = [\"reed\"]\naction = \"allow\"\n",
    );
    run(["--seccomp", &file, "true"]).fails(125, &["line 3: there is no system call \"reed\""]);
    let file = dir.file("g.toml", "default = \"EPERM\"\n");
    run(["--seccomp", &file, "true"]).fails(125, &["does not allow execve"]);
    run(["--seccomp", "/no/such", "true"]).fails(125, &["/no/such", "(ENOENT)"]);
}

#[test]
fn what_is_refused_is_told_with_the_rules_that_would_allow_it() {
    let dir = Dir::new();
    let script = format!(
        "{0}; {0}; {1}; exit 7",
        call(libc::SYS_keyctl, KEYCTL),
        call(libc::SYS_socket, "40, 1, 0")
    );
    let ran = run(["--seccomp-trace", "sh", "-c", &script]);
    assert_eq!((ran.status, &*ran.out), (7, "1\n1\n97"), "{ran:#?}");
    assert!(
        ran.err
            .contains("refused keyctl(0x0, 0xfffffffffffffffd, ...), 2 times"),
        "{ran:#?}"
    );
    let rules = ran.err.split_once("would allow them:\n").unwrap().1;
    let file = dir.file("allowing.toml", rules);
    let out = run(["--seccomp", &file, "sh", "-c", &script]).out;
    assert!(!out.contains("97") && !out.starts_with('1'), "{out}");
    let ran = run(["--seccomp-trace", "true"]);
    assert!(
        ran.err.ends_with("the filter default has refused nothing"),
        "{ran:#?}"
    );
    run(["--seccomp-trace", "--seccomp", "none", "true"]).fails(125, &["needs a filter"]);
    run(["--seccomp-trace", "--no-init", "true"]).fails(125, &["needs an init"]);
}

#[test]
fn a_sandbox_cannot_mount_and_one_that_is_given_sys_admin_can() {
    let (home, project) = (Dir::new(), Dir::new());
    let sandbox = |options: &str| {
        let line = format!(
            "cd '{}'; HOME='{}' '{ROOTLET}' sandbox -t never {options} -- sh -c 'mount -t tmpfs t /tmp && echo mounted'",
            project.text(),
            home.text()
        );
        shell(&line).out
    };
    assert_eq!(sandbox("-u root"), "");
    assert_eq!(sandbox("-u root --cap-add SYS_ADMIN"), "mounted");
}

/// The tables of docs/seccomp.md.
fn tables() -> String {
    let mut text = String::new();
    for (builtin, start) in [
        (Builtin::Default, 0),
        (Builtin::Sandbox, Builtin::Default.entries().count()),
        (Builtin::Strict, Builtin::Sandbox.entries().count()),
    ] {
        text += &format!(
            "\n### {}\n\n{} instructions.\n\n| System calls | When | What happens | Why |\n|---|---|---|---|\n",
            builtin.name(),
            builtin.program().len()
        );
        for entry in builtin.entries().skip(start) {
            let calls: Vec<String> = entry.calls.iter().map(|call| format!("`{call}`")).collect();
            let when: Vec<String> = entry.tests.iter().map(|test| format!("`{test}`")).collect();
            let action = match entry.action {
                Action::Allow => "allowed".to_string(),
                Action::Errno(errno) => {
                    rootlet::error::Errno(i32::from(errno)).symbol().to_string()
                }
                other => format!("{other:?}"),
            };
            text += &format!(
                "| {} | {} | {action} | {} |\n",
                calls.join(", "),
                when.join(" and "),
                entry.reason
            );
        }
    }
    text
}

#[test]
fn the_document_has_every_call_with_its_reason() {
    const START: &str = "<!-- the tables of the built-in filters -->\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/seccomp.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, shown) = text.split_once(START).unwrap();
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, format!("{before}{START}{}", tables())).unwrap();
        return;
    }
    assert!(shown == tables(), "UPDATE_GOLDENS=1 writes it anew");
}
