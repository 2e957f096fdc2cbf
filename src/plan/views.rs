//! The views: what is taken from the host first, and what is laid down then, in the user's order.

use super::Upper;
use super::arena::Arena;
use super::setup::{Slots, must};
use crate::child::step::{Entry, Slot, Step, Text};
use crate::error::{Error, Result};
use crate::host::{Facts, Source};
use crate::spec::{Content, Kernel, Missing, Mount, Spec};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Flags of file systems that hold no programs and no devices.
pub const NO_PROGRAMS: u32 = (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC) as u32;
/// Flags of file systems that hold no devices.
pub const NO_DEVICES: u32 = (libc::MS_NOSUID | libc::MS_NODEV) as u32;

/// Where a file system in memory is mounted while sources are taken from it. It is there on every host, and what it
/// covers is not needed meanwhile.
pub const STAGE: &str = "/proc";

/// The steps of the file system.
///
/// Sources are taken before anything is laid over them, so that `--tmpfs ~ -v ~/project` gives the project; then the
/// user's order is the order.
pub struct Views<'a> {
    /// Takes sources.
    pub taken: Vec<Entry>,
    /// Lays everything down.
    pub laid: Vec<Entry>,
    /// Contents of files that exist only inside, by their number in the steps.
    pub contents: Vec<Vec<u8>>,
    /// See [`super::Plan::uppers`].
    pub uppers: Vec<Upper>,
    /// Prepares sources that are no files of the host, and takes them.
    staged: Vec<Entry>,
    /// Places that have been laid, and whether what is made in them is in memory: nothing of the host's is written.
    places: Vec<(PathBuf, bool)>,
    slots: &'a mut Slots,
    arena: &'a mut Arena,
}

impl<'a> Views<'a> {
    /// The steps for everything that `spec` says of files.
    pub fn new(
        spec: &Spec,
        facts: &Facts,
        slots: &'a mut Slots,
        arena: &'a mut Arena,
    ) -> Result<Self> {
        let mut views = Views {
            taken: Vec::new(),
            laid: Vec::new(),
            contents: Vec::new(),
            uppers: Vec::new(),
            staged: Vec::new(),
            places: Vec::new(),
            slots,
            arena,
        };
        views.root(spec, facts)?;
        for (mount, source) in spec.mounts.iter().zip(&facts.sources) {
            views.mount(mount, source, facts, spec.strict)?;
        }
        views.linked_files(spec, facts)?;
        views.close_root(spec)?;
        views.close_stage(super::root::shows_stage(spec))?;
        Ok(views)
    }

    fn mount(&mut self, mount: &Mount, source: &Source, facts: &Facts, strict: bool) -> Result<()> {
        match mount {
            Mount::Bind {
                source: path,
                target,
                read_only,
                missing,
            } => {
                match (source, missing) {
                    (Source::Missing, Missing::Optional) => return Ok(()),
                    (Source::Missing, Missing::Created) => {
                        self.make_source(&absolute(path, facts)?)?
                    }
                    _ => {}
                }
                let target = match target {
                    Some(target) => target.clone(),
                    None => absolute(path, facts)?,
                };
                let slot = self.take(path, *read_only)?;
                self.place(mount, &target, *source == Source::File)?;
                self.attach(slot, &target, *read_only)
            }
            Mount::Tmpfs { target, size, mode } => {
                let octal = |byte: u8| matches!(byte, b'0'..=b'7');
                let mode = checked("tmpfs", "mode", mode.as_deref(), "1777", octal)?;
                let mut options = format!("mode={mode}");
                if let Some(size) = size {
                    let known = |byte: u8| byte.is_ascii_digit() || b"kKmMgG%".contains(&byte);
                    let size = checked("tmpfs", "size", Some(size), "", known)?;
                    options = format!("size={size},{options}");
                }
                self.place(mount, target, false)?;
                self.lay_file_system("tmpfs", target.as_os_str(), NO_DEVICES, &options)?;
                self.places.push((target.clone(), true));
                Ok(())
            }
            Mount::Overlay {
                lower,
                target,
                upper,
                work,
                optional,
                ..
            } => {
                if *optional && matches!(source, Source::Unusable { .. }) {
                    return Ok(());
                }
                let instead = (*optional && !strict).then(|| lower.first()).flatten();
                let slot = self.take_overlay(
                    mount,
                    lower,
                    upper.as_deref(),
                    work.as_deref(),
                    source,
                    facts,
                )?;
                if let Some(lower) = instead {
                    let path = self.arena.text(lower)?;
                    if let Some(entry) = self.taken.last_mut() {
                        entry.instead = Some(Step::OpenTree {
                            path,
                            slot,
                            read_only: true,
                        });
                    }
                }
                self.place(mount, target, false)?;
                self.attach(slot, target, false)
            }
            Mount::File {
                target,
                content,
                mode,
            } => self.file(mount, target, content, mode.as_deref(), source),
            Mount::Mask { target } => self.mask(mount, &absolute(target, facts)?),
            Mount::Symlink { target, to } => self.symlink(mount, target, to),
            Mount::Kernel { kind, target } => self.kernel(mount, *kind, target),
        }
    }

