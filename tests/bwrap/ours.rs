//! Where ours does on purpose what the peer does not: docs/bwrap.md says why.

use crate::fds::{CLOSED, Fd, await_input, inherit};
use crate::life::{dies_with_bwrap, dies_with_parent, parent_of, with_orphan};
use crate::live::{ANSWER, Live};
use crate::programs::{TOOLS, in_tools, ours, words};
use crate::pty::Screen;
use crate::reports::{lockable, locked};
use crate::support::{Dir, ROOTLET, finish, send, shell};
use std::io::Write;
use std::process::Command;

#[test]
fn it_is_a_verb_too() {
    let rootlet = |arguments: &[&str]| {
        let mut command = Command::new(ROOTLET);
        command.arg("bwrap").args(arguments);
        finish(command)
    };
    assert_eq!(rootlet(&in_tools("--unshare-pid", "echo $$")).ok(), "2");
    rootlet(&["--nosuch"]).fails(1, &["bwrap: Unknown option --nosuch"]);
}

#[test]
fn more_than_9000_arguments_are_taken() {
    let set = "--setenv A 1 ".repeat(5000);
    assert_eq!(ours().inside(&[], &set, "echo $A"), "1");
    let list = Fd::text(set.replace(' ', "\0"));
    assert_eq!(
        ours().inside(&[&list], &format!("--args {list}"), "echo $A"),
        "1"
    );
}

// --die-with-parent

/// Ways to have a sandbox that has an init, or for which the peer makes a process of the kind.
const WAYS: [&str; 3] = [
    "--unshare-pid",
    "--unshare-all --dev /dev --new-session",
    "--sync-fd 0",
];

#[test]
fn an_init_dies_with_the_parent_from_the_beginning() {
    dies_with_bwrap(ours(), &WAYS);
    dies_with_parent(ours(), &WAYS);
}

#[test]
fn orphans_die_with_the_parent_in_any_sandbox() {
    for way in ["", "--unshare-pid"] {
        for _ in 0..20 {
            let (mut live, _command) = with_orphan(ours(), &format!("--die-with-parent {way}"));
            live.bwrap.kill().unwrap();
            live.is_killed();
        }
    }
}

#[test]
fn orphans_that_are_to_die_with_the_parent_do_when_bwrap_has_returned() {
    let (mut live, command) = with_orphan(ours(), "--die-with-parent --unshare-pid");
    drop(command);
    assert_eq!(live.status(), Some(0));
    live.is_killed();
}

#[test]
fn a_parent_whose_thread_has_ended_is_alive() {
    let start = || Live::of(ours(), &[], "--die-with-parent", ANSWER);
    let mut live = std::thread::spawn(start).join().unwrap();
    live.answers();
    live.bwrap.kill().unwrap();
    live.is_killed();
}

#[test]
fn a_parent_that_is_killed_before_anything_is_set_up_takes_the_sandbox_along() {
    for _ in 0..20 {
        let (arguments, mut writer) = Fd::from_test();
        let number = arguments.to_string();
        let line = [&["--args", &number], &in_tools("", ANSWER)[..]].concat();
        let mut parent = parent_of(ours(), &line);
        inherit(&mut parent, &[&arguments]);
        let mut live = Live::unanswered(parent);
        drop(arguments);
        // More than the pipe holds: when all of it is in there, bwrap has started to read.
        let long = "x".repeat(70_000);
        write!(writer, "--die-with-parent\0--setenv\0A\0{long}\0").unwrap();
        live.bwrap.kill().unwrap();
        live.bwrap.wait().unwrap();
        drop(writer);
        live.is_killed();
    }
}

#[test]
fn a_parent_that_is_killed_while_the_command_has_to_wait_takes_the_sandbox_along() {
    for way in ["", "--unshare-pid"] {
        let (blocks, _release) = Fd::from_test();
        let (info, reader) = Fd::to_test();
        let options = format!("--die-with-parent --block-fd {blocks} --info-fd {info} {way}");
        let mut parent = parent_of(ours(), &in_tools(&options, ANSWER));
        inherit(&mut parent, &[&blocks, &info]);
        let mut live = Live::unanswered(parent);
        drop((blocks, info));
        await_input(&reader);
        live.bwrap.kill().unwrap();
        live.is_killed();
    }
}

#[test]
fn a_parent_in_another_pid_namespace_takes_the_sandbox_along() {
    for way in ["", "--unshare-pid"] {
        let mut parent = Command::new("unshare");
        parent.args(["-Ur", "--pid", "--fork", "--mount-proc"]);
        let options = format!("--die-with-parent {way}");
        let line = in_tools(&options, ANSWER);
        parent.arg(ours().path()).args(line);
        let mut live = Live::start(parent);
        live.bwrap.kill().unwrap();
        live.is_killed();
    }
}

