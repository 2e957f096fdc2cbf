//! What is shown of the host's files, where, and what can be done with it.

use crate::fds::Fd;
use crate::programs::{TOOLS, each, in_tools, with, words};
use crate::support::{Dir, finish};
use rustix::fs::{Mode, OFlags, open};
use std::os::unix::fs::symlink;

#[test]
fn a_bind_can_be_written_or_not_and_has_neither_devices_nor_set_ids() {
    let dir = Dir::new();
    each(|bwrap| {
        let at = dir.text();
        let options =
            format!("--proc /proc --bind {at} /rw --ro-bind {at} /ro --dev-bind {at} /dev-bind");
        let script = r#"
            for at in rw ro dev-bind; do
                if (: >/$at/file) 2>/dev/null; then echo written; else echo refused; fi
                grep " /$at " /proc/self/mountinfo | cut -d' ' -f6 | tr , '\n' | grep -xE 'r[ow]|nosuid|nodev' | tr '\n' ' '
            done"#;
        assert_eq!(
            bwrap.inside(&[], &options, script),
            "written\nrw nosuid nodev refused\nro nosuid nodev written\nrw nosuid "
        );
    });
}

#[test]
fn devices_can_be_used_through_a_device_bind_alone() {
    each(|bwrap| {
        for (option, wanted) in [
            ("--dev-bind", "/d/null\n/null"),
            ("--bind", ""),
            ("--ro-bind", ""),
        ] {
            let options = format!("{option} /dev /d {option} /dev/null /null");
            let script =
                "for at in /d/null /null; do if (: >$at) 2>/dev/null; then echo $at; fi; done";
            assert_eq!(bwrap.inside(&[], &options, script), wanted, "{option}");
        }
    });
}

#[test]
fn a_read_only_bind_has_all_that_is_mounted_below_read_only() {
    each(|bwrap| {
        let script = r#"
            cut -d' ' -f5 /proc/self/mountinfo | grep ^/h/ | while read -r at; do
                test ! -w "$at" || echo "$at"
            done"#;
        let writable = |option| bwrap.inside(&[], &format!("--proc /proc {option} / /h"), script);
        assert!(writable("--bind").contains("/h/dev/shm"));
        assert_eq!(writable("--ro-bind"), "");
    });
}

#[test]
fn a_source_that_is_not_there_is_an_error_unless_it_is_only_tried() {
    let dir = Dir::new();
    let (file, missing) = (dir.file("file", "there"), dir.at("missing"));
    let dangling = dir.at("dangling");
    symlink("missing", &dangling).unwrap();
    each(|bwrap| {
        for option in ["--bind", "--ro-bind", "--dev-bind"] {
            for path in [&missing, &dangling] {
                let why = format!("Can't find source path {path}: No such file or directory");
                bwrap.refuses_inside(&[], &format!("{option} {path} /v"), &why);
                let tried = format!("{option}-try {path} /v");
                assert_eq!(bwrap.inside(&[], &tried, "test ! -e /v"), "", "{tried}");
            }
            let tried = format!("{option}-try {file} /v");
            assert_eq!(bwrap.inside(&[], &tried, "cat /v"), "there", "{tried}");
            // Anything else is an error all the same.
            let tried = format!("{option}-try {file}/x /v");
            let why = format!("Can't find source path {file}/x: Not a directory");
            bwrap.refuses_inside(&[], &tried, &why);
        }
    });
}

#[test]
fn a_source_may_be_relative_and_lead_through_links() {
    let dir = Dir::new();
    let real = dir.directory("real");
    std::fs::write(format!("{real}/file"), "found").unwrap();
    symlink(&real, dir.at("absolute")).unwrap();
    symlink("absolute/../real/file", dir.at("relative")).unwrap();
    each(|bwrap| {
        for source in ["real/../real/file", "./absolute/file", "relative"] {
            let options = format!("--ro-bind {source} /v");
            let mut command = bwrap.command(&[], &in_tools(&options, "cat /v; test ! -L /v"));
            command.current_dir(dir.path());
            assert_eq!(finish(command).ok(), "found", "{source}");
        }
    });
}

