//! An instruction of a system call filter.

/// An instruction of classic BPF, as seccomp(2) takes it: the kernel's struct sock_filter.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions a comparison that holds jumps over.
    pub jt: u8,
    /// How many one that does not hold jumps over.
    pub jf: u8,
    /// Its operand.
    pub k: u32,
}
