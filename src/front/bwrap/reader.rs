//! Reads the options from left to right.

use super::lowering::{Caller, Operation};
use super::options::{self, BwrapOption};
use super::{Asked, Launch};
use crate::spec::{Capabilities, Capability, Content, Kept, Kernel, Missing, Mount, Without};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Why a line is refused, in the words of bubblewrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What is wrong.
    Words(String),
    /// There is no command: the help says what there should be.
    Usage,
}

fn refused<T>(words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Words(words.into()))
}

/// Mount sizes of bubblewrap end there: half of what a size_t can be.
const MOST_BYTES: u64 = u64::MAX >> 1;

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Reader {
    /// What was said meanwhile, and whether `--level-prefix` had come by then.
    pub warnings: Vec<(bool, String)>,
    /// Whether messages begin with their severity.
    pub level_prefix: bool,
    pub(super) operations: Vec<Operation>,
    pub(super) switches: BTreeSet<&'static str>,
    pub(super) shares_net: bool,
    pub(super) argv0: Option<OsString>,
    pub(super) chdir: Option<PathBuf>,
    pub(super) hostname: Option<OsString>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) environment: Environment,
    pub(super) locks: Vec<PathBuf>,
    pub(super) sync_fd: Option<i32>,
    pub(super) block_fd: Option<i32>,
    pub(super) userns_block_fd: Option<i32>,
    pub(super) info_fd: Option<i32>,
    pub(super) json_status_fd: Option<i32>,
    pub(super) userns: Option<i32>,
    pub(super) userns2: Option<i32>,
    pub(super) pidns: Option<i32>,
    pub(super) seccomp: Option<i32>,
    pub(super) programs: Vec<i32>,
    /// The capabilities that the command is to have.
    pub(super) capabilities: Capabilities,
    /// Whether an option has said something of them.
    pub(super) names_capabilities: bool,
    /// Descriptors that were read to their ends, or will be.
    used: BTreeSet<i32>,
    perms: Option<u32>,
    size: Option<u64>,
    layers: Vec<PathBuf>,
}

/// Changes to the environment, put together.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub clear: bool,
    pub unset: Vec<OsString>,
    pub set: Vec<(OsString, OsString)>,
}

impl Environment {
    fn unset(&mut self, name: &OsStr) {
        self.set.retain(|(known, _)| known != name);
        self.unset.push(name.to_os_string());
    }

    fn set(&mut self, name: &OsStr, value: &OsStr) {
        self.set.retain(|(known, _)| known != name);
        self.set.push((name.to_os_string(), value.to_os_string()));
    }
}

impl Reader {
    /// Reads the words that follow the program's name; `read` gives what a descriptor has up to its end.
    ///
    /// # Errors
    /// What bubblewrap would refuse as well, by the first words that it would say.
    pub fn read(
        &mut self,
        words: &[OsString],
        caller: &Caller,
        read: &mut dyn FnMut(i32) -> io::Result<Vec<u8>>,
    ) -> Result<Asked, Refusal> {
        if words.is_empty() {
            return Err(Refusal::Usage);
        }
        // Who is root keeps what it has, unless it says otherwise.
        if caller.uid == 0 {
            self.capabilities = Capabilities::ALL;
        }
        let command = match self.options(words, Some(read))? {
            Read::Command(command) => command.to_vec(),
            Read::Asked(asked) => return Ok(asked),
        };
        if !self.layers.is_empty() {
            return refused(LAYERS_ALONE);
        }
        self.agree()?;
        if command.is_empty() {
            return Err(Refusal::Usage);
        }
        self.require(caller)?;
        let launch: Launch = self.lower(command, caller);
        Ok(Asked::Launch(Box::new(launch)))
    }

