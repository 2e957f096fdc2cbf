//! Files: volumes, tmpfs, a read-only tree, a root of one's own, the working directory; and the host left as it was.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use support::{Dir, PROGRAMS, ROOTLET, in_root, inside, rootfs, run, shell, shell_with};

/// A container whose command is `rootlet run ARGUMENTS`, after `prepare` has made mounts that the host does not have.
fn nested(prepare: &str, arguments: &[&str]) -> support::Ran {
    let script = format!(r#"set -e; {prepare}; exec "$0" run -t never "$@""#);
    run(["sh", "-c", &script, ROOTLET].iter().chain(arguments))
}

#[test]
fn a_volume_is_the_hosts_directory_or_file() {
    let (source, place) = (Dir::new(), Dir::new());
    source.file("file", "one");
    let volume = format!("{}:{}", source.text(), place.text());
    let script = format!("cat {0}/file; echo -n two >{0}/written", place.text());
    assert_eq!(inside(&["-v", &volume], &script), "one");
    assert_eq!(
        std::fs::read_to_string(source.at("written")).unwrap(),
        "two"
    );
    assert!(place.names().is_empty());

    let file = place.file("file", "beneath");
    let volume = format!("{}:{file}", source.at("file"));
    assert_eq!(inside(&["-v", &volume], &format!("cat {file}")), "one");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "beneath");
}

#[test]
fn a_read_only_volume_cannot_be_written_to_nor_made_writable_by_a_mistake() {
    let dir = Dir::new();
    let file = dir.file("file", "one");
    for volume in [format!("{}:ro", dir.text()), format!("{file}:ro")] {
        run(["-v", &volume, "sh", "-c", "echo two >\"$0\"", &file])
            .fails(2, &["Read-only file system"]);
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "one");
}

#[test]
fn a_relative_source_starts_at_the_working_directory() {
    let dir = Dir::new();
    dir.directory("a/b");
    dir.file("a/b/file", "found");
    let script = r#"cd "$1" && "$rootlet" run -t never -v a/b:/mnt cat /mnt/file && cd a && "$rootlet" run -t never -v ./b:/mnt cat /mnt/file"#;
    assert_eq!(
        shell_with(script, &[dir.path().as_os_str()]).ok(),
        "foundfound"
    );
    let script = r#"cd "$1/a" && "$rootlet" run -t never --tmpfs "$1" -v b sh -c 'ls; cat b/file'"#;
    assert_eq!(
        shell_with(script, &[dir.path().as_os_str()]).ok(),
        "b\nfound"
    );
    let script = r#"cd "$1/a" && "$rootlet" run -t never --tmpfs "$1" true"#;
    shell_with(script, &[dir.path().as_os_str()]).fails(125, &["change to the working directory"]);
}

#[test]
fn m5_a_volume_comes_with_every_mount_below_it_and_read_only_means_all_of_them() {
    let dir = Dir::new();
    let text = dir.text();
    dir.directory("sub");
    let prepare = format!(
        "mount -t tmpfs t {text}/sub; mkdir '{text}/sub/a b'; mount -t tmpfs t '{text}/sub/a b'; >'{text}/sub/a b/file'"
    );
    let volume = format!("{text}:/mnt");
    let script = "echo x >'/mnt/sub/a b/file'; cat '/mnt/sub/a b/file'";
    assert_eq!(
        nested(&prepare, &["-v", &volume, "sh", "-c", script]).ok(),
        "x"
    );
    let script = "for file in /mnt/sub/x '/mnt/sub/a b/file' /mnt/x; do if (: >\"$file\") 2>&-; then exit 1; fi; done";
    nested(
        &prepare,
        &["-v", &format!("{volume}:ro"), "sh", "-c", script],
    )
    .ok();
}

