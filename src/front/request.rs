//! What a command line asks for.

use super::line::Line;
use super::spec_file;
use crate::error::{Error, Result};
use crate::spec::{Size, Spec};
use crate::state::Name;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A container, and what is to be told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The container.
    pub spec: Spec,
    /// Whether the .env files of the working directory are to be hidden.
    pub hide_env: bool,
    /// Where the changes of an attempt are to be left.
    pub keep: Option<PathBuf>,
    /// Whether the changes of an attempt are to be listed as JSON.
    pub json: bool,
    /// Whether only the spec is to be printed.
    pub print_spec: bool,
    /// How the plan is to be explained, instead of being run.
    pub explain: Option<Format>,
    /// Whether each step is to be told when it is done.
    pub trace: bool,
    /// Whether what the filter of system calls refuses is to be told.
    pub seccomp_trace: bool,
    /// The descriptor that the container's start and end are written to.
    pub status_fd: Option<i32>,
    /// What the container is called; none: two words.
    pub name: Option<Name>,
    /// Whether nobody waits for it.
    pub detach: bool,
    /// Whether nothing is to be left of it.
    pub rm: bool,
    /// The user's own words for it.
    pub labels: BTreeMap<String, String>,
    /// Whether it is started again.
    pub restart: Restart,
    /// The size of each of the files of its log.
    pub log_size: Option<Size>,
}

/// Whether a command is started again that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// It is not.
    #[default]
    No,
    /// When it has failed, so often in a row at most; none: always.
    OnFailure(Option<u32>),
}

impl FromStr for Restart {
    type Err = Error;

    /// Reads `no`, `on-failure` or `on-failure:N`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "restart {text:?} is neither no, on-failure nor on-failure:N"
            ))
        };
        match text.split_once(':') {
            None if text == "no" => Ok(Restart::No),
            None if text == "on-failure" => Ok(Restart::OnFailure(None)),
            Some(("on-failure", times)) => {
                let times = times.parse().map_err(|_| wrong())?;
                Ok(Restart::OnFailure(Some(times)))
            }
            _ if ["always", "unless-stopped"].contains(&text) => Err(wrong().with_hint(
                "nothing of rootlet's runs that could start it again after a reboot: a systemd service can, with `rootlet run` in it",
            )),
            _ => Err(wrong()),
        }
    }
}

