//! Limits of the command's processes, and what is said where the container as a whole cannot be limited.
//!
//! That control groups keep their limits is tried by scripts/vm-test, on a machine where a user has some: here they may all be
//! version 1, or not the tests' to use.

mod support;

use rootlet::host::cgroup::Cgroups;
use support::{Dir, field, inside, run};

/// A line of /proc/PID/limits: the soft and the hard limit.
fn limit(text: &str, name: &str) -> (String, String) {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let mut words = line[name.len()..].split_whitespace();
    let mut next = || words.next().unwrap().to_string();
    (next(), next())
}

fn limits(options: &[&str]) -> String {
    inside(options, "cat /proc/self/limits")
}

#[test]
fn p7_a_crash_leaves_no_core_unless_that_is_asked_for() {
    let core = |options: &[&str]| limit(&limits(options), "Max core file size").0;
    for options in [&[][..], &["-u", "keep"], &["--no-init"]] {
        assert_eq!(core(options), "0", "{options:?}");
    }
    let hard = std::fs::read_to_string("/proc/self/limits").unwrap();
    let (_, hard) = limit(&hard, "Max core file size");
    if hard == "unlimited" {
        assert_eq!(core(&["--ulimit", "core=unlimited"]), "unlimited");
    }
}

#[test]
fn ulimits_are_those_that_are_asked_for_and_no_more_than_one_may_have() {
    let text = limits(&["--ulimit", "nofile=100:200", "--ulimit", "fsize=4096"]);
    assert_eq!(limit(&text, "Max open files"), ("100".into(), "200".into()));
    assert_eq!(
        limit(&text, "Max file size"),
        ("4096".into(), "4096".into())
    );
    let dir = Dir::new();
    let write = format!("head -c 5000 /dev/zero >'{}'", dir.at("file"));
    let ran = run(["--ulimit", "fsize=4096", "sh", "-c", &write]);
    assert_ne!(ran.status, 0, "{ran:?}");
    assert_eq!(std::fs::metadata(dir.at("file")).unwrap().len(), 4096);
    run(["--ulimit", "nofile=1:99999999999", "true"]).fails(125, &["above your hard limit"]);
    run(["--ulimit", "nofile=9:5", "true"]).fails(125, &["nofile"]);
    run(["--ulimit", "files=1", "true"]).fails(125, &["the names are cpu, fsize"]);
}

#[test]
fn nice_and_the_oom_score_are_the_commands_alone() {
    assert_eq!(inside(&["--nice", "7"], "nice"), "7");
    assert_eq!(
        inside(&["--oom-score-adj", "321"], "cat /proc/self/oom_score_adj"),
        "321"
    );
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(inside(&[], "cat /proc/self/oom_score_adj"), own.trim());
    for (option, value, words) in [
        ("--nice", "20", "nice value 20 is not from -20 to 19"),
        (
            "--oom-score-adj",
            "1001",
            "oom score 1001 is not from -1000 to 1000",
        ),
        ("--io-weight", "0", "io weight 0 is not from 1 to 10000"),
        ("--memory-swap", "5", "needs --memory"),
        ("--pids-limit", "0", "a limit of 0 processes"),
    ] {
        run([option, value, "true"]).fails(125, &[words]);
    }
    if !support::is_root() {
        run(["--nice", "-20", "true"]).fails(125, &["set the nice value to -20", "hint: "]);
        run(["--oom-score-adj", "-1000", "true"])
            .fails(125, &["write -1000 to oom_score_adj", "hint: "]);
    }
}

/// Whether this process has a control group that it may divide, so that limits are kept and nothing is refused.
fn has_a_group() -> bool {
    matches!(
        Cgroups::look(),
        Cgroups::Delegated { .. } | Cgroups::OnRequest(_)
    )
}

#[test]
fn l13_a_limit_that_cannot_be_kept_is_an_error_or_said() {
    if has_a_group() {
        return support::skip("this process has a control group of its own");
    }
    for option in [
        ["--memory", "64m"],
        ["--cpus", "1.5"],
        ["--pids-limit", "20"],
        ["--io-weight", "50"],
    ] {
        let name = option[0];
        let words = format!("no control group for {name}: ");
        let with = |more: &[&str]| run([&option[..], more, &["sh", "-c", "echo ran"]].concat());
        with(&[]).fails(125, &[&words, "hint: "]);
        let ran = with(&["--limits", "try", "--status-fd", "2"]);
        assert_eq!((ran.status, &*ran.out), (0, "ran"), "{ran:?}");
        assert!(
            ran.err.starts_with(&format!("rootlet: note: {words}")),
            "{ran:?}"
        );
        assert!(
            ran.err.contains(r#""stepped_down":["no control group"#),
            "{ran:?}"
        );
        with(&["--limits", "try", "--strict"]).fails(125, &[&words]);
    }
}

#[test]
fn process_limits_stand_for_a_group_only_when_that_is_asked_for() {
    if has_a_group() {
        return support::skip("this process has a control group of its own");
    }
    let ran = run([
        "--limits",
        "rlimit",
        "--memory",
        "256m",
        "--pids-limit",
        "50",
        "cat",
        "/proc/self/limits",
    ]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.err.contains("instead: limits of each process"),
        "{ran:?}"
    );
    assert_eq!(
        limit(&ran.out, "Max address space").0,
        (256 << 20).to_string()
    );
    assert_eq!(limit(&ran.out, "Max processes").0, "50");
    // More than that is not to be had.
    let hungry = "python3 -c 'bytearray(400 << 20)'";
    let ran = run(["--limits", "rlimit", "--memory", "256m", "sh", "-c", hungry]);
    assert!(
        ran.status != 0 && ran.err.contains("MemoryError"),
        "{ran:?}"
    );
    run(["--limits", "rlimit", "--cpus", "1", "true"])
        .fails(125, &["no process limit stands for --cpus"]);
}

#[test]
fn a_limit_holds_for_root_inside() {
    let raise = "ulimit -Hn 201 2>/dev/null && echo raised; grep -q . /proc/self/status; true";
    assert_eq!(inside(&["--ulimit", "nofile=100:200"], raise), "");
    let status = inside(&["--ulimit", "nofile=100:200"], "cat /proc/self/status");
    assert_eq!(field(&status, "Uid"), "0\t0\t0\t0");
}
