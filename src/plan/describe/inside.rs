//! The steps of the processes inside in words.

use super::{Description, clone_flags, described, names, signal_name};
use crate::child::step::{Attributes, Entry, FilterOf, Question, Slot, Step, Text};
use crate::plan::Plan;
use crate::plan::confine::rights;
use crate::spec::{Capabilities, Resource, shown_limit};

impl Plan {
    /// What is attempted for an overlay: nobody has heard of an upper side in memory.
    fn overlay(&self, lower: Text, upper: Option<Text>, slot: Slot) -> String {
        let target = self.target_of(slot);
        let place = target.map_or(String::new(), |target| self.arena.show(target));
        let lower = self.arena.show(lower);
        match upper.filter(|&upper| !self.is_made(upper)) {
            Some(upper) => format!(
                "make an overlay over {lower} that writes to {} for {place}",
                self.arena.show(upper)
            ),
            None => format!("make an overlay over {lower} for {place}"),
        }
    }

    /// What a view is that is taken into `slot`.
    fn kind_of_view(&self, slot: Slot) -> &'static str {
        let is_written = |path: Text| {
            let writes = |entry: &Entry| matches!(entry.step, Step::WriteFile { path: it, .. } if it == path);
            self.setup.iter().any(writes)
        };
        let kind = self.setup.iter().find_map(|entry| match entry.step {
            Step::OpenOverlay { slot: it, .. } if it == slot => Some("an overlay"),
            Step::OpenTree { slot: it, path, .. } if it == slot && is_written(path) => {
                Some("a file")
            }
            _ => None,
        });
        kind.unwrap_or("a volume")
    }

    /// Where what is taken into `slot` is mounted.
    pub(crate) fn target_of(&self, slot: Slot) -> Option<Text> {
        self.setup.iter().find_map(|entry| match entry.step {
            Step::Attach {
                slot: it, target, ..
            } if it == slot => Some(target),
            _ => None,
        })
    }

    /// Whether `path` is that of a directory in memory, which set-up makes.
    pub(crate) fn is_made(&self, path: Text) -> bool {
        let makes = |entry: &Entry| matches!(entry.step, Step::MakeDirectory { path: it, .. } if it == path);
        self.setup.iter().any(makes)
    }

    /// A step of a process inside in words.
    pub fn describe(&self, step: Step) -> Description {
        let show = |text| self.arena.show(text);
        match step {
            Step::Tie => described(
                "tie the process to the launcher",
                "prctl(PR_SET_PDEATHSIG, SIGKILL); poll(life pipe)",
                "PR_SET_PDEATHSIG(2const)",
                "if the launcher dies, even by SIGKILL, this process is killed; if it has died already, it ends now",
            ),
            Step::Untie => described(
                "untie init from the launching thread",
                "prctl(PR_SET_PDEATHSIG, 0)",
                "PR_SET_PDEATHSIG(2const)",
                "init watches the life pipe instead: it outlives the thread that launched it, and when the launcher dies \
                 it has the time to end what there is",
            ),
            Step::JoinNamespaces { flags } => described(
                format!(
                    "join the namespaces of the container ({})",
                    clone_flags(flags as u64)
                ),
                format!("setns(pidfd of its command, {})", clone_flags(flags as u64)),
                "setns(2)",
                "from here on this process is where the container's are, but for its process id; all at a time, or none",
            ),
            Step::HoldOneself => described(
                "hold this process by a descriptor",
                "pidfd_open(getpid())",
                "pidfd_open(2)",
                "the command, which sees no parent in there, looks by it whether this process is still alive",
            ),
            Step::TieToInit => described(
                "tie the command to init",
                "prctl(PR_SET_PDEATHSIG, SIGKILL); getppid()",
                "PR_SET_PDEATHSIG(2const)",
                "there is no PID namespace that would end with init, so the command is told to die with it",
            ),
            Step::CloseOthers => described(
                "close descriptors",
                "close_range(3, ~0), but for the channels and passed descriptors",
                "close_range(2)",
                "files that the caller had open do not come along",
            ),
            Step::CloseLaunchers => described(
                "close the launcher's descriptors",
                "close(the launcher's ends of the channels)",
                "close(2)",
                "by the end of the pipe this process sees that the launcher has gone, so only the launcher may hold it open",
            ),
            Step::CloseAtExec { fd } => described(
                format!("keep descriptor {fd} from the command"),
                format!("fcntl({fd}, F_SETFD, FD_CLOEXEC)"),
                "F_SETFD(2const)",
                "set-up makes use of it, and it is closed when the command is executed",
            ),
            Step::SetSignal { signal, ignore } => described(
                format!("set what {} does", signal_name(signal)),
                format!(
                    "rt_sigaction({}, {})",
                    signal_name(signal),
                    if ignore { "SIG_IGN" } else { "SIG_DFL" }
                ),
                "sigaction(2)",
                "the signal does what the caller's programs expect of it",
            ),
            Step::AwaitIdMaps => described(
                "wait for the id maps",
                "read(life pipe, 1 byte)",
                "pipe(7)",
                "only a process outside may say which ids stand behind the ones in here; until it has, this process has no id of its own",
            ),
            Step::BecomeIds {
                uid,
                gid,
                drop_groups,
            } => described(
                format!("become user {uid} and group {gid}"),
                format!(
                    "{}setresgid({gid}, {gid}, {gid}); setresuid({uid}, {uid}, {uid}); capset()",
                    if drop_groups { "setgroups(0); " } else { "" }
                ),
                "setresuid(2)",
                "the caller's own id is not among those mapped, so one that is has to be taken",
            ),
            Step::RaiseOpenFiles => described(
                "raise the limit of open files",
                "setrlimit(RLIMIT_NOFILE, hard limit)",
                "getrlimit(2)",
                "every volume is held open until it is laid down",
            ),
            Step::RestoreOpenFiles { soft } => described(
                "put the limit of open files back",
                format!("setrlimit(RLIMIT_NOFILE, {soft})"),
                "getrlimit(2)",
                "the command gets the caller's limits",
            ),
            Step::SetLimit {
                resource,
                soft,
                hard,
            } => {
                let name = Resource::name_of(resource);
                let (soft, hard) = (shown_limit(soft), shown_limit(hard));
                described(
                    format!("limit {name} to {soft}, at most {hard}"),
                    format!("prlimit(RLIMIT_{}, {soft}, {hard})", name.to_uppercase()),
                    "getrlimit(2)",
                    match name {
                        "core" => "a crash leaves no file with what was in memory",
                        "as" => "each process may have so many bytes of addresses",
                        "nproc" => {
                            "the processes and threads of the user in here, counted together"
                        }
                        _ => "the most that each process may have",
                    },
                )
            }
            Step::Unshare { flag } => {
                let (name, man, words) = namespace(flag);
                described(
                    format!("make a new {name} namespace"),
                    format!("unshare({})", clone_flags(flag as u64)),
                    man,
                    words,
                )
            }
            Step::KeepNamespace { flag } => {
                let (name, man, _) = namespace(flag);
                described(
                    format!("keep the host's {name} namespace"),
                    "nothing",
                    man,
                    "what is in it is shared with the host",
                )
            }
            Step::StartNetwork => described(
                "start the process that makes a new network namespace",
                "clone(CLONE_VM|CLONE_FILES), which does unshare(CLONE_NEWNET)",
                "network_namespaces(7)",
                "no device but a loopback of its own; to make it takes half a millisecond, so that it is done meanwhile",
            ),
            Step::JoinNetwork => described(
                "make a new network namespace",
                "futex(); setns(CLONE_NEWNET)",
                "setns(2)",
                "the namespace that was made meanwhile becomes this process's",
            ),
            Step::SetClocks { offsets } => {
                let offsets = self
                    .arena
                    .get(offsets)
                    .to_string_lossy()
                    .trim_end()
                    .replace('\n', ", ");
                described(
                    format!("set the clocks' offsets to {offsets:?}"),
                    format!(
                        "write(\"/proc/self/timens_offsets\", {offsets:?}); setns(time_for_children)"
                    ),
                    "time_namespaces(7)",
                    "seconds and nanoseconds that these clocks are ahead of the host's",
                )
            }
            Step::MakePrivate => described(
                "make the mounts private",
                "mount(\"/\", MS_REC|MS_PRIVATE)",
                "mount_namespaces(7)",
                "what is mounted in here stays in here, and what is mounted outside from now on stays outside",
            ),
            Step::OpenTree {
                path,
                slot,
                attributes,
                ..
            } => {
                let open = format!(
                    "open_tree({:?}, OPEN_TREE_CLONE|AT_RECURSIVE) = #{}",
                    show(path),
                    slot.0
                );
                let copy =
                    "a copy of this part of the tree, held by a descriptor until it is attached";
                let attempt = format!("open {} on the host", show(path));
                match attributes {
                    Attributes::NONE => described(attempt, open, "open_tree(2)", copy),
                    _ => described(
                        attempt,
                        format!(
                            "{open}; mount_setattr(#{}, AT_RECURSIVE, {})",
                            slot.0,
                            attribute_names(attributes)
                        ),
                        "mount_setattr(2)",
                        &format!("{copy}; {}, with every mount in it", taken(attributes)),
                    ),
                }
            }
            Step::RequireSame { slot, .. } => described(
                "make sure that what was opened is what the descriptor holds",
                format!("fstat(#{})", slot.0),
                "fstat(2)",
                "something else could have been put at its name meanwhile",
            ),
            Step::OpenProc { slot } => described(
                "make a proc file system",
                format!("fsopen(\"proc\"); fsmount() = #{}", slot.0),
                "fsopen(2)",
                "the processes of this PID namespace; made while the old root is there, since only who sees the whole of one may \
                 make another",
            ),
            Step::AttachProc { slot, target } => described(
                format!("mount proc on {}", show(target)),
                format!("move_mount(#{}, {:?})", slot.0, show(target)),
                "move_mount(2)",
                "what was made appears here; before Linux 5.2 it is made here",
            ),
            Step::OpenOverlay {
                lower,
                upper,
                work,
                volatile,
                slot,
            } => described(
                self.overlay(lower, upper, slot),
                format!(
                    "fsopen(\"overlay\"); fsconfig(lowerdir={}{}, userxattr{}); fsmount() = #{}",
                    show(lower),
                    upper
                        .zip(work)
                        .map_or(String::new(), |(upper, work)| format!(
                            ", upperdir={}, workdir={}",
                            show(upper),
                            show(work)
                        )),
                    if volatile { ", volatile" } else { "" },
                    slot.0
                ),
                "fsopen(2)",
                "the lower directories as they are, but what is written goes to the upper one",
            ),
            Step::CloseStage { path, .. } => described(
                "take down the memory that sources were taken from",
                format!(
                    "umount2({:?}, MNT_DETACH), unless something covers it",
                    show(path)
                ),
                "umount(2)",
                "what was taken holds it",
            ),
            Step::Attach { slot, target, .. } => described(
                format!("mount {} on {}", self.kind_of_view(slot), show(target)),
                format!("move_mount(#{}, {:?})", slot.0, show(target)),
                "move_mount(2)",
                "what was opened appears here",
            ),
            Step::Mask {
                target,
                file,
                directory,
            } => described(
                format!("hide {}", show(target)),
                format!(
                    "stat({0:?}); move_mount(#{1} or #{2}, {0:?})",
                    show(target),
                    file.0,
                    directory.0
                ),
                "move_mount(2)",
                "an empty file or directory lies over it; where nothing is, nothing is done",
            ),
            Step::Seal { path, if_writable } => described(
                format!("make {} read-only", show(path)),
                format!(
                    "{1}mount({0:?}, {0:?}, MS_BIND|MS_REC); mount_setattr({0:?}, AT_RECURSIVE, MOUNT_ATTR_RDONLY)",
                    show(path),
                    if if_writable { "access(W_OK); " } else { "" },
                ),
                "mount_setattr(2)",
                "a part of the kernel's files that can change the machine, or what others see of it",
            ),
            Step::RequireClosed { .. } => described(
                "make sure that /proc is closed",
                "open(\"/proc\", O_PATH); fstatfs(); fstatvfs() of each name",
                "statvfs(3)",
                "who writes in the directory that is the root could have renamed /proc meanwhile, and nothing would have been closed",
            ),
            Step::AttachTerminal { target } => described(
                format!("mount the terminal on {}", show(target)),
                format!("open_tree(terminal); move_mount({:?})", show(target)),
                "move_mount(2)",
                "a name that programs expect",
            ),
            Step::SetAttributes {
                path,
                attributes,
                recursive,
            } => {
                let (flags, words) = match recursive {
                    true => (
                        "AT_RECURSIVE",
                        "the whole tree with every mount below it, in one call",
                    ),
                    false => ("0", "nothing more is made in it"),
                };
                described(
                    format!("make {} {}", show(path), taken(attributes)),
                    format!(
                        "mount_setattr({:?}, {flags}, {})",
                        show(path),
                        attribute_names(attributes)
                    ),
                    "mount_setattr(2)",
                    words,
                )
            }
            Step::EnterRoot { path } => described(
                format!("make {} the root", show(path)),
                format!("chdir({:?}); pivot_root(\".\", \".\")", show(path)),
                "pivot_root(2)",
                "the directory becomes /; the old root lies beneath it for a moment",
            ),
            Step::DetachOldRoot { last: false } => described(
                "detach the old root",
                "umount2(\".\", MNT_DETACH)",
                "umount(2)",
                "from here on no path leads to the host's files; before Linux 5.12 that is put off to the last",
            ),
            Step::DetachOldRoot { last: true } => described(
                "detach the old root, if it is still there",
                "umount2(\".\", MNT_DETACH), or nothing",
                "umount(2)",
                "before Linux 5.12 it was needed until now",
            ),
            Step::Mount {
                kind,
                target,
                flags,
                options,
            } => {
                let (kind, target, options) = (show(kind), show(target), show(options));
                let words = match kind.as_str() {
                    "proc" => {
                        "/proc of the new PID namespace: ps sees the container's processes and no others"
                    }
                    "devpts" => "pseudo-terminals of the container's own",
                    "sysfs" => {
                        "what the kernel says of devices, with the container's network; read-only"
                    }
                    "mqueue" => "message queues of the container's IPC namespace",
                    _ => "an empty directory in memory, gone with the container",
                };
                let call = format!(
                    "mount({kind:?}, {target:?}, {kind:?}, {}, {options:?})",
                    mount_flags(flags)
                );
                described(format!("mount {kind} on {target}"), call, "mount(2)", words)
            }
            Step::KeepProc { .. } => described(
                "keep the host's /proc",
                "(nothing)",
                "proc(5)",
                "the host's processes can be listed in it",
            ),
            Step::ClearUmask => described(
                "clear the umask",
                "umask(0)",
                "umask(2)",
                "what is made has the permission bits that are asked for",
            ),
            Step::RestoreUmask => described(
                "put the umask back",
                "umask(caller's)",
                "umask(2)",
                "the command gets the caller's",
            ),
            Step::MakePlace {
                path, mode, file, ..
            } => {
                let (what, call) = match file {
                    true => ("file", "open"),
                    false => ("directory", "mkdir"),
                };
                described(
                    format!("make the {what} {}", show(path)),
                    format!("{call}({:?}, {mode:#o})", show(path)).replace("0o", "0"),
                    "mkdir(2)",
                    "with the directories above it that are missing; what is there already will do",
                )
            }
            Step::Chmod { path, mode } => described(
                format!("set the permission bits of {}", show(path)),
                format!("chmod({:?}, {mode:#o})", show(path)).replace("0o", "0"),
                "chmod(2)",
                "as asked for",
            ),
            Step::MakeDirectory { path, mode } => described(
                format!("make the directory {}", show(path)),
                format!("mkdir({:?}, {mode:#o})", show(path)).replace("0o", "0"),
                "mkdir(2)",
                "one that is there already will do",
            ),
            Step::MakeFile { path, mode } => described(
                format!("make the file {}", show(path)),
                format!("open({:?}, O_CREAT|O_EXCL, {mode:#o})", show(path)).replace("0o", "0"),
                "open(2)",
                "an empty one, in memory",
            ),
            Step::WriteFile {
                path,
                content,
                mode,
                replace,
            } => {
                let length = self.contents.get(usize::from(content)).map_or(0, Vec::len);
                described(
                    format!("write the file {}", show(path)),
                    format!(
                        "open({:?}, O_CREAT|{}, {mode:#o}); write({length} bytes)",
                        show(path),
                        if replace { "O_TRUNC" } else { "O_EXCL" },
                    )
                    .replace("0o", "0"),
                    "open(2)",
                    match replace {
                        true => "one that is there is written over",
                        false => "it exists in memory only",
                    },
                )
            }
            Step::MakeSymlink { to, path } => described(
                format!("make the link {} to {}", show(path), show(to)),
                format!("symlink({:?}, {:?})", show(to), show(path)),
                "symlink(2)",
                "a name that programs expect",
            ),
            Step::SetHostname { name } => described(
                format!("set the host name to {:?}", show(name)),
                format!("sethostname({:?})", show(name)),
                "sethostname(2)",
                "seen in this UTS namespace only",
            ),
            Step::LoopbackUp => described(
                "bring the loopback device up",
                "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)",
                "netdevice(7)",
                "so that programs inside reach each other at 127.0.0.1; there is no other device",
            ),
            Step::ChangeDirectory { path } => described(
                format!("change to the working directory {}", show(path)),
                format!("chdir({:?}); getcwd()", show(path)),
                "chdir(2)",
                "where the command starts; it is checked that it lies inside",
            ),
            Step::ChangeToFirst { first, count } => {
                let directories: Vec<String> = self
                    .texts(first, count)
                    .map(|text| show(text).replacen("PWD=", "", 1))
                    .collect();
                described(
                    format!("change to {}", directories.join(", or else to ")),
                    format!("chdir({:?}); getcwd()", directories[0]),
                    "chdir(2)",
                    "the first that can be; the variable PWD tells the command which",
                )
            }
            Step::AwaitDescriptor { fd, .. } => described(
                format!("wait for descriptor {fd}"),
                format!("poll({fd})"),
                "poll(2)",
                "the command starts when there is something to read, or the other end is closed",
            ),
            Step::LeaveSession => described(
                "make a session without a terminal",
                "setsid()",
                "setsid(2)",
                "nothing inside can type at the caller's terminal as if the user did",
            ),
            Step::OpenTerminal => described(
                "open a terminal for the command",
                "open(\"/dev/ptmx\"); ioctl(TIOCGPTPEER); sendmsg(SCM_RIGHTS)",
                "pty(7)",
                "the command gets a terminal of its own, and the launcher its other side: nothing inside can type into the \
                 caller's",
            ),
            Step::LeadSession => described(
                "lead a session with the new terminal",
                "setsid(); ioctl(TIOCSCTTY)",
                "credentials(7)",
                "^C, ^Z and the size of the window come from this terminal now",
            ),
            Step::LeadGroup { foreground } => described(
                "lead a process group",
                if foreground {
                    "setpgid(0, 0); ioctl(TIOCSPGRP)"
                } else {
                    "setpgid(0, 0)"
                },
                "setpgid(2)",
                "signals for the command and its children reach them, and not init",
            ),
            Step::StandardAs { slot, fd } => {
                let what = match slot {
                    Slot::TERMINAL => String::from("terminal"),
                    Slot(number) => format!("pipe #{number}"),
                };
                described(
                    format!("make the {what} descriptor {fd}"),
                    format!("dup3({what}, {fd})"),
                    "dup(2)",
                    "standard input, output or error",
                )
            }
            Step::Rename { name } => described(
                "name the process",
                format!("prctl(PR_SET_NAME, {:?})", show(name)),
                "PR_SET_NAME(2const)",
                "what ps shows for process 1",
            ),
            Step::HideInit => described(
                "close init to the others inside",
                "prctl(PR_SET_DUMPABLE, 0)",
                "PR_SET_DUMPABLE(2const)",
                "root inside cannot trace init nor open its memory, its program or its descriptors",
            ),
            Step::Lock { path } => described(
                format!("lock {}", show(path)),
                format!("open({:?}); fcntl(F_SETLK, F_RDLCK)", show(path)),
                "F_SETLK(2const)",
                "whoever asks for the lock of it sees that there is somebody inside",
            ),
            Step::Subreaper => described(
                "take in orphans",
                "prctl(PR_SET_CHILD_SUBREAPER); open(\"/proc/thread-self/children\")",
                "PR_SET_CHILD_SUBREAPER(2const)",
                "processes whose parent has died become init's, so that it can end them",
            ),
            Step::SpawnCommand { .. } => described(
                "start the process of the command",
                "clone(CLONE_VM|CLONE_VFORK); write(report)",
                "clone(2)",
                "it borrows init's memory until it executes the command; init waits for that, and reports it: the end of the \
                 reports without this means that set-up has died",
            ),
            Step::Supervise {
                sweep, lives_on, ..
            } => described(
                "watch over the command",
                "poll(life pipe, SIGCHLD); wait4(); kill()",
                "poll(2)",
                match sweep {
                    _ if lives_on => {
                        "init passes signals on and reaps every orphan, also when the command and the launcher have ended, until \
                         nobody is left"
                    }
                    false => {
                        "init passes signals on, reaps every orphan, and ends when the command does; the kernel then ends \
                         whatever is left in its PID namespace"
                    }
                    true => {
                        "init passes signals on, reaps every orphan, and when the command or the launcher has ended, it ends \
                         whatever is left of its children, one after the other"
                    }
                },
            ),
            Step::NoNewPrivileges => described(
                "give up new privileges",
                "prctl(PR_SET_NO_NEW_PRIVS, 1)",
                "PR_SET_NO_NEW_PRIVS(2const)",
                "no set-user-id program gives this process or its children more than they have",
            ),
            Step::Filter { of } => self.filter(of),
            Step::ListenToFilter => described(
                self.install(FilterOf::Command),
                self.seccomp_call(FilterOf::Command, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
                "seccomp_unotify(2)",
                "what the filter does not let through is told to the launcher, which writes it down and refuses it as the \
                 filter would",
            ),
            Step::ScopeSockets => described(
                "keep abstract sockets of the host out of reach",
                "landlock_create_ruleset(LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET); landlock_restrict_self()",
                "landlock(7)",
                "they belong to the network, which is the host's; D-Bus and X may listen there",
            ),
            Step::NewKeyring => described(
                "make a session keyring",
                "keyctl(KEYCTL_JOIN_SESSION_KEYRING)",
                "session-keyring(7)",
                "keys that the caller's session holds are out of reach",
            ),
            Step::KeepKeyring => described(
                "keep the caller's session keyring",
                "(nothing)",
                "session-keyring(7)",
                "keys that it holds can be used",
            ),
            Step::Program { number } => described(
                format!(
                    "install the caller's filter of system calls, number {}",
                    number + 1
                ),
                format!(
                    "prctl(PR_SET_SECCOMP, {} instructions)",
                    self.programs.get(usize::from(number)).map_or(0, Vec::len)
                ),
                "PR_SET_SECCOMP(2const)",
                "from here on only the system calls that it lets through",
            ),
            Step::JoinUserNamespace { fd } => described(
                format!("join the user namespace of descriptor {fd}"),
                format!("setns({fd}, CLONE_NEWUSER)"),
                "setns(2)",
                "the command is in there, and has no power over what was set up outside of it",
            ),
            Step::LimitUserNamespaces { proc } => described(
                "allow one user namespace more, and no other",
                format!(
                    "write(#{}, \"sys/user/max_user_namespaces\", \"1\")",
                    proc.0
                ),
                "namespaces(7)",
                "the limit of this user namespace, over which the command will have no power",
            ),
            Step::RequireNoUserNamespaces => described(
                "make sure that no further user namespace can be made",
                "unshare(CLONE_NEWUSER), which has to be refused",
                "unshare(2)",
                "as asked for",
            ),
            Step::EnterUserNamespace { proc, uid_map, .. } => described(
                "make a second user namespace",
                format!(
                    "unshare(CLONE_NEWUSER); write(#{}, uid_map {:?}, gid_map)",
                    proc.0,
                    show(uid_map).trim_end()
                ),
                "user_namespaces(7)",
                "inside the first, with the same ids: over what belongs to that one the command has no power",
            ),
            Step::LockMounts => described(
                "lock the mounts",
                "unshare(CLONE_NEWNS)",
                "mount_namespaces(7)",
                "capabilities of the command are over a copy of the mounts that it may add to, but not uncover; over the other \
                 namespaces it has none",
            ),
            Step::LimitCapabilities { kept, ambient, .. } => limit_capabilities(kept, ambient),
            Step::LimitInit => described(
                "take init's capabilities",
                "capset(KILL)",
                "capabilities(7)",
                "whoever found a way to use init could do no more than end processes",
            ),
            Step::MakeRuleset {
                files,
                scopes,
                slot,
            } => ruleset(files, scopes, slot),
            Step::Allow { slot, path, access } => allow(slot, &show(path), access),
            Step::SendRuleset { slot } => described(
                "hand the ruleset to the launcher",
                format!("sendmsg(records, ruleset {})", slot.0),
                "unix(7)",
                "a command that is executed in the container later comes under the same one",
            ),
            Step::Restrict { slot } => described(
                "restrict the command to what the ruleset allows",
                format!("landlock_restrict_self(#{})", slot.0),
                "landlock(7)",
                "for good, for this process and all that come from it; none of them can trace a process outside, or send it \
                 a signal if that is scoped",
            ),
            Step::LeaveOut => described(
                "leave it out",
                "(nothing)",
                "move_mount(2)",
                "its place has gone since it was found",
            ),
            Step::KeepSockets => described(
                "leave abstract sockets of the host in reach",
                "(nothing)",
                "unix(7)",
                "what listens there on the host can be spoken to",
            ),
            Step::PassFd { fd } => described(
                format!("pass descriptor {fd}"),
                format!("fcntl({fd}, F_SETFD, 0)"),
                "fcntl(2)",
                "this one stays open for the command",
            ),
            Step::RunAnywhere => described(
                "run on all processors again",
                "sched_setaffinity(caller's)",
                "sched_setaffinity(2)",
                "until here this process has stayed on the processor of who has made it: to wake up another takes longer than to wait",
            ),
            Step::RestoreSignalMask => described(
                "restore the signal mask",
                "rt_sigprocmask(SIG_SETMASK)",
                "sigprocmask(2)",
                "the signals that the caller had blocked are blocked, and no others",
            ),
            Step::Ask(question) => {
                let (call, man) = asked(question);
                described(format!("ask for {call}"), call, man, "whether it is there")
            }
            Step::Ready => described(
                "report that all is ready",
                "write(report)",
                "unix(7)",
                "the end of the reports without this means that set-up has died",
            ),
            Step::Exec => {
                let program = self
                    .argv
                    .first()
                    .map(|&name| show(name))
                    .unwrap_or_default();
                let paths: Vec<String> = self.candidates.iter().map(|&path| show(path)).collect();
                let call = match &paths[..] {
                    [one] => format!("execve({one:?})"),
                    [first, .., last] => {
                        format!("execve({first:?}), … execve({last:?}): the first that is there")
                    }
                    [] => String::from("execve()"),
                };
                described(
                    format!("execute {program}"),
                    call,
                    "execve(2)",
                    "this process becomes the command",
                )
            }
        }
    }
}

