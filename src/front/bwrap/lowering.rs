//! What the options come to: which of them contradict each other, and the [`Spec`].

use super::Launch;
use super::reader::{Reader, Refusal};
use crate::spec::{
    Capabilities, Capability, Descriptors, IdRange, Kernel, Keyring, Lives, Missing, Mount,
    Nesting, Net, Places, Proc, Propagation, Root, Rung, Seccomp, Share, Signals, Spec, Tty, User,
    Without,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the meaning of a line depends on, besides the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// The lines of its own id maps, of users and of groups, as /proc/self has them.
    pub maps: [Vec<IdRange>; 2],
    /// The variable HOME.
    pub home: Option<OsString>,
    /// The variable PWD, where it says what the working directory is.
    pub pwd: Option<PathBuf>,
    /// The terminal that is its standard output.
    pub terminal: Option<PathBuf>,
}

/// Something that is done to the files, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation {
    /// A view.
    View(Mount),
    /// /proc, of whatever processes there are.
    Proc(PathBuf),
    /// A small /dev.
    Dev(PathBuf),
}

/// Parts of /proc that can be used to change the machine: nobody but the machine's root can write them, and that one should
/// not either.
const GUARDED: [&str; 4] = ["sys", "sysrq-trigger", "irq", "bus"];

