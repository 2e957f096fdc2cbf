//! `rootlet run` and `rootlet sandbox`.

use super::launch;
use super::report::{Report, StatusFile};
use super::written;
use clap::builder::{OsStringValueParser, PossibleValuesParser};
use clap::{Arg, ArgAction, Command};
use rootlet::error::{Error, Kind};
use rootlet::front::flags::{FLAGS, Flag, Value, Verb};
use rootlet::front::line::Line;
use rootlet::front::request::{Format, Request};
use rootlet::front::spec_file;
use rootlet::host::cgroup::Cgroups;
use rootlet::plan::explain::Explanation;
use rootlet::preset::need_namespaces;
use rootlet::preset::sandbox::{self, Look};
use rootlet::spec::WhenRefused;
use rootlet::{Facts, Plan, Spec};

/// The command that clap knows by the same options. It never runs anything: it has the words for help and for what is
/// wrong with a line that [`Line::read`] does not read.
pub fn command(command: Command) -> Command {
    with_options(command, "run", Verb::Run).after_help(EXAMPLES)
}

/// The same for `rootlet sandbox`.
pub fn sandbox_command(command: Command) -> Command {
    with_options(command, "sandbox", Verb::Run).after_help(SANDBOX_EXAMPLES)
}

/// The same for `rootlet try`.
pub fn try_command(command: Command) -> Command {
    with_options(command, "try", Verb::Try).after_help(TRY_EXAMPLES)
}

/// The same for `rootlet exec` and `enter`, whose command comes after `whose`.
pub fn exec_command(
    command: Command,
    name: &str,
    whose: &'static str,
    help: &'static str,
) -> Command {
    options(command, Verb::Exec)
        .override_usage(format!(
            "rootlet {name} [OPTIONS] {whose} [--] [COMMAND [ARG]...]"
        ))
        .arg(words(whose, help).required(true))
}

fn with_options(command: Command, name: &str, verb: Verb) -> Command {
    options(command, verb)
        .override_usage(format!("rootlet {name} [OPTIONS] [--] [COMMAND [ARG]...]"))
        .arg(words(
            "COMMAND",
            "The command and its arguments [default: $SHELL, else /bin/sh]",
        ))
}

fn options(command: Command, verb: Verb) -> Command {
    let known = FLAGS.iter().filter(|flag| flag.is_of(verb));
    command.args(known.map(argument))
}

/// What follows the options.
fn words(name: &'static str, help: &'static str) -> Arg {
    Arg::new("command")
        .value_name(name)
        .help(help)
        .action(ArgAction::Append)
        .trailing_var_arg(true)
        .value_parser(OsStringValueParser::new())
}

const EXAMPLES: &str = "Examples:
  rootlet run                              a root shell of your own
  rootlet run --net none -- make test      no network but 127.0.0.1
  rootlet run --read-only -v . -- make     only this directory can be written
  rootlet run --rootfs DIR                 a shell in another root file system
  rootlet run --explain | less             what a container is made of, step by step";

const SANDBOX_EXAMPLES: &str = "Examples:
  rootlet sandbox                          a shell that can write this directory only
  rootlet sandbox --net host -- npm ci     with the network
  rootlet sandbox --write ~/.cache/x -- make
  rootlet sandbox --hide-env -- claude     without the tokens of .env
  rootlet sandbox --print-spec             what a sandbox is, as a spec";

const TRY_EXAMPLES: &str = "Examples:
  rootlet try -- make install              then look, and keep all, some or nothing
  rootlet try --keep DIR -- ./install.sh   leave the changes in DIR
  rootlet changes DIR; rootlet diff DIR    look at them later
  rootlet apply DIR; rootlet drop DIR      keep or forget them";