/// A ruleset in words.
pub(super) fn ruleset(files: u64, scopes: u64, slot: Slot) -> Description {
    described(
        "make a ruleset of Landlock",
        format!(
            "landlock_create_ruleset({}, scoped {}) = #{}",
            names(files, &rights::NAMES),
            names(scopes, &rights::SCOPE_NAMES),
            slot.0
        ),
        "landlock(7)",
        "of all this the command may do what the next steps allow, each in a tree with all that is ever in it, and \
         nothing of what is scoped",
    )
}

/// A rule of it in words.
pub(super) fn allow(slot: Slot, paths: &str, access: u64) -> Description {
    let words = match access {
        access if access & rights::MAKE_REG != 0 => "can be read, executed and written",
        access if access & rights::WRITE_FILE != 0 => {
            "can be read and written, but nothing made or removed"
        }
        access if access & rights::READ_FILE != 0 => "can be read and executed, not written",
        _ => "can be listed; what is in it is allowed or refused by itself",
    };
    described(
        format!("allow {paths}"),
        format!(
            "landlock_add_rule(#{}, {paths}: {})",
            slot.0,
            names(access, &rights::NAMES)
        ),
        "landlock(7)",
        words,
    )
}

fn limit_capabilities(kept: u64, ambient: u64) -> Description {
    let shown = |set: u64| match Capabilities(set) {
        Capabilities::NONE => String::from("none"),
        Capabilities::ALL => String::from("all"),
        set => set.names().join(", "),
    };
    let raised = match ambient {
        0 => String::new(),
        _ => format!("; prctl(PR_CAP_AMBIENT_RAISE, {})", shown(ambient)),
    };
    described(
        "take capabilities from the command",
        format!("prctl(PR_CAPBSET_DROP){raised}; prctl(PR_SET_SECUREBITS)"),
        "capabilities(7)",
        &format!(
            "what the command does not need it cannot be made to use, and no program brings it back; left: {}",
            shown(kept)
        ),
    )
}

