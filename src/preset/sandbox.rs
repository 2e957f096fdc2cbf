//! `rootlet sandbox`: this directory writable, the machine readable, and what is private out of sight.
//!
//! What is meant by each list is in docs/sandbox.md.

use super::{absolute, place, refine};
use crate::error::{Error, Result};
use crate::spec::{AbstractSockets, Kernel, Missing, Mount, Net, Spec, User};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Places in the home directory that hold tools and their settings, and no secrets but those in [`SECRETS`]. They are
/// read-only.
pub const TOOLS: &[&str] = &[
    ".asdf",
    ".bash_aliases",
    ".bash_profile",
    ".bashrc",
    ".bun",
    ".cabal",
    ".cargo",
    ".conda",
    ".config/fish",
    ".config/git",
    ".config/nvim",
    ".deno",
    ".dotnet",
    ".editorconfig",
    ".elan",
    ".fnm",
    ".gitconfig",
    ".gitignore",
    ".ghcup",
    ".inputrc",
    ".juliaup",
    ".linuxbrew",
    ".local",
    ".mise",
    ".nix-profile",
    ".nodenv",
    ".nvm",
    ".opam",
    ".profile",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".rvm",
    ".sdkman",
    ".tmux.conf",
    ".vim",
    ".vimrc",
    ".volta",
    ".zprofile",
    ".zshenv",
    ".zshrc",
    "anaconda3",
    "go",
    "miniconda3",
];

/// Places in the home directory that nothing in a sandbox sees, whatever view they lie in, unless it is asked for by name.
pub const SECRETS: &[&str] = &[
    // Keys.
    ".ssh",
    ".gnupg",
    ".pki",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".config/op",
    ".config/Bitwarden",
    ".config/Bitwarden CLI",
    ".config/keepassxc",
    ".age",
    ".config/sops",
    ".vault-token",
    // Clouds.
    ".aws",
    ".azure",
    ".config/gcloud",
    ".kube",
    ".oci",
    ".config/doctl",
    ".config/hcloud",
    ".config/rclone",
    ".s3cfg",
    ".boto",
    ".terraform.d/credentials.tfrc.json",
    ".terraformrc",
    ".config/fly",
    ".fly",
    ".config/netlify",
    ".config/vercel",
    ".config/heroku",
    ".databrickscfg",
    ".snowflake",
    ".snowsql",
    // Registries and forges.
    ".docker/config.json",
    ".config/containers/auth.json",
    ".local/share/containers/auth.json",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    ".config/pip",
    ".pip",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".local/share/gem/credentials",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".gradle/gradle.properties",
    ".nuget/NuGet/NuGet.Config",
    ".composer/auth.json",
    ".config/composer/auth.json",
    ".git-credentials",
    ".config/git/credentials",
    ".config/gh",
    ".config/glab-cli",
    ".config/hub",
    ".netrc",
    ".cabal/config",
    ".config/hub/hosts.yml",
    ".config/huggingface",
    ".cache/huggingface/token",
    ".kaggle",
    // Databases.
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".mongorc.js",
    // Browsers and mail.
    ".mozilla",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/vivaldi",
    ".config/opera",
    ".local/share/epiphany",
    ".local/share/evolution",
    ".config/Signal",
    ".config/Slack",
    ".local/share/TelegramDesktop",
    ".config/discord",
    ".var/app",
    // Histories.
    ".bash_history",
    ".zsh_history",
    ".zhistory",
    ".histfile",
    ".local/share/fish/fish_history",
    ".python_history",
    ".node_repl_history",
    ".irb_history",
    ".psql_history",
    ".mysql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".lesshst",
    ".viminfo",
    ".local/share/nvim/shada",
    ".local/state/nvim/shada",
    ".local/state/bash",
    ".local/state/zsh",
    ".local/share/recently-used.xbel",
    ".wget-hsts",
    // What speaks to a desktop or a daemon.
    ".Xauthority",
    ".ICEauthority",
    ".docker/run",
    ".local/share/containers",
    ".local/share/docker",
];

