//! Launches while somebody exchanges directories for links, time and again: nothing elsewhere is touched, and each one ends
//! in a container with the right thing, or in an error that says what was refused.
//!
//! Each race is run as it is, and with openat2(2) refused in two ways. `ROOTLET_RACES` says how many launches each of these
//! has; scripts/races makes it 400, and prints what came of them. The ids are those of docs/security.md.

#[path = "support/filter.rs"]
mod filter;
mod support;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use support::{Dir, PROGRAMS, ROOTLET, Ran, finish, rootfs, rootlet};

/// Somebody who exchanges what is at some places, as fast as it goes, until this is dropped.
struct Swaps {
    done: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Swaps {
    /// What is at `place`, and each of `others` in turn (RENAME_EXCHANGE, renameat2(2)).
    fn between(place: &str, others: &[&str]) -> Swaps {
        let done = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicU64::new(0));
        let (place, others) = (place.to_string(), others.iter().map(ToString::to_string));
        let others: Vec<String> = others.collect();
        let thread = std::thread::spawn({
            let (done, made) = (Arc::clone(&done), Arc::clone(&made));
            move || {
                while !done.load(Ordering::Relaxed) {
                    for other in &others {
                        renameat_with(CWD, &place, CWD, other, RenameFlags::EXCHANGE).unwrap();
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Swaps {
            done,
            made,
            thread: Some(thread),
        }
    }
}

impl Drop for Swaps {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|it| it.is_ok()) || std::thread::panicking());
    }
}

/// Everything below a directory, and itself: all that a touch would change but the time of the last look.
fn picture(directory: &Path) -> BTreeMap<PathBuf, (Vec<i64>, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(path) = left.pop() {
        let data = path.symlink_metadata().unwrap();
        let content = match data.is_file() {
            true => std::fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        let state = vec![
            data.ino() as i64,
            data.mode().into(),
            data.nlink() as i64,
            data.mtime(),
            data.mtime_nsec(),
            data.ctime(),
            data.ctime_nsec(),
        ];
        if data.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        }
        all.insert(path, (state, content));
    }
    all
}

/// Whether openat2(2) is there, and how it is refused where it is not.
const WAYS: [(&str, Option<i32>); 3] = [
    ("openat2", None),
    ("ENOSYS", Some(libc::ENOSYS)),
    ("EPERM", Some(libc::EPERM)),
];

/// Makes `command` one to which openat2(2) is refused like this.
fn refused(mut command: Command, errno: Option<i32>) -> Command {
    if let Some(errno) = errno {
        let filter = filter::filter(&[libc::SYS_openat2], errno);
        // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
        unsafe { command.pre_exec(move || filter::install(&filter)) };
    }
    command
}

/// Runs `launch` often in each way while `swaps` goes on, and requires that each time it is refused with an errno, or
/// passes `right`, which says in a word what came of it.
fn race(
    kind: &str,
    swaps: &Swaps,
    mut launch: impl FnMut() -> Command,
    mut right: impl FnMut(&Ran) -> &'static str,
) {
    let asked = std::env::var("ROOTLET_RACES").map(|number| number.parse().unwrap());
    for (way, errno) in WAYS {
        let before = swaps.made.load(Ordering::Relaxed);
        let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
        for _ in 0..asked.clone().unwrap_or(7) {
            let ran = finish(refused(launch(), errno));
            *ends
                .entry(end(&ran).unwrap_or_else(|| right(&ran)))
                .or_default() += 1;
        }
        let swapped = swaps.made.load(Ordering::Relaxed) - before;
        println!("race\t{kind}\t{way}\t{swapped}\t{ends:?}");
    }
}

/// What a launch came to that rootlet has refused; none if it has not.
fn end(ran: &Ran) -> Option<&'static str> {
    let said = |line: &str| line.starts_with("rootlet: ") && !line.starts_with("rootlet: note: ");
    let clear = || {
        ran.err
            .lines()
            .any(|line| said(line) && line.contains("(E"))
    };
    match ran.status {
        125 if clear() => Some("refused"),
        125 => panic!("no cause is named: {ran:#?}"),
        _ => None,
    }
}

// ---- M2: places of views, in a root that somebody else writes in

/// A root file system in which `place` is a directory, and now and then a link to a directory outside that looks alike: by
/// its path, and by a way up. By that path there is one inside, too.
struct Root {
    root: Dir,
    outside: Dir,
}

impl Root {
    fn new(place: &str) -> Root {
        let made = Root {
            root: rootfs(),
            outside: Dir::new(),
        };
        let outside = made.outside.text().trim_start_matches('/').to_string();
        made.root.directory(place);
        for (dir, top) in [
            (&made.outside, String::new()),
            (&made.root, format!("{outside}/")),
            (&made.root, format!("{place}/")),
        ] {
            dir.directory(&format!("{top}inner/deep"));
            dir.file(&format!("{top}canary"), "canary");
        }
        symlink(made.outside.path(), made.root.path().join("absolute")).unwrap();
        let climbing = format!("../../../../../../../../{outside}");
        symlink(climbing, made.root.path().join("climbing")).unwrap();
        made
    }

