//! Namespaces, ids and capabilities: what was asked for is there, and the rest is the host's.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpListener;
use support::{field, inside, installed, run};

const KINDS: [&str; 8] = ["user", "pid", "mnt", "ipc", "uts", "cgroup", "net", "time"];

/// The namespaces of a command with `options`, by kind.
fn namespaces(options: &[&str]) -> BTreeMap<String, String> {
    let script =
        "for kind in user pid mnt ipc uts cgroup net time; do readlink /proc/self/ns/$kind; done";
    let links = inside(options, script);
    links
        .lines()
        .map(|link| {
            (
                link.split_once(':').unwrap().0.to_string(),
                link.to_string(),
            )
        })
        .collect()
}

/// Requires that the namespaces of a command with `options` are the host's for `shared`, and for no other kind.
#[track_caller]
fn shares(options: &[&str], shared: &[&str]) {
    let inside = namespaces(options);
    let host = |kind: &str| {
        std::fs::read_link(format!("/proc/self/ns/{kind}"))
            .unwrap()
            .into_os_string()
            .into_string()
    };
    let same: Vec<&str> = KINDS
        .into_iter()
        .filter(|kind| inside[*kind] == host(kind).unwrap())
        .collect();
    assert_eq!(same, shared, "{options:?}");
}

#[test]
fn all_but_network_and_time_are_new_by_default() {
    shares(&[], &["net", "time"]);
    shares(&["--no-init"], &["net", "time"]);
}

#[test]
fn all_eight_are_new_when_asked_for() {
    shares(&["--net", "none", "--boottime", "5"], &[]);
    shares(&["--net", "none", "--monotonic", "5", "--no-init"], &[]);
}

#[test]
fn those_that_are_shared_are_the_hosts() {
    for kind in ["pid", "ipc", "uts", "cgroup"] {
        let expected: Vec<&str> = KINDS
            .into_iter()
            .filter(|known| [kind, "net", "time"].contains(known))
            .collect();
        shares(&["--share", kind], &expected);
    }
    shares(
        &["--share", "pid,ipc", "--share", "uts,cgroup"],
        &["pid", "ipc", "uts", "cgroup", "net", "time"],
    );
}

#[test]
fn init_and_the_command_are_in_the_same_namespaces() {
    // Init is closed to those inside; what tells is that /proc is of this PID namespace, and where its processes are.
    assert_eq!(inside(&[], "echo $$ $PPID; readlink /proc/self"), "2 1\n3");
    assert_eq!(inside(&["--no-init"], "echo $$ $PPID"), "1 0");
}

#[test]
fn a_network_of_its_own_has_a_loopback_device_that_is_up_and_nothing_else() {
    if !installed(&["python3"]) {
        return;
    }
    let talk = "import socket\n\
        server = socket.create_server(('127.0.0.1', 0))\n\
        client = socket.create_connection(server.getsockname(), timeout=30)\n\
        server.accept()[0].sendall(b'heard')\n\
        print(client.recv(9).decode(), open('/proc/net/route').read().count('\\n') - 1, 'routes')";
    assert_eq!(
        run(["--net", "none", "--", "python3", "-c", talk]).ok(),
        "heard 0 routes"
    );
}

#[test]
fn the_hosts_network_is_reached_by_default_and_not_from_a_network_of_its_own() {
    if !installed(&["python3"]) {
        return;
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let connect = format!(
        "import socket; socket.create_connection(('127.0.0.1', {port}), timeout=30).sendall(b'hello')"
    );
    let refused = run(["--net", "none", "--", "python3", "-c", &connect]);
    refused.fails(1, &["ConnectionRefusedError"]);
    run(["--", "python3", "-c", &connect]).ok();
    let mut heard = String::new();
    server
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut heard)
        .unwrap();
    assert_eq!(heard, "hello");
}

#[test]
fn a_host_name_is_the_containers_alone() {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let longest = "n".repeat(64);
    for name in ["box", &longest] {
        assert_eq!(
            inside(&["--hostname", name], "cat /proc/sys/kernel/hostname"),
            name
        );
    }
    assert_eq!(inside(&[], "cat /proc/sys/kernel/hostname"), host.trim());
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        host
    );
    run(["--hostname", &"n".repeat(65), "true"]).fails(125, &["64 bytes"]);
    run(["--hostname", "box", "--share", "uts", "true"]).fails(125, &["host name"]);
}

#[test]
fn clocks_are_ahead_by_as_much_as_was_asked_for() {
    let offsets = |options: &[&str]| inside(options, "cat /proc/self/timens_offsets | tr -s ' '");
    assert_eq!(
        offsets(&["--boottime", "1000000", "--monotonic", "7"]),
        "monotonic 7 0\nboottime 1000000 0"
    );
    assert_eq!(
        offsets(&["--boottime", "100"]),
        "monotonic 0 0\nboottime 100 0"
    );
    let host = std::fs::read_to_string("/proc/uptime").unwrap();
    let seconds = |uptime: &str| uptime.split('.').next().unwrap().parse::<i64>().unwrap();
    let ahead = seconds(&inside(&["--boottime", "1000000"], "cat /proc/uptime")) - seconds(&host);
    assert!((1_000_000..1_001_000).contains(&ahead), "{ahead}");
}

#[test]
fn a_clock_that_would_be_before_boot_is_an_error() {
    run(["--boottime=-1000000000", "true"]).fails(125, &["clocks", "boottime -1000000000"]);
}

