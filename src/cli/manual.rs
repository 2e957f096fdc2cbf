//! `rootlet man`: the manual pages, made of the same words as the help.

use super::{command, written};
use clap::{Arg, Command};
use clap_mangen::Man;
use rootlet::error::{Error, Result};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The words of the line.
#[derive(clap::Args)]
pub struct ManLine {
    /// The verb; without it, the page of rootlet itself
    verb: Option<String>,
    /// Write every page to DIR, which is made if it is not there: rootlet.1, rootlet-run.1, …
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    dir: Option<PathBuf>,
}

/// Prints or writes pages.
pub fn manual(line: &ManLine) -> anyhow::Result<u8> {
    let mut command = command();
    command.build();
    if let Some(dir) = &line.dir {
        write_all(&command, dir)?;
        return Ok(0);
    }
    let page = match &line.verb {
        None => page(&command, &command)?,
        Some(verb) => page(&command, of_verb(&command, verb)?)?,
    };
    written(io::stdout().write_all(page.as_bytes()))
}

fn of_verb<'a>(command: &'a Command, verb: &str) -> Result<&'a Command> {
    let unknown = || {
        Error::usage(format!("there is no verb {verb:?}"))
            .with_hint("rootlet --help lists the verbs")
    };
    command.find_subcommand(verb).ok_or_else(unknown)
}

fn write_all(command: &Command, dir: &Path) -> Result<()> {
    let refused =
        |what: &str, path: &Path, error: io::Error| Error::setup(format!("{what} {path:?}"), error);
    std::fs::create_dir_all(dir).map_err(|error| refused("make the directory", dir, error))?;
    for about in std::iter::once(command).chain(command.get_subcommands()) {
        let path = dir.join(name(about) + ".1");
        std::fs::write(&path, page(command, about)?)
            .map_err(|error| refused("write", &path, error))?;
    }
    Ok(())
}

/// What the page is called: `rootlet`, or `rootlet-run`.
fn name(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    name.to_string()
}

/// The page about `about`, which is `command` or one of its verbs, in roff.
fn page(command: &Command, about: &Command) -> Result<String> {
    let wrong = |error: io::Error| Error::setup("write a manual page", error);
    let version = command.get_version().unwrap_or_default();
    let words = about
        .clone()
        .after_help(None::<&str>)
        .subcommand_help_heading("VERBS")
        .mut_args(with_values);
    let man = Man::new(words)
        .title(name(about).to_uppercase())
        // An empty one would be left out, and what follows taken for the date.
        .date(" ")
        .source(format!("rootlet {version}"))
        .manual("User Commands");
    let mut page = Vec::new();
    man.render(&mut page).map_err(wrong)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if let Some(examples) = about.get_after_help() {
        page += &shown(&examples.to_string());
    }
    let is_verb = name(about) != name(command);
    if !is_verb || about.get_positionals().any(Arg::is_trailing_var_arg_set) {
        page += EXIT_STATUS;
    }
    if is_verb {
        page += SEE_ALSO;
    }
    Ok(ascii(&page))
}

/// The option with the words that its value may be at the end of its help; clap_mangen gives each a paragraph.
fn with_values(option: Arg) -> Arg {
    let values = option.get_possible_values();
    let help = option.get_help().map(ToString::to_string);
    if values.is_empty() || !option.get_action().takes_values() {
        return option;
    }
    let words: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    let help = format!("{} [{}]", help.unwrap_or_default(), words.join(", "));
    option.help(help).hide_possible_values(true)
}

/// Examples as they stand in the help: a heading, and lines that stay as they are.
fn shown(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(' '));
    let mut section = String::from(".SH EXAMPLES\n.nf\n");
    for line in lines {
        // The two blanks keep a dot from the beginning of the line.
        section += &line.replace('\\', "\\e").replace('-', "\\-");
        section.push('\n');
    }
    section + ".fi\n"
}

const EXIT_STATUS: &str = ".SH EXIT STATUS
Where a command is run, that of the command, or 128 and the number of the signal that ended it; and these:
.TP
124
the time limit was over
.TP
125
rootlet itself failed
.TP
126
the command was found, but cannot be executed
.TP
127
the command was not found
";

const SEE_ALSO: &str = ".SH SEE ALSO
\\fBrootlet\\fR(1)
";

/// The page without letters that not every terminal and reader has.
fn ascii(page: &str) -> String {
    let mut text = String::new();
    for letter in page.replace('…', "...").chars() {
        match letter.is_ascii() {
            true => text.push(letter),
            false => {
                let _ = write!(text, "\\[u{:04X}]", u32::from(letter));
            }
        }
    }
    text
}
