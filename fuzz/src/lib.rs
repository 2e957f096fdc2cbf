//! The targets: see tests/targets.

#[path = "../../tests/targets/mod.rs"]
mod targets;

pub use targets::*;
