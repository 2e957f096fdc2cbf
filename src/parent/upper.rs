//! Directories that overlays write to: one container at a time, and nothing left beside them.

use crate::error::{Error, Result};
use crate::plan::{Plan, Upper};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::Path;

/// Holds the upper directories of a plan for one container.
///
/// The kernel would let a second overlay write to the same directory, with undefined results (its overlayfs
/// documentation, "Sharing and copying layers").
pub struct Held<'a>(Vec<(&'a Upper, File)>);

impl<'a> Held<'a> {
    /// Locks each of them (flock(2)).
    ///
    /// # Errors
    /// When another container holds one, or it cannot be opened.
    pub fn all_of(plan: &'a Plan) -> Result<Self> {
        let hold = |upper: &'a Upper| {
            let shown = upper.path.display();
            let file = File::open(&upper.path).map_err(|error| {
                Error::setup(format!("open the upper directory {shown}"), error)
            })?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok((upper, file)),
                Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::usage(format!(
                    "another container writes to the upper directory {shown} now"
                ))),
                Err(errno) => Err(Error::setup(
                    format!("lock the upper directory {shown}"),
                    errno,
                )),
            }
        };
        plan.uppers
            .iter()
            .map(hold)
            .collect::<Result<_>>()
            .map(Held)
    }

    /// Removes the work directories that were made for this container, which has ended.
    pub fn clear(&self) {
        for work in self.0.iter().filter_map(|(upper, _)| upper.work.as_deref()) {
            if let Err(error) = remove_work(work) {
                log::debug!("{} was not removed: {error}", work.display());
            }
        }
    }
}

/// Removes an overlay's work directory. What the kernel has made in it, only its owner may search (mode 0).
fn remove_work(path: &Path) -> std::io::Result<()> {
    use std::fs::{Permissions, remove_dir_all, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let inner = path.join("work");
    if inner.exists() {
        set_permissions(inner, Permissions::from_mode(0o700))?;
    }
    remove_dir_all(path)
}