#[test]
fn m9_what_is_laid_down_later_lies_above() {
    let dir = Dir::new();
    let project = dir.directory("home/project");
    dir.file("home/project/file", "project");
    let home = dir.at("home");
    let list = format!("ls {home}; ls {project}");
    assert_eq!(
        inside(&["--tmpfs", &home, "-v", &project], &list),
        "project\nfile"
    );
    run(["-v", &project, "--tmpfs", &home, "ls", &project]).fails(2, &["No such file"]);
    // The source is the host's, whatever lies above it inside.
    let elsewhere = format!("{project}:/mnt");
    assert_eq!(
        inside(&["--tmpfs", &home, "-v", &elsewhere], "cat /mnt/file"),
        "project"
    );
}

#[test]
fn a_file_can_be_laid_into_a_tmpfs() {
    let dir = Dir::new();
    let file = dir.file("file", "text");
    let volume = format!("{file}:/mnt/deep/er/file:ro");
    assert_eq!(
        inside(
            &["--tmpfs", "/mnt", "-v", &volume],
            "cat /mnt/deep/er/file; stat -c %a /mnt/deep"
        ),
        "text755"
    );
}

#[test]
fn a_tmpfs_has_its_size_and_mode() {
    let show =
        "stat -c %a /mnt; stat -f -c '%b %S' /mnt | awk '{ print $1 * $2 }'; stat -f -c %T /mnt";
    assert_eq!(
        inside(&["--tmpfs", "/mnt:size=1m,mode=700"], show),
        "700\n1048576\ntmpfs"
    );
    assert_eq!(
        inside(&["--tmpfs", "/mnt"], "stat -c %a /mnt; ls -A /mnt"),
        "1777"
    );
    run([
        "--tmpfs",
        "/mnt:size=64k",
        "sh",
        "-c",
        "head -c 65537 /dev/zero >/mnt/file",
    ])
    .fails(1, &["No space"]);
    run(["--tmpfs", "/mnt:size=1m,uid=0", "true"]).fails(125, &["uid=0"]);
    run(["--tmpfs", "/mnt:mode=rwx", "true"]).fails(125, &["mode", "rwx"]);
}

/// Prints every mount point at which a file can be made.
const WRITABLE: &str = r#"cut -d ' ' -f 5 /proc/self/mountinfo | sort -u | while read -r point; do
    [ -d "$point" ] && (: >"$point/rootlet-was-here") 2>&- && echo "$point" && rm "$point/rootlet-was-here"; done || :"#;

#[test]
fn m5_a_read_only_tree_has_no_holes() {
    assert_eq!(inside(&["--read-only"], WRITABLE), "");
    let script = "for place in /dev/shm /tmp /var/tmp . \"$HOME\"; do if (: >\"$place/x\") 2>&-; then echo \"$place\"; fi; done";
    assert_eq!(inside(&["--read-only"], script), "");
    assert_eq!(
        nested(
            "mount -t tmpfs t /mnt",
            &["--read-only", "sh", "-c", WRITABLE]
        )
        .ok(),
        ""
    );
}

#[test]
fn a_tree_that_is_not_read_only_is_the_hosts() {
    let dir = Dir::new();
    inside(&[], &format!("echo x >{}/file", dir.text()));
    assert_eq!(dir.names(), ["file"]);
}

#[test]
fn volumes_and_tmpfs_in_a_read_only_tree_are_writable() {
    let dir = Dir::new();
    let options = ["--read-only", "-v", dir.text(), "--tmpfs", "/mnt"];
    assert_eq!(inside(&options, "echo x >/mnt/file; cat /mnt/file"), "x");
    inside(&options, &format!("echo x >{}/file", dir.text()));
    assert_eq!(dir.names(), ["file"]);
}

#[test]
fn a_destination_that_is_not_there_is_an_error_and_is_not_made() {
    let dir = Dir::new();
    let place = dir.at("missing");
    run(["-v", &format!("/usr:{place}"), "true"]).fails(
        125,
        &["mount a volume on", &place, "(ENOENT)", "hint: there is no"],
    );
    run(["--tmpfs", &place, "true"]).fails(125, &["mount tmpfs on", "hint: there is no directory"]);
    let file = dir.file("file", "");
    run(["-v", &format!("/usr:{file}"), "true"])
        .fails(125, &[&file, "hint: a file can be mounted on a file only"]);
    assert_eq!(dir.names(), ["file"]);
}

