//! DIALECTS: each reads one way of asking, once, and writes a [`crate::Spec`].
#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod flags;
pub mod spec_file;
