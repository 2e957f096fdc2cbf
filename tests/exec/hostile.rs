//! A container whose processes do what they can to whoever comes in.

use crate::runtime::{Runtime, halt, until};
use crate::support::{Dir, ROOTLET, await_end, compiled, finish, rootfs, send};
use crate::{exec, own_root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program that watches, which is linked statically, so that it opens nothing itself.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<(Dir, PathBuf)> = OnceLock::new();
    &PROGRAM.get_or_init(|| compiled("tests/exec/watch.c")).1
}

/// What a watcher in a container with `options` gets to see of 40 commands that are executed in it.
#[track_caller]
fn is_closed(options: &[&str], how: &str) {
    let runtime = Runtime::new();
    let dir = Dir::new();
    let (watch, end) = (dir.at("watch"), dir.at("end"));
    std::fs::copy(program(), &watch).unwrap();
    let secret = "CALLERS_SECRET";
    let words = [
        "--",
        &watch,
        "watch",
        &end,
        ROOTLET,
        secret,
        how,
        runtime.mark(),
    ];
    let words = [
        &["run", "-d", "--name", "web"],
        options,
        &words[..words.len() - 1],
    ]
    .concat();
    runtime.rootlet(&words).ok();
    until("it watches", || runtime.log("web") == "ready");
    for _ in 0..40 {
        let mut command = runtime.command(&["exec", "web", "--", &watch]);
        command.env("TOKEN", secret);
        let ran = finish(command);
        // A tracer may end what it traces; then that is what is told.
        assert!(
            ran.status == 0 && ran.err.is_empty(),
            "{options:?}: {ran:?}"
        );
    }
    std::fs::write(&end, "").unwrap();
    runtime.rootlet(&["wait", "web"]).ok();
    assert_eq!(
        runtime.log("web"),
        "ready\nend: watched",
        "{options:?} {how}"
    );
}

#[test]
fn p3_nothing_of_rootlets_is_offered_to_the_container_before_the_exec() {
    is_closed(&["--seccomp", "none", "--cap-add", "ALL"], "look");
}

#[test]
fn p3_nobody_inside_traces_who_comes_in_before_the_exec() {
    is_closed(&["--seccomp", "none", "--cap-add", "ALL"], "trace");
}

#[test]
fn p3_nor_is_anything_where_process_ids_are_shared() {
    is_closed(
        &["--share", "pid", "--seccomp", "none", "--cap-add", "ALL"],
        "look",
    );
}

#[test]
fn p3_nor_is_anything_to_an_ordinary_user() {
    is_closed(&["-u", "keep"], "look");
}

#[test]
fn tty4_a_ptmx_that_the_container_has_replaced_is_no_terminal_and_does_not_hang() {
    let runtime = Runtime::new();
    let root = rootfs();
    let name = runtime.detach(
        &[&own_root(&root)[..], &["--seccomp", "none"]].concat(),
        "rm -f /dev/ptmx /dev/pts/ptmx; sleep 1000; :",
    );
    let in_place = |made: &str| {
        let script = format!("rm -rf /dev/ptmx; {made}");
        exec(&runtime, &[], &name, &script).ok();
        let ran = finish(runtime.command(&["exec", "-t", "always", &name, "--", "true"]));
        ran.fails(125, &["terminal"]);
    };
    in_place("mkfifo /dev/ptmx");
    in_place("echo text >/dev/ptmx");
    in_place("mkdir /dev/ptmx");
    in_place("ln -s /dev/null /dev/ptmx");
    in_place("ln -s /proc/self/fd/0 /dev/ptmx");
    in_place(":");
    // Without a terminal nothing of it matters.
    exec(&runtime, &["-t", "never"], &name, "true").ok();
}

