//! What rootlet can do here: whole launches, each up to the exec of a command.

use super::{Finding, Tried};
use crate::error::Result;
use crate::host::Facts;
use crate::host::cause::Cause;
use crate::host::gate::{Answer, Gate};
use crate::host::place::Place;
use crate::parent::attempt;
use crate::plan::Plan;
use crate::preset::sandbox;
use crate::spec::{Net, Root, Spec, Tty};
use serde::Serialize;
use std::path::PathBuf;

/// A way to use rootlet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ability {
    /// The command line.
    pub command: &'static str,
    /// Whether it works.
    pub state: State,
    /// What is done instead of what the host refuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stepped_down: Vec<String>,
    /// Why it cannot work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The cause, where no gate has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// How far something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In full.
    Works,
    /// With something weaker in the place of something, which each launch says.
    StepsDown,
    /// Not at all.
    Impossible,
}

/// Everything that a user may want, plain `rootlet run` first.
pub fn all(findings: &[Finding], place: &Place) -> Vec<Ability> {
    let plain = || Spec {
        tty: Tty::Never,
        ..Spec::default()
    };
    let none = Spec {
        net: Net::None,
        ..plain()
    };
    let root = Spec {
        root: Root::Empty,
        ..plain()
    };
    let bare = Spec {
        namespaces: false,
        read_only: true,
        ..plain()
    };
    // A filter that ends who makes a user namespace would end doctor.
    let is_killed = findings.iter().any(|finding| {
        finding.gate == Gate::User && matches!(finding.result, Tried::Shut(Answer::Killed(_), _))
    });
    let rehearsed = |command, spec| match is_killed {
        true => impossible(command, lacking(Gate::User), None),
        false => rehearsed(command, spec, findings),
    };
    let run = rehearsed("rootlet run", Ok(plain()));
    let terminal = run.with(of_gate("rootlet run -t always", Gate::Pty, findings));
    // The tree of a try is read-only beneath its overlays.
    let read_only = Spec {
        read_only: true,
        ..plain()
    };
    let attempted = rehearsed("rootlet try", Ok(read_only)).with(attempted(findings, place));
    vec![
        run,
        rehearsed("rootlet run --net none", Ok(none)),
        rehearsed("rootlet run --rootfs DIR", Ok(root)),
        terminal,
        rehearsed("rootlet sandbox", in_sandbox()),
        attempted,
        // It makes no namespace that could end it.
        self::rehearsed("rootlet run --no-namespaces", Ok(bare), findings),
    ]
}

impl Ability {
    /// What `other` can do, which is a launch like this one with something more.
    fn with(&self, other: Ability) -> Ability {
        match (self.state, other.state) {
            (State::Works, _) | (_, State::Impossible) => other,
            _ => Ability {
                command: other.command,
                ..self.clone()
            },
        }
    }
}

/// A sandbox for the working directory, or for another one where that is not a directory that a sandbox takes: the
/// question is what the host allows.
fn in_sandbox() -> Result<Spec> {
    let mut look = sandbox::Look::here()?;
    let mut preset = sandbox::preset(&look);
    if preset.is_err() {
        look.cwd = Some(PathBuf::from("/usr"));
        preset = sandbox::preset(&look);
    }
    let mut spec = preset?;
    let views = spec.mounts.len();
    sandbox::complete(&mut spec, views, &look);
    spec.tty = Tty::Never;
    Ok(spec)
}

fn rehearsed(command: &'static str, spec: Result<Spec>, findings: &[Finding]) -> Ability {
    let plan = spec.and_then(|spec| {
        let facts = Facts::gather(&spec)?;
        Ok(Plan::new(&spec, &facts)?.rehearsal())
    });
    match plan {
        Err(error) => impossible(command, error.to_string(), None),
        Ok(plan) => {
            let attempt = attempt(&plan);
            match (attempt.answer, attempt.gate) {
                (Answer::Works, _) => Ability {
                    command,
                    state: match attempt.stepped_down.is_empty() {
                        true => State::Works,
                        false => State::StepsDown,
                    },
                    stepped_down: attempt.stepped_down,
                    error: None,
                    cause: None,
                },
                (_, Some(gate)) if is_shut(gate, findings) => {
                    impossible(command, lacking(gate), None)
                }
                // What was asked for is not there, or was refused for a reason that no gate has.
                _ => {
                    let said = attempt
                        .error
                        .map_or_else(|| "it was killed".into(), |it| it.to_string());
                    impossible(command, said, None)
                }
            }
        }
    }
}

fn is_shut(gate: Gate, findings: &[Finding]) -> bool {
    let found = findings.iter().find(|finding| finding.gate == gate);
    found.is_some_and(|finding| finding.result != Tried::Works)
}

fn lacking(gate: Gate) -> String {
    format!("it needs: {}", gate.name())
}

fn of_gate(command: &'static str, gate: Gate, findings: &[Finding]) -> Ability {
    let found = findings.iter().find(|finding| finding.gate == gate);
    match found.map(|finding| &finding.result) {
        Some(Tried::Works) => Ability {
            command,
            state: State::Works,
            stepped_down: Vec::new(),
            error: None,
            cause: None,
        },
        _ => impossible(command, lacking(gate), None),
    }
}

/// `rootlet try`: an overlay, whose upper directory is in the home directory.
fn attempted(findings: &[Finding], place: &Place) -> Ability {
    let command = "rootlet try";
    match &place.overlay_home {
        Some(home) => {
            let path = home.display().to_string();
            let cause = Cause::NotForOverlays { path: path.clone() };
            impossible(command, cause.why(), Some(cause))
        }
        None => of_gate(command, Gate::Overlay, findings),
    }
}

fn impossible(command: &'static str, error: String, cause: Option<Cause>) -> Ability {
    Ability {
        command,
        state: State::Impossible,
        stepped_down: Vec::new(),
        error: Some(error),
        cause,
    }
}
