//! What a command has changed below overlays: to list it, to show it, to apply it to the host, to drop it.
//!
//! `rootlet try` runs a command with an overlayfs over each of some host directories, its *pieces*. The upper directories
//! then hold what the command changed, in the overlay's own notation: files as they are, whiteouts for what it deleted,
//! opaque directories for what it replaced. They lie in a [`Store`]. [`Store::changes`] compares them with the host as
//! it is now; [`Store::apply`] makes the host equal to them.
//!
//! The command wrote the upper directories, so nothing in them is trusted: every name is looked up in a directory that is
//! open, no symbolic link is followed, nothing but regular files and directories is opened.
#![forbid(unsafe_code)]

mod apply;
mod beneath;
mod bytes;
mod content;
mod descent;
#[cfg(feature = "cli")]
mod details;
#[cfg(feature = "cli")]
mod diff;
mod list;
mod metadata;
mod pattern;
mod record;
mod remove;
mod state;
mod store;
pub mod text;
mod upper;
mod xattr;

pub use apply::{Applied, Progress, Refusal};
pub use beneath::openat2_refused;
pub use list::{Change, Changes, Counts, Inside, Kind, List, Unmatched};
pub use pattern::Patterns;
pub use record::{Host, Record};
pub use state::{FileType, State, Time};
pub use store::{Covered, Store};
