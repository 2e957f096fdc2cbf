//! `--no-namespaces`: files restricted by Landlock and a system call filter, where nothing else can be had.

#[path = "support/filter.rs"]
mod filter;
#[path = "support/processes.rs"]
mod processes;
mod support;

use filter::{Rule, filter, install, like_docker};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{DEADLINE, Dir, ROOTLET, Ran, await_end, finish, installed, rootlet, run, send};

/// What every run here has.
const BARE: [&str; 2] = ["--no-namespaces", "--read-only"];

/// `rootlet run --no-namespaces` with `options`.
fn bare(options: &[&str], command: &[&str]) -> Ran {
    run([&["--no-namespaces"], options, &["--"], command].concat())
}

/// What a Python script prints; each line of it that fails prints the errno's symbol in its place.
fn python(options: &[&str], script: &str) -> Vec<String> {
    let start = "
import ctypes, errno, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), '')
def t(what):
    try:
        answer = what()
        print('ok' if answer is None or isinstance(answer, int) else answer)
    except OSError as error:
        print(errno.errorcode[error.errno])
";
    let script = format!("{start}\n{script}");
    let ran = bare(options, &["python3", "-c", &script]).ok();
    ran.lines().map(String::from).collect()
}

#[track_caller]
fn all_are(answers: &[String], expected: &str) {
    assert!(
        !answers.is_empty() && answers.iter().all(|it| it == expected),
        "{answers:?}"
    );
}

/// Everything that changes what is at `path` or beside it, a line each: files, then directories.
fn changes(path: &str) -> String {
    format!(
        "
p = {path:?}
t(lambda: os.open(p + '/file', os.O_WRONLY))
t(lambda: os.open(p + '/file', os.O_RDWR))
t(lambda: os.open(p + '/file', os.O_RDONLY | os.O_TRUNC))
t(lambda: os.truncate(p + '/file', 1))
t(lambda: os.open(p + '/new', os.O_WRONLY | os.O_CREAT))
t(lambda: os.open(p, os.O_WRONLY | os.O_TMPFILE))
t(lambda: os.link(p + '/file', p + '/hard'))
t(lambda: os.symlink('to', p + '/symbolic'))
t(lambda: os.mkfifo(p + '/fifo'))
t(lambda: socket.socket(socket.AF_UNIX).bind(p + '/socket'))
t(lambda: os.mkdir(p + '/made'))
t(lambda: os.rename(p + '/file', p + '/renamed'))
t(lambda: os.rename(p + '/directory', p + '/moved'))
t(lambda: os.unlink(p + '/other'))
t(lambda: os.rmdir(p + '/empty'))
"
    )
}

/// Everything that changes attributes of `path`, a line each.
fn attributes(path: &str) -> String {
    format!(
        "
p = {path:?}
fd = os.open(p, os.O_RDONLY)
t(lambda: os.chmod(p, 0o600))
t(lambda: os.chmod(fd, 0o600))
t(lambda: os.chmod(p, 0o600, dir_fd=fd))
t(lambda: call(452, -100, p.encode(), 0o600, 0))
t(lambda: os.chown(p, os.getuid(), os.getgid()))
t(lambda: os.chown(fd, os.getuid(), os.getgid()))
t(lambda: os.lchown(p, os.getuid(), os.getgid()))
t(lambda: os.utime(p))
t(lambda: os.utime(fd))
t(lambda: os.setxattr(p, 'user.a', b'b'))
t(lambda: os.setxattr(fd, 'user.a', b'b'))
t(lambda: os.removexattr(p, 'user.a'))
"
    )
}

/// A directory with something to change in it.
fn place() -> Dir {
    let dir = Dir::new();
    dir.file("file", "text");
    dir.file("other", "text");
    dir.directory("directory");
    dir.directory("empty");
    dir
}

#[test]
fn nothing_can_be_changed_in_a_read_only_tree() {
    if !installed(&["python3"]) {
        return;
    }
    let dir = place();
    let answers = python(&["--read-only"], &changes(dir.text()));
    all_are(&answers, "EACCES");
    all_are(
        &python(&["--read-only"], &attributes(&dir.at("file"))),
        "EPERM",
    );
    assert_eq!(dir.names(), ["directory", "empty", "file", "other"]);
    assert_eq!(std::fs::read(dir.at("file")).unwrap(), b"text");
    // The flags of an inode (chattr) need but a descriptor to read from; a volume is no exception.
    let flags = "import fcntl; t(lambda: fcntl.ioctl(os.open('.', 0), 0x40086602, b'\\0' * 8))";
    let options = [&BARE[1..], &["-v", dir.text(), "-w", dir.text()]].concat();
    all_are(&python(&options, flags), "EPERM");
    all_are(
        &python(
            &[&options[..], &["--optional", "attributes"]].concat(),
            flags,
        ),
        "EPERM",
    );
}

