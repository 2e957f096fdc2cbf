//! HOW: a pure function of the [`Spec`] and the host's [`Facts`]. It makes every decision and every refusal.
//!
//! A [`Plan`] is a short list of steps for each process that walks one, one arena that holds every string with its NUL,
//! and numbered slots for descriptors. It can be printed, compared and fuzzed without any privilege.
#![forbid(unsafe_code)]

mod arena;
mod capabilities;
mod command;
mod confine;
pub mod describe;
pub mod explain;
mod filter;
mod identity;
pub mod join;
mod limits;
mod root;
mod setup;
mod trial;
mod views;

pub use arena::Arena;

use crate::child::record::Process;
use crate::child::step::{Entry, Fallback, Fallbacks, Slot, Step, Text};
use crate::error::{Error, Result, Subject};
use crate::host::Facts;
use crate::seccomp::Instruction;
use crate::spec::{Capabilities, Limits, Rung, Share, Signals, Spec, Tty, Ulimit};
use capabilities::Held;
use confine::{Confinement, Layer};
use setup::Joiner;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

/// From linux/sched.h (Linux 5.7): the new process starts in the group that was made for it.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the launcher does, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStep {
    /// Makes a process that puts the caller's terminal back if this one is killed while it is in raw mode.
    KeepTerminal,
    /// Makes the work directory of an overlay that writes to the host.
    MakeWork {
        /// Where.
        path: Text,
    },
    /// Asks a systemd for a scope, a control group that is this process's to divide.
    JoinScope {
        /// The socket of the bus.
        bus: Text,
    },
    /// Makes a control group.
    MakeGroup {
        /// Where; none: below this process's own.
        base: Option<Text>,
        /// The controllers that it needs, with blanks between them.
        controllers: Text,
    },
    /// Lets the new process start in a control group that is there.
    EnterGroup {
        /// Its directory.
        path: Text,
    },
    /// Writes a limit of the group.
    WriteLimit {
        /// The name of the file.
        file: Text,
        /// The limit.
        value: Text,
        /// Whether a kernel without that file is good enough.
        optional: bool,
    },
    /// Makes the life pipe and the socket for records.
    OpenChannels,
    /// Makes the pipes that stand for the caller's files.
    MakePipes,
    /// Makes the ruleset that the command will be under, where there are no namespaces: the new process need not allocate
    /// for it, and what it is to allow is opened here, where nothing is restricted yet.
    MakeRuleset {
        /// What it refuses where no rule allows it, LANDLOCK_ACCESS_FS_*.
        files: u64,
        /// What it refuses in any case, LANDLOCK_SCOPE_*.
        scopes: u64,
        /// Where its descriptor goes.
        slot: Slot,
    },
    /// Adds rules to it: what may be done in some trees.
    Allow {
        /// Where the ruleset is.
        slot: Slot,
        /// What may be done.
        access: u64,
        /// The first of [`Plan::paths`] that are meant.
        first: u32,
        /// How many.
        count: u32,
        /// Whether they were found beside something else, so that one that has gone can be left out.
        found: bool,
    },
    /// setns(2): enters a namespace of a descriptor of the caller's, in which the new process is made.
    JoinNamespace {
        /// Which descriptor.
        fd: i32,
        /// Which kind: CLONE_NEWUSER, or CLONE_NEWPID, which only new processes are in.
        flag: i32,
    },
    /// Makes the new process, in the namespaces that must be asked for here.
    Clone {
        /// See [`Plan::clone_flags`].
        flags: u64,
    },
    /// Gives the new process another nice value, which all that come of it have too.
    SetNice {
        /// The value.
        nice: i32,
    },
    /// Writes /proc/PID/oom_score_adj.
    SetOomScore {
        /// The text.
        score: Text,
    },
    /// Writes `deny` to /proc/PID/setgroups, without which an ordinary user may not write gid_map.
    DenySetgroups,
    /// Writes /proc/PID/uid_map.
    WriteUidMap {
        /// The whole file; the kernel takes it in one write.
        lines: Text,
    },
    /// Writes /proc/PID/gid_map.
    WriteGidMap {
        /// The whole file.
        lines: Text,
    },
    /// Waits until somebody else has written the id maps, and says so.
    AwaitIdMaps {
        /// On which descriptor.
        fd: i32,
    },
    /// Writes one byte to the life pipe: the child may go on.
    Release,
    /// Passes signals and the terminal on until the command has ended.
    Supervise,
    /// Reads what the group has used, and removes it.
    RemoveGroup,
}

