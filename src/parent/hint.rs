//! What a user can do about a refusal: where the step and the kernel's answer say it, at once; otherwise what
//! `rootlet doctor` would find. Only a launch that has failed comes here.

use super::attempt::ask;
use crate::child::step::{Entry, Fallback, Question, Slot, Step, Text};
use crate::error::Error;
use crate::host::cause::{Cause, cause};
use crate::host::gate::{Answer, Gate};
use crate::host::place::Place;
use crate::plan::{ParentStep, Plan};

/// A hint for a step of the launcher's, and for the call that it has missed, if that is known.
pub fn add_parent(error: Error, step: ParentStep, missing: Option<Fallback>) -> Error {
    match step {
        ParentStep::SetNice { .. } => error.with_hint(
            "a lower nice value than your own needs CAP_SYS_NICE, or a limit that allows it: `ulimit -e`",
        ),
        ParentStep::SetOomScore { .. } => error.with_hint(
            "a lower OOM score than your own needs CAP_SYS_RESOURCE; a higher one needs nothing",
        ),
        ParentStep::MakeWork { .. } => {
            error.with_hint("upper=DIR is to be in a directory that you may write, or work=DIR is to name an empty one")
        }
        _ => match missing.map(newer_call).or_else(|| parent_gate(step)) {
            Some(gate) => diagnosed(error, gate),
            None => error,
        },
    }
}

/// The gate that a step of the launcher's goes through.
pub fn parent_gate(step: ParentStep) -> Option<Gate> {
    Some(match step {
        ParentStep::Clone { flags } if flags & libc::CLONE_NEWUSER as u64 != 0 => Gate::User,
        ParentStep::DenySetgroups
        | ParentStep::WriteUidMap { .. }
        | ParentStep::WriteGidMap { .. } => Gate::IdMaps,
        ParentStep::OpenChannels | ParentStep::MakePipes | ParentStep::Clone { .. } => {
            Gate::Process
        }
        ParentStep::MakeRuleset { .. } | ParentStep::Allow { .. } => Gate::Landlock,
        _ => return None,
    })
}

/// A hint for a set-up that was ended by `signal`.
pub fn add_killed(error: Error, signal: i32) -> Error {
    explained(error, Gate::Process, Answer::Killed(signal))
}

fn diagnosed(error: Error, gate: Gate) -> Error {
    match error.errno {
        Some(errno) => explained(error, gate, Answer::Refused(errno)),
        None => error,
    }
}

/// The hint that `rootlet doctor` would give for a gate that is shut: found after the failure, by looking around and
/// asking what tells one cause from another.
fn explained(error: Error, gate: Gate, answer: Answer) -> Error {
    let place = Place {
        unshare_nothing: ask(Question::Unshare),
        mount_nothing: ask(Question::Mount),
        ..Place::look()
    };
    let cause = cause(gate, answer, &place);
    if cause == Cause::Unknown {
        return error;
    }
    let remedy = match cause.short_remedy(&place) {
        Some(remedy) => format!("; {remedy}"),
        None => String::new(),
    };
    error.with_hint(format!(
        "{}{remedy} (`rootlet doctor` says more)",
        cause.why()
    ))
}

/// The gate that a call is for which there is an older one.
fn newer_call(fallback: Fallback) -> Gate {
    match fallback {
        Fallback::Clone3 => Gate::Clone3,
        Fallback::OpenTree => Gate::OpenTree,
        Fallback::MountSetattr => Gate::MountSetattr,
        Fallback::CloseRange => Gate::CloseRange,
    }
}

