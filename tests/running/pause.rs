//! Nothing in a container runs while it is paused.

use crate::runtime::{Runtime, state, until};
use crate::support::installed;
use serde_json::Value;

/// The processes of a container.
fn pids(runtime: &Runtime, name: &str) -> Vec<u32> {
    let text = runtime.rootlet(&["inspect", "--json", name]).ok();
    let about: Value = serde_json::from_str(&text).unwrap();
    let pids = about[0]["pids"].as_array().unwrap();
    pids.iter()
        .map(|pid| pid.as_u64().unwrap() as u32)
        .collect()
}

/// Requires that every process is stopped, by the freezer or by itself.
#[track_caller]
fn all_are_still(runtime: &Runtime, name: &str) {
    let group = runtime.rootlet(&["inspect", "--json", name]).ok();
    let group: Value = serde_json::from_str(&group).unwrap();
    if let Some(group) = group[0]["group"].as_str() {
        let events = std::fs::read_to_string(format!("{group}/cgroup.events")).unwrap();
        assert!(events.contains("frozen 1"), "{events}");
        return;
    }
    for pid in pids(runtime, name) {
        let state = state(pid);
        assert!(matches!(state, None | Some('T' | 'Z' | 'D')), "{state:?}");
    }
}

const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i >count; sleep 0.005; done";

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let runtime = Runtime::new();
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let options = [options, &["-w", runtime.dir().text()]].concat();
        let name = runtime.detach(&options, COUNTS);
        let file = runtime.dir().at("count");
        let count = || std::fs::read_to_string(&file).unwrap_or_default();
        let moves = |before: String| {
            until("it counts", || {
                ![String::new(), before.clone()].contains(&count())
            });
        };
        moves(String::new());
        assert_eq!(runtime.rootlet(&["pause", &name]).ok(), name);
        assert_eq!(runtime.seen(&name, "status"), "paused");
        all_are_still(&runtime, &name);
        let before = count();
        // Other commands take their time meanwhile.
        assert_eq!(runtime.rootlet(&["pause", &name]).ok(), name);
        assert_eq!(
            runtime.rootlet(&["ps", "-q", "-f", "status=paused"]).ok(),
            name
        );
        assert_eq!(count(), before);
        assert_eq!(runtime.rootlet(&["resume", &name]).ok(), name);
        assert_eq!(runtime.seen(&name, "status"), "running");
        moves(before);
        runtime.rootlet(&["kill", &name]).ok();
        std::fs::remove_file(&file).unwrap();
        runtime
            .rootlet(&["pause", &name])
            .fails(125, &["has ended"]);
        runtime
            .rootlet(&["resume", &name])
            .fails(125, &["has ended"]);
    }
}

#[test]
fn a_paused_container_is_stopped_and_killed() {
    let runtime = Runtime::new();
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
        for (words, exit) in [(&["stop"][..], 7), (&["kill"], 137), (&["rm", "-f"], 0)] {
            let name = runtime.detach(options, script);
            until("the command is ready", || runtime.log(&name) == "ready");
            runtime.rootlet(&["pause", &name]).ok();
            let ran = runtime.rootlet(&[words, &[&name]].concat());
            assert_eq!(ran.ok(), name);
            runtime.nothing_runs();
            match exit {
                0 => assert!(runtime.find(&name).is_none()),
                _ => assert_eq!(runtime.seen(&name, "exit"), exit, "{options:?} {words:?}"),
            }
        }
    }
}

#[test]
fn processes_that_make_others_do_not_escape_a_pause() {
    let runtime = Runtime::new();
    // Each child makes the next one and ends: whoever is looked at has gone already.
    let script = r#"cat >next <<'END'
echo x >>count; [ $(wc -c <count) -lt 100000 ] && sh next &
END
        sh next; sh next; while :; do (:); done"#;
    let name = runtime.detach(&["-w", runtime.dir().text()], script);
    let length = || std::fs::metadata(runtime.dir().at("count")).map_or(0, |data| data.len());
    for _ in 0..5 {
        let before = length();
        until("it goes on", || length() > before);
        runtime.rootlet(&["pause", &name]).ok();
        let paused = length();
        all_are_still(&runtime, &name);
        runtime.rootlet(&["ps"]).ok();
        all_are_still(&runtime, &name);
        assert_eq!(length(), paused);
        runtime.rootlet(&["resume", &name]).ok();
    }
    runtime.rootlet(&["kill", &name]).ok();
}

#[test]
fn a_thread_whose_process_has_lost_its_first_one_is_paused() {
    if !installed(&["python3"]) {
        return;
    }
    let runtime = Runtime::new();
    // The first thread ends alone (exit, and not exit_group): its process is shown as a zombie, and goes on.
    let script = r#"cat >threads.py <<'END'
import ctypes, threading, time
def count():
    number = 0
    while True:
        number += 1
        open("count", "w").write(f"{number}\n")
        time.sleep(0.002)
threading.Thread(target=count).start()
ctypes.CDLL(None).syscall(60, 0)
END
        python3 threads.py"#;
    if std::env::consts::ARCH != "x86_64" {
        return;
    }
    let name = runtime.detach(&["-w", runtime.dir().text()], script);
    let count = || {
        let text = std::fs::read_to_string(runtime.dir().at("count"));
        text.unwrap_or_default().trim().parse::<u64>().unwrap_or(0)
    };
    until("it counts", || {
        count() > 0
            && pids(&runtime, &name)
                .into_iter()
                .any(|pid| state(pid) == Some('Z'))
    });
    runtime.rootlet(&["pause", &name]).ok();
    let before = count();
    for _ in 0..5 {
        runtime.list();
    }
    assert_eq!(count(), before);
    runtime.rootlet(&["resume", &name]).ok();
    until("it goes on", || count() > before);
    runtime.rootlet(&["kill", &name]).ok();
}
