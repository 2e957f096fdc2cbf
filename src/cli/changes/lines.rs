//! The list of changes for people. Lines are put together in memory, where writing does not fail.

use rootlet::changes::text::show;
use rootlet::changes::{Change, Changes, Counts, FileType, Kind};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

/// Bytes that are written at once. Memory that is touched for the first time is dear.
const BLOCK: usize = 64 * 1024;
/// Of these, so many are kept free for a line.
const LINE: usize = 1024;

/// Writes the list: on a terminal below their directories and in colour, else a path a line.
pub fn list(changes: &Changes, terminal: bool, most: usize, to: &mut dyn Write) -> io::Result<()> {
    let colour = terminal && has_colours();
    let mut text = Vec::with_capacity(BLOCK);
    let mut directory: Option<&Path> = None;
    let (mut counts, mut left_out) = (Counts::default(), 0);
    for (number, change) in changes.list.iter().enumerate() {
        counts.add(change);
        if number >= most {
            left_out += 1;
            continue;
        }
        let name = match terminal {
            true => below(change.path, &mut directory, &mut text),
            false => change.path,
        };
        letter(change.kind, colour, &mut text);
        if terminal && name != change.path {
            text.extend_from_slice(b"  ");
        }
        show(name, &mut text);
        detail(change, &mut text);
        text.push(b'\n');
        if text.len() > BLOCK - LINE {
            to.write_all(&text)?;
            text.clear();
        }
    }
    to.write_all(&text)?;
    if left_out > 0 {
        writeln!(to, "... and {left_out} more")?;
    }
    for error in &changes.unread {
        writeln!(to, "? {error}")?;
    }
    to.write_all(&sums(counts))
}

/// Whether nobody has said otherwise (no-color.org: an empty NO_COLOR says nothing).
fn has_colours() -> bool {
    let is = |name, value: fn(&OsStr) -> bool| std::env::var_os(name).is_some_and(|it| value(&it));
    !is("NO_COLOR", |it| !it.is_empty()) && !is("TERM", |it| it == "dumb")
}

/// The name of `path` in its directory, which has a line of its own where it is another than that of the line before.
fn below<'a>(path: &'a Path, directory: &mut Option<&'a Path>, text: &mut Vec<u8>) -> &'a Path {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if *directory != Some(parent) {
        *directory = Some(parent);
        show(parent, text);
        text.push(b'\n');
    }
    path.file_name().map_or(path, Path::new)
}

fn letter(kind: Kind, colour: bool, text: &mut Vec<u8>) {
    if colour {
        _ = write!(text, "\x1b[{}m{}\x1b[0m ", tint(kind), kind.letter());
    } else {
        text.push(kind.letter() as u8);
        text.push(b' ');
    }
}

fn tint(kind: Kind) -> u8 {
    match kind {
        Kind::Added => 32,
        Kind::Changed | Kind::Type => 33,
        Kind::Deleted => 31,
        Kind::Mode => 36,
    }
}

/// What there is to say of a change behind its name.
fn detail(change: Change<'_>, text: &mut Vec<u8>) {
    if change.file_type() == FileType::Directory {
        text.push(b'/');
    }
    let states = (change.before, change.after);
    match (change.kind, states, change.inside) {
        (_, _, Some(inside)) if inside.entries > 0 => {
            _ = write!(text, "  with {} in it", inside.entries);
        }
        (Kind::Changed, (Some(before), Some(after)), _) if before.size != after.size => {
            text.extend_from_slice(b"  ");
            bytes(before.size, text);
            text.extend_from_slice(b" to ");
            bytes(after.size, text);
        }
        (Kind::Added, (_, Some(after)), _) if after.file_type == FileType::File => {
            text.extend_from_slice(b"  ");
            bytes(after.size, text);
        }
        (Kind::Mode, (Some(before), Some(after)), _) if before.mode != after.mode => {
            let modes = [before.mode, after.mode].map(|mode| mode & 0o7777);
            _ = write!(text, "  {:o} to {:o}", modes[0], modes[1]);
        }
        (Kind::Type, (Some(before), Some(after)), _) => {
            let (before, after) = (before.file_type, after.file_type);
            _ = write!(text, "  {} to {}", before.name(), after.name());
        }
        _ => {}
    }
}

fn sums(counts: Counts) -> Vec<u8> {
    let named = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.deleted, "deleted"),
        (counts.mode, "with another mode"),
        (counts.of_type, "of another type"),
    ];
    let said: Vec<String> = named
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if said.is_empty() {
        return b"no changes\n".to_vec();
    }
    let mut text = said.join(", ").into_bytes();
    text.extend_from_slice(b"; ");
    bytes(counts.bytes, &mut text);
    text.extend_from_slice(b" written\n");
    text
}

/// A number of bytes in the largest unit that leaves a number above 1.
fn bytes(count: u64, text: &mut Vec<u8>) {
    if count < 1024 {
        decimal(count, text);
        return text.extend_from_slice(b" B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    _ = write!(text, "{value:.1} {unit}");
}

/// A number without the machinery of format!, which takes as long as all the rest of a line.
fn decimal(number: u64, text: &mut Vec<u8>) {
    if number >= 10 {
        decimal(number / 10, text);
    }
    text.push(b'0' + (number % 10) as u8);
}