/// The gate that a step inside goes through.
pub fn gate(plan: &Plan, step: Step) -> Option<Gate> {
    Some(match step {
        Step::Unshare { flag } => match flag {
            libc::CLONE_NEWNS => Gate::Mount,
            libc::CLONE_NEWIPC => Gate::Ipc,
            libc::CLONE_NEWUTS => Gate::Uts,
            libc::CLONE_NEWCGROUP => Gate::Cgroup,
            libc::CLONE_NEWNET => Gate::Net,
            _ => Gate::Time,
        },
        Step::StartNetwork | Step::JoinNetwork => Gate::Net,
        Step::SetClocks { .. } => Gate::Time,
        Step::MakePrivate => Gate::PrivateMounts,
        Step::OpenTree { .. } | Step::Attach { .. } | Step::Seal { .. } => Gate::Bind,
        Step::SetAttributes { .. } => Gate::MountSetattr,
        Step::OpenOverlay { .. } => Gate::Overlay,
        Step::EnterRoot { .. } => Gate::PivotRoot,
        Step::Mount { kind, .. } => match plan.arena.get(kind).to_bytes() {
            b"proc" => Gate::Proc,
            b"sysfs" => Gate::Sysfs,
            b"devpts" => Gate::Devpts,
            b"mqueue" => Gate::Mqueue,
            _ => Gate::Tmpfs,
        },
        Step::LoopbackUp => Gate::Loopback,
        Step::OpenTerminal => Gate::Pty,
        Step::ScopeSockets | Step::Restrict { .. } => Gate::Landlock,
        Step::Filter { .. } | Step::ListenToFilter => Gate::Seccomp,
        Step::SpawnCommand { .. } => Gate::Process,
        Step::EnterUserNamespace { .. } | Step::LockMounts => Gate::User,
        Step::NewKeyring => Gate::Keyring,
        Step::SetHostname { .. } => Gate::Hostname,
        Step::LimitCapabilities { .. } | Step::LimitInit => Gate::Capabilities,
        // What everybody may do to himself, unless a filter is asked.
        Step::NoNewPrivileges => Gate::Process,
        _ => return None,
    })
}

