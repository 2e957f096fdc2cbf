//! What holds of every plan, whatever was asked for, and of whatever host.

mod manner;

use rootlet::child::step::{Entry, FilterOf, Slot, Step, Text};
use rootlet::plan::{CLONE_INTO_CGROUP, ParentStep};
use rootlet::spec::{Lives, Net, Root, Seccomp, Share, Spec, Stdio, Ulimit};
use rootlet::{Facts, Plan};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Steps are counted in the reports of the processes inside by this type.
type StepNumber = u16;

/// What does not hold of `plan` by itself.
pub fn check(plan: &Plan) -> Result<(), String> {
    the_launcher_does_its_steps_in_order(plan)?;
    what_steps_point_at_is_there(plan)?;
    slots_are_filled_before_they_are_used(plan)?;
    gates_have_two_sides(plan)?;
    the_network_is_joined_by_all_who_are_in_it(plan)?;
    roots_are_entered_one_after_the_other(plan)?;
    each_list_has_its_end(plan)?;
    the_order_of_a_launch_holds(plan)
}

/// What does not hold of `plan`, which was made of `spec` for the host of `facts`.
pub fn check_against(plan: &Plan, spec: &Spec, facts: &Facts) -> Result<(), String> {
    check(plan)?;
    what_was_asked_for_is_done(plan, spec, facts)?;
    manner::check(plan, spec, facts)?;
    what_the_host_makes_necessary_is_done(plan, spec, facts)
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(otherwise()),
    }
}

/// Whether `a` comes before `b`, where both are there.
fn before(what: &str, a: Option<usize>, b: Option<usize>) -> Result<(), String> {
    require(a.zip(b).is_none_or(|(a, b)| a < b), || {
        format!("{what}: step {a:?} does not come before step {b:?}")
    })
}

/// The same number of each, as many as there are to be.
fn pair(what: &str, a: usize, b: usize, most: usize) -> Result<(), String> {
    require(a == b && a <= most, || {
        format!("{what}: {a} on one side, {b} on the other")
    })
}

/// All steps inside, in the order in which they are done.
fn steps(plan: &Plan) -> Vec<Step> {
    let lists = [&plan.setup, &plan.init, &plan.command];
    let entries = lists.into_iter().flatten();
    entries.map(|entry| entry.step).collect()
}

fn count_of(list: &[Entry], wanted: impl Fn(&Step) -> bool) -> usize {
    list.iter().filter(|entry| wanted(&entry.step)).count()
}

fn count(steps: &[Step], wanted: impl Fn(&Step) -> bool) -> usize {
    steps.iter().filter(|step| wanted(step)).count()
}

/// Whether the new process is in a user namespace that is there already.
fn joins_user(plan: &Plan) -> bool {
    let joins = |step: &ParentStep| {
        matches!(
            step,
            ParentStep::JoinNamespace {
                flag: libc::CLONE_NEWUSER,
                ..
            }
        )
    };
    plan.parent.iter().any(joins)
}

fn makes_user(plan: &Plan) -> bool {
    plan.clone_flags & libc::CLONE_NEWUSER as u64 != 0
}

fn in_namespaces(plan: &Plan) -> bool {
    makes_user(plan) || joins_user(plan)
}

/// Whether this lays something down, or changes what is laid: no source is taken any more.
fn lays(step: &Step) -> bool {
    matches!(
        step,
        Step::Attach { .. }
            | Step::AttachProc { .. }
            | Step::SetAttributes { .. }
            | Step::Mask { .. }
            | Step::Seal { .. }
            | Step::Chmod { .. }
            | Step::MakePlace { .. }
    )
}

