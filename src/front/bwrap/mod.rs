//! DIALECT: the command line of bubblewrap 0.11, for programs that already drive it.
//!
//! - `options`: which there are, and how many words each takes
//! - `reader`: reads them from left to right, and refuses what bubblewrap refuses, in its words
//! - `lowering`: the [`Spec`] that they come to

mod lowering;
mod options;
mod reader;

pub use lowering::Caller;
pub use options::usage;
pub use reader::{Reader, Refusal};

use crate::spec::Spec;
use std::io;

/// The version whose options are known, as `--version` tells it.
pub const VERSION: &str = "bubblewrap 0.11.1";

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// The options, on standard output.
    Help,
    /// [`VERSION`].
    Version,
    /// A container.
    Launch(Box<Launch>),
}

/// A container, and what is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What it is.
    pub spec: Spec,
    /// A descriptor to which one JSON document goes about the first process.
    pub info_fd: Option<i32>,
    /// A descriptor to which a line of JSON goes for each thing that happens.
    pub json_status_fd: Option<i32>,
    /// Whether everything ends when the caller ends.
    pub die_with_parent: bool,
    /// The kinds of namespaces whose ids are told, as /proc/PID/ns names them.
    pub told: Vec<&'static str>,
}

/// The system's words for an error, as strerror(3) has them.
pub fn words_of(error: &io::Error) -> String {
    let words = error.to_string();
    words
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_string()
}
