//! A container that others may ask for: its folder, its log, and the answers to what commands want of its supervisor.

mod caller;
mod client;
pub mod details;
mod end;
mod pause;
mod restart;

use super::companion::{Companion, Typed};
use super::{Event, Running};
use crate::child::record as inside;
use crate::child::step::Fallback;
use crate::error::{Errno, Error, Result};
use crate::plan::Plan;
use crate::spec::Spec;
use crate::state::log::{self, Writer};
use crate::state::{Held, Name, Process, Record, Reply, Request, Status, milliseconds, processes};
use caller::Caller;
use client::{Client, Heard};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::SocketFlags;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::time::SystemTime;

/// How many may ask at a time.
const MOST_CLIENTS: usize = 256;

/// What a container is called, and how it is kept.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its name; none: one is made up.
    pub name: Option<Name>,
    /// The user's own words for it.
    pub labels: BTreeMap<String, String>,
    /// Whether its output goes to a log, and nobody waits for it.
    pub detached: bool,
    /// Whether nothing is to be left of it when it has ended.
    pub remove: bool,
    /// Bytes of each of the two files of its log.
    pub log_size: u64,
}

/// The service of one container, over all of its starts.
pub struct Service<'s> {
    listing: Listing,
    plan: &'s Plan,
    record: Record,
    stepped_down: Vec<String>,
    held: Held,
    listener: OwnedFd,
    clients: Vec<Client>,
    /// Who waits for commands that are executed in it, as of the last request.
    executing: Vec<Process>,
    log: Option<Writer>,
    typed: VecDeque<Typed>,
    ruleset: Option<OwnedFd>,
    /// Whether the commands that are executed in it are to be counted again.
    uncounted: bool,
    stopping: bool,
    paused: bool,
    /// Called when the command has been started for the first time.
    on_start: Option<Box<dyn FnOnce() -> Result<OwnedFd> + 's>>,
    /// Who has been told that it has, and has not yet told the user.
    caller: Option<Caller>,
    /// Why the container is nobody's: the one who has asked for it does not know of it.
    forsaken: Option<Error>,
    /// What could not be written down of it.
    failure: Option<Error>,
}

impl<'s> Service<'s> {
    /// Lists a container that is launched by `plan`, which `spec` has asked for: makes its folder, and listens in it.
    ///
    /// # Errors
    /// When that cannot be done; nothing of it is left then.
    pub fn new(listing: Listing, spec: &Spec, plan: &'s Plan) -> Result<Service<'s>> {
        let record = record(&listing, spec, plan)?;
        let details = details::of(plan, spec);
        let story = details::story(plan, &plan.stepped_down)?;
        let held = Held::make(listing.name.as_ref(), &record, &details, &story)?;
        let (listener, log) = match listen(&held, &listing) {
            Ok(opened) => opened,
            Err(error) => {
                held.remove()?;
                return Err(error);
            }
        };
        Ok(Service {
            listing,
            plan,
            record,
            stepped_down: plan.stepped_down.clone(),
            held,
            listener,
            clients: Vec::new(),
            executing: Vec::new(),
            log,
            typed: VecDeque::new(),
            ruleset: None,
            uncounted: false,
            stopping: false,
            paused: false,
            on_start: None,
            caller: None,
            forsaken: None,
            failure: None,
        })
    }

    /// Calls `told` when the command has been started for the first time, for a container whose caller goes then. Until
    /// there is something to be read from the descriptor that it returns, the container is the caller's, and ends with it.
    pub fn on_start(&mut self, told: impl FnOnce() -> Result<OwnedFd> + 's) {
        self.on_start = Some(Box::new(told));
    }

    /// Why the container was ended, if that is because its caller knows nothing of it.
    pub fn forsaken(&self) -> Option<&Error> {
        self.forsaken.as_ref()
    }

    /// What it is called; none if somebody has removed its folder.
    ///
    /// # Errors
    /// When the directory of the folders cannot be read.
    pub fn name(&self) -> Result<Option<Name>> {
        self.held.name()
    }

    /// What could not be written down of it.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Whether somebody has asked for its end.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn write(&mut self) -> Result<()> {
        self.held.write(&self.record)
    }

    /// What cannot be written down now does not end a container that runs.
    fn note(&mut self, write: fn(&mut Self) -> Result<()>) {
        if let Err(error) = write(self) {
            self.missed(error);
        }
    }

    fn missed(&mut self, error: Error) {
        ::log::debug!("{error}");
        self.failure.get_or_insert(error);
    }

    /// The command has been executed.
    pub(super) fn started(&mut self, running: &Running<'_>, pid: i32, init: Option<i32>) {
        match running_status(pid, init) {
            Ok(Some(status)) => self.record.status = status,
            // It has ended already, and init has waited for it.
            Ok(None) => {}
            Err(error) => self.missed(error),
        }
        self.record.started = Some(milliseconds(SystemTime::now()));
        self.record.group = running.group_path();
        self.note(Self::write);
        if self.stepped_down.len() > self.plan.stepped_down.len() {
            self.note(Self::write_story);
        }
        match self.on_start.take().map(|told| told()) {
            None => {}
            Some(Ok(caller)) => self.caller = Some(Caller::new(caller)),
            Some(Err(error)) => self.forsake(error),
        }
    }

