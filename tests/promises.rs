//! The promises of docs/security.md and the tests that hold them: each names the other.

use std::collections::BTreeSet;
use std::path::Path;

/// The areas of the ids, such as `fd` in `fd1`.
const AREAS: [&str; 9] = ["fd", "tty", "p", "k", "s", "d", "u", "m", "l"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The ids in the name of a test: of `l3_`, `fd2_and_fd3_`, `tty1_to_tty3_`; none if it has no id.
fn ids(name: &str) -> Vec<String> {
    let id = |word: &str| {
        let area = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = word[area.len()..].parse::<u32>().ok()?;
        AREAS.contains(&area).then(|| (area.to_uppercase(), number))
    };
    let words: Vec<&str> = name.split('_').collect();
    let Some((area, first)) = id(words[0]) else {
        return Vec::new();
    };
    let second = words.get(2).and_then(|word| id(word));
    match (words.get(1), second) {
        (Some(&"to"), Some((_, last))) => (first..=last)
            .map(|number| format!("{area}{number}"))
            .collect(),
        (Some(&"and"), Some((other, number))) => {
            vec![format!("{area}{first}"), format!("{other}{number}")]
        }
        _ => vec![format!("{area}{first}")],
    }
}

/// The tests with an id in their name, by their functions, or as the harness of tests/faults.rs has them.
fn tests() -> BTreeSet<String> {
    let list = |path: &Path| -> Vec<std::path::PathBuf> {
        let directory = std::fs::read_dir(path).unwrap();
        directory.map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    // And the modules that a test program is made of.
    let modules: Vec<_> = files
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|path| list(path))
        .collect();
    files.extend(modules);
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let text: String = rust
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let words =
        text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_\"()".contains(letter)));
    let name = |word: &str| match word.strip_suffix("()") {
        Some(function) => Some(function.to_string()),
        None => {
            let quoted = word.trim_end_matches(')').strip_prefix('"')?;
            Some(quoted.strip_suffix('"')?.to_string())
        }
    };
    words
        .filter_map(name)
        .filter(|name| !ids(name).is_empty() && name.matches('_').count() > 2)
        .collect()
}

#[test]
fn every_promise_has_its_tests_and_every_test_of_one_is_listed() {
    let text = read("docs/security.md");
    let from = text.find("\n## Promises").unwrap() + 1;
    let length = text[from..].find("\n## ").unwrap();
    let mut listed = BTreeSet::new();
    for row in text[from..from + length]
        .lines()
        .filter(|line| line.ends_with("` |"))
    {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [promised, _, named] = cells[..] else {
            panic!("{row}");
        };
        let promised: Vec<&str> = promised.split(", ").collect();
        let named: Vec<String> = named
            .split(", ")
            .map(|name| name.trim_matches('`').to_string())
            .collect();
        let held: BTreeSet<String> = named.iter().flat_map(|name| ids(name)).collect();
        for id in promised {
            assert!(held.contains(id), "no test of {id}: {row}");
        }
        listed.extend(named);
    }
    assert!(listed.len() > 100, "{}", listed.len());
    let tests = tests();
    let unknown: Vec<_> = listed.difference(&tests).collect();
    let missing: Vec<_> = tests.difference(&listed).collect();
    assert!(
        unknown.is_empty() && missing.is_empty(),
        "no such tests: {unknown:#?}, not listed: {missing:#?}"
    );
}
