//! WHERE THIS RUNS: what tells one cause of a refusal from another. Asked after a failure and by `rootlet doctor`, never
//! in a launch that works.

use super::cgroup::Cgroups;
use super::gate::Answer;
use super::mountinfo::{MountInfo, MountPoint};
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What can be known of this process's surroundings without trying anything. Plain data, so that causes can be found
/// for any host, on any host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The kernel's release (uname -r), such as `6.12.9-amd64`.
    pub kernel: String,
    /// The caller's user id.
    pub uid: u32,
    /// /proc/self/uid_map; none where it cannot be read.
    pub uid_map: Option<String>,
    /// The caller's group id.
    pub gid: u32,
    /// /proc/self/gid_map; none where it cannot be read.
    pub gid_map: Option<String>,
    /// `CapEff` of /proc/self/status: the capabilities, a bit for each.
    pub capabilities: Option<u64>,
    /// /proc as this process has it.
    pub proc: ProcState,
    /// Whether a mount has the mount point `/`; in a chroot none has. None where the list cannot be read.
    pub root_is_mount: Option<bool>,
    /// How many mounts of this mount namespace are out of reach from this process's root: of the mount that it began with, and
    /// of more in a chroot. None before Linux 6.12.
    pub unreachable_mounts: Option<usize>,
    /// The type of the root's file system; empty where it is not known.
    pub root_kind: String,
    /// Mounts below /proc, which hide parts of it.
    pub hidden_proc: Vec<String>,
    /// Mounts below /sys that hide parts of it.
    pub hidden_sys: Vec<String>,
    /// `Seccomp` of /proc/self/status: 2 is a filter.
    pub seccomp: Option<u32>,
    /// How unshare(0) is answered, which asks for nothing and which the kernel grants everybody; none if not asked.
    pub unshare_nothing: Option<Answer>,
    /// How a mount(2) is answered whose arguments are no addresses, and which the kernel refuses with EFAULT before it
    /// looks at who asks; [`Answer::Works`] stands for that. None if not asked.
    pub mount_nothing: Option<Answer>,
    /// Whether the kernel has user namespaces (/proc/self/ns/user); none without /proc.
    pub has_user_namespaces: Option<bool>,
    /// /proc/sys/user/max_*_namespaces of this user namespace: the kind (`user`, `mnt`, …) and the number.
    pub limits: Vec<(String, u64)>,
    /// kernel.unprivileged_userns_clone, on Debian's and hardened kernels.
    pub userns_clone: Option<u64>,
    /// kernel.apparmor_restrict_unprivileged_userns, on Ubuntu's kernels.
    pub apparmor_userns: Option<u64>,
    /// The label that a security module gives this process (/proc/self/attr/current); none without one.
    pub label: Option<String>,
    /// The container that this is in, if it says so.
    pub container: Option<Container>,
    /// The service that runs tests here, if it says so.
    pub ci: Option<Ci>,
    /// The soft limit of processes (RLIMIT_NPROC); none is no limit.
    pub processes: Option<u64>,
    /// The soft limit of open files (RLIMIT_NOFILE); none is no limit.
    pub open_files: Option<u64>,
    /// Where nothing can be executed: of the home directory, the working directory and /tmp those that are mounted noexec.
    pub no_exec: Vec<PathBuf>,
    /// The home directory, if an overlay's upper directory cannot be in it since it is on an overlay itself.
    pub overlay_home: Option<PathBuf>,
    /// Control groups.
    pub cgroups: Cgroups,
    /// This program's own file.
    pub program: PathBuf,
}

/// What there is at /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcState {
    /// No proc file system.
    Missing,
    /// One of another PID namespace, in which this process has another id or none.
    Foreign,
    /// One that is mounted read-only.
    ReadOnly,
    /// One that can be written.
    Writable,
}

/// A sort of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker and what behaves like it.
    Docker,
    /// Podman.
    Podman,
    /// A Kubernetes pod.
    Kubernetes,
    /// LXC, LXD, Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// A Flatpak application.
    Flatpak,
    /// gVisor.
    Gvisor,
    /// The first Windows Subsystem for Linux, which is no Linux kernel.
    Wsl1,
    /// A service of systemd, which may have a filter.
    Service,
}

/// A service that runs tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// CircleCI.
    CircleCi,
}

