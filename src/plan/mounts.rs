//! The file system that the command sees: what is taken from the host first, and what is laid down then.

use super::arena::Arena;
use super::setup::{Slots, must};
use crate::child::step::{Entry, Slot, Step};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{Mount, Share, Spec};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Devices of the host that a root file system of one's own gets.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links that programs expect in /dev.
const LINKS: [(&str, &str); 5] = [
    ("pts/ptmx", "/dev/ptmx"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];
const NO_PROGRAMS: u32 = (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC) as u32;
const NO_DEVICES: u32 = (libc::MS_NOSUID | libc::MS_NODEV) as u32;

/// The directory that becomes the root, if it is not the host's root anyway.
pub fn rootfs(spec: &Spec) -> Option<&Path> {
    spec.rootfs
        .as_deref()
        .filter(|path| *path != Path::new("/"))
}

/// The steps of the file system.
///
/// Sources are taken before anything is laid over them, so that `--tmpfs ~ -v ~/project` gives the project; then the
/// user's order is the order.
pub struct Views<'a> {
    /// Takes sources.
    pub taken: Vec<Entry>,
    /// Lays everything down.
    pub laid: Vec<Entry>,
    /// Places in memory below which mount points are made as they are needed: nothing of the host's is written.
    in_memory: Vec<PathBuf>,
    slots: &'a mut Slots,
    arena: &'a mut Arena,
}

impl<'a> Views<'a> {
    pub fn new(
        spec: &Spec,
        facts: &Facts,
        slots: &'a mut Slots,
        arena: &'a mut Arena,
    ) -> Result<Self> {
        let mut views = Views {
            taken: Vec::new(),
            laid: Vec::new(),
            in_memory: Vec::new(),
            slots,
            arena,
        };
        match rootfs(spec) {
            None => views.host_root(spec)?,
            Some(path) => views.own_root(spec, &absolute(path, facts)?)?,
        }
        for (mount, &is_file) in spec.mounts.iter().zip(&facts.file_sources) {
            views.mount(mount, is_file, facts)?;
        }
        Ok(views)
    }

    /// The host's tree, with a fresh /proc on it.
    fn host_root(&mut self, spec: &Spec) -> Result<()> {
        if spec.read_only {
            let path = self.arena.text("/")?;
            self.lay(Step::SetReadOnly { path });
        }
        if !spec.shares(Share::Pid) {
            let instead = (!spec.strict).then_some(Step::KeepProc);
            let step = self.file_system("proc", "/proc", NO_PROGRAMS, "")?;
            self.laid.push(Entry { step, instead });
        }
        Ok(())
    }

    /// A directory as the root, with /proc and a minimal /dev.
    fn own_root(&mut self, spec: &Spec, path: &Path) -> Result<()> {
        let root = self.take(path)?;
        let proc = match spec.shares(Share::Pid) || !spec.strict {
            true => Some(self.take(Path::new("/proc"))?),
            false => None,
        };
        let devices = DEVICES.map(|name| (name, Path::new("/dev").join(name)));
        let taken = devices
            .iter()
            .map(|(_, path)| self.take(path))
            .collect::<Result<Vec<Slot>>>()?;

        let path = self.arena.text(path)?;
        self.lay(Step::Attach {
            slot: root,
            target: path,
        });
        if spec.read_only {
            self.lay(Step::SetReadOnly { path });
        }
        self.lay(Step::EnterRoot { path });
        let target = self.arena.text("/proc")?;
        let old = proc.map(|slot| Step::Attach { slot, target });
        match old.filter(|_| spec.shares(Share::Pid)) {
            Some(step) => self.lay(step),
            None => {
                let step = self.file_system("proc", "/proc", NO_PROGRAMS, "")?;
                self.laid.push(Entry { step, instead: old });
            }
        }
        let noexec = libc::MS_NOEXEC as u32;
        let step = self.file_system(
            "tmpfs",
            "/dev",
            libc::MS_NOSUID as u32 | noexec,
            "mode=755,size=64k",
        )?;
        self.lay(step);
        for ((name, _), slot) in devices.iter().zip(taken) {
            let target = self.arena.text(format!("/dev/{name}"))?;
            self.lay(Step::MakeFile { path: target });
            self.lay(Step::Attach { slot, target });
        }
        for (path, kind, flags, options) in [
            (
                "/dev/pts",
                "devpts",
                libc::MS_NOSUID as u32 | noexec,
                "newinstance,ptmxmode=0666,mode=0620",
            ),
            ("/dev/shm", "tmpfs", NO_DEVICES, "mode=1777"),
        ] {
            let directory = self.arena.text(path)?;
            self.lay(Step::MakeDirectory { path: directory });
            let step = self.file_system(kind, path, flags, options)?;
            self.lay(step);
        }
        for (to, path) in LINKS {
            let step = Step::MakeSymlink {
                to: self.arena.text(to)?,
                path: self.arena.text(path)?,
            };
            self.lay(step);
        }
        self.in_memory.push(PathBuf::from("/dev"));
        Ok(())
    }

