//! The views: what is taken from the host first, and what is laid down then, in the user's order.

mod places;
mod sources;

pub use places::{absolute, check_target, destination, name, refuse_doubles, refuse_shared_input};

use super::Upper;
use super::arena::Arena;
use super::setup::{Slots, must};
use crate::child::step::{Attributes, Entry, Slot, Step, Text};
use crate::error::{Error, Result};
use crate::host::{Facts, Source};
use crate::spec::{Content, Kept, Kernel, Missing, Mount, Places, Rung, Spec, Without};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
    places: BTreeMap<PathBuf, bool>,
    /// Where masks have been laid.
    masked: Vec<PathBuf>,
    /// The empty file and the empty directory on the stage that others are hidden with, once there are any.
    hiding: [Option<Text>; 2],
    /// Whether what views need may be made on the host too.
    anywhere: bool,
    /// Whether the old root is still there, so that a new /proc can be mounted.
    pub(in crate::plan) has_old_root: bool,
    /// Whether the next view is to be the root.
    pub(in crate::plan) lacks_root: bool,
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
            places: BTreeMap::new(),
            masked: Vec::new(),
            hiding: [None; 2],
            anywhere: spec.places == Places::Anywhere,
            has_old_root: spec.root.is_host(),
            lacks_root: false,
            slots,
            arena,
        };
        if views.anywhere {
            views.lay(Step::ClearUmask);
        }
        views.root(spec, facts)?;
        for (mount, source) in spec.mounts.iter().zip(&facts.sources) {
            views.mount(mount, source, facts, spec.may_step_down(Rung::Overlay))?;
            if !views.anywhere {
                views.linked_files(spec, facts)?;
            }
        }
        if views.anywhere {
            views.lay(Step::RestoreUmask);
        }
        views.close_root(spec)?;
        views.close_stage(super::root::shows_stage(spec))?;
        Ok(views)
    }

    fn mount(
        &mut self,
        mount: &Mount,
        source: &Source,
        facts: &Facts,
        steps_down: bool,
    ) -> Result<()> {
        match mount {
            Mount::Bind {
                source: path,
                read_only,
                without,
                missing,
                ..
            } => {
                match (source, missing) {
                    (Source::Missing, Missing::Optional) => return Ok(()),
                    (Source::Missing, Missing::Created) => {
                        self.make_source(&absolute(path, facts)?)?
                    }
                    _ => {}
                }
                let target = destination(mount, facts)?;
                let optional = *missing == Missing::Optional;
                let attributes = attributes(*read_only, *without);
                let (path, held) = match source {
                    Source::Held { path, held, .. } => (path.as_path(), Some(held)),
                    _ => (path.as_path(), None),
                };
                let slot = self.take_some(path, attributes, optional)?;
                if let Some(&[device, inode]) = held {
                    self.taken.push(must(Step::RequireSame {
                        slot,
                        device,
                        inode,
                    }));
                }
                let is_file = matches!(
                    source,
                    Source::File
                        | Source::Held {
                            directory: false,
                            ..
                        }
                );
                self.place(mount, &target, is_file, None)?;
                self.attach(slot, &target, attributes)
            }
            Mount::Tmpfs { size, mode, .. } => {
                let target = &destination(mount, facts)?;
                let mode = mode_of("tmpfs", mode.as_deref(), 0o1777)?;
                let mut options = format!("mode={mode:o}");
                if let Some(size) = size {
                    let known = |byte: u8| byte.is_ascii_digit() || b"kKmMgG%".contains(&byte);
                    let size = checked("tmpfs", "size", Some(size), "", known)?;
                    options = format!("size={size},{options}");
                }
                self.place(mount, target, false, Some(mode))?;
                self.lay_file_system("tmpfs", target.as_os_str(), NO_DEVICES, &options)?;
                self.cover(target, true);
                self.enter_if_root(target)
            }
            Mount::Overlay { optional, .. } => {
                let target = &destination(mount, facts)?;
                if *optional && matches!(source, Source::Unusable { .. }) {
                    return Ok(());
                }
                let slot = self.take_overlay(mount, source, facts, steps_down)?;
                self.place(mount, target, false, None)?;
                self.attach(slot, target, Attributes::NONE)?;
                if let Some(entry) = self.laid.last_mut().filter(|_| *optional && steps_down) {
                    entry.instead = Some(Step::LeaveOut);
                }
                Ok(())
            }
            Mount::File {
                content,
                mode,
                kept,
                ..
            } => {
                let target = &destination(mount, facts)?;
                let mode = mode_of("file", mode.as_deref(), 0o644)?;
                self.file(mount, target, content, (mode, *kept), source)
            }
            Mount::Directory { mode, .. } => {
                let target = &destination(mount, facts)?;
                self.check(mount, target)?;
                self.refuse_on_host(mount, target, "a directory")?;
                let mode = mode_of("directory", mode.as_deref(), 0o755)?;
                match self.anywhere {
                    true => self.make_anywhere(target, mode, Some(mode), false),
                    false => {
                        self.make_parent(target, None)?;
                        let path = self.arena.text(target)?;
                        self.lay(Step::MakeDirectory { path, mode });
                        self.note_place(target, true);
                        Ok(())
                    }
                }
            }
            Mount::Chmod { target, mode } => {
                self.check(mount, target)?;
                self.refuse_on_host(mount, target, "permission bits")?;
                let mode = mode_of("chmod", Some(mode), 0)?;
                let path = self.arena.text(target)?;
                self.lay(Step::Chmod { path, mode });
                Ok(())
            }
            Mount::Remount {
                target,
                read_only,
                without,
                recursive,
            } => {
                let path = self.arena.text(target)?;
                self.lay(Step::SetAttributes {
                    path,
                    attributes: attributes(*read_only, *without),
                    recursive: *recursive,
                });
                Ok(())
            }
            Mount::Seal { target } => {
                let path = self.arena.text(target)?;
                self.lay(Step::Seal {
                    path,
                    if_writable: true,
                });
                Ok(())
            }
            Mount::Mask { target } => self.mask(mount, &absolute(target, facts)?),
            Mount::Symlink { to, .. } => self.symlink(mount, &destination(mount, facts)?, to),
            Mount::Kernel { kind, .. } => self.kernel(mount, *kind, &destination(mount, facts)?),
        }
    }

    /// A file that exists only inside: made where it is to be, if that is in memory, and otherwise mounted there.
    fn file(
        &mut self,
        mount: &Mount,
        target: &Path,
        content: &Content,
        (mode, kept): (u32, Kept),
        source: &Source,
    ) -> Result<()> {
        let bytes = match (content, source) {
            (Content::Text(text), _) => text.as_bytes(),
            (_, Source::Content(bytes)) => bytes,
            _ => return Err(Error::broken("the facts were gathered for another spec")),
        };
        let content = u16::try_from(self.contents.len())
            .map_err(|_| Error::usage("there are more than 65535 files"))?;
        self.contents.push(bytes.to_vec());
        self.check(mount, target)?;
        let read_only = match kept {
            Kept::Written => None,
            Kept::Either if self.in_memory(target) => None,
            Kept::Either => Some(false),
            Kept::Mounted { read_only } => Some(read_only),
        };
        let Some(read_only) = read_only else {
            self.refuse_on_host(mount, target, "a file")?;
            self.make_parent(target, Some(mode))?;
            let path = self.arena.text(target)?;
            self.lay(Step::WriteFile {
                path,
                content,
                mode,
                replace: self.anywhere,
            });
            self.note_place(target, false);
            return Ok(());
        };
        let path = self.staged_path(&format!("file-{content}"))?;
        self.staged.push(must(Step::WriteFile {
            path,
            content,
            mode,
            replace: false,
        }));
        let attributes = Attributes::read_only(read_only);
        let slot = self.take_staged(path, attributes);
        if kept != Kept::Either {
            self.place(mount, target, true, Some(mode))?;
        }
        self.attach(slot, target, attributes)
    }

    /// What is hidden is looked at inside, since it may be in any view; so both a file and a directory are at hand.
    fn mask(&mut self, mount: &Mount, target: &Path) -> Result<()> {
        check_target(mount, target)?;
        let file = self.take_hidden(false)?;
        let directory = self.take_hidden(true)?;
        let path = self.arena.text(target)?;
        self.lay(Step::Mask {
            target: path,
            file,
            directory,
        });
        self.cover_masked(target);
        Ok(())
    }

    fn symlink(&mut self, mount: &Mount, target: &Path, to: &Path) -> Result<()> {
        self.check(mount, target)?;
        self.refuse_on_host(mount, target, "a link")?;
        self.make_parent(target, None)?;
        let step = Step::MakeSymlink {
            to: self.arena.text(to)?,
            path: self.arena.text(target)?,
        };
        self.lay(step);
        self.note_place(target, false);
        Ok(())
    }

    /// What is made stays where it is made, and that is not to be the host, unless that was asked for.
    fn refuse_on_host(&self, mount: &Mount, target: &Path, what: &str) -> Result<()> {
        if self.anywhere || self.in_memory(target) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{}: {what} can be made in memory only, and nothing is made on the host",
            name(mount)
        ))
        .with_hint("put it below a --tmpfs, or in --root empty"))
    }

    fn kernel(&mut self, mount: &Mount, kind: Kernel, target: &Path) -> Result<()> {
        self.place(mount, target, false, None)?;
        let place = target.as_os_str();
        match kind {
            Kernel::Dev => return self.dev(target),
            Kernel::Proc if self.anywhere && !self.has_old_root => {
                let slot = self.slots.next();
                self.taken.push(must(Step::OpenProc { slot }));
                let target = self.arena.text(target)?;
                self.lay(Step::AttachProc { slot, target });
            }
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
        self.cover(target, false);
        self.enter_if_root(target)
    }

    /// /etc/resolv.conf and the like, where they are links to what the last view has covered: the file appears there
    /// again, before the next view, which may hide it or be laid over it. What was hidden by name already stays so.
    fn linked_files(&mut self, spec: &Spec, facts: &Facts) -> Result<()> {
        for (link, file) in &facts.linked_files {
            let is_lost = self.in_memory(file) && !self.places.contains_key(file);
            if is_lost && self.has_link(spec, link) && !self.is_masked(link, file) {
                let slot = self.take(file, true)?;
                self.make_place(file, true)?;
                self.attach(slot, file, Attributes::READ_ONLY)?;
            }
        }
        Ok(())
    }

    /// Whether `link` is there: it is if the host's /etc is.
    fn has_link(&self, spec: &Spec, link: &Path) -> bool {
        match self.place_of(link) {
            Some((_, in_memory)) => !in_memory,
            None => spec.root.is_host(),
        }
    }

    // Steps.

    pub fn attach(&mut self, slot: Slot, target: &Path, attributes: Attributes) -> Result<()> {
        if std::mem::take(&mut self.lacks_root) {
            return self.root_of(slot, attributes);
        }
        let path = self.arena.text(target)?;
        self.lay(Step::Attach {
            slot,
            target: path,
            attributes,
        });
        self.cover(target, false);
        self.enter_if_root(target)
    }

    /// What is mounted at `/` is the root only when it is entered.
    pub(super) fn enter_if_root(&mut self, target: &Path) -> Result<()> {
        match target == Path::new("/") {
            true => self.enter_top(),
            false => Ok(()),
        }
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

/// What is taken from a mount.
fn attributes(read_only: bool, without: Without) -> Attributes {
    let taken = |wanted, attribute| match wanted {
        true => attribute,
        false => Attributes::NONE,
    };
    Attributes::read_only(read_only)
        .with(taken(without.devices, Attributes::NO_DEVICES))
        .with(taken(without.setuid, Attributes::NO_SETUID))
}

/// Permission bits, which are written in octal.
fn mode_of(what: &str, mode: Option<&OsStr>, default: u32) -> Result<u32> {
    let Some(mode) = mode else {
        return Ok(default);
    };
    let octal = |byte: u8| matches!(byte, b'0'..=b'7');
    let text = checked(what, "mode", Some(mode), "", octal)?;
    Ok(u32::from_str_radix(&text, 8).unwrap_or(u32::MAX) & 0o7777)
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
