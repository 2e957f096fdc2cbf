//! `rootlet try`: the launch, and what is said and asked when the command has ended.

use super::changes;
use super::run::carry_out;
use rootlet::changes::{Covered, Store};
use rootlet::error::{Error, Result};
use rootlet::front::line::Line;
use rootlet::front::request::{Request, Restart};
use rootlet::host::look::{Look, ThisMachine};
use rootlet::host::mountinfo::MountInfo;
use rootlet::host::unanswered;
use rootlet::preset::attempt::{self, Layer, Lower, Parts};
use rootlet::preset::pieces::{Pieces, pieces};
use rootlet::preset::{need_namespaces, refine};
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Runs the command, and deals with what it has changed.
#[inline(never)]
pub fn attempt(line: &Line<'_>) -> anyhow::Result<u8> {
    let info = MountInfo::read()?;
    let machine = ThisMachine::default();
    let cwd = unanswered::working_directory()?;
    let found = pieces(info.visible(), &used(cwd.as_deref()), &machine);
    let layers = attempt::layers(&found, |path| machine.is_empty(path));
    machine.check()?;
    let kept = value(line, "keep");
    let directory = match kept {
        Some(directory) if directory.is_empty() => {
            return Err(Error::usage("keep \"\": the path is empty").into());
        }
        Some(directory) => named(Path::new(directory))?,
        None => place()?,
    };

    let parts = parts(&layers, &directory);
    let preset = attempt::preset(&found, &layers, &parts, &directory, cwd.as_deref());
    let views = preset.mounts.len();
    let mut request = Request::new(line, preset)?;
    need_namespaces("try", &request.spec)?;
    refuse(&request)?;
    refine(&mut request.spec, views, cwd.as_deref());
    if request.print_spec {
        return carry_out(request);
    }
    tell_uncovered(&found, request.spec.strict)?;

    let store = make_store(&directory, &layers, &parts, &request)?;
    let (explains, json) = (request.explain.is_some(), request.json);
    let status = carry_out(request);
    let changed = store.changes()?;
    if explains || (changed.list.is_empty() && changed.unread.is_empty()) {
        match status.is_ok() && !explains {
            true => changes::report_nothing(store, &changed, json)?,
            false => store.drop()?,
        }
        return status;
    }
    if let Err(error) = store.record(&changed) {
        say!("rootlet: note: {error}; so apply will note what the host has when it starts");
    }
    if kept.is_none() && !json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    {
        changes::ask(store)?;
    } else {
        changes::report(&store, &changed, json)?;
    }
    status
}

/// Where the caller works: what is written there is to be caught, however deep it lies in directories of others.
fn used(cwd: Option<&Path>) -> Vec<PathBuf> {
    let named = ["HOME", "TMPDIR"].into_iter().filter_map(std::env::var_os);
    let named = named.filter_map(|path| unanswered::real_path(Path::new(&path)).ok());
    let named = named.filter(|path| path.is_dir());
    cwd.map(Path::to_path_buf)
        .into_iter()
        .chain(named)
        .collect()
}

/// A try ends with a question, or a list.
fn refuse(request: &Request) -> Result<()> {
    let wrong = match (request.detach, request.restart) {
        (true, _) => "-d",
        (_, Restart::OnFailure(_)) => "--restart",
        _ => return Ok(()),
    };
    Err(Error::usage(format!(
        "rootlet try shows what a command has changed when that has ended: {wrong} has no place there"
    )))
}

/// The directory that the user names, with those above it as they are on the host.
fn named(directory: &Path) -> std::io::Result<PathBuf> {
    let directory = std::path::absolute(directory)?;
    let above = directory
        .parent()
        .and_then(|above| unanswered::real_path(above).ok());
    Ok(match (above, directory.file_name()) {
        (Some(above), Some(name)) => above.join(name),
        _ => directory,
    })
}

/// The value of an option.
fn value<'a>(line: &Line<'a>, long: &str) -> Option<&'a OsStr> {
    let mut options = line.options.iter();
    options.find_map(|(flag, value)| (flag.long == long).then_some(*value))
}

/// Where the changes go that nobody has named a place for: a new directory among the user's state.
fn place() -> Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .ok_or_else(|| {
            Error::usage("changes are kept in the home directory, and HOME is not set")
                .with_hint("say where with --keep DIR")
        })?;
    let tries = state.join("rootlet/try");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    // Most often it is there; if it cannot be looked at, to make it tells less of why.
    let made = match tries.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => builder.create(&tries),
        found => found.map(drop),
    };
    made.map_err(|error| {
        Error::setup(format!("make {}", tries.display()), error)
            .with_hint("changes are kept there; say where else with --keep DIR")
    })?;
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let name = now.trim_end_matches('Z').replace(':', "-");
    let more = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(more);
    let free = names.find_map(|name| Some(tries.join(name)).filter(|path| !path.exists()));
    Ok(free.unwrap_or(tries))
}

/// Where the parts of each layer are, in a store that is made in `directory`.
fn parts(layers: &[Layer<'_>], directory: &Path) -> Vec<Parts> {
    let part = |(number, layer): (usize, &Layer<'_>)| {
        let of = |what: &str| directory.join(what).join(number.to_string());
        Parts {
            lower: match layer.lower {
                Lower::Picture(_) => of("picture"),
                _ => layer.path.clone(),
            },
            upper: of("upper"),
            work: of("work"),
        }
    };
    layers.iter().enumerate().map(part).collect()
}

fn make_store(
    directory: &Path,
    layers: &[Layer<'_>],
    parts: &[Parts],
    request: &Request,
) -> Result<Store> {
    let covered = |layer: &Layer<'_>| Covered {
        path: layer.path.clone(),
        by_overlay: layer.lower != Lower::Nothing,
    };
    let covered: Vec<Covered> = layers.iter().map(covered).collect();
    let store = Store::create(directory, &covered, &request.spec.command)?;
    match make_pictures(layers, parts) {
        Ok(()) => Ok(store),
        Err(error) => {
            store.drop()?;
            Err(error)
        }
    }
}

fn make_pictures(layers: &[Layer<'_>], parts: &[Parts]) -> Result<()> {
    for (layer, parts) in layers.iter().zip(parts) {
        if let Lower::Picture(holds) = layer.lower {
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .create(&parts.lower);
            made.map_err(|error| Error::setup(format!("make {}", parts.lower.display()), error))?;
            attempt::make_picture(&parts.lower, &layer.path, holds)?;
        }
    }
    Ok(())
}

/// What the command could write outside, and cannot inside.
fn tell_uncovered(found: &Pieces, strict: bool) -> Result<()> {
    for (path, reason) in &found.uncovered {
        let said = format!("{} is read-only: {reason}", path.display());
        if strict {
            return Err(Error::usage(said));
        }
        say!("rootlet: note: {said} (--strict refuses this)");
    }
    Ok(())
}
