//! The process that becomes the command: its last steps, its program, its environment.

use super::arena::Arena;
use super::setup::{self, Slots};
use super::{filter, limits};
use crate::child::step::{Entry, Slot, Step, Text};
use crate::error::{Error, Kind, Result};
use crate::host::Facts;
use crate::spec::{AbstractSockets, Lives, Net, Rung, Share, Signals, Spec, Stdio, Tty, Ulimit};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where commands are looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the process does that becomes the command. `last` is what limits it once it can gain no privileges any more.
pub fn list(
    spec: &Spec,
    facts: &Facts,
    tty: bool,
    pipes: &[(i32, Slot)],
    raised_limit: bool,
    ulimits: &[Ulimit],
    last: Vec<Step>,
) -> Vec<Entry> {
    let mut list = Vec::new();
    if spec.init && spec.shares(Share::Pid) && spec.lives == Lives::Tied {
        list.push(Step::TieToInit);
    }
    if tty {
        if spec.init {
            list.push(Step::LeadGroup { foreground: true });
        }
        let replaced = (0..3).filter(|&fd| spec.tty == Tty::Always || facts.terminals[fd as usize]);
        let slot = Slot::TERMINAL;
        list.extend(replaced.map(|fd| Step::StandardAs { slot, fd }));
    } else if !facts.controlling_terminal && spec.signals == Signals::Passed {
        list.push(Step::LeadGroup { foreground: false });
    }
    for &(fd, slot) in pipes {
        list.push(Step::StandardAs { slot, fd });
    }
    if !spec.allow_new_privs {
        list.push(Step::NoNewPrivileges);
    }
    list.extend(last);
    if facts.ignores_sigchld {
        list.push(Step::SetSignal {
            signal: libc::SIGCHLD,
            ignore: true,
        });
    }
    list.push(Step::SetSignal {
        signal: libc::SIGPIPE,
        ignore: false,
    });
    if raised_limit {
        list.push(Step::RestoreOpenFiles {
            soft: facts.open_files,
        });
    }
    list.extend(limits::steps(ulimits));
    list.extend(
        spec.pass_fds
            .iter()
            .filter(|&&fd| fd > 2)
            .map(|&fd| Step::PassFd { fd }),
    );
    list.extend([Step::RestoreSignalMask, Step::RunAnywhere]);
    if !spec.init {
        list.extend((spec.lives == Lives::Tied).then_some(Step::Tie));
        list.push(Step::Ready);
    }
    list.extend(filter::of_command(spec));
    list.push(Step::Exec);
    let entry = |step| Entry {
        step,
        instead: (step == Step::ScopeSockets && spec.may_step_down(Rung::AbstractSockets))
            .then_some(Step::KeepSockets),
    };
    list.into_iter().map(entry).collect()
}

/// Has the command join the network when it has done the rest; but before it gives up the power to do so, in another user
/// namespace.
pub fn join_network(last: &mut Vec<Step>, joins: [Step; 2]) {
    let leaves = |step: &Step| {
        matches!(
            step,
            Step::EnterUserNamespace { .. } | Step::JoinUserNamespace { .. }
        )
    };
    let place = last.iter().position(leaves).unwrap_or(last.len());
    last.splice(place..place, joins);
}

/// What keeps abstract sockets out of reach, if that is asked for and no network namespace does.
pub fn scope_sockets(spec: &Spec) -> Option<Step> {
    let scopes = spec.net == Net::Host && spec.abstract_sockets == AbstractSockets::None;
    scopes.then_some(Step::ScopeSockets)
}

/// Which standard descriptors are pipes, and where their inner ends will be. Output and error that go to one file go through
/// one pipe, so that what is written first stays first.
pub fn pipes(spec: &Spec, facts: &Facts, slots: &mut Slots) -> Vec<(i32, Slot)> {
    let mut pipes: Vec<(i32, Slot)> = Vec::new();
    let own_terminal = |fd: i32| spec.tty == Tty::Always || facts.terminals[fd as usize];
    let pipe = spec.stdio == Stdio::Pipe || facts.detached;
    for fd in (0..3).filter(|&fd| pipe && !own_terminal(fd)) {
        let output = pipes
            .iter()
            .find(|(other, _)| *other == 1 && fd == 2 && facts.one_output);
        let slot = output.map_or_else(|| slots.next(), |&(_, slot)| slot);
        pipes.push((fd, slot));
    }
    pipes
}

