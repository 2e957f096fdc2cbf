//! Of which overlays a root can be put together, so that every write is caught.
//!
//! The kernel refuses an overlay whose lower layer has a locked mount anywhere below it (`clone_private_mount`: EINVAL),
//! and in a user namespace of one's own every mount that came from outside is locked (mount_namespaces(7)). So no overlay
//! reaches further than the largest directories without mounts below, and a skeleton of directories leads to these.
//!
//! Nor does the kernel copy a directory or file up whose user or group is not mapped (`ovl_copy_up_one`: EOVERFLOW), and
//! mapped are the caller's alone: only the overlay's own root need not be copied. So an overlay over a directory of root's
//! catches what is right in it and the caller's. Where nothing is, there is none, as each takes long to make; but there is
//! one over each directory in it that is the caller's to write. On the way to places which the caller is known to use, there
//! is another wherever the kernel could not copy.

use super::layers;
use crate::host::look::{Changeable, EntryKind, Look};
use crate::host::mountinfo::MountPoint;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The most that a file may hold which is copied into a [`Piece::Picture`], in bytes.
const LARGEST_COPY: u64 = 1 << 20;
/// What the caller of [`pieces`] lays itself, with everything below but [`SHARED_MEMORY`].
const NOT_OURS: [&str; 3] = ["/proc", "/sys", DEVICES];
const DEVICES: &str = "/dev";
/// Where everybody may write, in a directory that is not ours.
const SHARED_MEMORY: &str = "/dev/shm";

/// One thing to lay. Everything but [`Piece::Overlay`] and [`Piece::Picture`] is read-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An overlay whose lower layer is the host's directory. Others may follow that lie over directories in it.
    Overlay {
        /// The directory.
        path: PathBuf,
    },
    /// The host's directory with every mount below it, read-only. Pieces for mounts and directories below may follow.
    Bind {
        /// The directory.
        path: PathBuf,
    },
    /// The host's file, socket, pipe or device, read-only.
    File {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link.
    Symlink {
        /// The link.
        path: PathBuf,
        /// What it holds.
        to: PathBuf,
    },
    /// A directory that the caller may not write, and that leads to others. Its entries are pieces that follow.
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// An overlay whose lower layer is a directory made up for this: new names have to be caught, but the host's
    /// directory has mounts below.
    Picture {
        /// The directory.
        path: PathBuf,
        /// Whether the caller may make and remove names in it.
        writable: bool,
        /// What is in the lower layer.
        holds: Vec<Held>,
    },
}

impl Piece {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        match self {
            Piece::Overlay { path }
            | Piece::Bind { path }
            | Piece::File { path }
            | Piece::Symlink { path, .. }
            | Piece::Directory { path }
            | Piece::Picture { path, .. } => path,
        }
    }

    /// Whether it catches writes.
    pub fn catches_writes(&self) -> bool {
        matches!(self, Piece::Overlay { .. } | Piece::Picture { .. })
    }
}

/// A name in the lower layer of a [`Piece::Picture`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The name.
    pub name: OsString,
    /// What it stands for.
    pub what: What,
}

/// What a name in a [`Piece::Picture`] stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An empty directory: a piece of its own is laid on it.
    Directory,
    /// An empty file: a piece of its own is laid on it.
    File,
    /// A symbolic link, and what it holds.
    Symlink(PathBuf),
    /// A copy of the host's file.
    Copy,
}

/// What [`pieces`] answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// What to lay, parents before children.
    pub pieces: Vec<Piece>,
    /// Where the caller could write, and will be refused; and the reason.
    pub uncovered: Vec<(PathBuf, String)>,
}

impl Pieces {
    /// What of the pieces is left to lay when the root begins as a copy of the host's whole tree, with every mount, and
    /// read-only (open_tree, mount_setattr with AT_RECURSIVE).
    ///
    /// The copy has everything that is not written to: all that is left are the overlays, and what lies in the made-up
    /// directories.
    pub fn on_a_copy(self) -> Self {
        let mut pictures = BTreeSet::new();
        let mut left = Vec::new();
        for piece in self.pieces {
            let path = piece.path().to_path_buf();
            let in_picture = path.parent().is_some_and(|above| pictures.contains(above));
            match piece {
                Piece::Picture { .. } => _ = pictures.insert(path),
                Piece::Directory { path } if in_picture => {
                    left.push(Piece::Bind { path });
                    continue;
                }
                Piece::Overlay { .. } => {}
                _ if in_picture => {}
                _ => continue,
            }
            left.push(piece);
        }
        Pieces {
            pieces: left,
            uncovered: self.uncovered,
        }
    }
}

