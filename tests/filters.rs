//! The pure ring of filters: what is generated answers as the profile says, and as another generator has it.

use rootlet::seccomp::{
    Action, Arch, Builtin, Call, Comparison, Instruction, Profile, Rule, Test, compile, evaluate,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Numbers of interest: all that have a name, those between, around the ends, of x32 and of later kernels.
fn numbers() -> impl Iterator<Item = u32> {
    (0..700).chain([
        0x3fff_ffff,
        0x4000_0000,
        0x4000_0001,
        0x4000_0200,
        0x7fff_ffff,
        u32::MAX,
    ])
}

/// Arguments that tests look at, and their neighbours.
fn values() -> Vec<u64> {
    let known = [
        0,
        1,
        2,
        3,
        10,
        16,
        17,
        38,
        40,
        0x5412,
        0x541c,
        0x80,
        0x0002_0000,
        0x1000_0000,
        0x7e02_0080,
        0xffff_ffff,
        0x1_0000_0000,
        0xffff_ffff_ffff_ffff,
    ];
    let high = known.iter().map(|value| value | 1 << 32);
    let beside = known
        .iter()
        .flat_map(|value: &u64| [value.wrapping_add(1), value.wrapping_sub(1)]);
    known.into_iter().chain(high).chain(beside).collect()
}

/// Calls: each number with each value in each place.
fn calls(arch: Arch) -> impl Iterator<Item = Call> {
    let values = values();
    numbers().flat_map(move |number| {
        let values = values.clone();
        (0..2).flat_map(move |place| {
            let values = values.clone();
            values.into_iter().map(move |value| {
                let mut arguments = [7; 6];
                arguments[place] = value;
                Call::new(arch, number, arguments)
            })
        })
    })
}

#[track_caller]
fn answers_as_the_profile_says(profile: &Profile, program: &[Instruction], call: Call) {
    let wanted = profile.decide(call.number, &call.arguments).code();
    assert_eq!(evaluate(program, &call), Some(wanted), "{call:x?}");
}

#[test]
fn the_built_in_filters_do_what_their_profiles_say() {
    for arch in Arch::ALL {
        for builtin in Builtin::ALL {
            let profile = builtin.profile(arch);
            let program = compile(&profile);
            for call in calls(arch) {
                answers_as_the_profile_says(&profile, &program, call);
            }
            println!("{arch:?} {builtin:?}: {} instructions", program.len());
        }
    }
}

#[test]
fn those_of_the_build_are_those_of_now() {
    for builtin in Builtin::ALL {
        assert_eq!(builtin.program(), compile(&builtin.profile(Arch::NATIVE)));
    }
}

#[test]
fn another_architecture_kills_and_x32_is_not_there() {
    for builtin in Builtin::ALL {
        let program = compile(&builtin.profile(Arch::X86_64));
        for arch in [0x4000_0003, Arch::Aarch64.audit(), 0] {
            let call = Call {
                number: 1,
                arch,
                arguments: [0; 6],
            };
            assert_eq!(evaluate(&program, &call), Some(Action::KillProcess.code()));
        }
        for number in [0x4000_0000, 0x4000_0001, u32::MAX] {
            let call = Call::new(Arch::X86_64, number, [0; 6]);
            assert_eq!(evaluate(&program, &call), Some(Action::Errno(38).code()));
        }
    }
}

/// What seccompiler makes of the rules of `profile` with `action`: it knows one action for all rules of a filter.
fn seccompilers(profile: &Profile, action: Action) -> BpfProgram {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in profile.rules.iter().filter(|rule| rule.action == action) {
        let chain = rules.entry(i64::from(rule.number)).or_default();
        let condition = |test: &Test| {
            let operation = match test.comparison {
                Comparison::NotEqual => SeccompCmpOp::Ne,
                Comparison::Less => SeccompCmpOp::Lt,
                Comparison::LessOrEqual => SeccompCmpOp::Le,
                Comparison::Equal => SeccompCmpOp::Eq,
                Comparison::GreaterOrEqual => SeccompCmpOp::Ge,
                Comparison::Greater => SeccompCmpOp::Gt,
                Comparison::MaskedEqual(mask) => SeccompCmpOp::MaskedEq(mask),
            };
            SeccompCondition::new(
                test.argument,
                SeccompCmpArgLen::Qword,
                operation,
                test.value,
            )
            .unwrap()
        };
        if !rule.tests.is_empty() {
            chain.push(SeccompRule::new(rule.tests.iter().map(condition).collect()).unwrap());
        }
    }
    // One without tests makes those with tests idle; an empty list is how it is said.
    for rule in profile
        .rules
        .iter()
        .filter(|rule| rule.action == action && rule.tests.is_empty())
    {
        rules.insert(i64::from(rule.number), Vec::new());
    }
    let (matched, arch) = match profile.arch {
        Arch::X86_64 => (SeccompAction::Trap, TargetArch::x86_64),
        Arch::Aarch64 => (SeccompAction::Trap, TargetArch::aarch64),
    };
    SeccompFilter::new(rules, SeccompAction::Allow, matched, arch)
        .unwrap()
        .try_into()
        .unwrap()
}

/// seccompiler's instructions as ours.
fn ours(program: &BpfProgram) -> Vec<Instruction> {
    let instruction = |it: &seccompiler::sock_filter| Instruction {
        code: it.code,
        jt: it.jt,
        jf: it.jf,
        k: it.k,
    };
    program.iter().map(instruction).collect()
}

/// Compares with seccompiler, action by action: it says whether one of the rules of that action holds. An allowance before
/// it counts more, and seccompiler is asked for that too.
#[track_caller]
fn agrees_with_seccompiler(profile: &Profile, calls: impl Iterator<Item = Call>) {
    let program = compile(profile);
    let mut actions: Vec<Action> = Vec::new();
    for rule in &profile.rules {
        if !actions.contains(&rule.action) {
            actions.push(rule.action);
        }
    }
    let others: Vec<(Action, Vec<Instruction>)> = actions
        .into_iter()
        .map(|action| (action, ours(&seccompilers(profile, action))))
        .collect();
    for call in calls.filter(|call| call.number < 0x4000_0000 && call.number <= profile.arch.last())
    {
        let holding: Vec<Action> = others
            .iter()
            .filter(|(_, program)| evaluate(program, &call) == Some(Action::Trap.code()))
            .map(|(action, _)| *action)
            .collect();
        let wanted = match &holding[..] {
            [] => vec![profile.default],
            several => several.to_vec(),
        };
        let ours = evaluate(&program, &call).unwrap();
        assert!(
            wanted.iter().any(|action| action.code() == ours),
            "{call:x?}: {ours:x} is none of {wanted:?}"
        );
        if wanted.len() > 1 {
            assert_eq!(
                ours,
                profile.decide(call.number, &call.arguments).code(),
                "{call:x?}"
            );
        }
    }
}

#[test]
fn seccompiler_makes_the_same_of_the_built_in_profiles() {
    for arch in Arch::ALL {
        for builtin in Builtin::ALL {
            agrees_with_seccompiler(&builtin.profile(arch), calls(arch));
        }
    }
}

/// A generator of numbers that are the same in each run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn action(&mut self) -> Action {
        let errno = Action::Errno(self.below(4) as u16);
        self.one(&[
            Action::Allow,
            Action::Log,
            errno,
            Action::Trap,
            Action::KillThread,
            Action::KillProcess,
        ])
    }

    fn test(&mut self) -> Test {
        let values = values();
        let mask = self.one(&values) | self.one(&[0, 0xff, 0xffff_ffff]);
        Test {
            argument: self.below(2) as u8,
            comparison: self.one(&[
                Comparison::NotEqual,
                Comparison::Less,
                Comparison::LessOrEqual,
                Comparison::Equal,
                Comparison::GreaterOrEqual,
                Comparison::Greater,
                Comparison::MaskedEqual(mask),
            ]),
            value: self.one(&values),
        }
    }

    fn profile(&mut self) -> Profile {
        let mut profile = Profile::new(self.one(&Arch::ALL), self.action());
        for _ in 0..self.below(300) {
            let number = self.below(500) as u32;
            let tests = (0..self.below(4)).map(|_| self.test()).collect();
            let action = self.action();
            profile.rules.push(Rule {
                number,
                tests,
                action,
            });
        }
        profile
    }
}

