//! The verbs for containers that run, or have run.

mod attach;
mod inspect;
mod list;
mod logs;
mod stop;
mod top;

pub use attach::{AttachLine, attach};
pub use inspect::{InspectLine, inspect};
pub use list::{ListLine, list};
pub use logs::{LogsLine, logs};
pub use stop::{
    KillLine, RemoveLine, RenameLine, StopLine, pause, remove, rename, resume, signal, stop, wait,
};
pub use top::{TopLine, top};

use rootlet::error::{Error, Result};
use rootlet::state::{Known, Name};

/// Which containers are meant.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct Chosen {
    /// The names of containers
    #[arg(value_name = "NAME")]
    names: Vec<Name>,
    /// All of them
    #[arg(short, long)]
    all: bool,
}

impl Chosen {
    /// The containers, each with the error of one that is not there; with `--all` those of which `fits` holds.
    fn found(&self, fits: fn(&Known) -> bool) -> Result<Vec<Result<Known>>> {
        if !self.all {
            return Ok(self.names.iter().map(Known::named).collect());
        }
        let found = Known::all()?;
        let containers = found.containers.into_iter().filter(fits).map(Ok);
        Ok(containers
            .chain(found.unread.into_iter().map(Err))
            .collect())
    }
}

/// Whether it has not ended.
fn runs(known: &Known) -> bool {
    known.running().is_ok()
}

/// Does `what` with each container. Of several errors the last one is the program's, and the others are said before.
fn each(
    found: Vec<Result<Known>>,
    mut what: impl FnMut(&Known) -> Result<()>,
) -> anyhow::Result<u8> {
    let mut failed = None;
    for container in found {
        if let Err(error) = container.and_then(|container| what(&container)) {
            say_one(failed.replace(error));
        }
    }
    failed.map_or(Ok(0), |error| Err(error.into()))
}

fn say_one(error: Option<Error>) {
    if let Some(error) = error {
        say!("rootlet: {error}");
        if let Some(hint) = error.hint {
            say!("hint: {hint}");
        }
    }
}

/// `text` without what would move the cursor or end the line: names of programs are for their owners to choose.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let odd = letter.is_control();
            odd.then(|| letter.escape_default())
                .into_iter()
                .flatten()
                .chain((!odd).then_some(letter))
        })
        .collect()
}

/// The command as one would type it, about.
fn shown_command(command: &[String]) -> String {
    plain(&command.join(" "))
}
