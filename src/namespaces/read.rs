//! Reading /proc. Processes end while they are read: that is no error, they are gone.

use super::{Id, Kind, Seats};
use crate::error::{Error, Result};
use crate::sys::namespace;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::fmt::Display;
use std::io;

/// What looking at the namespaces of a process gave.
pub enum Look {
    /// All that it has. One that has ended and was not waited for has a user and a PID namespace.
    Seen(Seats),
    /// There is no such process.
    Gone,
    /// The kernel shows it to nobody but who may trace it (proc_pid_ns(5)): it is another user's, or made itself
    /// undumpable.
    Refused(Errno),
}

/// Looks at the namespaces of `process`, a process id or `self`.
pub fn look(process: impl Display) -> Result<Look> {
    let mut seats = Seats::new();
    for kind in Kind::ALL {
        let path = format!("/proc/{process}/ns/{}", kind.name());
        match std::fs::read_link(&path) {
            Ok(link) => {
                let id = id(&link.to_string_lossy());
                let id =
                    id.ok_or_else(|| Error::broken(format!("read {path}: it is no namespace")))?;
                seats.insert(kind, id);
            }
            // This process is gone, or has no such namespace any more, or this kernel has none.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => match errno(&error) {
                Errno::SRCH => return Ok(Look::Gone),
                Errno::ACCESS | Errno::PERM => return Ok(Look::Refused(errno(&error))),
                _ => return Err(Error::setup(format!("read {path}"), error)),
            },
        }
    }
    Ok(match seats.is_empty() {
        true => Look::Gone,
        false => Look::Seen(seats),
    })
}

/// The number in `mnt:[4026531841]`.
fn id(link: &str) -> Option<Id> {
    let (_, rest) = link.split_once(":[")?;
    rest.strip_suffix(']')?.parse().ok()
}

/// The namespaces of this process.
pub fn own() -> Result<Seats> {
    let refused = |errno| Err(Error::setup("read /proc/self/ns", errno));
    match look("self")? {
        Look::Seen(seats) => Ok(seats),
        Look::Gone => refused(Errno::NOENT),
        Look::Refused(errno) => refused(errno),
    }
}

/// Opens the namespace with this number through a process that was seen in it. None when it is not in it any more.
pub fn open(pid: i32, kind: Kind, id: Id) -> Result<Option<OwnedFd>> {
    let path = format!("/proc/{pid}/ns/{}", kind.name());
    match openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok((number(&fd)? == id).then_some(fd)),
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => Ok(None),
        Err(errno) => Err(Error::setup(format!("open {path}"), errno)),
    }
}

/// The number of an open namespace.
fn number(namespace: &OwnedFd) -> Result<Id> {
    let stat = fstat(namespace).map_err(|errno| Error::setup("stat a namespace", errno))?;
    Ok(stat.st_ino)
}

/// The user namespace that owns an open one. None where that is beyond what may be seen.
pub fn owner(namespace: &OwnedFd) -> Result<Option<(Id, OwnedFd)>> {
    relative("the owner", namespace::owner(namespace.as_fd()))
}

/// The namespace above an open user or PID namespace. None where that is beyond what may be seen.
pub fn parent(namespace: &OwnedFd) -> Result<Option<(Id, OwnedFd)>> {
    relative("the parent", namespace::parent(namespace.as_fd()))
}

fn relative(what: &str, answer: rustix::io::Result<OwnedFd>) -> Result<Option<(Id, OwnedFd)>> {
    match answer {
        Ok(fd) => Ok(Some((number(&fd)?, fd))),
        Err(Errno::PERM) => Ok(None),
        Err(errno) => Err(Error::setup(
            format!("ask for {what} of a namespace"),
            errno,
        )),
    }
}

/// The processes that /proc has, lowest first.
pub fn processes() -> Result<Vec<i32>> {
    let failed = |error: io::Error| Error::setup("read /proc", error);
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// The command line of a process, its words apart by spaces; in brackets the name of one that has none, such as a thread of
/// the kernel. None when it is gone.
pub fn command(pid: i32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    match line.trim_end() {
        "" => {
            let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
            Some(format!("[{}]", String::from_utf8_lossy(&name).trim_end()))
        }
        line => Some(line.to_string()),
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_no_namespace_has_no_number() {
        assert_eq!(id("mnt:[4026531841]"), Some(4026531841));
        for link in ["", "mnt", "mnt:[]", "mnt:[x]", "mnt:[1", "socket:1"] {
            assert_eq!(id(link), None, "{link}");
        }
    }

    #[test]
    fn a_process_that_does_not_exist_is_gone_and_no_error() {
        assert!(matches!(look(i32::MAX), Ok(Look::Gone)));
        assert!(matches!(open(i32::MAX, Kind::Mnt, 1), Ok(None)));
        assert_eq!(command(i32::MAX), None);
    }

    #[test]
    fn a_process_that_is_in_another_namespace_now_does_not_open_it() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let id = own().unwrap()[&Kind::Mnt];
        let open = |id| open(pid, Kind::Mnt, id).unwrap().is_some();
        assert!(open(id));
        assert!(!open(id + 1));
    }
}
