//! `rootlet run`.

use super::report::{Report, StatusFile};
use clap::{ArgMatches, Args, ValueEnum};
use rootlet::front::{flags::SpecFlags, spec_file};
use rootlet::plan::explain::Explanation;
use rootlet::{Facts, Plan, Spec, parent};

/// Run a command, by default your shell, as root in namespaces of its own
#[derive(Args)]
#[command(
    override_usage = "rootlet run [OPTIONS] [--] [COMMAND [ARG]...]",
    after_help = "Examples:\n  \
        rootlet run                              a root shell of your own\n  \
        rootlet run --net none -- make test      no network but 127.0.0.1\n  \
        rootlet run --read-only -v . -- make     only this directory can be written\n  \
        rootlet run --rootfs DIR                 a shell in another root file system\n  \
        rootlet run --explain | less             what a container is made of, step by step"
)]
pub struct RunFlags {
    #[command(flatten)]
    spec: SpecFlags,

    /// Print the spec as TOML, which --spec reads, and exit
    #[arg(long, help_heading = "Spec")]
    print_spec: bool,
    /// Print what would be done, step by step, and exit; json is for machines
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text", help_heading = "Reports")]
    explain: Option<Format>,
    /// Print each step when it is done, with its time
    #[arg(long, help_heading = "Reports")]
    trace: bool,
    /// Write the container's start and end as JSON lines to descriptor N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = "Reports")]
    status_fd: Option<i32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs what the flags say.
pub fn run(flags: RunFlags, matches: &ArgMatches) -> anyhow::Result<u8> {
    let spec = flags.spec.into_spec(matches)?;
    if flags.print_spec {
        return print(&spec_file::print(&spec)?);
    }
    let plan = Plan::new(&spec, &Facts::gather(&spec)?)?;
    log::info!(
        "{} steps planned",
        plan.setup.len() + plan.init.len() + plan.command.len()
    );
    if let Some(format) = flags.explain {
        return print(&explained(&plan.explain(), format)?);
    }
    let status = flags.status_fd.map(StatusFile::open).transpose()?;
    launch(&plan, flags.trace, Report::new(flags.trace, status))
}

/// Runs the default command with every default.
pub fn run_default() -> anyhow::Result<u8> {
    let spec = Spec::default();
    launch(
        &Plan::new(&spec, &Facts::gather(&spec)?)?,
        false,
        Report::new(false, None),
    )
}

fn launch(plan: &Plan, trace: bool, mut report: Report) -> anyhow::Result<u8> {
    let outcome = parent::supervise(plan, trace, &mut report);
    // The command's end is the truth, whether or not it could be written down.
    if let Err(error) = report.end(&outcome) {
        eprintln!("rootlet: {error}");
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

/// A reader who has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<u8> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}