/// The pieces that the machine's root is put together from, without /proc, /sys and /dev, but with /dev/shm.
///
/// `mounts` are those that can be seen ([`MountInfo::visible`](crate::host::mountinfo::MountInfo::visible)), and `used` are
/// directories that the caller uses, however deep they lie: absolute, without symbolic links.
pub fn pieces<'a>(
    mounts: impl IntoIterator<Item = &'a MountPoint>,
    used: &[PathBuf],
    look: &impl Look,
) -> Pieces {
    let (others, mounts): (Vec<_>, Vec<_>) = mounts
        .into_iter()
        .partition(|mount| is_not_ours(&mount.path));
    let mut found = Walk::new(mounts, used, look).walk(Path::new("/"));
    let shared_memory = Path::new(SHARED_MEMORY);
    if look.is_directory(shared_memory) {
        let devices = others
            .into_iter()
            .filter(|mount| mount.path.starts_with(DEVICES));
        let more = Walk::new(devices.collect(), used, look).walk(shared_memory);
        found.uncovered.extend(more.uncovered);
        if more.pieces.iter().any(Piece::catches_writes) {
            found.pieces.extend(more.pieces);
        }
    }
    found
}

fn is_not_ours(path: &Path) -> bool {
    NOT_OURS.iter().any(|place| path.starts_with(place))
}

struct Walk<'a, L> {
    /// Sorted by path.
    mounts: Vec<&'a MountPoint>,
    /// The same, to be found by where they are.
    places: BTreeMap<&'a OsStr, &'a MountPoint>,
    used: &'a [PathBuf],
    look: &'a L,
    found: Pieces,
}

impl<'a, L: Look> Walk<'a, L> {
    fn new(mut mounts: Vec<&'a MountPoint>, used: &'a [PathBuf], look: &'a L) -> Self {
        // By components, so that what lies below a directory comes right after it.
        mounts.sort_by(|a, b| a.path.cmp(&b.path));
        Walk {
            places: (mounts.iter().map(|mount| (mount.path.as_os_str(), *mount))).collect(),
            mounts,
            used,
            look,
            found: Pieces::default(),
        }
    }

    fn walk(mut self, start: &Path) -> Pieces {
        self.directory(start);
        self.found
    }

    /// What is mounted below `path`, but not at it.
    fn below(&self, path: &Path) -> &[&'a MountPoint] {
        let start = self.mounts.partition_point(|m| m.path.as_path() <= path);
        let rest = &self.mounts[start..];
        let end = rest.partition_point(|m| m.path.starts_with(path));
        &rest[..end]
    }

