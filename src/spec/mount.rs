//! What is laid over the root tree: the views of a container.

use super::text;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One thing that is laid over the root tree. Targets are absolute paths inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub enum Mount {
    /// A file or directory of the host, with every mount below it.
    Bind {
        /// Where it is on the host; a relative path starts at the caller's working directory.
        source: PathBuf,
        /// Where it appears inside; none means the same place as on the host.
        target: Option<PathBuf>,
        /// Whether it is read-only, with every mount below it.
        read_only: bool,
        /// What else it has not, with every mount below it.
        without: Without,
        /// What is done when the source is not there.
        missing: Missing,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Where it appears inside.
        target: PathBuf,
        /// The most it holds, as tmpfs(5) takes it: bytes, with `k`, `m`, `g` or `%`. None: half of the memory.
        size: Option<OsString>,
        /// Its permission bits, in octal. None: 1777 for anyone, as /tmp has it.
        mode: Option<OsString>,
    },
    /// Directories of the host seen as one, whose files are never written: what is written goes elsewhere.
    Overlay {
        /// Directories of the host, at least one; a name in the first hides the same name in the next.
        lower: Vec<PathBuf>,
        /// Where they appear inside.
        target: PathBuf,
        /// Whether nothing can be written; there is no `upper` then.
        read_only: bool,
        /// The directory of the host that what is written goes to, and stays in. None: memory, and it vanishes.
        upper: Option<PathBuf>,
        /// An empty directory on the file system of `upper`, in which the kernel prepares its files. None: one beside
        /// `upper`, which is removed at the end.
        work: Option<PathBuf>,
        /// Whether, where the kernel refuses the overlay, the first lower directory is shown read-only in its place, and
        /// that is said.
        optional: bool,
        /// Whether what is written need not outlive a crash of the machine: it is never synchronised, which also is what
        /// the kernel would do with all of the file system at the end. `upper` cannot be mounted again then.
        volatile: bool,
    },
    /// A file that exists only inside.
    File {
        /// Where it appears inside.
        target: PathBuf,
        /// What is in it.
        content: Content,
        /// Its permission bits, in octal. None: 644.
        mode: Option<OsString>,
        /// How it comes to be there.
        kept: Kept,
    },
    /// A directory; one that is there already stays as it is.
    Directory {
        /// Where it appears inside.
        target: PathBuf,
        /// Its permission bits, in octal. None: 755.
        mode: Option<OsString>,
    },
    /// Other permission bits for what is there.
    Chmod {
        /// What is there.
        target: PathBuf,
        /// Its permission bits, in octal.
        mode: OsString,
    },
    /// Takes something from a mount that is there.
    Remount {
        /// The mount point.
        target: PathBuf,
        /// Whether it becomes read-only.
        read_only: bool,
        /// What else is taken from it.
        without: Without,
        /// Whether every mount below it is meant too.
        recursive: bool,
    },
    /// What is there can be read only, where it could be written; where nothing is, nothing is done.
    Seal {
        /// What is there.
        target: PathBuf,
    },
    /// Hides a file or a tree: what is there is an empty file or directory, and cannot be written. Where nothing is,
    /// nothing is done.
    Mask {
        /// What is hidden; a relative path starts at the caller's working directory.
        target: PathBuf,
    },
    /// A symbolic link in a directory that exists only inside.
    Symlink {
        /// Where it appears inside.
        target: PathBuf,
        /// What it points to.
        to: PathBuf,
    },
    /// A file system of the kernel's.
    Kernel {
        /// Which.
        kind: Kernel,
        /// Where it appears inside.
        target: PathBuf,
    },
}

/// What a mount has not, whatever its files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Devices: they cannot be opened.
    pub devices: bool,
    /// Programs that change who one is: their bits have no effect.
    pub setuid: bool,
}

/// How a file that exists only inside comes to be where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// It is made in the directory, where that is in memory; else it is mounted.
    #[default]
    Either,
    /// It is made in the directory, or put in the place of one that is there.
    Written,
    /// It is mounted.
    Mounted {
        /// Whether it is read-only.
        read_only: bool,
    },
}

/// What is done about a source that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    #[default]
    Refused,
    /// The view is left out.
    Optional,
    /// It is made, as a directory.
    Created,
}

/// Where the content of a [`Mount::File`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is this text.
    Text(String),
    /// A file of the host, as it is when the container is started.
    Path(PathBuf),
    /// What the caller's standard input has, up to its end.
    Stdin,
    /// What this descriptor of the caller's has, up to its end.
    Descriptor(i32),
}

/// The kernel's own file systems, which need no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// proc(5) of the container's processes.
    Proc,
    /// A small /dev: null, zero, full, random, urandom, tty, terminals, shm and the links that programs expect.
    Dev,
    /// POSIX message queues (mq_overview(7)).
    Mqueue,
    /// Pseudo-terminals of its own (pts(4)).
    Devpts,
    /// sysfs(5), read-only; it needs a network namespace of its own.
    Sysfs,
}

