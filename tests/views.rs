//! Views: what the container sees of files besides volumes; and the host left as it was.

mod support;

use std::os::unix::fs::symlink;
use support::{
    Dir, PROGRAMS, ROOTLET, Ran, in_root, inside, installed, rootfs, run, shell, shell_with,
};

// Sources.

#[test]
fn an_optional_source_that_is_not_there_is_left_out_and_nothing_is_made() {
    let dir = Dir::new();
    let volume = format!("{}:/mnt,optional", dir.at("missing"));
    assert_eq!(
        inside(&["-v", &volume], "ls -A /mnt | wc -l; echo on"),
        inside(&[], "ls -A /mnt | wc -l; echo on")
    );
    assert!(dir.names().is_empty());
    dir.file("missing", "there");
    let volume = format!("{}:/t/file,optional", dir.at("missing"));
    assert_eq!(
        inside(
            &[
                "--root", "empty", "-v", "/usr", "-v", "/bin", "-v", "/lib", "-v", "/lib64", "-v",
                &volume
            ],
            "cat /t/file"
        ),
        "there"
    );
}

#[test]
fn a_source_that_is_not_there_or_out_of_reach_has_a_hint_that_fits() {
    let dir = Dir::new();
    let missing = dir.at("missing");
    // Another user's, whose root directory is closed.
    let closed = "/proc/1/root/etc".to_string();
    symlink(&closed, dir.at("link")).unwrap();
    let optional = "hint: it is not there on the host; -v SRC,optional";
    for (option, value, hint) in [
        ("-v", &missing, optional),
        ("--write", &missing, optional),
        (
            "--root",
            &missing,
            "hint: it is not there on the host; a root is",
        ),
        (
            "--rootfs",
            &missing,
            "hint: it is not there on the host; a root is",
        ),
        ("-v", &format!("{closed}:/mnt"), "hint: you cannot reach it"),
        ("-v", &dir.at("link"), "hint: you cannot reach it"),
    ] {
        run([option, value, "true"]).fails(125, &[hint]);
    }
}

#[test]
fn a_source_that_is_to_be_created_is_and_keeps_what_is_written() {
    let dir = Dir::new();
    let volume = format!("{}:/mnt,create", dir.at("a/b"));
    inside(&["-v", &volume], "echo kept >/mnt/file");
    inside(&["-v", &volume], "echo again >>/mnt/file");
    assert_eq!(
        std::fs::read_to_string(dir.at("a/b/file")).unwrap(),
        "kept\nagain\n"
    );
}

#[test]
fn m9_two_views_at_one_place_are_refused_by_name() {
    run(["-v", "/usr:/mnt", "--tmpfs", "/mnt/", "true"])
        .fails(125, &["volume /mnt and tmpfs /mnt/ are at one place"]);
    run(["-v", "/etc:/mnt", "-v", "/usr:/mnt/../mnt", "true"]).fails(
        125,
        &["volume /mnt and volume /mnt/../mnt are at one place"],
    );
}

#[test]
fn two_dots_in_a_destination_take_away_the_name_before_them() {
    let home = Dir::new();
    let [kept, linked] = ["kept", "deep/linked"].map(|name| home.directory(name));
    home.file("deep/file", "deep");
    symlink(&linked, home.at("link")).unwrap();
    let volume = format!("{kept}:{}/a/../b/c", home.text());
    inside(
        &["--tmpfs", home.text(), "-v", &volume],
        &format!("test -d {}/b/c", home.text()),
    );
    let empty = [
        "--root", "empty", "-v", "/usr", "-v", "/bin", "-v", "/lib", "-v", "/lib64",
    ];
    inside(
        &[&empty[..], &["-v", "/etc:/a/../b"]].concat(),
        "test -f /b/passwd",
    );
    // But for a link of the host's.
    let volume = format!("{}/link/../file", home.text());
    let script = format!("cat {}/deep/file", home.text());
    assert_eq!(
        inside(&["--tmpfs", home.text(), "-v", &volume], &script),
        "deep"
    );
}

#[test]
fn two_files_are_not_read_from_one_descriptor() {
    for source in ["-", "@0"] {
        let files = ["/tmp/a", "/tmp/b"].map(|place| format!("{place}={source}"));
        run([
            "--tmpfs", "/tmp", "--file", &files[0], "--file", &files[1], "true",
        ])
        .fails(
            125,
            &["file /tmp/a and file /tmp/b are to be read from one descriptor"],
        );
    }
}

