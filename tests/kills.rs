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
const KINDS: [(&str, &[&str]); 5] = [
    ("default", &["-t", "never"]),
    ("-t always", &["-t", "always"]),
    ("--no-init", &["-t", "never", "--no-init"]),
    ("--share pid", &["-t", "never", "--share", "pid"]),
    (
        "--no-namespaces",
        &["-t", "never", "--no-namespaces", "--read-only"],
    ),
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
            .arg("run")
            .args(options)
            .arg("--")
            .args(command)
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
fn killed_at_any_time_it_leaves_nothing() {
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
            "{kind:12} window {:5} us   kills {RANDOM_KILLS}   left {left}",
            window.as_micros()
        );
        all_left += left;
    }
    assert_eq!(all_left, 0);
    alone.assert_no_mount_and_no_file();
}