fn the_launcher_does_its_steps_in_order(plan: &Plan) -> Result<(), String> {
    let number = |step: &ParentStep| match step {
        ParentStep::KeepTerminal => -1,
        ParentStep::MakeWork { .. } => 0,
        ParentStep::JoinScope { .. } => 1,
        ParentStep::MakeGroup { .. } | ParentStep::EnterGroup { .. } => 2,
        ParentStep::WriteLimit { .. } => 3,
        ParentStep::OpenChannels => 4,
        ParentStep::MakePipes => 5,
        ParentStep::MakeRuleset { .. } => 6,
        ParentStep::Allow { .. } => 7,
        ParentStep::JoinNamespace {
            flag: libc::CLONE_NEWUSER,
            ..
        } => 8,
        ParentStep::JoinNamespace { .. } => 9,
        ParentStep::Clone { .. } => 10,
        ParentStep::SetNice { .. } => 11,
        ParentStep::SetOomScore { .. } => 12,
        ParentStep::DenySetgroups => 13,
        ParentStep::WriteUidMap { .. } => 14,
        ParentStep::WriteGidMap { .. } => 15,
        ParentStep::AwaitIdMaps { .. } => 16,
        ParentStep::Release => 17,
        ParentStep::Supervise => 18,
        ParentStep::RemoveGroup => 19,
    };
    let many = [0, 3, 7];
    let numbers: Vec<i32> = plan.parent.iter().map(number).collect();
    let in_order = numbers.is_sorted_by(|a, b| a < b || (a == b && many.contains(a)));
    require(in_order, || format!("the launcher's order is {numbers:?}"))?;
    let has = |number: i32| numbers.contains(&number);
    let needed = [4, 10, 18].iter().all(|&it| has(it));
    require(needed && has(17) == in_namespaces(plan), || {
        format!("the launcher does only {numbers:?}")
    })?;
    // Who joins a user namespace has the maps of that; else somebody writes them.
    let writes = makes_user(plan) && !has(16);
    require(has(14) == writes && has(15) == writes, || {
        format!("id maps are written, or not: {numbers:?}")
    })?;
    require(has(2) == has(19), || {
        "a group is made, and not removed".to_string()
    })?;
    require(has(2) || !(has(1) || has(3)), || {
        "there is no group to limit".to_string()
    })?;
    require(has(5) != plan.pipes.is_empty(), || {
        "pipes are made, or not".to_string()
    })?;
    require(has(6) || !has(7), || {
        "there is no ruleset to add to".to_string()
    })?;
    let into_group = plan.clone_flags & CLONE_INTO_CGROUP != 0;
    require(into_group == has(2), || {
        "the clone goes into the group, or not".to_string()
    })?;
    let flags = plan.parent.iter().find_map(|step| match step {
        ParentStep::Clone { flags } => Some(*flags),
        _ => None,
    });
    require(flags == Some(plan.clone_flags), || {
        format!("the clone is made with {flags:?}, not {}", plan.clone_flags)
    })
}

/// Strings, contents and numbers that steps hold. They are found in what `Debug` prints, so that those of a new step are
/// found too.
fn what_steps_point_at_is_there(plan: &Plan) -> Result<(), String> {
    let bytes = plan.arena.bytes();
    let mut all = vec![format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        plan.argv, plan.shell, plan.envp, plan.candidates, plan.paths, plan.pipes
    )];
    all.extend(plan.parent.iter().map(printed));
    all.extend(steps(plan).iter().map(printed));
    let instead = [&plan.setup, &plan.init, &plan.command]
        .into_iter()
        .flatten();
    all.extend(
        instead
            .filter_map(|entry| entry.instead)
            .map(|step| printed(&step)),
    );
    for text in &all {
        for start in numbers_after(text, "Text(") {
            let is_start = start < bytes.len() && (start == 0 || bytes[start - 1] == 0);
            require(is_start, || format!("no string starts at {start}: {text}"))?;
        }
        for path in path_ranges(plan) {
            require(path.end <= plan.paths.len(), || {
                format!(
                    "there are {} paths, and rules for {path:?}",
                    plan.paths.len()
                )
            })?;
        }
        for slot in numbers_after(text, "Slot(") {
            require(slot < usize::from(plan.slots), || {
                format!("there are {} slots: {text}", plan.slots)
            })?;
        }
        for content in numbers_after(text, "content: ") {
            require(content < plan.contents.len(), || {
                format!("no such content: {text}")
            })?;
        }
        for number in numbers_after(text, "number: ") {
            require(number < plan.programs.len(), || {
                format!("no such program: {text}")
            })?;
        }
    }
    for step in steps(plan) {
        match step {
            Step::ChangeToFirst { first, count } => {
                strings_follow(plan, first, count, b"PWD=")?;
            }
            Step::RequireClosed { first, count } => strings_follow(plan, first, count, b"")?,
            _ => {}
        }
    }
    require(bytes.last().is_none_or(|&last| last == 0), || {
        "the last string has no end".to_string()
    })
}

