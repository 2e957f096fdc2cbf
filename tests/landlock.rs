//! The second layer beneath the view of files: what it refuses by itself, and what it leaves alone.

mod support;

use support::{Dir, ROOTLET, installed, rootfs, run, shell};

/// A shell in a sandbox for `project`, whose output is what it prints.
fn sandboxed(project: &Dir, options: &str, script: &str) -> support::Ran {
    let home = Dir::new();
    shell(&format!(
        "cd '{}' && HOME='{}' '{ROOTLET}' sandbox -t never {options} -- sh -c '{script}' 2>&1",
        project.text(),
        home.text()
    ))
}

#[test]
fn a_file_that_somebody_outside_hands_in_cannot_be_written_through() {
    let (project, outside) = (Dir::new(), Dir::new());
    let file = outside.file("file", "old\n");
    // By the directory a way leads to the host's tree, which the view itself does not have.
    let script = "echo new >/proc/self/fd/5/file; cat /proc/self/fd/5/file";
    let with = |options: &str| {
        let home = Dir::new();
        let line = format!(
            "exec 5<'{}'; cd '{}' && HOME='{}' '{ROOTLET}' sandbox -t never --pass-fd 5 {options} -- sh -c '{script}' 2>&1",
            outside.text(),
            project.text(),
            home.text()
        );
        shell(&line).out
    };
    let out = with("");
    assert!(
        out.contains("Permission denied") && out.ends_with("old"),
        "{out}"
    );
    assert_eq!(with("--landlock none"), "new");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "new\n");
}

#[test]
fn a_root_of_ones_own_is_all_that_can_be_reached() {
    let (root, outside) = (rootfs(), Dir::new());
    outside.file("file", "secret\n");
    let with = |landlock: &str| {
        let line = format!(
            "exec 5<'{}'; '{ROOTLET}' run -t never --rootfs '{}' -v /usr:ro -v /bin:ro -v /lib:ro -v /lib64:ro --pass-fd 5 \
             --landlock {landlock} -- sh -c 'cat /proc/self/fd/5/file; echo x >/tmp/x && cat /tmp/x' 2>&1",
            outside.text(),
            root.text()
        );
        shell(&line).out
    };
    assert_eq!(with("none"), "secret\nx");
    let out = with("auto");
    assert!(
        out.contains("Permission denied") && out.ends_with("\nx"),
        "{out}"
    );
}

#[test]
fn what_the_view_lets_be_written_can_be_written() {
    let project = Dir::new();
    project.file("given", "");
    let script = "set -e; echo a >here; mkdir sub; mv here sub/there; ln sub/there sub/link; ln -s x sub/sym; mkfifo sub/pipe
        : >sub/there; rm -r sub; echo t >/tmp/t; mv /tmp/t t; rm t; echo s >/dev/shm/s; echo h >~/h; echo v >/var/tmp/v
        echo n >/dev/null; echo 500 >/proc/self/oom_score_adj; (exec 3</dev/tty) 2>/dev/null || true; echo done";
    let ran = sandboxed(&project, "", script);
    assert_eq!((ran.status, &*ran.out), (0, "done"), "{ran:?}");
}

#[test]
fn scripts_write_to_dev_stderr_whatever_it_is() {
    let project = Dir::new();
    let file = project.at("errors");
    let (home, other) = (Dir::new(), Dir::new());
    let log = other.at("log");
    for to in [
        format!("2>'{log}'"),
        format!("2>&1 | cat >'{log}'"),
        format!("2>'{file}'; cp '{file}' '{log}'"),
    ] {
        let line = format!(
            "cd '{}' && HOME='{}' '{ROOTLET}' sandbox -t never -- sh -c 'echo message >/dev/stderr' {to}",
            project.text(),
            home.text()
        );
        shell(&line).ok();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "message\n", "{to}");
    }
}

#[test]
fn nothing_can_be_mounted_in_a_namespace_inside_unless_that_is_asked_for() {
    if !installed(&["unshare"]) {
        return;
    }
    let project = Dir::new();
    let script = "unshare -Urm --propagation unchanged mount -t tmpfs t /mnt && echo mounted";
    let out = sandboxed(&project, "", script).out;
    assert!(!out.contains("mounted"), "{out}");
    for options in ["--landlock none --seccomp default", "--cap-add SYS_ADMIN"] {
        let script = "unshare -Urm --propagation unchanged mount -t tmpfs t /tmp && echo mounted";
        let out = sandboxed(&project, options, script).out;
        assert!(out.ends_with("mounted"), "{options}: {out}");
    }
}

#[test]
fn a_plain_run_has_none() {
    // The ruleset would forbid it.
    run(["sh", "-c", "mount -t tmpfs t /mnt"]).ok();
    run(["--landlock", "auto", "sh", "-c", "mount -t tmpfs t /mnt"]).ok();
    run(["--landlock", "auto", "--read-only", "sh", "-c", ": >/tmp/x"])
        .fails(2, &["Read-only file system"]);
}