#[test]
fn any_profile_becomes_a_filter_that_does_the_same() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let profile = dice.profile();
        let program = compile(&profile);
        for number in numbers() {
            for _ in 0..12 {
                let values = values();
                let arguments = [(); 6].map(|()| dice.one(&values));
                answers_as_the_profile_says(
                    &profile,
                    &program,
                    Call::new(profile.arch, number, arguments),
                );
            }
        }
        // Jumps go forward, to an instruction that is there; the kernel takes no other program.
        for (at, it) in program.iter().enumerate() {
            let far = match it.code {
                0x05 => it.k as usize,
                code if code & 7 == 5 => usize::from(it.jt.max(it.jf)),
                _ => 0,
            };
            assert!(at + 1 + far < program.len() || it.code == 0x06);
        }
    }
}

#[test]
fn any_profile_with_one_action_is_what_seccompiler_makes_of_it() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..20 {
        let mut profile = dice.profile();
        profile.default = Action::Allow;
        profile.rules.truncate(60);
        profile
            .rules
            .iter_mut()
            .for_each(|rule| rule.action = Action::Errno(1));
        let arch = profile.arch;
        agrees_with_seccompiler(&profile, calls(arch));
    }
}

#[test]
fn every_name_of_a_built_in_profile_is_that_of_a_system_call() {
    for entry in Builtin::Strict.entries() {
        for name in entry.calls {
            assert!(
                Arch::ALL.iter().any(|arch| arch.number(name).is_some()),
                "{name}"
            );
        }
    }
}

#[test]
fn the_table_of_numbers_is_that_of_libc() {
    for (name, number) in [
        ("read", libc::SYS_read),
        ("execve", libc::SYS_execve),
        ("keyctl", libc::SYS_keyctl),
        ("clone3", libc::SYS_clone3),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("io_uring_setup", libc::SYS_io_uring_setup),
    ] {
        assert_eq!(Arch::NATIVE.number(name), Some(number as u32));
        assert_eq!(Arch::NATIVE.name(number as u32), Some(name));
    }
    assert_eq!(
        Arch::NATIVE.audit(),
        if cfg!(target_arch = "aarch64") {
            0xc000_00b7
        } else {
            0xc000_003e
        }
    );
}
