//! What apply makes of the host: in the end the same tree that the command saw, whatever it did, and at every moment
//! before that each file old or new.

mod support;

use rootlet::changes::{Covered, Kind, Patterns, Store};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Dir, ROOTLET, finish, shell_with};

/// Does `count` things at random to the tree in the working directory; `seed` says which.
const WORK: &str = r#"
import os, random, shutil, stat, sys
chance = random.Random(int(sys.argv[1]))
names = ["a", "b", "c", "d e", "f\ng", "h\udcff"]
def any_path():
    return os.path.join(*[chance.choice(names) for _ in range(chance.randint(1, 3))])
def write(path, mode):
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | (os.O_TRUNC if mode == "w" else os.O_APPEND)
    with open(os.open(path, flags, 0o644), mode) as file: file.write(chance.choice(["", "x", "text\n" * 9, "y" * 70000]))
def remove_tree(path):
    if stat.S_ISDIR(os.lstat(path).st_mode): shutil.rmtree(path)
things = [
    lambda p, q: write(p, "w"), lambda p, q: write(p, "a"), lambda p, q: os.makedirs(p), lambda p, q: os.mkdir(p),
    lambda p, q: os.remove(p), lambda p, q: remove_tree(p), lambda p, q: (remove_tree(p), os.mkdir(p)),
    lambda p, q: (remove_tree(p), write(p, "w")), lambda p, q: (os.remove(p), os.mkdir(p), write(p + "/a", "w")),
    lambda p, q: os.rename(p, q), lambda p, q: shutil.move(p, q), lambda p, q: os.symlink(q, p), lambda p, q: os.link(p, q),
    lambda p, q: os.mkfifo(p), lambda p, q: os.chmod(p, chance.choice([0o600, 0o644, 0o755, 0o4755, 0o700]) | (0o700 if os.path.isdir(p) else 0)),
    lambda p, q: os.utime(p, ns=(1, chance.randrange(10**18))), lambda p, q: os.truncate(p, 3),
    lambda p, q: os.setxattr(p, "user.note", b"v%d" % chance.randrange(3)), lambda p, q: shutil.copytree(p, q),
]
for _ in range(int(sys.argv[2])):
    try: chance.choice(things)(any_path(), any_path())
    except (OSError, shutil.Error): pass
"#;

/// Prints the tree in the working directory: of each file all that apply is to bring over.
const SHOW: &str = r#"
import hashlib, os, stat
for top, dirs, files in os.walk("."):
    dirs.sort()
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        data = os.lstat(path)
        kind = stat.S_IFMT(data.st_mode)
        line = [ascii(path), oct(data.st_mode)]
        if kind == stat.S_IFLNK: line = [ascii(path), "link", ascii(os.readlink(path))]
        if kind == stat.S_IFREG:
            line += [hashlib.sha1(open(path, "rb").read()).hexdigest(), data.st_mtime_ns]
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            line += [(x, os.getxattr(path, x)) for x in sorted(os.listxattr(path)) if x.startswith("user.") and not x.startswith("user.overlay.")]
        print(*line)
"#;

/// Makes the tree for `VARIETY`: directories with a few files, deep ones, and one with many.
const MANY: &str = r#"
import os
for number in range(40):
    os.makedirs(f"few/{number}/inner")
    for file in range(30):
        with open(f"few/{number}/{file}", "w") as to: to.write(f"{number} {file}\n")
    for file in range(4):
        with open(f"few/{number}/inner/{file}", "w") as to: to.write("inner\n")
os.mkdir("flat")
for file in range(3300):
    with open(f"flat/{file}", "w") as to: to.write(f"{file}\n")
    os.utime(f"flat/{file}", (1, 1))
os.makedirs("deep/" + "/".join("d" * 70))
"#;

/// Changes that tree in every way.
const VARIETY: &str = r#"
import os, shutil
def write(path, text):
    with open(path, "w") as to: to.write(text)
def to_directory(path):
    os.remove(path); os.mkdir(path); write(path + "/in", "it")
def to_link(path):
    os.remove(path); os.symlink("elsewhere", path)