/// A form of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Request {
    /// What `line` means: `preset`, what the spec file and the profile add to it, if there are any, and what the other
    /// options add to that in their order.
    ///
    /// # Errors
    /// When a value has no meaning, or a file cannot be read or understood.
    pub fn new(line: &Line<'_>, preset: Spec) -> Result<Self> {
        const FILES: [&str; 2] = ["spec", "profile"];
        let mut request = Request {
            spec: preset,
            ..Request::default()
        };
        request.take(line, |name| FILES.contains(&name))?;
        // These stand for those of the file, not beside them.
        if line.has("uidmap") {
            request.spec.uid_map.clear();
        }
        if line.has("gidmap") {
            request.spec.gid_map.clear();
        }
        request.take(line, |name| !FILES.contains(&name))?;
        if !line.command.is_empty() {
            request.spec.command = line.command.to_vec();
        }
        Ok(request)
    }

    /// Adds what a spec file says.
    pub(super) fn add_spec(&mut self, path: &Path) -> Result<()> {
        self.spec = spec_file::add(&self.spec, path)?;
        Ok(())
    }

    fn take(&mut self, line: &Line<'_>, wanted: fn(&str) -> bool) -> Result<()> {
        let mut options = line.options.iter().filter(|(flag, _)| wanted(flag.long));
        options.try_for_each(|(flag, value)| (flag.set)(self, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::flags::{FLAGS, Flag, Value, Verb};
    use crate::spec::{
        AbstractSockets, Capability, Landlock, Limits, MemorySwap, Missing, Mount, Net, Proc, Root,
        Rung, Seccomp, Share, Size, Stdio, Tty, User, WhenRefused, Without,
    };
    use std::ffi::OsString;
    use std::time::Duration;

    fn request<W: Into<OsString> + Clone>(words: &[W]) -> Result<Request> {
        let words: Vec<OsString> = words.iter().cloned().map(Into::into).collect();
        Request::new(&Line::read(&words, Verb::Try).unwrap(), Spec::default())
    }

    fn spec(line: &str) -> Spec {
        let words: Vec<&str> = line.split_whitespace().collect();
        request(&words).unwrap().spec
    }

    fn refusal(words: &[&str]) -> String {
        request(words).unwrap_err().to_string()
    }

    /// A spec file in a place of its own.
    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("rootlet-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            File(path)
        }

        fn spec(&self, words: &[&str]) -> Spec {
            let path = self.0.to_str().unwrap();
            let words: Vec<&str> = words
                .iter()
                .map(|&word| if word == "FILE" { path } else { word })
                .collect();
            request(&words).unwrap().spec
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn every_option_means_something() {
        let file = File::new("every", "read-only = true\n");
        let values = |flag: &Flag| match (flag.value, flag.long) {
            (Value::None, _) => vec![""],
            (Value::OneOf { words, .. } | Value::Optional { words, .. }, _) => words.to_vec(),
            (_, "uidmap" | "gidmap") => vec!["0:1:1"],
            (_, "restart") => vec!["on-failure", "on-failure:7"],
            (_, "cap-add" | "cap-drop") => vec!["ALL", "kill"],
            (_, "root") => vec!["host", "empty", "./host"],
            (_, "seccomp") => vec!["sandbox", "strict", "none", "./default"],
            (_, "mount") => vec!["type=proc,target=/p"],
            (_, "overlay") => vec!["/a,/b"],
            (_, "file") => vec!["/a=/b"],
            (_, "spec" | "profile") => vec![file.0.to_str().unwrap()],
            (_, "env-file") => vec!["/proc/self/status"],
            (_, "ulimit") => vec!["core=1"],
            (_, "device") => vec!["/dev/null"],
            _ => vec!["7"],
        };
        let meaning = |flag: &Flag, value: &str| {
            let mut request = Request::default();
            (flag.set)(&mut request, value.as_ref()).unwrap();
            request
        };
        for flag in FLAGS {
            let requests = values(flag).into_iter().map(|value| meaning(flag, value));
            let others = requests.filter(|request| *request != Request::default());
            // One word of --net and of --tty is the default.
            let defaults = usize::from(
                [
                    "net",
                    "tty",
                    "stdio",
                    "landlock",
                    "abstract-sockets",
                    "root",
                    "limits",
                ]
                .contains(&flag.long),
            );
            assert_eq!(
                others.count() + defaults,
                values(flag).len(),
                "--{}",
                flag.long
            );
        }
    }

    #[test]
    fn a_line_means_a_request() {
        let asked = request(&[
            "-u5:6",
            "--uidmap",
            "0:1:1",
            "--uidmap=1:2:3",
            "--gidmap",
            "0:1:1",
            "--allow-new-privs",
            "--cap-add=NET_ADMIN",
            "--cap-add",
            "cap_chown",
            "--cap-drop=all",
            "--stdio=pipe",
            "--landlock=auto",
            "--name",
            "box",
            "-d",
            "--rm",
            "--label",
            "a=b=c",
            "--label=d",
            "--restart=on-failure:3",
            "--log-size",
            "1m",
            "--no-namespaces",
            "--net=none",
            "--abstract-sockets",
            "none",
            "--seccomp",
            "strict",
            "--seccomp-trace",
            "--hide-env",
            "--keep",
            "/k",
            "--json",
            "--share",
            "uts,ipc",
            "--share",
            "ipc,pid",
            "--boottime",
            "-5",
            "--monotonic",
            "7",
            "--hostname",
            "box",
            "-v",
            "/a",
            "--tmpfs",
            "/t",
            "-v",
            "/b:/c:ro",
            "--read-only",
            "--rootfs",
            "r",
            "--proc",
            "none",
            "-w",
            "/w",
            "-e",
            "A=b",
            "-e",
            "C",
            "--clear-env",
            "--pass-fd",
            "5",
            "--pass-fd",
            "4",
            "--no-init",
            "-t",
            "always",
            "--timeout",
            "90s",
            "--strict",
            "--require",
            "proc,clone3",
            "--require",
            "proc,open-tree",
            "--optional",
            "cgroup",
            "-m",
            "64m",
            "--memory-swap=-1",
            "--cpus",
            "0.5",
            "--pids-limit",
            "9",
            "--io-weight=50",
            "--limits",
            "try",
            "--ulimit",
            "nofile=5:6",
            "--oom-score-adj",
            "-5",
            "--nice",
            "3",
            "--print-spec",
            "--explain=json",
            "--trace",
            "--status-fd",
            "3",
            "--",
            "sh",
            "-c",
            "x",
        ]);
        let bind = |source: &str, target: Option<&str>| Mount::Bind {
            source: source.into(),
            target: target.map(Into::into),
            read_only: target.is_some(),
            without: Without::default(),
            missing: Missing::Refused,
        };
        let wanted = Request {
            spec: Spec {
                command: vec!["sh".into(), "-c".into(), "x".into()],
                user: User::Ids { uid: 5, gid: 6 },
                uid_map: vec!["0:1:1".parse().unwrap(), "1:2:3".parse().unwrap()],
                gid_map: vec!["0:1:1".parse().unwrap()],
                namespaces: false,
                net: Net::None,
                abstract_sockets: AbstractSockets::None,
                share: vec![Share::Uts, Share::Ipc, Share::Pid],
                hostname: Some("box".into()),
                boottime: Some(-5),
                monotonic: Some(7),
                root: Root::Directory("r".into()),
                read_only: true,
                proc: Some(Proc::None),
                workdir: Some("/w".into()),
                clear_env: true,
                env: vec!["A=b".into(), "C".into()],
                pass_fds: vec![5, 4],
                init: false,
                tty: Tty::Always,
                stdio: Stdio::Pipe,
                landlock: Landlock::Auto,
                timeout: Some(Duration::from_secs(90)),
                limits: Limits {
                    memory: Some(Size(64 << 20)),
                    memory_swap: Some(MemorySwap::Unlimited),
                    cpus: Some("0.5".parse().unwrap()),
                    pids: Some(9),
                    io_weight: Some(50),
                    when_refused: WhenRefused::Try,
                },
                ulimits: vec!["nofile=5:6".parse().unwrap()],
                oom_score_adj: Some(-5),
                nice: Some(3),
                allow_new_privs: true,
                cap_add: vec![Capability::Number(12), Capability::Number(0)],
                cap_drop: vec![Capability::All],
                seccomp: Seccomp::Strict,
                strict: true,
                require: vec![Rung::Proc, Rung::Clone3, Rung::OpenTree],
                optional: vec![Rung::Cgroup],
                mounts: vec![
                    bind("/a", None),
                    Mount::Tmpfs {
                        target: "/t".into(),
                        size: None,
                        mode: None,
                    },
                    bind("/b", Some("/c")),
                ],
                ..Spec::default()
            },
            hide_env: true,
            keep: Some("/k".into()),
            json: true,
            print_spec: true,
            explain: Some(Format::Json),
            trace: true,
            seccomp_trace: true,
            status_fd: Some(3),
            name: Some("box".parse().unwrap()),
            detach: true,
            rm: true,
            labels: BTreeMap::from([("a".into(), "b=c".into()), ("d".into(), String::new())]),
            restart: Restart::OnFailure(Some(3)),
            log_size: Some(Size(1 << 20)),
        };
        assert_eq!(asked.unwrap(), wanted);
        assert_eq!(spec(""), Spec::default());
    }

    #[test]
    fn options_add_to_a_spec_file_wherever_it_stands() {
        let file = File::new(
            "adds",
            "command = [\"a\"]\nuser = \"5:6\"\nuid-map = [\"0:1:1\"]\ngid-map = [\"0:1:1\"]\nshare = [\"ipc\"]\n\
             env = [\"A=1\"]\npass-fds = [3]\ninit = false\nworkdir = \"/w\"\n\
             [[mounts]]\ntype = \"bind\"\nsource = \"/a\"\n",
        );
        let plain = file.spec(&["--spec", "FILE"]);
        assert_eq!(plain.user, User::Ids { uid: 5, gid: 6 });
        let options = [
            "-v",
            "/b",
            "--uidmap",
            "5:6:7",
            "--uidmap",
            "6:7:8",
            "--share",
            "ipc,uts",
            "-e",
            "B=2",
            "--pass-fd",
            "4",
        ];
        let wanted = Spec {
            command: vec!["b".into(), "c".into()],
            uid_map: spec("--uidmap 5:6:7 --uidmap 6:7:8").uid_map,
            share: vec![Share::Ipc, Share::Uts],
            env: vec!["A=1".into(), "B=2".into()],
            pass_fds: vec![3, 4],
            mounts: spec("-v /a -v /b").mounts,
            ..plain
        };
        let (first, command) = (["--spec", "FILE"], ["--", "b", "c"]);
        assert_eq!(
            file.spec(&[&first[..], &options, &command].concat()),
            wanted
        );
        assert_eq!(
            file.spec(&[&options[..], &first, &command].concat()),
            wanted
        );
    }

    #[test]
    fn variables_come_in_the_order_of_options_and_files() {
        let file = File::new("env", "# a comment\nA=file\nB=file\n");
        let env = file
            .spec(&["-e", "A=before", "--env-file", "FILE", "-e", "B=after"])
            .env;
        assert_eq!(env, ["A=before", "A=file", "B=file", "B=after"]);
    }

    #[test]
    fn a_value_without_a_meaning_is_refused_in_words() {
        for (words, why) in [
            (["--uidmap", "0:1"], "IN:OUT:COUNT"),
            (["-u", "--strict"], "user \"--strict\" is neither root"),
            (
                ["--boottime", "x"],
                "clock offset \"x\" is not a whole number",
            ),
            (["--monotonic", "-1.5"], "clock offset \"-1.5\" is not"),
            (
                ["--pass-fd", "-1"],
                "descriptor \"-1\" is not a number from 0",
            ),
            (["--status-fd", "2147483648"], "descriptor \"2147483648\""),
            (["--timeout", "0"], "is not a duration"),
            (
                ["--memory", "much"],
                "size \"much\" is not one such as 512m",
            ),
            (
                ["--cpus", "-1"],
                "cpus \"-1\" is not a number of processors",
            ),
            (["--pids-limit", "few"], "pids limit \"few\""),
            (["--ulimit", "files=1"], "the names are cpu"),
            (["--name", "a b"], "a b"),
            (["--label", "=x"], "has no name"),
            (["--restart", "always"], "restart \"always\" is neither"),
            (["--restart", "on-failure:x"], "restart \"on-failure:x\""),
            (["--log-size", "much"], "size \"much\""),
            (["--nice", "x"], "nice value \"x\""),
            (["-v", ""], "the source is empty"),
            (["-w", ""], "workdir \"\": the path is empty"),
            (["--spec", ""], "spec file \"\": the path is empty"),
            (
                ["--spec", "/no/such/spec"],
                "read the spec file /no/such/spec",
            ),
        ] {
            let said = refusal(&words);
            assert!(said.contains(why), "{words:?}: {said}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_pass_or_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let word = || OsString::from_vec(vec![b'/', 0xff]);
        let spec = request(&["-w".into(), word(), word()]).unwrap().spec;
        assert_eq!(spec.workdir, Some(word().into()));
        assert_eq!(spec.command, [word()]);
        let error = request(&["-u".into(), word()]).unwrap_err().to_string();
        assert!(error.contains("is not UTF-8"), "{error}");
    }
}