    /// A file that exists only inside: made where it is to be, if that is in memory, and otherwise mounted there.
    fn file(
        &mut self,
        mount: &Mount,
        target: &Path,
        content: &Content,
        mode: Option<&OsStr>,
        source: &Source,
    ) -> Result<()> {
        let octal = |byte: u8| matches!(byte, b'0'..=b'7');
        let mode = checked("file", "mode", mode, "644", octal)?;
        let mode = u32::from_str_radix(&mode, 8).unwrap_or(0o644) & 0o7777;
        let bytes = match (content, source) {
            (Content::Text(text), _) => text.as_bytes(),
            (_, Source::Content(bytes)) => bytes,
            _ => return Err(Error::broken("the facts were gathered for another spec")),
        };
        let content = u16::try_from(self.contents.len())
            .map_err(|_| Error::usage("there are more than 65535 files"))?;
        self.contents.push(bytes.to_vec());
        check_target(mount, target)?;
        match self.in_memory(target) {
            true => {
                self.make_parent(target)?;
                let path = self.arena.text(target)?;
                self.lay(Step::WriteFile {
                    path,
                    content,
                    mode,
                });
            }
            false => {
                let path = self.staged_path(&format!("file-{content}"))?;
                self.staged.push(must(Step::WriteFile {
                    path,
                    content,
                    mode,
                }));
                let slot = self.take_staged(path, false);
                self.attach(slot, target, false)?;
            }
        }
        self.places.push((target.to_path_buf(), false));
        Ok(())
    }

    /// What is hidden is looked at inside, since it may be in any view; so both a file and a directory are at hand.
    fn mask(&mut self, mount: &Mount, target: &Path) -> Result<()> {
        check_target(mount, target)?;
        let file = self.take_hidden(false)?;
        let directory = self.take_hidden(true)?;
        let target = self.arena.text(target)?;
        self.lay(Step::Mask {
            target,
            file,
            directory,
        });
        Ok(())
    }

    fn symlink(&mut self, mount: &Mount, target: &Path, to: &Path) -> Result<()> {
        check_target(mount, target)?;
        if !self.in_memory(target) {
            return Err(Error::usage(format!(
                "{}: a link can be made in memory only, and nothing is made on the host",
                name(mount)
            ))
            .with_hint("put it below a --tmpfs, or in --root empty"));
        }
        self.make_parent(target)?;
        let step = Step::MakeSymlink {
            to: self.arena.text(to)?,
            path: self.arena.text(target)?,
        };
        self.lay(step);
        self.places.push((target.to_path_buf(), false));
        Ok(())
    }

    fn kernel(&mut self, mount: &Mount, kind: Kernel, target: &Path) -> Result<()> {
        self.place(mount, target, false)?;
        let place = target.as_os_str();
        match kind {
            Kernel::Dev => return self.dev(target),
            Kernel::Proc => self.lay_file_system("proc", place, NO_PROGRAMS, "")?,
            Kernel::Mqueue => self.lay_file_system("mqueue", place, NO_PROGRAMS, "")?,
            Kernel::Devpts => self.lay_file_system(
                "devpts",
                place,
                super::root::DEVPTS.0,
                super::root::DEVPTS.1,
            )?,
            Kernel::Sysfs => {
                let flags = NO_PROGRAMS | libc::MS_RDONLY as u32;
                self.lay_file_system("sysfs", place, flags, "")?;
            }
        }
        self.places.push((target.to_path_buf(), false));
        Ok(())
    }

