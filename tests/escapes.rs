//! The known ways out of containers, each tried by a program of our own. The ids are those of docs/security.md, which lists
//! for each its test, here or beside what it belongs to.

#[path = "support/pty.rs"]
mod pty;
mod support;

use pty::Screen;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use support::{Dir, ROOTLET, Ran, compiled, field, finish, rootfs, rootlet, run, shell};

/// The attack program, which is linked statically, so that it runs in any root.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<(Dir, PathBuf)> = OnceLock::new();
    &PROGRAM.get_or_init(|| compiled("tests/escapes/attack.c")).1
}

/// A directory that a container can write, with the attack program in it, and an empty home directory.
struct Attacker {
    project: Dir,
    home: Dir,
    root: Dir,
}

impl Attacker {
    fn new() -> Attacker {
        let attacker = Attacker {
            project: Dir::new(),
            home: Dir::new(),
            root: rootfs(),
        };
        std::fs::copy(program(), attacker.project.path().join("attack")).unwrap();
        attacker
    }

    /// The containers that are attacked from inside: each with its name.
    fn containers(&self) -> Vec<(&'static str, Command)> {
        let project = self.project.text();
        let with = |options: &[&str]| {
            let mut command = rootlet(options);
            command.args(["-w", project]);
            command
        };
        let mut sandbox = Command::new(ROOTLET);
        sandbox
            .args(["sandbox", "-t", "never"])
            .current_dir(project)
            .env("HOME", self.home.path())
            .stdin(Stdio::null());
        let mut root = rootlet(["--rootfs", self.root.text(), "-v"]);
        root.arg(format!("{project}:/mnt")).args(["-w", "/mnt"]);
        vec![
            ("run", with(&[])),
            ("run -u keep", with(&["-u", "keep"])),
            ("run --no-init", with(&["--no-init"])),
            ("run --read-only", with(&["--read-only"])),
            (
                "run --read-only --cap-add ALL",
                with(&["--read-only", "--cap-add", "ALL"]),
            ),
            ("sandbox", sandbox),
            ("run --rootfs", root),
        ]
    }

    /// What the attack `words` comes to in each of them.
    fn everywhere(&self, words: &[&str]) -> Vec<(&'static str, String)> {
        let attack = |(name, mut command): (_, Command)| {
            command.args(["--", "./attack"]).args(words);
            (name, finish(command).ok())
        };
        self.containers().into_iter().map(attack).collect()
    }

    /// Requires that the kernel answers one of `answers` everywhere.
    #[track_caller]
    fn is_answered(&self, words: &[&str], answers: &[&str]) {
        for (name, answer) in self.everywhere(words) {
            assert!(answers.contains(&&*answer), "{name}: {words:?}: {answer}");
        }
    }

    /// What the attack comes to in a plain `run` with these options.
    fn run(&self, options: &[&str], words: &[&str]) -> String {
        let before = ["-w", self.project.text(), "--", "./attack"];
        run([options, &before, words].concat()).ok()
    }
}

const REFUSED: [&str; 2] = ["EPERM", "EACCES"];

// ---- descriptors, the working directory, the program file

#[test]
fn fd1_nothing_open_in_the_caller_crosses() {
    let attacker = Attacker::new();
    let secret = std::fs::File::open("/").unwrap();
    for (name, mut command) in attacker.containers() {
        let fd = secret.as_raw_fd();
        // SAFETY: one system call.
        unsafe {
            command.pre_exec(move || match libc::dup2(fd, 77) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            })
        };
        command.args(["--", "./attack", "fds"]);
        assert_eq!(finish(command).ok(), "0 1 2 ", "{name}");
    }
}