impl Reader {
    fn has(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    fn unshares(&self, switch: &str) -> bool {
        self.has("--unshare-all") || self.has(switch)
    }

    /// Whether options that are there can be there together.
    pub(super) fn agree(&self, _caller: &Caller) -> Result<(), Refusal> {
        let user = self.has("--unshare-user");
        let try_user = self.unshares("--unshare-user-try");
        let disables = self.has("--disable-userns");
        let (blocked, joined) = (self.userns_block_fd.is_some(), self.userns.is_some());
        first_of(&[
            (
                blocked && !user,
                "--userns-block-fd requires --unshare-user",
            ),
            (
                blocked && self.info_fd.is_none(),
                "--userns-block-fd requires --info-fd",
            ),
            (joined && user, "--userns not compatible --unshare-user"),
            (
                joined && try_user,
                "--userns not compatible --unshare-user-try",
            ),
            (
                disables && !user,
                "--disable-userns requires --unshare-user",
            ),
            (
                disables && blocked,
                "--disable-userns is not compatible with  --userns-block-fd",
            ),
        ])
    }

    /// Whether what some options need is there.
    pub(super) fn require(&self, caller: &Caller) -> Result<(), Refusal> {
        let has_user = caller.uid != 0
            || self.userns.is_some()
            || self.has("--unshare-user")
            || self.unshares("--unshare-user-try");
        let other = |asked: Option<u32>, own| asked.is_some_and(|id| id != own);
        let first = self.has("--as-pid-1");
        first_of(&[
            (
                !has_user && other(self.uid, caller.uid),
                "Specifying --uid requires --unshare-user or --userns",
            ),
            (
                !has_user && other(self.gid, caller.gid),
                "Specifying --gid requires --unshare-user or --userns",
            ),
            (
                self.hostname.is_some() && !self.unshares("--unshare-uts"),
                "Specifying --hostname requires --unshare-uts",
            ),
            (
                first && !self.unshares("--unshare-pid"),
                "Specifying --as-pid-1 requires --unshare-pid",
            ),
            (
                first && !self.locks.is_empty(),
                "Specifying --as-pid-1 and --lock-file is not permitted",
            ),
        ])
    }

    /// What all of it comes to.
    pub(super) fn lower(&mut self, command: Vec<OsString>, caller: &Caller) -> Launch {
        let die_with_parent = self.has("--die-with-parent");
        let new_pids = self.unshares("--unshare-pid");
        let held: Vec<i32> = self.sync_fd.into_iter().collect();
        // Without a PID namespace nobody but an init can end what the command leaves.
        let init = !self.has("--as-pid-1")
            && (new_pids || die_with_parent || !self.locks.is_empty() || !held.is_empty());
        let mut mounts = self.views(caller);
        let root = root_of(&mut mounts);
        let (cap_add, cap_drop) = words_for(self.capabilities);
        let user = match (self.uid, self.gid) {
            (None, None) => User::Keep,
            (uid, gid) => User::Ids {
                uid: uid.unwrap_or(caller.uid),
                gid: gid.unwrap_or(caller.gid),
            },
        };
        let [uid_map, gid_map] = self.id_maps(caller);
        let home = self.home(caller);
        let (workdir, workdir_else) = match &self.chdir {
            Some(path) => (Some(path.clone()), Vec::new()),
            None => (
                caller.pwd.clone(),
                home.into_iter().chain([PathBuf::from("/")]).collect(),
            ),
        };
        let spec = Spec {
            command,
            argv0: self.argv0.take(),
            user,
            uid_map,
            gid_map,
            net: match self.shares_net || !self.unshares("--unshare-net") {
                true => Net::Host,
                false => Net::None,
            },
            share: self.shared(),
            hostname: self.hostname.take(),
            root,
            proc: Some(Proc::Host),
            workdir,
            workdir_else,
            set_pwd: true,
            clear_env: self.environment.clear,
            unset_env: std::mem::take(&mut self.environment.unset),
            env: std::mem::take(&mut self.environment.set)
                .into_iter()
                .map(|(mut name, value)| {
                    name.push("=");
                    name.push(value);
                    name
                })
                .collect(),
            descriptors: Descriptors {
                inherit: true,
                held,
                awaited: self.block_fd,
                id_maps: self.userns_block_fd,
                user_namespace: self.userns,
                last_user_namespace: self.userns2,
                pid_namespace: self.pidns,
            },
            init,
            lives: match die_with_parent {
                true => Lives::Tied,
                false => Lives::Own,
            },
            signals: Signals::Own,
            locks: std::mem::take(&mut self.locks),
            announced: self.info_fd.is_some() || self.json_status_fd.is_some(),
            new_session: self.has("--new-session"),
            keyring: Keyring::Host,
            tty: Tty::Never,
            cap_add,
            cap_drop,
            ambient: true,
            core_files: true,
            nesting: match (
                self.has("--disable-userns"),
                self.has("--assert-userns-disabled"),
            ) {
                (true, _) => Nesting::Disabled,
                (false, true) => Nesting::Refused,
                (false, false) => Nesting::Allowed,
            },
            seccomp: self.seccomp(),
            require: vec![Rung::Proc],
            optional: self.optional(),
            unlocked: true,
            places: Places::Anywhere,
            propagation: Propagation::Slave,
            mounts,
            ..Spec::default()
        };
        Launch {
            told: self.told(&spec),
            spec,
            info_fd: self.info_fd,
            json_status_fd: self.json_status_fd,
            die_with_parent,
        }
    }

    /// The namespaces that stay the host's.
    fn shared(&self) -> Vec<Share> {
        let kinds = [
            (Share::Pid, self.unshares("--unshare-pid")),
            (Share::Ipc, self.unshares("--unshare-ipc")),
            (Share::Uts, self.unshares("--unshare-uts")),
            (
                Share::Cgroup,
                self.unshares("--unshare-cgroup") || self.has("--unshare-cgroup-try"),
            ),
        ];
        let shared = kinds.into_iter().filter(|(_, new)| !new);
        shared.map(|(share, _)| share).collect()
    }

    /// What may stay the host's where the host refuses it.
    fn optional(&self) -> Vec<Rung> {
        match self.has("--unshare-cgroup") {
            true => Vec::new(),
            false => vec![Rung::Cgroup],
        }
    }

    /// The namespaces whose ids are told.
    fn told(&self, spec: &Spec) -> Vec<&'static str> {
        let kinds = [
            ("cgroup", !spec.shares(Share::Cgroup)),
            ("ipc", !spec.shares(Share::Ipc)),
            ("mnt", true),
            ("net", spec.net == Net::None),
            ("pid", !spec.shares(Share::Pid)),
            ("uts", !spec.shares(Share::Uts)),
        ];
        let told = kinds.into_iter().filter(|(_, new)| *new);
        told.map(|(name, _)| name).collect()
    }

