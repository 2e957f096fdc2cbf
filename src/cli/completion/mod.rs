//! `rootlet completion`: what a shell needs to know to complete rootlet's words.
//!
//! clap_complete writes what follows from the options. What it has no words for comes from a file for each shell, in the
//! shell's own language: the names of containers, which `rootlet ps` lists, and the words of a command that is launched.

use super::{command, written};
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueEnum, ValueHint};
use clap_complete::aot::{Bash, Fish, Zsh};
use clap_complete::{Generator, generate};
use rootlet::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

/// The words of the line.
#[derive(clap::Args)]
pub struct CompletionLine {
    /// The shell that is to read it
    shell: Shell,
}

/// The shells that are known.
#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script.
pub fn completion(line: &CompletionLine) -> anyhow::Result<u8> {
    let command = described()?;
    let script = match line.shell {
        Shell::Bash => bash(command)?,
        Shell::Zsh => zsh(command)?,
        Shell::Fish => fish(command)?,
    };
    written(std::io::stdout().write_all(script.as_bytes()))
}

/// Verbs that are of no use with a container that has ended.
const RUNNING: [&str; 9] = [
    "attach", "enter", "exec", "kill", "pause", "resume", "stop", "top", "wait",
];

/// What stands after a verb, but for its options.
struct Words<'a> {
    /// The verb, and its other names.
    names: Vec<&'a str>,
    /// The option of `rootlet ps` that lists what the verb can be used with, if it is containers.
    containers: Option<&'static str>,
    /// Whether there may be several of the first word.
    many: bool,
    /// Whether they are files, or words of which nothing is known.
    files: bool,
    /// After how many words a command begins.
    command: Option<usize>,
    /// The options whose value is the next word.
    valued: Vec<String>,
}

impl<'a> Words<'a> {
    fn new(verb: &'a Command) -> Self {
        let positional: Vec<&Arg> = verb.get_positionals().collect();
        let first = positional.first().copied();
        let options = verb.get_opts().filter(|option| least(option) > 0);
        let containers = containers(verb);
        let command = positional.iter().position(|word| is_command(word));
        let command = command.map(|place| place + usize::from(is_led(positional[place])));
        let free = |first: &&Arg| first.get_possible_values().is_empty();
        Words {
            names: verb.get_name_and_visible_aliases(),
            containers,
            many: first.is_some_and(|first| most(first) > 1),
            files: (containers, command) == (None, None) && first.as_ref().is_some_and(free),
            command,
            valued: options.flat_map(spellings).collect(),
        }
    }
}

/// The option of `rootlet ps` that lists what `verb` can be used with, if it is containers.
fn containers(verb: &Command) -> Option<&'static str> {
    let first = verb.get_positionals().next()?;
    (value_name(first) == "NAME").then(|| match RUNNING.contains(&verb.get_name()) {
        true => "-q",
        false => "-aq",
    })
}

fn is_command(argument: &Arg) -> bool {
    argument.is_trailing_var_arg_set()
}

/// Whether a word of another kind stands before the command.
fn is_led(command: &Arg) -> bool {
    is_command(command) && value_name(command) != "COMMAND"
}

fn value_name(argument: &Arg) -> &str {
    argument
        .get_value_names()
        .and_then(|names| names.first())
        .map_or("", |name| name.as_str())
}

fn least(argument: &Arg) -> usize {
    argument
        .get_num_args()
        .map_or(0, |number| number.min_values())
}

fn most(argument: &Arg) -> usize {
    argument
        .get_num_args()
        .map_or(0, |number| number.max_values())
}

/// Every way to write an option, with its hyphens.
fn spellings(option: &Arg) -> Vec<String> {
    let short = option.get_short().map(|letter| format!("-{letter}"));
    let long = option.get_long().map(|name| format!("--{name}"));
    let others = option.get_all_aliases().unwrap_or_default();
    let others = others.into_iter().map(|name| format!("--{name}"));
    short.into_iter().chain(long).chain(others).collect()
}

/// The command line with all its options, and with what is known of their values.
fn described() -> anyhow::Result<Command> {
    let mut command = command();
    command.build();
    let verbs: Vec<&str> = command
        .get_subcommands()
        .flat_map(|verb| verb.get_name_and_visible_aliases())
        .map(|name| lasting(name.to_string()))
        .collect();
    let of_verb = PossibleValuesParser::new(verbs);
    Ok(command.mut_subcommands(|verb| {
        verb.mut_args(|argument| match value_name(&argument) {
            "DIR" => argument.value_hint(ValueHint::DirPath),
            "FILE" | "PATH" => argument.value_hint(ValueHint::FilePath),
            "VERB" => argument.value_parser(of_verb.clone()),
            _ => argument,
        })
    }))
}

