//! Runs a program with all its descendants (ptrace(2)), and at one chosen system call of one of them makes the call fail,
//! or kills a process.
//!
//! Whoever is made is followed, in whatever way it is made. A process is known by its [`Path`]: which child of which, in
//! the order in which they are made, so that it has the same name in every run. Once the fault has happened nobody is
//! looked at any more, but for births and deaths.

use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Which process: empty for the program itself, `[0]` for its first child, `[0, 1]` for the second child of that.
pub type Path = Vec<usize>;

/// One call of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Who calls.
    pub process: Path,
    /// The number of the call.
    pub call: i64,
    /// Which call of this number by this process, from 1 on.
    pub nth: u32,
}

/// What is done at a point.
#[derive(Clone, Debug)]
pub enum Act {
    /// The call is not made, and fails with this errno. A failing close(2) does close.
    Fail(i32),
    /// This process is killed before the call is made.
    Kill(Path),
}

/// How long is waited for what.
#[derive(Clone, Debug)]
pub struct Patience {
    /// A program that has not ended by then hangs.
    pub hang: Duration,
    /// What the program has started and not ended may live this much longer.
    pub orphan: Duration,
    /// A command that does nothing for so long has been seen enough of, and is killed; but not after the act, for which it
    /// may be that it ends.
    pub quiet: Option<Duration>,
    /// After the act too, once something is in this file.
    pub goes_on: Option<PathBuf>,
}

impl Patience {
    fn ends_after_act(&self) -> bool {
        let told = self.goes_on.as_ref().and_then(|path| path.metadata().ok());
        told.is_some_and(|data| data.len() > 0)
    }
}

/// Who is stopped for so long, and nobody has told of, is somebody whose maker cannot tell any more.
const UNKNOWN: Duration = Duration::from_millis(20);

/// What was seen of a run.
#[derive(Debug, Default)]
pub struct Seen {
    /// Every call, in order, until the act, and whether the program lived then, its first child, and the first child of that;
    /// those of executed commands are left out.
    pub met: Vec<(Point, [bool; 3])>,
    /// Whether the point was reached.
    pub acted: bool,
    /// How the program itself ended: its status, or 128+n for signal n. None when it hung.
    pub status: Option<i32>,
    /// How many processes were left.
    pub orphans: usize,
    /// Whether a process other than the program itself has executed something.
    pub executed: bool,
    /// The processes that were made, by name, and whether each has executed something.
    pub processes: Vec<(Path, bool)>,
}

/// Runs `command`, and acts once. The calling process has one thread, is a subreaper, has no other children, and has
/// SIGCHLD blocked.
pub fn run(command: &mut Command, act: Option<(&Point, &Act)>, patience: &Patience) -> Seen {
    // SAFETY: one system call, which neither allocates nor takes a lock.
    unsafe { command.pre_exec(|| request(libc::PTRACE_TRACEME, 0, 0, 0).map(drop)) };
    // spawn returns when the program has been executed, at which it stops.
    let program = command.spawn().unwrap().id() as i32;
    let mut run = Run {
        program,
        processes: HashMap::from([(program, Process::new(Vec::new()))]),
        early: Vec::new(),
        act,
        failing: None,
        seen: Seen::default(),
    };
    run.watch(patience);
    let processes = run.processes.into_values();
    run.seen.processes = processes.map(|one| (one.path, one.executed)).collect();
    run.seen.processes.sort();
    run.seen
}

struct Process {
    path: Path,
    alive: bool,
    started: bool,
    executed: bool,
    children: usize,
    calls: HashMap<i64, u32>,
}

impl Process {
    fn new(path: Path) -> Process {
        Process {
            path,
            alive: true,
            started: false,
            executed: false,
            children: 0,
            calls: HashMap::new(),
        }
    }
}

struct Run<'a> {
    program: i32,
    processes: HashMap<i32, Process>,
    /// Those that stopped before whoever made them could tell.
    early: Vec<i32>,
    act: Option<(&'a Point, &'a Act)>,
    /// Who is in the call that is to fail, and how.
    failing: Option<(i32, i32)>,
    seen: Seen,
}

