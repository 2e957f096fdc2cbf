//! How a container lives, and what it is made of beside its views: that what a spec says of it is in the plan.

use super::{before, count, count_of, joins_user, lays, require, steps};
use rootlet::child::step::{Attributes, Entry, Step};
use rootlet::host::{Source, descriptor_of};
use rootlet::plan::ParentStep;
use rootlet::spec::{
    Capabilities, Content, Keyring, Lives, Missing, Mount, Nesting, Net, Places, Propagation,
    Seccomp, Share, Signals, Spec, Without,
};
use rootlet::{Facts, Plan};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What does not hold of `plan`, which was made of `spec`.
pub fn check(plan: &Plan, spec: &Spec, facts: &Facts) -> Result<(), String> {
    each_namespace_is_made_once(plan, spec)?;
    the_launcher_joins_and_waits_as_it_is_told(plan, spec)?;
    what_ends_with_what(plan, spec, facts)?;
    descriptors_go_where_they_are_to_go(plan, spec)?;
    user_namespaces_inside_are_as_many_as_there_may_be(plan, spec)?;
    the_session_is_the_one_that_was_asked_for(plan, spec, facts)?;
    the_command_is_told_what_was_asked_for(plan, spec, facts)?;
    views_have_what_they_are_to_have(plan, spec, facts)
}

fn same<T: Debug + PartialEq>(what: &str, found: T, wanted: T) -> Result<(), String> {
    require(found == wanted, || {
        format!("{what}: {found:?}, and not {wanted:?}")
    })
}

fn as_often(
    what: &str,
    plan: &Plan,
    wanted: bool,
    step: impl Fn(&Step) -> bool,
) -> Result<(), String> {
    same(what, count(&steps(plan), step), usize::from(wanted))
}

/// By the clone, if somebody is told of the first process before anything else happens; else by set-up.
fn each_namespace_is_made_once(plan: &Plan, spec: &Spec) -> Result<(), String> {
    let steps = steps(plan);
    for (wanted, flag) in [
        (spec.namespaces, libc::CLONE_NEWNS),
        (!spec.shares(Share::Ipc), libc::CLONE_NEWIPC),
        (!spec.shares(Share::Uts), libc::CLONE_NEWUTS),
        (!spec.shares(Share::Cgroup), libc::CLONE_NEWCGROUP),
        (spec.net == Net::None, libc::CLONE_NEWNET),
    ] {
        let by_setup = count(&steps, |step| match step {
            Step::Unshare { flag: own } => *own == flag,
            step => *step == Step::StartNetwork && flag == libc::CLONE_NEWNET,
        });
        let by_clone = usize::from(plan.clone_flags & flag as u64 != 0);
        let wanted = usize::from(wanted);
        let [early, late] = if spec.announced {
            [wanted, 0]
        } else {
            [0, wanted]
        };
        same(&format!("{flag:x} by the clone"), by_clone, early)?;
        same(&format!("{flag:x} by set-up"), by_setup, late)?;
    }
    let joined = spec.descriptors.user_namespace.is_some();
    let makes_user = plan.clone_flags & libc::CLONE_NEWUSER as u64 != 0;
    same("a user namespace", makes_user, spec.namespaces && !joined)?;
    same(
        "a user namespace is joined",
        joins_user(plan),
        spec.namespaces && joined,
    )
}

fn the_launcher_joins_and_waits_as_it_is_told(plan: &Plan, spec: &Spec) -> Result<(), String> {
    let named = &spec.descriptors;
    let joins = plan.parent.iter().filter_map(|step| match step {
        ParentStep::JoinNamespace { fd, flag } => Some((*fd, *flag)),
        _ => None,
    });
    let user = named.user_namespace.map(|fd| (fd, libc::CLONE_NEWUSER));
    let pids = named.pid_namespace.map(|fd| (fd, libc::CLONE_NEWPID));
    let wanted: Vec<_> = user.into_iter().chain(pids).collect();
    same("joins", joins.collect(), wanted)?;
    let awaits = plan.parent.iter().find_map(|step| match step {
        ParentStep::AwaitIdMaps { fd } => Some(*fd),
        _ => None,
    });
    same("id maps are awaited", awaits, named.id_maps)?;
    let gives_way = plan.parent.iter().find_map(|step| match step {
        ParentStep::SetNice { nice } => Some(*nice),
        _ => None,
    });
    same("nice", gives_way, spec.nice)?;
    let is_scored = |step: &ParentStep| matches!(step, ParentStep::SetOomScore { .. });
    same(
        "OOM score",
        plan.parent.iter().any(is_scored),
        spec.oom_score_adj.is_some(),
    )
}

