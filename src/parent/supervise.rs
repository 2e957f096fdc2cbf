//! What a command-line tool does while its command runs: passes signals and the terminal on, and watches the time.

use super::companion::{Companion, Typed};
use super::group::Group;
use super::listener::Listener;
use super::memory::Memory;
use super::stdio::Streams;
use super::terminal::{Keeper, Terminal};
use super::upper::Held;
use super::{
    Channels, Event, Observer, Outcome, Running, clone, join_namespaces, makes_pids_inside,
    refused, release, run_anywhere, timespec,
};
use crate::error::{Error, Result};
use crate::plan::{ParentStep, Plan};
use crate::spec::Signals;
use crate::sys::{self, Processors, SignalSet};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// How long a command that was asked to end (SIGTERM, at its time limit) has before it is made to (SIGKILL).
pub const GRACE: Duration = Duration::from_secs(2);

/// By what a user, a shell or a service manager asks a program to end.
pub(super) const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];

/// How often a container in the background looks whether it has been put in front.
const GLANCE: Duration = Duration::from_millis(100);

/// Lets `signal` have its effect on this process.
pub fn die_of(signal: i32) {
    let _ = sys::kill(rustix::process::getpid().as_raw_nonzero().get(), signal);
    let one = SignalSet::only(signal).0;
    let mask = sys::set_signal_mask(SignalSet(0));
    sys::set_signal_mask(SignalSet(mask.0 & !one));
    // It is ignored.
    sys::set_signal_mask(mask);
}

/// Launches `plan` and stays until the command has ended; every signal that the calling process gets meanwhile goes to
/// the command. For a program whose only job this is: the calling thread has every signal blocked while it runs, and init
/// shares the program's memory, which is as hidden as init until it has ended (PR_SET_DUMPABLE is the memory's): nobody
/// can trace or dump the program, and it cannot launch a second container meanwhile.
///
/// # Errors
/// See [`super::launch`] and [`Running::wait`].
pub fn supervise(plan: &Plan, trace: bool, observer: &mut dyn Observer) -> Result<Outcome> {
    serve(plan, trace, observer, &mut ())
}

/// [`supervise`], and what `companion` does meanwhile.
///
/// # Errors
/// See [`supervise`].
pub fn serve(
    plan: &Plan,
    trace: bool,
    observer: &mut dyn Observer,
    companion: &mut dyn Companion,
) -> Result<Outcome> {
    if plan.init.is_empty() {
        // The command itself is our child then, and if we ignored SIGCHLD nobody would learn how it ended.
        sys::set_signal_disposition(libc::SIGCHLD, libc::SIG_DFL)
            .map_err(|errno| Error::setup("set what SIGCHLD does", errno))?;
    }
    let mask = sys::set_signal_mask(SignalSet::ALL);
    let dumpable = rustix::process::dumpable_behavior();
    let outcome = supervise_blocked(plan, trace, mask, observer, companion);
    // An init that lives on shares the memory, and is not to be opened to the others inside.
    if let Ok(dumpable) = dumpable
        && !plan.lives_on()
    {
        // Refused for a program that only root may dump, and that it still is.
        let _ = rustix::process::set_dumpable_behavior(dumpable);
    }
    sys::set_signal_mask(mask);
    outcome
}