impl Place {
    /// Looks around. Every question that is not answered leaves its field empty.
    pub fn look() -> Place {
        let info = MountInfo::read().ok();
        let mounts = info.as_ref().map(MountInfo::visible).unwrap_or_default();
        let at = |path: &str| mounts.iter().find(|mount| mount.path == Path::new(path));
        let text = |path: &str| std::fs::read_to_string(path).ok();
        let status = text("/proc/self/status");
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Place {
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            uid: rustix::process::geteuid().as_raw(),
            uid_map: text("/proc/self/uid_map"),
            gid: rustix::process::getegid().as_raw(),
            gid_map: text("/proc/self/gid_map"),
            capabilities: status.as_deref().and_then(capabilities),
            proc: match at("/proc").filter(|mount| mount.kind == "proc") {
                None => ProcState::Missing,
                Some(_) if is_foreign() => ProcState::Foreign,
                Some(mount) if mount.read_only || mount.file_system_read_only => {
                    ProcState::ReadOnly
                }
                Some(_) => ProcState::Writable,
            },
            root_is_mount: info.as_ref().map(|_| at("/").is_some()),
            unreachable_mounts: info.as_ref().and_then(unreachable),
            root_kind: at("/").map_or(String::new(), |root| {
                root.kind.to_string_lossy().into_owned()
            }),
            hidden_proc: hidden(&mounts, "/proc"),
            hidden_sys: hidden(&mounts, "/sys"),
            seccomp: status.as_deref().and_then(seccomp),
            unshare_nothing: None,
            mount_nothing: None,
            has_user_namespaces: status
                .as_ref()
                .map(|_| Path::new("/proc/self/ns/user").exists()),
            limits: limits(),
            userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_userns: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            label: text("/proc/self/attr/current")
                .map(|label| label.trim_end_matches(['\0', '\n']).to_string())
                .filter(|label| !label.is_empty()),
            container: container(&mounts),
            ci: ci(),
            processes: rustix::process::getrlimit(rustix::process::Resource::Nproc).current,
            open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            no_exec: no_exec(home.as_deref()),
            overlay_home: home.filter(|home| {
                rustix::fs::statfs(home).is_ok_and(|fs| fs.f_type as u64 == OVERLAY_MAGIC)
            }),
            cgroups: Cgroups::look(),
            program: std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| "rootlet".into()),
        }
    }

    /// Whether the kernel is this one or a newer one; none when its release is no number.
    pub fn is_at_least(&self, (major, minor): (u32, u32)) -> Option<bool> {
        let mut parts = self
            .kernel
            .split(|byte: char| !byte.is_ascii_digit())
            .map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(known)), Some(Ok(part))) => Some((known, part) >= (major, minor)),
            _ => None,
        }
    }

    /// Whether the caller's user id has an id outside this user namespace; none where the map cannot be read.
    pub fn has_own_id(&self) -> Option<bool> {
        self.uid_map.as_deref().map(|map| covers(map, self.uid))
    }

    /// The same for the group id.
    pub fn has_own_group(&self) -> Option<bool> {
        self.gid_map.as_deref().map(|map| covers(map, self.gid))
    }

    /// Whether the caller has a capability, by its number; none where that is not known.
    pub fn has_capability(&self, number: u32) -> Option<bool> {
        self.capabilities.map(|set| set >> number & 1 == 1)
    }

    /// The limit of a kind of namespace.
    pub fn limit(&self, kind: &str) -> Option<u64> {
        let known = self.limits.iter().find(|(name, _)| name == kind);
        known.map(|&(_, limit)| limit)
    }
}

/// From linux/magic.h.
const OVERLAY_MAGIC: u64 = 0x794c_7630;

/// File systems that are mounted where the kernel keeps an empty directory for them: they hide nothing, and it does not
/// count them.
const HARMLESS: [&str; 13] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "efivarfs",
    "fusectl",
    "nfsd",
    "pstore",
    "securityfs",
    "tracefs",
];

/// The mounts below `top` that hide a part of it.
fn hidden(mounts: &[&MountPoint], top: &str) -> Vec<String> {
    let hides = |mount: &&&MountPoint| {
        let (path, kind) = (mount.path.as_path(), mount.kind.to_str());
        // Version 1 of control groups has a tmpfs for their directories.
        path.starts_with(top)
            && ![Path::new(top), Path::new("/sys/fs/cgroup")].contains(&path)
            && !kind.is_some_and(|kind| HARMLESS.contains(&kind))
    };
    let found = mounts.iter().filter(hides);
    found
        .map(|mount| mount.path.display().to_string())
        .collect()
}

/// Whether /proc is that of another PID namespace than this process's.
fn is_foreign() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().to_string();
    std::fs::read_link("/proc/self").is_ok_and(|known| known != Path::new(&own))
}

/// The mounts that the kernel counts, without those that it lists for this process's root.
fn unreachable(listed: &MountInfo) -> Option<usize> {
    let namespace = std::fs::File::open("/proc/self/ns/mnt").ok()?;
    let all = crate::sys::probe::mounts(namespace.as_raw_fd()).ok()?;
    (all as usize).checked_sub(listed.mounts.len() + listed.skipped.len())
}

fn seccomp(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))?;
    line.trim().parse().ok()
}

