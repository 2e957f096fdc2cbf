//! A container in three calls, for programs that do not care how: start, execute something in it, wait.
//!
//! ```
//! use rootlet::{Container, Outcome, Spec};
//!
//! # fn main() -> rootlet::error::Result<()> {
//! let words = |line: &str| line.split(' ').map(Into::into).collect();
//! let sleep = Spec { command: words("sleep 60"), ..Spec::default() };
//! let mut running = Container::start(&sleep)?;
//! let list = Spec { command: words("ls /proc/self"), ..Spec::default() };
//! assert_eq!(running.exec(&list)?.wait()?, Outcome::Exited(0));
//! running.signal(15);
//! assert_eq!(running.wait()?, Outcome::Killed(15));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::parent::{self, Outcome, details};
use crate::plan::Plan;
use crate::plan::join::{self, Join};
use crate::spec::Spec;
use crate::state::{Details, Process, processes};

/// Where one starts.
#[derive(Debug)]
pub struct Container;

impl Container {
    /// Starts what `spec` says. `rootlet ps` does not list it: it is this program's own, and ends with it.
    ///
    /// # Errors
    /// What cannot be, and what the host refuses before the command is executed; a command that cannot be executed is
    /// found by [`Running::wait`] or [`Running::pid`]. Nothing is left running then.
    pub fn start(spec: &Spec) -> Result<Running> {
        let plan = Plan::new(spec, &Facts::gather(spec)?)?;
        Ok(Running {
            details: Some(details::of(&plan, spec)),
            running: parent::launch_own(plan)?,
            command: None,
        })
    }
}

/// A container that was started, or a command that was executed in one. Dropping it ends it.
pub struct Running {
    running: parent::Running<'static>,
    /// None for a command in another's container.
    details: Option<Details>,
    command: Option<Process>,
}

impl Running {
    /// The command's process id, as this program sees it. Waits until it has been executed.
    ///
    /// # Errors
    /// When it cannot be executed, or has ended already.
    pub fn pid(&mut self) -> Result<i32> {
        self.command().map(|command| command.pid)
    }

    /// Sends the command a signal.
    pub fn signal(&self, signal: i32) {
        self.running.signal(signal);
    }

    /// Ends everything inside, at once.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Waits until the command has ended.
    ///
    /// # Errors
    /// See [`parent::Running::wait`].
    pub fn wait(self) -> Result<Outcome> {
        self.running.wait(&mut ())
    }

    /// Executes a command in the container, as confined as the container's own. Of `command` only the command itself, its
    /// changes to the environment, its directory and its terminal count.
    ///
    /// # Errors
    /// When the container has ended, the command cannot be, or the host refuses to join; and for a command that was itself
    /// executed in a container: ask that.
    pub fn exec(&mut self, command: &Spec) -> Result<Running> {
        let joined = self.command()?;
        let ended = || Error::usage("the container has ended");
        let joined = processes::hold(joined)?.ok_or_else(ended)?;
        let details = self.details.as_ref();
        let details =
            details.ok_or_else(|| Error::usage("this is no container, but a command in one"))?;
        let group = self.running.group_path();
        let join = Join {
            flags: join::flags(&self.running.plan().enforced.new),
            details: Some(details),
            group: group.as_deref(),
            bus: None,
            spec: command,
            user: None,
        };
        let plan = Plan::join(&join, Facts::gather(&Join::bare())?)?;
        use rustix::fd::AsFd;
        Ok(Running {
            running: parent::execute(plan, joined.as_fd(), self.running.ruleset())?,
            details: None,
            command: None,
        })
    }

    fn command(&mut self) -> Result<Process> {
        if let Some(command) = self.command {
            return Ok(command);
        }
        let pid = self.running.await_start()?;
        let command = processes::identify(pid);
        self.command = command;
        command.ok_or_else(|| Error::usage("the command has ended"))
    }
}
