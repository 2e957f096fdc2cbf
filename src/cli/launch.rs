//! A launch from here or detached, once or again and again, and its place in the list of containers.

use super::report::Report;
use rootlet::error::{Error, Result};
use rootlet::front::request::{Request, Restart};
use rootlet::parent::{self, Listing, Service, Side, Unlisted};
use rootlet::spec::{Size, Spec};
use rootlet::{Outcome, Plan, sys};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::PipeFlags;
use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, Instant};

/// Bytes of each of the two files of a log.
const LOG_SIZE: u64 = 8 << 20;

/// How long it is waited before a command is started again: at first, and at most.
const DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// A command that has run so long did not fail at once: the wait begins anew.
const RUNS_WELL: Duration = Duration::from_secs(10);

/// What is launched, and by whom.
pub struct Launch<'r> {
    request: &'r Request,
    spec: &'r Spec,
    /// Told that a detached container has started.
    caller: RefCell<Option<OwnedFd>>,
}

/// Which process this is.
pub enum Started<'r> {
    /// The one that launches.
    Here(Launch<'r>),
    /// The one that the user waits for: the other one has started the container, or ended with this exit status.
    Detached(u8),
}

impl<'r> Launch<'r> {
    /// For a detached container, makes the process that supervises it, and waits until the command has started.
    ///
    /// # Errors
    /// When there can be no such process.
    pub fn by(request: &'r Request, spec: &'r Spec) -> anyhow::Result<Started<'r>> {
        let launch = |caller| Launch {
            request,
            spec,
            caller: RefCell::new(caller),
        };
        if !request.detach {
            return Ok(Started::Here(launch(None)));
        }
        let refused = |errno| Error::setup("make a process that supervises the container", errno);
        let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
        let (told, tells) = socketpair(AddressFamily::UNIX, kind, flags, None).map_err(refused)?;
        let (said, says) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(refused)?;
        match parent::detach().map_err(refused)? {
            Side::Detached => {
                let kept = [&spec.pass_fds[..], request.status_fd.as_slice()].concat();
                leave(&says, &kept).map_err(refused)?;
                Ok(Started::Here(launch(Some(tells))))
            }
            Side::Caller(pid) => {
                drop((tells, says));
                await_start(&told, &said, pid).map(Started::Detached)
            }
        }
    }

    /// Tells what had to be stepped down from already, and launches `plan`, again and again where that is asked for.
    pub fn launch(&mut self, plan: &Plan, report: &mut Report) -> Result<Outcome> {
        plan.notes.iter().for_each(|note| report.tell(note.clone()));
        let stepped_down = plan.stepped_down.iter();
        stepped_down.for_each(|note| report.note(note.clone()));
        let outcome = match self.is_listed_before() {
            true => self.launch_listed(plan, report),
            false => self.launch_unlisted(plan, report),
        };
        if plan.listened.is_some() {
            report.refusals(&plan.enforced.seccomp);
        }
        outcome
    }

    /// Whether it is listed before it is launched, or not launched at all.
    fn is_listed_before(&self) -> bool {
        let request = self.request;
        let asked = request.name.is_some() || request.detach || !request.labels.is_empty();
        asked || request.restart != Restart::No || self.spec.strict
    }

    fn launch_unlisted(&self, plan: &Plan, report: &mut Report) -> Result<Outcome> {
        let mut unlisted = Unlisted::new(self.spec, plan);
        let outcome = parent::serve(plan, self.request.trace, report, &mut unlisted);
        if let Err(error) = unlisted.end(&outcome) {
            unlisted_for(&error);
        }
        outcome
    }

    #[inline(never)]
    fn launch_listed(&self, plan: &Plan, report: &mut Report) -> Result<Outcome> {
        let mut service = Service::new(self.listing(), self.spec, plan)?;
        let mut outcome = self.supervise(plan, report, &mut service);
        if let Some(error) = service.forsaken() {
            outcome = Err(error.clone());
        }
        if let Some(error) = service.failure() {
            unlisted_for(&error);
        }
        if let Err(error) = service.end(&outcome) {
            say!("rootlet: {error}");
        }
        outcome
    }

    fn listing(&self) -> Listing {
        Listing {
            name: self.request.name.clone(),
            labels: self.request.labels.clone(),
            detached: self.request.detach,
            remove: self.request.rm || !self.request.detach,
            log_size: self.request.log_size.map_or(LOG_SIZE, |Size(bytes)| bytes),
        }
    }

    fn supervise<'s>(
        &'s self,
        plan: &Plan,
        report: &mut Report,
        service: &mut Service<'s>,
    ) -> Result<Outcome> {
        if self.request.detach {
            let (caller, name) = (&self.caller, service.name()?);
            service.on_start(move || tell(caller, name.as_ref().map_or("", AsRef::as_ref)));
        }
        let (mut failures, mut delay) = (0, DELAYS[0]);
        loop {
            let began = Instant::now();
            let outcome = parent::serve(plan, self.request.trace, report, service)?;
            if began.elapsed() > RUNS_WELL {
                (failures, delay) = (0, DELAYS[0]);
            }
            failures += 1;
            if !self.starts_again(outcome, failures) || service.is_stopping() {
                return Ok(outcome);
            }
            service.restart_after(delay)?;
            if service.is_stopping() {
                return Ok(outcome);
            }
            delay = (2 * delay).min(DELAYS[1]);
        }
    }

    fn starts_again(&self, outcome: Outcome, failures: u32) -> bool {
        match self.request.restart {
            Restart::No => false,
            Restart::OnFailure(most) => {
                outcome.exit_status() != 0 && most.is_none_or(|most| failures <= most)
            }
        }
    }
}

