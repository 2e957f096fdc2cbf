//! `rootlet doctor`: what this host allows, why not, and what can be done.

use super::written;
use rootlet::doctor::{self, Json, State};
use std::io::Write;

/// The options.
#[derive(clap::Args)]
pub struct DoctorLine {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print nothing: the exit status is 0 where `rootlet run` works, 1 where it steps down, 2 where it does not work
    #[arg(short, long)]
    quiet: bool,
    /// Print an AppArmor profile for this very program, and exit
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    apparmor_profile: bool,
}

/// Looks, tells, and returns how well `rootlet run` works here.
pub fn doctor(line: &DoctorLine) -> anyhow::Result<u8> {
    let mut out = std::io::stdout();
    if line.apparmor_profile {
        let program = std::env::current_exe()?;
        return written(out.write_all(doctor::apparmor_profile(&program).as_bytes()));
    }
    let examination = doctor::examine()?;
    let text = match line {
        DoctorLine { quiet: true, .. } => String::new(),
        DoctorLine { json: true, .. } => {
            serde_json::to_string_pretty(&Json::new(&examination))? + "\n"
        }
        _ => doctor::text(&examination),
    };
    written(out.write_all(text.as_bytes()))?;
    Ok(match examination.verdict() {
        State::Works => 0,
        State::StepsDown => 1,
        State::Impossible => 2,
    })
}
