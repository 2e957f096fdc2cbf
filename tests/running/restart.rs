//! Commands that are started again.

use crate::runtime::{Runtime, until};
use crate::support::{await_end, send};

#[test]
fn a_failing_command_is_started_again_as_often_as_it_may() {
    let runtime = Runtime::new();
    let name = runtime.detach(&["--restart", "on-failure:2"], "echo run; exit 3");
    assert_eq!(runtime.rootlet(&["wait", &name]).ok(), "3");
    assert_eq!(runtime.log(&name), "run\nrun\nrun");
    assert_eq!(runtime.seen(&name, "restarts"), 2);
    // One that succeeds is not.
    let script = "[ -e again ] && exit 0; touch again; exit 1";
    let options = ["--restart", "on-failure", "-w", runtime.dir().text()];
    let name = runtime.detach(&options, script);
    assert_eq!(runtime.rootlet(&["wait", &name]).ok(), "0");
    assert_eq!(runtime.seen(&name, "restarts"), 1);
}

#[test]
fn stop_kill_and_rm_end_the_restarting() {
    let runtime = Runtime::new();
    for words in [&["stop", "--time", "0"][..], &["kill"], &["rm", "-f"]] {
        // Most of the time it waits to be started again.
        let name = runtime.detach(&["--restart", "on-failure"], "exit 1");
        until("it is started again", || {
            runtime.seen(&name, "status") == "restarting"
        });
        assert_eq!(runtime.rootlet(&[words, &[&name]].concat()).ok(), name);
        runtime.nothing_runs();
        // While it runs.
        let name = runtime.detach(&["--restart", "on-failure"], "sleep 1000; :");
        assert_eq!(runtime.rootlet(&[words, &[&name]].concat()).ok(), name);
        runtime.nothing_runs();
    }
}

#[test]
fn a_signal_to_the_supervisor_ends_the_restarting() {
    let runtime = Runtime::new();
    let child = runtime.foreground("web", &["--restart", "on-failure"], "sleep 1000; :");
    send(child.id(), libc::SIGTERM);
    assert_eq!(await_end(child).status, 143);
    runtime.nothing_runs();
    assert!(!runtime.place().exists());
    // Between two runs.
    let mut command = runtime.command(&[
        "run",
        "--name",
        "web",
        "--restart",
        "on-failure",
        "--",
        "sh",
        "-c",
        "exit 1",
        runtime.mark(),
    ]);
    let child = command.spawn().unwrap();
    until("it is started again", || {
        runtime
            .find("web")
            .is_some_and(|it| it["status"] == "restarting")
    });
    send(child.id(), libc::SIGTERM);
    assert_ne!(await_end(child).status, 0);
    runtime.nothing_runs();
    assert_eq!(runtime.list().len(), 0);
}
