//! DIALECTS: each reads one way of asking, once, and writes a [`crate::Spec`].
#![forbid(unsafe_code)]

pub mod bwrap;
pub mod flags;
pub mod line;
pub mod request;
pub mod spec_file;
