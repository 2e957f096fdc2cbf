//! What a command in a container is given, and how its end is told.

use crate::runtime::{Runtime, until};
use crate::support::{Dir, await_end, finish, rootfs};
use crate::{exec, own_root};

const SLEEP: &str = "sleep 1000; :";

#[test]
fn the_status_is_the_commands_as_of_run() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
    ] {
        assert_eq!(
            exec(&runtime, &[], &name, script).status,
            status,
            "{script}"
        );
    }
    let refused = |words: &[&str]| runtime.rootlet(&[&["exec", &name], words].concat());
    refused(&["no-such-program"]).fails(127, &["execute no-such-program", "ENOENT"]);
    refused(&["--", "/no/such/program"]).fails(127, &["ENOENT"]);
    refused(&["/etc"]).fails(126, &["execute /etc", "EACCES"]);
    refused(&["--", ""]).fails(127, &["the command is an empty word"]);
    refused(&["--", "--version"]).fails(127, &["--version"]);
    for wrong in [
        &["exec"][..],
        &["exec", "--no-such-option", &name],
        &["exec", "-t", "sometimes", &name, "true"],
        &["exec", "-e", "=x", &name, "true"],
        &["exec", "-u", "nobody", &name, "true"],
    ] {
        let ran = runtime.rootlet(wrong);
        assert_eq!(
            (ran.status, ran.err.is_empty()),
            (125, false),
            "{wrong:?}: {ran:?}"
        );
    }
}

#[test]
fn nothing_of_a_command_that_could_not_be_executed_is_left() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    for _ in 0..3 {
        assert_eq!(
            runtime.rootlet(&["exec", &name, "no-such-program"]).status,
            127
        );
    }
    // A process that nobody has waited for would be listed in here, and would keep the container from ending where the
    // machine's first process waits for none.
    let list = exec(&runtime, &[], &name, "cat /proc/[0-9]*/stat").ok();
    assert!(!list.contains(") Z "), "{list}");
}

#[test]
fn signals_to_the_launcher_go_to_the_command() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    let script = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let child = crate::started(&runtime, &[], &name, script);
    crate::support::send(child.id(), libc::SIGTERM);
    let ran = await_end(child);
    assert_eq!((ran.status, &*ran.out), (3, "told"));
    assert_eq!(runtime.seen(&name, "status"), "running");
}

#[test]
fn the_environment_is_the_containers_with_what_is_asked_for() {
    let runtime = Runtime::new();
    let mut start = runtime.command(&[
        "run",
        "-d",
        "--clear-env",
        "-e",
        "PATH",
        "-e",
        "OF=container",
        "-e",
        "BOTH=container",
        "-e",
        "ODD=a=b",
        "sh",
        "-c",
        SLEEP,
        runtime.mark(),
    ]);
    let name = finish({
        start.env("ONLY", "starter");
        start
    })
    .ok();
    let environment = |options: &[&str]| {
        let words = [&["exec"], options, &[&name, "env"]].concat();
        let mut command = runtime.command(&words);
        command.env("BOTH", "caller").env("TOKEN", "secret");
        let out = finish(command).ok();
        let mut lines: Vec<String> = out.lines().map(ToString::to_string).collect();
        lines.sort();
        lines.retain(|line| !line.starts_with("PATH="));
        lines
    };
    assert_eq!(
        environment(&[]),
        ["BOTH=container", "ODD=a=b", "OF=container"]
    );
    let asked = ["-e", "NEW=1", "-e", "BOTH", "-e", "OF=", "-e", "MISSING"];
    assert_eq!(
        environment(&asked),
        ["BOTH=caller", "NEW=1", "ODD=a=b", "OF="]
    );
    // A word that is no text.
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"X=\xff");
    let mut command = runtime.command(&["exec", "-e"]);
    command
        .arg(odd)
        .args([&name, "--", "sh", "-c", "printf %s \"$X\" | od -An -tx1"]);
    assert_eq!(finish(command).ok().trim(), "ff");
}

#[test]
fn the_directory_is_the_containers_or_another_inside() {
    let runtime = Runtime::new();
    let dir = Dir::new();
    dir.directory("sub");
    let name = runtime.detach(&["-w", dir.text()], SLEEP);
    let pwd = |options: &[&str]| exec(&runtime, options, &name, "pwd -P").ok();
    assert_eq!(pwd(&[]), dir.text());
    assert_eq!(pwd(&["-w", "sub"]), dir.at("sub"));
    assert_eq!(pwd(&["-w", "/usr"]), "/usr");
    exec(&runtime, &["-w", "none"], &name, "true")
        .fails(125, &["change to the working directory", "ENOENT"]);
    // In a root of its own.
    let root = rootfs();
    let name = runtime.detach(&own_root(&root), SLEEP);
    assert_eq!(exec(&runtime, &[], &name, "pwd -P").ok(), "/");
    assert_eq!(exec(&runtime, &["-w", "mnt"], &name, "pwd -P").ok(), "/mnt");
}

