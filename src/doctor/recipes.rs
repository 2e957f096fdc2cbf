//! How each gate is tried: the namespaces of a process of its own, and what it does there.

use crate::child::step::{Attributes, Question, Slot, Step};
use crate::error::Result;
use crate::host::gate::Gate;
use crate::plan::{Arena, Plan};

/// A directory that is there wherever id maps can be written, to mount on.
const PLACE: &str = "/proc";

/// What has to work before `gate` can be tried at all.
pub fn needs(gate: Gate) -> &'static [Gate] {
    match gate {
        Gate::Process | Gate::Cgroups => &[],
        Gate::IdMaps => &[Gate::User],
        Gate::Capabilities => &[Gate::IdMaps],
        Gate::Hostname => &[Gate::Uts],
        Gate::Pid | Gate::Mount | Gate::Ipc | Gate::Uts | Gate::Cgroup | Gate::Net | Gate::Time => {
            &[Gate::IdMaps]
        }
        Gate::Together => &[Gate::Pid, Gate::Mount],
        Gate::PrivateMounts => &[Gate::Mount],
        Gate::Bind | Gate::Tmpfs | Gate::MountSetattr => &[Gate::PrivateMounts],
        Gate::Overlay | Gate::Devpts | Gate::PivotRoot => &[Gate::Tmpfs],
        Gate::Mqueue => &[Gate::PrivateMounts, Gate::Ipc],
        Gate::Proc => &[Gate::PrivateMounts, Gate::Pid],
        Gate::Sysfs => &[Gate::PrivateMounts, Gate::Net],
        Gate::Loopback | Gate::Tun => &[Gate::Net],
        _ => &[Gate::Process],
    }
}

/// The plan that tries `gate`; none for one that is not a matter of trying.
///
/// # Errors
/// None that a string without NUL makes.
pub fn plan(gate: Gate, ids: (u32, u32)) -> Result<Option<Plan>> {
    let user = libc::CLONE_NEWUSER as u64;
    let pid = libc::CLONE_NEWPID as u64;
    let inside = |steps: fn(&mut Arena, Slot) -> Result<Vec<Step>>| {
        Plan::trial(user, Some(ids), |arena, slot| {
            let private = [unshare(libc::CLONE_NEWNS), Step::MakePrivate];
            Ok([&private[..], &steps(arena, slot)?].concat())
        })
    };
    let namespace = |flag| Plan::trial(user, Some(ids), move |_, _| Ok(vec![unshare(flag)]));
    let ask = |question| Plan::trial(0, None, move |_, _| Ok(vec![Step::Ask(question)]));
    match gate {
        Gate::Process => Plan::trial(0, None, |_, _| Ok(Vec::new())),
        Gate::User => Plan::trial(user, None, |_, _| Ok(Vec::new())),
        Gate::IdMaps => Plan::trial(user, Some(ids), |_, _| Ok(Vec::new())),
        Gate::Pid => Plan::trial(user | pid, Some(ids), |_, _| Ok(Vec::new())),
        Gate::Mount => namespace(libc::CLONE_NEWNS),
        Gate::Ipc => namespace(libc::CLONE_NEWIPC),
        Gate::Uts => namespace(libc::CLONE_NEWUTS),
        Gate::Cgroup => namespace(libc::CLONE_NEWCGROUP),
        Gate::Net => namespace(libc::CLONE_NEWNET),
        Gate::Time => Plan::trial(user, Some(ids), |arena, _| {
            let offsets = arena.text("monotonic 1 0\n")?;
            Ok(vec![
                unshare(libc::CLONE_NEWTIME),
                Step::SetClocks { offsets },
            ])
        }),
        Gate::Together => Plan::trial(user | pid, Some(ids), |_, _| {
            let kinds = [
                libc::CLONE_NEWNS,
                libc::CLONE_NEWIPC,
                libc::CLONE_NEWUTS,
                libc::CLONE_NEWCGROUP,
                libc::CLONE_NEWNET,
            ];
            Ok(kinds.map(unshare).to_vec())
        }),
        Gate::PrivateMounts => inside(|_, _| Ok(Vec::new())),
        Gate::Bind => inside(bind),
        Gate::Tmpfs => inside(|arena, _| Ok(vec![mount(arena, "tmpfs", "")?])),
        Gate::Overlay => inside(overlay),
        Gate::Devpts => inside(|arena, _| {
            let options = "newinstance,ptmxmode=0666,mode=0620";
            Ok(vec![mount(arena, "devpts", options)?])
        }),
        Gate::Mqueue => inside(|arena, _| {
            Ok(vec![
                unshare(libc::CLONE_NEWIPC),
                mount(arena, "mqueue", "")?,
            ])
        }),
        Gate::Proc => Plan::trial(user | pid, Some(ids), |arena, _| {
            Ok(vec![
                unshare(libc::CLONE_NEWNS),
                Step::MakePrivate,
                mount(arena, "proc", "")?,
            ])
        }),
        Gate::Sysfs => inside(|arena, _| Ok(vec![unshare(libc::CLONE_NEWNET), sysfs(arena)?])),
        Gate::PivotRoot => inside(|arena, _| {
            let tmpfs = mount(arena, "tmpfs", "")?;
            let path = arena.text(PLACE)?;
            Ok(vec![tmpfs, Step::EnterRoot { path }])
        }),
        Gate::MountSetattr => inside(|_, _| Ok(vec![Step::Ask(Question::MountSetattr)])),
        Gate::OpenTree => ask(Question::OpenTree),
        Gate::OpenAt2 => ask(Question::OpenAt2),
        Gate::Clone3 => ask(Question::Clone3),
        Gate::CloseRange => ask(Question::CloseRange),
        Gate::Pidfd => ask(Question::Pidfd),
        Gate::Loopback => Plan::trial(user, Some(ids), |_, _| {
            Ok(vec![unshare(libc::CLONE_NEWNET), Step::LoopbackUp])
        }),
        Gate::Tun => Plan::trial(user, Some(ids), |_, _| {
            Ok(vec![unshare(libc::CLONE_NEWNET), Step::Ask(Question::Tun)])
        }),
        Gate::Pty => Plan::trial(0, None, |_, _| Ok(vec![Step::OpenTerminal])),
        Gate::Hostname => Plan::trial(user, Some(ids), |arena, _| {
            let name = arena.text("rootlet")?;
            Ok(vec![
                unshare(libc::CLONE_NEWUTS),
                Step::SetHostname { name },
            ])
        }),
        Gate::Capabilities => Plan::trial(user, Some(ids), |_, _| Ok(vec![Step::LimitInit])),
        Gate::Keyring => Plan::trial(0, None, |_, _| Ok(vec![Step::NewKeyring])),
        Gate::Seccomp => ask(Question::Filter),
        Gate::Landlock => ask(Question::Landlock),
        Gate::Cgroups => return Ok(None),
    }
    .map(Some)
}

