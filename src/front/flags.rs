//! The options of `rootlet run`, in the words that docker and podman have for the same things.
//!
//! [`FLAGS`] is all that is known of them: [`super::line`] reads a command line by it, and the program makes its help
//! and its usage errors from it.

use super::request::Request;
use super::spec_file;
use crate::error::{Error, Result};
use crate::spec::{Capability, IdRange, Mount, Root, Seccomp, User, parse_duration};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, PathBuf};
use std::str::FromStr;

/// An option.
#[derive(Debug)]
pub struct Flag {
    /// Its name, which follows `--`.
    pub long: &'static str,
    /// Another name, for those who know it from another tool; help does not tell of it.
    pub alias: Option<&'static str>,
    /// Its letter, which follows `-`.
    pub short: Option<char>,
    /// What value it takes.
    pub value: Value,
    /// Whether it may be given more than once.
    pub repeatable: bool,
    /// The heading that it stands under in help.
    pub heading: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Writes what a value means; a switch has an empty one.
    pub(super) set: fn(&mut Request, &OsStr) -> Result<()>,
}

/// What value an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// None: it is a switch.
    None,
    /// Any word.
    Any {
        /// What help calls it.
        name: &'static str,
        /// Whether it may start with `-` where it stands in a word of its own.
        hyphen: bool,
    },
    /// One of some words.
    OneOf {
        /// What help calls it.
        name: &'static str,
        /// The words.
        words: &'static [&'static str],
        /// Whether there may be several, with commas between them.
        list: bool,
    },
    /// After `=` one of some words; without `=` the first of them is meant.
    Optional {
        /// What help calls it.
        name: &'static str,
        /// The words.
        words: &'static [&'static str],
    },
}

/// The heading of the options that `rootlet try` has alone.
const TRY: &str = "Try";

/// The verbs that start a command, by the options that they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verb {
    /// `rootlet run` and `sandbox`.
    #[default]
    Run,
    /// `rootlet try`.
    Try,
    /// `rootlet exec` and `enter`: the container is there already, and what it is.
    Exec,
}

