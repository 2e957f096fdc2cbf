//! What is known of a container at a glance.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a container is, and how it is; a file in its folder, small enough to be read five hundred times for a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The command and its arguments, to be shown.
    pub command: Vec<String>,
    /// The user's own words for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was asked for: milliseconds since 1970.
    pub created: u64,
    /// When its command was executed last: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Whether it runs without a terminal of the user's, and its output goes to a log.
    pub detached: bool,
    /// Whether nothing is left of it when it has ended.
    pub remove: bool,
    /// How often it has been started again.
    #[serde(default)]
    pub restarts: u32,
    /// The process that supervises it.
    pub supervisor: Process,
    /// The namespace (inode number) in which all process ids here have their meaning.
    pub pid_namespace: u64,
    /// The namespaces that are its own.
    pub namespaces: Vec<String>,
    /// Its control group, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<PathBuf>,
    /// Commands that have been executed in it besides, and still run: the processes that wait for them, outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execs: Vec<Process>,
    /// What of its output could not be written to its log, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_failure: Option<String>,
    /// How it is.
    #[serde(flatten)]
    pub status: Status,
}

/// How a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// It is being set up, or waits until it is started again.
    Created,
    /// Its command runs.
    Running {
        /// Its first process; none where the command itself is that.
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<Process>,
        /// The command.
        process: Process,
        /// What the kernel calls it and no other process since the machine started, where it says that (pidfs, Linux 6.9).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unique: Option<u64>,
    },
    /// It has ended.
    Exited {
        /// When: milliseconds since 1970.
        ended: u64,
        /// How.
        #[serde(flatten)]
        end: super::End,
    },
}

/// A process, and not another one that has got its id later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it started: clock ticks since the machine did (proc_pid_stat(5), starttime).
    pub start: u64,
}

/// Milliseconds since 1970.
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::End;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let process = Process { pid: 7, start: 9 };
        for status in [
            Status::Created,
            Status::Running {
                init: Some(process),
                process,
                unique: Some(4),
            },
            Status::Exited {
                ended: 4,
                end: End {
                    code: Some(1),
                    ..End::default()
                },
            },
        ] {
            let record = Record {
                command: vec!["sleep".into(), "1".into()],
                labels: BTreeMap::from([("a".into(), "b".into())]),
                created: 1,
                started: Some(3),
                detached: true,
                remove: false,
                restarts: 2,
                supervisor: process,
                pid_namespace: 5,
                namespaces: vec!["pid".into()],
                group: Some("/sys/fs/cgroup/x".into()),
                execs: vec![process],
                log_failure: None,
                status,
            };
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        }
    }
}