#[test]
fn a_volume_can_be_written_but_for_attributes_which_are_optional() {
    if !installed(&["python3"]) {
        return;
    }
    let dir = place();
    let options = ["--read-only", "-v", dir.text()];
    all_are(&python(&options, &changes(dir.text())), "ok");
    let file = dir.at("renamed");
    all_are(&python(&options, &attributes(&file)), "EPERM");
    let optional = [&options[..], &["--optional", "attributes"]].concat();
    let script = attributes(&file).replace("t(lambda: os.chmod(p, 0o600, dir_fd=fd))", "");
    all_are(&python(&optional, &script), "ok");
    let strict = [&optional[..], &["--strict"]].concat();
    all_are(&python(&strict, &script), "EPERM");
    // From one directory to another, in the volume and out of it.
    let out = place();
    let script = format!(
        "t(lambda: os.rename({file:?}, {:?}))\nt(lambda: os.link({:?}, {:?}))",
        dir.at("moved/in"),
        out.at("file"),
        dir.at("link")
    );
    assert_eq!(python(&options, &script), ["ok", "EXDEV"]);
}

#[test]
fn devices_can_be_used_and_a_device_is_a_volume() {
    let script = "echo x >/dev/null; head -c 2 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c; : >/dev/full && echo open";
    assert_eq!(
        bare(&["--read-only"], &["sh", "-c", script]).ok(),
        "2\n1\nopen"
    );
    let name = format!("/dev/shm/rootlet-{}", std::process::id());
    let ran = bare(&["--read-only"], &["sh", "-c", &format!(": >{name}")]);
    ran.fails(2, &[&format!("{name}: Permission denied")]);
    let script = "echo x >/dev/shm/$$ && rm /dev/shm/$$";
    bare(&["--read-only", "-v", "/dev/shm"], &["sh", "-c", script]).ok();
    let script = "test -t 0 && tty && echo typed >/dev/tty";
    let mut command = Command::new(ROOTLET);
    let terminal = ["run", "-t", "always"];
    let words = [&terminal, &BARE[..], &["--", "sh", "-c", script]].concat();
    command.args(words).stdin(Stdio::null());
    let out = finish(command).ok();
    assert!(
        out.starts_with("/dev/pts/") && out.ends_with("typed\r"),
        "{out:?}"
    );
}

#[test]
fn a_read_only_volume_lies_in_a_writable_tree_and_the_other_way_round() {
    let dir = Dir::new();
    for name in ["a", "a/b", "a/b/c"] {
        dir.directory(name);
    }
    let (b, c) = (format!("{}:ro", dir.at("a/b")), dir.at("a/b/c"));
    let script = r#"for place in "$@"; do if (: >"$place/x") 2>&-; then echo "$place"; fi; done"#;
    let places = [dir.at("a"), dir.at("a/b"), dir.at("a/b/c"), dir.at("d")];
    dir.directory("d");
    let writable = |options: &[&str]| {
        let places = places.each_ref().map(String::as_str);
        bare(
            options,
            &[&["sh", "-c", script, "sh"], &places[..]].concat(),
        )
        .ok()
    };
    // `a` leads to something read-only, so that nothing can be made in it; what is in it can be written.
    assert_eq!(writable(&["-v", &b]), dir.at("d"));
    assert_eq!(
        writable(&["-v", &b, "-v", &c]),
        format!("{c}\n{}", dir.at("d"))
    );
    assert_eq!(
        writable(&["--read-only", "-v", &dir.at("a"), "-v", &b, "-v", &c]),
        c
    );
    assert_eq!(writable(&[]).lines().count(), 4);
    // A later view covers an earlier one.
    let a = dir.at("a");
    assert_eq!(writable(&["-v", &b, "-v", &a]).lines().count(), 4);
}

