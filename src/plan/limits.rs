//! How limits are kept: those of the container by a control group, those of each process by getrlimit(2).

use super::arena::Arena;
use super::{EnforcedLimits, ParentStep};
use crate::child::step::Step;
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::host::cgroup::Cgroups;
use crate::spec::{
    Cpus, Limits, MemorySwap, Resource, Share, Size, Spec, Ulimit, WhenRefused, shown_limit,
};

/// What is done for the limits of a spec.
#[derive(Default)]
pub struct Limited {
    /// What the launcher does before there is a new process; nothing when there is no group.
    pub group: Vec<ParentStep>,
    /// What limits the command's process.
    pub ulimits: Vec<Ulimit>,
    /// What was stepped down from.
    pub stepped_down: Vec<String>,
    /// What reports say of the limits of the container.
    pub enforced: Option<EnforcedLimits>,
}

/// What cannot be, whatever the host.
pub fn refuse(spec: &Spec, facts: &Facts) -> Result<()> {
    let Limits {
        memory,
        memory_swap,
        pids,
        io_weight,
        ..
    } = spec.limits;
    match (memory, memory_swap) {
        (None, Some(_)) => {
            return Err(Error::usage(
                "--memory-swap is memory and swap together, and needs --memory",
            ));
        }
        (Some(memory), Some(MemorySwap::Total(total))) if total < memory => {
            return Err(Error::usage(format!(
                "--memory-swap {total} is less than --memory {memory}, which it includes"
            )));
        }
        _ => {}
    }
    if pids == Some(0) {
        return Err(
            Error::usage("a limit of 0 processes leaves none for the command")
                .with_hint("-1 is no limit"),
        );
    }
    within("io weight", io_weight.map(i32::from), 1, 10_000)?;
    within("oom score", spec.oom_score_adj, -1000, 1000)?;
    within("nice value", spec.nice, -20, 19)?;
    spec.ulimits
        .iter()
        .try_for_each(|limit| attainable(limit, facts))
}

fn within(what: &str, value: Option<i32>, least: i32, most: i32) -> Result<()> {
    match value {
        Some(value) if !(least..=most).contains(&value) => Err(Error::usage(format!(
            "{what} {value} is not from {least} to {most}"
        ))),
        _ => Ok(()),
    }
}

/// Nobody in a user namespace may raise a hard limit: the kernel asks for CAP_SYS_RESOURCE outside of all (getrlimit(2)).
fn attainable(limit: &Ulimit, facts: &Facts) -> Result<()> {
    let number = limit.resource.number;
    let known = facts.hard_limits.iter().find(|(known, _)| *known == number);
    match known {
        Some(&(_, hard)) if limit.hard > hard => Err(Error::usage(format!(
            "ulimit {limit} is above your hard limit, {}",
            shown_limit(hard)
        ))
        .with_hint(
            "a hard limit can only be lowered inside; whoever started your session can raise it",
        )),
        _ => Ok(()),
    }
}

impl Limited {
    /// The limits of each process that are asked for as such.
    pub fn of_processes(spec: &Spec) -> Self {
        let mut limited = Limited::default();
        // No core file, unless it is asked for: what is in the container's memory is to stay there.
        if !spec.core_files {
            limited.set(Resource::CORE, 0);
        }
        for &limit in &spec.ulimits {
            limited.put(limit);
        }
        limited
    }

    /// Decides how the limits of `spec` are kept.
    ///
    /// # Errors
    /// Where they have to be kept, and cannot.
    pub fn new(spec: &Spec, facts: &Facts, arena: &mut Arena) -> Result<Self> {
        let mut limited = Limited::of_processes(spec);
        if spec.limits.are_asked_for() {
            let cgroups = facts.cgroups.clone().unwrap_or(Cgroups::NotMounted);
            match cgroups.refusal(&spec.limits.controllers()) {
                None => limited.by_group(spec, facts, &cgroups, arena)?,
                Some(refusal) => limited.without_group(spec, facts, &refusal)?,
            }
        }
        Ok(limited)
    }

    /// Limits a resource, in place of what was said of it before: the kernel lets nobody go up again.
    fn put(&mut self, limit: Ulimit) {
        self.ulimits.retain(|it| it.resource != limit.resource);
        self.ulimits.push(limit);
    }

    fn set(&mut self, resource: Resource, most: u64) {
        self.put(Ulimit {
            resource,
            soft: most,
            hard: most,
        });
    }

    fn by_group(
        &mut self,
        spec: &Spec,
        facts: &Facts,
        cgroups: &Cgroups,
        arena: &mut Arena,
    ) -> Result<()> {
        let limits = &spec.limits;
        let base = match cgroups {
            Cgroups::OnRequest(bus) => {
                self.group.push(ParentStep::JoinScope {
                    bus: arena.text(bus)?,
                });
                None
            }
            Cgroups::Delegated { path, .. } => Some(arena.text(path)?),
            closed => return Err(refused(limits, closed)),
        };
        self.group.push(ParentStep::MakeGroup {
            base,
            controllers: arena.text(limits.controllers().join(" "))?,
        });
        for (file, value, optional) in files(limits) {
            self.group.push(ParentStep::WriteLimit {
                file: arena.text(file)?,
                value: arena.text(value)?,
                optional,
            });
        }
        self.note_hold(spec, facts)?;
        self.enforced = Some(EnforcedLimits {
            by: "cgroup",
            limits: limits.clone(),
        });
        Ok(())
    }

