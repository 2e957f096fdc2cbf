//! Spec files: the [`Spec`] as TOML.

use crate::error::{Errno, Error, Result};
use crate::spec::Spec;
use std::path::{Path, PathBuf};

/// Reads a spec file; `-` is standard input.
fn read(path: &Path) -> Result<String> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    text.map_err(|error| match error.raw_os_error() {
        Some(_) => Error::setup(format!("read the spec file {}", path.display()), error)
            .of_kind(crate::error::Kind::Usage),
        None => Error::usage(format!("read the spec file {}: {error}", path.display())),
    })
}

/// What the spec file at `path` says, on top of `base`: its lists come after those of `base`, and everything else that it
/// says stands for what `base` says.
///
/// # Errors
/// When the file cannot be read, or says what no [`Spec`] can; with the line.
pub fn add(base: &Spec, path: &Path) -> Result<Spec> {
    let text = read(path)?;
    let wrong = |mark, error: Error| {
        Error::usage(format!("spec file {}{mark} {}", path.display(), error.step))
    };
    let spec = parse(&text).map_err(|error| wrong(",", error))?;
    match *base == Spec::default() {
        true => Ok(spec),
        false => add_text(base, &text).map_err(|error| wrong(":", error)),
    }
}

/// As [`add`], of the file's text.
///
/// # Errors
/// When `base` cannot be written in a spec file, or the two together are no [`Spec`].
pub fn add_text(base: &Spec, text: &str) -> Result<Spec> {
    let wrong = |error: &dyn std::fmt::Display| Error::usage(error.to_string());
    let mut table = toml::Table::try_from(base).map_err(|error| wrong(&error))?;
    let more: toml::Table = text.parse().map_err(|error| wrong(&error))?;
    for (key, value) in more {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Array(list)), toml::Value::Array(more))
                if ADDED.contains(&key.as_str()) =>
            {
                list.extend(more);
            }
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
    table
        .try_into()
        .map_err(|error: toml::de::Error| wrong(&error))
}

/// Lists whose entries are added; others stand for one another.
const ADDED: [&str; 9] = [
    "share", "cap-add", "cap-drop", "require", "optional", "env", "pass-fds", "ulimits", "mounts",
];

