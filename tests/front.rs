//! The command line: what it refuses, spec files, and what it can tell about a plan.

mod support;

use std::process::Command;
use support::{Dir, ROOTLET, finish, inside, run, shell, shell_with};

#[test]
fn what_cannot_be_asked_for_is_refused_by_name() {
    for (arguments, words) in [
        (&["--no-such-flag", "true"][..], &["--no-such-flag"][..]),
        (&["--uidmap", "0:1:0", "true"], &["0:1:0", "the count is 0"]),
        (&["--uidmap", "0:1", "true"], &["0:1", "IN:OUT:COUNT"]),
        (&["-u", "nobody", "true"], &["nobody", "UID:GID"]),
        (&["--net", "bridge", "true"], &["bridge"]),
        (&["--share", "net", "true"], &["net"]),
        (&["--timeout", "0", "true"], &["duration"]),
        (&["--pass-fd", "-1", "true"], &["-1"]),
        (
            &["--spec", "/no/such/spec", "true"],
            &["read the spec file /no/such/spec", "(ENOENT)"],
        ),
    ] {
        run(arguments).fails(125, &[&["rootlet: "], words].concat());
    }
}

#[test]
fn u6_an_ordinary_user_is_told_what_may_be_mapped() {
    if support::is_root() {
        return support::skip("root may map ranges");
    }
    for flag in ["--uidmap", "--gidmap"] {
        let words = [
            "an ordinary user may map one",
            "0:100000:65536",
            "hint: leave",
            "newuidmap",
        ];
        run([flag, "0:100000:65536", "true"]).fails(125, &words);
        run([flag, "0:100000:1", "true"]).fails(125, &words[..1]);
    }
}

#[test]
fn a_spec_that_is_printed_is_the_one_that_is_read() {
    let dir = Dir::new();
    let flags = [
        "-u",
        "5:6",
        "--net",
        "none",
        "--share",
        "ipc,uts",
        "--boottime",
        "5",
        "--read-only",
        "-v",
        "/usr:/mnt:ro",
        "--tmpfs",
        "/srv:size=1m",
        "-v",
        "/etc",
        "-w",
        "/usr",
        "-e",
        "A=b c",
        "-e",
        "HOME",
        "--clear-env",
        "--timeout",
        "90s",
        "--strict",
        "--print-spec",
        "--",
        "sh",
        "-c",
        "echo \"$A\"; pwd",
    ];
    let printed = run(flags).ok();
    let file = dir.file("spec.toml", &printed);
    assert_eq!(run(["--spec", &file, "--print-spec"]).ok(), printed);
    assert_eq!(run(["--spec", &file]).ok(), "b c\n/usr");
    assert_eq!(
        shell_with(
            r#"exec "$rootlet" run -t never --spec - <"$1""#,
            &[file.as_ref()]
        )
        .ok(),
        "b c\n/usr"
    );
}

#[test]
fn the_example_of_the_documentation_has_every_key_and_comes_back_as_it_is() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/spec.md");
    let document = std::fs::read_to_string(document).unwrap();
    let example = document.split("```toml\n").nth(1).unwrap();
    let example = example.split("```\n").next().unwrap();
    let dir = Dir::new();
    let file = dir.file("example.toml", example);
    let printed = run(["--spec", &file, "--print-spec"]).ok();
    assert_eq!(printed + "\n", example);

    // The error for a key that is unknown names all that there are.
    let wrong = dir.file("wrong.toml", "no-such-key = 1\n");
    let said = run(["--spec", &wrong, "true"]).err;
    let keys = said.split_once("expected one of ").unwrap().1;
    for key in keys.split(", ").map(|key| key.trim_matches('`')) {
        let shown = example.lines().any(|line| {
            line.starts_with(&format!("{key} = "))
                || [format!("[{key}]"), format!("[[{key}]]")]
                    .iter()
                    .any(|head| line == head)
        });
        assert!(shown, "{key} is not in the example");
    }
}

#[test]
fn flags_after_a_spec_file_add_to_it() {
    let dir = Dir::new();
    let file = dir.file("spec.toml", "command = [\"sh\", \"-c\", \"echo $A $B; pwd\"]\nenv = [\"A=file\", \"B=file\"]\nworkdir = \"/usr\"\n");
    assert_eq!(run(["--spec", &file]).ok(), "file file\n/usr");
    assert_eq!(
        run(["--spec", &file, "-e", "B=flag", "-w", "/etc"]).ok(),
        "file flag\n/etc"
    );
    assert_eq!(run(["--spec", &file, "echo", "other"]).ok(), "other");
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let dir = Dir::new();
    let file = dir.file("spec.toml", "net = \"none\"\nreadonly = true\n");
    run(["--spec", &file, "true"]).fails(125, &[&file, "line 2: ", "readonly"]);
}