#[test]
fn fd2_and_fd3_a_directory_of_the_callers_is_no_working_directory_inside() {
    let attacker = Attacker::new();
    let root = attacker.root.text();
    let project = attacker.project.text();
    symlink("/proc/self/cwd", attacker.root.path().join("mnt/link")).unwrap();
    for place in ["/proc/self/fd/9", "/proc/self/cwd", "/mnt/link"] {
        let line = format!(
            "exec 9</; cd '{project}'; '{ROOTLET}' run -t never --rootfs '{root}' -v '{project}:/tmp' --pass-fd 9 -w {place} -- \
             /tmp/attack call {} .",
            libc::SYS_chdir
        );
        let ran = shell(&line);
        // Refused, or a directory inside.
        if ran.status == 0 {
            assert_ne!(place, "/proc/self/fd/9", "{ran:?}");
        } else {
            ran.fails(125, &["change to the working directory", "(ENOENT)"]);
        }
    }
    let gone = format!(
        "mkdir '{project}/gone'; cd '{project}/gone'; rmdir '{project}/gone'; '{ROOTLET}' run -t never -- true"
    );
    shell(&gone).fails(125, &["the working directory has no name any more"]);
}

#[test]
fn fd4_no_descriptor_of_rootlets_takes_the_place_of_a_closed_one() {
    let attacker = Attacker::new();
    let spec = attacker.project.file("spec.toml", "read-only = true\n");
    for closed in [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&-",
        "<&- 2>&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
    ] {
        let line = format!(
            "'{ROOTLET}' run -t never --spec '{spec}' -- '{ROOTLET}' no-such-verb {closed}"
        );
        assert_eq!(shell(&line).status, 125, "{closed}");
        assert_eq!(
            std::fs::read_to_string(&spec).unwrap(),
            "read-only = true\n"
        );
    }
}

#[test]
fn fd5_and_fd6_the_program_file_is_out_of_reach() {
    let attacker = Attacker::new();
    let copy = attacker.project.at("rootlet");
    std::fs::copy(ROOTLET, &copy).unwrap();
    let before = std::fs::read(&copy).unwrap();
    for how in ["r", "w", "p"] {
        let line = format!(
            "'{copy}' run -t never -- '{}' open /proc/1/exe {how}",
            attacker.project.at("attack")
        );
        assert_eq!(shell(&line).ok(), "EACCES", "{how}");
    }
    let line = format!(
        "'{copy}' run -t never -- '{}' reopen /proc/1/exe",
        attacker.project.at("attack")
    );
    assert_eq!(shell(&line).ok(), "EACCES");
    assert!(std::fs::read(&copy).unwrap() == before);
}

#[test]
fn fd7_the_descriptors_and_the_memory_of_init_are_closed() {
    let attacker = Attacker::new();
    for (name, answer) in attacker.everywhere(&["list", "/proc/1/fd"]) {
        // Without an init the command itself is process 1.
        let expected = if name == "run --no-init" {
            "done"
        } else {
            "EACCES"
        };
        assert_eq!(answer, expected, "{name}");
    }
    for file in [
        "/proc/1/mem",
        "/proc/1/environ",
        "/proc/1/root",
        "/proc/1/cwd",
    ] {
        for (name, answer) in attacker.everywhere(&["open", file, "r"]) {
            if name != "run --no-init" {
                assert!(REFUSED.contains(&&*answer), "{name}: {file}: {answer}");
            }
        }
    }
}

#[test]
fn fd10_and_u7_nothing_of_a_root_is_read_by_rootlet_itself() {
    let attacker = Attacker::new();
    let root = attacker.root.path();
    // Whoever opened one of these would wait for ever.
    for name in [
        "etc/passwd",
        "etc/group",
        "etc/nsswitch.conf",
        "etc/ld.so.cache",
        "etc/ld.so.preload",
        "etc/resolv.conf",
    ] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &path,
            rustix::fs::Mode::from_raw_mode(0o644),
        )
        .unwrap();
    }
    for user in ["root", "keep", "1234:5678"] {
        let project = format!("{}:/mnt", attacker.project.text());
        let options = ["--rootfs", attacker.root.text(), "-v", &project, "-u", user];
        let words = ["--", "/mnt/attack", "fds"];
        assert_eq!(run([&options[..], &words].concat()).ok(), "0 1 2 ");
    }
    // Names are not looked up.
    run(["-u", "nobody", "true"]).fails(125, &["\"nobody\""]);
}