impl Plan {
    fn filter(&self, of: FilterOf) -> Description {
        let reason = match of {
            FilterOf::Command => {
                "system calls that the filter does not let through are refused, to this process and all that it starts, for \
                 good; docs/seccomp.md says which, and why"
            }
            FilterOf::Both => {
                "system calls that the filter does not let through are refused, to init, to the command, which inherits it, and \
                 to all that it starts, for good; docs/seccomp.md says which, and why"
            }
            FilterOf::Init => "the same for init, now that it has nothing left to do but to wait",
            FilterOf::Files { attributes: true } => {
                "refuses what gets around Landlock: to change modes, owners, times and extended attributes (chmod, chown, \
                 utimensat, setxattr), io_uring; and new namespaces, mounts, TIOCSTI"
            }
            FilterOf::Files { attributes: false } => {
                "refuses new namespaces, mounts, io_uring and TIOCSTI"
            }
        };
        described(
            self.install(of),
            self.seccomp_call(of, "0"),
            "seccomp(2)",
            reason,
        )
    }

    /// What is attempted with one of the filters.
    fn install(&self, of: FilterOf) -> String {
        match of {
            FilterOf::Command | FilterOf::Both => {
                format!("install the system call filter {}", self.enforced.seccomp)
            }
            FilterOf::Init => "install init's system call filter".to_string(),
            FilterOf::Files { .. } => "install the system call filter for files".to_string(),
        }
    }