/// What every process will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Every string.
    pub arena: Arena,
    /// What the launcher does.
    pub parent: Vec<ParentStep>,
    /// What the new process does first.
    pub setup: Vec<Entry>,
    /// What it does then as PID 1; empty when the command itself is to be PID 1.
    pub init: Vec<Entry>,
    /// What the process does that becomes the command.
    pub command: Vec<Entry>,
    /// Who the command is inside: user and group id.
    pub ids: [u32; 2],
    /// The command's arguments.
    pub argv: Vec<Text>,
    /// What executes a command that is no program by itself: it gets the command's path, and its arguments.
    pub shell: Option<Text>,
    /// The command's environment.
    pub envp: Vec<Text>,
    /// Where the command is looked for, in order.
    pub candidates: Vec<Text>,
    /// How many descriptor slots the steps use.
    pub slots: u16,
    /// The namespaces that are asked for at the clone, CLONE_NEW* flags; and CLONE_VM, if the new process may share the
    /// launcher's memory.
    pub clone_flags: u64,
    /// Which system calls may have an older one in their place, where the host has not got them.
    pub fallbacks: Fallbacks,
    /// What had to be stepped down from already.
    pub stepped_down: Vec<String>,
    /// What whoever asked for this is to be told of it.
    pub notes: Vec<String>,
    /// Paths of [`ParentStep::Allow`].
    pub paths: Vec<Text>,
    /// What is in the files that exist only inside.
    pub contents: Vec<Vec<u8>>,
    /// Filters of system calls, in the order of [`crate::child::step::FilterOf`]; those that are not needed have nothing.
    pub filters: [Cow<'static, [Instruction]>; 3],
    /// What the command's filter would answer, where somebody listens to it ([`Plan::listening`]).
    pub listened: Option<Cow<'static, [Instruction]>>,
    /// Directories of the host that overlays write to.
    pub uppers: Vec<Upper>,
    /// Filters that the caller has made, in the order in which the command takes them.
    pub programs: Vec<Vec<Instruction>>,
    /// Descriptors of the caller's that go on to the command.
    pub pass_fds: Vec<i32>,
    /// What else of the caller's matters.
    pub callers: Callers,
    /// Whether set-up puts the variable PWD, the last of the environment, right.
    pub sets_pwd: bool,
    /// Standard descriptors that are pipes inside, which the launcher reads and writes, with the slots of their inner ends.
    pub pipes: Vec<(i32, Slot)>,
    /// Whether the command has a terminal of its own.
    pub tty: bool,
    /// How long the command may take.
    pub timeout: Option<Duration>,
    /// What the container is made of, for reports.
    pub enforced: Enforced,
}

/// What of the caller's a container has, or is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// Whether the command gets all its descriptors, but for those that are made use of.
    pub inherits: bool,
    /// Descriptors that set-up makes use of.
    pub consumed: Vec<i32>,
    /// Those that init holds.
    pub held: Vec<i32>,
    /// What becomes of signals to the launcher.
    pub signals: Signals,
    /// Whether the command is in its session, and so gets what is typed at its terminal.
    pub shares_session: bool,
}

/// A directory of the host that an overlay writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upper {
    /// Where it is.
    pub path: PathBuf,
    /// Where the overlay appears.
    pub target: PathBuf,
    /// The work directory that the launcher makes for it and removes at the end; none if the user has one.
    pub work: Option<PathBuf>,
}

/// What a plan promises, in the words of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Enforced {
    /// Namespaces that are new.
    pub new: Vec<&'static str>,
    /// Namespaces that are the host's.
    pub shared: Vec<&'static str>,
    /// The lines of uid_map.
    pub uid_map: Vec<String>,
    /// The lines of gid_map.
    pub gid_map: Vec<String>,
    /// Whether the root tree is read-only.
    pub read_only: bool,
    /// Whether no privileges can be gained by an exec.
    pub no_new_privs: bool,
    /// The capabilities that the command, or what it executes, can come to have, over these namespaces. Without any it has
    /// those of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<&'static str>>,
    /// The version of Landlock that restricts files, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landlock: Option<u32>,
    /// The filter of system calls: its name, or the path of its file.
    pub seccomp: String,
    /// The limits of the container, and what keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<EnforcedLimits>,
    /// The limits of each process.
    pub ulimits: Vec<Ulimit>,
}

/// The limits of a container.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EnforcedLimits {
    /// `cgroup`, or `rlimit` for limits of each process.
    pub by: &'static str,
    /// As they were asked for.
    #[serde(flatten)]
    pub limits: Limits,
}

