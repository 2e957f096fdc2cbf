//! Which capabilities a command has that says nothing of them, and what that depends on.

use super::{Capabilities, Capability, Mount, Spec};

/// What root in a namespaced shell needs: what it may do to files, ids, processes, networks and mounts of its own. The
/// others are about the machine, over which no user namespace gives power, so that they only make the kernel's code
/// larger that can be reached.
const SHELL: [&str; 23] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_OWNER",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_ADMIN",
    "SYS_NICE",
    "SYS_RESOURCE",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
    "CHECKPOINT_RESTORE",
];

impl Spec {
    /// Those that the command with the user id `uid` inside, or what it executes, can come to have. It is docker's rule: ALL is
    /// taken and given first, then those that are named; who is named in both has it.
    pub fn kept_capabilities(&self, uid: u32) -> Capabilities {
        let by_default = match uid == 0 || self.allow_new_privs {
            true => by_default(self.has_something_to_lock()),
            false => Capabilities::NONE,
        };
        let all = |words: &[Capability]| words.contains(&Capability::All);
        let start = match (all(&self.cap_add), all(&self.cap_drop)) {
            (true, _) => Capabilities::ALL,
            (_, true) => Capabilities::NONE,
            _ => by_default,
        };
        start
            .without(Capabilities::of(&named(&self.cap_drop)))
            .with(self.named_capabilities())
    }

    /// Those that are asked for by their names.
    pub fn named_capabilities(&self) -> Capabilities {
        Capabilities::of(&named(&self.cap_add))
    }

    /// Whether root inside could show or write, by taking a mount off, what the view hides or keeps from being written.
    pub fn has_something_to_lock(&self) -> bool {
        let only_adds = |mount: &Mount| {
            matches!(
                mount,
                Mount::Bind {
                    read_only: false,
                    ..
                }
            )
        };
        self.read_only || !self.root.is_host() || !self.mounts.iter().all(only_adds)
    }
}

/// [`SHELL`]; where a view is to be locked without what could change mounts, or open files by their handles.
fn by_default(locked: bool) -> Capabilities {
    let taken = |name: &&str| locked && matches!(*name, "SYS_ADMIN" | "DAC_READ_SEARCH");
    let left = SHELL.iter().filter(|name| !taken(name));
    let words: Vec<Capability> = left.filter_map(|name| name.parse().ok()).collect();
    Capabilities::of(&words)
}

fn named(words: &[Capability]) -> Vec<Capability> {
    let is_named = |word: &&Capability| **word != Capability::All;
    words.iter().filter(is_named).copied().collect()
}
