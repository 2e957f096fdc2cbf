//! The lives of a container and of what is executed in it.

use crate::processes::with_mark;
use crate::runtime::{Runtime, state, until};
use crate::support::{await_end, installed, send};
use crate::{exec, started};

/// One process, and never another for a moment.
const SLEEP: &str = "exec sleep 1000";
/// Of which nothing but the one process is to be ended: what it had started would be the container's.
const WAITS: &str = "echo ready; while :; do read line; done";

/// Containers by whose namespaces nothing in them ends with them.
const WITHOUT_PIDS: [&[&str]; 2] = [&["--share", "pid"], &["--no-namespaces"]];

/// The only child of a process.
pub fn child_of(pid: u32) -> u32 {
    let mut child = None;
    until("it has a child", || {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        child = list
            .unwrap_or_default()
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        child.is_some()
    });
    child.unwrap()
}

/// Waits until the container is what [`SLEEP`] says: then no process of it has another command line soon.
fn is_complete(runtime: &Runtime, name: &str) {
    let comm = format!("/proc/{}/comm", runtime.pid(name, "pid"));
    until("the container is complete", || {
        std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep")
    });
}

/// How many processes have the runtime's mark.
fn marked(runtime: &Runtime) -> usize {
    with_mark(runtime.mark()).len()
}

#[test]
fn a_command_ends_with_its_container() {
    for options in [&[][..], &["--no-init"], WITHOUT_PIDS[0], WITHOUT_PIDS[1]] {
        for end in ["stop", "kill"] {
            let runtime = Runtime::new();
            let name = runtime.detach(options, "trap 'exit 0' TERM; while :; do sleep 0.01; done");
            let child = started(
                &runtime,
                &[],
                &name,
                "setsid sleep 1000 & sleep 1000 & echo ready; wait",
            );
            runtime.rootlet(&[end, &name]).ok();
            assert_eq!(await_end(child).status, 137, "{options:?} {end}");
            runtime.nothing_runs();
        }
    }
}

#[test]
fn a_command_ends_with_a_container_that_ends_by_itself() {
    for options in [&[][..], WITHOUT_PIDS[0], WITHOUT_PIDS[1]] {
        let runtime = Runtime::new();
        let go = runtime.dir().at("go");
        let name = runtime.detach(
            options,
            &format!("while [ ! -e {go} ]; do sleep 0.01; done; exit 3"),
        );
        let child = started(&runtime, &[], &name, WAITS);
        std::fs::write(go, "").unwrap();
        assert_eq!(await_end(child).status, 137, "{options:?}");
        assert_eq!(runtime.rootlet(&["wait", &name]).out, "3");
        runtime.nothing_runs();
    }
}

#[test]
fn a_command_ends_with_who_executes_it_and_the_container_lives() {
    for options in [&[][..], WITHOUT_PIDS[0], WITHOUT_PIDS[1]] {
        let runtime = Runtime::new();
        let name = runtime.detach(options, SLEEP);
        is_complete(&runtime, &name);
        let before = marked(&runtime);
        let child = started(&runtime, &[], &name, WAITS);
        send(child.id(), libc::SIGKILL);
        assert_eq!(await_end(child).status, 137);
        until("only the container is left", || marked(&runtime) == before);
        until("it is not counted any more", || {
            runtime.seen(&name, "pids") == 1
        });
        assert_eq!(
            exec(&runtime, &[], &name, "echo in").ok(),
            "in",
            "{options:?}"
        );
    }
}

#[test]
fn a_process_between_that_is_killed_leaves_nothing() {
    for options in [&[][..], WITHOUT_PIDS[0], WITHOUT_PIDS[1]] {
        let runtime = Runtime::new();
        let name = runtime.detach(options, SLEEP);
        is_complete(&runtime, &name);
        let before = marked(&runtime);
        let child = started(&runtime, &[], &name, WAITS);
        send(child_of(child.id()), libc::SIGKILL);
        // Killed before it has told that the command runs, it is said to have been.
        let ran = await_end(child);
        let told = ran.status == 125 && ran.err.contains("killed");
        assert!(ran.status == 137 || told, "{options:?}: {ran:?}");
        until("only the container is left", || marked(&runtime) == before);
    }
}