impl Enforced {
    /// The host's namespace `name` was kept, where a new one was refused.
    pub fn keep(&mut self, name: &str) {
        if let Some(place) = self.new.iter().position(|known| *known == name) {
            self.shared.push(self.new.remove(place));
        }
    }
}

impl Plan {
    /// Decides how `spec` is done on the host of `facts`. Equal input gives an equal plan.
    ///
    /// # Errors
    /// Everything that can be known to be impossible before anything is done.
    pub fn new(spec: &Spec, facts: &Facts) -> Result<Plan> {
        refuse(spec, facts)?;
        let mut arena = Arena::default();
        let ids = identity::Ids::new(spec, facts)?;
        let tty = has_terminal(spec, facts);
        let limits = limits::Limited::new(spec, facts, &mut arena)?;
        let has_group = limits::has_group(&limits.group);
        let mut slots = setup::Slots::default();
        let pipes = command::pipes(spec, facts, &mut slots);
        let confinement = Confinement::new(spec, facts, &mut slots, &mut arena)?;
        let held = match spec.namespaces {
            true => Some(Held::new(spec, &ids, &mut slots)?),
            false => None,
        };
        let may_mount = |held: &Held| held.kept.contains(Capabilities::SYS_ADMIN);
        let layer = match held.as_ref().is_none_or(may_mount) {
            true => None,
            false => Layer::new(spec, facts, &mut slots),
        };
        let setup::Setup {
            list: mut setup,
            contents,
            uppers,
            joiner,
        } = match &held {
            Some(held) => setup::list(spec, facts, &ids, held, has_group, &mut slots, &mut arena)?,
            None => confine::setup(spec, facts, tty, &mut arena)?,
        };
        let mut last = match &held {
            Some(held) => held.steps(&ids, &mut arena)?,
            None => confinement.command,
        };
        if let Some(layer) = &layer {
            let steps = layer.setup(spec, facts, &mut arena)?;
            setup.extend(steps.into_iter().map(setup::must));
            last.push(layer.command());
        }
        if spec.namespaces && !layer.as_ref().is_some_and(Layer::scopes_sockets) {
            last.splice(..0, command::scope_sockets(spec));
        }
        let joins = [Step::JoinNetwork, Step::LoopbackUp];
        match joiner {
            Some(Joiner::Setup) => setup.extend(joins.map(setup::must)),
            Some(Joiner::Command) => command::join_network(&mut last, joins),
            None => {}
        }
        let leaves_network = joiner == Some(Joiner::Command);
        let init = setup::init_list(spec, facts, tty, leaves_network, &mut arena)?;
        let command = command::list(
            spec,
            facts,
            tty,
            &pipes,
            slots.raises_limit(facts),
            &limits.ulimits,
            last,
        );
        let kept = held.as_ref().map_or(Capabilities::NONE, |held| held.kept);
        let filters = filter::filters(spec, facts, kept, confinement.filter)?;
        let raw = tty && facts.terminals[0];
        let made = (!pipes.is_empty()).then_some(ParentStep::MakePipes);
        let made: Vec<ParentStep> = made.into_iter().chain(confinement.parent).collect();
        let works = uppers.iter().filter_map(|upper| upper.work.as_deref());
        let works = works.map(|path| arena.text(path).map(|path| ParentStep::MakeWork { path }));
        let first = works.chain(limits.group.iter().copied().map(Ok));
        let first: Vec<ParentStep> = first.collect::<Result<_>>()?;
        let parent = parent_list(spec, &ids, [&first, &made], raw, &mut arena)?;
        let (argv, candidates, envp) = command::program(spec, facts, &mut arena)?;
        let shell = spec.scripts.then(|| arena.text("/bin/sh")).transpose()?;
        Ok(Plan {
            parent,
            setup,
            init,
            command,
            ids: [ids.uid, ids.gid],
            argv,
            shell,
            envp,
            candidates,
            slots: slots.count(),
            clone_flags: clone_flags(spec, has_group),
            fallbacks: fallbacks(spec),
            stepped_down: [
                &ids.stepped_down[..],
                &limits.stepped_down,
                &confinement.stepped_down,
            ]
            .concat(),
            notes: confinement.notes,
            paths: confinement.paths,
            contents,
            filters,
            programs: facts.programs.clone(),
            callers: Callers {
                inherits: spec.descriptors.inherit,
                consumed: setup::consumed(spec),
                held: spec.descriptors.held.clone(),
                signals: spec.signals,
                shares_session: !tty && !spec.new_session,
            },
            sets_pwd: setup::has_pwd(spec),
            listened: None,
            uppers,
            pass_fds: spec.pass_fds.iter().copied().filter(|&fd| fd > 2).collect(),
            pipes,
            tty,
            timeout: spec.timeout,
            enforced: enforced(spec, facts, &ids, held.as_ref(), layer.is_some(), &limits),
            arena,
        })
    }