/// Who lives on is tied to nobody, and nobody is swept away.
fn what_ends_with_what(plan: &Plan, spec: &Spec, facts: &Facts) -> Result<(), String> {
    let lives_on = spec.lives == Lives::Own;
    let steps = steps(plan);
    let is_tie = |step: &Step| matches!(step, Step::Tie | Step::TieToInit | Step::Untie);
    require(!lives_on || count(&steps, is_tie) == 0, || {
        "what lives on is tied".to_string()
    })?;
    let tied = !lives_on && (facts.main_thread || !spec.init);
    // The kernel takes the tie back with every change of ids.
    let becomes = plan
        .setup
        .iter()
        .position(|entry| matches!(entry.step, Step::BecomeIds { .. }));
    if let Some(becomes) = becomes {
        let after = plan.setup.get(becomes + 1).map(|entry| entry.step);
        same("tied again", after == Some(Step::Tie), tied)?;
    }
    let locks = plan.init.iter().filter_map(|entry| match entry.step {
        Step::Lock { path } => Some(Path::new(std::ffi::OsStr::from_bytes(
            plan.arena.get(path).to_bytes(),
        ))),
        _ => None,
    });
    same(
        "locks",
        locks.collect(),
        spec.locks
            .iter()
            .map(|path| path.as_path())
            .collect::<Vec<_>>(),
    )?;
    same("locks are counted", plan.locks(), spec.locks.len())?;
    same("init lives on", plan.lives_on(), lives_on && spec.init)?;
    for entry in &plan.init {
        match entry.step {
            Step::Supervise {
                sweep,
                shared_group,
                ..
            } => {
                same("sweeping", sweep, spec.shares(Share::Pid) && !lives_on)?;
                same(
                    "group",
                    shared_group,
                    !plan.tty && facts.controlling_terminal,
                )?;
            }
            Step::SpawnCommand { foreign_pids, .. } => same(
                "process ids are others inside",
                foreign_pids,
                !spec.shares(Share::Pid) || spec.descriptors.pid_namespace.is_some(),
            )?,
            _ => {}
        }
    }
    let hides = count_of(&plan.init, |step| *step == Step::HideInit);
    same(
        "init is hidden",
        hides,
        usize::from(spec.init && !spec.announced),
    )
}

/// Descriptors of the caller's that are made use of: the command does not get them.
fn made_use_of(spec: &Spec) -> BTreeSet<i32> {
    let named = &spec.descriptors;
    let mut fds: BTreeSet<i32> = [
        named.awaited,
        named.id_maps,
        named.user_namespace,
        named.last_user_namespace,
        named.pid_namespace,
    ]
    .into_iter()
    .flatten()
    .collect();
    // Nobody else is there to hold them, where there is no init.
    if spec.init {
        fds.extend(&named.held);
    }
    if let Seccomp::Programs(programs) = &spec.seccomp {
        fds.extend(programs);
    }
    for mount in &spec.mounts {
        fds.extend(match mount {
            Mount::Bind { source, .. } => descriptor_of(source),
            Mount::File {
                content: Content::Descriptor(fd),
                ..
            } => Some(*fd),
            _ => None,
        });
    }
    fds.retain(|fd| *fd > 2);
    fds
}

fn descriptors_go_where_they_are_to_go(plan: &Plan, spec: &Spec) -> Result<(), String> {
    let named = &spec.descriptors;
    let closed = plan.setup.iter().filter_map(|entry| match entry.step {
        Step::CloseAtExec { fd } => Some(fd),
        _ => None,
    });
    let closed: Vec<i32> = closed.collect();
    let wanted: Vec<i32> = made_use_of(spec).into_iter().collect();
    same("closed at the exec", &closed, &wanted)?;
    same("made use of", &plan.callers.consumed, &wanted)?;
    same("inherited", plan.callers.inherits, named.inherit)?;
    same("held by init", &plan.callers.held, &named.held)?;
    let awaits = |step: &Step| matches!(step, Step::AwaitDescriptor { .. });
    as_often("waiting", plan, named.awaited.is_some(), awaits)?;
    let steps = steps(plan);
    let awaited = steps.iter().position(awaits);
    let laid = steps.iter().rposition(lays);
    before("all is laid, then the command waits", laid, awaited)?;
    let programs = plan.command.iter().filter_map(|entry| match entry.step {
        Step::Program { number } => Some(number),
        _ => None,
    });
    let wanted = match &spec.seccomp {
        Seccomp::Programs(fds) => 0..fds.len() as u16,
        _ => 0..0,
    };
    same("programs", programs.collect(), wanted.collect::<Vec<_>>())
}