fn supervise_blocked(
    plan: &Plan,
    trace: bool,
    mask: SignalSet,
    observer: &mut dyn Observer,
    companion: &mut dyn Companion,
) -> Result<Outcome> {
    let keeper = match plan.parent.contains(&ParentStep::KeepTerminal) {
        true => {
            Some(Keeper::new().map_err(|errno| refused(plan, ParentStep::KeepTerminal, errno))?)
        }
        false => None,
    };
    let uppers = Held::all_of(plan, observer)?;
    let group = Group::make(plan, observer)?;
    let channels = Channels::open(plan, observer)?;
    join_namespaces(plan, observer)?;
    let launchers = [observer.own_fds(), companion.own_fds()].concat();
    let mut memory = Memory::new(plan, &channels, &companion.given(), &launchers);
    let (mut task, stack) = memory.task(plan, mask, trace);
    let processors = Processors::stay();
    task.processors = processors;
    let made = match makes_pids_inside(plan) {
        true => clone::copying_inside(plan.clone_flags, &mut task, stack),
        false => clone::sharing(plan.clone_flags, Group::fd(&group), &mut task, stack),
    };
    if plan.callers.signals == Signals::Own {
        // The handshake may have to wait for others, and nothing runs yet that would have to end first.
        sys::set_signal_mask(SignalSet(mask.0 | SignalSet::only(libc::SIGCHLD).0));
    }
    let mut running = release(
        Cow::Borrowed(plan),
        (uppers, group),
        channels,
        made,
        observer,
    )?;
    run_anywhere(processors)?;
    leave_to_command(plan, &running, observer, companion)?;
    let watched = watched_signals(plan);
    let signals = sys::signalfd(watched)
        .map_err(|errno| Error::setup("open a descriptor for signals", errno))?;
    sys::set_signal_mask(SignalSet(mask.0 | watched.0));
    let streams = std::mem::take(&mut running.streams);
    if let Some(ruleset) = running.ruleset.take() {
        companion.take_ruleset(ruleset);
    }
    let outcome = Supervisor {
        running,
        streams,
        listener: None,
        observer,
        companion,
        plan,
        signals,
        keeper,
        terminal: None,
        command: None,
        deadline: plan
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout)),
        timed_out: false,
        asked_to_stop: false,
        stopped: false,
    }
    .watch();
    if plan.lives_on() {
        // An init that lives on is still on the stack that it was given there.
        std::mem::forget(memory);
    }
    outcome
}

/// Lets go of what the caller has given the command: whoever reads from it is to see when the command has closed it. And of the
/// power over a user namespace that was joined.
fn leave_to_command(
    plan: &Plan,
    running: &Running<'_>,
    observer: &dyn Observer,
    companion: &dyn Companion,
) -> Result<()> {
    if plan.callers.inherits {
        let closed = match running.own_fds() {
            Some(own) => {
                super::stdio::close_others([own, observer.own_fds(), companion.own_fds()].concat())
            }
            None => super::stdio::close_callers(&[]),
        };
        closed.map_err(|errno| Error::setup("close the caller's descriptors", errno))?;
    }
    let joins = |step: &ParentStep| matches!(step, ParentStep::JoinNamespace { .. });
    if plan.parent.iter().any(joins) {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        rustix::thread::set_capabilities(None, sets)
            .map_err(|errno| Error::setup("give up capabilities, capset", errno))?;
    }
    Ok(())
}

/// Which signals are not to have their effect on this process: all, where the command gets them. Else its children's; and
/// what is typed at the terminal, where the command gets that as well: then it is the command's end that counts.
fn watched_signals(plan: &Plan) -> SignalSet {
    match (plan.callers.signals, plan.callers.shares_session) {
        (Signals::Passed, _) => SignalSet::ALL,
        (Signals::Own, false) => SignalSet::only(libc::SIGCHLD),
        (Signals::Own, true) => SignalSet::of(&[libc::SIGCHLD, libc::SIGINT, libc::SIGQUIT]),
    }
}

struct Supervisor<'a, 'o> {
    running: Running<'a>,
    observer: &'o mut dyn Observer,
    companion: &'o mut dyn Companion,
    plan: &'a Plan,
    signals: OwnedFd,
    keeper: Option<Keeper>,
    terminal: Option<Terminal>,
    streams: Streams,
    listener: Option<Listener>,
    /// The command itself, where no init tells of its end.
    command: Option<OwnedFd>,
    deadline: Option<Instant>,
    timed_out: bool,
    /// A stop signal has been passed on, and the command is expected to stop.
    asked_to_stop: bool,
    /// The command has stopped.
    stopped: bool,
}

