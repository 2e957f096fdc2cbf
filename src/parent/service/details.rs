//! What is written down of a plan.

use crate::child::step::{FilterOf, Instruction, Step};
use crate::error::{Error, Result};
use crate::plan::{ParentStep, Plan};
use crate::spec::{Seccomp, Spec};
use crate::state::{Details, FilesFilter, Story, Word};
use serde::Serialize;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What `plan` does that `spec` has asked for.
pub fn of(plan: &Plan, spec: &Spec) -> Details {
    let in_setup = |wanted: fn(&Step) -> bool| plan.setup.iter().any(|entry| wanted(&entry.step));
    let in_command =
        |wanted: fn(&Step) -> bool| plan.command.iter().any(|entry| wanted(&entry.step));
    let of_command = plan
        .listened
        .as_ref()
        .unwrap_or(&plan.filters[FilterOf::Command.index()]);
    let of_file = matches!(spec.seccomp, Seccomp::File(_));
    Details {
        // With the limits that each process has in the end, whatever they come of.
        spec: Details::written(&Spec {
            ulimits: plan.enforced.ulimits.clone(),
            core_files: true,
            ..spec.clone()
        }),
        ids: plan.ids,
        capabilities: capabilities(plan),
        changes_ids: in_setup(|step| matches!(step, Step::BecomeIds { .. })),
        denies_setgroups: plan.parent.contains(&ParentStep::DenySetgroups),
        environment: plan
            .envp
            .iter()
            .map(|&text| word(plan.arena.get(text).to_bytes()))
            .collect(),
        directory: word(directory(plan)),
        filter: of_file.then(|| numbers(of_command)),
        files_filter: files_filter(plan),
        scopes_sockets: in_command(|step| matches!(step, Step::ScopeSockets)),
        ruleset: in_command(|step| matches!(step, Step::Restrict { .. })),
        maps: [&plan.enforced.uid_map, &plan.enforced.gid_map]
            .map(|lines| lines.iter().filter_map(|line| line.parse().ok()).collect()),
        program: crate::state::own_program(),
    }
}

/// What came of it.
pub fn story(plan: &Plan, stepped_down: &[String]) -> Result<Story> {
    Ok(Story {
        enforced: json(&plan.enforced)?,
        stepped_down: stepped_down.to_vec(),
        plan: json(&plan.explain())?,
    })
}

fn json<T: Serialize>(what: &T) -> Result<Value> {
    serde_json::to_value(what)
        .map_err(|error| Error::broken(format!("write down the plan: {error}")))
}

fn word(bytes: &[u8]) -> Word {
    Word::from(OsStr::from_bytes(bytes))
}

/// Where the command starts.
fn directory(plan: &Plan) -> &[u8] {
    let steps = plan.setup.iter().rev();
    let last = steps.filter_map(|entry| match entry.step {
        Step::ChangeDirectory { path } => Some(plan.arena.get(path).to_bytes()),
        // The first is where it most likely is.
        Step::ChangeToFirst { first, .. } => plan.arena.get(first).to_bytes().strip_prefix(b"PWD="),
        _ => None,
    });
    last.into_iter().next().unwrap_or(b"/")
}

fn capabilities(plan: &Plan) -> u64 {
    let limits = plan.command.iter().find_map(|entry| match entry.step {
        Step::LimitCapabilities { kept, .. } => Some(kept),
        _ => None,
    });
    limits.unwrap_or_default()
}

fn numbers(filter: &[Instruction]) -> Vec<(u16, u8, u8, u32)> {
    filter
        .iter()
        .map(|it| (it.code, it.jt, it.jf, it.k))
        .collect()
}

fn files_filter(plan: &Plan) -> Option<FilesFilter> {
    plan.command.iter().find_map(|entry| match entry.step {
        Step::Filter {
            of: of @ FilterOf::Files { attributes },
        } => Some(FilesFilter {
            attributes,
            instructions: numbers(&plan.filters[of.index()]),
        }),
        _ => None,
    })
}
