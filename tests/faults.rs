//! A launch in which one system call is refused ends in a clear error, or in the very container that was asked for; one
//! in which a process is killed leaves nothing.
//!
//! It happens at each system call of each process of a launch once, in a run of its own: see docs/faults.md. As a test
//! this is done at some of the calls; `scripts/faults` and `scripts/kills` do it at all, and with every errno.

#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/fingerprint.rs"]
mod fingerprint;
#[path = "faults/launch.rs"]
mod launch;
#[path = "faults/tally.rs"]
mod tally;
#[path = "faults/tracer.rs"]
mod tracer;
#[path = "faults/verdict.rs"]
mod verdict;

use launch::{Call, Job, KINDS, Launch};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;
use tally::Tally;
use tracer::Act;

/// What is done to launches, and as what test.
const TESTS: [(&str, &str); 2] = [
    (
        "faults",
        "a_refused_call_ends_in_an_error_or_in_the_same_container",
    ),
    ("kills", "l2_a_process_killed_at_any_call_leaves_nothing"),
];

/// How many runs of a matrix a test makes, evenly spread over it.
const MOST_FAULTS: usize = 80;
const MOST_KILLS: usize = 130;

/// A program of its own, without the harness, since the tracer waits for every process that it has.
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["tell", socket] => {
            print!("{}", fingerprint::take(socket));
            ExitCode::from(launch::STATUS)
        }
        ["sleep", _] => loop {
            std::thread::sleep(Duration::from_secs(300_000));
        },
        ["worker", what, kind, share, of] => {
            work(what, kind, share.parse().unwrap(), of.parse().unwrap());
            ExitCode::SUCCESS
        }
        ["only", kind, process, call, nth, act] => only(kind, process, call, nth, act),
        _ => test(&words),
    }
}

/// One run, that of a line which tells of a defect.
fn only(kind: &str, process: &str, call: &str, nth: &str, act: &str) -> ExitCode {
    let job = match act.starts_with('E') {
        true => Job::Tell,
        false => Job::Sleep,
    };
    let launch = Launch::new(kind, job);
    let is_meant = |known: &&Call| {
        let point = &known.point;
        verdict::name(&point.process) == process
            && calls::name(point.call) == call
            && point.nth.to_string() == nth
    };
    let Some(call) = launch.calls().iter().find(is_meant) else {
        println!("{process} of {kind} makes no such call");
        return ExitCode::FAILURE;
    };
    let act = match act {
        "launcher" => Act::Kill(Vec::new()),
        "child-0" => Act::Kill(vec![0]),
        "child-0-0" => Act::Kill(vec![0, 0]),
        errno => Act::Fail(calls::number(errno)),
    };
    let mut tally = Tally::default();
    let line = verdict::of(&launch, &(call, act));
    tally.note(&line);
    println!("{}", line.replace('\u{1}', "\n       "));
    match tally.is_clean() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Makes the tests whose names contain one of `words`, or all.
fn test(words: &[&str]) -> ExitCode {
    let names: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let mut defects = 0;
    for (what, test) in TESTS {
        let chosen = names.is_empty() || names.iter().any(|&&name| test.contains(name));
        if chosen && !words.contains(&"--list") {
            println!("\n{test}");
            // Every matrix, also after a defect.
            let kinds = KINDS.iter().filter(|kind| is_chosen(kind.name));
            defects += kinds.filter(|kind| !matrix(what, kind.name)).count();
        }
    }
    match defects {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Whether the matrix of this kind is made: all are, if none is asked for.
fn is_chosen(kind: &str) -> bool {
    let asked = std::env::var("ROOTLET_FAULTS_KINDS").unwrap_or_default();
    asked.is_empty() || asked.split(';').any(|it| it == kind)
}

/// Whether every run of a matrix is made.
fn is_full() -> bool {
    std::env::var_os("ROOTLET_FAULTS").is_some_and(|value| value == "full")
}

/// All the runs of one kind, shared out; prints a table, and whatever is wrong.
fn matrix(what: &str, kind: &str) -> bool {
    let workers = std::thread::available_parallelism().map_or(2, |number| number.get());
    let readers: Vec<_> = (0..workers)
        .map(|share| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args(["worker", what, kind])
                .args([share.to_string(), workers.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped());
            let mut worker = command.spawn().unwrap();
            let out = worker.stdout.take().unwrap();
            std::thread::spawn(move || read(worker, out))
        })
        .collect();
    let mut tally = Tally::default();
    for reader in readers {
        tally.add(reader.join().unwrap());
    }
    println!("{}", tally.table(kind));
    tally.is_clean()
}

/// What a worker has found, a line for each run; a defect is told at once.
fn read(mut worker: Child, out: ChildStdout) -> Tally {
    let mut tally = Tally::default();
    for line in BufReader::new(out).lines() {
        tally.note(&line.unwrap());
    }
    if !worker.wait().unwrap().success() {
        tally.note("- failed: a worker ended before its work");
    }
    tally
}

/// Does every `of`-th run of the matrix of `kind`, and prints a line for each.
fn work(what: &str, kind: &str, share: usize, of: usize) {
    let (job, most, matrix): (_, _, fn(&Launch) -> Vec<Run<'_>>) = match what {
        "faults" => (Job::Tell, MOST_FAULTS, faults),
        _ => (Job::Sleep, MOST_KILLS, kills),
    };
    let launch = Launch::new(kind, job);
    let runs = matrix(&launch);
    let wanted = if is_full() {
        runs.len()
    } else {
        most.min(runs.len())
    };
    let chosen = (0..wanted).map(|number| &runs[number * runs.len() / wanted]);
    let mut out = std::io::stdout();
    for run in chosen.skip(share).step_by(of) {
        writeln!(out, "{}", verdict::of(&launch, run)).unwrap();
    }
}

/// A run: what is done at which call.
type Run<'l> = (&'l Call, Act);

/// Each call that some process of a launch makes, refused with each errno.
fn faults(launch: &Launch) -> Vec<Run<'_>> {
    let refused = |call: &'_ _| {
        let errnos = calls::errnos(Call::number(call)).iter();
        errnos.map(|&errno| Act::Fail(errno)).collect::<Vec<_>>()
    };
    let calls = launch.calls().iter();
    let runs = calls.flat_map(|call| refused(call).into_iter().map(move |act| (call, act)));
    runs.collect()
}

/// Each call, with the launcher killed before it is made; with its first child, which is the first process inside, or for a
/// detached container the supervisor; and then with the first process inside.
fn kills(launch: &Launch) -> Vec<Run<'_>> {
    let victims = if launch.is_detached() { 3 } else { 2 };
    let runs = (0..victims).flat_map(|depth| {
        let living = launch.calls().iter().filter(move |call| call.living[depth]);
        living.map(move |call| (call, Act::Kill(vec![0; depth])))
    });
    runs.collect()
}
