//! The pure ring: plans compared with written-down ones, refusals, and what holds of every plan.
//!
//! `UPDATE_GOLDENS=1 cargo test --test plan` in a checkout writes tests/golden anew; read the difference.

use rootlet::child::step::{Entry, Slot, Step};
use rootlet::host::tree::{Found, Kind, Tree};
use rootlet::host::{GUARDED, Source};
use rootlet::plan::ParentStep;
use rootlet::spec::{
    AbstractSockets, Content, Kernel, Missing, Mount, Net, Proc, Root, Share, Tty, User,
};
use rootlet::{Facts, Plan, Spec};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

/// An ordinary user with a terminal, on a host that has everything.
fn facts(spec: &Spec) -> Facts {
    let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
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
        open_files: 1024,
        most_open_files: 4096,
        ignores_sigchld: false,
        main_thread: true,
        closed_fds: Vec::new(),
        sources: vec![Source::Directory { mode: 0o755 }; spec.mounts.len()],
        filter: None,
        guarded: Vec::new(),
        linked_files: Vec::new(),
        has_sys: false,
        landlock: None,
        tree: Default::default(),
        cgroups: None,
        limits_hold: true,
        hard_limits: Vec::new(),
    }
}

fn root_facts(spec: &Spec) -> Facts {
    Facts {
        uid: 0,
        gid: 0,
        may_map_users: true,
        may_map_groups: true,
        ..facts(spec)
    }
}

fn plan(spec: &Spec) -> Plan {
    Plan::new(spec, &facts(spec)).unwrap()
}

fn refusal(spec: &Spec) -> String {
    Plan::new(spec, &facts(spec)).unwrap_err().to_string()
}

fn bind(source: &str, target: &str, read_only: bool) -> Mount {
    Mount::Bind {
        source: source.into(),
        target: Some(target.into()),
        read_only,
        missing: Missing::Refused,
    }
}

fn overlay(target: &str, upper: Option<&str>) -> Mount {
    Mount::Overlay {
        lower: vec!["/usr".into()],
        target: target.into(),
        upper: upper.map(Into::into),
        work: None,
        optional: false,
        volatile: false,
    }
}

fn tmpfs(target: &str) -> Mount {
    Mount::Tmpfs {
        target: target.into(),
        size: None,
        mode: None,
    }
}

fn command(words: &[&str]) -> Spec {
    Spec {
        command: words.iter().map(OsString::from).collect(),
        ..Spec::default()
    }
}

fn check(name: &str, plan: &Plan, golden: &str) {
    let text = plan.explain().to_text(100);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        return std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, golden, "the plan {name} has changed");
}

macro_rules! golden {
    ($name:ident, $plan:expr) => {
        #[test]
        fn $name() {
            let name = stringify!($name);
            check(
                name,
                &$plan,
                include_str!(concat!("golden/", stringify!($name), ".txt")),
            );
        }
    };
}

golden!(default, plan(&command(&["true"])));
golden!(shell_on_a_terminal, {
    let spec = Spec::default();
    Plan::new(
        &spec,
        &Facts {
            terminals: [true; 3],
            ..facts(&spec)
        },
    )
    .unwrap()
});
golden!(
    command_is_process_1,
    plan(&Spec {
        init: false,
        tty: Tty::Never,
        ..command(&["/bin/init"])
    })
);
golden!(
    shared_process_ids,
    plan(&Spec {
        share: vec![Share::Pid, Share::Ipc],
        ..command(&["top"])
    })
);
golden!(private_network_and_clocks, {
    plan(&Spec {
        net: Net::None,
        hostname: Some("box".into()),
        boottime: Some(86_400),
        monotonic: Some(-5),
        user: User::Keep,
        ..command(&["uptime"])
    })
});
golden!(volumes, {
    plan(&Spec {
        read_only: true,
        mounts: vec![
            tmpfs("/home/me"),
            bind("project", "/home/me/project", false),
            bind("/etc", "/mnt", true),
        ],
        pass_fds: vec![2, 7],
        ..command(&["make", "test"])
    })
});
golden!(
    rootfs,
    plan(&Spec {
        root: Root::Directory("root".into()),
        read_only: true,
        ..command(&["/bin/sh"])
    })
);
golden!(ranges_by_root, {
    let spec = Spec {
        uid_map: vec!["0:100000:65536".parse().unwrap()],
        gid_map: vec!["0:100000:65536".parse().unwrap()],
        strict: true,
        ..command(&["id"])
    };
    Plan::new(&spec, &root_facts(&spec)).unwrap()
});