#[test]
fn a_source_or_a_destination_that_cannot_be_is_named() {
    run(["-v", "/no/such/place:/mnt", "true"]).fails(125, &["open /no/such/place", "(ENOENT)"]);
    run(["-v", "/usr:relative", "true"]).fails(125, &["\"relative\" is not an absolute path"]);
    run(["--tmpfs", "relative", "true"]).fails(125, &["\"relative\" is not an absolute path"]);
    run(["-v", "/usr:/", "true"]).fails(125, &["hint: another root"]);
    run(["-v", ":/mnt", "true"]).fails(125, &["the source is empty"]);
}

#[test]
fn m7_mounts_never_reach_the_host() {
    let dir = Dir::new();
    let table = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = table();
    inside(
        &[
            "--cap-add",
            "sys_admin",
            "--tmpfs",
            dir.text(),
            "-v",
            "/usr:/mnt",
        ],
        "mount -t tmpfs t /srv; cut -d ' ' -f 5 /proc/self/mountinfo",
    );
    assert_eq!(table(), before);
}

#[test]
fn m6_a_mount_that_is_made_outside_later_does_not_appear_inside() {
    let script = r#"mount -t tmpfs t /mnt && mount --make-shared /mnt && mkdir /mnt/sub && mkfifo /mnt/up /mnt/go
        "$0" run -t never sh -c 'echo up >/mnt/up; read go </mnt/go; grep -c " /mnt/sub " /proc/self/mountinfo' &
        read up </mnt/up; mount -t tmpfs t /mnt/sub; echo go >/mnt/go; wait"#;
    assert_eq!(run(["sh", "-c", script, ROOTLET]).ok(), "0");
}

#[test]
fn m9_a_thousand_volumes_are_laid_down_with_few_open_files() {
    let dir = Dir::new();
    let numbers = 0..1000;
    let options: Vec<String> = numbers
        .clone()
        .map(|number| format!("-v{}:/mnt/{number}/file:ro", dir.at("file")))
        .collect();
    dir.file("file", "x");
    let mut arguments: Vec<&str> = vec!["--tmpfs", "/mnt"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(["sh", "-c", "cat /mnt/*/file; echo; ulimit -Sn"]);
    let arguments: Vec<&OsStr> = arguments.into_iter().map(OsStr::new).collect();
    let ran = shell_with(
        r#"ulimit -Sn 256; exec "$rootlet" run -t never "$@""#,
        &arguments,
    );
    assert_eq!(ran.ok(), format!("{}\n256", "x".repeat(1000)));
    let ran = shell_with(
        r#"ulimit -n 256; exec "$rootlet" run -t never "$@""#,
        &arguments,
    );
    ran.fails(125, &["1000 sources of views", "hint: raise it"]);
}

#[test]
fn names_that_are_no_utf8_are_files_like_others() {
    let dir = Dir::new();
    let name = OsStr::from_bytes(b"\xff \\ \n\xfe");
    std::fs::write(dir.path().join(name), "odd").unwrap();
    let volume = [
        dir.path().as_os_str().as_bytes(),
        b"/",
        name.as_bytes(),
        b":/mnt/",
        name.as_bytes(),
        b":ro",
    ]
    .concat();
    let words: [&[u8]; 7] = [
        b"--tmpfs",
        b"/mnt",
        b"-v",
        &volume,
        b"sh",
        b"-c",
        b"cat /mnt/*",
    ];
    assert_eq!(run(words.map(OsStr::from_bytes)).ok(), "odd");
}

// A root of one's own.

#[test]
fn a_root_of_ones_own_is_all_there_is() {
    let root = rootfs();
    root.file("only-here", "");
    assert_eq!(
        in_root(&root, &[], "pwd; ls /"),
        "/\nbin\ndev\nlib\nlib64\nmnt\nonly-here\nproc\ntmp\nusr"
    );
    assert_eq!(
        in_root(
            &root,
            &["--no-init"],
            "pwd; ls -d /../../.. /proc/1/root/../only-here"
        ),
        "/\n/../../..\n/proc/1/root/../only-here"
    );
}

#[test]
fn m10_no_mount_of_the_old_root_is_left() {
    let root = rootfs();
    let mounts = in_root(&root, &[], "cut -d ' ' -f 5 /proc/self/mountinfo");
    let mut tops: Vec<&str> = mounts
        .lines()
        .map(|point| point.split('/').nth(1).unwrap())
        .collect();
    tops.sort();
    tops.dedup();
    assert_eq!(
        tops,
        ["", "bin", "dev", "lib", "lib64", "proc", "usr"],
        "{mounts}"
    );
    assert_eq!(
        mounts.lines().filter(|point| *point == "/").count(),
        1,
        "{mounts}"
    );
}

#[test]
fn a_root_of_ones_own_has_the_devices_that_programs_need() {
    let root = rootfs();
    let names =
        "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    for name in in_root(&root, &[], "ls /dev").lines() {
        assert!(names.split(' ').any(|known| known == name), "{name}");
    }
    let script = "for name in null zero full random urandom tty; do test -c /dev/$name; done
        head -c 4 /dev/zero | wc -c; echo lost >/dev/null; echo shared >/dev/shm/file; cat /dev/shm/file
        echo out >/dev/stdout; ls /dev/pts; test -e /dev/ptmx; stat -c %a /dev/shm";
    assert_eq!(in_root(&root, &[], script), "4\nshared\nout\nptmx\n1777");
    assert!(root.names().contains(&"dev".to_string()));
    assert!(
        std::fs::read_dir(root.at("dev")).unwrap().next().is_none(),
        "something was made in the host's directory"
    );
}

