//! Patterns in a line that somebody has typed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The patterns in a line, as a shell reads words: blanks are between them, unless they are quoted or behind a backslash.
/// `*`, `?` and backslashes in quotes stand for themselves. None where a quote has no end.
pub fn words(line: &[u8]) -> Option<Vec<OsString>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut letters = line.iter().copied().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, b' ' | b'\t' | b'\n') => words.extend(word.take()),
            (None, b'\'' | b'"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (Some(open), _) if letter == open => quote = None,
            (None, b'\\') => quoted(letters.next().unwrap_or(letter), &mut word),
            (Some(b'"'), b'\\') => {
                let next = letters.next_if(|next| matches!(next, b'"' | b'\\'));
                quoted(next.unwrap_or(letter), &mut word);
            }
            (Some(_), _) => quoted(letter, &mut word),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    match quote {
        None => Some(words.into_iter().map(OsString::from_vec).collect()),
        Some(_) => None,
    }
}

/// Adds a letter that means nothing else in a pattern.
fn quoted(letter: u8, word: &mut Option<Vec<u8>>) {
    let word = word.get_or_insert_default();
    if matches!(letter, b'*' | b'?' | b'\\') {
        word.push(b'\\');
    }
    word.push(letter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_a_shell_makes_of_them() {
        for (line, expected) in [
            ("", &[][..]),
            ("  one\ttwo \n", &["one", "two"][..]),
            ("'my file' \"my file\" my\\ file", &["my file"; 3]),
            ("a'b c'd \"\"", &["ab cd", ""]),
            ("*.c '*.c' \\*.c \"a?\"", &["*.c", "\\*.c", "\\*.c", "a\\?"]),
            (
                r#"'a\b' "a\b" "a\"b" a\\b"#,
                &[r"a\\b", r"a\\b", "a\"b", r"a\\b"],
            ),
            ("it\\'s \"it's\" end\\", &["it's", "it's", r"end\\"]),
            ("Größe", &["Größe"]),
        ] {
            let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
            assert_eq!(words(line.as_bytes()), Some(expected), "{line}");
        }
        for open in ["'", "a \"b", "\"\\\""] {
            assert_eq!(words(open.as_bytes()), None, "{open}");
        }
    }
}