    fn seccomp_call(&self, of: FilterOf, flags: &str) -> String {
        let size = self.filters[of.index()].len();
        format!("seccomp(SECCOMP_SET_MODE_FILTER, {flags}, {size} instructions)")
    }
}

fn asked(question: Question) -> (&'static str, &'static str) {
    match question {
        Question::Unshare => ("unshare(0)", "unshare(2)"),
        Question::User => ("unshare(CLONE_NEWUSER)", "unshare(2)"),
        Question::Mount => ("mount()", "mount(2)"),
        Question::Clone3 => ("clone3()", "clone(2)"),
        Question::CloseRange => ("close_range()", "close_range(2)"),
        Question::OpenTree => ("open_tree()", "open_tree(2)"),
        Question::MountSetattr => (
            "mount_setattr(\"/\", AT_RECURSIVE, MOUNT_ATTR_RDONLY)",
            "mount_setattr(2)",
        ),
        Question::OpenAt2 => ("openat2()", "openat2(2)"),
        Question::Pidfd => ("pidfd_open()", "pidfd_open(2)"),
        Question::Filter => ("seccomp(SECCOMP_SET_MODE_FILTER)", "seccomp(2)"),
        Question::Landlock => (
            "landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)",
            "landlock(7)",
        ),
        Question::Tun => ("ioctl(\"/dev/net/tun\", TUNSETIFF)", "netdevice(7)"),
    }
}

