//! The files of the host, as far as they must be known to keep a command without namespaces from parts of them.
//!
//! Landlock can only allow: a tree, and all that is ever in it. To keep from one directory is to allow all that lies beside
//! it, and beside each directory that leads to it; so what lies there has to be known.

use crate::error::{Error, Result};
use crate::spec::{Mount, Spec};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// What is known of the host's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Where each of [`Spec::mounts`] really is, without links on the way; none where nothing is, or for one that is not of
    /// the host.
    pub places: Vec<Option<Found>>,
    /// The devices of [`DEVICES`] that are there.
    pub devices: Vec<Found>,
    /// What is in each directory that leads to a place of which less may be done than around it. One that cannot be listed
    /// is not here. Links are left out: what they lead to is somewhere else.
    pub listings: BTreeMap<PathBuf, Vec<(OsString, Kind)>>,
}

/// A file or directory that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path, without links.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A unix socket.
    Socket,
    /// Anything else.
    File,
}

/// Devices that programs expect to be able to write, in a read-only tree too.
pub const DEVICES: [&str; 8] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

impl Tree {
    /// Looks at what `spec` names; at nothing, if it asks for namespaces.
    ///
    /// # Errors
    /// When it cannot be seen what is to be hidden.
    pub fn of(spec: &Spec) -> Result<Self> {
        let mut tree = Tree::default();
        if spec.namespaces {
            return Ok(tree);
        }
        let devices = DEVICES.iter().map(Path::new);
        tree.devices = devices.filter_map(|path| find(path).ok()?).collect();
        for mount in &spec.mounts {
            let place = place(mount)?;
            let narrows = matches!(
                mount,
                Mount::Mask { .. }
                    | Mount::Bind {
                        read_only: true,
                        ..
                    }
            );
            if let Some(found) = place.as_ref().filter(|_| narrows) {
                tree.list_above(&found.path);
            }
            tree.places.push(place);
        }
        Ok(tree)
    }

    fn list_above(&mut self, path: &Path) {
        for directory in path.ancestors().skip(1) {
            if !self.listings.contains_key(directory)
                && let Ok(names) = list(directory)
            {
                self.listings.insert(directory.to_path_buf(), names);
            }
        }
    }
}

/// Where `mount` really is.
fn place(mount: &Mount) -> Result<Option<Found>> {
    let (path, hides) = match mount {
        Mount::Bind { source, .. } => (source, false),
        Mount::Mask { target } => (target, true),
        _ => return Ok(None),
    };
    match find(path) {
        Err(error) if hides => Err(Error::setup(
            format!("look at {}, which is to be hidden", path.display()),
            error,
        )),
        found => Ok(found.unwrap_or_default()),
    }
}

/// What `path` leads to; none if nothing is there.
fn find(path: &Path) -> std::io::Result<Option<Found>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let found = path.canonicalize().and_then(|path| {
        let kind = Kind::of(path.metadata()?.file_type());
        Ok(Found { path, kind })
    });
    match found {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        found => found.map(Some),
    }
}

fn list(directory: &Path) -> std::io::Result<Vec<(OsString, Kind)>> {
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if !kind.is_symlink() {
            names.push((entry.file_name(), Kind::of(kind)));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

impl Kind {
    fn of(kind: FileType) -> Kind {
        match kind {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_socket() => Kind::Socket,
            _ => Kind::File,
        }
    }
}