    /// Nobody knows of the container: it ends, and nothing is left of it.
    fn forsake(&mut self, why: Error) {
        self.caller = None;
        self.stopping = true;
        self.forsaken.get_or_insert(why);
    }

    /// Listens to the caller, who has something to say or has gone.
    fn hear_caller(&mut self) {
        let Some(caller) = self.caller.take() else {
            return;
        };
        if !caller.has_told() {
            self.forsake(caller::gone());
        }
    }

    fn write_story(&mut self) -> Result<()> {
        let story = details::story(self.plan, &self.stepped_down)?;
        self.held.write_story(&story)
    }

    /// A step was refused, and what the plan names instead was done.
    pub(super) fn stepped_down(&mut self, process: inside::Process, step: usize, errno: i32) {
        let said = self.plan.stepped_down(process, step, errno);
        self.stepped_down.extend(said);
        if let Some(kept) = self.plan.kept_namespace(process, step) {
            self.record.namespaces.retain(|name| name != kept);
        }
    }

    /// A system call was refused, and an older one is used.
    pub(super) fn fell_back(&mut self, fallback: Fallback, errno: i32) {
        self.stepped_down.push(Plan::fell_back(fallback, errno));
    }

    fn serve(&mut self, mut running: Option<&mut Running<'_>>, happened: &[PollFlags]) {
        // Last of all that is wanted; not if it has come after that.
        let caller = happened.get(1 + self.clients.len());
        if caller.is_some_and(|flags| !flags.is_empty()) {
            self.hear_caller();
        }
        if happened.first().is_some_and(|flags| !flags.is_empty()) {
            self.accept();
        }
        let mut clients = std::mem::take(&mut self.clients);
        for index in 0..clients.len() {
            if happened.get(1 + index).is_none_or(|flags| flags.is_empty()) {
                continue;
            }
            match clients[index].turn() {
                Heard::Nothing => {}
                Heard::Typed(typed) if clients[index].is_attached() => self.typed.push_back(typed),
                Heard::Typed(_) => clients[index].close(),
                Heard::Asked(request) => {
                    self.executing = clients.iter().filter_map(Client::executes).collect();
                    self.answer(&mut clients[index], &request, running.as_deref_mut());
                }
            }
        }
        let before = clients.len();
        clients.retain(Client::is_open);
        let executes = clients.len() != before && !self.record.execs.is_empty();
        // Those that were accepted in this turn come last.
        clients.append(&mut self.clients);
        self.clients = clients;
        if executes {
            self.count_execs();
        }
    }

    fn accept(&mut self) {
        while let Ok(socket) = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) {
            if self.clients.len() < MOST_CLIENTS {
                self.clients.extend(Client::new(socket));
            }
        }
    }

    fn answer(
        &mut self,
        client: &mut Client,
        request: &Request,
        running: Option<&mut Running<'_>>,
    ) {
        match request {
            Request::Wait => client.wait(),
            Request::Attach if self.listing.detached => client.attach(),
            Request::Attach => client.refuse(&Error::usage(
                "the container runs in a terminal or a script of its own, and is not detached",
            )),
            Request::Exec { answer } => {
                let ruleset = self.ruleset.as_ref().map(AsFd::as_fd);
                client.execute(*answer, ruleset);
                self.uncounted = true;
                if self.paused {
                    // It has begun just before.
                    self.executing.extend(client.executes());
                    if let Err(error) = self.pause(true) {
                        ::log::debug!("{error}");
                    }
                }
            }
            Request::Resize { rows, columns } => self.typed.push_back(Typed::Size(*rows, *columns)),
            Request::Signal { .. } | Request::Kill | Request::Pause | Request::Resume => {
                match self.act(request, running) {
                    Ok(()) => client.reply(&Reply::Done),
                    Err(error) => client.refuse(&error),
                }
            }
        }
    }

    fn act(&mut self, request: &Request, running: Option<&mut Running<'_>>) -> Result<()> {
        if let Request::Kill | Request::Signal { stop: true, .. } = request {
            self.stopping = true;
        }
        let Some(running) = running else {
            return match request {
                Request::Pause | Request::Resume => Err(Error::usage(
                    "the container does not run now: it waits to be started again",
                )),
                _ => Ok(()),
            };
        };
        match request {
            Request::Signal { signal, .. } => {
                if !(1..=64).contains(signal) {
                    return Err(Error::usage(format!("there is no signal {signal}")));
                }
                running.signal(*signal);
            }
            Request::Kill => {
                running.kill();
                if self.paused {
                    // An init that has to end the others must be able to.
                    return self.pause(false);
                }
            }
            Request::Pause => return self.pause(true),
            Request::Resume => return self.pause(false),
            _ => {}
        }
        Ok(())
    }

    fn pause(&mut self, wanted: bool) -> Result<()> {
        let Status::Running { init, process, .. } = &self.record.status else {
            return Err(Error::usage("the container does not run yet"));
        };
        let inside = pause::Inside {
            init: *init,
            command: *process,
            execs: &self.executing,
            group: self.record.group.as_deref(),
        };
        // Before: whoever sees the command stopped is to know why.
        let was = std::mem::replace(&mut self.paused, true);
        self.mark_paused(true)?;
        let done = match wanted {
            true => inside.pause(),
            false => inside.resume(),
        };
        self.paused = match done {
            Ok(()) => wanted,
            Err(_) => was,
        };
        self.mark_paused(self.paused)?;
        done
    }

    fn mark_paused(&self, paused: bool) -> Result<()> {
        self.held.folder().mark("paused", paused)
    }

    /// The commands that are executed in it besides.
    fn count_execs(&mut self) {
        let execs: Vec<Process> = self.clients.iter().filter_map(Client::executes).collect();
        if execs != self.record.execs {
            self.record.execs = execs;
            self.note(Self::write);
        }
    }

    fn close_log(&mut self) {
        if let Some(log) = &mut self.log
            && let Err(errno) = log.finish()
        {
            self.log_failed(errno);
        }
    }

    fn log_failed(&mut self, errno: rustix::io::Errno) {
        if self.record.log_failure.is_none() {
            let said = format!("write to the log: {}", Errno::from(errno));
            self.record.log_failure = Some(said);
            self.note(Self::write);
        }
    }
}

