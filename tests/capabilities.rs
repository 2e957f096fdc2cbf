//! Capabilities, and what root inside cannot do with them: uncover, write to, or get at what the view keeps.

mod support;

use support::{Dir, PROGRAMS, ROOTLET, field, inside, rootfs, run, shell};

const STATUS: &str = "cat /proc/self/status";
const SHELL: &str = "00000100a9acbdff";
const LOCKED: &str = "00000100a98cbdfb";
const NONE: &str = "0000000000000000";

#[test]
fn u4_what_is_kept_follows_the_rules_of_docker() {
    let net_admin = "0000000000001000";
    let chown_and_kill = "0000000000000021";
    let cases: [(&[&str], &str, &str); 10] = [
        (&[], SHELL, SHELL),
        (&["--read-only"], LOCKED, LOCKED),
        (&["--cap-drop", "ALL"], NONE, NONE),
        (
            &["--cap-drop=all", "--cap-add=CAP_CHOWN", "--cap-add", "kill"],
            chown_and_kill,
            chown_and_kill,
        ),
        // Named in both: given.
        (
            &["--cap-drop", "NET_ADMIN", "--cap-add", "net_admin"],
            SHELL,
            SHELL,
        ),
        (
            &["--cap-add", "ALL", "--cap-drop", "MKNOD"],
            "000001fff7ffffff",
            "000001fff7ffffff",
        ),
        (&["-u", "keep"], NONE, NONE),
        (
            &["-u", "keep", "--cap-add", "NET_ADMIN"],
            net_admin,
            net_admin,
        ),
        // What a program with file capabilities can come to have; the command itself has none.
        (&["-u", "keep", "--allow-new-privs"], NONE, SHELL),
        (&["--no-init", "--cap-drop", "all"], NONE, NONE),
    ];
    for (options, effective, bounding) in cases {
        let status = inside(options, STATUS);
        assert_eq!(field(&status, "CapPrm"), effective, "{options:?}");
        assert_eq!(field(&status, "CapEff"), effective, "{options:?}");
        assert_eq!(field(&status, "CapBnd"), bounding, "{options:?}");
    }
}

#[test]
fn u4_a_sandbox_and_a_try_have_none_whoever_one_is_in_them() {
    let (home, project) = (Dir::new(), Dir::new());
    for (word, user) in [("sandbox", "keep"), ("sandbox", "root"), ("try", "root")] {
        let script = format!(
            "cd '{}' && HOME='{}' '{ROOTLET}' {word} -t never -u {user} -- {STATUS}",
            project.text(),
            home.text()
        );
        let status = shell(&script).ok();
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), NONE, "{word} {user} {set}");
        }
    }
}

#[test]
fn a_user_who_is_not_root_can_use_what_is_added() {
    let listen = "import socket; socket.create_server(('127.0.0.1', 80))";
    let options = ["-u", "keep", "--net", "none"];
    let add = ["--cap-add", "NET_BIND_SERVICE"];
    let words = |add: &[&'static str]| [&options, add, &["python3", "-c", listen]].concat();
    run(words(&add)).ok();
    run(words(&[])).fails(1, &["PermissionError"]);
}

#[test]
fn u4_what_one_may_not_have_no_child_gets_back() {
    // Root by another user namespace has all again, but over that one only.
    let script = format!("umount /mnt; {STATUS}; unshare -Urm sh -c 'umount /mnt; {STATUS} >&2'");
    let ran = run(["-u", "keep", "--tmpfs", "/mnt", "sh", "-c", &script]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(field(&ran.out, "CapBnd"), NONE);
    assert_eq!(ran.err.matches("umount").count(), 2, "{ran:?}");
}

#[test]
fn u5_root_inside_cannot_take_off_what_a_view_lays_down() {
    let dir = Dir::new();
    let secret = dir.file("secret", "hidden\n");
    let place = dir.text();
    let root = rootfs();
    let in_root = [&["--rootfs", root.text()], &PROGRAMS[..]].concat();
    let views: [&[&str]; 4] = [
        &["--read-only"],
        &["--mask", &secret],
        &["--tmpfs", place],
        &in_root,
    ];
    // Each of these is what a root who could would do.
    let attack = format!(
        "umount -l '{secret}' '{place}' /proc/kcore /proc/sys /proc /usr; mount -o remount,rw,bind /; mount -o remount,rw,bind /usr
         cat '{secret}'; touch /usr/rootlet-was-here && echo written; mount --move /proc /mnt && echo moved; true"
    );
    for view in views {
        for (more, may_mount) in [
            (&[][..], false),
            (&["--cap-add", "SYS_ADMIN"], true),
            (&["--cap-add", "ALL"], true),
            (&["--no-init", "--cap-add", "ALL"], true),
        ] {
            let options = [view, more].concat();
            let ran = run([&options[..], &["sh", "-c", &attack]].concat());
            assert_eq!(ran.status, 0, "{options:?}: {ran:?}");
            assert_eq!(ran.out, hidden_unless(view), "{options:?}: {ran:?}");
            let mount = "mount -t tmpfs none /dev/shm 2>/dev/null && umount /dev/shm && echo could";
            let could = run([&options[..], &["sh", "-c", mount]].concat()).out;
            assert_eq!(could.contains("could"), may_mount, "{options:?}");
        }
    }
    assert!(!std::path::Path::new("/usr/rootlet-was-here").exists());
}

/// What can be read in a view that hides nothing.
fn hidden_unless(view: &[&str]) -> &'static str {
    match view {
        ["--read-only"] => "hidden",
        _ => "",
    }
}

#[test]
fn init_keeps_nothing_but_to_send_signals() {
    // It lays the others down when it has seen the command start.
    let wait = "for i in $(seq 1000); do grep -q 'CapEff.*0000020' /proc/1/status && break; sleep .01; done";
    let status = inside(&[], &format!("{wait}; cat /proc/1/status"));
    assert_eq!(field(&status, "Name"), "rootlet-init");
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(field(&status, set), "0000000000000020");
    }
    assert_eq!(field(&status, "CapInh"), NONE);
}

#[test]
fn a_word_that_is_no_capability_is_refused() {
    run(["--cap-add", "NET", "true"]).fails(
        125,
        &["there is no capability \"NET\"", "hint: capabilities(7)"],
    );
    run(["--cap-drop", "", "true"]).fails(125, &["there is no capability \"\""]);
}

#[test]
fn k1_the_session_keyring_is_a_new_one() {
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), by its number.
    let ask = format!(
        "python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall({}, 0, -3, 0))'",
        libc::SYS_keyctl
    );
    let outside = shell(&format!("{ask}; {ask}")).ok();
    let (outside, again) = outside.split_once('\n').unwrap();
    assert!(outside == again && outside.parse::<i32>().unwrap() > 0);
    for options in [&[][..], &["-u", "keep"], &["--no-init"]] {
        let options = &[options, &["--seccomp", "none"]].concat();
        let inside = inside(options, &ask);
        assert!(inside.parse::<i32>().unwrap() > 0, "{options:?}: {inside}");
        assert_ne!(inside, outside, "{options:?}");
    }
}
