//! Lets nothing in a container run, and lets it run again.

use crate::error::{Error, Result};
use crate::state::Process;
use crate::state::processes::{self, Seen, Table};
use rustix::process::Signal;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it is tried to stop processes that make others meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is in a container.
pub struct Inside<'a> {
    pub init: Option<Process>,
    pub command: Process,
    /// Those outside that wait for a command inside.
    pub execs: &'a [Process],
    pub group: Option<&'a Path>,
}

impl Inside<'_> {
    /// By the freezer of the control group; where there is none, by stopping each process.
    pub fn pause(&self) -> Result<()> {
        if let Some(done) = self.freeze(true) {
            return done;
        }
        let until = Instant::now() + PATIENCE;
        let mut told = HashSet::new();
        loop {
            let left = self.stop(&mut told, until)?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                let pids: Vec<String> = left.iter().map(ToString::to_string).collect();
                self.resume()?;
                return Err(Error::usage(format!(
                    "these processes could not be stopped in {} seconds: {}",
                    PATIENCE.as_secs(),
                    pids.join(", ")
                )));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops those that run, and then those that they have made meanwhile; returns who had to be.
    fn stop(&self, told: &mut HashSet<i32>, until: Instant) -> Result<Vec<i32>> {
        let mut table = Table::default();
        let mut left = Vec::new();
        loop {
            let new: HashSet<i32> = table.grow()?.into_iter().collect();
            if new.is_empty() || Instant::now() >= until {
                return Ok(left);
            }
            let all = self.all(&table).into_iter();
            for seen in all.filter(|seen| new.contains(&seen.process.pid)) {
                if !is_still(seen, told) {
                    processes::signal(seen.process, Signal::STOP)?;
                    told.insert(seen.process.pid);
                    left.push(seen.process.pid);
                }
            }
        }
    }

    /// Lets all of it go on.
    pub fn resume(&self) -> Result<()> {
        if let Some(done) = self.freeze(false) {
            return done;
        }
        for seen in self.all(&Table::read()?) {
            processes::signal(seen.process, Signal::CONT)?;
        }
        Ok(())
    }

    /// None where there is no group.
    fn freeze(&self, wanted: bool) -> Option<Result<()>> {
        let file = self.group?.join("cgroup.freeze");
        let text = if wanted { "1" } else { "0" };
        let refused = |error| Error::setup(format!("write {text} to {}", file.display()), error);
        Some(std::fs::write(&file, text).map_err(refused))
    }

    fn all<'t>(&self, table: &'t Table) -> Vec<&'t Seen> {
        let tree = table.tree();
        tree.inside(self.init, Some(self.command), self.execs)
    }
}

/// Whether nothing of a process runs. What one has done that waits in the kernel, for a child of vfork(2) that is stopped
/// itself say, is over when it has been `told` to stop: it comes back to nothing else. A process whose first thread has
/// ended is shown as ended, whatever its others do.
fn is_still(seen: &Seen, told: &HashSet<i32>) -> bool {
    let is_told = told.contains(&seen.process.pid);
    let still = |state: char| match state {
        'D' => is_told,
        state => matches!(state, 'T' | 't' | 'Z' | 'X'),
    };
    match still(seen.state) && seen.threads > 1 {
        true => processes::threads(seen.process.pid).into_iter().all(still),
        false => still(seen.state),
    }
}