ways = [
    lambda path: write(path, "longer than before\n"), os.remove, lambda path: os.chmod(path, 0o600), to_directory, to_link,
    lambda path: write(path + ".new", "new"), lambda path: os.link(path, path + ".link"), lambda path: os.utime(path, (7, 7)),
    lambda path: write(path, open(path).read().replace("1", "2")), lambda path: open(path, "a").close(),
]
for number in range(40):
    for file in range(30): ways[(number + file) % len(ways)](f"few/{number}/{file}")
    if number % 4 == 0: shutil.rmtree(f"few/{number}/inner")
    if number % 4 == 1: shutil.rmtree(f"few/{number}/inner"); os.mkdir(f"few/{number}/inner"); write(f"few/{number}/inner/2", "again")
    if number % 4 == 2: os.chmod(f"few/{number}/inner", 0o700)
    if number % 4 == 3: os.makedirs(f"few/{number}/made/inner"); write(f"few/{number}/made/inner/file", "")
    if number > 0: write(f"few/{number - 1}/one", "two names"); os.link(f"few/{number - 1}/one", f"few/{number}/another")
for file in range(3300): ways[file % len(ways)](f"flat/{file}")
write("deep/" + "/".join("d" * 70) + "/file", "")
"#;

/// Adds what only a kernel or a mishap makes of the upper directory in which it works: whiteouts that are marked by an
/// attribute, and directories that nobody may enter.
const ODDITIES: &str = r#"
import os
for number in range(0, 40, 5):
    place = f"few/{number}"
    os.setxattr(place, "user.overlay.opaque", b"x")
    open(place + "/29", "w").close()
    os.setxattr(place + "/29", "user.overlay.whiteout", b"")
for number in range(3, 40, 8): os.chmod(f"few/{number}/made", 0)
"#;

/// A tree to be changed, and a place for a store.
struct Host {
    tree: Dir,
    store: Dir,
}

impl Host {
    fn new(seed: u32) -> Self {
        let host = Host {
            tree: Dir::new(),
            store: Dir::new(),
        };
        host.python(WORK, &[&seed.to_string(), "60"]);
        host
    }

    fn python(&self, script: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("python3");
        command
            .args(["-c", script])
            .args(arguments)
            .current_dir(self.tree.path())
            .stdin(Stdio::null());
        finish(command).ok()
    }

    fn shown(&self) -> String {
        self.python(SHOW, &[])
    }

    fn kept(&self) -> PathBuf {
        self.store.path().join("kept")
    }

    /// What stands for the tree in the store.
    fn upper(&self) -> PathBuf {
        let store = self.open();
        let mut uppers = (0..store.pieces()).filter_map(|piece| {
            let way = self.tree.path().strip_prefix(store.path(piece)).ok()?;
            Some(store.upper(piece).join(way))
        });
        uppers.find(|upper| upper.exists()).unwrap()
    }

    fn open(&self) -> Store {
        Store::open(&self.kept()).unwrap()
    }

    /// Does the work in a try; returns what the tree looked like to the command in the end.
    fn attempt(&self, seed: u32) -> String {
        let script = r#"python3 -c "$1" "$2" 40; exec python3 -c "$3""#;
        let mut command = Command::new(ROOTLET);
        command
            .args(["try", "-t", "never", "--keep"])
            .arg(self.kept())
            .args([
                "--",
                "sh",
                "-c",
                script,
                "sh",
                WORK,
                &seed.to_string(),
                SHOW,
            ])
            .current_dir(self.tree.path())
            .stdin(Stdio::null());
        finish(command).ok()
    }

    /// Does a shell script in a try.
    fn try_script(&self, script: &str) {
        let mut command = Command::new(ROOTLET);
        command
            .args(["try", "-t", "never", "--keep"])
            .arg(self.kept())
            .args(["--", "sh", "-ec", script])
            .current_dir(self.tree.path())
            .stdin(Stdio::null());
        finish(command).ok();
    }

    fn apply(&self) -> rootlet::changes::Applied {
        self.open()
            .apply(&Patterns::default(), false, &mut |_| ())
            .unwrap()
    }
}

#[test]
fn after_an_apply_the_host_is_what_the_command_saw() {
    for seed in 0..100 {
        let host = Host::new(seed);
        let before = host.shown();
        let seen = host.attempt(seed + 1000);
        assert_eq!(
            host.shown(),
            before,
            "{seed}: the host was changed by the command"
        );
        if !host.kept().exists() {
            assert_eq!(seen, before, "{seed}: nothing is said to have changed");
            continue;
        }
        let applied = host.apply();
        assert_eq!(applied.refused, [], "{seed}");
        assert_eq!(host.shown(), seen, "{seed}");
        let changes = host.open().changes().unwrap();
        assert!(
            changes.list.is_empty() && changes.unread.is_empty(),
            "{seed}: {:?}",
            changes.list
        );
        assert_eq!(
            host.apply().applied,
            0,
            "{seed}: there is nothing more to do"
        );
    }
}