    /// /etc/resolv.conf and the like, where they are links to what a view now covers: the file appears there again.
    fn linked_files(&mut self, spec: &Spec, facts: &Facts) -> Result<()> {
        for (link, file) in &facts.linked_files {
            let covered = match spec.root.is_host() {
                true => self.in_memory(file),
                // The link is there if the host's /etc is.
                false => {
                    self.in_memory(file)
                        && self
                            .places
                            .iter()
                            .any(|(place, memory)| !memory && link.starts_with(place))
                }
            };
            let seen = self
                .places
                .iter()
                .any(|(place, memory)| !memory && file.starts_with(place));
            if covered && !seen {
                let slot = self.take(file, true)?;
                self.make_place(file, true)?;
                self.attach(slot, file, true)?;
            }
        }
        Ok(())
    }

    // What is taken.

    /// A file or directory of the host.
    pub fn take(&mut self, path: &Path, read_only: bool) -> Result<Slot> {
        let slot = self.slots.next();
        let path = self.arena.text(path)?;
        self.taken.push(must(Step::OpenTree {
            path,
            slot,
            read_only,
        }));
        Ok(slot)
    }

    /// An empty file or directory that cannot be written, to hide another with.
    pub fn take_hidden(&mut self, directory: bool) -> Result<Slot> {
        let path = match directory {
            true => self.staged_directory("directory", 0o555)?,
            false => {
                let path = self.staged_path("file")?;
                self.stage_once(Step::MakeFile { path, mode: 0o444 });
                path
            }
        };
        Ok(self.take_staged(path, true))
    }

    fn take_overlay(
        &mut self,
        mount: &Mount,
        lower: &[PathBuf],
        upper: Option<&Path>,
        work: Option<&Path>,
        source: &Source,
        facts: &Facts,
    ) -> Result<Slot> {
        let mode = match source {
            Source::Directory { mode } => *mode,
            Source::Unusable { path, why } => {
                return Err(Error::usage(format!(
                    "{}: {} {why}",
                    name(mount),
                    path.display()
                )));
            }
            _ => return Err(Error::broken("the facts were gathered for another spec")),
        };
        let (upper, work) = match (upper, work) {
            (None, None) => {
                let number = self.slots.count();
                // What is seen of the merged directory itself is its upper side.
                let upper = self.staged_directory(&format!("upper-{number}"), mode)?;
                (
                    upper,
                    self.staged_directory(&format!("work-{number}"), 0o700)?,
                )
            }
            (None, Some(_)) => {
                return Err(Error::usage(format!("{}: work without upper", name(mount))));
            }
            (Some(upper), work) => {
                let upper = absolute(upper, facts)?;
                let (work, made) = match work {
                    Some(work) => (absolute(work, facts)?, None),
                    None => {
                        let work = beside(&upper).ok_or_else(|| {
                            Error::usage(format!("{}: upper is the root itself", name(mount)))
                        })?;
                        self.make_source(&work)?;
                        (work.clone(), Some(work))
                    }
                };
                let layers = (self.layer(mount, &[&upper])?, self.layer(mount, &[&work])?);
                self.uppers.push(Upper {
                    path: upper,
                    work: made,
                });
                layers
            }
        };
        let lower = lower
            .iter()
            .map(|path| absolute(path, facts))
            .collect::<Result<Vec<_>>>()?;
        let lower = self.layer(mount, &lower)?;
        let slot = self.slots.next();
        let step = Step::OpenOverlay {
            lower,
            upper,
            work,
            volatile: matches!(mount, Mount::Overlay { volatile: true, .. }),
            slot,
        };
        // A file system in memory is needed only where upper is there.
        match self.arena.get(upper).to_bytes().starts_with(b"/proc/") {
            true => self.staged.push(must(step)),
            false => self.taken.push(must(step)),
        }
        Ok(slot)
    }

    /// A path, or several, as overlay's options take them: fsconfig(2) takes no more than 255 bytes.
    fn layer(&mut self, mount: &Mount, paths: &[impl AsRef<Path>]) -> Result<Text> {
        let mut text = Vec::new();
        for path in paths {
            if !text.is_empty() {
                text.push(b':');
            }
            for &byte in path.as_ref().as_os_str().as_bytes() {
                if byte == b':' || byte == b'\\' {
                    text.push(b'\\');
                }
                text.push(byte);
            }
        }
        let shown = String::from_utf8_lossy(&text);
        if text.len() > 255 {
            return Err(Error::usage(format!(
                "{}: {shown} is longer than the 255 bytes that the kernel takes",
                name(mount)
            )));
        }
        self.arena.text(OsStr::from_bytes(&text))
    }

