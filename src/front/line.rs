//! The grammar of a command line: which words are options, which are their values, and where the command begins.
//!
//! It knows what is right, and has no words for what is wrong: the program asks clap then, which knows the same options
//! and has them. To ask it at every launch would take a seventh of the time.

use super::flags::{FLAGS, Flag, Value, Verb};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::slice::Iter;

/// A command line of `rootlet run` in its parts.
#[derive(Debug, Default)]
pub struct Line<'a> {
    /// Whose options are known.
    verb: Verb,
    /// The options with their values, in their order; a switch has an empty value.
    pub options: Vec<(&'static Flag, &'a OsStr)>,
    /// The command and its arguments.
    pub command: &'a [OsString],
}

/// The line is none that can be run: it is wrong, or asks for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread;

impl<'a> Line<'a> {
    /// Reads the words that follow the verb. `--`, or the first word that is no option, ends the options.
    ///
    /// # Errors
    /// [`Unread`] for an option that is not known or is there too often, and a value that is missing or is none of the
    /// option's words. Whether any other value has a meaning is seen by [`super::request::Request::new`].
    pub fn read(words: &'a [OsString], verb: Verb) -> Result<Self, Unread> {
        let mut line = Line {
            verb,
            ..Line::default()
        };
        let mut rest = words.iter();
        line.command = loop {
            let here = rest.as_slice();
            match rest.next().map(|word| word.as_bytes()) {
                Some(b"--") => break rest.as_slice(),
                Some([b'-', b'-', option @ ..]) => line.long(option, &mut rest)?,
                Some([b'-', letter, value @ ..]) => line.short(*letter, value, &mut rest)?,
                _ => break here,
            }
        };
        Ok(line)
    }

    fn flags(&self) -> impl Iterator<Item = &'static Flag> + use<> {
        let verb = self.verb;
        FLAGS.iter().filter(move |flag| flag.is_of(verb))
    }

    /// Whether the option `long` is there.
    pub fn has(&self, long: &str) -> bool {
        self.options.iter().any(|(flag, _)| flag.long == long)
    }

    /// `--NAME`, `--NAME VALUE` or `--NAME=VALUE`.
    fn long(&mut self, option: &'a [u8], rest: &mut Iter<'a, OsString>) -> Result<(), Unread> {
        let mut parts = option.splitn(2, |&byte| byte == b'=');
        let name = parts.next();
        let is_name = |known: &str| Some(known.as_bytes()) == name;
        let known = |flag: &&Flag| is_name(flag.long) || flag.alias.is_some_and(is_name);
        self.option(self.flags().find(known), parts.next(), rest)
    }

    /// `-N VALUE`, `-NVALUE` or `-N=VALUE`.
    fn short(
        &mut self,
        letter: u8,
        value: &'a [u8],
        rest: &mut Iter<'a, OsString>,
    ) -> Result<(), Unread> {
        let attached = match value {
            [] => None,
            [b'=', value @ ..] | value => Some(value),
        };
        let known = |flag: &&Flag| flag.short == Some(char::from(letter));
        self.option(self.flags().find(known), attached, rest)
    }

    fn option(
        &mut self,
        flag: Option<&'static Flag>,
        attached: Option<&'a [u8]>,
        rest: &mut Iter<'a, OsString>,
    ) -> Result<(), Unread> {
        let flag = flag.ok_or(Unread)?;
        if self.has(flag.long) && !flag.repeatable {
            return Err(Unread);
        }
        let value = match (flag.value, attached) {
            (Value::None, Some(_)) => return Err(Unread),
            (Value::None, None) => b"",
            (Value::Optional { words, .. }, None) => words[0].as_bytes(),
            (_, Some(value)) => value,
            (kind, None) => rest
                .next()
                .filter(|word| may_follow(kind, word))
                .ok_or(Unread)?
                .as_bytes(),
        };
        self.add(flag, value)
    }

    fn add(&mut self, flag: &'static Flag, value: &'a [u8]) -> Result<(), Unread> {
        let (words, list) = match flag.value {
            Value::None | Value::Any { .. } => {
                self.options.push((flag, OsStr::from_bytes(value)));
                return Ok(());
            }
            Value::OneOf { words, list, .. } => (words, list),
            Value::Optional { words, .. } => (words, false),
        };
        for part in value.split(|&byte| list && byte == b',') {
            let word = words.iter().find(|word| word.as_bytes() == part);
            self.options.push((flag, OsStr::new(*word.ok_or(Unread)?)));
        }
        Ok(())
    }
}

