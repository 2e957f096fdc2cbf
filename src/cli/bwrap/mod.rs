//! `rootlet bwrap`, and rootlet under the name `bwrap`: bubblewrap's command line, its messages and its statuses.

mod end;
mod status;
mod words;

use clap::{Arg, ArgAction, Command};
use end::ParentWatch;
use rootlet::error::{Error, Subject};
use rootlet::front::bwrap::{
    Asked, BwrapOption, Caller, Launch, OPTIONS, Reader, Refusal, VERSION, usage,
};
use rootlet::parent;
use rootlet::{Facts, Outcome, Plan, sys};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::process::{Pid, getppid};
use status::Status;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The status of everything that is bubblewrap's own failure.
const FAILED: u8 = 1;

/// Severities of syslog(3), for `--level-prefix`.
const ERROR: u8 = 3;
const WARNING: u8 = 4;

/// Whether this program was started under the name `bwrap`. Who executes itself again by its name in /proc has no other name
/// than that of its file.
pub fn is_meant(program: &OsStr) -> bool {
    let is_bwrap = |path: &Path| path.file_name() == Some(OsStr::new("bwrap"));
    let program = Path::new(program);
    is_bwrap(program)
        || (program == Path::new("/proc/self/exe")
            && std::env::current_exe().is_ok_and(|path| is_bwrap(&path)))
}

/// The options for clap, which never reads them: for the manual page, and for completion.
pub fn command(command: Command) -> Command {
    let argument = |option: &'static BwrapOption| {
        let argument = Arg::new(option.name)
            .long(option.name.trim_start_matches('-'))
            .help(option.help);
        match option.words {
            [] => argument.action(ArgAction::SetTrue),
            words => argument
                .action(ArgAction::Append)
                .num_args(words.len())
                .value_names(words),
        }
    };
    command
        .disable_help_flag(true)
        .override_usage("rootlet bwrap [OPTIONS] [--] COMMAND [ARG]...")
        .args(OPTIONS.iter().map(argument))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .help("The command and its arguments")
                .action(ArgAction::Append)
                .trailing_var_arg(true),
        )
}

/// Does what the words after `program` ask for, and returns the exit status.
pub fn main(program: &OsStr, words: &[OsString]) -> anyhow::Result<u8> {
    // Before anything takes its time: whoever that is now is the one whose end is meant.
    let parent = getppid();
    let caller = caller();
    let mut reader = Reader::default();
    let asked = reader.read(words, &caller, &mut read_arguments);
    for (prefixed, words) in &reader.warnings {
        say_at(*prefixed, WARNING, words);
    }
    let failed = |words: &str| {
        say_at(reader.level_prefix, ERROR, words);
        Ok(FAILED)
    };
    let launch = match asked {
        Ok(Asked::Help) => return print(&usage(&program.to_string_lossy())),
        Ok(Asked::Version) => return print(&format!("{VERSION}\n")),
        Ok(Asked::Launch(launch)) => launch,
        Err(Refusal::Words(words)) => return failed(&words),
        Err(Refusal::Usage) => {
            let _ = std::io::stderr().write_all(usage(&program.to_string_lossy()).as_bytes());
            return Ok(FAILED);
        }
    };
    match carry_out(&launch, parent) {
        Ok(status) => Ok(status),
        Err(error) => {
            let status = failed(&error.words);
            if let Some(hint) = error.hint {
                say!("hint: {hint}");
            }
            status
        }
    }
}

/// Why there is no container, in words that callers know.
struct Failure {
    words: String,
    hint: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            words: words::of_error(&error),
            hint: words::hint(error),
        }
    }
}

fn carry_out(launch: &Launch, parent: Option<Pid>) -> Result<u8, Failure> {
    // Whoever ignores it would not learn how its children end, and bubblewrap's commands do not ignore it either.
    sys::set_signal_disposition(libc::SIGCHLD, libc::SIG_DFL)
        .map_err(|errno| Error::setup("set what SIGCHLD does", errno))?;
    let mut parent = match launch.die_with_parent {
        true => ParentWatch::of(parent)?,
        false => ParentWatch::default(),
    };
    let facts = Facts::gather(&launch.spec)?;
    let plan = Plan::new(&launch.spec, &facts)?;
    let mut status = Status::open(launch)?;
    let outcome = parent::serve(&plan, false, &mut status, &mut parent);
    // Bubblewrap's first process has nothing to tell, and its end is the command's.
    let outcome = outcome.or_else(|error| match error.subject.as_deref() {
        Some(Subject::KilledInit(signal)) => Ok(Outcome::Killed(*signal)),
        _ => Err(error),
    });
    match outcome {
        Ok(outcome) => {
            status.ended(outcome.exit_status());
            // What was typed at the terminal was meant for this process too, and for whoever waits for it.
            if let Outcome::Killed(signal @ (libc::SIGINT | libc::SIGQUIT)) = outcome
                && parent.interrupted
            {
                parent::die_of(signal);
            }
            Ok(outcome.exit_status())
        }
        Err(error) => Err(Failure {
            words: words::of_failure(&plan, &launch.spec, &status, &error),
            hint: words::hint(error),
        }),
    }
}

/// A message, as bubblewrap writes them.
fn say_at(prefixed: bool, severity: u8, words: &str) {
    match prefixed {
        true => say!("<{severity}>bwrap: {words}"),
        false => say!("bwrap: {words}"),
    }
}

fn print(text: &str) -> anyhow::Result<u8> {
    super::written(std::io::stdout().write_all(text.as_bytes()))
}

/// What a descriptor has. It is closed then.
fn read_arguments(fd: i32) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(sys::duplicate(fd)?).read_to_end(&mut bytes)?;
    if fd > 2 {
        sys::close(fd);
    }
    Ok(bytes)
}

fn caller() -> Caller {
    let uid = rustix::process::getuid().as_raw();
    let maps = match uid {
        0 => ["uid_map", "gid_map"].map(id_map),
        _ => Default::default(),
    };
    Caller {
        uid,
        gid: rustix::process::getgid().as_raw(),
        maps,
        home: std::env::var_os("HOME"),
        cwd: std::env::var_os("PWD")
            .map(PathBuf::from)
            .filter(|path| is_here(path))
            .or_else(|| std::env::current_dir().ok()),
        takes_trees: sys::probe::takes_trees(),
        terminal: terminal_of(rustix::stdio::stdout()),
    }
}

/// Whether this is a name of the working directory, as getcwd(3)'s relative get_current_dir_name asks.
fn is_here(path: &Path) -> bool {
    let same = || {
        let (named, here) = (path.metadata()?, Path::new(".").metadata()?);
        Ok::<bool, std::io::Error>(named.dev() == here.dev() && named.ino() == here.ino())
    };
    path.is_absolute() && same().unwrap_or(false)
}

/// The lines of a map of this process's own ids.
fn id_map(name: &str) -> Vec<rootlet::spec::IdRange> {
    let text = std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let range = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(":").parse().ok()
    };
    text.lines().filter_map(range).collect()
}

/// The name of the terminal that `fd` is.
fn terminal_of(fd: BorrowedFd<'_>) -> Option<PathBuf> {
    if !rustix::termios::isatty(fd) {
        return None;
    }
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let name = std::fs::read_link(link).ok()?;
    name.as_os_str()
        .as_bytes()
        .starts_with(b"/dev/")
        .then_some(name)
}
