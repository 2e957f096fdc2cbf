//! Where views are laid: whether a place may be made, and whether it can be one.

use super::Views;
use crate::child::step::Step;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Content, Kernel, Mount, Places, Spec};
use std::ffi::OsStr;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

impl Views<'_> {
    /// Checks the target of a view, and makes it where it lies in memory of the container's own, or where it may be made
    /// anywhere. Then `mode` is that of the view, if it says one.
    pub(super) fn place(
        &mut self,
        mount: &Mount,
        target: &Path,
        is_file: bool,
        mode: Option<u32>,
    ) -> Result<()> {
        self.check(mount, target)?;
        match self.anywhere {
            true if target == Path::new("/") => Ok(()),
            true => {
                let bits = if is_file { 0o444 } else { 0o755 };
                self.make_anywhere(target, bits, mode, is_file)
            }
            false => self.make_place(target, is_file),
        }
    }

    /// Makes the directory that is to hold `target`, likewise.
    pub(super) fn make_parent(&mut self, target: &Path, mode: Option<u32>) -> Result<()> {
        match target.parent() {
            Some(parent) if self.anywhere && parent != Path::new("/") => {
                self.make_anywhere(parent, above(mode), mode, false)
            }
            Some(parent) if !self.anywhere => self.make_place(parent, false),
            _ => Ok(()),
        }
    }

    /// Makes a place with these permission bits, wherever it is; `mode` is that of the view, to which nobody should get through
    /// directories that it is closed to.
    pub(super) fn make_anywhere(
        &mut self,
        target: &Path,
        bits: u32,
        mode: Option<u32>,
        file: bool,
    ) -> Result<()> {
        let path = self.arena.text(target)?;
        self.lay(Step::MakePlace {
            path,
            mode: bits,
            above: above(mode),
            file,
        });
        Ok(())
    }

    /// Refuses a target that no view can have.
    pub(super) fn check(&self, mount: &Mount, target: &Path) -> Result<()> {
        match self.anywhere && target == Path::new("/") {
            true => Ok(()),
            false => check_target(mount, target),
        }
    }

    /// Makes the mount point, where it lies in memory of the container's own.
    pub(super) fn make_place(&mut self, target: &Path, is_file: bool) -> Result<()> {
        if !self.in_memory(target) {
            return Ok(());
        }
        let Some((top, _)) = self.place_of(target) else {
            return Ok(());
        };
        let mut path = top.to_path_buf();
        let rest = target.strip_prefix(top).into_iter();
        let rest: Vec<_> = rest.flat_map(Path::components).collect();
        for (number, part) in rest.iter().enumerate() {
            path.push(part);
            let text = self.arena.text(&path)?;
            let last = number + 1 == rest.len();
            self.lay(match last && is_file {
                true => Step::MakeFile {
                    path: text,
                    mode: 0o644,
                },
                false => Step::MakeDirectory {
                    path: text,
                    mode: 0o755,
                },
            });
        }
        Ok(())
    }

    /// Whether what is made at `target` is made in memory; where it may be made anywhere, by its name alone.
    pub(super) fn in_memory(&self, target: &Path) -> bool {
        let plain = target
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        plain
            && self
                .place_of(target)
                .is_some_and(|(_, in_memory)| in_memory)
    }

    /// What was laid nearest around `target`, but not at it.
    pub(super) fn place_of<'p>(&self, target: &'p Path) -> Option<(&'p Path, bool)> {
        target
            .ancestors()
            .skip(1)
            .find_map(|place| Some((place, *self.places.get(place)?)))
    }

    /// Notes that something is made at `path`.
    pub(super) fn note_place(&mut self, path: &Path, in_memory: bool) {
        self.places.insert(path.into(), in_memory);
    }

    /// Notes that something is mounted at `path`: what was laid below it before is out of sight.
    pub(in crate::plan) fn cover(&mut self, path: impl AsRef<Path>, in_memory: bool) {
        let path = path.as_ref();
        while let Some(below) = self.first_below(path).map(Path::to_path_buf) {
            self.places.remove(&below);
        }
        self.note_place(path, in_memory);
    }

    /// Notes that what is at `path` is hidden. Where nothing has been laid in memory, nothing is there to be hidden, and a
    /// later view may be.
    pub(super) fn cover_masked(&mut self, path: &Path) {
        let is_there = self.places.contains_key(path) || self.first_below(path).is_some();
        if is_there || !self.in_memory(path) {
            self.cover(path, false);
        }
        self.masked.push(path.into());
    }

    /// The first place below `path`: paths are in order by their parts, so that it comes next.
    fn first_below(&self, path: &Path) -> Option<&Path> {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        let (next, _) = self.places.range::<Path, _>(after).next()?;
        next.starts_with(path).then_some(next)
    }

    /// Whether a mask was laid at or around one of the two; what was laid over it since does not count.
    pub(super) fn is_masked(&self, link: &Path, file: &Path) -> bool {
        let hides = |place: &PathBuf| link.starts_with(place) || file.starts_with(place);
        self.masked.iter().any(hides)
    }
}

/// `path` from the caller's working directory.
pub fn absolute(path: &Path, facts: &Facts) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let no_name = || {
        Error::usage(format!(
            "{}: the working directory has no name any more",
            path.display()
        ))
    };
    let cwd = facts.cwd.as_deref().ok_or_else(no_name)?;
    // `.` alone adds nothing; `..` is left to the kernel, which knows the symbolic links, or to `Facts::destinations`.
    Ok(cwd.join(path).components().collect())
}

