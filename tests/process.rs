//! The command's process: descriptors, signals, environment, arguments, limits; init; and how the container ends.

mod support;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use support::{
    Dir, ROOTLET, await_end, field, finish, inside, installed, rootlet, run, send, shell,
};

// Descriptors.

#[test]
fn fd1_no_descriptor_of_the_callers_crosses_but_those_that_are_passed() {
    let list = |options: &str, redirections: &str| {
        let script =
            r#"for fd in /proc/self/fd/*; do [ -e "$fd" ] && printf "%s " "${fd##*/}"; done; :"#;
        shell(&format!(
            "exec \"$rootlet\" run -t never {options} -- bash -c '{script}' {redirections}"
        ))
        .ok()
    };
    for init in ["", "--no-init", "--share pid"] {
        assert_eq!(list(init, "3</ 5</ 9</dev/null"), "0 1 2 ", "{init}");
        assert_eq!(
            list(
                &format!("{init} --pass-fd 5 --pass-fd 9"),
                "3</ 5</ 7</ 9</dev/null"
            ),
            "0 1 2 5 9 ",
            "{init}"
        );
    }
}

#[test]
fn a_passed_descriptor_is_the_callers() {
    let script =
        r#"echo text | "$rootlet" run -t never --pass-fd 7 -- sh -c 'cat <&7' 7<&0 0</dev/null"#;
    assert_eq!(shell(script).ok(), "text");
    shell(r#"exec "$rootlet" run -t never --pass-fd 7 true"#)
        .fails(125, &["descriptor 7", "not open"]);
}

#[test]
fn fd7_init_is_closed_to_those_inside() {
    for link in ["/proc/1/fd", "/proc/1/exe", "/proc/1/cwd", "/proc/1/mem"] {
        run(["sh", "-c", &format!("ls -L {link}/ || cat {link}")]).fails(1, &["Permission denied"]);
    }
    assert_eq!(
        inside(&["--pass-fd", "0"], "cat /proc/1/comm"),
        "rootlet-init"
    );
}

#[test]
fn fd4_standard_descriptors_may_be_closed() {
    let dir = Dir::new();
    for closed in 1..8 {
        let redirections: String = [("0<&-", 1), ("1>&-", 2), ("2>&-", 4)]
            .into_iter()
            .filter(|(_, bit)| closed & bit != 0)
            .map(|(word, _)| word)
            .collect::<Vec<_>>()
            .join(" ");
        let file = dir.at(&format!("file-{closed}"));
        for options in ["", "--no-init"] {
            let script = format!(
                "exec \"$rootlet\" run -t never {options} -- sh -c 'echo here >{file}; exit 7' {redirections}"
            );
            assert_eq!(shell(&script).status, 7, "{redirections}");
            assert_eq!(
                std::fs::read_to_string(&file).unwrap(),
                "here\n",
                "{redirections}"
            );
        }
        let failing =
            format!("exec \"$rootlet\" run -t never -v /missing:/mnt true {redirections}");
        assert_eq!(shell(&failing).status, 125, "{redirections}");
    }
}

#[test]
fn l10_few_open_files_are_enough_or_a_clear_error() {
    for limit in 4..24 {
        let ran = shell(&format!(
            "ulimit -n {limit}; exec \"$rootlet\" run -t never -- sh -c 'ulimit -n'"
        ));
        match ran.status {
            0 => assert_eq!(ran.out, limit.to_string()),
            _ => ran.fails(125, &["rootlet: ", "(EMFILE)", "ulimit -n"]),
        }
    }
    shell("ulimit -n 24; exec \"$rootlet\" run -t never true").ok();
}

#[test]
fn l10_a_limit_of_processes_is_a_clear_error() {
    if support::is_root() {
        return support::skip("root has no limit of processes");
    }
    shell("exec prlimit --nproc=1 \"$rootlet\" run -t never true")
        .fails(125, &["(EAGAIN)", "hint: the limit of processes"]);
}

// What is kept as the caller has it.

#[test]
fn u8_umask_limits_and_priority_are_the_callers() {
    let script = r#"umask 027; ulimit -Sc 0; ulimit -Sn 300; ulimit -Ss 4096
        nice -n 5 "$rootlet" run -t never -- sh -c 'umask; ulimit -Sc; ulimit -Sn; ulimit -Ss; nice'"#;
    assert_eq!(shell(script).ok(), "0027\n0\n300\n4096\n5");
}

#[test]
fn u8_processors_are_the_callers() {
    let script = "grep Cpus_allowed: /proc/self/status";
    for place in ["", "taskset -c 0"] {
        let own = shell(&format!("exec {place} {script}")).ok();
        for options in ["", "--no-init", "--net none", "--share pid"] {
            let run = format!("exec {place} \"$rootlet\" run -t never {options} -- {script}");
            assert_eq!(shell(&run).ok(), own, "{place} {options}");
        }
    }
}

/// The signals that are blocked, ignored and caught in a command that is started by `starter`, a part of a shell command.
fn signals(starter: &str) -> [u64; 3] {
    let status = shell(&format!("exec {starter} cat /proc/self/status")).ok();
    ["SigBlk", "SigIgn", "SigCgt"]
        .map(|name| u64::from_str_radix(field(&status, name), 16).unwrap())
}

#[test]
fn u8_blocked_and_ignored_signals_are_the_callers() {
    for starter in [
        "env",
        "env --block-signal=HUP,TERM",
        "env --ignore-signal=HUP,CHLD",
        "env --block-signal=CHLD --ignore-signal=INT",
        "env --block-signal",
        "env --default-signal",
    ] {
        for options in ["", "--no-init", "--share pid"] {
            let rootlet = format!("{starter} \"$rootlet\" run -t never {options}");
            assert_eq!(signals(&rootlet), signals(starter), "{starter} {options}");
        }
    }
}

#[test]
fn u8_sigpipe_is_at_its_default() {
    // Rust's runtime ignores it, and cannot tell what it was before: the default is what programs expect.
    let [_, ignored, _] = signals("env --ignore-signal=PIPE \"$rootlet\" run -t never");
    assert_eq!(ignored & (1 << (libc::SIGPIPE - 1)), 0);
}

#[test]
fn u8_a_caller_that_ignores_sigchld_gets_the_status_all_the_same() {
    for options in ["", "--no-init", "--share pid"] {
        let script = format!(
            "exec env --ignore-signal=CHLD --block-signal=CHLD \"$rootlet\" run -t never {options} -- sh -c 'exit 7'"
        );
        assert_eq!(shell(&script).status, 7, "{options}");
    }
}

#[test]
fn a_closed_pipe_ends_the_command() {
    let ran = run(["sh", "-c", "(yes; echo $? >&2) | head -n 1"]);
    assert_eq!((&*ran.out, &*ran.err), ("y", "141"));
}

// Environment and arguments.

#[test]
fn the_environment_is_the_callers_with_the_changes_in_their_order() {
    let dir = Dir::new();
    let file = dir.file(
        "env",
        "# a comment\n\nA=file\r\n  B=indented\nKEPT\nC=a=b # no comment\nMISSING\n",
    );
    let print = |options: &[&str]| {
        let mut command = rootlet(options.iter().chain(&["env"]));
        command
            .env_clear()
            .env("KEPT", "kept")
            .env("A", "callers")
            .env("PATH", "/usr/bin:/bin");
        finish(command).ok()
    };
    assert_eq!(print(&[]), "A=callers\nKEPT=kept\nPATH=/usr/bin:/bin");
    assert_eq!(
        print(&["-e", "A=1", "-e", "A=", "-e", "NEW=x y", "-e", "GONE"]),
        "A=\nKEPT=kept\nPATH=/usr/bin:/bin\nNEW=x y"
    );
    assert_eq!(print(&["--clear-env"]), "");
    assert_eq!(
        print(&["--clear-env", "-e", "Z=1", "-e", "KEPT", "-e", "A=2"]),
        "Z=1\nKEPT=kept\nA=2"
    );
    let from_file = "B=indented\nKEPT=kept\nC=a=b # no comment";
    assert_eq!(
        print(&["--clear-env", "-e", "A=1", "--env-file", &file]),
        format!("A=file\n{from_file}")
    );
    assert_eq!(
        print(&["--clear-env", "--env-file", &file, "-e", "A=1"]),
        format!("A=1\n{from_file}")
    );
    run(["-e", "=x", "true"]).fails(125, &["has no name"]);
    run(["--env-file", "/no/such/file", "true"])
        .fails(125, &["read the env file /no/such/file", "(ENOENT)"]);
}

#[test]
fn ten_thousand_arguments_arrive() {
    let numbers: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let words = ["sh", "-c", "echo $# $1 ${9999} ${10000}", "sh"]
        .into_iter()
        .chain(numbers.iter().map(String::as_str));
    assert_eq!(run(words).ok(), "10000 0 9998 9999");
}

#[test]
fn more_arguments_than_the_kernel_takes_are_a_clear_error() {
    let dir = Dir::new();
    let word = "x".repeat(200_000);
    let spec = dir.file("spec.toml", format!("command = [\"true\", \"{word}\"]\n"));
    run(["--spec", &spec]).fails(126, &["(E2BIG)", "hint: "]);
}

#[test]
fn a_nul_in_an_argument_is_a_clear_error() {
    let dir = Dir::new();
    let spec = dir.file("spec.toml", "command = [\"echo\", \"a\\u0000b\"]\n");
    run(["--spec", &spec]).fails(125, &[r#""a\0b" has a NUL byte in it"#]);
}

#[test]
fn bytes_that_are_no_utf8_arrive() {
    let bytes = OsString::from_vec((1..=255).collect());
    let script = OsStr::new(r#"printf %s "$0" | od -An -v -tu1 | tr -s ' \n' ' '"#);
    let numbers: Vec<String> = (1..=255).map(|number| number.to_string()).collect();
    let ran = run([OsStr::new("sh"), OsStr::new("-c"), script, &bytes]);
    assert_eq!(ran.ok().trim(), numbers.join(" "));

    let change = OsStr::from_bytes(b"ODD=\xff\xfe");
    let script = OsStr::new("printf %s \"$ODD\" | od -An -tx1");
    assert_eq!(
        run([
            OsStr::new("-e"),
            change,
            OsStr::new("sh"),
            OsStr::new("-c"),
            script
        ])
        .ok(),
        " ff fe"
    );
}

// Init, and the end of the container.

#[test]
fn l6_init_reaps_every_orphan() {
    let script = "i=0; while [ $i -lt 1000 ]; do (true & ) ; i=$((i+1)); done
        while set -- /proc/[0-9]*; [ $# -gt 2 ]; do :; done; cat /proc/[0-9]*/stat 2>&- | cut -d ' ' -f 3 | grep -c Z || :";
    assert_eq!(inside(&[], script), "0");
}

#[test]
fn the_container_ends_with_the_command() {
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        // await_end also waits until nobody has the output open any more.
        let script = "(trap '' TERM HUP INT; sleep 1000) & setsid sleep 1000 & exit 3";
        assert_eq!(
            run(options.iter().chain(&["sh", "-c", script])).status,
            3,
            "{options:?}"
        );
    }
}

#[test]
fn nothing_is_left_when_the_time_is_over() {
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let script =
            "setsid sh -c 'trap \"\" TERM; sleep 1000' & trap '' TERM; sleep 1000; sleep 1000";
        assert_eq!(
            run(options
                .iter()
                .chain(&["--timeout", "50ms", "sh", "-c", script]))
            .status,
            124,
            "{options:?}"
        );
    }
}

// Signals.

/// A container whose command tells what it is sent, a line each, once it is ready.
struct Listener {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// Says "ready", then the number of every signal, and ends on SIGTERM.
const LISTEN: &str = "import signal, sys
every = set(range(1, 65)) - {9, 19, 32, 33}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
print('ready', flush=True)
while (number := signal.sigwait(every)) != 15: print(int(number), flush=True)
print('end', flush=True)";

impl Listener {
    fn start(options: &[&str]) -> Listener {
        let mut command = rootlet(options.iter().chain(&["python3", "-c", LISTEN]));
        let mut child = command
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut listener = Listener { child, lines };
        assert_eq!(listener.line(), "ready");
        listener
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn end(mut self) {
        send(self.child.id(), libc::SIGTERM);
        assert_eq!(self.line(), "end");
        assert_eq!(await_end(self.child).status, 0);
    }
}

#[test]
fn l3_every_signal_that_can_be_caught_reaches_the_command_once() {
    if !installed(&["python3"]) {
        return;
    }
    let stopping = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let mut listener = Listener::start(options);
        let numbers = (1..=31).chain(34..=64);
        for number in
            numbers.filter(|number| ![9, 15, 19].contains(number) && !stopping.contains(number))
        {
            send(listener.child.id(), number);
            // A signal that arrived twice would be read in the next one's place.
            assert_eq!(listener.line(), number.to_string(), "{options:?}");
        }
        listener.end();
    }
}

#[test]
fn l3_a_signal_to_the_whole_process_group_reaches_the_command_once() {
    if !installed(&["python3"]) {
        return;
    }
    for options in [&[][..], &["--no-init"]] {
        let mut listener = Listener::start(options);
        for number in [libc::SIGINT, libc::SIGUSR1, libc::SIGHUP, libc::SIGQUIT] {
            // SAFETY: takes and returns plain numbers.
            let sent = unsafe { libc::kill(-(listener.child.id() as i32), number) };
            assert_eq!(sent, 0);
            assert_eq!(listener.line(), number.to_string(), "{options:?}");
        }
        listener.end();
    }
}

/// Waits until process `pid` is in one of `states`.
fn await_state(pid: u32, states: &str) {
    let deadline = std::time::Instant::now() + support::DEADLINE;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let state = stat.rsplit(") ").next().unwrap().chars().next().unwrap();
        if states.contains(state) {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "process {pid} is {state}, not {states}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn tty5_a_stop_stops_both_and_a_continuation_continues_both() {
    // Without init the command is process 1, which the kernel does not stop by default.
    for options in [&[][..], &["--share", "pid"]] {
        let mut command = rootlet(options.iter().chain(&[
            "--status-fd",
            "2",
            "sh",
            "-c",
            "read line; echo $line",
        ]));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let started: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let inner = started["pid"].as_u64().unwrap() as u32;
        for _ in 0..3 {
            send(child.id(), libc::SIGTSTP);
            await_state(inner, "T");
            await_state(child.id(), "T");
            send(child.id(), libc::SIGCONT);
            await_state(inner, "SR");
            await_state(child.id(), "SR");
        }
        child.stdin.take().unwrap().write_all(b"back\n").unwrap();
        assert_eq!(await_end(child).ok(), "back", "{options:?}");
    }
}

#[test]
fn sigkill_to_rootlet_leaves_nothing() {
    for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
        let mut command =
            rootlet(
                options
                    .iter()
                    .chain(&["sh", "-c", "sleep 1000 & echo ready; sleep 1000"]),
            );
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        send(child.id(), libc::SIGKILL);
        child.wait().unwrap();
        // The end of the output comes when the last process has gone.
        assert_eq!(output.read_line(&mut line).unwrap(), 0, "{options:?}");
    }
}

// Reports.

/// The lines that `--status-fd` gets for `arguments`.
fn status_lines(arguments: &str) -> Vec<serde_json::Value> {
    let out = shell(&format!(
        "\"$rootlet\" run -t never --status-fd 9 {arguments} 9>&1 >/dev/null 2>&1; true"
    ))
    .ok();
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_status_descriptor_gets_start_and_end() {
    let lines = status_lines("--net none --read-only -- sh -c 'exit 7'");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["event"], "started");
    assert!(lines[0]["pid"].as_u64().unwrap() > 0);
    assert_eq!(lines[0]["enforced"]["read_only"], true);
    assert_eq!(lines[0]["enforced"]["shared"], serde_json::json!(["time"]));
    assert_eq!(
        lines[1],
        serde_json::json!({"event": "exited", "code": 7, "signal": null, "timed_out": false})
    );
    let last = |arguments| status_lines(arguments).pop().unwrap();
    assert_eq!(last("-- sh -c 'kill -9 $$'")["signal"], 9);
    assert_eq!(last("--timeout 50ms sleep 1000")["timed_out"], true);
    let failed = last("-v /missing:/mnt true");
    assert_eq!(
        (&failed["event"], &failed["errno"]),
        (&"failed".into(), &libc::ENOENT.into())
    );
}

#[test]
fn the_command_does_not_get_the_status_descriptor() {
    let ran = shell(
        r#"exec "$rootlet" run -t never --status-fd 9 -- bash -c 'echo /proc/self/fd/*' 9>/dev/null"#,
    );
    assert_eq!(
        ran.ok(),
        "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3"
    );
}

#[test]
fn the_pid_that_is_reported_is_the_commands() {
    let mut child = rootlet(["--status-fd", "1", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let started: serde_json::Value = serde_json::from_str(&line).unwrap();
    // The kernel lets go of init's memory, which is what tells it of the exec, a moment before it names the process.
    let name = || std::fs::read_to_string(format!("/proc/{}/comm", started["pid"])).unwrap();
    let end = std::time::Instant::now() + support::DEADLINE;
    while name() != "cat\n" {
        assert!(std::time::Instant::now() < end, "{}", name());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    drop(child.stdin.take());
    assert_eq!(await_end(child).status, 0);
}

#[test]
fn what_comes_on_standard_input_goes_to_the_command_whole() {
    let text = "x".repeat(1 << 20);
    let mut child = Command::new(ROOTLET)
        .args(["run", "wc", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert_eq!(await_end(child).ok(), "1048576");
}
