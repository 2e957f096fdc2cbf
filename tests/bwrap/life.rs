//! Who lives how long: the program that was started, its parent, the command, and what the command leaves behind.

use crate::fds::Fd;
use crate::live::{ANSWER, LEAVE, Live, info_of};
use crate::programs::{Bwrap, WAYS, each, in_tools};
use crate::support::send;
use std::io::PipeWriter;
use std::process::Command;

const ENDS: [i32; 2] = [libc::SIGTERM, libc::SIGKILL];

#[test]
fn what_the_command_leaves_behind_lives_on_and_bwrap_returns() {
    each(|bwrap| {
        for way in &WAYS[..2] {
            let mut live = Live::of(bwrap, &[], way, &format!("{LEAVE}\nexit 42"));
            assert_eq!(live.status(), Some(42), "{way}");
            live.answers();
            live.end();
        }
    });
}

#[test]
fn what_a_command_that_is_process_1_leaves_behind_ends_with_it() {
    each(|bwrap| {
        let (mut live, command) = with_orphan(bwrap, "--unshare-pid --as-pid-1");
        drop(command);
        assert_eq!(live.status(), Some(0));
        live.is_killed();
    });
}

/// A sandbox in which an orphan answers that has a session of its own, while the command waits for the end of a pipe.
pub fn with_orphan(bwrap: &Bwrap, options: &str) -> (Live, PipeWriter) {
    let (waits, end) = Fd::from_test();
    let script = format!(
        "exec 3<&0; (setsid sh -c '{ANSWER}' <&3 3<&- &); read -r line </proc/self/fd/{waits} || :"
    );
    let options = format!("--proc /proc {options}");
    (Live::of(bwrap, &[&waits], &options, &script), end)
}

#[test]
fn a_sandbox_runs_on_when_bwrap_is_ended() {
    each(|bwrap| {
        for way in WAYS {
            for signal in ENDS {
                let mut live = Live::of(bwrap, &[], way, ANSWER);
                send(live.bwrap.id(), signal);
                assert_eq!(live.status(), None, "{way} {signal}");
                live.answers();
                live.end();
            }
        }
    });
}

#[test]
fn a_sandbox_runs_on_when_the_parent_of_bwrap_is_killed() {
    each(|bwrap| {
        for way in WAYS {
            let mut live = Live::start(parent_of(bwrap, &in_tools(way, ANSWER)));
            live.bwrap.kill().unwrap();
            live.bwrap.wait().unwrap();
            live.answers();
            live.end();
        }
    });
}

#[test]
fn the_status_is_told_when_the_first_process_is_killed() {
    each(|bwrap| {
        for way in WAYS {
            let (mut live, pid) = info_of(bwrap, way, ANSWER);
            send(pid, libc::SIGKILL);
            assert_eq!(live.status(), Some(137), "{way}");
            live.is_killed();
        }
    });
}

// --die-with-parent

/// The peer's init asks for its death with bwrap after it has started the command, so that a kill may come before that. So
/// none of these has an init; for ours there are some that have, in another module.
const NO_INIT: [&str; 3] = ["", "--unshare-all --as-pid-1 --dev /dev", "--new-session"];

#[test]
fn a_sandbox_that_is_to_die_with_its_parent_ends_when_bwrap_is_ended() {
    each(|bwrap| dies_with_bwrap(bwrap, &NO_INIT));
}

/// Requires that sandboxes made in these ways end with bwrap.
#[track_caller]
pub fn dies_with_bwrap(bwrap: &Bwrap, ways: &[&str]) {
    for way in ways {
        for signal in ENDS {
            let mut live = Live::of(bwrap, &[], &format!("--die-with-parent {way}"), ANSWER);
            send(live.bwrap.id(), signal);
            live.is_killed();
            assert_eq!(live.status(), None, "{way} {signal}");
        }
    }
}

#[test]
fn a_sandbox_that_is_to_die_with_its_parent_ends_when_that_is_killed() {
    each(|bwrap| dies_with_parent(bwrap, &NO_INIT));
}

/// Requires that sandboxes made in these ways end with the parent of bwrap.
#[track_caller]
pub fn dies_with_parent(bwrap: &Bwrap, ways: &[&str]) {
    for way in ways {
        for _ in 0..20 {
            let options = format!("--die-with-parent {way}");
            let mut live = Live::start(parent_of(bwrap, &in_tools(&options, ANSWER)));
            live.bwrap.kill().unwrap();
            live.is_killed();
        }
    }
}

/// A parent of `bwrap` with these arguments, and of nobody else.
pub fn parent_of(bwrap: &Bwrap, arguments: &[&str]) -> Command {
    let mut parent = Command::new("sh");
    parent.args(["-c", r#"exec 3<&0; "$@" <&3 3<&- & exec 3<&-; wait"#, "sh"]);
    parent.arg(bwrap.path()).args(arguments);
    parent
}

#[test]
fn orphans_in_a_pid_namespace_die_with_the_parent() {
    each(|bwrap| {
        let (mut live, _command) = with_orphan(bwrap, "--die-with-parent --unshare-pid --as-pid-1");
        live.bwrap.kill().unwrap();
        live.is_killed();
    });
}
