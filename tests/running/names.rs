//! What containers are called, and when a name is free again.

use crate::runtime::{Runtime, until};
use crate::support::{finish, send};

#[test]
fn two_plain_words_are_made_up_where_no_name_is_given() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let words: Vec<&str> = name.split('-').collect();
    assert_eq!(words.len(), 2, "{name}");
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    assert!(words.iter().all(plain), "{name}");
    assert_eq!(runtime.seen(&name, "status"), "running");
}

#[test]
fn nothing_is_started_under_a_name_that_is_in_use() {
    let runtime = Runtime::new();
    runtime.detach(&["--name", "web"], "sleep 1000; :");
    let file = runtime.dir().at("started");
    for detach in [&[][..], &["-d"]] {
        let words = [&["run", "--name", "web"], detach, &["touch", &file]].concat();
        let words = [&["run"], &words[1..]].concat();
        runtime.rootlet(&words).fails(
            125,
            &["there is a container called web already", "rootlet ps -a"],
        );
    }
    assert!(!std::path::Path::new(&file).exists());
    // Nor where the one that has it has ended, and is listed still.
    runtime.rootlet(&["stop", "web", "--time", "0"]).ok();
    runtime
        .rootlet(&["run", "-d", "--name", "web", "touch", &file])
        .fails(125, &["web already"]);
    assert!(!std::path::Path::new(&file).exists());
    assert_eq!(runtime.list().len(), 1);
}

#[test]
fn what_is_no_name_is_an_error_with_what_one_is() {
    let runtime = Runtime::new();
    let long = "a".repeat(65);
    for name in ["", ".", "..", "../web", "a/b", "-a", "a b", "é", &long] {
        let option = format!("--name={name}");
        runtime
            .rootlet(&["run", "-d", &option, "true"])
            .fails(125, &["1 to 64", "begins with a letter or digit"]);
        runtime
            .rootlet(&["stop", "--", name])
            .fails(125, &["begins with a letter or digit"]);
    }
    assert!(!runtime.place().exists());
}

#[test]
fn a_name_is_free_when_its_container_has_ended_and_is_removed() {
    let runtime = Runtime::new();
    for _ in 0..2 {
        runtime.detach(&["--name", "web"], "sleep 1000; :");
        assert_eq!(runtime.rootlet(&["stop", "web", "--time", "0"]).ok(), "web");
        assert_eq!(runtime.rootlet(&["rm", "web"]).ok(), "web");
    }
    assert!(!runtime.place().exists());
    runtime
        .rootlet(&["rm", "web"])
        .fails(125, &["there is no container called web"]);
}

/// Waits until nobody holds a container's folder: a process that has gone from the list of them may not yet have closed
/// all that it had of the supervisor's.
#[track_caller]
pub fn is_let_go(runtime: &Runtime, name: &str) {
    let lock = std::fs::File::open(runtime.place().join(name).join("lock")).unwrap();
    until("the lock is free", || {
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
    });
}

/// The name of a container whose supervisor has been killed.
fn orphan(runtime: &Runtime) -> &'static str {
    runtime.detach(&["--name", "web"], "sleep 1000; :");
    let supervisor = runtime.pid("web", "supervisor-pid");
    send(supervisor, libc::SIGKILL);
    runtime.nothing_runs();
    is_let_go(runtime, "web");
    assert!(runtime.place().join("web/record.json").exists());
    "web"
}

#[test]
fn the_next_command_clears_away_what_a_killed_supervisor_has_left() {
    for verb in [
        "ps", "rm", "stop", "kill", "logs", "wait", "inspect", "top", "attach", "pause", "resume",
    ] {
        let runtime = Runtime::new();
        let name = orphan(&runtime);
        match verb {
            "ps" => assert_eq!(runtime.rootlet(&["ps", "-aq"]).ok(), ""),
            _ => runtime
                .rootlet(&[verb, name])
                .fails(125, &["there is no container called web"]),
        }
        assert!(!runtime.place().exists(), "{verb}");
    }
    let runtime = Runtime::new();
    let name = orphan(&runtime);
    runtime.rootlet(&["rename", name, "other"]).fails(125, &[]);
    assert!(!runtime.place().exists());
    orphan(&runtime);
    runtime.detach(&["--name", name], "sleep 1000; :");
    assert_eq!(runtime.seen(name, "status"), "running");
}

#[test]
fn a_name_of_a_killed_supervisors_container_can_be_given_to_another() {
    let runtime = Runtime::new();
    let dead = orphan(&runtime);
    // Not by ps, which would clear it away.
    let words = ["run", "-d", "--name", "other", "sleep", "1000"];
    finish(runtime.command(&words)).ok();
    assert!(runtime.place().join(dead).exists());
    runtime.rootlet(&["rename", "other", dead]).ok();
    assert_eq!(runtime.seen(dead, "status"), "running");
    assert_eq!(runtime.list().len(), 1);
    runtime.rootlet(&["rm", "--force", dead]).ok();
}

#[test]
fn a_foreground_command_is_listed_without_a_name_while_it_runs() {
    let runtime = Runtime::new();
    let mut command = runtime.command(&["run", "-t", "never", "sleep", "1000"]);
    let mut child = command.spawn().unwrap();
    until("it is listed", || !runtime.list().is_empty());
    let name = runtime.list()[0]["name"].as_str().unwrap().to_string();
    assert_eq!(runtime.seen(&name, "detached"), false);
    assert_eq!(runtime.pid(&name, "supervisor-pid"), child.id());
    // Its output is the caller's, so that there is no log, and nobody attaches.
    runtime
        .rootlet(&["logs", &name])
        .fails(125, &["is not detached", "no log"]);
    runtime
        .rootlet(&["attach", &name])
        .fails(125, &["not detached"]);
    runtime.rootlet(&["stop", &name]).ok();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!runtime.place().exists());
}

#[test]
fn a_short_command_never_makes_the_directory() {
    let runtime = Runtime::new();
    // Nothing in it can be made, and that would be said.
    let ran = runtime.shell(
        r#"chmod 500 "$XDG_RUNTIME_DIR"; "$rootlet" run -t never true; status=$?
        chmod 700 "$XDG_RUNTIME_DIR"; exit $status"#,
    );
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(!runtime.place().exists());
}