    /// Where the descriptor of the command's ruleset goes, if there is one.
    pub fn ruleset(&self) -> Option<Slot> {
        self.parent.iter().find_map(|step| match step {
            ParentStep::MakeRuleset { slot, .. } => Some(*slot),
            _ => None,
        })
    }

    /// Whether init has to end what is left, since there is no PID namespace with whose end that ends.
    pub fn sweeps(&self) -> bool {
        let sweeps = |entry: &Entry| matches!(entry.step, Step::Supervise { sweep: true, .. });
        self.init.iter().any(sweeps)
    }

    /// How many locks init holds.
    pub fn locks(&self) -> usize {
        let locks = |entry: &&Entry| matches!(entry.step, Step::Lock { .. });
        self.init.iter().filter(locks).count()
    }

    /// Whether what is inside goes on when the command or the launcher has ended.
    pub fn lives_on(&self) -> bool {
        let lives_on = |entry: &Entry| matches!(entry.step, Step::Supervise { lives_on: true, .. });
        self.init.iter().any(lives_on)
    }

    /// The list that `process` walks, where it is made of the steps of [`crate::child`].
    pub fn list(&self, process: Process) -> &[Entry] {
        match process {
            Process::Launcher => &[],
            Process::Setup => &self.setup,
            Process::Init => &self.init,
            Process::Command => &self.command,
        }
    }
}

/// Whether the command gets a terminal of its own.
fn has_terminal(spec: &Spec, facts: &Facts) -> bool {
    spec.tty == Tty::Always || (spec.tty == Tty::Auto && facts.terminals[0] && facts.terminals[1])
}

/// What cannot be, whatever the host.
fn refuse(spec: &Spec, facts: &Facts) -> Result<()> {
    if facts.privileged_start {
        return Err(Error::usage("rootlet was started with more privileges than its caller has")
            .with_hint("it needs none: take the set-user-id bit and the file capabilities from the program file"));
    }
    if spec.mounts.len() != facts.sources.len() {
        return Err(Error::broken("the facts were gathered for another spec"));
    }
    if spec.mounts.len() > 10_000 {
        return Err(Error::usage(format!(
            "{} views are more than 10000",
            spec.mounts.len()
        )));
    }
    confine::refuse(spec, facts)?;
    views::refuse_doubles(spec, facts)?;
    views::refuse_shared_input(spec)?;
    root::refuse(spec)?;
    limits::refuse(spec, facts)?;
    if let Some(fd) = facts.closed_fds.first() {
        return Err(Error::usage(format!(
            "descriptor {fd} is to be passed, but it is not open"
        )));
    }
    if spec.announced && setup::has_clocks(spec) {
        return Err(Error::usage(
            "clocks are set before anybody is in their time namespace, which the first process would be that is announced",
        ));
    }
    if let Some(name) = &spec.hostname {
        if spec.shares(Share::Uts) {
            return Err(Error::usage(
                "a host name of its own needs a UTS namespace of its own",
            ));
        }
        if name.is_empty() || name.len() > 64 {
            let wrong = Error::usage(format!("host name {name:?} is not 1 to 64 bytes long"));
            return Err(wrong.about(Subject::Hostname(name.clone())));
        }
    }
    Ok(())
}

/// `group` is done before there are channels, `made` before there is a process.
fn parent_list(
    spec: &Spec,
    ids: &identity::Ids,
    [first, made]: [&[ParentStep]; 2],
    raw: bool,
    arena: &mut Arena,
) -> Result<Vec<ParentStep>> {
    let has_group = limits::has_group(first);
    let mut list = Vec::new();
    if raw {
        list.push(ParentStep::KeepTerminal);
    }
    list.extend(first);
    list.push(ParentStep::OpenChannels);
    list.extend(made);
    let joined = &spec.descriptors;
    let user = joined.user_namespace.map(|fd| (fd, libc::CLONE_NEWUSER));
    let pids = joined.pid_namespace.map(|fd| (fd, libc::CLONE_NEWPID));
    let joins = user.into_iter().chain(pids);
    list.extend(joins.map(|(fd, flag)| ParentStep::JoinNamespace { fd, flag }));
    list.push(ParentStep::Clone {
        flags: clone_flags(spec, has_group),
    });
    if spec.namespaces {
        list.extend(handshake(spec, ids, arena)?);
    }
    list.push(ParentStep::Supervise);
    if has_group {
        list.push(ParentStep::RemoveGroup);
    }
    Ok(list)
}

