//! Control groups: whether this process may make some and limit them (cgroups(7), version 2).

use super::mountinfo::MountInfo;
use std::ffi::OsStr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The group into which the processes go that were in a delegated group: the kernel passes no controller down from a
/// group that has processes. It lies beside the groups of containers, whose names begin with `rootlet-`.
pub const REST: &str = "rootlet.rest";

/// The controllers that keep limits. A machine that uses version 1 for them may leave others to version 2.
const LIMITING: [&str; 4] = ["memory", "cpu", "pids", "io"];

/// Whether this process may make control groups and limit them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// It may, below this directory, for these controllers.
    Delegated {
        /// Where groups can be made.
        path: PathBuf,
        /// The controllers, with blanks between them.
        controllers: String,
    },
    /// A systemd makes one when it is asked on the bus with this socket.
    OnRequest(PathBuf),
    /// It may, but not for a controller that is needed.
    Lacks {
        /// Where groups can be made.
        path: PathBuf,
        /// The controllers that are not there, with blanks between them.
        controllers: String,
    },
    /// The group's directory, which this process may not write.
    Closed(PathBuf),
    /// The group has no controllers: this directory's are version 1.
    NoControllers(PathBuf),
    /// No cgroup2 file system is mounted.
    NotMounted,
    /// The group is not in what is mounted.
    Hidden,
    /// What was tried, and how it was answered.
    Refused(String),
}

impl Cgroups {
    /// Looks at the group that this process is in, and for a systemd.
    pub fn look() -> Cgroups {
        let Own { mount, path } = match Own::find() {
            Ok(own) => own,
            Err(refusal) => return refusal,
        };
        let all = read(&mount, "cgroup.controllers");
        if !all.split(' ').any(|name| LIMITING.contains(&name)) {
            return Cgroups::NoControllers(path);
        }
        let base = match path.file_name() == Some(OsStr::new(REST)) {
            true => path.parent().unwrap_or(&path).to_path_buf(),
            false => path.clone(),
        };
        let controllers = read(&base, "cgroup.controllers");
        let bus = bus();
        let is_ours = base != path || bus.is_none() || (is_delegated(&path) && is_alone(&path));
        if is_ours && !controllers.is_empty() && may_make_groups(&base) {
            return Cgroups::Delegated {
                path: base,
                controllers,
            };
        }
        match bus {
            Some(bus) => Cgroups::OnRequest(bus),
            None if controllers.is_empty() => Cgroups::NoControllers(path),
            None => Cgroups::Closed(path),
        }
    }

    /// Why groups with the controllers `wanted` cannot be made here; none where they can, or may be.
    pub fn refusal(&self, wanted: &[&str]) -> Option<Cgroups> {
        match self {
            Cgroups::Delegated { path, controllers } => lacking(path, controllers, wanted),
            Cgroups::OnRequest(_) => None,
            closed => Some(closed.clone()),
        }
    }

    /// The same in words: the reason of a refusal.
    pub fn why(&self) -> String {
        match self {
            Cgroups::Delegated { path, .. } => format!("{} is yours to use", path.display()),
            Cgroups::OnRequest(bus) => format!("it has to be asked for at {}", bus.display()),
            Cgroups::Lacks { path, controllers } => format!(
                "{} has not got the controllers: {controllers}",
                path.display()
            ),
            Cgroups::Closed(path) => format!("{} is not yours to write", path.display()),
            Cgroups::NoControllers(path) => format!(
                "{} has no controllers: they are used by version 1, or are not passed down",
                path.display()
            ),
            Cgroups::NotMounted => "no cgroup2 file system is mounted".to_string(),
            Cgroups::Hidden => {
                "this process's group is not in the cgroup2 file system that is mounted".to_string()
            }
            Cgroups::Refused(answer) => answer.clone(),
        }
    }
}

impl serde::Serialize for Cgroups {
    /// In reports it stands as a reason.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.why())
    }
}

/// The controllers of `wanted` that `path` has not got, if there are any.
pub fn lacking(path: &Path, controllers: &str, wanted: &[&str]) -> Option<Cgroups> {
    let has = |name: &str| controllers.split_whitespace().any(|known| known == name);
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !has(name)).collect();
    (!missing.is_empty()).then(|| Cgroups::Lacks {
        path: path.to_path_buf(),
        controllers: missing.join(" "),
    })
}

/// The group that this process is in.
pub struct Own {
    /// Where the cgroup2 file system is mounted.
    mount: PathBuf,
    /// The group's directory.
    pub path: PathBuf,
}