impl Supervisor<'_, '_> {
    fn watch(&mut self) -> Result<Outcome> {
        let outcome = loop {
            if let Some(end) = self.turn()? {
                break end;
            }
        };
        self.finish_output();
        if let Some(terminal) = &mut self.terminal {
            terminal.suspend();
        }
        self.running.tell_usage(self.observer);
        // Before all else: a terminal that was given up is why what follows did not work out.
        if let Some(error) = self.terminal.as_ref().and_then(Terminal::failure) {
            return Err(error);
        }
        match (outcome, self.streams.failure()) {
            (Ok(_), Some(error)) => Err(error),
            (Ok(_), None) if self.timed_out => Ok(Outcome::TimedOut),
            (outcome, _) => outcome,
        }
    }

    /// Waits for something to happen, and deals with it. Returns the end, if it was that.
    fn turn(&mut self) -> Result<Option<Result<Outcome>>> {
        let in_background = self.terminal.as_ref().is_some_and(Terminal::in_background);
        let first = match &self.command {
            Some(command) => rustix::fd::AsFd::as_fd(command),
            None => self.running.channel_fd(),
        };
        let mut polled: Vec<PollFd<'_>> = vec![
            PollFd::from_borrowed_fd(first, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        polled.extend(self.wanted());
        let relays = polled.len() - 2;
        polled.extend(self.listener.as_ref().map(Listener::wanted));
        polled.extend(self.companion.wanted());
        let next = self.deadline.into_iter().chain(self.companion.due()).min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = if in_background {
            Some(left.map_or(GLANCE, |left| left.min(GLANCE)))
        } else {
            left
        };
        match poll(&mut polled, timeout.map(timespec).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::setup("wait for the container", errno)),
        }
        let happened: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        let (relayed, rest) = happened[2..].split_at(relays);
        let (listened, accompanied) = rest.split_at(usize::from(self.listener.is_some()));
        if listened.iter().any(|flags| !flags.is_empty()) {
            self.answer();
        }
        if !self.relay(relayed) {
            // The kernel would tell the session's leader only, and that is init.
            self.running.signal(libc::SIGHUP);
            self.terminal.iter_mut().for_each(Terminal::hang_up);
        }
        if in_background {
            self.terminal.iter_mut().for_each(Terminal::come_to_front);
        }
        if happened[1].contains(PollFlags::IN) {
            self.take_signals();
        }
        if self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            self.time_is_over();
        }
        // Before the companion, who would else take a command for one that runs.
        let end = match happened[0].is_empty() {
            true => None,
            false => self.take_event()?,
        };
        if end.is_none() {
            self.accompany(accompanied);
        }
        Ok(end)
    }

    /// Lets the companion do what there is to do, and does at the command's terminal what it says.
    fn accompany(&mut self, happened: &[PollFlags]) {
        self.companion.turn(&mut self.running, happened);
        while let Some(typed) = self.companion.typed() {
            match (typed, &mut self.terminal) {
                (Typed::Keys(keys), Some(terminal)) => terminal.type_keys(&keys),
                (Typed::Size(rows, columns), Some(terminal)) => terminal.set_size(rows, columns),
                _ => {}
            }
        }
    }

    /// What the relays wait for: the terminal's, then the pipes'.
    fn wanted(&self) -> Vec<PollFd<'_>> {
        let terminal = self.terminal.iter().flat_map(Terminal::wanted);
        let terminal = terminal.map(|(_, fd, flags)| (fd, flags));
        let all = terminal.chain(self.streams.wanted());
        all.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect()
    }

    /// Moves what can be moved; `happened` answers what was wanted. False when nobody reads the terminal's output any more.
    fn relay(&mut self, happened: &[PollFlags]) -> bool {
        let terminals = self
            .terminal
            .as_ref()
            .map_or(0, |terminal| terminal.wanted().len());
        let (terminals, streams) = happened.split_at(terminals);
        self.streams.relay(streams);
        let is_read = self
            .terminal
            .as_mut()
            .is_none_or(|terminal| terminal.relay(terminals));
        self.hand_over();
        is_read
    }

    /// Gives what the command has written to the companion, if that takes it.
    fn hand_over(&mut self) {
        if !self.companion.takes_output() {
            return;
        }
        for (standard, bytes) in self.streams.taken() {
            self.companion.take_output(standard, &bytes);
        }
        let shown = self.terminal.as_mut().map(Terminal::shown);
        if let Some(bytes) = shown.filter(|bytes| !bytes.is_empty()) {
            self.companion.take_output(1, &bytes);
        }
    }

    /// Answers a system call that the filter does not let through, and tells of it.
    fn answer(&mut self) {
        match self.listener.as_ref().map(Listener::answer) {
            Some(Ok(Some(refused))) => self.observer.event(self.plan, &Event::Refused(refused)),
            // Nobody is left under the filter.
            Some(Err(_)) => self.listener = None,
            _ => {}
        }
    }

    fn has_more_output(&mut self) -> bool {
        let terminal = self.terminal.as_mut();
        let terminal = terminal.is_some_and(Terminal::has_more_output);
        let more = self.streams.has_more_output() || terminal;
        self.hand_over();
        more
    }

    fn take_event(&mut self) -> Result<Option<Result<Outcome>>> {
        if self.command.is_some() {
            return Ok(Some(self.running.silence()));
        }
        let Some(event) = self.running.next_event() else {
            return self.channel_ended();
        };
        self.tell(&event);
        let end = self.running.ending(&event);
        match event {
            Event::Terminal(outer) => {
                let terminal = Terminal::new(outer, self.keeper.take());
                self.terminal = Some(match self.companion.takes_output() {
                    true => terminal.without_input(),
                    false => terminal,
                });
            }
            Event::Listener(listener) => {
                self.listener = Some(Listener::new(listener, self.plan));
            }
            Event::Stopped(_) if !self.companion.is_paused() => self.command_stopped(),
            Event::Ruleset(ruleset) => self.companion.take_ruleset(ruleset),
            _ => {}
        }
        Ok(end)
    }

    fn tell(&mut self, event: &Event) {
        self.observer.event(self.plan, event);
        self.companion.event(&self.running, event);
    }

    /// No more reports. Without an init that is how the exec is seen, and the process itself tells of its end.
    fn channel_ended(&mut self) -> Result<Option<Result<Outcome>>> {
        if !self.plan.init.is_empty() || !self.running.ready {
            return Ok(Some(self.running.silence()));
        }
        self.tell(&Event::Started {
            pid: self.running.pid,
            init: None,
            nanos: crate::child::record::now(true),
        });
        let pid = rustix::process::Pid::from_raw(self.running.pid)
            .ok_or_else(|| Error::broken("no process"))?;
        let command = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
        self.command = Some(command.map_err(|errno| {
            Error::setup("watch the command, pidfd_open", errno)
                .with_hint("--no-init needs Linux 5.3")
        })?);
        Ok(None)
    }

    /// Passes on what the command has written last. A reader who does not read is waited for, unless the time is over or
    /// somebody wants us to end.
    fn finish_output(&mut self) {
        while self.has_more_output() {
            let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
            polled.extend(self.wanted());
            let patience = if self.timed_out {
                Some(timespec(Duration::ZERO))
            } else {
                None
            };
            let ready = poll(&mut polled, patience.as_ref());
            let happened: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
            drop(polled);
            if !self.relay(&happened[1..]) {
                return;
            }
            let harmless = [
                libc::SIGCHLD,
                libc::SIGCONT,
                libc::SIGPIPE,
                libc::SIGWINCH,
                libc::SIGXFSZ,
            ];
            let asked_to_end = self
                .read_signals()
                .iter()
                .any(|(signal, ..)| !harmless.contains(signal));
            if ready == Ok(0) || asked_to_end {
                return;
            }
        }
    }

    fn take_signals(&mut self) {
        for (signal, code, sender) in self.read_signals() {
            self.take_signal(signal, code, sender);
        }
    }

    /// The signals that have come: number, si_code and sender.
    fn read_signals(&self) -> Vec<(i32, i32, i32)> {
        // The kernel's struct signalfd_siginfo: 128 bytes, and in them ssi_signo, ssi_errno, ssi_code, ssi_pid first.
        let mut buffer = [0u8; 128 * 16];
        let length = rustix::io::read(&self.signals, &mut buffer).unwrap_or(0);
        let number = |info: &[u8], at: usize| {
            i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]])
        };
        let signals = buffer[..length].chunks_exact(128);
        signals
            .map(|info| (number(info, 0), number(info, 8), number(info, 12)))
            .collect()
    }

    fn take_signal(&mut self, signal: i32, code: i32, sender: i32) {
        log::debug!("signal {signal} from process {sender}");
        let from_kernel = code > 0;
        if self.plan.callers.signals == Signals::Own {
            match (signal, from_kernel) {
                (libc::SIGCHLD, _) => {}
                (_, true) => self.companion.asked_to_end(),
                (_, false) => die_of(signal),
            }
            return;
        }
        if ENDING.contains(&signal) {
            self.companion.asked_to_end();
        }
        match signal {
            // Not sent to us by anybody: a child of our own, a closed pipe or a file too large of our own.
            libc::SIGCHLD if from_kernel => return,
            libc::SIGPIPE | libc::SIGXFSZ if sender == std::process::id() as i32 => return,
            libc::SIGWINCH if self.terminal.is_some() => {
                return self.terminal.iter().for_each(Terminal::resize);
            }
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
                self.asked_to_stop = true;
                if self.stopped {
                    return self.command_stopped();
                }
            }
            libc::SIGCONT => {
                self.asked_to_stop = false;
                self.stopped = false;
                self.terminal.iter_mut().for_each(Terminal::resume);
            }
            _ => {}
        }
        // The terminal sends to a whole process group, and so to the command in it. init may not have got it yet.
        let whole_group = self.plan.init.is_empty() || crate::child::is_typed(signal);
        let terminals_own = from_kernel && whole_group && !self.plan.tty;
        if !terminals_own {
            self.running.signal(signal);
        }
    }

    /// Stops with the command, when somebody is there who will continue both: the shell that stopped us, or the one
    /// before which ^Z was typed into the command's terminal.
    fn command_stopped(&mut self) {
        // Without a terminal between, ^Z stops the command in its own right, and we may hear of that first.
        self.stopped = true;
        if self.terminal.is_none() && !self.asked_to_stop {
            return;
        }
        self.terminal.iter_mut().for_each(Terminal::suspend);
        if std::mem::take(&mut self.asked_to_stop) {
            let _ = sys::kill(
                rustix::process::getpid().as_raw_nonzero().get(),
                libc::SIGSTOP,
            );
            return;
        }
        // As the terminal would have done: the whole group, since a script may have started us; and by SIGTSTP's own
        // action, for which the kernel looks whether anybody could continue us (setpgid(2), orphaned process groups).
        let mask = sys::set_signal_mask(SignalSet(
            SignalSet::ALL.0 & !SignalSet::only(libc::SIGTSTP).0,
        ));
        let _ = sys::kill(0, libc::SIGTSTP);
        sys::set_signal_mask(mask);
        // Continued, or never stopped: then nobody sends the SIGCONT for which the command waits.
        sys::take_pending(libc::SIGCONT);
        self.take_signal(libc::SIGCONT, 0, 0);
    }

    fn time_is_over(&mut self) {
        if self.timed_out {
            self.deadline = None;
            return self.running.kill();
        }
        self.timed_out = true;
        self.deadline = Some(Instant::now() + GRACE);
        self.running.signal(libc::SIGTERM);
        self.running.signal(libc::SIGCONT);
    }
}