/// What the new process waits for.
fn handshake(spec: &Spec, ids: &identity::Ids, arena: &mut Arena) -> Result<Vec<ParentStep>> {
    let mut list = Vec::new();
    list.extend(spec.nice.map(|nice| ParentStep::SetNice { nice }));
    if let Some(score) = spec.oom_score_adj {
        list.push(ParentStep::SetOomScore {
            score: arena.text(score.to_string())?,
        });
    }
    if let Some(fd) = spec.descriptors.id_maps {
        list.extend([ParentStep::AwaitIdMaps { fd }, ParentStep::Release]);
        return Ok(list);
    }
    if spec.descriptors.user_namespace.is_some() {
        list.push(ParentStep::Release);
        return Ok(list);
    }
    if ids.deny_setgroups {
        list.push(ParentStep::DenySetgroups);
    }
    list.push(ParentStep::WriteUidMap {
        lines: arena.text(identity::lines(&ids.uid_map))?,
    });
    list.push(ParentStep::WriteGidMap {
        lines: arena.text(identity::lines(&ids.gid_map))?,
    });
    list.push(ParentStep::Release);
    Ok(list)
}

/// The user namespace, and the PID namespace: only a clone makes its first process. It shares the launcher's memory where
/// it can. Nobody may enter a time namespace who shares memory (EUSERS, setns(2)). And without a PID namespace a process
/// of the container may live on for a moment when the first has ended, in memory that the launcher uses again. An OOM score
/// is that of everybody who shares the memory (proc_pid_oom_score_adj(5)), and the launcher's is not meant.
fn clone_flags(spec: &Spec, has_group: bool) -> u64 {
    let flag = |wanted, flag: i32| if wanted { flag as u64 } else { 0 };
    let own_pids = !spec.shares(Share::Pid);
    // Who can look at init would look at the launcher.
    let shares_memory = own_pids
        && !setup::has_clocks(spec)
        && spec.oom_score_adj.is_none()
        && !spec.announced
        && spec.descriptors.pid_namespace.is_none();
    let announced = setup::namespace_flags(spec).filter(|_| spec.announced);
    let makes_user = spec.namespaces && spec.descriptors.user_namespace.is_none();
    announced.fold(0, |flags, flag| flags | flag as u64)
        | flag(makes_user, libc::CLONE_NEWUSER)
        | flag(own_pids, libc::CLONE_NEWPID)
        | flag(shares_memory, libc::CLONE_VM)
        | if has_group { CLONE_INTO_CGROUP } else { 0 }
}

fn fallbacks(spec: &Spec) -> Fallbacks {
    let rungs = [
        (Rung::Clone3, Fallback::Clone3),
        (Rung::OpenTree, Fallback::OpenTree),
        (Rung::MountSetattr, Fallback::MountSetattr),
        (Rung::CloseRange, Fallback::CloseRange),
    ];
    let may = rungs
        .into_iter()
        .filter(|(rung, _)| spec.may_step_down(*rung));
    may.fold(Fallbacks::default(), |set, (_, fallback)| {
        set.with(fallback)
    })
}

fn enforced(
    spec: &Spec,
    facts: &Facts,
    ids: &identity::Ids,
    held: Option<&Held>,
    layer: bool,
    limits: &limits::Limited,
) -> Enforced {
    let mut enforced = Enforced {
        uid_map: ids.uid_map.iter().map(ToString::to_string).collect(),
        gid_map: ids.gid_map.iter().map(ToString::to_string).collect(),
        read_only: spec.read_only,
        no_new_privs: !spec.allow_new_privs,
        capabilities: held.map(|held| held.kept.names()),
        landlock: facts.landlock.filter(|_| !spec.namespaces || layer),
        seccomp: spec.seccomp.name().to_string_lossy().into_owned(),
        limits: limits.enforced.clone(),
        ulimits: limits.ulimits.clone(),
        ..Enforced::default()
    };
    for (name, new) in [
        (
            "user",
            spec.namespaces && spec.descriptors.user_namespace.is_none(),
        ),
        ("pid", !spec.shares(Share::Pid)),
        ("mount", spec.namespaces),
        ("ipc", !spec.shares(Share::Ipc)),
        ("uts", !spec.shares(Share::Uts)),
        ("cgroup", !spec.shares(Share::Cgroup)),
        ("net", spec.net == crate::spec::Net::None),
        ("time", setup::has_clocks(spec)),
    ] {
        if new {
            enforced.new.push(name)
        } else {
            enforced.shared.push(name)
        }
    }
    enforced
}
