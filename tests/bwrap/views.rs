//! In which order views are shown, what the root is, and that the host is as it was.

use crate::live::{ANSWER, Live};
use crate::programs::{HOST, TOOLS, each, words};
use crate::support::Dir;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_later_view_covers_an_earlier_one() {
    let (one, two) = (Dir::new(), Dir::new());
    one.file("one", "");
    two.file("two", "");
    each(|bwrap| {
        let (one, two) = (one.text(), two.text());
        for (views, shown) in [
            (format!("--bind {one} /v --ro-bind {two} /v"), "two"),
            (format!("--ro-bind {two} /v --bind {one} /v"), "one"),
            (
                format!("--bind {one} /v --tmpfs /v --ro-bind {two} /v"),
                "two",
            ),
            (format!("--bind {one} /v --ro-bind {two} /v --tmpfs /v"), ""),
        ] {
            assert_eq!(bwrap.inside(&[], &views, "ls /v"), shown, "{views}");
        }
    });
}

#[test]
fn what_is_shown_below_a_view_is_hidden_by_a_view_that_comes_later() {
    let dir = Dir::new();
    dir.directory("sub");
    each(|bwrap| {
        let (bind, below) = (
            format!("--bind {} /v", dir.text()),
            "--tmpfs /v/sub --dir /v/sub/inner",
        );
        let list = "cd /v; find . | sort";
        let shown = bwrap.inside(&[], &format!("{bind} {below}"), list);
        assert_eq!(shown, ".\n./sub\n./sub/inner");
        let shown = bwrap.inside(&[], &format!("{below} {bind}"), list);
        assert_eq!(shown, ".\n./sub");
        assert_eq!(dir.names(), ["sub"]);
    });
}

#[test]
fn a_source_is_the_hosts_whatever_views_there_are() {
    let dir = Dir::new();
    dir.file("name", "host's");
    each(|bwrap| {
        let options = format!("--tmpfs {0} --bind {0} /v", dir.text());
        assert_eq!(bwrap.inside(&[], &options, "cat /v/name"), "host's");
    });
}

#[test]
fn the_root_can_be_a_directory_of_the_host_in_which_places_are_made() {
    each(|bwrap| {
        let root = Dir::new();
        let file = root.file("file", "in the root");
        let line = format!(
            "--bind {} / {TOOLS} --bind {file} /etc/bound cat /file /etc/bound",
            root.text()
        );
        let shown = bwrap.run(&[], &words(&line)).ok();
        assert_eq!(shown, "in the rootin the root");
        let mode = |name: &str| {
            root.path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o7777
        };
        assert_eq!((mode("usr"), mode("etc/bound")), (0o755, 0o444));
    });
}

#[test]
fn without_a_view_the_root_is_empty_and_can_be_written() {
    each(|bwrap| {
        let script = "ls -A /; echo made >/file; mkdir /dir; cat /file; stat -c %a /";
        let shown = bwrap.inside(&[], "", script);
        assert_eq!(shown, "bin\ndev\nlib\nlib64\nusr\nmade\n755");
    });
}

#[test]
fn the_root_can_be_hidden_by_a_later_view() {
    each(|bwrap| {
        let line = format!("{HOST} --tmpfs / {TOOLS} ls -A /");
        assert_eq!(
            bwrap.run(&[], &words(&line)).ok(),
            "bin\ndev\nlib\nlib64\nusr"
        );
        let why = "execvp sh: No such file or directory";
        bwrap.refuses_inside(&[], "--tmpfs /", why);
    });
}

#[test]
fn what_covers_a_place_that_another_sandbox_has_made_goes_on_covering_it() {
    each(|bwrap| {
        let dir = Dir::new();
        let at = dir.text();
        let options = format!("--bind {at} /d --ro-bind /dev/null /d/file --unshare-pid");
        let mut first = Live::of(bwrap, &[], &options, ANSWER);
        let script = "read -r line; echo $line; read -r line; \
                      if echo written >/d/file; then echo open; else echo covered; fi 2>/dev/null";
        let mut second = Live::of(bwrap, &[], &options, script);
        first.end();
        first.status();
        second.send("on");
        assert_eq!(second.line().as_deref(), Some("covered"));
    });
}

#[test]
fn the_hosts_mounts_are_as_they_were_and_the_hosts_root_is_out_of_reach() {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    each(|bwrap| {
        let script = "readlink /proc/self/root /proc/self/cwd; ls -A /proc/self/root/..";
        let shown = bwrap.inside(&[], "--proc /proc", script);
        assert_eq!(shown, "/\n/\nbin\ndev\nlib\nlib64\nproc\nusr");
    });
    assert_eq!(mounts(), before);
}

#[test]
fn a_sandbox_can_be_started_in_a_sandbox_of_either_program() {
    each(|outer| {
        each(|inner| {
            let root = format!("{HOST} --proc /proc --unshare-all");
            let path = inner.path().display();
            let line =
                format!("{root} --dev /dev --uid 0 --gid 0 --cap-add ALL {path} {root} echo hello");
            assert_eq!(outer.run(&[], &words(&line)).ok(), "hello");
        });
    });
}
