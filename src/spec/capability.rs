//! Capabilities, by the names that capabilities(7) has for them.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The names without `CAP_`; each stands at its number (include/uapi/linux/capability.h, Linux 5.9).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A word of `--cap-add` and `--cap-drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Capability {
    /// Every one.
    All,
    /// The one with this number.
    Number(u8),
}

impl FromStr for Capability {
    type Err = Error;

    /// Takes the name in capitals or not, with `CAP_` before it or not.
    fn from_str(text: &str) -> Result<Self> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        if name == "ALL" {
            return Ok(Capability::All);
        }
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => Ok(Capability::Number(number as u8)),
            None => Err(Error::usage(format!("there is no capability {text:?}"))
                .with_hint("capabilities(7) has the names, such as NET_ADMIN; ALL is every one")),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::All => f.write_str("ALL"),
            Capability::Number(number) => match NAMES.get(usize::from(*number)) {
                Some(name) => f.write_str(name),
                None => write!(f, "{number}"),
            },
        }
    }
}

impl TryFrom<String> for Capability {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> String {
        capability.to_string()
    }
}

/// A set of capabilities, as the kernel has it: a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// None.
    pub const NONE: Capabilities = Capabilities(0);
    /// Every one that has a name here.
    pub const ALL: Capabilities = Capabilities((1 << NAMES.len()) - 1);
    /// SYS_ADMIN, with which mounts can be changed.
    pub const SYS_ADMIN: Capabilities = Capabilities(1 << 21);

    /// Those that `words` name.
    pub fn of(words: &[Capability]) -> Capabilities {
        words
            .iter()
            .fold(Capabilities::NONE, |set, word| match word {
                Capability::All => Capabilities::ALL,
                Capability::Number(number) => set.with(Capabilities(1 << number)),
            })
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Capabilities) -> Capabilities {
        Capabilities(self.0 | others.0)
    }

    /// These, but for `others`.
    #[must_use]
    pub const fn without(self, others: Capabilities) -> Capabilities {
        Capabilities(self.0 & !others.0)
    }

    /// Those that are among `others` too.
    #[must_use]
    pub const fn and(self, others: Capabilities) -> Capabilities {
        Capabilities(self.0 & others.0)
    }

    /// Whether `other` is among them.
    pub const fn contains(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names, in the order of their numbers.
    pub fn names(self) -> Vec<&'static str> {
        let number = |(number, name)| (self.0 & (1u64 << number) != 0).then_some(name);
        NAMES.into_iter().enumerate().filter_map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_as_others_write_it_and_written_in_one_way() {
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            let capability: Capability = text.parse().unwrap();
            assert_eq!(capability, Capability::Number(12));
            assert_eq!(capability.to_string(), "NET_ADMIN");
        }
        assert_eq!("all".parse::<Capability>().unwrap(), Capability::All);
        assert!("NET".parse::<Capability>().is_err());
        assert!("".parse::<Capability>().is_err());
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let number = |name: &str| Capabilities::of(&[name.parse().unwrap()]);
        assert_eq!(number("CHOWN").0, 1);
        assert_eq!(number("SYS_ADMIN"), Capabilities::SYS_ADMIN);
        assert_eq!(number("SETFCAP").0, 1 << 31);
        assert_eq!(number("CHECKPOINT_RESTORE").0, 1 << 40);
        assert_eq!(Capabilities::ALL.0, 0x1ff_ffff_ffff);
    }
}
