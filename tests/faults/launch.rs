//! The launches of the matrix, each in a home directory of its own, and what is left when one has ended.

use crate::fingerprint;
use crate::tracer::{self, Act, Patience, Point, Seen};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// With which the command inside ends, so that nobody's success is taken for its.
pub const STATUS: u8 = 7;

/// A way to start a process.
pub struct Kind {
    /// Its name in the tables.
    pub name: &'static str,
    arguments: &'static [&'static str],
}

/// The kinds of launch.
pub const KINDS: [Kind; 9] = [
    Kind {
        name: "run",
        arguments: &["run", "-t", "never"],
    },
    Kind {
        name: "run, much asked for",
        arguments: &[
            "run",
            "-t",
            "never",
            "--read-only",
            "--net",
            "none",
            "-v",
            ".:/mnt",
            "--tmpfs",
            "/srv",
            "--mask",
            "/opt",
            "--hostname",
            "inside",
            "-w",
            "/mnt",
            "-u",
            "keep",
            "--status-fd",
            "2",
        ],
    },
    Kind {
        name: "run --no-init",
        arguments: &["run", "-t", "never", "--no-init"],
    },
    Kind {
        name: "run --share pid",
        arguments: &["run", "-t", "never", "--share", "pid"],
    },
    Kind {
        name: "run -t always",
        arguments: &["run", "-t", "always"],
    },
    Kind {
        name: "run --stdio pipe",
        arguments: &["run", "-t", "never", "--stdio", "pipe"],
    },
    Kind {
        name: "run --no-namespaces",
        arguments: &["run", "-t", "never", "--no-namespaces"],
    },
    Kind {
        name: "sandbox",
        arguments: &["sandbox", "-t", "never"],
    },
    Kind {
        name: "try",
        arguments: &["try", "-t", "never"],
    },
];

/// What the command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// It says in what it finds itself.
    Tell,
    /// It sleeps until it is ended.
    Sleep,
}

impl Job {
    /// As the command's first argument.
    pub fn word(self) -> &'static str {
        match self {
            Job::Tell => "tell",
            Job::Sleep => "sleep",
        }
    }

    /// The status with which a launch ends in which nothing happens.
    fn status(self) -> i32 {
        match self {
            Job::Tell => STATUS.into(),
            Job::Sleep => 128 + libc::SIGKILL,
        }
    }

    fn patience(self) -> Patience {
        Patience {
            hang: Duration::from_secs(20),
            orphan: Duration::from_secs(5),
            quiet: (self == Job::Sleep).then_some(Duration::from_millis(50)),
        }
    }
}

/// A launch that can be done again and again.
pub struct Launch {
    kind: &'static Kind,
    job: Job,
    place: PathBuf,
    socket: String,
    listener: UnixListener,
    before: BTreeMap<PathBuf, String>,
    mounts: String,
    /// What the command finds when nothing is refused.
    pub unfaulted: String,
    calls: Vec<Call>,
}

/// A call of a launch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Which.
    pub point: Point,
    /// Whether the dynamic loader or the language's runtime makes it, before `main`.
    pub before_main: bool,
    /// Whether the first process inside lives then.
    pub inside: bool,
}

impl Call {
    /// The number of the call.
    pub fn number(&self) -> i64 {
        self.point.call
    }
}

/// What came of a launch.
pub struct Outcome {
    /// How it went.
    pub seen: Seen,
    /// The command's fingerprint; empty when it did not run.
    pub fingerprint: String,
    /// What rootlet said.
    pub said: String,
    /// What is there that was not there before, or is no more.
    pub left: Vec<String>,
}

impl Launch {
    /// Makes the home directory, and looks at a launch in which nothing is refused.
    pub fn new(name: &str, job: Job) -> Launch {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        rootlet::sys::set_signal_mask(rootlet::sys::SignalSet::only(libc::SIGCHLD));
        let own = std::process::id();
        let place = std::env::temp_dir().join(format!("rootlet-faults-{own}"));
        for directory in [
            "home/project",
            "home/.local/state/rootlet/try",
            "tmp",
            "out",
        ] {
            fs::create_dir_all(place.join(directory)).unwrap();
        }
        let place = place.canonicalize().unwrap();
        fs::copy(
            std::env::current_exe().unwrap(),
            place.join("home/project/inside"),
        )
        .unwrap();
        let socket = format!("rootlet-faults-{own}");
        let listener = SocketAddr::from_abstract_name(&socket).unwrap();
        let listener = UnixListener::bind_addr(&listener).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut launch = Launch {
            kind: KINDS.iter().find(|kind| kind.name == name).unwrap(),
            job,
            place,
            socket,
            listener,
            before: BTreeMap::new(),
            mounts: mounts(),
            unfaulted: String::new(),
            calls: Vec::new(),
        };
        launch.before = launch.files();
        let outcome = launch.run(None);
        let again = launch.run(None);
        assert_eq!(outcome.seen.status, Some(job.status()), "{}", outcome.said);
        assert_eq!(outcome.left, [""; 0], "{}", outcome.said);
        let difference = fingerprint::difference(&outcome.fingerprint, &again.fingerprint);
        assert_eq!(difference, "", "two launches of the same are not the same");
        launch.unfaulted = outcome.fingerprint;
        launch.calls = calls(&outcome.seen.met);
        launch
    }

