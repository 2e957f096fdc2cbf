//! The names in a directory, sorted, in one block of memory.

use crate::changes::bytes::append;
use crate::changes::descent::each_name;
use rustix::fd::BorrowedFd;
use rustix::io::Result;
use std::ffi::CStr;

/// The names that are to be compared in a directory.
#[derive(Default)]
pub struct Names {
    /// Each with a NUL at its end.
    bytes: Vec<u8>,
    list: Vec<Name>,
}

struct Name {
    /// The first bytes as a number, which is compared faster than the whole name.
    key: u64,
    start: usize,
    in_upper: bool,
}

impl Names {
    /// Those in an upper directory, and those that `hidden`, the host's directory beneath it, has besides.
    pub fn read(&mut self, upper: BorrowedFd<'_>, hidden: Option<BorrowedFd<'_>>) -> Result<()> {
        self.bytes.clear();
        self.list.clear();
        each_name(upper, |name| self.push(name, true))?;
        self.sort();
        if let Some(host) = hidden {
            let known = self.list.len();
            each_name(host, |name| {
                if !self.holds(known, name) {
                    self.push(name, false);
                }
            })?;
            self.sort();
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// A name, and whether the upper directory has it.
    pub fn get(&self, number: usize) -> (&CStr, bool) {
        let name = &self.list[number];
        (self.name(name), name.in_upper)
    }

    fn name(&self, name: &Name) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[name.start..]).unwrap_or_default()
    }

    fn push(&mut self, name: &CStr, in_upper: bool) {
        self.list.push(Name {
            key: key(name),
            start: self.bytes.len(),
            in_upper,
        });
        append(&mut self.bytes, name.to_bytes_with_nul());
    }

    fn sort(&mut self) {
        // No name is another's: they differ at the NUL of the shorter one at the latest.
        let bytes = |name: &Name| &self.bytes[name.start..];
        self.list.sort_unstable_by(|one, other| {
            let keys = one.key.cmp(&other.key);
            keys.then_with(|| bytes(one).cmp(bytes(other)))
        });
    }

    /// Whether `name` is among the first `known` ones, which are sorted.
    fn holds(&self, known: usize, name: &CStr) -> bool {
        let found = self.list[..known].binary_search_by(|it| self.name(it).cmp(name));
        found.is_ok()
    }
}

/// Of two names, the one with the smaller key comes first.
fn key(name: &CStr) -> u64 {
    let letter = |at| name.to_bytes().get(at).copied().unwrap_or(0);
    (0..8).fold(0, |key, at| key << 8 | u64::from(letter(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let words: [&CStr; 8] = [
            c"b",
            c"a",
            c"ab",
            c"12345678",
            c"123456789",
            c"12345678\x01",
            c"\xff",
            c"12345679",
        ];
        let mut names = Names::default();
        words.iter().for_each(|word| names.push(word, true));
        names.sort();
        let sorted: Vec<&CStr> = (0..names.len()).map(|it| names.get(it).0).collect();
        let mut expected = words;
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        assert!(names.holds(8, c"ab") && !names.holds(8, c"abc"));
    }
}
