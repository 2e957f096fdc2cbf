//! What would allow the calls that a filter has refused.

use super::{Arch, Builtin, Call};
use std::collections::BTreeSet;

/// Which argument says what is meant, of calls that mean many things: ioctl's request, the family of a socket.
fn telling_argument(name: &str) -> Option<usize> {
    match name {
        "ioctl" => Some(1),
        "socket" | "personality" => Some(0),
        _ => None,
    }
}

/// A profile as TOML, which `--seccomp FILE` reads: that of `base`, and rules that let `calls` through as well. Where the base
/// is a file, the rules alone.
pub fn allowing(base: &str, calls: &[Call]) -> String {
    let native = calls
        .iter()
        .filter(|call| call.arch == Arch::NATIVE.audit());
    let named = native.filter_map(|call| Some((Arch::NATIVE.name(call.number)?, call)));
    let mut whole = BTreeSet::new();
    let mut parts = BTreeSet::new();
    for (name, call) in named {
        match telling_argument(name) {
            Some(argument) => {
                let low = call.arguments[argument] as u32;
                parts.insert((name, argument, low));
            }
            None => {
                whole.insert(name);
            }
        }
    }
    let mut text = match Builtin::ALL.iter().any(|builtin| builtin.name() == base) {
        true => format!("base = {base:?}\n"),
        false => format!("# before the rules of {base}\n"),
    };
    if !whole.is_empty() {
        let names: Vec<&str> = whole.into_iter().collect();
        text += &format!("\n[[rules]]\nsyscalls = {names:?}\naction = \"allow\"\n");
    }
    for (name, argument, low) in parts {
        text += &format!(
            "\n[[rules]]\nsyscalls = [{name:?}]\nwhen = [\"arg{argument} & 0xffffffff == {low:#x}\"]\naction = \"allow\"\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Builtin, Conditions, compile, lets_through, parse};

    #[test]
    fn what_it_says_allows_the_calls_and_no_others() {
        let call = |name: &str, first: u64, second: u64| {
            let number = Arch::NATIVE.number(name).unwrap();
            Call::new(Arch::NATIVE, number, [first, second, 0, 0, 0, 0])
        };
        let refused = [
            call("keyctl", 0, 0),
            call("bpf", 0, 0),
            call("ioctl", 0, 0xffff_ffff_0000_5412),
            call("socket", 38, 5),
        ];
        let text = allowing("default", &[&refused[..], &refused[..]].concat());
        assert_eq!(text.matches("[[rules]]").count(), 3);
        let conditions = Conditions {
            arch: Arch::NATIVE,
            capabilities: 0,
            kernel: (6, 1),
        };
        let filter = compile(&parse(&text, &conditions).unwrap());
        let default = Builtin::Default.program();
        for call in &refused {
            assert!(lets_through(&filter, call) && !lets_through(default, call));
        }
        for other in [
            call("add_key", 0, 0),
            call("ioctl", 0, 0x541c),
            call("socket", 40, 5),
        ] {
            assert!(!lets_through(&filter, &other));
        }
    }
}