// ---- the terminal

#[test]
fn tty1_to_tty3_keys_cannot_be_typed_for_the_caller() {
    let attacker = Attacker::new();
    let start = |options: &[&str], words: &[&str]| {
        let mut command = Command::new(ROOTLET);
        command.args(["run", "-w", attacker.project.text()]);
        command.args(options).args(["--", "./attack"]).args(words);
        let mut screen = Screen::start(&mut command);
        let (_, shown) = screen.ends();
        assert_eq!(screen.unread_keys(), 0, "{words:?}");
        shown
    };
    // The upper half of the request is for the kernel's ABI to ignore, and so is it for the filter.
    for high in ["0", "1"] {
        for (options, terminal) in [
            (&["-t", "never"][..], "/dev/tty"),
            (&["-t", "never"], "-"),
            (&[], "/dev/tty"),
        ] {
            let shown = start(options, &["inject", terminal, high]);
            assert!(
                shown.contains("EPERM"),
                "{options:?} {terminal} {high}: {shown}"
            );
        }
        let shown = start(&["-t", "never"], &["selection", high]);
        assert!(shown.contains("EPERM"), "{high}: {shown}");
    }
}

#[test]
fn tty4_the_callers_terminal_is_not_inside() {
    let attacker = Attacker::new();
    let mut command = Command::new(ROOTLET);
    command.args(["run", "--seccomp", "none", "-w", attacker.project.text()]);
    command.args(["--", "./attack", "inject", "/dev/tty", "0"]);
    let mut screen = Screen::start(&mut command);
    // It types into its own terminal.
    screen.shows("done");
    assert_eq!(screen.unread_keys(), 0);
}

#[test]
fn tty9_words_of_the_command_and_of_paths_are_never_options() {
    let dir = Dir::new();
    dir.file("--cap-add", "");
    let source = format!("{}:/mnt", dir.text());
    let out = run(["-v", &source, "--", "ls", "-A", "/mnt"]).ok();
    assert_eq!(out, "--cap-add");
    run(["-v", &source, "-w", "/mnt", "--", "cat", "--", "--cap-add"]).ok();
    run(["--", ""]).fails(127, &["the command is an empty word"]);
    run(["--", "--cap-add"]).fails(127, &["--cap-add"]);
}

#[test]
fn tty8_what_is_named_by_others_cannot_move_the_cursor() {
    let dir = Dir::new();
    let name = dir.at("a\u{1b}[2Jb\nc");
    let ran = run(["-v", &format!("{name}:/mnt"), "true"]);
    assert_eq!(ran.status, 125);
    assert!(
        !ran.err.contains('\u{1b}') && ran.err.lines().count() == 2,
        "{ran:?}"
    );
    let ran = run(["--", "no\u{1b}]0;title\u{7}such"]);
    assert!(!ran.err.contains(['\u{1b}', '\u{7}']), "{ran:?}");
}

// ---- /proc, keys, sockets, devices

#[test]
fn p1_init_cannot_be_traced() {
    let attacker = Attacker::new();
    for (name, answer) in attacker.everywhere(&["trace", "1"]) {
        if name != "run --no-init" {
            assert_eq!(answer, "EPERM", "{name}");
        }
    }
}

