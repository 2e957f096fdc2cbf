//! Which system calls are refused, and the filter that does so (seccomp(2), bpf in linux/filter.h).
//!
//! [`Rule`] is all that is known of a call; [`compile`] knows nothing of what the calls are.

use crate::child::step::Instruction;

/// What is done about a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel does it.
    Allow,
    /// It fails with this errno.
    Fail(i32),
    /// The process is ended (SIGSYS).
    Kill,
}

/// What an argument of a call has to be. Only its lower 32 bits are looked at: of flags and ioctl(2) numbers the kernel
/// looks at no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `argument & mask == value`.
    Is {
        /// Which, from 0.
        argument: u32,
        /// Its bits that count.
        mask: u32,
        /// What they are.
        value: u32,
    },
    /// `argument & bits != 0`.
    HasAny {
        /// Which, from 0.
        argument: u32,
        /// The bits.
        bits: u32,
    },
}

/// What is done about one system call. Of several for the same call the first that fits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The number of the call.
    pub call: libc::c_long,
    /// When; none: always.
    pub test: Option<Test>,
    /// What.
    pub answer: Answer,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// The bit of x86-64's system call numbers that means the ABI x32, whose numbers are others.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Kinds of namespaces, CLONE_NEW*. CLONE_NEWTIME is no flag of clone(2), which has the end's signal in those bits.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// From asm-generic/unistd.h: newer than libc, and the same everywhere.
const SYS_FCHMODAT2: libc::c_long = 452;
const SYS_SETXATTRAT: libc::c_long = 463;
const SYS_REMOVEXATTRAT: libc::c_long = 466;
const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
const SYS_FILE_SETATTR: libc::c_long = 469;

/// Mounts and roots, which Landlock refuses as well but for chroot(2); and files opened by a number, not by a path.
const MOUNTS: [libc::c_long; 14] = [
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
];

/// io_uring(7) does what calls do, and no filter sees it.
const RINGS: [libc::c_long; 3] = [
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
];

/// Modes, owners, times and extended attributes, of which Landlock knows nothing.
const ATTRIBUTES: [libc::c_long; 15] = [
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    SYS_FILE_SETATTR,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    SYS_REMOVEXATTRAT,
    libc::SYS_setxattr,
    SYS_SETXATTRAT,
    libc::SYS_utimensat,
];

/// Those of them that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const OLD_ATTRIBUTES: [libc::c_long; 6] = [
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_futimesat,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(target_arch = "aarch64")]
const OLD_ATTRIBUTES: [libc::c_long; 0] = [];

/// ioctl(2) numbers that change an inode by a descriptor that was only opened to read it, from linux/fs.h and
/// linux/fsverity.h: FS_IOC_SETFLAGS and FS_IOC_SETVERSION, each also for 32 bits, FS_IOC_FSSETXATTR,
/// FS_IOC_SET_ENCRYPTION_POLICY, FS_IOC_ENABLE_VERITY.
const INODE_IOCTLS: [u32; 7] = [
    0x4008_6602,
    0x4004_6602,
    0x4008_7602,
    0x4004_7602,
    0x401c_5820,
    0x800c_6613,
    0x4080_6685,
];

/// Of the type that btrfs has for its ioctl(2) numbers, those that every file system has: FICLONE, FICLONERANGE and
/// FIDEDUPERANGE. The others make and remove whole trees.
const CLONE_IOCTLS: [u32; 3] = [0x4004_9409, 0x4020_940d, 0xc018_9436];