#[test]
fn a_file_is_not_shown_over_a_directory_nor_the_other_way_around() {
    let dir = Dir::new();
    let file = dir.file("file", "");
    each(|bwrap| {
        for (source, place, why) in [
            (&*file, "/dir", "Can't create file at /dir: Is a directory"),
            (dir.text(), "/file", "Can't mkdir /file: Not a directory"),
            (
                dir.text(),
                "/usr/no/such",
                "Can't mkdir parents for /usr/no/such: Read-only file system",
            ),
            (
                dir.text(),
                "/usr/no",
                "Can't mkdir /usr/no: Read-only file system",
            ),
            (
                &file,
                "/usr/no",
                "Can't create file at /usr/no: Read-only file system",
            ),
        ] {
            let options = format!("--dir /dir --bind {file} /file --bind {source} {place}");
            bwrap.refuses_inside(&[], &options, why);
        }
    });
}

#[test]
fn names_may_have_any_characters_and_a_destination_starts_at_the_root_anyway() {
    let dir = Dir::new();
    let source = dir.directory("a b,c:d\\e\"f\tg\nh");
    std::fs::write(format!("{source}/file"), "odd").unwrap();
    each(|bwrap| {
        let place = "v//w x\\040\n,:\"";
        let script =
            format!("cd '/{place}'; cat file; if (: >file) 2>/dev/null; then echo written; fi");
        let command = ["sh", "-ec", &script];
        for read_only in [
            &["--ro-bind", &source, place][..],
            &["--bind", &source, place, "--remount-ro", place],
        ] {
            let line = [&words(TOOLS), read_only, &command].concat();
            assert_eq!(bwrap.run(&[], &line).ok(), "odd");
        }
    });
}

#[test]
fn a_destination_that_is_a_link_is_followed() {
    let dir = Dir::new();
    let file = dir.file("name", "shown");
    each(|bwrap| {
        let text = Fd::text("data");
        let options = format!(
            "--dir /a/dir --symlink dir /a/link --bind {} /a/link --symlink a /b --file {text} /b/file --dir /b/made \
             --symlink target /a/dangling --bind {file} /a/dangling",
            dir.text()
        );
        let script =
            "readlink /a/link /a/dangling; cat /a/dir/name /a/file /a/target; ls -d /a/made";
        let shown = bwrap.inside(&[&text], &options, script);
        assert_eq!(shown, "dir\ntarget\nshowndatashown/a/made");
    });
}

#[test]
fn a_descriptor_of_a_directory_or_a_file_can_be_shown() {
    let dir = Dir::new();
    let file = dir.file("name", "shown");
    with(&["--bind-fd", "--ro-bind-fd"], |bwrap| {
        let directory = Fd::open(dir.path());
        let path = Fd::of(open(&file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap());
        let fds = [&directory, &path];
        let options = format!("--bind-fd {directory} /d --ro-bind-fd {path} /f");
        let script = "cat /d/name /f; : >/d/new; if (: >/f) 2>/dev/null; then echo written; fi";
        assert_eq!(bwrap.inside(&fds, &options, script), "shownshown");
        assert_eq!(dir.names(), ["name", "new"]);
        // It is still open here, and for the next.
        let options = format!("--ro-bind-fd {directory} /d --bind-fd {path} /f");
        let script = "ls /d; if rm /d/new 2>/dev/null; then echo removed; fi; : >/f; stat -c %s /f";
        assert_eq!(bwrap.inside(&fds, &options, script), "name\nnew\n0");
        std::fs::remove_file(dir.at("new")).unwrap();
        dir.file("name", "shown");
    });
}

#[test]
fn a_view_is_made_read_only_afterwards_and_what_is_mounted_below_is_not() {
    each(|bwrap| {
        let script = r#"
            for at in / /t /t/dir /t/below; do
                if (: >$at/file) 2>/dev/null; then echo $at; fi
            done"#;
        let views = "--tmpfs /t --tmpfs /t/below --dir /t/dir --remount-ro";
        assert_eq!(
            bwrap.inside(&[], &format!("{views} /t"), script),
            "/\n/t/below"
        );
        assert_eq!(
            bwrap.inside(&[], &format!("{views} /"), script),
            "/t\n/t/dir\n/t/below"
        );
        // Only where something is mounted.
        for path in ["/t/dir", "/no"] {
            bwrap.refuses_inside(
                &[],
                &format!("{views} {path}"),
                "Can't remount readonly on ",
            );
        }
    });
}
