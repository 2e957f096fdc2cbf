//! Which system calls get through.

use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The filter of system calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum Seccomp {
    /// Without what a program without privileges has no business with.
    #[default]
    Default,
    /// And without mounts.
    Sandbox,
    /// And without namespaces, debugging, and what has had many holes.
    Strict,
    /// No filter.
    None,
    /// What a file says: docker's JSON, or TOML.
    File(PathBuf),
}

impl Seccomp {
    /// Those that have a name.
    const WORDS: [(&str, Seccomp); 4] = [
        ("default", Seccomp::Default),
        ("sandbox", Seccomp::Sandbox),
        ("strict", Seccomp::Strict),
        ("none", Seccomp::None),
    ];

    /// Its name, or the path of its file.
    pub fn name(&self) -> &OsStr {
        match self {
            Seccomp::File(path) => path.as_os_str(),
            _ => OsStr::new(self.word().unwrap_or_default()),
        }
    }

    fn word(&self) -> Option<&'static str> {
        let known = Seccomp::WORDS.iter().find(|(_, it)| it == self);
        known.map(|(word, _)| *word)
    }
}

impl From<PathBuf> for Seccomp {
    /// A file that is called as one of the words is `./default`.
    fn from(path: PathBuf) -> Self {
        let named = |(word, _): &&(&str, Seccomp)| word.as_bytes() == path.as_os_str().as_bytes();
        match Seccomp::WORDS.iter().find(named) {
            Some((_, known)) => known.clone(),
            None => Seccomp::File(path),
        }
    }
}

impl From<Seccomp> for PathBuf {
    fn from(seccomp: Seccomp) -> Self {
        match seccomp {
            Seccomp::File(path) if matches!(Seccomp::from(path.clone()), Seccomp::File(_)) => path,
            Seccomp::File(path) => Path::new(".").join(path),
            known => known.name().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words_and_the_rest_are_files() {
        for word in ["default", "sandbox", "strict", "none"] {
            let seccomp = Seccomp::from(PathBuf::from(word));
            assert!(!matches!(seccomp, Seccomp::File(_)));
            assert_eq!(PathBuf::from(seccomp), Path::new(word));
        }
        for file in ["./none", "a.json", "/x/y.toml"] {
            let seccomp = Seccomp::from(PathBuf::from(file));
            assert_eq!(seccomp, Seccomp::File(file.into()));
            assert_eq!(PathBuf::from(seccomp), Path::new(file));
        }
        let odd = PathBuf::from(Seccomp::File("strict".into()));
        assert_eq!(odd, Path::new("./strict"));
    }
}
