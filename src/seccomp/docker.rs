//! Profiles in docker's format, which podman and OCI bundles have too.

use super::Arch;
use super::load::{Conditions, version};
use super::profile::{Action, Comparison, Profile, Rule, Test};
use crate::error::{Errno, Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    default_action: Word,
    default_errno_ret: Option<u16>,
    default_errno: Option<Symbol>,
    #[serde(default)]
    syscalls: Vec<Entry>,
    /// Other architectures that docker would let in; here a filter is for one.
    #[serde(rename = "architectures")]
    _architectures: Option<IgnoredAny>,
    #[serde(rename = "archMap")]
    _arch_map: Option<IgnoredAny>,
    #[serde(rename = "flags")]
    _flags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    names: Vec<String>,
    name: Option<String>,
    action: Word,
    errno_ret: Option<u16>,
    errno: Option<Symbol>,
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Filter,
    #[serde(default)]
    excludes: Filter,
    #[serde(rename = "comment")]
    _comment: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Argument {
    index: Index,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: Operator,
}

/// The number of an argument: there are six.
#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Index(u8);

impl TryFrom<u8> for Index {
    type Error = String;

    fn try_from(index: u8) -> std::result::Result<Index, String> {
        match index {
            0..=5 => Ok(Index(index)),
            _ => Err(format!("argument {index} is not one of 0 to 5")),
        }
    }
}

/// When an entry counts, or does not.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Vec<Capability>,
    #[serde(default)]
    arches: Vec<String>,
    min_kernel: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum Word {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
}

#[derive(Clone, Copy, Deserialize)]
enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

/// An errno's number, by its symbol.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Symbol(u16);

impl TryFrom<String> for Symbol {
    type Error = String;

    fn try_from(symbol: String) -> std::result::Result<Symbol, String> {
        let number = Errno::from_symbol(&symbol).and_then(|errno| u16::try_from(errno.0).ok());
        number
            .map(Symbol)
            .ok_or_else(|| format!("there is no errno {symbol:?}"))
    }
}

/// A capability's number, by its name.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Capability(u32);

/// In the order of their numbers (capabilities(7)).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl TryFrom<String> for Capability {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Capability, String> {
        let number = name
            .strip_prefix("CAP_")
            .and_then(|name| CAPABILITIES.iter().position(|known| *known == name));
        number
            .map(|number| Capability(number as u32))
            .ok_or_else(|| format!("there is no capability {name:?}"))
    }
}

/// The profile that `text` says, under these conditions.
pub fn parse(text: &str, conditions: &Conditions) -> Result<Profile> {
    let file: File = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message
            .split(" at line")
            .next()
            .unwrap_or_default()
            .to_string();
        Error::usage(format!("line {}: {message}", error.line()))
    })?;
    let default = action(
        file.default_action,
        file.default_errno_ret,
        file.default_errno,
    );
    let mut profile = Profile::new(conditions.arch, default);
    for entry in file
        .syscalls
        .iter()
        .filter(|entry| entry.counts(conditions))
    {
        let action = action(entry.action, entry.errno_ret, entry.errno);
        for name in entry.names.iter().chain(&entry.name) {
            // These files name the calls of every architecture and every kernel.
            let Some(number) = conditions.arch.number(name) else {
                log::debug!("system call {name} is left out: there is none here");
                continue;
            };
            let rule = |tests| Rule {
                number,
                tests,
                action,
            };
            profile
                .rules
                .extend(entry.alternatives().into_iter().map(rule));
        }
    }
    Ok(profile)
}

/// The errno is EPERM if none is given, as in docker.
fn action(word: Word, number: Option<u16>, symbol: Option<Symbol>) -> Action {
    match word {
        Word::Allow => Action::Allow,
        Word::KillThread => Action::KillThread,
        Word::KillProcess => Action::KillProcess,
        Word::Trap => Action::Trap,
        Word::Log => Action::Log,
        Word::Errno => {
            let named = symbol.map(|Symbol(errno)| errno);
            Action::Errno(number.or(named).unwrap_or(libc::EPERM as u16))
        }
    }
}

impl Entry {
    fn counts(&self, conditions: &Conditions) -> bool {
        let (includes, excludes) = (&self.includes, &self.excludes);
        let included = includes.caps.iter().all(|cap| cap.is_in(conditions))
            && (includes.arches.is_empty() || includes.names(conditions.arch))
            && includes.reached(conditions) != Some(false);
        let excluded = excludes.caps.iter().any(|cap| cap.is_in(conditions))
            || excludes.names(conditions.arch)
            || excludes.reached(conditions) == Some(true);
        included && !excluded
    }

    /// The tests, of which all have to hold. Where two look at the same argument, docker means that one of them has to.
    fn alternatives(&self) -> Vec<Vec<Test>> {
        let arguments = self.args.as_deref().unwrap_or_default();
        let tests: Vec<Test> = arguments.iter().map(Argument::test).collect();
        let twice = (0..tests.len()).any(|at| {
            tests[..at]
                .iter()
                .any(|other| other.argument == tests[at].argument)
        });
        match twice {
            true => tests.into_iter().map(|test| vec![test]).collect(),
            false => vec![tests],
        }
    }
}

impl Capability {
    fn is_in(self, conditions: &Conditions) -> bool {
        conditions.capabilities & (1 << self.0) != 0
    }
}

impl Filter {
    fn names(&self, arch: Arch) -> bool {
        let name = match arch {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
        };
        self.arches.iter().any(|known| known == name)
    }

    /// Whether the kernel is as new as is asked for, if that is asked.
    fn reached(&self, conditions: &Conditions) -> Option<bool> {
        let wanted = version(self.min_kernel.as_deref()?)?;
        Some(conditions.kernel >= wanted)
    }
}