/// No namespaces: a writable volume in a read-only tree, and a hidden directory and a hidden file.
fn bare() -> Spec {
    Spec {
        namespaces: false,
        read_only: true,
        mounts: vec![
            bind(".", "/home/me/project", false),
            Mount::Mask {
                target: "/home/me/.ssh".into(),
            },
            Mount::Mask {
                target: "/home/me/project/.env".into(),
            },
        ],
        ..command(&["make"])
    }
}

/// What [`bare`] finds on a host with this version of Landlock.
fn bare_facts(spec: &Spec, landlock: Option<u32>) -> Facts {
    let found = |path: &str, kind| Found {
        path: path.into(),
        kind,
    };
    let listing = |directory: &str, names: &[(&str, Kind)]| {
        let names = names.iter().map(|&(name, kind)| (name.into(), kind));
        (directory.into(), names.collect())
    };
    let directories = |names: &[&'static str]| -> Vec<(&'static str, Kind)> {
        names.iter().map(|&name| (name, Kind::Directory)).collect()
    };
    Facts {
        landlock,
        tree: Tree {
            places: vec![
                Some(found("/home/me/project", Kind::Directory)),
                Some(found("/home/me/.ssh", Kind::Directory)),
                Some(found("/home/me/project/.env", Kind::File)),
            ],
            devices: vec![
                found("/dev/null", Kind::File),
                found("/dev/pts", Kind::Directory),
            ],
            listings: [
                listing("/", &directories(&["dev", "etc", "home", "proc", "usr"])),
                listing("/home", &directories(&["me", "you"])),
                listing(
                    "/home/me",
                    &[
                        (".profile", Kind::File),
                        (".ssh", Kind::Directory),
                        ("project", Kind::Directory),
                    ],
                ),
                listing(
                    "/home/me/project",
                    &[
                        (".env", Kind::File),
                        ("Makefile", Kind::File),
                        ("agent", Kind::Socket),
                        ("src", Kind::Directory),
                    ],
                ),
            ]
            .into(),
        },
        ..facts(spec)
    }
}

golden!(no_namespaces, {
    let spec = bare();
    Plan::new(&spec, &bare_facts(&spec, Some(7))).unwrap()
});

#[test]
fn without_namespaces_each_version_of_landlock_gives_what_it_can() {
    let spec = bare();
    let refusal = |spec: &Spec, facts: &Facts| Plan::new(spec, facts).unwrap_err().to_string();
    for (version, words) in [
        (None, "restricted by Landlock, which is not here"),
        (
            Some(2),
            "version 2, which is here, cannot keep from truncating",
        ),
    ] {
        assert!(refusal(&spec, &bare_facts(&spec, version)).contains(words));
    }
    let made = |spec: &Spec, version| Plan::new(spec, &bare_facts(spec, Some(version))).unwrap();
    for (version, rights, scopes, sockets, signals) in [
        (3, 15, 0, true, true),
        (5, 16, 0, true, true),
        (6, 16, 2, true, false),
        (9, 17, 2, false, false),
    ] {
        let plan = made(&spec, version);
        let handled = plan.parent.iter().find_map(|step| match step {
            ParentStep::MakeRuleset { files, scopes, .. } => Some((*files, *scopes)),
            _ => None,
        });
        assert_eq!(handled, Some(((1 << rights) - 1, scopes)), "{version}");
        for step in &plan.parent {
            if let ParentStep::Allow { access, .. } = step {
                assert!(
                    *access != 0 && access >> rights == 0,
                    "{version}: {access:x}"
                );
            }
        }
        let [note] = &plan.notes[..] else {
            panic!("{:?}", plan.notes);
        };
        assert_eq!(
            note.contains("sockets in it be connected to"),
            sockets,
            "{note}"
        );
        assert_eq!(
            note.contains("can signal your processes"),
            signals,
            "{note}"
        );
        assert_eq!(plan.enforced.landlock, Some(version));
    }
    let hides = Spec {
        abstract_sockets: AbstractSockets::None,
        ..spec
    };
    assert!(made(&hides, 5).stepped_down[0].contains("leave them in reach"));
    assert!(made(&hides, 6).stepped_down.is_empty());
    let strict = Spec {
        strict: true,
        ..hides
    };
    assert!(refusal(&strict, &bare_facts(&strict, Some(5))).contains("abstract sockets"));
    let mut unlisted = bare_facts(&strict, Some(7));
    unlisted.tree.listings.remove(Path::new("/home"));
    let words = "mask /home/me/.ssh: without namespaces all that lies beside it has to be known, and /home cannot be listed";
    assert_eq!(refusal(&strict, &unlisted), words);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let default = Spec::default;
    let range = |text: &str| vec![text.parse().unwrap()];
    for (spec, words) in [
        (
            Spec {
                uid_map: range("0:0:1"),
                ..default()
            },
            "an ordinary user may map one user id, its own, 1000",
        ),
        (
            Spec {
                gid_map: range("0:1000:2"),
                ..default()
            },
            "an ordinary user may map one group id, its own, 1000",
        ),
        (
            Spec {
                uid_map: range("5:1000:1"),
                ..default()
            },
            "user 0 is to be the user inside, but no --uidmap maps it",
        ),
        (
            Spec {
                mounts: vec![bind("/a", "b", false)],
                ..default()
            },
            "volume b: the destination \"b\" is not an absolute path",
        ),
        (
            Spec {
                mounts: vec![tmpfs("b")],
                ..default()
            },
            "tmpfs b: the destination \"b\" is not an absolute path",
        ),
        (
            Spec {
                mounts: vec![tmpfs("//")],
                ..default()
            },
            "is the root itself",
        ),
        (
            Spec {
                init: false,
                share: vec![Share::Pid],
                ..default()
            },
            "nothing would end what the command leaves",
        ),
        (
            Spec {
                hostname: Some("".into()),
                ..default()
            },
            "is not 1 to 64 bytes long",
        ),
        (
            Spec {
                hostname: Some("x".into()),
                share: vec![Share::Uts],
                ..default()
            },
            "needs a UTS namespace",
        ),
        (
            Spec {
                env: vec!["=x".into()],
                ..default()
            },
            "has no name",
        ),
        (
            Spec {
                workdir: Some("".into()),
                ..default()
            },
            "empty word",
        ),
        (command(&[""]), "the command is an empty word"),
        (command(&["a\0b"]), "has a NUL byte in it"),
    ] {
        let refusal = refusal(&spec);
        assert!(
            refusal.contains(words),
            "{refusal:?} does not say {words:?}"
        );
    }
}