#[test]
fn an_apply_that_is_killed_leaves_each_file_old_or_new_and_can_be_done_again() {
    for seed in 0..25u32 {
        let host = Host::new(seed);
        let seen = host.attempt(seed + 2000);
        if !host.kept().exists() {
            continue;
        }
        let before: Vec<String> = host.shown().lines().map(String::from).collect();
        let after: Vec<&str> = seen.lines().collect();
        for moment in 1..12u32 {
            let mut command = Command::new(ROOTLET);
            command
                .arg("apply")
                .arg(host.kept())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_micros(
                u64::from(moment * moment) * 60,
            ));
            let _ = child.kill();
            child.wait().unwrap();
            let is_file = |line: &&str| line.contains(" 0o10") && !line.contains(".rootlet-");
            for line in host.shown().lines().filter(is_file) {
                let known = before.iter().any(|it| it == line) || after.contains(&line);
                assert!(known, "{seed} {moment}: {line} is neither old nor new");
            }
        }
        let applied = host.apply();
        assert_eq!(applied.refused, [], "{seed}");
        assert_eq!(host.shown(), seen, "{seed}");
    }
}

#[test]
fn each_sort_of_change_has_its_letter() {
    let host = Host {
        tree: Dir::new(),
        store: Dir::new(),
    };
    let inside = |script: &str| {
        shell_with(
            &format!("cd \"$1\"; {script}"),
            &[host.tree.path().as_os_str()],
        )
        .ok()
    };
    inside(
        "mkdir d e gone kept; echo one >same; echo one >changed; echo one >deleted; echo a >mode; echo a >d/below
         touch gone/1 gone/2; ln -s a link; echo x >to-directory; echo y >e/to-go",
    );
    let script = "echo two >added; echo more >>changed; rm deleted; chmod 600 mode; echo b >d/below; rm -r gone; ln -snf b link
        rm to-directory; mkdir to-directory; touch to-directory/file; rm -r e; echo file >e; : >>same; mkfifo pipe; chmod 700 kept";
    host.try_script(script);
    let changes = host.open().changes().unwrap();
    let letters: Vec<String> = changes
        .list
        .iter()
        .map(|change| {
            let path = change.path.strip_prefix(host.tree.path()).unwrap();
            format!("{} {}", change.kind.letter(), path.display())
        })
        .collect();
    assert_eq!(
        letters,
        [
            "A added",
            "C changed",
            "C d/below",
            "D deleted",
            "T e",
            "D gone",
            "M kept",
            "C link",
            "M mode",
            "A pipe",
            "T to-directory",
            "A to-directory/file",
        ]
    );
}

/// A store of some thousand changes of every sort, of which the host has some already.
fn varied() -> Host {
    let host = Host {
        tree: Dir::new(),
        store: Dir::new(),
    };
    host.python(MANY, &[]);
    host.try_script(&format!("exec python3 -c '{VARIETY}'"));
    // Names of one file are then such names on the host as well, or copies.
    let few = Patterns::new(["few"], host.tree.path());
    let applied = host.open().apply(&few, false, &mut |_| ()).unwrap();
    assert_eq!(applied.refused, []);
    let copies = "for link in few/1*/*.link few/1*/another; do cp -p $link copy && mv copy $link; done; rm -r few/2* few/5; echo x >few/5";
    shell_with(
        &format!("cd \"$1\"; {copies}"),
        &[host.tree.path().as_os_str()],
    )
    .ok();
    let upper = host.upper();
    let mut odd = Command::new("python3");
    odd.args(["-c", ODDITIES])
        .current_dir(upper)
        .stdin(Stdio::null());
    finish(odd).ok();
    host
}

