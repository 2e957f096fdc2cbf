//! Specs and hosts, drawn from bytes.

use rootlet::host::cgroup::Cgroups;
use rootlet::host::tree::{Found, Kind, Tree};
use rootlet::host::{GUARDED, Source, descriptor_of};
use rootlet::seccomp::{Action, Arch, Instruction, Profile, compile};
use rootlet::spec::{
    AbstractSockets, Capability, Content, Cpus, Descriptors, IdRange, Kept, Kernel, Keyring,
    Landlock, Limits, Lives, MemorySwap, Missing, Mount, Nesting, Net, Places, Proc, Propagation,
    Root, Rung, Seccomp, Share, Signals, Size, Stdio, Tty, Ulimit, User, WhenRefused, Without,
};
use rootlet::{Facts, Spec};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

/// A filter that a file may make.
fn filter(all: Action) -> Vec<Instruction> {
    compile(&Profile::new(Arch::NATIVE, all))
}

/// What a descriptor of the caller's holds.
fn held(directory: bool) -> Source {
    Source::Held {
        path: "/held".into(),
        held: [3, 5],
        directory,
    }
}

/// An ordinary user with a terminal, on a host that has everything that `spec` asks for.
pub fn plain_facts(spec: &Spec) -> Facts {
    let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
    let source = |mount: &Mount| match mount {
        Mount::File { content, .. } if !matches!(content, Content::Text(_)) => {
            Source::Content(b"text".to_vec())
        }
        Mount::Bind { source, .. } if descriptor_of(source).is_some() => held(true),
        _ => Source::Directory { mode: 0o755 },
    };
    Facts {
        uid: 1000,
        gid: 1000,
        may_map_users: false,
        may_map_groups: false,
        privileged_start: false,
        cwd: Some("/home/me/project".into()),
        env: vec![
            variable("PATH", "/usr/bin:/bin"),
            variable("SHELL", "/bin/bash"),
            variable("HOME", "/home/me"),
        ],
        terminals: [false, false, false],
        one_output: false,
        controlling_terminal: true,
        detached: false,
        open_files: 1024,
        most_open_files: 4096,
        ignores_sigchld: false,
        main_thread: true,
        closed_fds: Vec::new(),
        sources: spec.mounts.iter().map(source).collect(),
        filter: matches!(spec.seccomp, Seccomp::File(_)).then(|| filter(Action::Allow)),
        programs: match &spec.seccomp {
            Seccomp::Programs(fds) => vec![filter(Action::Allow); fds.len()],
            _ => Vec::new(),
        },
        guarded: Vec::new(),
        linked_files: Vec::new(),
        destinations: Vec::new(),
        has_sys: false,
        landlock: None,
        tree: Tree::default(),
        cgroups: None,
        limits_hold: true,
        hard_limits: Vec::new(),
    }
}

const PATHS: [&str; 14] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/b/c/d/e",
    "/tmp",
    "/dev",
    "/dev/x",
    "/dev/null",
    "/proc",
    "/proc/y",
    "/sys",
    "/run",
    "/etc/hosts",
    "/proc/self/fd/6",
];
/// Descriptors, some of which are the standard ones.
const FDS: [i32; 6] = [7, 8, 9, 12, 2, 0];
const ODD: [&str; 9] = [
    "/a/../z", "/../z", "/./q", "relative", "..", ".", "/", "//", "",
];
const WORDS: [&str; 8] = ["true", "sh", "A=b", "PATH=", "PATH=:/x:", "=", "", "HOME"];
const RUNGS: [Rung; 15] = [
    Rung::Proc,
    Rung::Sys,
    Rung::AbstractSockets,
    Rung::Keyring,
    Rung::Attributes,
    Rung::Overlay,
    Rung::Clone3,
    Rung::OpenTree,
    Rung::MountSetattr,
    Rung::CloseRange,
    Rung::Ids,
    Rung::Ipc,
    Rung::Uts,
    Rung::Cgroup,
    Rung::Time,
];

