//! What is told of a sandbox while it runs: `--info-fd`, `--json-status-fd` and `--lock-file`.

use crate::fds::{Fd, text_of};
use crate::live::{ANSWER, LEAVE, Live, documents, info_of};
use crate::programs::{Bwrap, TOOLS, WAYS, each, in_tools, words};
use crate::support::{DEADLINE, Dir, Ran, field};
use rustix::fs::{FlockOperation, fcntl_lock};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// The namespaces that `--unshare-all` makes and that are told.
const ALL: &str = "cgroup ipc mnt net pid uts";

/// Requires that `document` tells of a process that runs, of these namespaces of it, and of nothing else.
#[track_caller]
fn describes(document: &Value, kinds: &str) {
    let pid = &document["child-pid"];
    let namespace = |kind: &str| {
        let file = std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).unwrap();
        (format!("{kind}-namespace"), file.ino().into())
    };
    let mut wanted: Map<String, Value> = kinds.split(' ').map(namespace).collect();
    wanted.insert("child-pid".into(), pid.clone());
    assert_eq!(document, &Value::Object(wanted));
}

#[test]
fn the_sandbox_and_its_new_namespaces_are_told_as_one_document() {
    each(|bwrap| {
        for (options, kinds) in [
            ("", "mnt"),
            ("--unshare-all", ALL),
            ("--unshare-pid", "mnt pid"),
        ] {
            let (info, reader) = Fd::to_test();
            let mut live = Live::of(
                bwrap,
                &[&info],
                &format!("--info-fd {info} {options}"),
                ANSWER,
            );
            drop(info);
            // It is closed while the sandbox runs.
            let text = text_of(reader);
            assert!(
                text.starts_with("{\n    \"child-pid\": ") && text.ends_with("\n}\n"),
                "{text:?}"
            );
            let documents = documents(&text);
            assert_eq!(documents.len(), 1);
            describes(&documents[0], kinds);
            live.answers();
            live.end();
        }
    });
}

#[test]
fn the_process_that_is_told_is_the_first_of_the_sandbox() {
    each(|bwrap| {
        for (way, first) in WAYS.into_iter().zip(["", "1", "1"]) {
            let (mut live, pid) = info_of(bwrap, way, ANSWER);
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            // As it is here, and in each PID namespace from this one on.
            let wanted = format!("{pid}\t{first}");
            assert_eq!(field(&status, "NSpid"), wanted.trim_end(), "{way}");
            live.end();
        }
    });
}

#[test]
fn the_start_and_the_end_of_the_command_are_told_as_a_document_a_line() {
    each(|bwrap| {
        let (status, reader) = Fd::to_test();
        let options = format!("--json-status-fd {status} --unshare-all");
        let mut live = Live::of(bwrap, &[&status], &options, &format!("{ANSWER}; exit 7"));
        drop(status);
        let mut lines = BufReader::new(reader).lines();
        let line = lines.next().unwrap().unwrap();
        assert!(
            line.starts_with("{ \"child-pid\": ") && line.ends_with(" }"),
            "{line:?}"
        );
        describes(&documents(&line)[0], ALL);
        live.end();
        assert_eq!(live.status(), Some(7));
        assert_eq!(lines.next().unwrap().unwrap(), "{ \"exit-code\": 7 }");
        assert!(lines.next().is_none());
    });
}

/// Runs a line that ends with a command, and returns what was told with `--json-status-fd`.
fn told(bwrap: &Bwrap, line: &str) -> (Ran, Vec<Value>) {
    let (status, reader) = Fd::to_test();
    let ran = bwrap.run(
        &[&status],
        &words(&format!("{TOOLS} --json-status-fd {status} {line}")),
    );
    drop(status);
    (ran, documents(&text_of(reader)))
}