    /// The files of a group belong to the user, whom the container's processes are outside. What keeps these from them is a
    /// cgroup namespace with the group at its root, and that the kernel respects it.
    fn note_hold(&mut self, spec: &Spec, facts: &Facts) -> Result<()> {
        let why = match spec.shares(Share::Cgroup) {
            true => "the cgroup namespace is the host's",
            false if facts.limits_hold => return Ok(()),
            false => "the cgroup2 file system is mounted without nsdelegate",
        };
        let note = format!(
            "{why}; instead: what runs inside can change its limits where it can write /sys/fs/cgroup"
        );
        match spec.strict {
            true => Err(Error::usage(note)),
            false => {
                self.stepped_down.push(note);
                Ok(())
            }
        }
    }

    fn without_group(&mut self, spec: &Spec, facts: &Facts, refusal: &Cgroups) -> Result<()> {
        let limits = &spec.limits;
        match limits.when_refused {
            WhenRefused::Must => return Err(refused(limits, refusal)),
            _ if spec.strict => return Err(refused(limits, refusal)),
            WhenRefused::Try => self.stepped_down.push(format!(
                "no control group for {}: {}; instead: there is no limit",
                asked(limits),
                refusal.why()
            )),
            WhenRefused::Rlimit => self.by_rlimits(spec, facts, refusal)?,
        }
        Ok(())
    }

    /// A limit of each process in place of the option `name`.
    fn stand_in(&mut self, name: &str, resource: Resource, most: u64) -> Result<()> {
        if self.ulimits.iter().any(|it| it.resource == resource) {
            let ulimit = resource.name;
            return Err(Error::usage(format!(
                "--limits rlimit makes {name} --ulimit {ulimit}={most}, and there is another --ulimit {ulimit}"
            )));
        }
        self.set(resource, most);
        Ok(())
    }

    fn by_rlimits(&mut self, spec: &Spec, facts: &Facts, refusal: &Cgroups) -> Result<()> {
        let limits = &spec.limits;
        let no_rlimit = [
            ("--cpus", limits.cpus.is_some()),
            ("--io-weight", limits.io_weight.is_some()),
            (
                "--pids-limit, which never holds root",
                limits.pids.is_some() && facts.uid == 0,
            ),
        ];
        if let Some((name, _)) = no_rlimit.iter().find(|(_, asked)| *asked) {
            return Err(Error::usage(format!(
                "no process limit stands for {name}, and there is no control group: {}",
                refusal.why()
            ))
            .with_hint("leave it out, or go on without limits: --limits try"));
        }
        let mut means = Vec::new();
        if let Some(Size(bytes)) = limits.memory {
            self.stand_in("--memory", Resource::AS, bytes)?;
            means.push("each process may have that many addresses, whether or not it uses them, and there may be many processes");
        }
        if let Some(pids) = limits.pids {
            self.stand_in("--pids-limit", Resource::NPROC, pids)?;
            means.push(
                "the processes of your user in here are counted (before Linux 5.14: on the whole machine)",
            );
        }
        self.stepped_down.push(format!(
            "no control group for {}: {}; instead: limits of each process: {}",
            asked(limits),
            refusal.why(),
            means.join("; ")
        ));
        self.enforced = Some(EnforcedLimits {
            by: "rlimit",
            limits: limits.clone(),
        });
        Ok(())
    }
}

/// The steps that limit the command's process.
pub fn steps(ulimits: &[Ulimit]) -> impl Iterator<Item = Step> {
    ulimits.iter().map(|limit| Step::SetLimit {
        resource: limit.resource.number,
        soft: limit.soft,
        hard: limit.hard,
    })
}

/// The files of a group and what is written to them; and whether a kernel may have no such file.
fn files(limits: &Limits) -> Vec<(&'static str, String, bool)> {
    let mut files = Vec::new();
    if let Some(Size(bytes)) = limits.memory {
        files.push(("memory.max", bytes.to_string(), false));
        // Version 2 limits swap by itself. Where a kernel does not count swap, there is no limit that could be missed.
        let (swap, asked) = match limits.memory_swap {
            None => (bytes.to_string(), false),
            Some(MemorySwap::Unlimited) => ("max".to_string(), false),
            Some(MemorySwap::Total(Size(total))) => ((total - bytes).to_string(), true),
        };
        files.push(("memory.swap.max", swap, !asked));
    }
    if let Some(cpus) = limits.cpus {
        files.push((
            "cpu.max",
            format!("{} {}", cpus.quota(), Cpus::PERIOD),
            false,
        ));
    }
    if let Some(pids) = limits.pids {
        files.push(("pids.max", pids.to_string(), false));
    }
    if let Some(weight) = limits.io_weight {
        files.push(("io.weight", weight.to_string(), false));
    }
    files
}

/// The options that ask for limits of the container.
fn asked(limits: &Limits) -> String {
    let options = [
        ("--memory", limits.memory.is_some()),
        ("--cpus", limits.cpus.is_some()),
        ("--pids-limit", limits.pids.is_some()),
        ("--io-weight", limits.io_weight.is_some()),
    ];
    let asked = options.iter().filter(|(_, asked)| *asked);
    let names: Vec<&str> = asked.map(|(name, _)| *name).collect();
    names.join(", ")
}

fn refused(limits: &Limits, refusal: &Cgroups) -> Error {
    Error::usage(format!(
        "no control group for {}: {}",
        asked(limits),
        refusal.why()
    ))
    .with_hint(refusal.hint())
}

/// Whether the new process starts in a group of its own.
pub fn has_group(group: &[ParentStep]) -> bool {
    group
        .iter()
        .any(|step| matches!(step, ParentStep::MakeGroup { .. }))
}
