//! What is known of a container besides its record: what was asked for, what came of it, and what a further command in it
//! needs to be as confined as the first.

use crate::spec::{IdRange, Seccomp, Spec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A file in a container's folder that does not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Details {
    /// What was asked for. Where it has words that are not UTF-8, without the command, the variables and the views.
    pub spec: Spec,
    /// Who the command is inside: user and group id.
    pub ids: [u32; 2],
    /// The capabilities that the command, or what it executes, can come to have: a bit each. The spec alone does not say, since
    /// they depend on its views.
    pub capabilities: u64,
    /// Whether these are not the ids that the user's own have there.
    pub changes_ids: bool,
    /// The command's environment, `K=V`.
    pub environment: Vec<Word>,
    /// Where the command started.
    pub directory: Word,
    /// The filter of system calls, where it came from a file: code, jt, jf and k of each instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Vec<(u16, u8, u8, u32)>>,
    /// The filter of what Landlock knows nothing of, where there are no namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_filter: Option<FilesFilter>,
    /// Whether the ids of groups could not be given up.
    pub denies_setgroups: bool,
    /// Whether abstract sockets are kept out of its reach by a ruleset of the command's own.
    pub scopes_sockets: bool,
    /// Whether it is under a ruleset of Landlock, which the supervisor has.
    pub ruleset: bool,
    /// The lines of uid_map and of gid_map.
    pub maps: [Vec<IdRange>; 2],
    /// The program file of the supervisor, device and inode: while that executes it nobody can write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<[u64; 2]>,
}

/// What came of it: another file, since a further command need not read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Story {
    /// What it is made of, as `--status-fd` tells it.
    pub enforced: Value,
    /// What was refused, and what was done instead.
    pub stepped_down: Vec<String>,
    /// What was done for it, step by step, as `--explain=json` tells it.
    pub plan: Value,
}

/// A filter beside Landlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesFilter {
    /// Whether it refuses to change the attributes of files.
    pub attributes: bool,
    /// code, jt, jf and k of each instruction.
    pub instructions: Vec<(u16, u8, u8, u32)>,
}

/// A word of the operating system's, which need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// One that is.
    Text(String),
    /// One that is not.
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Word {
    fn from(word: &OsStr) -> Word {
        match word.to_str() {
            Some(text) => Word::Text(text.to_string()),
            None => Word::Bytes(word.as_bytes().to_vec()),
        }
    }
}

impl From<Word> for OsString {
    fn from(word: Word) -> OsString {
        match word {
            Word::Text(text) => text.into(),
            Word::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

/// The program file that this process executes, device and inode; none where that cannot be seen.
pub fn own_program() -> Option<[u64; 2]> {
    let file = rustix::fs::stat("/proc/self/exe").ok()?;
    Some([file.st_dev, file.st_ino])
}

impl Details {
    /// `spec`, if it can be written down; else what can be of it.
    pub fn written(spec: &Spec) -> Spec {
        if serde_json::to_value(spec).is_ok() {
            return spec.clone();
        }
        Spec {
            command: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            workdir: None,
            root: if spec.root.is_host() {
                crate::spec::Root::Host
            } else {
                crate::spec::Root::Empty
            },
            hostname: None,
            // The program that the file has made is written down by itself.
            seccomp: match &spec.seccomp {
                Seccomp::File(_) => Seccomp::File("?".into()),
                other => other.clone(),
            },
            ..spec.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_with_odd_words_is_written_without_them() {
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let spec = Spec {
            command: vec![odd.clone()],
            read_only: true,
            ..Spec::default()
        };
        let written = Details::written(&spec);
        assert!(written.read_only && written.command.is_empty());
        let filtered = Spec {
            seccomp: Seccomp::File(odd.clone().into()),
            ..Spec::default()
        };
        let written = Details::written(&filtered);
        assert!(
            matches!(written.seccomp, Seccomp::File(_)) && serde_json::to_value(&written).is_ok()
        );
        let plain = Spec {
            command: vec!["a".into()],
            ..spec
        };
        assert_eq!(Details::written(&plain), plain);
        let word = Word::from(odd.as_os_str());
        let text = serde_json::to_string(&word).unwrap();
        assert_eq!(
            OsString::from(serde_json::from_str::<Word>(&text).unwrap()),
            odd
        );
    }
}