#[test]
fn p2_a_process_of_the_host_is_seen_with_share_pid_but_not_opened() {
    let attacker = Attacker::new();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = other.id().to_string();
    for file in ["mem", "environ", "root", "cwd"] {
        let path = format!("/proc/{pid}/{file}");
        let answer = attacker.run(&["--share", "pid"], &["open", &path, "r"]);
        assert!(REFUSED.contains(&&*answer), "{file}: {answer}");
    }
    assert_eq!(attacker.run(&["--share", "pid"], &["trace", &pid]), "EPERM");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn p4_a_root_with_links_for_devices_masks_and_proc_leads_nowhere() {
    let (root, outside) = (rootfs(), Dir::new());
    let victim = outside.file("victim", "kept\n");
    for name in ["dev", "proc"] {
        std::fs::remove_dir(root.path().join(name)).unwrap();
        symlink(outside.path(), root.path().join(name)).unwrap();
    }
    let options = ["--rootfs", root.text(), "--mask", "/proc/kcore"];
    let attacker = Attacker::new();
    let project = format!("{}:/mnt", attacker.project.text());
    let ran = run([&options[..], &["-v", &project, "--", "/mnt/attack", "fds"]].concat());
    assert_eq!(ran.status, 125, "{ran:?}");
    assert_eq!(outside.names(), ["victim"]);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "kept\n");
}

#[test]
fn p6_the_machine_cannot_be_told_what_to_do() {
    let attacker = Attacker::new();
    for file in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/proc/sys/vm/drop_caches",
        "/sys/power/state",
    ] {
        attacker.is_answered(
            &["open", file, "w"],
            &["EACCES", "EROFS", "ENOENT", "EPERM"],
        );
    }
}

#[test]
fn k1_a_key_of_the_callers_session_is_not_found() {
    let attacker = Attacker::new();
    // keyctl(KEYCTL_JOIN_SESSION_KEYRING), add_key("user", "rootlet-escape", "x", 1, KEY_SPEC_SESSION_KEYRING)
    let script = format!(
        "import ctypes, subprocess, sys
c = ctypes.CDLL(None, use_errno=True)
assert c.syscall({}, 1, 0) > 0
assert c.syscall({}, b'user', b'rootlet-escape', b'x', 1, -3) > 0
sys.exit(subprocess.run(sys.argv[1:]).returncode)",
        libc::SYS_keyctl,
        libc::SYS_add_key
    );
    let under = |words: Vec<&OsStr>| {
        let mut command = Command::new("python3");
        command
            .args(["-c", &script])
            .args(words)
            .stdin(Stdio::null());
        command
    };
    let attack = attacker.project.at("attack");
    let words = [attack.as_ref(), "key".as_ref(), "rootlet-escape".as_ref()];
    assert_eq!(finish(under(words.to_vec())).ok(), "done");
    for (name, container) in attacker.containers() {
        let mut words = vec![container.get_program()];
        words.extend(container.get_args());
        words.extend(["--", "./attack", "key", "rootlet-escape"].map(OsStr::new));
        let mut command = under(words);
        command.current_dir(container.get_current_dir().unwrap_or(Path::new("/")));
        command.env("HOME", attacker.home.path());
        let answer = finish(command).ok();
        assert!(["ENOKEY", "EPERM"].contains(&&*answer), "{name}: {answer}");
    }
}

#[test]
fn s1_an_abstract_socket_of_the_host_is_out_of_reach_where_it_is_to_be() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let attacker = Attacker::new();
    let name = format!("rootlet-escape-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    assert_eq!(attacker.run(&[], &["connect", &name]), "done");
    assert_eq!(
        attacker.run(&["--net", "none"], &["connect", &name]),
        "ECONNREFUSED"
    );
    let scoped = attacker.run(&["--abstract-sockets", "none"], &["connect", &name]);
    assert_eq!(scoped, "EPERM");
    let sandbox = |options: &[&str]| {
        let (_, mut command) = attacker.containers().remove(5);
        command
            .args(options)
            .args(["--", "./attack", "connect", &name]);
        finish(command).ok()
    };
    assert_eq!(sandbox(&[]), "ECONNREFUSED");
    assert_eq!(sandbox(&["--net", "host"]), "EPERM");
}

