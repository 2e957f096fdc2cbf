//! What is shown of processes, devices and message queues.

use crate::programs::{each, in_tools};
use crate::pty::Screen;
use crate::support::installed;
use std::process::Command;

#[test]
fn the_processes_that_are_shown_are_the_hosts_or_those_of_a_pid_namespace() {
    let own = std::process::id();
    each(|bwrap| {
        let script = format!("if test -d /p/{own}; then echo seen; fi; cat /p/self/comm");
        assert_eq!(bwrap.inside(&[], "--proc /p", &script), "seen\ncat");
        let script = "cd /p; echo [0-9]*; echo $$";
        assert_eq!(
            bwrap.inside(&[], "--proc /p --unshare-pid", script),
            "1 2\n2"
        );
        assert_eq!(
            bwrap.inside(&[], "--proc /p --unshare-pid --as-pid-1", script),
            "1\n1"
        );
    });
}

#[test]
fn a_fresh_dev_has_these_names_and_they_work() {
    each(|bwrap| {
        let script = "cd /dev; echo *; readlink core fd ptmx stderr stdin stdout";
        assert_eq!(
            bwrap.inside(&[], "--proc /proc --dev /dev", script),
            "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero\n\
             /proc/kcore\n/proc/self/fd\npts/ptmx\n/proc/self/fd/2\n/proc/self/fd/0\n/proc/self/fd/1"
        );
        let script = r#"
            cd /dev; for name in full null random tty urandom zero; do test -c $name || echo $name; done
            stat -c '%n %a' . pts null
            : >null; head -c 2 zero | od -An -tx1; test "$(head -c 3 urandom random | wc -c)" -gt 5
            (echo >full) 2>/dev/null || echo full
            ls -A shm; echo x >shm/file; cat shm/file; test -c ptmx; echo said >/dev/stdout
            : >/dev/new; rm /dev/new; stat -f -c %T /dev/pts"#;
        assert_eq!(
            bwrap.inside(&[], "--proc /proc --dev /dev", script),
            ". 755\npts 755\nnull 666\n 00 00\nfull\nx\nsaid\ndevpts"
        );
    });
}

#[test]
fn a_terminal_can_be_opened_in_a_fresh_dev() {
    if !installed(&["script"]) {
        return;
    }
    each(|bwrap| {
        let script = "script -qec 'tty; test -t 0' /dev/null </dev/null | tr -d '\\r'";
        let shown = bwrap.inside(&[], "--proc /proc --dev /dev", script);
        assert_eq!(shown, "/dev/pts/0");
    });
}

#[test]
fn a_fresh_dev_has_a_console_if_standard_output_is_a_terminal() {
    each(|bwrap| {
        let script = "test -c /dev/console && tty && echo here >/dev/console";
        let mut command = Command::new(bwrap.path());
        command.args(in_tools("--proc /proc --dev /dev", script));
        let (status, shown) = Screen::start(&mut command).ends();
        assert_eq!(
            (status.code(), &*shown),
            (Some(0), "/dev/console\r\nhere\r\n")
        );
    });
}

#[test]
fn message_queues_are_shown_of_a_namespace_of_ones_own() {
    each(|bwrap| {
        let script = "stat -f -c %T /a/mq; : >/a/mq/queue; ls /a/mq";
        let shown = bwrap.inside(&[], "--unshare-ipc --mqueue /a/mq", script);
        assert_eq!(shown, "mqueue\nqueue");
        bwrap.refuses_inside(&[], "--mqueue /mq", "Can't mount mqueue on ");
    });
}
