//! The launches of the matrix, each in a home directory of its own, and what is left when one has ended.

use crate::fingerprint;
use crate::tracer::{self, Act, Patience, Point, Seen};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// With which the command inside ends, so that nobody's success is taken for its.
pub const STATUS: u8 = 7;

/// A way to start a process.
pub struct Kind {
    /// Its name in the tables.
    pub name: &'static str,
    arguments: &'static [&'static str],
    place: Place,
}

/// Where the command is while the program that is launched lives, and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a container of the program's.
    Own,
    /// In one that another process supervises, when the program has ended.
    Detached,
    /// In one that was there before, and will be after it, which was asked for by these words.
    Others(&'static [&'static str]),
}

/// What a detached container is called, and one in which commands are executed.
const NAME: &str = "c";

/// The kinds of launch.
pub const KINDS: [Kind; 16] = [
    Kind {
        name: "run",
        arguments: &["run", "-t", "never"],
        place: Place::Own,
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
        place: Place::Own,
    },
    Kind {
        name: "run --no-init",
        arguments: &["run", "-t", "never", "--no-init"],
        place: Place::Own,
    },
    Kind {
        name: "run --share pid",
        arguments: &["run", "-t", "never", "--share", "pid"],
        place: Place::Own,
    },
    Kind {
        name: "run -t always",
        arguments: &["run", "-t", "always"],
        place: Place::Own,
    },
    Kind {
        name: "run --stdio pipe",
        arguments: &["run", "-t", "never", "--stdio", "pipe"],
        place: Place::Own,
    },
    Kind {
        name: "run --no-namespaces",
        arguments: &["run", "-t", "never", "--no-namespaces"],
        place: Place::Own,
    },
    Kind {
        name: "sandbox",
        arguments: &["sandbox", "-t", "never"],
        place: Place::Own,
    },
    Kind {
        name: "try",
        arguments: &["try", "-t", "never"],
        place: Place::Own,
    },
    Kind {
        name: "bwrap",
        arguments: &[
            "bwrap",
            "--die-with-parent",
            // What --unshare-all makes, without its trying for one.
            "--unshare-user",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--ro-bind",
            ".",
            "/mnt",
            "--symlink",
            "usr",
            "/dev/link",
        ],
        place: Place::Own,
    },
    Kind {
        name: "bwrap without --unshare-pid",
        arguments: &[
            "bwrap",
            "--die-with-parent",
            "--bind",
            "/",
            "/",
            "--tmpfs",
            "/mnt",
        ],
        place: Place::Own,
    },
    Kind {
        name: "run -d",
        arguments: &["run", "-d", "--name", NAME],
        place: Place::Detached,
    },
    Kind {
        name: "run -d -t always",
        arguments: &["run", "-d", "-t", "always", "--name", NAME],
        place: Place::Detached,
    },
    Kind {
        name: "exec",
        arguments: &["exec", "-t", "never", NAME],
        place: Place::Others(&[]),
    },
    Kind {
        name: "exec -t always",
        arguments: &["exec", "-t", "always", NAME],
        place: Place::Others(&[]),
    },
    Kind {
        name: "exec, --share pid",
        arguments: &["exec", "-t", "never", NAME],
        place: Place::Others(&["--share", "pid"]),
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

    /// The status with which a launch of this kind ends in which nothing happens.
    fn status(self, kind: &Kind) -> i32 {
        match self {
            Job::Tell => STATUS.into(),
            Job::Sleep if kind.place == Place::Detached => 0,
            Job::Sleep => 128 + libc::SIGKILL,
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
    /// Whether the program lives then, its first child, and the first child of that.
    pub living: [bool; 3],
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
    /// How the program ended, or what it was to start and left to another; none when it hung, and -1 when nobody knows.
    pub status: Option<i32>,
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
        let own = std::process::id();
        let place = std::env::temp_dir().join(format!("rootlet-faults-{own}"));
        for directory in [
            "home/project",
            "home/.local/state/rootlet/try",
            "home/run",
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
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(place.join("home/run"), private).unwrap();
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
        if let Place::Others(options) = launch.kind.place {
            launch.start_others(options);
        }
        // Now: that container is not to be this process's.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        rootlet::sys::set_signal_mask(rootlet::sys::SignalSet::only(libc::SIGCHLD));
        launch.before = launch.files();
        let outcome = launch.run(None);
        let again = launch.run(None);
        let expected = Some(job.status(launch.kind));
        assert_eq!(outcome.status, expected, "{}", outcome.said);
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

    /// Whether rootlet speaks as bubblewrap does.
    pub fn is_bwraps(&self) -> bool {
        self.kind.arguments.first() == Some(&"bwrap")
    }

    /// The name of its kind.
    pub fn name(&self) -> &str {
        self.kind.name
    }

    /// Whether another process than the program itself supervises what it starts.
    pub fn is_detached(&self) -> bool {
        self.kind.place == Place::Detached
    }

    /// Starts the container in which commands are executed.
    fn start_others(&self, options: &[&str]) {
        let words = ["run", "-d", "--name", NAME];
        let command = ["--", "./inside", Job::Sleep.word(), &self.socket];
        let started = self.rootlet(&[&words, options, &command].concat()).output();
        let started = started.unwrap();
        let said = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success(), "{said}");
    }

    /// `rootlet` with these words, at home.
    fn rootlet(&self, words: &[&str]) -> Command {
        let rootlet = std::env::var_os("ROOTLET");
        let mut command = Command::new(rootlet.unwrap_or(env!("CARGO_BIN_EXE_rootlet").into()));
        command
            .args(words)
            .current_dir(self.place.join("home/project"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.place.join("home"))
            .env("TMPDIR", self.place.join("tmp"))
            .env("XDG_RUNTIME_DIR", self.place.join("home/run"))
            .stdin(Stdio::null());
        command
    }

    /// What `rootlet` prints that is asked with these words.
    fn ask(&self, words: &[&str]) -> String {
        let output = self.rootlet(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Launches once.
    pub fn run(&self, act: Option<(&Point, &Act)>) -> Outcome {
        let (out, said) = (self.place.join("out/stdout"), self.place.join("out/stderr"));
        let removed = self.is_detached() && self.job == Job::Sleep;
        let command = ["--", "./inside", self.job.word(), &self.socket];
        let options = if removed { &["--rm"][..] } else { &[] };
        let mut command = self.rootlet(&[self.kind.arguments, options, &command].concat());
        command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&said).unwrap());
        let seen = tracer::run(&mut command, act, &self.patience(act, &out));
        while self.listener.accept().is_ok() {}
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let (mut printed, mut said) = (text(&out), text(&said));
        let mut status = seen.status;
        if matches!(act, Some((_, Act::Kill(_)))) {
            // What a supervisor leaves that is killed is cleared by the next command.
            self.ask(&["ps", "--all"]);
        } else if self.is_detached() && self.job == Job::Tell && status == Some(0) {
            printed = self.ask(&["logs", NAME]);
            status = Some(self.recorded_end(&mut said));
            self.ask(&["rm", "--all"]);
        }
        let mut left = self.left();
        if mounts() != self.mounts {
            left.push("a mount".to_string());
        }
        if matches!(self.kind.place, Place::Others(_)) && !self.others_run() {
            left.push("no container that runs".to_string());
        }
        self.clear(&self.files());
        Outcome {
            seen,
            status,
            fingerprint: fingerprint::normal(&printed),
            said,
            left,
        }
    }

    fn patience(&self, act: Option<(&Point, &Act)>, out: &Path) -> Patience {
        // Without its caller a detached container goes on whose name has been told: that is what it is for.
        let goes_on =
            self.is_detached() && matches!(act, Some((_, Act::Kill(victim))) if victim.is_empty());
        Patience {
            hang: Duration::from_secs(20),
            orphan: Duration::from_secs(5),
            quiet: (self.job == Job::Sleep).then_some(Duration::from_millis(50)),
            goes_on: goes_on.then(|| out.to_path_buf()),
        }
    }

    /// The exit status that the record of a detached container tells, which has ended; what else it tells is said.
    fn recorded_end(&self, said: &mut String) -> i32 {
        let record = self.place.join("home/run/rootlet").join(NAME);
        let text = fs::read(record.join("record.json")).unwrap_or_default();
        let record: Value = serde_json::from_slice(&text).unwrap_or_default();
        if let Some(error) = record["error"].as_str() {
            *said += &format!("rootlet: {error}\n");
        }
        if let Some(failure) = record["log-failure"].as_str() {
            *said += &format!("rootlet: note: {failure}\n");
        }
        let number = |key: &str| record[key].as_i64().map(|number| number as i32);
        match (record["status"].as_str(), number("code"), number("signal")) {
            (Some("exited"), Some(code), _) => code,
            (Some("exited"), _, Some(signal)) => 128 + signal,
            (Some("exited"), ..) => 125,
            (other, ..) => {
                *said += &format!("the record says {other:?}\n");
                -1
            }
        }
    }

    /// Whether the container runs in which commands are executed.
    fn others_run(&self) -> bool {
        let list: Value = serde_json::from_str(&self.ask(&["ps", "--json"])).unwrap_or_default();
        list[0]["name"] == NAME && list[0]["status"] == "running"
    }

    /// What is there that was not there before, or is no more. The supervisor of another container may need a moment to
    /// note that a command in it has ended.
    fn left(&self) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.changes(&self.files());
            let waits = matches!(self.kind.place, Place::Others(_)) && Instant::now() < end;
            if left.is_empty() || !waits {
                return left;
            }
            std::thread::sleep(Duration::from_millis(1));
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
        if matches!(self.kind.place, Place::Others(_)) {
            self.ask(&["rm", "--force", "--all"]);
        }
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// The calls that were met, sorted. The runtime's last ones before `main` are for its handlers of faults: with
/// sigaltstack(2) it asks for their stack, then sets it, and then come the handlers.
fn calls(met: &[(Point, [bool; 3])]) -> Vec<Call> {
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
        .map(|(point, living)| {
            in_main |= stacks_set == 2 && !stacks(&point) && !handlers.contains(&point.call);
            stacks_set += usize::from(!in_main && stacks(&point));
            Call {
                point: point.clone(),
                before_main: !in_main,
                living: *living,
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
