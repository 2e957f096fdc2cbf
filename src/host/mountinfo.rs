//! The mounts that this process sees: proc_pid_mountinfo(5).

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount: a line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Its number, which may be used again when it is gone.
    pub id: u32,
    /// The number of the mount that it lies on; its own for the first of a mount namespace.
    pub parent: u32,
    /// The part of its file system that is seen there.
    pub root: PathBuf,
    /// Where it is, from this process's root.
    pub path: PathBuf,
    /// The type of its file system, with the subtype after a dot: `ext4`, `fuse.sshfs`.
    pub kind: OsString,
    /// Whether this mount is read-only.
    pub read_only: bool,
    /// Whether the file system is read-only, at each place where it is mounted.
    pub file_system_read_only: bool,
}

/// A text of mountinfo, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountInfo {
    /// The mounts, in the order of the text.
    pub mounts: Vec<MountPoint>,
    /// The lines that were not understood: their numbers, from 1, and the reason.
    pub skipped: Vec<(usize, &'static str)>,
}

impl MountInfo {
    /// Reads /proc/self/mountinfo.
    ///
    /// # Errors
    /// When it cannot be read: /proc is not mounted.
    pub fn read() -> Result<Self> {
        let path = "/proc/self/mountinfo";
        // The kernel does not tell the size. Room enough for most machines keeps it to two reads.
        let mut text = Vec::with_capacity(1 << 14);
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut text))
            .map_err(|error| Error::setup(format!("read {path}"), error))?;
        Ok(Self::parse(&text))
    }

    /// Takes the text of mountinfo apart. A line that is not understood is skipped, and told of.
    pub fn parse(text: &[u8]) -> Self {
        let mut info = MountInfo::default();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            match parse_line(line) {
                _ if line.is_empty() => {}
                Ok(mount) => info.mounts.push(mount),
                Err(reason) => info.skipped.push((number + 1, reason)),
            }
        }
        info
    }

    /// The mounts whose root can be reached by name, in the order of the text.
    ///
    /// One that is covered by another mount on the same place, or lies below a place that was covered later, cannot.
    pub fn visible(&self) -> Vec<&MountPoint> {
        let tree = Tree::new(&self.mounts);
        self.mounts
            .iter()
            .filter(|mount| tree.mount_at(&mount.path) == Some(mount.id))
            .collect()
    }
}

/// Which mount lies on which, and where. No two mounts have the same parent and the same place.
struct Tree<'a> {
    root: u32,
    /// By the bytes of the place, which the kernel writes in one way only: they are compared faster than paths.
    children: BTreeMap<(u32, &'a OsStr), u32>,
}

impl<'a> Tree<'a> {
    /// The lowest mount is the one whose parent is not listed. After a chroot it is not listed either: then it is the
    /// parent of those that are.
    fn new(mounts: &'a [MountPoint]) -> Self {
        let parents: BTreeMap<u32, u32> = mounts.iter().map(|m| (m.id, m.parent)).collect();
        let lowest = mounts
            .iter()
            .find(|m| m.parent == m.id || !parents.contains_key(&m.parent));
        let root = lowest.map_or(0, |m| match m.path == Path::new("/") {
            true => m.id,
            false => m.parent,
        });
        let children = mounts
            .iter()
            .filter(|m| m.id != root && m.id != m.parent)
            .map(|m| ((m.parent, m.path.as_os_str()), m.id))
            .collect();
        Tree { root, children }
    }

    /// The mount that `path` leads to, found as the kernel finds it: from the root, and at each place into what is
    /// mounted there.
    fn mount_at(&self, path: &Path) -> Option<u32> {
        let mut mount = self.root;
        // A loop of mounts that lie on each other is not the kernel's, but would be endless.
        let mut steps = 0..=self.children.len();
        let places: Vec<&Path> = path.ancestors().collect();
        for place in places.into_iter().rev() {
            while let Some(&child) = self.children.get(&(mount, place.as_os_str())) {
                steps.next()?;
                mount = child;
            }
        }
        Some(mount)
    }
}

/// `ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [TAG...] - TYPE SOURCE SUPER-OPTIONS`.
fn parse_line(line: &[u8]) -> std::result::Result<MountPoint, &'static str> {
    let mut fields = line
        .split(|&byte| byte == b' ')
        .filter(|field| !field.is_empty());
    let mut next = |missing| fields.next().ok_or(missing);
    let id = number(next("no mount id")?).ok_or("the mount id is no number")?;
    let parent = number(next("no parent id")?).ok_or("the parent id is no number")?;
    next("no device")?;
    let root = path(next("no root")?);
    let place = path(next("no mount point")?);
    let options = next("no mount options")?;
    while next("no separator")? != b"-" {}
    let kind = unescaped(next("no file system type")?);
    // The source comes between, but an empty one leaves nothing between two blanks.
    let super_options = fields
        .take(2)
        .last()
        .ok_or("no options of the file system")?;
    if !place.is_absolute() {
        return Err("the mount point is not absolute");
    }
    Ok(MountPoint {
        id,
        parent,
        root,
        path: place,
        kind: OsString::from_vec(kind),
        read_only: has_ro(options),
        file_system_read_only: has_ro(super_options),
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescaped(field)))
}