#[test]
fn s2_and_s3_sockets_of_no_network_namespace_are_refused() {
    let attacker = Attacker::new();
    for family in [libc::AF_VSOCK, libc::AF_ALG] {
        attacker.is_answered(&["socket", &family.to_string(), "1"], &["EAFNOSUPPORT"]);
    }
    // Nor by the entries for other programs.
    #[cfg(target_arch = "x86_64")]
    {
        attacker.is_answered(&["int80", "20"], &["Bad system call"]);
        let x32_getpid = (0x4000_0000 + libc::SYS_getpid).to_string();
        attacker.is_answered(&["call", &x32_getpid], &["ENOSYS"]);
    }
}

#[test]
fn d1_a_dev_of_ones_own_has_no_device_of_the_hosts() {
    let attacker = Attacker::new();
    for (name, mut command) in attacker.containers() {
        if !["sandbox", "run --rootfs"].contains(&name) {
            continue;
        }
        for device in [
            "kmsg",
            "fuse",
            "kvm",
            "net/tun",
            "loop0",
            "vsock",
            "userfaultfd",
            "mem",
        ] {
            let path = format!("/dev/{device}");
            let mut command_of_it = Command::new(command.get_program());
            command_of_it.args(command.get_args()).stdin(Stdio::null());
            if let Some(directory) = command.get_current_dir() {
                command_of_it.current_dir(directory);
            }
            command_of_it.env("HOME", attacker.home.path());
            command_of_it.args(["--", "./attack", "open", &path, "r"]);
            assert_eq!(finish(command_of_it).ok(), "ENOENT", "{name}: {device}");
        }
        command.args(["--", "./attack", "open", "/dev/null", "w"]);
        assert_eq!(finish(command).ok(), "done", "{name}");
    }
}

#[test]
fn d2_devices_cannot_be_made() {
    let attacker = Attacker::new();
    attacker.is_answered(&["node", "./device", "1"], &["EPERM", "EACCES", "EROFS"]);
}

// ---- identity and privileges

#[test]
fn u1_a_group_that_keeps_one_from_a_file_cannot_be_dropped() {
    let attacker = Attacker::new();
    let setgroups = libc::SYS_setgroups.to_string();
    attacker.is_answered(&["call", &setgroups, "0", "0"], &["EPERM"]);
}

#[test]
fn u3_a_set_user_id_program_changes_nothing() {
    let attacker = Attacker::new();
    let program = attacker.project.path().join("attack");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let owner = std::fs::metadata(&program).unwrap().uid();
    for (name, mut command) in attacker.containers() {
        command.args(["--", "./attack", "open", "/proc/self/status", "r"]);
        assert_eq!(finish(command).ok(), "done", "{name}");
    }
    assert_eq!(std::fs::metadata(&program).unwrap().uid(), owner);
    let status = run(["-u", "keep", "cat", "/proc/self/status"]).ok();
    assert_eq!(field(&status, "NoNewPrivs"), "1");
}

#[test]
fn u5_no_mount_of_rootlets_can_be_taken_off_or_made_writable() {
    let attacker = Attacker::new();
    for (name, answer) in attacker.everywhere(&["remount", "/"]) {
        // The plain view has nothing to lock; root there owns the mounts.
        if !["run", "run --no-init"].contains(&name) {
            assert!(
                ["EPERM", "EACCES", "EINVAL"].contains(&&*answer),
                "{name}: {answer}"
            );
        }
    }
    for path in ["/proc", "/dev", "/sys", "/"] {
        for (name, answer) in attacker.everywhere(&["unmount", path]) {
            if !["run", "run --no-init"].contains(&name) {
                assert!(
                    ["EPERM", "EINVAL", "ENOENT"].contains(&&*answer),
                    "{name}: {path}: {answer}"
                );
            }
        }
    }
}

#[test]
fn u9_a_token_of_the_environment_does_not_go_into_a_sandbox() {
    let attacker = Attacker::new();
    let (_, mut command) = attacker.containers().remove(5);
    command
        .env("ROOTLET_ESCAPE_TOKEN", "secret")
        .env("SSH_AUTH_SOCK", "/x");
    command.args(["--", "env"]);
    let out = finish(command).ok();
    assert!(
        !out.contains("TOKEN") && !out.contains("SSH_AUTH_SOCK"),
        "{out}"
    );
}

