//! One block of memory for every string of a plan.

use crate::child::step::Text;
use crate::error::{Error, Result};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// Strings, each ended by a NUL, found by where they start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arena(Vec<u8>);

impl Arena {
    /// Puts a string in.
    ///
    /// # Errors
    /// When it holds a NUL, which no string that the kernel takes can, or when the arena would pass 4 GiB.
    pub fn text(&mut self, text: impl AsRef<OsStr>) -> Result<Text> {
        let bytes = text.as_ref().as_bytes();
        if bytes.contains(&0) {
            return Err(Error::usage(format!(
                "{:?} has a NUL byte in it",
                text.as_ref()
            )));
        }
        let start = u32::try_from(self.0.len())
            .map_err(|_| Error::usage("the plan is larger than 4 GiB"))?;
        self.0.extend_from_slice(bytes);
        self.0.push(0);
        Ok(Text(start))
    }

    /// The string at `text`; the empty one where there is none.
    pub fn get(&self, text: Text) -> &CStr {
        let bytes = self.0.get(text.0 as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }

    /// The string at `text`, to be shown.
    pub fn show(&self, text: Text) -> String {
        String::from_utf8_lossy(self.get(text).to_bytes())
            .escape_debug()
            .to_string()
            .replace("\\\"", "\"")
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_comes_back_as_it_went_in() {
        let mut arena = Arena::default();
        let texts: Vec<Text> = ["a", "", "long string", "\u{e9}"]
            .iter()
            .map(|text| arena.text(text).unwrap())
            .collect();
        let back: Vec<&[u8]> = texts
            .iter()
            .map(|&text| arena.get(text).to_bytes())
            .collect();
        assert_eq!(back, [&b"a"[..], b"", b"long string", "\u{e9}".as_bytes()]);
    }

    #[test]
    fn a_nul_is_refused_by_name() {
        let error = Arena::default().text("a\0b").unwrap_err();
        assert_eq!(error.to_string(), r#""a\0b" has a NUL byte in it"#);
    }
}
