//! The lists of the new process: set-up, and its life as init.

use super::Upper;
use super::arena::Arena;
use super::capabilities::Held;
use super::filter;
use super::identity::Ids;
use super::root;
use super::views::Views;
use crate::child::step::{Entry, Slot, Step};
use crate::error::{Error, Result};
use crate::host::{Facts, descriptor_of};
use crate::spec::{Content, Keyring, Lives, Mount, Net, Propagation, Rung, Seccomp, Share, Spec};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Descriptors that are open besides the sources of mounts: 0 to 2, channels, terminal, and a few for a moment.
const OTHER_OPEN_FILES: u64 = 24;

/// Hands out descriptor slots.
pub struct Slots(u16);

impl Default for Slots {
    fn default() -> Self {
        Slots(Slot::SOURCES)
    }
}

impl Slots {
    /// The next free one.
    pub fn next(&mut self) -> Slot {
        self.0 += 1;
        Slot(self.0 - 1)
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        self.0
    }

    /// Whether the sources are more than the caller may have open, until its soft limit is raised.
    pub fn raises_limit(&self, facts: &Facts) -> bool {
        self.needed() > facts.open_files
    }

    fn needed(&self) -> u64 {
        u64::from(self.0 - Slot::SOURCES) + OTHER_OPEN_FILES
    }

    fn check(&self, facts: &Facts) -> Result<()> {
        let sources = self.0 - Slot::SOURCES;
        if sources > 0 && self.needed() > facts.open_files.max(facts.most_open_files) {
            return Err(Error::usage(format!(
                "{sources} sources of views need {} open files, and the hard limit is {}",
                self.needed(),
                facts.most_open_files
            ))
            .with_hint("raise it with `ulimit -Hn`, or bind a directory that holds them"));
        }
        Ok(())
    }
}

/// A step that must be done.
pub fn must(step: Step) -> Entry {
    Entry {
        step,
        instead: None,
    }
}

/// Whether a time namespace is asked for.
pub fn has_clocks(spec: &Spec) -> bool {
    spec.boottime.is_some() || spec.monotonic.is_some()
}

/// Who joins a network that another process has begun to make: as late as it can be, since it is long in the making.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Joiner {
    /// Set-up, when it has done the rest.
    Setup,
    /// The command, and init after it.
    Command,
}

/// What the new process does until it is init or becomes the command, and what that needs.
#[derive(Default)]
pub struct Setup {
    /// The steps.
    pub list: Vec<Entry>,
    /// See [`super::Plan::contents`].
    pub contents: Vec<Vec<u8>>,
    /// See [`super::Plan::uppers`].
    pub uppers: Vec<Upper>,
    /// Who joins the network, if the list does not.
    pub joiner: Option<Joiner>,
}

