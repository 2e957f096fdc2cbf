//! How containers end: asked, made to, and when those who would have to see to it are stopped or killed.

use crate::runtime::{Runtime, halt, until};
use crate::support::{ROOTLET, await_end, send};

const IGNORES: &str = "trap '' TERM; echo ready; while :; do sleep 0.1; done";

/// Waits until the command has said that it is ready.
#[track_caller]
fn ready(runtime: &Runtime, name: &str) {
    until("the command is ready", || runtime.log(name) == "ready");
}

#[test]
fn stop_asks_the_command_to_end_with_a_signal() {
    let runtime = Runtime::new();
    for (signal, options) in [("TERM", &[][..]), ("USR1", &["--signal", "usr1"])] {
        let script = format!("trap 'exit 7' {signal}; echo ready; while :; do sleep 0.01; done");
        let name = runtime.detach(&[], &script);
        ready(&runtime, &name);
        let words = [&["stop", &name], options].concat();
        assert_eq!(runtime.rootlet(&words).ok(), name);
        assert_eq!(runtime.seen(&name, "exit"), 7);
        // A second time there is nothing to do.
        assert_eq!(runtime.rootlet(&["stop", &name]).ok(), name);
    }
    runtime.nothing_runs();
}

#[test]
fn stop_kills_a_command_that_ignores_the_signal() {
    let runtime = Runtime::new();
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let name = runtime.detach(options, IGNORES);
        ready(&runtime, &name);
        let words = ["stop", &name, "--time", "20ms"];
        assert_eq!(runtime.rootlet(&words).ok(), name);
        assert_eq!(runtime.seen(&name, "exit"), 137, "{options:?}");
        runtime.nothing_runs();
    }
}

#[test]
fn kill_sends_the_command_a_signal_or_ends_all() {
    let runtime = Runtime::new();
    let script = "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done";
    let name = runtime.detach(&[], script);
    ready(&runtime, &name);
    for signal in ["HUP", "sighup", "1"] {
        runtime.rootlet(&["kill", "-s", signal, &name]).ok();
    }
    until("the command has them", || {
        runtime.log(&name).matches("hup").count() >= 1
    });
    assert_eq!(runtime.rootlet(&["kill", &name]).ok(), name);
    assert_eq!(runtime.seen(&name, "exit"), 137);
    runtime.nothing_runs();
    runtime.rootlet(&["kill", &name]).fails(125, &["has ended"]);
    for signal in ["", "0", "65", "TERMINATE"] {
        runtime
            .rootlet(&["kill", "-s", signal, &name])
            .fails(125, &["expected a signal's number"]);
    }
}

#[test]
fn several_and_all_are_stopped_together() {
    let runtime = Runtime::new();
    let names = ["a", "b", "c"];
    for name in names {
        runtime.detach(&["--name", name], "sleep 1000; :");
    }
    let ran = runtime.rootlet(&["stop", "a", "nobody", "b"]);
    assert_eq!(ran.out, "a\nb");
    ran.fails(125, &["there is no container called nobody"]);
    assert_eq!(runtime.rootlet(&["stop", "--all"]).ok(), "c");
    assert_eq!(runtime.rootlet(&["stop", "--all"]).ok(), "");
    assert_eq!(runtime.rootlet(&["rm", "--all"]).ok(), "a\nb\nc");
    for words in [&["stop"][..], &["stop", "--all", "a"]] {
        assert_ne!(runtime.rootlet(words).status, 0);
    }
}

#[test]
fn a_container_whose_first_process_is_stopped_ends() {
    let runtime = Runtime::new();
    for (options, which) in [
        (&[][..], "init-pid"),
        (&["--share", "pid"], "init-pid"),
        (&["--no-init"], "pid"),
        (&[], "pid"),
    ] {
        for words in [&["stop", "--time", "0"][..], &["kill"]] {
            let name = runtime.detach(options, "sleep 1000; :");
            halt(runtime.pid(&name, which));
            let ran = runtime.rootlet(&[words, &[&name]].concat());
            assert_eq!(ran.ok(), name, "{options:?} {which} {words:?}");
            assert_eq!(runtime.seen(&name, "status"), "exited");
            runtime.nothing_runs();
        }
    }
}

