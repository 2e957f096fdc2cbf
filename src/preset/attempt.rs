//! `rootlet try`: the whole machine as it is, but what is written goes to overlays.
//!
//! The host's tree is there, read-only; over it lie the overlays that [`super::pieces`] names. Where a directory is empty its
//! upper directory lies there by itself: it looks the same, and the kernel takes longer for an overlay than for all else of
//! it. /dev and /sys are the host's, and /proc is the container's own, as in `rootlet run`.

use super::pieces::{Held, Piece, Pieces, What};
use crate::error::{Error, Result};
use crate::spec::{Capability, Missing, Mount, Proc, Spec, User, Without};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What catches writes in an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer<'a> {
    /// The directory of the host that it lies over.
    pub path: PathBuf,
    /// What is read through it.
    pub lower: Lower<'a>,
}

/// What is below the upper directory of a [`Layer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower<'a> {
    /// The directory itself.
    Host,
    /// A directory that is made up, and what is in it.
    Picture(&'a [Held]),
    /// Nothing: the directory is empty, and there is no overlay.
    Nothing,
}

/// The layers of an attempt, in the order in which they are laid. `is_empty` tells whether a directory of the host has nothing in
/// it.
pub fn layers(found: &Pieces, is_empty: impl Fn(&Path) -> bool) -> Vec<Layer<'_>> {
    let layer = |piece| {
        let path = Piece::path(piece);
        let lower = match piece {
            Piece::Overlay { .. } if is_empty(path) => Lower::Nothing,
            Piece::Overlay { .. } => Lower::Host,
            Piece::Picture { holds, .. } => Lower::Picture(holds),
            _ => return None,
        };
        let path = path.to_path_buf();
        Some(Layer { path, lower })
    };
    found.pieces.iter().filter_map(layer).collect()
}

/// Where the parts of a layer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What is read: the directory of the host, or one that is made up.
    pub lower: PathBuf,
    /// What is written.
    pub upper: PathBuf,
    /// Where the kernel prepares it.
    pub work: PathBuf,
}

/// The attempt before any option. `parts` has the parts of each of [`layers`], and `store` is where they are, which the
/// command does not see. Where the kernel refuses an overlay the directory is read-only, but for that around `cwd`:
/// without it there is no attempt.
pub fn preset(
    found: &Pieces,
    layers: &[Layer<'_>],
    parts: &[Parts],
    store: &Path,
    cwd: Option<&Path>,
) -> Spec {
    let around_cwd = layers
        .iter()
        .filter(|layer| cwd.is_some_and(|cwd| cwd.starts_with(&layer.path)));
    let needed = around_cwd.max_by_key(|layer| layer.path.as_os_str().len());
    let laid = |layer: &Layer<'_>, parts: &Parts| match layer.lower {
        Lower::Nothing => Mount::Bind {
            source: parts.upper.clone(),
            target: Some(layer.path.clone()),
            read_only: false,
            // As every overlay has it.
            without: Without {
                devices: true,
                setuid: true,
            },
            missing: Missing::Refused,
        },
        _ => Mount::Overlay {
            read_only: false,
            lower: vec![parts.lower.clone()],
            target: layer.path.clone(),
            upper: Some(parts.upper.clone()),
            work: Some(parts.work.clone()),
            optional: needed != Some(layer),
            volatile: true,
        },
    };
    let mut mounts = vec![
        as_it_is("/dev".into(), false),
        as_it_is("/sys".into(), false),
    ];
    let mut layers = layers.iter().zip(parts);
    for piece in found.clone().on_a_copy().pieces {
        match piece.catches_writes() {
            true => mounts.extend(layers.next().map(|(layer, parts)| laid(layer, parts))),
            false => mounts.push(as_it_is(piece.path().to_path_buf(), true)),
        }
    }
    mounts.push(Mount::Mask {
        target: store.to_path_buf(),
    });
    Spec {
        user: User::Keep,
        cap_drop: vec![Capability::All],
        read_only: true,
        proc: Some(Proc::Fresh),
        mounts,
        ..Spec::default()
    }
}

fn as_it_is(path: PathBuf, read_only: bool) -> Mount {
    Mount::Bind {
        source: path,
        target: None,
        read_only,
        without: Without::default(),
        missing: Missing::Optional,
    }
}

