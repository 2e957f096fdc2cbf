//! The root tree, /proc, /dev and /sys.

use super::views::{NO_DEVICES, NO_PROGRAMS, STAGE, Views, absolute};
use crate::child::step::{Attributes, Entry, Slot, Step};
use crate::error::{Error, Result};
use crate::host::{Facts, Guard, Source};
use crate::spec::{Kernel, Mount, Net, Proc, Root, Rung, Share, Spec};
use std::path::Path;

/// Devices of the host that a /dev of one's own gets.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links that programs expect in /dev.
const LINKS: [(&str, &str); 6] = [
    ("pts/ptmx", "ptmx"),
    ("/proc/kcore", "core"),
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];
/// Directories that programs expect in an empty root, with their permission bits.
const SKELETON: [(&str, u32); 10] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/var", 0o755),
    ("/var/tmp", 0o1777),
];
/// Flags and options of a devpts of one's own.
pub const DEVPTS: (u32, &str) = (
    (libc::MS_NOSUID | libc::MS_NOEXEC) as u32,
    "newinstance,ptmxmode=0666,mode=0620",
);

/// Whether the container has a /dev of its own.
pub fn has_own_dev(spec: &Spec) -> bool {
    let is_dev = |mount: &Mount| matches!(mount, Mount::Kernel { kind: Kernel::Dev, target } if target == Path::new("/dev"));
    !spec.root.is_host() || spec.mounts.iter().any(is_dev)
}

/// Whether the stage stays in reach, so that it has to be taken down: anything else covers it, or leaves it behind.
pub fn shows_stage(spec: &Spec) -> bool {
    spec.root.is_host() && proc(spec) == Proc::Host
}

/// What /proc is to be, said or not.
fn proc(spec: &Spec) -> Proc {
    let default = match spec.shares(Share::Pid) {
        true => Proc::Host,
        false => Proc::Fresh,
    };
    spec.proc.unwrap_or(default)
}

/// What cannot be, whatever the host.
pub fn refuse(spec: &Spec) -> Result<()> {
    if spec.shares(Share::Pid) && spec.proc == Some(Proc::Fresh) {
        return Err(
            Error::usage("a /proc of its own needs process ids of its own")
                .with_hint("leave out --share pid or --proc fresh"),
        );
    }
    if spec.shares(Share::Pid) && spec.proc == Some(Proc::None) {
        return Err(Error::usage(
            "without /proc and with the host's process ids nothing would end what the command leaves",
        ));
    }
    Ok(())
}

