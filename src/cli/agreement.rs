//! The two readers of a command line agree: what the one reads the other reads, and as the same.

use super::{command, launch_line};
use clap::parser::ValueSource;
use rootlet::front::flags::{FLAGS, Flag, Value, Verb};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A command line in its parts: how often `-v`, the options, and the command.
type Parts = (usize, Vec<(&'static str, OsString)>, Vec<OsString>);

fn by_the_table(words: &[OsString]) -> Option<Parts> {
    let (verbose, _, line) = launch_line(words).ok()?;
    let option = |&(flag, value): &(&'static Flag, &OsStr)| (flag.long, value.to_owned());
    let options = line.options.iter().map(option).collect();
    Some((verbose, options, line.command.to_vec()))
}

fn by_clap(command: &mut clap::Command, words: &[OsString]) -> Option<Parts> {
    let matches = command.try_get_matches_from_mut(words).ok()?;
    let verbose = matches.get_count("verbose").into();
    let Some((verb, matches)) = matches.subcommand() else {
        return Some((verbose, Vec::new(), Vec::new()));
    };
    let verb = match verb {
        "try" => Verb::Try,
        "exec" | "enter" => Verb::Exec,
        _ => Verb::Run,
    };
    let known = |flag: &&Flag| flag.is_of(verb);
    let given = |flag: &&Flag| matches.value_source(flag.long) == Some(ValueSource::CommandLine);
    let mut options = Vec::new();
    for flag in FLAGS.iter().filter(known).filter(given) {
        let indices = matches.indices_of(flag.long).unwrap();
        for (index, value) in indices.zip(matches.get_raw(flag.long).unwrap()) {
            // clap gives a switch the value "true".
            let is_switch = matches!(flag.value, Value::None);
            let value = if is_switch { OsStr::new("") } else { value };
            options.push((index, (flag.long, value.to_owned())));
        }
    }
    options.sort_by_key(|(index, _)| *index);
    let options = options.into_iter().map(|(_, option)| option).collect();
    let words = matches.get_raw("command").into_iter().flatten();
    Some((verbose, options, words.map(OsStr::to_owned).collect()))
}

/// A small generator of numbers, so that every run tries the same lines.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % most
    }

    fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// Words that are easily taken for something else.
const ODD: [&[u8]; 18] = [
    b"",
    b"-",
    b"--",
    b"---",
    b"=",
    b"-=",
    b"--=x",
    b"-1",
    b"-x",
    b"-vx",
    b"--strict",
    b"--nope",
    b"--hel",
    b"-h",
    b"--help",
    b"run",
    b"a,b",
    b"\xff",
];

/// Mostly a right value for `flag`, and at times an odd one.
fn value(numbers: &mut Numbers, flag: &Flag) -> Vec<u8> {
    let mut value = Vec::new();
    match flag.value {
        _ if numbers.one_in(8) => value.extend(numbers.pick(&ODD)),
        Value::OneOf { words, list, .. } => {
            value.extend(numbers.pick(words).as_bytes());
            while numbers.one_in(3) {
                value.extend(if list { &b","[..] } else { b"" });
                value.extend(
                    numbers
                        .pick(&[words[0], words[words.len() - 1], "", "x"])
                        .bytes(),
                );
            }
        }
        Value::Optional { words, .. } => value.extend(numbers.pick(words).as_bytes()),
        Value::None | Value::Any { .. } => {
            value.extend(numbers.pick(&[
                &b"/a:/b"[..],
                b"A=b",
                b"7",
                b"x y",
                b"/\xff\xfe",
                b"run",
            ]));
        }
    }
    value
}

/// A name of `flag`, with its hyphens; at times one that is cut short, longer, or in capitals.
fn name(numbers: &mut Numbers, flag: &Flag) -> String {
    let long = flag
        .alias
        .filter(|_| numbers.one_in(3))
        .unwrap_or(flag.long);
    match flag.short.filter(|_| numbers.one_in(2)) {
        Some(letter) => format!("-{letter}"),
        None if numbers.one_in(40) => format!("--{}", &long[..numbers.below(long.len() + 1)]),
        None if numbers.one_in(40) => format!("--{long}x"),
        None if numbers.one_in(40) => format!("--{}", long.to_uppercase()),
        None => format!("--{long}"),
    }
}

/// Adds `flag` with its value, or without, or with one that it does not take.
fn option(numbers: &mut Numbers, flag: &Flag, words: &mut Vec<Vec<u8>>) {
    let (name, value) = (name(numbers, flag).into_bytes(), value(numbers, flag));
    let (has_value, may_stand_alone) = match flag.value {
        Value::None => (numbers.one_in(12), true),
        Value::Optional { .. } => (numbers.one_in(2), true),
        Value::Any { .. } | Value::OneOf { .. } => (!numbers.one_in(20), false),
    };
    match numbers.below(3) {
        _ if !has_value => words.push(name),
        0 if !may_stand_alone => words.extend([name, value]),
        1 if name.len() == 2 => words.push([name, value].concat()),
        _ => words.push([&name[..], b"=", &value].concat()),
    }
}

/// A command line that is mostly, but not always, right.
fn line(numbers: &mut Numbers) -> Vec<OsString> {
    let mut words: Vec<Vec<u8>> = vec![b"rootlet".to_vec()];
    while numbers.one_in(4) {
        words.push(
            numbers
                .pick(&["-v", "-vv", "--verbose", "-vx", "--verbos", "-", "--", "-h"])
                .into(),
        );
    }
    if !numbers.one_in(10) {
        words.push(
            numbers
                .pick(&[
                    "run", "run", "sandbox", "try", "try", "exec", "enter", "ru", "runs", "",
                ])
                .into(),
        );
    }
    for _ in 0..numbers.below(6) {
        let flag = &FLAGS[numbers.below(FLAGS.len())];
        match numbers.below(24) {
            0 => words.push(numbers.pick(&ODD).to_vec()),
            _ => option(numbers, flag, &mut words),
        }
    }
    if numbers.one_in(3) {
        words.push(b"--".to_vec());
    }
    for _ in 0..numbers.below(4) {
        words.push(
            numbers
                .pick(&[
                    &b"sh"[..],
                    b"-c",
                    b"--",
                    b"--strict",
                    b"-v",
                    b"",
                    b"run",
                    b"\xff",
                ])
                .to_vec(),
        );
    }
    words
        .iter()
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect()
}

#[test]
fn the_table_reads_what_clap_reads() {
    let mut numbers = Numbers(1);
    let mut command = command();
    let (mut read, mut unread) = (0, 0);
    for _ in 0..20_000 {
        let words = line(&mut numbers);
        let parts = by_the_table(&words);
        assert_eq!(parts, by_clap(&mut command, &words), "{words:?}");
        match parts {
            Some(_) => read += 1,
            None => unread += 1,
        }
    }
    assert!(read > 4000 && unread > 4000, "{read} read, {unread} not");
}

#[test]
fn clap_finds_no_fault_in_the_command_that_is_made_of_the_table() {
    command().debug_assert();
}
