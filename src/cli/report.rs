//! What a run tells besides the command's own output: steps down on standard error, `--trace`, `--status-fd`.

use rootlet::child::record::Process;
use rootlet::child::step::Step;
use rootlet::error::Error;
use rootlet::parent::Usage;
use rootlet::plan::describe::signal_name;
use rootlet::plan::explain::process_name;
use rootlet::plan::{Enforced, ParentStep};
use rootlet::seccomp::{self, Call};
use rootlet::{Event, Observer, Outcome, Plan};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the user.
pub struct Report {
    /// When this began, in nanoseconds of the real-time clock; none when nothing is traced.
    traced_since: Option<u64>,
    status: Option<StatusFile>,
    stepped_down: Vec<String>,
    /// What the command's filter has refused, where that is listened to.
    refused: Vec<Call>,
    /// Namespaces that stayed the host's.
    kept: Vec<&'static str>,
    /// What the container has used, where that is counted.
    used: Option<Usage>,
}

impl Report {
    pub fn new(trace: bool, status: Option<StatusFile>) -> Self {
        Report {
            traced_since: trace.then(now),
            status,
            stepped_down: Vec::new(),
            refused: Vec::new(),
            kept: Vec::new(),
            used: None,
        }
    }

    /// Tells what was asked for comes to.
    pub fn tell(&mut self, note: String) {
        say!("rootlet: note: {note}");
        self.stepped_down.push(note);
    }

    /// Tells of a step down.
    pub fn note(&mut self, note: String) {
        say!("rootlet: note: {note} (--strict refuses this)");
        self.stepped_down.push(note);
    }

    /// Tells what the filter called `base` has refused, and which rules would allow it.
    pub fn refusals(&self, base: &str) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for call in &self.refused {
            *counts.entry(call.to_string()).or_default() += 1;
        }
        if counts.is_empty() {
            return say!("rootlet: seccomp: the filter {base} has refused nothing");
        }
        for (call, count) in counts {
            say!("rootlet: seccomp: refused {call}, {count} times");
        }
        say!(
            "rootlet: seccomp: with this in a file, --seccomp FILE would allow them:\n{}",
            seccomp::allowing(base, &self.refused)
        );
    }

    /// Tells how it ended.
    pub fn end(&mut self, outcome: &Result<Outcome, Error>) -> Result<(), Error> {
        let exited = |code, signal, timed_out| StatusLine::Exited {
            code,
            signal,
            timed_out,
            usage: self.used,
        };
        let line = match outcome {
            Ok(Outcome::Exited(code)) => exited(Some(*code), None, false),
            Ok(Outcome::Killed(signal)) => exited(None, Some(*signal), false),
            Ok(Outcome::TimedOut) => exited(None, None, true),
            Err(error) => StatusLine::Failed {
                error: error.to_string(),
                errno: error.errno,
                hint: error.hint.as_deref(),
            },
        };
        self.status
            .as_mut()
            .map_or(Ok(()), |status| status.write(&line))
    }

    /// The last step of the command, of which it cannot tell itself.
    fn trace_exec(&self, plan: &Plan, nanos: u64) {
        // To put a step into words takes longer than to do it.
        if self.traced_since.is_some() {
            let number = plan.command.len().saturating_sub(1);
            let call = plan.describe(Step::Exec).call;
            self.trace(nanos, Process::Command, number, &call);
        }
    }

    fn trace(&self, nanos: u64, process: Process, number: usize, call: &str) {
        if let Some(since) = self.traced_since {
            let milliseconds = nanos.saturating_sub(since) as f64 / 1e6;
            say!(
                "{milliseconds:9.3} ms  {:<8} {:>2}  {call}",
                process_name(process),
                number + 1
            );
        }
    }
}