#[test]
fn a_sandbox_whose_bwrap_is_stopped_dies_with_the_parent() {
    for way in ["", "--unshare-pid"] {
        let options = format!("--die-with-parent {way}");
        let mut live = Live::start(parent_of(ours(), &in_tools(&options, ANSWER)));
        let parent = live.bwrap.id();
        let bwrap = shell(&format!("cat /proc/{parent}/task/{parent}/children")).ok();
        send(bwrap.trim().parse().unwrap(), libc::SIGSTOP);
        live.bwrap.kill().unwrap();
        live.is_killed();
    }
}

// Files.

#[test]
fn an_absolute_link_as_a_destination_leads_into_the_new_root() {
    let dir = Dir::new();
    dir.file("name", "shown");
    let text = Fd::text("data");
    let at = dir.text();
    let options = format!(
        "--dir /real --symlink /real /link --bind {at} /link/bound --file {text} /link/file"
    );
    let script = "cat /real/bound/name /real/file; readlink /link";
    assert_eq!(ours().inside(&[&text], &options, script), "showndata/real");
}

#[test]
fn parents_of_what_has_no_mode_of_its_own_are_open_to_all() {
    for view in [
        "--ro-bind /usr /x/y/z",
        "--bind /etc/passwd /x/y/z",
        "--symlink text /x/y/z",
        "--proc /x/y/z",
        "--dev /x/y/z",
        "--unshare-ipc --mqueue /x/y/z",
        "--overlay-src /usr/bin --tmp-overlay /x/y/z",
    ] {
        let modes = ours().inside(&[], view, "stat -c %a /x /x/y");
        assert_eq!(modes, "755\n755", "{view}");
    }
}

#[test]
fn a_destination_does_not_lead_out_of_the_new_root() {
    for place in ["/a/../../b", "../b"] {
        let ran = ours().run(&[], &words(&format!("{TOOLS} --dir {place} true")));
        ran.fails(1, &["bwrap: ", place, "outside of the root"]);
    }
}

// Processes.

#[test]
fn the_command_is_process_2_whatever_else_is_made_meanwhile() {
    for way in ["--unshare-pid", "--unshare-all", "--unshare-all --dev /dev"] {
        assert_eq!(ours().inside(&[], way, "echo $$"), "2", "{way}");
    }
}

// Descriptors and reports.

#[test]
fn a_descriptor_that_was_read_for_one_option_is_refused_for_another() {
    let text = Fd::text("text");
    for option in ["--file", "--bind-data", "--ro-bind-data"] {
        let options = format!("--file {text} /a {option} {text} /b");
        let why = "Can't write data to file /b: Bad file descriptor";
        ours().refuses_inside(&[&text], &options, why);
    }
}

#[test]
fn nothing_is_left_when_a_report_cannot_be_written() {
    for option in ["--info-fd", "--json-status-fd"] {
        // Somebody who were left would hold the output open.
        let why = "Write to info_fd: Bad file descriptor";
        ours().refuses_inside(&[], &format!("{option} {CLOSED}"), why);
    }
}

#[test]
fn nothing_waits_for_ids_when_bwrap_has_been_ended() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let (blocks, _release) = Fd::from_test();
        let (info, reader) = Fd::to_test();
        let options = format!("--unshare-user --userns-block-fd {blocks} --info-fd {info}");
        let words = in_tools(&options, ANSWER);
        let mut live = Live::unanswered(ours().command(&[&blocks, &info], &words));
        drop((blocks, info));
        await_input(&reader);
        send(live.bwrap.id(), signal);
        assert_eq!(live.status(), None, "{signal}");
        live.is_killed();
    }
}

#[test]
fn a_file_is_locked_before_the_command_runs() {
    let dir = Dir::new();
    let file = lockable(&dir, "file");
    let options = format!("--bind {} /l --lock-file /l/file", dir.text());
    for way in ["", "--unshare-pid"] {
        let mut live = Live::of(ours(), &[], &format!("{options} {way}"), ANSWER);
        assert_eq!(locked(&file), libc::F_RDLCK, "{way}");
        live.end();
    }
}

// Terminals.

#[test]
fn an_interrupt_is_the_commands_and_its_status_is_told() {
    for way in ["", "--unshare-pid"] {
        let script =
            "trap 'echo caught; exit 3' INT; echo ready; while :; do read -r line || :; done";
        let mut command = Command::new(ours().path());
        command.args(in_tools(way, script));
        let mut screen = Screen::start(&mut command);
        screen.shows("ready");
        screen.types("\x03");
        screen.shows("caught");
        assert_eq!(screen.ends().0.code(), Some(3), "{way}");
    }
}
