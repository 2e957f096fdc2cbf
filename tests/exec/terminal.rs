//! A command's own terminal in a container, and the caller's: as with `rootlet run`.

use crate::own_root;
use crate::pty::{Screen, wait_until};
use crate::runtime::{Runtime, until};
use crate::support::{ROOTLET, rootfs, send};
use std::process::Command;

/// `rootlet exec` with these words, on a terminal.
fn on_terminal(runtime: &Runtime, words: &[&str]) -> Screen {
    Screen::start(&mut terminal_command(runtime, &[&["exec"], words].concat()))
}

fn terminal_command(runtime: &Runtime, words: &[&str]) -> Command {
    let mut command = Command::new(ROOTLET);
    command
        .args(words)
        .env("XDG_RUNTIME_DIR", runtime.dir().path());
    command
}

/// An interactive shell with job control, in which "$R" is rootlet: see tests/terminal.rs.
fn shell(runtime: &Runtime) -> Screen {
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "--noediting", "-i"]);
    command
        .env("R", ROOTLET)
        .env("XDG_RUNTIME_DIR", runtime.dir().path())
        .env("PS1", "host> ")
        .env("HISTFILE", "/dev/null")
        .env("TERM", "xterm");
    let mut screen = Screen::start(&mut command);
    screen.shows("host> ");
    screen
}

const WHERE: &str = "import os
names = {os.ttyname(fd) for fd in (0, 1, 2)}
print('tty', *names, 'session', os.getsid(0), 'foreground', os.tcgetpgrp(0) == os.getpgrp(), 'end')";

#[test]
fn a_command_on_a_terminal_has_one_of_its_own() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let mut screen = on_terminal(&runtime, &[&name, "--", "python3", "-c", WHERE]);
    let shown = screen.shows("end");
    assert!(shown.contains("tty /dev/pts/"), "{shown}");
    assert!(
        !shown.contains(&format!("tty {} ", screen.name())),
        "{shown}"
    );
    // Its session is that of a process which is not inside.
    assert!(shown.contains("session 0 foreground True"), "{shown}");
    assert_eq!(screen.ends().0.code(), Some(0));
    let mut screen = on_terminal(
        &runtime,
        &["-t", "never", &name, "--", "python3", "-c", WHERE],
    );
    let shown = screen.shows("end");
    assert!(
        shown.contains(&format!("tty {} session 0", screen.name())),
        "{shown}"
    );
    screen.ends();
}

#[test]
fn the_terminal_is_one_of_the_containers() {
    let runtime = Runtime::new();
    let root = rootfs();
    let name = runtime.detach(&own_root(&root), "sleep 1000; :");
    let mut screen = on_terminal(
        &runtime,
        &[&name, "--", "sh", "-c", "tty; ls /dev/pts; stty size"],
    );
    screen.shows("/dev/pts/0\r\n0  ptmx\r\n24 80\r\n");
    assert_eq!(screen.ends().0.code(), Some(0));
}

#[test]
fn the_window_has_the_callers_size_and_follows_it() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let script =
        "stty size; trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.01; done";
    let mut screen = on_terminal(&runtime, &[&name, "--", "sh", "-c", script]);
    screen.shows("24 80");
    screen.shows("ready");
    screen.resize(33, 111);
    screen.shows("33 111");
    assert_eq!(screen.ends().0.code(), Some(4));
}

#[test]
fn an_interrupt_ends_the_command_and_nothing_of_the_containers() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    for mode in ["auto", "never"] {
        let mut screen = shell(&runtime);
        let cooked = screen.settings();
        screen.types(format!(
            "$R exec -t {mode} {name} -- sh -c 'echo re\"\"ady; exec sleep 1000'\n"
        ));
        screen.shows("ready");
        screen.types("\x03");
        screen.shows("host> ");
        screen.types("echo status=$?\n");
        screen.shows("status=130");
        assert_eq!(screen.settings(), cooked, "-t {mode}");
        assert_eq!(runtime.seen(&name, "status"), "running");
    }
    until("the command has gone", || runtime.seen(&name, "pids") == 2);
}

#[test]
fn a_stopped_command_gives_the_terminal_back_and_goes_on_in_the_foreground() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    for mode in ["auto", "never"] {
        let mut screen = shell(&runtime);
        let cooked = screen.settings();
        screen.types(format!(
            "$R exec -t {mode} {name} -- sh -c 'echo re\"\"ady; while read line; do echo g\"\"ot $line; done'\n"
        ));
        screen.shows("ready");
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.shows("host> ");
        assert_eq!(screen.settings(), cooked, "-t {mode}");
        screen.types("fg\n");
        screen.shows("done'\r\n");
        screen.types("word\n");
        screen.shows("got word");
        screen.types("\x04");
        screen.shows("host> ");
        assert_eq!(screen.settings(), cooked, "-t {mode}");
    }
}

#[test]
fn a_shell_in_it_controls_its_own_jobs() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    for mode in ["auto", "never"] {
        let mut screen = shell(&runtime);
        screen.types(format!(
            "$R exec -t {mode} -e PS1='ins''ide> ' {name} -- bash --norc --noprofile -i\n"
        ));
        let greeting = screen.shows("inside> ");
        assert!(
            !greeting.contains("job control") && !greeting.contains("process group"),
            "{greeting}"
        );
        screen.types("sh -c 'while read line; do echo g\"\"ot $line; done' &\r");
        screen.types("fg\r");
        screen.types("word\n");
        screen.shows("got word");
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.shows("inside> ");
        screen.types("sleep 100 &\r");
        screen.shows("inside> ");
        screen.types("jobs\r");
        screen.shows("Running");
        screen.types("bg %1\r");
        screen.shows("inside> ");
        screen.types("kill -9 %1 %2; wait; echo ki''lled\r");
        screen.shows("killed");
        screen.types("exit 5\r");
        screen.shows("host> ");
        screen.types("echo status=$?\r");
        screen.shows("status=5");
    }
}

#[test]
fn tty7_the_terminal_is_as_before_when_who_executes_is_killed() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let mut screen = shell(&runtime);
    let cooked = screen.settings();
    screen.types(format!(
        "$R exec {name} -- sh -c 'echo re\"\"ady; sleep 1000; :' {}\n",
        runtime.mark()
    ));
    screen.shows("ready");
    wait_until("raw mode", || screen.settings() != cooked);
    let launcher = crate::life::child_of(screen.pid() as u32);
    send(launcher, libc::SIGKILL);
    screen.shows("Killed");
    wait_until("the settings are as before", || screen.settings() == cooked);
    assert_eq!(runtime.seen(&name, "status"), "running");
    until("nothing but the container's is left", || {
        runtime.seen(&name, "pids") == 2
    });
}

#[test]
fn nothing_is_left_of_a_command_when_the_window_is_closed() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "sleep 1000; :");
    let mut screen = on_terminal(
        &runtime,
        &[&name, "--", "sh", "-c", "echo ready; sleep 1000; :"],
    );
    screen.shows("ready");
    let mut launcher = screen.hang_up();
    wait_until("rootlet has ended", || {
        launcher.try_wait().unwrap().is_some()
    });
    until("nothing but the container's is left", || {
        runtime.seen(&name, "pids") == 2
    });
}
