//! Which descriptors the command has: those of the caller, but for what was meant for bwrap.

use crate::fds::{Fd, has_input, inherit, text_of};
use crate::filters::refusing;
use crate::live::{ANSWER, LEAVE, Live, documents};
use crate::programs::{Bwrap, WAYS, each, in_tools, with};
use crate::support::{Dir, finish};
use std::fs::File;
use std::io::Write;
use std::process::Command;

#[test]
fn the_command_has_the_callers_descriptors_and_no_others() {
    const LIST: &str = "ls /proc/$$/fd";
    each(|bwrap| {
        let (directory, text) = (Fd::open("/"), Fd::text("text"));
        let (pipe, _reader) = Fd::to_test();
        let fds = [&directory, &text, &pipe];
        // With those that whoever started this test has left open.
        let mut outside = Command::new("sh");
        outside.args(["-c", LIST]);
        inherit(&mut outside, &fds);
        let outside = finish(outside).ok();
        for way in WAYS {
            let options = format!("--proc /proc --dev /dev {way}");
            assert_eq!(bwrap.inside(&fds, &options, LIST), outside, "{way}");
        }
        let script = format!("cat /proc/self/fd/{text}");
        assert_eq!(bwrap.inside(&fds, "--proc /proc", &script), "text");
    });
}

#[test]
fn standard_input_output_and_errors_are_the_commands() {
    let dir = Dir::new();
    let input = dir.file("input", "input");
    each(|bwrap| {
        for way in WAYS {
            let mut command = bwrap.command(&[], &in_tools(way, "cat; echo error >&2"));
            command.stdin(File::open(&input).unwrap());
            let ran = finish(command);
            assert_eq!(
                (ran.status, &*ran.out, &*ran.err),
                (0, "input", "error"),
                "{way}"
            );
        }
    });
}

/// Requires that the command does not have the descriptor that is given to `option`.
#[track_caller]
fn is_taken(bwrap: &Bwrap, option: &str, fd: impl Fn() -> Fd, more: &str) {
    for way in &WAYS[..2] {
        let fd = fd();
        let options = format!("--proc /proc {option} {fd} {more} {way}");
        let script = format!("test ! -e /proc/$$/fd/{fd} || echo open");
        assert_eq!(bwrap.inside(&[&fd], &options, &script), "", "{options}");
    }
}

#[test]
fn what_is_read_or_waited_for_or_told_is_closed_in_the_command() {
    let text = || Fd::text("");
    each(|bwrap| {
        for option in ["--file", "--bind-data", "--ro-bind-data"] {
            is_taken(bwrap, option, text, "/x");
        }
        for option in [
            "--args",
            "--block-fd",
            "--sync-fd",
            "--info-fd",
            "--json-status-fd",
        ] {
            is_taken(bwrap, option, text, "");
        }
        for option in ["--seccomp", "--add-seccomp-fd"] {
            is_taken(bwrap, option, || refusing(&[], 0), "");
        }
    });
}

#[test]
fn what_is_shown_is_closed_in_the_command() {
    with(&["--bind-fd", "--ro-bind-fd"], |bwrap| {
        for option in ["--bind-fd", "--ro-bind-fd"] {
            is_taken(bwrap, option, || Fd::open("/usr"), "/d");
        }
    });
}

#[test]
fn a_descriptor_to_keep_is_open_as_long_as_the_sandbox_has_processes() {
    each(|bwrap| {
        // Without a PID namespace, as long as the command runs.
        for (way, script) in [("", ANSWER), ("--unshare-pid", LEAVE)] {
            let (kept, reader) = Fd::to_test();
            let mut live = Live::of(bwrap, &[&kept], &format!("--sync-fd {kept} {way}"), script);
            drop(kept);
            live.answers();
            assert!(!has_input(&reader), "{way}");
            live.end();
            assert_eq!(text_of(reader), "", "{way}");
        }
    });
}

#[test]
fn a_command_that_is_process_1_has_the_descriptor_to_keep() {
    each(|bwrap| {
        let (kept, reader) = Fd::to_test();
        let options = format!("--unshare-pid --as-pid-1 --proc /proc --sync-fd {kept}");
        let script = format!("echo kept >/proc/self/fd/{kept}");
        assert_eq!(bwrap.inside(&[&kept], &options, &script), "");
        drop(kept);
        assert_eq!(text_of(reader), "kept\n");
    });
}

#[test]
fn nothing_is_executed_before_there_is_something_to_read_or_the_end() {
    each(|bwrap| {
        for byte in [&b"x"[..], b""] {
            let dir = Dir::new();
            let (blocks, mut release) = Fd::from_test();
            let (info, reader) = Fd::to_test();
            let options = format!(
                "--bind {} /d --block-fd {blocks} --info-fd {info}",
                dir.text()
            );
            // The script is written when the sandbox is there.
            let words = in_tools(&options, "exec sh -e /d/script");
            let mut live = Live::unanswered(bwrap.command(&[&blocks, &info], &words));
            drop((blocks, info));
            assert_eq!(documents(&text_of(reader)).len(), 1);
            dir.file("script", "echo released");
            release.write_all(byte).unwrap();
            let kept = (!byte.is_empty()).then_some(release);
            assert_eq!(live.line().as_deref(), Some("released"));
            assert_eq!(live.status(), Some(0));
            drop(kept);
        }
    });
}
