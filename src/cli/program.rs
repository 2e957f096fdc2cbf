//! rootlet's own program file, and who could write it.
//!
//! A script whose interpreter is `/proc/self/exe` executes the program of whoever executes it: rootlet's. From then on a
//! process inside is rootlet's program, and others inside can open that (CVE-2019-5736). They cannot write it for as long as
//! anybody executes it (ETXTBSY), and a container's supervisor does that until nothing is left of the container. Who comes
//! in later may be another file: then it goes on as a copy in memory that nobody can change.

use rootlet::error::{Error, Result};
use rootlet::state::own_program;
use rootlet::sys;
use rustix::fd::AsRawFd;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

const OWN: &str = "/proc/self/exe";

/// Returns where the program file cannot be written while the container lives whose supervisor executes `supervisors`, or
/// is a copy that can never be; otherwise begins again as such a copy.
///
/// # Errors
/// When there can be no copy.
pub fn keep_safe(supervisors: Option<[u64; 2]>) -> Result<()> {
    if let Some(supervisors) = supervisors
        && (executed_as(supervisors) || own_program() == Some(supervisors))
    {
        return Ok(());
    }
    let refused = |step: &str, error: std::io::Error| {
        Error::setup(format!("make a copy of rootlet that nobody inside can change, {step}"), error)
            .with_hint("it is made where the container was not started by this very program file, or not by rootlet")
    };
    let own = File::open(OWN).map_err(|error| refused("open /proc/self/exe", error))?;
    if fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(SealFlags::WRITE)) {
        // The kernel has named it after the descriptor.
        let _ = rustix::thread::set_name(c"rootlet");
        return Ok(());
    }
    let copy = copy(own).map_err(|error| refused("memfd_create", error))?;
    let text = |bytes: Vec<u8>| CString::new(bytes).unwrap_or_default();
    let words: Vec<CString> = std::env::args_os()
        .map(|word| text(word.into_vec()))
        .collect();
    let environment: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let path = text(format!("/proc/self/fd/{}", copy.as_raw_fd()).into());
    let errno = sys::execute(&path, &words, &environment);
    Err(refused("execve", errno.into()))
}

/// Whether the path by which this program was executed, a moment ago, leads to this file. To ask /proc makes the kernel
/// put up an entry for this process there, and take it down at its end: more than all else that is read of the container.
fn executed_as([device, inode]: [u64; 2]) -> bool {
    let file = sys::executed_path().and_then(|path| rustix::fs::stat(path).ok());
    file.is_some_and(|file| [file.st_dev, file.st_ino] == [device, inode])
}

/// The program in memory, sealed.
fn copy(mut own: File) -> std::io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before Linux 6.3 there is no flag for what may be executed: all may.
    let made = match memfd_create(c"rootlet", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(c"rootlet", flags),
        made => made,
    };
    let mut copy = File::from(made?);
    std::io::copy(&mut own, &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals)?;
    // Nobody may have it open for writing when it is executed.
    File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))
}
