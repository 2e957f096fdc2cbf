//! How each step looks to a reader: what is attempted (error messages), the system call with its arguments, plain words,
//! and where to read more. The same text serves `--explain`, `--trace`, golden tests and errors.

mod inside;
mod launcher;

use super::Plan;
use crate::child::record::Process;
use crate::child::step::{Fallback, Step};
use crate::error::Errno;
use serde::Serialize;

/// A step in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// What is attempted, with its arguments: the start of an error message.
    pub attempt: String,
    /// The system call, or the few, with their arguments.
    pub call: String,
    /// What it is for, for a reader who has never seen it.
    pub words: String,
    /// The manual page.
    pub man: &'static str,
}

impl Plan {
    /// The namespace that stays the host's when this step is stepped down from.
    pub fn kept_namespace(&self, process: Process, step: usize) -> Option<&'static str> {
        match self.list(process).get(step)?.instead? {
            Step::KeepNamespace { flag } => Some(match flag {
                libc::CLONE_NEWIPC => "ipc",
                libc::CLONE_NEWUTS => "uts",
                libc::CLONE_NEWCGROUP => "cgroup",
                _ => "time",
            }),
            _ => None,
        }
    }

    /// What is said when a step was refused with `errno` and something else was done instead.
    pub fn stepped_down(&self, process: Process, step: usize, errno: i32) -> Option<String> {
        let entry = self.list(process).get(step)?;
        let refused = self.describe(entry.step).attempt;
        let instead = self.describe(entry.instead.unwrap_or(entry.step));
        Some(format!(
            "{refused}: {}; instead: {}: {}",
            Errno(errno),
            instead.attempt,
            instead.words
        ))
    }
}

impl Plan {
    /// What is said when a system call was refused with `errno` and an older one is used.
    pub fn fell_back(fallback: Fallback, errno: i32) -> String {
        let instead = match fallback {
            Fallback::Clone3 => "clone, and the caller's signal handlers are taken away after it",
            Fallback::OpenTree => "bind mounts, of paths that are held open",
            Fallback::MountSetattr => "a remount of each mount that is listed",
            Fallback::CloseRange => "each descriptor that is listed is closed",
        };
        format!(
            "{}: {}; instead, with the same result: {instead}",
            Plan::newer_call(fallback),
            Errno(errno)
        )
    }

    /// The name of the system call that `fallback` stands in for.
    pub fn newer_call(fallback: Fallback) -> &'static str {
        match fallback {
            Fallback::Clone3 => "clone3",
            Fallback::OpenTree => "open_tree",
            Fallback::MountSetattr => "mount_setattr",
            Fallback::CloseRange => "close_range",
        }
    }
}

fn described(
    attempt: impl Into<String>,
    call: impl Into<String>,
    man: &'static str,
    words: &str,
) -> Description {
    Description {
        attempt: attempt.into(),
        call: call.into(),
        man,
        words: words.to_string(),
    }
}

fn clone_flags(flags: u64) -> String {
    names(
        flags,
        &[
            (libc::CLONE_NEWUSER as u64, "CLONE_NEWUSER"),
            (libc::CLONE_NEWPID as u64, "CLONE_NEWPID"),
            (libc::CLONE_NEWNS as u64, "CLONE_NEWNS"),
            (libc::CLONE_NEWIPC as u64, "CLONE_NEWIPC"),
            (libc::CLONE_NEWUTS as u64, "CLONE_NEWUTS"),
            (libc::CLONE_NEWCGROUP as u64, "CLONE_NEWCGROUP"),
            (libc::CLONE_NEWNET as u64, "CLONE_NEWNET"),
            (libc::CLONE_NEWTIME as u64, "CLONE_NEWTIME"),
            (libc::CLONE_VM as u64, "CLONE_VM"),
            (crate::plan::CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"),
        ],
    )
}

fn names(flags: u64, known: &[(u64, &str)]) -> String {
    let names: Vec<&str> = known
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        "0".to_string()
    } else {
        names.join("|")
    }
}

/// The name of a signal: `SIGTERM`, or `SIGRTMIN+3` and the like for those without one.
pub fn signal_name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(signal) => signal.as_str().to_string(),
        Err(_) if signal >= 34 => format!("SIGRTMIN+{}", signal - 34),
        Err(_) => format!("signal {signal}"),
    }
}