/// Whether as many strings as that, each with this start, lie one after the other.
fn strings_follow(plan: &Plan, first: Text, count: u16, start: &[u8]) -> Result<(), String> {
    let rest = plan.arena.bytes().get(first.0 as usize..);
    let rest = rest.unwrap_or_default().split(|&byte| byte == 0);
    let found = rest
        .take(count.into())
        .filter(|string| string.starts_with(start))
        .count();
    require(count > 0 && found == usize::from(count), || {
        format!("{count} strings are to follow {first:?}, and {found} do")
    })
}

/// Which paths of the plan the rules of the launcher's ruleset mean.
fn path_ranges(plan: &Plan) -> impl Iterator<Item = Range<usize>> {
    plan.parent.iter().filter_map(|step| match *step {
        ParentStep::Allow { first, count, .. } => {
            Some(first as usize..first as usize + count as usize)
        }
        _ => None,
    })
}

fn printed(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn numbers_after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.split(mark).skip(1).map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())]
            .parse()
            .unwrap_or(usize::MAX)
    })
}

fn slots_are_filled_before_they_are_used(plan: &Plan) -> Result<(), String> {
    let mut open = BTreeSet::new();
    let mut ready: BTreeSet<Slot> = plan.pipes.iter().map(|&(_, slot)| slot).collect();
    ready.extend(plan.ruleset());
    let [mut terminal, mut children] = [false; 2];
    for entry in [&plan.setup, &plan.init, &plan.command]
        .into_iter()
        .flatten()
    {
        let mut take = |slot: Slot| {
            require(open.remove(&slot), || {
                format!("{slot:?} is empty: {entry:?}")
            })
        };
        match entry.step {
            Step::Attach { slot, .. } | Step::AttachProc { slot, .. } => take(slot)?,
            Step::Mask {
                file, directory, ..
            } => {
                take(file)?;
                if directory != file {
                    take(directory)?;
                }
            }
            Step::OpenTree { slot, .. }
            | Step::OpenOverlay { slot, .. }
            | Step::OpenProc { slot } => {
                let new = slot.0 >= Slot::SOURCES && open.insert(slot);
                require(new, || format!("{slot:?} is in use: {entry:?}"))?;
            }
            Step::RequireSame { slot, .. } | Step::LimitUserNamespaces { proc: slot } => {
                require(open.contains(&slot), || {
                    format!("{slot:?} is empty: {entry:?}")
                })?
            }
            Step::OpenTerminal => {
                terminal = true;
                ready.insert(Slot::TERMINAL);
            }
            Step::EnterUserNamespace { proc, .. } => take(proc)?,
            Step::MakeRuleset { slot, .. } => {
                let new = slot.0 >= Slot::SOURCES && !open.contains(&slot) && ready.insert(slot);
                require(new, || format!("{slot:?} is in use: {entry:?}"))?;
            }
            Step::Allow { slot, .. }
            | Step::SendRuleset { slot }
            | Step::Restrict { slot }
            | Step::StandardAs { slot, .. } => require(ready.contains(&slot), || {
                format!("{slot:?} is empty: {entry:?}")
            })?,
            Step::Subreaper => children = true,
            Step::LeadSession
            | Step::LeadGroup { foreground: true }
            | Step::AttachTerminal { .. } => {
                require(terminal, || format!("no terminal is open: {entry:?}"))?
            }
            Step::Supervise { sweep: true, .. } => require(children, || {
                format!("the list of children is not open: {entry:?}")
            })?,
            _ => {}
        }
        match entry.instead {
            Some(Step::Attach { slot, .. }) => require(open.remove(&slot), || {
                format!("{slot:?} is empty: {entry:?}")
            })?,
            Some(Step::OpenTree { slot, .. }) => require(open.contains(&slot), || {
                format!("{slot:?} is another: {entry:?}")
            })?,
            _ => {}
        }
    }
    require(open.is_empty(), || {
        format!("{open:?} were taken and not attached")
    })?;
    require(terminal == plan.tty, || {
        "a terminal is opened, or it is not".to_string()
    })
}