/// Every option of `rootlet run`, `sandbox` and `try`, in the order of its help.
#[rustfmt::skip] // one option looks like the other
pub static FLAGS: &[Flag] = &[
    Flag::new("Identity", "user",
        "Who you are inside: root, keep (your own ids), or UID[:GID]; the GID is the UID's number when not given",
        |to, value| put(&mut to.spec.user, parsed::<User>(value)))
        .short('u').takes_hyphen("USER"),
    Flag::new("Identity", "uidmap",
        "Map COUNT user ids from OUT outside to IN inside (repeatable; more than your own id needs privileges)",
        |to, value| add(&mut to.spec.uid_map, parsed::<IdRange>(value)))
        .takes("IN:OUT:COUNT").repeatable(),
    Flag::new("Identity", "gidmap", "Map COUNT group ids from OUT outside to IN inside (repeatable)",
        |to, value| add(&mut to.spec.gid_map, parsed::<IdRange>(value)))
        .takes("IN:OUT:COUNT").repeatable(),
    Flag::new("Identity", "allow-new-privs", "Let set-user-id programs and file capabilities inside give privileges",
        |to, _| put(&mut to.spec.allow_new_privs, Ok(true))),
    Flag::new("Identity", "cap-add", "Let the command have this capability too; ALL is every one (repeatable)",
        |to, value| add_once(&mut to.spec.cap_add, parsed::<Capability>(value)))
        .takes("NAME").repeatable(),
    Flag::new("Identity", "cap-drop", "Take this capability from the command; ALL is every one (repeatable)",
        |to, value| add_once(&mut to.spec.cap_drop, parsed::<Capability>(value)))
        .takes("NAME").repeatable(),

    Flag::new("Confinement", "seccomp", "The filter of system calls: a built-in one, none, or one from FILE (docker's JSON, or TOML)",
        |to, value| put(&mut to.spec.seccomp, path("seccomp", value).map(Seccomp::from)))
        .takes("default|sandbox|strict|none|FILE"),
    Flag::new("Confinement", "seccomp-trace", "Tell at the end which system calls the filter refused, and the rules that would allow them",
        |to, _| put(&mut to.seccomp_trace, Ok(true))),

    Flag::new("Namespaces", "no-namespaces", "Make no namespaces: only restrict files, by Landlock and a system call filter; works in a Docker container",
        |to, _| put(&mut to.spec.namespaces, Ok(false))),
    Flag::new("Namespaces", "net", "The network: the host's, or none but a loopback device of its own",
        |to, value| put(&mut to.spec.net, word(value)))
        .alias("network").one_of("NET", &["host", "none"]),
    Flag::new("Namespaces", "abstract-sockets", "Whether the host's abstract unix sockets can be reached with the host's network",
        |to, value| put(&mut to.spec.abstract_sockets, word(value)))
        .one_of("SOCKETS", &["host", "none"]),
    Flag::new("Namespaces", "share", "Keep the host's namespaces of these kinds",
        |to, value| add_once(&mut to.spec.share, word(value)))
        .list_of("LIST", &["pid", "ipc", "uts", "cgroup"]).repeatable(),
    Flag::new("Namespaces", "boottime", "Add SECS to the boot-time clock (uptime) inside, in a time namespace",
        |to, value| put(&mut to.spec.boottime, seconds(value).map(Some)))
        .takes_hyphen("SECS"),
    Flag::new("Namespaces", "monotonic", "Add SECS to the monotonic clock inside, in a time namespace",
        |to, value| put(&mut to.spec.monotonic, seconds(value).map(Some)))
        .takes_hyphen("SECS"),
    Flag::new("Namespaces", "hostname", "The host name inside",
        |to, value| put(&mut to.spec.hostname, Ok(Some(value.into()))))
        .takes("NAME"),

    Flag::new("Files", "volume", "Bind the host's SRC, with every mount below it, at DST inside (repeatable)",
        |to, value| add(&mut to.spec.mounts, Mount::parse_volume(value)))
        .short('v').takes("SRC[:DST][:ro][,optional|,create]").repeatable(),
    Flag::new("Files", "mount", "Add a view in docker's form: type=bind|tmpfs|overlay|file|mask|symlink|proc|..., source=, target= (repeatable)",
        |to, value| add(&mut to.spec.mounts, Mount::parse_mount(value)))
        .takes("TYPE,KEY=VALUE,...").repeatable(),
    Flag::new("Files", "tmpfs", "Mount an empty directory in memory at DST (repeatable)",
        |to, value| add(&mut to.spec.mounts, Mount::parse_tmpfs(value)))
        .takes("DST[:size=N,mode=M]").repeatable(),
    Flag::new("Files", "overlay", "Show LOWER at DST; what is written goes to DIR, or to memory and is lost (repeatable)",
        |to, value| add(&mut to.spec.mounts, Mount::parse_overlay(value)))
        .takes("LOWER[:LOWER...],DST[,upper=DIR]").repeatable(),
    Flag::new("Files", "file", "Make a file that exists only inside, from a path, - (stdin) or @FD (repeatable)",
        |to, value| add(&mut to.spec.mounts, Mount::parse_file(value)))
        .takes("DST[:MODE]=SRC").repeatable(),
    Flag::new("Files", "write", "Show the host's PATH where it is there, and let it be written (repeatable)",
        |to, value| add(&mut to.spec.mounts, path("write", value).map(|path| Mount::same(&path, false))))
        .takes("PATH").repeatable(),
    Flag::new("Files", "read", "Show the host's PATH where it is there, read-only (repeatable)",
        |to, value| add(&mut to.spec.mounts, path("read", value).map(|path| Mount::same(&path, true))))
        .takes("PATH").repeatable(),
    Flag::new("Files", "mask", "Hide a file or directory, also --hide: it is empty inside; no error where nothing is (repeatable)",
        |to, value| add(&mut to.spec.mounts, path("mask", value).map(|target| Mount::Mask { target })))
        .alias("hide").takes("PATH").repeatable(),
    Flag::new("Files", "hide-env", "Hide .env files of the working directory",
        |to, _| put(&mut to.hide_env, Ok(true))),
    Flag::new("Files", "device", "Show the host's device PATH in a /dev of the container's own (repeatable)",
        |to, value| add(&mut to.spec.mounts, device(value).map(|path| Mount::same(&path, false))))
        .takes("PATH").repeatable(),
    Flag::new("Files", "root", "The root: the host's, the host's read-only, an empty one in memory, or DIR",
        |to, value| {
            let root = path("root", value)?;
            to.spec.read_only |= root.as_os_str() == "ro";
            put(&mut to.spec.root, Ok(if root.as_os_str() == "ro" { Root::Host } else { Root::from(root) }))
        })
        .takes("host|ro|empty|DIR"),
    Flag::new("Files", "read-only",
        "Make the root tree read-only, with every mount below it; views stay writable",
        |to, _| put(&mut to.spec.read_only, Ok(true))),
    Flag::new("Files", "landlock", "A second layer beneath the view of files, where the kernel has it: nothing can be mounted inside then",
        |to, value| put(&mut to.spec.landlock, word(value)))
        .one_of("WHEN", &["none", "auto"]),
    Flag::new("Files", "rootfs", "Use DIR as the root, with a minimal /dev of its own",
        |to, value| put(&mut to.spec.root, path("rootfs", value).map(Root::Directory)))
        .takes("DIR"),
    Flag::new("Files", "proc", "What is at /proc: the host's, one of the container's own with all of it, or nothing",
        |to, value| put(&mut to.spec.proc, word(value).map(Some)))
        .one_of("PROC", &["host", "fresh", "none"]),
    Flag::new("Files", "workdir", "Start in DIR inside",
        |to, value| put(&mut to.spec.workdir, path("workdir", value).map(Some)))
        .short('w').takes("DIR"),

    Flag::new("Process", "env", "Set an environment variable, or take the caller's (repeatable)",
        |to, value| add(&mut to.spec.env, Ok(value.into())))
        .short('e').takes("K[=V]").repeatable(),
    Flag::new("Process", "env-file", "Read environment variables from FILE, a line each (repeatable)",
        |to, value| {
            to.spec.env.extend(spec_file::read_env(&path("env file", value)?)?);
            Ok(())
        })
        .takes("FILE").repeatable(),
    Flag::new("Process", "clear-env", "Start from an empty environment",
        |to, _| put(&mut to.spec.clear_env, Ok(true))),
    Flag::new("Process", "pass-fd", "Pass descriptor N on to the command (repeatable)",
        |to, value| add(&mut to.spec.pass_fds, descriptor(value)))
        .takes_hyphen("N").repeatable(),
    Flag::new("Process", "no-init", "Make the command itself process 1, without rootlet's init",
        |to, _| put(&mut to.spec.init, Ok(false))),
    Flag::new("Process", "tty", "Give the command a terminal of its own: auto does when stdin and stdout are terminals",
        |to, value| put(&mut to.spec.tty, word(value)))
        .short('t').one_of("WHEN", &["auto", "always", "never"]),
    Flag::new("Process", "stdio", "Standard input, output and error: the caller's own, or pipes between, where they are no terminals",
        |to, value| put(&mut to.spec.stdio, word(value)))
        .one_of("STDIO", &["inherit", "pipe"]),
    Flag::new("Process", "timeout", "End the command after this time (30s, 1h30m, …) with exit status 124",
        |to, value| put(&mut to.spec.timeout, text(value).and_then(parse_duration).map(Some)))
        .takes_hyphen("DURATION"),
    Flag::new("Process", "strict", "Fail where rootlet would otherwise step down and say so",
        |to, _| put(&mut to.spec.strict, Ok(true))),
    Flag::new("Process", "require", "Fail where rootlet would otherwise step down from one of these",
        |to, value| add_once(&mut to.spec.require, word(value)))
        .list_of("LIST", &["proc", "sys", "abstract-sockets", "keyring", "overlay", "clone3", "open-tree", "mount-setattr", "close-range"])
        .repeatable(),
    Flag::new("Process", "optional", "Go on without these where the host refuses them, and say so",
        |to, value| add_once(&mut to.spec.optional, word(value)))
        .list_of("LIST", &["ids", "ipc", "uts", "cgroup", "time", "attributes"]).repeatable(),

    Flag::new("Container", "name", "What the container is called in `rootlet ps`, exec, stop, … [default: two words]",
        |to, value| put(&mut to.name, parsed(value).map(Some)))
        .takes("NAME"),
    Flag::new("Container", "detach", "Print the name and return when the command runs; its output goes to `rootlet logs`",
        |to, _| put(&mut to.detach, Ok(true)))
        .short('d'),
    Flag::new("Container", "rm", "Leave nothing of the container when it has ended; without --detach it never does",
        |to, _| put(&mut to.rm, Ok(true))),
    Flag::new("Container", "label", "Note K=V with the container, for `rootlet ps --filter` and inspect (repeatable)",
        |to, value| label(&mut to.labels, value))
        .takes("K=V").repeatable(),
    Flag::new("Container", "restart", "Start the command again when it fails, at most N times in a row",
        |to, value| put(&mut to.restart, parsed(value)))
        .takes("no|on-failure[:N]"),
    Flag::new("Container", "log-size", "Bytes of each of the two files of a detached container's log [default: 8m]",
        |to, value| put(&mut to.log_size, parsed(value).map(Some)))
        .takes("SIZE"),

    Flag::new("Limits", "memory", "How much memory the container may have: 512m, 1.5g, …",
        |to, value| put(&mut to.spec.limits.memory, parsed(value).map(Some)))
        .short('m').takes_hyphen("SIZE"),
    Flag::new("Limits", "memory-swap", "How much memory and swap together; -1 is as much swap as there is",
        |to, value| put(&mut to.spec.limits.memory_swap, parsed(value).map(Some)))
        .takes_hyphen("SIZE"),
    Flag::new("Limits", "cpus", "How many processors' worth of time the container may have, such as 0.5",
        |to, value| put(&mut to.spec.limits.cpus, parsed(value).map(Some)))
        .takes_hyphen("N"),
    Flag::new("Limits", "pids-limit", "How many processes and threads the container may have; -1 is no limit",
        |to, value| put(&mut to.spec.limits.pids, pids(value)))
        .takes_hyphen("N"),
    Flag::new("Limits", "io-weight", "The container's share of a busy disk, from 1 to 10000; 100 is that of others",
        |to, value| put(&mut to.spec.limits.io_weight, number("io weight", value).map(Some)))
        .takes_hyphen("N"),
    Flag::new("Limits", "limits", "Where there is no control group for these: fail, go on without, or limit each process",
        |to, value| put(&mut to.spec.limits.when_refused, word(value)))
        .one_of("WHEN", &["must", "try", "rlimit"]),
    Flag::new("Limits", "ulimit", "Limit each process, in the words of `ulimit`: nofile, nproc, core, … (repeatable)",
        |to, value| add(&mut to.spec.ulimits, parsed(value)))
        .takes("NAME=SOFT[:HARD]").repeatable(),
    Flag::new("Limits", "oom-score-adj", "How willingly the kernel ends the container for want of memory, -1000 to 1000",
        |to, value| put(&mut to.spec.oom_score_adj, number("oom score", value).map(Some)))
        .takes_hyphen("N"),
    Flag::new("Limits", "nice", "The nice value, from -20 to 19: how willingly it leaves the processors to others",
        |to, value| put(&mut to.spec.nice, number("nice value", value).map(Some)))
        .takes_hyphen("N"),

    Flag::new("Spec", "spec", "Read the spec from FILE (TOML; - is stdin); flags add to it",
        |to, value| to.add_spec(&path("spec file", value)?))
        .takes("FILE"),
    Flag::new("Spec", "profile", "Read the spec from the profile NAME, or from a file if there is a / in it; flags add to it",
        |to, value| to.add_spec(&spec_file::profile(&path("profile", value)?)?))
        .takes("NAME"),
    Flag::new("Spec", "print-spec", "Print the spec as TOML, which --spec reads, and exit",
        |to, _| put(&mut to.print_spec, Ok(true))),

    Flag::new(TRY, "keep", "Leave the changes in DIR, a new directory, and ask nothing",
        |to, value| put(&mut to.keep, path("keep", value).map(Some)))
        .takes("DIR"),
    Flag::new(TRY, "json", "List the changes as JSON",
        |to, _| put(&mut to.json, Ok(true))),

    Flag::new("Reports", "explain", "Print what would be done, step by step, and exit; json is for machines",
        |to, value| put(&mut to.explain, word(value).map(Some)))
        .optional("FORMAT", &["text", "json"]),
    Flag::new("Reports", "trace", "Print each step when it is done, with its time",
        |to, _| put(&mut to.trace, Ok(true))),
    Flag::new("Reports", "status-fd", "Write the container's start and end as JSON lines to descriptor N",
        |to, value| put(&mut to.status_fd, descriptor(value).map(Some)))
        .takes_hyphen("N"),
];

