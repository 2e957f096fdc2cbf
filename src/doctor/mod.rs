//! What this host allows, found by trying: every step of a launch by itself, and then whole launches without a command.
//! `rootlet doctor` prints it.
#![forbid(unsafe_code)]

mod abilities;
mod recipes;
mod report;

pub use abilities::{Ability, State};
pub use report::{Json, apparmor_profile, text};

use crate::child::step::Question;
use crate::error::Result;
use crate::host::cause::{Cause, cause};
use crate::host::cgroup::Cgroups;
use crate::host::gate::{Answer, Gate};
use crate::host::place::Place;
use crate::host::remedy::Remedy;
use crate::parent::{ask, attempt};
use crate::sys;

/// What was found.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Where this is.
    pub place: Place,
    /// Every gate.
    pub findings: Vec<Finding>,
    /// What rootlet can do here.
    pub abilities: Vec<Ability>,
}

/// What was found of one gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub gate: Gate,
    /// Whether it is open.
    pub result: Tried,
    /// Something worth to know of an open one.
    pub detail: Option<String>,
}

/// How the trial of a gate went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is open.
    Works,
    /// It is shut, and why.
    Shut(Answer, Cause),
    /// It was not tried, since this other gate is shut.
    Needs(Gate),
}

/// Tries everything, each in a process of its own; some fifty of them. Nothing is left of any.
///
/// # Errors
/// None but a mistake of rootlet's own.
pub fn examine() -> Result<Examination> {
    let mut place = Place::look();
    place.unshare_nothing = ask(Question::Unshare);
    place.mount_nothing = ask(Question::Mount);
    let ids = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let mut findings: Vec<Finding> = Vec::new();
    for gate in Gate::all() {
        let is_shut = |need: &&Gate| {
            let found = findings.iter().find(|finding| finding.gate == **need);
            found.is_some_and(|finding| finding.result != Tried::Works)
        };
        let result = match recipes::needs(gate).iter().find(is_shut) {
            Some(&need) => Tried::Needs(first_cause(&findings, need)),
            None => tried(gate, ids, &place)?,
        };
        let detail = (result == Tried::Works)
            .then(|| detail(gate, &place))
            .flatten();
        findings.push(Finding {
            gate,
            result,
            detail,
        });
    }
    let abilities = abilities::all(&findings, &place);
    Ok(Examination {
        place,
        findings,
        abilities,
    })
}

/// The gate that was really shut, where `gate` was perhaps only not tried.
fn first_cause(findings: &[Finding], gate: Gate) -> Gate {
    let found = findings.iter().find(|finding| finding.gate == gate);
    match found.map(|finding| &finding.result) {
        Some(Tried::Needs(other)) => *other,
        _ => gate,
    }
}

fn tried(gate: Gate, ids: (u32, u32), place: &Place) -> Result<Tried> {
    let answer = match recipes::plan(gate, ids)? {
        // The clone of a trial is this process's own: a filter that ends who makes user namespaces would end doctor.
        Some(_) if gate == Gate::User && is_killed(ask(Question::User)) => {
            Answer::Killed(libc::SIGSYS)
        }
        Some(plan) => attempt(&plan).answer,
        None if place.cgroups.refusal(&[]).is_none() => Answer::Works,
        None => Answer::Absent,
    };
    Ok(match answer {
        Answer::Works => Tried::Works,
        answer => Tried::Shut(answer, cause(gate, answer, place)),
    })
}

fn is_killed(answer: Option<Answer>) -> bool {
    answer == Some(Answer::Killed(libc::SIGSYS))
}

fn detail(gate: Gate, place: &Place) -> Option<String> {
    match gate {
        Gate::Landlock => {
            let version = sys::probe::landlock_version().ok()?;
            Some(format!("version {version}"))
        }
        Gate::Cgroups => match &place.cgroups {
            Cgroups::Delegated { controllers, .. } => Some(controllers.clone()),
            Cgroups::OnRequest(bus) => Some(format!("asked of systemd at {}", bus.display())),
            _ => None,
        },
        _ => None,
    }
}

impl Examination {
    /// What was found of `gate`.
    pub fn finding(&self, gate: Gate) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.gate == gate)
    }

    /// Whether plain `rootlet run` works.
    pub fn verdict(&self) -> State {
        self.abilities
            .first()
            .map_or(State::Impossible, |ability| ability.state)
    }

    /// Every cause, once, with the gates that it shuts and what can be done.
    pub fn causes(&self) -> Vec<(Cause, Vec<Gate>, Vec<Remedy>)> {
        let mut causes: Vec<(Cause, Vec<Gate>, Vec<Remedy>)> = Vec::new();
        let mut note = |cause: &Cause, gate: Option<Gate>| {
            let known = causes.iter_mut().find(|(known, _, _)| known == cause);
            match (known, gate) {
                (Some((_, gates, _)), gate) => gates.extend(gate),
                (None, gate) => causes.push((
                    cause.clone(),
                    gate.into_iter().collect(),
                    cause.remedies(&self.place),
                )),
            }
        };
        for finding in &self.findings {
            if let Tried::Shut(_, cause) = &finding.result {
                note(cause, Some(finding.gate));
            }
        }
        for ability in &self.abilities {
            if let Some(cause) = &ability.cause {
                note(cause, None);
            }
        }
        causes
    }
}
