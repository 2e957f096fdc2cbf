//! Exit status: the command's own, 128+n, 127, 126, 125 and 124; never one for another.

mod support;

use support::{Dir, run, shell, shell_with};

/// The ways in which a command can be run.
const WAYS: [&[&str]; 3] = [&[], &["--no-init"], &["--share", "pid"]];

fn status(options: &[&str], script: &str) -> i32 {
    run(options.iter().chain(&["sh", "-c", script])).status
}

#[test]
fn l7_every_status_of_the_command_is_rootlets() {
    for code in 0..=255 {
        assert_eq!(status(&[], &format!("exit {code}")), code);
    }
    for options in WAYS {
        for code in [0, 1, 125, 126, 127, 128, 137, 255] {
            assert_eq!(
                status(options, &format!("exit {code}")),
                code,
                "{options:?}"
            );
        }
    }
}

#[test]
fn l5_a_signal_that_ended_the_command_is_128_and_its_number() {
    for signal in [1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 31, 34, 64] {
        assert_eq!(status(&[], &format!("kill -{signal} $$")), 128 + signal);
    }
    assert_eq!(status(&["--share", "pid"], "kill -SEGV $$"), 128 + 11);
}

#[test]
fn process_1_without_init_is_not_ended_by_its_own_signal() {
    assert_eq!(status(&["--no-init"], "kill -TERM $$; exit 3"), 3);
}

#[test]
fn l7_a_command_that_is_not_there_is_127() {
    let there = Dir::new();
    let missing = there.at("missing");
    for options in WAYS {
        for command in ["no-such-command", &missing, "/etc/passwd/x"] {
            run(options.iter().chain(&[command])).fails(127, &["rootlet: execute ", "hint: "]);
        }
    }
    run([""]).fails(127, &["empty word"]);
}

#[test]
fn a_script_whose_interpreter_is_not_there_is_127() {
    let dir = Dir::new();
    let script = executable(&dir, "script", "#!/no/such/interpreter\n");
    run([&script]).fails(127, &["(ENOENT)", "interpreter"]);
}

#[test]
fn l7_a_file_that_cannot_be_executed_is_126() {
    let dir = Dir::new();
    let plain = dir.file("plain", "#!/bin/sh\n");
    let neither = executable(&dir, "neither", "neither a program nor a script\n");
    for options in WAYS {
        let fails = |command: &str, word: &str| {
            run(options.iter().chain(&[command])).fails(126, &[word, "hint: "])
        };
        fails(&plain, "(EACCES)");
        fails(dir.text(), "(EACCES)");
        fails("/", "(EACCES)");
        fails(&neither, "(ENOEXEC)");
    }
}

#[test]
fn a_file_in_path_that_cannot_be_executed_does_not_hide_one_that_can() {
    let (first, second) = (Dir::new(), Dir::new());
    first.file("tool", "#!/bin/sh\nexit 1\n");
    let path = |dirs: &[&Dir]| {
        format!(
            "PATH={}",
            dirs.iter()
                .map(|dir| dir.text())
                .collect::<Vec<_>>()
                .join(":")
        )
    };
    run(["-e", &path(&[&first, &second]), "tool"]).fails(126, &["(EACCES)"]);
    executable(&second, "tool", "#!/bin/sh\nexit 7\n");
    assert_eq!(run(["-e", &path(&[&first, &second]), "tool"]).status, 7);
}

#[test]
fn a_directory_of_path_that_cannot_be_searched_gives_not_found() {
    if support::is_root() {
        return support::skip("root can search every directory");
    }
    // Somebody else's, which no capability inside opens.
    shell(r#"PATH=/root:/usr/bin:/bin exec "$rootlet" run -t never no-such-command"#)
        .fails(127, &["no-such-command"]);
    shell(r#"PATH=/root:/usr/bin:/bin exec "$rootlet" run -t never true"#).ok();
}

#[test]
fn l7_what_rootlet_itself_cannot_do_is_125() {
    for arguments in [
        &["--no-such-flag"][..],
        &["-v", "/no/such/source:/mnt", "true"],
        &["-w", "/no/such/directory", "true"],
        &["--rootfs", "/no/such/directory", "true"],
        &["--pass-fd", "77", "true"],
        &["--status-fd", "77", "true"],
        &["--spec", "/no/such/file", "true"],
        &["--hostname", "", "true"],
    ] {
        run(arguments).fails(125, &["rootlet: "]);
    }
}

#[test]
fn a_status_line_that_nobody_reads_is_125() {
    shell(r#"exec "$rootlet" run -t never --status-fd 9 true 9</dev/null"#)
        .fails(125, &["status descriptor"]);
}

#[test]
fn a_command_whose_time_is_over_is_124() {
    for options in WAYS {
        assert_eq!(
            run(options
                .iter()
                .chain(&["--timeout", "100ms", "sleep", "1000"]))
            .status,
            124,
            "{options:?}"
        );
    }
}

#[test]
fn a_command_that_ignores_its_end_is_made_to_end_and_is_124() {
    for options in WAYS {
        let script = "trap '' TERM INT HUP; while :; do sleep 1000; done";
        let ran = run(options
            .iter()
            .chain(&["--timeout", "100ms", "--", "sh", "-c", script]));
        assert_eq!(ran.status, 124, "{options:?} {ran:?}");
    }
}

#[test]
fn a_command_may_end_in_its_own_way_when_its_time_is_over() {
    let script = "trap 'echo caught; exit 5' TERM; while :; do sleep 0.01; done";
    let ran = run(["--timeout", "500ms", "--", "sh", "-c", script]);
    assert_eq!((ran.status, &*ran.out), (124, "caught"));
}

#[test]
fn a_command_that_is_in_time_keeps_its_status() {
    assert_eq!(run(["--timeout", "10m", "sh", "-c", "exit 9"]).status, 9);
}

#[test]
fn an_error_says_the_step_and_the_errno_once() {
    let ran = run(["/no/such/program"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(
        lines[0],
        "rootlet: execute /no/such/program: No such file or directory (ENOENT)"
    );
    assert!(
        lines.len() == 2 && lines[1].starts_with("hint: "),
        "{lines:?}"
    );
    assert_eq!(ran.out, "");
}

fn executable(dir: &Dir, name: &str, text: &str) -> String {
    let path = dir.file(name, text);
    shell_with("chmod 755 \"$1\"", &[path.as_ref()]).ok();
    path
}