/// Where the profile `name` is: a path if there is a / in it, else NAME.toml among the user's profiles.
///
/// # Errors
/// When there is neither XDG_CONFIG_HOME nor HOME.
pub fn profile(name: &Path) -> Result<PathBuf> {
    if name.components().count() > 1 || name.is_absolute() || name.starts_with(".") {
        return Ok(name.to_path_buf());
    }
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let config = variable("XDG_CONFIG_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".config")))
        .ok_or_else(|| Error::usage("profiles are in the home directory, and HOME is not set"))?;
    let mut file = config.join("rootlet/profiles").join(name).into_os_string();
    file.push(".toml");
    Ok(file.into())
}

/// Reads a spec from text.
///
/// # Errors
/// When the text is not TOML, or holds an unknown key or a wrong value: `line 3: unknown field …`.
pub fn parse(text: &str) -> Result<Spec> {
    toml::from_str(text).map_err(|error| {
        let before = error
            .span()
            .map_or("", |span| text.get(..span.start).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        Error::usage(format!(
            "line {line}: {}",
            error.message().trim_end().replace('\n', ", ")
        ))
    })
}

/// Writes a spec as text that [`parse`] reads as the same spec.
///
/// # Errors
/// When it holds a word that is not UTF-8.
pub fn print(spec: &Spec) -> Result<String> {
    toml::to_string(spec).map_err(|error| Error::usage(format!("print the spec: {error}")))
}

/// Reads an env file in docker's form: a line each, `K=V` or `K`; empty lines and lines that start with `#` are nothing.
///
/// # Errors
/// When it cannot be read.
pub fn read_env(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    use std::os::unix::ffi::OsStringExt;
    let text = std::fs::read(path).map_err(|error| {
        Error::setup(
            format!("read the env file {}", path.display()),
            Errno::from(error),
        )
        .of_kind(crate::error::Kind::Usage)
    })?;
    let lines = text
        .split(|&byte| byte == b'\n')
        .map(|line| line.trim_ascii_start());
    let kept = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    Ok(kept
        .map(|line| std::ffi::OsString::from_vec(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{
        AbstractSockets, Capability, Content, Descriptors, Kept, Keyring, Landlock, Limits, Lives,
        MemorySwap, Missing, Mount, Nesting, Net, Places, Proc, Propagation, Root, Rung, Seccomp,
        Share, Signals, Size, Stdio, Tty, User, WhenRefused, Without,
    };
    use std::time::Duration;

    #[test]
    fn everything_comes_back_as_it_was_written() {
        let spec = Spec {
            command: vec!["sh".into(), "-c".into(), "echo \"$1\"\n".into()],
            argv0: Some("-sh".into()),
            scripts: true,
            user: User::Ids { uid: 5, gid: 6 },
            uid_map: vec![
                "0:1000:1".parse().unwrap(),
                "1:100000:65536".parse().unwrap(),
            ],
            gid_map: vec!["0:1000:1".parse().unwrap()],
            namespaces: false,
            net: Net::None,
            abstract_sockets: AbstractSockets::None,
            share: vec![Share::Ipc, Share::Uts],
            hostname: Some("box".into()),
            boottime: Some(-5),
            monotonic: Some(7),
            root: Root::Directory("/srv/root".into()),
            read_only: true,
            proc: Some(Proc::Fresh),
            workdir: Some("/w".into()),
            workdir_else: vec!["/home/me".into(), "".into()],
            set_pwd: true,
            clear_env: true,
            unset_env: vec!["D".into()],
            env: vec!["A=b".into(), "C".into()],
            pass_fds: vec![5, 7],
            descriptors: Descriptors {
                inherit: true,
                held: vec![8, 9],
                awaited: Some(10),
                id_maps: Some(11),
                user_namespace: Some(12),
                last_user_namespace: Some(13),
                pid_namespace: Some(0),
            },
            init: false,
            lives: Lives::Own,
            signals: Signals::Own,
            locks: vec!["/l".into()],
            announced: true,
            new_session: true,
            keyring: Keyring::Host,
            tty: Tty::Never,
            stdio: Stdio::Pipe,
            landlock: Landlock::Auto,
            timeout: Some(Duration::from_millis(90_500)),
            limits: Limits {
                memory: Some(Size(3 << 29)),
                memory_swap: Some(MemorySwap::Unlimited),
                cpus: Some("1.25".parse().unwrap()),
                pids: Some(7),
                io_weight: Some(10),
                when_refused: WhenRefused::Rlimit,
            },
            ulimits: vec!["nofile=5".parse().unwrap()],
            core_files: true,
            oom_score_adj: Some(5),
            nice: Some(-3),
            allow_new_privs: true,
            cap_add: vec![Capability::Number(12)],
            cap_drop: vec![Capability::All],
            ambient: true,
            nesting: Nesting::Disabled,
            seccomp: Seccomp::File("calls.toml".into()),
            strict: true,
            require: vec![Rung::Proc, Rung::MountSetattr],
            optional: vec![Rung::Ids],
            unlocked: true,
            places: Places::Anywhere,
            propagation: Propagation::Slave,
            mounts: vec![
                Mount::Bind {
                    source: "a".into(),
                    target: Some("/b".into()),
                    read_only: true,
                    without: Without {
                        devices: true,
                        setuid: true,
                    },
                    missing: Missing::Refused,
                },
                Mount::Tmpfs {
                    target: "/t".into(),
                    size: Some("1m".into()),
                    mode: Some("0700".into()),
                },
                Mount::Bind {
                    source: "/c".into(),
                    target: None,
                    read_only: false,
                    without: Without::default(),
                    missing: Missing::Refused,
                },
                Mount::File {
                    target: "/f".into(),
                    content: Content::Descriptor(0),
                    mode: None,
                    kept: Kept::Mounted { read_only: true },
                },
                Mount::Directory {
                    target: "/d".into(),
                    mode: None,
                },
                Mount::Seal {
                    target: "/s".into(),
                },
            ],
        };
        assert_eq!(parse(&print(&spec).unwrap()).unwrap(), spec);
        assert_eq!(
            parse(&print(&Spec::default()).unwrap()).unwrap(),
            Spec::default()
        );
        assert_eq!(parse("").unwrap(), Spec::default());
    }

    #[test]
    fn a_root_comes_back_whatever_it_is_called() {
        let directories = ["/", "host", "empty", "bare"];
        let named = directories.map(|name| Root::Directory(name.into()));
        for root in named
            .into_iter()
            .chain([Root::Host, Root::Empty, Root::Bare])
        {
            let back = parse(&print(&with_root(root.clone())).unwrap())
                .unwrap()
                .root;
            match &root {
                // `host` is another root, and a directory of that name is `./host`.
                Root::Directory(path) => assert_eq!(back, Root::Directory(path_of(path))),
                root => assert_eq!(&back, root),
            }
        }
    }

    fn with_root(root: Root) -> Spec {
        Spec {
            root,
            ..Spec::default()
        }
    }

    fn path_of(path: &Path) -> PathBuf {
        match path.is_absolute() {
            true => path.into(),
            false => Path::new(".").join(path),
        }
    }

    #[test]
    fn filters_of_descriptors_come_back() {
        let spec = Spec {
            seccomp: Seccomp::Programs(vec![7, 5]),
            nesting: Nesting::Refused,
            ..Spec::default()
        };
        assert_eq!(parse(&print(&spec).unwrap()).unwrap(), spec);
    }

    #[test]
    fn what_is_as_by_default_is_not_written() {
        let text = print(&Spec::default()).unwrap();
        for key in [
            "descriptors",
            "lives",
            "places",
            "keyring",
            "nesting",
            "argv0",
        ] {
            assert!(!text.contains(key), "{text}");
        }
    }

    #[test]
    fn a_wrong_key_or_value_is_named_with_its_line() {
        for (text, line, word) in [
            (
                "read-only = true\nreadonly = true\n",
                "line 2: ",
                "readonly",
            ),
            ("net = \"bridge\"\n", "line 1: ", "bridge"),
            ("\n\nuser = \"nobody\"\n", "line 3: ", "nobody"),
            ("uid-map = [\"0:1\"]\n", "line 1: ", "IN:OUT:COUNT"),
            (
                "\n[[mounts]]\ntype = \"bind\"\nsource = \"/a\"\ntraget = \"/b\"\n",
                "line 5: ",
                "traget",
            ),
            ("timeout = \"soon\"\n", "line 1: ", "soon"),
            ("init = 1\n", "line 1: ", "boolean"),
            ("lives = \"long\"\n", "line 1: ", "long"),
            ("\n[descriptors]\nhold = 5\n", "line 3: ", "hold"),
            ("[descriptors]\nawaited = \"5\"\n", "line 2: ", "i32"),
            ("= 1\n", "line 1: ", ""),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(line) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }

    #[test]
    fn a_word_that_is_no_utf8_cannot_be_printed() {
        use std::os::unix::ffi::OsStringExt;
        let spec = Spec {
            command: vec![std::ffi::OsString::from_vec(vec![0xff])],
            ..Spec::default()
        };
        assert!(print(&spec).unwrap_err().to_string().contains("UTF-8"));
    }
}
