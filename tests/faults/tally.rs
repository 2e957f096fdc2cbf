//! Counts verdicts, by what was done.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How many runs ended how.
#[derive(Default)]
pub struct Tally {
    /// By what was done and verdict.
    counts: BTreeMap<(String, String), usize>,
    defects: usize,
}

/// The verdicts that are no defect.
pub const GOOD: [&str; 6] = ["identical", "error", "late", "told", "unmet", "clean"];
/// Those that are, in the order of the table.
const BAD: [&str; 6] = ["hang", "orphan", "leftover", "silent", "vague", "failed"];

impl Tally {
    /// Counts a line, `WHAT VERDICT ...`, and prints it when it tells of a defect.
    pub fn note(&mut self, line: &str) {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_default().to_string();
        let (errno, verdict) = (next(), next());
        if !GOOD.contains(&verdict.trim_end_matches(':')) {
            self.defects += 1;
            println!("DEFECT {}", line.replace('\u{1}', "\n       "));
        }
        let key = (errno, verdict.trim_end_matches(':').to_string());
        *self.counts.entry(key).or_default() += 1;
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: Tally) {
        for (key, number) in other.counts {
            *self.counts.entry(key).or_default() += number;
        }
        self.defects += other.defects;
    }

    /// Whether there were runs, and no defect.
    pub fn is_clean(&self) -> bool {
        self.defects == 0 && !self.counts.is_empty()
    }

    /// A table for readers, a line for each thing that is done; a column of what is right is there if something is in it.
    pub fn table(&self, kind: &str) -> String {
        let met = |verdict: &&&str| self.counts.keys().any(|key| key.1 == **verdict);
        let columns = GOOD.iter().filter(met).chain(&BAD);
        let mut text = format!("\n| {kind} | runs |");
        columns
            .clone()
            .for_each(|name| text += &format!(" {name} |"));
        text += "\n|---|---|";
        columns.clone().for_each(|_| text += "---|");
        let errnos: std::collections::BTreeSet<&String> =
            self.counts.keys().map(|(errno, _)| errno).collect();
        for errno in errnos.into_iter().map(Some).chain([None]) {
            let of = |verdict: &str| -> usize {
                let wanted = |key: &(String, String)| {
                    errno.is_none_or(|errno| key.0 == *errno) && key.1 == verdict
                };
                let found = self.counts.iter().filter(|(key, _)| wanted(key));
                found.map(|(_, number)| number).sum()
            };
            let runs: usize = columns.clone().map(|name| of(name)).sum();
            let _ = write!(
                text,
                "\n| {} | {runs} |",
                errno.map_or("all", |errno| errno)
            );
            columns
                .clone()
                .for_each(|name| text += &format!(" {} |", of(name)));
        }
        text + "\n"
    }
}
