//! Names for the eye: whatever a file is called, it stays on its line and does nothing to the terminal.

use super::bytes::append;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path with everything escaped that is not plain text: `a\nb`, `\x1b[0m`, `\xff`.
pub fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

/// Adds to `text` what [`shown`] makes of the path.
pub fn show(path: &Path, text: &mut Vec<u8>) {
    let bytes = path.as_os_str().as_bytes();
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    // Many bytes are looked at together when none of them can end the loop.
    if bytes.iter().fold(true, |so_far, byte| so_far & plain(byte)) {
        append(text, bytes);
    } else {
        text.extend_from_slice(escaped(bytes).as_bytes());
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                '\0'..='\x1f' | '\x7f' => escape(&mut text, letter as u8),
                _ if letter.is_control() || reorders(letter) => {
                    text.extend(letter.escape_unicode())
                }
                _ => text.push(letter),
            }
        }
        for &byte in chunk.invalid() {
            escape(&mut text, byte);
        }
    }
    text
}

/// A line of a file, without its end: tabs stay, and everything else that is not plain text is escaped.
pub fn line(line: &str) -> String {
    let parts: Vec<String> = line
        .trim_end_matches('\n')
        .split('\t')
        .map(|part| shown(Path::new(part)).replace("\\\\", "\\"))
        .collect();
    parts.join("\t")
}

fn escape(text: &mut String, byte: u8) {
    // Writing to a String does not fail.
    let _ = write!(text, "\\x{byte:02x}");
}

/// Characters that change the direction of text, or the line, without being seen.
fn reorders(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_no_plain_text_is_escaped() {
        for (name, text) in [
            (&b"plain / name"[..], "plain / name"),
            ("größe".as_bytes(), "größe"),
            (b"a\nb\t\x1b[0m\x7f", "a\\nb\\t\\x1b[0m\\x7f"),
            (b"back\\slash", "back\\\\slash"),
            (b"\xff\xc3", "\\xff\\xc3"),
            ("\u{202e}x\u{9b}".as_bytes(), "\\u{202e}x\\u{9b}"),
        ] {
            assert_eq!(shown(Path::new(OsStr::from_bytes(name))), text);
        }
    }
}
