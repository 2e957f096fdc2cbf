//! `rootlet sandbox`: this directory writable, the machine readable, and what is private out of sight.
//!
//! The lists are in [`super::places`].

use super::places::{PRIVATE, RUN, SECRETS, TOOLS, VARIABLES};
use crate::error::{Error, Result};
use crate::host::unanswered::{self, Unanswered};
use crate::spec::{
    AbstractSockets, Capability, Kernel, Landlock, Missing, Mount, Net, Seccomp, Spec, User,
    Without,
};
use rustix::fs::{Dir, Mode, OFlags};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Gives a path without symbolic links.
pub type Real<'a> = Box<dyn Fn(&Path) -> Option<PathBuf> + 'a>;

/// The names in a directory; none if it cannot be read, so that any name may be there.
pub type Listed = Option<Rc<[OsString]>>;

/// Gives the names in a directory.
pub type Names<'a> = Box<dyn Fn(&Path) -> Listed + 'a>;

/// What the preset has to know of the host.
pub struct Look<'a> {
    /// The caller's home directory, without symbolic links: `/` if HOME names no directory, none if HOME is not set.
    pub home: Option<PathBuf>,
    /// Whether HOME names no directory, so that there is no home directory to hide.
    pub home_is_missing: bool,
    /// The caller's working directory.
    pub cwd: Option<PathBuf>,
    /// The caller's XDG_RUNTIME_DIR, without symbolic links.
    pub runtime: Option<PathBuf>,
    /// A path without symbolic links; none if nothing is there.
    pub real: Real<'a>,
    /// The names in a directory.
    pub names: Names<'a>,
    /// What was asked of the host without an answer: with it, nothing may be made of what the others were.
    pub unanswered: Rc<Unanswered>,
}

impl Look<'static> {
    /// Looks at this host.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn here() -> Result<Self> {
        let unanswered = Rc::new(Unanswered::default());
        let [by_real, by_names] = [(); 2].map(|()| Rc::clone(&unanswered));
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let real = |path: OsString| canonical(Path::new(&path), &unanswered);
        let is_directory = |path: &PathBuf| {
            let found = unanswered.answer("stat", path, path.metadata());
            found.is_some_and(|data| data.is_dir())
        };
        let named = variable("HOME").map(|home| real(home).filter(is_directory));
        let home_is_missing = named == Some(None);
        let home = named.map(|home| home.unwrap_or_else(|| PathBuf::from("/")));
        let runtime = variable("XDG_RUNTIME_DIR").and_then(real);
        unanswered.check()?;
        Ok(Look {
            home: home.clone(),
            home_is_missing,
            cwd: unanswered::working_directory()?,
            runtime,
            real: match home {
                Some(home) => Box::new(move |path| real_below(&home, path, &by_real)),
                None => Box::new(move |path| canonical(path, &by_real)),
            },
            names: read_once(move |path| names(path, &by_names)),
            unanswered,
        })
    }
}

fn canonical(path: &Path, unanswered: &Unanswered) -> Option<PathBuf> {
    unanswered.answer("readlink", path, unanswered::real_path(path))
}

fn names(path: &Path, unanswered: &Unanswered) -> Listed {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).and_then(Dir::new);
    // Not by the standard library, which takes a refused close(2) for a mistake of the program.
    let mut names = Vec::new();
    for entry in unanswered.answer("open", path, opened)? {
        let entry = unanswered.answer("getdents", path, entry)?;
        names.push(OsStr::from_bytes(entry.file_name().to_bytes()).to_os_string());
    }
    Some(names.into())
}

