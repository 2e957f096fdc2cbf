//! Which system calls get through.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
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
    /// Programs of the kernel's (struct sock_filter), from descriptors of the caller's that are read to their ends, in the
    /// order in which they are installed. The last is asked first.
    Programs(Vec<i32>),
}

impl Seccomp {
    /// Those that have a name.
    const WORDS: [(&str, Seccomp); 4] = [
        ("default", Seccomp::Default),
        ("sandbox", Seccomp::Sandbox),
        ("strict", Seccomp::Strict),
        ("none", Seccomp::None),
    ];

    /// Its name, the path of its file, or `@5,6` for descriptors.
    pub fn name(&self) -> Cow<'_, OsStr> {
        match self {
            Seccomp::File(path) => path.as_os_str().into(),
            Seccomp::Programs(fds) => {
                let fds: Vec<String> = fds.iter().map(ToString::to_string).collect();
                OsString::from(format!("@{}", fds.join(","))).into()
            }
            _ => OsStr::new(self.word().unwrap_or_default()).into(),
        }
    }

    /// Reads `@5,6`.
    fn programs(word: &OsStr) -> Option<Self> {
        let fds = word.to_str()?.strip_prefix('@')?.split(',');
        let fds = fds.map(|fd| fd.parse().ok().filter(|fd| *fd >= 0));
        fds.collect::<Option<_>>().map(Seccomp::Programs)
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
            None => Seccomp::programs(path.as_os_str()).unwrap_or(Seccomp::File(path)),
        }
    }
}

impl From<Seccomp> for PathBuf {
    fn from(seccomp: Seccomp) -> Self {
        match seccomp {
            Seccomp::File(path) if matches!(Seccomp::from(path.clone()), Seccomp::File(_)) => path,
            Seccomp::File(path) => Path::new(".").join(path),
            known => known.name().into_owned().into(),
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
        for (word, fds) in [("@5", vec![5]), ("@7,0", vec![7, 0])] {
            let seccomp = Seccomp::from(PathBuf::from(word));
            assert_eq!(seccomp, Seccomp::Programs(fds));
            assert_eq!(PathBuf::from(seccomp), Path::new(word));
        }
        for file in ["@", "@x", "@-1", "@1,"] {
            assert_eq!(
                Seccomp::from(PathBuf::from(file)),
                Seccomp::File(file.into())
            );
        }
        let odd = PathBuf::from(Seccomp::File("strict".into()));
        assert_eq!(odd, Path::new("./strict"));
    }
}
