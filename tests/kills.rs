//! SIGKILL to rootlet at any moment, from its first instruction on, leaves no process, no mount and no file.

#[path = "support/processes.rs"]
mod processes;

use rustix::process::WaitOptions;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long what was left may take to end before it counts as left for ever.
const DEADLINE: Duration = Duration::from_secs(5);
const RANDOM_KILLS: u32 = 500;

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
    mounts: String,
}

static TURN: Mutex<()> = Mutex::new(());

impl Alone {
    fn new() -> Alone {
        let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
        let files = std::env::temp_dir().join(format!("rootlet-kills-{}", std::process::id()));
        std::fs::create_dir_all(&files).unwrap();
        Alone {
            _turn: turn,
            files,
            mounts: std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
        }
    }

    /// A container of this kind that sleeps for a time which no other process sleeps.
    fn container(&self, options: &[&str], command: &[&str]) -> Command {
        let mut rootlet = Command::new(env!("CARGO_BIN_EXE_rootlet"));
        rootlet
            .args(options)
            .arg("--")
            .args(command)
            .current_dir(&self.files)
            .env("TMPDIR", &self.files);
        rootlet
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        rootlet
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
        std::fs::remove_dir(&self.files).unwrap();
    }
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
        let mut launches: Vec<Duration> = (0..21)
            .map(|_| {
                let start = Instant::now();
                alone.container(options, &["true"]).status().unwrap();
                start.elapsed()
            })
            .collect();
        launches.sort();
        let window = launches[launches.len() / 2].mul_f64(1.2);
        let mut left = 0;
        for number in 0..RANDOM_KILLS {
            // The multiples of the golden ratio: as even as chance, and in no order that a machine's load could follow.
            let delay = window.mul_f64(f64::from(number) * 0.618_033_988_749_895 % 1.0);
            let mut rootlet = alone.container(options, &["sleep", &mark]).spawn().unwrap();
            let start = Instant::now();
            while start.elapsed() < delay {
                std::hint::spin_loop();
            }
            rootlet.kill().unwrap();
            rootlet.wait().unwrap();
            left += u32::from(alone.is_left(&mark));
        }
        println!(
            "{kind:19} window {:5} us   kills {RANDOM_KILLS}   left {left}",
            window.as_micros()
        );
        all_left += left;
    }
    assert_eq!(all_left, 0);
    alone.assert_no_mount_and_no_file();
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
