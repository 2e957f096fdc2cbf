//! The launcher's steps in words.

use super::{Description, clone_flags, described, inside};
use crate::child::step::Text;
use crate::plan::{ParentStep, Plan, Upper};
use std::os::unix::ffi::OsStrExt;

impl Plan {
    /// What is attempted for the work directory of an overlay.
    fn work(&self, path: Text) -> String {
        let shown = self.arena.show(path);
        let is_it = |upper: &&Upper| {
            let work = upper.work.as_ref().map(|work| work.as_os_str().as_bytes());
            work == Some(self.arena.get(path).to_bytes())
        };
        match self.uppers.iter().find(is_it) {
            Some(upper) => format!(
                "make the directory {shown} for the overlay {}, which works beside its upper directory {}",
                upper.target.display(),
                upper.path.display()
            ),
            None => format!("make the directory {shown}"),
        }
    }

    /// A step of the launcher in words.
    pub fn describe_parent(&self, step: ParentStep) -> Description {
        let map = |name: &str, lines: Text, words: &str| {
            let line = self
                .arena
                .get(lines)
                .to_string_lossy()
                .trim_end()
                .replace('\n', ", ");
            let call = format!("write(\"/proc/PID/{name}\", {line:?})");
            described(
                format!("write {line:?} to {name}"),
                call,
                "user_namespaces(7)",
                words,
            )
        };
        match step {
            ParentStep::KeepTerminal => described(
                "make a process that keeps the terminal's settings",
                "pipe2(O_CLOEXEC); clone3(0)",
                "termios(3)",
                "your terminal will pass every key on as it is (raw mode); should this process be killed meanwhile, that one \
                 puts the settings back",
            ),
            ParentStep::MakeWork { path } => described(
                self.work(path),
                format!("mkdir({:?}, 0755)", self.arena.show(path)),
                "mkdir(2)",
                "an overlay that writes to a directory of the host works beside it; at the end it is removed",
            ),
            ParentStep::JoinScope { bus } => described(
                format!("ask systemd for a scope, at {}", self.arena.show(bus)),
                format!(
                    "connect({:?}); StartTransientUnit(\"rootlet-PID-TIME.scope\", PIDs=[this], Delegate=true)",
                    self.arena.show(bus)
                ),
                "systemd.scope(5)",
                "your group is not yours to divide, and your systemd has one for you: this process moves into it, and when it \
                 ends systemd removes it",
            ),
            ParentStep::MakeGroup { base, controllers } => {
                let base = base.map_or("OWN".to_string(), |base| self.arena.show(base));
                let controllers = self.arena.show(controllers);
                let passed: Vec<String> = controllers
                    .split(' ')
                    .map(|name| format!("+{name}"))
                    .collect();
                described(
                    format!("make a control group below {base} for {controllers}"),
                    format!(
                        "write(\"{base}/cgroup.subtree_control\", {:?}); mkdir(\"{base}/rootlet-PID-0\")",
                        passed.join(" ")
                    ),
                    "cgroups(7)",
                    "the kernel counts what the processes of a group use together; it passes nothing down from a group that \
                     has processes, so those there move into a group beside",
                )
            }
            ParentStep::EnterGroup { path } => described(
                format!("enter the control group {}", self.arena.show(path)),
                format!("clone3(cgroup={:?})", self.arena.show(path)),
                "cgroups(7)",
                "what is executed in a container counts towards its limits",
            ),
            ParentStep::WriteLimit { file, value, .. } => described(
                format!(
                    "write {} to {}",
                    self.arena.show(value),
                    self.arena.show(file)
                ),
                format!(
                    "write(\"{}\", {:?})",
                    self.arena.show(file),
                    self.arena.show(value)
                ),
                "cgroups(7)",
                limit_words(&self.arena.show(file)),
            ),
            ParentStep::RemoveGroup => described(
                "remove the control group",
                "read(\"memory.peak\", \"cpu.stat\", \"pids.peak\"); write(\"cgroup.kill\", \"1\"); rmdir()",
                "cgroups(7)",
                "what the container has used is told; nothing of it is left",
            ),
            ParentStep::SetNice { nice } => described(
                format!("set the nice value to {nice}"),
                format!("setpriority(PRIO_PROCESS, PID, {nice})"),
                "setpriority(2)",
                "the higher, the more willingly the container leaves the processors to others; only privileges lower it",
            ),
            ParentStep::SetOomScore { score } => described(
                format!("write {} to oom_score_adj", self.arena.show(score)),
                format!(
                    "write(\"/proc/PID/oom_score_adj\", {:?})",
                    self.arena.show(score)
                ),
                "proc_pid_oom_score_adj(5)",
                "when memory runs out, the kernel ends what has the highest score; only privileges lower it",
            ),
            ParentStep::OpenChannels => described(
                "make the pipe and the socket to the new process",
                "pipe2(O_CLOEXEC); socketpair(AF_UNIX, SOCK_SEQPACKET)",
                "pipe(2)",
                "the pipe ties the lives together: while this process lives it holds the only end that can write, and when \
                 it dies the container reads the end of the pipe and dies too; over the socket the container reports",
            ),
            ParentStep::MakePipes => described(
                "make pipes in the place of your files",
                "pipe2(O_CLOEXEC)",
                "pipe(7)",
                "the command gets these as standard input, output and error, and this process reads and writes your files for it: \
                 by a descriptor of its own the command could open a file again, read what it may only write, or empty it",
            ),
            ParentStep::MakeRuleset {
                files,
                scopes,
                slot,
            } => inside::ruleset(files, scopes, slot),
            ParentStep::Allow {
                slot,
                access,
                first,
                count,
                found,
            } => inside::allow(slot, &self.shown_paths(first, count, found), access),
            ParentStep::JoinNamespace { fd, flag } => described(
                format!(
                    "join the namespace of descriptor {fd} ({})",
                    clone_flags(flag as u64)
                ),
                format!("setns({fd}, {})", clone_flags(flag as u64)),
                "setns(2)",
                "the new process is made in there",
            ),
            ParentStep::AwaitIdMaps { fd } => described(
                format!("wait until descriptor {fd} says that the id maps are written"),
                format!("read({fd}, 1 byte)"),
                "user_namespaces(7)",
                "somebody else writes them, who may write more",
            ),
            ParentStep::Clone { flags } if flags & !(libc::CLONE_VM as u64) == 0 => described(
                "make a process",
                "clone3(0)",
                "clone(2)",
                "a new process of yours, in no new namespaces; it works in a copy of this one's memory",
            ),
            ParentStep::Clone { flags } => described(
                format!("make a process in new namespaces ({})", clone_flags(flags)),
                format!("clone3({})", clone_flags(flags)),
                "clone(2)",
                "a new process, in a user namespace where it has every capability, but only over what belongs to that \
                 namespace; with CLONE_NEWPID it is process 1 there; with CLONE_VM it works in this one's memory, else in \
                 a copy of it",
            ),
            ParentStep::DenySetgroups => described(
                "write \"deny\" to setgroups",
                "write(\"/proc/PID/setgroups\", \"deny\")",
                "user_namespaces(7)",
                "nobody inside may drop a group: a group can also be what keeps you from a file; without this the kernel \
                 lets no ordinary user write the group map",
            ),
            ParentStep::WriteUidMap { lines } => map(
                "uid_map",
                lines,
                "inside id, outside id, how many: whoever has the inside user id there is that user here",
            ),
            ParentStep::WriteGidMap { lines } => map("gid_map", lines, "the same for groups"),
            ParentStep::Release => described(
                "release the new process",
                "write(life pipe, 1 byte)",
                "pipe(7)",
                "the child has waited for its ids; now it goes on",
            ),
            ParentStep::Supervise => described(
                "wait for the command",
                "poll(signals, reports, terminal); waitid()",
                "poll(2)",
                "signals and the terminal are passed on to the command until it ends; its exit status becomes this one's",
            ),
        }
    }
}

impl Plan {
    /// The paths of [`ParentStep::Allow`]; of those that were found the first ones.
    fn shown_paths(&self, first: u32, count: u32, found: bool) -> String {
        let count = count as usize;
        let shown = if found { count.min(3) } else { count };
        let paths = self.paths.iter().skip(first as usize).take(shown);
        let names: Vec<String> = paths.map(|&path| self.arena.show(path)).collect();
        let names = names.join(", ");
        match count - shown {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

/// What a limit does, by the name of its file.
fn limit_words(file: &str) -> &'static str {
    match file {
        "memory.max" => {
            "more memory than this is not to be had: what can be given back is, and then the kernel ends a process in here"
        }
        "memory.swap.max" => "so much of it may lie in swap besides",
        "cpu.max" => "so many microseconds of processor time in each period of so many",
        "pids.max" => "more processes and threads than this cannot be made (EAGAIN)",
        "io.weight" => "the share of a busy disk",
        _ => "a limit",
    }
}