/// Where a view is laid.
pub fn destination(mount: &Mount, facts: &Facts) -> Result<PathBuf> {
    let written = match (mount, mount.target()) {
        (_, Some(target)) if !target.is_absolute() => return Ok(target.to_path_buf()),
        (Mount::Bind { source, .. }, None) => source,
        (_, target) => target.unwrap_or(Path::new("/")),
    };
    let mut known = facts.destinations.iter();
    match known.find(|(path, _)| path == written) {
        Some((_, named)) => Ok(named.clone()),
        None => absolute(written, facts),
    }
}

/// The permission bits of directories that are made above a view: open to all, but to those to whom the view is closed.
fn above(mode: Option<u32>) -> u32 {
    let closed = |who: u32, bits: u32| match mode {
        Some(mode) if mode & who == 0 => bits,
        _ => 0,
    };
    0o755 & !closed(0o070, 0o050) & !closed(0o007, 0o005)
}

/// A view as errors call it.
pub fn name(mount: &Mount) -> String {
    let (what, target) = match mount {
        Mount::Bind { source, target, .. } => ("volume", target.as_ref().unwrap_or(source)),
        Mount::Tmpfs { target, .. } => ("tmpfs", target),
        Mount::Overlay { target, .. } => ("overlay", target),
        Mount::File { target, .. } => ("file", target),
        Mount::Directory { target, .. } => ("directory", target),
        Mount::Chmod { target, .. } => ("chmod", target),
        Mount::Remount { target, .. } => ("remount", target),
        Mount::Seal { target } => ("seal", target),
        Mount::Mask { target } => ("mask", target),
        Mount::Symlink { target, .. } => ("symlink", target),
        Mount::Kernel { kind, target } => (
            match kind {
                Kernel::Proc => "proc",
                Kernel::Dev => "dev",
                Kernel::Mqueue => "mqueue",
                Kernel::Devpts => "devpts",
                Kernel::Sysfs => "sysfs",
            },
            target,
        ),
    };
    format!("{what} {}", target.display())
}

/// Refuses two views at one place: one of them could not be seen.
pub fn refuse_doubles(spec: &Spec, facts: &Facts) -> Result<()> {
    if spec.places == Places::Anywhere {
        return Ok(());
    }
    let mut seen = std::collections::BTreeMap::new();
    for mount in &spec.mounts {
        if matches!(
            mount,
            Mount::Mask { .. } | Mount::Chmod { .. } | Mount::Remount { .. } | Mount::Seal { .. }
        ) {
            continue;
        }
        let target: PathBuf = destination(mount, facts)?.components().collect();
        if let Some(other) = seen.insert(target, mount) {
            return Err(Error::usage(format!(
                "{} and {} are at one place",
                name(other),
                name(mount)
            ))
            .with_hint("leave one of them out"));
        }
    }
    Ok(())
}

/// Refuses two files that are read from one descriptor: nothing would be left for the second.
pub fn refuse_shared_input(spec: &Spec) -> Result<()> {
    if spec.places == Places::Anywhere {
        return Ok(());
    }
    let mut read: Vec<(&Content, &Mount)> = Vec::new();
    for mount in &spec.mounts {
        if let Mount::File { content, .. } = mount
            && matches!(content, Content::Stdin | Content::Descriptor(_))
        {
            if let Some((_, other)) = read.iter().find(|(known, _)| *known == content) {
                return Err(Error::usage(format!(
                    "{} and {} are to be read from one descriptor, and nothing is left for the second",
                    name(other),
                    name(mount)
                ))
                .with_hint("put the content into a file, and name that twice"));
            }
            read.push((content, mount));
        }
    }
    Ok(())
}

/// Refuses a target that no view can have.
pub fn check_target(mount: &Mount, target: &Path) -> Result<()> {
    let mut depth = 0i32;
    let mut outside = false;
    for part in target.components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        outside |= depth < 0;
    }
    let name = name(mount);
    if !target.is_absolute() {
        return Err(Error::usage(format!(
            "{name}: the destination {:?} is not an absolute path",
            target.display()
        )));
    }
    if outside {
        return Err(Error::usage(format!(
            "{name}: the destination lies outside of the root"
        )));
    }
    if depth == 0 {
        return Err(
            Error::usage(format!("{name}: the destination is the root itself"))
                .with_hint("another root is chosen with --root DIR"),
        );
    }
    if is_of_a_process(target) {
        return Err(Error::usage(format!(
            "{name}: the destination is what a process has, not a place"
        ))
        .with_hint("name the place itself: /proc/self/root is /"));
    }
    Ok(())
}

/// Whether `path` goes through a link of proc(5) that leads to what a process has, whatever its name: what is mounted on
/// /proc/self/root lies over the root, where nobody sees it.
fn is_of_a_process(path: &Path) -> bool {
    let mut parts = path.iter().skip(1).map(OsStr::as_bytes);
    let is_process = |name: &[u8]| {
        matches!(name, b"self" | b"thread-self") || name.iter().all(u8::is_ascii_digit)
    };
    if parts.next() != Some(b"proc") || !parts.next().is_some_and(is_process) {
        return false;
    }
    let what = match parts.next() {
        Some(b"task") => parts.nth(1),
        what => what,
    };
    matches!(
        what,
        Some(b"cwd" | b"exe" | b"fd" | b"map_files" | b"ns" | b"root")
    )
}
