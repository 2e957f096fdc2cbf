//! What holds of every filter that a file makes.

use rootlet::seccomp::{Arch, Call, Conditions, Instruction, Profile, compile, evaluate, parse};

/// A return, and the least of the jumps' codes and the one that jumps always (linux/bpf_common.h).
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
/// The class of all jumps is the lowest three bits.
const CLASS: u16 = 0x07;

/// Reads a profile as on each architecture, by a command without capabilities on an old kernel and by one with all of
/// them on a new one. The filter that is made of it is whole, and decides as the profile does.
pub fn check(text: &str) {
    for arch in Arch::ALL {
        for (capabilities, kernel) in [(0, (4, 8)), (u64::MAX, (6, 18))] {
            let conditions = Conditions {
                arch,
                capabilities,
                kernel,
            };
            match parse(text, &conditions) {
                Ok(profile) => decides_as(&compile(&profile), &profile),
                Err(error) => assert!(error.step.starts_with("line "), "{error}"),
            }
        }
    }
}

fn decides_as(filter: &[Instruction], profile: &Profile) {
    is_whole(filter);
    let mut numbers: Vec<u32> = profile.rules.iter().map(|rule| rule.number).collect();
    numbers.extend([0, profile.arch.last(), 0x4000_0000 - 1, u32::MAX - 1]);
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        for number in [number.saturating_sub(1), number, number + 1] {
            for arguments in telling(profile, number) {
                let call = Call::new(profile.arch, number, arguments);
                let wanted = profile.decide(number, &arguments).code();
                assert_eq!(
                    evaluate(filter, &call),
                    Some(wanted),
                    "{call:?}\n{profile:?}"
                );
            }
        }
    }
}

/// Arguments that make a difference to the rules for a call: of each test the value itself, and those around it.
fn telling(profile: &Profile, number: u32) -> Vec<[u64; 6]> {
    let mut all = vec![[0; 6], [u64::MAX; 6]];
    let rules = profile.rules.iter().filter(|rule| rule.number == number);
    for rule in rules.take(16) {
        let mut whole = [0; 6];
        for test in &rule.tests {
            whole[usize::from(test.argument)] = test.value;
        }
        all.push(whole);
        for test in &rule.tests {
            for value in [
                test.value.wrapping_sub(1),
                test.value.wrapping_add(1),
                test.value ^ 1 << 32,
                !test.value,
            ] {
                let mut other = whole;
                other[usize::from(test.argument)] = value;
                all.push(other);
            }
        }
    }
    all
}

/// Every jump leads to an instruction, and the last one is an end: the kernel takes no others.
fn is_whole(filter: &[Instruction]) {
    for (at, instruction) in filter.iter().enumerate() {
        let jumps = match instruction.code {
            JUMP => vec![instruction.k as usize],
            code if code & CLASS == JUMP => vec![instruction.jt.into(), instruction.jf.into()],
            _ => vec![0],
        };
        let ends = instruction.code == RETURN;
        let fits = jumps.iter().all(|jump| at + 1 + jump < filter.len());
        assert!(ends || fits, "{at}: {instruction:?} leads nowhere");
    }
    assert_eq!(filter.last().map(|last| last.code), Some(RETURN));
}
