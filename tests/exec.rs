//! Commands in containers that run, and in the namespaces of other processes: `rootlet exec` and `rootlet enter`, with real
//! programs.

#[path = "exec/confinement.rs"]
mod confinement;
#[path = "exec/enter.rs"]
mod enter;
#[path = "exec/hostile.rs"]
mod hostile;
#[path = "exec/library.rs"]
mod library;
#[path = "exec/life.rs"]
mod life;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/pty.rs"]
mod pty;
#[path = "support/runtime.rs"]
mod runtime;
#[path = "exec/status.rs"]
mod status;
mod support;
#[path = "exec/terminal.rs"]
mod terminal;

use runtime::Runtime;
use std::process::{Child, Command, Stdio};
use support::Ran;

/// `rootlet exec` with `options`, of a shell with `script`, which has the runtime's mark.
fn command(runtime: &Runtime, options: &[&str], name: &str, script: &str) -> Command {
    let words = [name, "--", "sh", "-c", script, runtime.mark()];
    runtime.command(&[&["exec"], options, &words].concat())
}

/// Runs [`command`].
fn exec(runtime: &Runtime, options: &[&str], name: &str, script: &str) -> Ran {
    support::finish(command(runtime, options, name, script))
}

/// Starts [`command`], and waits for the line `ready`, which the script is to write first; its input can be written.
#[track_caller]
fn started(runtime: &Runtime, options: &[&str], name: &str, script: &str) -> Child {
    use std::io::{BufRead, BufReader};
    let mut command = command(runtime, options, name, script);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let read = BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line);
    assert_eq!((read.unwrap(), &*line), (6, "ready\n"));
    child
}

/// A directory that is a root file system, with the host's programs as volumes; and the options for it.
fn own_root(root: &support::Dir) -> Vec<&str> {
    [&["--rootfs", root.text()], &support::PROGRAMS[..]].concat()
}