    /// Root that asks for no user namespace has one all the same: with all the ids that it has now.
    fn id_maps(&self, caller: &Caller) -> [Vec<IdRange>; 2] {
        let asks = self.has("--unshare-user") || self.unshares("--unshare-user-try");
        if caller.uid != 0 || asks || self.userns.is_some() {
            return [Vec::new(), Vec::new()];
        }
        let same = |map: &Vec<IdRange>| {
            let range = |range: &IdRange| IdRange {
                outside: range.inside,
                ..*range
            };
            map.iter().map(range).collect()
        };
        caller.maps.each_ref().map(same)
    }

    /// The variable HOME, as the options leave it.
    fn home(&self, caller: &Caller) -> Option<PathBuf> {
        let set = self.environment.set.iter().find(|(name, _)| name == "HOME");
        if let Some((_, value)) = set {
            return Some(value.into());
        }
        let gone =
            self.environment.clear || self.environment.unset.iter().any(|name| name == "HOME");
        caller.home.as_ref().filter(|_| !gone).map(PathBuf::from)
    }

    fn seccomp(&mut self) -> Seccomp {
        let programs: Vec<i32> = self
            .seccomp
            .into_iter()
            .chain(self.programs.drain(..))
            .collect();
        match programs.is_empty() {
            true => Seccomp::None,
            false => Seccomp::Programs(programs),
        }
    }

    fn views(&mut self, caller: &Caller) -> Vec<Mount> {
        let new_pids = self.unshares("--unshare-pid") || self.pidns.is_some();
        let mut views = Vec::new();
        for operation in std::mem::take(&mut self.operations) {
            match operation {
                Operation::View(mount) => views.push(mount),
                Operation::Proc(target) => {
                    let seal = |name| Mount::Seal {
                        target: target.join(name),
                    };
                    let guards = GUARDED.map(seal);
                    views.push(match new_pids {
                        true => Mount::Kernel {
                            kind: Kernel::Proc,
                            target,
                        },
                        false => bound("/proc".into(), target, true),
                    });
                    views.extend(guards);
                }
                Operation::Dev(target) => {
                    let console = target.join("console");
                    views.push(Mount::Kernel {
                        kind: Kernel::Dev,
                        target,
                    });
                    let terminal = caller.terminal.clone();
                    views.extend(terminal.map(|terminal| bound(terminal, console, false)));
                }
            }
        }
        views
    }
}

/// The first of `refusals` that holds.
fn first_of(refusals: &[(bool, &str)]) -> Result<(), Refusal> {
    match refusals.iter().find(|(holds, _)| *holds) {
        Some((_, words)) => Err(Refusal::Words((*words).into())),
        None => Ok(()),
    }
}

/// Something of the host at another place.
fn bound(source: PathBuf, target: PathBuf, devices: bool) -> Mount {
    Mount::Bind {
        source,
        target: Some(target),
        read_only: false,
        without: Without {
            devices,
            setuid: true,
        },
        missing: Missing::Refused,
    }
}

/// The root. Where the first view is that of the host's whole tree, it is the host's, from which something is taken: a copy of it
/// would have to be made, entered, and the old one detached.
fn root_of(mounts: &mut [Mount]) -> Root {
    match mounts.first_mut() {
        Some(first) => match first {
            Mount::Bind {
                source,
                target: Some(target),
                read_only,
                without,
                ..
            } if source == Path::new("/") && target == Path::new("/") => {
                *first = Mount::Remount {
                    target: "/".into(),
                    read_only: *read_only,
                    without: *without,
                    recursive: true,
                };
                Root::Host
            }
            _ => Root::Bare,
        },
        None => Root::Bare,
    }
}

/// The words of `--cap-add` and `--cap-drop` that leave these.
fn words_for(capabilities: Capabilities) -> (Vec<Capability>, Vec<Capability>) {
    let named = |set: Capabilities| {
        let numbers = (0..64).filter(move |number| set.0 >> number & 1 != 0);
        numbers.map(Capability::Number)
    };
    let rest = Capabilities::ALL.without(capabilities);
    match rest.0.count_ones() < capabilities.0.count_ones() {
        true => (vec![Capability::All], named(rest).collect()),
        false => (named(capabilities).collect(), vec![Capability::All]),
    }
}
