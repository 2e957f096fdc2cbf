//! The verbs, one file each.
#![forbid(unsafe_code)]

#[cfg(test)]
mod agreement;
mod attempt;
mod bwrap;
mod changes;
mod completion;
mod containers;
mod doctor;
mod exec;
mod launch;
mod manual;
mod namespaces;
mod program;
mod report;
mod run;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use rootlet::error::{Errno, Error};
use rootlet::front::flags::Verb as Options;
use rootlet::front::line::{Line, Unread};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Start a container as an ordinary user: no sudo, no daemon, no setuid helper, no configuration.
#[derive(Parser)]
#[command(name = "rootlet", version, disable_help_subcommand = true)]
#[command(override_usage = "rootlet [-v] [VERB]\n\nWithout a verb: rootlet run")]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
struct Cli {
    /// Say what is done on the way (-vv: more); so does RUST_LOG
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a command, by default your shell, as root in namespaces of its own
    Run,
    /// Run a command that may write this directory and read the machine, without network, secrets and other processes
    Sandbox,
    /// Run a command with the whole machine as it is, and show what it changed before anything is kept
    Try,
    /// List what a try has changed
    Changes(changes::ChangesLine),
    /// Show what a try has changed, line by line
    Diff(changes::Chosen),
    /// Make the host as a try has left it
    Apply(changes::ApplyLine),
    /// Forget what a try has changed
    Drop(changes::DropLine),
    /// List the containers that run
    #[command(visible_alias = "list")]
    Ps(containers::ListLine),
    /// Run a command in a container that runs, as confined as its own
    Exec,
    /// Run a command in the namespaces of any process of yours
    Enter,
    /// Take bubblewrap's options, for programs that drive it; so does rootlet under the name bwrap
    Bwrap,
    /// Print what a detached container has written
    Logs(containers::LogsLine),
    /// Show what a detached container writes from now on
    Attach(containers::AttachLine),
    /// End containers: ask the command to, and make it after a while
    Stop(containers::StopLine),
    /// Send the command of containers a signal, by default one that ends all that is in them
    Kill(containers::KillLine),
    /// Let nothing in containers run
    Pause(containers::Chosen),
    /// Let what is paused run again
    #[command(visible_alias = "unpause")]
    Resume(containers::Chosen),
    /// Wait until containers have ended, and print their exit statuses
    Wait(containers::Chosen),
    /// Forget containers that have ended, and their logs
    Rm(containers::RemoveLine),
    /// Give a container another name
    Rename(containers::RenameLine),
    /// Print all that is known of containers
    Inspect(containers::InspectLine),
    /// List the processes of a container
    Top(containers::TopLine),
    /// Say what this host allows, why not, and what can be done about it
    Doctor(doctor::DoctorLine),
    /// Show the namespaces that you can see, by owner, and who is in them
    Ns(namespaces::NsLine),
    /// Print what a shell reads to complete rootlet's words, and the names of containers
    Completion(completion::CompletionLine),
    /// Print the manual page of rootlet, or of a verb
    Man(manual::ManLine),
}

/// The verbs that start a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Launch {
    Run,
    Sandbox,
    Try,
    Exec,
    Enter,
}

/// Reads the command line, does what it says, and returns the exit status.
///
/// A launch is read without clap, whose code is large and takes a seventh of the time when it runs. Clap is asked about
/// everything else: other verbs, help, and what is wrong.
pub fn main() -> anyhow::Result<u8> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let result = carried_out(&words);
    if let Some(errno) = rootlet::changes::openat2_refused() {
        say!(
            "rootlet: note: openat2: {}; instead, with the same result: each directory is opened and then looked at",
            Errno(errno)
        );
    }
    result
}

fn carried_out(words: &[OsString]) -> anyhow::Result<u8> {
    if let [program, rest @ ..] = words {
        if bwrap::is_meant(program) {
            return bwrap::main(program, rest);
        }
        if let [verb, rest @ ..] = rest
            && verb == "bwrap"
        {
            return bwrap::main(OsStr::new("rootlet bwrap"), rest);
        }
    }
    match launch_line(words) {
        Ok((verbose, launch, line)) => {
            start_log(verbose);
            match launch {
                Launch::Run => run::run(&line),
                Launch::Sandbox => run::sandbox(&line),
                Launch::Try => attempt::attempt(&line),
                Launch::Exec => exec::exec(&line),
                Launch::Enter => exec::enter(&line),
            }
        }
        Err(Unread) => ask_clap(words),
    }
}

/// The line of a launch, `rootlet [-v]... [VERB ...]`, and how often it says `-v` before the verb.
fn launch_line(words: &[OsString]) -> Result<(usize, Launch, Line<'_>), Unread> {
    let mut verbose = 0;
    let mut rest = words.get(1..).unwrap_or_default();
    while let [word, after @ ..] = rest
        && let Some(times) = verbosity(word)
    {
        verbose += times;
        rest = after;
    }
    let (launch, line) = match rest {
        [] => (Launch::Run, Line::default()),
        [end] if end == "--" => (Launch::Run, Line::default()),
        [verb, rest @ ..] => {
            let (launch, options) = match verb.as_bytes() {
                b"run" => (Launch::Run, Options::Run),
                b"sandbox" => (Launch::Sandbox, Options::Run),
                b"try" => (Launch::Try, Options::Try),
                b"exec" => (Launch::Exec, Options::Exec),
                b"enter" => (Launch::Enter, Options::Exec),
                _ => return Err(Unread),
            };
            (launch, Line::read(rest, options)?)
        }
    };
    // Whose command it is comes first.
    if matches!(launch, Launch::Exec | Launch::Enter) && line.command.is_empty() {
        return Err(Unread);
    }
    Ok((verbose, launch, line))
}

