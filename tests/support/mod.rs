//! What the live tests share: running rootlet, its output, directories for a while, and reasons to skip.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// The program under test.
pub const ROOTLET: &str = env!("CARGO_BIN_EXE_rootlet");
/// Whatever takes longer than this hangs. Nothing is measured by it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What a program that has ended left.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; 128+n when signal n ended it.
    pub status: i32,
    /// Standard output, without the line end at its end.
    pub out: String,
    /// Standard error, likewise.
    pub err: String,
}

impl Ran {
    /// The output of a program that has to succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self:#?}");
        self.out
    }

    /// Requires this exit status and every one of `words` on standard error.
    #[track_caller]
    pub fn fails(self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not said: {self:#?}");
        }
    }
}

/// `rootlet run -t never` with `arguments`, without input.
pub fn rootlet<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(ROOTLET);
    command
        .args(["run", "-t", "never"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// A program of `source` in C, a path in the project: linked statically, so that it runs in any root and opens nothing itself.
pub fn compiled(source: &str) -> (Dir, PathBuf) {
    let dir = Dir::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let path = dir.path().join(source.file_stem().unwrap());
    let mut compiler = Command::new("cc");
    compiler.args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
    compiler.arg(&path).arg(source);
    let ran = finish(compiler);
    assert_eq!((ran.status, &*ran.err), (0, ""));
    (dir, path)
}

/// Runs [`rootlet`] with `arguments`.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    finish(rootlet(arguments))
}

/// What a shell script prints that has to succeed in a container with `options`.
#[track_caller]
pub fn inside(options: &[&str], script: &str) -> String {
    run(options.iter().chain(&["--", "sh", "-ec", script])).ok()
}

/// Runs a shell script outside of any container; `$rootlet` is the program under test.
pub fn shell(script: &str) -> Ran {
    shell_with(script, &[])
}

/// As [`shell`], with `$1` and so on.
pub fn shell_with(script: &str, arguments: &[&OsStr]) -> Ran {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .args(arguments)
        .env("rootlet", ROOTLET)
        .stdin(Stdio::null());
    finish(command)
}

/// Starts `command` and waits for its end, its output and its errors.
pub fn finish(mut command: Command) -> Ran {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    await_end(
        command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}")),
    )
}

/// Waits for the end of `child` and of its output.
pub fn await_end(child: Child) -> Ran {
    let pid = child.id();
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = wait.recv_timeout(DEADLINE) else {
        send(pid, libc::SIGKILL);
        panic!("process {pid} or one that it left holds the output open after {DEADLINE:?}");
    };
    let output = output.unwrap();
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .trim_end_matches('\n')
            .to_string()
    };
    let status = output
        .status
        .code()
        .or(output.status.signal().map(|signal| 128 + signal));
    Ran {
        status: status.unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// Sends a signal to a process that has not been waited for.
pub fn send(pid: u32, signal: i32) {
    // SAFETY: takes and returns plain numbers.
    let sent = unsafe { libc::kill(pid as i32, signal) };
    assert_eq!(sent, 0, "kill({pid}, {signal})");
}

/// A line of /proc/PID/status, such as `SigBlk`, of the text of that file.
#[track_caller]
pub fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value
        .unwrap_or_else(|| panic!("no {name} in {status:?}"))
        .trim()
}

/// A directory of one's own that is removed when the test is over.
pub struct Dir(PathBuf);

impl Dir {
    /// A new, empty one.
    pub fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("rootlet-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Dir(path.canonicalize().unwrap())
    }

    /// The path of `name` in it, as a string.
    pub fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    /// Writes a file in it, and returns its path.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), text).unwrap();
        self.at(name)
    }

    /// Makes a directory in it, with those that it needs, and returns its path.
    pub fn directory(&self, name: &str) -> String {
        std::fs::create_dir_all(self.0.join(name)).unwrap();
        self.at(name)
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its path as a string.
    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Says why the test that calls this cannot be made here. Where everything has to work, that is a failure.
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os("ROOTLET_MUST_WORK").is_none_or(|value| value != "1"),
        "skipped: {reason}"
    );
    eprintln!("skipped: {reason}");
}

/// Whether these programs are installed; otherwise says so, and the test is to be skipped.
pub fn installed(programs: &[&str]) -> bool {
    let missing = |program: &&&str| shell(&format!("command -v {program}")).status != 0;
    match programs.iter().find(missing) {
        Some(program) => {
            skip(&format!("{program} is not installed"));
            false
        }
        None => true,
    }
}

/// Whether the tests run as root, for whom much is different.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A root file system made of the host's programs, as volumes.
pub const PROGRAMS: [&str; 8] = [
    "-v",
    "/usr:ro",
    "-v",
    "/bin:ro",
    "-v",
    "/lib:ro",
    "-v",
    "/lib64:ro",
];

/// An empty root file system with the mount points that [`PROGRAMS`] need.
pub fn rootfs() -> Dir {
    let dir = Dir::new();
    for name in ["usr", "bin", "lib", "lib64", "proc", "dev", "mnt", "tmp"] {
        dir.directory(name);
    }
    dir
}

/// What a script prints in the root file system `root`.
#[track_caller]
pub fn in_root(root: &Dir, options: &[&str], script: &str) -> String {
    inside(
        &[&["--rootfs", root.text()], &PROGRAMS[..], options].concat(),
        script,
    )
}