#[test]
fn options_of_a_tmpfs_cannot_smuggle_in_others() {
    for (size, mode) in [
        (Some("1m,uid=0"), None),
        (None, Some("777,size=1")),
        (Some(""), None),
        (None, Some("9")),
        (Some("big"), None),
    ] {
        let mount = Mount::Tmpfs {
            target: "/t".into(),
            size: size.map(Into::into),
            mode: mode.map(Into::into),
        };
        let refusal = refusal(&Spec {
            mounts: vec![mount],
            ..Spec::default()
        });
        assert!(refusal.starts_with("tmpfs "), "{refusal}");
    }
}

#[test]
fn the_working_directory_is_the_callers_or_the_one_that_is_asked_for() {
    let start = |spec: &Spec, facts: &Facts| {
        let plan = Plan::new(spec, facts).map_err(|error| error.to_string())?;
        let found = plan.setup.iter().find_map(|entry| match entry.step {
            Step::ChangeDirectory { path } => Some(plan.arena.show(path)),
            _ => None,
        });
        found.ok_or("none".to_string())
    };
    let with = |workdir: Option<&str>, rootfs: Option<&str>| Spec {
        workdir: workdir.map(Into::into),
        root: rootfs.map_or(Root::Host, |path| Root::Directory(path.into())),
        ..Spec::default()
    };
    let here = facts(&Spec::default());
    let nowhere = Facts {
        cwd: None,
        ..here.clone()
    };
    assert_eq!(start(&with(None, None), &here).unwrap(), "/home/me/project");
    assert_eq!(
        start(&with(Some("src"), None), &here).unwrap(),
        "/home/me/project/src"
    );
    assert_eq!(start(&with(Some("/srv"), None), &nowhere).unwrap(), "/srv");
    assert_eq!(start(&with(None, Some("/r")), &nowhere).unwrap(), "/");
    assert_eq!(start(&with(Some("w"), Some("/r")), &here).unwrap(), "/w");
    assert!(
        start(&with(None, None), &nowhere)
            .unwrap_err()
            .contains("no name any more")
    );
}

