//! The pure ring: plans compared with written-down ones, refusals, and what holds of every plan.
//!
//! `UPDATE_GOLDENS=1 cargo test --test plan` in a checkout writes tests/golden anew; read the difference.

mod targets;

use rootlet::child::step::{Entry, Step, Text};
use rootlet::front::bwrap::{Asked, Caller, Reader};
use rootlet::host::tree::{Found, Kind, Tree};
use rootlet::plan::ParentStep;
use rootlet::spec::{
    AbstractSockets, Descriptors, Kernel, Missing, Mount, Nesting, Net, Places, Root, Seccomp,
    Share, Tty, User, Without,
};
use rootlet::{Facts, Plan, Spec};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use targets::draw::{Draw, any_bytes, plain_facts as facts};
use targets::{invariants, is_planned};

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
    let plan = Plan::new(spec, &facts(spec)).unwrap();
    assert_eq!(invariants::check_against(&plan, spec, &facts(spec)), Ok(()));
    plan
}

fn refusal(spec: &Spec) -> String {
    Plan::new(spec, &facts(spec)).unwrap_err().to_string()
}

fn bind(source: &str, target: &str, read_only: bool) -> Mount {
    Mount::Bind {
        source: source.into(),
        target: Some(target.into()),
        read_only,
        without: Without::default(),
        missing: Missing::Refused,
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
    assert_eq!(invariants::check(plan), Ok(()), "the plan {name} cannot be");
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

/// What a line of bubblewrap's options comes to, for the user of [`facts`].
fn bwrap(words: &str) -> Plan {
    let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
    let caller = Caller {
        takes_trees: true,
        uid: 1000,
        gid: 1000,
        home: Some("/home/me".into()),
        cwd: Some("/home/me/project".into()),
        ..Caller::default()
    };
    let mut nothing = |_| Ok(Vec::new());
    match Reader::default().read(&words, &caller, &mut nothing) {
        Ok(Asked::Launch(launch)) => plan(&launch.spec),
        other => panic!("{other:?}"),
    }
}

golden!(
    bwrap_in_the_hosts_tree,
    bwrap("--unshare-all --ro-bind / / --proc /proc --dev /dev true")
);
golden!(
    bwrap_in_a_tree_of_its_own,
    bwrap(
        "--unshare-all --share-net --die-with-parent --new-session --info-fd 11 --seccomp 12 --lock-file /app/.ref
         --ro-bind /opt/runtime /usr --symlink usr/lib /lib --symlink usr/bin /bin --bind /srv/app /app
         --proc /proc --dev /dev --tmpfs /tmp --perms 700 --dir /run/user/1000 --ro-bind-data 13 /run/user/1000/info
         --file 14 /etc/passwd --bind-fd 15 /run/held --remount-ro / --setenv XDG_RUNTIME_DIR /run/user/1000
         --unsetenv PATH --chdir /app -- /app/bin/start --fast"
    )
);
golden!(
    bwrap_in_namespaces_of_others,
    bwrap(
        "--userns 6 --pidns 7 --userns2 8 --block-fd 9 --bind /base / --overlay-src /lower --overlay-src /upper
         --tmp-overlay /merged --overlay-src /lower --overlay /rw /work /home/me --ro-bind /usr /usr
         --argv0 -sh /usr/bin/sh"
    )
);

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

/// A spec that has something of everything.
fn rich() -> Spec {
    Spec {
        net: Net::None,
        tty: Tty::Always,
        root: Root::Directory("/r".into()),
        hostname: Some("box".into()),
        mounts: vec![tmpfs("/t"), bind("/a", "/t/a", false)],
        pass_fds: vec![5],
        ..command(&["true"])
    }
}

/// A spec that has something of everything that bubblewrap's containers have.
fn otherwise() -> Spec {
    Spec {
        argv0: Some("-sh".into()),
        descriptors: Descriptors {
            inherit: true,
            held: vec![7],
            awaited: Some(8),
            id_maps: Some(9),
            last_user_namespace: Some(10),
            pid_namespace: Some(11),
            ..Descriptors::default()
        },
        set_pwd: true,
        locks: vec!["/t/lock".into()],
        new_session: true,
        nesting: Nesting::Disabled,
        seccomp: Seccomp::Programs(vec![12, 13]),
        places: Places::Anywhere,
        root: Root::Bare,
        mounts: vec![
            bind("/proc/self/fd/6", "/", false),
            tmpfs("/t"),
            Mount::Kernel {
                kind: Kernel::Proc,
                target: "/proc".into(),
            },
            Mount::Chmod {
                target: "/t".into(),
                mode: "700".into(),
            },
            Mount::Seal {
                target: "/proc/sys".into(),
            },
            Mount::Remount {
                target: "/t".into(),
                read_only: true,
                without: Without::default(),
                recursive: false,
            },
        ],
        ..command(&["true"])
    }
}

#[test]
fn a_plan_that_lacks_a_step_is_found_out() {
    let specs = [
        rich(),
        otherwise(),
        Spec {
            share: vec![Share::Pid],
            ..command(&["true"])
        },
        Spec {
            init: false,
            boottime: Some(1),
            ..command(&["true"])
        },
    ];
    let mut unseen = BTreeSet::new();
    for spec in specs {
        let plan = plan(&spec);
        let lists: [fn(&mut Plan) -> &mut Vec<Entry>; 3] = [
            |plan| &mut plan.setup,
            |plan| &mut plan.init,
            |plan| &mut plan.command,
        ];
        for list in lists {
            for number in 0..list(&mut plan.clone()).len() {
                let mut broken = plan.clone();
                let entry = list(&mut broken).remove(number);
                if invariants::check_against(&broken, &spec, &facts(&spec)).is_ok() {
                    let name = format!("{:?}", entry.step);
                    unseen.insert(name.split(' ').next().unwrap().to_string());
                }
            }
        }
    }
    // The goldens have these: what holds of every plan says nothing of them.
    let known = [
        "AttachTerminal",
        "LeadGroup",
        "LimitInit",
        "MakeDirectory",
        "MakeFile",
        "MakePlace",
        "MakeSymlink",
        "Mount",
        "Rename",
        "SetSignal",
        "StandardAs",
        "Tie",
        "Untie",
    ];
    let unseen: Vec<_> = unseen.iter().collect();
    assert_eq!(unseen, known);
}

#[test]
fn a_plan_in_a_wrong_order_is_found_out() {
    let good = plan(&rich());
    let find = |list: &[Entry], wanted: fn(&Step) -> bool| {
        list.iter().position(|entry| wanted(&entry.step)).unwrap()
    };
    let attach = find(&good.setup, |step| matches!(step, Step::Attach { .. }));
    let take = find(&good.setup, |step| matches!(step, Step::OpenTree { .. }));
    let maps = find(&good.setup, |step| *step == Step::AwaitIdMaps);
    let passed = find(&good.command, |step| matches!(step, Step::PassFd { .. }));
    let (exec, mask) = (
        good.command.len() - 1,
        find(&good.command, |step| *step == Step::RestoreSignalMask),
    );
    let changed = |change: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        change(&mut plan);
        invariants::check(&plan)
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    type Change<'a> = &'a dyn Fn(&mut Plan);
    let wrong: [(Change<'_>, &str); 9] = [
        (&|plan| plan.setup.swap(take, attach), "is empty"),
        (&|plan| plan.setup.swap(1, maps), "nothing of the caller's"),
        (
            &|plan| plan.command.swap(exec, mask),
            "exec is not the last",
        ),
        (&|plan| plan.command.push(plan.command[mask]), "signal mask"),
        (
            &|plan| plan.command.insert(0, plan.command[exec]),
            "2 times",
        ),
        (&|plan| plan.setup.push(plan.command[passed]), "setup does"),
        (&|plan| plan.parent.swap(0, 1), "order"),
        (
            &|plan| plan.clone_flags ^= libc::CLONE_VM as u64,
            "the clone is made with",
        ),
        (&|plan| plan.argv.push(Text(1)), "no string starts at 1"),
    ];
    for (change, words) in wrong {
        let said = changed(change).unwrap_err();
        assert!(said.contains(words), "{said:?} does not say {words:?}");
    }
}

#[test]
fn p5_what_is_written_to_proc_goes_to_the_hosts() {
    let spec = Spec {
        cap_add: vec!["ALL".parse().unwrap()],
        boottime: Some(1),
        ..rich()
    };
    let plan = plan(&spec);
    let steps: Vec<Step> = plan.setup.iter().map(|entry| entry.step).collect();
    let at = |wanted: &dyn Fn(&Step) -> bool| steps.iter().position(wanted).unwrap();
    let private = at(&|step| *step == Step::MakePrivate);
    let clocks = at(&|step| matches!(step, Step::SetClocks { .. }));
    assert!(clocks < private, "clocks: {clocks}, mounts: {private}");
    // The maps of a second user namespace, by a copy of /proc that was taken before anything was laid over it.
    let proc = plan.command.iter().find_map(|entry| match entry.step {
        Step::EnterUserNamespace { proc, .. } => Some(proc),
        _ => None,
    });
    let proc = proc.unwrap();
    let taken = at(
        &|step| matches!(*step, Step::OpenTree { path, slot, .. } if slot == proc && plan.arena.get(path) == c"/proc"),
    );
    let laid = at(&|step| matches!(step, Step::Attach { .. }));
    assert!(taken < laid, "/proc: {taken}, views: {laid}");
}

#[test]
fn what_holds_of_every_plan_holds_of_any_spec_on_any_host() {
    let mut made = 0;
    for bytes in any_bytes(20_000) {
        let mut draw = Draw::new(&bytes);
        let spec = draw.spec();
        let facts = draw.facts(&spec);
        made += i32::from(is_planned(&spec, &facts));
    }
    assert!(made > 2_000, "{made} specs made a plan");
}