#[test]
fn a_stopped_supervisor_is_ended_with_all_that_is_inside() {
    let runtime = Runtime::new();
    for options in [&[][..], &["--no-init"]] {
        let name = runtime.detach(options, "sleep 1000; :");
        halt(runtime.pid(&name, "supervisor-pid"));
        // What cannot be done says what can be.
        runtime
            .rootlet(&["pause", &name])
            .fails(125, &["is stopped", "kill -CONT", "rootlet kill"]);
        assert_eq!(runtime.rootlet(&["kill", &name]).ok(), name);
        runtime.nothing_runs();
        assert_eq!(runtime.list(), [serde_json::Value::Null; 0]);
    }
}

#[test]
fn a_killed_supervisor_takes_a_stopped_container_with_it() {
    let runtime = Runtime::new();
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        for pause in [false, true] {
            let name = runtime.detach(options, "sleep 1000; :");
            if pause {
                runtime.rootlet(&["pause", &name]).ok();
            }
            let supervisor = runtime.pid(&name, "supervisor-pid");
            send(supervisor, libc::SIGKILL);
            runtime.nothing_runs();
            assert_eq!(runtime.list(), [serde_json::Value::Null; 0]);
        }
    }
}

#[test]
fn wait_tells_how_each_has_ended() {
    let runtime = Runtime::new();
    let three = runtime.detach(&[], "exit 3");
    let killed = runtime.detach(&[], "kill -KILL $$");
    let late = runtime.detach(&["--timeout", "20ms"], "sleep 1000; :");
    let words = ["wait", &three, &killed, &late];
    assert_eq!(runtime.rootlet(&words).ok(), "3\n137\n124");
    // Those that have ended already tell it as well.
    assert_eq!(runtime.rootlet(&words).ok(), "3\n137\n124");
    // Who waits for a container that leaves nothing is told too.
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let child = runtime.foreground("web", &[], script);
    let waiting = |name: &str| {
        let mut command = runtime.command(&["wait", name]);
        command.stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let waiters = [waiting("web"), waiting("web")];
    waiters.iter().for_each(|waiter| waits(waiter.id()));
    runtime.rootlet(&["stop", "web"]).ok();
    for waiter in waiters {
        assert_eq!(await_end(waiter).ok(), "5");
    }
    assert_eq!(await_end(child).status, 5);
    assert_eq!(runtime.list().len(), 3);
}

#[test]
fn who_waits_for_a_container_whose_supervisor_is_killed_is_told_so() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let supervisor = runtime.pid(&name, "supervisor-pid");
    let mut command = runtime.command(&["wait", &name]);
    command.stderr(std::process::Stdio::piped());
    let waiter = command.spawn().unwrap();
    waits(waiter.id());
    send(supervisor, libc::SIGKILL);
    await_end(waiter).fails(125, &["the supervisor", "was killed"]);
}

/// Waits until a command is in poll(2): nothing but its supervisor's answer is waited for.
#[track_caller]
fn waits(pid: u32) {
    until("it waits", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let number = call.split(' ').next().and_then(|word| word.parse().ok());
        [Some(libc::SYS_poll), Some(libc::SYS_ppoll)].contains(&number)
    });
}

#[test]
fn what_is_inside_a_container_has_no_say_in_another() {
    let runtime = Runtime::new();
    runtime.detach(&["--name", "box"], "sleep 1000");
    // It sees the socket, and may connect to it, although it could not write there.
    for (verb, options) in [
        ("kill", &["--read-only"][..]),
        ("stop", &[]),
        ("pause", &["-u", "keep"]),
    ] {
        let inside = ["--", ROOTLET, verb, "box"];
        let line = [&["run", "-t", "never"], options, &inside].concat();
        let ran = runtime.rootlet(&line);
        ran.fails(125, &["another user namespace"]);
    }
    let status = runtime.rootlet(&["ps"]).ok();
    assert!(status.contains("\trunning\t"), "{status}");
}