/// How often `word` says `-v`.
fn verbosity(word: &OsStr) -> Option<usize> {
    match word.as_bytes() {
        b"--verbose" => Some(1),
        [b'-', letters @ ..] if !letters.is_empty() && letters.iter().all(|&it| it == b'v') => {
            Some(letters.len())
        }
        _ => None,
    }
}

/// The same command line, as clap knows it.
fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("run", |run| run.defer(run::command))
        .mut_subcommand("sandbox", |sandbox| sandbox.defer(run::sandbox_command))
        .mut_subcommand("try", |attempt| attempt.defer(run::try_command))
        .mut_subcommand("exec", |exec| exec.defer(exec::exec_command))
        .mut_subcommand("enter", |enter| enter.defer(exec::enter_command))
        .mut_subcommand("bwrap", |bwrap| bwrap.defer(bwrap::command))
}

#[cold]
#[inline(never)]
fn ask_clap(words: &[OsString]) -> anyhow::Result<u8> {
    let read = command().try_get_matches_from(words);
    match read.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            start_log(cli.verbose.into());
            match cli.verb {
                // Half of a line is worse than none.
                None
                | Some(
                    Verb::Run | Verb::Sandbox | Verb::Try | Verb::Exec | Verb::Enter | Verb::Bwrap,
                ) => {
                    anyhow::bail!(
                        "this command line is read in two ways, which is a mistake of rootlet's: nothing was done"
                    )
                }
                Some(Verb::Changes(line)) => changes::changes(&line),
                Some(Verb::Diff(chosen)) => changes::diff(&chosen),
                Some(Verb::Apply(line)) => changes::apply(&line),
                Some(Verb::Drop(line)) => changes::drop_stores(&line),
                Some(Verb::Ps(line)) => containers::list(&line),
                Some(Verb::Logs(line)) => containers::logs(&line),
                Some(Verb::Attach(line)) => containers::attach(&line),
                Some(Verb::Stop(line)) => containers::stop(&line),
                Some(Verb::Kill(line)) => containers::signal(&line),
                Some(Verb::Pause(chosen)) => containers::pause(&chosen),
                Some(Verb::Resume(chosen)) => containers::resume(&chosen),
                Some(Verb::Wait(chosen)) => containers::wait(&chosen),
                Some(Verb::Rm(line)) => containers::remove(&line),
                Some(Verb::Rename(line)) => containers::rename(&line),
                Some(Verb::Inspect(line)) => containers::inspect(&line),
                Some(Verb::Top(line)) => containers::top(&line),
                Some(Verb::Doctor(line)) => doctor::doctor(&line),
                Some(Verb::Ns(line)) => namespaces::namespaces(&line),
                Some(Verb::Completion(line)) => completion::completion(&line),
                Some(Verb::Man(line)) => manual::manual(&line),
            }
        }
        Err(error) => misread(&error),
    }
}

/// What clap has to say: help and version on standard output, or an error, which is rootlet's own (125).
fn misread(error: &clap::Error) -> anyhow::Result<u8> {
    if !error.use_stderr() {
        return written(error.print());
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // That an option might be meant as a word of the command is no help here, and the usage has told of --help.
    let said = text
        .lines()
        .filter(|line| !line.contains("tip: to pass '") && !line.starts_with("For more"));
    let said: Vec<&str> = said.collect();
    say!(
        "rootlet: {}",
        said.join("\n").trim_end().replace("\n\n\n", "\n\n")
    );
    if let Some(hint) = hint(error) {
        say!("hint: {hint}");
    }
    Ok(125)
}

/// For those who know the words of another tool.
fn hint(error: &clap::Error) -> Option<String> {
    let word = |kind| error.get(kind).map(ToString::to_string);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = word(ContextKind::InvalidSubcommand)?;
            let verbose = std::env::args_os().nth(1).is_some_and(|first| first == "-v");
            Some(match verbose {
                true => {
                    "before the verb, -v is for verbose; a volume comes after it: rootlet run -v SRC:DST".to_string()
                }
                false => format!("to run it: rootlet run -- {word}"),
            })
        }
        ErrorKind::UnknownArgument => match word(ContextKind::InvalidArg)?.as_str() {
            "-i" | "--interactive" => Some("standard input is always the command's; -t needs no -i".to_string()),
            _ if error.get(ContextKind::SuggestedArg).is_some() => None,
            _ => Some("an option of the command comes after it: rootlet run [OPTIONS] -- COMMAND --option".to_string()),
        },
        ErrorKind::InvalidValue if word(ContextKind::InvalidArg)?.starts_with("--tty") => {
            Some("-t alone is not needed: the command has a terminal when you have one".to_string())
        }
        ErrorKind::InvalidValue if word(ContextKind::InvalidArg)?.starts_with("--share") => {
            Some("the network is the host's by default; --net none gives another".to_string())
        }
        _ => None,
    }
}

/// Diagnostics are silent unless asked for, and then cost their start-up.
fn start_log(verbose: usize) {
    if verbose == 0 && std::env::var_os("RUST_LOG").is_none() {
        return;
    }
    let level = match verbose {
        0 => "error",
        1 => "info",
        _ => "debug",
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level)).init();
}

/// Success, also when the reader has seen enough (`| head`).
fn written(result: io::Result<()>) -> anyhow::Result<u8> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::setup("write what there is to say", error).into())
        }
        _ => Ok(0),
    }
}