impl Own {
    /// Finds it.
    ///
    /// # Errors
    /// [`Cgroups::NotMounted`] or [`Cgroups::Hidden`].
    pub fn find() -> Result<Own, Cgroups> {
        let info = MountInfo::read().unwrap_or_default();
        let mounts = info.visible().into_iter();
        let mounts: Vec<_> = mounts.filter(|it| it.kind == "cgroup2").collect();
        if mounts.is_empty() {
            return Err(Cgroups::NotMounted);
        }
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let own = Path::new(own.unwrap_or_default());
        let found = mounts.iter().find_map(|mount| {
            let below = own.strip_prefix(&mount.root).ok()?;
            Some(Own {
                mount: mount.path.clone(),
                path: mount.path.join(below).components().collect(),
            })
        });
        found.ok_or(Cgroups::Hidden)
    }
}

/// The words of a file of a group; none where it cannot be read.
fn read(group: &Path, file: &str) -> String {
    let text = std::fs::read_to_string(group.join(file)).unwrap_or_default();
    text.trim().to_string()
}

/// Whether systemd has marked the group as one that it leaves to others (systemd.resource-control(5), Delegate=). It keeps
/// all other groups as it wants them, whoever may write there.
fn is_delegated(group: &Path) -> bool {
    rustix::fs::getxattr(group, "user.delegate", &mut [0; 2]).is_ok()
}

/// Whether this process is the only one in its group. Else there is a shell beside it, say, which had better stay there.
fn is_alone(group: &Path) -> bool {
    let own = std::process::id().to_string();
    read(group, "cgroup.procs").lines().all(|pid| pid == own)
}

fn may_make_groups(group: &Path) -> bool {
    let may_write = |name| rustix::fs::access(group.join(name), rustix::fs::Access::WRITE_OK);
    let files = ["", "cgroup.procs", "cgroup.subtree_control"];
    // access(2) of root says nothing of a read-only file system.
    !is_read_only(group) && files.iter().all(|name| may_write(name).is_ok())
}

fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The socket of the bus on which a systemd can be asked: the user's, and root's is the machine's.
fn bus() -> Option<PathBuf> {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Some(PathBuf::from("/run/dbus/system_bus_socket")).filter(|path| is_socket(path));
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
    let named = std::env::var("DBUS_SESSION_BUS_ADDRESS").ok();
    let named = named.as_deref().and_then(socket_of);
    let places = runtime.into_iter().chain([usual]);
    let mut sockets = places.map(|place| place.join("bus")).chain(named);
    sockets.find(|path| is_socket(path))
}

/// The path in a D-Bus address such as `unix:path=/run/user/1000/bus,guid=…`.
fn socket_of(address: &str) -> Option<PathBuf> {
    let mut addresses = address.split(';');
    let keys = addresses.find_map(|address| address.strip_prefix("unix:"))?;
    let path = keys.split(',').find_map(|key| key.strip_prefix("path="));
    path.map(PathBuf::from)
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// Whether the kernel keeps the processes of a cgroup namespace from changing the limits of the group at its root
/// (cgroups(7), nsdelegate). systemd mounts the file system so; the option holds for the whole machine.
pub fn limits_hold() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words[..], [_, _, "cgroup2", options, ..] if options.split(',').any(|it| it == "nsdelegate"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_is_not_there_is_named() {
        let path = PathBuf::from("/g");
        let group = Cgroups::Delegated {
            path: path.clone(),
            controllers: "memory pids".into(),
        };
        assert_eq!(group.refusal(&["pids", "memory"]), None);
        let lacks = group.refusal(&["cpu", "pids", "io"]).unwrap();
        assert_eq!(lacks.why(), "/g has not got the controllers: cpu io");
        assert_eq!(lacks.refusal(&[]), Some(lacks.clone()));
        assert_eq!(Cgroups::OnRequest(path).refusal(&["cpu"]), None);
    }

    #[test]
    fn the_socket_is_read_from_an_address() {
        for (address, path) in [
            ("unix:path=/run/user/1/bus", Some("/run/user/1/bus")),
            ("unix:guid=5,path=/a/b,x=y", Some("/a/b")),
            ("tcp:host=x;unix:path=/a", Some("/a")),
            ("unix:abstract=/tmp/x", None),
            ("tcp:host=x", None),
        ] {
            assert_eq!(socket_of(address), path.map(PathBuf::from), "{address}");
        }
    }
}
