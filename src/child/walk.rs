//! Does the steps of a list, one after the other. The first that is refused is the end of the process.

use ::core::prelude::rust_2024::*;
use ::rustix::event::{PollFd, PollFlags, poll};
use ::rustix::fd::BorrowedFd;
use ::rustix::fs::{Access, CWD, Mode, OFlags};
use ::rustix::io::Errno;
use ::rustix::process::{DumpableBehavior, PidfdFlags, Signal};
use ::rustix::thread::ThreadNameSpaceType;

use super::record::{self, Kind, Process};
use super::step::{Attributes, Entry, FAILED, Fallback, FilterOf, Question, Slot, Step, Text};
use super::{Task, borrow, capabilities, files, init, mounts, network, terminal};
use crate::sys;

/// Does every step of `list`.
pub fn walk(task: &mut Task<'_>, process: Process, list: &[Entry]) {
    // The command's filter may refuse, or punish, all but an exec.
    let mut quiet = false;
    for (number, entry) in list.iter().enumerate() {
        // init has a name of its own, which it keeps.
        if process != Process::Init && !quiet {
            let _ = ::rustix::thread::set_name(
                record::Place {
                    process,
                    step: number,
                }
                .name()
                .as_c_str(),
            );
        }
        task.at = number;
        quiet |= is_commands_filter(entry.step);
        let done = match perform(task, entry.step) {
            Ok(()) if task.trace && !quiet => task.report(Kind::Done, process, number, 0),
            Ok(()) => Ok(()),
            Err(errno) => step_down(task, process, number, entry, errno),
        };
        if let Err(errno) = done {
            give_up(task, process, number, errno)
        }
    }
}

/// A step was refused: does what the plan names instead, if that is not refused too and the launcher gets to know.
fn step_down(
    task: &mut Task<'_>,
    process: Process,
    number: usize,
    entry: &Entry,
    errno: Errno,
) -> Result<(), Errno> {
    match entry.instead {
        Some(step) if perform(task, step).is_ok() => {
            task.report(Kind::SteppedDown, process, number, errno.raw_os_error())
        }
        _ => Err(errno),
    }
}

/// Tells of the step that was refused, and ends.
fn give_up(task: &mut Task<'_>, process: Process, number: usize, errno: Errno) -> ! {
    let value = errno.raw_os_error();
    if process == Process::Command && !task.init.is_empty() {
        task.refused = Some((number, value));
    } else {
        // If not even this is told, the launcher sees where this process has ended, by its name.
        let _ = task.report(Kind::Failed, process, number, value);
    }
    sys::exit(FAILED)
}

fn is_commands_filter(step: Step) -> bool {
    let of = FilterOf::Command;
    step == Step::Filter { of }
        || step == Step::ListenToFilter
        || matches!(step, Step::Program { .. })
}

