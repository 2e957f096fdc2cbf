//! A terminal at a detached container.

use crate::pty::Screen;
use crate::runtime::{Runtime, until};
use crate::support::await_end;
use std::process::Stdio;

#[test]
fn what_is_typed_arrives_and_two_keys_leave_it() {
    let runtime = Runtime::new();
    let script = "stty -echo; while read line; do echo got: $line; stty size; done; echo over";
    let name = runtime.detach(&["-t", "always"], script);
    let mut screen = Screen::start(&mut runtime.command(&["attach", &name]));
    screen.types("one\r");
    screen.shows("got: one");
    until("the size has arrived", || {
        screen.types("more\r");
        screen.shows("got: more");
        screen.shows("\n").contains("24 80") || screen.shows("\n").contains("24 80")
    });
    screen.resize(30, 90);
    until("the new size has arrived", || {
        screen.types("size\r");
        screen.shows("got: size");
        screen.shows("\n");
        screen.shows("\n").contains("30 90")
    });
    screen.types([0x10]);
    screen.types([0x11]);
    let (status, _) = screen.ends();
    assert!(status.success());
    assert_eq!(runtime.seen(&name, "status"), "running");
    // Again, and until the end of the command.
    let mut screen = Screen::start(&mut runtime.command(&["attach", &name]));
    screen.types("two\r");
    screen.shows("got: two");
    screen.types([4]);
    let (status, shown) = screen.ends();
    assert!(shown.contains("over") && status.success(), "{shown}");
    let settings = screen.settings();
    assert!(settings.contains("ICANON | ECHO"), "{settings}");
    let log = runtime.log(&name);
    assert!(log.contains("got: one") && log.contains("over"), "{log}");
}

#[test]
fn who_attaches_without_a_terminal_sees_output_and_errors_and_passes_signals_on() {
    let runtime = Runtime::new();
    let script = "trap 'echo out; echo err >&2; exit 9' USR1; while :; do sleep 0.01; done";
    let name = runtime.detach(&[], script);
    let mut attached = runtime.command(&["attach", &name]);
    attached.stdout(Stdio::piped()).stderr(Stdio::piped());
    let attached = attached.spawn().unwrap();
    until("its signals are passed on", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", attached.id())).unwrap();
        let blocked = crate::support::field(&status, "SigBlk");
        u64::from_str_radix(blocked, 16).unwrap() & (1 << (libc::SIGUSR1 - 1)) != 0
    });
    crate::support::send(attached.id(), libc::SIGUSR1);
    let ran = await_end(attached);
    assert_eq!((ran.status, &*ran.out, &*ran.err), (9, "out", "err"));
    runtime
        .rootlet(&["attach", &name])
        .fails(125, &["has ended"]);
}