#[test]
fn l1_a_process_between_that_is_killed_at_any_moment_leaves_nothing_and_is_told() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    is_complete(&runtime, &name);
    let before = marked(&runtime);
    for turn in 0..40u32 {
        let mut command = crate::command(&runtime, &[], &name, "while :; do read line; done");
        command.stdin(std::process::Stdio::piped());
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let child = command.spawn().unwrap();
        let between = child_of(child.id());
        // A little later each time, by work and not by the clock: the exec is a few hundred microseconds away.
        for _ in 0..turn * 8 {
            std::hint::black_box(state(between));
        }
        send(between, libc::SIGKILL);
        let ran = await_end(child);
        assert!(
            ran.status == 137 || (ran.status == 125 && ran.err.contains("killed")),
            "{turn}: {ran:?}"
        );
    }
    until("only the container is left", || marked(&runtime) == before);
    assert_eq!(exec(&runtime, &[], &name, "echo in").ok(), "in");
}

#[test]
fn what_a_command_leaves_behind_is_the_containers() {
    let leaves = "setsid sleep 1000 </dev/null >/dev/null 2>&1 & :";
    // By its PID namespace.
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    exec(&runtime, &[], &name, leaves).ok();
    let list = runtime.rootlet(&["top", &name]).ok();
    assert!(list.matches("sleep 1000").count() >= 2, "{list}");
    runtime.rootlet(&["kill", &name]).ok();
    runtime.nothing_runs();
    // Without one, it ends with the command.
    for options in WITHOUT_PIDS {
        let runtime = Runtime::new();
        let name = runtime.detach(options, SLEEP);
        is_complete(&runtime, &name);
        let leaves = format!(
            "{} & :",
            leaves
                .trim_end_matches(" & :")
                .replace("sleep 1000", "sh -c 'sleep 1000; :' $0")
        );
        let before = marked(&runtime);
        exec(&runtime, &[], &name, &leaves).ok();
        assert_eq!(marked(&runtime), before, "{options:?}");
    }
}

#[test]
fn commands_are_counted_after_a_moment_and_paused_with_the_container() {
    for options in [&[][..], WITHOUT_PIDS[0], WITHOUT_PIDS[1]] {
        let runtime = Runtime::new();
        let name = runtime.detach(options, SLEEP);
        let child = started(
            &runtime,
            &[],
            &name,
            "trap 'kill $!' TERM; sleep 1001 & echo ready; wait $!; wait $!",
        );
        // The container's, and the two of the command.
        until("it is counted", || runtime.seen(&name, "pids") == 3);
        let list = runtime.rootlet(&["top", &name]).ok();
        let line = list.lines().find(|line| line.ends_with(" sleep 1001"));
        let pid = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        let pid = pid.unwrap_or_else(|| panic!("{list}"));
        runtime.rootlet(&["pause", &name]).ok();
        until("it is stopped", || state(pid) == Some('T'));
        runtime.rootlet(&["resume", &name]).ok();
        until("it goes on", || state(pid) == Some('S'));
        send(child.id(), libc::SIGTERM);
        assert_eq!(await_end(child).status, 143, "{options:?}");
        until("it is not counted any more", || {
            runtime.seen(&name, "pids") == 1
        });
    }
}

#[test]
fn a_server_in_a_network_of_its_own_is_reached_from_inside() {
    if !installed(&["python3"]) {
        return;
    }
    let runtime = Runtime::new();
    let dir = crate::support::Dir::new();
    dir.file("page", "served\n");
    let serve = format!(
        "cd {}; exec python3 -m http.server --bind 127.0.0.1 8000",
        dir.text()
    );
    let name = runtime.detach(&["--net", "none"], &serve);
    let get = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/page').read().decode(), end='')";
    until("it serves", || {
        let ran = runtime.rootlet(&["exec", &name, "--", "python3", "-c", get]);
        ran.status == 0 && ran.out == "served"
    });
    // As itself and as a process of the same network, and from nowhere else.
    let outside = std::net::TcpStream::connect("127.0.0.1:8000");
    assert!(outside.is_err(), "{outside:?}");
    assert_eq!(runtime.rootlet(&["stop", &name]).ok(), name);
    runtime.nothing_runs();
}
