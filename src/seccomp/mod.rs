//! Filters of system calls: from a [`Profile`] to the program that the kernel runs (seccomp(2)).
//!
//! Those of rootlet's own are made when rootlet is built; build.rs uses the very same code ([`compile`]). A file is compiled when it is
//! first used, and then kept in a cache.
//!
//! ```
//! use rootlet::seccomp::{Action, Arch, Profile, Rule, compile};
//!
//! let mut profile = Profile::new(Arch::NATIVE, Action::Allow);
//! let number = Arch::NATIVE.number("bpf").unwrap();
//! profile.rules.push(Rule { number, tests: Vec::new(), action: Action::Errno(1) });
//! assert!(compile(&profile).len() < 16);
//! ```
#![forbid(unsafe_code)]

mod advice;
mod arch;
mod builtin;
mod cache;
mod docker;
mod evaluate;
mod file;
mod load;
mod profile;
mod tree;

pub use crate::sys::seccomp::Instruction;
pub use advice::allowing;
pub use arch::Arch;
pub use builtin::{Builtin, Entry};
pub use evaluate::{Call, evaluate, lets_through};
pub use load::{Conditions, load, parse};
pub use profile::{Action, Comparison, Profile, Rule, Test};
pub use tree::compile;

include!(concat!(env!("OUT_DIR"), "/filters.rs"));

impl Builtin {
    /// The filter for this machine, made when rootlet was built.
    pub const fn program(self) -> &'static [Instruction] {
        match self {
            Builtin::Default => &DEFAULT,
            Builtin::Sandbox => &SANDBOX,
            Builtin::Strict => &STRICT,
        }
    }
}
