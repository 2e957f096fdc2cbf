//! Which namespaces are new, who one is in them, and what one may do.

use crate::programs::{each, in_tools, ours, words};
use crate::pty::Screen;
use crate::support::shell;
use std::process::Command;

/// Options, and the namespaces that they make besides those of mounts and users, which an ordinary user always gets.
const KINDS: [(&str, &str); 13] = [
    ("", ""),
    ("--unshare-user", ""),
    ("--unshare-user-try", ""),
    ("--unshare-ipc", "ipc"),
    ("--unshare-pid", "pid"),
    ("--unshare-net", "net"),
    ("--unshare-uts", "uts"),
    ("--unshare-cgroup", "cgroup"),
    ("--unshare-cgroup-try", "cgroup"),
    ("--unshare-all", "cgroup ipc net pid uts"),
    ("--unshare-all --share-net", "cgroup ipc pid uts"),
    ("--share-net --unshare-all", "cgroup ipc net pid uts"),
    ("--unshare-net --unshare-pid --share-net", "pid"),
];

#[test]
fn each_option_makes_its_namespaces_and_no_others() {
    const LIST: &str =
        "for kind in cgroup ipc net pid time uts mnt user; do readlink /proc/self/ns/$kind; done";
    let outside = shell(LIST).ok();
    each(|bwrap| {
        for (options, wanted) in KINDS {
            let inside = bwrap.inside(&[], &format!("--proc /proc {options}"), LIST);
            let both = inside.lines().zip(outside.lines());
            let new = both.filter(|(inside, outside)| inside != outside);
            let kinds: Vec<&str> = new
                .filter_map(|(inside, _)| inside.split(':').next())
                .collect();
            assert_eq!(
                kinds.join(" "),
                format!("{wanted} mnt user").trim(),
                "{options}"
            );
        }
    });
}

#[test]
fn a_private_network_has_a_loopback_device_and_it_is_up() {
    each(|bwrap| {
        let script = r#"
            tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '
            if grep -q 127.0.0.1 /proc/net/fib_trie; then echo up; fi"#;
        assert_eq!(
            bwrap.inside(&[], "--proc /proc --unshare-net", script),
            "lo\nup"
        );
    });
}

#[test]
fn ids_are_the_callers_unless_others_are_asked_for() {
    let own = shell("echo $(id -u) $(id -g)").ok();
    let (uid, gid) = own.split_once(' ').unwrap();
    each(|bwrap| {
        for dev in ["", "--dev /dev"] {
            for (options, ids) in [
                ("", own.clone()),
                ("--uid 0 --gid 0", "0 0".to_string()),
                ("--unshare-user --uid 12 --gid 345", "12 345".to_string()),
                ("--uid 7", format!("7 {gid}")),
                ("--gid 7", format!("{uid} 7")),
            ] {
                let options = format!("{options} {dev}");
                // What is made is one's own, as the root is.
                let script = "echo $(id -u) $(id -g); : >/file; stat -c '%u %g' /file /";
                let shown = bwrap.inside(&[], &options, script);
                assert_eq!(shown, [&*ids; 3].join("\n"), "{options}");
            }
        }
        let groups = bwrap.inside(&[], "--proc /proc", "cat /proc/self/setgroups");
        assert_eq!(groups, "deny");
    });
}

#[test]
fn the_host_name_is_ones_own() {
    let outside = shell("uname -n").ok();
    each(|bwrap| {
        for (options, name) in [
            ("--unshare-uts", &*outside),
            ("--unshare-uts --hostname inner.name", "inner.name"),
            ("--hostname before --unshare-all", "before"),
        ] {
            assert_eq!(bwrap.inside(&[], options, "uname -n"), name, "{options}");
        }
        let long = "x".repeat(65);
        let why = format!("Can't set hostname to {long}: Invalid argument");
        bwrap.refuses_inside(&[], &format!("--unshare-uts --hostname {long}"), &why);
    });
    assert_eq!(shell("uname -n").ok(), outside);
}

/// A script that prints the five sets of capabilities, once if all are equal, and whether new privileges are out of reach.
const PRIVILEGES: &str = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | uniq
                          grep NoNewPrivs /proc/self/status | cut -f2";

#[test]
fn the_command_has_no_capabilities_and_cannot_get_any() {
    each(|bwrap| {
        for options in [
            "",
            "--uid 0 --gid 0",
            "--unshare-all --dev /dev",
            "--unshare-pid --as-pid-1",
            "--unshare-user --disable-userns",
            "--cap-drop ALL",
            "--cap-add ALL --cap-drop ALL",
            "--cap-add CAP_KILL --cap-drop CAP_KILL",
        ] {
            let shown = bwrap.inside(&[], &format!("--proc /proc {options}"), PRIVILEGES);
            assert_eq!(shown, "0000000000000000\n1", "{options}");
        }
    });
}