/// Does one step.
fn perform(task: &mut Task<'_>, step: Step) -> Result<(), Errno> {
    match step {
        Step::Tie => tie(task),
        Step::Untie => ::rustix::process::set_parent_process_death_signal(None),
        Step::TieToInit => tie_to_init(task),
        Step::JoinNamespaces { flags } => ::rustix::thread::move_into_thread_name_spaces(
            borrow(task.slot(Slot::JOINED)),
            ThreadNameSpaceType::from_bits_retain(flags as u32),
        ),
        Step::HoldOneself => {
            let own =
                ::rustix::process::pidfd_open(::rustix::process::getpid(), PidfdFlags::empty())?;
            task.set_slot(Slot::JOINED, ::rustix::fd::IntoRawFd::into_raw_fd(own));
            task.holds_itself = true;
            Ok(())
        }
        Step::CloseOthers => close_others(task),
        Step::CloseLaunchers => {
            task.launchers.iter().for_each(|&fd| sys::close(fd));
            Ok(())
        }
        Step::CloseAtExec { fd } => match sys::close_at_exec(fd) {
            // It is not even open.
            Err(Errno::BADF) => Ok(()),
            result => result,
        },
        Step::SetSignal { signal, ignore } => sys::set_signal_disposition(
            signal,
            if ignore {
                ::libc::SIG_IGN
            } else {
                ::libc::SIG_DFL
            },
        ),
        Step::AwaitIdMaps => await_id_maps(task),
        Step::BecomeIds {
            uid,
            gid,
            drop_groups,
        } => become_ids(uid, gid, drop_groups),
        Step::RaiseOpenFiles => sys::set_open_files(|[_, most]| most),
        Step::RestoreOpenFiles { soft } => sys::set_open_files(|_| soft),
        Step::SetLimit {
            resource,
            soft,
            hard,
        } => sys::set_limit(resource, soft, hard),
        Step::Unshare { flag } => sys::unshare(flag),
        Step::StartNetwork => network::start(task),
        Step::JoinNetwork => network::join(task),
        Step::SetClocks { offsets } => files::set_clocks(task.text(offsets)),
        Step::MakePrivate => mounts::make_private(),
        Step::OpenTree {
            path,
            slot,
            attributes,
            optional,
        } => match mounts::open_tree(task, path, slot, attributes) {
            Err(Errno::NOENT) if optional => Ok(()),
            result => result,
        },
        Step::OpenOverlay {
            lower,
            upper,
            work,
            volatile,
            slot,
        } => mounts::open_overlay(task, [Some(lower), upper, work], volatile, slot),
        Step::RequireSame {
            slot,
            device,
            inode,
        } => mounts::require_same(task, slot, device, inode),
        Step::OpenProc { slot } => mounts::open_proc(task, slot),
        Step::AttachProc { slot, target } => mounts::attach_proc(task, slot, target),
        Step::CloseStage { path, shown } => mounts::close_stage(task, path, shown),
        Step::Attach {
            slot,
            target,
            attributes,
        } => mounts::attach(task, slot, target, attributes),
        Step::Mask {
            target,
            file,
            directory,
        } => mounts::mask(task, target, file, directory),
        Step::Seal { path, if_writable } => mounts::seal(task, path, if_writable),
        Step::RequireClosed { first, count } => mounts::require_closed(task, first, count),
        Step::AttachTerminal { target } => mounts::attach_terminal(task, target),
        Step::SetAttributes {
            path,
            attributes,
            recursive,
        } => mounts::set_attributes(task, path, attributes, recursive),
        Step::ClearUmask => {
            task.umask = ::rustix::process::umask(Mode::empty());
            Ok(())
        }
        Step::RestoreUmask => {
            let _ = ::rustix::process::umask(task.umask);
            Ok(())
        }
        Step::MakePlace {
            path,
            mode,
            above,
            file,
        } => files::make_place(task, path, mode, above, file),
        Step::Chmod { path, mode } => {
            ::rustix::fs::chmod(task.text(path), Mode::from_raw_mode(mode))
        }
        Step::EnterRoot { path } => mounts::enter_root(task, path),
        Step::DetachOldRoot { last } => mounts::detach_old_root(task, last),
        Step::Mount {
            kind,
            target,
            flags,
            options,
        } => mounts::mount(
            task.text(kind),
            task.text(target),
            flags,
            task.text(options),
        ),
        Step::MakeDirectory { path, mode } => files::make_directory(task.text(path), mode),
        Step::MakeFile { path, mode } => files::make_file(task.text(path), mode),
        Step::WriteFile {
            path,
            content,
            mode,
            replace,
        } => files::write_file(task.text(path), task.content(content), mode, replace),
        Step::MakeSymlink { to, path } => files::make_symlink(task, task.text(to), task.text(path)),
        Step::SetHostname { name } => ::rustix::system::sethostname(task.text(name).to_bytes()),
        Step::LoopbackUp => network::loopback_up(task),
        Step::ChangeDirectory { path } => files::change_directory(task.text(path)),
        Step::ChangeToFirst { first, count } => files::change_to_first(task, first, count),
        Step::AwaitDescriptor { fd, tied } => await_descriptor(task, fd, tied),
        Step::LeaveSession => ::rustix::process::setsid().map(drop),
        Step::OpenTerminal => terminal::open_terminal(task),
        Step::LeadSession => {
            ::rustix::process::setsid()?;
            ::rustix::process::ioctl_tiocsctty(borrow(task.slot(Slot::TERMINAL)))
        }
        Step::LeadGroup { foreground } => lead_group(task, foreground),
        Step::StandardAs { slot, fd } => sys::duplicate_onto(task.slot(slot), fd),
        Step::Rename { name } => ::rustix::thread::set_name(task.text(name)),
        Step::HideInit => ::rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
        Step::Lock { path } => files::lock(task, task.text(path)),
        Step::Subreaper => init::become_subreaper(task),
        Step::SpawnCommand {
            foreign_pids,
            listened,
            shares_files,
        } => init::spawn_command(task, foreign_pids, listened, shares_files),
        Step::Supervise {
            shared_group,
            sweep,
            lives_on,
        } => init::supervise(task, shared_group, sweep, lives_on),
        Step::NoNewPrivileges => ::rustix::thread::set_no_new_privs(true),
        Step::NewKeyring => match sys::join_session_keyring() {
            // A kernel without keyrings.
            Err(Errno::NOSYS) => Ok(()),
            result => result,
        },
        Step::JoinUserNamespace { fd } => sys::join_namespace(fd, ::libc::CLONE_NEWUSER),
        Step::LimitUserNamespaces { proc } => {
            let limit = c"sys/user/max_user_namespaces";
            files::write_at(borrow(task.slot(proc)), limit, c"1")
        }
        Step::RequireNoUserNamespaces => match sys::unshare(::libc::CLONE_NEWUSER) {
            Ok(()) => Err(Errno::PERM),
            Err(_) => Ok(()),
        },
        Step::LockMounts => sys::unshare(::libc::CLONE_NEWNS),
        Step::EnterUserNamespace {
            proc,
            uid_map,
            gid_map,
        } => capabilities::enter_user_namespace(task, proc, task.text(uid_map), task.text(gid_map)),
        Step::LimitCapabilities {
            kept,
            named,
            ambient,
            root,
        } => capabilities::limit(kept, named, ambient, root),
        Step::LimitInit => capabilities::limit_init(),
        Step::ScopeSockets => sys::landlock::scope_abstract_sockets(),
        Step::MakeRuleset {
            files,
            scopes,
            slot,
        } => {
            let ruleset = sys::landlock::create_ruleset(files, scopes)?;
            task.set_slot(slot, ::rustix::fd::IntoRawFd::into_raw_fd(ruleset));
            Ok(())
        }
        Step::Allow { slot, path, access } => allow(task, slot, path, access),
        Step::SendRuleset { slot } => task.send(Kind::Ruleset, Process::Setup, task.slot(slot)),
        Step::Restrict { slot } => sys::landlock::restrict_self(task.slot(slot)),
        Step::Filter { of } => sys::seccomp::install_filter(task.filter(of)),
        Step::Program { number } => sys::seccomp::install_filter_by_prctl(task.program(number)),
        Step::ListenToFilter => {
            let filter = task.filter(FilterOf::Command);
            let listener = sys::seccomp::install_filter_to_listen(filter)?;
            task.listener = ::rustix::fd::IntoRawFd::into_raw_fd(listener);
            Ok(())
        }
        Step::KeepProc { path } => mounts::keep_proc(task.text(path)),
        Step::KeepSockets | Step::KeepKeyring | Step::KeepNamespace { .. } | Step::LeaveOut => {
            Ok(())
        }
        Step::PassFd { fd } => sys::keep_across_exec(fd),
        Step::RestoreSignalMask => {
            sys::set_signal_mask(task.mask);
            Ok(())
        }
        Step::RunAnywhere => task
            .processors
            .map_or(Ok(()), |processors| processors.take()),
        Step::Ask(question) => ask(question),
        Step::Ready => task.report(Kind::Ready, Process::Command, 0, 0),
        Step::Exec => {
            task.executed = true;
            let errno = exec(task);
            task.executed = false;
            Err(errno)
        }
    }
}