#[test]
fn m9_a_destination_outside_of_the_root_is_refused_by_name() {
    run(["--tmpfs", "/mnt/../../x", "true"])
        .fails(125, &["tmpfs /mnt/../../x", "outside of the root"]);
}

#[test]
fn m9_a_destination_by_a_link_of_a_process_is_refused_by_name() {
    for place in [
        "/proc/self/root",
        "/proc/1/root/mnt",
        "/proc/thread-self/cwd",
        "/proc/1/task/1/fd/3",
    ] {
        run(["-v", &format!("/etc:{place}"), "true"]).fails(
            125,
            &[
                &format!("volume {place}: "),
                "not a place",
                "hint: name the place",
            ],
        );
        run(["--mask", place, "true"]).fails(125, &[&format!("mask {place}: ")]);
    }
    run(["--mask", "/proc/self/environ", "true"]).ok();
}

#[test]
fn a_place_below_a_volume_is_never_made_on_the_host() {
    let (volume, other) = (Dir::new(), Dir::new());
    let options = [
        "--tmpfs",
        "/mnt",
        "-v",
        &format!("{}:/mnt/a", volume.text()),
        "-v",
        &format!("{}:/mnt/a/new", other.text()),
    ];
    run(options.iter().chain(&["true"])).fails(125, &["/mnt/a/new", "(ENOENT)"]);
    assert!(volume.names().is_empty());
}

// Masks.

#[test]
fn a_mask_hides_a_file_and_a_tree_and_neither_can_be_written() {
    let dir = Dir::new();
    let file = dir.file("file", "secret");
    dir.directory("tree/sub");
    dir.file("tree/sub/file", "secret");
    let tree = dir.at("tree");
    let script = format!(
        "cat {file}; ls -A {tree}; if (: >{file}) 2>&-; then echo written; fi; if (: >{tree}/x) 2>&-; then echo made; fi"
    );
    for options in [&[][..], &["--read-only"], &["-u", "keep"]] {
        let options = [options, &["--mask", &file, "--mask", &tree]].concat();
        assert_eq!(inside(&options, &script), "");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "secret");
    assert_eq!(dir.names(), ["file", "tree"]);
}

#[test]
fn a_mask_of_what_is_not_there_leaves_nothing_on_a_writable_host() {
    let home = Dir::new();
    home.file("file", "");
    let missing = [home.at("missing"), home.at("a/b/c"), home.at("file/below")];
    let options: Vec<&str> = missing.iter().flat_map(|path| ["--mask", path]).collect();
    for more in [&[][..], &["-v", home.text()], &["-u", "keep"]] {
        let options = [&options[..], more].concat();
        assert_eq!(inside(&options, &format!("ls -A {}", home.text())), "file");
        assert_eq!(home.names(), ["file"]);
        // Nor when it is killed, or fails after that.
        run(options.iter().chain(&["-w", "/no/such/place", "true"])).fails(125, &[]);
        assert_eq!(home.names(), ["file"]);
    }
    inside(&options, &format!("echo mine >{}", missing[0]));
    assert_eq!(home.names(), ["file", "missing"]);
}

#[test]
fn a_mask_hides_what_another_view_shows_and_what_a_link_leads_to() {
    let dir = Dir::new();
    dir.file("secret", "secret");
    symlink("secret", dir.path().join("link")).unwrap();
    let volume = format!("{}:/mnt", dir.text());
    assert_eq!(
        inside(&["-v", &volume, "--mask", "/mnt/secret"], "cat /mnt/secret"),
        ""
    );
    assert_eq!(
        inside(
            &["--mask", &dir.at("link")],
            &format!("cat {}", dir.at("secret"))
        ),
        ""
    );
}

#[test]
fn a_mask_may_be_relative() {
    let dir = Dir::new();
    dir.file(".env", "TOKEN=1");
    let script = r#"cd "$1" && exec "$rootlet" run -t never --mask .env cat .env"#;
    assert_eq!(shell_with(script, &[dir.path().as_os_str()]).ok(), "");
}

// Files that exist only inside.