/// The rules where there are no namespaces. `narrows` says whether there is anything that may not be written, so that what
/// Landlock does not see of changes is refused here; `attributes` whether those of files are meant too.
pub fn rules(narrows: bool, attributes: bool) -> Vec<Rule> {
    let refused = Answer::Fail(libc::EPERM);
    let missing = Answer::Fail(libc::ENOSYS);
    let mut rules = Vec::new();
    let mut all = |calls: &[libc::c_long], answer| {
        let rule = |&call| Rule {
            call,
            test: None,
            answer,
        };
        rules.extend(calls.iter().map(rule));
    };
    all(&MOUNTS, refused);
    all(&RINGS, missing);
    // Its flags are in memory, where no filter can look; who meets ENOSYS uses clone(2).
    all(&[libc::SYS_clone3], missing);
    if narrows && attributes {
        all(&ATTRIBUTES, refused);
        all(&OLD_ATTRIBUTES, refused);
    }
    rules.extend([
        flags(libc::SYS_clone, NAMESPACES),
        flags(libc::SYS_unshare, NAMESPACES | libc::CLONE_NEWTIME),
        // Of a process that is named by its id: a limit of processor time is as good as a signal.
        flags(libc::SYS_prlimit64, !0),
        ioctl(libc::TIOCSTI as u32, refused),
        ioctl(libc::TIOCLINUX as u32, refused),
    ]);
    if narrows {
        rules.extend(INODE_IOCTLS.map(|number| ioctl(number, refused)));
        rules.extend(CLONE_IOCTLS.map(|number| ioctl(number, Answer::Allow)));
        rules.push(Rule {
            call: libc::SYS_ioctl,
            test: Some(Test::Is {
                argument: 1,
                mask: 0xff00,
                value: 0x9400,
            }),
            answer: refused,
        });
    }
    rules
}

/// Refuses a call whose first argument has one of `bits`.
fn flags(call: libc::c_long, bits: i32) -> Rule {
    Rule {
        call,
        test: Some(Test::HasAny {
            argument: 0,
            bits: bits as u32,
        }),
        answer: Answer::Fail(libc::EPERM),
    }
}

fn ioctl(number: u32, answer: Answer) -> Rule {
    Rule {
        call: libc::SYS_ioctl,
        test: Some(Test::Is {
            argument: 1,
            mask: !0,
            value: number,
        }),
        answer,
    }
}

// Where the kernel puts what a filter looks at (struct seccomp_data).
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The filter that does what `rules` say, and lets every other call of this architecture through. A call of another one
/// (of x86-64 there are three, each with its own numbers) ends the process.
pub fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut filter = vec![
        load(ARCH),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        answer(Answer::Kill),
        load(NUMBER),
    ];
    // A kernel without x32 answers the same.
    #[cfg(target_arch = "x86_64")]
    filter.extend([
        jump(libc::BPF_JGE, X32, 0, 1),
        answer(Answer::Fail(libc::ENOSYS)),
    ]);
    let mut calls: Vec<libc::c_long> = rules.iter().map(|rule| rule.call).collect();
    calls.sort_unstable();
    calls.dedup();
    for call in calls {
        let block = block(rules.iter().filter(|rule| rule.call == call));
        filter.push(jump(libc::BPF_JEQ, call as u32, 0, block.len() as u8));
        filter.extend(block);
    }
    filter.push(answer(Answer::Allow));
    filter
}

/// What is done about one call; in the end it is allowed.
fn block<'a>(rules: impl Iterator<Item = &'a Rule>) -> Vec<Instruction> {
    let mut block = Vec::new();
    for rule in rules {
        match rule.test {
            None => {
                block.push(answer(rule.answer));
                return block;
            }
            Some(Test::Is {
                argument,
                mask,
                value,
            }) => block.extend([
                load(ARGUMENTS + 8 * argument),
                instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask, 0, 0),
                jump(libc::BPF_JEQ, value, 0, 1),
            ]),
            Some(Test::HasAny { argument, bits }) => block.extend([
                load(ARGUMENTS + 8 * argument),
                jump(libc::BPF_JSET, bits, 0, 1),
            ]),
        }
        block.push(answer(rule.answer));
    }
    block.push(answer(Answer::Allow));
    block
}

fn load(offset: u32) -> Instruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(comparison: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, k, jt, jf)
}

