//! What a host answers to a plan without a command.

use super::{Event, Observer, Outcome, hint, launch, unread};
use crate::child::step::{Question, Step};
use crate::error::Error;
use crate::host::gate::{Answer, Gate};
use crate::plan::{ParentStep, Plan};

/// How a plan that ends with [`Step::Ready`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The host's answer.
    pub answer: Answer,
    /// The gate that was shut, if it was one.
    pub gate: Option<Gate>,
    /// What was refused, in words.
    pub error: Option<Error>,
    /// What was refused, and what was done instead.
    pub stepped_down: Vec<String>,
}

/// Does `plan`, which ends with [`Step::Ready`], in a process of its own ([`Plan::trial`], [`Plan::rehearsal`]).
pub fn attempt(plan: &Plan) -> Attempt {
    let mut done = Done::default();
    let launched = launch(plan, false, &mut done);
    let mut running = match launched {
        Ok(running) => running,
        Err(error) => {
            let refused = plan.parent.get(done.steps).copied();
            return Attempt::refused(refused.and_then(hint::parent_gate), error);
        }
    };
    let mut stepped_down = done.stepped_down;
    while let Some(event) = running.next_event() {
        match event {
            Event::Ready => {
                return Attempt {
                    stepped_down,
                    ..Attempt::works()
                };
            }
            Event::SteppedDown {
                process,
                step,
                errno,
            } => stepped_down.extend(plan.stepped_down(process, step, errno)),
            Event::FellBack { fallback, errno } => {
                stepped_down.push(Plan::fell_back(fallback, errno));
            }
            Event::Failed {
                process,
                step,
                errno,
            } => {
                let refused = plan.list(process).get(step);
                let gate = refused.and_then(|entry| hint::gate(plan, entry.step));
                return Attempt::refused(gate, running.failure(process, step, errno));
            }
            Event::Unread(errno) => return Attempt::refused(None, unread(errno)),
            _ => {}
        }
    }
    let error = running.silence().err();
    let answer = match running.reap() {
        Ok(Outcome::Killed(signal)) => Answer::Killed(signal),
        _ => Answer::Refused(libc::EIO),
    };
    Attempt {
        answer,
        error,
        ..Attempt::works()
    }
}

/// How the kernel answers a question, if it is asked at all: none where not even a process can be made for it.
pub fn ask(question: Question) -> Option<Answer> {
    let plan = Plan::trial(0, None, |_, _| Ok(vec![Step::Ask(question)])).ok()?;
    let attempt = attempt(&plan);
    (attempt.gate != Some(Gate::Process)).then_some(attempt.answer)
}

impl Attempt {
    fn works() -> Attempt {
        Attempt {
            answer: Answer::Works,
            gate: None,
            error: None,
            stepped_down: Vec::new(),
        }
    }

    fn refused(gate: Option<Gate>, error: Error) -> Attempt {
        Attempt {
            answer: Answer::Refused(error.errno.unwrap_or(libc::EIO)),
            gate,
            error: Some(error),
            ..Attempt::works()
        }
    }
}

/// What the launcher itself has done.
#[derive(Default)]
struct Done {
    steps: usize,
    stepped_down: Vec<String>,
}

impl Observer for Done {
    fn event(&mut self, _: &Plan, event: &Event) {
        if let Event::FellBack { fallback, errno } = *event {
            self.stepped_down.push(Plan::fell_back(fallback, errno));
        }
    }

    fn parent_step(&mut self, _: &Plan, _: ParentStep) {
        self.steps += 1;
    }
}
