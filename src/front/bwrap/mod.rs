//! DIALECT: the command line of bubblewrap 0.11, for programs that already drive it.
//!
//! - `options`: which there are, and how many words each takes
//! - `reader`: reads them from left to right, and refuses what bubblewrap refuses, in its words
//! - `lowering`: the [`Spec`] that they come to

mod lowering;
mod options;
mod reader;

pub use lowering::Caller;
pub use options::{BwrapOption, OPTIONS, usage};
pub use reader::{Reader, Refusal};

use crate::spec::Spec;
use std::io;

/// The version whose options are known, as `--version` tells it.
pub const VERSION: &str = "bubblewrap 0.11.1";

/// What a line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// The options, on standard output.
    Help,
    /// [`VERSION`].
    Version,
    /// A container.
    Launch(Box<Launch>),
}

/// A container, and what is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What it is.
    pub spec: Spec,
    /// A descriptor to which one JSON document goes about the first process.
    pub info_fd: Option<i32>,
    /// A descriptor to which a line of JSON goes for each thing that happens.
    pub json_status_fd: Option<i32>,
    /// Whether everything ends when the caller ends.
    pub die_with_parent: bool,
    /// The kinds of namespaces whose ids are told, as /proc/PID/ns names them.
    pub told: Vec<&'static str>,
}