fn namespace(flag: i32) -> (&'static str, &'static str, &'static str) {
    match flag {
        libc::CLONE_NEWNS => (
            "mount",
            "mount_namespaces(7)",
            "a list of mounts of its own, at first a copy of the host's",
        ),
        libc::CLONE_NEWIPC => (
            "IPC",
            "ipc_namespaces(7)",
            "System V IPC and message queues of its own",
        ),
        libc::CLONE_NEWUTS => ("UTS", "uts_namespaces(7)", "a host name of its own"),
        libc::CLONE_NEWCGROUP => (
            "cgroup",
            "cgroup_namespaces(7)",
            "its own control group looks like the root of all",
        ),
        libc::CLONE_NEWNET => (
            "network",
            "network_namespaces(7)",
            "no device but a loopback of its own",
        ),
        libc::CLONE_NEWTIME => (
            "time",
            "time_namespaces(7)",
            "clocks of its own that count from boot",
        ),
        _ => ("unknown", "namespaces(7)", ""),
    }
}

fn mount_flags(flags: u32) -> String {
    names(
        u64::from(flags),
        &[
            (libc::MS_RDONLY, "MS_RDONLY"),
            (libc::MS_NOSUID, "MS_NOSUID"),
            (libc::MS_NODEV, "MS_NODEV"),
            (libc::MS_NOEXEC, "MS_NOEXEC"),
        ],
    )
}

