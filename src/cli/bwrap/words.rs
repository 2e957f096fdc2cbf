//! Failures in the words that callers of bubblewrap know: they look at how a message begins. What rootlet knows besides
//! comes after it.

use super::status::Status;
use rootlet::Plan;
use rootlet::child::record::Process;
use rootlet::child::step::{Slot, Step, Text};
use rootlet::error::{Error, Kind, Subject};
use rootlet::front::bwrap::words_of;
use rootlet::plan::ParentStep;
use rootlet::spec::Spec;
use std::io;

/// The words for what the kernel has answered.
fn answer(errno: i32) -> String {
    words_of(&io::Error::from_raw_os_error(errno))
}

/// What could be known before anything was done.
pub fn of_error(error: &Error) -> String {
    let step = &error.step;
    let answer = error.errno.map_or_else(|| step.clone(), answer);
    match error.subject.as_deref() {
        Some(Subject::Content(target)) => {
            return format!("Can't write data to file {}: {answer}", target.display());
        }
        Some(Subject::Source(path)) => {
            let answer = self::answer(error.errno.unwrap_or(libc::ENOENT));
            return format!("Can't find source path {}: {answer}", path.display());
        }
        Some(Subject::Hostname(name)) => {
            let answer = self::answer(libc::EINVAL);
            return format!("Can't set hostname to {}: {answer}", name.display());
        }
        _ => {}
    }
    if error.kind == Kind::NotFound {
        return format!("execvp : {}", self::answer(libc::ENOENT));
    }
    let mut letters = step.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let step: String = first.chain(letters).collect();
    match error.errno {
        Some(_) => format!("{step}: {answer}"),
        None => step,
    }
}

/// What can be done about it. A hint of rootlet's that speaks of its own options is of no use to whoever speaks bubblewrap's.
pub fn hint(error: Error) -> Option<String> {
    error.hint.filter(|hint| hint.contains("`rootlet doctor`"))
}

/// What was refused to the container.
pub fn of_failure(plan: &Plan, spec: &Spec, status: &Status, error: &Error) -> String {
    let Some((process, number, errno)) = status.failed else {
        return of_launcher(plan, error);
    };
    let Some(entry) = plan.list(process).get(number) else {
        return of_error(error);
    };
    match entry.step {
        Step::MakePlace { path, .. } if status.no_directory => {
            let path = plan.arena.show(path);
            format!("Can't mkdir parents for {path}: {}", answer(errno))
        }
        Step::MakeSymlink { path, .. } => {
            let path = plan.arena.show(path);
            format!("Can't make symlink at {path}: {}", of_link(status, errno))
        }
        // The root is attached where it is entered then.
        Step::Attach { slot, .. } if enters_next(plan, process, number) => {
            let source = source_of(plan, slot);
            format!(
                "Can't bind mount {source} on /: Unable to mount source on destination: {}",
                answer(errno)
            )
        }
        step => of_step(plan, spec, step, errno).unwrap_or_else(|| of_error(error)),
    }
}

fn enters_next(plan: &Plan, process: Process, number: usize) -> bool {
    let next = plan.list(process).get(number + 1);
    next.is_some_and(|entry| matches!(entry.step, Step::EnterRoot { .. }))
}

/// What was refused outside.
fn of_launcher(plan: &Plan, error: &Error) -> String {
    let Some(errno) = error.errno else {
        return of_error(error);
    };
    let step = match error.subject.as_deref() {
        Some(Subject::Launcher(number)) => plan.parent.get(*number),
        _ => None,
    };
    let answer = answer(errno);
    match step {
        Some(ParentStep::JoinNamespace { flag, .. }) => match (*flag, errno) {
            (libc::CLONE_NEWPID, _) => format!("Setting pidns failed: {answer}"),
            (_, libc::EINVAL) => "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.".into(),
            _ => format!("Joining specified user namespace failed: {answer}"),
        },
        Some(ParentStep::Clone { .. }) => match errno {
            libc::EPERM => format!("No permissions to create a new namespace, likely because the kernel does not allow non-privileged user namespaces: {answer}"),
            libc::ENOSPC => "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)".into(),
            _ => format!("Creating new namespace failed: {answer}"),
        },
        Some(ParentStep::WriteUidMap { .. }) => format!("setting up uid map: {answer}"),
        Some(ParentStep::WriteGidMap { .. }) => format!("setting up gid map: {answer}"),
        Some(ParentStep::DenySetgroups) => format!("error writing to setgroups: {answer}"),
        _ => of_error(error),
    }
}

