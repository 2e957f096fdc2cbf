//! What is to be thought of a run in which a call was refused, or a process killed.

use crate::launch::{Call, Launch, Outcome, STATUS};
use crate::tally::GOOD;
use crate::tracer::{Act, Path};
use crate::{calls, fingerprint};

/// A call that waits, or looks once more, is made in most runs and not in all: so often it is looked for.
const ATTEMPTS: usize = 20;

/// Does a run, and judges what comes of it: what was done, the verdict and, for a defect, what was seen, with `\u{1}`
/// between its lines.
pub fn of(launch: &Launch, (call, act): &(&Call, Act)) -> String {
    let what = match act {
        Act::Fail(errno) => calls::symbol(*errno),
        Act::Kill(victim) => name(victim),
    };
    let outcome = (0..ATTEMPTS)
        .map(|_| launch.run(Some((&call.point, act))))
        .find(|outcome| outcome.seen.acted);
    let Some(outcome) = outcome else {
        return format!("{what} unmet");
    };
    let verdict = match act {
        Act::Fail(errno) => refused(launch, call, *errno, &outcome),
        Act::Kill(victim) => killed(launch, victim, &outcome),
    };
    if GOOD.contains(&verdict) {
        return format!("{what} {verdict}");
    }
    let (point, kind) = (&call.point, launch.name());
    let (process, made, nth) = (name(&point.process), calls::name(point.call), point.nth);
    let seen = details(launch, &outcome);
    format!("{what} {verdict}: at {process} of {kind}, {made} {nth}\u{1}{seen}")
}

fn refused(launch: &Launch, call: &Call, errno: i32, outcome: &Outcome) -> &'static str {
    let ran = !outcome.fingerprint.is_empty();
    let named = |path: &String| outcome.said.contains(path);
    match outcome.status {
        None => "hang",
        _ if outcome.seen.orphans > 0 => "orphan",
        // What could not be removed is told by its name.
        _ if !outcome.left.iter().all(named) => "leftover",
        Some(status) if status == i32::from(STATUS) => {
            match outcome.fingerprint == launch.unfaulted {
                true => "identical",
                false if says(&outcome.said, "rootlet: note: ", errno) => "told",
                false => "silent",
            }
        }
        // The dynamic loader and the language's runtime are not rootlet's, and speak for themselves.
        Some(1..) if call.before_main && !ran => "error",
        Some(1) if launch.is_bwraps() && says_as_bwrap(&outcome.said, errno) => match ran {
            true => "late",
            false => "error",
        },
        Some(125..=127) if says(&outcome.said, "rootlet: ", errno) => match ran {
            true => "late",
            false => "error",
        },
        _ => "vague",
    }
}

fn killed(launch: &Launch, victim: &Path, outcome: &Outcome) -> &'static str {
    // A launcher that is killed cannot decide what becomes of the changes that a try has caught.
    let is_killed = victim.is_empty();
    let kept = |path: &String| outcome.said.contains(path) || is_killed && launch.is_kept(path);
    match outcome.status {
        None => "hang",
        _ if outcome.seen.orphans > 0 => "orphan",
        _ if !outcome.left.iter().all(kept) => "leftover",
        Some(_) => "clean",
    }
}

/// Whether a line that starts with `start` names a step, and then the errno.
fn says(said: &str, start: &str, errno: i32) -> bool {
    let symbol = calls::symbol(errno);
    let mut lines = said.lines().filter_map(|line| line.strip_prefix(start));
    lines.any(|line| {
        let place = line.find(&format!("({symbol})"));
        place.is_some_and(|place| line[..place].contains(": "))
    })
}

/// Whether a line of bubblewrap's form ends with what strerror(3) says of the errno, or names it; or says that ids could not be had.
fn says_as_bwrap(said: &str, errno: i32) -> bool {
    let words = std::io::Error::from_raw_os_error(errno).to_string();
    let words = words
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_string();
    let mut lines = said.lines().filter_map(|line| line.strip_prefix("bwrap: "));
    lines.any(|line| line.contains(&words) || line.contains(&calls::symbol(errno)))
}

/// A process, as one word.
pub fn name(process: &Path) -> String {
    match process.is_empty() {
        true => "launcher".to_string(),
        false => {
            let numbers = process.iter().map(|number| format!("-{number}"));
            format!("child{}", numbers.collect::<String>())
        }
    }
}

fn details(launch: &Launch, outcome: &Outcome) -> String {
    let changed = match outcome.fingerprint.is_empty() {
        true => "no command ran".to_string(),
        false => fingerprint::difference(&launch.unfaulted, &outcome.fingerprint),
    };
    let (status, orphans) = (outcome.status, outcome.seen.orphans);
    let (left, said) = (&outcome.left, &outcome.said);
    let changed = shortened(&changed);
    let seen = format!("status {status:?}, orphans {orphans}, left {left:?}\n{changed}{said}");
    seen.trim_end().replace('\n', "\u{1}")
}

/// The first lines, which tell enough.
fn shortened(text: &str) -> String {
    const MOST: usize = 12;
    let mut lines: Vec<&str> = text.lines().take(MOST).collect();
    if text.lines().count() > MOST {
        lines.push("...");
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