/// Whether `word` can be a value of this kind and no option.
fn may_follow(kind: Value, word: &OsStr) -> bool {
    let hyphen = matches!(kind, Value::Any { hyphen: true, .. });
    hyphen || word == "-" || !word.as_bytes().starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&[u8]]) -> Vec<OsString> {
        let own = |word: &&[u8]| OsStr::from_bytes(word).to_owned();
        words.iter().map(own).collect()
    }

    /// The options as `NAME=VALUE`, and the command.
    fn read(line: &str) -> Option<(String, String)> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let line = Line::read(&words, Verb::Run).ok()?;
        let option =
            |&(flag, value): &(&Flag, &OsStr)| format!("{}={}", flag.long, value.display());
        let options: Vec<String> = line.options.iter().map(option).collect();
        let command = line.command.join(OsStr::new(" "));
        Some((options.join(" "), command.into_string().unwrap()))
    }

    #[test]
    fn each_form_of_an_option_is_read() {
        for (line, options) in [
            ("--user 5", "user=5"),
            ("--user=5", "user=5"),
            ("--env=A=b", "env=A=b"),
            ("--hostname=", "hostname="),
            ("-u 5", "user=5"),
            ("-u5", "user=5"),
            ("-u=5", "user=5"),
            ("-e=", "env="),
            ("--network none", "net=none"),
            ("--strict", "strict="),
            (
                "--share pid,ipc --share=uts",
                "share=pid share=ipc share=uts",
            ),
            ("--explain", "explain=text"),
            ("--explain=json", "explain=json"),
            ("-u -1", "user=-1"),
            ("--timeout --", "timeout=--"),
            ("-v -", "volume=-"),
            ("-v=-x", "volume=-x"),
        ] {
            let wanted = Some((options.to_string(), String::new()));
            assert_eq!(read(line), wanted, "{line}");
        }
    }

    #[test]
    fn options_stay_in_their_order_and_end_where_the_command_begins() {
        for (line, options, command) in [
            (
                "-v /a --tmpfs /t -v /b sh",
                "volume=/a tmpfs=/t volume=/b",
                "sh",
            ),
            (
                "--strict echo --strict -- -v",
                "strict=",
                "echo --strict -- -v",
            ),
            ("--strict -- --strict -- x", "strict=", "--strict -- x"),
            ("--explain json", "explain=text", "json"),
            ("- -x", "", "- -x"),
            ("--", "", ""),
            ("", "", ""),
        ] {
            let wanted = Some((options.to_string(), command.to_string()));
            assert_eq!(read(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_or_asks_for_help_is_not_read() {
        for line in [
            "--nope",
            "--stric",
            "--Strict",
            "---",
            "--=",
            "-z",
            "-h",
            "--help",
            "-it",
            "--user",
            "-w",
            "-w -x",
            "--env --strict",
            "--env --",
            "--strict=x",
            "--strict --strict",
            "-w / --workdir /",
            "--net none --network host",
            "--net bridge",
            "--net=",
            "-t",
            "-t sh",
            "--share pid,",
            "--share net",
            "--explain=",
            "--explain=xml",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_pass() {
        let words = words(&[b"-v/\xff", b"--env=\xfe", b"-w", b"\xfd", b"\xfc"]);
        let line = Line::read(&words, Verb::Run).unwrap();
        let values: Vec<&[u8]> = line
            .options
            .iter()
            .map(|(_, value)| value.as_bytes())
            .collect();
        assert_eq!(values, [&b"/\xff"[..], b"\xfe", b"\xfd"]);
        assert_eq!(line.command, [OsStr::from_bytes(b"\xfc")]);
        assert_eq!(read_bytes(b"--\xff"), Err(Unread));
        assert_eq!(read_bytes(b"-\xff"), Err(Unread));
    }

    fn read_bytes(word: &[u8]) -> Result<usize, Unread> {
        Line::read(&words(&[word]), Verb::Run).map(|line| line.options.len())
    }
}
