//! What is asked of containers that run: removing, renaming, labels, and all that is known of them.

use crate::runtime::{Runtime, until};
use crate::support::{await_end, send};
use serde_json::{Value, json};

#[test]
fn rm_removes_what_has_ended_and_with_force_what_runs() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    runtime
        .rootlet(&["rm", &name])
        .fails(125, &["has not ended", "rootlet stop", "rm --force"]);
    assert_eq!(runtime.seen(&name, "status"), "running");
    // Of all, those that have ended.
    assert_eq!(runtime.rootlet(&["rm", "--all"]).ok(), "");
    assert_eq!(runtime.rootlet(&["rm", "--force", &name]).ok(), name);
    runtime.nothing_runs();
    assert!(!runtime.place().exists());
    let child = runtime.foreground("web", &[], "sleep 1000; :");
    assert_eq!(runtime.rootlet(&["rm", "--force", "--all"]).ok(), "web");
    assert_eq!(await_end(child).status, 137);
    assert!(!runtime.place().exists());
}

#[test]
fn a_container_that_runs_is_renamed() {
    let runtime = Runtime::new();
    let script = "trap 'echo end; exit 0' TERM; echo begin; while :; do sleep 0.01; done";
    runtime.detach(&["--name", "old"], script);
    runtime.detach(&["--name", "other"], "sleep 1000; :");
    runtime
        .rootlet(&["rename", "old", "other"])
        .fails(125, &["a container called other already"]);
    runtime
        .rootlet(&["rename", "nobody", "new"])
        .fails(125, &["no container called nobody"]);
    runtime.rootlet(&["rename", "old", "new"]).ok();
    assert!(runtime.find("old").is_none());
    runtime
        .rootlet(&["stop", "old"])
        .fails(125, &["no container called old"]);
    until("the command is ready", || runtime.log("new") == "begin");
    // Its old name is free.
    runtime.detach(&["--name", "old"], "sleep 1000; :");
    assert_eq!(runtime.rootlet(&["stop", "new"]).ok(), "new");
    assert_eq!(runtime.log("new"), "begin\nend");
    // And one that has ended.
    runtime.rootlet(&["rename", "new", "ended"]).ok();
    assert_eq!(runtime.seen("ended", "exit"), 0);
    // Nothing is left of one in the foreground, whatever it is called.
    let child = runtime.foreground("web", &[], "sleep 1000; :");
    runtime.rootlet(&["rename", "web", "net"]).ok();
    runtime.rootlet(&["kill", "net"]).ok();
    assert_eq!(await_end(child).status, 137);
    assert!(runtime.find("net").is_none() && runtime.find("web").is_none());
}

#[test]
fn labels_are_noted_and_filtered_by() {
    let runtime = Runtime::new();
    let labels = ["--label", "tier=web", "--label", "odd", "--label", "x=a=b"];
    runtime.detach(&[&["--name", "one"], &labels[..]].concat(), "sleep 1000; :");
    runtime.detach(&["--name", "two", "--label", "tier=db"], "sleep 1000; :");
    runtime.detach(&["--name", "three"], "exit 0");
    runtime.rootlet(&["wait", "three"]).ok();
    let expected = json!({"tier": "web", "odd": "", "x": "a=b"});
    assert_eq!(runtime.seen("one", "labels"), expected);
    let names = |filters: &[&str]| {
        let mut words = vec!["ps", "-q"];
        for filter in filters {
            words.extend(["--filter", filter]);
        }
        runtime.rootlet(&words).ok()
    };
    assert_eq!(names(&["label=tier"]), "one\ntwo");
    assert_eq!(names(&["label=tier=db"]), "two");
    assert_eq!(names(&["label=tier", "label=odd"]), "one");
    assert_eq!(names(&["label=x=a=b"]), "one");
    assert_eq!(names(&["name=o"]), "one\ntwo");
    assert_eq!(names(&["status=exited"]), "three");
    assert_eq!(names(&["status=running", "name=w"]), "two");
    for filter in ["size=3", "tier", "status=dead"] {
        runtime
            .rootlet(&["ps", "--filter", filter])
            .fails(125, &[filter, "status=WORD"]);
    }
}

#[test]
fn what_cannot_be_noted_is_an_error_and_starts_nothing() {
    let runtime = Runtime::new();
    for (option, said) in [
        ("--label=", "label \"\" has no name"),
        ("--label==x", "label \"=x\" has no name"),
        ("--restart=sometimes", "on-failure:N"),
        ("--restart=on-failure:", "on-failure:N"),
        ("--restart=on-failure:-1", "on-failure:N"),
        ("--restart=no:1", "on-failure:N"),
        ("--restart=always", "a systemd service"),
        ("--log-size=much", "much"),
    ] {
        let file = runtime.dir().at("started");
        let words = ["run", "-d", "--name", "web", option, "touch", &file];
        runtime.rootlet(&words).fails(125, &[said]);
        assert!(!std::path::Path::new(&file).exists());
    }
    assert!(!runtime.place().exists());
}

