//! What root inside, or another, may do: capabilities, and the second user namespace that locks the mounts.

use ::core::ffi::CStr;
use ::core::prelude::rust_2024::*;
use ::rustix::io::Errno;
use ::rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use ::rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capability_is_in_bounding_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits,
};

use super::step::Slot;
use super::{Task, borrow, files};
use crate::sys;

/// Every securebit but KEEP_CAPS, which an exec clears: being user 0 gives nothing, and none of it can be changed.
const NO_ROOT: u32 = 0xef;
/// SECBIT_NO_CAP_AMBIENT_RAISE and its lock: what root has it cannot hand to others.
const ROOT: u32 = 0xc0;

/// Leaves the bounding set `kept`, and `ambient` for the exec. In a new user namespace the ambient set is empty
/// (user_namespaces(7)). A filter that refuses capset(2) is met here, before the command runs, and not by
/// [`limit_init`].
pub fn limit(kept: u64, named: u64, ambient: u64, root: bool) -> Result<(), Errno> {
    for capability in bits(named) {
        if !capability_is_in_bounding_set(capability)? {
            return Err(Errno::PERM);
        }
    }
    // Up to the last that this kernel has, those too that have no name yet.
    for capability in bits(!kept) {
        match remove_capability_from_bounding_set(capability) {
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    let mut sets = ::rustix::thread::capabilities(::core::option::Option::None)?;
    // Those that this kernel has.
    let ambient = ambient & sets.permitted.bits();
    sets.inheritable = CapabilitySet::from_bits_retain(ambient);
    set_capabilities(::core::option::Option::None, sets)?;
    for capability in bits(ambient) {
        configure_capability_in_ambient_set(capability, true)?;
    }
    let secure = if root { ROOT } else { NO_ROOT };
    set_capabilities_secure_bits(CapabilitiesSecureBits::from_bits_retain(secure))
}

/// Each of a set by itself, from the first on.
fn bits(set: u64) -> impl Iterator<Item = CapabilitySet> {
    (0..64)
        .map(|number| 1 << number)
        .filter(move |bit| set & bit != 0)
        .map(CapabilitySet::from_bits_retain)
}

/// Leaves init what it needs to send signals to users other than itself.
pub fn limit_init() -> Result<(), Errno> {
    let sets = CapabilitySets {
        effective: CapabilitySet::KILL,
        permitted: CapabilitySet::KILL,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(::core::option::Option::None, sets)
}

/// Enters a user namespace in the present one.
pub fn enter_user_namespace(
    task: &Task<'_>,
    proc: Slot,
    uid_map: &CStr,
    gid_map: &CStr,
) -> Result<(), Errno> {
    sys::unshare(::libc::CLONE_NEWUSER)?;
    // Its maps in /proc are its own to write only while its memory, which is init's too, is not closed to it.
    let before = dumpable_behavior()?;
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let proc = borrow(task.slot(proc));
    let written = files::write_at(proc, c"thread-self/setgroups", c"deny")
        .and_then(|()| files::write_at(proc, c"thread-self/uid_map", uid_map))
        .and_then(|()| files::write_at(proc, c"thread-self/gid_map", gid_map));
    if before != DumpableBehavior::Dumpable {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    written
}