/// Makes the lower layer for a directory of the host at `path` in `place`, an empty directory: with places to mount on,
/// links, and copies of files.
///
/// # Errors
/// What the kernel refuses.
pub fn make_picture(place: &Path, path: &Path, holds: &[Held]) -> Result<()> {
    for Held { name, what } in holds {
        let (from, to) = (path.join(name), place.join(name));
        let made = match what {
            What::Directory => std::fs::create_dir(&to),
            What::File => std::fs::File::create(&to).map(drop),
            What::Symlink(target) => symlink(target, &to),
            What::Copy => copy(&from, &to),
        };
        made.map_err(|error| Error::setup(format!("make {} for an overlay", to.display()), error))?;
    }
    Ok(())
}

/// A copy with the mode and the time of the file; one that is gone meanwhile is left out. One that may be written but not
/// read is empty, and cannot be read either.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match std::fs::copy(from, to) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        Err(error) if error.kind() == PermissionDenied => {
            std::fs::File::create(to)?;
            return std::fs::set_permissions(to, from.metadata()?.permissions());
        }
        result => result?,
    };
    let time = from.metadata()?.modified()?;
    std::fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(layers: &[Layer<'_>]) -> Vec<Parts> {
        let part = |number: usize, layer: &Layer<'_>| Parts {
            lower: layer.path.clone(),
            upper: format!("/store/upper/{number}").into(),
            work: format!("/store/work/{number}").into(),
        };
        layers
            .iter()
            .enumerate()
            .map(|(number, layer)| part(number, layer))
            .collect()
    }

    fn laid(pieces: Vec<Piece>) -> Vec<String> {
        let found = Pieces {
            pieces,
            uncovered: Vec::new(),
        };
        let layers = layers(&found, |path| path == Path::new("/var/tmp"));
        let spec = preset(&found, &layers, &parts(&layers), Path::new("/store"), None);
        let shown = |mount: &Mount| match mount {
            Mount::Overlay { target, .. } => format!("overlay {}", target.display()),
            Mount::Bind {
                source,
                read_only: true,
                ..
            } => format!("read-only {}", source.display()),
            Mount::Bind {
                source,
                target: Some(target),
                ..
            } => format!("{} at {}", source.display(), target.display()),
            other => format!("{other:?}"),
        };
        spec.mounts[2..spec.mounts.len() - 1]
            .iter()
            .map(shown)
            .collect()
    }

    fn overlay_at(path: &str) -> Piece {
        Piece::Overlay { path: path.into() }
    }

    fn bind_at(path: &str) -> Piece {
        Piece::Bind { path: path.into() }
    }

    #[test]
    fn what_the_hosts_tree_shows_anyway_is_not_laid() {
        let pieces = vec![
            Piece::Directory { path: "/".into() },
            Piece::Symlink {
                path: "/bin".into(),
                to: "usr/bin".into(),
            },
            overlay_at("/etc"),
            bind_at("/mnt"),
            overlay_at("/mnt/disk"),
            overlay_at("/usr"),
        ];
        assert_eq!(
            laid(pieces),
            ["overlay /etc", "overlay /mnt/disk", "overlay /usr"]
        );
    }

    #[test]
    fn what_lies_in_a_made_up_directory_is_laid() {
        let home = Piece::Picture {
            path: "/home/me".into(),
            writable: true,
            holds: Vec::new(),
        };
        let pieces = vec![
            Piece::Directory { path: "/".into() },
            Piece::Directory {
                path: "/home".into(),
            },
            home,
            bind_at("/home/me/drive"),
            overlay_at("/home/me/drive/disk"),
            bind_at("/home/me/drive/none"),
            Piece::File {
                path: "/home/me/socket".into(),
            },
            overlay_at("/home/me/src"),
            bind_at("/srv"),
        ];
        assert_eq!(
            laid(pieces),
            [
                "overlay /home/me",
                "read-only /home/me/drive",
                "overlay /home/me/drive/disk",
                "read-only /home/me/socket",
                "overlay /home/me/src",
            ]
        );
    }

    #[test]
    fn overlays_in_a_directory_of_others_are_laid_over_it() {
        let pieces = vec![
            Piece::Directory { path: "/".into() },
            bind_at("/home"),
            overlay_at("/home/me"),
            overlay_at("/var"),
            overlay_at("/var/tmp"),
        ];
        assert_eq!(
            laid(pieces),
            [
                "overlay /home/me",
                "overlay /var",
                "/store/upper/2 at /var/tmp"
            ],
            "over an empty directory there is no overlay"
        );
    }
}
