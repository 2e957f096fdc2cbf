//! What is refused, and the words that this is said with: status 1, and no command has run.

use crate::fds::{CLOSED, Fd};
use crate::programs::{HOST, each, with, words};
use crate::support::skip;
use std::path::Path;

/// The options whose first argument is a descriptor, with the arguments after it.
const DESCRIPTORS: [(&str, &str); 16] = [
    ("--add-seccomp-fd", ""),
    ("--args", ""),
    ("--bind-data", "/x"),
    ("--bind-fd", "/x"),
    ("--block-fd", ""),
    ("--file", "/x"),
    ("--info-fd", ""),
    ("--json-status-fd", ""),
    ("--pidns", ""),
    ("--ro-bind-data", "/x"),
    ("--ro-bind-fd", "/x"),
    ("--seccomp", ""),
    ("--sync-fd", ""),
    ("--userns", ""),
    ("--userns-block-fd", ""),
    ("--userns2", ""),
];

#[test]
fn an_unknown_option_is_named() {
    each(|bwrap| {
        for option in words("--x -x - --- --bin --bind=/ --unshare -h") {
            let why = format!("Unknown option {option}");
            bwrap.refuses(&[], &[option, "true"], &why);
            bwrap.refuses(&[], &words(&format!("{HOST} {option}")), &why);
        }
    });
}

#[test]
fn what_is_no_descriptor_is_named() {
    for (option, more) in DESCRIPTORS {
        with(&[option], |bwrap| {
            for word in ["x", "", "-1", "1x", "1 "] {
                let line = [vec![option, word], words(more), vec!["true"]].concat();
                bwrap.refuses(&[], &line, &format!("Invalid fd: {word}"));
            }
        });
    }
}

#[test]
fn what_is_no_number_or_mode_or_size_or_capability_is_refused() {
    const PERMS: &str = "--perms takes an octal argument <= 07777";
    const CHMOD: &str = "--chmod takes an octal argument <= 07777";
    const SIZE: &str = "--size takes a non-zero number of bytes";
    each(|bwrap| {
        for (option, word, why) in [
            ("--uid", "x", "Invalid uid: x"),
            ("--uid", "-1", "Invalid uid: -1"),
            ("--uid", "", "Invalid uid: "),
            ("--gid", "1x", "Invalid gid: 1x"),
            ("--gid", "-5", "Invalid gid: -5"),
            ("--perms", "8", PERMS),
            ("--perms", "", PERMS),
            ("--perms", "10000", PERMS),
            ("--perms", "u+x", PERMS),
            ("--chmod", "8", CHMOD),
            ("--chmod", "", CHMOD),
            ("--chmod", "10000", CHMOD),
            ("--size", "0", SIZE),
            ("--size", "", SIZE),
            ("--size", "-1", SIZE),
            ("--size", " 1", SIZE),
            ("--size", "1M", SIZE),
            ("--size", "18446744073709551616", SIZE),
            (
                "--size",
                "9223372036854775808",
                "--size (for tmpfs) is limited to 9223372036854775807",
            ),
            ("--cap-add", "nosuch", "unknown cap: nosuch"),
            ("--cap-drop", "KILL", "unknown cap: KILL"),
            ("--cap-add", "", "unknown cap: "),
        ] {
            bwrap.refuses(&[], &[option, word, "/", "true"], why);
        }
    });
}

#[test]
fn a_modifier_has_to_be_followed_by_what_it_modifies() {
    const PERMS: &str = "--perms must be followed by an option that creates a file";
    const SIZE: &str = "--size must be followed by --tmpfs";
    each(|bwrap| {
        for (line, why) in [
            (
                "--perms 700 --perms 700",
                "--perms given twice for the same action",
            ),
            (
                "--size 1 --size 1",
                "--size given twice for the same action",
            ),
            ("--perms 700 --bind / /", PERMS),
            ("--perms 700 --proc /x", PERMS),
            ("--perms 700 --dev /x", PERMS),
            ("--perms 700 --mqueue /x", PERMS),
            ("--perms 700 --symlink a /x", PERMS),
            ("--perms 700 --chmod 700 /x", PERMS),
            ("--perms 700 --remount-ro /x", PERMS),
            ("--perms 700 --unshare-pid", PERMS),
            ("--size 1 --dir /x", SIZE),
            ("--size 1 --bind / /", SIZE),
            ("--size 1 --unshare-pid", SIZE),
            ("--size 1 --perms 700 --dir /x", SIZE),
        ] {
            bwrap.refuses(&[], &words(line), why);
        }
        // At the end there is nothing that it could have been for, and no harm.
        bwrap
            .run(&[], &words(&format!("{HOST} --perms 700 true")))
            .ok();
    });
}

#[test]
fn layers_have_to_be_followed_by_the_overlay_that_they_are_for() {
    const LAYERS: &str = "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, \
                          or --ro-overlay";
    const TWO: &str = "--ro-overlay requires at least two --overlay-src";
    with(&["--overlay-src"], |bwrap| {
        for (line, why) in [
            ("--overlay-src / true", LAYERS),
            ("--overlay-src / --overlay-src / true", LAYERS),
            ("--overlay-src / --dir /x true", LAYERS),
            ("--overlay-src / --perms 700 --dir /x true", LAYERS),
            (
                "--overlay / / /x true",
                "--overlay requires at least one --overlay-src",
            ),
            (
                "--tmp-overlay /x true",
                "--tmp-overlay requires at least one --overlay-src",
            ),
            ("--ro-overlay /x true", TWO),
            ("--overlay-src / --ro-overlay /x true", TWO),
        ] {
            bwrap.refuses(&[], &words(line), why);
        }
    });
}