/// A word for clap, which takes only those that stay. The program ends when they are written.
fn lasting(word: String) -> &'static str {
    word.leak()
}

/// What clap_complete writes.
fn generated(shell: impl Generator, mut command: Command) -> anyhow::Result<String> {
    let mut script = Vec::new();
    generate(shell, &mut command, "rootlet", &mut script);
    let wrong = |_| Error::broken("write the completions: they are not UTF-8");
    Ok(String::from_utf8(script).map_err(wrong)?)
}

/// The verbs become a `case`, which a function around that of clap_complete asks.
fn bash(command: Command) -> anyhow::Result<String> {
    let mut cases = String::new();
    for verb in command.get_subcommands() {
        let words = Words::new(verb);
        write!(cases, "    {})", words.names.join(" | "))?;
        if let Some(option) = words.containers {
            write!(cases, " containers={option}")?;
        }
        if let Some(place) = words.command {
            write!(cases, " command={place}")?;
        }
        if let Some(words) = values(verb) {
            write!(cases, " words='{words}'")?;
        }
        for (name, set) in [("many", words.many), ("files", words.files)] {
            cases += &if set {
                format!(" {name}=1")
            } else {
                String::new()
            };
        }
        writeln!(cases, " valued='{}' ;;", words.valued.join(" "))?;
    }
    let own = include_str!("rootlet.bash").replace("    # VERBS\n", &cases);
    Ok(generated(Bash, command)? + "\n" + &own)
}

/// clap has no hint that stands for containers: until the text is made, users and hosts stand for them, which no option
/// of rootlet's asks for.
fn zsh(command: Command) -> anyhow::Result<String> {
    let command = command.mut_subcommands(|verb| {
        let hint = containers(&verb).map(|option| match option {
            "-q" => ValueHint::Username,
            _ => ValueHint::Hostname,
        });
        let first = verb.get_positionals().next().map(|it| it.get_id().clone());
        verb.mut_args(|argument| {
            let name = value_name(&argument).replace(':', "\\:");
            let argument = match name.is_empty() {
                true => argument,
                false => argument.value_name(lasting(name)),
            };
            match hint {
                Some(hint) if first.as_ref() == Some(argument.get_id()) => {
                    argument.value_hint(hint)
                }
                _ if is_led(&argument) => argument.value_hint(ValueHint::Other),
                _ if is_command(&argument) => argument.value_hint(ValueHint::CommandWithArguments),
                _ => argument,
            }
        })
    });
    let script = generated(Zsh, command)?
        .replace(":_users' ", ":_rootlet_containers -q' ")
        .replace(":_hosts' ", ":_rootlet_containers -aq' ")
        .lines()
        .map(with_command)
        .collect::<String>();
    let (first, rest) = script.split_once('\n').unwrap_or((&script, ""));
    Ok(format!("{first}\n\n{}{rest}", include_str!("rootlet.zsh")))
}

/// A line of the script for zsh, where a command has all words that follow: then no option is rootlet's any more, and
/// the words before it are none of the command's.
fn with_command(line: &str) -> String {
    if let Some(rest) = line.strip_prefix("'::command -- ") {
        return format!("'(-)*:::command -- {rest}\n");
    }
    match line.starts_with("':command -- ") {
        true => format!("{line}\n'(-)*:::words -- The command:_cmdambivalent' \\\n"),
        false => format!("{line}\n"),
    }
}

/// Each verb has a line more.
fn fish(command: Command) -> anyhow::Result<String> {
    let mut own = String::from("\n") + include_str!("rootlet.fish") + "\n";
    for verb in command.get_subcommands() {
        let words = Words::new(verb);
        let valued = words.valued.join(" ");
        for name in &words.names {
            if let Some(option) = words.containers {
                let when = match words.many {
                    true => format!("__fish_rootlet_using_subcommand {name}"),
                    false => format!("__fish_rootlet_at {name} 0 {valued}"),
                };
                writeln!(
                    own,
                    "complete -c rootlet -n '{when}' -f -a '(rootlet ps {option} 2>/dev/null)'"
                )?;
            }
            if let Some(place) = words.command {
                let line = format!("{name} {place} {valued}");
                writeln!(
                    own,
                    "complete -c rootlet -n '__fish_rootlet_rest {line} >/dev/null' -f -a '(__fish_rootlet_command {line})'"
                )?;
            }
            if let Some(values) = values(verb) {
                writeln!(
                    own,
                    "complete -c rootlet -n '__fish_rootlet_at {name} 0 {valued}' -f -a '{values}'"
                )?;
            }
        }
    }
    Ok(generated(Fish, command)? + &own)
}

/// What the first word after `verb` can be, where that is known.
fn values(verb: &Command) -> Option<String> {
    let values = verb.get_positionals().next()?.get_possible_values();
    let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    (!names.is_empty()).then(|| names.join(" "))
}
