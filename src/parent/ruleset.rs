//! The ruleset that the command will be under, where there are no namespaces.

use super::{Observer, refused};
use crate::error::{Error, Result};
use crate::plan::{ParentStep, Plan};
use crate::sys::landlock;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;

/// Makes what the plan says, if it says so.
///
/// # Errors
/// When the kernel refuses it, or something that is to be allowed has gone.
pub fn make(plan: &Plan, observer: &mut dyn Observer) -> Result<Option<OwnedFd>> {
    let mut ruleset = None;
    for &step in &plan.parent {
        match (step, &ruleset) {
            (ParentStep::MakeRuleset { files, scopes, .. }, _) => {
                let made = landlock::create_ruleset(files, scopes);
                ruleset = Some(made.map_err(|errno| refused(plan, step, errno))?);
            }
            (ParentStep::Allow { .. }, Some(ruleset)) => allow(plan, ruleset.as_fd(), step)?,
            _ => continue,
        }
        observer.parent_step(plan, step);
    }
    Ok(ruleset)
}

/// Adds a rule for each path of `step`.
fn allow(plan: &Plan, ruleset: BorrowedFd<'_>, step: ParentStep) -> Result<()> {
    let ParentStep::Allow {
        access,
        first,
        count,
        found,
        ..
    } = step
    else {
        return Ok(());
    };
    for &text in plan.paths.iter().skip(first as usize).take(count as usize) {
        match allow_one(ruleset, plan.arena.get(text), access) {
            // It has gone since it was found, or is another kind of thing now: then it is what is made later, out of reach.
            Err(errno) if found => log::debug!("{}: {errno}", plan.arena.show(text)),
            Err(errno) => {
                let attempt = format!("allow {}", plan.arena.show(text));
                return Err(Error::setup(attempt, errno));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The path has no links in it; should it have one by now, what that leads to was not meant.
fn allow_one(ruleset: BorrowedFd<'_>, path: &CStr, access: u64) -> std::result::Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let tree = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    landlock::allow(ruleset, tree.as_fd(), access)
}