/// A hint for a step inside, and for the call that it has missed, if that is known.
pub fn add(error: Error, plan: &Plan, step: Step, missing: Option<Fallback>) -> Error {
    if let Some(fallback) = missing {
        return diagnosed(error, newer_call(fallback));
    }
    let hint = match (step, error.errno) {
        (Step::Mount { target, .. }, Some(libc::ENOENT)) if matches!(plan.arena.get(target).to_bytes(), b"/proc" | b"/dev") => {
            "a root file system needs the directories proc and dev to mount on: mkdir DIR/proc DIR/dev".to_string()
        }
        (Step::OpenTree { path, .. }, Some(libc::ENOENT)) if plan.arena.get(path).to_bytes().starts_with(b"~") => {
            "the shell replaces ~ only at the start of a word: write $HOME".to_string()
        }
        (Step::OpenTree { slot, .. }, Some(libc::ENOENT)) if is_root(plan, slot) => {
            "it is not there on the host; a root is a directory that is, or with --root one of host, ro and empty".to_string()
        }
        (Step::OpenTree { .. }, Some(libc::ENOENT)) => NOT_THERE.to_string(),
        (Step::OpenTree { path, .. }, Some(libc::EACCES)) if is_out_of_reach(plan, path) => format!(
            "you cannot reach it: a directory on the way is closed to you (`namei -l {}` shows which)",
            plan.arena.show(path)
        ),
        (Step::OpenOverlay { upper: Some(upper), .. }, Some(libc::EINVAL)) if plan.is_made(upper) => {
            "a lower directory that has mounts of the host below it cannot be one (rootlet try puts them together); Linux 5.11 is \
             needed"
                .to_string()
        }
        (Step::OpenOverlay { .. }, Some(libc::ELOOP)) => {
            "its directories lie within each other: upper, work and each lower one have to be apart".to_string()
        }
        (Step::OpenOverlay { upper: Some(upper), .. }, Some(libc::EINVAL)) => format!(
            "a lower directory that has mounts of the host below it cannot be one (rootlet try puts them together), nor can \
             {} be upper on a file system without user.* attributes or on another overlay; Linux 5.11 is needed",
            plan.arena.show(upper)
        ),
        (Step::OpenOverlay { .. }, Some(libc::EBUSY)) => "another overlay uses its upper or work directory now".to_string(),
        (Step::OpenOverlay { .. }, Some(libc::EROFS)) => "its upper and work directories have to be writable".to_string(),
        (Step::SetClocks { .. }, Some(libc::ERANGE)) => "a clock cannot go below zero, nor beyond 146 years".to_string(),
        (Step::Mount { target, .. }, Some(libc::ENOENT)) => format!(
            "there is no directory {0} in the container: make it, or put it below a --tmpfs",
            plan.arena.show(target)
        ),
        (Step::Attach { target, .. }, Some(libc::ENOENT)) => format!(
            "there is no {0} in the container, and nothing is made on the host: make it, or put it below a --tmpfs",
            plan.arena.show(target)
        ),
        (Step::Attach { .. } | Step::MakeDirectory { .. }, Some(libc::ENOTDIR | libc::EINVAL)) => "a file can be mounted on a file only, a directory on a directory".to_string(),
        (Step::Restrict { .. }, Some(libc::E2BIG)) => {
            "16 such restrictions lie within each other here already, and the kernel has no more layers (landlock(7))".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) if has_blank(plan) => {
            "it has a blank in it: the command and each argument are words of their own".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) if plan.candidates.len() > 1 => {
            "it is in no directory of PATH inside; a word of the shell needs one: sh -c 'WORD ...'".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) => {
            "it is not there inside, or what starts it is not: the interpreter that a script's first line names, or the \
             dynamic loader of a program (static ones need none)"
                .to_string()
        }
        (Step::Exec, Some(libc::EACCES)) => {
            "it is not executable for you, is a directory, or lies on a file system mounted noexec".to_string()
        }
        (Step::Exec, Some(libc::ENOEXEC)) => {
            "it is neither a program for this machine nor a script with a first line such as #!/bin/sh".to_string()
        }
        (Step::Exec, Some(libc::E2BIG)) => "the arguments and the environment together are too long".to_string(),
        (Step::RequireClosed { .. }, Some(libc::ESTALE | libc::ELOOP | libc::ENOENT | libc::ENOTDIR)) => {
            "somebody renames what is in the root directory: choose one that only you can change".to_string()
        }
        (Step::ChangeDirectory { .. }, Some(libc::ENOENT)) => {
            "it is not there inside, or does not lie below the root; choose another with -w DIR".to_string()
        }
        (_, Some(libc::EMFILE)) => return diagnosed(error, Gate::Process),
        _ => {
            return match gate(plan, step) {
                Some(gate) => diagnosed(error, gate),
                None => error,
            };
        }
    };
    error.with_hint(hint)
}

/// What can be done where a source is missing; only `-v` has words for it.
const NOT_THERE: &str = "it is not there on the host; -v SRC,optional leaves the view out then, and -v SRC,create makes it";

/// Whether what is taken into `slot` is to be the root.
fn is_root(plan: &Plan, slot: Slot) -> bool {
    plan.target_of(slot).is_some_and(|target| {
        let enters =
            |entry: &Entry| matches!(entry.step, Step::EnterRoot { path } if path == target);
        plan.setup.iter().any(enters)
    })
}

/// Whether the launcher, who is the same user, is refused too when it asks for no more than whether `path` is there: by the
/// permission bits of a directory.
fn is_out_of_reach(plan: &Plan, path: Text) -> bool {
    let asked = rustix::fs::access(plan.arena.get(path), rustix::fs::Access::EXISTS);
    asked == Err(rustix::io::Errno::ACCESS)
}

/// Whether the command's name looks like a whole command line.
fn has_blank(plan: &Plan) -> bool {
    plan.argv
        .first()
        .is_some_and(|&name| plan.arena.get(name).to_bytes().contains(&b' '))
}