/// The system's words for an error, as strerror(3) has them.
pub fn words_of(error: &io::Error) -> String {
    let words = error.to_string();
    words
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::spec_file;
    use crate::spec::{
        Content, Kept, Kernel, Lives, Missing, Mount, Nesting, Net, Rung, Seccomp, Share, User,
        Without,
    };
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    /// An ordinary user in a project of hers.
    pub(super) fn caller() -> Caller {
        Caller {
            uid: 1000,
            gid: 1001,
            home: Some("/home/me".into()),
            cwd: Some("/home/me/project".into()),
            takes_trees: true,
            ..Caller::default()
        }
    }

    pub(super) fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// Reads a line of `caller`, whose descriptors are empty.
    pub(super) fn read(line: &str, caller: &Caller) -> Result<Asked, Refusal> {
        Reader::default().read(&words(line), caller, &mut |_| Ok(Vec::new()))
    }

    pub(super) fn launch_of(line: &str, caller: &Caller) -> Launch {
        match read(line, caller) {
            Ok(Asked::Launch(launch)) => *launch,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// What the options of `line` come to, for the command `true`.
    pub(super) fn launch(line: &str) -> Launch {
        launch_of(&format!("{line} true"), &caller())
    }

    pub(super) fn refusal(line: &str) -> String {
        match read(line, &caller()) {
            Err(Refusal::Words(words)) => words,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// A new namespace of this kind, whose id is told.
    fn new(launch: &mut Launch, share: Share, name: &'static str) {
        launch.spec.share.retain(|kept| *kept != share);
        launch.told.push(name);
        launch.told.sort_unstable();
    }

    fn bind(source: &str, read_only: bool, devices: bool, missing: Missing) -> Mount {
        Mount::Bind {
            source: source.into(),
            target: Some("/d".into()),
            read_only,
            without: Without {
                devices: !devices,
                setuid: true,
            },
            missing,
        }
    }

    fn file(mode: &str, kept: Kept) -> Mount {
        Mount::File {
            target: "/d".into(),
            content: Content::Descriptor(7),
            mode: Some(mode.into()),
            kept,
        }
    }

    fn overlay(lower: &[&str], read_only: bool, sides: Option<[&str; 2]>) -> Mount {
        Mount::Overlay {
            lower: lower.iter().map(Into::into).collect(),
            target: "/d".into(),
            read_only,
            upper: sides.map(|[upper, _]| upper.into()),
            work: sides.map(|[_, work]| work.into()),
            optional: false,
            volatile: false,
        }
    }

    fn kernel(kind: Kernel) -> Mount {
        Mount::Kernel {
            kind,
            target: "/d".into(),
        }
    }

    fn tmpfs(size: Option<&str>, mode: &str) -> Mount {
        Mount::Tmpfs {
            target: "/d".into(),
            size: size.map(Into::into),
            mode: Some(mode.into()),
        }
    }

    /// Lines of options, and what each changes.
    type Meaning = (&'static str, fn(&mut Launch));

    /// What is about namespaces, ids and lives.
    const OF_LIVES: &[Meaning] = &[
        // An ordinary user gets one in any case.
        ("--unshare-user", |_| ()),
        ("--unshare-user-try", |_| ()),
        ("--share-net", |_| ()),
        ("--level-prefix", |_| ()),
        ("--argv0 -sh", |it| it.spec.argv0 = Some("-sh".into())),
        ("--unshare-ipc", |it| new(it, Share::Ipc, "ipc")),
        ("--unshare-uts", |it| new(it, Share::Uts, "uts")),
        ("--unshare-pid", |it| {
            new(it, Share::Pid, "pid");
            it.spec.init = true;
        }),
        ("--unshare-cgroup", |it| {
            new(it, Share::Cgroup, "cgroup");
            it.spec.optional = Vec::new();
        }),
        ("--unshare-cgroup-try", |it| {
            new(it, Share::Cgroup, "cgroup")
        }),
        ("--unshare-net", |it| {
            it.spec.net = Net::None;
            it.told.insert(1, "net");
        }),
        ("--unshare-all", |it| {
            it.spec.share = Vec::new();
            it.spec.net = Net::None;
            it.spec.init = true;
            it.told = vec!["cgroup", "ipc", "mnt", "net", "pid", "uts"];
        }),
        ("--unshare-pid --as-pid-1", |it| new(it, Share::Pid, "pid")),
        ("--unshare-uts --hostname box", |it| {
            new(it, Share::Uts, "uts");
            it.spec.hostname = Some("box".into());
        }),
        ("--userns 7", |it| {
            it.spec.descriptors.user_namespace = Some(7)
        }),
        ("--userns2 7", |it| {
            it.spec.descriptors.last_user_namespace = Some(7);
        }),
        ("--pidns 7", |it| {
            it.spec.descriptors.pid_namespace = Some(7)
        }),
        ("--unshare-user --disable-userns", |it| {
            it.spec.nesting = Nesting::Disabled;
        }),
        ("--assert-userns-disabled", |it| {
            it.spec.nesting = Nesting::Refused
        }),
        ("--uid 5", |it| {
            it.spec.user = User::Ids { uid: 5, gid: 1001 }
        }),
        ("--gid 6", |it| {
            it.spec.user = User::Ids { uid: 1000, gid: 6 }
        }),
        ("--chdir /d", |it| {
            it.spec.workdir = Some("/d".into());
            it.spec.workdir_else = Vec::new();
        }),
        ("--setenv A b=c", |it| it.spec.env = vec!["A=b=c".into()]),
        ("--unsetenv A", |it| it.spec.unset_env = vec!["A".into()]),
        ("--clearenv", |it| {
            it.spec.clear_env = true;
            it.spec.workdir_else = vec!["/".into()];
        }),
        ("--lock-file /l", |it| {
            it.spec.locks = vec!["/l".into()];
            it.spec.init = true;
        }),
        ("--sync-fd 7", |it| {
            it.spec.descriptors.held = vec![7];
            it.spec.init = true;
        }),
        ("--block-fd 7", |it| it.spec.descriptors.awaited = Some(7)),
        ("--unshare-user --userns-block-fd 7 --info-fd 8", |it| {
            it.spec.descriptors.id_maps = Some(7);
            it.spec.announced = true;
            it.info_fd = Some(8);
        }),
        ("--json-status-fd 8", |it| {
            it.spec.announced = true;
            it.json_status_fd = Some(8);
        }),
        ("--new-session", |it| it.spec.new_session = true),
        ("--die-with-parent", |it| {
            it.die_with_parent = true;
            it.spec.lives = Lives::Tied;
            it.spec.init = true;
        }),
        ("--cap-add cap_net_raw", |it| {
            it.spec.cap_add = vec!["NET_RAW".parse().unwrap()];
            it.spec.ambient = true;
        }),
        ("--cap-add ALL --cap-drop CAP_KILL", |it| {
            it.spec.cap_add = vec!["ALL".parse().unwrap()];
            it.spec.cap_drop = vec!["KILL".parse().unwrap()];
            it.spec.ambient = true;
        }),
        ("--seccomp 7", |it| {
            it.spec.seccomp = Seccomp::Programs(vec![7])
        }),
        ("--add-seccomp-fd 8 --add-seccomp-fd 7", |it| {
            it.spec.seccomp = Seccomp::Programs(vec![8, 7]);
        }),
    ];

    /// What is about files: each line comes to one view.
    fn of_files() -> Vec<(&'static str, Mount)> {
        let (refused, optional) = (Missing::Refused, Missing::Optional);
        let held = "/proc/self/fd/7";
        let mode = |text: &str| Some(OsString::from(text));
        let directory = |text| Mount::Directory {
            target: "/d".into(),
            mode: mode(text),
        };
        vec![
            ("--bind /s /d", bind("/s", false, false, refused)),
            ("--bind-try /s /d", bind("/s", false, false, optional)),
            ("--dev-bind /s /d", bind("/s", false, true, refused)),
            ("--dev-bind-try /s /d", bind("/s", false, true, optional)),
            ("--ro-bind /s /d", bind("/s", true, false, refused)),
            ("--ro-bind-try /s /d", bind("/s", true, false, optional)),
            ("--bind-fd 7 /d", bind(held, false, false, refused)),
            ("--ro-bind-fd 7 /d", bind(held, true, false, refused)),
            ("--dev /d", kernel(Kernel::Dev)),
            ("--mqueue /d", kernel(Kernel::Mqueue)),
            ("--tmpfs /d", tmpfs(None, "755")),
            (
                "--size 4096 --perms 1777 --tmpfs /d",
                tmpfs(Some("4096"), "1777"),
            ),
            ("--dir /d", directory("755")),
            ("--perms 0700 --dir /d", directory("700")),
            ("--file 7 /d", file("666", Kept::Written)),
            (
                "--bind-data 7 /d",
                file("600", Kept::Mounted { read_only: false }),
            ),
            (
                "--ro-bind-data 7 /d",
                file("600", Kept::Mounted { read_only: true }),
            ),
            (
                "--perms 644 --ro-bind-data 7 /d",
                file("644", Kept::Mounted { read_only: true }),
            ),
            (
                "--overlay-src /a --tmp-overlay /d",
                overlay(&["/a"], false, None),
            ),
            (
                "--overlay-src /a --overlay-src /b --ro-overlay /d",
                overlay(&["/b", "/a"], true, None),
            ),
            (
                "--overlay-src /a --overlay-src /b --overlay /u /w /d",
                overlay(&["/b", "/a"], false, Some(["/u", "/w"])),
            ),
            (
                "--symlink to /d",
                Mount::Symlink {
                    target: "/d".into(),
                    to: "to".into(),
                },
            ),
            (
                "--chmod 0750 /d",
                Mount::Chmod {
                    target: "/d".into(),
                    mode: "750".into(),
                },
            ),
            (
                "--remount-ro /d",
                Mount::Remount {
                    target: "/d".into(),
                    read_only: true,
                    without: Without::default(),
                    recursive: false,
                },
            ),
        ]
    }

    #[test]
    fn every_option_means_something() {
        let plain = launch("");
        for (line, change) in OF_LIVES {
            let mut wanted = plain.clone();
            change(&mut wanted);
            assert_eq!(launch(line), wanted, "{line}");
        }
        for (line, view) in of_files() {
            let mut wanted = plain.clone();
            wanted.spec.mounts = vec![view];
            assert_eq!(launch(line), wanted, "{line}");
        }
    }

    #[test]
    fn no_option_is_forgotten_here() {
        let of_files = of_files();
        let files = of_files.iter().map(|(line, _)| *line);
        let lines = OF_LIVES.iter().map(|(line, _)| *line).chain(files);
        let mut tried: BTreeSet<&str> = lines.flat_map(str::split_whitespace).collect();
        // These have tests of their own.
        tried.extend(["--help", "--version", "--args", "--proc"]);
        tried.extend(["--exec-label", "--file-label"]);
        for option in options::OPTIONS {
            assert!(tried.contains(option.name), "{}", option.name);
        }
    }

    #[test]
    fn a_command_alone_has_mounts_of_its_own_and_shares_the_rest() {
        let plain = launch("");
        let spec = &plain.spec;
        assert_eq!(spec.command, ["true"]);
        assert_eq!(
            spec.share,
            [Share::Pid, Share::Ipc, Share::Uts, Share::Cgroup]
        );
        assert_eq!((spec.net, spec.user), (Net::Host, User::Keep));
        assert_eq!((spec.init, spec.lives), (false, Lives::Own));
        assert_eq!(spec.workdir, Some("/home/me/project".into()));
        assert_eq!(
            spec.workdir_else,
            ["/home/me", "/"].map(std::path::PathBuf::from)
        );
        assert!(spec.descriptors.inherit && spec.set_pwd && spec.unlocked && spec.scripts);
        assert!(!spec.announced && !spec.ambient && !plain.die_with_parent);
        assert_eq!(spec.kept_capabilities(1000).0, 0);
        assert_eq!(
            (&spec.require, &spec.optional),
            (&vec![Rung::Proc], &vec![Rung::Cgroup])
        );
        assert_eq!(plain.told, ["mnt"]);
    }

    /// A small generator of numbers, so that every run tries the same.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % most
        }

        fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
            &list[self.below(list.len())]
        }

        /// Options, most of them with words that they take.
        fn line(&mut self) -> Vec<OsString> {
            const WORDS: [&str; 14] = [
                "/",
                "/a",
                "a/b",
                "/a/../b",
                "",
                "7",
                "8",
                "0",
                "-1",
                "755",
                "ALL",
                "cap_kill",
                "9999999999999999999",
                "é",
            ];
            // What leads to the help ends a line.
            let options: Vec<_> = options::OPTIONS.iter().skip(2).collect();
            let mut line = Vec::new();
            for _ in 0..self.below(7) {
                let option = self.pick(&options);
                line.push(option.name.into());
                let missing = usize::from(self.below(40) == 0);
                for word in option.words.iter().skip(missing) {
                    let likely = match *word {
                        "FD" => "7",
                        "OCTAL" => "700",
                        "BYTES" => "65536",
                        "UID" | "GID" => "1000",
                        "CAP" => "CAP_CHOWN",
                        _ => "/d",
                    };
                    let odd = self.below(3) == 0;
                    line.push(if odd { self.pick(&WORDS) } else { likely }.into());
                }
            }
            line.extend(["--", "true"].map(OsString::from));
            line
        }
    }

    #[test]
    fn whatever_is_asked_for_can_be_written_down_and_read_again() {
        let mut numbers = Numbers(1);
        let mut launched = 0;
        let callers = [caller(), Caller::default()];
        for _ in 0..20_000 {
            let line = numbers.line();
            let mut reader = Reader::default();
            let caller = numbers.pick(&callers);
            let mut file = |_| Ok(b"--dir\0/d\0--perms\x00700".to_vec());
            let Ok(Asked::Launch(launch)) = reader.read(&line, caller, &mut file) else {
                continue;
            };
            launched += 1;
            let spec = launch.spec;
            let text = spec_file::print(&spec).unwrap();
            assert_eq!(spec_file::parse(&text).unwrap(), spec, "{line:?}\n{text}");
        }
        assert!(launched > 2_000, "{launched} lines were right");
    }
}
