//! What is laid over the root tree.

use super::text;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One thing that is laid over the root tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub enum Mount {
    /// A file or directory of the host, with every mount below it.
    Bind {
        /// Where it is on the host; a relative path starts at the caller's working directory.
        source: PathBuf,
        /// Where it appears inside, an absolute path; none means the same place as on the host.
        target: Option<PathBuf>,
        /// Whether it is read-only, with every mount below it.
        read_only: bool,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Where it appears inside, an absolute path.
        target: PathBuf,
        /// The most it holds, as tmpfs(5) takes it: bytes, with `k`, `m`, `g` or `%`. None: half of the memory.
        size: Option<OsString>,
        /// Its permission bits, in octal. None: 1777 for anyone, as /tmp has it.
        mode: Option<OsString>,
    },
}

/// How a [`Mount`] is written in a spec file: one kind of table for all, so that an unknown key is found at its line.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    r#type: Option<EntryType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    size: Option<OsString>,
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    mode: Option<OsString>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EntryType {
    Bind,
    Tmpfs,
}

impl TryFrom<Entry> for Mount {
    type Error = Error;

    fn try_from(entry: Entry) -> Result<Self> {
        match entry {
            Entry {
                r#type: Some(EntryType::Bind),
                source: Some(source),
                target,
                read_only,
                size: None,
                mode: None,
            } => Ok(Mount::Bind {
                source,
                target,
                read_only: read_only.unwrap_or(false),
            }),
            Entry {
                r#type: Some(EntryType::Tmpfs),
                source: None,
                target: Some(target),
                read_only: None,
                size,
                mode,
            } => Ok(Mount::Tmpfs { target, size, mode }),
            Entry {
                r#type: Some(EntryType::Bind),
                ..
            } => Err(Error::usage(
                "a bind has source, and may have target and read-only; nothing else",
            )),
            Entry {
                r#type: Some(EntryType::Tmpfs),
                ..
            } => Err(Error::usage(
                "a tmpfs has target, and may have size and mode; nothing else",
            )),
            Entry { r#type: None, .. } => Err(Error::usage(
                "a mount needs type = \"bind\" or type = \"tmpfs\"",
            )),
        }
    }
}

impl From<Mount> for Entry {
    fn from(mount: Mount) -> Self {
        match mount {
            Mount::Bind {
                source,
                target,
                read_only,
            } => Entry {
                r#type: Some(EntryType::Bind),
                source: Some(source),
                target,
                read_only: Some(read_only),
                ..Entry::default()
            },
            Mount::Tmpfs { target, size, mode } => Entry {
                r#type: Some(EntryType::Tmpfs),
                target: Some(target),
                size,
                mode,
                ..Entry::default()
            },
        }
    }
}

impl Mount {
    /// Reads `SRC[:DST][:ro|:rw]`, as docker's `-v` has it.
    pub fn parse_volume(text: &OsStr) -> Result<Self> {
        let mut fields: Vec<&[u8]> = text.as_bytes().split(|&byte| byte == b':').collect();
        let read_only = match fields.last() {
            Some(&b"ro") => Some(true),
            Some(&b"rw") => Some(false),
            _ => None,
        };
        if read_only.is_some() {
            fields.pop();
        }
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let (source, target) = match fields[..] {
            [source] => (path(source), None),
            [source, target] => (path(source), Some(path(target))),
            _ => {
                return Err(Error::usage(format!(
                    "volume {text:?}: expected SRC[:DST][:ro]"
                )));
            }
        };
        if source.as_os_str().is_empty() {
            return Err(Error::usage(format!(
                "volume {text:?}: the source is empty"
            )));
        }
        Ok(Mount::Bind {
            source,
            target,
            read_only: read_only.unwrap_or(false),
        })
    }

    /// Reads `DST[:size=N,mode=M]`, as docker's `--tmpfs` has it.
    pub fn parse_tmpfs(text: &OsStr) -> Result<Self> {
        let bytes = text.as_bytes();
        let colon = bytes
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(bytes.len());
        let (target, options) = bytes.split_at(colon);
        let (mut size, mut mode) = (None, None);
        for option in options
            .split(|&byte| byte == b':' || byte == b',')
            .filter(|option| !option.is_empty())
        {
            match option.split_at_checked(5) {
                Some((b"size=", value)) => size = Some(OsString::from_vec(value.to_vec())),
                Some((b"mode=", value)) => mode = Some(OsString::from_vec(value.to_vec())),
                _ => {
                    let option = OsStr::from_bytes(option);
                    return Err(Error::usage(format!(
                        "tmpfs {text:?}: unknown option {option:?}; size=N and mode=M are known"
                    )));
                }
            }
        }
        Ok(Mount::Tmpfs {
            target: PathBuf::from(OsStr::from_bytes(target)),
            size,
            mode,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, target: Option<&str>, read_only: bool) -> Mount {
        Mount::Bind {
            source: source.into(),
            target: target.map(PathBuf::from),
            read_only,
        }
    }

    #[test]
    fn a_volume_is_source_destination_and_mode() {
        for (text, mount) in [
            ("/a", bind("/a", None, false)),
            ("/a:ro", bind("/a", None, true)),
            ("/a:/b", bind("/a", Some("/b"), false)),
            ("/a:/b:ro", bind("/a", Some("/b"), true)),
            ("/a:/b:rw", bind("/a", Some("/b"), false)),
            (".:relative", bind(".", Some("relative"), false)),
        ] {
            assert_eq!(
                Mount::parse_volume(OsStr::new(text)).unwrap(),
                mount,
                "{text}"
            );
        }
        for text in ["", ":/b", "ro", "/a:/b:ro:x", "/a:/b:/c"] {
            assert!(Mount::parse_volume(OsStr::new(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tmpfs_is_a_destination_and_options() {
        let text = |text: &str| Some(OsString::from(text));
        for (words, size, mode) in [
            ("/t", None, None),
            ("/t:size=1m", text("1m"), None),
            ("/t:mode=700", None, text("700")),
            ("/t:size=50%,mode=0755", text("50%"), text("0755")),
        ] {
            let mount = Mount::parse_tmpfs(OsStr::new(words)).unwrap();
            assert_eq!(
                mount,
                Mount::Tmpfs {
                    target: "/t".into(),
                    size,
                    mode
                },
                "{words}"
            );
        }
        assert!(Mount::parse_tmpfs(OsStr::new("/t:uid=0")).is_err());
    }

    #[test]
    fn bytes_that_are_no_utf8_pass() {
        let mount = Mount::parse_volume(OsStr::from_bytes(b"/\xff:/\xfe")).unwrap();
        assert_eq!(
            mount,
            Mount::Bind {
                source: OsStr::from_bytes(b"/\xff").into(),
                target: Some(OsStr::from_bytes(b"/\xfe").into()),
                read_only: false
            }
        );
    }
}
