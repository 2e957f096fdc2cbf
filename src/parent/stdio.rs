//! Pipes in the place of files that the caller has given as standard input, output and error, and the relay between the
//! two: what is inside has no descriptor of such a file, by which it could be opened again in another way.

use crate::child::step::Slot;
use crate::error::Error;
use crate::plan::Plan;
use crate::sys::{self, RawFd};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PIPE_BUF, PipeFlags, pipe_with};

/// Bytes that are on their way in one pipe at most.
const RELAYED: usize = 64 * 1024;

/// The pipes before the clone.
#[derive(Default)]
pub struct Pipes {
    /// The ends that the launcher keeps.
    pub streams: Streams,
    /// The ends that go inside, with their slots.
    pub inside: Vec<(Slot, OwnedFd)>,
}

impl Pipes {
    /// Makes those of the plan.
    pub fn new(plan: &Plan) -> Result<Pipes, Errno> {
        let mut pipes = Pipes::default();
        for &(standard, slot) in &plan.pipes {
            if pipes.inside.iter().any(|(other, _)| *other == slot) {
                continue;
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            let (pipe, inside) = match standard {
                0 => (write, read),
                _ => (read, write),
            };
            // The end in here only: those who have the other one do not expect it.
            rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
            pipes.streams.list.push(Stream {
                standard,
                pipe: Some(pipe),
                on_the_way: Vec::new(),
            });
            pipes.inside.push((slot, inside));
        }
        Ok(pipes)
    }
}

/// The relay.
#[derive(Default)]
pub struct Streams {
    list: Vec<Stream>,
    failure: Option<Error>,
}

/// One of the standard descriptors, and the pipe in its place.
struct Stream {
    standard: i32,
    /// None when one of the sides has come to its end.
    pipe: Option<OwnedFd>,
    /// Read from the one side, not yet taken by the other.
    on_the_way: Vec<u8>,
}

impl Streams {
    /// What is to be waited for.
    pub fn wanted(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        self.list.iter().filter_map(Stream::wanted).collect()
    }