/// Who waits is let go on, and what is changed for a while is changed back.
fn gates_have_two_sides(plan: &Plan) -> Result<(), String> {
    let steps = steps(plan);
    let is = |wanted: Step| count(&steps, |step| *step == wanted);
    let released = plan
        .parent
        .iter()
        .filter(|step| **step == ParentStep::Release);
    pair("id maps", released.count(), is(Step::AwaitIdMaps), 1)?;
    let restored = count(&steps, |step| matches!(step, Step::RestoreOpenFiles { .. }));
    pair("open files", is(Step::RaiseOpenFiles), restored, 1)?;
    let clocks = count(&steps, |step| matches!(step, Step::SetClocks { .. }));
    let time = is(Step::Unshare {
        flag: libc::CLONE_NEWTIME,
    });
    pair("clocks", clocks, time, 1)?;
    pair("umask", is(Step::ClearUmask), is(Step::RestoreUmask), 1)?;
    let makes_place = |step: &Step| matches!(step, Step::MakePlace { .. });
    let place = |wanted: Step| steps.iter().position(|step| *step == wanted);
    before(
        "the umask is out of the way, then places are made",
        place(Step::ClearUmask),
        steps.iter().position(makes_place),
    )?;
    before(
        "places are made, then the umask is the caller's",
        steps.iter().rposition(makes_place),
        place(Step::RestoreUmask),
    )?;
    let ignored = Step::SetSignal {
        signal: libc::SIGCHLD,
        ignore: true,
    };
    let waited = Step::SetSignal {
        signal: libc::SIGCHLD,
        ignore: false,
    };
    pair("SIGCHLD", is(ignored), is(waited), 1)?;
    let made = count(&steps, |step| matches!(step, Step::MakeRuleset { .. }));
    let restricted = count(&steps, |step| matches!(step, Step::Restrict { .. }));
    pair(
        "ruleset",
        made + usize::from(plan.ruleset().is_some()),
        restricted,
        1,
    )?;
    pair("terminal", is(Step::OpenTerminal), is(Step::LeadSession), 1)?;
    let sweep = count(&steps, |step| {
        matches!(step, Step::Supervise { sweep: true, .. })
    });
    pair("sweeping", is(Step::Subreaper), sweep, 1)?;
    pair("tie to an init that sweeps", is(Step::TieToInit), sweep, 1)?;
    let freed = |list: &[Entry]| count_of(list, |step| *step == Step::RunAnywhere);
    require((freed(&plan.setup), freed(&plan.command)) == (1, 1), || {
        "set-up and the command are not let go on all processors".to_string()
    })?;
    require(is(Step::RestoreSignalMask) == 1, || {
        "the signal mask is not restored once".to_string()
    })
}

/// By set-up; or by the command and by init, each when it has done the rest: but while it still has the power to, and can
/// have the descriptor that is still to come.
fn the_network_is_joined_by_all_who_are_in_it(plan: &Plan) -> Result<(), String> {
    let joins = |list: &[Entry]| count_of(list, |step| *step == Step::JoinNetwork);
    let found = [&plan.setup, &plan.init, &plan.command].map(|list| joins(list));
    let late = [0, usize::from(!plan.init.is_empty()), 1];
    let started = count_of(&plan.setup, |step| *step == Step::StartNetwork);
    let fits = match started {
        0 => found == [0, 0, 0],
        1 => found == [1, 0, 0] || found == late,
        _ => false,
    };
    require(fits, || {
        format!("{started} networks are made, and joined so often: {found:?}")
    })?;
    let shares = plan.init.iter().any(|entry| {
        matches!(
            entry.step,
            Step::SpawnCommand {
                shares_files: true,
                ..
            }
        )
    });
    require(shares == (found[1] > 0), || {
        "descriptors are in common where one is still to come".to_string()
    })?;
    let at = |list: &[Entry], wanted: &dyn Fn(&Step) -> bool| {
        list.iter().position(|entry| wanted(&entry.step))
    };
    let joined = |list| at(list, &|step| *step == Step::JoinNetwork);
    let spends = |step: &Step| {
        matches!(
            step,
            Step::EnterUserNamespace { .. } | Step::JoinUserNamespace { .. }
        )
    };
    before(
        "the network is joined while there is the power to",
        joined(&plan.command),
        at(&plan.command, &spends),
    )?;
    let is_sys =
        |step: &Step| matches!(step, Step::Mount { kind, .. } if plan.arena.get(*kind) == c"sysfs");
    let sys = at(&plan.setup, &is_sys);
    before(
        "the network is joined, then its /sys",
        joined(&plan.setup),
        sys,
    )?;
    require(sys.is_none() || joined(&plan.command).is_none(), || {
        "/sys is that of another network".to_string()
    })
}

/// Whether something is mounted at `/`.
fn is_at_root(plan: &Plan, step: &Step) -> bool {
    let (Step::Attach { target, .. }
    | Step::AttachProc { target, .. }
    | Step::Mount { target, .. }) = step
    else {
        return false;
    };
    Path::new(OsStr::from_bytes(plan.arena.get(*target).to_bytes())) == Path::new("/")
}