#[test]
fn a_file_exists_only_inside() {
    let dir = Dir::new();
    let beneath = dir.file("beneath", "host");
    let source = dir.file("source", b"a\0b");
    let options = [
        "--tmpfs",
        "/mnt",
        "--file",
        &format!("/mnt/deep/one:600={source}"),
        "--file",
        &format!("{beneath}={source}"),
        "--mount",
        "type=file,target=/mnt/two,text=inline",
    ];
    let script = format!(
        "od -An -tx1 /mnt/deep/one; stat -c %a /mnt/deep/one; od -An -tx1 {beneath}; cat /mnt/two; echo more >>{beneath}"
    );
    assert_eq!(
        inside(&options, &script),
        " 61 00 62\n600\n 61 00 62\ninline"
    );
    assert_eq!(std::fs::read_to_string(beneath).unwrap(), "host");
}

#[test]
fn a_files_content_comes_from_standard_input_or_a_descriptor() {
    let script = r#"echo in | "$rootlet" run -t never --tmpfs /mnt --file /mnt/f=- cat /mnt/f
        "$rootlet" run -t never --tmpfs /mnt --file /mnt/f=@7 cat /mnt/f 7<<end
seven
end"#;
    assert_eq!(shell(script).ok(), "in\nseven");
    run(["--tmpfs", "/mnt", "--file", "/mnt/f=@99", "true"]).fails(
        125,
        &["read the content of /mnt/f from descriptor 99", "(EBADF)"],
    );
    run(["--tmpfs", "/mnt", "--file", "/mnt/f=/no/such", "true"]).fails(
        125,
        &["read the content of /mnt/f from /no/such", "(ENOENT)"],
    );
}

#[test]
fn a_file_where_nothing_is_on_the_host_is_refused_and_nothing_is_made() {
    let dir = Dir::new();
    run(["--file", &format!("{}=/etc/passwd", dir.at("new")), "true"])
        .fails(125, &["/new", "(ENOENT)"]);
    assert!(dir.names().is_empty());
}

// Overlays.

#[test]
fn an_overlay_in_memory_takes_what_is_written_and_vanishes() {
    let lower = Dir::new();
    lower.file("file", "lower");
    lower.directory("tree/sub");
    let there = lower.text();
    let script = |place: &str| {
        format!("cd {place}; cat file; echo upper >file; cat file; rm -r tree; echo new >new; ls")
    };
    let wanted = "lowerupper\nfile\nnew";
    assert_eq!(
        inside(&["--overlay", &format!("{there},/mnt")], &script("/mnt")),
        wanted
    );
    assert_eq!(
        inside(&["--overlay", &format!("{there},{there}")], &script(there)),
        wanted
    );
    assert_eq!(
        in_root(
            &rootfs(),
            &["--overlay", &format!("{there},/mnt")],
            &script("/mnt")
        ),
        wanted
    );
    assert_eq!(lower.names(), ["file", "tree"]);
    assert_eq!(std::fs::read_to_string(lower.at("file")).unwrap(), "lower");
}

#[test]
fn an_overlay_shows_several_directories_as_one_with_the_first_above() {
    let (a, b) = (Dir::new(), Dir::new());
    a.file("both", "a");
    b.file("both", "b");
    b.file("only-b", "");
    let overlay = format!("{}:{},/mnt", a.text(), b.text());
    assert_eq!(
        inside(&["--overlay", &overlay], "cat /mnt/both; ls /mnt"),
        "aboth\nonly-b"
    );
}

#[test]
fn m14_an_overlays_upper_directory_keeps_what_is_written_and_nothing_else_is_left() {
    let (lower, place) = (Dir::new(), Dir::new());
    lower.file("file", "lower");
    let upper = place.directory("up:per \\");
    let overlay = format!("{},/mnt,upper={upper}", lower.text());
    assert_eq!(
        inside(
            &["--overlay", &overlay],
            "echo more >>/mnt/file; cat /mnt/file"
        ),
        "lowermore"
    );
    assert_eq!(
        inside(&["--overlay", &overlay], "cat /mnt/file"),
        "lowermore"
    );
    assert_eq!(place.names(), ["up:per \\"]);
    assert_eq!(
        std::fs::read_to_string(place.at("up:per \\/file")).unwrap(),
        "lowermore\n"
    );
    assert_eq!(std::fs::read_to_string(lower.at("file")).unwrap(), "lower");
}

