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
    /// The working directory: what the variable PWD calls it, if that is right.
    pub cwd: Option<PathBuf>,
    /// Whether trees of mounts can be taken by open_tree(2), and attached later.
    pub takes_trees: bool,
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
    pub(super) fn agree(&self) -> Result<(), Refusal> {
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
        let nowhere = self
            .chdir
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty());
        first_of(&[
            (nowhere, "Can't chdir to : No such file or directory"),
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
        let root = root_of(&mut mounts, caller);
        let require = match root {
            // Something is taken from the host's tree before parts of it are bound elsewhere, which are not to lose it.
            Root::Host => vec![Rung::Proc, Rung::OpenTree],
            _ => vec![Rung::Proc],
        };
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
            Some(path) => (Some(Path::new("/").join(path)), Vec::new()),
            None => (
                caller.cwd.clone(),
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
            ambient: self.names_capabilities,
            scripts: true,
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
            require,
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
/// would have to be made, entered, and the old one detached. Where trees cannot be taken before that, they could not be taken as they
/// were.
fn root_of(mounts: &mut [Mount], caller: &Caller) -> Root {
    match mounts.first_mut().filter(|_| caller.takes_trees) {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{caller, launch, launch_of, refusal};
    use super::*;

    fn root() -> Caller {
        let map = "0:100000:1000".parse().unwrap();
        Caller {
            uid: 0,
            gid: 0,
            maps: [vec![map], vec![map]],
            ..caller()
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused_in_bubblewraps_words() {
        for (line, words) in [
            (
                "--userns-block-fd 7 --info-fd 8",
                "--userns-block-fd requires --unshare-user",
            ),
            (
                "--userns-block-fd 7 --unshare-user",
                "--userns-block-fd requires --info-fd",
            ),
            (
                "--userns 7 --unshare-user",
                "--userns not compatible --unshare-user",
            ),
            (
                "--userns 7 --unshare-user-try",
                "--userns not compatible --unshare-user-try",
            ),
            (
                "--userns 7 --unshare-all",
                "--userns not compatible --unshare-user-try",
            ),
            (
                "--disable-userns",
                "--disable-userns requires --unshare-user",
            ),
            (
                "--disable-userns --unshare-all",
                "--disable-userns requires --unshare-user",
            ),
            (
                "--disable-userns --unshare-user --userns-block-fd 7 --info-fd 8",
                "--disable-userns is not compatible with  --userns-block-fd",
            ),
            (
                "--hostname box",
                "Specifying --hostname requires --unshare-uts",
            ),
            ("--as-pid-1", "Specifying --as-pid-1 requires --unshare-pid"),
            (
                "--as-pid-1 --unshare-pid --lock-file /l",
                "Specifying --as-pid-1 and --lock-file is not permitted",
            ),
        ] {
            assert_eq!(refusal(&format!("{line} true")), words, "{line}");
        }
    }

    #[test]
    fn root_has_to_ask_for_a_user_namespace_to_be_somebody_else() {
        let said = |line: &str| super::super::tests::read(&format!("{line} true"), &root());
        for (line, words) in [
            (
                "--uid 5",
                "Specifying --uid requires --unshare-user or --userns",
            ),
            (
                "--gid 5",
                "Specifying --gid requires --unshare-user or --userns",
            ),
        ] {
            assert_eq!(said(line), Err(Refusal::Words(words.into())), "{line}");
            for asked in [
                "--unshare-user",
                "--unshare-user-try",
                "--unshare-all",
                "--userns 7",
            ] {
                assert!(said(&format!("{line} {asked}")).is_ok(), "{line} {asked}");
            }
        }
        assert!(said("--uid 0 --gid 0").is_ok());
    }

    #[test]
    fn root_that_asks_for_no_user_namespace_keeps_all_its_ids() {
        let maps = |line: &str| {
            let spec = launch_of(&format!("{line} true"), &root()).spec;
            [spec.uid_map, spec.gid_map]
        };
        let same: IdRange = "0:0:1000".parse().unwrap();
        assert_eq!(maps(""), [vec![same], vec![same]]);
        for line in [
            "--unshare-user",
            "--unshare-user-try",
            "--unshare-all",
            "--userns 7",
        ] {
            assert_eq!(maps(line), [vec![], vec![]], "{line}");
        }
        assert_eq!(launch("").spec.uid_map, []);
    }

    #[test]
    fn there_is_an_init_where_somebody_has_to_stay() {
        for (line, init) in [
            ("", false),
            ("--unshare-ipc --pidns 7", false),
            ("--unshare-pid", true),
            ("--unshare-all", true),
            ("--die-with-parent", true),
            ("--lock-file /l", true),
            ("--sync-fd 7", true),
            ("--unshare-pid --as-pid-1", false),
            (
                "--unshare-pid --as-pid-1 --die-with-parent --sync-fd 7",
                false,
            ),
        ] {
            assert_eq!(launch(line).spec.init, init, "{line}");
        }
    }

    #[test]
    fn proc_is_that_of_the_processes_inside_and_closed_where_it_is_dangerous() {
        let views = |line: &str| launch(line).spec.mounts;
        let seals = GUARDED.map(|name| Mount::Seal {
            target: Path::new("/p").join(name),
        });
        let new = Mount::Kernel {
            kind: Kernel::Proc,
            target: "/p".into(),
        };
        let hosts = bound("/proc".into(), "/p".into(), true);
        for (line, proc) in [
            ("--proc /p", &hosts),
            ("--unshare-pid --proc /p", &new),
            // It is the same wherever the option stands.
            ("--proc /p --unshare-all", &new),
            ("--pidns 7 --proc /p", &new),
        ] {
            let wanted = [std::slice::from_ref(proc), &seals[..]].concat();
            assert_eq!(views(line), wanted, "{line}");
        }
    }

    #[test]
    fn dev_has_the_terminal_of_the_caller_as_its_console() {
        let at_terminal = Caller {
            terminal: Some("/dev/pts/3".into()),
            ..caller()
        };
        let views = |caller: &Caller| launch_of("--dev /d true", caller).spec.mounts;
        assert_eq!(views(&caller()).len(), 1);
        let console = bound("/dev/pts/3".into(), "/d/console".into(), false);
        assert_eq!(views(&at_terminal)[1..], [console]);
    }

    #[test]
    fn the_hosts_tree_is_the_root_where_all_of_it_is_bound_first() {
        let taken = |read_only, devices| Mount::Remount {
            target: "/".into(),
            read_only,
            without: Without {
                devices,
                setuid: true,
            },
            recursive: true,
        };
        for (line, first) in [
            ("--bind / /", taken(false, true)),
            ("--ro-bind / /", taken(true, true)),
            ("--ro-bind-try / /", taken(true, true)),
            ("--dev-bind / /", taken(false, false)),
        ] {
            let spec = launch(&format!("{line} --dir /a")).spec;
            assert_eq!(
                (&spec.root, &spec.mounts[0]),
                (&Root::Host, &first),
                "{line}"
            );
            assert_eq!(spec.mounts.len(), 2);
        }
        for line in [
            "",
            "--bind /a /",
            "--bind / /a",
            "--dir /a --bind / /",
            "--tmpfs /",
        ] {
            assert_eq!(launch(line).spec.root, Root::Bare, "{line}");
        }
    }

    #[test]
    fn the_command_starts_where_the_caller_is_or_at_home_or_at_the_root() {
        let nowhere = Caller {
            cwd: None,
            ..caller()
        };
        let starts = |line: &str, caller: &Caller| {
            let spec = launch_of(&format!("{line} true"), caller).spec;
            let all: Vec<PathBuf> = spec.workdir.into_iter().chain(spec.workdir_else).collect();
            all.iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let here = caller();
        assert_eq!(starts("", &here), "/home/me/project /home/me /");
        assert_eq!(starts("", &nowhere), "/home/me /");
        assert_eq!(starts("--setenv HOME /h", &here), "/home/me/project /h /");
        assert_eq!(starts("--unsetenv HOME", &here), "/home/me/project /");
        assert_eq!(
            starts("--clearenv --setenv HOME /h", &here),
            "/home/me/project /h /"
        );
        assert_eq!(starts("--setenv HOME /h --chdir /d", &here), "/d");
        // Who has been given the new root stands at its top.
        assert_eq!(starts("--chdir d", &here), "/d");
    }

    #[test]
    fn the_ids_of_new_namespaces_are_told() {
        for (line, told) in [
            ("", &["mnt"][..]),
            ("--unshare-cgroup-try", &["cgroup", "mnt"]),
            (
                "--unshare-all",
                &["cgroup", "ipc", "mnt", "net", "pid", "uts"],
            ),
            (
                "--unshare-all --share-net",
                &["cgroup", "ipc", "mnt", "pid", "uts"],
            ),
        ] {
            assert_eq!(launch(line).told, told, "{line}");
        }
    }

    #[test]
    fn words_for_capabilities_leave_exactly_those() {
        for capabilities in [
            Capabilities::NONE,
            Capabilities::ALL,
            Capabilities::SYS_ADMIN,
            Capabilities::ALL.without(Capabilities::SYS_ADMIN),
            Capabilities(0b1010_1100),
        ] {
            let (cap_add, cap_drop) = words_for(capabilities);
            let spec = Spec {
                cap_add,
                cap_drop,
                ..Spec::default()
            };
            for uid in [0, 1000] {
                assert_eq!(spec.kept_capabilities(uid).0, capabilities.0);
            }
        }
    }
}
