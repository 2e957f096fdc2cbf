//! A runtime directory of a test's own, and in it the containers that it starts.
#![allow(dead_code, reason = "each test program uses a part of it")]

use crate::processes::with_mark;
use crate::support::{DEADLINE, Dir, ROOTLET, Ran, finish, send};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until `happened`, or fails saying `what` did not.
#[track_caller]
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A runtime directory. What runs in it is ended when the test is over.
pub struct Runtime {
    dir: Dir,
    mark: String,
}

impl Runtime {
    /// A new one, in which nothing is.
    pub fn new() -> Runtime {
        let dir = Dir::new();
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dir.path(), mode).unwrap();
        // Ended, so that none is the beginning of another's.
        let mark = format!("{}/", dir.text());
        Runtime { dir, mark }
    }

    /// `rootlet` with these words, without input.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(ROOTLET);
        command
            .args(words)
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs [`Runtime::command`].
    pub fn rootlet(&self, words: &[&str]) -> Ran {
        finish(self.command(words))
    }

    /// What a shell prints that runs `script`; `$rootlet` is the program under test.
    pub fn shell(&self, script: &str) -> Ran {
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("rootlet", ROOTLET)
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .stdin(Stdio::null());
        finish(command)
    }

    /// Starts a shell with `script` in a detached container, and returns the container's name.
    #[track_caller]
    pub fn detach(&self, options: &[&str], script: &str) -> String {
        let command = ["--", "sh", "-c", script, self.mark()];
        self.rootlet(&[&["run", "-d"], options, &command].concat())
            .ok()
    }

    /// Starts one in the foreground with a name, and waits until its command runs.
    #[track_caller]
    pub fn foreground(&self, name: &str, options: &[&str], script: &str) -> Child {
        let words = ["run", "-t", "never", "--name", name];
        let command = ["--", "sh", "-c", script, self.mark()];
        let mut command = self.command(&[&words, options, &command].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        until("the container runs", || {
            self.find(name).is_some_and(|it| it["status"] == "running")
        });
        child
    }

    /// What every process of its containers has in its command line, as long as it is not another program.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Requires that no process of a container is left.
    #[track_caller]
    pub fn nothing_runs(&self) {
        until("nothing of the container is left", || {
            with_mark(self.mark()).is_empty()
        });
    }

    /// All containers, as `ps --all --json` has them.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        let ran = self.rootlet(&["ps", "--all", "--json"]);
        assert_eq!(ran.err, "");
        let list: Value = serde_json::from_str(&ran.ok()).unwrap();
        list.as_array().unwrap().clone()
    }

    /// The container of this name, as it is listed.
    #[track_caller]
    pub fn find(&self, name: &str) -> Option<Value> {
        self.list().into_iter().find(|it| it["name"] == name)
    }

    /// What is listed as `key` of the container `name`.
    #[track_caller]
    pub fn seen(&self, name: &str, key: &str) -> Value {
        let found = self.find(name);
        found.unwrap_or_else(|| panic!("{name} is not listed"))[key].clone()
    }

    /// A process of the container: `pid`, `init-pid` or `supervisor-pid`.
    #[track_caller]
    pub fn pid(&self, name: &str, which: &str) -> u32 {
        let pid = self.seen(name, which);
        pid.as_u64().unwrap_or_else(|| panic!("{which}: {pid}")) as u32
    }

    /// What the log has of the command's output.
    pub fn log(&self, name: &str) -> String {
        self.rootlet(&["logs", name]).ok()
    }

    /// Where the containers' folders are.
    pub fn place(&self) -> PathBuf {
        self.dir.path().join("rootlet")
    }

    /// The runtime directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // As a user would: an init without a PID namespace has to end what it has, and could not if it were killed.
        let mut remove = self.command(&["rm", "--force", "--all"]);
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
        // And what a failed test has stopped, or what is not listed.
        for pid in with_mark(self.mark()) {
            // SAFETY: takes plain numbers. The process has this test's mark, and may have gone.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

/// The letter for what a process does (proc_pid_stat(5)); none when it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Stops a process, and waits until it has.
#[track_caller]
pub fn halt(pid: u32) {
    send(pid, libc::SIGSTOP);
    until("the process is stopped", || state(pid) == Some('T'));
}
