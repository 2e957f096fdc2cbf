//! Launches while somebody exchanges directories for links, time and again: nothing elsewhere is touched, and each one ends
//! in a container with the right thing, or in an error that says what was refused.
//!
//! Each race is run as it is, and with openat2(2) refused in two ways. `ROOTLET_RACES` says how many launches each of these
//! has; scripts/races makes it 400, and prints what came of them. The ids are those of docs/security.md.

#[path = "support/filter.rs"]
mod filter;
mod support;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use support::{Dir, PROGRAMS, ROOTLET, Ran, finish, rootfs, rootlet, shell_with};

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
                        match renameat_with(CWD, &place, CWD, other, RenameFlags::EXCHANGE) {
                            Ok(()) => made.fetch_add(1, Ordering::Relaxed),
                            // They are not there yet, or not any more.
                            Err(Errno::NOENT | Errno::NOTDIR) => continue,
                            Err(error) => panic!("exchange {place} and {other}: {error}"),
                        };
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

/// Of each path what it is, and its content.
type Picture = BTreeMap<PathBuf, (Vec<i64>, Vec<u8>)>;

/// Everything below a directory, and itself: all that a touch would change but the time of the last look.
fn picture(directory: &Path) -> Picture {
    let mut all = BTreeMap::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(path) = left.pop() {
        let data = path.symlink_metadata().unwrap();
        let content = match data.is_file() {
            true => std::fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        let mut state = vec![
            data.ino() as i64,
            data.mode().into(),
            data.nlink() as i64,
            data.mtime(),
            data.mtime_nsec(),
        ];
        // That of the directory itself says when it was renamed.
        if path != directory {
            state.extend([data.ctime(), data.ctime_nsec()]);
        }
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
    ("there", None),
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
fn m2_a_volume_stays_in_a_root_whose_directories_are_exchanged() {
    let source = Dir::new();
    let volume = format!("{}:/place/inner/deep", source.text());
    races_at("-v directory", "place", &["-v", &volume]);
    let file = format!("{}:/place/canary:ro", source.file("file", ""));
    races_at("-v file", "place", &["-v", &file]);
}

#[test]
fn m2_memory_and_file_systems_of_the_kernels_stay_in_it() {
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
fn m2_a_file_that_exists_only_inside_stays_in_it() {
    races_at("--file", "place", &["--file", "/place/canary=/etc/passwd"]);
}

#[test]
fn m2_a_mask_stays_in_it() {
    races_at("--mask directory", "place", &["--mask", "/place/inner"]);
    races_at("--mask file", "place", &["--mask", "/place/canary"]);
}

#[test]
fn m2_an_overlay_stays_in_it() {
    let (lower, upper) = (Dir::new(), Dir::new());
    let overlay = format!("{},/place/inner", lower.text());
    races_at("--overlay", "place", &["--overlay", &overlay]);
    let kept = format!("{overlay},upper={}", upper.directory("upper"));
    races_at("--overlay upper", "place", &["--overlay", &kept]);
    assert_eq!(upper.names(), ["upper"]);
}

#[test]
fn m2_views_over_a_view_stay_in_it() {
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
fn m2_dev_and_devices_stay_in_it() {
    races_at("/dev", "dev", &[]);
    races_at("--device", "dev", &["--device", "/dev/kmsg"]);
}

#[test]
fn m2_proc_stays_in_it_and_is_closed_or_refused() {
    races_at("/proc", "proc", &[]);
}

#[test]
fn m2_the_working_directory_stays_in_it() {
    races_at("-w", "place", &["-w", "/place/inner"]);
}

// ---- M4: what views are made of, and other places on the host that a command line names

/// A directory `place` that says it is one, and now and then is a link to a directory outside, which says it is two. A link
/// in a path that one names is followed, so both are right: but all of a launch has to mean one of them.
struct Place {
    parent: Dir,
    outside: Dir,
    /// The directory that is first at `place`, wherever it is.
    held: File,
}

impl Place {
    fn new() -> Place {
        let (parent, outside) = (Dir::new(), Dir::new());
        parent.directory("place");
        parent.file("place/says", "one");
        outside.file("says", "two");
        symlink(outside.path(), parent.path().join("link")).unwrap();
        let held = File::open(parent.at("place")).unwrap();
        Place {
            parent,
            outside,
            held,
        }
    }

    fn swaps(&self) -> Swaps {
        Swaps::between(&self.parent.at("place"), &[&self.parent.at("link")])
    }

    /// `name` in the directory that says one.
    fn held(&self, name: &str) -> PathBuf {
        let fd = self.held.as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{fd}/{name}", std::process::id()))
    }

    /// `text` with the path of the place where it has `PLACE`.
    fn named(&self, text: &str) -> String {
        text.replace("PLACE", &self.parent.at("place"))
    }

    /// Races containers with `options`, in which `script` says one or two, and changes neither.
    fn races(&self, kind: &str, options: &[&str], script: &str) {
        let options: Vec<String> = options.iter().map(|option| self.named(option)).collect();
        let launch = || {
            let mut command = rootlet(&options);
            command.args(["--", "sh", "-c", script]);
            command
        };
        let before = [picture(self.outside.path()), picture(&self.held("."))];
        race(kind, &self.swaps(), launch, one_or_two);
        let after = [picture(self.outside.path()), picture(&self.held("."))];
        assert_eq!(after, before);
    }
}

fn one_or_two(ran: &Ran) -> &'static str {
    match (ran.status, &*ran.out) {
        (0, "one") => "one",
        (0, "two") => "two",
        _ => panic!("{ran:#?}"),
    }
}

const SAYS: &str = "cat /mnt/says; if (echo >/mnt/new) 2>&-; then echo written; fi";

#[test]
fn m4_a_volume_shows_one_source_as_was_asked_for() {
    let place = Place::new();
    place.races("source of -v", &["-v", "PLACE:/mnt:ro"], SAYS);
    let file = "PLACE/says:/mnt/says:ro";
    let options = ["--tmpfs", "/mnt", "-v", file];
    place.races("source of -v, a file", &options, "cat /mnt/says");
    place.races(
        "source of --file",
        &["--tmpfs", "/mnt", "--file", "/mnt/says=PLACE/says"],
        "cat /mnt/says",
    );
    place.races("-w on the host", &["-w", "PLACE"], "cat says");
}

#[test]
fn m4_a_source_that_is_now_a_directory_and_now_a_file_is_one_or_refused() {
    let parent = Dir::new();
    parent.directory("place");
    let swaps = Swaps::between(&parent.at("place"), &[&parent.file("other", "two")]);
    let volume = format!("{}:/mnt/says:ro", parent.at("place"));
    let script = "if [ -d /mnt/says ]; then printf one; else cat /mnt/says; fi";
    let options = ["--tmpfs", "/mnt", "-v", &volume, "--", "sh", "-c", script];
    race(
        "source of two kinds",
        &swaps,
        || rootlet(options),
        one_or_two,
    );
}

#[test]
fn m4_a_source_that_need_not_be_there_or_is_made_is_one_or_the_other() {
    let place = Place::new();
    std::fs::remove_file(place.parent.at("link")).unwrap();
    symlink("/no/such", place.parent.path().join("link")).unwrap();
    let script = "if [ -e /mnt/says ]; then cat /mnt/says; else printf two; fi";
    place.races("source,optional", &["-v", "PLACE:/mnt:ro,optional"], script);

    let place = Place::new();
    let mut number = 0;
    let launch = || {
        number += 1;
        let volume = place.named(&format!("PLACE/new-{number}:/mnt,create"));
        rootlet(["-v", &volume, "--", "sh", "-c", "ls -A /mnt; printf one"])
    };
    race("source,create", &place.swaps(), launch, one_or_two);
    // What was asked for was made, here or there, and nothing in it.
    for directory in [place.held("."), place.outside.path().to_path_buf()] {
        for (path, (_, content)) in picture(&directory) {
            let name = path.strip_prefix(&directory).unwrap().to_str().unwrap();
            let made = name
                .strip_prefix("new-")
                .is_some_and(|rest| rest.parse::<u32>().is_ok());
            assert!(made || ["", "says"].contains(&name), "{path:?}");
            assert!(name != "says" || [&b"one"[..], b"two"].contains(&&*content));
        }
    }
}

#[test]
fn m4_an_overlay_has_one_of_each_layer_and_leaves_nothing() {
    let place = Place::new();
    let script = "cat /mnt/says; echo >/mnt/says";
    place.races("lower of --overlay", &["--overlay", "PLACE,/mnt"], script);

    let (place, lower) = (Place::new(), Dir::new());
    let uppers = [place.held("upper"), place.outside.path().join("upper")];
    for upper in &uppers {
        std::fs::create_dir(upper).unwrap();
    }
    let overlay = place.named(&format!("{},/mnt,upper=PLACE/upper", lower.text()));
    let launch = || rootlet(["--overlay", &overlay, "--", "sh", "-c", "echo >/mnt/new"]);
    race("upper of --overlay", &place.swaps(), launch, |ran| {
        assert_eq!(ran.status, 0, "{ran:#?}");
        let written = uppers
            .each_ref()
            .map(|upper| std::fs::remove_file(upper.join("new")).is_ok());
        match written {
            [true, false] => "one",
            [false, true] => "two",
            _ => panic!("{ran:#?}"),
        }
    });
    for upper in uppers {
        let parent = upper.parent().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(parent)
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["says", "upper"], "nothing else is left");
    }
}

#[test]
fn m4_the_root_is_one_directory() {
    let place = Place::new();
    for root in [place.held("."), place.outside.path().to_path_buf()] {
        for name in ["usr", "bin", "lib", "lib64", "proc", "dev"] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
    }
    let script = "cat /says; if (echo >/new) 2>&-; then echo written; fi";
    let options = [&["--rootfs", "PLACE", "--read-only"], &PROGRAMS[..]].concat();
    place.races("--rootfs", &options, script);
}

#[test]
fn m4_a_sandbox_may_write_in_one_directory() {
    let (place, home) = (Place::new(), Dir::new());
    let write = place.parent.at("place");
    let launch = |directory: &str, options: &[&str], script: &str| {
        let mut command = Command::new(ROOTLET);
        command
            .args(["sandbox", "-t", "never"])
            .args(options)
            .args(["--", "sh", "-c", script]);
        command
            .current_dir(directory)
            .env("HOME", home.path())
            .stdin(Stdio::null());
        command
    };
    let before = [picture(place.outside.path()), picture(&place.held("."))];
    let swaps = place.swaps();
    let project = home.directory("project");
    race(
        "sandbox --write",
        &swaps,
        || launch(&project, &["--write", &write], &format!("cat {write}/says")),
        one_or_two,
    );
    race(
        "sandbox, beneath it",
        &swaps,
        || {
            let script = "cat place/says 2>&- || printf none";
            launch(place.parent.text(), &[], script)
        },
        // What a link in it leads to is out of sight.
        |ran| match (ran.status, &*ran.out) {
            (0, "one") => "one",
            (0, "none") => "none",
            _ => panic!("{ran:#?}"),
        },
    );
    let held = place.held(".");
    race(
        "sandbox, in it",
        &swaps,
        || launch(held.to_str().unwrap(), &[], "cat says"),
        one_or_two,
    );
    drop(swaps);
    assert_eq!(
        [picture(place.outside.path()), picture(&place.held("."))],
        before
    );
}

// ---- what a try has kept

/// A directory `place` that a try has changed, which now and then is a link to one outside that looks alike.
struct Tried {
    place: Place,
    store: Dir,
}

/// What is in both of them.
const OLD: [&str; 3] = ["changed", "gone", "sub/changed"];
const CHANGE: &str =
    "cd place; echo mine >changed; rm gone; mkdir new; echo mine >new/file; echo mine >sub/changed";

impl Tried {
    fn new() -> Tried {
        let tried = Tried {
            place: Place::new(),
            store: Dir::new(),
        };
        let outside = tried.place.outside.path().to_path_buf();
        for (directory, spare) in [(outside, "two"), (tried.place.held("."), "one")] {
            std::fs::create_dir(directory.join("sub")).unwrap();
            tried.store.directory(&format!("{spare}/sub"));
            for name in OLD {
                std::fs::write(directory.join(name), spare).unwrap();
                std::fs::hard_link(directory.join(name), tried.spare(spare, name)).unwrap();
            }
        }
        tried.attempt();
        tried
    }

    fn spare(&self, directory: &str, name: &str) -> String {
        self.store.at(&format!("{directory}/{name}"))
    }

    fn attempt(&self) {
        let mut command = self.rootlet(&["try", "-t", "never", "--keep", &self.kept()]);
        command.args(["--", "sh", "-ec", CHANGE]);
        finish(command).ok();
    }

    /// Makes the directory what it was before: the very same files.
    fn reset(&self) {
        let _ = std::fs::remove_dir_all(self.place.held("new"));
        for name in OLD {
            let _ = std::fs::remove_file(self.place.held(name));
            std::fs::hard_link(self.spare("one", name), self.place.held(name)).unwrap();
        }
    }

    fn kept(&self) -> String {
        self.store.at("kept")
    }

    fn rootlet(&self, words: &[&str]) -> Command {
        let mut command = Command::new(ROOTLET);
        command
            .args(words)
            .current_dir(self.place.parent.path())
            .stdin(Stdio::null());
        command
    }
}

#[test]
fn m2_apply_changes_nothing_behind_a_link() {
    let tried = Tried::new();
    let before = picture(tried.place.outside.path());
    let swaps = tried.place.swaps();
    let launch = || {
        tried.reset();
        tried.rootlet(&["apply", &tried.kept()])
    };
    race("apply", &swaps, launch, |ran| {
        let read = |name: &str| std::fs::read_to_string(tried.place.held(name)).unwrap_or_default();
        match ran.status {
            0 => {
                let new = ["changed", "new/file", "sub/changed"].map(read);
                assert_eq!(new, ["mine\n"; 3], "{ran:#?}");
                assert_eq!(read("gone"), "", "{ran:#?}");
                "ran"
            }
            1 if ran.err.contains("not applied: ") => "refused",
            _ => panic!("{ran:#?}"),
        }
    });
    drop(swaps);
    assert_eq!(picture(tried.place.outside.path()), before);
    for name in std::fs::read_dir(tried.place.held(".")).unwrap() {
        let name = name.unwrap().file_name();
        let known = ["says", "changed", "gone", "new", "sub"];
        assert!(known.iter().any(|it| name == *it), "{name:?} is left");
    }
}

/// Where `name` is below `directory`.
fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut directories = entries
        .map(|it| it.unwrap().path())
        .filter(|it| it.is_dir());
    directories.find_map(|path| match path.ends_with(name) {
        true => Some(path),
        false => find(&path, name),
    })
}

#[test]
fn m2_diff_and_drop_go_behind_no_link() {
    let tried = Tried::new();
    let outside = tried.place.outside.path();
    let before = picture(outside);
    let (kept, old) = (tried.kept(), tried.store.at("old"));
    let upper = find(&Path::new(&kept).join("upper"), "place").unwrap();
    let [sub, link] = ["sub", "link"].map(|name| upper.join(name));
    finish(tried.rootlet(&["drop", &kept])).ok();
    let swaps = Swaps::between(sub.to_str().unwrap(), &[link.to_str().unwrap()]);
    for verb in ["diff", "drop"] {
        let launch = || {
            // By another name nothing in it is exchanged.
            if std::fs::rename(&kept, &old).is_ok() {
                finish(tried.rootlet(&["drop", &old])).ok();
            }
            tried.reset();
            tried.attempt();
            symlink(outside.join("sub"), &link).unwrap();
            tried.rootlet(&[verb, &kept])
        };
        race(verb, &swaps, launch, |ran| {
            assert!(!ran.out.contains("two"), "{ran:#?}");
            match ran.status {
                0 => {
                    assert_eq!(Path::new(&kept).exists(), verb == "diff", "{ran:#?}");
                    "ran"
                }
                _ => panic!("{ran:#?}"),
            }
        });
    }
    drop(swaps);
    assert_eq!(picture(outside), before);
}

/// Here a store may be begun in one directory and not be found in the other: that is refused, and what was made stays.
#[test]
fn m4_a_try_keeps_its_changes_in_one_place_or_is_refused() {
    let (place, work) = (Place::new(), Dir::new());
    let kept = place.named("PLACE/kept");
    let stores = [place.held("kept"), place.outside.path().join("kept")];
    let clear = || {
        for store in &stores {
            let script = "! [ -e \"$1\" ] || { chmod -R u+rwx \"$1\" && rm -r \"$1\"; }";
            shell_with(script, &[store.as_os_str()]).ok();
        }
    };
    let pictures = || [picture(place.outside.path()), picture(&place.held("."))];
    let content = |[one, two]: [Picture; 2]| {
        let files = one.into_iter().chain(two);
        let files = files.filter(|(path, _)| path.ends_with("says"));
        files.collect::<Vec<_>>()
    };
    let before = content(pictures());
    let launch = || {
        clear();
        let mut command = Command::new(ROOTLET);
        command
            .args(["try", "-t", "never", "--keep", &kept])
            .args(["--", "sh", "-ec", "echo mine >new"])
            .current_dir(work.path())
            .stdin(Stdio::null());
        command
    };
    let changes = |store: &PathBuf| {
        let mut command = Command::new(ROOTLET);
        command.arg("changes").arg(store);
        finish(command)
    };
    race("try --keep", &place.swaps(), launch, |ran| {
        assert_eq!(ran.status, 0, "{ran:#?}");
        let listed = stores.each_ref().map(changes);
        match listed.each_ref().map(|listed| listed.out.contains("new")) {
            [true, false] => "one",
            [false, true] => "two",
            _ => panic!("{listed:?} {ran:#?}"),
        }
    });
    clear();
    assert_eq!(content(pictures()), before);
}