    /// The mount that the directory `path` is in.
    fn mount_of(&self, path: &Path) -> Option<&'a MountPoint> {
        path.ancestors().find_map(|place| self.mounted_at(place))
    }

    fn mounted_at(&self, path: &Path) -> Option<&'a MountPoint> {
        self.places.get(path.as_os_str()).copied()
    }

    fn lay(&mut self, piece: Piece) {
        self.found.pieces.push(piece);
    }

    /// The caller could write to `path`, and will not.
    fn refuse(&mut self, path: &Path, reason: impl Into<String>) {
        self.found.uncovered.push((path.into(), reason.into()));
    }

    fn directory(&mut self, path: &Path) {
        let mount = self.mount_of(path);
        // autofs is not even asked.
        if mount.is_some_and(|m| layers::is_kernels(m) || m.is_read_only()) {
            return self.bind(path);
        }
        if let Some(reason) = mount.and_then(layers::refusal) {
            if self.look.may_write(path) {
                self.refuse(path, reason);
            }
            return self.bind(path);
        }
        if path != Path::new("/") && self.below(path).is_empty() {
            return self.whole(path);
        }
        if !self.look.may_search(path) {
            // Nothing below can be reached, whatever is mounted there.
            return self.lay(Piece::Bind { path: path.into() });
        }
        self.skeleton(path);
    }

    /// A directory without mounts below.
    fn whole(&mut self, path: &Path) {
        let Changeable {
            itself,
            directories,
        } = self.look.changeable(path);
        let mut inside: BTreeSet<PathBuf> =
            directories.iter().map(|name| path.join(name)).collect();
        for place in self.used {
            self.lead_to(place, path, itself, &mut inside);
        }
        let path = path.to_path_buf();
        self.lay(match itself {
            true => Piece::Overlay { path },
            false => Piece::Bind { path },
        });
        for path in inside {
            self.lay(Piece::Overlay { path });
        }
    }

    /// Adds to the overlays `inside` of the directory `path`, which may be `covered` by one, what is missing for writes to
    /// be caught in `place`.
    fn lead_to(&self, place: &Path, path: &Path, covered: bool, inside: &mut BTreeSet<PathBuf>) {
        let below = |above: &&Path| above.starts_with(path) && *above != path;
        let mut way: Vec<&Path> = place.ancestors().take_while(below).collect();
        way.reverse();
        // A directory of others has an overlay for a file in it, or as it cannot be listed: what is meant lies below.
        let mut is_caught = covered && self.look.may_write(path);
        for above in &way {
            let is_laid = inside.contains(*above);
            is_caught = is_laid || is_caught && self.look.is_callers(above);
            if !is_caught && self.look.may_write(above) {
                inside.insert(above.to_path_buf());
                is_caught = true;
            }
        }
        if !is_caught && !way.is_empty() {
            let found = self.look.changeable(place);
            inside.extend(found.itself.then(|| place.to_path_buf()));
            inside.extend(found.directories.iter().map(|name| place.join(name)));
        }
    }

    /// The directory as it is. What is mounted below comes with it; what of that catches writes is laid on top.
    fn bind(&mut self, path: &Path) {
        self.lay(Piece::Bind { path: path.into() });
        let mut last: Option<&Path> = None;
        for mount in self.below(path).to_vec() {
            if last.is_some_and(|last| mount.path.starts_with(last)) {
                continue;
            }
            last = Some(&mount.path);
            let start = self.found.pieces.len();
            if layers::is_kernels(mount) || self.look.is_directory(&mount.path) {
                self.directory(&mount.path);
            } else if self.look.may_write(&mount.path) {
                self.refuse(&mount.path, "it lies in a directory that is read-only");
            }
            if !self.catches_writes_since(start) {
                self.found.pieces.truncate(start);
            }
        }
    }

    fn catches_writes_since(&self, start: usize) -> bool {
        self.found.pieces[start..].iter().any(Piece::catches_writes)
    }

    /// A directory with mounts below it.
    fn skeleton(&mut self, path: &Path) {
        let mut entries = match self.look.entries(path) {
            Ok(entries) => entries,
            Err(errno) => {
                self.refuse(path, format!("it cannot be listed: {errno}"));
                return self.bind(path);
            }
        };
        entries.retain(|entry| !is_not_ours(&path.join(&entry.name)));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.note_missing(path, &entries.iter().map(|e| e.name.as_os_str()).collect());

        // The root itself stays the host's, read-only: nothing can be laid on it.
        let is_root = path == Path::new("/");
        if is_root && self.look.may_write(path) {
            self.refuse(path, "new names in the root itself are not caught");
        }
        let writable = !is_root && self.look.may_write(path);
        let held: Vec<Held> = entries
            .into_iter()
            .map(|entry| {
                let place = path.join(&entry.name);
                let name = entry.name;
                match self.what(&place, entry.kind) {
                    What::Copy if is_root => {
                        self.refuse(&place, "it lies in the root itself");
                        let what = What::File;
                        Held { name, what }
                    }
                    what => Held { name, what },
                }
            })
            .collect();
        let start = self.found.pieces.len();
        let is_picture = writable || held.iter().any(|entry| entry.what == What::Copy);
        self.lay(match is_picture {
            true => Piece::Picture {
                path: path.into(),
                writable,
                holds: held.clone(),
            },
            false => Piece::Directory { path: path.into() },
        });
        for Held { name, what } in held {
            let path = path.join(name);
            match what {
                What::Directory => self.directory(&path),
                What::File => self.lay(Piece::File { path }),
                What::Symlink(to) if !is_picture => self.lay(Piece::Symlink { path, to }),
                What::Symlink(_) | What::Copy => {}
            }
        }
        // Nothing below catches a write: one bind is the same.
        if !self.catches_writes_since(start) {
            self.found.pieces.truncate(start);
            self.lay(Piece::Bind { path: path.into() });
        }
    }

    /// What a name in a skeleton stands for.
    fn what(&mut self, path: &Path, kind: EntryKind) -> What {
        match kind {
            EntryKind::Directory => What::Directory,
            EntryKind::Symlink(to) => What::Symlink(to),
            EntryKind::Other => What::File,
            EntryKind::File if self.mounted_at(path).is_some_and(layers::is_kernels) => What::File,
            EntryKind::File if !self.look.may_write(path) => What::File,
            EntryKind::File => match self.look.size(path) {
                Some(size) if size <= LARGEST_COPY => What::Copy,
                Some(size) => {
                    self.refuse(path, format!("a file of {size} bytes is not copied"));
                    What::File
                }
                None => What::File,
            },
        }
    }

    /// Mounts below `path` that are not below any of its `names`: gone meanwhile, or renamed.
    fn note_missing(&mut self, path: &Path, names: &BTreeSet<&OsStr>) {
        for mount in self.below(path).to_vec() {
            let name = mount.path.strip_prefix(path).ok();
            let name = name.and_then(|rest| rest.iter().next());
            let is_missing = name.is_none_or(|name| !names.contains(name));
            if is_missing && !layers::is_kernels(mount) && !mount.is_read_only() {
                self.refuse(&mount.path, "it is mounted where no directory is");
            }
        }
    }
}