/// What the new process does until it is init or becomes the command.
pub fn list(
    spec: &Spec,
    facts: &Facts,
    ids: &Ids,
    held: &Held,
    has_group: bool,
    slots: &mut Slots,
    arena: &mut Arena,
) -> Result<Setup> {
    let tty = super::has_terminal(spec, facts);
    let mut list = start(spec, facts);
    list.extend(subreaper(spec));
    let meanwhile = makes_network_meanwhile(spec);
    if meanwhile {
        list.push(must(Step::StartNetwork));
    }
    // A cgroup namespace has the group at its root in which it was made: where that is a new one, the launcher may have to
    // put this process into it first.
    let is_late = |entry: &Entry| {
        has_group
            && entry.step
                == Step::Unshare {
                    flag: libc::CLONE_NEWCGROUP,
                }
    };
    let made = match spec.announced {
        true => Vec::new(),
        false => namespaces(spec),
    };
    let (late, early): (Vec<_>, Vec<_>) = made.into_iter().partition(is_late);
    list.extend(early);
    list.push(must(Step::AwaitIdMaps));
    list.extend(late);
    if let Some((uid, gid)) = ids.change {
        list.push(must(Step::BecomeIds {
            uid,
            gid,
            drop_groups: !ids.deny_setgroups && spec.descriptors.user_namespace.is_none(),
        }));
        if is_tied(spec, facts) {
            list.push(must(Step::Tie));
        }
    }
    if has_clocks(spec) {
        list.push(Entry {
            step: set_clocks(spec, arena)?,
            instead: kept(spec, libc::CLONE_NEWTIME),
        });
    }
    // In a mount namespace that belongs to another user namespace than the host's every mount that is shared is a slave
    // already (mount_namespaces(7)).
    if spec.propagation == Propagation::Private {
        list.push(must(Step::MakePrivate));
    }
    list.extend(held.prepare(arena)?.map(must));
    let own_dev = root::has_own_dev(spec);
    if tty && !own_dev {
        list.push(must(Step::OpenTerminal));
    }
    let Views {
        taken,
        laid,
        contents,
        uppers,
        ..
    } = Views::new(spec, facts, slots, arena)?;
    slots.check(facts)?;
    if slots.raises_limit(facts) {
        list.push(must(Step::RaiseOpenFiles));
    }
    // A /sys that is mounted shows the network of who mounts it.
    let is_sys = |entry: &Entry| matches!(entry.step, Step::Mount { kind, .. } if arena.get(kind) == c"sysfs");
    let early = laid.iter().position(is_sys);
    let (before, after) = laid.split_at(early.unwrap_or(laid.len()));
    list.extend(taken);
    list.extend(before);
    if meanwhile && early.is_some() {
        list.push(must(Step::JoinNetwork));
    }
    list.extend(after);
    if tty && own_dev {
        let console = arena.text("/dev/console")?;
        list.extend([
            must(Step::OpenTerminal),
            must(Step::MakeFile {
                path: console,
                mode: 0o644,
            }),
            must(Step::AttachTerminal { target: console }),
        ]);
    }
    let enters = |entry: &Entry| matches!(entry.step, Step::EnterRoot { .. });
    if list.iter().any(enters) {
        list.push(must(Step::DetachOldRoot { last: true }));
    }
    if let Some(name) = &spec.hostname {
        list.push(must(Step::SetHostname {
            name: arena.text(name)?,
        }));
    }
    let joiner = (meanwhile && early.is_none()).then(|| last_joiner(spec));
    if spec.net == Net::None && joiner.is_none() {
        list.push(must(Step::LoopbackUp));
    }
    list.extend(end(spec, facts, tty, arena)?);
    Ok(Setup {
        list,
        contents,
        uppers,
        joiner,
    })
}

/// What the new process does last, when all its files are there.
pub fn end(spec: &Spec, facts: &Facts, tty: bool, arena: &mut Arena) -> Result<Vec<Entry>> {
    let mut list = Vec::new();
    if let Some(fd) = spec.descriptors.awaited {
        let tied = spec.lives == Lives::Tied;
        list.push(must(Step::AwaitDescriptor { fd, tied }));
    }
    list.push(must(start_in(spec, facts, arena)?));
    if tty {
        list.push(must(Step::LeadSession));
    } else if spec.new_session {
        list.push(must(Step::LeaveSession));
    }
    if spec.keyring == Keyring::New {
        list.push(keyring(spec));
    }
    Ok(list)
}

/// What lets init end its children, where it has to: while /proc is there, by which it can list them.
pub fn subreaper(spec: &Spec) -> Option<Entry> {
    let sweeps = spec.init && spec.shares(Share::Pid) && spec.lives == Lives::Tied;
    sweeps.then(|| must(Step::Subreaper))
}

/// Makes a session keyring.
pub fn keyring(spec: &Spec) -> Entry {
    Entry {
        step: Step::NewKeyring,
        instead: spec
            .may_step_down(Rung::Keyring)
            .then_some(Step::KeepKeyring),
    }
}

/// What the new process does in any case.
pub fn start(spec: &Spec, facts: &Facts) -> Vec<Entry> {
    let mut list = Vec::new();
    if is_tied(spec, facts) {
        list.push(must(Step::Tie));
    }
    list.push(must(match spec.descriptors.inherit {
        true => Step::CloseLaunchers,
        false => Step::CloseOthers,
    }));
    let consumed = consumed(spec).into_iter();
    list.extend(consumed.map(|fd| must(Step::CloseAtExec { fd })));
    list.push(must(Step::RunAnywhere));
    if facts.ignores_sigchld {
        list.push(must(Step::SetSignal {
            signal: libc::SIGCHLD,
            ignore: false,
        }));
    }
    list
}