/// Each old root goes before the next new one is entered, and nothing is made while there is one: a link, or `..`, could lead
/// into it. What is mounted at `/` is entered at once, since nobody sees it before.
fn roots_are_entered_one_after_the_other(plan: &Plan) -> Result<(), String> {
    let mut has_old = false;
    let mut entered = 0;
    let steps: Vec<Step> = plan.setup.iter().map(|entry| entry.step).collect();
    let next = |number: usize| steps.get(number + 1);
    let enters = |number| matches!(next(number), Some(Step::EnterRoot { .. }));
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::EnterRoot { .. } => {
                require(!has_old, || "a second old root".to_string())?;
                has_old = true;
                entered += 1;
            }
            Step::DetachOldRoot { last: false } => {
                require(has_old, || "there is no old root".to_string())?;
                has_old = false;
            }
            Step::MakeFile { .. }
            | Step::MakeSymlink { .. }
            | Step::MakePlace { .. }
            | Step::Chmod { .. }
            | Step::WriteFile { .. } => require(!has_old, || {
                format!("the old root can be reached: {step:?}")
            })?,
            step => require(!is_at_root(plan, step) || enters(number), || {
                format!("what is mounted at / is not entered: {step:?}")
            })?,
        }
    }
    let at_last = count(&steps, |step| *step == Step::DetachOldRoot { last: true });
    require(!has_old && at_last == usize::from(entered > 0), || {
        format!("{entered} roots are entered, and {at_last} old ones go at last")
    })
}

fn each_list_has_its_end(plan: &Plan) -> Result<(), String> {
    let is_exec = |entry: &Entry| entry.step == Step::Exec;
    require(plan.command.last().is_some_and(is_exec), || {
        "the exec is not the last".to_string()
    })?;
    let last = plan.init.last().map(|entry| entry.step);
    let lives = match last {
        Some(last) => matches!(last, Step::Supervise { .. }),
        None => true,
    };
    require(lives, || format!("init ends with {last:?}"))?;
    let has_init = !plan.init.is_empty();
    for (name, list, alone) in [
        ("setup", &plan.setup, false),
        ("init", &plan.init, false),
        ("command", &plan.command, true),
    ] {
        let fits = StepNumber::try_from(list.len()).is_ok();
        require(fits, || format!("{name} has {} steps", list.len()))?;
        for entry in list {
            let of_command = matches!(
                entry.step,
                Step::Exec
                    | Step::Ready
                    | Step::PassFd { .. }
                    | Step::StandardAs { .. }
                    | Step::RestoreSignalMask
                    | Step::ScopeSockets
                    | Step::Restrict { .. }
                    | Step::JoinUserNamespace { .. }
                    | Step::LimitUserNamespaces { .. }
                    | Step::RequireNoUserNamespaces
                    | Step::EnterUserNamespace { .. }
                    | Step::LockMounts
                    | Step::Program { .. }
                    | Step::LimitCapabilities { .. }
                    | Step::SetLimit { .. }
                    | Step::ListenToFilter
                    | Step::Filter {
                        of: FilterOf::Command | FilterOf::Files { .. }
                    }
            );
            require(alone || !of_command, || {
                format!("{name} does {:?}", entry.step)
            })?;
            let of_trial = matches!(entry.step, Step::Ask(_));
            let only_instead = matches!(
                entry.step,
                Step::KeepProc { .. }
                    | Step::KeepSockets
                    | Step::KeepNamespace { .. }
                    | Step::KeepKeyring
                    | Step::LeaveOut
            );
            require(!of_trial && !only_instead, || {
                format!("{name} does {:?}", entry.step)
            })?;
        }
    }
    let steps = steps(plan);
    for (what, wanted) in [
        ("exec", 1),
        ("ready", usize::from(!has_init)),
        ("spawn", usize::from(has_init)),
        ("supervise", usize::from(has_init)),
    ] {
        let found = count(&steps, |step| match step {
            Step::Exec => what == "exec",
            Step::Ready => what == "ready",
            Step::SpawnCommand { .. } => what == "spawn",
            Step::Supervise { .. } => what == "supervise",
            _ => false,
        });
        require(found == wanted, || format!("{what} is there {found} times"))?;
    }
    Ok(())
}

