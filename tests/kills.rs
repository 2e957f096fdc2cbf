//! SIGKILL to rootlet at any moment, from its first instruction on, leaves no process, no mount and no file.

#[path = "support/processes.rs"]
mod processes;

use rustix::process::WaitOptions;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long what was left may take to end before it counts as left for ever.
const DEADLINE: Duration = Duration::from_secs(5);
const RANDOM_KILLS: u32 = 500;
/// The same of launches after which a container is looked at as well; scripts/kills makes more.
const FEWER_KILLS: u32 = 100;

/// What a container is asked to be.
const KINDS: [(&str, &[&str]); 6] = [
    ("run", &["run", "-t", "never"]),
    ("run -t always", &["run", "-t", "always"]),
    ("run --no-init", &["run", "-t", "never", "--no-init"]),
    ("run --share pid", &["run", "-t", "never", "--share", "pid"]),
    (
        "run --no-namespaces",
        &["run", "-t", "never", "--no-namespaces", "--read-only"],
    ),
    ("sandbox", &["sandbox", "-t", "never"]),
];

/// One test at a time: all that is left behind by anybody comes to this process, and is counted.
struct Alone {
    _turn: MutexGuard<'static, ()>,
    files: PathBuf,
    /// Where containers are listed.
    runtime: PathBuf,
    mounts: String,
}

static TURN: Mutex<()> = Mutex::new(());

impl Alone {
    fn new() -> Alone {
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let files = std::env::temp_dir().join(format!("rootlet-kills-{}", std::process::id()));
        std::fs::create_dir_all(&files).unwrap();
        let runtime = files.with_extension("run");
        let mut private = std::fs::DirBuilder::new();
        private
            .mode(0o700)
            .recursive(true)
            .create(&runtime)
            .unwrap();
        Alone {
            _turn: turn,
            files,
            runtime,
            mounts: std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
        }
    }

    /// A container of this kind that sleeps for a time which no other process sleeps.
    fn container(&self, options: &[&str], command: &[&str]) -> Command {
        let mut rootlet = self.rootlet(options);
        rootlet.arg("--").args(command);
        rootlet
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        rootlet
    }

    fn rootlet(&self, words: &[&str]) -> Command {
        let mut rootlet = Command::new(env!("CARGO_BIN_EXE_rootlet"));
        rootlet
            .args(words)
            .current_dir(&self.files)
            .env("TMPDIR", &self.files)
            .env("XDG_RUNTIME_DIR", &self.runtime);
        rootlet
    }

