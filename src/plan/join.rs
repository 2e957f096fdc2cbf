//! A command that is executed in a container which runs already, or in the namespaces of any process: one process enters
//! them, as confined as the container's own, and starts the command there.

use super::arena::Arena;
use super::capabilities::Held;
use super::setup::{self, must};
use super::{Callers, Enforced, ParentStep, Plan, command, filter, limits};
use crate::child::step::{Entry, FilterOf, Slot, Step};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::seccomp::Instruction;
use crate::spec::{Capabilities, IdRange, Seccomp, Share, Spec, User};
use crate::state::Details;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the ruleset is that the container's supervisor hands out.
pub const RULESET: Slot = Slot(Slot::SOURCES);

/// The kinds of namespaces: in reports ([`Enforced::new`]), in /proc/PID/ns, and as flags.
pub const KINDS: [(&str, &str, i32); 8] = [
    ("user", "user", libc::CLONE_NEWUSER),
    ("pid", "pid", libc::CLONE_NEWPID),
    ("mount", "mnt", libc::CLONE_NEWNS),
    ("ipc", "ipc", libc::CLONE_NEWIPC),
    ("uts", "uts", libc::CLONE_NEWUTS),
    ("cgroup", "cgroup", libc::CLONE_NEWCGROUP),
    ("net", "net", libc::CLONE_NEWNET),
    ("time", "time", libc::CLONE_NEWTIME),
];

/// The flags of these kinds, as reports name them.
pub fn flags<S: AsRef<str>>(names: &[S]) -> i32 {
    let named = |(name, ..): &&(&str, &str, i32)| names.iter().any(|it| it.as_ref() == *name);
    KINDS
        .iter()
        .filter(named)
        .fold(0, |flags, (.., flag)| flags | flag)
}

/// What is joined, and what for.
#[derive(Clone, Debug)]
pub struct Join<'a> {
    /// The namespaces that are not the caller's already: CLONE_NEW* flags.
    pub flags: i32,
    /// The container; none: a process that is in none, whose namespaces are joined without confinement.
    pub details: Option<&'a Details>,
    /// The container's control group.
    pub group: Option<&'a Path>,
    /// The bus of a systemd, where one has to be asked before the group can be entered: the kernel lets nobody move between
    /// groups without a say in the one that holds both, which a user has among what systemd has given her.
    pub bus: Option<&'a Path>,
    /// The command, its changes to the environment, its directory, and whether it has a terminal: nothing else of this
    /// counts.
    pub spec: &'a Spec,
    /// Who the command is to be; none: who the container's is.
    pub user: Option<User>,
}

impl Plan {
    /// Decides how a command is executed in namespaces that are there, on the host of `facts`, which were gathered for
    /// [`Join::bare`].
    ///
    /// # Errors
    /// Everything that can be known to be impossible before anything is done.
    pub fn join(join: &Join<'_>, facts: Facts) -> Result<Plan> {
        join.refuse()?;
        let spec = join.confined_spec();
        let facts = Facts {
            filter: join.filter(),
            ..facts
        };
        let mut arena = Arena::default();
        let mut slots = setup::Slots::default();
        let _ruleset = slots.next();
        let tty = super::has_terminal(&spec, &facts);
        let ids = join.ids(&facts)?;
        let pipes = command::pipes(&spec, &facts, &mut slots);
        let limited = limits::Limited::of_processes(&spec);
        let kept = join.kept(ids.wanted);
        let command = command::list(
            &spec,
            &facts,
            tty,
            &pipes,
            false,
            &limited.ulimits,
            join.last_steps(&spec, kept, ids.wanted),
        );
        let (argv, candidates, envp) = command::program(&spec, &facts, &mut arena)?;
        let raw = tty && facts.terminals[0];
        let parent = join.parent(raw, !pipes.is_empty(), &mut arena)?;
        let setup = join.setup(&facts, tty, &ids, &spec, &mut arena)?;
        let init = join.init(&spec, &facts, tty, &mut arena)?;
        let files: Vec<Instruction> = join.files_filter();
        Ok(Plan {
            parent,
            setup,
            init,
            command: self::tied(command),
            ids: ids.wanted,
            argv,
            shell: None,
            envp,
            candidates,
            slots: slots.count(),
            clone_flags: join.clone_flags(),
            fallbacks: super::fallbacks(&spec),
            stepped_down: Vec::new(),
            notes: Vec::new(),
            paths: Vec::new(),
            contents: Vec::new(),
            filters: filter::filters(&spec, &facts, kept, files)?,
            programs: facts.programs.clone(),
            callers: Callers::default(),
            sets_pwd: false,
            listened: None,
            uppers: Vec::new(),
            pass_fds: Vec::new(),
            pipes,
            tty,
            timeout: None,
            enforced: Enforced::default(),
            arena,
        })
    }
}