#[test]
fn m13_an_overlay_notes_what_it_needs_as_the_users_and_nobody_inside_can_write_such_notes() {
    if !installed(&["python3"]) {
        return;
    }
    let (lower, place) = (Dir::new(), Dir::new());
    lower.directory("replaced");
    let upper = place.directory("upper");
    let overlay = format!("{},/mnt,upper={upper}", lower.text());
    let script = "
import os
os.rmdir('/mnt/replaced')
os.mkdir('/mnt/replaced')
os.mkdir('/mnt/own')
os.setxattr('/mnt/own', 'user.overlay.opaque', b'y')
for name in 'trusted.overlay.opaque', 'security.ours':
    try:
        os.setxattr('/mnt/own', name, b'y')
    except OSError as error:
        print(error.errno)
";
    let told = run(["--overlay", &overlay, "--", "python3", "-c", script]).ok();
    assert_eq!(told, format!("{0}\n{0}", libc::EPERM));
    let note = |name: &str| {
        let mut value = [0; 8];
        let path = place.at(&format!("upper/{name}"));
        let length = rustix::fs::getxattr(path, "user.overlay.opaque", &mut value);
        length.map(|length| value[..length].to_vec())
    };
    assert_eq!(note("replaced"), Ok(b"y".to_vec()));
    // The kernel keeps it by another name (its overlayfs documentation, "Nesting overlayfs mounts", since Linux 6.7), or refused.
    assert_eq!(note("own"), Err(rustix::io::Errno::NODATA));
}

#[test]
fn an_overlays_root_has_the_mode_of_its_lower_directory() {
    assert_eq!(
        inside(&["--overlay", "/tmp,/mnt"], "stat -c %a /mnt"),
        "1777"
    );
}

#[test]
fn layers_that_cannot_be_are_named() {
    let dir = Dir::new();
    let (file, upper) = (dir.file("file", ""), dir.directory("upper"));
    for (overlay, words) in [
        (
            "/no/such,/mnt".to_string(),
            &["overlay /mnt: /no/such is not there on the host"][..],
        ),
        (
            format!("{file},/mnt"),
            &["overlay /mnt", "file is not a directory"],
        ),
        (
            format!("/usr,/mnt,upper={}", dir.at("missing")),
            &["missing is not there"],
        ),
        (
            "/,/mnt".to_string(),
            &[
                "make an overlay over / for /mnt: ",
                "(EINVAL)",
                "hint: a lower directory that has mounts",
            ],
        ),
        (
            format!("/usr,/mnt,upper={upper}/{}", "x/".repeat(130)),
            &["is not there"],
        ),
    ] {
        run(["--overlay", &overlay, "true"]).fails(125, words);
    }
    let long = dir.directory(&format!("{}/y", "x".repeat(250)));
    run(["--overlay", &format!("{long},/mnt"), "true"]).fails(125, &["255 bytes"]);
    run([
        "--mount",
        "type=overlay,lower=/usr,target=/mnt,work=/tmp",
        "true",
    ])
    .fails(125, &["work without upper"]);
    assert_eq!(dir.names().len(), 3);
}

#[test]
fn an_overlay_or_a_file_that_cannot_be_is_told_by_the_name_of_the_view() {
    let dir = Dir::new();
    let [lower, nowhere] = [dir.directory("lower"), dir.at("nowhere")];
    for (options, words) in [
        (
            ["--overlay", "/,/mnt"],
            [
                "make an overlay over / for /mnt: ",
                "(EINVAL)",
                "below it cannot be one",
            ],
        ),
        (
            ["--overlay", &format!("{lower},/mnt,upper={lower}")],
            [
                "for /mnt: ",
                "(ELOOP)",
                "hint: its directories lie within each other",
            ],
        ),
        (
            ["--overlay", &format!("{lower},/mnt,upper=/proc")],
            [
                "for the overlay /mnt, ",
                "upper directory /proc: ",
                "hint: upper=DIR is to be in",
            ],
        ),
        (
            ["--overlay", &format!("{lower},{nowhere}")],
            ["mount an overlay on ", "(ENOENT)", "hint: there is no"],
        ),
        (
            ["--file", &format!("{nowhere}=-")],
            ["mount a file on ", "(ENOENT)", "hint: there is no"],
        ),
        (
            ["-v", "/usr:"],
            ["volume \"/usr:\"", "the destination is empty", ""],
        ),
    ] {
        let ran = run(options.into_iter().chain(["true"]));
        assert!(!ran.err.contains("upper-"), "{ran:#?}");
        ran.fails(125, &words);
    }
}

