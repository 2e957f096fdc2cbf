//! `rootlet exec` and `rootlet enter`: a command where others are already.

use super::program;
use super::report::Report;
use super::run;
use rootlet::error::{Error, Result};
use rootlet::front::line::Line;
use rootlet::front::request::Request;
use rootlet::host::cgroup::Cgroups;
use rootlet::parent::{self, Guest};
use rootlet::plan::join::{self, Join, KINDS};
use rootlet::spec::{Spec, User};
use rootlet::state::{Details, Known, Name};
use rootlet::{Facts, Plan};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The command that clap knows by the same options.
pub fn exec_command(command: clap::Command) -> clap::Command {
    let help = "The container; then the command and its arguments [default: a shell]";
    run::exec_command(command, "exec", "NAME", help)
}

/// The same for `rootlet enter`.
pub fn enter_command(command: clap::Command) -> clap::Command {
    let help = "Any process of yours that is in namespaces; then the command and its arguments [default: a shell]";
    run::exec_command(command, "enter", "PID", help)
}

/// Whose command it is, and what is asked of that.
struct Asked {
    of: String,
    spec: Spec,
    user: Option<User>,
}

impl Asked {
    fn new(line: &Line<'_>) -> Result<Asked> {
        let mut spec = Request::new(line, Spec::default())?.spec;
        let mut words = std::mem::take(&mut spec.command).into_iter().peekable();
        let of = words
            .next()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        words.next_if(|word| word == "--");
        spec.command = words.collect();
        let user = line.has("user").then_some(spec.user);
        Ok(Asked { of, spec, user })
    }
}

/// Executes a command in a container that runs, as confined as its own.
pub fn exec(line: &Line<'_>) -> anyhow::Result<u8> {
    let Asked { of, mut spec, user } = Asked::new(line)?;
    let known = Known::named(&of.parse::<Name>()?)?;
    runs(&known)?;
    let details = known.folder.details()?;
    program::keep_safe(details.program)?;
    if spec.command.is_empty() {
        spec.command.push(shell(&details));
    }
    spec.stdio = details.spec.stdio;
    let guest = Guest::of_container(&known, details.ruleset)?;
    let bus = bus(&known);
    let join = Join {
        flags: join::flags(&known.record.namespaces),
        details: Some(&details),
        group: known.record.group.as_deref(),
        bus: bus.as_deref(),
        spec: &spec,
        user,
    };
    launch(&join, guest)
}

/// The bus of the systemd that has to be asked before the container's control group can be entered, if it has one.
fn bus(known: &Known) -> Option<PathBuf> {
    known.record.group.as_ref()?;
    match Cgroups::look() {
        Cgroups::OnRequest(bus) => Some(bus),
        _ => None,
    }
}

/// Whether one can go into a container.
fn runs(known: &Known) -> Result<()> {
    known.running()?;
    let name = known.name();
    if known.state() == "paused" {
        return Err(Error::usage(format!("container {name} is paused"))
            .with_hint(format!("`rootlet resume {name}` lets it run again")));
    }
    Ok(())
}

/// Executes a command in the namespaces of a process, without confinement, as nsenter(1) does.
pub fn enter(line: &Line<'_>) -> anyhow::Result<u8> {
    let Asked { of, spec, user } = Asked::new(line)?;
    let wrong = || Error::usage(format!("{of:?} is no process id"));
    let pid: i32 = of.parse().ok().filter(|pid| *pid > 0).ok_or_else(wrong)?;
    let guest = Guest::of_process(pid)?;
    let flags = others(pid)?;
    program::keep_safe(None)?;
    if flags == 0 {
        let said = format!("process {pid} is in no namespace that you are not in");
        return Err(Error::usage(said)
            .with_hint("`rootlet ns` shows who is in which")
            .into());
    }
    let join = Join {
        flags,
        details: None,
        group: None,
        bus: None,
        spec: &spec,
        user,
    };
    launch(&join, guest)
}

/// Which namespaces of a process are not this one's.
fn others(pid: i32) -> Result<i32> {
    let mut flags = 0;
    for (_, file, flag) in KINDS {
        let (theirs, own) = (
            format!("/proc/{pid}/ns/{file}"),
            format!("/proc/self/ns/{file}"),
        );
        let own = match std::fs::metadata(own) {
            Ok(own) => own.ino(),
            // A kernel without such namespaces.
            Err(_) => continue,
        };
        let theirs = std::fs::metadata(&theirs).map_err(|error| {
            Error::setup(format!("look at {theirs}"), error).with_hint(
                "only processes of your own can be looked at, and of those none that hides",
            )
        })?;
        if theirs.ino() != own {
            flags |= flag;
        }
    }
    Ok(flags)
}

/// The shell of the container's environment; in a root of its own that may not be there.
fn shell(details: &Details) -> OsString {
    let shell = details.environment.iter().find_map(|word| match word {
        rootlet::state::Word::Text(line) => line.strip_prefix("SHELL="),
        rootlet::state::Word::Bytes(_) => None,
    });
    match details.spec.root.is_host() {
        true => shell
            .filter(|shell| !shell.is_empty())
            .unwrap_or("/bin/sh")
            .into(),
        false => "/bin/sh".into(),
    }
}

fn launch(join: &Join<'_>, mut guest: Guest<'_>) -> anyhow::Result<u8> {
    let plan = Plan::join(join, Facts::gather(&Join::bare())?)?;
    let mut report = Report::new(false, None);
    let outcome = parent::serve(&plan, false, &mut report, &mut guest)?;
    Ok(outcome.exit_status())
}