fn answer(answer: Answer) -> Instruction {
    let value = match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Fail(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `filter` says to a call, done as the kernel does it.
    fn says(filter: &[Instruction], arch: u32, call: u32, arguments: [u32; 2]) -> u32 {
        let data = |offset| match offset {
            NUMBER => call,
            ARCH => arch,
            ARGUMENTS => arguments[0],
            24 => arguments[1],
            other => panic!("{other} is nowhere"),
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = filter[at];
            let jumps = |truth| usize::from(if truth { jt } else { jf });
            let code = u32::from(code);
            at += 1 + match code & 7 {
                libc::BPF_LD => {
                    accumulator = data(k);
                    0
                }
                libc::BPF_ALU => {
                    accumulator &= k;
                    0
                }
                libc::BPF_JMP => jumps(match code & 0xf0 {
                    libc::BPF_JEQ => accumulator == k,
                    libc::BPF_JGE => accumulator >= k,
                    libc::BPF_JSET => accumulator & k != 0,
                    other => panic!("no such comparison: {other}"),
                }),
                _ => return k,
            };
        }
    }

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    #[test]
    fn each_call_gets_its_answer_and_all_others_pass() {
        let (all, some) = (compile(&rules(true, true)), compile(&rules(false, true)));
        let with =
            |filter, call: i64, arguments| says(filter, ARCHITECTURE, call as u32, arguments);
        for call in 0..500 {
            let is_attribute = ATTRIBUTES.contains(&call) || OLD_ATTRIBUTES.contains(&call);
            let expected = match call {
                _ if RINGS.contains(&call) || call == libc::SYS_clone3 => ENOSYS,
                _ if MOUNTS.contains(&call) => EPERM,
                _ => ALLOW,
            };
            assert_eq!(with(&some, call, [0, 0]), expected, "{call}");
            let expected = if is_attribute { EPERM } else { expected };
            assert_eq!(with(&all, call, [0, 0]), expected, "{call}");
        }
        let user = libc::CLONE_NEWUSER as u32;
        for (call, arguments, expected) in [
            (libc::SYS_clone, [user | 17, 0], EPERM),
            (libc::SYS_clone, [libc::CLONE_VM as u32 | 17, user], ALLOW),
            (libc::SYS_clone, [0x80 | 17, 0], ALLOW),
            (libc::SYS_unshare, [libc::CLONE_FILES as u32, 0], ALLOW),
            (libc::SYS_unshare, [libc::CLONE_NEWTIME as u32, 0], EPERM),
            (libc::SYS_prlimit64, [0, 0], ALLOW),
            (libc::SYS_prlimit64, [1, 0], EPERM),
            (libc::SYS_ioctl, [0, libc::TIOCSTI as u32], EPERM),
            (libc::SYS_ioctl, [0, libc::TIOCGWINSZ as u32], ALLOW),
            (libc::SYS_ioctl, [0, INODE_IOCTLS[0]], EPERM),
            (libc::SYS_ioctl, [0, CLONE_IOCTLS[0]], ALLOW),
            (libc::SYS_ioctl, [0, 0x5000_9417], EPERM),
        ] {
            assert_eq!(
                with(&all, call, arguments),
                expected,
                "{call} {arguments:x?}"
            );
        }
        let chattr = |filter| with(filter, libc::SYS_ioctl, [0, INODE_IOCTLS[0]]);
        assert_eq!(chattr(&some), ALLOW);
        let optional = compile(&rules(true, false));
        let fchmod = with(&optional, libc::SYS_fchmod, [0, 0]);
        assert_eq!((chattr(&optional), fchmod), (EPERM, ALLOW));
    }

    #[test]
    fn calls_of_other_architectures_do_not_slip_through() {
        let filter = compile(&rules(true, true));
        // i386, where 15 is chmod.
        assert_eq!(
            says(&filter, 0x4000_0003, 15, [0, 0]),
            libc::SECCOMP_RET_KILL_PROCESS
        );
        #[cfg(target_arch = "x86_64")]
        for call in [libc::SYS_chmod as u32, 39] {
            assert_eq!(says(&filter, ARCHITECTURE, X32 | call, [0, 0]), ENOSYS);
        }
    }

    #[test]
    fn every_jump_stays_in_the_filter() {
        let filter = compile(&rules(true, true));
        let is_return = |at: &Instruction| u32::from(at.code) & 7 == libc::BPF_RET;
        assert!(filter.last().is_some_and(is_return) && filter.len() < 4096);
        for (at, instruction) in filter.iter().enumerate() {
            let furthest = at + 1 + usize::from(instruction.jt.max(instruction.jf));
            assert!(furthest < filter.len() || is_return(instruction), "{at}");
        }
    }
}
