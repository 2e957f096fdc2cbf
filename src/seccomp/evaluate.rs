//! What a filter answers, found without the kernel.

use super::Instruction;
use super::arch::Arch;
use super::profile::Action;
use super::tree::code;
use std::fmt;

/// A system call, as a filter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// In whose manner it is made: AUDIT_ARCH_*.
    pub arch: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Call {
    /// A call in the manner of `arch`.
    pub fn new(arch: Arch, number: u32, arguments: [u64; 6]) -> Call {
        Call {
            number,
            arch: arch.audit(),
            arguments,
        }
    }

    /// The word at `offset` of the kernel's struct seccomp_data.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            _ => {
                let at = usize::try_from(offset.checked_sub(16)?).ok()?;
                let argument = *self.arguments.get(at / 8)?;
                match at % 8 {
                    0 => Some(argument as u32),
                    4 => Some((argument >> 32) as u32),
                    _ => None,
                }
            }
        }
    }
}

/// The answer of `program` to `call`, SECCOMP_RET_*; none for a program that is not one of ours.
pub fn evaluate(program: &[Instruction], call: &Call) -> Option<u32> {
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let &Instruction { code, jt, jf, k } = program.get(at)?;
        at += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            code::LOAD => accumulator = call.word(k)?,
            code::AND => accumulator &= k,
            code::JUMP => at += k as usize,
            code::EQUAL => at += branch(accumulator == k),
            code::GREATER => at += branch(accumulator > k),
            code::GREATER_OR_EQUAL => at += branch(accumulator >= k),
            code::RETURN => return Some(k),
            _ => return None,
        }
    }
}

/// Whether `program` lets `call` through.
pub fn lets_through(program: &[Instruction], call: &Call) -> bool {
    [Action::Allow, Action::Log]
        .iter()
        .any(|action| evaluate(program, call) == Some(action.code()))
}

/// The name, and the first two arguments, which say most of what is meant.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, ..] = self.arguments;
        let native = self.arch == Arch::NATIVE.audit();
        match Arch::NATIVE.name(self.number).filter(|_| native) {
            Some(name) => write!(f, "{name}({first:#x}, {second:#x}, ...)"),
            None => write!(
                f,
                "system call {} in the manner of another architecture",
                self.number
            ),
        }
    }
}
