//! Places that refuse something: each function makes one of the calling process's own surroundings, and is called in a
//! child process between its fork and its exec. Whoever runs the tests is an ordinary user, so that most begin with
//! [`user`]: in a user namespace of its own it may do to itself what an administrator does to others.

use std::ffi::CString;
use std::io::{Error, Result};
use std::path::Path;

fn done(result: i32) -> Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

fn unshare(flags: i32) -> Result<()> {
    // SAFETY: takes a plain number.
    done(unsafe { libc::unshare(flags) })
}

/// A user namespace and a mount namespace, whose mounts nobody else sees; the caller is root in it, alone.
pub fn user() -> Result<()> {
    deeper()?;
    unshare(libc::CLONE_NEWNS)?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
}

/// Only the user namespace.
pub fn deeper() -> Result<()> {
    // SAFETY: takes nothing and returns plain numbers.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    unshare(libc::CLONE_NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// A user namespace in which the caller has no user id.
pub fn without_user_id() -> Result<()> {
    unshare(libc::CLONE_NEWUSER)
}

/// A user namespace in which the caller has no group id.
pub fn without_group_id() -> Result<()> {
    // SAFETY: takes nothing and returns a plain number.
    let uid = unsafe { libc::geteuid() };
    unshare(libc::CLONE_NEWUSER)?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))
}

/// The most namespaces of a kind (`user`, `mnt`, ...) in the user namespace that this is.
pub fn limit(kind: &str, most: u32) -> Result<()> {
    let path = format!("/proc/sys/user/max_{kind}_namespaces");
    std::fs::write(path, most.to_string())
}

/// The caller's soft and hard limit of a resource (setrlimit(2)).
pub fn rlimit(resource: libc::__rlimit_resource_t, most: u64) -> Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: reads one structure.
    done(unsafe { libc::setrlimit(resource, &limit) })
}

/// mount(2).
pub fn mount(source: &str, target: &str, kind: &str, flags: u64, options: &str) -> Result<()> {
    let [source, target, kind, options] =
        [source, target, kind, options].map(|text| CString::new(text).unwrap_or_default());
    let data = options.as_ptr().cast();
    // SAFETY: every string ends with a NUL.
    done(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data) })
}

/// An empty file system in memory over each of these directories.
pub fn cover(directories: &[&str]) -> Result<()> {
    directories
        .iter()
        .try_for_each(|path| mount("tmpfs", path, "tmpfs", 0, ""))
}

/// `source` shown at `target`, with all that is mounted below.
pub fn bind(source: &str, target: &str) -> Result<()> {
    mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
}

/// A mount of what is at `path` there as well, with these flags added to those that may not be taken from it.
pub fn remount(path: &str, flags: u64) -> Result<()> {
    if !is_mount_point(path)? {
        bind(path, path)?;
    }
    let kept = [0, libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC];
    let remount = |kept| {
        mount(
            "",
            path,
            "",
            libc::MS_REMOUNT | libc::MS_BIND | flags | kept,
            "",
        )
    };
    remount(kept[0]).or_else(|_| remount(kept[1]))
}

fn is_mount_point(path: &str) -> Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(path)))
}

/// What container runtimes do to /proc and /sys: some of it empty, some of it read-only.
pub fn masked() -> Result<()> {
    user()?;
    let empty = ["/proc/acpi", "/proc/scsi", "/sys/firmware"];
    empty
        .iter()
        .filter(|path| Path::new(path).exists())
        .try_for_each(|path| cover(&[path]))?;
    for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        if Path::new(path).exists() {
            bind("/dev/null", path)?;
        }
    }
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"]
        .iter()
        .filter(|path| Path::new(path).exists())
        .try_for_each(|path| remount(path, libc::MS_RDONLY))
}

/// A tree at `root`, in memory, of the host's directories; `at` is where in it, so that it is a mount itself or not.
pub fn chroot(root: &Path, at: &str) -> Result<()> {
    user()?;
    let root = root.to_string_lossy();
    cover(&[&root])?;
    let root = format!("{root}{at}");
    std::fs::create_dir_all(&root)?;
    for entry in std::fs::read_dir("/")? {
        let name = entry?.file_name();
        let (from, to) = (Path::new("/").join(&name), Path::new(&root).join(&name));
        if from.is_dir() && !from.is_symlink() {
            std::fs::create_dir(&to)?;
            bind(&from.to_string_lossy(), &to.to_string_lossy())?;
        } else if let Ok(link) = std::fs::read_link(&from) {
            std::os::unix::fs::symlink(link, &to)?;
        }
    }
    std::os::unix::fs::chroot(&root)?;
    std::env::set_current_dir("/")
}

/// A Landlock domain (landlock(7)) that has a say in these accesses to files and to the network.
pub fn landlock(files: u64, network: u64) -> Result<()> {
    let handled = [files, network];
    // SAFETY: the structure is as long as the call says; both words of it are in the kernel's since Linux 6.7.
    let domain = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &handled, 16, 0) };
    no_new_privileges()?;
    // SAFETY: takes plain numbers.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, domain, 0) } as i32)
}

/// no_new_privs (prctl(2)).
pub fn no_new_privileges() -> Result<()> {
    // SAFETY: takes plain numbers.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// No capability is left, and none can be had (capabilities(7)): as `docker run --cap-drop ALL`.
pub fn without_capabilities() -> Result<()> {
    for capability in 0..64 {
        // SAFETY: takes plain numbers; it fails with EINVAL beyond the last capability.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // Version 3 of the header, and three sets of two empty words each.
    let (header, sets) = ([0x2008_0522_u32, 0], [0u32; 6]);
    // SAFETY: both are as long as version 3 says.
    done(unsafe { libc::syscall(libc::SYS_capset, &header, &sets) } as i32)
}