#[test]
fn fd3_a_directory_that_leads_out_of_the_root_is_none_of_a_command_executed_in_it() {
    let runtime = Runtime::new();
    let root = rootfs();
    let name = runtime.detach(&own_root(&root), SLEEP);
    std::fs::create_dir(root.path().join("mnt/dir")).unwrap();
    // Replaced while the container runs: by links that lead out of it, if anything of the host's were in reach.
    for target in [
        root.text(),
        "/proc/self/cwd",
        "/proc/self/fd/3",
        "/proc/self/root/../..",
    ] {
        let link = root.path().join("mnt/dir");
        let _ = std::fs::remove_dir(&link);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        for place in ["/mnt/dir", "/mnt/dir/..", "/mnt/dir/."] {
            let words = ["exec", "-w", place, &name, "--", "sh", "-c", "pwd -P; ls /"];
            let mut command = runtime.command(&words);
            command.current_dir("/");
            let ran = finish(command);
            if ran.status != 125 {
                // A directory inside: the container's root has what the test has made in it, and nothing else.
                let lines: Vec<&str> = ran.out.lines().collect();
                assert!(
                    lines[0].starts_with('/') && !lines.contains(&"home"),
                    "{target} {place}: {ran:?}"
                );
            }
        }
    }
}

#[test]
fn the_user_is_the_containers_or_another_that_is_mapped() {
    let runtime = Runtime::new();
    let own = format!(
        "{}:{}",
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw()
    );
    let id =
        |options: &[&str], name: &str| exec(&runtime, options, name, "echo $(id -u):$(id -g)").ok();
    for (options, expected) in [
        (&[][..], "0:0"),
        (&["-u", "keep"], &*own),
        (&["-u", "5:6"], "5:6"),
    ] {
        let name = runtime.detach(options, SLEEP);
        assert_eq!(id(&[], &name), expected);
        assert_eq!(id(&["-u", expected], &name), expected);
        for other in ["1234:5678", "5:1234", "root", "keep"] {
            let ran = exec(&runtime, &["-u", other], &name, "true");
            let same =
                (other == "root" && expected == "0:0") || (other == "keep" && expected == own);
            match same {
                true => assert_eq!(ran.status, 0, "{ran:?}"),
                false => ran.fails(125, &["is nobody in the container", "inside:outside:count"]),
            }
        }
    }
}

#[test]
fn without_a_command_there_is_a_shell() {
    let runtime = Runtime::new();
    let root = rootfs();
    let mut plain = runtime.command(&["run", "-d", "sh", "-c", SLEEP, runtime.mark()]);
    plain.env("SHELL", "/bin/bash");
    let plain = finish(plain).ok();
    let other = runtime.detach(&own_root(&root), SLEEP);
    for (name, expected) in [(&plain, "bash"), (&other, "sh")] {
        let mut command = runtime.command(&["exec", "-t", "never", name]);
        let script = runtime.dir().file("script", "cat /proc/$$/comm; exit 9\n");
        command
            .env("SHELL", "/bin/false")
            .stdin(std::fs::File::open(script).unwrap());
        let ran = finish(command);
        assert_eq!((ran.status, &*ran.out), (9, expected), "{ran:?}");
    }
}

#[test]
fn one_executes_in_it_as_soon_as_its_start_has_returned() {
    let runtime = Runtime::new();
    let script = "for i in 1 2 3 4 5; do $rootlet run -d --name c$i sleep 1000 && $rootlet exec c$i -- sh -c 'echo in' || exit 1; done";
    assert_eq!(
        runtime.shell(script).ok(),
        "c1\nin\nc2\nin\nc3\nin\nc4\nin\nc5\nin"
    );
    runtime.rootlet(&["kill", "--all"]).ok();
}

#[test]
fn a_container_in_which_nothing_can_be_executed_says_why() {
    let runtime = Runtime::new();
    let refused =
        |name: &str, words: &[&str]| runtime.rootlet(&["exec", name, "true"]).fails(125, words);
    refused(
        "nobody",
        &["there is no container called nobody", "rootlet ps -a"],
    );
    refused("../x", &["../x"]);
    let ended = runtime.detach(&[], "exit 0");
    runtime.rootlet(&["wait", &ended]).ok();
    refused(&ended, &[&ended, "ended"]);
    // One whose supervisor was killed.
    let dead = runtime.detach(&[], SLEEP);
    let command = runtime.pid(&dead, "pid");
    crate::support::send(runtime.pid(&dead, "supervisor-pid"), libc::SIGKILL);
    until("its command has gone", || {
        crate::runtime::state(command).is_none()
    });
    let ran = runtime.rootlet(&["exec", &dead, "true"]);
    assert_eq!(ran.status, 125, "{ran:?}");
    assert!(ran.err.contains(&dead), "{ran:?}");
    // One that waits to begin again.
    let options = ["--restart", "on-failure:30", "--name", "again"];
    runtime.detach(&options, "exit 1");
    until("it waits to begin again", || {
        runtime
            .find("again")
            .is_none_or(|it| it["status"] == "restarting")
    });
    let ran = runtime.rootlet(&["exec", "again", "true"]);
    assert!(
        ran.status == 0 || (ran.status == 125 && ran.err.contains("again")),
        "{ran:?}"
    );
    runtime.rootlet(&["rm", "--force", "--all"]).ok();
}

#[test]
fn fifty_at_once() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], SLEEP);
    let children: Vec<_> = (0..50)
        .map(|number| {
            let script = format!("cat; exit {number}");
            let mut command = crate::command(&runtime, &[], &name, &script);
            command
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            (number, command.spawn().unwrap())
        })
        .collect();
    for (number, child) in children {
        let ran = await_end(child);
        assert_eq!((ran.status, &*ran.out, &*ran.err), (number, "", ""));
    }
    assert_eq!(runtime.seen(&name, "status"), "running");
    assert_eq!(runtime.seen(&name, "pids"), 2);
}