#[test]
fn ps_and_its_like_show_the_containers_processes_alone_process_1_first() {
    if !installed(&["ps", "top", "pstree"]) {
        return;
    }
    let ps = inside(&[], "ps -e -o pid=,comm= | cat");
    let listed: Vec<(&str, &str)> = ps
        .lines()
        .map(|line| line.trim().split_once(' ').unwrap())
        .collect();
    assert_eq!(listed[..2], [("1", "rootlet-init"), ("2", "sh")], "{ps}");
    assert!(listed.len() <= 4, "{ps}");
    let top = inside(
        &[],
        "top -b -n 1 | awk 'seen && NF { print $1 } $1 == \"PID\" { seen = 1 }' | sort -n",
    );
    assert_eq!(top.lines().take(2).collect::<Vec<_>>(), ["1", "2"], "{top}");
    assert!(inside(&[], "pstree 1").starts_with("rootlet-init---sh---pstree"));
}

#[test]
fn with_the_hosts_process_ids_the_hosts_processes_are_seen() {
    let seen = inside(
        &["--share", "pid"],
        &format!("cat /proc/{}/comm", std::process::id()),
    );
    assert_eq!(
        seen,
        std::fs::read_to_string("/proc/self/comm").unwrap().trim()
    );
    run(["--share", "pid", "--no-init", "true"])
        .fails(125, &["hint: leave out --no-init or --share pid"]);
}

/// The user id, the group id and the lines of both maps of a command with `options`.
fn identity(options: &[&str]) -> [String; 4] {
    let lines = inside(
        options,
        "id -u; id -g; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map",
    );
    let lines: Vec<String> = lines.lines().map(|line| line.trim().to_string()).collect();
    lines.try_into().unwrap()
}

fn own_ids() -> (u32, u32) {
    (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    )
}

#[test]
fn one_is_who_one_asked_to_be() {
    let (uid, gid) = own_ids();
    for (options, inside_uid, inside_gid) in [
        (&[][..], 0, 0),
        (&["-u", "root"], 0, 0),
        (&["-u", "keep"], uid, gid),
        (&["-u", "5:6"], 5, 6),
        (&["-u", "5"], 5, 5),
        (&["-u", "4294967294:0"], 4294967294, 0),
        (
            &[
                "-u",
                "7:8",
                "--uidmap",
                &format!("7:{uid}:1"),
                "--gidmap",
                &format!("8:{gid}:1"),
            ],
            7,
            8,
        ),
    ] {
        let expected = [
            inside_uid.to_string(),
            inside_gid.to_string(),
            format!("{inside_uid} {uid} 1"),
            format!("{inside_gid} {gid} 1"),
        ];
        assert_eq!(identity(options), expected, "{options:?}");
    }
}

#[test]
fn files_that_are_made_inside_are_the_callers() {
    use std::os::unix::fs::MetadataExt;
    for user in ["root", "keep", "5:6"] {
        let dir = support::Dir::new();
        inside(
            &["-u", user, "-w", dir.text()],
            "touch file; mkdir directory",
        );
        for name in ["file", "directory"] {
            let data = std::fs::metadata(dir.at(name)).unwrap();
            assert_eq!((data.uid(), data.gid()), own_ids(), "{user} {name}");
        }
    }
}

#[test]
fn u1_nobody_inside_may_drop_a_group() {
    assert_eq!(inside(&[], "cat /proc/self/setgroups"), "deny");
    if installed(&["python3"]) {
        run(["python3", "-c", "import os; os.setgroups([])"]).fails(1, &["PermissionError"]);
    }
}

#[test]
fn root_has_the_capabilities_of_a_shell_inside_and_others_have_none() {
    let shell = "00000100a9acbdff";
    let none = "0".repeat(16);
    let none = none.as_str();
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        for (user, expected) in [("root", shell), ("keep", none), ("5:6", none)] {
            let options = [options, &["-u", user]].concat();
            let status = inside(&options, "cat /proc/self/status");
            for set in ["CapPrm", "CapEff"] {
                assert_eq!(field(&status, set), expected, "{options:?} {set}");
            }
            for set in ["CapInh", "CapAmb"] {
                assert_eq!(field(&status, set), none, "{options:?} {set}");
            }
        }
    }
}

#[test]
fn capabilities_inside_are_none_over_the_host() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for change in [
        "echo other >/proc/sys/kernel/hostname",
        "chown 0:0 /etc/passwd",
        "date -s @0",
        "kill -0 1",
    ] {
        let ran = run(["--share", "uts,pid", "--", "sh", "-c", change]);
        assert_ne!(ran.status, 0, "{change}: {ran:?}");
    }
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        name
    );
}

#[test]
fn u3_no_program_inside_gains_privileges_unless_that_is_allowed() {
    let gains =
        |options| field(&inside(options, "cat /proc/self/status"), "NoNewPrivs").to_string();
    assert_eq!(gains(&[]), "1");
    assert_eq!(gains(&["--no-init", "-u", "keep"]), "1");
    assert_eq!(gains(&["--allow-new-privs"]), "0");
}

#[test]
fn containers_nest() {
    let nested = r#"exec "$0" run -t never -u 3:4 --net none -- sh -c 'echo $PPID; id -u; id -g; cat /proc/self/uid_map'"#;
    let out = run(["sh", "-c", nested, support::ROOTLET]).ok();
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["1", "3", "4", "3", "0", "1"]);
}
