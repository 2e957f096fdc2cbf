//! Files, directories and links that exist only in the sandbox, and their modes.

use crate::fds::Fd;
use crate::programs::{each, in_tools, since, with};
use crate::support::{Dir, finish};
use rustix::fs::Mode;
use rustix::process::umask;
use std::io::Write;
use std::os::unix::process::CommandExt;

#[test]
fn a_file_has_what_is_read_and_who_may_write_it_depends_on_the_option() {
    each(|bwrap| {
        let [file, bound, fixed] = ["file", "bound", "fixed"].map(Fd::text);
        let options = format!(
            "--file {file} /a/b/file --bind-data {bound} /bound --ro-bind-data {fixed} /c/fixed"
        );
        let script = r#"
            for path in /a/b/file /bound /c/fixed; do
                stat -c '%a %s' $path; cat $path; echo
                if (echo more >>$path) 2>/dev/null; then tail -c 5 $path; fi
            done"#;
        assert_eq!(
            bwrap.inside(&[&file, &bound, &fixed], &options, script),
            "666 4\nfile\nmore\n600 5\nbound\nmore\n600 5\nfixed"
        );
    });
}

#[test]
fn a_file_may_be_empty_or_large_or_of_any_bytes_and_come_from_a_pipe() {
    each(|bwrap| {
        let (empty, large, odd) = (
            Fd::text(""),
            Fd::text("x".repeat(3 << 20)),
            Fd::text(b"\0\xff\n"),
        );
        let (piped, mut writer) = Fd::from_test();
        writer.write_all(b"piped").unwrap();
        drop(writer);
        let options = format!(
            "--file {empty} /empty --bind-data {large} /large --ro-bind-data {odd} /odd --file {piped} /piped"
        );
        let script = "stat -c %s /empty /large; od -An -tx1 /odd; cat /piped";
        let shown = bwrap.inside(&[&empty, &large, &odd, &piped], &options, script);
        assert_eq!(shown, "0\n3145728\n 00 ff 0a\npiped");
    });
}

#[test]
fn a_bound_file_covers_what_is_there_and_a_copied_one_replaces_it() {
    let dir = Dir::new();
    each(|bwrap| {
        let file = dir.file("file", "host's");
        let host = || std::fs::read_to_string(&file).unwrap();
        let [bound, copied] = ["bound", "copied"].map(Fd::text);
        let bind = format!("--bind {} /d", dir.text());
        let options = format!("{bind} --bind-data {bound} /d/file");
        let shown = bwrap.inside(&[&bound], &options, "cat /d/file; echo more >/d/file");
        assert_eq!((&*shown, &*host()), ("bound", "host's"));
        let options = format!("{bind} --file {copied} /d/file");
        let shown = bwrap.inside(&[&copied], &options, "cat /d/file");
        assert_eq!((&*shown, &*host()), ("copied", "copied"));
    });
}

#[test]
fn a_mode_is_for_the_next_file_or_directory_alone() {
    each(|bwrap| {
        let [a, b, c, d, e, f] = [(); 6].map(|()| Fd::text(""));
        let options = format!(
            "--perms 0640 --file {a} /a --file {b} /b --perms 4751 --bind-data {c} /c --bind-data {d} /d \
             --perms 0 --ro-bind-data {e} /e --ro-bind-data {f} /f --perms 01777 --dir /g --dir /h \
             --perms 1770 --tmpfs /i --tmpfs /j"
        );
        assert_eq!(
            bwrap.inside(
                &[&a, &b, &c, &d, &e, &f],
                &options,
                "stat -c '%n %a' /[a-j]"
            ),
            "/a 640\n/b 666\n/c 4751\n/d 600\n/e 0\n/f 600\n/g 1777\n/h 755\n/i 1770\n/j 755"
        );
    });
}

#[test]
fn the_callers_mask_is_the_commands_and_counts_for_nothing_else() {
    each(|bwrap| {
        let text = Fd::text("");
        let options = format!("--file {text} /a/file --dir /b");
        let mut command = bwrap.command(
            &[&text],
            &in_tools(&options, "umask; stat -c %a /a/file /b"),
        );
        // SAFETY: a system call only.
        unsafe {
            command.pre_exec(|| {
                umask(Mode::from_raw_mode(0o077));
                Ok(())
            })
        };
        assert_eq!(finish(command).ok(), "0077\n666\n755");
    });
}

#[test]
fn parents_are_closed_to_whom_the_file_is_closed() {
    each(|bwrap| {
        for (mode, parent) in [
            ("1777", "755"),
            ("755", "755"),
            ("644", "755"),
            ("750", "750"),
            ("710", "750"),
            ("720", "750"),
            ("700", "700"),
            ("000", "700"),
            ("705", "705"),
            ("604", "705"),
        ] {
            let text = Fd::text("");
            let options =
                format!("--perms {mode} --dir /a/b/c --perms {mode} --file {text} /x/y/z");
            let modes = bwrap.inside(&[&text], &options, "stat -c %a /a /a/b /x /x/y");
            assert_eq!(modes, [parent; 4].join("\n"), "{mode}");
        }
    });
}

