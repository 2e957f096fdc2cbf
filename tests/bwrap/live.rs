//! Sandboxes that run while the test looks at them.

use crate::fds::{Fd, await_input, text_of};
use crate::programs::{Bwrap, in_tools};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A script that sends back each line which it is sent.
pub const ANSWER: &str = r#"while read -r line; do echo "$line"; done"#;
/// A script that leaves such a process behind and ends.
pub const LEAVE: &str = r#"exec 3<&0; while read -r line; do echo "$line"; done <&3 3<&- &"#;

/// A sandbox with a process that answers. It ends when nothing more can be sent to it, so that no failed test leaves one.
pub struct Live {
    /// The program that was started.
    pub bwrap: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Live {
    /// Starts a sandbox in which `script` runs with standard input and output of the test's, and waits until it answers.
    #[track_caller]
    pub fn of(bwrap: &Bwrap, fds: &[&Fd], options: &str, script: &str) -> Live {
        Live::start(bwrap.command(fds, &in_tools(options, script)))
    }

    /// Starts `command`, and waits until [`ANSWER`] or [`LEAVE`] answers in it.
    #[track_caller]
    pub fn start(command: Command) -> Live {
        let mut live = Live::unanswered(command);
        live.answers();
        live
    }

    /// The same, without waiting.
    pub fn unanswered(mut command: Command) -> Live {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut bwrap = command.spawn().unwrap();
        Live {
            input: bwrap.stdin.take(),
            output: bwrap.stdout.take().unwrap(),
            bwrap,
        }
    }

    /// Requires that the process in the sandbox is alive.
    #[track_caller]
    pub fn answers(&mut self) {
        self.send("on");
        assert_eq!(self.line().as_deref(), Some("on"));
    }

    /// Sends a line into the sandbox.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let mut input = self.input.as_ref().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line that comes out of the sandbox; none when nobody is left who could write one.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            await_input(&self.output);
            match self.output.read(&mut byte).unwrap() {
                0 if line.is_empty() => return None,
                0 => panic!("half a line: {line:?}"),
                _ if byte == *b"\n" => return Some(String::from_utf8(line).unwrap()),
                _ => line.push(byte[0]),
            }
        }
    }

    /// Requires that every process with the sandbox's standard output is gone or goes, though it could still be sent lines.
    #[track_caller]
    pub fn is_killed(&mut self) {
        assert_eq!(self.line(), None);
    }

    /// Has the process in the sandbox end.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// The same, and waits until everybody else has.
    #[track_caller]
    pub fn end(&mut self) {
        self.close();
        self.is_killed();
    }

    /// The exit status of the program, which ends or has ended.
    #[track_caller]
    pub fn status(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.bwrap);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        await_input(&pidfd);
        self.bwrap.wait().unwrap().code()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
        let _ = self.bwrap.kill();
        let _ = self.bwrap.wait();
    }
}

/// The JSON documents of this text.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let documents = serde_json::Deserializer::from_str(text).into_iter();
    documents.map(|document| document.unwrap()).collect()
}

/// Starts a sandbox as [`Live::of`] does, and returns its first process as well.
#[track_caller]
pub fn info_of(bwrap: &Bwrap, options: &str, script: &str) -> (Live, u32) {
    let (info, reader) = Fd::to_test();
    let options = format!("{options} --info-fd {info}");
    let live = Live::of(bwrap, &[&info], &options, script);
    drop(info);
    let pid = documents(&text_of(reader))[0]["child-pid"].as_u64();
    (live, pid.unwrap() as u32)
}
