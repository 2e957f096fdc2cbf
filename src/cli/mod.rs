//! The verbs, one file each.
#![forbid(unsafe_code)]

mod report;
mod run;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::error::Error;

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
#[command(defer = true)]
enum Verb {
    /// Run a command, by default your shell, as root in namespaces of its own
    Run(Box<run::RunFlags>),
}

/// Reads the command line, does what it says, and returns the exit status.
pub fn main() -> anyhow::Result<u8> {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return misread(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    start_log(cli.verbose);
    // Freed with the process: taking it apart would only touch memory that is shared with the container's init.
    let matches = std::mem::ManuallyDrop::new(matches);
    match (cli.verb, matches.subcommand_matches("run")) {
        (Some(Verb::Run(flags)), Some(matches)) => run::run(*flags, matches),
        _ => run::run_default(),
    }
}

/// What clap has to say: help and version on standard output, or an error, which is rootlet's own (125).
fn misread(error: &clap::Error) -> anyhow::Result<u8> {
    if !error.use_stderr() {
        error.print()?;
        return Ok(0);
    }
    // A value that was refused has said itself what is wrong with it.
    if let Some(refusal) = error
        .source()
        .and_then(|source| source.downcast_ref::<rootlet::Error>())
    {
        return Err(refusal.clone().into());
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // That an option might be meant as a word of the command is no help here, and the usage has told of --help.
    let said = text
        .lines()
        .filter(|line| !line.contains("tip: to pass '") && !line.starts_with("For more"));
    let said: Vec<&str> = said.collect();
    eprintln!(
        "rootlet: {}",
        said.join("\n").trim_end().replace("\n\n\n", "\n\n")
    );
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
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
            "--rm" => Some("nothing is left of a container that has ended; there is nothing to remove".to_string()),
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
fn start_log(verbose: u8) {
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
