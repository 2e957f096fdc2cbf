//! How words of the operating system and durations are written in a spec file, which is UTF-8.

use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// Reads `1h30m`, `500ms` and the like, or a plain number of seconds such as `30` or `1.5`, as timeout(1) does.
///
/// # Errors
/// [`Error`] for anything else, and for zero: a command that has no time cannot run.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|_| text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => humantime::parse_duration(text).ok(),
    };
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            Error::usage(format!(
                "{text:?} is not a duration such as 30s, 1h30m, 500ms or 1.5"
            ))
        })
}

fn utf8<E: serde::ser::Error>(text: &OsStr) -> std::result::Result<&str, E> {
    text.to_str().ok_or_else(|| {
        E::custom(format!(
            "{text:?} is not UTF-8, and a spec file can hold nothing else"
        ))
    })
}

/// A list of words.
pub mod list {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes each word as a string.
    pub fn serialize<S: Serializer>(
        words: &[OsString],
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let words = words
            .iter()
            .map(|word| utf8(word))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        serializer.collect_seq(words)
    }

    /// Reads strings.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Vec<OsString>, D::Error> {
        Ok(Vec::<String>::deserialize(deserializer)?
            .into_iter()
            .map(OsString::from)
            .collect())
    }
}

/// A word that may be absent.
pub mod option {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the word as a string.
    pub fn serialize<S: Serializer>(
        word: &Option<OsString>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match word {
            Some(word) => serializer.serialize_some(utf8(word)?),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Option<OsString>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(OsString::from))
    }
}

/// A duration that may be absent.
pub mod duration {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it as words, `1h 30m`.
    pub fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(&humantime::format_duration(*value)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads what [`parse_duration`] reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse_duration(&text))
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("30", 30_000),
            ("1.5", 1_500),
            ("2m 3s", 123_000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for text in [
            "",
            "0",
            "0s",
            "-1",
            "1e3",
            "inf",
            "nan",
            "five",
            "1..5",
            "99999999999999999999999",
        ] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
