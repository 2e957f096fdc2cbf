//! A tree of files that is written down, in the place of a machine's.

use rootlet::error::Errno;
use rootlet::host::look::{Changeable, DirectoryEntry, EntryKind, Look};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the caller may do with one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: EntryKind,
    /// `w`: the caller may write to it.
    pub writable: bool,
    /// `w` too: it has the caller's user and group for owners.
    pub own: bool,
    /// `!`: nothing in it can be reached.
    pub shut: bool,
    /// `?`: it cannot be listed.
    pub unlisted: bool,
    /// `.`: nothing may be asked of it.
    pub taboo: bool,
    pub size: u64,
}

/// Each path with its node.
#[derive(Clone, Debug)]
pub struct Recorded(pub BTreeMap<PathBuf, Node>);

impl Recorded {
    /// Lines of `KIND[RIGHTS] PATH [SIZE | -> TARGET]`; the kinds are d, f, l, and o for others.
    pub fn parse(text: &str) -> Self {
        let root = "d /";
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Recorded(lines.chain([root]).map(parse_line).collect())
    }

    fn node(&self, path: &Path) -> Option<&Node> {
        let node = self.0.get(path)?;
        assert!(!node.taboo, "{path:?} was asked about");
        Some(node)
    }

    /// Whether `path` is there, with every directory on the way to it open to the caller.
    pub fn is_reachable(&self, path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        above.all(|place| self.0.get(place).is_some_and(|node| !node.shut))
    }

    /// The paths right below `directory`.
    fn children<'a>(
        &'a self,
        directory: &'a Path,
    ) -> impl Iterator<Item = (&'a PathBuf, &'a Node)> {
        let nodes = self.0.iter();
        nodes.filter(move |(path, _)| path.parent() == Some(directory))
    }
}

fn parse_line(line: &str) -> (PathBuf, Node) {
    let mut words = line.split(' ');
    let flags = words.next().unwrap();
    let path = words.next().unwrap_or_else(|| panic!("{line}"));
    let rest: Vec<&str> = words.collect();
    let kind = match &flags[..1] {
        "d" => EntryKind::Directory,
        "f" => EntryKind::File,
        "l" => EntryKind::Symlink(rest[1].into()),
        "o" => EntryKind::Other,
        _ => panic!("{line}"),
    };
    let size = match kind {
        EntryKind::File => rest[0].parse().unwrap(),
        _ => 0,
    };
    let has = |flag| flags.contains(flag);
    let node = Node {
        kind,
        writable: has('w'),
        own: has('w'),
        shut: has('!'),
        unlisted: has('?') || has('!'),
        taboo: has('.'),
        size,
    };
    (path.replace("\\040", " ").into(), node)
}

impl Look for Recorded {
    fn entries(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, Errno> {
        let node = self.node(directory).ok_or(Errno(libc::ENOENT))?;
        if node.unlisted {
            return Err(Errno(libc::EACCES));
        }
        let entry = |(path, node): (&PathBuf, &Node)| DirectoryEntry {
            name: path.file_name().unwrap().into(),
            kind: node.kind.clone(),
        };
        Ok(self.children(directory).map(entry).collect())
    }

    fn may_write(&self, path: &Path) -> bool {
        self.node(path).is_some_and(|node| node.writable)
    }

    fn may_search(&self, directory: &Path) -> bool {
        self.node(directory).is_some_and(|node| !node.shut)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.node(path)
            .is_some_and(|node| node.kind == EntryKind::Directory)
    }

    fn size(&self, file: &Path) -> Option<u64> {
        let node = self.node(file)?;
        (node.kind == EntryKind::File).then_some(node.size)
    }

    fn is_callers(&self, path: &Path) -> bool {
        self.node(path).is_some_and(|node| node.own)
    }

    fn is_empty(&self, directory: &Path) -> bool {
        self.children(directory).next().is_none()
    }

    fn changeable(&self, directory: &Path) -> Changeable {
        let Some(node) = self.node(directory).filter(|node| !node.shut) else {
            return Changeable::default();
        };
        let mut found = Changeable {
            itself: node.own || node.writable || node.unlisted,
            directories: Vec::new(),
        };
        if found.itself {
            return found;
        }
        for (path, child) in self.children(directory) {
            match child.kind {
                EntryKind::Directory if child.own || child.writable => {
                    found.directories.push(path.file_name().unwrap().into());
                }
                EntryKind::File if child.own => found.itself = true,
                _ => {}
            }
        }
        found
    }
}
