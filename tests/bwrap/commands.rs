//! The command: how its end is told, how it is found, its environment, its directory, and what help there is.

use crate::fds::Fd;
use crate::programs::{HOST, TOOLS, WAYS, each, in_tools, numbers, since, with, words};
use crate::support::{Dir, finish};
use std::os::unix::process::CommandExt;

// How it ends.

#[test]
fn the_status_is_the_commands() {
    each(|bwrap| {
        for way in WAYS {
            for status in [0, 1, 2, 42, 127, 255] {
                let ran = bwrap.run(&[], &in_tools(way, &format!("exit {status}")));
                assert_eq!((ran.status, &*ran.err), (status, ""), "{way}");
            }
        }
    });
}

#[test]
fn the_status_is_128_and_the_signal_that_killed_the_command() {
    each(|bwrap| {
        // The first process of a PID namespace cannot kill itself.
        for way in &WAYS[..2] {
            for (signal, status) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
                let script = format!("ulimit -c 0; kill -{signal} $$");
                let ran = bwrap.run(&[], &in_tools(way, &script));
                assert_eq!((ran.status, &*ran.err), (status, ""), "{way}");
            }
        }
    });
}

#[test]
fn a_command_that_cannot_be_executed_is_status_1_as_every_error_is() {
    each(|bwrap| {
        for way in WAYS {
            for (command, why) in [
                ("nosuch", "execvp nosuch: No such file or directory"),
                ("/no/such", "execvp /no/such: No such file or directory"),
                ("", "execvp : No such file or directory"),
                ("/usr", "execvp /usr: Permission denied"),
            ] {
                let line = [words(TOOLS), words(way), vec![command]].concat();
                bwrap.refuses(&[], &line, why);
            }
        }
    });
}

#[test]
fn the_status_is_told_to_a_caller_that_ignores_its_children() {
    since([0, 11, 1], |bwrap| {
        for way in WAYS {
            let mut command = bwrap.command(&[], &in_tools(way, "exit 42"));
            let ignore = || rootlet::sys::set_signal_disposition(libc::SIGCHLD, libc::SIG_IGN);
            // SAFETY: a system call only.
            unsafe { command.pre_exec(move || Ok(ignore()?)) };
            assert_eq!(finish(command).status, 42, "{way}");
        }
    });
}

#[test]
fn the_command_has_no_signal_blocked_and_waits_for_its_children() {
    each(|bwrap| {
        for way in WAYS {
            let options = format!("--proc /proc {way}");
            let script = "grep SigBlk /proc/self/status; sh -c 'exit 3' || echo $?";
            let shown = bwrap.inside(&[], &options, script);
            assert_eq!(shown, "SigBlk:\t0000000000000000\n3", "{way}");
        }
    });
}

// How it is found.

#[test]
fn the_command_is_looked_for_in_the_path_of_its_own_environment() {
    each(|bwrap| {
        let run = |options: &str, command: &[&str]| {
            // Without an interpreter's name, it is the shell's.
            let hello = Fd::text("echo hello");
            let line = format!("{TOOLS} --perms 755 --file {hello} /d/hello {options}");
            bwrap.run(&[&hello], &[&words(&line), command].concat())
        };
        assert_eq!(run("--setenv PATH /no:/d:/bin", &["hello"]).ok(), "hello");
        assert_eq!(run("", &["/d/hello"]).ok(), "hello");
        run("", &["hello"]).fails(1, &["bwrap: execvp hello: No such file or directory"]);
        // Without any, where the system's programs are.
        let found = run("--clearenv", &["sh", "-c", "echo hello"]);
        assert_eq!(found.ok(), "hello");
    });
}

#[test]
fn the_command_can_be_given_another_name_for_itself() {
    with(&["--argv0"], |bwrap| {
        let run = |name: &str, command: &[&str]| {
            bwrap.run(
                &[],
                &[&words(TOOLS), &["--argv0", name][..], command].concat(),
            )
        };
        for name in ["other name", ""] {
            let ran = run(name, &["sh", "-c", "echo \"<$0>\""]);
            assert_eq!(ran.ok(), format!("<{name}>"));
        }
        // It is what is executed that is named in an error.
        run("other", &["nosuch"]).fails(1, &["bwrap: execvp nosuch: No such"]);
    });
}

// Its environment.

#[test]
fn variables_are_set_and_unset_in_the_order_of_the_line() {
    each(|bwrap| {
        let shows = |options: &str, wanted: &[&str]| {
            let line = format!("{TOOLS} --chdir /usr {options} /usr/bin/env");
            let mut command = bwrap.command(&[], &words(&line));
            command.env_clear().env("KEPT", "1").env("OLD", "1");
            let out = finish(command).ok();
            let mut lines: Vec<&str> = out.lines().collect();
            lines.sort();
            assert_eq!(lines, wanted, "{options}");
        };
        shows("", &["KEPT=1", "OLD=1", "PWD=/usr"]);
        shows("--setenv OLD a=b", &["KEPT=1", "OLD=a=b", "PWD=/usr"]);
        shows("--unsetenv OLD --unsetenv NONE", &["KEPT=1", "PWD=/usr"]);
        shows(
            "--setenv A 1 --unsetenv A --setenv OLD 2",
            &["KEPT=1", "OLD=2", "PWD=/usr"],
        );
        shows(
            "--setenv A 1 --setenv A 2 --unsetenv KEPT",
            &["A=2", "OLD=1", "PWD=/usr"],
        );
        shows("--setenv A 1 --clearenv --setenv B 2", &["B=2", "PWD=/usr"]);
        // That is always where the command is.
        shows("--clearenv --setenv PWD /lib", &["PWD=/usr"]);
        shows("--clearenv --unsetenv PWD", &["PWD=/usr"]);
    });
}