fn the_order_of_a_launch_holds(plan: &Plan) -> Result<(), String> {
    let steps = steps(plan);
    let at = |wanted: fn(&Step) -> bool| steps.iter().position(wanted);
    let last = |wanted: fn(&Step) -> bool| steps.iter().rposition(wanted);
    let maps = at(|step| matches!(step, Step::AwaitIdMaps));
    let of_group = |step: &Step| {
        *step
            == Step::Unshare {
                flag: libc::CLONE_NEWCGROUP,
            }
    };
    let is_made = |step: &ParentStep| matches!(step, ParentStep::MakeGroup { .. });
    let has_group = plan.parent.iter().any(is_made);
    let namespaces = steps
        .iter()
        .rposition(|step| matches!(step, Step::Unshare { .. }) && !(has_group && of_group(step)));
    let late = steps.iter().position(|step| has_group && of_group(step));
    let private = at(|step| matches!(step, Step::MakePrivate));
    let taken = last(|step| {
        matches!(
            step,
            Step::OpenTree { .. }
                | Step::OpenOverlay { .. }
                | Step::OpenProc { .. }
                | Step::RequireSame { .. }
        )
    });
    let laid = at(lays);
    let really = at(|step| *step == Step::DetachOldRoot { last: true });
    let last_mount = last(|step| lays(step) || matches!(step, Step::Mount { .. }));
    let stage = at(|step| matches!(step, Step::CloseStage { .. }));
    let directory = at(|step| {
        matches!(
            step,
            Step::ChangeDirectory { .. } | Step::ChangeToFirst { .. }
        )
    });
    let children = at(|step| *step == Step::Subreaper);
    let mounted = at(|step| lays(step) || matches!(step, Step::Mount { .. }));
    let started = at(|step| *step == Step::StartNetwork);
    let joined = at(|step| *step == Step::JoinNetwork);
    let loopback = at(|step| *step == Step::LoopbackUp);
    let privileges = at(|step| *step == Step::NoNewPrivileges);
    let scoped = at(|step| *step == Step::ScopeSockets);
    let raised = at(|step| *step == Step::RaiseOpenFiles);
    // The host's /proc is held for a later step, whose room is there anyway.
    let held = steps.iter().find_map(|step| match step {
        Step::EnterUserNamespace { proc, .. } => Some(*proc),
        _ => None,
    });
    let first_taken = steps.iter().position(|step| match step {
        Step::OpenTree { slot, .. } => Some(*slot) != held,
        step => matches!(step, Step::OpenOverlay { .. }),
    });
    require(maps.is_some() == in_namespaces(plan), || {
        format!("ids: step {maps:?}")
    })?;
    let first = steps.iter().position(|step| *step != Step::Tie);
    let is_closing = |step: &Step| matches!(step, Step::CloseOthers | Step::CloseLaunchers);
    let closing = match plan.callers.inherits {
        true => Step::CloseLaunchers,
        false => Step::CloseOthers,
    };
    let closes_first = first.is_some_and(|first| steps[first] == closing);
    require(closes_first && count(&steps, is_closing) == 1, || {
        "first nothing of the caller's is to be open, or else nothing of the launcher's".to_string()
    })?;
    before(
        "namespaces are made while ids are awaited",
        namespaces,
        maps,
    )?;
    before("in the new group, then its namespace", maps, late)?;
    before("ids, then mounts", maps, private)?;
    before("ids, then sources", maps, first_taken)?;
    before("ids, then mounts of any kind", maps, mounted)?;
    before(
        "the list of children is opened while /proc is there",
        children,
        mounted,
    )?;
    filters_are_taken_last(plan)?;
    before("private, then sources", private, first_taken)?;
    before("room for sources", raised, first_taken)?;
    before(
        "sources are taken before anything is laid over them",
        taken,
        laid,
    )?;
    before("sources, then the stage goes", taken, stage)?;
    before("the stage goes, then views", stage, laid)?;
    before(
        "mounts, then the old root goes for good",
        last_mount,
        really,
    )?;
    before(
        "the old root is gone before a directory is chosen",
        really,
        directory,
    )?;
    before("mounts, then a directory is chosen", last_mount, directory)?;
    let freed = at(|step| *step == Step::RunAnywhere);
    before(
        "all processors, then whoever works on another",
        freed,
        started,
    )?;
    before("the network is made, then joined", started, joined)?;
    before(
        "the network is joined, then its loopback comes up",
        joined,
        loopback,
    )?;
    before(
        "no privileges, then rules that need that",
        privileges,
        scoped,
    )?;
    // Its maker ends with the PID namespace at the latest: nobody waits for it where the launch fails before the join.
    let own_pids = plan.clone_flags & libc::CLONE_NEWPID as u64 != 0;
    require(own_pids || started.is_none(), || {
        "a network is made by a process that may be left behind".to_string()
    })
}