fn user_namespaces_inside_are_as_many_as_there_may_be(
    plan: &Plan,
    spec: &Spec,
) -> Result<(), String> {
    let disabled = spec.nesting == Nesting::Disabled;
    let kept = spec.kept_capabilities(plan.ids[0]);
    let locks =
        !spec.unlocked && spec.has_something_to_lock() && kept.contains(Capabilities::SYS_ADMIN);
    let [disabled, locks] = [disabled, locks].map(|wanted| wanted && spec.namespaces);
    as_often("a limit", plan, disabled, |step| {
        matches!(step, Step::LimitUserNamespaces { .. })
    })?;
    as_often("a second user namespace", plan, disabled || locks, |step| {
        matches!(step, Step::EnterUserNamespace { .. })
    })?;
    as_often("locked mounts", plan, locks, |step| {
        *step == Step::LockMounts
    })?;
    let refused = spec.namespaces && spec.nesting != Nesting::Allowed;
    as_often("no more of them", plan, refused, |step| {
        *step == Step::RequireNoUserNamespaces
    })?;
    let last = spec.descriptors.last_user_namespace;
    let joined = plan.command.iter().find_map(|entry| match entry.step {
        Step::JoinUserNamespace { fd } => Some(fd),
        _ => None,
    });
    same("the last user namespace", joined, last)?;
    for entry in &plan.command {
        if let Step::LimitCapabilities {
            kept: found,
            ambient,
            ..
        } = entry.step
        {
            same("capabilities", found, kept.0)?;
            let named = spec.named_capabilities().and(kept);
            let wanted = match (plan.ids[0], spec.ambient) {
                (_, true) => kept,
                (0, false) => Capabilities::NONE,
                (_, false) => named,
            };
            same("ambient capabilities", ambient, wanted.0)?;
        }
    }
    the_order_of_user_namespaces_holds(&plan.command)
}

/// The limit is that of the outer one; the mounts are those of the inner one; and nobody makes another after the last
/// capability has gone.
fn the_order_of_user_namespaces_holds(command: &[Entry]) -> Result<(), String> {
    let at = |wanted: fn(&Step) -> bool| command.iter().position(|entry| wanted(&entry.step));
    let order = [
        at(|step| *step == Step::NoNewPrivileges),
        at(|step| matches!(step, Step::LimitUserNamespaces { .. })),
        at(|step| matches!(step, Step::EnterUserNamespace { .. })),
        at(|step| *step == Step::LockMounts),
        at(|step| matches!(step, Step::JoinUserNamespace { .. })),
        at(|step| *step == Step::RequireNoUserNamespaces),
        at(|step| matches!(step, Step::LimitCapabilities { .. })),
    ];
    let there: Vec<usize> = order.into_iter().flatten().collect();
    require(there.is_sorted(), || {
        format!("user namespaces come in the order {order:?}")
    })
}

fn the_session_is_the_one_that_was_asked_for(
    plan: &Plan,
    spec: &Spec,
    facts: &Facts,
) -> Result<(), String> {
    as_often("keyring", plan, spec.keyring == Keyring::New, |step| {
        *step == Step::NewKeyring
    })?;
    let alone = spec.new_session && !plan.tty;
    as_often("session", plan, alone, |step| *step == Step::LeaveSession)?;
    same(
        "shared session",
        plan.callers.shares_session,
        !plan.tty && !spec.new_session,
    )?;
    same("signals", plan.callers.signals, spec.signals)?;
    let unheard = !plan.tty && !facts.controlling_terminal;
    let leads = unheard && spec.signals == Signals::Passed;
    as_often("group", plan, leads, |step| {
        *step == Step::LeadGroup { foreground: false }
    })
}

fn the_command_is_told_what_was_asked_for(
    plan: &Plan,
    spec: &Spec,
    facts: &Facts,
) -> Result<(), String> {
    let variables: Vec<&[u8]> = plan
        .envp
        .iter()
        .map(|&text| plan.arena.get(text).to_bytes())
        .collect();
    let name_of = |variable: &[u8]| {
        variable
            .split(|&byte| byte == b'=')
            .next()
            .map(<[u8]>::to_vec)
    };
    let has_pwd = spec.set_pwd || !spec.workdir_else.is_empty();
    same("PWD is put right", plan.sets_pwd, has_pwd)?;
    let named = variables
        .iter()
        .filter(|it| it.starts_with(b"PWD="))
        .count();
    let last = variables.last().is_some_and(|it| it.starts_with(b"PWD="));
    require(!has_pwd || (named == 1 && last), || {
        format!("PWD is there {named} times, and not the last")
    })?;
    let first = plan.setup.iter().find_map(|entry| match entry.step {
        Step::ChangeToFirst { count, .. } => Some(usize::from(count)),
        _ => None,
    });
    // The caller's own, if it has one.
    let own = spec.workdir.is_some() || !spec.root.is_host() || facts.cwd.is_some();
    let wanted = usize::from(own) + spec.workdir_else.len();
    same("directories", first, has_pwd.then_some(wanted))?;
    for name in &spec.unset_env {
        let is_it = |variable: &[u8]| name_of(variable).as_deref() == Some(name.as_bytes());
        let set_again = spec.env.iter().any(|change| is_it(change.as_bytes()));
        let told = has_pwd && name == "PWD";
        require(
            set_again || told || !variables.iter().any(|it| is_it(it)),
            || format!("{name:?} is not unset"),
        )?;
    }
    let shell = plan.shell.map(|text| plan.arena.get(text));
    same(
        "a shell for scripts",
        shell,
        spec.scripts.then_some(c"/bin/sh"),
    )?;
    match (&spec.argv0, plan.argv.first()) {
        (Some(argv0), Some(&first)) => same(
            "argv[0]",
            plan.arena.get(first).to_bytes(),
            argv0.as_bytes(),
        ),
        _ => Ok(()),
    }
}

