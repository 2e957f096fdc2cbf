//! Many at once, and supervisors that are killed while they start.

use crate::runtime::{Runtime, until};
use crate::support::{Ran, await_end};
use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

fn start(runtime: &Runtime, words: &[&str]) -> Child {
    let mut command = runtime.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn fifty_that_start_at_once_have_fifty_names() {
    let runtime = Runtime::new();
    let words = [
        "run",
        "-d",
        "--",
        "sh",
        "-c",
        "sleep 1000; :",
        runtime.mark(),
    ];
    let started: Vec<Child> = (0..50).map(|_| start(&runtime, &words)).collect();
    let lists: Vec<Child> = (0..10)
        .map(|_| start(&runtime, &["ps", "--json"]))
        .collect();
    let names: BTreeSet<String> = started.into_iter().map(|it| await_end(it).ok()).collect();
    assert_eq!(names.len(), 50);
    for list in lists {
        let ran = await_end(list);
        assert_eq!(ran.err, "");
        serde_json::from_str::<Vec<serde_json::Value>>(&ran.ok()).unwrap();
    }
    let listed = runtime.rootlet(&["ps", "-q"]).ok();
    assert!(listed.lines().eq(names.iter()), "{listed}\n{names:?}");
    runtime.rootlet(&["kill", "--all"]).ok();
    runtime.nothing_runs();
    assert_eq!(runtime.rootlet(&["rm", "--all"]).ok().lines().count(), 50);
    assert!(!runtime.place().exists());
}

#[test]
fn starting_listing_and_removing_at_once_is_never_seen_half_done() {
    let runtime = Runtime::new();
    let mut jobs = Vec::new();
    for number in 0..50 {
        let name = format!("c{number}");
        jobs.push(start(&runtime, &["run", "-d", "--rm", "true"]));
        jobs.push(start(&runtime, &["run", "-d", "--name", &name, "true"]));
        jobs.push(start(&runtime, &["ps", "-a"]));
        // Each may come before, amid or after.
        let script =
            format!(r#""$rootlet" rm -f {name} 2>&1 || :; "$rootlet" inspect -a >/dev/null"#);
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", &script])
            .env("rootlet", crate::support::ROOTLET)
            .env("XDG_RUNTIME_DIR", runtime.dir().path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        jobs.push(shell.spawn().unwrap());
    }
    for job in jobs {
        let Ran { status, out, err } = await_end(job);
        // What is removed while it starts is killed by that.
        if err.contains("was killed by SIGKILL") {
            continue;
        }
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        // Of rm.
        let said = out.lines().filter(|line| line.starts_with("rootlet: "));
        for line in said {
            assert!(line.contains("there is no container called c"), "{line}");
        }
    }
    until("all have ended", || {
        runtime.list().iter().all(|it| it["status"] == "exited")
    });
    runtime.rootlet(&["rm", "--all"]).ok();
    assert!(!runtime.place().exists());
    runtime.nothing_runs();
}

#[test]
fn a_supervisor_that_is_killed_while_it_starts_leaves_what_the_next_command_clears() {
    let runtime = Runtime::new();
    for step in 0..60 {
        let words = [
            "run",
            "-t",
            "never",
            "--name",
            "web",
            "--",
            "sh",
            "-c",
            "sleep 1000; :",
        ];
        let mut child = start(&runtime, &[&words, &[runtime.mark()][..]].concat());
        std::thread::sleep(Duration::from_micros(250 * step));
        child.kill().unwrap();
        child.wait().unwrap();
        runtime.nothing_runs();
        // Its processes are gone, but for one that has not yet closed all that it had of the supervisor's.
        until("it is cleared away", || {
            runtime.list().is_empty() && !runtime.place().exists()
        });
    }
}

#[test]
fn many_who_wait_are_all_told() {
    let runtime = Runtime::new();
    for _ in 0..10 {
        let name = runtime.detach(&["--rm"], "sleep 0.02; exit 6");
        let waiters: Vec<Child> = (0..8).map(|_| start(&runtime, &["wait", &name])).collect();
        for waiter in waiters {
            let ran = await_end(waiter);
            // Who comes too late finds nothing of it; who was in time knows how it ended.
            match ran.status {
                0 => assert_eq!(ran.out, "6"),
                _ if ran.err.contains("has just gone") => assert_eq!(ran.status, 125),
                _ => ran.fails(125, &["there is no container called"]),
            }
        }
    }
}