    /// Reads options up to the command. `read` is for `--args`, which words of a file cannot say.
    fn options<'w>(
        &mut self,
        words: &'w [OsString],
        mut read: Option<&mut dyn FnMut(i32) -> io::Result<Vec<u8>>>,
    ) -> Result<Read<'w>, Refusal> {
        let mut rest = words;
        while let [word, after @ ..] = rest {
            match word.as_bytes() {
                b"--" => return Ok(Read::Command(after)),
                [b'-', ..] => {}
                _ => break,
            }
            let Some(option) = options::find(word.as_bytes()) else {
                return refused(format!("Unknown option {}", word.display()));
            };
            match option.name {
                "--help" => return Ok(Read::Asked(Asked::Help)),
                "--version" => return Ok(Read::Asked(Asked::Version)),
                _ => {}
            }
            if option.name == "--args" && read.is_none() {
                return refused("--args not supported in arguments file");
            }
            let Some((values, after)) = after.split_at_checked(option.words.len()) else {
                // Both are one in bubblewrap.
                let name = match option.name {
                    "--ro-bind-fd" => "--bind-fd",
                    name => name,
                };
                return refused(format!("{name} {}", option.missing));
            };
            match (option.name, values, &mut read) {
                ("--args", [fd], Some(read)) => {
                    let words = arguments(descriptor(fd)?, *read)?;
                    if let Read::Asked(asked) = self.options(&words, None)? {
                        return Ok(Read::Asked(asked));
                    }
                }
                _ => self.option(option, values)?,
            }
            self.require_used(option.name)?;
            rest = after;
        }
        Ok(Read::Command(rest))
    }

    /// What `--perms` and the like say is for what comes next.
    fn require_used(&self, name: &str) -> Result<(), Refusal> {
        let modifies = matches!(name, "--perms" | "--size");
        if !modifies && self.perms.is_some() {
            return refused("--perms must be followed by an option that creates a file");
        }
        if !modifies && self.size.is_some() {
            return refused("--size must be followed by --tmpfs");
        }
        if name != "--overlay-src" && !self.layers.is_empty() {
            return refused(LAYERS_ALONE);
        }
        Ok(())
    }

    fn option(&mut self, option: &'static BwrapOption, values: &[OsString]) -> Result<(), Refusal> {
        let name = option.name;
        match values {
            [] => self.switch(name),
            [value] if name.starts_with("--cap-") => self.capability(name, value)?,
            [value] => match name {
                "--perms" => self.set_perms(value)?,
                "--size" => self.set_size(value)?,
                "--uid" | "--gid" => self.id(name, value)?,
                "--overlay-src" => self.layers.push(value.into()),
                "--argv0" | "--chdir" | "--hostname" | "--unsetenv" | "--lock-file"
                | "--exec-label" | "--file-label" => self.word(name, value)?,
                _ if option.words == ["FD"] => self.named_descriptor(name, value)?,
                _ => self.made(name, value)?,
            },
            [first, second] => match name {
                "--setenv" if first.is_empty() || first.as_bytes().contains(&b'=') => {
                    return refused("setenv failed");
                }
                "--setenv" => self.environment.set(first, second),
                "--chmod" => {
                    let mode = octal(first).ok_or(Refusal::Words(
                        "--chmod takes an octal argument <= 07777".into(),
                    ))?;
                    self.lay(Mount::Chmod {
                        target: place(second),
                        mode: octal_word(mode),
                    });
                }
                "--symlink" => self.lay(Mount::Symlink {
                    target: place(second),
                    to: first.into(),
                }),
                "--file" | "--bind-data" | "--ro-bind-data" => self.file(name, first, second)?,
                "--bind-fd" | "--ro-bind-fd" => {
                    let fd = descriptor(first)?;
                    let source = PathBuf::from(format!("/proc/self/fd/{fd}"));
                    self.bind(name, source, second);
                }
                _ => self.bind(name, first.into(), second),
            },
            [upper, work, target, ..] => {
                self.overlay(name, Some((upper.into(), work.into())), target)?;
            }
        }
        Ok(())
    }

    fn switch(&mut self, name: &'static str) {
        match name {
            "--level-prefix" => self.level_prefix = true,
            "--clearenv" => {
                self.environment = Environment {
                    clear: true,
                    ..Environment::default()
                }
            }
            // The last of these counts.
            "--share-net" => self.shares_net = true,
            "--unshare-all" | "--unshare-net" => {
                self.shares_net = false;
                self.switches.insert(name);
            }
            _ => {
                self.switches.insert(name);
            }
        }
    }

    fn word(&mut self, name: &'static str, value: &OsString) -> Result<(), Refusal> {
        match name {
            "--argv0" if self.argv0.is_some() => return refused("--argv0 used multiple times"),
            "--argv0" => self.argv0 = Some(value.clone()),
            "--unsetenv" if value.is_empty() || value.as_bytes().contains(&b'=') => {
                return refused("unsetenv failed");
            }
            "--unsetenv" => self.environment.unset(value),
            "--lock-file" => self.locks.push(value.into()),
            "--chdir" => {
                self.warn_of_last(name, self.chdir.is_some());
                self.chdir = Some(value.into());
            }
            "--hostname" => {
                self.warn_of_last(name, self.hostname.is_some());
                self.hostname = Some(value.clone());
            }
            _ => return refused("labeling not supported on this system"),
        }
        Ok(())
    }

    fn id(&mut self, name: &'static str, value: &OsString) -> Result<(), Refusal> {
        let what = name.trim_start_matches('-');
        let id = number(value)
            .and_then(|id| i32::try_from(id).ok()?.try_into().ok())
            .ok_or(Refusal::Words(format!(
                "Invalid {what}: {}",
                value.display()
            )))?;
        let known = if what == "uid" { self.uid } else { self.gid };
        self.warn_of_last(name, known.is_some());
        match what {
            "uid" => self.uid = Some(id),
            _ => self.gid = Some(id),
        }
        Ok(())
    }

    fn named_descriptor(&mut self, name: &'static str, value: &OsString) -> Result<(), Refusal> {
        match name {
            "--seccomp" if !self.programs.is_empty() => {
                return refused("--seccomp cannot be combined with --add-seccomp-fd");
            }
            "--add-seccomp-fd" if self.seccomp.is_some() => {
                return refused("--add-seccomp-fd cannot be combined with --seccomp");
            }
            _ => {}
        }
        let place = match name {
            "--sync-fd" => &mut self.sync_fd,
            "--block-fd" => &mut self.block_fd,
            "--userns-block-fd" => &mut self.userns_block_fd,
            "--info-fd" => &mut self.info_fd,
            "--json-status-fd" => &mut self.json_status_fd,
            "--userns" => &mut self.userns,
            "--userns2" => &mut self.userns2,
            "--pidns" => &mut self.pidns,
            "--seccomp" => &mut self.seccomp,
            _ => {
                let fd = descriptor(value)?;
                if !self.used.insert(fd) {
                    return refused("Can't read seccomp data: Bad file descriptor");
                }
                self.programs.push(fd);
                return Ok(());
            }
        };
        let known = place.is_some();
        let fd = descriptor(value);
        if let Ok(fd) = fd {
            *place = Some(fd);
        }
        self.warn_of_last(name, known);
        fd.map(drop)
    }

    fn capability(&mut self, name: &str, value: &OsString) -> Result<(), Refusal> {
        let word = value.to_str().map(str::to_ascii_lowercase);
        let word = word.filter(|word| word == "all" || word.starts_with("cap_"));
        let named = match word.and_then(|word| word.parse().ok()) {
            Some(Capability::All) => Capabilities::ALL,
            Some(one) => Capabilities::of(&[one]),
            None => return refused(format!("unknown cap: {}", value.display())),
        };
        self.names_capabilities = true;
        self.capabilities = match name {
            "--cap-add" => self.capabilities.with(named),
            _ => self.capabilities.without(named),
        };
        Ok(())
    }

    fn set_perms(&mut self, value: &OsString) -> Result<(), Refusal> {
        if self.perms.is_some() {
            return refused("--perms given twice for the same action");
        }
        let wrong = Refusal::Words("--perms takes an octal argument <= 07777".into());
        self.perms = Some(octal(value).ok_or(wrong)?);
        Ok(())
    }

    fn set_size(&mut self, value: &OsString) -> Result<(), Refusal> {
        if self.size.is_some() {
            return refused("--size given twice for the same action");
        }
        match bytes(value) {
            None | Some(0) => refused("--size takes a non-zero number of bytes"),
            Some(size) if size > MOST_BYTES => {
                refused(format!("--size (for tmpfs) is limited to {MOST_BYTES}"))
            }
            size => {
                self.size = size;
                Ok(())
            }
        }
    }

    /// What has a destination, and no source.
    fn made(&mut self, name: &'static str, value: &OsString) -> Result<(), Refusal> {
        let target = place(value);
        let mount = match name {
            "--proc" => {
                self.operations.push(Operation::Proc(target));
                return Ok(());
            }
            "--tmp-overlay" | "--ro-overlay" => return self.overlay(name, None, value),
            "--dev" => {
                self.operations.push(Operation::Dev(target));
                return Ok(());
            }
            "--mqueue" => Mount::Kernel {
                kind: Kernel::Mqueue,
                target,
            },
            "--remount-ro" => Mount::Remount {
                target,
                read_only: true,
                without: Without::default(),
                recursive: false,
            },
            "--tmpfs" => Mount::Tmpfs {
                target,
                size: self.size.take().map(|size| size.to_string().into()),
                mode: Some(octal_word(self.perms.take().unwrap_or(0o755))),
            },
            _ => Mount::Directory {
                target,
                mode: Some(octal_word(self.perms.take().unwrap_or(0o755))),
            },
        };
        self.lay(mount);
        Ok(())
    }

    fn file(&mut self, name: &str, fd: &OsString, target: &OsString) -> Result<(), Refusal> {
        let fd = descriptor(fd)?;
        if !self.used.insert(fd) {
            return refused(format!(
                "Can't write data to file {}: Bad file descriptor (descriptor {fd} was read for another option already)",
                target.display()
            ));
        }
        let (mode, kept) = match name {
            "--file" => (0o666, Kept::Written),
            _ => (
                0o600,
                Kept::Mounted {
                    read_only: name == "--ro-bind-data",
                },
            ),
        };
        let mode = self.perms.take().unwrap_or(mode);
        self.lay(Mount::File {
            target: place(target),
            content: Content::Descriptor(fd),
            mode: Some(octal_word(mode)),
            kept,
        });
        Ok(())
    }

    fn bind(&mut self, name: &str, source: PathBuf, target: &OsString) {
        self.lay(Mount::Bind {
            source,
            target: Some(place(target)),
            read_only: name.starts_with("--ro-"),
            without: Without {
                devices: !name.starts_with("--dev-"),
                setuid: true,
            },
            missing: match name.ends_with("-try") {
                true => Missing::Optional,
                false => Missing::Refused,
            },
        });
    }

    fn overlay(
        &mut self,
        name: &str,
        sides: Option<(PathBuf, PathBuf)>,
        target: &OsString,
    ) -> Result<(), Refusal> {
        let (least, words) = match name {
            "--ro-overlay" => (2, "at least two"),
            _ => (1, "at least one"),
        };
        if self.layers.len() < least {
            return refused(format!("{name} requires {words} --overlay-src"));
        }
        let (upper, work) = sides.unzip();
        // The last that was given is the one that is read first.
        let lower = std::mem::take(&mut self.layers).into_iter().rev().collect();
        self.lay(Mount::Overlay {
            lower,
            target: place(target),
            read_only: name == "--ro-overlay",
            upper,
            work,
            optional: false,
            volatile: false,
        });
        Ok(())
    }

    fn lay(&mut self, mount: Mount) {
        self.operations.push(Operation::View(mount));
    }

    fn warn_of_last(&mut self, name: &str, known: bool) {
        if known {
            let words = format!("Only the last {name} option will take effect");
            self.warnings.push((self.level_prefix, words));
        }
    }
}