impl Views<'_> {
    /// The root, and what belongs to it before the user's views.
    pub fn root(&mut self, spec: &Spec, facts: &Facts) -> Result<()> {
        match &spec.root {
            Root::Bare => return self.bare_root(spec, facts),
            root if root.is_host() => self.host_root(spec)?,
            Root::Directory(path) => self.directory_root(spec, &absolute(path, facts)?)?,
            _ => self.empty_root()?,
        }
        let own = !spec.root.is_host();
        self.proc(spec, own)?;
        if facts.has_sys || spec.root == Root::Empty {
            self.sys(spec)?;
        }
        // Not before: a new /proc and a new /sys are only for those who see the whole of one already
        // (mount_namespaces(7)).
        if own {
            self.lay(Step::DetachOldRoot { last: false });
            self.dev(Path::new("/dev"))?;
        }
        self.guard(facts)?;
        match spec.root {
            Root::Directory(_) if own => self.require_guarded(facts),
            _ => Ok(()),
        }
    }

    /// An empty root is made read-only when all is in it.
    pub fn close_root(&mut self, spec: &Spec) -> Result<()> {
        if spec.root == Root::Empty && spec.read_only {
            let path = self.text("/")?;
            self.lay(Step::SetAttributes {
                path,
                attributes: Attributes::READ_ONLY,
                recursive: false,
            });
        }
        Ok(())
    }

    fn host_root(&mut self, spec: &Spec) -> Result<()> {
        if spec.read_only {
            let path = self.text("/")?;
            self.lay(Step::SetAttributes {
                path,
                attributes: Attributes::READ_ONLY,
                recursive: true,
            });
        }
        Ok(())
    }

    fn directory_root(&mut self, spec: &Spec, path: &Path) -> Result<()> {
        let slot = self.take(path, spec.read_only)?;
        let path = self.text(path)?;
        self.lay(Step::Attach {
            slot,
            target: path,
            attributes: Attributes::read_only(spec.read_only),
        });
        self.lay(Step::EnterRoot { path });
        Ok(())
    }

    /// What is to be the root, in memory.
    fn root_in_memory(&mut self) -> Result<()> {
        self.lay_file_system("tmpfs", STAGE, NO_DEVICES, "mode=755")?;
        let path = self.text(STAGE)?;
        self.lay(Step::EnterRoot { path });
        self.cover("/", true);
        Ok(())
    }

    /// With nothing in it. A /proc that is to be new is at hand already.
    ///
    /// A directory that the first view lays over all of it is the root itself.
    fn bare_root(&mut self, spec: &Spec, facts: &Facts) -> Result<()> {
        let covers = |mount: &Mount| matches!(mount, Mount::Bind { target: Some(target), .. } if target == Path::new("/"));
        let directory = matches!(
            facts.sources.first(),
            Some(
                Source::Directory { .. }
                    | Source::Held {
                        directory: true,
                        ..
                    }
            )
        );
        self.lacks_root = directory && spec.mounts.first().is_some_and(covers);
        if !self.lacks_root {
            self.root_in_memory()?;
            self.lay(Step::DetachOldRoot { last: false });
        }
        Ok(())
    }

    /// What is in `slot` is the root.
    pub(super) fn root_of(&mut self, slot: Slot, attributes: Attributes) -> Result<()> {
        let path = self.text(STAGE)?;
        self.lay(Step::Attach {
            slot,
            target: path,
            attributes,
        });
        self.lay(Step::EnterRoot { path });
        self.lay(Step::DetachOldRoot { last: false });
        self.cover("/", false);
        Ok(())
    }

    /// What was mounted at `/` last is the root from here on: it is found where `..` leads to there, on top of what was the
    /// root until now.
    pub(super) fn enter_top(&mut self) -> Result<()> {
        let path = self.text("/..")?;
        self.lay(Step::EnterRoot { path });
        self.lay(Step::DetachOldRoot { last: false });
        self.has_old_root = false;
        Ok(())
    }

    fn empty_root(&mut self) -> Result<()> {
        self.root_in_memory()?;
        for (path, mode) in SKELETON {
            let path = self.text(path)?;
            self.lay(Step::MakeDirectory { path, mode });
        }
        Ok(())
    }

    /// /proc; `own` says that the root is not the host's, so that nothing is there yet.
    fn proc(&mut self, spec: &Spec, own: bool) -> Result<()> {
        let target = self.text("/proc")?;
        let from_host = |slot: Slot| Step::Attach {
            slot,
            target,
            attributes: Attributes::NONE,
        };
        match (proc(spec), own) {
            (Proc::Host, false) | (Proc::None, true) => {}
            (Proc::Host, true) => {
                let slot = self.take(Path::new("/proc"), false)?;
                self.lay(from_host(slot));
            }
            (Proc::None, false) => {
                let slot = self.take_hidden(true)?;
                self.lay(from_host(slot));
            }
            (Proc::Fresh, _) => {
                let instead = match (spec.may_step_down(Rung::Proc), own) {
                    (false, _) => None,
                    (true, true) => Some(from_host(self.take(Path::new("/proc"), false)?)),
                    (true, false) => Some(Step::KeepProc { path: target }),
                };
                let step = self.file_system("proc", "/proc", NO_PROGRAMS, "")?;
                self.laid.push(Entry { step, instead });
            }
        }
        self.cover("/proc", false);
        Ok(())
    }

    /// Closes the dangerous parts of /proc.
    fn guard(&mut self, facts: &Facts) -> Result<()> {
        for &(path, guard) in &facts.guarded {
            let target = self.text(path)?;
            let step = match guard {
                Guard::ReadOnly => Step::Seal {
                    path: target,
                    if_writable: false,
                },
                Guard::Hidden { directory } => {
                    let slot = self.take_hidden(directory)?;
                    Step::Mask {
                        target,
                        file: slot,
                        directory: slot,
                    }
                }
            };
            self.lay(step);
        }
        Ok(())
    }

    /// Makes sure of it, in a root that others may write.
    fn require_guarded(&mut self, facts: &Facts) -> Result<()> {
        let names = facts.guarded.iter();
        let names = names.filter_map(|(path, _)| path.strip_prefix("/proc/"));
        let texts = names.map(|name| self.text(name));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        if let Some(&first) = texts.first() {
            let count = texts.len() as u16;
            self.lay(Step::RequireClosed { first, count });
        }
        Ok(())
    }

    /// A small /dev at `place`.
    pub fn dev(&mut self, place: &Path) -> Result<()> {
        let mut devices = Vec::new();
        for name in DEVICES {
            devices.push((name, self.take(&Path::new("/dev").join(name), false)?));
        }
        let flags = (libc::MS_NOSUID | libc::MS_NOEXEC) as u32;
        self.lay_file_system("tmpfs", place, flags, "mode=755,size=64k")?;
        self.enter_if_root(place)?;
        for (name, slot) in devices {
            let target = self.text(place.join(name))?;
            self.lay(Step::MakeFile {
                path: target,
                mode: 0o644,
            });
            self.lay(Step::Attach {
                slot,
                target,
                attributes: Attributes::NONE,
            });
        }
        for (name, kind, (flags, options)) in [
            ("pts", "devpts", DEVPTS),
            ("shm", "tmpfs", (NO_DEVICES, "mode=1777")),
        ] {
            let path = self.text(place.join(name))?;
            self.lay(Step::MakeDirectory { path, mode: 0o755 });
            self.lay_file_system(kind, place.join(name), flags, options)?;
        }
        for (to, name) in LINKS {
            let step = Step::MakeSymlink {
                to: self.text(to)?,
                path: self.text(place.join(name))?,
            };
            self.lay(step);
        }
        self.cover(place, true);
        Ok(())
    }

    /// /sys: that of the container's network, or else the host's, which cannot be written.
    fn sys(&mut self, spec: &Spec) -> Result<()> {
        let fresh = spec.net == Net::None;
        let from_host = match fresh && !spec.may_step_down(Rung::Sys) {
            true => None,
            false => Some(Step::Attach {
                slot: self.take(Path::new("/sys"), true)?,
                target: self.text("/sys")?,
                attributes: Attributes::READ_ONLY,
            }),
        };
        match from_host {
            Some(step) if !fresh => self.lay(step),
            instead => {
                let flags = NO_PROGRAMS | libc::MS_RDONLY as u32;
                let step = self.file_system("sysfs", "/sys", flags, "")?;
                self.laid.push(Entry { step, instead });
            }
        }
        self.cover("/sys", false);
        Ok(())
    }
}