    /// The calls of a launch, in an order that is the same each time.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The name of its kind.
    pub fn name(&self) -> &str {
        self.kind.name
    }

    /// Launches once.
    pub fn run(&self, act: Option<(&Point, &Act)>) -> Outcome {
        let (out, said) = (self.place.join("out/stdout"), self.place.join("out/stderr"));
        let rootlet = std::env::var_os("ROOTLET");
        let mut command = Command::new(rootlet.unwrap_or(env!("CARGO_BIN_EXE_rootlet").into()));
        command
            .args(self.kind.arguments)
            .args(["--", "./inside", self.job.word(), &self.socket])
            .current_dir(self.place.join("home/project"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.place.join("home"))
            .env("TMPDIR", self.place.join("tmp"))
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&said).unwrap());
        let seen = tracer::run(&mut command, act, self.job.patience());
        while self.listener.accept().is_ok() {}
        let now = self.files();
        let mut left = self.changes(&now);
        if mounts() != self.mounts {
            left.push("a mount".to_string());
        }
        self.clear(&now);
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Outcome {
            seen,
            fingerprint: fingerprint::normal(&text(&out)),
            said: text(&said),
            left,
        }
    }

    /// What is another than before: of a directory that has come, the directory alone.
    fn changes(&self, now: &BTreeMap<PathBuf, String>) -> Vec<String> {
        let is_new = |path: &Path| !self.before.contains_key(path);
        let come = now.iter().filter(|(path, data)| match is_new(path) {
            true => path.parent().is_none_or(|above| !is_new(above)),
            false => self.before.get(*path) != Some(*data),
        });
        let gone = self.before.keys().filter(|path| !now.contains_key(*path));
        let paths = come.map(|(path, _)| path).chain(gone);
        paths.map(|path| path.display().to_string()).collect()
    }

    /// Every file of the home directory and of TMPDIR, with its mode and its size.
    fn files(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        for top in ["home", "tmp"] {
            list(&self.place.join(top), &mut found);
        }
        found
    }

    /// Takes away what a launch has left, so that the next one starts as it did.
    fn clear(&self, now: &BTreeMap<PathBuf, String>) {
        for path in now.keys().filter(|path| !self.before.contains_key(*path)) {
            remove(path);
        }
    }

    /// Whether a path is where tries keep what was changed, for those who look at it later.
    pub fn is_kept(&self, path: &str) -> bool {
        let tries = self.place.join("home/.local/state/rootlet/try");
        Path::new(path).starts_with(tries)
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// The calls that were met, sorted. The runtime's last ones before `main` are for its handlers of faults: with
/// sigaltstack(2) it asks for their stack, then sets it, and then come the handlers.
fn calls(met: &[(Point, bool)]) -> Vec<Call> {
    let stacks = |point: &&Point| point.process.is_empty() && point.call == libc::SYS_sigaltstack;
    let handlers = [
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
    ];
    let mut stacks_set = 0;
    let mut in_main = false;
    let mut calls: Vec<Call> = met
        .iter()
        .map(|(point, inside)| {
            in_main |= stacks_set == 2 && !stacks(&point) && !handlers.contains(&point.call);
            stacks_set += usize::from(!in_main && stacks(&point));
            Call {
                point: point.clone(),
                before_main: !in_main,
                inside: *inside,
            }
        })
        .collect();
    calls.sort();
    calls
}

fn list(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let Ok(data) = path.symlink_metadata() else {
        return;
    };
    let size = if data.is_file() { data.len() } else { 0 };
    found.insert(
        path.to_path_buf(),
        format!("{:o} {size}", data.permissions().mode()),
    );
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        list(&entry.path(), found);
    }
}

/// Removes a file, or a directory with all that is in it, whatever their permissions.
fn remove(path: &Path) {
    if path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.for_each(|entry| remove(&entry.path()));
        let _ = fs::remove_dir(path);
    } else {
        let _ = fs::remove_file(path);
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}
