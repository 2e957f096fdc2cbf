//! Limits of each process: getrlimit(2), in the words of docker's `--ulimit`.

use super::limits::as_text;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name: that of RLIMIT_* in small letters.
    pub name: &'static str,
    /// The kernel's number for it, on x86-64 and arm64.
    pub number: u8,
}

/// All of them, in the order of their numbers.
const RESOURCES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

impl Resource {
    /// Files of memory that a program leaves when it crashes.
    pub const CORE: Resource = Resource::numbered(4);
    /// Processes and threads.
    pub const NPROC: Resource = Resource::numbered(6);
    /// Addresses.
    pub const AS: Resource = Resource::numbered(9);

    /// The name of the one with this number.
    pub fn name_of(number: u8) -> &'static str {
        RESOURCES
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }

    const fn numbered(number: u8) -> Self {
        Resource {
            name: RESOURCES[number as usize],
            number,
        }
    }
}

/// A limit of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ulimit {
    /// Of what.
    pub resource: Resource,
    /// What the kernel enforces.
    pub soft: u64,
    /// Up to which the process itself may raise it.
    pub hard: u64,
}

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

impl FromStr for Ulimit {
    type Err = Error;

    /// `NAME=SOFT[:HARD]`; the hard limit is the soft one when it is not given.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::usage(format!("ulimit {text:?}: {why}"));
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| wrong("it is NAME=SOFT[:HARD]"))?;
        let number = RESOURCES.iter().position(|known| *known == name);
        let number =
            number.ok_or_else(|| wrong(&format!("the names are {}", RESOURCES.join(", "))))?;
        let value = |text: &str| match text {
            "-1" | "unlimited" => Ok(UNLIMITED),
            _ => text
                .parse()
                .map_err(|_| wrong("a limit is a number, or unlimited")),
        };
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (value(soft)?, value(hard)?);
        if soft > hard {
            return Err(wrong("the soft limit is above the hard one"));
        }
        Ok(Ulimit {
            resource: Resource::numbered(number as u8),
            soft,
            hard,
        })
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (soft, hard) = (shown(self.soft), shown(self.hard));
        write!(f, "{}={soft}:{hard}", self.resource.name)
    }
}

/// A limit as people write it.
pub fn shown(limit: u64) -> String {
    match limit {
        UNLIMITED => "unlimited".to_string(),
        limit => limit.to_string(),
    }
}

as_text!(Ulimit);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_a_name_and_one_or_two_numbers() {
        for (text, number, soft, hard, said) in [
            ("nofile=1024", 7, 1024, 1024, "nofile=1024:1024"),
            ("nofile=1024:4096", 7, 1024, 4096, "nofile=1024:4096"),
            (
                "core=-1",
                4,
                UNLIMITED,
                UNLIMITED,
                "core=unlimited:unlimited",
            ),
            ("as=1:unlimited", 9, 1, UNLIMITED, "as=1:unlimited"),
        ] {
            let limit: Ulimit = text.parse().unwrap();
            assert_eq!(
                (limit.resource.number, limit.soft, limit.hard),
                (number, soft, hard)
            );
            assert_eq!(limit.to_string(), said);
            assert_eq!(said.parse(), Ok(limit));
        }
        assert_eq!(Resource::CORE.name, "core");
        assert_eq!((Resource::NPROC.name, Resource::AS.name), ("nproc", "as"));
    }

    #[test]
    fn a_wrong_one_is_told_from_a_wrong_number() {
        for (text, why) in [
            ("nofile", "it is NAME=SOFT[:HARD]"),
            ("files=1", "the names are cpu, fsize, data"),
            ("nofile=", "a limit is a number"),
            ("nofile=1k", "a limit is a number"),
            ("nofile=2:1", "the soft limit is above"),
            ("nofile=unlimited:1", "the soft limit is above"),
        ] {
            let said = text.parse::<Ulimit>().unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
