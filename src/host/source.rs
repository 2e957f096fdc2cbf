//! What the views of a spec have on the host.

use super::unanswered;
use crate::error::{Error, Result, Subject};
use crate::spec::{Content, Mount, Places, Root, Spec};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The most that a file holds which exists only inside, in bytes: it is read into memory.
const MOST_CONTENT: u64 = 64 << 20;

/// What is behind a view on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing is there, or nothing is asked of the host.
    Missing,
    /// A directory.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
    /// Anything else.
    File,
    /// What a descriptor of the caller's holds, a directory or anything else.
    Held {
        /// Where it is.
        path: PathBuf,
        /// The device that it is on and its number there, st_dev and st_ino.
        held: [u64; 2],
        /// Whether it is a directory.
        directory: bool,
    },
    /// What was read for a file that exists only inside.
    Content(Vec<u8>),
    /// A layer of an overlay that cannot be one, as it is no directory.
    Unusable {
        /// Which.
        path: PathBuf,
        /// Whether there is anything else.
        is_there: bool,
    },
}

impl Source {
    /// Looks at what `mount` is made of.
    ///
    /// # Errors
    /// When the content of a file cannot be read.
    pub fn of(mount: &Mount) -> Result<Self> {
        Ok(match mount {
            Mount::Bind { source, .. } => match descriptor_of(source) {
                Some(_) => Source::held(source)?,
                None => Source::at(source)?,
            },
            Mount::Overlay {
                lower, upper, work, ..
            } => layers(lower.iter().chain(upper).chain(work))?,
            Mount::File {
                target, content, ..
            } => content_of(target, content)?,
            _ => Source::Missing,
        })
    }

    /// What is behind a name in /proc/self/fd.
    fn held(name: &Path) -> Result<Self> {
        let look = || Ok((name.read_link()?, name.metadata()?));
        let (path, data) = look().map_err(|error: std::io::Error| {
            Error::setup(format!("find what {} holds", name.display()), error)
                .about(Subject::Source(name.to_path_buf()))
        })?;
        Ok(Source::Held {
            path,
            held: [data.dev(), data.ino()],
            directory: data.is_dir(),
        })
    }

    fn at(path: &Path) -> Result<Self> {
        Ok(match path.metadata() {
            Ok(data) if data.is_dir() => Source::Directory {
                mode: data.permissions().mode() & 0o7777,
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Source::Missing,
            // One that may not be looked at is there; the kernel says what is wrong with it when it is taken.
            found => {
                unanswered::answer("stat", path, found)?;
                Source::File
            }
        })
    }
}

/// The descriptor whose name in /proc this is.
pub fn descriptor_of(path: &Path) -> Option<i32> {
    let number = path.strip_prefix("/proc/self/fd").ok()?.to_str()?;
    number.parse().ok()
}

/// The first layer, if all of them are directories.
fn layers<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<Source> {
    let mut first = Source::Missing;
    for path in paths {
        let is_there = match Source::at(path)? {
            Source::Missing => false,
            found @ Source::Directory { .. } => {
                if first == Source::Missing {
                    first = found;
                }
                continue;
            }
            _ => true,
        };
        let path = path.clone();
        return Ok(Source::Unusable { path, is_there });
    }
    Ok(first)
}

fn content_of(target: &Path, content: &Content) -> Result<Source> {
    let (from, read) = match content {
        Content::Text(_) => return Ok(Source::Missing),
        Content::Path(path) => (
            path.display().to_string(),
            File::open(path).and_then(read_all),
        ),
        Content::Stdin => (
            "standard input".to_string(),
            read_all(std::io::stdin().lock()),
        ),
        Content::Descriptor(fd) => (format!("descriptor {fd}"), read_descriptor(*fd)),
    };
    let failed = |error: std::io::Error| {
        let step = format!("read the content of {} from {from}", target.display());
        let error = match error.raw_os_error() {
            Some(_) => Error::setup(step, error),
            None => Error::usage(format!("{step}: {error}")),
        };
        error.about(Subject::Content(target.to_path_buf()))
    };
    Ok(Source::Content(read.map_err(failed)?))
}

pub(super) fn read_descriptor(fd: i32) -> std::io::Result<Vec<u8>> {
    read_all(File::from(crate::sys::duplicate(fd)?))
}

fn read_all(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST_CONTENT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST_CONTENT {
        true => Err(std::io::Error::other("it is larger than 64 MiB")),
        false => Ok(bytes),
    }
}

/// How a part of /proc is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It cannot be written.
    ReadOnly,
    /// It is empty.
    Hidden {
        /// Whether it is a directory.
        directory: bool,
    },
}