#[test]
fn inspect_tells_all_that_is_known() {
    let runtime = Runtime::new();
    let name = runtime.detach(
        &["--label", "a=b", "--env", "SECRET=hidden", "--net", "none"],
        "sleep 1000; :",
    );
    until("its shell has started the other one", || {
        runtime.seen(&name, "pids") == 2
    });
    let text = runtime.rootlet(&["inspect", "--json", &name]).ok();
    let about: Value = serde_json::from_str(&text).unwrap();
    let about = &about[0];
    assert_eq!(about["name"], name.as_str());
    assert_eq!(about["state"], "running");
    assert_eq!(about["command"][2], "sleep 1000; :");
    assert_eq!(about["labels"], json!({"a": "b"}));
    assert_eq!(about["spec"]["net"], "none");
    assert!(about["plan"]["processes"].as_array().unwrap().len() >= 3);
    assert!(about["enforced"].is_object());
    let command = about["process"]["pid"].as_u64().unwrap();
    let pids = about["pids"].as_array().unwrap();
    assert!(
        pids.len() >= 2 && pids.contains(&json!(command)),
        "{pids:?}"
    );
    // As /proc has them.
    for kind in ["user", "mnt", "net", "pid", "uts", "ipc"] {
        let link = std::fs::read_link(format!("/proc/{command}/ns/{kind}")).unwrap();
        let number = about["namespace-ids"][kind].as_u64().unwrap();
        assert_eq!(link.to_str().unwrap(), format!("{kind}:[{number}]"));
    }
    let mounts = about["mounts"].as_array().unwrap();
    assert!(mounts.contains(&json!("/proc proc rw")), "{mounts:?}");
    assert!(!text.contains("\"environment\""));
    // For people.
    let text = runtime.rootlet(&["inspect", &name]).ok();
    for words in [
        &format!("{name} (running)"),
        "sleep 1000; :",
        "mounts",
        "init",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // One that has ended, and one that is not there.
    runtime.rootlet(&["kill", &name]).ok();
    let ran = runtime.rootlet(&["inspect", "--json", &name, "nobody"]);
    let about: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(about[0]["signal"], 9);
    assert_eq!(about[0]["pids"], Value::Null);
    ran.fails(125, &["no container called nobody"]);
}

#[test]
fn top_lists_the_processes_inside() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let command = runtime.pid(&name, "pid");
    let mut lines = Vec::new();
    until("both are there", || {
        let text = runtime.rootlet(&["top", &name]).ok();
        lines = text.lines().map(ToString::to_string).collect();
        lines.iter().any(|line| line.ends_with(" sleep 1000"))
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("PID"));
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(words[..2], [&command.to_string(), "2"]);
    assert_eq!(runtime.seen(&name, "pids"), 2);
    runtime.rootlet(&["kill", &name]).ok();
    runtime.rootlet(&["top", &name]).fails(125, &["has ended"]);
}

#[test]
fn the_list_has_columns_for_programs() {
    let runtime = Runtime::new();
    let script = "printf 'a\\tb'; sleep 1000";
    let words = [
        "run",
        "-d",
        "--name",
        "web",
        "sh",
        "-c",
        script,
        "tab\there",
    ];
    runtime.rootlet(&words).ok();
    let text = runtime.rootlet(&["ps"]).ok();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines[0].len(), 8);
    assert_eq!(lines[1].len(), 8, "{text}");
    assert_eq!((lines[1][0], lines[1][3]), ("web", "running"));
    assert!(lines[1][1].contains(r"tab\there"), "{text}");
    assert!(lines[1][5].split(',').any(|kind| kind == "pid"), "{text}");
    assert!(lines[1][6].parse::<u64>().unwrap() > 0);
    runtime.rootlet(&["kill", "web"]).ok();
    assert_eq!(runtime.rootlet(&["ps"]).ok().lines().count(), 1);
    let text = runtime.rootlet(&["ps", "-a"]).ok();
    assert!(text.contains("\texited (137)\t"), "{text}");
}

#[test]
fn a_process_that_has_got_a_dead_ones_id_is_left_alone() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let supervisor = runtime.pid(&name, "supervisor-pid");
    // As if the supervisor had died and its id were another's: the lock is free, the id is this bystander's.
    let mut bystander = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    send(supervisor, libc::SIGKILL);
    runtime.nothing_runs();
    crate::names::is_let_go(&runtime, &name);
    let file = runtime.place().join(&name).join("record.json");
    let record = std::fs::read_to_string(&file).unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    for process in ["supervisor", "process", "init"] {
        record[process]["pid"] = json!(bystander.id());
    }
    std::fs::write(&file, record.to_string()).unwrap();
    runtime
        .rootlet(&["rm", "--force", &name])
        .fails(125, &["there is no container"]);
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