#[cold]
fn unlisted_for(error: &Error) {
    say!("rootlet: note: the container was not listed by `rootlet ps` as it should: {error}");
}

/// Lets go of what the caller has open, so that whoever reads its output to the end is not kept waiting by the container,
/// and a lock of the caller's ends with the caller. What this process says goes to `says`, and from there to the caller's
/// standard error: not to that itself, which init would hold for as long as the container runs.
fn leave(says: &OwnedFd, kept: &[i32]) -> std::result::Result<(), Errno> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for (standard, file) in [(0, &null), (1, &null), (2, says)] {
        sys::duplicate_onto(file.as_raw_fd(), standard)?;
    }
    parent::close_callers(kept)
}

/// The command has started: from here on nobody reads what this process says. Returns where the caller says that it has
/// told its user.
fn tell(caller: &RefCell<Option<OwnedFd>>, name: &str) -> Result<OwnedFd> {
    let gone = || Error::broken("the command has started twice");
    let caller = caller.take().ok_or_else(gone)?;
    let line = format!("{name}\n");
    retry_on_intr(|| rustix::io::write(&caller, line.as_bytes()))
        .map_err(|errno| Error::setup("tell what the container is called, write", errno))?;
    let _ = sys::duplicate_onto(1, 2);
    Ok(caller)
}

/// Passes on what the other process says until it tells what the container is called, prints that, and answers; or until it
/// has ended. Without the answer, the container ends too: see [`Service::on_start`].
fn await_start(told: &OwnedFd, said: &OwnedFd, pid: i32) -> anyhow::Result<u8> {
    let refused = |errno| Error::setup("wait until the container has started", errno);
    let (mut name, mut buffer) = (Vec::new(), [0u8; 4096]);
    loop {
        let mut polled = [
            PollFd::new(told, PollFlags::IN),
            PollFd::new(said, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut polled, None)).map_err(refused)?;
        // The name only when nothing is left that was said before it.
        let says = polled[1].revents().contains(PollFlags::IN);
        let source = if says { said } else { told };
        let length = match retry_on_intr(|| rustix::io::read(source, &mut buffer)) {
            // It has ended.
            Err(Errno::CONNRESET) => 0,
            read => read.map_err(refused)?,
        };
        let read = &buffer[..length];
        if says {
            let _ = std::io::stderr().write_all(read);
            continue;
        }
        name.extend_from_slice(read);
        if length == 0 || name.ends_with(b"\n") {
            break;
        }
    }
    if name.ends_with(b"\n") {
        super::written(std::io::stdout().write_all(&name))?;
        return match retry_on_intr(|| rustix::io::write(told, b"\n")) {
            // It has been killed since, or listens no more.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(0),
            Err(errno) => Err(refused(errno).into()),
        };
    }
    // It has said why itself.
    let options = rustix::process::WaitOptions::empty();
    let pid = rustix::process::Pid::from_raw(pid);
    let ended = retry_on_intr(|| rustix::process::waitpid(pid, options))
        .map_err(|errno| Error::setup("wait for the process that starts the container", errno))?;
    // What it has said last.
    rustix::fs::fcntl_setfl(said, OFlags::NONBLOCK).map_err(refused)?;
    while let Ok(length @ 1..) = retry_on_intr(|| rustix::io::read(said, &mut buffer)) {
        let _ = std::io::stderr().write_all(&buffer[..length]);
    }
    let status = ended.map(|(_, status)| (status.exit_status(), status.terminating_signal()));
    match status {
        Some((Some(code @ 1..), _)) => Ok(code as u8),
        Some((_, Some(signal))) => Err(Error::broken(format!(
            "the process that starts the container was killed by {}",
            rootlet::plan::describe::signal_name(signal)
        ))
        .into()),
        _ => {
            Err(Error::broken("the process that starts the container ended without a word").into())
        }
    }
}
