//! The containers that are known, and what is asked of them.

use super::{End, Folder, Locked, Name, Place, Record, Reply, Request, Status, processes};
use crate::error::{Error, Result};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How long a supervisor may take to answer: it waits for nothing that takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A container that is known.
#[derive(Debug)]
pub struct Known {
    /// Its folder.
    pub folder: Folder,
    /// What is known of it at a glance.
    pub record: Record,
    /// Whether a supervisor holds it: it has not ended.
    pub held: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Every container, by name.
    pub containers: Vec<Known>,
    /// Folders that cannot be read, and why.
    pub unread: Vec<Error>,
}

impl Known {
    /// All of them. What supervisors have left that were killed is cleared away, unless somebody else is just at it.
    ///
    /// # Errors
    /// When the directory of the folders cannot be read, or is not the user's alone.
    pub fn all() -> Result<Found> {
        let Some(place) = Place::find()? else {
            return Ok(Found::default());
        };
        let (mut found, mut dead) = (Found::default(), Vec::new());
        for name in place.names()? {
            match Known::look(&place, &name) {
                Ok(Look::Known(known)) => found.containers.push(*known),
                Ok(Look::Dead) => dead.push(name),
                Ok(Look::Gone) => {}
                Err(error) => found.unread.push(error),
            }
        }
        // One that was killed before it had a folder has left an empty directory.
        let is_empty = found.containers.is_empty() && found.unread.is_empty();
        if (is_empty || !dead.is_empty())
            && let Some(locked) = place.try_lock()?
        {
            let cleared = dead.iter().map(|name| clear(&place, name, &locked));
            found.unread.extend(cleared.filter_map(Result::err));
            place.tidy(&locked)?;
        }
        Ok(found)
    }