impl Argument {
    fn test(&self) -> Test {
        let (comparison, value) = match self.op {
            Operator::NotEqual => (Comparison::NotEqual, self.value),
            Operator::Less => (Comparison::Less, self.value),
            Operator::LessOrEqual => (Comparison::LessOrEqual, self.value),
            Operator::Equal => (Comparison::Equal, self.value),
            Operator::GreaterOrEqual => (Comparison::GreaterOrEqual, self.value),
            Operator::Greater => (Comparison::Greater, self.value),
            Operator::MaskedEqual => (Comparison::MaskedEqual(self.value), self.value_two),
        };
        Test {
            argument: self.index.0,
            comparison,
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Conditions = Conditions {
        arch: Arch::X86_64,
        capabilities: 0,
        kernel: (5, 4),
    };

    fn rules(entry: &str, conditions: &Conditions) -> Vec<Rule> {
        let text = format!("{{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{entry}]}}");
        parse(&text, conditions).unwrap().rules
    }

    #[test]
    fn defaults_and_errnos_are_dockers() {
        for (words, wanted) in [
            ("\"SCMP_ACT_ERRNO\"", Action::Errno(1)),
            (
                "\"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38",
                Action::Errno(38),
            ),
            (
                "\"SCMP_ACT_ERRNO\", \"defaultErrno\": \"ENOSYS\"",
                Action::Errno(38),
            ),
            ("\"SCMP_ACT_KILL\"", Action::KillThread),
            ("\"SCMP_ACT_LOG\"", Action::Log),
        ] {
            let profile = parse(&format!("{{\"defaultAction\": {words}}}"), &USER).unwrap();
            assert_eq!(profile.default, wanted);
        }
        let text = "{\"names\": [\"bpf\", \"no_such_call\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 2}";
        let rule = Rule {
            number: 321,
            tests: Vec::new(),
            action: Action::Errno(2),
        };
        assert_eq!(rules(text, &USER), [rule]);
    }

    #[test]
    fn conditions_say_which_rules_count() {
        let admin = Conditions {
            capabilities: 1 << 21,
            ..USER
        };
        let arm = Conditions {
            arch: Arch::Aarch64,
            ..USER
        };
        let old = Conditions {
            kernel: (4, 7),
            ..USER
        };
        for (filter, conditions) in [
            (
                "\"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}",
                [false, true, false, false],
            ),
            (
                "\"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}",
                [true, false, true, true],
            ),
            (
                "\"includes\": {\"arches\": [\"arm64\", \"arm\"]}",
                [false, false, true, false],
            ),
            (
                "\"excludes\": {\"arches\": [\"arm64\"]}",
                [true, true, false, true],
            ),
            (
                "\"includes\": {\"minKernel\": \"4.8\"}",
                [true, true, true, false],
            ),
            (
                "\"excludes\": {\"minKernel\": \"4.8\"}",
                [false, false, false, true],
            ),
            ("\"includes\": {}", [true; 4]),
        ] {
            let text =
                format!("{{\"names\": [\"ptrace\"], \"action\": \"SCMP_ACT_ALLOW\", {filter}}}");
            let counts = [&USER, &admin, &arm, &old].map(|it| !rules(&text, it).is_empty());
            assert_eq!(counts, conditions, "{filter}");
        }
    }

    #[test]
    fn two_tests_of_one_argument_are_two_rules() {
        let argument = |index, op, value| {
            format!(
                "{{\"index\": {index}, \"value\": {value}, \"valueTwo\": 9, \"op\": \"SCMP_CMP_{op}\"}}"
            )
        };
        let entry = |arguments: [String; 2]| {
            format!(
                "{{\"name\": \"clone\", \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{}]}}",
                arguments.join(",")
            )
        };
        let both = rules(
            &entry([argument(0, "MASKED_EQ", 255), argument(1, "GT", 2)]),
            &USER,
        );
        let masked = Test {
            argument: 0,
            comparison: Comparison::MaskedEqual(255),
            value: 9,
        };
        let greater = Test {
            argument: 1,
            comparison: Comparison::Greater,
            value: 2,
        };
        assert_eq!(
            both.iter().map(|rule| &rule.tests[..]).collect::<Vec<_>>(),
            [[masked, greater]]
        );
        assert_eq!(
            rules(&entry([argument(0, "NE", 1), argument(0, "LT", 2)]), &USER).len(),
            2
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, word) in [
            (
                "{\n\"defaultAction\": \"SCMP_ACT_NOTIFY\"}",
                2,
                "SCMP_ACT_NOTIFY",
            ),
            ("{}", 1, "defaultAction"),
            (
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"sycalls\": []}",
                2,
                "sycalls",
            ),
            (
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"syscalls\": [\n{\"names\": [\"read\"],\n\"action\": \"SCMP_ACT_ALOW\"}]}",
                4,
                "SCMP_ACT_ALOW",
            ),
            (
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"action\": \"SCMP_ACT_TRAP\", \"args\": [\n{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                2,
                "argument 6",
            ),
            (
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"action\": \"SCMP_ACT_TRAP\", \"includes\": {\"caps\":\n [\"CAP_ROOT\"]}}]}",
                2,
                "CAP_ROOT",
            ),
            (
                "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"action\": \"SCMP_ACT_ERRNO\",\n\"errno\": \"ENOPE\"}]}",
                2,
                "there is no errno \"ENOPE\"",
            ),
            ("{\"defaultAction\": ", 1, "EOF"),
        ] {
            let error = parse(text, &USER).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line {line}: ")) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }
}
