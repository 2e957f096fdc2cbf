//! The library in programs that have threads, signal handlers and children of their own.

mod support;

use rootlet::spec::Tty;
use rootlet::{Facts, Outcome, Plan, Spec, parent};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// A container that runs a script; in bash, since dash knows no descriptor above 9.
fn plan(script: &str, pass_fds: Vec<i32>) -> Plan {
    let command = ["bash", "-c", script].map(Into::into).to_vec();
    let spec = Spec {
        command,
        pass_fds,
        tty: Tty::Never,
        ..Spec::default()
    };
    Plan::new(&spec, &Facts::gather(&spec).unwrap()).unwrap()
}

fn status(plan: &Plan) -> Outcome {
    parent::launch(plan, false, &mut ())
        .unwrap()
        .wait(&mut ())
        .unwrap()
}

/// Ends this program when `work` has not ended within the time that only a hang takes.
fn without_hanging(work: impl FnOnce()) {
    let (done, wait) = mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if wait.recv_timeout(Duration::from_secs(200)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("a launch hangs");
            std::process::abort();
        }
    });
    work();
    drop(done);
    watchdog.join().unwrap();
}

#[test]
fn l11_a_thousand_launches_beside_eight_threads_that_allocate_hang_never() {
    let plan = plan("exit 7", vec![]);
    let (over, allocated) = (AtomicBool::new(false), AtomicUsize::new(0));
    without_hanging(|| {
        std::thread::scope(|scope| {
            for seed in 0..8 {
                let (over, allocated) = (&over, &allocated);
                scope.spawn(move || {
                    let mut size = 1 + seed;
                    while !over.load(Ordering::Relaxed) {
                        size = size * 31 % 70_001 + 1;
                        drop(std::hint::black_box(vec![0u8; size]));
                        allocated.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for number in 0..1000 {
                assert_eq!(status(&plan), Outcome::Exited(7), "launch {number}");
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    assert!(allocated.load(Ordering::Relaxed) > 1000);
}

#[test]
fn launches_from_many_threads_at_once_do_not_disturb_each_other() {
    without_hanging(|| {
        std::thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || {
                    let plan = plan(&format!("exit {number}"), vec![]);
                    for _ in 0..20 {
                        assert_eq!(status(&plan), Outcome::Exited(number));
                    }
                });
            }
        });
    });
}

/// A connection to a container that sends back each line it is sent.
fn echo() -> (Plan, BufReader<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let fd = theirs.as_raw_fd();
    (
        plan(
            &format!("exec 0<&{fd} 1>&{fd}; while read -r line; do echo $line; done"),
            vec![fd],
        ),
        BufReader::new(ours),
        theirs,
    )
}

/// Sends a line and reads what comes back: nothing, when nobody is there any more.
fn sent_back(connection: &mut BufReader<UnixStream>, line: &str) -> String {
    let _ = connection
        .get_mut()
        .write_all(format!("{line}\n").as_bytes());
    let mut back = String::new();
    let _ = connection.read_line(&mut back);
    back.trim_end().to_string()
}

#[test]
fn l4_a_container_outlives_the_thread_that_launched_it() {
    let (plan, mut connection, theirs) = echo();
    let plan: &'static Plan = Box::leak(Box::new(plan));
    let pid = std::thread::spawn(move || {
        let running = parent::launch(plan, false, &mut ()).unwrap();
        let pid = running.pid();
        // Kept open: dropped, it would end the container.
        std::mem::forget(running);
        pid
    });
    let pid = pid.join().unwrap();
    drop(theirs);
    assert_eq!(sent_back(&mut connection, "one"), "one");
    assert_eq!(sent_back(&mut connection, "two"), "two");
    rootlet::sys::kill(pid, libc::SIGKILL).unwrap();
    // SAFETY: a null pointer asks for no status.
    let waited = unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
    assert_eq!(waited, pid);
    assert_eq!(sent_back(&mut connection, "three"), "");
}

#[test]
fn a_container_ends_when_it_is_dropped() {
    let (plan, mut connection, theirs) = echo();
    let running = parent::launch(&plan, false, &mut ()).unwrap();
    drop(theirs);
    assert_eq!(sent_back(&mut connection, "one"), "one");
    drop(running);
    assert_eq!(sent_back(&mut connection, "two"), "");
}

#[test]
fn l11_the_callers_signal_mask_is_what_it_was() {
    let mask = rootlet::sys::SignalSet::only(libc::SIGUSR1);
    let before = rootlet::sys::set_signal_mask(mask);
    assert_eq!(status(&plan("exit 7", vec![])), Outcome::Exited(7));
    assert_eq!(rootlet::sys::set_signal_mask(before), mask);
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_container_sends_no_sigchld_to_its_caller() {
    // SAFETY: the handler only adds to an atomic number.
    unsafe { libc::signal(libc::SIGCHLD, count as *const () as libc::sighandler_t) };
    for _ in 0..20 {
        assert_eq!(
            status(&plan("(true &); exit 7", vec![])),
            Outcome::Exited(7)
        );
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
}

#[test]
fn a_thread_that_waits_for_any_child_does_not_take_the_status() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: a null pointer asks for no status.
                unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
            }
        });
        for _ in 0..50 {
            assert_eq!(status(&plan("exit 7", vec![])), Outcome::Exited(7));
        }
        over.store(true, Ordering::Relaxed);
    });
}
