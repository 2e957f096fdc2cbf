//! A command in a container is confined as the container's own processes are: no more, and no less.

use crate::runtime::{Runtime, until};
use crate::support::{Dir, finish, installed, rootfs};
use crate::{exec, own_root};
use std::process::Command;

/// All that is known of how a process is confined, as it sees itself.
const SELF: &str = r#"
grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Seccomp_filters|Cap[A-Za-z]*|SigBlk|SigIgn|Umask):' /proc/self/status
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup
echo nice $(nice)
for kind in /proc/$$/ns/*; do readlink $kind; done
echo open; ls /proc/self/fd
echo name $(uname -n) in $(pwd -P)
python3 -c 'import ctypes; call = ctypes.CDLL(None).prctl; print("securebits", call(27, 0, 0, 0, 0), "dumpable", call(3, 0, 0, 0, 0))'
env | grep -v -E '^(PWD|OLDPWD|SHLVL|_)=' | sort
echo end
"#;

/// Starts a detached container that says [`SELF`] of its own process; compares it with one that is executed in it.
#[track_caller]
fn is_the_same(verb: &str, options: &[&str]) {
    if !installed(&["python3"]) {
        return;
    }
    let runtime = Runtime::new();
    let (project, home) = (Dir::new(), Dir::new());
    let script = format!("{SELF} sleep 1000; :");
    let detach: &[&str] = if verb == "try" { &[] } else { &["-d"] };
    let words = [
        &[verb, "--name", "web"][..],
        detach,
        options,
        &["--", "sh", "-c", &script, runtime.mark()],
    ]
    .concat();
    let mut command = runtime.command(&words);
    command.current_dir(project.path()).env("HOME", home.path());
    let said = Dir::new();
    let file = said.file("said", "");
    let output = std::fs::File::create(&file).unwrap();
    let mut child = command.stdout(output).spawn().unwrap();
    let own = || match verb {
        "try" => std::fs::read_to_string(&file)
            .unwrap()
            .trim_end()
            .to_string(),
        _ => runtime.log("web"),
    };
    if verb != "try" {
        assert!(child.wait().unwrap().success());
    }
    until("it has said what it is", || own().ends_with("\nend"));
    let own = own();
    let mut command = crate::command(&runtime, &[], "web", SELF);
    // The environment, the directory, the mask and the limits of who executes say nothing.
    command
        .current_dir("/")
        .env("HOME", "/nowhere")
        .env("TOKEN", "secret");
    let executed = finish(command);
    assert_eq!(
        (executed.status, &*executed.err),
        (0, ""),
        "{verb} {options:?}"
    );
    for (own, executed) in own.lines().zip(executed.out.lines()) {
        assert_eq!(own, executed, "{verb} {options:?}");
    }
    assert_eq!(own, executed.out, "{verb} {options:?}");
    runtime.rootlet(&["kill", "web"]).ok();
    child.wait().unwrap();
    runtime.nothing_runs();
}

/// Each a test of its own: they run beside each other.
macro_rules! the_same {
    ($($name:ident: $verb:literal $options:expr;)*) => {$(
        #[test]
        fn $name() {
            is_the_same($verb, &$options);
        }
    )*};
}

the_same! {
    as_in_a_plain_container: "run" [];
    as_in_one_without_capabilities: "run" ["--cap-drop", "ALL"];
    as_in_one_that_locks_its_mounts: "run" ["--read-only", "--cap-add", "SYS_ADMIN"];
    as_in_one_that_may_gain_privileges: "run" ["--allow-new-privs"];
    as_in_one_whose_user_is_ones_own: "run" ["-u", "keep"];
    as_in_one_whose_user_has_a_capability: "run" ["-u", "5:6", "--cap-add", "NET_RAW"];
    as_under_the_strict_filter: "run" ["--seccomp", "strict"];
    as_without_a_filter: "run" ["--seccomp", "none"];
    as_under_landlock: "run" ["--landlock", "auto", "--read-only"];
    as_without_abstract_sockets: "run" ["--abstract-sockets", "none"];
    as_in_a_network_of_its_own: "run" ["--net", "none", "--hostname", "box"];
    as_with_another_clock: "run" ["--boottime", "86400"];
    as_with_shared_namespaces: "run" ["--share", "pid,ipc,uts,cgroup"];
    as_without_namespaces: "run" ["--no-namespaces", "--read-only"];
    as_without_an_init: "run" ["--no-init"];
    as_with_pipes: "run" ["--stdio", "pipe"];
    as_with_limits_of_its_own: "run" ["--ulimit", "nofile=77:99", "--ulimit", "nproc=5000", "--nice", "5", "--oom-score-adj", "300"];
    as_in_a_sandbox: "sandbox" [];
}

#[test]
fn as_in_a_try() {
    // It tells what has changed when it ends, and so it stays in the foreground.
    is_the_same("try", &["-t", "never"]);
}

#[test]
fn as_in_a_root_of_its_own() {
    let root = rootfs();
    is_the_same("run", &own_root(&root));
}

#[test]
fn as_under_a_filter_of_a_file() {
    let dir = Dir::new();
    let file = dir.file(
        "filter.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sethostname", "unshare"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    is_the_same("run", &["--seccomp", &file]);
    // And it is that filter, of the file as it was.
    let runtime = Runtime::new();
    let name = runtime.detach(&["--seccomp", &file], "sleep 1000; :");
    std::fs::remove_file(&file).unwrap();
    let ran = exec(&runtime, &[], &name, "unshare -U true");
    assert!(
        ran.status != 0 && ran.err.contains("not permitted"),
        "{ran:?}"
    );
    let ran = exec(&runtime, &[], &name, "unshare --help >/dev/null; id -u");
    assert_eq!(ran.ok(), "0");
}

#[test]
fn u4_what_the_container_may_not_have_no_command_in_it_gets() {
    let runtime = Runtime::new();
    let tried = "unshare -m true; mount -t tmpfs t /mnt; mount -o remount,rw,bind /; umount /proc/sys; touch /usr/x";
    let name = runtime.detach(&["--read-only", "--cap-drop", "ALL"], "sleep 1000; :");
    let count = |ran: crate::support::Ran| {
        ran.err.matches("denied").count()
            + ran.err.matches("superuser").count()
            + ran.err.matches("not permitted").count()
            + ran.err.matches("Read-only").count()
    };
    assert_eq!(count(exec(&runtime, &[], &name, tried)), 5);
    // In a second user namespace: mounts are locked.
    let name = runtime.detach(&["--read-only", "--cap-add", "SYS_ADMIN"], "sleep 1000; :");
    let out = exec(
        &runtime,
        &[],
        &name,
        "mount -t tmpfs t /mnt && umount /mnt && echo mounted; ! umount /proc/sys 2>/dev/null && echo locked",
    );
    assert_eq!(out.ok(), "mounted\nlocked");
}

/// A word that is no text cannot be written down with the spec, and neither can the views that it belongs to.
#[test]
fn u4_nor_where_a_view_has_a_name_that_is_no_text() {
    use std::os::unix::ffi::OsStringExt;
    let runtime = Runtime::new();
    let dir = Dir::new();
    let mut odd = dir.text().as_bytes().to_vec();
    odd.extend(b"/odd\xff");
    let odd = std::ffi::OsString::from_vec(odd);
    std::fs::create_dir(&odd).unwrap();
    let mut volume = odd;
    volume.push(":/mnt:ro");
    let mut command = runtime.command(&["run", "-d", "--name", "web", "-v"]);
    command.arg(volume);
    command.args([
        "--",
        "sh",
        "-c",
        "grep CapBnd /proc/self/status; sleep 1000; :",
    ]);
    command.arg(runtime.mark());
    finish(command).ok();
    until("it has said what it is", || !runtime.log("web").is_empty());
    let executed = exec(&runtime, &[], "web", "grep CapBnd /proc/self/status");
    assert_eq!(executed.ok(), runtime.log("web"));
    let ran = exec(&runtime, &[], "web", "umount /mnt");
    assert!(ran.status != 0, "{ran:?}");
}

#[test]
fn what_cannot_be_written_cannot_be_by_a_command_executed_in_it() {
    let runtime = Runtime::new();
    let (project, home) = (Dir::new(), Dir::new());
    home.file("kept", "kept\n");
    let words = [
        "sandbox",
        "-d",
        "--name",
        "box",
        "--",
        "sh",
        "-c",
        "sleep 1000; :",
        runtime.mark(),
    ];
    let mut command = runtime.command(&words);
    command.current_dir(project.path()).env("HOME", home.path());
    finish(command).ok();
    exec(&runtime, &[], "box", "echo in >written; cat written").ok();
    assert_eq!(project.names(), ["written"]);
    let outside = format!(
        "echo bad >'{0}/kept'; rm -f '{0}/kept'; touch '{0}/new' /usr/new; :",
        home.text()
    );
    exec(&runtime, &[], "box", &outside).ok();
    assert_eq!(home.names(), ["kept"]);
    assert_eq!(std::fs::read_to_string(home.at("kept")).unwrap(), "kept\n");
    // Not even as another user, or from somewhere else.
    exec(&runtime, &["-w", "/"], "box", &outside).ok();
    assert_eq!(home.names(), ["kept"]);
}

#[test]
fn a_ruleset_of_landlock_holds_where_something_is_mounted_later() {
    if !installed(&["mount"]) {
        return;
    }
    let runtime = Runtime::new();
    let dir = Dir::new();
    let place = dir.directory("place");
    let touch = format!("touch '{place}/x' && echo written || echo refused");
    // Under a ruleset, and without one: the second shows that the first can fail.
    for (landlock, expected) in [("auto", "refused"), ("none", "written")] {
        let name = runtime.detach(&["--landlock", landlock, "--read-only"], "sleep 1000; :");
        let pid = runtime.pid(&name, "pid").to_string();
        let mount = ["enter", &pid, "mount", "-t", "tmpfs", "t", &place];
        runtime.rootlet(&mount).ok();
        assert_eq!(
            exec(&runtime, &[], &name, &touch).ok(),
            expected,
            "{landlock}"
        );
    }
}

#[test]
fn k1_a_key_of_the_session_of_who_executes_is_not_found() {
    if !installed(&["python3"]) {
        return;
    }
    let runtime = Runtime::new();
    let name = runtime.detach(&["--seccomp", "none"], "sleep 1000; :");
    // keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, ..)
    let look = format!(
        "import ctypes; print('found' if ctypes.CDLL(None).syscall({}, 10, -3, b'user', b'rootlet-exec', 0) > 0 else 'none')",
        libc::SYS_keyctl
    );
    // keyctl(KEYCTL_JOIN_SESSION_KEYRING), add_key("user", "rootlet-exec", "x", 1, KEY_SPEC_SESSION_KEYRING)
    let script = format!(
        "import ctypes, subprocess, sys
c = ctypes.CDLL(None, use_errno=True)
assert c.syscall({}, 1, 0) > 0
assert c.syscall({}, b'user', b'rootlet-exec', b'x', 1, -3) > 0
sys.exit(subprocess.run(sys.argv[1:]).returncode)",
        libc::SYS_keyctl,
        libc::SYS_add_key
    );
    let under = |words: &[&str]| {
        let mut command = Command::new("python3");
        command.args(["-c", &script]).args(words);
        command.env("XDG_RUNTIME_DIR", runtime.dir().path());
        finish(command).ok()
    };
    assert_eq!(under(&["python3", "-c", &look]), "found");
    assert_eq!(
        under(&[
            crate::support::ROOTLET,
            "exec",
            &name,
            "python3",
            "-c",
            &look
        ]),
        "none"
    );
}

#[test]
fn fd1_of_what_is_open_in_who_executes_only_the_standard_descriptors_cross() {
    let runtime = Runtime::new();
    let root = rootfs();
    for options in [
        vec![],
        own_root(&root),
        vec!["--share", "pid"],
        vec!["--no-namespaces"],
    ] {
        let name = runtime.detach(&options, "sleep 1000; :");
        let script =
            format!("exec 5</ 6</etc/passwd 9>&1; $rootlet exec {name} -- sh -c 'ls /proc/$$/fd'");
        assert_eq!(runtime.shell(&script).ok(), "0\n1\n2", "{options:?}");
        // Closed ones are not taken by something of rootlet's.
        let script = format!("$rootlet exec {name} -- sh -c 'ls -l /proc/$$/fd >&2' <&- >&-");
        let said = runtime.shell(&script);
        assert!(
            !said.err.contains("socket:") && !said.err.contains("pidfd"),
            "{options:?}: {said:?}"
        );
    }
}