fn close_others(task: &mut Task<'_>) -> Result<(), Errno> {
    match files::close_ranges(task.keep) {
        Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
            task.fall_back(Fallback::CloseRange, errno)?;
            files::close_listed(task.keep)
        }
        result => result,
    }
}

fn ask(question: Question) -> Result<(), Errno> {
    match question {
        Question::Unshare => sys::probe::unshare_nothing(),
        Question::User => sys::unshare(::libc::CLONE_NEWUSER),
        Question::Mount => sys::probe::mount_nothing(),
        Question::Clone3 => sys::probe::clone3(),
        Question::CloseRange => sys::close_range(u32::MAX, u32::MAX),
        Question::OpenTree => sys::probe::open_tree(),
        Question::MountSetattr => {
            let read_only = Attributes::READ_ONLY.0.into();
            sys::set_mount_attributes(::libc::AT_FDCWD, c"/", ::libc::AT_RECURSIVE, read_only)
        }
        Question::OpenAt2 => sys::probe::openat2(),
        Question::Pidfd => sys::probe::pidfd_open(),
        Question::Filter => sys::probe::filter(),
        Question::Landlock => sys::probe::landlock_version().map(drop),
        Question::Tun => sys::probe::tun(),
    }
}

fn tie(task: &Task<'_>) -> Result<(), Errno> {
    ::rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut life = [PollFd::from_borrowed_fd(
        borrow(task.slot(Slot::LIFE)),
        PollFlags::empty(),
    )];
    poll(
        &mut life,
        Some(&::rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )?;
    match life {
        [life] if life.revents().contains(PollFlags::HUP) => sys::exit(FAILED),
        _ => Ok(()),
    }
}

fn tie_to_init(task: &Task<'_>) -> Result<(), Errno> {
    ::rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if task.holds_itself {
        return is_alive(borrow(task.slot(Slot::JOINED)));
    }
    match ::rustix::process::getppid() {
        Some(parent) if parent.as_raw_nonzero().get() == task.init_pid => Ok(()),
        _ => sys::exit(FAILED),
    }
}

/// Whether the process of this descriptor is; if not, this one ends.
fn is_alive(process: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut ended = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    match poll(&mut ended, Some(&::rustix::time::Timespec::default()))? {
        0 => Ok(()),
        _ => sys::exit(FAILED),
    }
}

/// Waits for a descriptor of the caller's. A set-up that is tied to its launcher ends when that has closed the life pipe.
fn await_descriptor(task: &Task<'_>, fd: sys::RawFd, tied: bool) -> Result<(), Errno> {
    let life = borrow(task.slot(Slot::LIFE));
    let mut awaited = [
        PollFd::from_borrowed_fd(borrow(fd), PollFlags::IN),
        PollFd::from_borrowed_fd(life, PollFlags::empty()),
    ];
    let count = if tied { 2 } else { 1 };
    let watched = awaited.get_mut(..count).unwrap_or_default();
    loop {
        match poll(watched, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        if watched
            .iter()
            .skip(1)
            .any(|life| !life.revents().is_empty())
        {
            sys::exit(FAILED);
        }
        return Ok(());
    }
}

fn await_id_maps(task: &Task<'_>) -> Result<(), Errno> {
    let mut byte = [0u8; 1];
    loop {
        match ::rustix::io::read(borrow(task.slot(Slot::LIFE)), &mut byte) {
            Ok(0) => sys::exit(FAILED),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn become_ids(uid: u32, gid: u32, drop_groups: bool) -> Result<(), Errno> {
    let (uid, gid) = (
        ::rustix::fs::Uid::from_raw(uid),
        ::rustix::fs::Gid::from_raw(gid),
    );
    let before = ::rustix::process::dumpable_behavior()?;
    ::rustix::thread::set_keep_capabilities(true)?;
    if drop_groups {
        ::rustix::thread::set_thread_groups(&[])?;
    }
    ::rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    ::rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let mut sets = ::rustix::thread::capabilities(None)?;
    sets.effective = sets.permitted;
    ::rustix::thread::set_capabilities(None, sets)?;
    // The change of ids has closed /proc/self to ourselves (proc(5), dumpable); set-up writes there. Where it was closed
    // on purpose it stays so at every moment.
    match before {
        DumpableBehavior::Dumpable => ::rustix::process::set_dumpable_behavior(before),
        _ => ::rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
    }
}

fn allow(task: &Task<'_>, slot: Slot, path: Text, access: u64) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let place = match ::rustix::fs::openat(CWD, task.text(path), flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        place => place?,
    };
    let add = |access| {
        let place = ::rustix::fd::AsFd::as_fd(&place);
        sys::landlock::allow(borrow(task.slot(slot)), place, access)
    };
    match add(access) {
        // It is no directory, for which the kernel takes fewer rights.
        Err(Errno::INVAL) => add(access & sys::landlock::OF_FILES),
        // It is a pipe or a socket, of which Landlock knows nothing.
        Err(Errno::BADFD) => Ok(()),
        result => result,
    }
}

fn lead_group(task: &Task<'_>, foreground: bool) -> Result<(), Errno> {
    ::rustix::process::setpgid(None, None)?;
    match foreground {
        // SIGTTOU, which a background group gets for this, is blocked until the mask is restored.
        true => ::rustix::termios::tcsetpgrp(
            borrow(task.slot(Slot::TERMINAL)),
            ::rustix::process::getpid(),
        ),
        false => Ok(()),
    }
}

/// Tries each candidate; returns what kept the last one that matters from being executed. A file that may not be
/// executed is remembered over files that are not there, as shells do.
fn exec(task: &mut Task<'_>) -> Errno {
    let mut worst = Errno::NOENT;
    for &candidate in task.candidates {
        let refused = match exec_one(task, candidate) {
            Errno::NOEXEC => exec_script(task, candidate),
            refused => refused,
        };
        match refused {
            Errno::NOENT | Errno::NOTDIR => {}
            // Only a file that is there: a directory of PATH that one may not search holds nothing that could be found.
            // Whoever listens to the filter has not heard of it yet, and would not answer a call that it refuses.
            Errno::ACCESS => {
                if task.listener >= 0
                    || ::rustix::fs::access(task.text(candidate), Access::EXISTS).is_ok()
                {
                    worst = Errno::ACCESS;
                }
            }
            errno => return errno,
        }
    }
    worst
}

/// Has the shell execute what is no program by itself.
#[cold]
#[inline(never)]
fn exec_script(task: &mut Task<'_>, path: Text) -> Errno {
    let path = task.text(path).as_ptr();
    let [shell, room, ..] = &mut *task.script else {
        return Errno::NOEXEC;
    };
    *room = path;
    let shell = *shell;
    // SAFETY: the launcher made the list of pointers to strings, the first of which is the shell's path, and ended it with a null
    // pointer; what was put in is such a string too.
    unsafe {
        let shell = ::core::ffi::CStr::from_ptr(shell);
        sys::execve(shell, task.script.as_ptr(), task.envp.as_ptr())
    }
}

fn exec_one(task: &Task<'_>, path: Text) -> Errno {
    // SAFETY: the launcher ended both lists with a null pointer, and every string of the arena with a NUL.
    unsafe { sys::execve(task.text(path), task.argv.as_ptr(), task.envp.as_ptr()) }
}