// ---- mounts and paths

#[test]
fn m1_links_of_a_root_never_lead_to_the_host() {
    let (root, outside) = (rootfs(), Dir::new());
    let attacker = Attacker::new();
    let up = format!("../../../../../../../..{}", outside.text());
    for (number, to) in [outside.text(), &up, "/proc/1/root/tmp", "/proc/self/cwd"]
        .iter()
        .enumerate()
    {
        symlink(to, root.path().join(format!("link{number}"))).unwrap();
    }
    let project = format!("{}:/mnt", attacker.project.text());
    for number in 0..4 {
        for view in [
            format!("--tmpfs=/link{number}/new"),
            format!("--file=/link{number}/file=/dev/null"),
            format!("--volume=/usr:/link{number}/volume"),
            format!("--mask=/link{number}/mask"),
            format!("--mount=type=symlink,target=/link{number}/symlink,to=x"),
            format!("--overlay=/usr,/link{number}/overlay"),
        ] {
            let options = ["--rootfs", root.text(), "-v", &project, &view];
            let _ = run([&options[..], &["--", "/mnt/attack", "fds"]].concat());
            assert!(outside.names().is_empty(), "{view}: {:?}", outside.names());
        }
    }
}

#[test]
fn m10_nothing_of_the_old_root_is_left() {
    let attacker = Attacker::new();
    let root = rootfs();
    let project = format!("{}:/mnt", attacker.project.text());
    let out = run([
        "--rootfs", root.text(), "-v", &project, "-v", "/usr", "-v", "/bin", "-v", "/lib", "-v", "/lib64", "--", "sh", "-c",
        "cut -d ' ' -f 5 /proc/self/mountinfo; ls -di / /.. /../..; for p in /proc/[0-9]*; do ls -l $p/cwd $p/root 2>/dev/null; done",
    ])
    .ok();
    assert!(!out.contains(attacker.home.text()), "{out}");
    let inodes: Vec<&str> = out
        .lines()
        .filter(|line| line.ends_with(" /") || line.ends_with(" /..") || line.ends_with(" /../.."))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.chars().all(|digit| digit.is_ascii_digit()))
        .collect();
    assert!(
        inodes.len() == 3 && inodes.iter().all(|inode| *inode == inodes[0]),
        "{out}"
    );
}

#[test]
fn m11_and_m12_control_groups_cannot_be_written() {
    let attacker = Attacker::new();
    attacker.is_answered(
        &["open", "/sys/fs/cgroup/cgroup.procs", "w"],
        &["EACCES", "EROFS", "ENOENT", "EPERM"],
    );
    attacker.is_answered(
        &["open", "/sys/fs/cgroup/memory/release_agent", "w"],
        &["EACCES", "EROFS", "ENOENT", "EPERM"],
    );
}

#[test]
fn m15_namespaces_are_never_left_out_in_silence() {
    // Where they are refused nothing runs.
    let script = format!(
        "echo 0 >/proc/sys/user/max_user_namespaces; exec '{ROOTLET}' run -t never -- echo ran"
    );
    let ran: Ran = run(["sh", "-c", &script]);
    assert_eq!((ran.status, &*ran.out), (125, ""), "{ran:?}");
}

// ---- life cycle: the rest is in tests/kills.rs, process.rs and exit_status.rs

#[test]
fn l12_a_link_in_the_way_of_a_store_is_not_followed() {
    let (dir, outside) = (Dir::new(), Dir::new());
    outside.file("victim", "kept\n");
    symlink(outside.path(), dir.path().join("kept")).unwrap();
    let line = format!(
        "cd '{0}'; '{ROOTLET}' try -t never --keep '{0}/kept' -- true",
        dir.text()
    );
    assert_eq!(shell(&line).status, 125);
    assert_eq!(outside.names(), ["victim"]);
}
