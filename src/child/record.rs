//! What the processes inside tell the launcher: 16 bytes a message, over a socket whose end is seen when all have gone.

use ::core::ffi::CStr;
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
    /// All is set up; the next thing is the exec. Sent by the process that becomes the command, where there is no init.
    Ready = 3,
    /// The command has been executed, as process `value`; 0 stands for the sender of the message. Sent by init.
    Started = 4,
    /// The outer side of the command's terminal comes with this.
    Terminal = 8,
    /// A system call was refused with errno `value`, and an older one does the same: the fallback of number `step`.
    FellBack = 9,
    /// A system call was refused with errno `value`, and no older one may be used: the fallback of number `step`.
    Missing = 10,
    /// The descriptor by which the launcher answers what the command's filter refuses comes with this.
    Listener = 11,
    /// The ruleset that the command will be under comes with this.
    Ruleset = 12,
    /// What step `step` wants to make a place in could not be made; its failure follows.
    NoDirectory = 14,
    /// What is in the way of a link, as a descriptor; the failure of that step follows.
    InTheWay = 13,
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
        [
            self.kind as u8,
            self.process as u8,
            s0,
            s1,
            v0,
            v1,
            v2,
            v3,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
        ]
    }

    /// The message that `bytes` are, or none when they are no message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[
            kind,
            process,
            s0,
            s1,
            v0,
            v1,
            v2,
            v3,
            n0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            n7,
        ] = bytes
        else {
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
                9 => Kind::FellBack,
                10 => Kind::Missing,
                11 => Kind::Listener,
                12 => Kind::Ruleset,
                13 => Kind::InTheWay,
                14 => Kind::NoDirectory,
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
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// Where a process is on its way: it carries this as its name (PR_SET_NAME), for ps, and for a launcher that finds it
/// killed: a dead process keeps its name until it is waited for, when it can tell nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which process.
    pub process: Process,
    /// Which step of its list it does.
    pub step: usize,
}

/// The start of such a name; the process and the step follow, a letter and two digits.
const PREFIX: &[u8; 8] = b"rootlet ";

impl Place {
    /// The name: `rootlet s07`. Steps from 99 on are all called 99.
    pub fn name(self) -> Name {
        let letter = match self.process {
            Process::Launcher => b'l',
            Process::Setup => b's',
            Process::Init => b'i',
            Process::Command => b'c',
        };
        let step = (self.step.min(99)) as u8;
        let [p0, p1, p2, p3, p4, p5, p6, p7] = *PREFIX;
        Name([
            p0,
            p1,
            p2,
            p3,
            p4,
            p5,
            p6,
            p7,
            letter,
            b'0' | (step / 10),
            b'0' | (step % 10),
            0,
        ])
    }

    /// The place that a name tells.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let &[letter, tens, ones] = name.strip_prefix(PREFIX)? else {
            return None;
        };
        let process = match letter {
            b's' => Process::Setup,
            b'i' => Process::Init,
            b'c' => Process::Command,
            _ => return None,
        };
        let digit = |byte: u8| (byte as char).to_digit(10).map(|digit| digit as usize);
        let step = digit(tens)?.wrapping_mul(10).wrapping_add(digit(ones)?);
        Some(Place { process, step })
    }
}

/// A process name.
#[derive(Clone, Copy, Debug)]
pub struct Name([u8; 12]);

impl Name {
    /// For prctl(2).
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_sent() {
        for kind in 0..=12 {
            for process in 0..=3 {
                let bytes = [kind, process, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
                ::core::assert_eq!(
                    Record::from_bytes(&bytes).map(Record::to_bytes),
                    Some(bytes)
                );
            }
        }
        for bytes in [
            &[13; 16][..],
            &[0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0; 15],
            &[0; 17],
            &[],
        ] {
            ::core::assert_eq!(Record::from_bytes(bytes), None);
        }
    }

    #[test]
    fn a_place_is_read_back_from_the_name() {
        for process in [Process::Setup, Process::Init, Process::Command] {
            for step in [0, 7, 42, 99] {
                let place = Place { process, step };
                ::core::assert_eq!(
                    Place::from_name(place.name().as_c_str().to_bytes()),
                    Some(place)
                );
            }
        }
        ::core::assert_eq!(
            Place {
                process: Process::Setup,
                step: 1_000
            }
            .name()
            .as_c_str(),
            c"rootlet s99"
        );
        for name in [
            &b"rootlet"[..],
            b"rootlet x01",
            b"rootlet s1",
            b"sh",
            b"rootlet s0x",
        ] {
            ::core::assert_eq!(Place::from_name(name), None);
        }
    }
}
