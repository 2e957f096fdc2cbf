//! Which file systems can be the lower layer of an overlay.

use crate::host::mountinfo::MountPoint;

/// File systems that are windows into the kernel, or that must not be touched (autofs): never overlaid, always bound.
const KERNELS: [&str; 26] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "cpuset",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "debugfs",
    "tracefs",
    "bpf",
    "pstore",
    "configfs",
    "efivarfs",
    "mqueue",
    "hugetlbfs",
    "binfmt_misc",
    "binder",
    "fusectl",
    "functionfs",
    "nsfs",
    "rpc_pipefs",
    "nfsd",
    "autofs",
];

/// File systems whose names compare in a way of their own, whatever their options: overlayfs refuses those
/// (`ovl_dentry_weird`: DCACHE_OP_HASH, DCACHE_OP_COMPARE), since it could not tell which names are the same.
///
/// Others do it by an option (ntfs3 and cifs with `nocase`, ext4 and f2fs with the casefold feature before Linux 6.17,
/// iso9660 without Rock Ridge), or stack too deep (an overlay on an overlay). That is found out by trying.
const CASELESS: [&str; 7] = ["vfat", "msdos", "exfat", "hfs", "hfsplus", "affs", "hpfs"];

/// Whether `mount` is a window into the kernel.
pub fn is_kernels(mount: &MountPoint) -> bool {
    KERNELS.iter().any(|kind| mount.kind == *kind)
}

/// Why nothing of `mount` can be the lower layer of an overlay, where its type alone says so.
pub fn refusal(mount: &MountPoint) -> Option<String> {
    CASELESS
        .iter()
        .find(|kind| mount.kind == **kind)
        .map(|kind| format!("an overlay cannot lie on {kind}"))
}
