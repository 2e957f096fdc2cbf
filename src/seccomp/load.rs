//! A filter from a file: read, and compiled unless the cache has it already.

use super::arch::Arch;
use super::{Instruction, Profile, cache, compile, docker, file};
use crate::error::{Error, Kind, Result};
use std::path::Path;

/// Instructions that the kernel takes: BPF_MAXINSNS (linux/bpf_common.h).
const MOST: usize = 4096;

/// What a file may make its rules depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The architecture.
    pub arch: Arch,
    /// The capabilities that the command has, bit by number (capabilities(7)).
    pub capabilities: u64,
    /// The kernel's version.
    pub kernel: (u32, u32),
}

impl Conditions {
    /// This machine, and a command with these capabilities.
    pub fn here(capabilities: u64) -> Conditions {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy();
        Conditions {
            arch: Arch::NATIVE,
            capabilities,
            kernel: version(&release).unwrap_or_default(),
        }
    }
}

/// The first two numbers of `6.18.1-rc2`.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|letter: char| !letter.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().unwrap_or("0").parse().ok()?;
    Some((major, minor))
}

/// The filter that the file at `path` says: docker's JSON if it begins with a brace, else TOML.
///
/// # Errors
/// When it cannot be read, or says what is no profile; with the line.
pub fn load(path: &Path, conditions: &Conditions) -> Result<Vec<Instruction>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let step = format!("read the seccomp file {}", path.display());
        match error.raw_os_error() {
            Some(_) => Error::setup(step, error).of_kind(Kind::Usage),
            None => Error::usage(format!("{step}: {error}")),
        }
    })?;
    let key = cache::key(&text, conditions);
    if let Some(program) = cache::get(&key) {
        log::info!("the filter of {} is from the cache", path.display());
        return Ok(program);
    }
    let wrong =
        |error: Error| Error::usage(format!("seccomp file {}, {}", path.display(), error.step));
    let program = compile(&parse(&text, conditions).map_err(wrong)?);
    if program.len() > MOST {
        let size = program.len();
        return Err(Error::usage(format!(
            "seccomp file {}: {size} instructions are more than the {MOST} that the kernel takes",
            path.display()
        )));
    }
    log::info!(
        "the filter of {} was compiled: {} instructions",
        path.display(),
        program.len()
    );
    if let Err(errno) = cache::put(&key, &program) {
        log::info!(
            "it is not kept in the cache: {}",
            crate::error::Errno::from(errno)
        );
    }
    Ok(program)
}

/// The profile that `text` says.
///
/// # Errors
/// What is wrong with it, after `line N: `.
pub fn parse(text: &str, conditions: &Conditions) -> Result<Profile> {
    match text.trim_start().starts_with('{') {
        true => docker::parse(text, conditions),
        false => file::parse(text, conditions.arch),
    }
}