/// The arguments, where the program is looked for, and the environment.
pub fn program(
    spec: &Spec,
    facts: &Facts,
    arena: &mut Arena,
) -> Result<(Vec<Text>, Vec<Text>, Vec<Text>)> {
    let words = words(spec, facts);
    let environment = environment(spec, facts)?;
    let program = words.first().map(OsString::as_os_str).unwrap_or_default();
    let candidates = candidates(program, &environment)?
        .iter()
        .map(|path| arena.text(path))
        .collect::<Result<_>>()?;
    let first = spec.argv0.as_ref().or(words.first());
    let argv = first
        .into_iter()
        .chain(words.iter().skip(1))
        .map(|word| arena.text(word))
        .collect::<Result<_>>()?;
    let line = |(name, value): &(OsString, OsString)| {
        let mut line = name.clone();
        line.push("=");
        line.push(value);
        arena.text(line)
    };
    // Set-up puts the right one in its place.
    let mut environment = environment;
    if setup::has_pwd(spec) {
        environment.retain(|(name, _)| name != "PWD");
        environment.push(("PWD".into(), "/".into()));
    }
    let envp = environment.iter().map(line).collect::<Result<_>>()?;
    Ok((argv, candidates, envp))
}

/// The command; by default the caller's shell, which another root may not have.
fn words(spec: &Spec, facts: &Facts) -> Vec<OsString> {
    if !spec.command.is_empty() {
        return spec.command.clone();
    }
    let shell = look_up(&facts.env, OsStr::new("SHELL")).filter(|shell| !shell.is_empty());
    match spec.root.is_host() {
        true => vec![shell.unwrap_or(OsStr::new("/bin/sh")).to_os_string()],
        false => vec!["/bin/sh".into()],
    }
}

/// The paths that execvp(3) would try.
fn candidates(program: &OsStr, environment: &[(OsString, OsString)]) -> Result<Vec<OsString>> {
    if program.is_empty() {
        return Err(Error::usage("the command is an empty word").of_kind(Kind::NotFound));
    }
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![program.to_os_string()]);
    }
    let path = look_up(environment, OsStr::new("PATH")).unwrap_or(OsStr::new(DEFAULT_PATH));
    let join = |directory: &[u8]| {
        let directory = if directory.is_empty() {
            &b"."[..]
        } else {
            directory
        };
        OsString::from_vec([directory, b"/", program.as_bytes()].concat())
    };
    Ok(path
        .as_bytes()
        .split(|&byte| byte == b':')
        .map(join)
        .collect())
}

/// The caller's environment or none, and the changes in their order.
fn environment(spec: &Spec, facts: &Facts) -> Result<Vec<(OsString, OsString)>> {
    let mut environment = if spec.clear_env {
        Vec::new()
    } else {
        facts.env.clone()
    };
    environment.retain(|(name, _)| !spec.unset_env.contains(name));
    for change in &spec.env {
        let bytes = change.as_bytes();
        let equals = bytes.iter().position(|&byte| byte == b'=');
        let name = OsStr::from_bytes(&bytes[..equals.unwrap_or(bytes.len())]);
        if name.is_empty() {
            return Err(Error::usage(format!("environment {change:?} has no name")));
        }
        let value = match equals {
            Some(equals) => Some(OsStr::from_bytes(&bytes[equals + 1..])),
            None => look_up(&facts.env, name),
        };
        if let Some(value) = value {
            match environment.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value.to_os_string(),
                None => environment.push((name.to_os_string(), value.to_os_string())),
            }
        }
    }
    Ok(environment)
}

fn look_up<'a>(environment: &'a [(OsString, OsString)], name: &OsStr) -> Option<&'a OsStr> {
    environment
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_os_str())
}
