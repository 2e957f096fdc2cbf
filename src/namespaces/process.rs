//! Where one process is.

use super::read::{self, Look};
use super::{Containers, Id, Kind, Seats, marks};
use crate::error::{Error, Result};
use rustix::io::Errno;
use serde::Serialize;

/// Where a process is, as `rootlet ns --json PID` prints it. Keys stay as they are; others may be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Whereabouts {
    /// Its id here.
    pub pid: i32,
    /// Its command line.
    pub command: Option<String>,
    /// Its ids: here, then in each PID namespace below down to its own.
    pub nspid: Vec<i32>,
    /// The namespaces that it is in.
    pub namespaces: Vec<Place>,
    /// What its user ids are outside.
    pub uid_map: Vec<Range>,
    /// What its group ids are outside.
    pub gid_map: Vec<Range>,
}

/// A namespace that the process is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// What it is one of.
    pub kind: Kind,
    /// Its number.
    pub id: Id,
    /// The user namespace that owns it; none where that is beyond what may be seen.
    pub owner: Option<Id>,
    /// The namespace above a user or PID namespace; none where that is beyond what may be seen.
    pub parent: Option<Id>,
    /// Whether the reader is in it.
    pub own: bool,
    /// The containers that have a process in it.
    pub containers: Vec<String>,
}

/// A line of uid_map or gid_map (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Range {
    /// The first id in the process's user namespace.
    pub inside: u32,
    /// What it is in the reader's user namespace, or in the one above where the process is in the reader's;
    /// 4294967295 where it is no id there.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

impl Whereabouts {
    /// Looks at the process that is called `pid` on a command line.
    ///
    /// # Errors
    /// When there is no such process, or it may not be looked at.
    pub fn of(pid: &str, containers: &Containers) -> Result<Self> {
        let pid = number(pid)?;
        let seats = match read::look(pid)? {
            Look::Seen(seats) => seats,
            Look::Gone => return Err(absent(pid)),
            Look::Refused(errno) => return Err(refused(pid, errno)),
        };
        // Every process that runs has one.
        if !seats.contains_key(&Kind::Mnt) {
            return Err(Error::usage(format!(
                "process {pid} has ended, and its parent has not waited for it: it is in no namespaces any more"
            )));
        }
        Ok(Whereabouts {
            pid,
            command: read::command(pid),
            nspid: nspid(&text(pid, "status")?),
            namespaces: places(pid, seats, containers)?,
            uid_map: ranges(&text(pid, "uid_map")?),
            gid_map: ranges(&text(pid, "gid_map")?),
        })
    }
}

fn number(word: &str) -> Result<i32> {
    let number = word.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| {
        Error::usage(format!("{word:?} is no process id"))
            .with_hint("a process id is a number from 1 on, such as ps shows it")
    })
}

fn absent(pid: i32) -> Error {
    Error::setup(format!("look at process {pid}"), Errno::SRCH).with_hint(
        "process ids are meant as ps shows them here; inside a container they are others",
    )
}

fn refused(pid: i32, errno: Errno) -> Error {
    Error::setup(format!("look at the namespaces of process {pid}"), errno).with_hint(
        "only processes of your own can be looked at, and of those none that hides, as rootlet's init does",
    )
}

/// The text of /proc/PID/`file`.
fn text(pid: i32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => absent(pid),
        _ => Error::setup(format!("read {path}"), error),
    })
}

fn places(pid: i32, seats: Seats, containers: &Containers) -> Result<Vec<Place>> {
    let own = read::own()?;
    let looked = |pid| match read::look(pid) {
        Ok(Look::Seen(seats)) => Some(seats),
        _ => None,
    };
    let marks = marks(containers, &own, looked);
    let place = |(kind, id): (Kind, Id)| {
        let namespace = read::open(pid, kind, id)?.ok_or_else(|| absent(pid))?;
        let owner = read::owner(&namespace)?.map(|(id, _)| id);
        let parent = match kind {
            Kind::User => owner,
            Kind::Pid => read::parent(&namespace)?.map(|(id, _)| id),
            _ => None,
        };
        Ok(Place {
            kind,
            id,
            owner,
            parent,
            own: own.get(&kind) == Some(&id),
            containers: marks.get(&id).cloned().unwrap_or_default(),
        })
    };
    seats.into_iter().map(place).collect()
}

/// The ids in the line `NSpid` of /proc/PID/status.
fn nspid(status: &str) -> Vec<i32> {
    let mut lines = status.lines();
    let ids = lines.find_map(|line| line.strip_prefix("NSpid:"));
    let ids = ids.unwrap_or_default().split_whitespace();
    ids.filter_map(|id| id.parse().ok()).collect()
}

/// The lines of uid_map or gid_map.
fn ranges(map: &str) -> Vec<Range> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Range {
            inside: next()?,
            outside: next()?,
            count: next()?,
        })
    };
    map.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_process_id_is_said_to_be_none() {
        assert_eq!(number("1"), Ok(1));
        for word in ["", "0", "-1", "x", "1x", "2147483648"] {
            let error = number(word).unwrap_err();
            assert_eq!(error.to_string(), format!("{word:?} is no process id"));
        }
    }

    #[test]
    fn the_ids_of_a_process_are_read_from_outside_to_inside() {
        let status = "Name:\tsleep\nNStgid:\t9\t9\t9\nNSpid:\t1234\t7\t1\nNSpgid:\t8\n";
        assert_eq!(nspid(status), [1234, 7, 1]);
        assert!(nspid("").is_empty());
    }

    #[test]
    fn each_line_of_a_map_is_a_range() {
        let range = |inside, outside, count| Range {
            inside,
            outside,
            count,
        };
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(ranges(map), [range(0, 1000, 1), range(1, 100000, 65536)]);
        assert_eq!(ranges("0 0 4294967295\n"), [range(0, 0, u32::MAX)]);
        assert!(ranges("").is_empty());
    }
}
