//! RUNNING: what is known of the containers that run, in files of the user's: a folder for each, in one directory.
//!
//! Whoever supervises a container holds a lock in its folder for as long as it lives, so that a folder whose record says
//! "running" and whose lock is free is that of a supervisor that was killed; the next command clears it away. Process ids
//! are only ever used together with the time at which the process started.
#![forbid(unsafe_code)]

mod details;
mod folder;
mod known;
pub mod log;
mod message;
mod name;
mod place;
pub mod processes;
mod record;

pub use details::{Details, FilesFilter, Story, Word, own_program};
pub use folder::{Folder, Held};
pub use known::{Found, Known};
pub use message::{Call, End, Received, Reply, Request};
pub use name::Name;
pub use place::{Locked, Place};
pub use record::{Process, Record, Status, milliseconds};
