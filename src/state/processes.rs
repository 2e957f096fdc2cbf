//! The machine's processes, as /proc lists them: whose child each is, and what it uses.

use super::Process;
use crate::error::{Error, Result};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{HashMap, HashSet};

/// A process at one moment (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub process: Process,
    /// Its parent's id.
    pub parent: i32,
    /// What it does: a letter, such as R, S, T or Z.
    pub state: char,
    /// How many threads it has, the first one counted also when it has ended.
    pub threads: u64,
    /// Processor time that it has used: clock ticks.
    pub ticks: u64,
    /// Pages of memory that it has in use, which it may share with others.
    pub pages: u64,
    /// The program's name, 15 bytes at most.
    pub name: String,
}

impl Seen {
    /// One that nobody has looked at.
    fn unseen(process: Process) -> Seen {
        Seen {
            process,
            parent: 0,
            state: '?',
            ticks: 0,
            threads: 0,
            pages: 0,
            name: String::new(),
        }
    }
}

impl Seen {
    /// Bytes of memory. Only for who shows them: to learn how large a page is may take a system call.
    pub fn memory(&self) -> u64 {
        self.pages * rustix::param::page_size() as u64
    }
}

/// The processes of one moment, by their ids.
#[derive(Debug, Default)]
pub struct Table {
    seen: HashMap<i32, Seen>,
    /// Those that had gone when they were looked at, too.
    listed: HashSet<i32>,
}

impl Table {
    /// Looks at all of them.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn read() -> Result<Table> {
        let mut table = Table::default();
        table.grow()?;
        Ok(table)
    }

    /// Looks at all but these, of which is known that they live: each takes as long to look at as all that a list says of
    /// its container.
    ///
    /// # Errors
    /// See [`Table::read`].
    pub fn read_but(known: impl Iterator<Item = Process>) -> Result<Table> {
        let mut table = Table::default();
        for process in known {
            table.listed.insert(process.pid);
            table.seen.insert(process.pid, Seen::unseen(process));
        }
        table.grow()?;
        Ok(table)
    }

    /// Looks at those that have come since; returns their ids, also of such as have gone again. When there are none, all
    /// that live are in the table: a process that had made another and gone before it was looked at has left that one.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn grow(&mut self) -> Result<Vec<i32>> {
        let entries = std::fs::read_dir("/proc")
            .map_err(|error| Error::setup("read the directory /proc", error))?;
        let pids = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let new: Vec<i32> = pids.filter(|&pid| self.listed.insert(pid)).collect();
        let seen = new.iter().filter_map(|&pid| Some((pid, look(pid)?)));
        self.seen.extend(seen);
        Ok(new)
    }

    /// The process, if it is still there.
    pub fn get(&self, process: Process) -> Option<&Seen> {
        let seen = self.seen.get(&process.pid)?;
        (seen.process.start == process.start).then_some(seen)
    }

    /// Whose child each is.
    pub fn tree(&self) -> Tree<'_> {
        let mut children: HashMap<i32, Vec<&Seen>> = HashMap::new();
        for seen in self.seen.values() {
            children.entry(seen.parent).or_default().push(seen);
        }
        Tree {
            table: self,
            children,
        }
    }
}

/// The processes of a table, by their parents.
#[derive(Debug)]
pub struct Tree<'t> {
    table: &'t Table,
    children: HashMap<i32, Vec<&'t Seen>>,
}

impl<'t> Tree<'t> {
    /// Who is in a container: what its init has, or the command and all that came from it, and the same of commands that
    /// were executed besides. Rootlet's own processes are not counted: the init, and those outside that wait for the
    /// executed commands.
    pub fn inside(
        &self,
        init: Option<Process>,
        command: Option<Process>,
        execs: &[Process],
    ) -> Vec<&'t Seen> {
        let mut all = Vec::new();
        if init.is_none() {
            all.extend(command.and_then(|command| self.table.get(command)));
        }
        all.extend(self.descendants(init.or(command).as_slice()));
        let waits = |pid: i32| execs.iter().any(|exec| exec.pid == pid);
        let executed = self.descendants(execs).into_iter();
        all.extend(executed.filter(|seen| !waits(seen.parent)));
        all
    }

    /// All that come from these processes, without them, in the order of their ids.
    fn descendants(&self, roots: &[Process]) -> Vec<&'t Seen> {
        let there = roots.iter().filter_map(|&root| self.table.get(root));
        let mut left: Vec<i32> = there.map(|seen| seen.process.pid).collect();
        let mut found = Vec::new();
        while let Some(parent) = left.pop() {
            for &child in self.children.get(&parent).into_iter().flatten() {
                left.push(child.process.pid);
                found.push(child);
            }
        }
        found.sort_by_key(|seen| seen.process.pid);
        found.dedup_by_key(|seen| seen.process.pid);
        found
    }
}

