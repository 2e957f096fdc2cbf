//! What the processes inside tell the launcher: 16 bytes a message, over a socket whose end is seen when all have gone.

use ::core::prelude::rust_2024::*;

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Process {
    /// rootlet itself, outside.
    Launcher = 0,
    /// The new process, until it is init or becomes the command.
    Setup = 1,
    /// PID 1.
    Init = 2,
    /// The process that becomes the command.
    Command = 3,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A step is done (when each is to be traced).
    Done = 0,
    /// A step was refused with errno `value`, and what the plan names instead was done.
    SteppedDown = 1,
    /// A step was refused with errno `value`, and that is the end.
    Failed = 2,
    /// All is set up; the next thing is the exec. Sent by the process that becomes the command.
    Ready = 3,
    /// The exec has happened, or has failed and said so. Sent by init.
    Started = 4,
    /// The outer side of the command's terminal comes with this.
    Terminal = 8,
    /// The command was stopped by signal `value`.
    Stopped = 5,
    /// The command exited with status `value`.
    Exited = 6,
    /// The command was ended by signal `value`.
    Killed = 7,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is told.
    pub kind: Kind,
    /// Who tells it.
    pub process: Process,
    /// Which step of that process's list it is about.
    pub step: u16,
    /// An errno, a status or a signal.
    pub value: i32,
    /// When, in nanoseconds of the real-time clock; 0 when nothing is traced.
    pub nanos: u64,
}

impl Record {
    /// Bytes of a message.
    pub const SIZE: usize = 16;

    /// The message as bytes.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [s0, s1] = self.step.to_ne_bytes();
        let [v0, v1, v2, v3] = self.value.to_ne_bytes();
        let [n0, n1, n2, n3, n4, n5, n6, n7] = self.nanos.to_ne_bytes();
        [self.kind as u8, self.process as u8, s0, s1, v0, v1, v2, v3, n0, n1, n2, n3, n4, n5, n6, n7]
    }

    /// The message that `bytes` are, or none when they are no message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[kind, process, s0, s1, v0, v1, v2, v3, n0, n1, n2, n3, n4, n5, n6, n7] = bytes else {
            return None;
        };
        Some(Record {
            kind: match kind {
                0 => Kind::Done,
                1 => Kind::SteppedDown,
                2 => Kind::Failed,
                3 => Kind::Ready,
                4 => Kind::Started,
                5 => Kind::Stopped,
                6 => Kind::Exited,
                7 => Kind::Killed,
                8 => Kind::Terminal,
            _ => return None,
            },
            process: match process {
                0 => Process::Launcher,
                1 => Process::Setup,
                2 => Process::Init,
                3 => Process::Command,
                _ => return None,
            },
            step: u16::from_ne_bytes([s0, s1]),
            value: i32::from_ne_bytes([v0, v1, v2, v3]),
            nanos: u64::from_ne_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
        })
    }
}

/// Nanoseconds of the real-time clock, when `wanted`: the monotonic one is another in a time namespace
/// (time_namespaces(7)), and could not be compared with the launcher's.
pub fn now(wanted: bool) -> u64 {
    if !wanted {
        return 0;
    }
    let time = ::rustix::time::clock_gettime(::rustix::time::ClockId::Realtime);
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}
