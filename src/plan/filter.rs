//! Which filters of system calls there are, and who gets them.

use super::Plan;
use super::setup::must;
use crate::child::step::{Entry, FAILED, FilterOf, Step};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::seccomp::{self, Action, Arch, Builtin, Call, Instruction};
use crate::spec::{Capabilities, Seccomp, Spec};
use std::borrow::Cow;

/// A program of the kernel's.
type Filter = Cow<'static, [Instruction]>;

/// The command's filter, and init's: the same, or the default one where a file might leave init without what it needs.
/// And `files`, which is asked for by [`super::confine`].
///
/// Who is given CAP_SYS_ADMIN in a sandbox is to mount: the filter leaves that to the capability.
pub fn filters(
    spec: &Spec,
    facts: &Facts,
    kept: Capabilities,
    files: Vec<Instruction>,
) -> Result<[Filter; 3]> {
    let builtin = match &spec.seccomp {
        Seccomp::None => return Ok([Filter::default(), Filter::default(), files.into()]),
        Seccomp::Default => Builtin::Default,
        Seccomp::Sandbox if kept.contains(Capabilities::SYS_ADMIN) => Builtin::Default,
        Seccomp::Sandbox => Builtin::Sandbox,
        Seccomp::Strict => Builtin::Strict,
        Seccomp::Programs(_) => {
            let of_init = Builtin::Default.program().into();
            return Ok([Filter::default(), of_init, files.into()]);
        }
        Seccomp::File(path) => {
            let filter = (facts.filter.clone())
                .ok_or_else(|| Error::broken("the facts were gathered for another spec"))?;
            refuse_hopeless(path, &filter)?;
            let of_init = Builtin::Default.program().into();
            return Ok([filter.into(), of_init, files.into()]);
        }
    };
    let program = || builtin.program().into();
    Ok([program(), program(), files.into()])
}

/// A command that may not be executed, or may not end, is none: better to say so than to be killed, or to hang.
fn refuse_hopeless(path: &std::path::Path, filter: &[Instruction]) -> Result<()> {
    for (name, first) in [("execve", 0), ("exit_group", FAILED as u64)] {
        let number = Arch::NATIVE.number(name).unwrap_or_default();
        let call = Call::new(Arch::NATIVE, number, [first, 0, 0, 0, 0, 0]);
        if !seccomp::lets_through(filter, &call) {
            return Err(Error::usage(format!(
                "seccomp file {}: it does not allow {name}, without which there is no command",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Whether init takes the command's filter, and the command inherits it: where that leaves room for the steps of both.
fn is_shared(spec: &Spec) -> bool {
    spec.init && matches!(spec.seccomp, Seccomp::Default | Seccomp::Sandbox)
}

/// What init does before it starts the command. It has CAP_SYS_ADMIN in namespaces of its own, by which it needs no
/// no_new_privs for it, which the command may not be meant to have.
pub fn before_the_command(spec: &Spec) -> Vec<Step> {
    let install = Step::Filter { of: FilterOf::Both };
    match (is_shared(spec), spec.namespaces) {
        (false, _) => Vec::new(),
        (true, true) => vec![install],
        (true, false) => vec![Step::NoNewPrivileges, install],
    }
}

/// The command's last steps before its exec.
pub fn of_command(spec: &Spec) -> Vec<Step> {
    let of = FilterOf::Command;
    match &spec.seccomp {
        Seccomp::None => Vec::new(),
        Seccomp::Programs(fds) => {
            let numbers = 0..fds.len() as u16;
            numbers.map(|number| Step::Program { number }).collect()
        }
        _ if is_shared(spec) => Vec::new(),
        _ => vec![Step::Filter { of }],
    }
}

/// What init does when it has started the command.
pub fn of_init(spec: &Spec) -> Vec<Step> {
    match spec.seccomp {
        Seccomp::None => Vec::new(),
        _ if is_shared(spec) => Vec::new(),
        _ => OF_INIT.to_vec(),
    }
}

/// It executes nothing, so that it can do without new privileges whatever the command may have.
const OF_INIT: [Step; 2] = [Step::NoNewPrivileges, Step::Filter { of: FilterOf::Init }];

impl Plan {
    /// The same plan with somebody who listens to the command's filter: what it refuses is told, and answered by the
    /// launcher as the filter would ([`crate::parent::supervise`]).
    ///
    /// # Errors
    /// Where there is no filter, or no init to hand the listener over.
    pub fn listening(mut self) -> Result<Plan> {
        let filter = &mut self.filters[FilterOf::Command.index()];
        if filter.is_empty() {
            return Err(
                Error::usage("--seccomp-trace needs a filter of system calls")
                    .with_hint("leave out --seccomp none"),
            );
        }
        if self.init.is_empty() {
            return Err(
                Error::usage("--seccomp-trace needs an init").with_hint("leave out --no-init")
            );
        }
        separate(&mut self.init, &mut self.command);
        let listened = filter.iter().map(leave_to_listener).collect();
        self.listened = Some(std::mem::replace(filter, listened));
        for entry in self.init.iter_mut().chain(&mut self.command) {
            match &mut entry.step {
                Step::SpawnCommand { listened, .. } => *listened = true,
                step @ Step::Filter {
                    of: FilterOf::Command,
                } => *step = Step::ListenToFilter,
                _ => {}
            }
        }
        Ok(self)
    }
}

/// Gives init and the command a filter each, where they had one in common: nobody listens to init's.
fn separate(init: &mut Vec<Entry>, command: &mut Vec<Entry>) {
    let both = must(Step::Filter { of: FilterOf::Both });
    if !init.contains(&both) {
        return;
    }
    init.retain(|entry| *entry != both);
    let supervise = init.len().saturating_sub(1);
    init.splice(supervise..supervise, OF_INIT.map(must));
    let exec = command.len().saturating_sub(1);
    let own = Step::Filter {
        of: FilterOf::Command,
    };
    command.insert(exec, must(own));
}

/// What a filter would refuse is left to who listens.
fn leave_to_listener(instruction: &Instruction) -> Instruction {
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let through = [Action::Allow.code(), Action::Log.code()];
    match instruction.code == RETURN && !through.contains(&instruction.k) {
        true => Instruction {
            k: Action::Notify.code(),
            ..*instruction
        },
        false => *instruction,
    }
}
