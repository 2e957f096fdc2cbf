//! What a filter lets through, as plain data.

use super::arch::Arch;
use std::fmt;

/// What is done when a system call is made. Ordered as seccomp(2) has them: what is stricter comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The process is killed, as by SIGSYS.
    KillProcess,
    /// The thread is killed, as by SIGSYS.
    KillThread,
    /// The thread gets SIGSYS, which it may handle.
    Trap,
    /// The call fails with this errno.
    Errno(u16),
    /// Whoever listens to the filter decides.
    Notify,
    /// The call goes through, and is written to the system's log.
    Log,
    /// The call goes through.
    Allow,
}

impl Action {
    /// What a filter returns for it: SECCOMP_RET_* (linux/seccomp.h).
    pub const fn code(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | errno as u32,
            Action::Notify => 0x7fc0_0000,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// Whether the call goes through.
    pub const fn lets_through(self) -> bool {
        matches!(self, Action::Allow | Action::Log)
    }
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `& mask ==`: only these bits count. Where the kernel takes an int, they are the low 32: the upper half of the
    /// register is whatever the caller likes.
    MaskedEqual(u64),
}

/// A test of one argument, all 64 bits of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// Which argument, from 0 to 5.
    pub argument: u8,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// As a file has it.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Test {
            argument, value, ..
        } = self;
        let sign = match self.comparison {
            Comparison::MaskedEqual(mask) => {
                return write!(f, "arg{argument} & {mask:#x} == {value:#x}");
            }
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Equal => "==",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Greater => ">",
        };
        write!(f, "arg{argument} {sign} {value:#x}")
    }
}

/// What is done with one system call, if all tests hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The system call's number.
    pub number: u32,
    /// What has to hold of its arguments; nothing: it is always so.
    pub tests: Vec<Test>,
    /// What is done then.
    pub action: Action,
}

/// What is done with every system call. Of the rules for a call the first that holds counts.
///
/// Calls in the manner of another architecture (int 0x80 on x86-64) kill the process: no number means there what it means
/// here, and a program that needs them would go astray if they merely failed. Those of x32 fail with ENOSYS, as in a kernel
/// without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The architecture whose numbers these are.
    pub arch: Arch,
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// What is done where no rule holds.
    pub default: Action,
    /// What is done with a number that has no name yet: a later kernel's.
    pub unknown: Action,
}

/// ENOSYS on both architectures.
pub const ENOSYS: u16 = 38;

impl Profile {
    /// No rules yet: every call is answered with `default`. Where that is an errno, calls of later kernels are answered
    /// ENOSYS, as by a kernel that has not got them, so that programs do what they do there.
    pub fn new(arch: Arch, default: Action) -> Profile {
        Profile {
            arch,
            rules: Vec::new(),
            default,
            unknown: match default {
                Action::Errno(_) => Action::Errno(ENOSYS),
                other => other,
            },
        }
    }

    /// What is done with a call: the same as the filter that is made of this profile does.
    pub fn decide(&self, number: u32, arguments: &[u64; 6]) -> Action {
        const X32: u32 = 0x4000_0000;
        if self.arch == Arch::X86_64 && number >= X32 {
            return Action::Errno(ENOSYS);
        }
        let holds = |rule: &&Rule| {
            rule.number == number && rule.tests.iter().all(|test| test.holds(arguments))
        };
        match self.rules.iter().find(holds) {
            Some(rule) => rule.action,
            None if number > self.arch.last() => self.unknown,
            None => self.default,
        }
    }
}

impl Test {
    /// Whether it holds of these arguments.
    pub fn holds(&self, arguments: &[u64; 6]) -> bool {
        let argument = arguments
            .get(usize::from(self.argument))
            .copied()
            .unwrap_or_default();
        match self.comparison {
            Comparison::NotEqual => argument != self.value,
            Comparison::Less => argument < self.value,
            Comparison::LessOrEqual => argument <= self.value,
            Comparison::Equal => argument == self.value,
            Comparison::GreaterOrEqual => argument >= self.value,
            Comparison::Greater => argument > self.value,
            Comparison::MaskedEqual(mask) => argument & mask == self.value & mask,
        }
    }
}