impl Flag {
    /// Whether a verb has this option.
    pub fn is_of(&self, verb: Verb) -> bool {
        match verb {
            Verb::Run => self.heading != TRY,
            Verb::Try => true,
            Verb::Exec => ["user", "env", "env-file", "workdir", "tty"].contains(&self.long),
        }
    }

    const fn new(
        heading: &'static str,
        long: &'static str,
        help: &'static str,
        set: fn(&mut Request, &OsStr) -> Result<()>,
    ) -> Self {
        Flag {
            long,
            alias: None,
            short: None,
            value: Value::None,
            repeatable: false,
            heading,
            help,
            set,
        }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Flag {
            alias: Some(alias),
            ..self
        }
    }

    const fn short(self, short: char) -> Self {
        Flag {
            short: Some(short),
            ..self
        }
    }

    const fn repeatable(self) -> Self {
        Flag {
            repeatable: true,
            ..self
        }
    }

    const fn takes(self, name: &'static str) -> Self {
        let hyphen = false;
        self.value(Value::Any { name, hyphen })
    }

    /// For values that may be negative, or that say best themselves what is wrong with them.
    const fn takes_hyphen(self, name: &'static str) -> Self {
        let hyphen = true;
        self.value(Value::Any { name, hyphen })
    }

    const fn one_of(self, name: &'static str, words: &'static [&'static str]) -> Self {
        let list = false;
        self.value(Value::OneOf { name, words, list })
    }

    const fn list_of(self, name: &'static str, words: &'static [&'static str]) -> Self {
        let list = true;
        self.value(Value::OneOf { name, words, list })
    }

    const fn optional(self, name: &'static str, words: &'static [&'static str]) -> Self {
        self.value(Value::Optional { name, words })
    }

    const fn value(self, value: Value) -> Self {
        Flag { value, ..self }
    }
}

fn put<T>(place: &mut T, value: Result<T>) -> Result<()> {
    *place = value?;
    Ok(())
}

fn add<T>(list: &mut Vec<T>, value: Result<T>) -> Result<()> {
    list.push(value?);
    Ok(())
}

fn add_once<T: PartialEq>(list: &mut Vec<T>, value: Result<T>) -> Result<()> {
    let value = value?;
    if !list.contains(&value) {
        list.push(value);
    }
    Ok(())
}

fn text(value: &OsStr) -> Result<&str> {
    let wrong = || Error::usage(format!("{value:?} is not UTF-8"));
    value.to_str().ok_or_else(wrong)
}

fn parsed<T: FromStr<Err = Error>>(value: &OsStr) -> Result<T> {
    text(value)?.parse()
}

/// A word that a spec file has for the same thing.
fn word<'a, T: Deserialize<'a>>(value: &'a OsStr) -> Result<T> {
    T::deserialize(text(value)?.into_deserializer())
        .map_err(|error: WordError| Error::usage(error.to_string()))
}

fn path(what: &str, value: &OsStr) -> Result<PathBuf> {
    match value.is_empty() {
        true => Err(Error::usage(format!("{what} {value:?}: the path is empty"))),
        false => Ok(value.into()),
    }
}

/// What is no device is not to be shown, and written to, by a word that says so.
fn device(value: &OsStr) -> Result<PathBuf> {
    let path = path("device", value)?;
    let leads_out = path.components().any(|part| part == Component::ParentDir);
    match path.starts_with("/dev") && !leads_out {
        true => Ok(path),
        false => Err(Error::usage(format!("device {value:?} is not in /dev"))
            .with_hint("-v shows any other file or directory")),
    }
}

fn label(labels: &mut BTreeMap<String, String>, value: &OsStr) -> Result<()> {
    let label = text(value)?;
    let (key, value) = label.split_once('=').unwrap_or((label, ""));
    if key.is_empty() {
        return Err(Error::usage(format!(
            "label {label:?} has no name: expected K=V"
        )));
    }
    labels.insert(key.to_string(), value.to_string());
    Ok(())
}

fn seconds(value: &OsStr) -> Result<i64> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        Error::usage(format!(
            "clock offset {value:?} is not a whole number of seconds"
        ))
    })
}

fn number<T: FromStr>(what: &str, value: &OsStr) -> Result<T> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::usage(format!("{what} {value:?} is not a number that it can be")))
}

/// Docker's -1 is no limit.
fn pids(value: &OsStr) -> Result<Option<u64>> {
    match value == "-1" {
        true => Ok(None),
        false => number("pids limit", value).map(Some),
    }
}

fn descriptor(value: &OsStr) -> Result<i32> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.filter(|&number| number >= 0).ok_or_else(|| {
        Error::usage(format!(
            "descriptor {value:?} is not a number from 0 to {}",
            i32::MAX
        ))
    })
}
