//! The options, how many words each takes, and what is said of it in the help.

/// An option.
pub struct BwrapOption {
    /// With its two hyphens.
    pub name: &'static str,
    /// The words that it takes, as the help calls them.
    pub words: &'static [&'static str],
    /// How bubblewrap says that one is missing.
    pub missing: &'static str,
    /// What it is for.
    pub help: &'static str,
}

const fn option(
    name: &'static str,
    words: &'static [&'static str],
    missing: &'static str,
    help: &'static str,
) -> BwrapOption {
    BwrapOption {
        name,
        words,
        missing,
        help,
    }
}

const AN: &str = "takes an argument";
const ONE: &str = "takes one argument";
const TWO: &str = "takes two arguments";
const THREE: &str = "takes three arguments";

/// All of them, in the order of the help.
#[rustfmt::skip]
pub const OPTIONS: &[BwrapOption] = &[
    option("--help", &[], "", "Print this help, and nothing else"),
    option("--version", &[], "", "Print the version whose options these are"),
    option("--args", &["FD"], AN, "Read options from FD, each ended by a NUL"),
    option("--argv0", &["VALUE"], ONE, "Tell the command that it is called VALUE"),
    option("--level-prefix", &[], "", "Begin messages with their severity, such as <3>"),
    option("--unshare-all", &[], "", "New namespaces of all kinds below"),
    option("--share-net", &[], "", "Keep the host's network after all"),
    option("--unshare-user", &[], "", "A new user namespace, which an ordinary user always gets"),
    option("--unshare-user-try", &[], "", "The same"),
    option("--unshare-ipc", &[], "", "A new IPC namespace"),
    option("--unshare-pid", &[], "", "A new PID namespace"),
    option("--unshare-net", &[], "", "A new network namespace, with a loopback device only"),
    option("--unshare-uts", &[], "", "A new UTS namespace"),
    option("--unshare-cgroup", &[], "", "A new cgroup namespace"),
    option("--unshare-cgroup-try", &[], "", "The same, if the kernel has them"),
    option("--userns", &["FD"], AN, "Join this user namespace, and make none"),
    option("--userns2", &["FD"], AN, "Join this one, inside the first, at the end"),
    option("--disable-userns", &[], "", "Let no further user namespaces be made inside"),
    option("--assert-userns-disabled", &[], "", "Fail if further user namespaces can be made inside"),
    option("--pidns", &["FD"], AN, "Join this PID namespace"),
    option("--uid", &["UID"], AN, "Be this user inside"),
    option("--gid", &["GID"], AN, "Be this group inside"),
    option("--hostname", &["NAME"], AN, "Another host name inside"),
    option("--chdir", &["DIR"], ONE, "Start in DIR"),
    option("--clearenv", &[], "", "Unset all variables"),
    option("--setenv", &["VAR", "VALUE"], TWO, "Set a variable"),
    option("--unsetenv", &["VAR"], AN, "Unset a variable"),
    option("--lock-file", &["DEST"], AN, "Hold a lock of this file while anybody is inside"),
    option("--sync-fd", &["FD"], AN, "Hold this descriptor while anybody is inside"),
    option("--bind", &["SRC", "DEST"], TWO, "Show SRC of the host at DEST"),
    option("--bind-try", &["SRC", "DEST"], TWO, "The same, if SRC is there"),
    option("--dev-bind", &["SRC", "DEST"], TWO, "Show SRC at DEST, with its devices"),
    option("--dev-bind-try", &["SRC", "DEST"], TWO, "The same, if SRC is there"),
    option("--ro-bind", &["SRC", "DEST"], TWO, "Show SRC at DEST, read-only"),
    option("--ro-bind-try", &["SRC", "DEST"], TWO, "The same, if SRC is there"),
    option("--bind-fd", &["FD", "DEST"], TWO, "Show what FD holds at DEST"),
    option("--ro-bind-fd", &["FD", "DEST"], TWO, "The same, read-only"),
    option("--remount-ro", &["DEST"], ONE, "Make the mount at DEST read-only, but none below it"),
    option("--overlay-src", &["SRC"], AN, "A directory to be read, for the overlay that follows"),
    option("--overlay", &["RWSRC", "WORKDIR", "DEST"], THREE, "An overlay at DEST that writes to RWSRC of the host"),
    option("--tmp-overlay", &["DEST"], AN, "An overlay at DEST that writes to memory"),
    option("--ro-overlay", &["DEST"], AN, "An overlay at DEST that is read-only"),
    option("--exec-label", &["LABEL"], AN, "Not supported"),
    option("--file-label", &["LABEL"], AN, "Not supported"),
    option("--proc", &["DEST"], AN, "/proc at DEST"),
    option("--dev", &["DEST"], AN, "A small /dev at DEST"),
    option("--tmpfs", &["DEST"], AN, "An empty directory in memory at DEST"),
    option("--mqueue", &["DEST"], AN, "POSIX message queues at DEST"),
    option("--dir", &["DEST"], AN, "Make a directory"),
    option("--file", &["FD", "DEST"], TWO, "Make a file of what FD has"),
    option("--bind-data", &["FD", "DEST"], TWO, "Mount a file of what FD has at DEST"),
    option("--ro-bind-data", &["FD", "DEST"], TWO, "The same, read-only"),
    option("--symlink", &["SRC", "DEST"], TWO, "Make a link at DEST that holds SRC"),
    option("--seccomp", &["FD"], AN, "Filter system calls by the program in FD"),
    option("--add-seccomp-fd", &["FD"], AN, "Filter them by this one too"),
    option("--block-fd", &["FD"], AN, "Start the command when FD has something to read"),
    option("--userns-block-fd", &["FD"], AN, "Wait on FD until somebody has written the id maps"),
    option("--info-fd", &["FD"], AN, "Write JSON about the first process to FD"),
    option("--json-status-fd", &["FD"], AN, "Write lines of JSON about the first process and its end to FD"),
    option("--new-session", &[], "", "A session without a terminal"),
    option("--die-with-parent", &[], "", "End everything when the caller ends, or this process"),
    option("--as-pid-1", &[], "", "Let the command itself be process 1"),
    option("--cap-add", &["CAP"], AN, "Let the command have this capability, or ALL"),
    option("--cap-drop", &["CAP"], AN, "Let it not have it"),
    option("--perms", &["OCTAL"], AN, "Permission bits of what the next option makes"),
    option("--size", &["BYTES"], AN, "The size of the --tmpfs that follows"),
    option("--chmod", &["OCTAL", "PATH"], TWO, "Other permission bits for what is there"),
];

/// The option with this name.
pub fn find(name: &[u8]) -> Option<&'static BwrapOption> {
    OPTIONS.iter().find(|option| option.name.as_bytes() == name)
}

/// The help, for a program that was called `program`.
pub fn usage(program: &str) -> String {
    let mut text = format!("usage: {program} [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
    for option in OPTIONS {
        let left = [&[option.name], option.words].concat().join(" ");
        text.push_str(&format!("    {left:<29} {}\n", option.help));
    }
    text.push_str("\nThis is rootlet, which takes these options in the place of bubblewrap.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_words_says_when_one_is_missing() {
        for option in OPTIONS {
            assert_eq!(
                option.words.is_empty(),
                option.missing.is_empty(),
                "{}",
                option.name
            );
            let found = find(option.name.as_bytes()).unwrap();
            assert_eq!((found.name, found.words), (option.name, option.words));
        }
        assert!(find(b"--bin").is_none());
    }
}