    fn mount(&mut self, mount: &Mount, is_file: bool, facts: &Facts) -> Result<()> {
        match mount {
            Mount::Bind {
                source,
                target,
                read_only,
            } => {
                let target = match target {
                    Some(target) => target.clone(),
                    None => absolute(source, facts)?,
                };
                check_target("volume", &target)?;
                let slot = self.take(source)?;
                self.make_place(&target, is_file)?;
                let path = self.arena.text(&target)?;
                self.lay(Step::Attach { slot, target: path });
                if *read_only {
                    self.lay(Step::SetReadOnly { path });
                }
            }
            Mount::Tmpfs { target, size, mode } => {
                check_target("tmpfs", target)?;
                let mut options = format!(
                    "mode={}",
                    checked("mode", mode.as_deref(), "1777", |byte| matches!(
                        byte,
                        b'0'..=b'7'
                    ))?
                );
                if let Some(size) = size {
                    let known = |byte: u8| byte.is_ascii_digit() || b"kKmMgG%".contains(&byte);
                    options = format!("size={},{options}", checked("size", Some(size), "", known)?);
                }
                self.make_place(target, false)?;
                let target_text = target.as_os_str();
                let step = self.file_system("tmpfs", target_text, NO_DEVICES, &options)?;
                self.lay(step);
                self.in_memory.push(target.clone());
            }
        }
        Ok(())
    }

    /// Makes the mount point, where it lies in memory of the container's own.
    fn make_place(&mut self, target: &Path, is_file: bool) -> Result<()> {
        let plain = target
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let top = self
            .in_memory
            .iter()
            .filter(|top| plain && target.starts_with(top) && target != top.as_path());
        let Some(top) = top.max_by_key(|top| top.as_os_str().len()).cloned() else {
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
            self.lay(if last && is_file {
                Step::MakeFile { path: text }
            } else {
                Step::MakeDirectory { path: text }
            });
        }
        Ok(())
    }

    fn take(&mut self, path: &Path) -> Result<Slot> {
        let slot = self.slots.next();
        let path = self.arena.text(path)?;
        self.taken.push(must(Step::OpenTree { path, slot }));
        Ok(slot)
    }

    fn file_system(
        &mut self,
        kind: &str,
        target: impl AsRef<OsStr>,
        flags: u32,
        options: &str,
    ) -> Result<Step> {
        let (kind, target) = (self.arena.text(kind)?, self.arena.text(target)?);
        Ok(Step::Mount {
            kind,
            target,
            flags,
            options: self.arena.text(options)?,
        })
    }

    fn lay(&mut self, step: Step) {
        self.laid.push(must(step));
    }
}

/// `path` from the caller's working directory.
fn absolute(path: &Path, facts: &Facts) -> Result<PathBuf> {
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

fn check_target(what: &str, target: &Path) -> Result<()> {
    let shown = target.display();
    if !target.is_absolute() {
        return Err(Error::usage(format!(
            "{what} destination {shown:?} is not an absolute path"
        )));
    }
    if target.components().all(|part| part == Component::RootDir) {
        return Err(
            Error::usage(format!("{what} destination {shown} is the root itself"))
                .with_hint("another root is chosen with --rootfs DIR"),
        );
    }
    Ok(())
}

/// An option of tmpfs that holds nothing but the bytes that are `known`, so that it cannot smuggle in another option.
fn checked(
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
            "tmpfs {name} {:?} is not a {name}",
            String::from_utf8_lossy(value.as_bytes())
        ))),
    }
}