/// How a [`Mount`] is written in a spec file and in `--mount`: one kind of table for all, so that an unknown key is found
/// at its line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Entry {
    pub r#type: Option<Type>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lower: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_devices: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_setuid: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recursive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volatile: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    pub size: Option<OsString>,
    #[serde(with = "text::option", skip_serializing_if = "Option::is_none")]
    pub mode: Option<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Type {
    Bind,
    Tmpfs,
    Overlay,
    File,
    Directory,
    Chmod,
    Remount,
    Seal,
    Mask,
    Symlink,
    Proc,
    Dev,
    Mqueue,
    Devpts,
    Sysfs,
}

impl Type {
    /// Its keys, as errors tell of them.
    fn keys(self) -> &'static str {
        match self {
            Type::Bind => {
                "a bind has source, and may have target, read-only, no-devices, no-setuid, and optional or create"
            }
            Type::Tmpfs => "a tmpfs has target, and may have size and mode",
            Type::Overlay => {
                "an overlay has lower and target, and may have read-only, upper, work, optional and volatile"
            }
            Type::File => {
                "a file has target, text or source, and may have mode, mounted and, if mounted, read-only"
            }
            Type::Directory => "a directory has target, and may have mode",
            Type::Chmod => "a chmod has target and mode",
            Type::Remount => {
                "a remount has target, and may have read-only, no-devices, no-setuid and recursive"
            }
            Type::Seal => "a seal has target",
            Type::Mask => "a mask has target",
            Type::Symlink => "a symlink has target and to",
            Type::Proc | Type::Dev | Type::Mqueue | Type::Devpts | Type::Sysfs => {
                "a file system of the kernel's has target"
            }
        }
    }
}

impl TryFrom<Entry> for Mount {
    type Error = Error;

    fn try_from(mut entry: Entry) -> Result<Self> {
        let kind = entry.r#type.take().ok_or_else(|| {
            Error::usage("a mount needs a type: bind, tmpfs, overlay, file, directory, chmod, remount, seal, mask, symlink, proc, dev, mqueue, devpts or sysfs")
        })?;
        let wrong = || Error::usage(format!("{}; nothing else", kind.keys()));
        let mount = entry.take(kind).ok_or_else(wrong)?;
        // What is left is of another type.
        match entry == Entry::default() {
            true => Ok(mount),
            false => Err(wrong()),
        }
    }
}

impl Entry {
    /// Takes what a mount of this kind is made of; none if something is missing.
    fn take(&mut self, kind: Type) -> Option<Mount> {
        let kernel = |kind, target| Some(Mount::Kernel { kind, target });
        if kind == Type::Bind {
            return Some(Mount::Bind {
                source: self.source.take()?,
                target: self.target.take(),
                read_only: taken(&mut self.read_only),
                without: self.take_without(),
                missing: self.take_missing()?,
            });
        }
        let target = self.target.take()?;
        match kind {
            Type::Bind => None,
            Type::Tmpfs => Some(Mount::Tmpfs {
                target,
                size: self.size.take(),
                mode: self.mode.take(),
            }),
            Type::Overlay if self.lower.is_empty() => None,
            Type::Overlay => Some(Mount::Overlay {
                lower: std::mem::take(&mut self.lower),
                target,
                read_only: taken(&mut self.read_only),
                upper: self.upper.take(),
                work: self.work.take(),
                optional: taken(&mut self.optional),
                volatile: taken(&mut self.volatile),
            }),
            Type::File => Some(Mount::File {
                target,
                content: self.take_content()?,
                mode: self.mode.take(),
                kept: self.take_kept()?,
            }),
            Type::Directory => Some(Mount::Directory {
                target,
                mode: self.mode.take(),
            }),
            Type::Chmod => Some(Mount::Chmod {
                target,
                mode: self.mode.take()?,
            }),
            Type::Remount => Some(Mount::Remount {
                target,
                read_only: taken(&mut self.read_only),
                without: self.take_without(),
                recursive: taken(&mut self.recursive),
            }),
            Type::Seal => Some(Mount::Seal { target }),
            Type::Mask => Some(Mount::Mask { target }),
            Type::Symlink => Some(Mount::Symlink {
                target,
                to: self.to.take()?,
            }),
            Type::Proc => kernel(Kernel::Proc, target),
            Type::Dev => kernel(Kernel::Dev, target),
            Type::Mqueue => kernel(Kernel::Mqueue, target),
            Type::Devpts => kernel(Kernel::Devpts, target),
            Type::Sysfs => kernel(Kernel::Sysfs, target),
        }
    }

    fn take_missing(&mut self) -> Option<Missing> {
        match (self.optional.take(), self.create.take()) {
            (Some(true), Some(true)) => None,
            (Some(true), _) => Some(Missing::Optional),
            (_, Some(true)) => Some(Missing::Created),
            _ => Some(Missing::Refused),
        }
    }

    fn take_without(&mut self) -> Without {
        Without {
            devices: taken(&mut self.no_devices),
            setuid: taken(&mut self.no_setuid),
        }
    }

