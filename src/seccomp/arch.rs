//! The two architectures, and the numbers that system calls have on them.

use std::str::FromStr;

/// An architecture with its own numbers of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// x86-64, with 64-bit addresses.
    X86_64,
    /// arm64.
    Aarch64,
}

impl Arch {
    /// Both of them.
    pub const ALL: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

    /// That of this program.
    pub const NATIVE: Arch = match cfg!(target_arch = "aarch64") {
        true => Arch::Aarch64,
        false => Arch::X86_64,
    };

    /// What the kernel calls it in the data of a filter: AUDIT_ARCH_* (linux/audit.h).
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 => 0xc000_003e,
            Arch::Aarch64 => 0xc000_00b7,
        }
    }

    /// The number of the system call `name`, if there is one here.
    pub fn number(self, name: &str) -> Option<u32> {
        let number = match self {
            Arch::X86_64 => syscalls::x86_64::Sysno::from_str(name).ok()?.id(),
            Arch::Aarch64 => syscalls::aarch64::Sysno::from_str(name).ok()?.id(),
        };
        u32::try_from(number).ok()
    }

    /// The name of system call `number`, if rootlet has one for it.
    pub fn name(self, number: u32) -> Option<&'static str> {
        Some(match self {
            Arch::X86_64 => syscalls::x86_64::Sysno::new(number as usize)?.name(),
            Arch::Aarch64 => syscalls::aarch64::Sysno::new(number as usize)?.name(),
        })
    }

    /// The highest number that has a name.
    pub fn last(self) -> u32 {
        match self {
            Arch::X86_64 => syscalls::x86_64::Sysno::last().id() as u32,
            Arch::Aarch64 => syscalls::aarch64::Sysno::last().id() as u32,
        }
    }
}