/// What each thread of a process does: a letter each.
pub fn threads(pid: i32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let state = |task: std::fs::DirEntry| {
        let text = std::fs::read(task.path().join("stat")).ok()?;
        Some(parse(pid, &String::from_utf8_lossy(&text))?.state)
    };
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(state)
        .collect()
}

/// Looks at one process; none when there is no such.
pub fn look(pid: i32) -> Option<Seen> {
    try_look(pid).ok()
}

fn try_look(pid: i32) -> std::result::Result<Seen, Errno> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, format!("/proc/{pid}/stat"), flags, Mode::empty())?;
    // Some fifty numbers and a short name: the kernel gives it whole, in one read.
    let mut text = [0u8; 2048];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut text))?;
    parse(pid, &String::from_utf8_lossy(&text[..length])).ok_or(Errno::IO)
}

/// This process.
///
/// # Errors
/// When /proc does not tell of it; and when it is that of another PID namespace, in which others have the ids of this
/// one's processes.
pub fn own() -> Result<Process> {
    let pid = std::process::id() as i32;
    let failed = |errno| Error::setup("look at this process in /proc", errno);
    let known = rustix::fs::readlink("/proc/self", Vec::new()).map_err(failed)?;
    if known.to_bytes() != pid.to_string().as_bytes() {
        return Err(Error::usage(
            "/proc is that of another PID namespace, where this process has another id",
        )
        .with_hint("mount its own: mount -t proc proc /proc"));
    }
    Ok(try_look(pid).map_err(failed)?.process)
}

/// The name is between parentheses, and may have any of them in it: what follows the last one is numbers.
fn parse(pid: i32, text: &str) -> Option<Seen> {
    let (name, numbers) = text.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = numbers.split_ascii_whitespace().collect();
    // The first of these is the third of the file.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Seen {
        process: Process {
            pid,
            start: field(22)?,
        },
        parent: field(4)? as i32,
        state: fields.first()?.chars().next()?,
        threads: field(20)?,
        ticks: field(14)? + field(15)?,
        pages: field(24)?,
        name: name.to_string(),
    })
}

/// The process with this id as it is now.
pub fn identify(pid: i32) -> Option<Process> {
    look(pid).map(|seen| seen.process)
}

/// [`identify`], for who has to know why not: none when there is no such process.
///
/// # Errors
/// When /proc does not tell of it, for want of file descriptors or memory say.
pub fn find(pid: i32) -> Result<Option<Process>> {
    match try_look(pid) {
        Ok(seen) => Ok(Some(seen.process)),
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(errno) => Err(Error::setup(
            format!("look at process {pid} in /proc"),
            errno,
        )),
    }
}

/// Holds a process: its id stays its own for as long as this is open. None when it has ended.
///
/// # Errors
/// When the kernel has no such descriptors (Linux 5.3).
pub fn hold(process: Process) -> Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // Looked at after it is held: the id cannot go to another any more.
        Ok(held) => Ok((identify(process.pid) == Some(process)).then_some(held)),
        Err(Errno::SRCH | Errno::INVAL) => Ok(None),
        Err(errno) => Err(Error::setup(
            format!("hold process {}, pidfd_open", process.pid),
            errno,
        )),
    }
}

/// [`hold`], of a process of which one knows what the kernel calls it: then there is no need to look it up in /proc.
///
/// # Errors
/// See [`hold`].
pub fn hold_unique(process: Process, unique: Option<u64>) -> Result<Option<OwnedFd>> {
    let known = unique.and_then(|unique| {
        let held = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
        (name_of(&held) == Some(unique)).then_some(held)
    });
    known.map_or_else(|| hold(process), |held| Ok(Some(held)))
}

/// What the kernel calls the process with this id, and no other since the machine started.
pub fn unique(pid: i32) -> Option<u64> {
    name_of(&pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)
}

