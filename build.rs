//! Makes the filters that rootlet has of its own, so that none is compiled at a launch.

// The same files as in the program: only this is used of them here.
#[allow(dead_code)]
#[path = "src/seccomp/arch.rs"]
mod arch;
#[allow(dead_code)]
#[path = "src/seccomp/builtin.rs"]
mod builtin;
#[path = "src/sys/instruction.rs"]
mod instruction;
#[allow(dead_code)]
#[path = "src/seccomp/profile.rs"]
mod profile;
#[path = "src/seccomp/tree.rs"]
mod tree;

use arch::Arch;
use builtin::Builtin;
use instruction::Instruction;
use std::fmt::Write;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/seccomp");
    println!("cargo:rerun-if-changed=src/sys/instruction.rs");
    let variable = |name| std::env::var(name).unwrap();
    let arch = match &*variable("CARGO_CFG_TARGET_ARCH") {
        "x86_64" => Arch::X86_64,
        "aarch64" => Arch::Aarch64,
        other => panic!("rootlet is for x86-64 and arm64, not for {other}"),
    };
    let mut text = String::new();
    for builtin in Builtin::ALL {
        let program = tree::compile(&builtin.profile(arch));
        let name = builtin.name().to_uppercase();
        writeln!(text, "static {name}: [Instruction; {}] = [", program.len()).unwrap();
        for instruction in program {
            writeln!(text, "    {instruction:?},").unwrap();
        }
        writeln!(text, "];").unwrap();
    }
    let path = std::path::Path::new(&variable("OUT_DIR")).join("filters.rs");
    std::fs::write(path, text).unwrap();
}