fn unshare(flag: i32) -> Step {
    Step::Unshare { flag }
}

fn mount(arena: &mut Arena, kind: &str, options: &str) -> Result<Step> {
    Ok(Step::Mount {
        kind: arena.text(kind)?,
        target: arena.text(PLACE)?,
        flags: libc::MS_NOSUID as u32,
        options: arena.text(options)?,
    })
}

/// As launches mount it: where the host's is read-only, no other may be had (mount_namespaces(7)).
fn sysfs(arena: &mut Arena) -> Result<Step> {
    Ok(Step::Mount {
        kind: arena.text("sysfs")?,
        target: arena.text(PLACE)?,
        flags: (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY) as u32,
        options: arena.text("")?,
    })
}

fn bind(arena: &mut Arena, slot: Slot) -> Result<Vec<Step>> {
    let path = arena.text("/")?;
    Ok(vec![
        Step::OpenTree {
            path,
            slot,
            attributes: Attributes::NONE,
            optional: false,
        },
        Step::Attach {
            slot,
            target: arena.text(PLACE)?,
            attributes: Attributes::NONE,
        },
    ])
}

fn overlay(arena: &mut Arena, slot: Slot) -> Result<Vec<Step>> {
    let mut steps = vec![mount(arena, "tmpfs", "")?];
    let mut layer = |name: &str| {
        let path = arena.text(format!("{PLACE}/{name}"))?;
        steps.push(Step::MakeDirectory { path, mode: 0o700 });
        Ok(path)
    };
    let (lower, upper, work) = (layer("lower")?, layer("upper")?, layer("work")?);
    steps.push(Step::OpenOverlay {
        lower,
        upper: Some(upper),
        work: Some(work),
        volatile: true,
        slot,
    });
    Ok(steps)
}