#[test]
fn a_list_is_the_same_whoever_makes_it() {
    let host = varied();
    let store = host.open();
    let together = store.changes().unwrap();
    let alone = std::thread::scope(|scope| {
        let alone = scope.spawn(|| {
            // So that there is one processor alone for it.
            let mut one = rustix::thread::CpuSet::new();
            one.set(rustix::thread::sched_getcpu());
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            store.changes().unwrap()
        });
        alone.join().unwrap()
    });
    let (together_list, alone_list) = (together.list.iter(), alone.list.iter());
    for (one, other) in together_list.clone().zip(alone_list.clone()) {
        assert_eq!(one, other);
    }
    assert_eq!(together_list.count(), alone_list.count());
    assert_eq!(together.unread, alone.unread);
    let counts = together.counts();
    let all = [
        counts.added,
        counts.changed,
        counts.deleted,
        counts.mode,
        counts.of_type,
    ];
    assert!(all.iter().all(|&count| count > 100), "{counts:?}");
    assert!(!together.unread.is_empty());
    // The first of two names that were one file says what the host has; its copy under the second differs from that.
    let kind = |name: String| {
        let path = host.tree.path().join(name);
        let mut found = together.list.iter().filter(|change| change.path == path);
        found.next().map(|change| change.kind)
    };
    for number in 11..19 {
        assert_eq!(kind(format!("few/{number}/one")), None, "{number}");
        assert_eq!(kind(format!("few/{number}/another")), Some(Kind::Mode));
        let first = 6 + 10 - number % 10;
        assert_eq!(kind(format!("few/{number}/{first}")), None, "{number}");
        assert_eq!(kind(format!("few/{number}/{first}.link")), Some(Kind::Mode));
    }
}

#[test]
fn a_long_list_has_everything_once_and_in_order() {
    let host = Host {
        tree: Dir::new(),
        store: Dir::new(),
    };
    host.try_script(
        "mkdir flat; (cd flat; seq 5000 | xargs touch)
         for each in $(seq 99); do mkdir -p many/$each/below; (cd many/$each; touch a b c d e f g below/x before z); done",
    );
    let changes = host.open().changes().unwrap();
    let found: Vec<&Path> = changes.list.iter().map(|change| change.path).collect();
    let tree = host.tree.path();
    let mut expected = vec![tree.join("flat"), tree.join("many")];
    expected.extend((1..=5000).map(|file| tree.join(format!("flat/{file}"))));
    for each in 1..=99 {
        let names = [
            "", "a", "b", "c", "d", "e", "f", "g", "below", "below/x", "before", "z",
        ];
        expected.extend(names.map(|name| tree.join(format!("many/{each}")).join(name)));
    }
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(changes.counts().added, expected.len() as u64);
}

#[test]
fn pieces_in_one_another_are_one_list() {
    let (tree, store) = (Dir::new(), Dir::new());
    tree.directory("inner");
    let covered = [tree.path().to_path_buf(), tree.path().join("inner")].map(|path| Covered {
        path,
        by_overlay: true,
    });
    let store = Store::create(&store.path().join("kept"), &covered, &[]).unwrap();
    for (piece, name) in [(0, "a"), (0, "inner-not"), (0, "z"), (1, "x")] {
        std::fs::write(store.upper(piece).join(name), name).unwrap();
    }
    let changes = store.changes().unwrap();
    let names: Vec<&Path> = changes
        .list
        .iter()
        .map(|change| change.path.strip_prefix(tree.path()).unwrap())
        .collect();
    assert_eq!(names, ["a", "inner/x", "inner-not", "z"].map(Path::new));
}

#[test]
fn the_mode_of_a_piece_itself_is_a_change_too() {
    let (tree, store) = (Dir::new(), Dir::new());
    let covered = Covered {
        path: tree.path().to_path_buf(),
        by_overlay: true,
    };
    let store = Store::create(&store.path().join("kept"), &[covered], &[]).unwrap();
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(store.upper(0), mode.clone()).unwrap();
    let applied = store.apply(&Patterns::default(), false, &mut |_| ());
    assert_eq!(applied.unwrap().applied, 1);
    let now = tree.path().metadata().unwrap().permissions();
    assert_eq!(now.mode() & 0o777, 0o711);
}

