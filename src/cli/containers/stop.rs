//! `rootlet stop`, `kill`, `pause`, `resume`, `wait`, `rm` and `rename`.

use super::{Chosen, each, runs};
use rootlet::error::{Error, Result};
use rootlet::spec::parse_duration;
use rootlet::state::{Known, Name, Request};
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The options of `rootlet stop`.
#[derive(clap::Args)]
pub struct StopLine {
    #[command(flatten)]
    chosen: Chosen,
    /// How long the command has to end by itself (30s, 500ms, 0, …) before it is made to
    #[arg(short, long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    time: Duration,
    /// The signal that asks it to
    #[arg(short, long, value_name = "SIGNAL", default_value = "TERM")]
    signal: Signal,
}

/// The options of `rootlet kill`.
#[derive(clap::Args)]
pub struct KillLine {
    #[command(flatten)]
    chosen: Chosen,
    /// The signal for the command; KILL ends all that is in the container
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: Signal,
}

/// The options of `rootlet rm`.
#[derive(clap::Args)]
pub struct RemoveLine {
    #[command(flatten)]
    chosen: Chosen,
    /// End those that still run
    #[arg(short, long)]
    force: bool,
}

/// The options of `rootlet rename`.
#[derive(clap::Args)]
pub struct RenameLine {
    /// What it is called
    #[arg(value_name = "NAME")]
    old: Name,
    /// What it is to be called
    #[arg(value_name = "NEW")]
    new: Name,
}

/// A signal by its number or name.
#[derive(Clone, Copy)]
struct Signal(i32);

impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let real_time = name
            .strip_prefix("RTMIN+")
            .and_then(|number| number.parse().ok());
        let number = name
            .parse()
            .ok()
            .or(real_time.map(|number: i32| 34 + number))
            .or_else(|| {
                Some(nix::sys::signal::Signal::from_str(&format!("SIG{name}")).ok()? as i32)
            });
        number
            .filter(|number| (1..=64).contains(number))
            .map(Signal)
            .ok_or_else(|| {
                Error::usage(
                    "expected a signal's number, or a name such as TERM, HUP, USR1 or RTMIN+3",
                )
            })
    }
}

/// As options of a launch have it; 0 is no time at all.
fn duration(text: &str) -> Result<Duration> {
    match text.trim_end_matches(['s', 'm', 'h']) {
        "0" => Ok(Duration::ZERO),
        _ => parse_duration(text),
    }
}

/// Asks each to end, waits for all together, and ends those that have not.
pub fn stop(line: &StopLine) -> anyhow::Result<u8> {
    let found = line.chosen.found(runs)?;
    for known in found.iter().flatten() {
        // What comes of it is seen below.
        if known.state() == "paused" {
            let _ = known.ask(&Request::Resume);
        }
        let signal = line.signal.0;
        let _ = known.ask(&Request::Signal { signal, stop: true });
    }
    let until = Instant::now() + line.time;
    each(found, |known| {
        if known.running().is_err() {
            return said(known);
        }
        let left = until.saturating_duration_since(Instant::now());
        match known.wait(Some(left)) {
            Ok(Some(_)) => said(known),
            Ok(None) => known.kill().and_then(|()| said(known)),
            Err(_) if !known.folder.is_held()? => said(known),
            Err(error) => Err(error),
        }
    })
}

fn said(known: &Known) -> Result<()> {
    writeln!(std::io::stdout(), "{}", known.name()).or_else(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Error::setup("write what there is to say", error)),
    })
}

/// Sends a signal.
pub fn signal(line: &KillLine) -> anyhow::Result<u8> {
    each(line.chosen.found(runs)?, |known| {
        known.running()?;
        match line.signal.0 {
            libc::SIGKILL => known.kill()?,
            signal => drop(known.ask(&Request::Signal {
                signal,
                stop: false,
            })?),
        }
        said(known)
    })
}

/// Lets nothing in them run.
pub fn pause(chosen: &Chosen) -> anyhow::Result<u8> {
    each(chosen.found(runs)?, |known| {
        known.ask(&Request::Pause)?;
        said(known)
    })
}

/// Lets it run again.
pub fn resume(chosen: &Chosen) -> anyhow::Result<u8> {
    let paused = |known: &Known| known.state() == "paused";
    each(chosen.found(paused)?, |known| {
        known.ask(&Request::Resume)?;
        said(known)
    })
}

/// Waits for each, and prints its exit status.
pub fn wait(chosen: &Chosen) -> anyhow::Result<u8> {
    each(chosen.found(runs)?, |known| {
        let end = known.wait(None)?;
        let status = end.map(|end| end.exit_status()).unwrap_or_default();
        writeln!(std::io::stdout(), "{status}")
            .map_err(|error| Error::setup("write what there is to say", error))
    })
}

/// Removes what is known of those that have ended.
pub fn remove(line: &RemoveLine) -> anyhow::Result<u8> {
    let ended = |known: &Known| !runs(known);
    let fits: fn(&Known) -> bool = if line.force { |_| true } else { ended };
    each(line.chosen.found(fits)?, |known| {
        if line.force && known.folder.is_held()? {
            known.kill()?;
        }
        known.remove()?;
        said(known)
    })
}

/// Gives it another name.
pub fn rename(line: &RenameLine) -> anyhow::Result<u8> {
    Known::named(&line.old)?.rename(&line.new)?;
    Ok(0)
}