/// Environment variables that go in: who and where one is, the language, and where tools are. Tokens do not.
pub const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_MONETARY",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESS",
    "CI",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "RUST_BACKTRACE",
    "CARGO_TERM_COLOR",
    "CARGO_TARGET_DIR",
    "GOPATH",
    "GOROOT",
    "GOFLAGS",
    "JAVA_HOME",
    "MAVEN_HOME",
    "GRADLE_HOME",
    "NODE_PATH",
    "NODE_ENV",
    "NODE_OPTIONS",
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "FNM_DIR",
    "BUN_INSTALL",
    "DENO_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "RBENV_ROOT",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_PATH",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "SDKMAN_DIR",
    "OPAMROOT",
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "PKG_CONFIG_PATH",
    "MAKEFLAGS",
    "CMAKE_PREFIX_PATH",
    "CMAKE_GENERATOR",
    "NIX_PATH",
    "NIX_PROFILES",
    "NIX_SSL_CERT_FILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SOURCE_DATE_EPOCH",
];

/// What of /run is seen: where NixOS has its programs.
const RUN: &[&str] = &[
    "/run/current-system",
    "/run/booted-system",
    "/run/opengl-driver",
];

/// Directories that are empty and private in a sandbox, with their permission bits.
const PRIVATE: [(&str, &str); 3] = [("/tmp", "1777"), ("/var/tmp", "1777"), ("/run", "755")];

/// What the preset has to know of the host.
pub struct Look<'a> {
    /// The caller's home directory, without symbolic links; none if there is none.
    pub home: Option<PathBuf>,
    /// The caller's working directory.
    pub cwd: Option<PathBuf>,
    /// The caller's XDG_RUNTIME_DIR.
    pub runtime: Option<PathBuf>,
    /// Whether something is at a path.
    pub is_there: &'a dyn Fn(&Path) -> bool,
    /// The names in a directory.
    pub names: &'a dyn Fn(&Path) -> Vec<OsString>,
}

impl Look<'static> {
    /// Looks at this host.
    pub fn here() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Look {
            home: variable("HOME")
                .and_then(|home| Path::new(&home).canonicalize().ok())
                .filter(|home| home.is_dir() && home != Path::new("/")),
            cwd: std::env::current_dir().ok(),
            runtime: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
            is_there: &|path| rustix::fs::access(path, rustix::fs::Access::EXISTS).is_ok(),
            names: &|path| {
                let entries = std::fs::read_dir(path).into_iter().flatten();
                entries.flatten().map(|entry| entry.file_name()).collect()
            },
        }
    }
}

/// The sandbox before any option.
///
/// # Errors
/// When the working directory has no name, or is one that is to be private.
pub fn preset(look: &Look<'_>) -> Result<Spec> {
    let cwd = project(look)?;
    let mut mounts = vec![Mount::Kernel {
        kind: Kernel::Dev,
        target: "/dev".into(),
    }];
    mounts.extend(PRIVATE.map(|(path, mode)| tmpfs(path, mode)));
    let runtime = look.runtime.iter().filter(|path| path.starts_with("/run"));
    mounts.extend(runtime.map(|path| tmpfs(path, "700")));
    mounts.extend(read_only(RUN.iter().map(PathBuf::from), look));
    if let Some(home) = &look.home {
        mounts.push(tmpfs(home, "700"));
        mounts.extend(read_only(tools(home, look), look));
    }
    mounts.push(bind(cwd, false));
    Ok(Spec {
        user: User::Keep,
        net: Net::None,
        abstract_sockets: AbstractSockets::None,
        read_only: true,
        clear_env: true,
        env: VARIABLES.iter().map(OsString::from).collect(),
        mounts,
        ..Spec::default()
    })
}