#[test]
fn a_root_of_ones_own_can_be_read_only() {
    let root = rootfs();
    let script = "for place in / /tmp /usr /mnt; do if (: >$place/x) 2>&-; then echo $place; fi; done; : >/dev/shm/x";
    assert_eq!(in_root(&root, &["--read-only"], script), "");
    assert_eq!(
        in_root(&root, &["--read-only", "--tmpfs", "/tmp"], script),
        "/tmp"
    );
    assert_eq!(in_root(&root, &[], script), "/\n/tmp\n/mnt");
}

#[test]
fn a_root_without_what_is_mounted_in_it_is_an_error_that_says_so() {
    let empty = Dir::new();
    run(["--rootfs", empty.text(), "true"]).fails(125, &["/proc"]);
    assert!(empty.names().is_empty());
    run(["--rootfs", &empty.file("file", ""), "true"]).fails(125, &["(ENOTDIR)"]);
    run(["--rootfs", "/", "true"]).ok();
}

#[test]
fn m1_links_in_a_root_never_lead_to_the_host() {
    for target in ["/etc", "../../../../../../../etc", "/proc/self/cwd", "/"] {
        let (root, outside) = (rootfs(), Dir::new());
        let secret = outside.file("secret", "host");
        let link =
            |name: &str, to: &str| std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
        root.directory("etc");
        link("link", target);
        link("absolute", outside.text());
        link("file", &secret);
        // A volume on a link lands where the link leads inside the root, or is refused.
        let place = format!("{}:/link/inside", outside.text());
        root.directory("etc/inside");
        root.directory("inside");
        let _ = run(["--rootfs", root.text()]
            .iter()
            .chain(&PROGRAMS)
            .chain(&["-v", &place, "true"]));
        let volume = format!("{}:/absolute", outside.text());
        let ran = run(["--rootfs", root.text()]
            .iter()
            .chain(&PROGRAMS)
            .chain(&["-v", &volume, "true"]));
        ran.fails(125, &["mount a volume on /absolute", "(ENOENT)"]);
        run(["--rootfs", root.text()]
            .iter()
            .chain(&PROGRAMS)
            .chain(&["cat", "/file"]))
        .fails(1, &["No such file"]);
        assert_eq!(outside.names(), ["secret"], "{target}");
        assert_eq!(std::fs::read_to_string(secret).unwrap(), "host");
    }
}