    /// The one of this name.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn named(name: &Name) -> Result<Known> {
        let none = || {
            Error::usage(format!("there is no container called {name}"))
                .with_hint("`rootlet ps -a` lists those that there are")
        };
        let place = Place::find()?.ok_or_else(none)?;
        match Known::look(&place, name)? {
            Look::Known(known) => Ok(*known),
            Look::Gone => Err(none()),
            Look::Dead => {
                let locked = place.lock()?;
                clear(&place, name, &locked)?;
                place.tidy(&locked)?;
                Err(none())
            }
        }
    }

    fn look(place: &Place, name: &Name) -> Result<Look> {
        let Some(folder) = Folder::open(place, name)? else {
            return Ok(Look::Gone);
        };
        let held = folder.is_held()?;
        // After the lock: what was free then has left its last record.
        Ok(match folder.record()? {
            None if held => Look::Gone,
            // One that nobody holds and that cannot be read is a supervisor's that was killed in the midst of its first.
            None => Look::Dead,
            Some(Record {
                status: Status::Created | Status::Running { .. },
                ..
            }) if !held => Look::Dead,
            Some(record) => Look::Known(Box::new(Known {
                folder,
                record,
                held,
            })),
        })
    }

    /// Whether it has been removed since it was looked at.
    pub fn is_gone(&self) -> bool {
        matches!(self.folder.record(), Ok(None))
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.folder.name
    }

    /// How it is, in a word.
    pub fn state(&self) -> &'static str {
        match self.record.status {
            Status::Exited { .. } => "exited",
            Status::Running { .. } if self.folder.is_marked("paused") => "paused",
            Status::Running { .. } => "running",
            Status::Created if self.record.restarts > 0 => "restarting",
            Status::Created => "created",
        }
    }

    /// Whether its process ids are those that this process sees.
    pub fn is_of_here(&self) -> bool {
        processes::own_namespace().is_ok_and(|own| own == self.record.pid_namespace)
    }

    /// The error for process ids that mean nothing here.
    pub fn elsewhere(&self) -> Error {
        Error::usage(format!(
            "container {} was started from another PID namespace, and its processes cannot be seen from here",
            self.name()
        ))
    }

    /// Asks its supervisor, and waits for the answer.
    ///
    /// # Errors
    /// When it has ended, does not answer, or cannot do it.
    pub fn ask(&self, request: &Request) -> Result<Reply> {
        self.running()?;
        if self.is_stopped() {
            return Err(self.mute("is stopped"));
        }
        let call = self.folder.call()?;
        call.ask(request)?;
        match call.answer(Some(PATIENCE))? {
            Some((Reply::Refused { reason, errno }, _)) => {
                let error = Error::usage(reason);
                Err(Error { errno, ..error })
            }
            Some((reply, _)) => Ok(reply),
            None => Err(self.silent()),
        }
    }

    /// Whether its supervisor has been stopped (SIGSTOP, or ^Z together with its command).
    fn is_stopped(&self) -> bool {
        let supervisor = self.record.supervisor;
        let stopped =
            |seen: processes::Seen| seen.process == supervisor && matches!(seen.state, 'T' | 't');
        self.is_of_here() && processes::look(supervisor.pid).is_some_and(stopped)
    }

    /// The error for a supervisor that does not answer.
    pub fn silent(&self) -> Error {
        self.mute(&format!(
            "has not answered for {} seconds",
            PATIENCE.as_secs()
        ))
    }

    fn mute(&self, why: &str) -> Error {
        let pid = self.record.supervisor.pid;
        Error::broken(format!(
            "the supervisor of container {}, process {pid}, {why}",
            self.name()
        ))
        .with_hint(format!(
            "if it was stopped, `kill -CONT {pid}` lets it go on; `rootlet kill {}` ends it with all that is in it",
            self.name()
        ))
    }

    /// Requires that it has not ended.
    ///
    /// # Errors
    /// When it has.
    pub fn running(&self) -> Result<()> {
        match self.held && !matches!(self.record.status, Status::Exited { .. }) {
            true => Ok(()),
            false => Err(Error::usage(format!("container {} has ended", self.name()))),
        }
    }

    /// Waits until it has ended, so long at most: how. None when it has not.
    ///
    /// # Errors
    /// When its supervisor was killed, so that nobody knows.
    pub fn wait(&self, patience: Option<Duration>) -> Result<Option<End>> {
        if let Status::Exited { end, .. } = &self.record.status {
            return Ok(Some(end.clone()));
        }
        self.await_end(patience)
            .or_else(|error| self.ended_meanwhile(error).map(Some))
    }

    fn await_end(&self, patience: Option<Duration>) -> Result<Option<End>> {
        let call = self.folder.call()?;
        // A supervisor that has just ended hears nothing any more, and has said how before it went.
        let asked = call.ask(&Request::Wait);
        match call.answer(patience)? {
            Some((Reply::Ended(end), _)) => {
                // The folder is cleared away before the connection is closed.
                call.wait(Some(PATIENCE))?;
                Ok(Some(end))
            }
            Some((Reply::Refused { reason, .. }, _)) => Err(Error::usage(reason)),
            Some(_) => Err(Error::broken(format!(
                "the supervisor of container {} does not say how it ended",
                self.name()
            ))),
            None => asked.map(|()| None),
        }
    }

    /// How it has ended, if that was written down since it was looked at; else why nobody knows.
    fn ended_meanwhile(&self, error: Error) -> Result<End> {
        let held = self.folder.is_held()?;
        match self.folder.record()? {
            Some(Record {
                status: Status::Exited { end, .. },
                ..
            }) => Ok(end),
            _ if held => Err(error),
            Some(_) => Err(Error::broken(format!(
                "the supervisor of container {} was killed",
                self.name()
            ))),
            None => Err(Error::broken(format!(
                "container {} has just gone, and has not said how it ended",
                self.name()
            ))),
        }
    }

    /// Ends all that is in it at once. A supervisor that does not answer is killed, which ends the container too.
    ///
    /// # Errors
    /// When that is refused, or the container does not end.
    pub fn kill(&self) -> Result<()> {
        if let Err(error) = self.ask(&Request::Kill)
            && self.folder.is_held()?
        {
            if !self.is_of_here() {
                return Err(error);
            }
            processes::signal(self.record.supervisor, Signal::KILL)?;
        }
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if !self.folder.is_held()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Error::broken(format!(
            "container {} does not end",
            self.name()
        )))
    }

    /// Removes what is known of one that has ended.
    ///
    /// # Errors
    /// When it has not, or cannot be removed.
    pub fn remove(&self) -> Result<()> {
        let Some(place) = Place::find()? else {
            return Ok(());
        };
        let locked = place.lock()?;
        if !self.folder.is_called(self.name(), &place) {
            // Somebody else has removed it.
            return Ok(());
        }
        if self.folder.is_held()? {
            let name = self.name();
            return Err(
                Error::usage(format!("container {name} has not ended")).with_hint(format!(
                    "`rootlet stop {name}` ends it, `rootlet rm --force {name}` does both"
                )),
            );
        }
        self.folder.remove(&place, &locked)?;
        place.tidy(&locked)
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// When that is another container's.
    pub fn rename(&self, name: &Name) -> Result<()> {
        let place = Place::make()?;
        let locked = place.lock()?;
        match self.folder.is_called(self.name(), &place) {
            true => self.folder.rename(&place, name, &locked),
            false => Err(Error::usage(format!(
                "container {} has just gone",
                self.name()
            ))),
        }
    }
}

enum Look {
    Known(Box<Known>),
    /// Its supervisor was killed.
    Dead,
    /// It is not there, or not yet.
    Gone,
}

/// Removes what a supervisor has left that was killed.
fn clear(place: &Place, name: &Name, locked: &Locked) -> Result<()> {
    match Folder::open(place, name)? {
        Some(folder) if folder.is_dead()? => folder.remove(place, locked),
        _ => Ok(()),
    }
}
