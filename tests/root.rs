//! What only root can ask for: ranges of ids, written without newuidmap. Run as root, without the runner.

mod support;

use std::os::unix::fs::MetadataExt;
use support::{Dir, ROOTLET, field, inside, run, shell_with};

const RANGE: [&str; 4] = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

/// Whether ranges can be mapped; otherwise the test that calls this is skipped.
fn may_map() -> bool {
    if !support::is_root() {
        support::skip("this is about being root");
        return false;
    }
    true
}

#[test]
fn a_range_of_ids_is_mapped() {
    if may_map() {
        let script = "id -u; id -g; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; cat /proc/self/setgroups; id -G";
        let lines = inside(&RANGE, script);
        assert_eq!(lines, "0\n0\n 0 100000 65536\n 0 100000 65536\nallow\n0");
    }
}

#[test]
fn a_mount_whose_server_has_gone_can_be_hidden() {
    if !may_map() || !std::path::Path::new("/dev/fuse").exists() {
        return support::skip("there is no /dev/fuse, or this is not root");
    }
    let dir = Dir::new();
    let script = r#"exec 3<>/dev/fuse; dead=$1
        mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead "$dead" || exit 0; exec 3>&-
        "$rootlet" run -t never --mask "$dead" ls -A "$dead"; echo $?
        "$rootlet" run -t never --mask "$dead/x" true; echo $?"#;
    let script = format!("exec unshare -m sh -c '{script}' sh \"$1\"");
    let out = shell_with(&script, &[dir.path().as_os_str()]).ok();
    assert!(out == "0\n0" || out.is_empty(), "{out}");
}

#[test]
fn files_belong_to_the_outside_ids() {
    if may_map() {
        let dir = Dir::new();
        shell_with("chown 100000:100000 \"$1\"", &[dir.path().as_os_str()]).ok();
        let options = [&RANGE[..], &["-w", dir.text()]].concat();
        inside(&options, "touch zero; touch seven; chown 7:8 seven");
        let owner = |name: &str| {
            std::fs::metadata(dir.at(name))
                .map(|data| (data.uid(), data.gid()))
                .unwrap()
        };
        assert_eq!(
            (owner("zero"), owner("seven")),
            ((100000, 100000), (100007, 100008))
        );
    }
}

#[test]
fn an_id_of_the_range_has_no_capabilities() {
    if may_map() {
        for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
            let options = [&RANGE[..], &["-u", "1000:1001"], options].concat();
            let status = inside(&options, "cat /proc/self/status");
            assert_eq!(field(&status, "Uid"), "1000\t1000\t1000\t1000");
            assert_eq!(field(&status, "Gid"), "1001\t1001\t1001\t1001");
            assert_eq!(field(&status, "Groups"), "");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(field(&status, set), "0".repeat(16), "{options:?} {set}");
            }
        }
    }
}

#[test]
fn by_default_root_maps_its_own_id_alone() {
    if may_map() {
        assert_eq!(
            inside(
                &[],
                "tr -s ' ' </proc/self/uid_map; cat /proc/self/setgroups"
            ),
            " 0 0 1\ndeny"
        );
        assert_eq!(inside(&["-u", "5:6"], "id -u; id -g"), "5\n6");
    }
}

#[test]
fn u6_an_id_that_no_range_maps_is_an_error() {
    if may_map() {
        run(RANGE.iter().chain(&["-u", "65536", "true"])).fails(125, &["user 65536", "hint: "]);
        run(["--uidmap", "0:1:5", "--uidmap", "4:10:5", "true"]).fails(125, &["overlap"]);
    }
}

#[test]
fn nothing_is_left_when_rootlet_with_a_range_is_killed() {
    if may_map() {
        use std::io::BufRead;
        let script = ["sh", "-c", "sleep 1000 & echo ready; sleep 1000"];
        let mut command = support::rootlet(RANGE.iter().chain(&script));
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        support::send(child.id(), libc::SIGKILL);
        child.wait().unwrap();
        assert_eq!(
            (output.read_line(&mut line).unwrap(), &*line),
            (0, "ready\n")
        );
    }
}