    /// Makes a directory of the host's, with those above it.
    fn make_source(&mut self, path: &Path) -> Result<()> {
        let mut above = PathBuf::new();
        for part in path.components() {
            above.push(part);
            if part != Component::RootDir {
                let path = self.arena.text(&above)?;
                self.taken
                    .push(must(Step::MakeDirectory { path, mode: 0o755 }));
            }
        }
        Ok(())
    }

    // The stage.

    fn staged_path(&mut self, name: &str) -> Result<Text> {
        self.arena.text(format!("{STAGE}/{name}"))
    }

    fn staged_directory(&mut self, name: &str, mode: u32) -> Result<Text> {
        let path = self.staged_path(name)?;
        self.stage_once(Step::MakeDirectory { path, mode });
        Ok(path)
    }

    /// Adds a step, unless one for the same name is there already.
    fn stage_once(&mut self, step: Step) {
        let path_of = |step: Step| match step {
            Step::MakeDirectory { path, .. } | Step::MakeFile { path, .. } => {
                Some(self.arena.get(path))
            }
            _ => None,
        };
        if !self
            .staged
            .iter()
            .any(|entry| path_of(entry.step) == path_of(step))
        {
            self.staged.push(must(step));
        }
    }

    fn take_staged(&mut self, path: Text, read_only: bool) -> Slot {
        let slot = self.slots.next();
        self.staged.push(must(Step::OpenTree {
            path,
            slot,
            read_only,
        }));
        slot
    }

    /// What is staged is taken last: it covers a place of the host's meanwhile.
    fn close_stage(&mut self, shown: bool) -> Result<()> {
        if !self.staged.is_empty() {
            let step = self.file_system("tmpfs", STAGE, NO_DEVICES, "mode=755")?;
            self.taken.push(must(step));
            self.taken.append(&mut self.staged);
            let path = self.arena.text(STAGE)?;
            self.taken.push(must(Step::CloseStage { path, shown }));
        }
        Ok(())
    }

    // What is laid.

    /// Checks the target of a view, and makes it where it lies in memory of the container's own.
    fn place(&mut self, mount: &Mount, target: &Path, is_file: bool) -> Result<()> {
        check_target(mount, target)?;
        self.make_place(target, is_file)
    }

    /// Makes the directory that is to hold `target`, likewise.
    fn make_parent(&mut self, target: &Path) -> Result<()> {
        target
            .parent()
            .map_or(Ok(()), |parent| self.make_place(parent, false))
    }

    /// Makes the mount point, where it lies in memory of the container's own.
    pub fn make_place(&mut self, target: &Path, is_file: bool) -> Result<()> {
        if !self.in_memory(target) {
            return Ok(());
        }
        let Some((top, _)) = self.place_of(target).cloned() else {
            return Ok(());
        };
        let mut path = top.clone();
        let rest: Vec<_> = target
            .strip_prefix(&top)
            .into_iter()
            .flat_map(Path::components)
            .collect();
        for (number, part) in rest.iter().enumerate() {
            path.push(part);
            let text = self.arena.text(&path)?;
            let last = number + 1 == rest.len();
            self.lay(match last && is_file {
                true => Step::MakeFile {
                    path: text,
                    mode: 0o644,
                },
                false => Step::MakeDirectory {
                    path: text,
                    mode: 0o755,
                },
            });
        }
        Ok(())
    }

    /// Whether what is made at `target` is made in memory.
    fn in_memory(&self, target: &Path) -> bool {
        let plain = target
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        plain
            && self
                .place_of(target)
                .is_some_and(|(_, in_memory)| *in_memory)
    }

    /// What was laid last around `target`, but not at it.
    fn place_of(&self, target: &Path) -> Option<&(PathBuf, bool)> {
        let around = self
            .places
            .iter()
            .filter(|(place, _)| target.starts_with(place) && target != place);
        around.max_by_key(|(place, _)| place.as_os_str().len())
    }

    /// Notes that something is laid at `path`.
    pub fn note_place(&mut self, path: impl Into<PathBuf>, in_memory: bool) {
        self.places.push((path.into(), in_memory));
    }

    pub fn attach(&mut self, slot: Slot, target: &Path, read_only: bool) -> Result<()> {
        let path = self.arena.text(target)?;
        self.lay(Step::Attach {
            slot,
            target: path,
            read_only,
        });
        self.places.push((target.to_path_buf(), false));
        Ok(())
    }

