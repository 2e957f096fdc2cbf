//! The flags of `rootlet run`, in the words that docker and podman have for the same things.

use super::spec_file;
use crate::error::Result;
use crate::spec::{IdRange, Mount, Net, Share, Spec, Tty, User, parse_duration};
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser};
use clap::{ArgMatches, Args, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What can be said about a container.
#[derive(Args, Debug)]
pub struct SpecFlags {
    /// Who you are inside: root, keep (your own ids), or UID[:GID]; the GID is the UID's number when not given
    #[arg(
        short,
        long,
        allow_hyphen_values = true,
        value_name = "USER",
        help_heading = "Identity"
    )]
    user: Option<User>,
    /// Map COUNT user ids from OUT outside to IN inside (repeatable; more than your own id needs privileges)
    #[arg(long, value_name = "IN:OUT:COUNT", help_heading = "Identity")]
    uidmap: Vec<IdRange>,
    /// Map COUNT group ids from OUT outside to IN inside (repeatable)
    #[arg(long, value_name = "IN:OUT:COUNT", help_heading = "Identity")]
    gidmap: Vec<IdRange>,
    /// Let set-user-id programs and file capabilities inside give privileges
    #[arg(long, help_heading = "Identity")]
    allow_new_privs: bool,

    /// The network: the host's, or none but a loopback device of its own
    #[arg(
        long,
        value_enum,
        alias = "network",
        value_name = "NET",
        help_heading = "Namespaces"
    )]
    net: Option<NetWord>,
    /// Keep the host's namespaces of these kinds
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Namespaces"
    )]
    share: Vec<ShareWord>,
    /// Add SECS to the boot-time clock (uptime) inside, in a time namespace
    #[arg(
        long,
        value_name = "SECS",
        allow_negative_numbers = true,
        help_heading = "Namespaces"
    )]
    boottime: Option<i64>,
    /// Add SECS to the monotonic clock inside, in a time namespace
    #[arg(
        long,
        value_name = "SECS",
        allow_negative_numbers = true,
        help_heading = "Namespaces"
    )]
    monotonic: Option<i64>,
    /// The host name inside
    #[arg(long, value_name = "NAME", help_heading = "Namespaces")]
    hostname: Option<OsString>,

    /// Bind the host's SRC, with every mount below it, at DST inside (repeatable)
    #[arg(short = 'v', long = "volume", value_name = "SRC[:DST][:ro]", value_parser = volume(), help_heading = "Files")]
    volume: Vec<Mount>,
    /// Mount an empty directory in memory at DST (repeatable)
    #[arg(long, value_name = "DST[:size=N,mode=M]", value_parser = tmpfs(), help_heading = "Files")]
    tmpfs: Vec<Mount>,
    /// Make the root tree read-only, with every mount below it; volumes and tmpfs stay writable
    #[arg(long, help_heading = "Files")]
    read_only: bool,
    /// Use DIR as the root, with a minimal /dev of its own
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    rootfs: Option<PathBuf>,
    /// Start in DIR inside
    #[arg(short, long, value_name = "DIR", help_heading = "Files")]
    workdir: Option<PathBuf>,

    /// Set an environment variable, or take the caller's (repeatable)
    #[arg(short, long, value_name = "K[=V]", help_heading = "Process")]
    env: Vec<OsString>,
    /// Read environment variables from FILE, a line each (repeatable)
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    env_file: Vec<PathBuf>,
    /// Start from an empty environment
    #[arg(long, help_heading = "Process")]
    clear_env: bool,
    /// Pass descriptor N on to the command (repeatable)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), help_heading = "Process")]
    pass_fd: Vec<i32>,
    /// Make the command itself process 1, without rootlet's init
    #[arg(long, help_heading = "Process")]
    no_init: bool,
    /// Give the command a terminal of its own: auto does when stdin and stdout are terminals
    #[arg(short, long, value_enum, value_name = "WHEN", help_heading = "Process")]
    tty: Option<TtyWord>,
    /// End the command after this time (30s, 1h30m, …) with exit status 124
    #[arg(long, allow_hyphen_values = true, value_name = "DURATION", value_parser = parse_duration, help_heading = "Process")]
    timeout: Option<Duration>,
    /// Fail where rootlet would otherwise step down and say so
    #[arg(long, help_heading = "Process")]
    strict: bool,

    /// Read the spec from FILE (TOML; - is stdin); flags add to it
    #[arg(long, value_name = "FILE", help_heading = "Spec")]
    spec: Option<PathBuf>,

    /// The command and its arguments [default: $SHELL, else /bin/sh]
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NetWord {
    Host,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShareWord {
    Pid,
    Ipc,
    Uts,
    Cgroup,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TtyWord {
    Auto,
    Always,
    Never,
}

impl SpecFlags {
    /// The spec that the flags mean: the spec file's, if there is one, and what the flags add to it. `matches` are those
    /// that these flags were read from; they know the order of what has different names.
    ///
    /// # Errors
    /// When a file cannot be read or understood.
    pub fn into_spec(self, matches: &ArgMatches) -> Result<Spec> {
        let mut spec = match &self.spec {
            Some(path) => spec_file::read(path)?,
            None => Spec::default(),
        };
        spec.mounts.extend(in_order(
            matches,
            [("volume", self.volume), ("tmpfs", self.tmpfs)],
        ));
        let files = self
            .env_file
            .iter()
            .map(|path| spec_file::read_env(path))
            .collect::<Result<Vec<_>>>()?;
        let single = self.env.into_iter().map(|change| vec![change]).collect();
        spec.env.extend(
            in_order(matches, [("env", single), ("env_file", files)])
                .into_iter()
                .flatten(),
        );

        replace(&mut spec.user, self.user);
        replace_list(&mut spec.uid_map, self.uidmap);
        replace_list(&mut spec.gid_map, self.gidmap);
        replace(
            &mut spec.net,
            self.net.map(|word| match word {
                NetWord::Host => Net::Host,
                NetWord::None => Net::None,
            }),
        );
        for word in self.share {
            let share = match word {
                ShareWord::Pid => Share::Pid,
                ShareWord::Ipc => Share::Ipc,
                ShareWord::Uts => Share::Uts,
                ShareWord::Cgroup => Share::Cgroup,
            };
            if !spec.shares(share) {
                spec.share.push(share);
            }
        }
        replace(
            &mut spec.tty,
            self.tty.map(|word| match word {
                TtyWord::Auto => Tty::Auto,
                TtyWord::Always => Tty::Always,
                TtyWord::Never => Tty::Never,
            }),
        );
        replace_some(&mut spec.boottime, self.boottime);
        replace_some(&mut spec.monotonic, self.monotonic);
        replace_some(&mut spec.hostname, self.hostname);
        replace_some(&mut spec.rootfs, self.rootfs);
        replace_some(&mut spec.workdir, self.workdir);
        replace_some(&mut spec.timeout, self.timeout);
        replace_list(&mut spec.command, self.command);
        spec.pass_fds.extend(self.pass_fd);
        spec.init &= !self.no_init;
        spec.read_only |= self.read_only;
        spec.clear_env |= self.clear_env;
        spec.allow_new_privs |= self.allow_new_privs;
        spec.strict |= self.strict;
        Ok(spec)
    }
}

/// The values of options with different names, in the order in which they stand on the command line.
fn in_order<T>(matches: &ArgMatches, options: [(&str, Vec<T>); 2]) -> Vec<T> {
    let mut values: Vec<(usize, T)> = Vec::new();
    for (name, list) in options {
        values.extend(matches.indices_of(name).into_iter().flatten().zip(list));
    }
    values.sort_by_key(|(index, _)| *index);
    values.into_iter().map(|(_, value)| value).collect()
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn replace_some<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

fn replace_list<T>(place: &mut Vec<T>, value: Vec<T>) {
    if !value.is_empty() {
        *place = value;
    }
}

fn volume() -> ValueParser {
    from_bytes(Mount::parse_volume)
}

fn tmpfs() -> ValueParser {
    from_bytes(Mount::parse_tmpfs)
}

fn from_bytes(parse: fn(&OsStr) -> Result<Mount>) -> ValueParser {
    ValueParser::new(OsStringValueParser::new().try_map(move |text| parse(&text)))
}