/// Those of [`TOOLS`] that may be there. The home directory is read once, which is faster than to ask for each.
fn tools(home: &Path, look: &Look<'_>) -> impl Iterator<Item = PathBuf> {
    let names: HashSet<OsString> = (look.names)(home).into_iter().collect();
    let is_named = move |name: &&&str| {
        let top = name.split('/').next().unwrap_or(name);
        names.contains(OsStr::new(top))
    };
    TOOLS.iter().filter(is_named).map(|name| home.join(name))
}

/// The working directory, which is to be writable.
fn project<'a>(look: &'a Look<'_>) -> Result<&'a Path> {
    let cwd = look.cwd.as_deref().ok_or_else(|| {
        Error::usage(
            "the working directory has no name any more, and it is what a sandbox may write",
        )
    })?;
    let refused = |what: &str| {
        Err(Error::usage(format!(
            "the working directory {} {what}, and a sandbox may write all that is in it",
            cwd.display()
        ))
        .with_hint("cd to the directory of one project"))
    };
    match &look.home {
        Some(home) if cwd == home => refused("is your home directory"),
        Some(home) if home.starts_with(cwd) => refused("holds your home directory"),
        _ if PRIVATE
            .iter()
            .any(|(path, _)| Path::new(path).starts_with(cwd)) =>
        {
            refused("is one that a sandbox has of its own")
        }
        _ => Ok(cwd),
    }
}

/// Completes a sandbox that options have refined: an option's view stands in the place of the preset's, which were the
/// first `preset` of its mounts; and secrets that a view would show are hidden.
pub fn complete(spec: &mut Spec, preset: usize, look: &Look<'_>) {
    let cwd = look.cwd.as_deref();
    let asked = refine(spec, preset, cwd);
    let Some(home) = &look.home else { return };
    let secrets: Vec<PathBuf> = SECRETS.iter().map(|name| home.join(name)).collect();
    let mut masks = Vec::new();
    for mount in &spec.mounts {
        let (Mount::Bind { source, .. }, Some(target)) = (mount, place(mount, cwd)) else {
            continue;
        };
        let Some(source) = absolute(source, cwd) else {
            continue;
        };
        for secret in &secrets {
            // One that is asked for by its own name is meant.
            if let Ok(rest) = secret.strip_prefix(&source)
                && !rest.as_os_str().is_empty()
                && !asked.contains(secret)
                && (look.is_there)(secret)
            {
                masks.push(target.join(rest));
            }
        }
    }
    masks.sort();
    masks.dedup();
    spec.mounts
        .extend(masks.into_iter().map(|target| Mount::Mask { target }));
}

/// Masks for the files of the working directory that hold settings and tokens of a project: .env, .env.local and so on.
pub fn env_files(look: &Look<'_>) -> Vec<Mount> {
    const EXAMPLES: [&str; 4] = [".env.example", ".env.sample", ".env.template", ".env.dist"];
    let cwd = look.cwd.as_deref().unwrap_or(Path::new("."));
    let mut names = (look.names)(cwd);
    names.retain(|name| {
        let name = name.to_string_lossy();
        (name == ".env" || name.starts_with(".env.") || name == ".envrc")
            && !EXAMPLES.contains(&&*name)
    });
    names.sort();
    let mask = |name| Mount::Mask {
        target: cwd.join(name),
    };
    names.into_iter().map(mask).collect()
}

fn read_only<'a>(
    paths: impl Iterator<Item = PathBuf> + 'a,
    look: &'a Look<'_>,
) -> impl Iterator<Item = Mount> + 'a {
    let there = paths.filter(|path| (look.is_there)(path));
    there.map(|path| bind(&path, true))
}

fn bind(path: &Path, read_only: bool) -> Mount {
    Mount::Bind {
        source: path.to_path_buf(),
        target: None,
        read_only,
        missing: match read_only {
            true => Missing::Optional,
            false => Missing::Refused,
        },
    }
}