/// The inode number of a process's descriptor is its own (Linux 6.9); before, all have one, in another file system.
fn name_of(held: &OwnedFd) -> Option<u64> {
    /// From linux/magic.h.
    const PIDFS_MAGIC: u64 = 0x5049_4446;
    let system = rustix::fs::fstatfs(held).ok()?;
    match system.f_type as u64 == PIDFS_MAGIC {
        true => Some(rustix::fs::fstat(held).ok()?.st_ino),
        false => None,
    }
}

/// Sends a signal to a process, and to no other. False when it has ended.
///
/// # Errors
/// When it is refused.
pub fn signal(process: Process, signal: Signal) -> Result<bool> {
    let Some(held) = hold(process)? else {
        return Ok(false);
    };
    match pidfd_send_signal(&held, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(errno) => Err(Error::setup(
            format!("send process {} a signal, pidfd_send_signal", process.pid),
            errno,
        )),
    }
}

/// Whether a process is in the user namespace that this one is in.
pub fn is_in_own_user_namespace(pid: i32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let namespace = |process: &str| {
        let data = std::fs::metadata(format!("/proc/{process}/ns/user")).ok()?;
        Some(data.ino())
    };
    if let Some(theirs) = namespace(&pid.to_string()) {
        return namespace("self") == Some(theirs);
    }
    // One that is closed, as rootlet is while it executes something in a container. Its map and its ids can be read.
    let map = |process: &str| std::fs::read_to_string(format!("/proc/{process}/uid_map")).ok();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let is_deeper = ids.is_none_or(|ids| ids.split_whitespace().count() > 1);
    let theirs = map(&pid.to_string());
    !is_deeper && theirs.is_some() && theirs == map("self")
}

/// The PID namespace that this process is in: the inode number of /proc/self/ns/pid.
///
/// # Errors
/// When /proc does not say it.
pub fn own_namespace() -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata("/proc/self/ns/pid");
    data.map(|data| data.ino())
        .map_err(|error| Error::setup("look at /proc/self/ns/pid", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_no_hindrance() {
        let rest = "S 5 6 7 8 9 10 11 12 13 14 30 12 17 18 19 20 1 22 777 24 25 26";
        let seen = parse(3, &format!("3 (a) b (c) {rest}")).unwrap();
        assert_eq!(seen.name, "a) b (c");
        assert_eq!((seen.parent, seen.state, seen.ticks), (5, 'S', 42));
        assert_eq!(seen.process, Process { pid: 3, start: 777 });
        for odd in ["", "3 (", "3 (a", "3 (a) S 5", "3 (a) S x 6 7"] {
            assert_eq!(parse(3, odd), None, "{odd}");
        }
    }

    #[test]
    fn a_process_is_held_by_its_id_and_start_together() {
        let own = identify(std::process::id() as i32).unwrap();
        assert!(hold(own).unwrap().is_some());
        let other = Process {
            start: own.start + 1,
            ..own
        };
        assert!(hold(other).unwrap().is_none());
        assert!(!signal(other, Signal::KILL).unwrap());
    }

    #[test]
    fn descendants_are_found_over_generations() {
        let seen = |pid, parent| {
            let process = Process { pid, start: 1 };
            let name = String::new();
            (
                pid,
                Seen {
                    process,
                    parent,
                    state: 'S',
                    threads: 1,
                    ticks: 0,
                    pages: 0,
                    name,
                },
            )
        };
        let table = Table {
            seen: HashMap::from([seen(1, 0), seen(5, 1), seen(4, 5), seen(9, 4), seen(8, 1)]),
            ..Table::default()
        };
        let root = Process { pid: 5, start: 1 };
        let tree = table.tree();
        let pids =
            |found: Vec<&Seen>| -> Vec<i32> { found.iter().map(|seen| seen.process.pid).collect() };
        assert_eq!(pids(tree.descendants(&[root])), [4, 9]);
        let other = Process { pid: 5, start: 2 };
        assert!(tree.descendants(&[other]).is_empty());
        assert_eq!(pids(tree.inside(Some(root), None, &[])), [4, 9]);
        assert_eq!(pids(tree.inside(None, Some(root), &[])), [5, 4, 9]);
        let waiting = Process { pid: 4, start: 1 };
        let command = Process { pid: 8, start: 1 };
        // What waits is outside, and so is its child that passes on signals to what was executed.
        assert_eq!(pids(tree.inside(None, Some(command), &[root])), [8, 9]);
        assert_eq!(pids(tree.inside(None, Some(command), &[waiting])), [8]);
        assert!(tree.inside(None, None, &[]).is_empty());
    }
}