fn capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether `id` is inside one of the lines of an id map.
fn covers(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(str::parse::<u64>);
        match (words.next(), words.next(), words.next()) {
            (Some(Ok(inside)), Some(Ok(_)), Some(Ok(count))) => {
                (inside..inside + count).contains(&u64::from(id))
            }
            _ => false,
        }
    })
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn limits() -> Vec<(String, u64)> {
    let kinds = ["user", "pid", "mnt", "ipc", "uts", "cgroup", "net", "time"];
    let limit = |kind: &str| {
        let limit = number(&format!("/proc/sys/user/max_{kind}_namespaces"))?;
        Some((kind.to_string(), limit))
    };
    kinds.into_iter().filter_map(limit).collect()
}

fn container(mounts: &[&MountPoint]) -> Option<Container> {
    // Docker lays files of its own there; the mark alone also stays in machines that were made of an image.
    let has_hosts = mounts
        .iter()
        .any(|mount| mount.path == Path::new("/etc/hosts"));
    let exists = |path: &str| Path::new(path).exists();
    let variable = |name: &str| std::env::var_os(name);
    let version = std::fs::read_to_string("/proc/version").unwrap_or_default();
    let said = std::fs::read_to_string("/run/host/container-manager").unwrap_or_default();
    let said = match variable("container") {
        Some(word) => word.to_string_lossy().into_owned(),
        None => said,
    };
    Some(match said.trim() {
        _ if version.contains("gVisor") => Container::Gvisor,
        // The second one is a Linux kernel: `microsoft-standard-WSL2`.
        _ if version.contains("Microsoft") && !version.contains("WSL2") => Container::Wsl1,
        _ if variable("KUBERNETES_SERVICE_HOST").is_some() => Container::Kubernetes,
        _ if exists("/.flatpak-info") => Container::Flatpak,
        _ if exists("/run/.containerenv") => Container::Podman,
        _ if exists("/.dockerenv") && has_hosts => Container::Docker,
        "lxc" => Container::Lxc,
        "systemd-nspawn" => Container::Nspawn,
        "podman" => Container::Podman,
        "docker" => Container::Docker,
        _ if is_service() => Container::Service,
        _ => return None,
    })
}

/// Whether this is started by systemd as a service (systemd.exec(5), INVOCATION_ID), and is not a login.
fn is_service() -> bool {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    std::env::var_os("INVOCATION_ID").is_some()
        && groups
            .lines()
            .any(|line| line.trim_end().ends_with(".service"))
}

fn ci() -> Option<Ci> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| value != OsStr::new(""));
    let known = [
        ("GITHUB_ACTIONS", Ci::GitHub),
        ("GITLAB_CI", Ci::GitLab),
        ("CIRCLECI", Ci::CircleCi),
    ];
    known
        .into_iter()
        .find(|&(name, _)| set(name))
        .map(|(_, ci)| ci)
}

fn no_exec(home: Option<&Path>) -> Vec<PathBuf> {
    let cwd = std::env::current_dir().ok();
    let places = [home.map(Path::to_path_buf), cwd, Some("/tmp".into())];
    let mut found: Vec<PathBuf> = places
        .into_iter()
        .flatten()
        .filter(|place| {
            rustix::fs::statvfs(place)
                .is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
        })
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_covered_by_the_lines_of_a_map() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(covers(map, 0) && covers(map, 65536));
        assert!(!covers(map, 65537) && !covers("", 0) && !covers("x y z", 0));
        assert!(covers("0 0 4294967295", u32::MAX - 1));
    }

    #[test]
    fn the_mode_of_the_filter_is_read_from_the_status() {
        let status = "NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(seccomp(status), Some(2));
        assert_eq!(seccomp("Name:\tx\n"), None);
    }

    #[test]
    fn what_hides_a_part_of_proc_is_told_from_what_only_lies_there() {
        let text = b"1 0 0:1 / / rw - ext4 d rw\n\
            2 1 0:2 / /proc rw - proc proc rw\n\
            3 2 0:3 / /proc/acpi ro - tmpfs tmpfs ro\n\
            4 2 0:4 / /proc/sys/fs/binfmt_misc rw - binfmt_misc x rw\n\
            5 2 0:2 /sys /proc/sys ro - proc proc rw\n\
            6 1 0:5 / /sys rw - sysfs sysfs rw\n\
            7 6 0:6 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            8 6 0:7 / /sys/firmware ro - tmpfs tmpfs ro\n";
        let info = MountInfo::parse(text);
        let mounts = info.visible();
        assert_eq!(hidden(&mounts, "/proc"), ["/proc/acpi", "/proc/sys"]);
        assert_eq!(hidden(&mounts, "/sys"), ["/sys/firmware"]);
    }
}