#[test]
fn an_upper_on_a_file_system_that_cannot_be_one_is_told_and_nothing_is_left() {
    let dir = Dir::new();
    let script = format!(
        "mkdir /mnt/upper; exec '{ROOTLET}' run -t never --overlay /usr,/srv,upper=/mnt/upper true"
    );
    let overlay = format!(
        "{},/mnt,upper={}",
        dir.directory("lower"),
        dir.directory("upper")
    );
    let ran = run(["--overlay", &overlay, "sh", "-c", &script]);
    ran.fails(
        125,
        &[
            "overlay over /usr",
            "(EINVAL)",
            "hint: ",
            "/mnt/upper be upper on a file system",
        ],
    );
    assert_eq!(dir.names(), ["lower", "upper"]);
    let inside: Vec<_> = std::fs::read_dir(dir.at("upper"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(
        inside,
        ["upper"],
        "the work directory beside it was removed"
    );
}

#[test]
fn two_containers_cannot_write_to_one_upper_and_the_first_goes_on() {
    let place = Dir::new();
    let upper = place.directory("upper");
    let overlay = format!("/usr,/mnt,upper={upper}");
    let script = r#"cd "$1"; mkfifo ready go; exec 7<>ready 8<>go
        "$rootlet" run -t never --overlay "$2" sh -c 'mkdir /mnt/one; echo >&2; read go; mkdir /mnt/two && echo fine' <&8 2>&7 &
        read line <&7; "$rootlet" run -t never --overlay "$2" true; echo $? >second; echo go >&8; wait"#;
    let ran = shell_with(script, &[place.path().as_os_str(), overlay.as_ref()]);
    let refused = std::fs::read_to_string(place.at("second")).unwrap();
    assert_eq!(
        (ran.out.as_str(), refused.as_str()),
        ("fine", "125\n"),
        "{ran:#?}"
    );
    assert!(
        ran.err
            .contains("another container writes to the upper directory"),
        "{ran:#?}"
    );
    assert_eq!(place.names(), ["go", "ready", "second", "upper"]);
}

// Roots.

#[test]
fn an_empty_root_is_what_is_put_into_it_and_the_usual_skeleton() {
    let options = [&["--root", "empty"], &PROGRAMS[..]].concat();
    assert_eq!(
        inside(
            &options,
            "pwd; ls /; stat -c %a /tmp /var/tmp; ls -A /tmp /etc /home; echo x >/new"
        ),
        "/\nbin\ndev\netc\nhome\nlib\nlib64\nproc\nroot\nrun\nsys\ntmp\nusr\nvar\n1777\n1777\n/etc:\n\n/home:\n\n/tmp:"
    );
    let options = [&options[..], &["--read-only", "--tmpfs", "/tmp"]].concat();
    assert_eq!(
        inside(
            &options,
            "for place in / /tmp /etc; do if (: >$place/x) 2>&-; then echo $place; fi; done"
        ),
        "/tmp"
    );
}

#[test]
fn root_is_another_word_for_rootfs_and_read_only() {
    let root = rootfs();
    root.file("only-here", "");
    assert_eq!(
        run([
            &["--root", root.text()],
            &PROGRAMS[..],
            &["ls", "/only-here"]
        ]
        .concat())
        .ok(),
        "/only-here"
    );
    let script = "for place in / /tmp . \"$HOME\"; do if (: >\"$place/x\") 2>&-; then echo \"$place\"; fi; done";
    assert_eq!(inside(&["--root", "ro"], script), "");
    assert_eq!(
        inside(&["--root", "host"], "test -e /usr/bin/env && echo host"),
        "host"
    );
}

#[test]
fn p6_the_dangerous_parts_of_proc_are_closed_unless_the_view_is_the_hosts() {
    let script = "if (: >>/proc/sysrq-trigger) 2>&-; then echo sysrq; fi
        if (: >>/proc/sys/user/max_user_namespaces) 2>&-; then echo sys; fi
        for place in /proc/acpi /proc/scsi; do ls -A $place 2>&- || :; done
        for place in /proc/keys /proc/timer_list; do cat $place 2>&- || :; done
        ls -d /proc/1 /proc/self/fd";
    let closed = "/proc/1\n/proc/self/fd";
    assert_eq!(inside(&["--read-only"], script), closed);
    assert_eq!(in_root(&rootfs(), &[], script), closed);
    assert!(inside(&["--read-only", "--proc", "fresh"], script).starts_with("sys"));
    assert!(inside(&[], script).starts_with("sys"));
}

#[test]
fn proc_is_the_hosts_or_none_where_that_is_asked_for() {
    let pids = "ls /proc | grep -c '^[0-9]'";
    let here: usize = inside(&["--proc", "host"], pids).parse().unwrap();
    assert!(here > inside(&[], pids).parse().unwrap());
    assert_eq!(inside(&["--proc", "none"], "ls -A /proc"), "");
    assert_eq!(in_root(&rootfs(), &["--proc", "none"], "ls -A /proc"), "");
    let there: usize = in_root(&rootfs(), &["--proc", "host"], pids)
        .parse()
        .unwrap();
    assert!(there > 2);
    run(["--share", "pid", "--proc", "fresh", "true"]).fails(125, &["process ids of its own"]);
}

#[test]
fn m11_sys_is_read_only_in_a_root_of_ones_own_and_shows_its_network() {
    let root = rootfs();
    root.directory("sys");
    let script = "if (: >/sys/x) 2>&-; then echo written; fi; ls /sys/class/net";
    assert_eq!(in_root(&root, &["--net", "none"], script), "lo");
    let host = shell("ls /sys/class/net").ok();
    assert_eq!(in_root(&root, &[], script), host);
}

#[test]
fn d1_a_dev_of_ones_own_has_nothing_of_the_hosts_but_what_is_asked_for() {
    let dev = ["--mount", "type=dev,target=/dev"];
    let wanted = "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(
        inside(&dev, "echo $(ls /dev); echo lost >/dev/null"),
        wanted
    );
    let options = [&dev[..], &["--device", "/dev/kmsg"]].concat();
    assert_eq!(
        inside(&options, "echo $(ls /dev); test -c /dev/kmsg"),
        wanted.replace("full ", "full kmsg ")
    );
    run(dev.iter().chain(&["--device", "/dev/no-such", "true"]))
        .fails(125, &["/dev/no-such", "(ENOENT)"]);
    for path in ["/etc/passwd", "/dev/../etc", "null", "/device"] {
        run(["--device", path, "true"]).fails(125, &["is not in /dev", "hint: -v shows"]);
    }
    let terminal = shell(r#""$rootlet" run -t always --mount type=dev,target=/dev sh -c 'tty; test -c /dev/console && echo console; ls /dev/pts'"#).ok();
    assert_eq!(terminal.replace('\r', ""), "/dev/pts/0\nconsole\n0  ptmx");
}

#[test]
fn file_systems_of_the_kernels_can_be_mounted_where_one_likes() {
    let root = rootfs();
    for name in ["p", "m", "t", "s"] {
        root.directory(name);
    }
    let mounts = [
        "type=proc,target=/p",
        "type=mqueue,target=/m",
        "type=devpts,target=/t",
        "type=sysfs,target=/s",
    ];
    let options: Vec<&str> = mounts.iter().flat_map(|mount| ["--mount", mount]).collect();
    root.directory("sys");
    let options = [&options[..], &["--net", "none"]].concat();
    assert_eq!(
        in_root(
            &root,
            &options,
            "cat /p/1/comm; stat -f -c %T /m /t; ls /s/class/net"
        ),
        "rootlet-init\nmqueue\ndevpts\nlo"
    );
}

#[test]
fn links_can_be_made_in_memory_only() {
    let dir = Dir::new();
    let link = format!("type=symlink,target={},to=/usr", dir.at("link"));
    run(["--mount", &link, "true"]).fails(125, &["symlink", "in memory only"]);
    assert!(dir.names().is_empty());
    let options = [
        "--tmpfs",
        "/mnt",
        "--mount",
        "type=symlink,target=/mnt/a/link,to=/usr/bin",
    ];
    assert_eq!(inside(&options, "readlink /mnt/a/link"), "/usr/bin");
}

// What lies in /run.

#[test]
fn m3_resolv_conf_comes_out_right_where_it_is_a_link_into_a_private_run() {
    // /etc and /run as systemd-resolved leaves them, inside a container; and another in it.
    let prepare = "mount -t tmpfs t /run; mkdir -p /run/systemd/resolve; echo nameserver 127.0.0.53 >/run/systemd/resolve/stub
        mkdir /run/etc; cp /etc/passwd /etc/group /run/etc/; ln -s ../run/systemd/resolve/stub /run/etc/resolv.conf; mount --bind /run/etc /etc";
    for options in [
        "--tmpfs /run",
        "--read-only --tmpfs /run",
        "--root empty -v /usr -v /bin -v /lib -v /lib64 -v /etc",
    ] {
        let script = format!(
            "set -e; {prepare}; exec '{ROOTLET}' run -t never {options} cat /etc/resolv.conf"
        );
        assert_eq!(
            run(["sh", "-c", &script]).ok(),
            "nameserver 127.0.0.53",
            "{options}"
        );
    }
}

/// What is said by `rootlet` with `words`, in a container with /etc and /run as systemd-resolved leaves them. It starts in a
/// directory below HOME, beside a file `mine` and a directory `empty`.
fn with_a_linked_resolv_conf(words: &str) -> Ran {
    let home = Dir::new();
    let script = format!(
        "set -e; mount -t tmpfs t /run; mkdir -p /run/nm; echo host >/run/nm/resolv.conf
         mkdir /run/etc; cp /etc/passwd /etc/group /run/etc/; ln -s ../run/nm/resolv.conf /run/etc/resolv.conf
         mount --bind /run/etc /etc; export HOME={}; mkdir -p ~/w/empty; cd ~/w; echo mine >mine; exec '{ROOTLET}' {words}",
        home.text()
    );
    run(["sh", "-c", &script])
}

#[test]
fn m3_what_is_asked_for_after_a_private_run_is_laid_over_the_files_that_links_lead_to() {
    for (options, shown) in [
        ("sandbox", "host"),
        ("sandbox --hide /etc/resolv.conf", ""),
        ("sandbox --hide /run/nm/resolv.conf", ""),
        ("run --tmpfs /run --mask /etc/resolv.conf", ""),
        ("run --mask /etc/resolv.conf --tmpfs /run", ""),
        ("sandbox -v ./mine:/etc/resolv.conf", "mine"),
        ("sandbox -v ./mine:/run/nm/resolv.conf", "mine"),
        ("sandbox --file /etc/resolv.conf=mine", "mine"),
        ("run --tmpfs /run -v ./mine:/etc/resolv.conf", "mine"),
        ("run --tmpfs /run --tmpfs /run/nm", "host"),
        ("run --tmpfs /run/nm --tmpfs /run", "host"),
        ("run -v /run --tmpfs /run/nm", "host"),
    ] {
        let words = format!("{options} -- sh -c 'cat /etc/resolv.conf 2>&1 || true'");
        let ran = with_a_linked_resolv_conf(&words).ok();
        let nothing = shown.is_empty() && ran.ends_with("No such file or directory");
        assert!(ran == shown || nothing, "{options}: {ran}");
    }
}

#[test]
fn m3_a_run_that_is_hidden_or_shows_something_else_fails_nothing_and_is_left_alone() {
    for options in [
        "sandbox --hide /run",
        "sandbox -v ./empty:/run",
        "sandbox --hide /run/nm",
        "run --tmpfs /run --mask /run",
        "run --tmpfs /run --mask /run/nm",
        "run --mask /run/nm --tmpfs /run",
        "run --tmpfs /run -v ./empty:/run/nm",
        "run -v ./empty:/run",
        "run --overlay ./empty,/run",
    ] {
        let ran = with_a_linked_resolv_conf(&format!("{options} -- find /run -type f"));
        assert_eq!(ran.ok(), "", "{options}");
    }
}

// Hosts with odd mounts.

#[test]
fn mounts_that_cannot_be_read_do_not_fail_a_launch() {
    let dir = Dir::new();
    let place = dir.directory("closed");
    let script = format!(
        "set -e; mount -t tmpfs -o mode=0 t {place}; mkdir {place}/sub; mount -t tmpfs t {place}/sub; chmod 0 {place}
         for options in --read-only '--root ro -u keep' '--tmpfs /mnt'; do '{ROOTLET}' run -t never -u keep $options true 2>&1 || '{ROOTLET}' run -t never $options true; done; echo fine"
    );
    let ran = run(["sh", "-c", &script]);
    assert!(ran.out.ends_with("fine"), "{ran:#?}");
}
