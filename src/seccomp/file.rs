//! Profiles as TOML.
//!
//! ```toml
//! base = "default"              # the rules of a built-in profile come after those of this file
//!
//! [[rules]]
//! syscalls = ["ptrace", "kcmp"]
//! action = "EPERM"              # or allow, log, trap, kill-thread, kill
//!
//! [[rules]]
//! syscalls = ["socket"]
//! when = ["arg0 & 0xffffffff == 40"]
//! action = "allow"
//! ```

use super::profile::{Action, Comparison, Profile, Rule, Test};
use super::{Arch, Builtin};
use crate::error::{Errno, Error, Result};
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    base: Option<Spanned<String>>,
    default: Option<Spanned<String>>,
    #[serde(default)]
    rules: Vec<FileRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileRule {
    syscalls: Vec<Spanned<String>>,
    #[serde(default)]
    when: Vec<Spanned<String>>,
    action: Spanned<String>,
}

/// The profile that `text` says.
pub fn parse(text: &str, arch: Arch) -> Result<Profile> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message().trim_end().replace('\n', ", ");
        Error::usage(format!("line {}: {message}", line(text, at)))
    })?;
    let at = |word: &Spanned<String>, error: Error| {
        Error::usage(format!(
            "line {}: {}",
            line(text, word.span().start),
            error.step
        ))
    };
    let base = (file.base.as_ref())
        .map(|word| builtin(word.as_ref()).map_err(|error| at(word, error)))
        .transpose()?;
    let default = (file.default.as_ref())
        .map(|word| action(word.as_ref()).map_err(|error| at(word, error)))
        .transpose()?;
    let (mut profile, after) = match (base, default) {
        (None, None) => {
            return Err(Error::usage(
                "line 1: neither base nor default says what becomes of the calls without a rule",
            ));
        }
        (None, Some(default)) => (Profile::new(arch, default), Vec::new()),
        (Some(base), default) => {
            let base = base.profile(arch);
            let default = default.unwrap_or(base.default);
            (
                Profile {
                    unknown: base.unknown,
                    ..Profile::new(arch, default)
                },
                base.rules,
            )
        }
    };
    for rule in &file.rules {
        let tests = rule
            .when
            .iter()
            .map(|word| test(word.as_ref()).map_err(|error| at(word, error)));
        let tests: Vec<Test> = tests.collect::<Result<_>>()?;
        let action = action(rule.action.as_ref()).map_err(|error| at(&rule.action, error))?;
        for word in &rule.syscalls {
            let number = number(word.as_ref(), arch).map_err(|error| at(word, error))?;
            profile.rules.extend(number.map(|number| Rule {
                number,
                tests: tests.clone(),
                action,
            }));
        }
    }
    profile.rules.extend(after);
    Ok(profile)
}

/// The line, from 1, that the byte at `offset` is in.
fn line(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.matches('\n').count() + 1
}

fn builtin(word: &str) -> Result<Builtin> {
    let named = Builtin::ALL
        .into_iter()
        .find(|builtin| builtin.name() == word);
    named.ok_or_else(|| {
        Error::usage(format!(
            "base {word:?} is neither default, sandbox nor strict"
        ))
    })
}

/// The number of a call; none for one that another architecture has and this one has not.
fn number(name: &str, arch: Arch) -> Result<Option<u32>> {
    let known = Arch::ALL
        .into_iter()
        .any(|other| other.number(name).is_some());
    match known {
        true => Ok(arch.number(name)),
        false => Err(Error::usage(format!("there is no system call {name:?}"))),
    }
}

fn action(word: &str) -> Result<Action> {
    Ok(match word {
        "allow" => Action::Allow,
        "log" => Action::Log,
        "trap" => Action::Trap,
        "kill-thread" => Action::KillThread,
        "kill" => Action::KillProcess,
        _ => Action::Errno(errno(word)?),
    })
}

/// The number of an errno by its symbol.
fn errno(symbol: &str) -> Result<u16> {
    let found = Errno::from_symbol(symbol).and_then(|errno| u16::try_from(errno.0).ok());
    found.ok_or_else(|| {
        Error::usage(format!(
            "action {symbol:?} is neither allow, log, trap, kill-thread, kill nor an errno such as EPERM"
        ))
    })
}