impl Companion for Service<'_> {
    fn event(&mut self, running: &Running<'_>, event: &Event) {
        match *event {
            Event::Started { pid, init, .. } => self.started(running, pid, init),
            Event::SteppedDown {
                process,
                step,
                errno,
            } => self.stepped_down(process, step, errno),
            Event::FellBack { fallback, errno } => self.fell_back(fallback, errno),
            _ => {}
        }
    }

    fn wanted(&self) -> Vec<PollFd<'_>> {
        let clients = self.clients.iter().map(Client::wanted);
        std::iter::once(PollFd::new(&self.listener, PollFlags::IN))
            .chain(clients)
            .chain(self.caller.iter().map(Caller::wanted))
            .collect()
    }

    fn turn(&mut self, running: &mut Running<'_>, happened: &[PollFlags]) {
        if happened.iter().any(|flags| !flags.is_empty()) {
            self.serve(Some(running), happened);
        }
        if self.forsaken.is_some() {
            return running.kill();
        }
        if std::mem::take(&mut self.uncounted) {
            self.count_execs();
        }
    }

    fn asked_to_end(&mut self) {
        self.stopping = true;
    }

    fn is_paused(&self) -> bool {
        self.paused
    }

    fn takes_output(&self) -> bool {
        self.listing.detached
    }

    fn take_output(&mut self, standard: i32, bytes: &[u8]) {
        let stream = match standard {
            2 => log::Stream::Stderr,
            _ => log::Stream::Stdout,
        };
        if let Some(log) = &mut self.log
            && let Err(errno) = log.write(stream, bytes)
        {
            self.log_failed(errno);
        }
        let attached = self
            .clients
            .iter_mut()
            .filter(|client| client.is_attached());
        attached.for_each(|client| client.show(standard, bytes));
    }

    fn typed(&mut self) -> Option<Typed> {
        self.typed.pop_front()
    }

    fn take_ruleset(&mut self, ruleset: OwnedFd) {
        self.ruleset = Some(ruleset);
    }
}

/// What is known of a container before it is launched.
fn record(listing: &Listing, spec: &Spec, plan: &Plan) -> Result<Record> {
    let shown = |word: &OsString| word.to_string_lossy().into_owned();
    Ok(Record {
        command: spec.command.iter().map(shown).collect(),
        labels: listing.labels.clone(),
        created: milliseconds(SystemTime::now()),
        started: None,
        detached: listing.detached,
        remove: listing.remove,
        restarts: 0,
        supervisor: processes::own()?,
        pid_namespace: processes::own_namespace()?,
        namespaces: plan.enforced.new.iter().map(ToString::to_string).collect(),
        group: None,
        execs: Vec::new(),
        log_failure: None,
        status: Status::Created,
    })
}

/// What is known of a container whose command, `pid`, has been executed; none when that has ended and been waited for.
fn running_status(pid: i32, init: Option<i32>) -> Result<Option<Status>> {
    let Some(process) = processes::find(pid)? else {
        return Ok(None);
    };
    Ok(Some(Status::Running {
        init: init.map(processes::find).transpose()?.flatten(),
        process,
        unique: processes::unique(pid),
    }))
}

/// The socket in the folder, and the log of a detached container.
fn listen(held: &Held, listing: &Listing) -> Result<(OwnedFd, Option<Writer>)> {
    let listener = held.listen()?;
    let writer = || -> std::io::Result<Writer> {
        let directory = held.folder().as_fd().try_clone_to_owned()?;
        Ok(Writer::new(directory, listing.log_size)?)
    };
    let refused = |error| Error::setup("make the container's log", error);
    let log = listing.detached.then(writer).transpose();
    Ok((listener, log.map_err(refused)?))
}