fn has_ro(options: &[u8]) -> bool {
    options
        .split(|&byte| byte == b',')
        .any(|word| word == b"ro")
}

/// `\040` and the like are bytes; the kernel writes blank, tab, newline, `\` and `#` so.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

impl MountPoint {
    /// Whether nothing can be written there.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.file_system_read_only
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> Vec<u32> {
        let info = MountInfo::parse(text.as_bytes());
        assert_eq!(info.skipped, []);
        info.visible().iter().map(|mount| mount.id).collect()
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = b"36 35 98:0 /mnt1 /mnt\\0402\\134\\043 rw,noatime shared:1 master:2 - fuse.x /dev/a\\011b ro,errors=continue\n";
        let info = MountInfo::parse(line);
        assert_eq!(
            info.mounts,
            [MountPoint {
                id: 36,
                parent: 35,
                root: "/mnt1".into(),
                path: "/mnt 2\\#".into(),
                kind: "fuse.x".into(),
                read_only: false,
                file_system_read_only: true,
            }]
        );
        assert!(info.mounts[0].is_read_only());
    }

    #[test]
    fn odd_lines_are_skipped_and_told_of() {
        let text = b"1 0 0:1 / / rw - ext4 /dev/a rw\n\nx 1\n2 1 0:2 / /a rw\n3 1 0:3 / b rw - t s rw\n\
            4 1 0:4 / /c rw - tmpfs  rw\n5 1 0:5 / /d rw - \n6 1 0:6 / /e\\04 rw - tmpfs none rw,x y";
        let info = MountInfo::parse(text);
        let ids: Vec<u32> = info.mounts.iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [1, 4, 6]);
        assert_eq!(info.mounts[2].path, Path::new("/e\\04"));
        assert_eq!(
            info.skipped,
            [
                (3, "the mount id is no number"),
                (4, "no separator"),
                (5, "the mount point is not absolute"),
                (7, "no file system type"),
            ]
        );
    }

    #[test]
    fn every_beginning_of_a_line_is_a_line_or_is_skipped() {
        let line = b"36 35 98:0 / /mnt\\0402 rw shared:1 - ext4 /dev/a rw";
        for end in 1..line.len() {
            let info = MountInfo::parse(&line[..end]);
            assert_eq!(info.mounts.len() + info.skipped.len(), 1, "{end}");
            info.visible();
        }
    }

    #[test]
    fn what_is_covered_is_not_visible() {
        let root = "1 0 0:1 / / rw - ext4 a rw\n";
        let over = "2 1 0:2 / /a rw - tmpfs a rw\n3 2 0:3 / /a rw - tmpfs b rw\n";
        assert_eq!(visible(&format!("{root}{over}")), [1, 3]);
        // Mounted below /a first, and hidden by what was mounted on /a later, whatever the order of the lines.
        let below = "4 1 0:4 / /a/b rw - tmpfs a rw\n5 1 0:5 / /a rw - tmpfs b rw\n";
        assert_eq!(visible(&format!("{root}{below}")), [1, 5]);
        let again = "6 5 0:6 / /a/b rw - tmpfs a rw\n";
        assert_eq!(visible(&format!("{again}{root}{below}")), [6, 1, 5]);
        let name = "7 1 0:4 / /ab rw - tmpfs a rw\n";
        assert_eq!(visible(&format!("{root}{below}{name}")), [1, 5, 7]);
    }

    #[test]
    fn the_root_may_be_covered_too_or_not_be_a_mount() {
        let first = "1 1 0:1 / / rw - rootfs none rw\n";
        let hidden = "2 1 0:2 / /a rw - tmpfs a rw\n";
        let root = "3 1 0:3 / / rw - ext4 a rw\n4 3 0:4 / /a rw - tmpfs a rw\n";
        assert_eq!(visible(&format!("{first}{hidden}{root}")), [3, 4]);
        // After a chroot into a plain directory.
        let text = "8 7 0:4 / /a rw - tmpfs a rw\n9 8 0:4 / /a/b rw - tmpfs a rw\n";
        assert_eq!(visible(text), [8, 9]);
    }

    #[test]
    fn loops_of_parents_do_not_hang() {
        let text = "1 2 0:1 / / rw - a a rw\n2 1 0:2 / / rw - a a rw\n3 3 0:3 / /x rw - a a rw\n";
        visible(text);
        assert_eq!(visible(""), [0; 0]);
    }
}
