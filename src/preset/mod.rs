//! PRESETS: what one word stands for. Each makes a [`crate::Spec`] of a look at the host, which every option refines.
#![forbid(unsafe_code)]

pub mod sandbox;