#[test]
fn a_time_that_a_directory_was_given_is_a_change_and_that_of_its_entries_is_none() {
    let host = Host {
        tree: Dir::new(),
        store: Dir::new(),
    };
    let tree = host.tree.path();
    for name in ["given", "filled", "both", "used"] {
        host.tree.directory(name);
        let script = "touch -d 2010-01-01 \"$1\"";
        shell_with(script, &[host.tree.at(name).as_ref()]).ok();
    }
    let script =
        "touch given filled/new both/new; touch -d 2001-01-01 given both; touch used/x; rm used/x";
    host.try_script(script);
    let changes = host.open().changes().unwrap();
    let found: Vec<String> = changes
        .list
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it.kind.letter(),
                it.path.strip_prefix(tree).unwrap().display()
            )
        })
        .collect();
    assert_eq!(found, ["M both", "A both/new", "A filled/new", "M given"]);
    let applied = host.apply();
    assert_eq!((applied.applied, applied.refused), (4, vec![]));
    let year = |name: &str| 1970 + std::fs::metadata(tree.join(name)).unwrap().mtime() / 31_557_600;
    assert_eq!(["given", "both", "used"].map(year), [2001, 2001, 2010]);
    assert!(year("filled") > 2010);
    assert!(host.open().changes().unwrap().list.is_empty());
}

#[test]
fn where_there_was_no_overlay_nothing_is_its_notation() {
    let (tree, store) = (Dir::new(), Dir::new());
    for by_overlay in [true, false] {
        let covered = Covered {
            path: tree.path().to_path_buf(),
            by_overlay,
        };
        let place = store.path().join(by_overlay.to_string());
        let store = Store::create(&place, &[covered], &[]).unwrap();
        assert_eq!(store.work(0).exists(), by_overlay);
        let upper = store.upper(0);
        std::fs::write(upper.join("file"), "").unwrap();
        for (path, name, value) in [
            (upper.clone(), c"user.overlay.opaque", b"x"),
            (upper.join("file"), c"user.overlay.whiteout", b"y"),
        ] {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&path, name, value, flags).unwrap();
        }
        let again = Store::open(&place).unwrap();
        for store in [&store, &again] {
            let found = store.changes().unwrap().counts().added;
            assert_eq!(found, u64::from(!by_overlay));
        }
        store.drop().unwrap();
        assert!(!place.exists());
    }
}

#[test]
fn hard_links_among_the_changes_stay_links() {
    let host = Host::new(4);
    host.try_script("echo x >one; ln one two; mkdir -p new; ln one new/three");
    host.apply();
    let inode = |name: &str| std::fs::metadata(host.tree.at(name)).unwrap().ino();
    assert_eq!([inode("two"), inode("new/three")], [inode("one"); 2]);
}

/// Runs a script in `dir`, in a container in which it may mount file systems.
fn with_mounts(dir: &Dir, script: &str) -> String {
    // Other tests make and remove directories beside it meanwhile, each of which would be a piece.
    let beside = dir.path().parent().unwrap();
    let words = format!(
        "exec '{ROOTLET}' run -t never --cap-add sys_admin --tmpfs '{}' -v '{}' -v '{ROOTLET}' -w '{1}' -- sh -c \"$1\"",
        beside.display(),
        dir.text()
    );
    shell_with(&words, &[script.as_ref()]).ok()
}

#[test]
fn a_full_store_costs_neither_the_list_nor_the_status() {
    let dir = Dir::new();
    dir.directory("small");
    dir.file("old", "old\n");
    let script = format!(
        "mount -t tmpfs -o size=1m t small; head -c 500000 /dev/zero >small/more
         '{ROOTLET}' try -t never --keep small/kept -- sh -c 'echo new >old; head -c 3000000 /dev/zero >large; exit 3' 2>&1; echo status $?
         '{ROOTLET}' apply small/kept 2>&1; echo status $?; cat old; ls -A
         rm small/more; '{ROOTLET}' apply small/kept 2>&1; echo status $?; cat old"
    );
    let out = with_mounts(&dir, &script);
    let ends: Vec<&str> = out.split("status ").collect();
    assert_eq!(ends.len(), 4, "{out}");
    for said in [
        "note: write",
        "host: No space left on device (ENOSPC)",
        "1 added, 1 changed",
        "the changes are in",
    ] {
        assert!(ends[0].contains(said), "{said}: {out}");
    }
    assert!(ends[1].starts_with("3\n"), "{out}");
    assert!(
        ends[1].contains("(ENOSPC)") && ends[1].contains("hint: apply first notes"),
        "{out}"
    );
    assert!(ends[2].starts_with("125\nold\nold\nsmall\n"), "{out}");
    assert!(ends[2].contains("2 applied, 0 not"), "{out}");
    assert_eq!(ends[3], "0\nnew", "{out}");
}