#[test]
fn a_directory_that_is_there_stays_as_it_is() {
    let dir = Dir::new();
    dir.file("file", "kept");
    each(|bwrap| {
        let options = "--perms 750 --dir /a/b --dir /a/b --perms 700 --dir /a/b";
        assert_eq!(bwrap.inside(&[], options, "stat -c %a /a/b"), "750");
        let options = format!("--bind {} /d --dir /d", dir.text());
        assert_eq!(bwrap.inside(&[], &options, "cat /d/file"), "kept");
    });
}

#[test]
fn a_directory_is_not_made_in_a_file_or_where_nothing_may_be_written() {
    let dir = Dir::new();
    dir.file("file", "");
    each(|bwrap| {
        for (options, why) in [
            ("--dir /d/file", "Can't mkdir /d/file: Not a directory"),
            ("--tmpfs /d/file", "Can't mkdir /d/file: Not a directory"),
            (
                "--dir /d/file/x",
                "Can't mkdir parents for /d/file/x: Not a directory",
            ),
            (
                "--dir /usr/no/such",
                "Can't mkdir parents for /usr/no/such: Read-only file system",
            ),
            (
                "--dir /usr/no",
                "Can't mkdir /usr/no: Read-only file system",
            ),
        ] {
            let options = format!("--bind {} /d {options}", dir.text());
            bwrap.refuses_inside(&[], &options, why);
        }
    });
}

#[test]
fn a_mode_is_changed_of_what_is_there_and_where_it_stands_in_the_line() {
    with(&["--chmod"], |bwrap| {
        let options = "--dir /a --chmod 1711 /a --symlink a /l --dir /b --chmod 700 /l";
        assert_eq!(bwrap.inside(&[], options, "stat -c %a /a /b"), "700\n755");
        let why = "Can't chmod 0700 /a: No such file or directory";
        bwrap.refuses_inside(&[], "--chmod 700 /a --dir /a", why);
        bwrap.refuses_inside(&[], "--chmod 700 /usr", "Can't chmod 0700 /usr: ");
    });
}

#[test]
fn a_link_has_the_text_that_is_given() {
    each(|bwrap| {
        let options = "--symlink ../no/such /a/b/link --symlink usr/share /share";
        let script = "readlink /a/b/link /share; cd /share; pwd -P";
        let shown = bwrap.inside(&[], options, script);
        assert_eq!(shown, "../no/such\nusr/share\n/usr/share");
    });
}

#[test]
fn a_link_is_made_where_nothing_is() {
    each(|bwrap| {
        for (options, why) in [
            (
                "--symlink a /usr/no",
                "Can't make symlink at /usr/no: Read-only file system",
            ),
            ("--dir /a --symlink b /a", "Can't make symlink at /a: "),
            (
                "--symlink a /l --symlink b /l",
                "Can't make symlink at /l: ",
            ),
        ] {
            bwrap.refuses_inside(&[], options, why);
        }
    });
}

#[test]
fn a_link_that_is_there_already_may_be_asked_for_again() {
    let dir = Dir::new();
    since([0, 9, 0], |bwrap| {
        let options = format!("--bind {} /d --symlink a /d/link", dir.text());
        // The second time it is there from the first.
        for _ in 0..2 {
            assert_eq!(bwrap.inside(&[], &options, "readlink /d/link"), "a");
        }
        let why = "Can't make symlink at /d/link: existing destination is a";
        bwrap.refuses_inside(&[], &format!("{options} --symlink b /d/link"), why);
        let why = "Can't make symlink at /usr: destination exists and is not a symlink";
        bwrap.refuses_inside(&[], "--symlink a /usr", why);
    });
}

#[test]
fn a_file_system_in_memory_is_empty_and_as_large_as_is_asked_for() {
    each(|bwrap| {
        for (options, size) in [
            ("--dir /t/hidden --tmpfs /t", "20000"),
            ("--size 8192 --tmpfs /t", "8192"),
            ("--size 0x2000 --tmpfs /t", "8192"),
            ("--size 020000 --tmpfs /t", "8192"),
            ("--size 8192 --perms 700 --tmpfs /t", "8192"),
            ("--perms 700 --size 8192 --tmpfs /t", "8192"),
            ("--size 8192 --tmpfs /s --tmpfs /t", "20000"),
        ] {
            let options = format!("--dev-bind /dev/zero /zero {options}");
            let script =
                "ls -A /t; head -c 20000 /zero >/t/file 2>/dev/null || :; stat -c %s /t/file";
            assert_eq!(bwrap.inside(&[], &options, script), size, "{options}");
        }
    });
}

#[test]
fn nothing_is_left_on_the_host_by_what_is_only_in_memory() {
    let dir = Dir::new();
    each(|bwrap| {
        let (text, at) = (Fd::text(""), dir.text());
        let options =
            format!("--tmpfs {at} --dir {at}/made --file {text} {at}/file --symlink a {at}/link");
        let shown = bwrap.inside(&[&text], &options, &format!("ls {at}"));
        assert_eq!(shown, "file\nlink\nmade");
        assert!(dir.names().is_empty());
    });
}