/// What is taken from a mount, as the kernel calls it.
fn attribute_names(attributes: Attributes) -> String {
    names(
        attributes.0.into(),
        &[
            (Attributes::READ_ONLY.0.into(), "MOUNT_ATTR_RDONLY"),
            (Attributes::NO_SETUID.0.into(), "MOUNT_ATTR_NOSUID"),
            (Attributes::NO_DEVICES.0.into(), "MOUNT_ATTR_NODEV"),
        ],
    )
}

/// The same in words.
fn taken(attributes: Attributes) -> String {
    let words = [
        (Attributes::READ_ONLY, "read-only"),
        (Attributes::NO_SETUID, "without set-user-ID programs"),
        (Attributes::NO_DEVICES, "without devices"),
    ];
    let taken = words.iter().filter(|(it, _)| attributes.0 & it.0 != 0);
    let taken: Vec<&str> = taken.map(|(_, words)| *words).collect();
    taken.join(", ")
}

impl Plan {
    /// `count` texts, one after the other from `first` on.
    pub(super) fn texts(&self, first: Text, count: u16) -> impl Iterator<Item = Text> {
        let mut next = first;
        (0..count).map(move |_| {
            let text = next;
            next = Text(text.0 + self.arena.get(text).count_bytes() as u32 + 1);
            text
        })
    }
}
