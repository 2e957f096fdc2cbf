//! What a container has used.

use serde::Serialize;
use std::path::Path;

/// What the processes of a control group have used together. What the kernel does not count is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The most memory at a time, in bytes (memory.peak, Linux 5.19).
    pub memory_peak: Option<u64>,
    /// Microseconds of processor time (cpu.stat).
    pub cpu_usec: Option<u64>,
    /// The most processes and threads at a time (pids.peak, Linux 6.11).
    pub pids_peak: Option<u64>,
    /// How often a process was ended since there was no more memory (memory.events).
    pub oom_kills: Option<u64>,
}

impl Usage {
    /// Reads what `group` counts.
    pub(super) fn of(group: &Path) -> Usage {
        let text = |file: &str| std::fs::read_to_string(group.join(file)).unwrap_or_default();
        Usage {
            memory_peak: text("memory.peak").trim().parse().ok(),
            cpu_usec: field(&text("cpu.stat"), "usage_usec"),
            pids_peak: text("pids.peak").trim().parse().ok(),
            oom_kills: field(&text("memory.events"), "oom_kill"),
        }
    }
}

/// The number after `name` in lines of a name and a number.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| match line.split_once(' ') {
        Some((known, value)) if known == name => value.trim().parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom_group"), None);
        assert_eq!(Usage::of(Path::new("/no/such/group")), Usage::default());
    }
}
