//! Differences line by line.

use super::content::open_file;
use super::list::{Change, Changes, Kind};
use super::pattern::Patterns;
use super::state::FileType;
use super::store::Store;
use super::text::{line, shown};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The most that a file holds whose lines are compared, in bytes.
const LARGEST: u64 = 8 << 20;
/// Lines that are shown around a difference.
const CONTEXT: usize = 3;

impl Store {
    /// Writes what `patterns` choose of the store's `changes` in the form of diff(1), unified: from the host's file to the command's. With `safe`,
    /// for a terminal, control characters are written as text.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn diff(
        &self,
        changes: &Changes,
        patterns: &Patterns,
        safe: bool,
        to: &mut dyn Write,
    ) -> std::io::Result<()> {
        let mut chosen = changes.list.iter().filter(|it| patterns.matches(it.path));
        chosen.try_for_each(|change| self.one(change, safe, to))
    }

    fn one(&self, change: Change<'_>, safe: bool, to: &mut dyn Write) -> std::io::Result<()> {
        let path = shown(change.path);
        let types = [change.before, change.after].map(|state| state.map(|it| it.file_type));
        writeln!(to, "{} {path}{}", change.kind.letter(), note(change))?;
        let is_text = |it: Option<FileType>| it.is_none_or(|it| it == FileType::File);
        let sizes = [change.before, change.after].map(|state| state.map_or(0, |it| it.size));
        match types {
            _ if change.kind == Kind::Mode => Ok(()),
            [None, None] => Ok(()),
            [before, after] if is_text(before) && is_text(after) => {
                if sizes.iter().any(|&size| size > LARGEST) {
                    return writeln!(to, "files of {} and {} bytes differ", sizes[0], sizes[1]);
                }
                let relative = change.path.strip_prefix(self.path(change.piece));
                let relative = relative.unwrap_or(change.path);
                let old = before.map(|_| read(self.path(change.piece), relative));
                let new = after.map(|_| read(&self.upper(change.piece), relative));
                match (old.unwrap_or(Ok(Vec::new())), new.unwrap_or(Ok(Vec::new()))) {
                    (Ok(old), Ok(new)) => lines(&path, [&old, &new], safe, to),
                    (Err(error), _) | (_, Err(error)) => writeln!(to, "cannot be read: {error}"),
                }
            }
            _ => Ok(()),
        }
    }
}

/// What differs besides the content.
fn note(change: Change<'_>) -> String {
    match (change.before, change.after) {
        (Some(before), Some(after)) if before.file_type != after.file_type => {
            format!(
                " ({} to {})",
                before.file_type.name(),
                after.file_type.name()
            )
        }
        (Some(before), Some(after)) if before.mode != after.mode => {
            format!(
                " (mode {:o} to {:o})",
                before.mode & 0o7777,
                after.mode & 0o7777
            )
        }
        _ => String::new(),
    }
}

fn read(root: &Path, relative: &Path) -> std::io::Result<Vec<u8>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    let (parent, name) = match (relative.parent(), relative.file_name()) {
        (Some(parent), Some(name)) => (parent, CString::new(name.as_bytes())?),
        _ => return Err(std::io::ErrorKind::InvalidInput.into()),
    };
    let directory: OwnedFd = match parent.as_os_str().is_empty() {
        true => root,
        false => openat2(
            &root,
            parent,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )?,
    };
    let file = std::fs::File::from(open_file(directory.as_fd(), &name)?);
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lines(
    path: &str,
    [old, new]: [&[u8]; 2],
    safe: bool,
    to: &mut dyn Write,
) -> std::io::Result<()> {
    if old.contains(&0) || new.contains(&0) {
        return writeln!(to, "binary files differ");
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let difference = similar::TextDiff::from_lines(&old, &new);
    let mut unified = difference.unified_diff();
    unified.context_radius(CONTEXT).header(path, path);
    let text = unified.to_string();
    match safe {
        true => text
            .split_inclusive('\n')
            .try_for_each(|it| writeln!(to, "{}", line(it))),
        false => to.write_all(text.as_bytes()),
    }
}
