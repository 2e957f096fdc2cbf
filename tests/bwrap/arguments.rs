//! The line itself: what is read from where, in which order, and what is only warned of.

use crate::fds::{CLOSED, Fd};
use crate::programs::{HOST, TOOLS, each, in_tools, with, words};
use std::io::Write;

/// What `--args` reads: each word of this line with its NUL.
fn list(line: &str) -> Fd {
    Fd::text(
        line.split_whitespace()
            .flat_map(|word| [word, "\0"])
            .collect::<String>(),
    )
}

#[test]
fn arguments_are_read_from_descriptors_in_the_order_of_the_line() {
    each(|bwrap| {
        let one = list("--setenv A 1 --dir /one");
        let two = list("--setenv A 2 --setenv B 2");
        let options = format!("--args {one} --setenv B 1 --args {two} --dir /last");
        let shown = bwrap.inside(&[&one, &two], &options, "echo $A $B; ls -d /one /last");
        assert_eq!(shown, "2 2\n/last\n/one");
    });
}

#[test]
fn the_last_argument_that_is_read_needs_no_end_and_no_arguments_are_fine() {
    each(|bwrap| {
        let (unended, empty) = (Fd::text("--setenv\0A\0two words"), Fd::text(""));
        let options = format!("--args {unended} --args {empty}");
        assert_eq!(
            bwrap.inside(&[&unended, &empty], &options, "echo $A"),
            "two words"
        );
        let nothing = Fd::text("--setenv\0A\0\0");
        let options = format!("--args {nothing}");
        assert_eq!(
            bwrap.inside(&[&nothing], &options, "echo \"${A-unset}\""),
            ""
        );
    });
}

#[test]
fn arguments_are_read_from_a_pipe_to_its_end() {
    each(|bwrap| {
        let (read, mut writer) = Fd::from_test();
        let writing = std::thread::spawn(move || {
            // More than a pipe holds.
            for number in 0..8 {
                let long = "x".repeat(100_000);
                write!(writer, "--setenv\0A{number}\0{long}\0").unwrap();
            }
        });
        let options = format!("--args {read}");
        let shown = bwrap.inside(&[&read], &options, "echo ${#A0} ${#A7}");
        assert_eq!(shown, "100000 100000");
        writing.join().unwrap();
    });
}

#[test]
fn a_megabyte_of_arguments_is_read() {
    each(|bwrap| {
        let long = format!("--setenv A {} ", "x".repeat(1000));
        let many = list(&format!("{} --setenv B last", long.repeat(2000)));
        let options = format!("--args {many}");
        assert_eq!(
            bwrap.inside(&[&many], &options, "echo ${#A} $B"),
            "1000 last"
        );
    });
}

#[test]
fn a_wrong_argument_that_is_read_is_refused_as_on_the_line() {
    each(|bwrap| {
        for (read, more, why) in [
            ("--nosuch", "", "Unknown option --nosuch"),
            ("--dir", "/x", "--dir takes an argument"),
            ("--args 0", "", "--args not supported in arguments file"),
            // Nor does an option's modifier reach beyond the end.
            (
                "--perms 700",
                "--dir /x",
                "--perms must be followed by an option that",
            ),
            (
                "--size 4096",
                "--tmpfs /x",
                "--size must be followed by --tmpfs",
            ),
        ] {
            let read = list(read);
            let line = format!("--args {read} {more} true");
            bwrap.refuses(&[&read], &words(&line), why);
        }
    });
}

#[test]
fn a_word_that_is_no_option_ends_what_is_read_from_a_descriptor() {
    each(|bwrap| {
        for end in ["--", "command"] {
            let read = list(&format!("--dir /before {end} --dir /after --nosuch"));
            let options = format!("--args {read} --dir /line");
            let script = "ls -d /line /before /after 2>/dev/null || :";
            let shown = bwrap.inside(&[&read], &options, script);
            assert_eq!(shown, "/before\n/line", "{end}");
        }
        // The command is on the line, and nowhere else.
        let read = list(&format!("{TOOLS} true"));
        let ran = bwrap.run(&[&read], &["--args", &read.to_string()]);
        assert_eq!((ran.status, &*ran.out), (1, ""));
        assert!(ran.err.starts_with("usage: "), "{ran:#?}");
    });
}

#[test]
fn a_descriptor_without_arguments_is_refused() {
    each(|bwrap| {
        let closed = ["--args", CLOSED, "true"];
        bwrap.refuses(&[], &closed, "Can't read --args data: Bad file descriptor");
        let directory = Fd::open("/");
        let line = format!("--args {directory} true");
        bwrap.refuses(
            &[&directory],
            &words(&line),
            "Can't read --args data: Is a directory",
        );
    });
}

#[test]
fn options_after_the_command_are_the_commands() {
    each(|bwrap| {
        let run = |rest: &str| bwrap.run(&[], &words(&format!("{HOST} {rest}")));
        assert_eq!(run("echo --nosuch -- --help").ok(), "--nosuch -- --help");
        assert_eq!(run("-- echo --dir").ok(), "--dir");
        run("-- --dir /x").fails(1, &["bwrap: execvp --dir: No such file or directory"]);
    });
}

#[test]
fn of_an_option_that_counts_once_the_last_is_taken_and_that_is_warned_of() {
    each(|bwrap| {
        let (one, two) = (Fd::text(""), Fd::text(""));
        let (one_fd, two_fd) = (one.to_string(), two.to_string());
        for (option, [first, last], script) in [
            ("--chdir", ["/usr", "/lib"], "pwd"),
            ("--hostname", ["a", "/lib"], "uname -n"),
            ("--uid", ["5", "0"], "test $(id -u) = 0; echo /lib"),
            ("--gid", ["5", "0"], "test $(id -g) = 0; echo /lib"),
            ("--block-fd", [&one_fd, &two_fd], "echo /lib"),
            ("--sync-fd", [&one_fd, &two_fd], "echo /lib"),
            ("--info-fd", [&one_fd, &two_fd], "echo /lib"),
            ("--json-status-fd", [&one_fd, &two_fd], "echo /lib"),
        ] {
            let options = format!("--unshare-uts {option} {first} {option} {last}");
            let ran = bwrap.run(&[&one, &two], &in_tools(&options, script));
            let warning = format!("bwrap: Only the last {option} option will take effect");
            assert_eq!((ran.status, &*ran.out, ran.err), (0, "/lib", warning));
        }
    });
}

#[test]
fn messages_have_their_level_before_them_when_that_is_asked_for() {
    with(&["--level-prefix"], |bwrap| {
        let run = |rest: &str| {
            let ran = bwrap.run(&[], &words(&format!("{HOST} {rest}")));
            (ran.status, ran.err)
        };
        let warning = "bwrap: Only the last --chdir option will take effect";
        let error = "bwrap: execvp nosuch: No such file or directory";
        let twice = "--chdir / --chdir /";
        assert_eq!(
            run(&format!("--level-prefix {twice} true")),
            (0, format!("<4>{warning}"))
        );
        // From where it stands on.
        let both = run(&format!("{twice} --level-prefix nosuch"));
        assert_eq!(both, (1, format!("{warning}\n<3>{error}")));
        let unknown = "bwrap: Unknown option --nosuch";
        assert_eq!(run("--level-prefix --nosuch"), (1, format!("<3>{unknown}")));
        assert_eq!(run("--nosuch --level-prefix"), (1, unknown.to_string()));
    });
}
