//! `--explain`: the plan for people and for machines.

use super::Plan;
use super::describe::Description;
use crate::child::record::Process;
use serde::Serialize;
use std::fmt::Write;

/// The plan in words: for each process what it is, and its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In the order in which they come to be.
    pub processes: Vec<ExplainedProcess>,
}

/// A process in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedProcess {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What it does, in order.
    pub steps: Vec<ExplainedStep>,
}

/// A step in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedStep {
    /// Counted from 1.
    pub number: usize,
    /// The step.
    #[serde(flatten)]
    pub step: Description,
    /// What is done when the host refuses it; none: that is the end, and an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<Description>,
}

impl Plan {
    /// The plan in words.
    pub fn explain(&self) -> Explanation {
        let mut processes = vec![ExplainedProcess {
            name: "launcher",
            about: "rootlet itself, an ordinary process of yours outside the container",
            steps: numbered(
                self.parent
                    .iter()
                    .map(|&step| (self.describe_parent(step), None)),
            ),
        }];
        let last = match self.init.is_empty() {
            true => (
                Process::Command,
                "the same process goes on as process 1 and becomes the command",
            ),
            false => (Process::Command, "a child of init that becomes the command"),
        };
        let setup = (
            Process::Setup,
            "the new process: it builds what the command will see, and nothing of it outlives it",
        );
        let init = match self.sweeps() {
            false => (
                Process::Init,
                "the same process, now process 1 inside: parent of all that run there",
            ),
            true => (
                Process::Init,
                "the same process, now among the host's processes: parent of the command and of all orphans",
            ),
        };
        for (process, about) in [setup, init, last] {
            let list = self.list(process);
            if !list.is_empty() {
                let steps = list.iter().map(|entry| {
                    (
                        self.describe(entry.step),
                        entry.instead.map(|step| self.describe(step)),
                    )
                });
                processes.push(ExplainedProcess {
                    name: process_name(process),
                    about,
                    steps: numbered(steps),
                });
            }
        }
        Explanation { processes }
    }
}

fn numbered(steps: impl Iterator<Item = (Description, Option<Description>)>) -> Vec<ExplainedStep> {
    steps
        .enumerate()
        .map(|(index, (step, instead))| ExplainedStep {
            number: index + 1,
            step,
            instead,
        })
        .collect()
}

/// What a process is called in reports.
pub fn process_name(process: Process) -> &'static str {
    match process {
        Process::Launcher => "launcher",
        Process::Setup => "setup",
        Process::Init => "init",
        Process::Command => "command",
    }
}

impl Explanation {
    /// For people: `width` columns wide.
    pub fn to_text(&self, width: usize) -> String {
        let mut text = String::new();
        for process in &self.processes {
            let _ = writeln!(text, "{}: {}\n", process.name, process.about);
            for explained in &process.steps {
                let step = &explained.step;
                let _ = writeln!(text, "  {:>2}  {}", explained.number, step.call);
                for line in wrapped(
                    &format!("{}  [{}]", step.words, step.man),
                    width.saturating_sub(8).max(20),
                ) {
                    let _ = writeln!(text, "        {line}");
                }
                if let Some(instead) = &explained.instead {
                    let _ = writeln!(
                        text,
                        "        if the host refuses: {}, and say so",
                        instead.attempt
                    );
                }
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// `text` in lines of at most `width` characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines
            .last_mut()
            .map(|line| line.chars().count())
            .unwrap_or_default();
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