/// Who the command is.
struct Ids {
    wanted: [u32; 2],
    change: bool,
    drop_groups: bool,
}

impl Join<'_> {
    /// What the facts are to be gathered for: the container has been made already, and nothing of the host matters to it.
    pub fn bare() -> Spec {
        Spec::default()
    }

    /// Refuses a container that is made of what only who launched it had.
    fn refuse(&self) -> Result<()> {
        let Some(Details { spec, .. }) = self.details else {
            return Ok(());
        };
        let named = &spec.descriptors;
        let joined = [
            named.user_namespace,
            named.last_user_namespace,
            named.pid_namespace,
        ];
        let what = match (joined.iter().any(Option::is_some), &spec.seccomp) {
            (true, _) => "namespaces",
            (false, Seccomp::Programs(_)) => "filters of system calls",
            _ => return Ok(()),
        };
        Err(Error::usage(format!(
            "the container has {what} of descriptors that only its launcher had"
        )))
    }

    /// The container's confinement, with what is asked for the command: not its views, which are there already.
    fn confined_spec(&self) -> Spec {
        let asked = self.spec;
        let environment = self.details.map_or(&[][..], |details| &details.environment);
        let environment = environment.iter().cloned().map(OsString::from);
        let command = Spec {
            command: asked.command.clone(),
            env: environment.chain(asked.env.iter().cloned()).collect(),
            clear_env: self.details.is_some(),
            tty: asked.tty,
            stdio: asked.stdio,
            workdir: asked.workdir.clone(),
            share: match self.joins(libc::CLONE_NEWPID) {
                true => Vec::new(),
                false => vec![Share::Pid],
            },
            ..Spec::default()
        };
        let Some(Details { spec: own, .. }) = self.details else {
            return Spec {
                allow_new_privs: true,
                seccomp: Seccomp::None,
                ..command
            };
        };
        Spec {
            user: own.user,
            namespaces: own.namespaces,
            net: own.net,
            abstract_sockets: own.abstract_sockets,
            allow_new_privs: own.allow_new_privs,
            cap_add: own.cap_add.clone(),
            cap_drop: own.cap_drop.clone(),
            seccomp: own.seccomp.clone(),
            ulimits: own.ulimits.clone(),
            core_files: own.core_files,
            ambient: own.ambient,
            strict: own.strict,
            require: own.require.clone(),
            optional: own.optional.clone(),
            ..command
        }
    }

    /// The new process shares the launcher's memory where it can: see [`super::clone_flags`]. A command that was killed
    /// together with it holds the other end of the reports until it has gone.
    fn clone_flags(&self) -> u64 {
        let scored = self
            .details
            .is_some_and(|details| details.spec.oom_score_adj.is_some());
        let alone = self.joins(libc::CLONE_NEWTIME) || !self.joins(libc::CLONE_NEWPID) || scored;
        let memory = if alone { 0 } else { libc::CLONE_VM as u64 };
        memory | self.group.map_or(0, |_| super::CLONE_INTO_CGROUP)
    }

    /// What the launcher does.
    fn parent(&self, raw: bool, pipes: bool, arena: &mut Arena) -> Result<Vec<ParentStep>> {
        let mut list = Vec::new();
        list.extend(raw.then_some(ParentStep::KeepTerminal));
        if let Some(group) = self.group {
            if let Some(bus) = self.bus {
                list.push(ParentStep::JoinScope {
                    bus: arena.text(bus)?,
                });
            }
            list.push(ParentStep::EnterGroup {
                path: arena.text(group)?,
            });
        }
        list.push(ParentStep::OpenChannels);
        list.extend(pipes.then_some(ParentStep::MakePipes));
        list.push(ParentStep::Clone {
            flags: self.clone_flags(),
        });
        list.extend(self.shares(arena)?);
        list.extend(self.is_awaited().then_some(ParentStep::Release));
        list.push(ParentStep::Supervise);
        Ok(list)
    }

    /// What the launcher does to the new process: what willingness to give way the container has.
    fn shares(&self, arena: &mut Arena) -> Result<Vec<ParentStep>> {
        let Some(details) = self.details else {
            return Ok(Vec::new());
        };
        let nice = details
            .spec
            .nice
            .map(|nice| Ok(ParentStep::SetNice { nice }));
        let score = details.spec.oom_score_adj.map(|score| {
            let score = arena.text(score.to_string())?;
            Ok(ParentStep::SetOomScore { score })
        });
        nice.into_iter().chain(score).collect()
    }

    /// Whether the new process waits until the launcher has done something to it.
    fn is_awaited(&self) -> bool {
        let spec = self.details.map(|details| &details.spec);
        let gives_way =
            spec.is_some_and(|spec| spec.nice.is_some() || spec.oom_score_adj.is_some());
        self.group.is_some() || gives_way
    }

    fn joins(&self, flag: i32) -> bool {
        self.flags & flag != 0
    }

    /// The filter that the container's file has made.
    fn filter(&self) -> Option<Vec<Instruction>> {
        self.details?.filter.as_ref().map(|list| instructions(list))
    }

    fn files_filter(&self) -> Vec<Instruction> {
        let files = self
            .details
            .and_then(|details| details.files_filter.as_ref());
        files.map_or(Vec::new(), |files| instructions(&files.instructions))
    }

    /// The container's ids, or others that are mapped in it.
    fn ids(&self, facts: &Facts) -> Result<Ids> {
        let (own, changes, drop_groups) = match self.details {
            Some(details) => (details.ids, details.changes_ids, !details.denies_setgroups),
            None => ([facts.uid, facts.gid], false, false),
        };
        let wanted = match self.user {
            None => own,
            Some(User::Root) => [0, 0],
            Some(User::Keep) => [facts.uid, facts.gid],
            Some(User::Ids { uid, gid }) => [uid, gid],
        };
        if let Some(details) = self.details {
            for (side, name) in ["user", "group"].into_iter().enumerate() {
                is_mapped(details, name, side, wanted[side])?;
            }
        }
        Ok(Ids {
            wanted,
            change: changes || wanted != own || (self.details.is_none() && self.user.is_some()),
            drop_groups,
        })
    }

    /// The capabilities of the container's command, and of those only what `ids` would have.
    fn kept(&self, [uid, _]: [u32; 2]) -> Capabilities {
        match self.details {
            Some(details) => {
                let own = Capabilities(details.capabilities);
                match uid == details.ids[0] {
                    true => own,
                    false => details.spec.kept_capabilities(uid).and(own),
                }
            }
            None => Capabilities::ALL,
        }
    }

    /// What limits the command once it can gain no privileges any more.
    fn last_steps(&self, spec: &Spec, kept: Capabilities, ids: [u32; 2]) -> Vec<Step> {
        let Some(details) = self.details else {
            return Vec::new();
        };
        let mut last = Vec::new();
        if details.scopes_sockets {
            last.push(Step::ScopeSockets);
        }
        if spec.namespaces {
            last.push(Held::joined(spec, kept, ids).limit());
        }
        if details.ruleset {
            last.push(Step::Restrict { slot: RULESET });
        }
        if let Some(files) = &details.files_filter {
            last.push(Step::Filter {
                of: FilterOf::Files {
                    attributes: files.attributes,
                },
            });
        }
        last
    }

    fn setup(
        &self,
        facts: &Facts,
        tty: bool,
        ids: &Ids,
        spec: &Spec,
        arena: &mut Arena,
    ) -> Result<Vec<Entry>> {
        let mut list = setup::start(spec, facts);
        if self.is_awaited() {
            list.push(must(Step::AwaitIdMaps));
        }
        // Before it is where anybody of the container's could look at it (CVE-2016-9962).
        list.push(must(Step::HideInit));
        if self.flags != 0 {
            list.push(must(Step::JoinNamespaces { flags: self.flags }));
        }
        if ids.change {
            let [uid, gid] = ids.wanted;
            list.push(must(Step::BecomeIds {
                uid,
                gid,
                drop_groups: ids.drop_groups,
            }));
        }
        // A change of credentials has taken the tie back.
        if setup::is_tied(spec, facts) && (ids.change || self.flags != 0) {
            list.push(must(Step::Tie));
        }
        if tty {
            list.push(must(Step::OpenTerminal));
        }
        list.push(must(Step::ChangeDirectory {
            path: arena.text(self.directory(spec))?,
        }));
        if tty {
            list.push(must(Step::LeadSession));
        }
        if self.details.is_some() {
            list.push(setup::keyring(spec));
        }
        Ok(list)
    }

    /// Where the command starts: where the container's has, if nothing else is asked for.
    fn directory(&self, spec: &Spec) -> PathBuf {
        let base = self.details.map_or(OsString::from("/"), |details| {
            details.directory.clone().into()
        });
        match &spec.workdir {
            Some(directory) => Path::new(&base).join(directory),
            None => base.into(),
        }
    }

    fn init(&self, spec: &Spec, facts: &Facts, tty: bool, arena: &mut Arena) -> Result<Vec<Entry>> {
        let sweep = !self.joins(libc::CLONE_NEWPID);
        let mut list = vec![must(Step::Rename {
            name: arena.text(OsStr::new("rootlet-exec"))?,
        })];
        if sweep {
            list.push(must(Step::Subreaper));
            if setup::is_tied(spec, facts) {
                list.push(must(Step::Untie));
            }
        } else {
            list.push(must(Step::HoldOneself));
        }
        list.extend(filter::before_the_command(spec).into_iter().map(must));
        list.push(must(Step::SpawnCommand {
            foreign_pids: false,
            listened: false,
            shares_files: false,
        }));
        if self.details.is_some() && self.joins(libc::CLONE_NEWUSER) {
            list.push(must(Step::LimitInit));
        }
        list.extend(filter::of_init(spec).into_iter().map(must));
        let shared_group = !tty && facts.controlling_terminal;
        list.push(must(Step::Supervise {
            shared_group,
            sweep,
            lives_on: false,
        }));
        Ok(list)
    }
}

/// The command dies with the process that has started it, whatever else there is in the container.
fn tied(mut command: Vec<Entry>) -> Vec<Entry> {
    let tie = must(Step::TieToInit);
    if !command.contains(&tie) {
        command.insert(0, tie);
    }
    command
}

fn instructions(list: &[(u16, u8, u8, u32)]) -> Vec<Instruction> {
    let one = |&(code, jt, jf, k): &(u16, u8, u8, u32)| Instruction { code, jt, jf, k };
    list.iter().map(one).collect()
}

/// Requires that an id is one of those that the container has.
fn is_mapped(details: &Details, name: &str, side: usize, id: u32) -> Result<()> {
    let map = &details.maps[side];
    let has = |range: &IdRange| range.outside_of(id).is_some();
    // Without namespaces there is no map, and nobody else to become.
    match map.iter().any(has) || (map.is_empty() && details.ids[side] == id) {
        true => Ok(()),
        false => {
            let lines: Vec<String> = map.iter().map(ToString::to_string).collect();
            Err(Error::usage(format!(
                "{name} {id} is nobody in the container, which has these ids (inside:outside:count): {}",
                lines.join(", ")
            )))
        }
    }
}