#[test]
fn p4_a_dev_or_proc_that_is_a_link_leads_nowhere_else() {
    for name in ["dev", "proc"] {
        let (root, outside) = (rootfs(), Dir::new());
        std::fs::remove_dir(root.at(name)).unwrap();
        std::os::unix::fs::symlink(outside.text(), root.path().join(name)).unwrap();
        run(["--rootfs", root.text(), "true"]).fails(125, &["(ENOENT)"]);
        assert!(outside.names().is_empty(), "{name}");
    }
}

#[test]
fn m3_a_destination_through_a_link_is_where_the_link_leads_inside() {
    let root = rootfs();
    let source = Dir::new();
    source.file("file", "here");
    root.directory("real/place");
    std::os::unix::fs::symlink("/real", root.path().join("link")).unwrap();
    let volume = format!("{}:/link/place", source.text());
    assert_eq!(
        in_root(&root, &["-v", &volume], "cat /real/place/file"),
        "here"
    );
}

// The working directory.

#[test]
fn the_command_starts_in_the_callers_directory_or_in_that_of_w() {
    let dir = Dir::new();
    dir.directory("sub");
    let start = |options: &str| {
        shell_with(
            &format!(r#"cd "$1" && exec "$rootlet" run -t never {options} pwd -P"#),
            &[dir.path().as_os_str()],
        )
    };
    assert_eq!(start("").ok(), dir.text());
    assert_eq!(start("-w sub").ok(), dir.at("sub"));
    assert_eq!(start("-w /usr").ok(), "/usr");
    start("-w missing").fails(
        125,
        &["change to the working directory", "missing", "hint: "],
    );
}

#[test]
fn fd3_a_working_directory_that_was_removed_is_an_error() {
    let script =
        r#"d=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$rootlet" run -t never "$@" pwd"#;
    shell_with(script, &[]).fails(125, &["has no name any more", "hint: "]);
    assert_eq!(shell_with(script, &["-w", "/"].map(OsStr::new)).ok(), "/");
}

#[test]
fn fd2_a_descriptor_of_the_callers_is_no_way_out() {
    let root = rootfs();
    for directory in [
        "/proc/self/fd/5",
        "/proc/self/fd/5/..",
        "/proc/1/fd/5",
        "/proc/self/cwd/../../..",
    ] {
        let programs = PROGRAMS.join(" ");
        let script = format!(
            r#"exec 5</ && cd / && exec "$rootlet" run -t never --rootfs "$1" {programs} -w {directory} ls"#
        );
        let ran = shell_with(&script, &[root.path().as_os_str()]);
        match ran.status {
            0 => assert!(!ran.out.contains("root"), "{directory}: {ran:?}"),
            status => assert_eq!(status, 125, "{directory}: {ran:?}"),
        }
    }
    let script = r#"exec 5</; exec "$rootlet" run -t never --pass-fd 5 --rootfs "$1" -w /proc/self/fd/5 true"#;
    shell_with(script, &[root.path().as_os_str()])
        .fails(125, &["change to the working directory", "(ENOENT)"]);
}

#[test]
fn nothing_is_left_on_the_host_when_a_step_fails() {
    let (root, dir) = (rootfs(), Dir::new());
    let before = root.names();
    run(["--rootfs", root.text(), "-w", "/missing", "true"]).fails(125, &["working directory"]);
    run(["--tmpfs", dir.text(), "-v", "/no/such/source:/mnt", "true"])
        .fails(125, &["/no/such/source"]);
    assert_eq!((root.names(), dir.names()), (before, vec![]));
    assert_eq!(shell("true").status, 0);
}