/// A filter leaves no room for what comes after it: the command's own stands right before its exec, and one that it has
/// from init right before it is started. Each is there, and is needed; and where it is not init's capability that allows
/// it, no new privileges are.
fn filters_are_taken_last(plan: &Plan) -> Result<(), String> {
    let last = |list: &[Entry], is: fn(&Step) -> bool| list.iter().rposition(|it| is(&it.step));
    let own = |step: &Step| {
        matches!(
            step,
            Step::ListenToFilter
                | Step::Filter {
                    of: FilterOf::Command
                }
        )
    };
    let both = |step: &Step| *step == Step::Filter { of: FilterOf::Both };
    let of_init = |step: &Step| *step == Step::Filter { of: FilterOf::Init };
    let spawn = last(&plan.init, |step| matches!(step, Step::SpawnCommand { .. }));
    for (what, filter, next) in [
        (
            "the exec comes right after the command's filter",
            last(&plan.command, own),
            Some(plan.command.len() - 1),
        ),
        (
            "the start comes right after the filter that the command inherits",
            last(&plan.init, both),
            spawn,
        ),
        (
            "init's own filter is the last that it takes",
            last(&plan.init, of_init),
            plan.init.len().checked_sub(1),
        ),
    ] {
        require(filter.is_none_or(|filter| Some(filter + 1) == next), || {
            format!("{what}: steps {filter:?} and {next:?}")
        })?;
    }
    let takes_rightly =
        |pair: &[Entry]| pair[0].step == Step::NoNewPrivileges && of_init(&pair[1].step);
    let rightly = plan.init.windows(2).filter(|pair| takes_rightly(pair));
    require(rightly.count() == count_of(&plan.init, of_init), || {
        "init takes a filter before it gives up new privileges".to_string()
    })?;
    let is_program = |entry: &Entry| matches!(entry.step, Step::Program { .. });
    let exec = plan.command.len() - 1;
    let programs = plan
        .command
        .iter()
        .filter(|entry| is_program(entry))
        .count();
    let last_ones = &plan.command[exec - programs..exec];
    require(last_ones.iter().all(is_program), || {
        "the exec comes right after the caller's filters".to_string()
    })?;
    before(
        "the command starts, then init's own filter",
        spawn,
        last(&plan.init, of_init),
    )?;
    let steps = steps(plan);
    for (step, filter) in steps.iter().filter_map(|step| match step {
        Step::Filter { of } => Some((step, &plan.filters[of.index()])),
        _ => None,
    }) {
        require(!filter.is_empty(), || format!("{step:?} has nothing in it"))?;
    }
    let filters = count(&steps, |step| own(step) || both(step));
    pair(
        "filter",
        filters,
        usize::from(!plan.filters[FilterOf::Command.index()].is_empty()),
        1,
    )
}