#[test]
fn options_that_need_others_or_exclude_them_are_refused() {
    each(|bwrap| {
        for (options, why) in [
            (
                "--hostname x",
                "Specifying --hostname requires --unshare-uts",
            ),
            ("--as-pid-1", "Specifying --as-pid-1 requires --unshare-pid"),
            (
                "--unshare-pid --as-pid-1 --lock-file /usr",
                "Specifying --as-pid-1 and --lock-file is not permitted",
            ),
            (
                "--disable-userns",
                "--disable-userns requires --unshare-user",
            ),
            (
                "--disable-userns --unshare-all",
                "--disable-userns requires --unshare-user",
            ),
            (
                "--userns-block-fd 0",
                "--userns-block-fd requires --unshare-user",
            ),
            (
                "--userns-block-fd 0 --info-fd 0 --unshare-user-try",
                "--userns-block-fd requires --unshare-user",
            ),
            (
                "--userns-block-fd 0 --unshare-user",
                "--userns-block-fd requires --info-fd",
            ),
            (
                "--userns-block-fd 0 --unshare-user --info-fd 0 --disable-userns",
                "--disable-userns is not compatible with  --userns-block-fd",
            ),
            (
                "--userns 9 --unshare-user",
                "--userns not compatible --unshare-user",
            ),
            (
                "--userns 9 --unshare-user-try",
                "--userns not compatible --unshare-user-try",
            ),
            (
                "--userns 9 --unshare-all",
                "--userns not compatible --unshare-user-try",
            ),
            (
                "--seccomp 0 --add-seccomp-fd 0",
                "--add-seccomp-fd cannot be combined with --seccomp",
            ),
            (
                "--add-seccomp-fd 0 --seccomp 0",
                "--seccomp cannot be combined with --add-seccomp-fd",
            ),
            ("--setenv A=B 1", "setenv failed"),
            ("--unsetenv A=B", "unsetenv failed"),
        ] {
            bwrap.refuses_inside(&[], options, why);
        }
    });
    with(&["--argv0"], |bwrap| {
        bwrap.refuses_inside(&[], "--argv0 a --argv0 b", "--argv0 used multiple times");
    });
}

#[test]
fn a_closed_descriptor_is_refused_where_something_is_to_be_read_from_it() {
    const DATA: &str = "Can't write data to file /x: Bad file descriptor";
    const FILTER: &str = "Can't read seccomp data: Bad file descriptor";
    each(|bwrap| {
        for (option, more, why) in [
            ("--args", "", "Can't read --args data: Bad file descriptor"),
            ("--seccomp", "", FILTER),
            ("--add-seccomp-fd", "", FILTER),
            ("--file", "/x", DATA),
            ("--bind-data", "/x", DATA),
            ("--ro-bind-data", "/x", DATA),
            (
                "--userns",
                "",
                "Joining specified user namespace failed: Bad file descriptor",
            ),
            ("--pidns", "", "Setting pidns failed: Bad file descriptor"),
        ] {
            bwrap.refuses_inside(&[], &format!("{option} {CLOSED} {more}"), why);
        }
        // Who waits for it to be readable or to be closed has nothing to wait for.
        for option in ["--block-fd", "--sync-fd"] {
            assert_eq!(
                bwrap.inside(&[], &format!("{option} {CLOSED}"), "echo ran"),
                "ran"
            );
        }
    });
}

#[test]
fn a_descriptor_of_a_directory_has_no_content() {
    each(|bwrap| {
        for (option, more, why) in [
            (
                "--file",
                "/x",
                "Can't write data to file /x: Is a directory",
            ),
            (
                "--bind-data",
                "/x",
                "Can't write data to file /x: Is a directory",
            ),
            (
                "--ro-bind-data",
                "/x",
                "Can't write data to file /x: Is a directory",
            ),
            ("--seccomp", "", "Can't read seccomp data: Is a directory"),
        ] {
            let directory = Fd::open("/");
            bwrap.refuses_inside(&[&directory], &format!("{option} {directory} {more}"), why);
        }
    });
}

#[test]
fn a_descriptor_of_a_pipe_or_of_nothing_cannot_be_shown() {
    with(&["--bind-fd", "--ro-bind-fd"], |bwrap| {
        let (pipe, _reader) = Fd::to_test();
        for option in ["--bind-fd", "--ro-bind-fd"] {
            for fd in [&pipe.to_string(), CLOSED] {
                bwrap.refuses_inside(
                    &[&pipe],
                    &format!("{option} {fd} /x"),
                    "Can't find source path ",
                );
            }
        }
    });
}

#[test]
fn labels_are_refused_where_nothing_has_any() {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return skip("SELinux is on");
    }
    each(|bwrap| {
        for option in ["--exec-label", "--file-label"] {
            let why = "labeling not supported on this system";
            bwrap.refuses_inside(&[], &format!("{option} label"), why);
        }
    });
}