/// `arg1 & 0xffffffff == 0x5412`, or without a mask.
fn test(text: &str) -> Result<Test> {
    let wrong = || {
        Error::usage(format!(
            "condition {text:?} is not like \"arg1 == 5\" or \"arg1 & 0xff == 5\", with one of == != < <= > >=, and with & only =="
        ))
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (argument, mask, sign, value) = match words[..] {
        [argument, sign, value] => (argument, None, sign, value),
        [argument, "&", mask, "==", value] => (argument, Some(mask), "==", value),
        _ => return Err(wrong()),
    };
    let argument = argument
        .strip_prefix("arg")
        .and_then(|digit| digit.parse().ok());
    let value = number_of(value).ok_or_else(wrong)?;
    let comparison = match (sign, mask) {
        (_, Some(mask)) => Comparison::MaskedEqual(number_of(mask).ok_or_else(wrong)?),
        ("==", None) => Comparison::Equal,
        ("!=", None) => Comparison::NotEqual,
        ("<", None) => Comparison::Less,
        ("<=", None) => Comparison::LessOrEqual,
        (">", None) => Comparison::Greater,
        (">=", None) => Comparison::GreaterOrEqual,
        _ => return Err(wrong()),
    };
    match argument {
        Some(argument @ 0..=5) => Ok(Test {
            argument,
            comparison,
            value,
        }),
        _ => Err(wrong()),
    }
}

fn number_of(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_rules_in_order_and_its_base_comes_after() {
        let text = "base = \"default\"\n[[rules]]\nsyscalls = [\"bpf\", \"read\"]\nwhen = [\"arg0 & 0xff == 3\", \"arg1 != 0x10\"]\naction = \"ENOENT\"\n";
        let profile = parse(text, Arch::X86_64).unwrap();
        let tests = vec![
            Test {
                argument: 0,
                comparison: Comparison::MaskedEqual(0xff),
                value: 3,
            },
            Test {
                argument: 1,
                comparison: Comparison::NotEqual,
                value: 16,
            },
        ];
        let rule = |number| Rule {
            number,
            tests: tests.clone(),
            action: Action::Errno(2),
        };
        assert_eq!(profile.rules[..2], [rule(321), rule(0)]);
        assert_eq!(
            profile.rules[2..],
            Builtin::Default.profile(Arch::X86_64).rules
        );
        assert_eq!(profile.default, Action::Allow);
        assert!(
            parse("default = \"kill\"", Arch::Aarch64)
                .unwrap()
                .rules
                .is_empty()
        );
    }

    #[test]
    fn every_comparison_has_a_sign() {
        for (sign, comparison) in [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<", Comparison::Less),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterOrEqual),
        ] {
            let wanted = Test {
                argument: 5,
                comparison,
                value: 7,
            };
            assert_eq!(test(&format!("arg5 {sign} 7")), Ok(wanted));
        }
        for text in [
            "arg6 == 1",
            "arg == 1",
            "1 == 1",
            "arg0 = 1",
            "arg0 & 1 != 1",
            "arg0 == x",
            "arg0 == -1",
            "",
        ] {
            assert!(test(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, word) in [
            ("", 1, "neither base nor default"),
            ("base = \"defualt\"\n", 1, "defualt"),
            ("\ndefault = \"EFOO\"\n", 2, "EFOO"),
            ("default = \"allow\"\nrulez = 1\n", 2, "rulez"),
            (
                "default = \"allow\"\n[[rules]]\nsyscalls = [\"read\",\n \"keyctll\"]\naction = \"kill\"\n",
                4,
                "keyctll",
            ),
            (
                "default = \"allow\"\n[[rules]]\nsyscalls = [\"read\"]\nwhen = [\"arg9 == 1\"]\naction = \"kill\"\n",
                4,
                "arg9",
            ),
            (
                "default = \"allow\"\n[[rules]]\nsyscalls = [\"read\"]\naction = \"die\"\n",
                4,
                "die",
            ),
            (
                "default = \"allow\"\n[[rules]]\nsyscalls = [\"read\"]\n",
                2,
                "action",
            ),
        ] {
            let error = parse(text, Arch::X86_64).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("line {line}: ")) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }
}
