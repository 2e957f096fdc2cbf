//! What a user can do about a refusal, where the cause can be known from the step and the kernel's answer.

use crate::child::step::Step;
use crate::error::Error;
use crate::plan::{ParentStep, Plan};

/// A hint for a step of the launcher's.
pub fn add_parent(error: Error, step: ParentStep) -> Error {
    let hint = match (step, error.errno) {
        (ParentStep::Clone { .. }, Some(libc::EPERM)) => {
            "user namespaces are refused here: by a system call filter (a container started without \
             seccomp=unconfined), in a chroot, for a user id that is not mapped, or by kernel.unprivileged_userns_clone=0"
        }
        (ParentStep::Clone { .. }, Some(libc::ENOSPC)) => {
            "a limit of user namespaces is reached, not one of the disk: see /proc/sys/user/max_*_namespaces; \
             32 levels of nesting is the most"
        }
        (ParentStep::Clone { .. }, Some(libc::EACCES)) => {
            "a security module (SELinux, AppArmor) refuses user namespaces"
        }
        (ParentStep::Clone { .. }, Some(libc::EAGAIN)) => {
            "the limit of processes is reached: see `ulimit -u`"
        }
        (ParentStep::Clone { .. }, Some(libc::EINVAL)) => {
            "this kernel has no user namespaces (CONFIG_USER_NS)"
        }
        (ParentStep::OpenChannels, Some(libc::EMFILE)) => {
            "rootlet needs some 10 open files: raise the limit with `ulimit -n`"
        }
        (
            ParentStep::DenySetgroups
            | ParentStep::WriteUidMap { .. }
            | ParentStep::WriteGidMap { .. },
            Some(errno),
        ) => match errno {
            libc::EPERM | libc::EACCES => {
                "where kernel.apparmor_restrict_unprivileged_userns=1 (Ubuntu 24.04), a user namespace can be made but not \
                 used: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; otherwise an id that is mapped \
                 here does not exist in this user namespace"
            }
            libc::EROFS => "/proc is read-only here",
            libc::ENOENT => "there is no /proc here",
            _ => return error,
        },
        _ => return error,
    };
    error.with_hint(hint)
}

/// A hint for a step inside.
pub fn add(error: Error, plan: &Plan, step: Step) -> Error {
    let hint = match (step, error.errno) {
        (Step::Mount { kind, .. }, Some(libc::EPERM)) if plan.arena.get(kind) == c"proc" => {
            "parts of /proc are hidden here, as in containers: it can only be mounted anew where all of it is seen \
             (docker: --security-opt systempaths=unconfined)"
                .to_string()
        }
        (Step::Mount { target, .. }, Some(libc::ENOENT)) if matches!(plan.arena.get(target).to_bytes(), b"/proc" | b"/dev") => {
            "a root file system needs the directories proc and dev to mount on: mkdir DIR/proc DIR/dev".to_string()
        }
        (Step::OpenTree { path, .. }, Some(libc::ENOENT)) if plan.arena.get(path).to_bytes().starts_with(b"~") => {
            "the shell replaces ~ only at the start of a word: write $HOME".to_string()
        }
        (Step::OpenTree { .. }, Some(libc::ENOENT)) => {
            "it is not there on the host; with ,optional after it the view is left out then, with ,create it is made".to_string()
        }
        (Step::OpenOverlay { upper, .. }, Some(libc::EINVAL)) => format!(
            "a lower directory that has mounts of the host below it cannot be one (rootlet try puts them together), nor can \
             {} be upper on a file system without user.* attributes or on another overlay; Linux 5.11 is needed",
            plan.arena.show(upper)
        ),
        (Step::OpenOverlay { .. }, Some(libc::ENODEV)) => "this kernel has no overlayfs (CONFIG_OVERLAY_FS)".to_string(),
        (Step::OpenOverlay { .. }, Some(libc::ENOSYS)) => "overlays need Linux 5.11".to_string(),
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
        (Step::MakePrivate, Some(libc::EACCES)) => {
            "AppArmor refuses mounts here: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu 24.04), \
             or --security-opt apparmor=unconfined (docker)"
                .to_string()
        }
        (Step::MakePrivate, Some(libc::EPERM)) => {
            "mounts are refused here: by a system call filter, or in a Landlock sandbox".to_string()
        }
        (Step::Unshare { .. } | Step::JoinNetwork, Some(libc::ENOSPC)) => {
            "a limit of namespaces is reached, not one of the disk: see /proc/sys/user/max_*_namespaces".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) if has_blank(plan) => {
            "it has a blank in it: the command and each argument are words of their own".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) if plan.candidates.len() > 1 => {
            "it is in no directory of PATH inside; a word of the shell needs one: sh -c 'WORD ...'".to_string()
        }
        (Step::Exec, Some(libc::ENOENT)) => {
            "it is not there inside, or the interpreter that its first line names is not".to_string()
        }
        (Step::Exec, Some(libc::EACCES)) => {
            "it is not executable for you, is a directory, or lies on a file system mounted noexec".to_string()
        }
        (Step::Exec, Some(libc::ENOEXEC)) => {
            "it is neither a program for this machine nor a script with a first line such as #!/bin/sh".to_string()
        }
        (Step::Exec, Some(libc::E2BIG)) => "the arguments and the environment together are too long".to_string(),
        (Step::ChangeDirectory { .. }, Some(libc::ENOENT)) => {
            "it is not there inside, or does not lie below the root; choose another with -w DIR".to_string()
        }
        (Step::SpawnCommand { .. } | Step::StartNetwork, Some(libc::EAGAIN)) => "the limit of processes is reached: see `ulimit -u`".to_string(),
        (_, Some(libc::EMFILE)) => "the limit of open files is reached: see `ulimit -n`".to_string(),
        _ => return error,
    };
    error.with_hint(hint)
}

/// Whether the command's name looks like a whole command line.
fn has_blank(plan: &Plan) -> bool {
    plan.argv
        .first()
        .is_some_and(|&name| plan.arena.get(name).to_bytes().contains(&b' '))
}
