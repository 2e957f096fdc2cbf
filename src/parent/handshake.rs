//! The handshake: the new process waits for its ids, and only a process outside may write them.

use super::clone::pid_of;
use super::{Observer, refused};
use crate::error::Result;
use crate::plan::{ParentStep, Plan};
use crate::sys::{self, RawFd, RawPid};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open, setpriority_process};
use std::io;
use std::path::Path;

/// Does what the plan says to the new process from outside, and then writes one byte to the life pipe, for which the child waits.
pub fn write_maps(
    plan: &Plan,
    pid: RawPid,
    life: &OwnedFd,
    observer: &mut dyn Observer,
) -> Result<()> {
    let process = in_proc(pid);
    for &step in &plan.parent {
        let written = match step {
            ParentStep::SetNice { nice } => {
                setpriority_process(Pid::from_raw(pid), nice).map_err(io::Error::from)
            }
            ParentStep::SetOomScore { score } => {
                write(process, "oom_score_adj", plan.arena.get(score).to_bytes())
            }
            ParentStep::DenySetgroups => write(process, "setgroups", b"deny"),
            ParentStep::WriteUidMap { lines } => {
                write(process, "uid_map", plan.arena.get(lines).to_bytes())
            }
            ParentStep::WriteGidMap { lines } => {
                write(process, "gid_map", plan.arena.get(lines).to_bytes())
            }
            ParentStep::AwaitIdMaps { fd } => await_others(fd),
            ParentStep::Release => rustix::io::write(life, &[0])
                .map(drop)
                .map_err(io::Error::from),
            _ => continue,
        };
        written.map_err(|error| refused(plan, step, error))?;
        observer.parent_step(plan, step);
    }
    Ok(())
}

/// Waits until somebody has said that the id maps are written: by a byte, or by closing the other end.
fn await_others(fd: RawFd) -> io::Result<()> {
    let told = sys::duplicate(fd)?;
    retry_on_intr(|| rustix::io::read(&told, &mut [0; 1]))?;
    Ok(())
}

/// The number by which /proc knows the process `pid`: another one, where /proc is that of an outer PID namespace.
fn in_proc(pid: RawPid) -> RawPid {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let is_ours =
        std::fs::read_link("/proc/self").is_ok_and(|name| name == Path::new(&own.to_string()));
    let known = || {
        let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        pid_of(&held).ok()
    };
    match is_ours {
        true => pid,
        // There is no process 0: the first write is refused.
        false => known().unwrap_or_default(),
    }
}

/// Each file takes one write, the first, whole (user_namespaces(7)).
fn write(process: RawPid, file: &str, text: &[u8]) -> io::Result<()> {
    use io::Write;
    let mut file = std::fs::File::options()
        .write(true)
        .open(format!("/proc/{process}/{file}"))?;
    match file.write(text)? {
        written if written == text.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}
