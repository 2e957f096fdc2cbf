//! What is taken from the host, and what is prepared to be taken.

use super::places::{absolute, name};
use super::{NO_DEVICES, STAGE, Views};
use crate::child::step::{Attributes, Entry, Slot, Step, Text};
use crate::error::{Error, Result, Subject};
use crate::host::{Facts, Source};
use crate::plan::Upper;
use crate::plan::setup::must;
use crate::spec::Mount;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

impl Views<'_> {
    /// A file or directory of the host.
    pub(in crate::plan) fn take(&mut self, path: &Path, read_only: bool) -> Result<Slot> {
        self.take_some(path, Attributes::read_only(read_only), false)
    }

    /// The same, with `optional` if it need not be there.
    pub(super) fn take_some(
        &mut self,
        path: &Path,
        attributes: Attributes,
        optional: bool,
    ) -> Result<Slot> {
        let slot = self.slots.next();
        let path = self.arena.text(path)?;
        self.taken.push(must(Step::OpenTree {
            path,
            slot,
            attributes,
            optional,
        }));
        Ok(slot)
    }

    /// An empty file or directory that cannot be written, to hide another with.
    pub(in crate::plan) fn take_hidden(&mut self, directory: bool) -> Result<Slot> {
        let path = match self.hiding[usize::from(directory)] {
            Some(path) => path,
            None if directory => self.staged_directory("directory", 0o555)?,
            None => {
                let path = self.staged_path("file")?;
                self.staged.push(must(Step::MakeFile { path, mode: 0o444 }));
                path
            }
        };
        self.hiding[usize::from(directory)] = Some(path);
        Ok(self.take_staged(path, Attributes::READ_ONLY))
    }

    /// An overlay: of directories of the host, or with its upper side in memory.
    pub(super) fn take_overlay(
        &mut self,
        mount: &Mount,
        source: &Source,
        facts: &Facts,
        steps_down: bool,
    ) -> Result<Slot> {
        let Mount::Overlay {
            lower,
            read_only: shown_only,
            upper,
            work,
            optional,
            volatile,
            ..
        } = mount
        else {
            return Err(Error::broken("only an overlay is taken as one"));
        };
        let mode = mode_of(mount, source)?;
        let wrong = |why| Err(Error::usage(format!("{}: {why}", name(mount))));
        let sides = match (upper, work) {
            (Some(_), _) | (_, Some(_)) if *shown_only => {
                return wrong("nothing is written to an overlay that is read-only");
            }
            (None, None) if *shown_only && lower.len() < 2 => {
                return wrong("an overlay that is read-only takes two directories or more");
            }
            (None, None) if *shown_only => None,
            (None, None) => Some(self.upper_in_memory(mode)?),
            (None, Some(_)) => return wrong("work without upper"),
            (Some(upper), work) => {
                let upper = absolute(upper, facts)?;
                Some(self.upper_on_host(mount, upper, work.as_deref(), facts)?)
            }
        };
        let (upper_side, work_side) = sides.unzip();
        let paths = lower.iter().map(|path| absolute(path, facts));
        let paths = paths.collect::<Result<Vec<_>>>()?;
        let slot = self.slots.next();
        let step = Step::OpenOverlay {
            lower: self.layer(mount, &paths)?,
            upper: upper_side,
            work: work_side,
            volatile: *volatile,
            slot,
        };
        let instead = match paths.first().filter(|_| *optional && steps_down) {
            Some(path) => Some(Step::OpenTree {
                path: self.arena.text(path)?,
                slot,
                attributes: Attributes::READ_ONLY,
                optional: true,
            }),
            None => None,
        };
        let entry = Entry { step, instead };
        match upper.is_none() && !shown_only {
            true => self.staged.push(entry),
            false => self.taken.push(entry),
        }
        Ok(slot)
    }

    /// An upper and a work directory on the stage. What is seen of the merged directory itself is its upper side, so that
    /// has the mode of the lower.
    fn upper_in_memory(&mut self, mode: u32) -> Result<(Text, Text)> {
        let number = self.slots.count();
        Ok((
            self.staged_directory(&format!("upper-{number}"), mode)?,
            self.staged_directory(&format!("work-{number}"), 0o700)?,
        ))
    }

    fn upper_on_host(
        &mut self,
        mount: &Mount,
        upper: PathBuf,
        work: Option<&Path>,
        facts: &Facts,
    ) -> Result<(Text, Text)> {
        let (work, made) = match work {
            Some(work) => (absolute(work, facts)?, None),
            None => {
                let work = beside(&upper).ok_or_else(|| {
                    Error::usage(format!("{}: upper is the root itself", name(mount)))
                })?;
                (work.clone(), Some(work))
            }
        };
        let sides = (self.layer(mount, &[&upper])?, self.layer(mount, &[&work])?);
        self.uppers.push(Upper {
            path: upper,
            target: mount.target().unwrap_or(Path::new("/")).to_path_buf(),
            work: made,
        });
        Ok(sides)
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
    pub(super) fn make_source(&mut self, path: &Path) -> Result<()> {
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

    pub(super) fn staged_path(&mut self, name: &str) -> Result<Text> {
        self.arena.text(format!("{STAGE}/{name}"))
    }

    fn staged_directory(&mut self, name: &str, mode: u32) -> Result<Text> {
        let path = self.staged_path(name)?;
        self.staged.push(must(Step::MakeDirectory { path, mode }));
        Ok(path)
    }

    pub(super) fn take_staged(&mut self, path: Text, attributes: Attributes) -> Slot {
        let slot = self.slots.next();
        self.staged.push(must(Step::OpenTree {
            path,
            slot,
            attributes,
            optional: false,
        }));
        slot
    }

    /// What is staged is taken last: it covers a place of the host's meanwhile.
    pub(super) fn close_stage(&mut self, shown: bool) -> Result<()> {
        if !self.staged.is_empty() {
            let step = self.file_system("tmpfs", STAGE, NO_DEVICES, "mode=755")?;
            self.taken.push(must(step));
            self.taken.append(&mut self.staged);
            let path = self.arena.text(STAGE)?;
            self.taken.push(must(Step::CloseStage { path, shown }));
        }
        Ok(())
    }
}

/// The work directory beside `upper`.
fn beside(upper: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(upper.file_name()?);
    name.push(".rootlet-work");
    Some(upper.with_file_name(name))
}

/// The mode of an overlay's first lower directory, if each of its layers can be one.
fn mode_of(mount: &Mount, source: &Source) -> Result<u32> {
    match source {
        Source::Directory { mode } => Ok(*mode),
        Source::Unusable { path, is_there } => {
            let refused = |why| Error::usage(format!("{}: {} {why}", name(mount), path.display()));
            Err(match is_there {
                true => refused("is not a directory"),
                false => refused("is not there on the host (ENOENT)")
                    .about(Subject::Source(path.clone())),
            })
        }
        _ => Err(Error::broken("the facts were gathered for another spec")),
    }
}
