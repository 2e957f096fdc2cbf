//! A profile as a filter: a program of classic BPF (seccomp(2)).
//!
//! Numbers of equal fate are put together into ranges, and a balanced tree of comparisons leads to the range of a call: nine
//! of them or so for a few hundred numbers. The kernel runs it once for each number when it is loaded, to remember those that
//! are always let through, so that a short way matters there, and later for those only that are not.
//!
//! The program is written from its end: jumps go forward only, so that where each leads to is known when it is written.

use super::Instruction;
use super::arch::Arch;
use super::profile::{Action, Comparison, ENOSYS, Profile, Rule, Test};

/// The first number of x32: the same calls as x86-64, with a bit set.
const X32: u32 = 0x4000_0000;

/// Where things are in the kernel's struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Instructions, from linux/bpf_common.h.
pub(super) mod code {
    /// The accumulator is the word at k of the call's data.
    pub const LOAD: u16 = 0x20;
    /// The accumulator is masked with k.
    pub const AND: u16 = 0x54;
    /// k instructions are left out.
    pub const JUMP: u16 = 0x05;
    /// Compares the accumulator with k.
    pub const EQUAL: u16 = 0x15;
    /// Whether it is greater.
    pub const GREATER: u16 = 0x25;
    /// Whether it is greater or equal.
    pub const GREATER_OR_EQUAL: u16 = 0x35;
    /// The end: the answer is k.
    pub const RETURN: u16 = 0x06;
}

/// The filter that does what `profile` says.
pub fn compile(profile: &Profile) -> Vec<Instruction> {
    let ranges = ranges(profile);
    let mut code = Code::default();
    let root = code.tree(&ranges);
    code.fall_to(root);
    let number = code.push(code::LOAD, NUMBER);
    let foreign = code.answer(Action::KillProcess);
    code.branch(code::EQUAL, profile.arch.audit(), number, foreign);
    code.push(code::LOAD, ARCH);
    code.reversed.reverse();
    code.reversed
}

/// What is done with the numbers from `start` to the next range.
struct Range<'p> {
    start: u32,
    fate: Fate<'p>,
}

/// What is done with a call.
#[derive(Clone, PartialEq)]
struct Fate<'p> {
    /// Rules with tests.
    rules: Vec<&'p Rule>,
    /// What is done when none of them holds.
    last: Action,
}

fn ranges(profile: &Profile) -> Vec<Range<'_>> {
    let fate = |rules, last| Fate { rules, last };
    let end = profile.arch.last() + 1;
    let mut numbers: Vec<u32> = profile.rules.iter().map(|rule| rule.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    // Where a fate begins, and what comes after one number.
    let mut starts = vec![0, end];
    starts.extend(
        numbers
            .iter()
            .flat_map(|&number| [number, number.saturating_add(1)]),
    );
    if profile.arch == Arch::X86_64 {
        starts.retain(|&start| start < X32);
        starts.push(X32);
    }
    starts.sort_unstable();
    starts.dedup();
    let mut ranges: Vec<Range<'_>> = Vec::new();
    for start in starts {
        let other = if start < end {
            profile.default
        } else {
            profile.unknown
        };
        let fate = match numbers.binary_search(&start) {
            _ if profile.arch == Arch::X86_64 && start == X32 => {
                fate(Vec::new(), Action::Errno(ENOSYS))
            }
            Ok(_) => fate_of(profile, start, other),
            Err(_) => fate(Vec::new(), other),
        };
        if ranges.last().is_none_or(|range| range.fate != fate) {
            ranges.push(Range { start, fate });
        }
    }
    ranges
}

fn fate_of(profile: &Profile, number: u32, other: Action) -> Fate<'_> {
    let mut fate = Fate {
        rules: Vec::new(),
        last: other,
    };
    for rule in profile.rules.iter().filter(|rule| rule.number == number) {
        if rule.tests.is_empty() {
            fate.last = rule.action;
            break;
        }
        fate.rules.push(rule);
    }
    fate
}

/// An instruction, by how many come after it.
type Label = usize;

/// A program, its last instruction first.
#[derive(Default)]
struct Code {
    reversed: Vec<Instruction>,
    answers: Vec<(u32, Label)>,
}

impl Code {
    fn push(&mut self, code: u16, k: u32) -> Label {
        self.write(code, 0, 0, k)
    }

    fn write(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        self.reversed.len() - 1
    }