    fn take_kept(&mut self) -> Option<Kept> {
        match (self.mounted.take(), self.read_only.take()) {
            (None, None) => Some(Kept::Either),
            (Some(false), None) => Some(Kept::Written),
            (Some(true), read_only) => Some(Kept::Mounted {
                read_only: read_only.unwrap_or(false),
            }),
            _ => None,
        }
    }

    fn take_content(&mut self) -> Option<Content> {
        match (self.text.take(), self.source.take()) {
            (Some(text), None) => Some(Content::Text(text)),
            (None, Some(path)) => Content::parse(&path),
            _ => None,
        }
    }
}

/// A switch, which is off where nothing is said.
fn taken(switch: &mut Option<bool>) -> bool {
    switch.take().unwrap_or(false)
}

impl Content {
    /// Reads `-`, `@FD` or a path.
    pub(super) fn parse(path: &Path) -> Option<Self> {
        match path.as_os_str().as_bytes() {
            b"" => None,
            b"-" => Some(Content::Stdin),
            [b'@', digits @ ..] => {
                let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
                (number >= 0).then_some(Content::Descriptor(number))
            }
            _ => Some(Content::Path(path.to_path_buf())),
        }
    }
}

impl From<Mount> for Entry {
    fn from(mount: Mount) -> Self {
        let new = |kind, target| Entry {
            r#type: Some(kind),
            target,
            ..Entry::default()
        };
        match mount {
            Mount::Bind {
                source,
                target,
                read_only,
                without,
                missing,
            } => Entry {
                source: Some(source),
                read_only: Some(read_only),
                no_devices: without.devices.then_some(true),
                no_setuid: without.setuid.then_some(true),
                optional: (missing == Missing::Optional).then_some(true),
                create: (missing == Missing::Created).then_some(true),
                ..new(Type::Bind, target)
            },
            Mount::Tmpfs { target, size, mode } => Entry {
                size,
                mode,
                ..new(Type::Tmpfs, Some(target))
            },
            Mount::Overlay {
                lower,
                target,
                read_only,
                upper,
                work,
                optional,
                volatile,
            } => Entry {
                lower,
                read_only: read_only.then_some(true),
                upper,
                work,
                optional: optional.then_some(true),
                volatile: volatile.then_some(true),
                ..new(Type::Overlay, Some(target))
            },
            Mount::File {
                target,
                content,
                mode,
                kept,
            } => {
                let (mounted, read_only) = match kept {
                    Kept::Either => (None, None),
                    Kept::Written => (Some(false), None),
                    Kept::Mounted { read_only } => (Some(true), read_only.then_some(true)),
                };
                let (text, source) = match content {
                    Content::Text(text) => (Some(text), None),
                    Content::Path(path) => (None, Some(path)),
                    Content::Stdin => (None, Some("-".into())),
                    Content::Descriptor(fd) => (None, Some(format!("@{fd}").into())),
                };
                Entry {
                    text,
                    source,
                    mode,
                    mounted,
                    read_only,
                    ..new(Type::File, Some(target))
                }
            }
            Mount::Directory { target, mode } => Entry {
                mode,
                ..new(Type::Directory, Some(target))
            },
            Mount::Chmod { target, mode } => Entry {
                mode: Some(mode),
                ..new(Type::Chmod, Some(target))
            },
            Mount::Remount {
                target,
                read_only,
                without,
                recursive,
            } => Entry {
                read_only: read_only.then_some(true),
                no_devices: without.devices.then_some(true),
                no_setuid: without.setuid.then_some(true),
                recursive: recursive.then_some(true),
                ..new(Type::Remount, Some(target))
            },
            Mount::Seal { target } => new(Type::Seal, Some(target)),
            Mount::Mask { target } => new(Type::Mask, Some(target)),
            Mount::Symlink { target, to } => Entry {
                to: Some(to),
                ..new(Type::Symlink, Some(target))
            },
            Mount::Kernel { kind, target } => {
                let kind = match kind {
                    Kernel::Proc => Type::Proc,
                    Kernel::Dev => Type::Dev,
                    Kernel::Mqueue => Type::Mqueue,
                    Kernel::Devpts => Type::Devpts,
                    Kernel::Sysfs => Type::Sysfs,
                };
                new(kind, Some(target))
            }
        }
    }
}

impl Mount {
    /// Where it appears inside; none for a bind that appears where its source is on the host.
    pub fn target(&self) -> Option<&Path> {
        match self {
            Mount::Bind { target, .. } => target.as_deref(),
            Mount::Tmpfs { target, .. }
            | Mount::Overlay { target, .. }
            | Mount::File { target, .. }
            | Mount::Directory { target, .. }
            | Mount::Chmod { target, .. }
            | Mount::Remount { target, .. }
            | Mount::Seal { target }
            | Mount::Mask { target }
            | Mount::Symlink { target, .. }
            | Mount::Kernel { target, .. } => Some(target),
        }
    }
}
