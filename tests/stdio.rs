//! `--stdio pipe`: what is written and read passes through, and the caller's files do not.

mod support;

use support::{Dir, ROOTLET, run, shell};

const PIPE: &str = "run -t never --stdio pipe";

#[test]
fn fd9_a_file_given_as_output_cannot_be_read_back_or_emptied() {
    let dir = Dir::new();
    let log = dir.file("log", "old secret\n");
    let script = "timeout .2 cat /proc/self/fd/1 >&2; : >/proc/self/fd/1; echo new";
    // With the caller's own descriptor both are done.
    let plain =
        format!("'{ROOTLET}' run -t never -- sh -c ': >/proc/self/fd/1; echo new' >>'{log}'");
    shell(&plain).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "new\n");

    std::fs::write(&log, "old secret\n").unwrap();
    shell(&format!("'{ROOTLET}' {PIPE} -- sh -c '{script}' >>'{log}'")).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "old secret\nnew\n");
}

#[test]
fn fd9_a_file_given_as_input_cannot_be_written() {
    let dir = Dir::new();
    let input = dir.file("input", "one\ntwo\n");
    let script = "read line; echo changed 1<>/proc/self/fd/0; echo got $line";
    let out = shell(&format!(
        "'{ROOTLET}' {PIPE} -- sh -c '{script}' <'{input}' 2>/dev/null"
    ));
    assert_eq!(out.out, "got one");
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "one\ntwo\n");
}

#[test]
fn all_passes_through_whatever_stands_on_the_other_side() {
    let dir = Dir::new();
    let bytes: Vec<u8> = (0..3_000_001u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let input = dir.file("input", &bytes);
    let output = dir.at("output");
    for (before, after) in [
        (format!("<'{input}'"), format!(">'{output}'")),
        (format!("<'{input}'"), format!("| cat >'{output}'")),
    ] {
        shell(&format!("'{ROOTLET}' {PIPE} -- cat {before} {after}")).ok();
        assert!(std::fs::read(&output).unwrap() == bytes, "{before} {after}");
    }
    shell(&format!(
        "cat '{input}' | '{ROOTLET}' {PIPE} -- cat | cat >'{output}'"
    ))
    .ok();
    assert!(std::fs::read(&output).unwrap() == bytes);
}

#[test]
fn output_and_error_in_one_file_keep_their_order() {
    let dir = Dir::new();
    let both = dir.at("both");
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo error $i >&2; done";
    shell(&format!(
        "'{ROOTLET}' {PIPE} -- sh -c '{script}' >'{both}' 2>&1"
    ))
    .ok();
    let expected: String = (1..10).map(|i| format!("out {i}\nerror {i}\n")).collect();
    assert_eq!(std::fs::read_to_string(&both).unwrap(), expected);
    let apart = format!("'{ROOTLET}' {PIPE} -- sh -c 'echo out; echo error >&2; exit 7'");
    let ran = shell(&apart);
    assert_eq!((ran.status, &*ran.out, &*ran.err), (7, "out", "error"));
}

#[test]
fn the_end_of_the_input_and_of_the_reader_are_passed_on() {
    let wc = format!("printf 'a b' | '{ROOTLET}' {PIPE} -- wc -c");
    assert_eq!(shell(&wc).ok(), "3");
    // `yes` writes for ever, and is ended by SIGPIPE as it would be without a pipe between.
    let yes = format!("('{ROOTLET}' {PIPE} -- yes; echo $? >&2) | head -c 1 >/dev/null");
    assert_eq!(shell(&yes).err, "141");
}

#[test]
fn output_that_cannot_be_passed_on_is_an_error() {
    let full = format!("'{ROOTLET}' {PIPE} -- echo lost >/dev/full");
    shell(&full).fails(
        125,
        &[
            "write to standard output what the command has written",
            "(ENOSPC)",
        ],
    );
    run(["--stdio", "file", "true"]).fails(125, &["inherit", "pipe"]);
}