#[test]
fn a_command_that_is_stopped_or_killed_while_somebody_joins_it() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let pid = runtime.pid(&name, "pid");
    halt(pid);
    assert_eq!(exec(&runtime, &[], &name, "echo in").ok(), "in");
    send(pid, libc::SIGCONT);
    // Over and over, and killed meanwhile: it is executed, or there is an error, and nothing is left.
    for _ in 0..10 {
        let name = runtime.detach(&[], "sleep 1000; :");
        let pid = runtime.pid(&name, "pid");
        let children: Vec<_> = (0..3)
            .map(|_| {
                let mut command = crate::command(&runtime, &[], &name, "exit 5");
                command
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        send(pid, libc::SIGKILL);
        for child in children {
            let ran = await_end(child);
            assert!([5, 125, 137].contains(&ran.status), "{ran:?}");
            assert_eq!(ran.status == 125, !ran.err.is_empty(), "{ran:?}");
        }
    }
    runtime.rootlet(&["kill", "--all"]).ok();
    runtime.nothing_runs();
}

#[test]
fn a_command_that_can_be_read_by_nobody_is_joined_all_the_same() {
    let runtime = Runtime::new();
    let dir = Dir::new();
    let hidden = dir.at("hidden");
    std::fs::copy("/bin/sleep", &hidden).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o111)).unwrap();
    // Where its program cannot be read, a process is not dumpable (prctl(2)).
    let name = runtime.detach(
        &["--cap-drop", "ALL"],
        &format!("sleep 1000 & exec {hidden} 1000"),
    );
    until("it has executed it", || {
        std::fs::read_to_string(format!("/proc/{}/comm", runtime.pid(&name, "pid")))
            .is_ok_and(|it| it.trim() == "hidden")
    });
    assert_eq!(exec(&runtime, &[], &name, "echo in").ok(), "in");
    runtime.rootlet(&["kill", &name]).ok();
}

#[test]
fn a_container_that_is_paused_is_not_joined() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    runtime.rootlet(&["pause", &name]).ok();
    runtime
        .rootlet(&["exec", &name, "true"])
        .fails(125, &["is paused", "rootlet resume"]);
    runtime.rootlet(&["resume", &name]).ok();
    exec(&runtime, &[], &name, "true").ok();
}

/// A script whose interpreter is whoever executes it: rootlet itself, whose file others inside can then hold open.
#[test]
fn fd5_the_program_file_of_who_executes_cannot_be_written_from_inside() {
    let runtime = Runtime::new();
    let (root, dir) = (rootfs(), Dir::new());
    std::fs::copy(program(), root.path().join("tmp/watch")).unwrap();
    let script = root.file("tmp/script", "#!/proc/self/exe\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Another file than the supervisor's, which executes its own for as long as the container lives.
    let copy = dir.at("rootlet");
    std::fs::copy(ROOTLET, &copy).unwrap();
    let before = std::fs::read(&copy).unwrap();
    for (number, program) in [&*copy, ROOTLET].into_iter().enumerate() {
        let end = root.at("tmp/end");
        let name = format!("c{number}");
        let words = ["--", "/tmp/watch", "hold", "/tmp/end", "rootlet"];
        let start = [
            &["run", "-d", "--name", &name],
            &own_root(&root)[..],
            &words,
        ]
        .concat();
        runtime.rootlet(&start).ok();
        until("it watches", || runtime.log(&name) == "ready");
        for _ in 0..30 {
            let mut command = Command::new(program);
            command.args(["exec", &name, "--", "/tmp/script", "no-such-verb"]);
            command.env("XDG_RUNTIME_DIR", runtime.dir().path());
            let ran = finish(command);
            assert_eq!(ran.status, 125, "{ran:?}");
        }
        std::fs::write(&end, "").unwrap();
        runtime.rootlet(&["wait", &name]).ok();
        let log = runtime.log(&name);
        // What is in memory can be opened, and not written.
        let last = log.strip_prefix("ready\n").unwrap_or_default();
        let harmless = ["held", "none", "open for writing"].contains(&last);
        assert!(harmless, "{program}: {log}");
        std::fs::remove_file(end).unwrap();
    }
    assert!(std::fs::read(&copy).unwrap() == before);
}