    /// What `rootlet ps -q` prints: every container that runs. What a killed supervisor has left is gone then.
    fn listed(&self) -> String {
        let output = self.rootlet(&["ps", "-q"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether something is known of any container.
    fn is_listed(&self) -> bool {
        let listed = self.listed();
        !listed.is_empty() || std::fs::read_dir(&self.runtime).unwrap().count() > 0
    }

    /// A moment longer than most launches take.
    fn window(&self, options: &[&str], mark: &str) -> Duration {
        let launch = |_| {
            let start = Instant::now();
            let status = self.container(options, &["true"]).status().unwrap();
            assert!(status.success(), "{options:?}");
            let time = start.elapsed();
            if !options.contains(&"exec") {
                assert!(!self.is_left(mark));
            }
            time
        };
        let mut launches: Vec<Duration> = (0..21).map(launch).collect();
        launches.sort();
        launches[launches.len() / 2].mul_f64(1.2)
    }

    /// Waits until nobody is left; who still lives at the deadline is killed. Returns whether there was somebody.
    fn is_left(&self, mark: &str) -> bool {
        let end = Instant::now() + DEADLINE;
        let mut left = false;
        let options = WaitOptions::NOHANG | WaitOptions::from_bits_retain(libc::__WALL as u32);
        while let Ok(ended) = rustix::process::wait(options) {
            if ended.is_some() {
                continue;
            } else if Instant::now() < end {
                std::thread::sleep(Duration::from_micros(200));
            } else {
                left = true;
                for pid in processes::with_mark(mark) {
                    let _ = rootlet::sys::kill(pid, libc::SIGKILL);
                }
            }
        }
        left
    }

    fn assert_no_mount_and_no_file(self) {
        assert_eq!(
            std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
            self.mounts
        );
        assert_eq!(std::fs::read_dir(&self.files).unwrap().count(), 0);
        assert!(!self.is_listed());
        std::fs::remove_dir(&self.files).unwrap();
        std::fs::remove_dir(&self.runtime).unwrap();
    }
}

/// Waits for a part of the window, another each time: the multiples of the golden ratio, which are as even as chance, and in
/// no order that a machine's load could follow.
fn pass(window: Duration, number: u32) {
    let start = Instant::now();
    let delay = window.mul_f64(f64::from(number) * 0.618_033_988_749_895 % 1.0);
    while start.elapsed() < delay {
        std::hint::spin_loop();
    }
}

fn tell(kind: &str, window: Duration, kills: u32, left: u32) {
    let window = window.as_micros();
    println!("{kind:24} window {window:6} us   kills {kills}   left {left}");
}

fn fewer_kills() -> u32 {
    let full = std::env::var_os("ROOTLET_FAULTS").is_some_and(|value| value == "full");
    if full { RANDOM_KILLS } else { FEWER_KILLS }
}

fn mark() -> String {
    format!("300000.{}", std::process::id())
}

#[test]
fn l1_killed_at_any_time_it_leaves_nothing() {
    let alone = Alone::new();
    let mark = mark();
    let mut all_left = 0;
    for (kind, options) in KINDS {
        let window = alone.window(options, &mark);
        let mut left = 0;
        for number in 0..RANDOM_KILLS {
            let mut rootlet = alone.container(options, &["sleep", &mark]).spawn().unwrap();
            pass(window, number);
            rootlet.kill().unwrap();
            rootlet.wait().unwrap();
            left += u32::from(alone.is_left(&mark));
        }
        tell(kind, window, RANDOM_KILLS, left);
        all_left += left;
    }
    assert_eq!(all_left, 0);
    alone.assert_no_mount_and_no_file();
}

/// A detached container.
const DETACHED: [&str; 5] = ["run", "-d", "--rm", "--name", "c"];

#[test]
fn l1_a_detached_start_that_is_killed_leaves_nothing_or_a_container_whose_name_was_told() {
    let alone = Alone::new();
    let mark = mark();
    let window = alone.window(&DETACHED, &mark);
    let mut left = 0;
    for number in 0..fewer_kills() {
        let mut rootlet = alone.container(&DETACHED, &["sleep", &mark]);
        let mut rootlet = rootlet.stdout(Stdio::piped()).spawn().unwrap();
        pass(window, number);
        rootlet.kill().unwrap();
        rootlet.wait().unwrap();
        let mut name = String::new();
        let mut printed = rootlet.stdout.take().unwrap();
        printed.read_to_string(&mut name).unwrap();
        if !name.is_empty() {
            assert_eq!(name, "c\n");
            // Whether it runs or ends is as it happens: it may have been killed before it had told its supervisor.
            alone.rootlet(&["kill", "c"]).output().unwrap();
        }
        left += u32::from(alone.is_left(&mark) || alone.is_listed());
    }
    tell("run -d", window, fewer_kills(), left);
    assert_eq!(left, 0);
    alone.assert_no_mount_and_no_file();
}

#[test]
fn l1_a_supervisor_that_is_killed_leaves_nothing() {
    let alone = Alone::new();
    let mark = mark();
    let window = alone.window(&DETACHED, &mark);
    let mut left = 0;
    for number in 0..fewer_kills() {
        let mut rootlet = alone.container(&DETACHED, &["sleep", &mark]);
        let mut rootlet = rootlet.spawn().unwrap();
        let supervisor = supervisor(&alone, &mut rootlet);
        pass(window, number);
        rootlet::sys::kill(supervisor, libc::SIGKILL).unwrap();
        // With an error or without, but not never.
        rootlet.wait().unwrap();
        left += u32::from(alone.is_left(&mark) || alone.is_listed());
    }
    tell("run -d, supervisor", window, fewer_kills(), left);
    assert_eq!(left, 0);
    alone.assert_no_mount_and_no_file();
}

/// The supervisor of a container that is being started, as soon as there is one. It stays until it is killed.
fn supervisor(alone: &Alone, caller: &mut Child) -> i32 {
    let id = caller.id();
    let children = format!("/proc/{id}/task/{id}/children");
    loop {
        let list = std::fs::read_to_string(&children).unwrap_or_default();
        if let Some(child) = list.split_whitespace().next() {
            return child.parse().unwrap();
        }
        if caller.try_wait().unwrap().is_some() {
            break;
        }
    }
    // This process was not there in time. But the container is.
    let record = alone.runtime.join("rootlet/c/record.json");
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    record["supervisor"]["pid"].as_i64().unwrap() as i32
}

#[test]
fn l1_a_killed_exec_leaves_nothing_in_the_container_which_runs_on() {
    let alone = Alone::new();
    let (own, mark) = (format!("{}.container", mark()), format!("{}.exec", mark()));
    for (kind, options) in [
        ("exec", &[][..]),
        ("exec, --share pid", &["--share", "pid"]),
    ] {
        let start = [&DETACHED, options].concat();
        let command = ["sh", "-c", "while sleep 300; do :; done", &own];
        let status = alone.container(&start, &command).status().unwrap();
        assert!(status.success(), "{kind}");
        let exec = ["exec", "-t", "never", "c"];
        let window = alone.window(&exec, &mark);
        let mut left = 0;
        for number in 0..fewer_kills() {
            // The mark is in the command line of the shell, which is the one that waits for what it has started.
            let command = ["sh", "-c", "sleep 300000; :", &mark];
            let mut rootlet = alone.container(&exec, &command).spawn().unwrap();
            pass(window, number);
            rootlet.kill().unwrap();
            rootlet.wait().unwrap();
            left += u32::from(stays(&mark) || alone.listed() != "c\n");
        }
        tell(kind, window, fewer_kills(), left);
        assert_eq!(left, 0, "{kind}");
        assert!(!processes::with_mark(&own).is_empty(), "{kind}");
        // It ends when all that was in it has been waited for: see `stays`.
        let mut kill = alone.container(&["kill", "c"], &[]).spawn().unwrap();
        assert!(!alone.is_left(&own) && !alone.is_listed(), "{kind}");
        // By that, with everybody else.
        kill.wait().unwrap_err();
    }
    alone.assert_no_mount_and_no_file();
}

/// Whether somebody with this mark is there at the deadline still. The parent of what was executed in a container is outside
/// of that: when it is killed, this process is the next.
fn stays(mark: &str) -> bool {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        if processes::with_mark(mark).is_empty() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

#[test]
fn l9_a_container_whose_first_process_is_stopped_ends_with_the_launcher() {
    let alone = Alone::new();
    let mark = mark();
    // Without a PID namespace it is init, which is stopped, that would end what is inside.
    for (kind, options) in KINDS
        .iter()
        .filter(|(kind, _)| !kind.ends_with("--share pid") && !kind.ends_with("--no-namespaces"))
    {
        let mut rootlet = alone.container(options, &["sleep", &mark]).spawn().unwrap();
        let first = first_inside(&mark, rootlet.id(), kind);
        rootlet::sys::kill(first, libc::SIGSTOP).unwrap();
        rootlet.kill().unwrap();
        rootlet.wait().unwrap();
        assert!(!alone.is_left(&mark), "{kind}");
    }
    alone.assert_no_mount_and_no_file();
}

/// The first process of a container, when its command has been executed.
fn first_inside(mark: &str, launcher: u32, kind: &str) -> i32 {
    let read = |pid: i32, file: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
    };
    let parent = |pid: i32| {
        let status = read(pid, "status");
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.and_then(|number| number.trim().parse::<u32>().ok())
    };
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        let inside = processes::with_mark(mark);
        let is_there = inside.iter().any(|&pid| read(pid, "comm") == "sleep\n");
        let first = inside.iter().find(|&&pid| parent(pid) == Some(launcher));
        if let (true, Some(&first)) = (is_there, first) {
            return first;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no container within the deadline: {kind}");
}
