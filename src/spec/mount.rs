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
                "a bind has source, and may have target, read-only, and optional or create"
            }
            Type::Tmpfs => "a tmpfs has target, and may have size and mode",
            Type::Overlay => {
                "an overlay has lower and target, and may have upper, work, optional and volatile"
            }
            Type::File => "a file has target, text or source, and may have mode",
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
            Error::usage("a mount needs a type: bind, tmpfs, overlay, file, mask, symlink, proc, dev, mqueue, devpts or sysfs")
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
                read_only: self.read_only.take().unwrap_or(false),
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
                upper: self.upper.take(),
                work: self.work.take(),
                optional: self.optional.take().unwrap_or(false),
                volatile: self.volatile.take().unwrap_or(false),
            }),
            Type::File => Some(Mount::File {
                target,
                content: self.take_content()?,
                mode: self.mode.take(),
            }),
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

    fn take_content(&mut self) -> Option<Content> {
        match (self.text.take(), self.source.take()) {
            (Some(text), None) => Some(Content::Text(text)),
            (None, Some(path)) => Content::parse(&path),
            _ => None,
        }
    }
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
                missing,
            } => Entry {
                source: Some(source),
                read_only: Some(read_only),
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
                upper,
                work,
                optional,
                volatile,
            } => Entry {
                lower,
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
            } => {
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
                    ..new(Type::File, Some(target))
                }
            }
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
            | Mount::Mask { target }
            | Mount::Symlink { target, .. }
            | Mount::Kernel { target, .. } => Some(target),
        }
    }
}