#[test]
fn the_limit_of_open_files_is_raised_for_many_volumes_and_put_back() {
    let spec = Spec {
        mounts: (0..2000)
            .map(|n| bind("/a", &format!("/b{n}"), false))
            .collect(),
        ..Spec::default()
    };
    let plan = plan(&spec);
    let has =
        |list: &[Entry], wanted: fn(&Step) -> bool| list.iter().any(|entry| wanted(&entry.step));
    assert!(has(&plan.setup, |step| matches!(
        step,
        Step::RaiseOpenFiles
    )));
    assert!(has(&plan.command, |step| matches!(
        step,
        Step::RestoreOpenFiles { soft: 1024 }
    )));
    let poor = Facts {
        most_open_files: 1024,
        ..facts(&spec)
    };
    assert!(
        Plan::new(&spec, &poor)
            .unwrap_err()
            .to_string()
            .contains("the hard limit is 1024")
    );
}

/// A small generator of numbers, so that every run tries the same specs.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) % most
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }
}

fn any_spec(numbers: &mut Numbers) -> Spec {
    let places = [
        "/a", "/a/b", "/a/b/c", "/tmp", "/dev/x", "/proc/y", "/a/../z", "/./q", "relative", "/",
    ];
    let mut mounts = Vec::new();
    for _ in 0..numbers.below(6) {
        let target = numbers.pick(&places);
        let kind = numbers.pick(&[Kernel::Dev, Kernel::Proc, Kernel::Devpts, Kernel::Sysfs]);
        mounts.push(match numbers.below(8) {
            0 | 1 => tmpfs(target),
            2 => overlay(target, numbers.pick(&[None, Some("/upper")])),
            3 => Mount::File {
                target: target.into(),
                content: Content::Text("text".into()),
                mode: None,
            },
            4 => Mount::Mask {
                target: target.into(),
            },
            5 => Mount::Kernel {
                kind,
                target: target.into(),
            },
            _ => bind(numbers.pick(&places), target, numbers.flip()),
        });
    }
    let mut share = vec![Share::Pid, Share::Ipc, Share::Uts, Share::Cgroup];
    share.retain(|_| numbers.below(4) == 0);
    Spec {
        user: numbers.pick(&[User::Root, User::Keep, User::Ids { uid: 7, gid: 8 }]),
        net: numbers.pick(&[Net::Host, Net::None]),
        share,
        monotonic: numbers.pick(&[None, Some(3)]),
        hostname: numbers.pick(&[None, Some("h".into())]),
        root: numbers.pick(&[
            Root::Host,
            Root::Host,
            Root::Empty,
            Root::Directory("/r".into()),
            Root::Directory("r".into()),
        ]),
        proc: numbers.pick(&[
            None,
            None,
            Some(Proc::Host),
            Some(Proc::None),
            Some(Proc::Fresh),
        ]),
        read_only: numbers.flip(),
        workdir: numbers.pick(&[None, Some("/w".into())]),
        pass_fds: numbers.pick(&[vec![], vec![5], vec![9, 4]]),
        init: numbers.flip(),
        tty: numbers.pick(&[Tty::Auto, Tty::Always, Tty::Never]),
        strict: numbers.flip(),
        mounts,
        ..command(&["true"])
    }
}

#[test]
fn what_holds_of_every_plan() {
    let mut numbers = Numbers(1);
    let mut made = 0;
    for _ in 0..20_000 {
        let spec = any_spec(&mut numbers);
        let facts = Facts {
            terminals: [numbers.flip(), numbers.flip(), numbers.flip()],
            controlling_terminal: numbers.flip(),
            main_thread: numbers.flip(),
            sources: spec
                .mounts
                .iter()
                .map(|mount| any_source(&mut numbers, mount))
                .collect(),
            guarded: numbers.pick(&[Vec::new(), GUARDED.to_vec()]),
            linked_files: numbers
                .pick(&[Vec::new(), vec![("/etc/hosts".into(), "/a/b/hosts".into())]]),
            has_sys: numbers.flip(),
            ..facts(&spec)
        };
        let Ok(plan) = Plan::new(&spec, &facts) else {
            continue;
        };
        made += 1;
        assert_eq!(
            Plan::new(&spec, &facts).unwrap(),
            plan,
            "the same input gives the same plan"
        );
        every_source_is_taken_once_and_attached_once(&plan);
        the_order_of_a_launch_holds(&plan, &spec, facts.main_thread);
        assert!(!plan.explain().to_text(80).is_empty());
    }
    assert!(made > 5_000, "{made} specs made a plan");
}

fn any_source(numbers: &mut Numbers, mount: &Mount) -> Source {
    match mount {
        Mount::Overlay { .. } => Source::Directory { mode: 0o755 },
        _ => numbers.pick(&[
            Source::Missing,
            Source::File,
            Source::Directory { mode: 0o755 },
        ]),
    }
}

