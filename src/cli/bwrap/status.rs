//! What is told of a container: `--info-fd` and `--json-status-fd`, and what has to be known of its failure.

use rootlet::child::record::Process;
use rootlet::error::{Error, Result};
use rootlet::front::bwrap::Launch;
use rootlet::{Event, Observer, Plan, sys};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// Tells of a container.
pub struct Status {
    info: Option<File>,
    lines: Option<File>,
    told: Vec<&'static str>,
    started: bool,
    /// Whether it was a directory above a place that could not be made.
    pub no_directory: bool,
    /// What is in the way of a link, if it is a link: what it holds.
    pub in_the_way: Option<Option<String>>,
    /// The step inside that was refused, and the errno.
    pub failed: Option<(Process, usize, i32)>,
}

impl Status {
    pub fn open(launch: &Launch) -> Result<Self> {
        let open = |fd: Option<i32>| fd.map(take).transpose();
        Ok(Status {
            info: open(launch.info_fd)?,
            lines: open(launch.json_status_fd)?,
            told: launch.told.clone(),
            started: false,
            no_directory: false,
            in_the_way: None,
            failed: None,
        })
    }

    /// Tells how the command ended, if there was one.
    pub fn ended(&mut self, status: u8) {
        if let Some(lines) = self.lines.as_mut().filter(|_| self.started) {
            // The end is the truth, whether or not anybody reads of it.
            let _ = lines.write_all(format!("{{ \"exit-code\": {status} }}\n").as_bytes());
        }
    }

    /// The ids of the new namespaces, as members of a JSON object.
    fn namespaces(&self, pid: i32, before: &str) -> String {
        let mut members = String::new();
        for name in &self.told {
            if let Ok(namespace) = std::fs::metadata(format!("/proc/{pid}/ns/{name}")) {
                let _ = write!(
                    members,
                    ",{before}\"{name}-namespace\": {}",
                    namespace.ino()
                );
            }
        }
        members
    }
}

/// A descriptor of one's own for the caller's, which the command does not get.
fn take(fd: i32) -> Result<File> {
    let own = sys::duplicate(fd).map_err(|errno| Error::setup("write to info_fd", errno))?;
    if fd > 2 {
        sys::close(fd);
    }
    Ok(own.into())
}

impl Observer for Status {
    fn made(&mut self, _: &Plan, pid: i32) -> Result<()> {
        let refused = |error| Error::setup("write to info_fd", error);
        if let Some(mut info) = self.info.take() {
            let members = self.namespaces(pid, "\n    ");
            let text = format!("{{\n    \"child-pid\": {pid}{members}\n}}\n");
            info.write_all(text.as_bytes()).map_err(refused)?;
        }
        let members = match self.lines {
            Some(_) => self.namespaces(pid, " "),
            None => return Ok(()),
        };
        let line = format!("{{ \"child-pid\": {pid}{members} }}\n");
        let mut lines = self.lines.iter_mut();
        lines
            .try_for_each(|lines| lines.write_all(line.as_bytes()))
            .map_err(refused)
    }

    fn own_fds(&self) -> Vec<RawFd> {
        let files = self.info.iter().chain(&self.lines);
        files.map(AsRawFd::as_raw_fd).collect()
    }

    fn event(&mut self, _: &Plan, event: &Event) {
        match *event {
            Event::Started { .. } => self.started = true,
            Event::NoDirectory => self.no_directory = true,
            Event::InTheWay(ref there) => {
                let held = rustix::fs::readlinkat(there, c"", Vec::new()).ok();
                self.in_the_way = Some(held.map(|held| held.to_string_lossy().into_owned()));
            }
            Event::Failed {
                process,
                step,
                errno,
            } => self.failed = Some((process, step, errno)),
            _ => {}
        }
    }
}
