//! What apply makes of the host: in the end the same tree that the command saw, whatever it did, and at every moment
//! before that each file old or new.

mod support;

use rootlet::changes::{Patterns, Store};
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

#[test]
fn hard_links_among_the_changes_stay_links() {
    let host = Host::new(4);
    host.try_script("echo x >one; ln one two; mkdir -p new; ln one new/three");
    host.apply();
    let inode = |name: &str| std::fs::metadata(host.tree.at(name)).unwrap().ino();
    assert_eq!([inode("two"), inode("new/three")], [inode("one"); 2]);
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
    let script = format!("cd {}; {script}", dir.text());
    // Other tests make and remove directories beside it meanwhile, each of which would be a piece.
    let beside = dir.path().parent().unwrap();
    let words = format!(
        "exec '{ROOTLET}' run -t never --cap-add sys_admin --tmpfs '{}' -v '{}' -v '{ROOTLET}' -- sh -c \"$1\"",
        beside.display(),
        dir.text()
    );
    let out = shell_with(&words, &[script.as_ref()]).ok();
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
