//! `rootlet enter`: a command in the namespaces of a process that nobody manages.

use crate::life::child_of;
use crate::runtime::{Runtime, until};
use crate::support::{installed, is_root, send, skip};
use std::process::{Child, Command, Stdio};

/// A process that is ended when the test is over.
struct Held(Child);

impl Held {
    fn new(words: &[&str]) -> Held {
        let mut command = Command::new(words[0]);
        Held(
            command
                .args(&words[1..])
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a process executes `sleep`.
fn sleeps(pid: u32) -> u32 {
    until("it sleeps", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| name.trim() == "sleep")
    });
    pid
}

/// What a shell prints in the namespaces of a process.
#[track_caller]
fn within(runtime: &Runtime, pid: u32, script: &str) -> String {
    runtime
        .rootlet(&["enter", &pid.to_string(), "--", "sh", "-c", script])
        .ok()
}

/// The namespaces of a process, as the kernel names them.
fn namespaces(pid: u32) -> String {
    let kinds = [
        "user",
        "pid_for_children",
        "mnt",
        "ipc",
        "uts",
        "cgroup",
        "net",
        "time",
    ];
    let links = kinds.map(|kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap());
    links
        .map(|link| link.to_str().unwrap().to_string())
        .join(" ")
}

const LIST: &str = "cd /proc/self/ns; echo $(for kind in user pid_for_children mnt ipc uts cgroup net time; do readlink $kind; done)";

#[test]
fn processes_of_unshare_are_entered() {
    let runtime = Runtime::new();
    let outer = Held::new(&[
        "unshare",
        "-Urpf",
        "--mount-proc",
        "--kill-child",
        "sleep",
        "1000",
    ]);
    let pid = sleeps(child_of(outer.pid()));
    assert_eq!(within(&runtime, pid, LIST), namespaces(pid));
    assert_eq!(
        within(
            &runtime,
            pid,
            "id -u; pwd; cat /proc/1/comm; ls /proc/$$/fd"
        ),
        "0\n/\nsleep\n0\n1\n2"
    );
    // Nothing is taken from it, and the status is the command's.
    let words = ["enter", &pid.to_string(), "--", "sh", "-c", "kill -TERM $$"];
    assert_eq!(runtime.rootlet(&words).status, 143);
    runtime
        .rootlet(&["enter", &pid.to_string(), "no-such-program"])
        .fails(127, &["ENOENT"]);
}

#[test]
fn a_process_that_is_in_a_user_namespace_only_is_entered() {
    let runtime = Runtime::new();
    let outer = Held::new(&["unshare", "-Ur", "sleep", "1000"]);
    let pid = sleeps(outer.pid());
    let own = namespaces(std::process::id());
    assert_eq!(within(&runtime, pid, LIST), namespaces(pid));
    assert_eq!(
        namespaces(pid).split_once(' ').unwrap().1,
        own.split_once(' ').unwrap().1
    );
    assert_eq!(within(&runtime, pid, "id -u"), "0");
}

#[test]
fn processes_of_bubblewrap_are_entered() {
    if !installed(&["bwrap"]) {
        return;
    }
    let runtime = Runtime::new();
    let outer = Held::new(&[
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "sleep",
        "1000",
    ]);
    // Its first process in there, and of that the command.
    let pid = sleeps(child_of(child_of(outer.pid())));
    assert_eq!(within(&runtime, pid, LIST), namespaces(pid));
    let out = within(
        &runtime,
        pid,
        "touch /tmp/x 2>/dev/null || echo read-only; cat /proc/2/comm",
    );
    assert_eq!(out, "read-only\nsleep");
}

#[test]
fn a_containers_command_is_entered_without_confinement() {
    let runtime = Runtime::new();
    let name = runtime.detach(&["--cap-drop", "ALL", "--hostname", "box"], "sleep 1000; :");
    let pid = runtime.pid(&name, "pid");
    let out = within(
        &runtime,
        pid,
        "uname -n; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; mount -t tmpfs t /mnt && umount /mnt && echo mounted",
    );
    let expected = ["box", "NoNewPrivs:\t0", "Seccomp:\t0", "mounted"];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    // It ends with what it is in.
    let mut command = runtime.command(&[
        "enter",
        &pid.to_string(),
        "sh",
        "-c",
        "echo ready; sleep 1000; :",
        runtime.mark(),
    ]);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    use std::io::{BufRead, BufReader};
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    runtime.rootlet(&["kill", &name]).ok();
    assert_eq!(crate::support::await_end(child).status, 137);
    runtime.nothing_runs();
}

#[test]
fn what_cannot_be_entered_is_a_clear_error() {
    let runtime = Runtime::new();
    let refused =
        |pid: &str, words: &[&str]| runtime.rootlet(&["enter", pid, "true"]).fails(125, words);
    refused(
        &std::process::id().to_string(),
        &["in no namespace that you are not in", "rootlet ns"],
    );
    for wrong in ["nobody", "0", "-1", "99999999999", ""] {
        let ran = runtime.rootlet(&["enter", "--", wrong, "true"]);
        ran.fails(125, &["is no process id"]);
    }
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    refused(
        &gone.id().to_string(),
        &[&format!("there is no process {}", gone.id())],
    );
    // One that has ended, and has not been waited for.
    let dead = Held::new(&["unshare", "-Ur", "true"]);
    until("it has ended", || {
        crate::runtime::state(dead.pid()) == Some('Z')
    });
    assert_eq!(
        runtime
            .rootlet(&["enter", &dead.pid().to_string(), "true"])
            .status,
        125
    );
    if is_root() {
        return skip("root may look at every process");
    }
    refused(
        "1",
        &["look at /proc/1/ns/user", "only processes of your own"],
    );
    let held = Held::new(&["sleep", "1000"]);
    refused(
        &sleeps(held.pid()).to_string(),
        &["in no namespace that you are not in"],
    );
    send(held.pid(), libc::SIGTERM);
}