    pub fn text(&mut self, text: impl AsRef<OsStr>) -> Result<Text> {
        self.arena.text(text)
    }

    pub fn file_system(
        &mut self,
        kind: &str,
        target: impl AsRef<OsStr>,
        flags: u32,
        options: &str,
    ) -> Result<Step> {
        Ok(Step::Mount {
            kind: self.arena.text(kind)?,
            target: self.arena.text(target)?,
            flags,
            options: self.arena.text(options)?,
        })
    }

    pub fn lay_file_system(
        &mut self,
        kind: &str,
        target: impl AsRef<OsStr>,
        flags: u32,
        options: &str,
    ) -> Result<()> {
        let step = self.file_system(kind, target, flags, options)?;
        self.lay(step);
        Ok(())
    }

    pub fn lay(&mut self, step: Step) {
        self.laid.push(must(step));
    }
}

/// `path` from the caller's working directory.
pub fn absolute(path: &Path, facts: &Facts) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let no_name = || {
        Error::usage(format!(
            "{}: the working directory has no name any more",
            path.display()
        ))
    };
    let cwd = facts.cwd.as_deref().ok_or_else(no_name)?;
    // `.` alone adds nothing; `..` is left to the kernel, which knows the symbolic links.
    Ok(cwd.join(path).components().collect())
}

/// The work directory beside `upper`.
fn beside(upper: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(upper.file_name()?);
    name.push(".rootlet-work");
    Some(upper.with_file_name(name))
}

/// A view as errors call it.
pub fn name(mount: &Mount) -> String {
    let (what, target) = match mount {
        Mount::Bind { source, target, .. } => ("volume", target.as_ref().unwrap_or(source)),
        Mount::Tmpfs { target, .. } => ("tmpfs", target),
        Mount::Overlay { target, .. } => ("overlay", target),
        Mount::File { target, .. } => ("file", target),
        Mount::Mask { target } => ("mask", target),
        Mount::Symlink { target, .. } => ("symlink", target),
        Mount::Kernel { kind, target } => (
            match kind {
                Kernel::Proc => "proc",
                Kernel::Dev => "dev",
                Kernel::Mqueue => "mqueue",
                Kernel::Devpts => "devpts",
                Kernel::Sysfs => "sysfs",
            },
            target,
        ),
    };
    format!("{what} {}", target.display())
}

/// Refuses two views at one place: one of them could not be seen.
pub fn refuse_doubles(spec: &Spec, facts: &Facts) -> Result<()> {
    let mut seen = std::collections::HashMap::new();
    for mount in &spec.mounts {
        let target = match mount {
            Mount::Mask { .. } => continue,
            Mount::Bind {
                source,
                target: None,
                ..
            } => absolute(source, facts)?,
            _ => mount
                .target()
                .unwrap_or(Path::new("/"))
                .components()
                .collect(),
        };
        if let Some(other) = seen.insert(target, mount) {
            return Err(Error::usage(format!(
                "{} and {} are at one place",
                name(other),
                name(mount)
            ))
            .with_hint("leave one of them out"));
        }
    }
    Ok(())
}

fn check_target(mount: &Mount, target: &Path) -> Result<()> {
    let mut depth = 0i32;
    let mut outside = false;
    for part in target.components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        outside |= depth < 0;
    }
    let name = name(mount);
    if !target.is_absolute() {
        return Err(Error::usage(format!(
            "{name}: the destination {:?} is not an absolute path",
            target.display()
        )));
    }
    if outside {
        return Err(Error::usage(format!(
            "{name}: the destination lies outside of the root"
        )));
    }
    if depth == 0 {
        return Err(
            Error::usage(format!("{name}: the destination is the root itself"))
                .with_hint("another root is chosen with --root DIR"),
        );
    }
    Ok(())
}

/// A word that holds nothing but the bytes that are `known`, so that it cannot smuggle in another option.
fn checked(
    what: &str,
    name: &str,
    value: Option<&OsStr>,
    default: &str,
    known: impl Fn(u8) -> bool,
) -> Result<String> {
    let Some(value) = value else {
        return Ok(default.to_string());
    };
    match value
        .to_str()
        .filter(|text| !text.is_empty() && text.len() <= 20 && text.bytes().all(known))
    {
        Some(text) => Ok(text.to_string()),
        None => Err(Error::usage(format!(
            "{what} {name} {:?} is not a {name}",
            String::from_utf8_lossy(value.as_bytes())
        ))),
    }
}