/// Whether the new process is killed with the thread that launched it. Where that may end before the program does, only
/// the life pipe ties; but without an init nobody would watch the pipe.
pub fn is_tied(spec: &Spec, facts: &Facts) -> bool {
    spec.lives == Lives::Tied && (facts.main_thread || !spec.init)
}

/// Descriptors of the caller's that are made use of, and that the command does not get. Those that init is to hold it gets
/// where there is no init.
pub fn consumed(spec: &Spec) -> Vec<i32> {
    let named = &spec.descriptors;
    let of_view = |mount: &Mount| match mount {
        Mount::Bind { source, .. } => descriptor_of(source),
        Mount::File {
            content: Content::Descriptor(fd),
            ..
        } => Some(*fd),
        _ => None,
    };
    let programs = match &spec.seccomp {
        Seccomp::Programs(fds) => &fds[..],
        _ => &[],
    };
    let one = [
        named.awaited,
        named.id_maps,
        named.user_namespace,
        named.last_user_namespace,
        named.pid_namespace,
    ];
    let held = named.held.iter().filter(|_| spec.init);
    let mut consumed: Vec<i32> = (one.into_iter().flatten())
        .chain(held.chain(programs).copied())
        .chain(spec.mounts.iter().filter_map(of_view))
        .filter(|&fd| fd > 2)
        .collect();
    consumed.sort_unstable();
    consumed.dedup();
    consumed
}

/// Whether set-up chooses the directory among several, or tells the command of it.
pub fn has_pwd(spec: &Spec) -> bool {
    spec.set_pwd || !spec.workdir_else.is_empty()
}

/// What starts the command where it is to start.
fn start_in(spec: &Spec, facts: &Facts, arena: &mut Arena) -> Result<Step> {
    let directory = match directory(spec, facts) {
        // One that has no name any more is one that the command cannot start in.
        Err(_) if spec.workdir.is_none() && !spec.workdir_else.is_empty() => None,
        directory => Some(directory?),
    };
    if let Some(directory) = directory.as_ref().filter(|_| !has_pwd(spec)) {
        return Ok(Step::ChangeDirectory {
            path: arena.text(directory)?,
        });
    }
    let all = directory.iter().chain(&spec.workdir_else);
    let variables = all.map(|directory| {
        let mut variable = OsString::from("PWD=");
        variable.push(directory);
        arena.text(variable)
    });
    let variables = variables.collect::<Result<Vec<_>>>()?;
    let count = u16::try_from(variables.len())
        .map_err(|_| Error::usage("there are more than 65535 directories to start in"))?;
    Ok(Step::ChangeToFirst {
        first: variables[0],
        count,
    })
}

/// Whether a process of its own makes the network namespace. It shares the memory of the one that sets up: so not where
/// there are clocks, since nobody may enter a time namespace who shares memory, and not without a PID namespace, whose end
/// is its end too, before anybody uses that memory again.
fn makes_network_meanwhile(spec: &Spec) -> bool {
    spec.net == Net::None && !has_clocks(spec) && !spec.shares(Share::Pid) && !spec.announced
}

/// The last who can join the network: no filter may be in the way that init has taken before.
fn last_joiner(spec: &Spec) -> Joiner {
    match filter::before_the_command(spec).is_empty() {
        true => Joiner::Command,
        false => Joiner::Setup,
    }
}

/// The namespaces that the new process makes, while the launcher writes its id maps: they need capabilities, which it has
/// from the start, but no ids.
fn namespaces(spec: &Spec) -> Vec<Entry> {
    let entry = |flag| Entry {
        step: Step::Unshare { flag },
        instead: kept(spec, flag),
    };
    namespace_flags(spec).map(entry).collect()
}