#[test]
fn a_try_by_root_catches_what_is_written_and_says_what_cannot_be() {
    if !support::is_root() {
        return support::skip("this is about being root");
    }
    let dir = Dir::new();
    let kept = dir.at("kept");
    let script =
        "echo x >/etc/rootlet-was-here; id -u; if (: >/rootlet-was-here) 2>&-; then exit 9; fi";
    let mut command = std::process::Command::new(ROOTLET);
    command
        .args([
            "try", "-t", "never", "--keep", &kept, "--", "sh", "-c", script,
        ])
        .stdin(std::process::Stdio::null());
    let ran = support::finish(command);
    assert_eq!((ran.status, ran.out.as_str()), (0, "0"), "{ran:#?}");
    assert!(ran.err.contains("note: / is read-only"), "{ran:#?}");
    assert!(ran.err.contains("A /etc/rootlet-was-here"), "{ran:#?}");
    for path in ["/etc/rootlet-was-here", "/rootlet-was-here"] {
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
}

/// Directories that an ordinary user could not make in those of root's; what is done in each, and what of that comes out.
#[test]
fn what_an_ordinary_user_tries_deep_in_directories_of_others_is_caught_and_applied() {
    if !support::is_root() {
        return support::skip("this is about what root has made");
    }
    let script = r#"exec unshare --mount sh -eu -c '
        mount -t tmpfs -o mode=711 tmpfs /srv
        mkdir -p /srv/me/work /srv/me/group /srv/www/sites/mine /srv/www/sites/locked/build
        mkdir -m 1777 /srv/empty
        touch /srv/www/sites/file
        chown -R 12345:12345 /srv/me /srv/www/sites/file /srv/www/sites/mine /srv/www/sites/locked
        chgrp 54321 /srv/me/group
        chmod 2775 /srv/me/group
        chmod 555 /srv/www/sites/locked
        tries() {
            cd "$1"
            setpriv --reuid 12345 --regid 12345 --clear-groups env HOME=/srv/me TMPDIR=/srv/www/sites/file sh -euc "
                \"$rootlet\" try -t never --keep $3/kept -- sh -euc \"echo tried >$2\" 2>/dev/null
                test ! -s $2
                \"$rootlet\" apply $3/kept 2>/dev/null
                \"$rootlet\" drop $3/kept"
            test "$(cat "$2")" = tried || { echo "$2 in $1 was not applied"; exit 1; }
        }
        tries /srv/me/work new /srv/me
        tries /srv/me/work newer /srv/me/group
        tries /srv/me/group new /srv/me
        tries /srv/me/group /srv/me/other /srv/me
        tries /srv/www/sites/mine new /srv/me
        tries /srv/www/sites mine/newer /srv/me
        tries /srv/www/sites/locked build/new /srv/me
        tries /srv/empty new /srv/me
        tries /srv/empty newer /srv/me
    '"#;
    shell_with(script, &[]).ok();
}

/// How rootlet ends for root with these capabilities alone, as in a container (setpriv(1), --bounding-set).
fn with_capabilities(capabilities: &str, arguments: &[&str]) -> support::Ran {
    let script = r#"bounds=$1; shift
        exec setpriv --bounding-set "-all$bounds" --inh-caps=-all "$rootlet" "$@""#;
    let arguments = [&[capabilities], arguments].concat();
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    support::shell_with(script, &arguments)
}

const LOOK: &str = "id -u; tr -s ' ' </proc/self/uid_map; readlink /proc/self/ns/user; echo $$";

/// What Docker leaves its root: no CAP_SYS_ADMIN.
const DOCKERS: &str = ",+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,\
    +net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

#[test]
fn root_of_a_container_gets_a_user_namespace_all_the_same() {
    if !may_map() {
        return;
    }
    let outside = std::fs::read_link("/proc/self/ns/user").unwrap();
    for capabilities in [DOCKERS, ",+setfcap"] {
        let run = ["run", "-t", "never", "--", "sh", "-c", LOOK];
        let ran = with_capabilities(capabilities, &run);
        let out = ran.ok();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[..2], ["0", " 0 0 1"], "{capabilities}");
        assert_ne!(lines[2], outside.to_str().unwrap(), "{capabilities}");
        assert_eq!(lines[3], "2", "{capabilities}");
    }
}

#[test]
fn root_of_a_container_maps_ranges_where_it_may() {
    if !may_map() {
        return;
    }
    let range = [
        &["run", "-t", "never"],
        &RANGE[..],
        &["--", "sh", "-c", LOOK],
    ]
    .concat();
    // Another range than one with 0 does not need CAP_SETFCAP.
    for capabilities in [DOCKERS, ",+setuid,+setgid"] {
        let out = with_capabilities(capabilities, &range).ok();
        assert!(out.starts_with("0\n 0 100000 65536\n"), "{out}");
    }
    with_capabilities(",+setfcap", &range).fails(
        125,
        &[
            "may map one user id, its own, 0",
            "hint: ",
            "the capability to set them",
        ],
    );
}

#[test]
fn root_without_setfcap_is_told_that_this_is_why() {
    if !may_map() {
        return;
    }
    for capabilities in ["", ",+setuid,+setgid,+sys_admin"] {
        with_capabilities(capabilities, &["run", "-t", "never", "--", "true"]).fails(
            125,
            &[
                "uid_map: Operation not permitted (EPERM)",
                "hint: root may map",
                "CAP_SETFCAP",
            ],
        );
        let ran = with_capabilities(capabilities, &["doctor", "--json"]);
        assert_eq!(ran.status, 2, "{ran:#?}");
        assert!(ran.out.contains("root-without-setfcap"), "{ran:#?}");
    }
}
