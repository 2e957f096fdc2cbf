//! Containers for which nobody waits, and their logs.

use crate::runtime::{Runtime, until};
use crate::support::{await_end, finish, installed};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

#[test]
fn the_caller_has_the_name_and_its_standard_descriptors_back() {
    let runtime = Runtime::new();
    // Each reads to the end: of output, of errors, and of another descriptor that the caller has open.
    for options in [&[][..], &["--no-init"], &["-t", "always"]] {
        runtime.detach(options, "sleep 1000; :");
    }
    let script = r#"exec 7>&1; "$rootlet" run -d --name other sleep 1000"#;
    assert_eq!(runtime.shell(script).ok(), "other");
    runtime.rootlet(&["kill", "other"]).ok();
}

#[test]
fn the_supervisor_is_in_a_session_of_its_own() {
    let runtime = Runtime::new();
    // A caller that is killed with its whole group, as a terminal does when it is closed.
    let script = r#"setsid sh -c '"$rootlet" run -d --name web sleep 1000; kill -KILL 0'"#;
    assert_eq!(runtime.shell(script).out, "web");
    assert_eq!(runtime.seen("web", "status"), "running");
    runtime.rootlet(&["kill", "web"]).ok();
}

#[test]
fn what_cannot_be_started_is_said_to_the_caller_and_leaves_nothing() {
    let runtime = Runtime::new();
    for (words, status, said) in [
        (&["/no/such"][..], 127, "/no/such"),
        (&["/etc/passwd"], 126, "EACCES"),
        (&["-v", "/no/such:/mnt", "true"], 125, "/no/such"),
    ] {
        let ran = runtime.rootlet(&[&["run", "-d", "--name", "web"], words].concat());
        assert_eq!(ran.out, "");
        ran.fails(status, &[said]);
        assert!(!runtime.place().exists());
    }
}

#[test]
fn output_and_errors_are_in_the_log() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "echo one; echo two >&2; printf three; exit 4");
    assert_eq!(runtime.rootlet(&["wait", &name]).ok(), "4");
    let ran = runtime.rootlet(&["logs", &name]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("one\nthree", "two"));
    assert_eq!(runtime.seen(&name, "exit"), 4);
    assert_eq!(runtime.seen(&name, "status"), "exited");
    // Only those that run are listed without being asked for.
    assert_eq!(runtime.rootlet(&["ps", "-q"]).ok(), "");
    assert_eq!(runtime.rootlet(&["ps", "-aq"]).ok(), name);
}

#[test]
fn nothing_is_left_of_a_detached_one_that_is_to_be_removed() {
    let runtime = Runtime::new();
    let file = runtime.dir().at("go");
    std::fs::write(&file, "").unwrap();
    let script = format!("echo out; while [ -e {file} ]; do sleep 0.01; done; echo last");
    let name = runtime.detach(&["--rm"], &script);
    let mut following = runtime.command(&["logs", "-f", &name]);
    let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4];
    following
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    // What it has written last is shown also when the log is gone.
    assert_eq!(await_end(following).ok(), "last");
    until("it is gone", || !runtime.place().exists());
}

#[test]
fn a_log_has_as_much_as_its_size_allows() {
    let runtime = Runtime::new();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
    let name = runtime.detach(&["--log-size", "8k"], script);
    assert_eq!(runtime.rootlet(&["wait", &name]).ok(), "0");
    let folder = runtime.place().join(&name);
    let size = |file: &str| std::fs::metadata(folder.join(file)).unwrap().len();
    assert!(size("log") <= 8192 && size("log.1") <= 8192);
    let log = runtime.log(&name);
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() > 150, "{}", lines.len());
    // The last ones, and none missing between.
    let first = 2000 - lines.len();
    let expected: Vec<String> = (first..2000)
        .map(|number| format!("line {number}"))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_part_of_the_log_is_shown_as_it_is_asked_for() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "echo one; echo two; echo three");
    runtime.rootlet(&["wait", &name]).ok();
    let logs = |options: &[&str]| runtime.rootlet(&[&["logs", &name], options].concat()).ok();
    assert_eq!(logs(&["--tail", "2"]), "two\nthree");
    assert_eq!(logs(&["-n", "0"]), "");
    assert_eq!(logs(&["-n", "9"]), "one\ntwo\nthree");
    assert_eq!(logs(&["--since", "1h"]), "one\ntwo\nthree");
    assert_eq!(logs(&["--since", "2999-01-01T00:00:00Z"]), "");
    let shown = logs(&["-t", "-n", "1"]);
    let (time, text) = shown.split_once(' ').unwrap();
    assert_eq!(text, "three");
    assert_eq!(logs(&["--since", time, "-n", "1"]), "three");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    runtime
        .rootlet(&["logs", &name, "--since", "noon"])
        .fails(125, &["noon", "how long ago"]);
}

#[test]
fn a_log_that_is_followed_ends_with_its_container() {
    let runtime = Runtime::new();
    let file = runtime.dir().at("go");
    std::fs::write(&file, "").unwrap();
    let script = format!("echo first; while [ -e {file} ]; do sleep 0.01; done; echo last");
    let name = runtime.detach(&[], &script);
    let mut following = runtime.command(&["logs", "--follow", &name]);
    let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 6];
    let out = following.stdout.as_mut().unwrap();
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first\n");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(await_end(following).ok(), "last");
    // Another name does not matter to one that follows.
    let name = runtime.detach(&[], "while :; do echo line; sleep 0.01; done");
    let mut following = runtime.command(&["logs", "--follow", &name]);
    let mut following = following.stdout(Stdio::piped()).spawn().unwrap();
    let out = following.stdout.as_mut().unwrap();
    out.read_exact(&mut first[..5]).unwrap();
    runtime.rootlet(&["rename", &name, "other"]).ok();
    runtime.rootlet(&["kill", "other"]).ok();
    await_end(following).ok();
}

#[test]
fn a_server_is_reached_and_stopped() {
    if !installed(&["python3"]) {
        return;
    }
    let runtime = Runtime::new();
    runtime.dir().file("page", "hello from inside\n");
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let words = ["run", "-d", "--name", "web", "--net", "host", "-w"];
    let server = [
        "python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        runtime.dir().text(),
        &port.to_string(),
    ];
    let words = [&words[..], &[runtime.dir().text(), "--"], &server].concat();
    assert_eq!(finish(runtime.command(&words)).ok(), "web");
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let mut answer = String::new();
    until("the server answers", || {
        ask().is_ok_and(|text| {
            answer = text;
            true
        })
    });
    assert!(answer.ends_with("hello from inside\n"), "{answer}");
    until("the request is in the log", || {
        let ran = runtime.rootlet(&["logs", "web"]);
        ran.err.contains("GET /page")
    });
    assert_eq!(runtime.rootlet(&["stop", "web"]).ok(), "web");
    runtime.nothing_runs();
    assert!(ask().is_err());
}

#[test]
fn a_detached_command_reads_no_input_and_has_no_terminal() {
    let runtime = Runtime::new();
    let name = runtime.detach(&[], "cat; tty; tty <&1; echo done");
    assert_eq!(runtime.rootlet(&["wait", &name]).ok(), "0");
    assert_eq!(runtime.log(&name), "not a tty\nnot a tty\ndone");
}