impl Run<'_> {
    fn watch(&mut self, patience: &Patience) {
        let start = Instant::now();
        let mut ended = None;
        let mut last = Instant::now();
        loop {
            match wait_any() {
                Some((0, _)) => sleep_until_news(Duration::from_millis(5)),
                Some((pid, status)) => {
                    last = Instant::now();
                    self.change(pid, status);
                    continue;
                }
                None => return,
            }
            if ended.is_none() && self.seen.status.is_some() {
                ended = Some(Instant::now());
            }
            let now = Instant::now();
            if now - last > UNKNOWN {
                self.adopt();
            }
            let over = match ended {
                Some(ended) => now - ended > patience.orphan,
                None => now - start > patience.hang,
            };
            if over {
                self.seen.orphans = self.others_alive();
                return self.end_all();
            }
            let quiet = patience.quiet.is_some_and(|quiet| now - last > quiet);
            if quiet && (!self.seen.acted || patience.ends_after_act()) {
                self.kill_where(|process| process.executed && !process.path.is_empty());
            }
        }
    }

    /// Those whose maker was killed before it could tell of them go on as well.
    fn adopt(&mut self) {
        for pid in std::mem::take(&mut self.early) {
            self.processes.insert(pid, Process::new(vec![usize::MAX]));
            self.stopped(pid, libc::SIGSTOP, 0);
        }
    }

    fn others_alive(&self) -> usize {
        let others = |(pid, process): &(&i32, &Process)| **pid != self.program && process.alive;
        self.processes.iter().filter(others).count()
    }

    fn kill_where(&self, chosen: impl Fn(&Process) -> bool) {
        for (&pid, process) in &self.processes {
            if process.alive && chosen(process) {
                let _ = rootlet::sys::kill(pid, libc::SIGKILL);
            }
        }
    }

    /// Kills whoever is left, and waits until all have gone.
    fn end_all(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        let hung = self.seen.status;
        while Instant::now() < end {
            self.kill_where(|_| true);
            match wait_any() {
                None => break,
                Some((0, _)) => sleep_until_news(Duration::from_millis(5)),
                Some((pid, status)) => self.change(pid, status),
            }
        }
        self.seen.status = hung;
    }

    /// A traced process has stopped or ended.
    fn change(&mut self, pid: i32, status: i32) {
        if libc::WIFSTOPPED(status) {
            return self.stopped(pid, libc::WSTOPSIG(status), status >> 16);
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.alive = false;
        }
        if pid == self.program {
            self.seen.status = Some(match libc::WIFEXITED(status) {
                true => libc::WEXITSTATUS(status),
                false => 128 + libc::WTERMSIG(status),
            });
        }
    }

    fn stopped(&mut self, pid: i32, signal: i32, event: i32) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return self.early.push(pid);
        };
        let mut passed_on = 0;
        if !process.started {
            process.started = true;
            if pid == self.program {
                set_options(pid);
            }
        } else if signal == libc::SIGTRAP | 0x80 {
            self.system_call(pid);
        } else if is_birth(event) {
            self.born(pid);
        } else if event == libc::PTRACE_EVENT_EXEC {
            process.executed = true;
            self.seen.executed |= pid != self.program;
        } else if event == 0 {
            passed_on = signal;
        }
        self.go_on(pid, passed_on);
    }

    fn born(&mut self, parent: i32) {
        let mut child = 0u64;
        // The parent may just have been killed: then nobody knows which child it was.
        if request(libc::PTRACE_GETEVENTMSG, parent, 0, &raw mut child as u64).is_err() {
            return;
        }
        let child = child as i32;
        let Some(process) = self.processes.get_mut(&parent) else {
            return;
        };
        let path = [&process.path[..], &[process.children]].concat();
        process.children += 1;
        self.processes.insert(child, Process::new(path));
        if let Some(at) = self.early.iter().position(|&pid| pid == child) {
            self.early.swap_remove(at);
            self.stopped(child, libc::SIGSTOP, 0);
        }
    }

    /// Continues a process. Calls are of no interest in a command, nor once all is done.
    fn go_on(&self, pid: i32, signal: i32) {
        let process = &self.processes[&pid];
        let command = process.executed && pid != self.program;
        let done = self.seen.acted && self.failing.is_none();
        let how = match command || done {
            true => libc::PTRACE_CONT,
            false => libc::PTRACE_SYSCALL,
        };
        // It may have been killed meanwhile: then it is reported once more, as ended.
        let _ = request(how, pid, 0, signal as u64);
    }

    fn system_call(&mut self, pid: i32) {
        if let Some((who, errno)) = self.failing
            && who == pid
        {
            registers::set_result(pid, -i64::from(errno));
            self.failing = None;
            return;
        }
        let Some(call) = entered(pid) else {
            return;
        };
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let nth = process.calls.entry(call).or_default();
        *nth += 1;
        let point = Point {
            process: process.path.clone(),
            call,
            nth: *nth,
        };
        match self.act {
            None => {
                let living = [&[][..], &[0], &[0, 0]].map(|path| self.lives(path));
                self.seen.met.push((point, living));
            }
            Some((chosen, act)) if *chosen == point && !self.seen.acted => self.act(pid, call, act),
            Some(_) => {}
        }
    }

    fn lives(&self, path: &[usize]) -> bool {
        let mut processes = self.processes.values();
        processes.any(|process| process.alive && process.path == path)
    }

    fn act(&mut self, pid: i32, call: i64, act: &Act) {
        // One that is gone already, or not there yet, cannot be killed.
        self.seen.acted = match act {
            Act::Fail(_) => true,
            Act::Kill(victim) => self.lives(victim),
        };
        match act {
            Act::Fail(errno) => {
                self.failing = Some((pid, *errno));
                if call != libc::SYS_close {
                    registers::skip_call(pid);
                }
            }
            Act::Kill(victim) => self.kill_where(|process| process.path == *victim),
        }
    }
}

