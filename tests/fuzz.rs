//! The fuzzing targets over the inputs that are kept, and over others that come of them by chance: the same ones each
//! time. scripts/fuzz runs them for as long as one likes.

mod targets;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

/// The most that all inputs which are kept may have, in bytes.
const MOST_KEPT: u64 = 200_000;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The inputs that are kept for a target.
fn kept(target: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(directory("tests/corpus").join(target)).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[track_caller]
fn passes(name: &str, target: Target, input: &[u8]) {
    let ran = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(
        ran.is_ok(),
        "{name} panics at b\"{}\"",
        input.escape_ascii()
    );
}

#[test]
fn every_input_that_is_kept_passes() {
    for (name, target) in TARGETS {
        let inputs = kept(name);
        assert!(inputs.len() > 3, "{name} has {} inputs", inputs.len());
        for input in inputs.values() {
            passes(name, target, input);
        }
    }
}

#[test]
fn what_is_kept_is_small_and_each_target_is_libfuzzers_too() {
    let sizes = TARGETS.map(|(name, _)| kept(name).values().map(|it| it.len() as u64).sum::<u64>());
    assert!(sizes.iter().sum::<u64>() < MOST_KEPT, "{sizes:?}");
    let manifest = std::fs::read_to_string(directory("fuzz/Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let target = std::fs::read_to_string(directory(&format!("fuzz/targets/{name}.rs")));
        assert!(target.unwrap().contains(&format!("targets::{name}(")));
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

/// A small generator of numbers, so that every run tries the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % most
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    /// `input` with a few changes, some of them by pieces of `other`.
    fn changed(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(20)).min(bytes.len());
            let from = self.below(other.len() + 1);
            let to = (from + self.below(40)).min(other.len());
            match self.below(5) {
                0 => bytes.splice(at..end, []).for_each(drop),
                1 => bytes
                    .splice(at..at, other[from..to].iter().copied())
                    .for_each(drop),
                2 => bytes
                    .splice(at..end, other[from..to].iter().copied())
                    .for_each(drop),
                3 => bytes.insert(at, self.below(256) as u8),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        bytes
    }
}

#[test]
fn what_comes_of_them_by_chance_passes() {
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || {
                let inputs: Vec<Vec<u8>> = kept(name).into_values().collect();
                let mut numbers = Numbers(1);
                for round in 0..4_000 {
                    let [one, other] = [(); 2].map(|()| &inputs[numbers.below(inputs.len())]);
                    let input = match round % 4 {
                        0 => numbers.bytes(400),
                        _ => numbers.changed(one, other),
                    };
                    passes(name, target, &input);
                }
            });
        }
    });
}
