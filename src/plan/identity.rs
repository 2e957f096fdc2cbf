//! Which ids are mapped, and how one comes to have them.

use crate::error::{Error, Result};
use crate::host::Facts;
use crate::spec::{IdRange, Rung, Spec, User};

/// The most lines that the kernel takes in a map (user_namespaces(7), Linux 4.15).
const MOST_LINES: usize = 340;

/// The decided identity.
pub struct Ids {
    /// The user id inside.
    pub uid: u32,
    /// The group id inside.
    pub gid: u32,
    /// The lines of uid_map.
    pub uid_map: Vec<IdRange>,
    /// The lines of gid_map.
    pub gid_map: Vec<IdRange>,
    /// The user and group id inside that have to be changed to, when the caller's own are not those.
    pub change: Option<(u32, u32)>,
    /// Whether setgroups(2) is denied for good, which is what an ordinary user has to pay for writing gid_map.
    pub deny_setgroups: bool,
    /// Ranges that cannot be mapped, and of which the caller can do without.
    pub stepped_down: Vec<String>,
}

impl Ids {
    pub fn new(spec: &Spec, facts: &Facts) -> Result<Ids> {
        if !spec.namespaces {
            return Ok(Ids::unmapped(facts));
        }
        let (uid, gid) = match spec.user {
            User::Root => (0, 0),
            User::Keep => (facts.uid, facts.gid),
            User::Ids { uid, gid } => (uid, gid),
        };
        if spec.descriptors.user_namespace.is_some() {
            return Ok(Ids {
                uid,
                gid,
                change: (spec.user != User::Keep).then_some((uid, gid)),
                ..Ids::unmapped(facts)
            });
        }
        let users = Side {
            name: "user",
            flag: "uidmap",
            own: facts.uid,
            may_map: facts.may_map_users,
        };
        let groups = Side {
            name: "group",
            flag: "gidmap",
            own: facts.gid,
            may_map: facts.may_map_groups,
        };
        let mut stepped_down = Vec::new();
        let optional = spec.may_step_down(Rung::Ids);
        let mut map = |side: &Side, asked: &[IdRange], id| match side.map(asked, id) {
            Err(error) if optional && !side.may_write(asked) => {
                let own = side.own;
                stepped_down.push(format!(
                    "{error}; instead: map one {} id: {id} inside is {own} outside",
                    side.name
                ));
                side.map(&[], id)
            }
            result => result,
        };
        let uid_map = map(&users, &spec.uid_map, uid)?;
        let gid_map = map(&groups, &spec.gid_map, gid)?;
        let stays = users.is_own(&uid_map, uid) && groups.is_own(&gid_map, gid);
        Ok(Ids {
            uid,
            gid,
            change: (!stays).then_some((uid, gid)),
            deny_setgroups: spec.gid_map.is_empty() || !facts.may_map_groups,
            stepped_down,
            uid_map,
            gid_map,
        })
    }
}

impl Ids {
    /// One stays who one is, without any map.
    fn unmapped(facts: &Facts) -> Ids {
        Ids {
            uid: facts.uid,
            gid: facts.gid,
            uid_map: Vec::new(),
            gid_map: Vec::new(),
            change: None,
            deny_setgroups: false,
            stepped_down: Vec::new(),
        }
    }
}

/// The lines as the kernel takes them.
pub fn lines(map: &[IdRange]) -> String {
    map.iter()
        .map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count))
        .collect()
}

/// What is alike for users and groups.
struct Side {
    name: &'static str,
    flag: &'static str,
    own: u32,
    may_map: bool,
}

impl Side {
    /// The map that is asked for, or the one line that an ordinary user may write: its own id.
    fn map(&self, asked: &[IdRange], target: u32) -> Result<Vec<IdRange>> {
        if asked.is_empty() {
            return Ok(vec![IdRange {
                inside: target,
                outside: self.own,
                count: 1,
            }]);
        }
        self.check(asked)?;
        if asked.iter().all(|range| range.outside_of(target).is_none()) {
            return Err(Error::usage(format!(
                "{} {target} is to be the {} inside, but no --{} maps it",
                self.name, self.name, self.flag
            ))
            .with_hint(format!(
                "map it too, or choose one that is mapped with -u UID:GID: --{} {}",
                self.flag, asked[0]
            )));
        }
        Ok(asked.to_vec())
    }

    /// Whether the kernel lets the caller write these lines: any with the capability to set ids, else one, of its own id.
    fn may_write(&self, asked: &[IdRange]) -> bool {
        self.may_map || matches!(asked, [range] if range.count == 1 && range.outside == self.own)
    }

    fn check(&self, asked: &[IdRange]) -> Result<()> {
        if !self.may_write(asked) {
            let hint = format!(
                "leave --{} out, or give `--{} IN:{}:1`; more ids need the capability to set them in this user namespace \
                 (root in a CI container has it), and rootlet never calls newuidmap",
                self.flag, self.flag, self.own
            );
            let said = format!(
                "an ordinary user may map one {} id, its own, {}: --{} {}",
                self.name, self.own, self.flag, asked[0]
            );
            return Err(Error::usage(said).with_hint(hint));
        }
        if asked.len() > MOST_LINES {
            return Err(Error::usage(format!(
                "{} --{} are more than the {MOST_LINES} lines of a map",
                asked.len(),
                self.flag
            )));
        }
        for (number, a) in asked.iter().enumerate() {
            for b in &asked[..number] {
                if overlap(a.inside, b.inside, a.count, b.count)
                    || overlap(a.outside, b.outside, a.count, b.count)
                {
                    return Err(Error::usage(format!(
                        "--{} {b} and --{} {a} overlap",
                        self.flag, self.flag
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether the caller's own id is `target` inside.
    fn is_own(&self, map: &[IdRange], target: u32) -> bool {
        map.iter()
            .any(|range| range.outside_of(target) == Some(self.own))
    }
}

fn overlap(a: u32, b: u32, a_count: u32, b_count: u32) -> bool {
    let (a, b) = (u64::from(a), u64::from(b));
    a < b + u64::from(b_count) && b < a + u64::from(a_count)
}
