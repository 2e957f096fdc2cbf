//! Differences line by line.

use super::details::{Side, Ways, details};
use super::list::{Change, Changes, Kind};
use super::pattern::Patterns;
use super::state::{FileType, State};
use super::store::Store;
use super::text::{line, shown};
use crate::error::Errno;
use std::io::{Read, Write};

/// The most that a file holds whose lines are compared, in bytes.
const LARGEST: u64 = 8 << 20;
/// Lines that are shown around a difference.
const CONTEXT: usize = 3;

impl Store {
    /// Writes what `patterns` choose of the store's `changes` in the form of diff(1), unified: from the host's file to the
    /// command's. With `safe`, for a terminal, control characters are written as text.
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
        let mut ways = Ways::new(self);
        chosen.try_for_each(|change| ways.show(change, safe, to))
    }
}

impl Ways<'_> {
    /// Writes one change.
    fn show(&mut self, change: Change<'_>, safe: bool, to: &mut dyn Write) -> std::io::Result<()> {
        let path = shown(change.path);
        let letter = change.kind.letter();
        let started = self.started();
        let sides = match self.sides(change) {
            Ok(sides) => sides,
            Err(errno) => {
                return writeln!(
                    to,
                    "{letter} {path}\ncannot be read: {}",
                    Errno::from(errno)
                );
            }
        };
        writeln!(to, "{letter} {path}{}", details(change, &sides, started))?;
        let states = [change.before, change.after];
        let is_text = |it: Option<&State>| it.is_none_or(|it| it.file_type == FileType::File);
        if change.kind == Kind::Mode || !states.into_iter().all(is_text) {
            return Ok(());
        }
        let sizes = states.map(|state| state.map_or(0, |it| it.size));
        if sizes.iter().any(|&size| size > LARGEST) {
            return writeln!(to, "files of {} and {} bytes differ", sizes[0], sizes[1]);
        }
        let [old, new] = sides
            .each_ref()
            .map(|side| side.as_ref().map_or(Ok(Vec::new()), read));
        match (old, new) {
            (Ok(old), Ok(new)) => lines(&path, [&old, &new], safe, to),
            (Err(error), _) | (_, Err(error)) => {
                writeln!(to, "cannot be read: {}", Errno::from(error))
            }
        }
    }
}

fn read(side: &Side<'_>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    side.open()?.take(LARGEST + 1).read_to_end(&mut bytes)?;
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
