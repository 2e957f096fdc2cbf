//! The arrows of the design: which folder of src uses which, and where `unsafe` may stand.

use std::path::{Path, PathBuf};

/// Each stage, and those of ours that it may use.
const ARROWS: [(&str, &[&str]); 13] = [
    ("spec", &["error"]),
    ("seccomp", &["sys", "error"]),
    ("host", &["spec", "seccomp", "sys", "error"]),
    (
        "plan",
        &["spec", "state", "host", "seccomp", "child", "error"],
    ),
    ("child", &["sys"]),
    (
        "parent",
        &[
            "state", "spec", "plan", "child", "host", "seccomp", "sys", "error",
        ],
    ),
    ("state", &["spec", "error"]),
    ("front", &["spec", "state", "error"]),
    ("changes", &["error"]),
    ("preset", &["spec", "host", "error"]),
    (
        "doctor",
        &[
            "preset", "parent", "plan", "child", "host", "spec", "sys", "error",
        ],
    ),
    ("namespaces", &["changes", "sys", "error"]),
    ("sys", &[]),
];

/// Where `unsafe` may stand.
const UNSAFE: [&str; 3] = ["child/", "sys/", "parent/clone.rs"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files at and below `path`, each with its code: without comments, and without the tests at its end.
fn files(path: &Path) -> Vec<(String, String)> {
    if path.is_dir() {
        return std::fs::read_dir(path)
            .unwrap()
            .flat_map(|entry| files(&entry.unwrap().path()))
            .collect();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines: Vec<&str> = code
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect();
    let name = path.strip_prefix(source()).unwrap().to_str().unwrap();
    vec![(name.to_string(), lines.join("\n"))]
}

/// The modules that `code` names after `crate::`, or in its first level of braces.
fn uses(code: &str) -> Vec<String> {
    let words = |text: &str| {
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()
            .unwrap()
            .to_string()
    };
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(list) => found.extend(
                list.split('}')
                    .next()
                    .unwrap()
                    .split(',')
                    .map(|item| words(item.trim())),
            ),
            None => found.push(words(part)),
        }
    }
    found.retain(|name| name.starts_with(char::is_lowercase));
    found
}

#[test]
fn each_stage_uses_earlier_ones_alone() {
    let mut seen = 0;
    for (stage, allowed) in ARROWS {
        for (file, code) in files(&source().join(stage)) {
            for used in uses(&code) {
                seen += 1;
                assert!(
                    used == stage || allowed.contains(&&*used),
                    "{file} uses {used}"
                );
            }
        }
    }
    assert!(seen > 20, "only {seen} uses were found");
}

#[test]
fn unsafe_code_stands_where_the_design_has_it() {
    let mut seen = 0;
    for (file, code) in files(&source()) {
        let code = code.replace("unsafe_code", "");
        if code.contains("unsafe") {
            seen += 1;
            assert!(
                UNSAFE.iter().any(|place| file.starts_with(place)),
                "{file} has unsafe code"
            );
        }
    }
    assert!(seen > 3, "only {seen} files with unsafe code were found");
}

#[test]
fn l8_signals_by_number_go_only_to_whom_the_sender_holds() {
    // To children that were not waited for, to a process that is stopped in a call until it is answered, and to oneself.
    let places = [
        ("child/init.rs", 2),
        ("parent/listener.rs", 1),
        ("parent/running.rs", 2),
        ("parent/supervise.rs", 3),
    ];
    let mut found: Vec<(String, usize)> = files(&source())
        .into_iter()
        .filter(|(file, _)| !file.starts_with("sys/"))
        .map(|(file, code)| {
            let calls = ["kill(", "kill_process", "tgkill"];
            let code = code.replace("cgroup.kill", "").replace(".kill()", "");
            let count = calls
                .iter()
                .map(|call| code.matches(&format!("::{call}")).count())
                .sum();
            (file, count)
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    found.sort();
    assert_eq!(found, places.map(|(file, count)| (file.to_string(), count)));
}

#[test]
fn after_the_clone_nothing_is_at_hand_that_allocates() {
    let code = std::fs::read_to_string(source().join("child/mod.rs")).unwrap();
    assert!(code.contains("#![no_implicit_prelude]"));
    for (file, code) in files(&source().join("child")) {
        for word in [
            "std::", "alloc::", "Vec<", "String", "Box<", "format!", "println!", "nix::",
        ] {
            assert!(!code.contains(word), "{file} has {word}");
        }
    }
}
