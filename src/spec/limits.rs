//! How much of the machine a container may have, in docker's words.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Limits of the whole container, which a control group keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Bytes of memory and swap together; none: as much swap as memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<MemorySwap>,
    /// How many processors' worth of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// How many processes and threads, init among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// The share of a busy disk, from 1 to 10000; 100 is that of everybody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    /// What is done where no control group is to be had.
    #[serde(skip_serializing_if = "super::is_default")]
    pub when_refused: WhenRefused,
}

impl Limits {
    /// Whether anything is limited.
    pub fn are_asked_for(&self) -> bool {
        self.memory.is_some()
            || self.memory_swap.is_some()
            || self.cpus.is_some()
            || self.pids.is_some()
            || self.io_weight.is_some()
    }

    /// The controllers that keep them.
    pub fn controllers(&self) -> Vec<&'static str> {
        let needed = [
            (
                "memory",
                self.memory.is_some() || self.memory_swap.is_some(),
            ),
            ("cpu", self.cpus.is_some()),
            ("pids", self.pids.is_some()),
            ("io", self.io_weight.is_some()),
        ];
        let needed = needed.into_iter().filter(|(_, needed)| *needed);
        needed.map(|(name, _)| name).collect()
    }
}

/// What is done where no control group is to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenRefused {
    /// The launch fails.
    #[default]
    Must,
    /// It goes on without the limits, and says so.
    Try,
    /// It goes on with limits of each process (getrlimit(2)), and says what these mean.
    Rlimit,
}

/// A number of bytes, written with docker's suffixes: `512m`, `1.5g`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

/// Suffixes and what they stand for, the largest first.
const UNITS: [(char, u64); 4] = [
    ('t', 1 << 40),
    ('g', 1 << 30),
    ('m', 1 << 20),
    ('k', 1 << 10),
];

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "size {text:?} is not one such as 512m, 1.5g or 65536"
            ))
        };
        let lower = text.to_ascii_lowercase();
        let number = lower.strip_suffix("ib").or(lower.strip_suffix('b'));
        let number = number.unwrap_or(&lower);
        let unit = UNITS.iter().find(|(unit, _)| number.ends_with(*unit));
        let (number, factor) = match unit {
            Some((_, factor)) => (&number[..number.len() - 1], *factor),
            None => (number, 1),
        };
        let (whole, part) = decimal(number).ok_or_else(wrong)?;
        // No more than nine digits after the point say anything.
        let part = part.get(..9).unwrap_or(part);
        let scale = 10u128.pow(part.len() as u32);
        let part = if part.is_empty() {
            0
        } else {
            part.parse().map_err(|_| wrong())?
        };
        let whole: u128 = whole.parse().map_err(|_| wrong())?;
        let bytes = whole
            .checked_mul(scale)
            .and_then(|whole| whole.checked_add(part)?.checked_mul(factor.into()))
            .map(|bytes| bytes / scale);
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        bytes
            .filter(|&bytes| bytes > 0 && bytes <= i64::MAX as u64)
            .map(Size)
            .ok_or_else(wrong)
    }
}

/// The digits before and after the point of a number without a sign.
fn decimal(text: &str) -> Option<(&str, &str)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let ends_well = !text.ends_with('.') && !whole.is_empty();
    (ends_well && digits(whole) && digits(part)).then_some((whole, part))
}

impl fmt::Display for Size {
    /// With the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// How much memory and swap there is together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MemorySwap {
    /// As much swap as the machine has: `-1`.
    Unlimited,
    /// This much.
    Total(Size),
}

impl FromStr for MemorySwap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "-1" => Ok(MemorySwap::Unlimited),
            _ => text.parse().map(MemorySwap::Total),
        }
    }
}

impl fmt::Display for MemorySwap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemorySwap::Unlimited => f.write_str("-1"),
            MemorySwap::Total(size) => size.fmt(f),
        }
    }
}

/// A number of processors, such as `0.5`, in hundred thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Cpus(u32);

impl Cpus {
    /// Microseconds of time in each tenth of a second of one processor's: the kernel's words for it.
    pub const PERIOD: u32 = 100_000;

    /// The time that there is in each [`Cpus::PERIOD`], of all processors together.
    pub fn quota(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Cpus {
    type Error = Error;

    /// The kernel takes no less than a millisecond (cpu.max).
    fn try_from(number: f64) -> Result<Self> {
        let quota = (number * f64::from(Cpus::PERIOD)).round();
        match (1_000.0..=f64::from(u32::MAX)).contains(&quota) {
            true => Ok(Cpus(quota as u32)),
            false => Err(Error::usage(format!(
                "cpus {number} is not a number of processors from 0.01 on"
            ))),
        }
    }
}

impl From<Cpus> for f64 {
    fn from(cpus: Cpus) -> f64 {
        f64::from(cpus.0) / f64::from(Cpus::PERIOD)
    }
}

impl FromStr for Cpus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = decimal(text).and_then(|_| text.parse::<f64>().ok());
        let wrong = || {
            Error::usage(format!(
                "cpus {text:?} is not a number of processors such as 0.5 or 2"
            ))
        };
        Cpus::try_from(number.ok_or_else(wrong)?)
    }
}

/// Serde's way to the text forms.
macro_rules! as_text {
    ($($name:ty),*) => { $(
        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )* };
}
pub(super) use as_text;
as_text!(Size, MemorySwap);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_docker_has_them() {
        for (text, bytes, shown) in [
            ("1", 1, "1"),
            ("65536", 65_536, "64k"),
            ("512m", 512 << 20, "512m"),
            ("512M", 512 << 20, "512m"),
            ("512mb", 512 << 20, "512m"),
            ("512MiB", 512 << 20, "512m"),
            ("1.5g", 3 << 29, "1536m"),
            ("0.1k", 102, "102"),
            ("100b", 100, "100"),
            ("2t", 2 << 40, "2t"),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
            assert_eq!(Size(bytes).to_string(), shown);
            assert_eq!(shown.parse(), Ok(Size(bytes)));
        }
        for text in [
            "", "m", "0", "-1", "1x", "1.", ".5g", "1,5g", "1e3", " 1", "+1", "1.2.3", "9999999t",
            "1kk",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
        assert_eq!("-1".parse(), Ok(MemorySwap::Unlimited));
        assert_eq!("1g".parse(), Ok(MemorySwap::Total(Size(1 << 30))));
    }

    #[test]
    fn processors_are_a_decimal_number() {
        for (text, quota) in [
            ("0.5", 50_000),
            ("2", 200_000),
            ("0.01", 1_000),
            ("1.25", 125_000),
        ] {
            assert_eq!(text.parse().map(Cpus::quota), Ok(quota), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "0.001",
            "x",
            "1e3",
            "inf",
            "nan",
            "1.",
            "99999999999",
        ] {
            assert!(text.parse::<Cpus>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_controllers_are_those_that_are_needed() {
        let none = Limits::default();
        assert!(!none.are_asked_for() && none.controllers().is_empty());
        let limits = Limits {
            memory_swap: Some(MemorySwap::Unlimited),
            pids: Some(5),
            ..none
        };
        assert!(limits.are_asked_for());
        assert_eq!(limits.controllers(), ["memory", "pids"]);
    }
}