#[test]
fn capabilities_are_added_and_dropped_in_the_order_of_the_line() {
    let last: u32 = shell("cat /proc/sys/kernel/cap_last_cap")
        .ok()
        .parse()
        .unwrap();
    let all = (1u64 << (last + 1)) - 1;
    each(|bwrap| {
        for (options, set) in [
            ("--cap-add CAP_KILL", 1 << 5),
            ("--cap-add cap_kill --cap-add Cap_Net_Raw", 1 << 5 | 1 << 13),
            ("--cap-add ALL", all),
            ("--cap-add all --cap-drop CAP_SYS_ADMIN", all & !(1 << 21)),
            ("--cap-drop CAP_KILL --cap-add ALL", all),
            ("--cap-add ALL --cap-drop ALL --cap-add CAP_SYSLOG", 1 << 34),
            ("--cap-add CAP_CHOWN --cap-drop CAP_KILL", 1),
        ] {
            for more in ["", "--uid 0 --gid 0", "--dev /dev", "--unshare-pid"] {
                let options = format!("--proc /proc {options} {more}");
                let shown = bwrap.inside(&[], &options, PRIVILEGES);
                assert_eq!(shown, format!("{set:016x}\n1"), "{options}");
            }
        }
    });
}

#[test]
fn a_capability_is_one_over_what_is_the_sandboxs() {
    each(|bwrap| {
        let script = r#"
            if mount -t tmpfs none /usr 2>/dev/null; then echo /usr/*; fi
            hostname x 2>/dev/null || echo refused"#;
        assert_eq!(bwrap.inside(&[], "--uid 0", script), "refused");
        let shown = bwrap.inside(&[], "--uid 0 --cap-add CAP_SYS_ADMIN", script);
        assert_eq!(shown, "/usr/*\nrefused");
    });
}

#[test]
fn the_first_process_of_a_pid_namespace_reaps_and_the_command_may_be_it() {
    each(|bwrap| {
        let pids = "echo $$ $PPID";
        assert_eq!(bwrap.inside(&[], "--unshare-pid", pids), "2 1");
        assert_eq!(bwrap.inside(&[], "--unshare-pid --as-pid-1", pids), "1 0");
        // An orphan that has ended is gone when its number is.
        let script = r#"
            orphan=$(sh -c 'true & echo $!')
            while test -e /proc/$orphan; do :; done; echo gone"#;
        assert_eq!(
            bwrap.inside(&[], "--unshare-pid --proc /proc", script),
            "gone"
        );
    });
}

#[test]
fn a_session_is_new_if_it_is_asked_for() {
    // From /proc, since it is 0, for which rustix has no value, where the leader is outside of this PID namespace.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let own: i32 = fields[3].parse().unwrap();
    each(|bwrap| {
        let session = |options: &str| {
            let script = "read line </proc/$$/stat; set -- ${line##*) }; echo $4 $$";
            let shown = bwrap.inside(&[], &format!("--proc /proc {options}"), script);
            let (session, process) = shown.split_once(' ').unwrap();
            (session.parse().unwrap(), process.parse().unwrap())
        };
        let kept: (i32, i32) = session("");
        assert_eq!(kept.0, own);
        // The command leads it, without an init before it.
        let led = session("--new-session");
        assert_eq!(led.0, led.1);
        assert_eq!(session("--unshare-pid"), (0, 2));
        assert_eq!(session("--unshare-pid --new-session"), (1, 2));
        assert_eq!(session("--unshare-pid --as-pid-1 --new-session"), (1, 1));
    });
}

#[test]
fn a_new_session_has_no_terminal() {
    each(|bwrap| {
        for (option, wanted) in [("--new-session", "none\r\n"), ("--unshare-ipc", "has\r\n")] {
            let script = "if (: </dev/tty) 2>/dev/null; then echo has; else echo none; fi";
            let mut command = Command::new(bwrap.path());
            command.args(in_tools(&format!("--dev-bind /dev /dev {option}"), script));
            let (status, shown) = Screen::start(&mut command).ends();
            assert_eq!((status.code(), &*shown), (Some(0), wanted), "{option}");
        }
    });
}

#[test]
fn further_user_namespaces_can_be_forbidden_and_that_can_be_required() {
    const TRY: &str = "if unshare -U true 2>/dev/null; then echo made; fi";
    each(|bwrap| {
        assert_eq!(bwrap.inside(&[], "--unshare-user", TRY), "made");
        for more in [
            "",
            "--dev /dev",
            "--uid 0 --gid 0",
            "--assert-userns-disabled",
        ] {
            let options = format!("--unshare-user --disable-userns {more}");
            assert_eq!(bwrap.inside(&[], &options, TRY), "", "{options}");
        }
        // Not even root inside gets them back.
        let options = "--unshare-user --disable-userns --uid 0 --cap-add ALL --proc /proc";
        let script =
            format!("(echo 9 >/proc/sys/user/max_user_namespaces) 2>/dev/null || :; {TRY}");
        assert_eq!(bwrap.inside(&[], options, &script), "");
        let why = "creation of new user namespaces was not disabled as requested";
        bwrap.refuses_inside(&[], "--assert-userns-disabled", why);
    });
}

#[test]
fn one_starts_in_another_though_that_shows_the_hosts_proc() {
    each(|bwrap| {
        let inner = ours().path().to_str().unwrap();
        for way in ["--unshare-pid", "--unshare-all --die-with-parent"] {
            let line = format!("--dev-bind / / --unshare-all {inner} --dev-bind / / {way} sh -c");
            let line = [&words(&line)[..], &["echo in"]].concat();
            assert_eq!(bwrap.run(&[], &line).ok(), "in", "{way}");
        }
    });
}
