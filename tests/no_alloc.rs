//! No process inside allocates: this program's allocator ends any process that does and is not the one that began.

mod support;

use rootlet::spec::{Missing, Mount, Net, Root, Share, Tty, User, Without};
use rootlet::{Facts, Outcome, Plan, Spec, parent};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use support::Dir;

/// The system's allocator, for one process.
struct OneProcess;

static FIRST: AtomicI64 = AtomicI64::new(0);

/// Ends this process with a message when it is not the first that came here.
fn check() {
    // SAFETY: takes and returns plain numbers. Raw, since libc may remember the parent's.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    let first = FIRST
        .compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed)
        .unwrap_or_else(|first| first);
    if first != 0 && first != pid {
        let message = b"allocation after clone\n";
        // SAFETY: the kernel reads as many bytes as the message has; a process may kill itself.
        unsafe {
            libc::syscall(libc::SYS_write, 2, message.as_ptr(), message.len());
            libc::syscall(libc::SYS_kill, pid, libc::SIGABRT);
            libc::syscall(libc::SYS_exit_group, 99);
        }
    }
}

// SAFETY: hands everything to the system's allocator.
unsafe impl GlobalAlloc for OneProcess {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: OneProcess = OneProcess;

/// Launches in a copy of this program's memory, and in that memory itself, which has to come to the same.
fn launch(spec: &Spec) -> rootlet::error::Result<Outcome> {
    // A program that shares its memory with a container launches no other meanwhile.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = Plan::new(spec, &Facts::gather(spec)?)?;
    let shared = parent::supervise(&plan, true, &mut ());
    // The outer side of a terminal needs somebody who keeps it.
    if plan.tty {
        return shared;
    }
    let copied = parent::launch(&plan, true, &mut ())?.wait(&mut ());
    let text = |result: &rootlet::error::Result<Outcome>| format!("{result:?}");
    assert_eq!(text(&shared), text(&copied));
    copied
}

fn command(words: &[&str]) -> Spec {
    Spec {
        command: words.iter().map(Into::into).collect(),
        tty: Tty::Never,
        ..Spec::default()
    }
}

fn bind(source: &str, target: &str, read_only: bool) -> Mount {
    Mount::Bind {
        source: source.into(),
        target: Some(target.into()),
        read_only,
        without: Without::default(),
        missing: Missing::Refused,
    }
}

/// Everything at once.
fn many_options() -> Spec {
    Spec {
        user: User::Ids { uid: 5, gid: 6 },
        net: Net::None,
        hostname: Some("box".into()),
        boottime: Some(5),
        monotonic: Some(7),
        read_only: true,
        workdir: Some("/mnt".into()),
        env: vec!["A=b".into()],
        mounts: vec![
            Mount::Tmpfs {
                target: "/mnt".into(),
                size: Some("1m".into()),
                mode: None,
            },
            bind("/usr", "/mnt/usr", true),
            bind("/etc/passwd", "/mnt/a/b/passwd", false),
        ],
        ..command(&["sh", "-c", "exit 7"])
    }
}

#[test]
fn l11_no_launch_allocates_after_the_clone() {
    let root = Dir::new();
    for name in ["usr", "bin", "lib", "lib64", "proc", "dev"] {
        root.directory(name);
    }
    let rootfs = Spec {
        root: Root::Directory(root.path().into()),
        mounts: ["/usr", "/bin", "/lib", "/lib64"]
            .iter()
            .map(|path| bind(path, path, true))
            .collect(),
        ..command(&["sh", "-c", "exit 7"])
    };
    for spec in [
        command(&["sh", "-c", "exit 7"]),
        many_options(),
        Spec {
            init: false,
            ..many_options()
        },
        Spec {
            share: vec![Share::Pid],
            ..many_options()
        },
        rootfs.clone(),
        Spec {
            init: false,
            read_only: true,
            ..rootfs.clone()
        },
        Spec {
            tty: Tty::Always,
            ..many_options()
        },
        Spec {
            tty: Tty::Always,
            ..rootfs
        },
        command(&["sh", "-c", "for i in 1 2 3 4 5; do (true &); done; exit 7"]),
    ] {
        assert_eq!(
            launch(&spec).map_err(|error| error.to_string()),
            Ok(Outcome::Exited(7)),
            "{spec:?}"
        );
    }
}

#[test]
fn l11_no_failure_allocates_after_the_clone() {
    for (spec, step) in [
        (command(&["no-such-command"]), "execute no-such-command"),
        (
            Spec {
                init: false,
                ..command(&["/"])
            },
            "execute /",
        ),
        (
            Spec {
                mounts: vec![bind("/missing", "/mnt", false)],
                ..many_options()
            },
            "open /missing",
        ),
        (
            Spec {
                root: Root::Directory("/missing".into()),
                ..command(&["true"])
            },
            "open /missing",
        ),
        (
            Spec {
                workdir: Some("/missing".into()),
                ..command(&["true"])
            },
            "change to the working directory",
        ),
        (
            Spec {
                boottime: Some(-1_000_000_000),
                ..command(&["true"])
            },
            "set the clocks",
        ),
    ] {
        let error = launch(&spec).unwrap_err().to_string();
        assert!(error.starts_with(step), "{error}");
    }
}

#[test]
fn the_allocator_ends_a_process_that_allocates_after_the_clone() {
    // SAFETY: the child allocates, which is what is tested, and ends; in this allocator nothing is locked before that.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(std::hint::black_box(vec![0u8; 4096]));
        rootlet::sys::exit(0);
    }
    let mut status = 0;
    // SAFETY: `status` is there to be written to.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(
        libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT,
        "{status}"
    );
}
