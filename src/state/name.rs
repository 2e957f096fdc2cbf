//! What a container is called.
#![forbid(unsafe_code)]

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of a name at most.
const LONGEST: usize = 64;

/// The name of a container: 1 to 64 letters, digits, `_`, `.` and `-` of ASCII, the first of them a letter or a digit.
///
/// So it is one component of a path, never `.` or `..`, and never looks like a flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Two plain words with a hyphen, `quiet-river`, chosen by `number`: the same for the same number. Numbers that are
    /// near each other give names that are not.
    ///
    /// There are fewer names than numbers: one that is taken already is answered with another number.
    pub fn made_up(number: u64) -> Name {
        let mixed = mix(number);
        let (high, low) = ((mixed >> 32) as usize, mixed as u32 as usize);
        let (adjective, noun) = (pick(ADJECTIVES, high), pick(NOUNS, low));
        Name(format!("{adjective}-{noun}"))
    }
}

/// One of the words.
fn pick(words: &str, number: usize) -> &str {
    let count = words.split(' ').count();
    words.split(' ').nth(number % count).unwrap_or_default()
}

/// Each bit of the number changes about half of those of the answer: xor with what is shifted, and multiply, twice.
fn mix(number: u64) -> u64 {
    // 2^64 divided by the golden ratio, so that 0 does not stay 0.
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for odd in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(odd);
    }
    mixed ^ (mixed >> 31)
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    begins && text.len() <= LONGEST && text.bytes().all(allowed)
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Name, Error> {
        match is_name(&text) {
            true => Ok(Name(text)),
            false => Err(Error::usage(format!(
                "name {text:?}: a name is 1 to {LONGEST} of a-z, A-Z, 0-9, '_', '.' and '-', and begins with a letter or digit"
            ))),
        }
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name, Error> {
        text.to_owned().try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

// Any adjective stands before any noun: weather, light and manner there; land, water, plants, birds and tools here. Each list
// is one string: a table of words would be some three hundred addresses to be put right at each start of the program.

#[rustfmt::skip]
const ADJECTIVES: &str = "able agile airy alert alpine amber ample arctic autumn azure balmy bold breezy brief bright brisk bronze calm \
    candid careful civic classic clear clever cloudy coastal cobalt copper cosmic cozy crimson crisp curious daily \
    dapper daring deft dewy distant early earnest eastern elegant equal even exact fair famous festive fine fleet \
    floral fluent formal free fresh frosty gentle gilded glad good grand happy hazy honest humble indigo ivory \
    jolly jovial joyful just keen kind lasting level lively local lofty loyal lucid lucky lunar major mellow merry \
    mighty mild misty modern modest neat nimble noble noted olive open patient polar polite prime prompt proper \
    proud quick quiet rapid regal robust rosy royal rustic sage scenic secure serene shiny silent silver simple \
    sincere snowy solar solid sound spry stable starry steady stellar sturdy subtle summer sunny super swift tall \
    tawny tidy timely true trusty upbeat useful valiant vast velvet verdant vivid warm western whole winter wise \
    witty worthy zesty";

#[rustfmt::skip]
const NOUNS: &str = "acorn alcove anchor anvil arbor arch aspen aster atlas aurora badge banner barley basin bay beacon bell birch \
    bridge brook cabin canal candle canoe canvas canyon cape castle cedar cello chapel cirrus clay cliff cloud \
    clover coast comet compass coral cottage cove crane creek cypress dahlia dale delta desert dune echo elm ember \
    falcon fern ferry field finch fjord flint forest forge galaxy garden garnet geyser glacier glade glen granite \
    grove gull harbor harp haven heath heron hill horizon iris island jetty juniper kayak kestrel kettle kite \
    lagoon lake lantern larch lark laurel leaf ledge lily linden loom lotus lupin maple marble marsh meadow mesa \
    meteor mill mirror moon moss nebula oak oasis oat ocean orbit orchard orchid osprey otter paddle parcel path \
    pebble peak pier pine plain planet plateau pond poplar prairie puffin quarry quartz quill raven reef ridge \
    river saddle sail shore sparrow spring spruce star stone storm sundial thicket thistle tide timber tower trail \
    tulip tundra valley vista walnut wave willow wren";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_is_one_to_64_plain_characters_and_begins_with_a_letter_or_digit() {
        let longest = "a".repeat(64);
        for text in ["a", "7", "web.1", "A_b-c.d", "0..", longest.as_str()] {
            assert_eq!(text.parse::<Name>().unwrap().as_ref(), text);
        }
        let longer = "a".repeat(65);
        for text in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            "a/b",
            "a b",
            "a\n",
            "ä",
            "aä",
            longer.as_str(),
        ] {
            let error = text.parse::<Name>().unwrap_err();
            assert!(error.step.contains("1 to 64"), "{error}");
        }
    }

    #[test]
    fn what_is_read_is_a_name_or_an_error() {
        let name: Name = serde_json::from_str("\"web\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"web\"");
        let error = serde_json::from_str::<Name>("\"../web\"").unwrap_err();
        assert!(
            error.to_string().contains("begins with a letter"),
            "{error}"
        );
    }

    #[test]
    fn the_words_are_many_short_and_each_there_once() {
        let words = [ADJECTIVES, NOUNS].map(|words| words.split(' '));
        for words in &words {
            assert!(words.clone().count() >= 128);
        }
        let all: Vec<&str> = words.into_iter().flatten().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for word in all {
            assert!((3..=7).contains(&word.len()), "{word}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn made_up_names_are_names_and_differ() {
        let names: BTreeSet<Name> = (0..200).map(Name::made_up).collect();
        assert!(names.len() > 195, "{}", names.len());
        assert!(names.iter().all(|name| is_name(name.as_ref())));
        assert_eq!(Name::made_up(7), Name::made_up(7));
        // All of the words come: the numbers are mixed, in their low bits and in their high ones.
        for shift in [0, 40] {
            let names = (0..20_000).map(|number| Name::made_up(number << shift).0);
            let pairs: Vec<String> = names.collect();
            let words = pairs.iter().flat_map(|pair| pair.split('-'));
            let words: BTreeSet<&str> = words.collect();
            let all = [ADJECTIVES, NOUNS].map(|words| words.split(' ').count());
            assert_eq!(words.len(), all[0] + all[1]);
        }
    }
}