#[test]
fn the_plan_is_explained_without_being_run() {
    let dir = Dir::new();
    let file = dir.at("file");
    let text = run(["--explain", "--net", "none", "touch", &file]).ok();
    for words in [
        "launcher: ",
        "setup: ",
        "init: ",
        "command: ",
        "clone3(CLONE_NEWUSER|CLONE_NEWPID|CLONE_VM)",
        "[user_namespaces(7)]",
        "execve(",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&run(["--explain=json", "touch", &file]).ok()).unwrap();
    let processes = json["processes"].as_array().unwrap();
    let names: Vec<&str> = processes
        .iter()
        .map(|process| process["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["launcher", "setup", "init", "command"]);
    for step in processes
        .iter()
        .flat_map(|process| process["steps"].as_array().unwrap())
    {
        for key in ["attempt", "call", "words", "man"] {
            assert!(!step[key].as_str().unwrap().is_empty(), "{key} of {step}");
        }
    }
    assert!(dir.names().is_empty());
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let ran = shell(r#"{ "$rootlet" run --explain; echo $? >&2; } | head -n 1 >/dev/null"#);
    assert_eq!(ran.err, "0");
    for what in ["--explain", "--help"] {
        let line = format!(r#"{{ "$rootlet" run {what}; echo $? >&2; }} | true"#);
        assert_eq!(shell(&line).err, "0", "{what}");
    }
}

#[test]
fn a_trace_has_every_step_of_the_plan() {
    let flags = ["--net", "none", "--read-only", "--hostname", "box"];
    let explained = run(flags.iter().chain(&["--explain=json", "true"])).ok();
    let plan: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let ran = run(flags.iter().chain(&["--trace", "true"]));
    assert_eq!(ran.status, 0);
    for process in plan["processes"].as_array().unwrap() {
        for step in process["steps"].as_array().unwrap() {
            let call = step["call"].as_str().unwrap();
            // What goes on until the end is never done.
            if !call.starts_with("poll(") {
                assert!(
                    ran.err
                        .lines()
                        .any(|line| line.contains(" ms  ") && line.ends_with(call)),
                    "{call}: {}",
                    ran.err
                );
            }
        }
    }
}

#[test]
fn without_a_command_it_is_the_callers_shell() {
    let dir = Dir::new();
    let shell_program = dir.file("shell", "#!/bin/sh\necho mine $#\n");
    shell_with("chmod 755 \"$1\"", &[shell_program.as_ref()]).ok();
    for arguments in [&[][..], &["run"]] {
        let mut command = Command::new(ROOTLET);
        command
            .args(arguments)
            .env("SHELL", &shell_program)
            .stdin(std::process::Stdio::null());
        assert_eq!(finish(command).ok(), "mine 0");
    }
    assert_eq!(
        shell(r#"unset SHELL; echo 'echo in $0' | "$rootlet""#).ok(),
        "in /bin/sh"
    );
}

#[test]
fn options_of_the_command_are_the_commands() {
    assert_eq!(
        run(["echo", "-u", "--net", "--", "-v"]).ok(),
        "-u --net -- -v"
    );
    assert_eq!(run(["--", "echo", "-n", "x"]).ok(), "x");
    assert_eq!(inside(&[], "echo $#"), "0");
}

#[test]
fn a_mistake_is_answered_with_what_was_meant() {
    for (line, words) in [
        (
            "run --hostnme x true",
            &["--hostnme", "similar", "--hostname"][..],
        ),
        (
            "run --hostname",
            &["a value is required", "--hostname <NAME>"],
        ),
        ("run --net foo true", &["'foo'", "host, none"]),
        ("run --share net true", &["hint: ", "--net none"]),
        ("run -it sh", &["'-i'", "hint: ", "-t needs no -i"]),
        ("run -t", &["--tty <WHEN>", "hint: -t alone is not needed"]),
        ("run -w / -w / true", &["--workdir", "multiple times"]),
        ("run --boottime x true", &["clock offset \"x\""]),
        ("ls", &["'ls'", "rootlet run -- ls"]),
        ("-v /a:/b", &["'/a:/b'", "rootlet run -v SRC:DST"]),
    ] {
        let words = [&["rootlet: "], words].concat();
        shell(&format!("exec \"$rootlet\" {line}")).fails(125, &words);
    }
}

#[test]
fn verbose_stands_before_the_verb() {
    for (line, level) in [
        ("-v run", "INFO"),
        ("--verbose run", "INFO"),
        ("-vv run", "DEBUG"),
        ("-v -v run", "DEBUG"),
    ] {
        let ran = shell(&format!("exec \"$rootlet\" {line} -t never true"));
        assert_eq!(ran.status, 0, "{line}");
        assert!(ran.err.contains(level), "{line}: {}", ran.err);
        assert_eq!(ran.err.contains("DEBUG"), level == "DEBUG", "{line}");
    }
    let ran = shell("SHELL=/bin/true exec \"$rootlet\" -v </dev/null");
    assert!(ran.status == 0 && ran.err.contains("INFO"), "{}", ran.err);
}

#[test]
fn help_and_version_are_output() {
    let version = shell("exec \"$rootlet\" --version").ok();
    assert_eq!(version, format!("rootlet {}", env!("CARGO_PKG_VERSION")));
    assert!(shell("exec \"$rootlet\" --help").ok().contains("run"));
    let help = run(["--help"]).ok();
    for flag in [
        "--user",
        "--rootfs",
        "--read-only",
        "--explain",
        "--status-fd",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}