fn what_was_asked_for_is_done(plan: &Plan, spec: &Spec, facts: &Facts) -> Result<(), String> {
    let steps = steps(plan);
    let asked = |what: &str, wanted: bool, step: fn(&Step) -> bool| {
        let found = count(&steps, step);
        require(found == usize::from(wanted), || {
            format!("{what}: {wanted}, and done {found} times")
        })
    };
    let no_new = count_of(&plan.command, |step| *step == Step::NoNewPrivileges);
    require((no_new == 1) != spec.allow_new_privs && no_new < 2, || {
        format!("no new privileges: {no_new} times")
    })?;
    let built = !matches!(spec.seccomp, Seccomp::None | Seccomp::Programs(_));
    asked("filter", built, |step| {
        matches!(
            step,
            Step::Filter {
                of: FilterOf::Command | FilterOf::Both
            }
        )
    })?;
    asked("files", !spec.namespaces, |step| {
        matches!(
            step,
            Step::Filter {
                of: FilterOf::Files { .. }
            }
        )
    })?;
    asked("capabilities", spec.namespaces, |step| {
        matches!(step, Step::LimitCapabilities { .. })
    })?;
    let has_any = spec.seccomp != Seccomp::None;
    let shared = |step: &Step| *step == Step::Filter { of: FilterOf::Both };
    let alone = spec.init && has_any && count(&steps, shared) == 0;
    asked("filter of init", alone, |step| {
        *step == Step::Filter { of: FilterOf::Init }
    })?;
    asked("loopback", spec.net == Net::None, |step| {
        *step == Step::LoopbackUp
    })?;
    asked("host name", spec.hostname.is_some(), |step| {
        matches!(step, Step::SetHostname { .. })
    })?;
    let roots = count(&steps, |step| matches!(step, Step::EnterRoot { .. }));
    let own_root = usize::from(!spec.root.is_host());
    let pairs = plan.setup.iter().zip(plan.setup.iter().skip(1));
    let is_entered = |next: &Entry| match next.step {
        Step::EnterRoot { path } => plan.arena.get(path) == c"/..",
        _ => false,
    };
    let views = pairs.filter(|(entry, next)| is_at_root(plan, &entry.step) && is_entered(next));
    let views = views.count();
    require(roots == own_root + views, || {
        format!("{roots} roots are entered, {views} of them views")
    })?;
    asked("directory", true, |step| {
        matches!(
            step,
            Step::ChangeDirectory { .. } | Step::ChangeToFirst { .. }
        )
    })?;
    let passed = steps.iter().filter_map(|step| match step {
        Step::PassFd { fd } => Some(*fd),
        _ => None,
    });
    require(passed.eq(plan.pass_fds.iter().copied()), || {
        "other descriptors are passed".to_string()
    })?;
    let steps_down = plan
        .setup
        .iter()
        .chain(&plan.command)
        .any(|entry| entry.instead.is_some());
    require(!spec.strict || !steps_down, || {
        "strict steps down".to_string()
    })?;
    require(plan.init.is_empty() != spec.init, || {
        "there is an init, or there is none".to_string()
    })?;
    let own_pids = plan.clone_flags & libc::CLONE_NEWPID as u64 != 0;
    require(own_pids != spec.shares(Share::Pid), || {
        "process ids are new, or not".to_string()
    })?;
    require(in_namespaces(plan) == spec.namespaces, || {
        "there are namespaces, or there are none".to_string()
    })?;
    let core = count(&steps, |step| {
        matches!(step, Step::SetLimit { resource: 4, .. })
    });
    let is_core = |limit: &Ulimit| limit.resource.number == libc::RLIMIT_CORE as u8;
    let limited = !spec.core_files || spec.ulimits.iter().any(is_core);
    require(core == usize::from(limited), || {
        format!("core files are limited {core} times")
    })?;
    let piped = spec.stdio == Stdio::Pipe || facts.detached;
    require(piped || plan.pipes.is_empty(), || {
        "there are pipes".to_string()
    })?;
    let clocks = spec.monotonic.is_some() || spec.boottime.is_some();
    asked("clocks", clocks, |step| {
        matches!(step, Step::SetClocks { .. })
    })?;
    let shares_memory = plan.clone_flags & libc::CLONE_VM as u64 != 0;
    // Who may look at init may look at the launcher.
    let shares = own_pids
        && !clocks
        && !spec.announced
        && spec.oom_score_adj.is_none()
        && spec.descriptors.pid_namespace.is_none();
    require(shares_memory == shares, || {
        "memory is shared where the end of process 1 is the end of all".to_string()
    })
}

fn what_the_host_makes_necessary_is_done(
    plan: &Plan,
    spec: &Spec,
    facts: &Facts,
) -> Result<(), String> {
    let steps = steps(plan);
    require(
        (steps[0] == Step::Tie) == (spec.lives == Lives::Tied && (facts.main_thread || !spec.init)),
        || "tied to the launching thread, or not".to_string(),
    )?;
    let closed = steps.iter().rposition(|step| {
        matches!(
            step,
            Step::Seal {
                if_writable: false,
                ..
            }
        )
    });
    let required = steps
        .iter()
        .position(|step| matches!(step, Step::RequireClosed { .. }));
    let may_be_renamed = matches!(spec.root, Root::Directory(_)) && !spec.root.is_host();
    let wanted = may_be_renamed && !facts.guarded.is_empty();
    require(required.is_some() == wanted, || {
        "what is closed in /proc is made sure of, or not".to_string()
    })?;
    before(
        "closed, then made sure of",
        closed.filter(|_| wanted),
        required,
    )?;
    let set = count(&steps, |step| {
        matches!(
            step,
            Step::SetSignal {
                signal: libc::SIGCHLD,
                ..
            }
        )
    });
    require((set > 0) == facts.ignores_sigchld, || {
        "SIGCHLD is set for no reason".to_string()
    })
}