fn tmpfs(path: impl Into<PathBuf>, mode: &str) -> Mount {
    Mount::Tmpfs {
        target: path.into(),
        size: None,
        mode: Some(mode.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "/home/me";

    fn look<'a>(cwd: &str, is_there: &'a dyn Fn(&Path) -> bool) -> Look<'a> {
        Look {
            home: Some(HOME.into()),
            cwd: Some(cwd.into()),
            runtime: Some("/run/user/1000".into()),
            is_there,
            names: &|_| {
                let more = [".env", ".env.local", ".env.example", "main.rs", ".config"];
                TOOLS.iter().chain(&more).map(OsString::from).collect()
            },
        }
    }

    fn masks(spec: &Spec) -> Vec<&Path> {
        let masks = spec.mounts.iter().filter_map(|mount| match mount {
            Mount::Mask { target } => Some(target.as_path()),
            _ => None,
        });
        masks.collect()
    }

    #[test]
    fn the_working_directory_is_the_last_and_only_writable_view_of_the_host() {
        let spec = preset(&look("/home/me/project", &|_| true)).unwrap();
        let writable: Vec<&Mount> = spec
            .mounts
            .iter()
            .filter(|mount| {
                matches!(
                    mount,
                    Mount::Bind {
                        read_only: false,
                        ..
                    }
                )
            })
            .collect();
        assert_eq!(writable, [spec.mounts.last().unwrap()]);
        assert!(
            spec.read_only && spec.clear_env && spec.net == Net::None && spec.user == User::Keep
        );
    }

    #[test]
    fn a_directory_that_is_too_wide_is_refused() {
        for cwd in ["/", "/home", "/home/me", "/tmp", "/var", "/var/tmp", "/run"] {
            assert!(preset(&look(cwd, &|_| true)).is_err(), "{cwd}");
        }
        for cwd in ["/home/me/a", "/tmp/a", "/srv"] {
            assert!(preset(&look(cwd, &|_| true)).is_ok(), "{cwd}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_whatever_view_they_lie() {
        let everything = look("/home/me/project", &|_| true);
        let mut spec = preset(&everything).unwrap();
        let before = spec.mounts.len();
        spec.mounts.push(bind(Path::new(HOME), true));
        spec.mounts.push(Mount::Bind {
            source: "/home".into(),
            target: Some("/mnt".into()),
            read_only: true,
            missing: Missing::Refused,
        });
        complete(&mut spec, before, &everything);
        for secret in SECRETS {
            for place in ["/home/me", "/mnt/me"] {
                let path = Path::new(place).join(secret);
                assert!(masks(&spec).contains(&path.as_path()), "{}", path.display());
            }
        }
        let home = |mount: &&Mount| place(mount, everything.cwd.as_deref()) == Some(HOME.into());
        assert_eq!(
            spec.mounts.iter().filter(home).count(),
            1,
            "the option's view is the one that counts"
        );
    }

    #[test]
    fn only_what_is_there_and_would_be_seen_is_hidden() {
        let some = |path: &Path| {
            path.ends_with(".cargo") || path.ends_with("credentials.toml") || path.ends_with(".ssh")
        };
        let look = look("/home/me/project", &some);
        let mut spec = preset(&look).unwrap();
        let before = spec.mounts.len();
        complete(&mut spec, before, &look);
        assert_eq!(
            masks(&spec),
            [Path::new("/home/me/.cargo/credentials.toml")]
        );
    }

    #[test]
    fn a_secret_that_is_asked_for_by_its_name_is_seen() {
        let everything = look("/home/me/project", &|_| true);
        let mut spec = preset(&everything).unwrap();
        let before = spec.mounts.len();
        spec.mounts.push(bind(Path::new("/home/me/.ssh"), true));
        complete(&mut spec, before, &everything);
        assert!(!masks(&spec).contains(&Path::new("/home/me/.ssh")));
    }

    #[test]
    fn files_of_settings_are_hidden_and_examples_are_not() {
        let look = look("/p", &|_| true);
        let hidden = env_files(&look);
        let mask = |path: &str| Mount::Mask {
            target: path.into(),
        };
        assert_eq!(hidden, [mask("/p/.env"), mask("/p/.env.local")]);
    }
}
