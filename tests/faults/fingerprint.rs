//! The command of every run: says in what it finds itself, a fact a line, so that two containers can be compared.
//!
//! What differs from run to run without meaning (numbers of mounts, namespaces and devices) is left out here or by
//! [`normal`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

const NAMESPACES: [&str; 10] = [
    "cgroup",
    "ipc",
    "mnt",
    "net",
    "pid",
    "pid_for_children",
    "time",
    "time_for_children",
    "user",
    "uts",
];

/// The lines of /proc/PID/status that say what a process may and does.
const STATUS: [&str; 17] = [
    "Name",
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "Threads",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

/// Everything about this process and what it is in. `socket` is an abstract socket on which somebody outside listens.
pub fn take(socket: &str) -> String {
    let mut text = String::new();
    namespaces(&mut text);
    for file in [
        "uid_map",
        "gid_map",
        "setgroups",
        "limits",
        "cgroup",
        "oom_score_adj",
        "timens_offsets",
        "personality",
    ] {
        say_file(&mut text, file, &format!("/proc/self/{file}"));
    }
    await_init();
    for who in ["self", "1"] {
        let status = fs::read_to_string(format!("/proc/{who}/status")).unwrap_or_default();
        for line in status.lines() {
            if STATUS
                .iter()
                .any(|name| line.split(':').next() == Some(name))
            {
                let _ = writeln!(text, "status of {who} {line}");
            }
        }
    }
    mounts(&mut text);
    descriptors(&mut text);
    process(&mut text);
    system(&mut text);
    attempts(&mut text, socket);
    text
}

/// init has work of its own when the command has started, in which it may wait for others: until it waits for good.
fn await_init() {
    if std::process::id() == 1 {
        return;
    }
    let end = Instant::now() + Duration::from_secs(1);
    let looked_at = || {
        let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
        let waits = status.lines().any(|line| line.starts_with("State:\tS"));
        let woken = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"));
        waits.then(|| woken.map(str::to_string))
    };
    let mut before = None;
    while Instant::now() < end {
        let now = looked_at();
        if now.is_some() && now == before {
            return;
        }
        before = now;
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn namespaces(text: &mut String) {
    for name in NAMESPACES {
        let link = fs::read_link(format!("/proc/self/ns/{name}"));
        let _ = writeln!(text, "namespace {name} {link:?}");
    }
}

/// What the worker does to a fingerprint: a namespace is the host's or not, what is in the host's memory does not matter,
/// and the names that a run has chosen itself are the same in all.
pub fn normal(text: &str) -> String {
    let devices = host_devices();
    let pids = format!("namespace pid {:?}\n", fs::read_link("/proc/self/ns/pid"));
    let in_hosts_pids = text.contains(&pids);
    let lines = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        match (words.next()?, words.next(), words.next()) {
            ("namespace", Some(name), Some(link)) => Some(namespace(name, link)),
            // They are another matter each time.
            ("other", Some("processes"), _) if in_hosts_pids => None,
            ("tree", Some(device), _) if devices.iter().any(|it| it == device) => None,
            ("tree", Some(_), Some(rest)) => Some(format!("tree {rest}")),
            _ => Some(without_store(line)),
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// The numbers of the devices that are mounted out here.
fn host_devices() -> Vec<String> {
    let info = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let device = |line: &str| {
        let device = number(line.split(' ').nth(2)?)?;
        Some(format!("{device:x}"))
    };
    info.lines().filter_map(device).collect()
}

fn namespace(name: &str, link: &str) -> String {
    let own = fs::read_link(format!("/proc/self/ns/{name}"));
    let which = match link == format!("{own:?}") {
        true => "the host's",
        false if link.starts_with("Ok") => "new",
        false => link,
    };
    format!("namespace {name} {which}")
}

/// A try that keeps its changes in a place of its own choosing names it by the time.
fn without_store(line: &str) -> String {
    const TRIES: &str = "/rootlet/try/";
    let mut parts = line.split(TRIES);
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let name = part.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
        plain += TRIES;
        plain += "STORE";
        plain += &part[name.unwrap_or(part.len())..];
    }
    plain
}

/// Mounts without their numbers; then what is in those that are in memory.
fn mounts(text: &mut String) {
    let info = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut in_memory = BTreeSet::new();
    // What lies beneath another mount at the same point can be reached by no name.
    let point = |line: &str| line.split(' ').nth(4).map(str::to_string);
    let mut on_top = BTreeMap::new();
    for (number, line) in info.lines().enumerate() {
        on_top.insert(point(line), number);
    }
    // In the order of their points: that in which they were mounted says nothing.
    for last in on_top.into_values() {
        let line = info.lines().nth(last).unwrap_or_default();
        let mut words = line.split(' ').skip(2);
        let mut next = || words.next().unwrap_or_default();
        let (device, root, point, options) = (next(), next(), next(), next());
        let rest: Vec<&str> = words.map(without_number).collect();
        let rest = rest.join(" ");
        let _ = writeln!(text, "mount {point} of {root} {options} {rest}");
        if rest.starts_with("- tmpfs ") {
            in_memory.insert((point, number(device)));
        }
    }
    for (point, device) in in_memory {
        let top = Path::new(point);
        // Another mount may lie over it.
        if let (Some(device), Ok(data)) = (device, top.metadata())
            && data.dev() == device
        {
            tree(text, device, top);
        }
    }
}

/// A device's number, of `major:minor`.
fn number(device: &str) -> Option<u64> {
    let (major, minor) = device.split_once(':')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// `shared:7` and the like without the number, which is another in each run.
fn without_number(word: &str) -> &str {
    match word.split_once(':') {
        Some((kind @ ("shared" | "master" | "propagate_from"), _)) => kind,
        _ => word,
    }
}

/// What is in a directory and below it, on this device alone.
fn tree(text: &mut String, device: u64, directory: &Path) {
    let mut paths: Vec<_> = match fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => {
            let _ = writeln!(text, "tree {device:x} {directory:?}: {error}");
            return;
        }
    };
    paths.sort();
    for path in paths {
        let Ok(data) = path.symlink_metadata() else {
            continue;
        };
        let (mode, owner) = (data.mode(), (data.uid(), data.gid()));
        let _ = write!(text, "tree {device:x} {path:?} {mode:o} {owner:?}");
        if data.is_symlink() {
            let _ = write!(text, " to {:?}", fs::read_link(&path));
        } else if data.file_type().is_char_device() {
            let _ = write!(text, " device {:x}", data.rdev());
        } else if data.is_file() && data.len() < 10_000 {
            let _ = write!(text, " {:?}", fs::read(&path).map(|bytes| sum(&bytes)));
        }
        text.push('\n');
        if data.is_dir() && data.dev() == device {
            tree(text, device, &path);
        }
    }
}

/// FNV-1a: enough to tell two small files apart.
fn sum(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325u64;
    bytes.iter().fold(start, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Every descriptor with its flags, but for the one that lists them.
fn descriptors(text: &mut String) {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    for number in numbers {
        let Ok(link) = fs::read_link(format!("/proc/self/fd/{number}")) else {
            continue;
        };
        // A pseudo-terminal or a pipe has the next number that is free.
        let link = match link.parent() {
            Some(above) if above == Path::new("/dev/pts") => above.join("N"),
            _ if link.to_string_lossy().starts_with("pipe:[") => "pipe".into(),
            _ => link,
        };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find(|line| line.starts_with("flags:"));
        let _ = writeln!(text, "descriptor {number} {link:?} {flags:?}");
    }
}

/// What else the process has from whoever started it.
fn process(text: &mut String) {
    let _ = writeln!(
        text,
        "cwd {:?} root {:?}",
        std::env::current_dir(),
        fs::read_link("/proc/self/root")
    );
    let _ = writeln!(
        text,
        "arguments {:?}",
        std::env::args_os().collect::<Vec<_>>()
    );
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for variable in variables {
        let _ = writeln!(text, "variable {variable:?}");
    }
    // SAFETY: these take and return plain numbers.
    let numbers = unsafe {
        let own = libc::getpid();
        // Among the host's processes the numbers are others each time; whose group and session it is matters.
        let inside = own == 1 || libc::getppid() == 1;
        let seen = |pid| if inside { pid } else { i32::from(pid == own) };
        [
            ("pid", seen(own)),
            ("parent", seen(libc::getppid())),
            ("group", seen(libc::getpgrp())),
            ("session", seen(libc::getsid(0))),
            ("nice", libc::getpriority(libc::PRIO_PROCESS, 0)),
            ("scheduler", libc::sched_getscheduler(0)),
            ("dumpable", libc::prctl(libc::PR_GET_DUMPABLE)),
            ("securebits", libc::prctl(libc::PR_GET_SECUREBITS)),
            ("timer slack", libc::prctl(libc::PR_GET_TIMERSLACK)),
        ]
    };
    let _ = writeln!(text, "{numbers:?}");
    let mut signal = 0i32;
    // SAFETY: the kernel writes a number to each, and they live.
    unsafe {
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal);
        let mut subreaper = 0i32;
        libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut subreaper);
        let _ = writeln!(
            text,
            "dies by {signal} with its parent; subreaper {subreaper}"
        );
        let mut keyring = [0u8; 256];
        let size = libc::syscall(libc::SYS_keyctl, 6, -3, &raw mut keyring, keyring.len());
        let words = keyring.split(|&byte| byte == 0).next().unwrap_or_default();
        let _ = writeln!(
            text,
            "keyring {} {}",
            size < 0,
            String::from_utf8_lossy(words)
        );
    }
}

fn system(text: &mut String) {
    for file in ["hostname", "domainname"] {
        say_file(text, file, &format!("/proc/sys/kernel/{file}"));
    }
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names: BTreeSet<&str> = devices
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let _ = writeln!(text, "network {names:?}");
    say_file(text, "loopback", "/sys/class/net/lo/operstate");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut ids: Vec<i32> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    // The command of an exec has another id each time.
    let own = std::process::id() as i32;
    ids.retain(|&pid| pid != own);
    // With the host's /proc in another PID namespace, these are another matter each time.
    ids.truncate(if ids.len() < 10 { 10 } else { 1 });
    let _ = writeln!(text, "other processes {ids:?}");
}

/// What only trying tells.
fn attempts(text: &mut String, socket: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixStream};
    let connected =
        SocketAddr::from_abstract_name(socket).and_then(|name| UnixStream::connect_addr(&name));
    let _ = writeln!(text, "abstract socket {:?}", connected.map(drop));
    let open = |path: &str| fs::File::open(path).map(drop);
    for path in ["/dev/tty", "/proc/1/environ", "/proc/1/mem"] {
        let _ = writeln!(text, "open {path} {:?}", open(path));
    }
    for directory in [
        "/", "/usr", "/etc", "/tmp", "/run", "/dev", "/dev/shm", "/sys", ".", "..",
    ] {
        let name = CString::new(Path::new(directory).as_os_str().as_bytes()).unwrap_or_default();
        // SAFETY: the name is NUL-terminated and lives.
        let answer = unsafe { libc::access(name.as_ptr(), libc::W_OK) };
        let _ = writeln!(text, "write to {directory} {}", answer == 0);
    }
    // SAFETY: these take plain numbers.
    let refused = unsafe {
        [
            (
                "vsock",
                libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0) < 0,
            ),
            ("user namespace", libc::unshare(libc::CLONE_NEWUSER) < 0),
        ]
    };
    let _ = writeln!(text, "refused {refused:?}");
}

/// The lines of one that the other has not, and the other way round.
pub fn difference(one: &str, other: &str) -> String {
    let lacks = |text: &str, line: &str| !text.lines().any(|it| it == line);
    let gone = one.lines().filter(|line| lacks(other, line));
    let come = other.lines().filter(|line| lacks(one, line));
    let gone = gone.map(|line| format!("- {line}\n"));
    gone.chain(come.map(|line| format!("+ {line}\n"))).collect()
}

fn say_file(text: &mut String, name: &str, path: &str) {
    let content = fs::read_to_string(path);
    let lines = content.as_deref().unwrap_or("not there\n");
    for line in lines.lines() {
        let _ = writeln!(text, "{name} {line}");
    }
}
