//! Filters that were compiled before: XDG_CACHE_HOME/rootlet/seccomp/HASH.bpf, one for each text and its conditions.
//!
//! A file holds all that it was made of, and is taken only for the very same: nothing hangs on the hash in its name. It has
//! to be the caller's own, in directories of the caller's own, which nobody else can write to. Whatever is wrong with a
//! cache, the filter is made anew, and no launch fails for it.

use super::load::Conditions;
use super::{Arch, Builtin, Instruction};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Changed with [`super::tree`], and with the form of these files.
const GENERATOR: u32 = 1;

/// No filter is larger: 4,096 instructions and a text.
const MOST_BYTES: u64 = 4 << 20;

/// All that a filter follows from: its text, what its rules may depend on, and this version of rootlet.
pub fn key(text: &str, conditions: &Conditions) -> Vec<u8> {
    let mut built_in = Vec::new();
    for builtin in Builtin::ALL {
        built_in.extend(bytes(builtin.program()));
    }
    let Conditions {
        arch,
        capabilities,
        kernel,
    } = conditions;
    let arch = match arch {
        Arch::X86_64 => "x86_64",
        Arch::Aarch64 => "aarch64",
    };
    let head = format!(
        "rootlet {} seccomp {GENERATOR} {:016x} {arch} {capabilities:x} {}.{}\n",
        env!("CARGO_PKG_VERSION"),
        hash(&built_in),
        kernel.0,
        kernel.1,
    );
    [head.as_bytes(), text.as_bytes()].concat()
}

/// The filter of `key`, if it is there and is right.
pub fn get(key: &[u8]) -> Option<Vec<Instruction>> {
    let directory = directory(false).ok()?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name(key), flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    if !is_ours(&stat, FileType::RegularFile) || stat.st_size as u64 > MOST_BYTES {
        return None;
    }
    let mut all = Vec::new();
    File::from(file)
        .take(MOST_BYTES)
        .read_to_end(&mut all)
        .ok()?;
    decode(&all, key)
}

/// Keeps the filter of `key`.
pub fn put(key: &[u8], program: &[Instruction]) -> Result<(), Errno> {
    let directory = directory(true)?;
    let name = name(key);
    let new = format!(".{name}.{}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, &new, flags, Mode::from_raw_mode(0o600))?;
    let written = File::from(file).write_all(&encode(key, program));
    let written = written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let done = written.and_then(|()| rustix::fs::renameat(&directory, &new, &directory, &name));
    if done.is_err() {
        let _ = rustix::fs::unlinkat(&directory, &new, AtFlags::empty());
    }
    done
}

/// The directory of these files; `make` makes it. Below the user's own cache no link is followed.
fn directory(make: bool) -> Result<OwnedFd, Errno> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .ok_or(Errno::NOENT)?;
    let private = Mode::from_raw_mode(0o700);
    if make {
        let _ = rustix::fs::mkdir(&cache, private);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = rustix::fs::openat(CWD, &cache, flags, Mode::empty())?;
    for name in ["rootlet", "seccomp"] {
        if make {
            let _ = rustix::fs::mkdirat(&directory, name, private);
        }
        directory = rustix::fs::openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        if !is_ours(&rustix::fs::fstat(&directory)?, FileType::Directory) {
            return Err(Errno::PERM);
        }
    }
    Ok(directory)
}

/// Whether nobody else can write to it.
fn is_ours(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o022 == 0
}

fn name(key: &[u8]) -> String {
    format!("{:016x}.bpf", hash(key))
}

/// FNV-1a, to find a file by and to see that it is whole.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The key with its length, the instructions, and the hash of both.
fn encode(key: &[u8], program: &[Instruction]) -> Vec<u8> {
    let mut all = (key.len() as u64).to_le_bytes().to_vec();
    all.extend(key);
    all.extend(bytes(program));
    all.extend(hash(&all).to_le_bytes());
    all
}

fn decode(all: &[u8], key: &[u8]) -> Option<Vec<Instruction>> {
    let (rest, sum) = all.split_last_chunk::<8>()?;
    let (length, program) = rest.split_first_chunk::<8>()?;
    let program = program.strip_prefix(key)?;
    let whole =
        u64::from_le_bytes(*length) == key.len() as u64 && u64::from_le_bytes(*sum) == hash(rest);
    if !whole || program.is_empty() || program.len() % 8 != 0 {
        return None;
    }
    Some(program.chunks_exact(8).filter_map(instruction).collect())
}

fn bytes(program: &[Instruction]) -> impl Iterator<Item = u8> {
    program.iter().flat_map(|it| {
        let [c0, c1] = it.code.to_le_bytes();
        let [k0, k1, k2, k3] = it.k.to_le_bytes();
        [c0, c1, it.jt, it.jf, k0, k1, k2, k3]
    })
}

fn instruction(bytes: &[u8]) -> Option<Instruction> {
    let &[c0, c1, jt, jf, k0, k1, k2, k3] = bytes else {
        return None;
    };
    Some(Instruction {
        code: u16::from_le_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_le_bytes([k0, k1, k2, k3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_for_the_same_key_alone() {
        let program = Builtin::Default.program();
        let conditions = Conditions {
            arch: Arch::NATIVE,
            capabilities: 0,
            kernel: (6, 1),
        };
        let key = key("default = \"allow\"", &conditions);
        let all = encode(&key, program);
        assert_eq!(decode(&all, &key).as_deref(), Some(program));
        for other in [
            super::key("default = \"log\"", &conditions),
            super::key(
                "default = \"allow\"",
                &Conditions {
                    capabilities: 1,
                    ..conditions
                },
            ),
            super::key(
                "default = \"allow\"",
                &Conditions {
                    kernel: (6, 2),
                    ..conditions
                },
            ),
            key[..key.len() - 1].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(decode(&all, &other), None);
        }
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        let key = b"k".to_vec();
        let all = encode(&key, Builtin::Strict.program());
        for length in 0..all.len() {
            assert_eq!(decode(&all[..length], &key), None);
        }
        for at in 0..all.len() {
            let mut changed = all.clone();
            changed[at] ^= 0x10;
            assert_eq!(decode(&changed, &key), None, "byte {at}");
        }
    }
}