fn is_birth(event: i32) -> bool {
    [
        libc::PTRACE_EVENT_FORK,
        libc::PTRACE_EVENT_VFORK,
        libc::PTRACE_EVENT_CLONE,
    ]
    .contains(&event)
}

/// Whoever is made is traced as well, and nobody outlives the tracer.
fn set_options(pid: i32) {
    let births = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE;
    let options =
        births | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SETOPTIONS, pid, 0, options as u64).unwrap();
}

/// The call that a process is about to make; none at the end of a call.
fn entered(pid: i32) -> Option<i64> {
    // SAFETY: plain numbers, for which zeroes are values.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let (size, place) = (size_of_val(&info) as u64, &raw mut info as u64);
    request(libc::PTRACE_GET_SYSCALL_INFO, pid, size, place).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that this is the part that is filled in.
    Some(unsafe { info.u.entry.nr } as i64)
}

/// waitpid(2) for any child or traced process without waiting: pid 0 when there is no news, none when nobody is left.
fn wait_any() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes to `status`, which lives.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL | libc::WNOHANG) };
    (pid >= 0).then_some((pid, status))
}

/// Waits for SIGCHLD, which is blocked.
fn sleep_until_news(at_most: Duration) {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    // SAFETY: both live; sigset_t is plain bits, for which zeroes are a value.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::sigtimedwait(&set, std::ptr::null_mut(), &time);
    }
}

/// What only the machine's registers tell: x86-64's user_regs_struct.
mod registers {
    use super::request;

    /// Where `orig_rax`, the call, and `rax`, its result, are among the words of the registers (sys/reg.h).
    const CALL: u64 = 15 * 8;
    const RESULT: u64 = 10 * 8;

    /// The process is about to make a call, and shall not: there is no call of number -1.
    pub fn skip_call(pid: i32) {
        let _ = request(libc::PTRACE_POKEUSER, pid, CALL, -1i64 as u64);
    }

    /// The call that the process comes from has this result.
    pub fn set_result(pid: i32, result: i64) {
        let _ = request(libc::PTRACE_POKEUSER, pid, RESULT, result as u64);
    }
}

/// ptrace(2), raw, with both its last arguments as numbers.
fn request(request: libc::c_uint, pid: i32, address: u64, data: u64) -> std::io::Result<i64> {
    // SAFETY: the callers give the address of something that lives, where the request takes one.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            u64::from(request),
            i64::from(pid),
            address,
            data,
        )
    };
    match result {
        -1 => Err(std::io::Error::last_os_error()),
        value => Ok(value),
    }
}
