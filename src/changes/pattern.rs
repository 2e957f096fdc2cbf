//! Which paths a user means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A choice of paths: each pattern means what it matches and all below that. No pattern means everything.
///
/// `?` and `*` stand for letters of one name, `**` for any part of a path; a backslash takes the next letter as it is.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<Vec<u8>>);

impl Patterns {
    /// Reads patterns; those that do not begin with a slash begin at `directory`.
    pub fn new<P: AsRef<Path>>(patterns: impl IntoIterator<Item = P>, directory: &Path) -> Self {
        let absolute = |pattern: P| {
            let path = plain(&directory.join(pattern));
            path.as_os_str().as_bytes().to_vec()
        };
        Patterns(patterns.into_iter().map(absolute).collect())
    }

    /// Whether there is none, so that everything is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `path`, an absolute one, is meant.
    pub fn matches(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_bytes();
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, path))
    }

    /// Those that match none of `paths`.
    pub fn unmatched<'a>(&self, paths: impl Iterator<Item = &'a Path> + Clone) -> Vec<&Path> {
        let idle = |pattern: &&Vec<u8>| {
            let mut paths = paths.clone();
            !paths.any(|path| matches(pattern, path.as_os_str().as_bytes()))
        };
        let idle = self.0.iter().filter(idle);
        idle.map(|pattern| Path::new(OsStr::from_bytes(pattern)))
            .collect()
    }
}

/// The path without `.` and with `..` resolved by name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

/// Follows the path letter by letter, with every place of the pattern where it may stand.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    if pattern == b"/" {
        return true;
    }
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    pass_stars(pattern, &mut places, true);
    for &letter in path {
        if letter == b'/' && places[pattern.len()] {
            return true;
        }
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|&at| places[at]) {
            match (pattern[at], &pattern[at + 1..]) {
                (b'*', [b'*', ..]) => next[at] = true,
                (b'*', _) if at > 0 && pattern[at - 1] == b'*' => next[at] = true,
                (b'*', _) if letter != b'/' => next[at] = true,
                (b'?', _) if letter != b'/' => next[at + 1] = true,
                (b'\\', [escaped, ..]) if *escaped == letter => next[at + 2] = true,
                (b'*' | b'?' | b'\\', _) => {}
                (plain, _) if plain == letter => next[at + 1] = true,
                _ => {}
            }
        }
        places = next;
        pass_stars(pattern, &mut places, letter == b'/');
    }
    places[pattern.len()]
}

/// A star may stand for nothing, and `**/`, where a name begins, for no directory.
fn pass_stars(pattern: &[u8], places: &mut [bool], name_begins: bool) {
    for at in 0..pattern.len() {
        if places[at] && pattern[at] == b'*' {
            places[at + 1] = true;
            if name_begins && pattern[at..].starts_with(b"**/") {
                places[at + 3] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_matches_and_all_below() {
        for (pattern, yes, no) in [
            (
                "/a/b",
                &["/a/b", "/a/b/c/d"][..],
                &["/a", "/a/bc", "/x/a/b"][..],
            ),
            ("b", &["/cwd/b", "/cwd/b/c"], &["/b", "/cwd/x/b"]),
            ("./b/../c", &["/cwd/c"], &["/cwd/b"]),
            ("../b", &["/b"], &["/cwd/b"]),
            (".", &["/cwd", "/cwd/x"], &["/x"]),
            ("/", &["/", "/x/y"], &[]),
            (
                "/a/*.c",
                &["/a/x.c", "/a/.c", "/a/x.c/y"],
                &["/a/x.h", "/a/b/x.c"],
            ),
            ("/a/?", &["/a/b", "/a/b/c"], &["/a/", "/a/bb"]),
            (
                "/a/**/z",
                &["/a/z", "/a/b/z", "/a/b/c/z/d"],
                &["/a/bz", "/z"],
            ),
            ("**", &["/cwd/x", "/cwd/x/y"], &["/x"]),
            ("/a/**.c", &["/a/x.c", "/a/b/x.c"], &["/a/b/x.h"]),
            ("/a\\*b", &["/a*b"], &["/axb"]),
            ("/a[b]", &["/a[b]"], &["/ab"]),
        ] {
            let patterns = Patterns::new([pattern], Path::new("/cwd"));
            for path in yes {
                assert!(patterns.matches(Path::new(path)), "{pattern} {path}");
            }
            for path in no {
                assert!(!patterns.matches(Path::new(path)), "{pattern} {path}");
            }
        }
        assert!(Patterns::default().matches(Path::new("/any")));
    }

    #[test]
    fn many_stars_take_no_longer_than_the_length_of_both() {
        let pattern = "/".to_string() + &"*a".repeat(2000) + "b";
        let path = "/".to_string() + &"a".repeat(2000);
        assert!(!Patterns::new([pattern], Path::new("/")).matches(Path::new(&path)));
    }
}