    fn swaps(&self, place: &str) -> Swaps {
        let others = [self.root.at("absolute"), self.root.at("climbing")];
        Swaps::between(&self.root.at(place), &others.each_ref().map(|it| &**it))
    }

    fn launch(&self, options: &[&str]) -> Command {
        let script = "until cat /proc/self/mountinfo; do :; done 2>/dev/null";
        rootlet(
            [
                &["--rootfs", self.root.text()],
                &PROGRAMS[..],
                options,
                &["--", "sh", "-c", script],
            ]
            .concat(),
        )
    }
}

/// What is mounted, wherever it is: of each mount its root, its flags and its file system.
fn mounted(mountinfo: &str) -> Vec<String> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.iter().position(|word| *word == "-").unwrap();
        format!("{} {} {}", words[3], words[5], words[at + 1])
    };
    let mut mounts: Vec<String> = mountinfo.lines().map(line).collect();
    mounts.sort();
    mounts
}

/// Launches with `options`, while `place` in the root is swapped: what is mounted is what is mounted in peace.
fn races_at(kind: &str, place: &str, options: &[&str]) {
    let root = Root::new(place);
    let peace = mounted(&finish(root.launch(options)).ok());
    let before = picture(root.outside.path());
    {
        let swaps = root.swaps(place);
        race(
            kind,
            &swaps,
            || root.launch(options),
            |ran| {
                assert_eq!(ran.status, 0, "{ran:#?}");
                assert_eq!(mounted(&ran.out), peace, "{ran:#?}");
                "ran"
            },
        );
    }
    assert_eq!(picture(root.outside.path()), before);
}

#[test]
fn m2_a_volumes_place() {
    let source = Dir::new();
    let volume = format!("{}:/place/inner/deep", source.text());
    races_at("-v directory", "place", &["-v", &volume]);
    let file = format!("{}:/place/canary:ro", source.file("file", ""));
    races_at("-v file", "place", &["-v", &file]);
}

#[test]
fn m2_a_place_for_memory_or_a_file_system_of_the_kernels() {
    races_at("--tmpfs", "place", &["--tmpfs", "/place/inner"]);
    for kind in ["proc", "mqueue", "dev"] {
        let mount = format!("type={kind},target=/place/inner");
        races_at(
            &format!("--mount type={kind}"),
            "place",
            &["--mount", &mount],
        );
    }
}

#[test]
fn m2_a_place_for_a_file_that_exists_only_inside() {
    races_at("--file", "place", &["--file", "/place/canary=/etc/passwd"]);
}

#[test]
fn m2_a_place_that_is_masked() {
    races_at("--mask directory", "place", &["--mask", "/place/inner"]);
    races_at("--mask file", "place", &["--mask", "/place/canary"]);
}

#[test]
fn m2_an_overlays_place() {
    let (lower, upper) = (Dir::new(), Dir::new());
    let overlay = format!("{},/place/inner", lower.text());
    races_at("--overlay", "place", &["--overlay", &overlay]);
    let kept = format!("{overlay},upper={}", upper.directory("upper"));
    races_at("--overlay upper", "place", &["--overlay", &kept]);
    assert_eq!(upper.names(), ["upper"]);
}

#[test]
fn m2_views_over_a_view() {
    let source = Dir::new();
    source.directory("deep");
    let volume = format!("{}:/place/inner", source.text());
    let options = [
        "--tmpfs",
        "/place",
        "-v",
        &volume,
        "--tmpfs",
        "/place/inner/deep",
        "--file",
        "/place/made=/etc/passwd",
        "--mount",
        "type=symlink,target=/place/link,to=/canary",
    ];
    races_at("views over a view", "place", &options);
}

#[test]
fn m2_dev_and_devices() {
    races_at("/dev", "dev", &[]);
    races_at("--device", "dev", &["--device", "/dev/kmsg"]);
}

#[test]
fn m2_proc_and_what_is_closed_in_it() {
    races_at("/proc", "proc", &[]);
}

#[test]
fn m2_the_working_directory() {
    races_at("-w", "place", &["-w", "/place/inner"]);
}
