//! PRESETS: what one word stands for. Each makes a [`crate::Spec`] of a look at the host, which every option refines.
#![forbid(unsafe_code)]

pub mod attempt;
pub mod layers;
pub mod pieces;
pub mod places;
pub mod sandbox;

use crate::error::{Error, Result};
use crate::spec::{Mount, Spec};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where a view appears, so that two can be compared; none for one that only hides.
pub fn place(mount: &Mount, cwd: Option<&Path>) -> Option<PathBuf> {
    match mount {
        Mount::Mask { .. } => None,
        Mount::Bind {
            source,
            target: None,
            ..
        } => absolute(source, cwd),
        _ => mount.target().map(|target| target.components().collect()),
    }
}

/// `path` from the working directory `cwd`.
pub fn absolute(path: &Path, cwd: Option<&Path>) -> Option<PathBuf> {
    match path.is_absolute() {
        true => Some(path.components().collect()),
        false => Some(cwd?.join(path).components().collect()),
    }
}

/// Refuses to do without namespaces what `verb` stands for.
///
/// # Errors
/// If `spec` asks for it.
pub fn need_namespaces(verb: &str, spec: &Spec) -> Result<()> {
    if spec.namespaces {
        return Ok(());
    }
    Err(
        Error::usage(format!("rootlet {verb} is made of namespaces"))
            .with_hint("what can be had without: `rootlet run --no-namespaces --read-only -v .`"),
    )
}

/// Lets the views of options stand in the place of a preset's, which are the first `preset` of the spec. Returns where
/// those of options are.
pub fn refine(spec: &mut Spec, preset: usize, cwd: Option<&Path>) -> BTreeSet<PathBuf> {
    let places = |mount: &Mount| place(mount, cwd);
    let asked: BTreeSet<PathBuf> = spec.mounts.iter().skip(preset).filter_map(places).collect();
    let mut number = 0;
    spec.mounts.retain(|mount| {
        number += 1;
        number > preset || !places(mount).is_some_and(|place| asked.contains(&place))
    });
    asked
}
