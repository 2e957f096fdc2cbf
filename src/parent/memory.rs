//! What the new process has to work with: it shares this memory, or has a copy of it.

use super::{Channels, terminal};
use crate::child::step::{Fallbacks, Slot, Text};
use crate::child::{Network, Task};
use crate::plan::Plan;
use crate::seccomp::Instruction;
use crate::sys::{RawFd, SignalSet, Stack};
use rustix::fd::AsRawFd;
use rustix::fs::Mode;
use std::ffi::c_char;

/// Bytes of stack for each process inside: plenty, since what is not touched costs nothing. The deepest that they go is
/// some 45 KiB, to read a list of mounts on an old kernel.
const STACK: usize = 128 * 1024;

/// What the processes inside work with, besides the plan.
pub struct Memory<'m> {
    slots: Vec<RawFd>,
    keep: Vec<RawFd>,
    launchers: Vec<RawFd>,
    held: Vec<RawFd>,
    argv: Vec<*const c_char>,
    script: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    contents: Vec<&'m [u8]>,
    programs: Vec<&'m [Instruction]>,
    network: Network,
    stacks: [Vec<u8>; 3],
}

impl<'m> Memory<'m> {
    /// `given` is what the plan's steps find open, by slot.
    pub fn new(
        plan: &'m Plan,
        channels: &Channels,
        given: &[(Slot, RawFd)],
        launchers: &[RawFd],
    ) -> Memory<'m> {
        let [life, records] = channels.inside.each_ref().map(AsRawFd::as_raw_fd);
        let mut slots = vec![-1; usize::from(plan.slots)];
        slots[usize::from(Slot::LIFE.0)] = life;
        slots[usize::from(Slot::RECORDS.0)] = records;
        let mut keep = [
            &plan.pass_fds[..],
            &plan.callers.consumed,
            &plan.callers.held,
            &[life, records],
        ]
        .concat();
        for (slot, pipe) in &channels.pipes.inside {
            slots[usize::from(slot.0)] = pipe.as_raw_fd();
            keep.push(pipe.as_raw_fd());
        }
        if let Some((slot, ruleset)) = plan.ruleset().zip(channels.ruleset.as_ref()) {
            slots[usize::from(slot.0)] = ruleset.as_raw_fd();
            keep.push(ruleset.as_raw_fd());
        }
        for &(slot, fd) in given {
            slots[usize::from(slot.0)] = fd;
            keep.push(fd);
        }
        keep.sort_unstable();
        Memory {
            slots,
            keep,
            argv: pointers(plan, &plan.argv),
            script: plan
                .shell
                .map_or_else(Vec::new, |shell| script(plan, shell)),
            envp: pointers(plan, &plan.envp),
            launchers: [launchers, &channels.own_fds()].concat(),
            held: [&vec![-1; 4 + plan.locks()], &plan.callers.held[..]].concat(),
            contents: plan.contents.iter().map(Vec::as_slice).collect(),
            programs: plan.programs.iter().map(Vec::as_slice).collect(),
            network: Network::new(),
            stacks: [(); 3].map(|()| Vec::with_capacity(STACK)),
        }
    }

    /// The task of the new process, and its stack. `mask` is the one that the command is to have.
    pub fn task<'t>(
        &'t mut self,
        plan: &'t Plan,
        mask: SignalSet,
        trace: bool,
    ) -> (Task<'t>, &'t mut Stack) {
        // The last is the null pointer.
        let pwd = self.envp.len().checked_sub(2).filter(|_| plan.sets_pwd);
        let [first, commands, networks] = self.stacks.each_mut().map(Vec::spare_capacity_mut);
        let task = Task {
            arena: plan.arena.bytes(),
            setup: &plan.setup,
            init: &plan.init,
            command: &plan.command,
            candidates: &plan.candidates,
            argv: &self.argv,
            script: &mut self.script,
            envp: &mut self.envp,
            pwd,
            slots: &mut self.slots,
            keep: &self.keep,
            launchers: &self.launchers,
            held: &mut self.held,
            mask,
            terminal: plan.tty.then(terminal::callers_settings).flatten(),
            trace,
            stack: commands,
            network: &self.network,
            network_stack: networks,
            network_pid: 0,
            contents: &self.contents,
            filters: plan.filters.each_ref().map(AsRef::as_ref),
            programs: &self.programs,
            umask: Mode::empty(),
            at: 0,
            processors: None,
            listener: -1,
            refused: None,
            fallbacks: plan.fallbacks,
            fell_back: Fallbacks::default(),
            detached: true,
            sealed: true,
            old_roots: 0,
            handlers: false,
            holds_itself: false,
            init_pid: 0,
            command_pid: 0,
            executed: false,
        };
        (task, first)
    }
}

/// The list that execve(2) takes: pointers into the arena, and a null one.
fn pointers(plan: &Plan, texts: &[Text]) -> Vec<*const c_char> {
    let strings = texts.iter().map(|&text| plan.arena.get(text).as_ptr());
    strings.chain([std::ptr::null()]).collect()
}

/// The arguments of the shell that executes the command: itself, room for the command's path, and what comes after that.
fn script(plan: &Plan, shell: Text) -> Vec<*const c_char> {
    let rest = plan.argv.get(1..).unwrap_or_default();
    let first = [shell, shell];
    pointers(plan, &[&first, rest].concat())
}
