//! Who one is inside, and which ids outside stand behind it.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who the command is inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum User {
    /// User 0 and group 0 inside, the caller outside.
    #[default]
    Root,
    /// The caller's own ids.
    Keep,
    /// These ids inside.
    Ids {
        /// The user id inside.
        uid: u32,
        /// The group id inside.
        gid: u32,
    },
}

impl FromStr for User {
    type Err = Error;

    /// Reads `root`, `keep`, `UID` or `UID:GID`; a GID that is not given is the same number as the UID.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "root" => Ok(User::Root),
            "keep" => Ok(User::Keep),
            _ => {
                let (uid, gid) = text.split_once(':').unwrap_or((text, text));
                match (id(uid), id(gid)) {
                    (Some(uid), Some(gid)) => Ok(User::Ids { uid, gid }),
                    _ => Err(Error::usage(format!(
                        "user {text:?} is neither root, keep, UID nor UID:GID"
                    ))
                    .with_hint("names from /etc/passwd are not looked up: give the number")),
                }
            }
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            User::Root => f.write_str("root"),
            User::Keep => f.write_str("keep"),
            User::Ids { uid, gid } => write!(f, "{uid}:{gid}"),
        }
    }
}

/// A line of uid_map or gid_map (user_namespaces(7)): `count` ids from `inside` on are the ids from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdRange {
    /// The first id inside the container.
    pub inside: u32,
    /// The first id in the caller's user namespace.
    pub outside: u32,
    /// How many ids; at least 1.
    pub count: u32,
}

impl IdRange {
    /// The outside id behind `id`, if this range holds it.
    pub fn outside_of(&self, id: u32) -> Option<u32> {
        id.checked_sub(self.inside)
            .filter(|&offset| offset < self.count)
            .and_then(|o| self.outside.checked_add(o))
    }

    /// The inside id that stands for the outside `id`, if this range holds it.
    pub fn inside_of(&self, id: u32) -> Option<u32> {
        IdRange {
            inside: self.outside,
            outside: self.inside,
            count: self.count,
        }
        .outside_of(id)
    }
}

impl FromStr for IdRange {
    type Err = Error;

    /// Reads `IN:OUT:COUNT`. The ids of a range end below 4294967295, which the kernel keeps for "no id".
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::usage(format!("id map {text:?}: {why}"));
        let fields: Vec<&str> = text.split(':').collect();
        let [inside, outside, count] = fields[..] else {
            return Err(wrong("expected IN:OUT:COUNT"));
        };
        let number = |word: &str| {
            id(word).ok_or_else(|| {
                wrong(&format!(
                    "{word:?} is not a number from 0 to {}",
                    u32::MAX - 1
                ))
            })
        };
        let range = IdRange {
            inside: number(inside)?,
            outside: number(outside)?,
            count: number(count)?,
        };
        if range.count == 0 {
            return Err(wrong("the count is 0, so nothing would be mapped"));
        }
        if range.inside.checked_add(range.count).is_none()
            || range.outside.checked_add(range.count).is_none()
        {
            return Err(wrong("the range goes beyond the last id"));
        }
        Ok(range)
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inside, self.outside, self.count)
    }
}

/// A user or group id: digits only, and not 4294967295, which is (uid_t)-1.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&id| digits && id != u32::MAX)
}

/// Serde reads and writes these types as the words that the command line takes.
macro_rules! as_words {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    )*};
}
as_words!(User, IdRange);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_as_it_is_written() {
        for (text, user) in [
            ("root", User::Root),
            ("keep", User::Keep),
            ("7:8", User::Ids { uid: 7, gid: 8 }),
            (
                "4294967294:0",
                User::Ids {
                    uid: 4294967294,
                    gid: 0,
                },
            ),
        ] {
            assert_eq!(text.parse::<User>().unwrap(), user);
            assert_eq!(user.to_string(), text);
        }
        assert_eq!("7".parse::<User>().unwrap(), User::Ids { uid: 7, gid: 7 });
    }

    #[test]
    fn a_user_that_is_no_number_is_refused() {
        for text in [
            "",
            "nobody",
            "-1",
            "+1",
            "1:",
            ":1",
            "1:2:3",
            "4294967295",
            "99999999999",
            " 1",
            "0x1",
        ] {
            assert!(text.parse::<User>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_range_is_read_as_it_is_written_or_refused() {
        let range: IdRange = "0:100000:65536".parse().unwrap();
        assert_eq!(
            range,
            IdRange {
                inside: 0,
                outside: 100000,
                count: 65536
            }
        );
        assert_eq!(range.to_string(), "0:100000:65536");
        for text in [
            "",
            "0",
            "0:1",
            "0:1:0",
            "0:1:2:3",
            "a:1:1",
            "0:-1:1",
            "0:4294967290:10",
            "4294967294:0:2",
        ] {
            assert!(text.parse::<IdRange>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_range_maps_its_ids_and_no_others() {
        let range = IdRange {
            inside: 10,
            outside: 1000,
            count: 5,
        };
        let inside: Vec<_> = [9, 10, 14, 15].map(|id| range.outside_of(id)).into();
        assert_eq!(inside, [None, Some(1000), Some(1004), None]);
        assert_eq!(
            [999, 1000, 1004, 1005].map(|id| range.inside_of(id)),
            [None, Some(10), Some(14), None]
        );
    }
}