#[test]
fn a_variable_may_be_empty_or_of_any_text() {
    each(|bwrap| {
        for value in ["", "a b\n--setenv", "\u{1}ü"] {
            let line = [
                words(TOOLS),
                vec!["--setenv", "A", value, "sh", "-c", "echo \"<$A>\""],
            ]
            .concat();
            assert_eq!(bwrap.run(&[], &line).ok(), format!("<{value}>"));
        }
    });
}

// Its directory.

#[test]
fn the_command_is_in_the_callers_directory_or_at_home_or_in_the_root() {
    let outside = Dir::new();
    each(|bwrap| {
        let is = |own: &str, home: Option<&str>, options: &str, wanted: &str| {
            let mut command = bwrap.command(&[], &in_tools(options, "pwd; echo \"$PWD\""));
            command
                .current_dir(own)
                .env_remove("PWD")
                .env_remove("HOME");
            command.envs(home.map(|home| ("HOME", home)));
            assert_eq!(
                finish(command).ok(),
                format!("{wanted}\n{wanted}"),
                "{own} {home:?} {options}"
            );
        };
        let (own, outside, home) = ("/usr/share", outside.text(), Some("/usr/lib"));
        is(own, home, "", "/usr/share");
        is(outside, home, "", "/usr/lib");
        is(outside, Some("/no/such"), "", "/");
        is(outside, None, "", "/");
        // Home is where the sandbox's environment has it.
        is(outside, home, "--setenv HOME /usr/bin", "/usr/bin");
        is(outside, home, "--unsetenv HOME", "/");
        // What is asked for is before all of these: from the root on, if it does not say from where.
        is(own, home, "--chdir /usr/lib", "/usr/lib");
        is(own, home, "--chdir lib", "/lib");
    });
}

#[test]
fn a_directory_has_the_name_by_which_the_caller_knows_it() {
    // A link, on most hosts.
    let named = "/bin";
    let real = std::fs::canonicalize(named).unwrap();
    each(|bwrap| {
        let directory = |variable: &str| {
            let line = [words(HOST), vec!["sh", "-c", "env | grep ^PWD="]].concat();
            let mut command = bwrap.command(&[], &line);
            command.current_dir(named).env("PWD", variable);
            finish(command).ok()
        };
        assert_eq!(directory(named), "PWD=/bin");
        // A variable that is about another place does not count.
        assert_eq!(directory("/usr"), format!("PWD={}", real.display()));
    });
}

#[test]
fn a_directory_of_the_caller_is_the_one_that_the_sandbox_has_at_its_path() {
    let dir = Dir::new();
    dir.file("outside", "");
    each(|bwrap| {
        let options = format!("--dir {}", dir.text());
        let mut command = bwrap.command(&[], &in_tools(&options, "pwd; ls -A"));
        command.current_dir(dir.path());
        assert_eq!(finish(command).ok(), dir.text());
    });
}

#[test]
fn a_directory_that_cannot_be_entered_is_an_error_and_nothing_runs() {
    each(|bwrap| {
        for (path, why) in [
            (
                "/no/such",
                "Can't chdir to /no/such: No such file or directory",
            ),
            ("/etc/passwd", "Can't chdir to /etc/passwd: Not a directory"),
            ("", "Can't chdir to : No such file or directory"),
        ] {
            let line = [words(HOST), vec!["--chdir", path, "echo", "ran"]].concat();
            bwrap.refuses(&[], &line, why);
        }
    });
}

// Help.

#[test]
fn help_is_printed_wherever_it_is_asked_for_among_the_options() {
    each(|bwrap| {
        let path = bwrap.path().display();
        let usage = format!("usage: {path} [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
        for line in ["--help", "--dir /x --help --nosuch", "--help false"] {
            let ran = bwrap.run(&[], &words(line));
            assert_eq!((ran.status, &*ran.err), (0, ""), "{line}");
            assert!(ran.out.starts_with(&usage), "{line}: {ran:#?}");
        }
    });
}

#[test]
fn without_a_command_help_goes_to_standard_error_and_that_is_a_failure() {
    each(|bwrap| {
        let help = bwrap.run(&[], &["--help"]).ok();
        for line in ["", HOST, "--unshare-pid --"] {
            let ran = bwrap.run(&[], &words(line));
            assert_eq!(
                (ran.status, &*ran.out, &*ran.err),
                (1, "", &*help),
                "{line}"
            );
        }
    });
}

#[test]
fn the_version_is_the_last_word_of_a_line() {
    each(|bwrap| {
        for line in ["--version", "--dir /x --version --nosuch"] {
            let out = bwrap.run(&[], &words(line)).ok();
            assert_eq!(out.lines().count(), 1, "{out:?}");
            assert!(numbers(&out)[..] >= [0, 8][..], "{out:?}");
        }
        // As an argument of another option, and of the command, it is just a word.
        let ran = bwrap.run(&[], &in_tools("--setenv A --version", "echo $A"));
        assert_eq!(ran.ok(), "--version");
        let line = [words(HOST), vec!["sh", "-c", "echo $0", "--version"]].concat();
        assert_eq!(bwrap.run(&[], &line).ok(), "--version");
    });
}