const FILE: Guard = Guard::Hidden { directory: false };
const DIRECTORY: Guard = Guard::Hidden { directory: true };

/// The parts of /proc that say much about the machine, or can change it: those that container engines close too.
pub const GUARDED: [(&str, Guard); 13] = [
    ("/proc/bus", Guard::ReadOnly),
    ("/proc/fs", Guard::ReadOnly),
    ("/proc/irq", Guard::ReadOnly),
    ("/proc/sys", Guard::ReadOnly),
    ("/proc/sysrq-trigger", Guard::ReadOnly),
    ("/proc/acpi", DIRECTORY),
    ("/proc/asound", DIRECTORY),
    ("/proc/scsi", DIRECTORY),
    ("/proc/kcore", FILE),
    ("/proc/keys", FILE),
    ("/proc/latency_stats", FILE),
    ("/proc/sched_debug", FILE),
    ("/proc/timer_list", FILE),
];

/// Those that this kernel has, where the view is not the plain one of the host and nothing else was asked for.
///
/// # Errors
/// When the kernel does not answer.
pub fn guarded(spec: &Spec) -> Result<Vec<(&'static str, Guard)>> {
    let plain = spec.root.is_host() && !spec.read_only;
    if plain || spec.proc.is_some() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (path, guard) in GUARDED {
        let asked = rustix::fs::access(path, rustix::fs::Access::EXISTS);
        if unanswered::answer("access", Path::new(path), asked)?.is_some() {
            found.push((path, guard));
        }
    }
    Ok(found)
}

/// Files that programs look for in /etc, and that are links into /run on many systems.
const LINKED: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// Those of them that are links, with what they lead to.
///
/// # Errors
/// When the kernel does not answer.
pub fn linked_files(spec: &Spec) -> Result<Vec<(PathBuf, PathBuf)>> {
    let covers = |mount: &Mount| matches!(mount, Mount::Tmpfs { .. } | Mount::Bind { .. });
    if spec.places == Places::Anywhere {
        return Ok(Vec::new());
    }
    if spec.root != Root::Empty && !spec.mounts.iter().any(covers) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for link in LINKED.map(Path::new) {
        if unanswered::answer("readlink", link, link.read_link())?.is_some()
            && let Some(file) = unanswered::answer("readlink", link, link.canonicalize())?
        {
            found.push((link.to_path_buf(), file));
        }
    }
    Ok(found)
}

/// The destinations in `spec` that have `..` in them, as they are written, with what they name: a place in memory cannot be
/// made by such a name. Masks and changes of what is there are left to the kernel, and one that leads out of the root to
/// whoever refuses it.
///
/// # Errors
/// When the kernel does not answer.
pub fn destinations(spec: &Spec, cwd: Option<&Path>) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    if spec.places == Places::Anywhere {
        return Ok(found);
    }
    for mount in &spec.mounts {
        let (written, path, is_hosts) = match (mount, mount.target(), cwd) {
            (_, Some(target), _) => (target, target.to_path_buf(), spec.root.is_host()),
            (Mount::Bind { source, .. }, None, Some(cwd)) => (&**source, cwd.join(source), true),
            _ => continue,
        };
        if path.is_absolute()
            && path.components().any(|part| part == Component::ParentDir)
            && let Some(named) = without_dots(&path, is_hosts)?
        {
            found.push((written.to_path_buf(), named));
        }
    }
    Ok(found)
}

/// What `path` names: `..` takes away the name before it, but for one that `is_hosts` and a link there: then it is the
/// directory above what that leads to. None if it takes away the root.
fn without_dots(path: &Path, is_hosts: bool) -> Result<Option<PathBuf>> {
    let mut place = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                let is_link = is_hosts
                    && unanswered::answer("readlink", &place, place.read_link())?.is_some();
                if is_link
                    && let Some(real) =
                        unanswered::answer("readlink", &place, unanswered::real_path(&place))?
                {
                    place = real;
                }
                if !place.pop() {
                    return Ok(None);
                }
            }
            Component::Normal(name) => place.push(name),
            _ => {}
        }
    }
    Ok(Some(place))
}
