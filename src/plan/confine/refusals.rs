//! What cannot be without namespaces, each by its name.

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::host::tree::Kind;
use crate::plan::confine::rights;
use crate::plan::views::{absolute, check_target, name};
use crate::spec::{Missing, Mount, Nesting, Net, Places, Proc, Spec, User, Without};
use std::path::{Component, Path, PathBuf};

/// Refuses what needs a namespace.
///
/// # Errors
/// The first such thing.
pub fn refuse(spec: &Spec, facts: &Facts) -> Result<()> {
    if spec.namespaces {
        return Ok(());
    }
    if let Some((option, needs)) = options(spec, facts)
        .into_iter()
        .find_map(|(is_asked, option, needs)| is_asked.then_some((option, needs)))
    {
        return Err(Error::usage(format!("{option} needs {needs}"))
            .with_hint(format!("leave out --no-namespaces or {option}")));
    }
    if spec.mounts.len() != facts.tree.places.len() {
        return Err(Error::broken("the facts were gathered for another spec"));
    }
    let mut views = spec.mounts.iter().zip(&facts.tree.places);
    views.try_for_each(|(mount, place)| {
        refuse_view(mount, place.as_ref().map(|found| found.kind), facts)
    })
}

/// Each option that needs a namespace: whether it is asked for, its name, and what it needs.
fn options<'a>(spec: &Spec, facts: &Facts) -> [(bool, &'a str, &'a str); 24] {
    let other_ids = |user| match user {
        User::Root | User::Keep => false,
        User::Ids { uid, gid } => (uid, gid) != (facts.uid, facts.gid),
    };
    let users = "a user namespace";
    [
        (other_ids(spec.user), "--user", users),
        (!spec.uid_map.is_empty(), "--uidmap", users),
        (!spec.gid_map.is_empty(), "--gidmap", users),
        (!spec.cap_add.is_empty(), "--cap-add", users),
        (!spec.cap_drop.is_empty(), "--cap-drop", users),
        (spec.net == Net::None, "--net none", "a network namespace"),
        (
            spec.nice.is_some(),
            "--nice",
            "a process that waits for its id maps; nice(1) before rootlet does it too",
        ),
        (
            spec.oom_score_adj.is_some(),
            "--oom-score-adj",
            "a process that waits for its id maps; choom(1) before rootlet does it too",
        ),
        (spec.hostname.is_some(), "--hostname", "a UTS namespace"),
        (spec.boottime.is_some(), "--boottime", "a time namespace"),
        (spec.monotonic.is_some(), "--monotonic", "a time namespace"),
        (!spec.root.is_host(), "--root", "a mount namespace"),
        (
            spec.proc == Some(Proc::Fresh),
            "--proc fresh",
            "a PID namespace",
        ),
        (
            spec.proc == Some(Proc::None),
            "--proc none",
            "a mount namespace",
        ),
        (
            !spec.init,
            "--no-init",
            "a PID namespace, whose end is the end of all that the command leaves",
        ),
        (
            spec.allow_new_privs,
            "--allow-new-privs",
            "namespaces: Landlock and system call filters are for those who can gain no privileges",
        ),
        (spec.ambient, "ambient", users),
        (spec.nesting != Nesting::Allowed, "nesting", users),
        (spec.descriptors.id_maps.is_some(), "id-maps", users),
        (
            spec.descriptors.user_namespace.is_some(),
            "user-namespace",
            "namespaces, of which this is one",
        ),
        (
            spec.descriptors.last_user_namespace.is_some(),
            "last-user-namespace",
            "namespaces, of which this is one",
        ),
        (
            spec.descriptors.pid_namespace.is_some(),
            "pid-namespace",
            "namespaces, of which this is one",
        ),
        (spec.announced, "announced", "namespaces to tell of"),
        (
            spec.places == Places::Anywhere,
            "places",
            "a mount namespace",
        ),
    ]
}

/// Refuses a view that is not of the host's files where they are.
fn refuse_view(mount: &Mount, place: Option<Kind>, facts: &Facts) -> Result<()> {
    let name = name(mount);
    let wrong = |why: &str| {
        Err(Error::usage(format!("{name}: {why}")).with_hint("leave it out, or --no-namespaces"))
    };
    match mount {
        Mount::Bind {
            source,
            target,
            without,
            missing,
            ..
        } => {
            let path = absolute(source, facts)?;
            check_target(mount, &path)?;
            if *without != Without::default() {
                return wrong(
                    "to take devices or set-user-ID programs from it needs a mount namespace",
                );
            }
            if target
                .as_ref()
                .is_some_and(|target| plain(target) != plain(&path))
            {
                return wrong("to show something at another place needs a mount namespace");
            }
            match (place, missing) {
                (None, Missing::Refused) => Err(Error::usage(format!(
                    "{name}: it is not there, or out of reach"
                ))
                .with_hint("-v SRC,optional leaves it out then")),
                (None, Missing::Created) => Err(Error::usage(format!(
                    "{name}: it is not there, and without namespaces nothing is made"
                ))
                .with_hint(format!("mkdir -p {}", path.display()))),
                _ => Ok(()),
            }
        }
        Mount::Mask { target } => {
            check_target(mount, &absolute(target, facts)?)?;
            match place {
                Some(Kind::Socket) if facts.landlock.unwrap_or(0) < rights::SOCKETS => wrong(
                    "it is a socket, to which Landlock lets everybody connect before its version 9",
                ),
                _ => Ok(()),
            }
        }
        _ => wrong("it needs a mount namespace"),
    }
}

/// `path` without what says nothing.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}
