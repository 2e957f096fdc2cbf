//! Runs a program with all its descendants, and sends a signal at the entry of one chosen system call (ptrace(2)).

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A process of a run, by the order in which they are made: 0 is the program itself.
pub type Number = usize;

/// Where to act, and on whom.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// The process that is looked at.
    pub process: Number,
    /// Which of its system calls, from 0 on.
    pub call: usize,
    /// The process that is killed at the entry of that call.
    pub victim: Number,
}

/// A run whose processes are all traced, until the kill.
struct Run {
    pids: Vec<i32>,
    /// Those that have reported their first stop.
    seen: HashSet<i32>,
    calls: usize,
    point: Point,
    killed: bool,
}

/// Runs `command`, kills at `point`, and lets go of everybody else. False when the run came to its end without it.
///
/// A command that sleeps in clock_nanosleep(2) has come where it should: it is killed then, so that the points of the
/// program's end are met too. A process that executes another program is looked at no further, unless it is the
/// first. The calling process is to be a subreaper, and to have no other children.
pub fn kill_at(command: &mut Command, point: Point) -> bool {
    // SAFETY: one system call, which neither allocates nor takes a lock.
    unsafe { command.pre_exec(|| request(libc::PTRACE_TRACEME, 0, 0, 0).map(drop)) };
    // spawn returns when the program has been executed, at which it stops.
    let program = command.spawn().unwrap().id() as i32;
    let mut run = Run {
        pids: vec![program],
        seen: HashSet::new(),
        calls: 0,
        point,
        killed: false,
    };
    while !run.killed && run.step() {}
    run.killed
}

/// Lets go of a process that has stopped after the kill; `status` is what waitpid(2) said of it.
pub fn let_go(pid: i32, status: i32) {
    if libc::WIFSTOPPED(status) {
        let signal = libc::WSTOPSIG(status);
        // What is no signal of its own: the stops of tracing, and the one with which a traced process starts.
        let own = ![libc::SIGTRAP, libc::SIGTRAP | 0x80, libc::SIGSTOP].contains(&signal);
        // It may just have been killed.
        let _ = request(
            libc::PTRACE_DETACH,
            pid,
            0,
            if own { signal as u64 } else { 0 },
        );
    }
}

/// waitpid(2) for any child or traced process; none when there is nobody left. `options` such as WNOHANG, which says 0.
pub fn wait_any(options: i32) -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes to `status`, which lives.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL | options) };
    (pid >= 0).then_some((pid, status))
}

impl Run {
    /// Waits for one stop and deals with it; false when nobody is left.
    fn step(&mut self) -> bool {
        let Some((pid, status)) = wait_any(0) else {
            return false;
        };
        if !libc::WIFSTOPPED(status) {
            return true;
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        let mut passed_on = 0;
        if self.seen.insert(pid) {
            // The stop with which it starts. The options of the first process go on to the others.
            if pid == self.pids[0] {
                let follow = libc::PTRACE_O_TRACEFORK
                    | libc::PTRACE_O_TRACEVFORK
                    | libc::PTRACE_O_TRACECLONE;
                let options = follow | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACESYSGOOD;
                request(libc::PTRACE_SETOPTIONS, pid, 0, options as u64).unwrap();
            }
        } else if signal == libc::SIGTRAP | 0x80 {
            self.system_call(pid);
        } else if [
            libc::PTRACE_EVENT_FORK,
            libc::PTRACE_EVENT_VFORK,
            libc::PTRACE_EVENT_CLONE,
        ]
        .contains(&event)
        {
            let mut child = 0u64;
            request(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut child as u64).unwrap();
            self.pids.push(child as i32);
        } else if event == libc::PTRACE_EVENT_EXEC && pid != self.pids[0] {
            if self.number(pid) == Some(self.point.process) {
                self.calls = usize::MAX / 2; // no point any more
            }
        } else if event == 0 {
            passed_on = signal;
        }
        if self.killed {
            let_go(pid, status);
        } else {
            // It may have been killed meanwhile: then it is reported once more, as ended.
            let _ = request(libc::PTRACE_SYSCALL, pid, 0, passed_on as u64);
        }
        true
    }

    fn system_call(&mut self, pid: i32) {
        // SAFETY: plain numbers, for which zeroes are values.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info) as u64;
        if request(
            libc::PTRACE_GET_SYSCALL_INFO,
            pid,
            size,
            &raw mut info as u64,
        )
        .is_err()
            || info.op != libc::PTRACE_SYSCALL_INFO_ENTRY
        {
            return;
        }
        // SAFETY: `op` says that this is the part that is filled in.
        let call = unsafe { info.u.entry.nr } as i64;
        if call == libc::SYS_clock_nanosleep {
            rootlet::sys::kill(pid, libc::SIGKILL).unwrap();
        }
        if self.number(pid) == Some(self.point.process) {
            if self.calls == self.point.call
                && let Some(&victim) = self.pids.get(self.point.victim)
            {
                rootlet::sys::kill(victim, libc::SIGKILL).unwrap();
                self.killed = true;
            }
            self.calls += 1;
        }
    }

    fn number(&self, pid: i32) -> Option<Number> {
        self.pids.iter().position(|&known| known == pid)
    }
}

/// ptrace(2), raw, with both its last arguments as numbers.
fn request(request: libc::c_uint, pid: i32, address: u64, data: u64) -> std::io::Result<i64> {
    // SAFETY: the callers give the address of something that lives, where the request takes one.
    match unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            u64::from(request),
            i64::from(pid),
            address,
            data,
        )
    } {
        -1 => Err(std::io::Error::last_os_error()),
        value => Ok(value),
    }
}
