//! The verbs, one file each.

mod report;
mod run;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Start a container as an ordinary user: no sudo, no daemon, no setuid helper, no configuration.
#[derive(Parser)]
#[command(name = "rootlet", version, disable_help_subcommand = true, args_conflicts_with_subcommands = false)]
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
    let text = error.render().to_string();
    eprint!("rootlet: {}", text.strip_prefix("error: ").unwrap_or(&text));
    Ok(125)
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