/// The namespaces besides user and PID namespace.
pub fn namespace_flags(spec: &Spec) -> impl Iterator<Item = i32> {
    let kinds = [
        (true, libc::CLONE_NEWNS),
        (!spec.shares(Share::Ipc), libc::CLONE_NEWIPC),
        (!spec.shares(Share::Uts), libc::CLONE_NEWUTS),
        (!spec.shares(Share::Cgroup), libc::CLONE_NEWCGROUP),
        (
            spec.net == Net::None && !makes_network_meanwhile(spec),
            libc::CLONE_NEWNET,
        ),
        (has_clocks(spec), libc::CLONE_NEWTIME),
    ];
    kinds
        .into_iter()
        .filter_map(|(wanted, flag)| wanted.then_some(flag))
}

/// What is done where a namespace is refused that the user can do without.
fn kept(spec: &Spec, flag: i32) -> Option<Step> {
    let rung = match flag {
        libc::CLONE_NEWIPC => Rung::Ipc,
        libc::CLONE_NEWUTS => Rung::Uts,
        libc::CLONE_NEWCGROUP => Rung::Cgroup,
        libc::CLONE_NEWTIME => Rung::Time,
        _ => return None,
    };
    spec.may_step_down(rung)
        .then_some(Step::KeepNamespace { flag })
}

fn set_clocks(spec: &Spec, arena: &mut Arena) -> Result<Step> {
    let line = |name, offset: Option<i64>| {
        offset
            .map(|offset| format!("{name} {offset} 0\n"))
            .unwrap_or_default()
    };
    let offsets = line("monotonic", spec.monotonic) + &line("boottime", spec.boottime);
    Ok(Step::SetClocks {
        offsets: arena.text(offsets)?,
    })
}

/// Where the command starts.
pub fn directory(spec: &Spec, facts: &Facts) -> Result<PathBuf> {
    let start = match spec.root.is_host() {
        true => facts.cwd.as_deref(),
        false => Some(Path::new("/")),
    };
    match (start, &spec.workdir) {
        (_, Some(path)) if path.as_os_str().is_empty() => Err(Error::usage("the working directory is an empty word")),
        (_, Some(path)) if path.is_absolute() => Ok(path.clone()),
        (Some(start), path) => Ok(path.as_ref().map_or(start.to_path_buf(), |path| start.join(path))),
        (None, _) => {
            Err(Error::usage("the working directory has no name any more: it was removed, or lies outside of the root")
                .with_hint("cd to one that is there, or choose one with -w DIR"))
        }
    }
}

/// What PID 1 does; nothing when the command is to be PID 1.
pub fn init_list(
    spec: &Spec,
    facts: &Facts,
    tty: bool,
    leaves_network: bool,
    arena: &mut Arena,
) -> Result<Vec<Entry>> {
    let named = &spec.descriptors;
    if !spec.init {
        if !spec.locks.is_empty() {
            return Err(Error::usage("a lock is held by an init, and there is none"));
        }
        if spec.shares(Share::Pid) && spec.lives == Lives::Tied {
            return Err(Error::usage(
                "without an init and with the host's process ids nothing would end what the command leaves",
            )
            .with_hint("leave out --no-init or --share pid"));
        }
        return Ok(Vec::new());
    }
    let mut list = vec![must(Step::Rename {
        name: arena.text("rootlet-init")?,
    })];
    // Whoever is told of it may have to look at it.
    if !spec.announced {
        list.push(must(Step::HideInit));
    }
    let lives_on = spec.lives == Lives::Own;
    let sweep = spec.shares(Share::Pid) && !lives_on;
    if sweep && is_tied(spec, facts) {
        list.push(must(Step::Untie));
    }
    let shared_group = !tty && facts.controlling_terminal;
    for path in &spec.locks {
        let path = arena.text(path)?;
        list.push(must(Step::Lock { path }));
    }
    list.extend(filter::before_the_command(spec).into_iter().map(must));
    list.push(must(Step::SpawnCommand {
        foreign_pids: !spec.shares(Share::Pid) || named.pid_namespace.is_some(),
        listened: false,
        shares_files: leaves_network,
    }));
    if leaves_network {
        list.push(must(Step::JoinNetwork));
    }
    // Capabilities over namespaces of its own; without, they are the caller's or none, and there is nothing to take.
    if spec.namespaces {
        list.push(must(Step::LimitInit));
    }
    list.extend(filter::of_init(spec).into_iter().map(must));
    list.push(must(Step::Supervise {
        shared_group,
        sweep,
        lives_on,
    }));
    Ok(list)
}