/// How many bytes hold the choices of a spec and its host: few draw more.
const BYTES: usize = 320;

/// Bytes to draw from, `times` over: the same in every run.
pub fn any_bytes(times: usize) -> impl Iterator<Item = [u8; BYTES]> {
    let mut number = 1u64;
    let mut byte = move |_| {
        number = number
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (number >> 56) as u8
    };
    (0..times).map(move |_| std::array::from_fn(&mut byte))
}

/// Takes choices from bytes; when they are used up, every choice is the first.
pub struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    /// Choices from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Draw(bytes)
    }

    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn below(&mut self, most: usize) -> usize {
        usize::from(self.byte()) % most
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Whether something is there that most specs go without.
    fn rarely(&mut self) -> bool {
        self.below(8) == 7
    }

    fn number(&mut self) -> u64 {
        let some = [0, 1, 2, 1000, 65_536, u64::from(u32::MAX), u64::MAX];
        match self.below(10) {
            index if index < some.len() => some[index],
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flip().then(|| one(self))
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.list(12, Self::byte)
    }

    fn word(&mut self) -> OsString {
        match self.below(6) {
            5 => OsString::from_vec(self.bytes()),
            _ => self.pick(&WORDS).into(),
        }
    }

    fn path(&mut self) -> PathBuf {
        match self.below(16) {
            13 => self.pick(&ODD).into(),
            14 => OsString::from_vec(self.bytes()).into(),
            15 => format!("/a/{}", "x/".repeat(self.below(256))).into(),
            _ => self.pick(&PATHS).into(),
        }
    }

    fn range(&mut self) -> IdRange {
        IdRange {
            inside: self.number() as u32,
            outside: self.number() as u32,
            count: self.number() as u32,
        }
    }

    fn mode(&mut self) -> OsString {
        self.pick(&["600", "755", "1777", "02750", "77777", "9"])
            .into()
    }

    fn without(&mut self) -> Without {
        Without {
            devices: self.flip(),
            setuid: self.flip(),
        }
    }

    fn mount(&mut self) -> Mount {
        let target = self.path();
        match self.below(13) {
            0 | 1 => Mount::Tmpfs {
                target,
                size: self.maybe(|draw| draw.pick(&["1m", "5%", "64k", "1,x=y"]).into()),
                mode: self.maybe(Self::mode),
            },
            2 => Mount::Overlay {
                lower: self.list(3, Self::path),
                target,
                read_only: self.below(4) == 3,
                upper: self.maybe(Self::path),
                work: self.maybe(Self::path),
                optional: self.flip(),
                volatile: self.flip(),
            },
            3 => Mount::File {
                target,
                content: self.pick(&[
                    Content::Text("text".into()),
                    Content::Stdin,
                    Content::Path("/etc/hosts".into()),
                    Content::Descriptor(7),
                ]),
                mode: self.maybe(Self::mode),
                kept: self.pick(&[
                    Kept::Either,
                    Kept::Written,
                    Kept::Mounted { read_only: false },
                    Kept::Mounted { read_only: true },
                ]),
            },
            4 => Mount::Mask { target },
            5 => Mount::Symlink {
                target,
                to: self.path(),
            },
            6 => Mount::Kernel {
                kind: self.pick(&[
                    Kernel::Dev,
                    Kernel::Proc,
                    Kernel::Mqueue,
                    Kernel::Devpts,
                    Kernel::Sysfs,
                ]),
                target,
            },
            7 if self.flip() => Mount::Directory {
                target,
                mode: self.maybe(Self::mode),
            },
            8 if self.flip() => Mount::Chmod {
                target,
                mode: self.mode(),
            },
            8 => Mount::Remount {
                target,
                read_only: self.flip(),
                without: self.without(),
                recursive: self.flip(),
            },
            9 => Mount::Seal { target },
            _ => Mount::Bind {
                source: self.path(),
                target: self.maybe(|_| target),
                read_only: self.flip(),
                without: self.without(),
                missing: self.pick(&[Missing::Refused, Missing::Optional, Missing::Created]),
            },
        }
    }

    fn descriptors(&mut self) -> Descriptors {
        let some = |draw: &mut Self| draw.rarely().then(|| draw.pick(&FDS));
        Descriptors {
            inherit: self.flip(),
            held: self.list(2, |draw| draw.pick(&FDS)),
            awaited: some(self),
            id_maps: some(self),
            user_namespace: some(self),
            last_user_namespace: some(self),
            pid_namespace: some(self),
        }
    }

    /// Any spec; most have a plan.
    pub fn spec(&mut self) -> Spec {
        let plain = self.flip();
        let mut spec = self.plain_spec();
        if !plain {
            self.differ(&mut spec);
        }
        if !spec.namespaces && self.flip() {
            Self::without_namespaces(&mut spec);
        }
        spec
    }

    /// Takes away what needs a namespace, of what most specs have.
    fn without_namespaces(spec: &mut Spec) {
        *spec = Spec {
            root: Root::Host,
            proc: None,
            init: true,
            net: Net::Host,
            monotonic: None,
            boottime: None,
            hostname: None,
            user: User::Keep,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            allow_new_privs: false,
            announced: false,
            ambient: false,
            nesting: Nesting::Allowed,
            places: Places::Memory,
            descriptors: Descriptors {
                inherit: spec.descriptors.inherit,
                held: std::mem::take(&mut spec.descriptors.held),
                awaited: spec.descriptors.awaited,
                ..Descriptors::default()
            },
            mounts: std::mem::take(&mut spec.mounts),
            ..spec.clone()
        };
        let stays = |mount: &Mount| match mount {
            Mount::Bind { target, .. } => target.is_none(),
            mount => matches!(mount, Mount::Mask { .. }),
        };
        spec.mounts.retain(stays);
        for mount in &mut spec.mounts {
            if let Mount::Bind { without, .. } = mount {
                *without = Without::default();
            }
        }
    }

    /// Something of what sets other containers apart.
    fn differ(&mut self, spec: &mut Spec) {
        spec.descriptors = match self.flip() {
            true => self.descriptors(),
            false => Descriptors::default(),
        };
        spec.argv0 = self.maybe(Self::word);
        spec.scripts = self.flip();
        spec.workdir_else = self.list(2, Self::path);
        spec.set_pwd = self.flip();
        spec.unset_env = self.list(2, Self::word);
        spec.lives = self.pick(&[Lives::Tied, Lives::Own]);
        spec.signals = self.pick(&[Signals::Passed, Signals::Own]);
        spec.locks = match self.rarely() {
            true => self.list(2, Self::path),
            false => Vec::new(),
        };
        spec.announced = self.below(4) == 3;
        if spec.announced && !self.rarely() {
            (spec.monotonic, spec.boottime) = (None, None);
        }
        spec.new_session = self.flip();
        spec.keyring = self.pick(&[Keyring::New, Keyring::Host]);
        spec.ambient = self.flip();
        spec.nesting = self.pick(&[
            Nesting::Allowed,
            Nesting::Allowed,
            Nesting::Disabled,
            Nesting::Refused,
        ]);
        spec.unlocked = self.flip();
        spec.core_files = self.flip();
        spec.places = self.pick(&[Places::Memory, Places::Anywhere]);
        spec.propagation = self.pick(&[Propagation::Private, Propagation::Slave]);
        if self.below(4) == 3 {
            spec.root = Root::Bare;
        }
        if self.below(4) == 3 {
            spec.seccomp = Seccomp::Programs(self.list(3, |draw| draw.pick(&FDS)));
        }
    }

    /// A spec of what `rootlet run` has options for.
    fn plain_spec(&mut self) -> Spec {
        Spec {
            mounts: self.list(7, Self::mount),
            namespaces: self.below(16) != 15,
            root: match self.below(6) {
                0..3 => Root::Host,
                3 => Root::Empty,
                _ => Root::from(self.path()),
            },
            read_only: self.flip(),
            proc: self.pick(&[
                None,
                None,
                Some(Proc::Host),
                Some(Proc::None),
                Some(Proc::Fresh),
            ]),
            share: {
                let mut share = vec![Share::Pid, Share::Ipc, Share::Uts, Share::Cgroup];
                share.retain(|_| self.below(4) == 3);
                share
            },
            init: !self.rarely(),
            tty: self.pick(&[Tty::Auto, Tty::Always, Tty::Never]),
            net: self.pick(&[Net::Host, Net::None]),
            abstract_sockets: self.pick(&[AbstractSockets::Host, AbstractSockets::None]),
            monotonic: self.pick(&[None, None, None, Some(3), Some(i64::MIN)]),
            boottime: self.pick(&[None, None, None, Some(3), Some(i64::MAX)]),
            hostname: match self.below(8) {
                0..6 => None,
                6 => Some("box".into()),
                _ => Some(self.word()),
            },
            user: match self.below(4) {
                0 | 1 => User::Root,
                2 => User::Keep,
                _ => User::Ids {
                    uid: self.number() as u32,
                    gid: self.number() as u32,
                },
            },
            uid_map: match self.rarely() {
                true => self.list(3, Self::range),
                false => Vec::new(),
            },
            gid_map: match self.rarely() {
                true => self.list(3, Self::range),
                false => Vec::new(),
            },
            pass_fds: match self.rarely() {
                true => self.list(4, |draw| draw.number() as i32),
                false => self.pick(&[vec![], vec![5], vec![9, 4]]),
            },
            workdir: match self.below(4) {
                3 => Some(self.path()),
                _ => None,
            },
            stdio: self.pick(&[Stdio::Inherit, Stdio::Pipe]),
            landlock: self.pick(&[Landlock::None, Landlock::Auto]),
            seccomp: match self.below(6) {
                0 | 1 => Seccomp::Default,
                2 => Seccomp::Sandbox,
                3 => Seccomp::Strict,
                4 => Seccomp::None,
                _ => Seccomp::from(self.path()),
            },
            cap_add: self.list(2, Self::capability),
            cap_drop: self.list(2, Self::capability),
            limits: match self.rarely() {
                true => self.limits(),
                false => Limits::default(),
            },
            ulimits: self.list(3, Self::ulimit),
            oom_score_adj: match self.rarely() {
                true => self.pick(&[Some(0), Some(500), Some(-1000), Some(1001)]),
                false => None,
            },
            nice: match self.rarely() {
                true => self.pick(&[Some(0), Some(19), Some(-21)]),
                false => None,
            },
            allow_new_privs: self.below(4) == 3,
            strict: self.flip(),
            require: self.list(2, |draw| draw.pick(&RUNGS)),
            optional: self.list(2, |draw| draw.pick(&RUNGS)),
            clear_env: self.flip(),
            env: match self.rarely() {
                true => self.list(4, Self::word),
                false => Vec::new(),
            },
            timeout: self.maybe(|draw| Duration::from_millis(draw.number())),
            command: match self.rarely() {
                true => self.list(3, Self::word),
                false => vec!["true".into()],
            },
            ..Spec::default()
        }
    }

    fn capability(&mut self) -> Capability {
        match self.below(42) {
            41 => Capability::All,
            number => Capability::Number(number as u8),
        }
    }

    fn limits(&mut self) -> Limits {
        let size = |draw: &mut Self| Size(draw.number().clamp(1, i64::MAX as u64));
        Limits {
            memory: self.maybe(size),
            memory_swap: self.maybe(|draw| match draw.flip() {
                true => MemorySwap::Unlimited,
                false => MemorySwap::Total(size(draw)),
            }),
            cpus: self.maybe(|draw| Cpus::try_from(draw.pick(&[0.01, 0.5, 3.0])).unwrap()),
            pids: self.maybe(Self::number),
            io_weight: self.maybe(|draw| draw.number() as u16),
            when_refused: self.pick(&[WhenRefused::Must, WhenRefused::Try, WhenRefused::Rlimit]),
        }
    }

    fn ulimit(&mut self) -> Ulimit {
        let words = [
            "core=0",
            "nofile=64:128",
            "as=unlimited",
            "nproc=1",
            "cpu=5:unlimited",
        ];
        self.pick(&words).parse().unwrap()
    }

    fn cgroups(&mut self) -> Option<Cgroups> {
        let delegated = |controllers: &str| Cgroups::Delegated {
            path: "/sys/fs/cgroup/a".into(),
            controllers: controllers.into(),
        };
        self.pick(&[
            None,
            Some(delegated("cpu io memory pids")),
            Some(delegated("pids")),
            Some(Cgroups::OnRequest("/run/user/1000/bus".into())),
            Some(Cgroups::Closed("/sys/fs/cgroup".into())),
        ])
    }

    /// What is found at the views of `spec`, and what lies on the way there.
    fn tree(&mut self, spec: &Spec) -> Tree {
        let mut tree = Tree::default();
        for mount in &spec.mounts {
            let path = match mount {
                Mount::Bind { source, .. } => Some(source.clone()),
                Mount::Mask { target } => Some(target.clone()),
                _ => None,
            };
            let kind = self.pick(&[Kind::Directory, Kind::File, Kind::Socket]);
            let path = path.filter(|path| path.is_absolute() && self.below(4) < 3);
            for directory in path.iter().flat_map(|path| path.ancestors().skip(1)) {
                let listing = self.list(3, |draw| (draw.word(), kind));
                if self.below(8) < 7 {
                    tree.listings.insert(directory.into(), listing);
                }
            }
            tree.places.push(path.map(|path| Found { path, kind }));
        }
        tree
    }

    fn source(&mut self, mount: &Mount) -> Source {
        let directory = Source::Directory { mode: 0o755 };
        match mount {
            Mount::Bind { source, .. } if descriptor_of(source).is_some() => held(self.flip()),
            Mount::Bind { .. } => self.pick(&[directory, Source::File, Source::Missing]),
            Mount::Overlay { .. } => self.pick(&[
                directory,
                Source::Directory { mode: 0o2770 },
                Source::Unusable {
                    path: "/a".into(),
                    is_there: true,
                },
            ]),
            Mount::File { .. } => Source::Content(self.bytes()),
            _ => Source::Missing,
        }
    }

    /// Any host, for `spec`.
    pub fn facts(&mut self, spec: &Spec) -> Facts {
        let root = self.below(4) == 3;
        Facts {
            sources: spec.mounts.iter().map(|mount| self.source(mount)).collect(),
            terminals: [self.flip(), self.flip(), self.flip()],
            one_output: self.flip(),
            filter: self.pick(&[
                Some(filter(Action::Allow)),
                Some(filter(Action::Log)),
                Some(filter(Action::Errno(1))),
                None,
            ]),
            landlock: self.pick(&[None, Some(9), Some(2), Some(3), Some(6), Some(99)]),
            tree: self.tree(spec),
            cgroups: self.cgroups(),
            limits_hold: self.flip(),
            hard_limits: self.pick(&[Vec::new(), Vec::new(), Vec::new(), vec![(7, 64), (4, 0)]]),
            controlling_terminal: self.flip(),
            detached: self.flip(),
            main_thread: self.flip(),
            guarded: self.pick(&[Vec::new(), GUARDED.to_vec()]),
            linked_files: self
                .pick(&[Vec::new(), vec![("/etc/hosts".into(), "/a/b/hosts".into())]]),
            destinations: self.pick(&[Vec::new(), vec![("/a/../z".into(), "/z".into())]]),
            has_sys: self.flip(),
            uid: if root { 0 } else { 1000 },
            gid: if root { 0 } else { 1000 },
            may_map_users: root,
            may_map_groups: root,
            ignores_sigchld: self.flip(),
            open_files: self.pick(&[1024, 30, u64::MAX]),
            most_open_files: self.pick(&[4096, 30, u64::MAX]),
            cwd: self.pick(&[Some("/home/me/project".into()), Some("/".into()), None]),
            ..plain_facts(spec)
        }
    }
}
