//! What `rootlet try` asks at its end.

use super::words::words;
use super::{MOST_LINES, applied, list, paged, patterns, say_where};
use rootlet::changes::{Changes, Patterns, Store};
use rootlet::sys::{SignalSet, set_signal_mask, signalfd, take_pending};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;

/// What is to become of the changes.
enum Decision {
    /// The host gets those that are chosen, also where it has changed if that is forced.
    Keep {
        chosen: Patterns,
        force: bool,
    },
    Drop,
    Leave,
}

/// Asks what is to become of the changes, until nothing is left to ask about.
pub fn ask(store: Store) -> anyhow::Result<()> {
    // What was chosen, when some of it was refused for what the host has.
    let mut refused = None;
    loop {
        let changes = store.changes()?;
        if changes.list.is_empty() && changes.unread.is_empty() {
            return Ok(store.drop()?);
        }
        list(&changes, true, MOST_LINES, &mut io::stderr())?;
        let (chosen, force) = match decide(&store, &changes, refused.as_ref())? {
            Decision::Keep { chosen, force } => (chosen, force),
            Decision::Drop => return Ok(store.drop()?),
            Decision::Leave => {
                say_where(&store);
                return Ok(());
            }
        };
        match applied(&store, &chosen, force) {
            Ok(all) if chosen.is_empty() && all.refused.is_empty() => return Ok(store.drop()?),
            Ok(some) => refused = some.has_conflicts().then_some(chosen),
            // Nothing was done, and the changes are still there.
            Err(error) => {
                say!("rootlet: {error}");
                if let Some(hint) = error.hint {
                    say!("hint: {hint}");
                }
            }
        }
    }
}

/// Asks until there is an answer.
fn decide(
    store: &Store,
    changes: &Changes,
    refused: Option<&Patterns>,
) -> anyhow::Result<Decision> {
    let force = refused.map_or("", |_| "[f]orce what was refused, ");
    let question =
        format!("[k]eep all, keep [s]ome, {force}show [d]ifferences, d[r]op, or [l]eave them? ");
    let keep = |chosen, force| Ok(Decision::Keep { chosen, force });
    loop {
        let Some(line) = answer(&question)? else {
            return Ok(Decision::Leave);
        };
        let line = String::from_utf8_lossy(&line);
        match (line.trim().to_lowercase().as_str(), refused) {
            ("k", _) => return keep(Patterns::default(), false),
            ("s", _) => {
                if let Some(chosen) = choose()? {
                    return keep(chosen, false);
                }
            }
            ("f", Some(refused)) => return keep(refused.clone(), true),
            ("d", _) => {
                paged(store, changes, &Patterns::default())?;
            }
            ("r", _) => return Ok(Decision::Drop),
            ("l", _) => return Ok(Decision::Leave),
            ("", _) => {}
            (other, _) => say!("rootlet: {other:?} is none of the letters in brackets"),
        }
    }
}

/// Asks for patterns; none if there are none.
fn choose() -> io::Result<Option<Patterns>> {
    let line = answer("which (paths, or patterns with * and **; names with spaces in quotes)? ")?;
    let words = words(&line.unwrap_or_default());
    if words.is_none() {
        say!("rootlet: a quote has no end");
    }
    let words: Vec<PathBuf> = words.into_iter().flatten().map(PathBuf::from).collect();
    Ok((!words.is_empty()).then(|| patterns(&words)))
}

/// A line from the terminal. None at its end, and when the user interrupts (^C), which then does not end this process.
fn answer(question: &str) -> io::Result<Option<Vec<u8>>> {
    let interrupt = SignalSet::only(libc::SIGINT);
    let interrupted = signalfd(interrupt)?;
    let before = set_signal_mask(SignalSet::ALL);
    set_signal_mask(SignalSet(before.0 | interrupt.0));
    eprint!("{question}");
    let line = read_line(&interrupted);
    take_pending(libc::SIGINT);
    set_signal_mask(before);
    if line.is_none() {
        say!();
    }
    Ok(line)
}

/// Reads letter by letter, so that nothing of the next line is taken, until `interrupted` can be read.
fn read_line(interrupted: impl AsFd) -> Option<Vec<u8>> {
    let terminal = rustix::stdio::stdin();
    let mut line = Vec::new();
    loop {
        let mut waiting = [
            PollFd::new(&interrupted, PollFlags::IN),
            PollFd::new(&terminal, PollFlags::IN),
        ];
        match poll(&mut waiting, None) {
            Err(Errno::INTR) => continue,
            result => result.ok()?,
        };
        if !waiting[0].revents().is_empty() {
            return None;
        }
        let mut letter = [0];
        match rustix::io::read(terminal, &mut letter) {
            Ok(0) if line.is_empty() => return None,
            Ok(0) => return Some(line),
            Ok(_) if letter == *b"\n" => return Some(line),
            Ok(_) => line.extend(letter),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // The terminal has gone.
            Err(_) => return None,
        }
    }
}
