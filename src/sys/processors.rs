//! On which processors a process may run.
//!
//! A process that hands over to one that it makes, and waits for it, gains nothing from a second processor. The kernel still
//! likes to start the new one on another that is idle, and to wake that up takes a tenth of a millisecond on a virtual
//! machine. So whoever hands over stays on the processor where it is, with the process that it makes, which then starts when
//! it waits; and each gets the others back when it goes on by itself.
//!
//! A process that is to work beside the one that makes it needs the second processor, and may not get it: in a virtual machine
//! of KVM's the kernel takes an idle processor for one that its host has taken away (vcpu_is_preempted), and leaves the new
//! process to wait on that of its maker. So it is sent to another; and is called back where it is needed and has not begun,
//! since others were at work there.

use super::RawPid;
use super::raw::syscall;
use rustix::io::Errno;

/// A set of processors, as the kernel has it: bit n for processor n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processors([u64; 16]);

impl Processors {
    /// Lets this thread run where it runs now only, and returns where it might before; none, and nothing done, where the host
    /// refuses that, has but one of them, or more than can be told here.
    pub fn stay() -> Option<Self> {
        let before = Processors::own()?;
        let here = Processors::current()?;
        match before == here {
            true => None,
            false => here.take().ok().map(|()| before),
        }
    }

    /// Those on which this thread may run (sched_getaffinity(2)).
    fn own() -> Option<Self> {
        let mut set = [0u64; 16];
        // SAFETY: the kernel writes at most so many bytes.
        let read = unsafe {
            syscall!(
                SYS_sched_getaffinity,
                0,
                size_of_val(&set),
                set.as_mut_ptr()
            )
        };
        read.ok().map(|_| Processors(set))
    }

    /// The one on which this thread runs now (getcpu(2)).
    fn current() -> Option<Self> {
        let mut number = 0u32;
        // SAFETY: the kernel writes the number, and nothing where there is a null pointer.
        unsafe { syscall!(SYS_getcpu, &raw mut number, 0, 0) }.ok()?;
        let mut set = [0u64; 16];
        *set.get_mut(number as usize / 64)? |= 1 << (number % 64);
        Some(Processors(set))
    }

    /// Lets this thread run on these only.
    pub fn take(&self) -> Result<(), Errno> {
        self.give(0)
    }

    /// Has `process` run on any of this thread's processors but the one where this thread runs now. Nothing is done where
    /// there is no other, or the host refuses it.
    pub fn send_elsewhere(process: RawPid) {
        if let (Some(Processors(mut set)), Some(Processors(here))) =
            (Processors::own(), Processors::current())
        {
            for (word, here) in set.iter_mut().zip(here) {
                *word &= !here;
            }
            let _ = Processors(set).give(process);
        }
    }

    /// Has `process` run where this thread runs now, as far as the host lets it.
    pub fn call_here(process: RawPid) {
        if let Some(here) = Processors::current() {
            let _ = here.give(process);
        }
    }

    /// Lets `process` (0: this thread) run on these only (sched_setaffinity(2)).
    fn give(&self, process: RawPid) -> Result<(), Errno> {
        // SAFETY: the kernel reads so many bytes.
        unsafe {
            syscall!(
                SYS_sched_setaffinity,
                process,
                size_of_val(&self.0),
                self.0.as_ptr()
            )
        }
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_gets_back_what_it_had() {
        let before = Processors::own().unwrap();
        if let Some(had) = Processors::stay() {
            assert_eq!((had, Processors::own()), (before, Processors::current()));
            had.take().unwrap();
        }
        assert_eq!(Processors::own(), Some(before));
    }
}