fn argument(flag: &'static Flag) -> Arg {
    let action = match (flag.value, flag.repeatable) {
        (Value::None, _) => ArgAction::SetTrue,
        (_, false) => ArgAction::Set,
        (_, true) => ArgAction::Append,
    };
    let argument = Arg::new(flag.long)
        .long(flag.long)
        .alias(flag.alias)
        .short(flag.short)
        .help_heading(flag.heading)
        .help(flag.help)
        .action(action);
    match flag.value {
        Value::None => argument,
        Value::Any { name, hyphen } => argument
            .value_name(name)
            .allow_hyphen_values(hyphen)
            .value_parser(OsStringValueParser::new()),
        Value::OneOf { name, words, list } => argument
            .value_name(name)
            .value_delimiter(list.then_some(','))
            .value_parser(PossibleValuesParser::new(words)),
        Value::Optional { name, words } => argument
            .value_name(name)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(words[0])
            .value_parser(PossibleValuesParser::new(words)),
    }
}

/// Does what the line asks for.
pub fn run(line: &Line<'_>) -> anyhow::Result<u8> {
    let mut request = Request::new(line, Spec::default())?;
    if request.hide_env {
        let look = Look::here()?;
        request.spec.mounts.extend(sandbox::env_files(&look));
        look.unanswered.check()?;
    }
    carry_out(request)
}

/// The same, in a sandbox.
pub fn sandbox(line: &Line<'_>) -> anyhow::Result<u8> {
    let look = Look::here()?;
    if look.home_is_missing {
        say!("rootlet: note: HOME names no directory: no home directory is hidden");
    }
    let preset = sandbox::preset(&look)?;
    let views = preset.mounts.len();
    let mut request = Request::new(line, preset)?;
    need_namespaces("sandbox", &request.spec)?;
    sandbox::complete(&mut request.spec, views, &look);
    if request.hide_env {
        request.spec.mounts.extend(sandbox::env_files(&look));
    }
    look.unanswered.check()?;
    carry_out(request)
}

/// Prints, explains or launches what was asked for, and returns the exit status.
pub fn carry_out(request: Request) -> anyhow::Result<u8> {
    let Request { spec, .. } = request;
    let request = Request {
        spec: Spec::default(),
        ..request
    };
    if request.print_spec {
        return print(&spec_file::print(&spec)?);
    }
    if request.detach && request.seccomp_trace {
        return Err(Error::usage(
            "--seccomp-trace tells what was refused when the command has ended, and of a detached one nobody would hear it",
        )
        .with_hint("leave out -d")
        .into());
    }
    let facts = Facts::gather(&spec)?;
    let facts = if request.detach {
        facts.detached()
    } else {
        facts
    };
    let planned = |facts: &Facts| -> Result<Plan, Error> {
        let plan = Plan::new(&spec, facts)?;
        match request.seccomp_trace {
            true => plan.listening(),
            false => Ok(plan),
        }
    };
    let plan = planned(&facts)?;
    log::info!(
        "{} steps planned",
        plan.setup.len() + plan.init.len() + plan.command.len()
    );
    if let Some(format) = request.explain {
        return print(&explained(&plan.explain(), format)?);
    }
    let status = request.status_fd.map(StatusFile::open).transpose()?;
    let mut launch = match launch::Launch::by(&request, &spec)? {
        launch::Started::Here(launch) => launch,
        launch::Started::Detached(status) => return Ok(status),
    };
    let mut report = Report::new(request.trace, status);
    let mut outcome = launch.launch(&plan, &mut report);
    // Whether systemd gives a group is only known when it has been asked. Nothing was started then.
    if let Err(refused) = &outcome
        && refused.kind == Kind::Limits
        && spec.limits.when_refused != WhenRefused::Must
    {
        let facts = Facts {
            cgroups: Some(Cgroups::Refused(refused.to_string())),
            ..facts
        };
        outcome = planned(&facts).and_then(|plan| launch.launch(&plan, &mut report));
    }
    // The command's end is the truth, whether or not it could be written down.
    if let Err(error) = report.end(&outcome) {
        say!("rootlet: {error}");
    }
    Ok(outcome?.exit_status())
}

fn explained(explanation: &Explanation, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(explanation)? + "\n",
        Format::Text => {
            let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
            explanation.to_text(size.map_or(100, |size| usize::from(size.ws_col).clamp(40, 120)))
        }
    })
}

fn print(text: &str) -> anyhow::Result<u8> {
    use std::io::Write;
    written(std::io::stdout().write_all(text.as_bytes()))
}
