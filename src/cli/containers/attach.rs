//! `rootlet attach`.

use rootlet::parent::{self, Left};
use rootlet::spec::Tty;
use rootlet::state::{Known, Name};

/// The options.
#[derive(clap::Args)]
pub struct AttachLine {
    /// The container
    name: Name,
}

/// Shows what a detached container writes, and returns the exit status of its command.
pub fn attach(line: &AttachLine) -> anyhow::Result<u8> {
    let known = Known::named(&line.name)?;
    known.running()?;
    let types = known.folder.details()?.spec.tty == Tty::Always;
    Ok(match parent::attach(&known.folder.call()?, types)? {
        Left::Ended(end) => end.exit_status(),
        Left::Detached => 0,
    })
}