/// What is taken from a mount.
fn attributes(read_only: bool, without: Without) -> Attributes {
    let taken = |wanted, attribute| if wanted { attribute } else { Attributes::NONE };
    taken(read_only, Attributes::READ_ONLY)
        .with(taken(without.devices, Attributes::NO_DEVICES))
        .with(taken(without.setuid, Attributes::NO_SETUID))
}

fn views_have_what_they_are_to_have(plan: &Plan, spec: &Spec, facts: &Facts) -> Result<(), String> {
    let anywhere = spec.namespaces && spec.places == Places::Anywhere;
    as_often("umask", plan, anywhere, |step| *step == Step::ClearUmask)?;
    let private = spec.namespaces && spec.propagation == Propagation::Private;
    as_often("private mounts", plan, private, |step| {
        *step == Step::MakePrivate
    })?;
    if !spec.namespaces {
        return Ok(());
    }
    let places = count_of(&plan.setup, |step| matches!(step, Step::MakePlace { .. }));
    require(anywhere || places == 0, || {
        "places are made on the host".to_string()
    })?;
    let steps = steps(plan);
    // Who sees no /proc any more may mount no other; one that was made before can be attached.
    let gone = steps
        .iter()
        .position(|step| *step == Step::DetachOldRoot { last: false });
    let is_proc =
        |step: &Step| matches!(step, Step::Mount { kind, .. } if plan.arena.get(*kind) == c"proc");
    let mounted = steps.iter().rposition(is_proc).filter(|_| anywhere);
    before("/proc is mounted, then the old root goes", mounted, gone)?;
    let of = |kind: fn(&Mount) -> bool| spec.mounts.iter().filter(|mount| kind(mount)).count();
    for (what, found, wanted) in [
        (
            "permission bits",
            count(&steps, |step| matches!(step, Step::Chmod { .. })),
            of(|mount| matches!(mount, Mount::Chmod { .. })),
        ),
        (
            "seals",
            count(&steps, |step| {
                matches!(
                    step,
                    Step::Seal {
                        if_writable: true,
                        ..
                    }
                )
            }),
            of(|mount| matches!(mount, Mount::Seal { .. })),
        ),
        (
            "files",
            count(&steps, |step| matches!(step, Step::WriteFile { .. })),
            of(|mount| matches!(mount, Mount::File { .. })),
        ),
    ] {
        same(what, found, wanted)?;
    }
    let mut held = Vec::new();
    for (mount, source) in spec.mounts.iter().zip(&facts.sources) {
        let (found, wanted) = match mount {
            Mount::Bind {
                missing: Missing::Optional,
                ..
            } if *source == Source::Missing => continue,
            Mount::Bind {
                read_only, without, ..
            } => {
                let wanted = attributes(*read_only, *without);
                let has = |step: &Step| matches!(step, Step::Attach { attributes, .. } if *attributes == wanted);
                (count(&steps, has), wanted)
            }
            Mount::Remount {
                read_only,
                without,
                recursive: deep,
                ..
            } => {
                let wanted = attributes(*read_only, *without);
                let has = |step: &Step| matches!(step, Step::SetAttributes { attributes, recursive, .. } if (*attributes, recursive) == (wanted, deep));
                (count(&steps, has), wanted)
            }
            _ => continue,
        };
        if let Source::Held { held: file, .. } = source {
            held.push(*file);
        }
        require(found > 0, || {
            format!("nothing has {wanted:?} taken from it: {mount:?}")
        })?;
    }
    let required = steps.iter().filter_map(|step| match step {
        Step::RequireSame { device, inode, .. } => Some([*device, *inode]),
        _ => None,
    });
    same("what descriptors hold", required.collect(), held)
}