/// A step inside.
fn of_step(plan: &Plan, spec: &Spec, step: Step, errno: i32) -> Option<String> {
    let show = |text: Text| plan.arena.show(text);
    let answer = answer(errno);
    Some(match step {
        Step::OpenTree { path, .. } => format!("Can't find source path {}: {answer}", show(path)),
        Step::RequireSame { .. } => "Race condition binding dirfd".into(),
        Step::OpenOverlay { slot, .. } => {
            let why = match errno {
                libc::ELOOP => "Overlay directories may not overlap".into(),
                _ => answer,
            };
            format!(
                "Can't make overlay mount on {} with options {}: {why}",
                target_of(plan, slot),
                plan.describe(step).call
            )
        }
        Step::Attach { slot, target, .. } => {
            format!(
                "Can't bind mount {} on {}: Unable to mount source on destination: {answer}",
                source_of(plan, slot),
                show(target)
            )
        }
        Step::Mount { kind, target, .. } => {
            format!("Can't mount {} on {}: {answer}", show(kind), show(target))
        }
        Step::AttachProc { target, .. } => {
            format!("Can't mount proc on {}: {answer}", show(target))
        }
        Step::OpenProc { .. } => format!("Can't mount proc: {answer}"),
        Step::SetAttributes { path, .. } => {
            format!("Can't remount readonly on {}: {answer}", show(path))
        }
        Step::MakePlace {
            path, file: true, ..
        } => format!("Can't create file at {}: {answer}", show(path)),
        Step::MakePlace { path, .. } | Step::MakeDirectory { path, .. } => {
            format!("Can't mkdir {}: {answer}", show(path))
        }
        Step::Chmod { path, mode } => {
            format!("Can't chmod {mode:#o} {}: {answer}", show(path)).replacen("0o", "0", 1)
        }
        Step::WriteFile { path, .. } => format!("Can't create file {}: {answer}", show(path)),
        Step::ChangeToFirst { first, .. } => {
            format!(
                "Can't chdir to {}: {answer}",
                show(first).replacen("PWD=", "", 1)
            )
        }
        Step::SetHostname { name } => format!("Can't set hostname to {}: {answer}", show(name)),
        Step::Lock { path } => {
            let verb = if errno == libc::EAGAIN { "lock" } else { "open lock" };
            format!("Unable to {verb} file {}: {answer}", show(path))
        }
        Step::JoinUserNamespace { .. } => format!("Setting userns2 failed: {answer}"),
        Step::RequireNoUserNamespaces => {
            "creation of new user namespaces was not disabled as requested".into()
        }
        Step::LoopbackUp => format!("loopback: Failed to bring the device up: {answer}"),
        Step::Program { .. } if errno == libc::EINVAL => {
            "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL".into()
        }
        Step::Program { .. } => format!("prctl(PR_SET_SECCOMP): {answer}"),
        Step::Unshare { .. } | Step::JoinNetwork => {
            format!(
                "Creating new namespace failed: {}: {answer}",
                plan.describe(step).attempt
            )
        }
        Step::Exec => {
            let program = spec.command.first().cloned().unwrap_or_default();
            format!("execvp {}: {answer}", program.display())
        }
        _ => return None,
    })
}

fn of_link(status: &Status, errno: i32) -> String {
    match &status.in_the_way {
        Some(Some(held)) => format!("existing destination is {held}"),
        Some(None) => "destination exists and is not a symlink".into(),
        None => answer(errno),
    }
}

/// Where what is taken into `slot` is attached.
fn target_of(plan: &Plan, slot: Slot) -> String {
    let target = plan.setup.iter().find_map(|entry| match entry.step {
        Step::Attach {
            slot: it, target, ..
        } if it == slot => Some(target),
        _ => None,
    });
    target.map_or_else(String::new, |target| plan.arena.show(target))
}

/// What is taken into `slot`.
fn source_of(plan: &Plan, slot: Slot) -> String {
    let source = plan.setup.iter().find_map(|entry| match entry.step {
        Step::OpenTree { slot: it, path, .. } if it == slot => Some(path),
        _ => None,
    });
    source.map_or_else(String::new, |path| plan.arena.show(path))
}