const LAYERS_ALONE: &str = "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";

/// What comes after the options.
enum Read<'w> {
    Command(&'w [OsString]),
    Asked(Asked),
}

/// The words that a descriptor has, each ended by a NUL; the last need not be.
fn arguments(
    fd: i32,
    read: &mut dyn FnMut(i32) -> io::Result<Vec<u8>>,
) -> Result<Vec<OsString>, Refusal> {
    let mut bytes = read(fd).map_err(|error| {
        Refusal::Words(format!(
            "Can't read --args data: {}",
            super::words_of(&error)
        ))
    })?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    } else if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let words = bytes.split(|&byte| byte == 0);
    Ok(words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect())
}

fn descriptor(value: &OsStr) -> Result<i32, Refusal> {
    number(value)
        .and_then(|number| i32::try_from(number).ok())
        .filter(|fd| *fd >= 0)
        .ok_or(Refusal::Words(format!("Invalid fd: {}", value.display())))
}

/// A number in decimal, as strtol(3) takes it.
fn number(value: &OsStr) -> Option<i64> {
    value.to_str()?.trim_start().parse().ok()
}

fn octal(value: &OsStr) -> Option<u32> {
    let text = value.to_str()?;
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
}

fn octal_word(mode: u32) -> OsString {
    format!("{mode:o}").into()
}

/// A number of bytes: decimal, with 0x hexadecimal, with 0 octal.
fn bytes(value: &OsStr) -> Option<u64> {
    let text = value.to_str()?;
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let hex = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match (hex, text.strip_prefix('0')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// A destination, which starts at the root inside whether or not it says so.
fn place(value: &OsStr) -> PathBuf {
    PathBuf::from("/").join(value).components().collect()
}

#[cfg(test)]
mod tests;