    /// How many instructions the next one has to leave out to come to `label`.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label - 1
    }

    /// A place that leads to `label` and that the next two instructions can branch to: branches reach 255 instructions.
    fn near(&mut self, label: Label) -> Label {
        match self.distance(label) {
            0..250 => label,
            far => self.push(code::JUMP, far as u32),
        }
    }

    /// Sees to it that what is written next goes on at `label`.
    fn fall_to(&mut self, label: Label) {
        if self.distance(label) > 0 {
            self.push(code::JUMP, self.distance(label) as u32);
        }
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let (yes, no) = (self.near(yes), self.near(no));
        let (jt, jf) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.write(code, jt, jf, k)
    }

    /// Ends with `action`; one end serves all that is near it.
    fn answer(&mut self, action: Action) -> Label {
        let k = action.code();
        let known = self.answers.iter().position(|(known, _)| *known == k);
        match known.map(|at| self.answers[at].1) {
            Some(label) if self.distance(label) < 250 => label,
            _ => {
                let label = self.push(code::RETURN, k);
                known.map(|at| self.answers.swap_remove(at));
                self.answers.push((k, label));
                label
            }
        }
    }

    /// Finds the range of the accumulator, a number.
    fn tree(&mut self, ranges: &[Range<'_>]) -> Label {
        match ranges {
            [] => self.answer(Action::KillProcess),
            [one] => self.fate(&one.fate),
            // One number among others: an equality is one comparison, where its two ends are two.
            [before, one, after] if before.fate == after.fate && one.start + 1 == after.start => {
                let no = self.fate(&before.fate);
                let yes = self.fate(&one.fate);
                self.branch(code::EQUAL, one.start, yes, no)
            }
            _ => {
                // An odd number on the left, so that single numbers keep their neighbours.
                let middle = (ranges.len() / 2) | 1;
                let (left, right) = ranges.split_at(middle.min(ranges.len() - 1));
                let yes = self.tree(right);
                let no = self.tree(left);
                self.branch(code::GREATER_OR_EQUAL, right[0].start, yes, no)
            }
        }
    }

    fn fate(&mut self, fate: &Fate<'_>) -> Label {
        let mut next = self.answer(fate.last);
        for rule in fate.rules.iter().rev() {
            let mut yes = self.answer(rule.action);
            for test in rule.tests.iter().rev() {
                yes = self.test(test, yes, next);
            }
            next = yes;
        }
        next
    }

    fn test(&mut self, test: &Test, yes: Label, no: Label) -> Label {
        let (argument, value) = (test.argument, test.value);
        match test.comparison {
            Comparison::Equal => self.equal(argument, u64::MAX, value, yes, no),
            Comparison::NotEqual => self.equal(argument, u64::MAX, value, no, yes),
            Comparison::MaskedEqual(mask) => self.equal(argument, mask, value, yes, no),
            Comparison::Greater => self.greater(code::GREATER, argument, value, yes, no),
            Comparison::LessOrEqual => self.greater(code::GREATER, argument, value, no, yes),
            Comparison::GreaterOrEqual => {
                self.greater(code::GREATER_OR_EQUAL, argument, value, yes, no)
            }
            Comparison::Less => self.greater(code::GREATER_OR_EQUAL, argument, value, no, yes),
        }
    }

    /// Filters know words of 32 bits: the two halves are compared one after the other.
    fn equal(&mut self, argument: u8, mask: u64, value: u64, yes: Label, no: Label) -> Label {
        let value = value & mask;
        let low = self.half(low_half(argument), mask as u32, value as u32, yes, no);
        self.half(
            high_half(argument),
            (mask >> 32) as u32,
            (value >> 32) as u32,
            low,
            no,
        )
    }

    fn half(&mut self, offset: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        if mask == 0 {
            return yes;
        }
        self.branch(code::EQUAL, value, yes, no);
        if mask != u32::MAX {
            self.push(code::AND, mask);
        }
        self.push(code::LOAD, offset)
    }

    fn greater(&mut self, code: u16, argument: u8, value: u64, yes: Label, no: Label) -> Label {
        let high = (value >> 32) as u32;
        self.branch(code, value as u32, yes, no);
        let low = self.push(code::LOAD, low_half(argument));
        let same = self.branch(code::EQUAL, high, low, no);
        self.branch(code::GREATER, high, yes, same);
        self.push(code::LOAD, high_half(argument))
    }
}

/// Where the halves of an argument are: both architectures have the low one first.
fn low_half(argument: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(argument)
}

fn high_half(argument: u8) -> u32 {
    low_half(argument) + 4
}