#[test]
fn what_is_hidden_can_be_neither_read_nor_listed_nor_changed() {
    if !installed(&["python3"]) {
        return;
    }
    let dir = place();
    let secret = dir.directory("directory/secret");
    let key = dir.file("directory/secret/key", "key");
    let (file, link) = (dir.at("file"), dir.at("link"));
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let script = format!(
        "
k, f, d = {key:?}, {file:?}, {:?}
t(lambda: open(k).read())
t(lambda: open(f).read())
t(lambda: os.listdir(os.path.dirname(k)))
t(lambda: os.listdir({link:?}))
t(lambda: open({link:?} + '/key').read())
t(lambda: os.listdir(d))
t(lambda: os.open(f, os.O_WRONLY))
t(lambda: os.truncate(f, 0))
t(lambda: os.truncate(k, 0))
t(lambda: os.unlink(f))
t(lambda: os.rename(d + '/directory', d + '/elsewhere'))
t(lambda: os.link(f, d + '/empty/hard'))
t(lambda: os.open(d + '/directory', os.O_TMPFILE | os.O_RDWR))
t(lambda: os.execv(k, ['k']))
t(lambda: os.open(d + '/new', os.O_CREAT | os.O_WRONLY))
t(lambda: open(d + '/other').read())
t(lambda: os.listdir(d + '/empty'))
t(lambda: os.open(d + '/empty/new', os.O_CREAT | os.O_WRONLY))
",
        dir.text()
    );
    // The link is what the user names, what it leads to is hidden.
    let answers = python(&["--mask", &link, "--mask", &file], &script);
    let (shut, open) = answers.split_at(15);
    let shut: Vec<&str> = shut
        .iter()
        .map(|it| it.as_str())
        .filter(|it| *it != "EXDEV")
        .collect();
    assert!(
        shut.len() >= 14 && shut.iter().all(|it| *it == "EACCES"),
        "{answers:?}"
    );
    assert_eq!(open, ["text", "[]", "ok"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"text");
    assert_eq!(std::fs::read(&key).unwrap(), b"key");
}

#[test]
fn a_hidden_file_leaves_its_directory_listable_and_nothing_hides_nothing() {
    let dir = place();
    let ran = bare(
        &["--mask", &dir.at("file"), "--mask", &dir.at("no/such")],
        &["ls", dir.text()],
    );
    assert_eq!(ran.ok(), "directory\nempty\nfile\nother");
    let optional = format!("{},optional", dir.at("no/such"));
    bare(
        &["--read-only", "-v", &optional, "--write", &dir.at("empty")],
        &["true"],
    )
    .ok();
    // What is made beside it later is out of reach.
    let script = r#"echo ready; until [ -e "$1" ]; do sleep 0.01; done; cat "$1""#;
    let new = dir.at("new");
    let arguments = [
        "--no-namespaces",
        "--mask",
        &dir.at("file"),
        "--",
        "sh",
        "-c",
        script,
        "sh",
        &new,
    ];
    let mut command = rootlet(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    await_text(&mut child, "ready\n");
    dir.file("new", "text");
    await_end(child).fails(1, &["new: Permission denied"]);
}

#[test]
fn what_needs_a_namespace_is_refused_by_name() {
    let dir = Dir::new();
    let socket = dir.at("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let here = |rest: &str| format!("{}{rest}", dir.text());
    for (options, words) in [
        (&["-u", "5"][..], "--user needs a user namespace"),
        (&["--uidmap", "0:0:1"], "--uidmap needs a user namespace"),
        (&["--gidmap", "0:0:1"], "--gidmap needs a user namespace"),
        (&["--cap-add", "CHOWN"], "--cap-add needs a user namespace"),
        (&["--cap-drop", "ALL"], "--cap-drop needs a user namespace"),
        (&["--net", "none"], "--net none needs a network namespace"),
        (&["--hostname", "box"], "--hostname needs a UTS namespace"),
        (&["--boottime", "5"], "--boottime needs a time namespace"),
        (&["--monotonic", "5"], "--monotonic needs a time namespace"),
        (&["--root", "empty"], "--root needs a mount namespace"),
        (&["--rootfs", "/srv"], "--root needs a mount namespace"),
        (&["--proc", "fresh"], "--proc fresh needs a PID namespace"),
        (&["--proc", "none"], "--proc none needs a mount namespace"),
        (&["--no-init"], "--no-init needs a PID namespace"),
        (&["--allow-new-privs"], "--allow-new-privs needs namespaces"),
        (
            &["--tmpfs", "/mnt"],
            "tmpfs /mnt: it needs a mount namespace",
        ),
        (
            &["--overlay", "/usr,/mnt"],
            "overlay /mnt: it needs a mount namespace",
        ),
        (
            &["--file", "/mnt/f=/dev/null"],
            "file /mnt/f: it needs a mount namespace",
        ),
        (
            &["--mount", "type=dev,target=/dev"],
            "dev /dev: it needs a mount namespace",
        ),
        (
            &["--mount", "type=symlink,target=/l,to=/"],
            "symlink /l: it needs a mount namespace",
        ),
        (
            &["-v", "/usr:/mnt"],
            "volume /mnt: to show something at another place needs a mount namespace",
        ),
        (&["-v", "/"], "volume /: the destination is the root itself"),
        (&["-v", "/no/such"], "volume /no/such: it is not there"),
        (
            &["-v", &here("/no,create")],
            "no: it is not there, and without namespaces nothing is made",
        ),
        (
            &["--mask", "/proc/version"],
            "mask /proc/version: without namespaces a part of /proc cannot be set apart",
        ),
        (
            &["--mask", &socket],
            "socket: it is a socket, to which Landlock lets everybody connect",
        ),
    ] {
        bare(options, &["true"]).fails(125, &[words, "\nhint: "]);
    }
    assert!(!dir.names().contains(&"no".to_string()));
    // These say nothing else than what is there anyway.
    let same = format!("{0}/.:{0}", dir.text());
    for options in [
        &["-u", "keep"][..],
        &["--net", "host"],
        &["--proc", "host"],
        &["--share", "pid,ipc"],
        &["-v", &same],
    ] {
        bare(options, &["true"]).ok();
    }
}

#[test]
fn the_filter_refuses_the_ways_around() {
    if !installed(&["python3"]) {
        return;
    }
    // CLONE_NEWUSER by unshare and by clone, CLONE_FILES, setns, clone3, io_uring_setup, open_tree, TIOCSTI.
    let script = "
import fcntl
clone = 56 if os.uname().machine == 'x86_64' else 220
unshare = 272 if os.uname().machine == 'x86_64' else 97
setns = 308 if os.uname().machine == 'x86_64' else 268
t(lambda: call(unshare, 0x10000000))
t(lambda: call(clone, 0x10000000 | 17, 0, 0, 0, 0))
t(lambda: call(unshare, 0x400))
t(lambda: call(setns, -1, 0))
t(lambda: call(435, None, 0))
t(lambda: call(425, 1, None))
t(lambda: call(428, -100, b'/', 0))
t(lambda: fcntl.ioctl(0, 0x5412, b'x'))
t(lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1])
print(open('/proc/self/status').read().split('Seccomp:')[1].split()[0])
print(libc.prctl(39, 0, 0, 0, 0))
";
    let expected = [
        "EPERM", "EPERM", "ok", "EPERM", "ENOSYS", "ENOSYS", "EPERM", "EPERM", "ok", "2", "1",
    ];
    assert_eq!(python(&[], script), expected);
}

#[test]
fn processes_outside_are_out_of_reach() {
    if !installed(&["python3"]) {
        return;
    }
    let mut outside = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = outside.id();
    let script = format!(
        "
import resource
init = os.getppid()
t(lambda: os.kill({pid}, signal.SIGTERM))
t(lambda: os.kill(init, signal.SIGKILL))
t(lambda: os.kill(init, signal.SIGSTOP))
t(lambda: resource.prlimit({pid}, resource.RLIMIT_CPU, (0, 0)))
t(lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
t(lambda: os.kill(os.getpid(), 0))
t(lambda: open('/proc/{pid}/environ').read(1))
t(lambda: open('/proc/{pid}/mem'))
t(lambda: os.readlink('/proc/{pid}/fd/0'))
t(lambda: os.readlink('/proc/%d/fd/0' % init))
print(libc.ptrace(16, {pid}, None, None), ctypes.get_errno())
"
    );
    let answers = python(&[], &script);
    assert_eq!(outside.try_wait().unwrap(), None);
    outside.kill().unwrap();
    outside.wait().unwrap();
    all_are(&answers[..4], "EPERM");
    all_are(&answers[4..6], "ok");
    all_are(&answers[6..10], "EACCES");
    assert_eq!(answers[10], "-1 1");
}

#[test]
fn abstract_sockets_are_in_reach_unless_they_are_not_wanted() {
    if !installed(&["python3"]) {
        return;
    }
    use std::os::linux::net::SocketAddrExt;
    let name = format!("rootlet-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!("t(lambda: socket.socket(socket.AF_UNIX).connect('\\0{name}'))");
    assert_eq!(python(&[], &script), ["ok"]);
    assert_eq!(python(&["--abstract-sockets", "none"], &script), ["EPERM"]);
}

#[test]
fn statuses_signals_and_time_limits_are_as_always() {
    let status = |script: &str| bare(&["--read-only"], &["sh", "-c", script]).status;
    assert_eq!(status("exit 7"), 7);
    assert_eq!(status("kill -TERM $$"), 143);
    assert_eq!(status("kill -KILL $$"), 137);
    bare(&[], &["/no/such"]).fails(
        127,
        &["execute /no/such: No such file or directory (ENOENT)"],
    );
    bare(&[], &["/etc/passwd"]).fails(126, &["Permission denied (EACCES)"]);
    assert_eq!(bare(&["--timeout", "0.2"], &["sleep", "1000"]).status, 124);
    let id = "id -u; id -g; ps -o ppid= -p $PPID";
    let shown = bare(&[], &["sh", "-c", id]).ok();
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    assert!(
        shown.starts_with(&format!("{}\n{}\n", uid.as_raw(), gid.as_raw())),
        "{shown}"
    );

    let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let mut command = rootlet(["--no-namespaces", "--", "sh", "-c", script]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    await_text(&mut child, "ready\n");
    send(child.id(), libc::SIGTERM);
    let ran = await_end(child);
    assert_eq!((ran.status, &*ran.out), (5, "caught"), "{ran:#?}");
}

#[test]
fn what_it_is_less_than_is_said_once_and_in_the_status() {
    let ran = bare(&["--read-only", "--status-fd", "1"], &["true"]);
    assert_eq!(
        ran.err
            .matches("rootlet: note: without namespaces this is less than a container")
            .count(),
        1
    );
    assert!(!ran.err.contains("--strict refuses"), "{ran:#?}");
    let started = ran.out.lines().next().unwrap();
    for words in [
        r#""new":[]"#,
        r#""shared":["user","pid","mount","ipc","uts","cgroup","net","time"]"#,
        r#""uid_map":[]"#,
        r#""read_only":true"#,
        r#""landlock":"#,
        r#""stepped_down":["without namespaces this is less"#,
    ] {
        assert!(started.contains(words), "{words}: {started}");
    }
    bare(&["--strict"], &["true"]).ok();
    let container = run(["--status-fd", "1", "--", "true"]);
    assert!(
        !container.out.contains("landlock") && container.err.is_empty(),
        "{container:#?}"
    );
}

/// Waits until `child` has said `text`, and nothing else.
fn await_text(child: &mut Child, text: &str) {
    let mut said = vec![0; text.len()];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    assert_eq!(said, text.as_bytes());
}

/// Whether nobody with `mark` in the command line is left, after some time at most.
fn all_gone(mark: &str) -> bool {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if processes::with_mark(mark).is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Starts a process that has left its parent, its session and its group, twice; and one that stops itself. Says so when
/// all three are there.
fn leaver(mark: &str) -> String {
    format!(
        "(setsid sh -c '(setsid sleep {mark} &) & exec sleep {mark}' &)
         sh -c 'kill -STOP $$; sleep {mark}' &
         until [ $(ps -eo stat=,args= | grep -c -e '^S[s+]* *sleep {mark}' -e '^T.*{mark}') -ge 3 ]; do sleep 0.01; done
         echo left"
    )
}

#[test]
fn what_the_command_leaves_ends_with_it() {
    let mark = format!("100000.{}", std::process::id());
    let ran = bare(&["--read-only"], &["sh", "-c", &leaver(&mark)]);
    assert_eq!(ran.out, "left");
    assert_eq!(processes::with_mark(&mark), [], "left behind");
}

#[test]
fn what_the_command_has_started_ends_with_the_launcher() {
    let mark = format!("200000.{}", std::process::id());
    let script = format!("{}; exec sleep {mark}", leaver(&mark));
    let mut child = rootlet(["--no-namespaces", "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    await_text(&mut child, "left\n");
    assert!(processes::with_mark(&mark).len() >= 4);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all_gone(&mark), "left: {:?}", processes::with_mark(&mark));
}

#[test]
fn processes_that_fork_as_fast_as_they_can_are_ended_too() {
    if !installed(&["python3"]) {
        return;
    }
    let mark = format!("300000.{}", std::process::id());
    // Each chain is a process that forks and ends, and the next one likewise, in a session of its own.
    let script = "
for chain in range(30):
    if os.fork() == 0:
        while True:
            os.setsid()
            if os.fork():
                os._exit(0)
print('left')
";
    let script = format!("import os, sys\n{script}");
    let ran = bare(&["--read-only"], &["python3", "-c", &script, &mark]);
    assert_eq!((ran.status, &*ran.out), (0, "left"), "{ran:#?}");
    assert_eq!(processes::with_mark(&mark), [], "left behind");
}

#[test]
fn what_is_made_of_namespaces_is_refused_by_its_name() {
    let dir = Dir::new();
    for verb in ["sandbox", "try"] {
        let mut command = Command::new(ROOTLET);
        command.args([verb, "--no-namespaces", "--", "true"]);
        command.current_dir(dir.text()).stdin(Stdio::null());
        let words = format!("rootlet {verb} is made of namespaces");
        finish(command).fails(125, &[&words, "hint: "]);
    }
}

/// Runs `command` under a filter.
fn under(rules: Vec<Rule>, mut command: Command) -> Ran {
    // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
    unsafe { command.pre_exec(move || install(&rules)) };
    finish(command)
}

#[test]
fn it_works_where_a_filter_refuses_namespaces() {
    let dir = Dir::new();
    let in_container = |arguments: &[&str]| under(like_docker(), rootlet(arguments));
    in_container(&["true"]).fails(125, &["(EPERM)", "system call filter"]);
    let script = "echo in >f && cat f; if (: >../g) 2>&-; then echo out; fi; exit 3";
    let options = ["-v", dir.text(), "-w", dir.text(), "sh", "-c", script];
    let ran = in_container(&[&BARE[..], &options].concat());
    assert_eq!((ran.status, &*ran.out), (3, "in"), "{ran:#?}");
}

#[test]
fn doctor_tries_it_and_says_what_it_lacks() {
    let doctor = |rules| {
        let mut command = Command::new(ROOTLET);
        command.arg("doctor").stdin(Stdio::null());
        under(rules, command).out
    };
    let says = |out: &str, start: &str| {
        assert!(out.lines().any(|line| line.starts_with(start)), "{out}");
    };
    let in_container = doctor(like_docker());
    says(&in_container, "  NO   rootlet run  ");
    says(
        &in_container,
        "  less rootlet run --no-namespaces  clone3: Function not implemented",
    );
    says(&doctor(Vec::new()), "  yes  rootlet run --no-namespaces");
    let lacks = |call, errno| doctor(filter(&[call], errno));
    let landlock = lacks(libc::SYS_landlock_create_ruleset, libc::ENOSYS);
    says(&landlock, "  NO   rootlet run --no-namespaces");
    assert!(
        landlock.contains("restricted by Landlock, which is not here"),
        "{landlock}"
    );
    let filters = lacks(libc::SYS_seccomp, libc::EPERM);
    says(&filters, "  NO   rootlet run --no-namespaces");
}

#[test]
fn it_works_where_the_limit_of_namespaces_is_0() {
    let dir = Dir::new();
    let script = format!(
        "echo 0 >/proc/sys/user/max_user_namespaces
         '{ROOTLET}' run -t never -- true && exit 1
         '{ROOTLET}' run -t never --no-namespaces --read-only -v {0} -- sh -c 'echo in >{0}/f; : >{0}/../g'",
        dir.text()
    );
    run(["sh", "-c", &script]).fails(2, &["(ENOSPC)", "g: Permission denied"]);
    assert_eq!(std::fs::read(dir.at("f")).unwrap(), b"in\n");
}

#[test]
fn it_works_within_itself_until_the_layers_are_used_up() {
    let dir = Dir::new();
    // Each is started by the one before it, and writes a line.
    let script = format!(
        "echo x >>{0}/f; exec '{ROOTLET}' run -t never --no-namespaces --read-only -v {0} -- sh -c \"$script\"",
        dir.text()
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .env("script", &script)
        .stdin(Stdio::null());
    finish(command).fails(
        125,
        &[
            "restrict the command to what the ruleset allows: ",
            "(E2BIG)",
            "16 such restrictions",
        ],
    );
    assert_eq!(
        std::fs::read_to_string(dir.at("f"))
            .unwrap()
            .lines()
            .count(),
        17
    );
}