/// `names`, which reads a directory when it is asked for the first time.
fn read_once(names: impl Fn(&Path) -> Listed + 'static) -> Names<'static> {
    let known: RefCell<Vec<(OsString, Listed)>> = RefCell::default();
    Box::new(move |path| {
        let mut known = known.borrow_mut();
        if let Some((_, names)) = known.iter().find(|(at, _)| at == path.as_os_str()) {
            return names.clone();
        }
        let names = names(path);
        known.push((path.into(), names.clone()));
        names
    })
}

/// A path without symbolic links. Below `home`, which has none, only what follows is looked at: most of what is asked for
/// lies there, and to ask for each part from the root on took a fifth of a launch.
fn real_below(home: &Path, path: &Path, unanswered: &Unanswered) -> Option<PathBuf> {
    let real = || canonical(path, unanswered);
    let Ok(rest) = path.strip_prefix(home) else {
        return real();
    };
    // Most are not there, which is known with one call.
    let asked = rustix::fs::access(path, rustix::fs::Access::EXISTS);
    unanswered.answer("access", path, asked)?;
    let mut place = home.to_path_buf();
    for part in rest.components() {
        place.push(part);
        match place.read_link() {
            Err(error)
                if error.kind() == ErrorKind::InvalidInput && part != Component::ParentDir =>
            {
                // It is no link.
            }
            _ => return real(),
        }
    }
    Some(place)
}

/// The sandbox before any option.
///
/// # Errors
/// When the working directory has no name, or is one that is to be private; when the home directory is not known.
pub fn preset(look: &Look<'_>) -> Result<Spec> {
    let home = look.home.as_deref().ok_or_else(|| {
        Error::usage("HOME is not set, and what is in the home directory is to be private")
            .with_hint("set HOME to your home directory, or to / if you have none")
    })?;
    let private = private(home, look);
    let cwd = project(home, &private, look)?;
    let mut mounts = vec![Mount::Kernel {
        kind: Kernel::Dev,
        target: "/dev".into(),
    }];
    let tools = (RUN.iter().map(PathBuf::from)).chain(named(TOOLS, home, look));
    let tools = tools.filter(|path| path != cwd && (look.real)(path).is_some());
    mounts.extend(private.iter().map(|(path, mode)| tmpfs(path, mode)));
    mounts.extend(tools.map(|path| bind(&path, true)));
    mounts.push(bind(cwd, false));
    Ok(Spec {
        user: User::Keep,
        cap_drop: vec![Capability::All],
        net: Net::None,
        abstract_sockets: AbstractSockets::None,
        read_only: true,
        landlock: Landlock::Auto,
        seccomp: Seccomp::Sandbox,
        clear_env: true,
        env: VARIABLES.iter().map(OsString::from).collect(),
        mounts,
        ..Spec::default()
    })
}

/// [`PRIVATE`], the home directory and the runtime directory, as far as they are there: what is above comes before what
/// is below. Where one is not there is nothing to hide, and nobody can make it in a tree that is read-only.
fn private(home: &Path, look: &Look<'_>) -> Vec<(PathBuf, &'static str)> {
    let mut private: Vec<_> = PRIVATE
        .iter()
        .map(|(path, mode)| (PathBuf::from(path), *mode))
        .collect();
    for path in look.runtime.iter().map(PathBuf::as_path).chain([home]) {
        let is_new = private.iter().all(|(other, _)| other != path);
        if is_new && path != Path::new("/") {
            private.push((path.to_path_buf(), "700"));
        }
    }
    private.retain(|(path, _)| (look.real)(path).is_some());
    private.sort();
    private
}

/// Those of `list`, paths below the home directory, that may be there.
fn named(list: &[&'static str], home: &Path, look: &Look<'_>) -> Vec<PathBuf> {
    let mut listing = Listing {
        home,
        look,
        known: Vec::new(),
    };
    let there = list.iter().filter(|name| listing.may_hold(name));
    there.map(|name| home.join(name)).collect()
}

/// What is below the home directory. Each directory is read once, which is faster than to ask for each path.
struct Listing<'a> {
    home: &'a Path,
    look: &'a Look<'a>,
    /// The names in the directories that were read.
    known: Vec<(&'static str, Listed)>,
}

impl Listing<'_> {
    fn may_hold(&mut self, path: &'static str) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let names = self.names(directory);
        names.is_none_or(|names| names.iter().any(|it| it.as_bytes() == name.as_bytes()))
    }

    fn names(&mut self, directory: &'static str) -> Listed {
        let mut known = self.known.iter().rev();
        if let Some((_, names)) = known.find(|(it, _)| *it == directory) {
            return names.clone();
        }
        let names = match directory.is_empty() || self.may_hold(directory) {
            true => (self.look.names)(&self.home.join(directory)),
            false => Some([].into()),
        };
        self.known.push((directory, names.clone()));
        names
    }
}

/// The working directory, which is to be writable.
fn project<'a>(home: &Path, private: &[(PathBuf, &str)], look: &'a Look<'_>) -> Result<&'a Path> {
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
    match home {
        _ if cwd == home => refused("is your home directory"),
        _ if home.starts_with(cwd) => refused("holds your home directory"),
        _ if private.iter().any(|(path, _)| path.starts_with(cwd)) => {
            refused("is one that a sandbox has of its own")
        }
        _ => Ok(cwd),
    }
}

/// Completes a sandbox that options have refined, whose first `preset` mounts are the preset's.
///
/// An option's view stands in the place of the preset's at the same path, and comes before those of the preset that lie
/// below it: `--read ~` leaves the working directory writable. Secrets that a view shows are hidden at once, so that a
/// later view of one by its own name is seen.
pub fn complete(spec: &mut Spec, preset: usize, look: &Look<'_>) {
    let mut options = spec.mounts.split_off(preset);
    options
        .iter_mut()
        .for_each(|option| follow_home(option, look));
    let preset = std::mem::take(&mut spec.mounts);
    let mut kept: Vec<_> = preset
        .into_iter()
        .map(|mount| (target(&mount, look), mount))
        .collect();
    let places: Vec<_> = options
        .iter()
        .map(|mount| place(mount, &kept, look))
        .collect();
    kept.retain(|(at, _)| at.is_none() || !places.contains(at));
    // An option's number is even, and that of the first view below it, if there is one, is the next.
    let mut ordered: Vec<(usize, Mount)> = Vec::new();
    for (mount, place) in options.into_iter().zip(places) {
        let is_below = |at: &Option<PathBuf>| match (at, &place) {
            (Some(at), Some(place)) => at.starts_with(place),
            _ => false,
        };
        let before = kept.iter().position(|(at, _)| is_below(at));
        ordered.push((2 * before.unwrap_or(kept.len()), mount));
    }
    let kept = kept.into_iter().enumerate();
    ordered.extend(kept.map(|(number, (_, mount))| (2 * number + 1, mount)));
    ordered.sort_by_key(|(position, _)| *position);
    let mounts = ordered.into_iter().map(|(_, mount)| mount).collect();
    hide_secrets(spec, mounts, look);
}

/// Gives the spec `mounts`, and after each of them what hides the secrets that it shows.
fn hide_secrets(spec: &mut Spec, mounts: Vec<Mount>, look: &Look<'_>) {
    let home = look.home.as_deref().unwrap_or(Path::new("/"));
    let mut secrets: Vec<PathBuf> = (named(SECRETS, home, look).iter())
        .filter_map(|path| (look.real)(path))
        .collect();
    secrets.sort();
    secrets.dedup();
    let targets: BTreeSet<PathBuf> = mounts
        .iter()
        .filter_map(|mount| target(mount, look))
        .collect();
    // A part of a secret that is asked for by its name needs a directory that it can be made in.
    let hide = |secret: PathBuf| {
        let has_part = targets.iter().any(|path| path.starts_with(&secret));
        match has_part && !targets.contains(&secret) {
            true => tmpfs(secret, "700"),
            false => Mount::Mask { target: secret },
        }
    };
    // From the last view to the first, since it is the last that is seen.
    let mut hidden = BTreeSet::new();
    let mut reversed = Vec::new();
    for mount in mounts.into_iter().rev() {
        let mut shown = shown_by(&mount, &secrets, look);
        shown.retain(|path| hidden.insert(path.clone()));
        reversed.extend(shown.into_iter().rev().map(hide));
        reversed.push(mount);
    }
    // The root shows those outside of the home directory, where links lead to. In it everything is covered.
    let is_covered = |secret: &PathBuf| home != Path::new("/") && secret.starts_with(home);
    if spec.root.is_host() {
        secrets.retain(|secret| !is_covered(secret) && !hidden.contains(secret));
        reversed.extend(secrets.into_iter().map(hide));
    }
    reversed.reverse();
    spec.mounts = reversed;
}

/// Where a view shows which of `secrets`, but for one that is the view itself.
fn shown_by(mount: &Mount, secrets: &[PathBuf], look: &Look<'_>) -> Vec<PathBuf> {
    let sources = match mount {
        Mount::Bind { source, .. } => std::slice::from_ref(source),
        Mount::Overlay { lower, .. } => lower,
        _ => return Vec::new(),
    };
    let Some(target) = target(mount, look) else {
        return Vec::new();
    };
    let mut shown = Vec::new();
    for source in sources.iter().filter_map(|source| (look.real)(source)) {
        let below = |secret: &PathBuf| {
            let rest = secret.strip_prefix(&source).ok()?;
            (!rest.as_os_str().is_empty()).then(|| target.join(rest))
        };
        shown.extend(secrets.iter().filter_map(below));
    }
    shown
}

/// Masks for the files of the working directory that hold settings and tokens of a project: .env, .env.local and so on.
pub fn env_files(look: &Look<'_>) -> Vec<Mount> {
    const EXAMPLES: [&str; 4] = [".env.example", ".env.sample", ".env.template", ".env.dist"];
    let cwd = look.cwd.as_deref().unwrap_or(Path::new("."));
    let names = (look.names)(cwd).unwrap_or_default();
    let has_settings = |name: &&OsString| {
        let name = name.to_string_lossy();
        (name == ".env" || name.starts_with(".env.") || name == ".envrc")
            && !EXAMPLES.contains(&&*name)
    };
    let mask = |name| Mount::Mask {
        target: cwd.join(name),
    };
    let mut names: Vec<&OsString> = names.iter().filter(has_settings).collect();
    names.sort();
    names.into_iter().map(mask).collect()
}

/// Where an option's view appears, so that it can be compared with those of the preset: where symbolic links lead to,
/// since the option may name the home directory by one.
fn place(option: &Mount, preset: &[(Option<PathBuf>, Mount)], look: &Look<'_>) -> Option<PathBuf> {
    let target = target(option, look)?;
    let is_preset = preset.iter().any(|(at, _)| at.as_ref() == Some(&target));
    match is_preset {
        true => Some(target),
        false => (look.real)(&target).or(Some(target)),
    }
}

/// A volume in the home directory that names it by a symbolic link (`/link/me`), and one with `..` in its path (`../lib`),
/// appears where that leads to: only there, in memory, a place for it can be made.
fn follow_home(option: &mut Mount, look: &Look<'_>) {
    let Some(path) = target(option, look) else {
        return;
    };
    let has_dots = path.components().any(|part| part == Component::ParentDir);
    let is_by_name = has_dots && option.target().is_none();
    let real = match path.file_name() {
        Some(name) => path.parent().and_then(&look.real).map(|it| it.join(name)),
        None => (look.real)(&path),
    };
    let (Some(real), Some(home)) = (real, &look.home) else {
        return;
    };
    let is_beside = real.starts_with(home) && real != *home && !path.starts_with(home);
    if let Mount::Bind { target, .. } = option
        && (is_beside || is_by_name)
    {
        *target = Some(real);
    }
}

/// The path at which a view is mounted; none for a mask, which may lie anywhere.
fn target(mount: &Mount, look: &Look<'_>) -> Option<PathBuf> {
    let path = match mount {
        Mount::Mask { .. } => return None,
        Mount::Bind {
            source,
            target: None,
            ..
        } => source,
        _ => mount.target()?,
    };
    let cwd = look.cwd.as_deref().unwrap_or(Path::new("/"));
    Some(cwd.join(path).components().collect())
}

fn bind(path: &Path, read_only: bool) -> Mount {
    Mount::Bind {
        source: path.to_path_buf(),
        target: None,
        read_only,
        without: Without::default(),
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

    fn look<'a>(cwd: &str, real: impl Fn(&Path) -> Option<PathBuf> + 'a) -> Look<'a> {
        Look {
            home: Some(HOME.into()),
            home_is_missing: false,
            cwd: Some(cwd.into()),
            runtime: Some("/run/user/1000".into()),
            real: Box::new(real),
            names: Box::new(|_| {
                let more = [".env", ".env.local", ".env.example", "main.rs"];
                let lists = TOOLS.iter().chain(SECRETS).chain(&more);
                let parts: BTreeSet<&str> = lists.flat_map(|name| name.split('/')).collect();
                Some(parts.into_iter().map(OsString::from).collect())
            }),
            unanswered: Rc::default(),
        }
    }

    fn all(path: &Path) -> Option<PathBuf> {
        Some(path.into())
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
        let spec = preset(&look("/home/me/project", all)).unwrap();
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
            assert!(preset(&look(cwd, all)).is_err(), "{cwd}");
        }
        for cwd in ["/home/me/a", "/tmp/a", "/srv"] {
            assert!(preset(&look(cwd, all)).is_ok(), "{cwd}");
        }
    }

    #[test]
    fn a_private_directory_that_is_not_there_is_left_out() {
        let without_run = |path: &Path| (!path.starts_with("/run")).then(|| path.to_path_buf());
        let spec = preset(&look("/home/me/project", without_run)).unwrap();
        let is_at = |path: &str| {
            let path = Path::new(path);
            spec.mounts.iter().any(|mount| mount.target() == Some(path))
        };
        assert!(is_at("/tmp") && is_at("/var/tmp") && is_at(HOME));
        assert!(!is_at("/run") && !is_at("/run/user/1000"));
    }

    #[test]
    fn secrets_are_hidden_in_whatever_view_they_lie() {
        let everything = look("/home/me/project", all);
        let mut spec = preset(&everything).unwrap();
        let before = spec.mounts.len();
        spec.mounts.push(bind(Path::new(HOME), true));
        spec.mounts.push(Mount::Bind {
            source: "/home".into(),
            target: Some("/mnt".into()),
            read_only: true,
            without: Without::default(),
            missing: Missing::Refused,
        });
        complete(&mut spec, before, &everything);
        for secret in SECRETS {
            for place in ["/home/me", "/mnt/me"] {
                let path = Path::new(place).join(secret);
                assert!(masks(&spec).contains(&path.as_path()), "{}", path.display());
            }
        }
        let home = |mount: &&Mount| target(mount, &everything) == Some(HOME.into());
        assert_eq!(
            spec.mounts.iter().filter(home).count(),
            1,
            "the option's view is the one that counts"
        );
    }

    #[test]
    fn only_what_is_there_and_would_be_seen_is_hidden() {
        let some = |path: &Path| {
            let there = [".cargo", "credentials.toml", ".ssh"];
            let is_there = there.iter().any(|name| path.ends_with(name));
            is_there.then(|| path.to_path_buf())
        };
        let look = look("/home/me/project", some);
        let mut spec = preset(&look).unwrap();
        let before = spec.mounts.len();
        complete(&mut spec, before, &look);
        assert_eq!(
            masks(&spec),
            [Path::new("/home/me/.cargo/credentials.toml")]
        );
    }

    #[test]
    fn what_a_directory_holds_that_cannot_be_read_is_asked_for() {
        let mut shut = look("/home/me/project", all);
        let readable = ["", ".config"].map(|name| Path::new(HOME).join(name));
        shut.names = Box::new(move |path| {
            let names = [".config", ".local", "gh"].map(OsString::from);
            readable.contains(&path.to_path_buf()).then(|| names.into())
        });
        let found = named(SECRETS, Path::new(HOME), &shut);
        let has = |name: &str| found.contains(&Path::new(HOME).join(name));
        assert!(has(".config/gh") && !has(".config/hub"));
        assert!(has(".local/share/keyrings") && !has(".ssh"));
    }

    #[test]
    fn a_view_above_those_of_the_preset_comes_before_them() {
        let everything = look("/home/me/project", all);
        let mut spec = preset(&everything).unwrap();
        let before = spec.mounts.len();
        spec.mounts.push(bind(Path::new(HOME), true));
        complete(&mut spec, before, &everything);
        let targets: Vec<_> = spec
            .mounts
            .iter()
            .map(|mount| target(mount, &everything))
            .collect();
        let at = |path: &str| {
            targets
                .iter()
                .position(|target| *target == Some(path.into()))
        };
        assert!(at(HOME) < at("/home/me/.cargo"));
        assert_eq!(at("/home/me/project"), Some(spec.mounts.len() - 1));
    }

    #[test]
    fn a_secret_that_is_a_link_is_hidden_where_it_leads_to() {
        let moved = |path: &Path| match path.strip_prefix("/home/me/.ssh") {
            Ok(rest) => Some(Path::new("/data/keys").join(rest).components().collect()),
            Err(_) => Some(path.to_path_buf()),
        };
        let look = look("/home/me/project", moved);
        let mut spec = preset(&look).unwrap();
        let before = spec.mounts.len();
        complete(&mut spec, before, &look);
        assert_eq!(masks(&spec)[0], Path::new("/data/keys"));
    }

    #[test]
    fn without_a_home_directory_nothing_is_started() {
        let look = Look {
            home: None,
            ..look("/p", all)
        };
        assert!(preset(&look).is_err());
    }

    #[test]
    fn a_secret_that_is_asked_for_by_its_name_is_seen() {
        let everything = look("/home/me/project", all);
        let mut spec = preset(&everything).unwrap();
        let before = spec.mounts.len();
        spec.mounts.push(bind(Path::new("/home/me/.ssh"), true));
        complete(&mut spec, before, &everything);
        assert!(!masks(&spec).contains(&Path::new("/home/me/.ssh")));
    }

    #[test]
    fn files_of_settings_are_hidden_and_examples_are_not() {
        let look = look("/p", all);
        let hidden = env_files(&look);
        let mask = |path: &str| Mount::Mask {
            target: path.into(),
        };
        assert_eq!(hidden, [mask("/p/.env"), mask("/p/.env.local")]);
    }
}