impl Observer for Report {
    fn event(&mut self, plan: &Plan, event: &Event) {
        match *event {
            Event::Done {
                process,
                step,
                nanos,
            } => {
                if let Some(entry) = plan.list(process).get(step) {
                    self.trace(nanos, process, step, &plan.describe(entry.step).call);
                }
            }
            Event::SteppedDown {
                process,
                step,
                errno,
            } => {
                let Some(note) = plan.stepped_down(process, step, errno) else {
                    return;
                };
                if let Some(name) = plan.kept_namespace(process, step) {
                    self.kept.push(name);
                }
                self.note(note);
            }
            Event::Refused(call) => self.refused.push(call),
            Event::FellBack { fallback, errno } => self.note(Plan::fell_back(fallback, errno)),
            Event::Started { pid, init, nanos } => {
                log::info!("the command is process {pid}");
                self.trace_exec(plan, nanos);
                let mut enforced = plan.enforced.clone();
                self.kept.iter().for_each(|name| enforced.keep(name));
                let line = StatusLine::Started {
                    pid,
                    init_pid: init,
                    enforced: &enforced,
                    stepped_down: &self.stepped_down,
                };
                if let Some(Err(error)) = self.status.as_mut().map(|status| status.write(&line)) {
                    say!("rootlet: {error}");
                }
            }
            Event::Used(usage) => {
                self.used = Some(usage);
                if let (Some(kills @ 1..), Some(limits)) = (usage.oom_kills, &plan.enforced.limits)
                    && let Some(memory) = limits.limits.memory
                {
                    say!(
                        "rootlet: note: --memory {memory} was reached, and the kernel ended processes for it: {kills}"
                    );
                }
            }
            Event::Stopped(signal) => {
                log::info!("the command was stopped by {}", signal_name(signal))
            }
            _ => {}
        }
    }

    fn parent_step(&mut self, plan: &Plan, step: ParentStep) {
        log::debug!("{}", plan.describe_parent(step).call);
        if self.traced_since.is_some() {
            let number = plan
                .parent
                .iter()
                .position(|&known| known == step)
                .unwrap_or_default();
            self.trace(
                now(),
                Process::Launcher,
                number,
                &plan.describe_parent(step).call,
            );
        }
    }
}

/// Nanoseconds of the real-time clock.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as u64)
}

/// A line of `--status-fd`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum StatusLine<'a> {
    /// The command has been executed.
    Started {
        /// The command's process as the caller sees it.
        pid: i32,
        /// init's, likewise; none when the command itself is process 1 inside.
        init_pid: Option<i32>,
        enforced: &'a Enforced,
        stepped_down: &'a [String],
    },
    /// The command has ended.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        timed_out: bool,
        /// What it has used, where there was a control group.
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// There was no command to end.
    Failed {
        error: String,
        errno: Option<i32>,
        hint: Option<&'a str>,
    },
}

/// The descriptor of `--status-fd`.
pub struct StatusFile(std::fs::File);

impl StatusFile {
    /// A descriptor of our own for the same file, so that the command does not get it.
    pub fn open(fd: i32) -> Result<Self, Error> {
        let wrong = |why: &str| Error::usage(format!("status descriptor {fd} {why}"));
        let refused = |errno| match errno {
            rustix::io::Errno::BADF => wrong("is not open"),
            errno => Error::setup(format!("take status descriptor {fd}, fcntl"), errno),
        };
        let opened = rootlet::sys::duplicate(fd).map_err(refused)?;
        let flags = rustix::fs::fcntl_getfl(&opened).map_err(refused)?;
        if flags & rustix::fs::OFlags::ACCMODE == rustix::fs::OFlags::RDONLY {
            return Err(wrong("cannot be written to"));
        }
        Ok(StatusFile(opened.into()))
    }

    fn write(&mut self, line: &StatusLine<'_>) -> Result<(), Error> {
        let mut text =
            serde_json::to_string(line).map_err(|error| Error::broken(error.to_string()))?;
        text.push('\n');
        self.0
            .write_all(text.as_bytes())
            .map_err(|error| Error::setup("write to the status descriptor", error))
    }
}
