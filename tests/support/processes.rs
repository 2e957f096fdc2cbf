//! Finding the processes that a container has left.

use std::fs;

/// The processes that have `mark` in their command line: a container that was started with it there, whole, since its
/// first processes are copies of the launcher. A zombie has no command line any more.
pub fn with_mark(mark: &str) -> Vec<i32> {
    let own = std::process::id() as i32;
    let marked = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    all().filter(|&pid| pid != own).filter(marked).collect()
}

fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
}