    /// Moves what can be moved; `happened` answers [`Streams::wanted`].
    pub fn relay(&mut self, happened: &[PollFlags]) {
        let waiting = self.list.iter_mut().filter(|stream| stream.pipe.is_some());
        for (stream, _) in waiting.zip(happened).filter(|(_, flags)| !flags.is_empty()) {
            if let Err(error) = stream.turn() {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// What has come from the command, for a caller who passes nothing on: the descriptor's number, and the bytes.
    pub fn taken(&mut self) -> Vec<(i32, Vec<u8>)> {
        let taken = self.list.iter_mut().filter(|stream| stream.standard != 0);
        let full = taken.filter(|stream| !stream.on_the_way.is_empty());
        full.map(|stream| (stream.standard, std::mem::take(&mut stream.on_the_way)))
            .collect()
    }

    /// The command has ended: whether there is something left that it has written.
    pub fn has_more_output(&mut self) -> bool {
        self.list.retain(|stream| stream.standard != 0);
        for stream in &mut self.list {
            if !stream.on_the_way.is_empty() {
                continue;
            }
            match stream.take() {
                Ok(Taken::Something) => {}
                Ok(Taken::Nothing | Taken::End) => stream.pipe = None,
                Err(error) => {
                    self.failure.get_or_insert(error);
                }
            }
        }
        self.list.iter().any(|stream| stream.pipe.is_some())
    }

    /// What could not be passed on.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

const NAMES: [&str; 3] = ["input", "output", "error"];

/// What reading has brought.
#[derive(PartialEq)]
enum Taken {
    Something,
    Nothing,
    End,
}

impl Stream {
    /// The source while nothing is on its way, else the sink.
    fn wanted(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.pipe.as_ref()?;
        Some(match self.on_the_way.is_empty() {
            true => (self.source()?, PollFlags::IN),
            false => (self.sink()?, PollFlags::OUT),
        })
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match self.standard {
            0 => Some(rustix::stdio::stdin()),
            _ => self.pipe.as_ref().map(AsFd::as_fd),
        }
    }

    fn sink(&self) -> Option<BorrowedFd<'_>> {
        match self.standard {
            0 => self.pipe.as_ref().map(AsFd::as_fd),
            1 => Some(rustix::stdio::stdout()),
            _ => Some(rustix::stdio::stderr()),
        }
    }

    fn turn(&mut self) -> Result<(), Error> {
        if !self.on_the_way.is_empty() {
            return self.pass();
        }
        if self.take()? == Taken::End {
            self.pipe = None;
        }
        Ok(())
    }

    /// A function of its own: its buffer, in the frame of the one that waits for the command, would cost every launch
    /// sixteen page faults.
    #[inline(never)]
    fn take(&mut self) -> Result<Taken, Error> {
        let mut buffer = [0u8; RELAYED];
        let read = match self.source() {
            Some(source) => retry_on_intr(|| rustix::io::read(source, &mut buffer)),
            None => Ok(0),
        };
        match read {
            Ok(length @ 1..) => {
                self.on_the_way.extend_from_slice(&buffer[..length]);
                Ok(Taken::Something)
            }
            Err(Errno::AGAIN) => Ok(Taken::Nothing),
            // EIO of input: a terminal that has hung up, or is another's.
            Err(errno) if self.standard != 0 || errno != Errno::IO => {
                self.pipe = None;
                let name = NAMES[self.standard as usize];
                Err(Error::setup(
                    format!("read what is to go to standard {name}"),
                    errno,
                ))
            }
            Ok(_) | Err(_) => Ok(Taken::End),
        }
    }

    /// Writes no more than a pipe takes without blocking when it is ready (PIPE_BUF): the sinks of output are shared with
    /// others, and so are not ours to put into non-blocking mode.
    fn pass(&mut self) -> Result<(), Error> {
        let Some(sink) = self.sink() else {
            return Ok(());
        };
        let length = match is_file(sink) {
            true => self.on_the_way.len(),
            false => self.on_the_way.len().min(PIPE_BUF),
        };
        match rustix::io::write(sink, &self.on_the_way[..length]) {
            Ok(length) => drop(self.on_the_way.drain(..length)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The command will be told likewise when it writes again.
            Err(errno) => {
                self.pipe = None;
                self.on_the_way.clear();
                if self.standard != 0 && errno != Errno::PIPE {
                    let name = NAMES[self.standard as usize];
                    return Err(Error::setup(
                        format!("write to standard {name} what the command has written"),
                        errno,
                    ));
                }
            }
        }
        Ok(())
    }
}

fn is_file(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile
    })
}

/// Closes what this program has from its caller, but for 0, 1, 2 and `kept`. What it has opened itself is closed at an exec, and
/// what it has from the caller has come through one.
///
/// # Errors
/// When /proc does not list what is open.
pub fn close_callers(kept: &[RawFd]) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::open("/proc/self/fd", flags, Mode::empty())?;
    let mut numbers: Vec<RawFd> = Vec::new();
    for entry in rustix::fs::Dir::new(list)? {
        let entry = entry?;
        let number = entry.file_name().to_str().ok();
        numbers.extend(number.and_then(|number| number.parse::<RawFd>().ok()));
    }
    numbers.retain(|fd| *fd > 2 && !kept.contains(fd));
    let others = numbers.into_iter().filter(|&fd| sys::is_inheritable(fd));
    others.for_each(sys::close);
    Ok(())
}

/// Closes all but 0, 1, 2 and `own`.
///
/// # Errors
/// When neither close_range(2) nor /proc can be had.
pub fn close_others(mut own: Vec<RawFd>) -> Result<(), Errno> {
    own.sort_unstable();
    crate::child::close_others(&own)
}