fn every_source_is_taken_once_and_attached_once(plan: &Plan) {
    let mut open = BTreeSet::new();
    for entry in &plan.setup {
        match entry.step {
            Step::OpenTree { slot, .. } | Step::OpenOverlay { slot, .. } => {
                assert!(
                    slot.0 < plan.slots && slot.0 >= Slot::SOURCES && open.insert(slot),
                    "{slot:?} taken twice"
                );
            }
            Step::Attach { slot, .. } => assert!(open.remove(&slot), "{slot:?} is not there"),
            Step::Mask {
                file, directory, ..
            } => assert!(open.remove(&file) && (file == directory || open.remove(&directory))),
            _ => {}
        }
        if let Some(Step::Attach { slot, .. }) = entry.instead {
            assert!(open.remove(&slot), "{slot:?} is not there");
        }
    }
    assert!(open.is_empty(), "{open:?} taken and not attached");
}

fn the_order_of_a_launch_holds(plan: &Plan, spec: &Spec, main_thread: bool) {
    let steps: Vec<Step> = plan
        .setup
        .iter()
        .chain(&plan.init)
        .chain(&plan.command)
        .map(|entry| entry.step)
        .collect();
    let at = |wanted: fn(&Step) -> bool| steps.iter().position(wanted);
    let before = |a: Option<usize>, b: Option<usize>| a.zip(b).is_none_or(|(a, b)| a < b);
    let maps = at(|step| matches!(step, Step::AwaitIdMaps));
    let namespaces = at(|step| matches!(step, Step::Unshare { .. }));
    let private = at(|step| matches!(step, Step::MakePrivate));
    let taken = steps
        .iter()
        .rposition(|step| matches!(step, Step::OpenTree { .. } | Step::OpenOverlay { .. }));
    let laid = at(|step| matches!(step, Step::Attach { .. } | Step::SetReadOnly { .. }));
    let entered = at(|step| matches!(step, Step::EnterRoot { .. }));
    let old_root = at(|step| matches!(step, Step::DetachOldRoot { last: false }));
    let really_old_root = at(|step| matches!(step, Step::DetachOldRoot { last: true }));
    let last_mount = steps.iter().rposition(|step| {
        matches!(
            step,
            Step::Attach { .. } | Step::Mount { .. } | Step::Mask { .. } | Step::Seal { .. }
        )
    });
    let after_entering = entered.unwrap_or_default();
    let made = steps.iter().enumerate().position(|(number, step)| {
        number > after_entering && matches!(step, Step::MakeFile { .. } | Step::MakeSymlink { .. })
    });
    let stage = at(|step| matches!(step, Step::CloseStage { .. }));
    let directory = at(|step| matches!(step, Step::ChangeDirectory { .. }));
    let first = steps.iter().find(|step| **step != Step::Tie);
    assert_eq!(
        first,
        Some(&Step::CloseOthers),
        "tied, then nothing of the caller's open"
    );
    assert_eq!(steps[0] == Step::Tie, main_thread || !spec.init);
    assert!(before(namespaces, maps) && before(maps, private) && before(private, taken));
    assert!(
        before(taken, laid),
        "sources are taken before anything is laid over them"
    );
    assert!(before(taken, stage) && before(stage, laid));
    assert!(
        before(entered, old_root) && before(old_root, made),
        "nothing is made while the old root can be reached"
    );
    assert!(
        before(last_mount, really_old_root) && before(really_old_root, directory),
        "the old root is gone before a cwd is chosen"
    );
    assert_eq!(old_root.is_some(), !spec.root.is_host());
    assert_eq!(steps.last(), Some(&Step::Exec));
    let shares_memory = plan.clone_flags & libc::CLONE_VM as u64 != 0;
    let own_pids = plan.clone_flags & libc::CLONE_NEWPID as u64 != 0;
    assert_eq!(
        shares_memory,
        own_pids && spec.monotonic.is_none(),
        "memory is shared where the end of process 1 is the end of all"
    );
    assert!(shares_memory || !steps.contains(&Step::StartNetwork));
    assert_eq!(
        steps.contains(&Step::StartNetwork),
        steps.contains(&Step::JoinNetwork)
    );
    // Where there is no init, nobody else can tell that set-up has come to its end.
    assert_eq!(steps.contains(&Step::Ready), !spec.init);
    assert_eq!(plan.init.is_empty(), !spec.init);
    if spec.strict {
        assert!(
            plan.setup.iter().all(|entry| entry.instead.is_none()),
            "strict steps down nowhere"
        );
    }
}