#[test]
fn the_end_is_told_of_a_command_that_was_executed_and_of_no_other() {
    each(|bwrap| {
        for way in WAYS {
            for (line, status, is_told) in [
                ("true", 0, true),
                ("false", 1, true),
                ("grep --nosuch", 2, true),
                ("nosuch", 1, false),
                ("/usr", 1, false),
                ("--chdir /no/such true", 1, false),
            ] {
                let (ran, told) = told(bwrap, &format!("{way} {line}"));
                assert_eq!(ran.status, status, "{way} {line}: {ran:#?}");
                let end = is_told.then(|| json!({ "exit-code": status }));
                assert_eq!(told[1..], Vec::from_iter(end), "{way} {line}");
            }
        }
        let (ran, told) = told(bwrap, "--nosuch true");
        assert_eq!((ran.status, &told[..]), (1, &[][..]));
    });
}

#[test]
fn a_signal_is_told_as_the_status_that_bwrap_ends_with() {
    each(|bwrap| {
        let (status, reader) = Fd::to_test();
        let options = format!("--json-status-fd {status}");
        let ran = bwrap.run(&[&status], &in_tools(&options, "kill -9 $$"));
        drop(status);
        let told = documents(&text_of(reader));
        assert_eq!((ran.status, &told[1]), (137, &json!({ "exit-code": 137 })));
    });
}

#[test]
fn both_reports_can_be_had_and_say_the_same() {
    each(|bwrap| {
        let (info, reader) = Fd::to_test();
        let (status, status_reader) = Fd::to_test();
        let options = format!("--unshare-all --info-fd {info} --json-status-fd {status}");
        assert_eq!(bwrap.inside(&[&info, &status], &options, ""), "");
        drop((info, status));
        let info = documents(&text_of(reader));
        assert_eq!(info[..], documents(&text_of(status_reader))[..1]);
    });
}

// Locks.

/// The kind of lock that somebody else has on all of this file (fcntl(2)).
pub fn locked(file: &File) -> i32 {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: it reads and writes the structure.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &mut lock) };
    assert_eq!(asked, 0);
    lock.l_type.into()
}

/// A new file that can be locked by anybody.
pub fn lockable(dir: &Dir, name: &str) -> File {
    let path = dir.file(name, "");
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Waits until somebody has a lock for readers on it. The peer takes it while the command starts.
#[track_caller]
fn await_lock(file: &File) {
    let end = Instant::now() + DEADLINE;
    while locked(file) != libc::F_RDLCK {
        assert!(Instant::now() < end, "nobody takes the lock");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn files_are_locked_for_readers_as_long_as_the_sandbox_has_processes() {
    each(|bwrap| {
        // Without a PID namespace, as long as the command runs.
        for (way, script) in [("", ANSWER), ("--unshare-pid", LEAVE)] {
            let dir = Dir::new();
            let files = ["one", "two"].map(|name| lockable(&dir, name));
            let options = format!(
                "--bind {} /l --lock-file /l/one --lock-file /l/two {way}",
                dir.text()
            );
            let mut live = Live::of(bwrap, &[], &options, script);
            for file in &files {
                await_lock(file);
                // Others may read as well.
                fcntl_lock(file, FlockOperation::NonBlockingLockShared).unwrap();
                fcntl_lock(file, FlockOperation::NonBlockingLockExclusive).unwrap_err();
                fcntl_lock(file, FlockOperation::Unlock).unwrap();
            }
            live.answers();
            assert_eq!(locked(&files[0]), libc::F_RDLCK, "{way}");
            live.end();
            for file in &files {
                fcntl_lock(file, FlockOperation::LockExclusive).unwrap();
            }
        }
    });
}

#[test]
fn a_file_that_cannot_be_locked_is_an_error() {
    let dir = Dir::new();
    // It is looked for inside, so that this one is not there either.
    let outside = dir.file("file", "");
    each(|bwrap| {
        for path in ["/no/such", &outside] {
            // The command may run already.
            let options = format!("--unshare-pid --lock-file {path}");
            let why = format!("Unable to open lock file {path}: No such file or directory");
            bwrap.refuses(&[], &in_tools(&options, "while :; do sleep 1; done"), &why);
        }
    });
}