#[test]
fn a_store_on_a_file_system_that_cannot_hold_one_is_refused_at_the_start() {
    let overlay =
        "mkdir l u w; mount -t overlay -o userxattr,lowerdir=l,upperdir=u,workdir=w o place";
    for (mount, why) in [
        (
            "mount -t ramfs t place",
            "Operation not supported (EOPNOTSUPP)",
        ),
        (overlay, "that is on an overlay"),
    ] {
        let dir = Dir::new();
        dir.directory("place");
        dir.file("old", "old\n");
        let script = format!(
            "{mount}; '{ROOTLET}' try -t never --keep place/kept -- rm old 2>&1; echo status $?; ls -A place"
        );
        let out = with_mounts(&dir, &script);
        assert!(out.contains(&format!("place/kept: {why}")), "{out}");
        assert!(out.contains("--keep DIR"), "{out}");
        assert!(out.ends_with("status 125"), "{out}");
    }
}

#[test]
fn a_full_disk_and_a_read_only_one_are_told_and_leave_the_old_files() {
    let dir = Dir::new();
    dir.directory("small");
    // A try over a small disk whose changes lie elsewhere; then the disk is full, and then read-only.
    let script = format!(
        "set -e; mount -t tmpfs -o size=1m t small; cd small; echo old >file; echo old >other
         '{ROOTLET}' try -t never --keep {0}/kept -- sh -c 'head -c 3000000 /dev/urandom >file; echo new >other' 2>&-
         '{ROOTLET}' apply {0}/kept 2>&1 && exit 9; cat file other; ls -A
         echo old >other; mount -o remount,ro,bind {0}/small; '{ROOTLET}' apply --force {0}/kept 2>&1 && exit 9; cat other",
        dir.text()
    );
    let out = with_mounts(&dir, &script);
    assert!(out.contains("No space left on device (ENOSPC)"), "{out}");
    assert!(out.contains("old\nnew\nfile\nother\n"), "{out}");
    assert!(
        out.contains("Read-only file system (EROFS)") && out.ends_with("old"),
        "{out}"
    );
}

#[test]
fn a_link_on_the_host_does_not_lead_an_apply_elsewhere() {
    let host = Host::new(1);
    std::fs::create_dir_all(host.tree.at("place/inner")).unwrap();
    host.try_script("echo x >place/inner/file; echo y >place/new");
    let outside = Dir::new();
    outside.directory("inner");
    std::fs::remove_dir_all(host.tree.at("place")).unwrap();
    symlink(outside.path(), host.tree.path().join("place")).unwrap();
    let applied = host
        .open()
        .apply(&Patterns::default(), true, &mut |_| ())
        .unwrap();
    assert_eq!(outside.names(), ["inner"], "{applied:?}");
    assert!(
        std::fs::read_dir(outside.at("inner"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn what_a_command_has_put_into_a_store_is_not_trusted() {
    // Pipes, deep trees and odd names in an upper directory; nothing hangs, and nothing is followed.
    let host = Host::new(2);
    let script = r#"mkfifo pipe; ln -s /etc/passwd link; printf x >"$(printf 'odd\033[31m\nname')"
        python3 -c 'import os
for _ in range(3000): os.mkdir("d"); os.chdir("d")
open("deep", "w").write("x")'"#;
    host.try_script(script);
    let mut list = Command::new(ROOTLET);
    list.arg("changes").arg(host.kept()).stdin(Stdio::null());
    let out = finish(list).ok();
    assert!(
        out.contains("odd\\x1b[31m\\nname") && !out.contains('\x1b'),
        "{}",
        &out[..300]
    );
    let mut diff = Command::new(ROOTLET);
    diff.arg("diff")
        .arg(host.kept())
        .arg("link")
        .arg("pipe")
        .stdin(Stdio::null());
    finish(diff).ok();
    assert_eq!(host.apply().refused, []);
    assert_eq!(
        std::fs::read_link(host.tree.path().join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    host.open().drop().unwrap();
    assert!(!host.kept().exists());
    let mut remove = Command::new("rm");
    remove.arg("-rf").arg(host.tree.path().join("d"));
    finish(remove).ok();
}

#[test]
fn m14_only_a_store_is_dropped_and_all_of_it() {
    let host = Host::new(3);
    host.attempt(77);
    let inner = host.kept().join("work/0/work");
    if inner.exists() {
        assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0);
    }
    host.open().drop().unwrap();
    assert!(!host.kept().exists());
    assert!(Store::open(host.tree.path()).is_err());
}
