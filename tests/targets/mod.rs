//! What is fuzzed: functions that take any bytes, and panic where something does not hold that always has to.
//!
//! tests/fuzz.rs runs each of them over tests/corpus and over bytes drawn at random; fuzz/ gives them to libFuzzer. Whoever
//! adds one names it in [`TARGETS`], in fuzz/Cargo.toml and in fuzz/targets, and puts a few inputs into tests/corpus.
#![allow(dead_code, reason = "each program uses a part of it")]

pub mod draw;
pub mod filters;
pub mod invariants;

use rootlet::changes::Record as HostRecord;
use rootlet::child::record::{Place, Record};
use rootlet::front::bwrap::{Asked, Caller, Reader};
use rootlet::front::flags::Verb;
use rootlet::front::line::Line;
use rootlet::front::request::Request;
use rootlet::front::spec_file;
use rootlet::host::mountinfo::MountInfo;
use rootlet::plan::join::Join;
use rootlet::{Facts, Plan, Spec};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What is fuzzed: it takes any bytes.
pub type Target = fn(&[u8]);

/// Each target by its name.
pub const TARGETS: [(&str, Target); 8] = [
    ("bwrap", bwrap),
    ("flags", flags),
    ("mountinfo", mountinfo),
    ("plan", plan),
    ("records", records),
    ("seccomp", seccomp),
    ("spec_file", spec_file),
    ("state", state),
];

/// A command line, a word a line; the first is the verb. What it means can be written as a spec file, and planned.
pub fn flags(bytes: &[u8]) {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
    let mut words = bytes.split(|&byte| byte == b'\n');
    let verb = match words.next() {
        Some(b"try") => Verb::Try,
        Some(b"exec") => Verb::Exec,
        _ => Verb::Run,
    };
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).into()).collect();
    let Ok(line) = Line::read(&words, verb) else {
        return;
    };
    // These read files.
    if ["spec", "profile", "env-file"]
        .iter()
        .any(|name| line.has(name))
    {
        return;
    }
    if let Ok(request) = Request::new(&line, Spec::default()) {
        comes_back(&request.spec);
        is_planned(&request.spec, &draw::plain_facts(&request.spec));
    }
}

/// A command line of bubblewrap's, a word a line; the first line is what every descriptor has, with `|` for NUL. What it means
/// can be written as a spec file, and planned.
pub fn bwrap(bytes: &[u8]) {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
    let mut words = bytes.split(|&byte| byte == b'\n');
    let file = words.next().unwrap_or_default().to_vec();
    let file: Vec<u8> = file
        .into_iter()
        .map(|byte| if byte == b'|' { 0 } else { byte })
        .collect();
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).into()).collect();
    for uid in [0, 1000] {
        let caller = Caller {
            takes_trees: true,
            uid,
            gid: uid,
            cwd: Some("/home/me".into()),
            ..Caller::default()
        };
        let mut read = |_| Ok(file.clone());
        if let Ok(Asked::Launch(launch)) = Reader::default().read(&words, &caller, &mut read) {
            comes_back(&launch.spec);
            let facts = Facts {
                uid,
                gid: uid,
                ..draw::plain_facts(&launch.spec)
            };
            is_planned(&launch.spec, &facts);
        }
    }
}

/// A spec file, alone and on top of another. What it says can be written, and planned.
pub fn spec_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(spec) = spec_file::parse(text) else {
        return;
    };
    comes_back(&spec);
    is_planned(&spec, &draw::plain_facts(&spec));
    let base = Spec {
        hostname: Some("base".into()),
        env: vec!["BASE=1".into()],
        mounts: vec![rootlet::spec::Mount::Mask {
            target: "/base".into(),
        }],
        ..Spec::default()
    };
    let both = spec_file::add_text(&base, text).expect("what is a spec is one on top of another");
    assert_eq!(both.env[0], "BASE=1");
    assert_eq!(both.env[1..], spec.env);
    assert_eq!(both.mounts[1..], spec.mounts);
    assert_eq!(both.command, spec.command);
    assert_eq!(both.user, spec.user);
    assert_eq!(spec_file::add_text(&Spec::default(), text).unwrap(), spec);
}

/// Any spec and any host.
pub fn plan(bytes: &[u8]) {
    let mut draw = draw::Draw::new(bytes);
    let spec = draw.spec();
    let facts = draw.facts(&spec);
    is_planned(&spec, &facts);
}

/// A text of mountinfo: no line is lost, and every one that is understood is found again.
pub fn mountinfo(bytes: &[u8]) {
    let info = MountInfo::parse(bytes);
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty()).count();
    assert_eq!(info.mounts.len() + info.skipped.len(), lines);
    for mount in &info.mounts {
        assert!(mount.path.is_absolute());
    }
    let visible = info.visible();
    assert!(visible.len() <= info.mounts.len());
    for mount in visible {
        assert!(info.mounts.contains(mount));
    }
}

/// Messages of the processes inside, the names that they carry, and the record of the host that `rootlet try` keeps.
pub fn records(bytes: &[u8]) {
    for chunk in bytes.chunks(Record::SIZE) {
        match Record::from_bytes(chunk) {
            Some(record) => assert_eq!(record.to_bytes(), chunk),
            None => assert!(chunk.len() < Record::SIZE || chunk[0] > 9 || chunk[1] > 3),
        }
    }
    for name in bytes.split(|&byte| byte == b'\n' || byte == 0) {
        if let Some(place) = Place::from_name(name) {
            assert_eq!(place.name().as_c_str().to_bytes(), name);
        }
    }
    if let Some(record) = HostRecord::parse(bytes) {
        assert_eq!(HostRecord::parse(&record.to_bytes()), Some(record));
    }
}

/// What is known of containers and asked of their supervisors: files that somebody may have changed, and messages. What is
/// understood comes back, and of any details a plan is made of a command in that container, or an error.
pub fn state(bytes: &[u8]) {
    written_again::<rootlet::state::Request>(bytes);
    written_again::<rootlet::state::Reply>(bytes);
    written_again::<rootlet::state::Record>(bytes);
    written_again::<rootlet::state::Story>(bytes);
    if let Some(details) = written_again::<rootlet::state::Details>(bytes) {
        let spec = Spec {
            command: vec!["true".into()],
            ..Spec::default()
        };
        let join = Join {
            flags: libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNS,
            details: Some(&details),
            group: None,
            bus: None,
            spec: &spec,
            user: None,
        };
        let _ = Plan::join(&join, draw::plain_facts(&Join::bare()));
    }
    let name = std::str::from_utf8(bytes).ok();
    if let Some(name) = name.and_then(|text| text.parse::<rootlet::state::Name>().ok()) {
        let name = name.as_ref();
        assert!(!name.contains('/') && !name.starts_with(['.', '-']));
    }
}

/// What `bytes` mean, which is the same when it is written and read again.
fn written_again<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq>(
    bytes: &[u8],
) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert!(again == read, "{}", String::from_utf8_lossy(&text));
    Some(read)
}

/// A profile for a filter of system calls, in docker's format or TOML.
pub fn seccomp(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        filters::check(text);
    }
}

/// A spec that can be written is read as the same one.
fn comes_back(spec: &Spec) {
    if let Ok(text) = spec_file::print(spec) {
        match spec_file::parse(&text) {
            Ok(read) => assert_eq!(&read, spec, "{text}"),
            Err(error) => panic!("{error}: {text}"),
        }
    }
}

/// A spec is refused, or has a plan that holds.
pub fn is_planned(spec: &Spec, facts: &Facts) -> bool {
    let Ok(plan) = Plan::new(spec, facts) else {
        return false;
    };
    if let Err(broken) = invariants::check_against(&plan, spec, facts) {
        panic!("{broken}\n{spec:#?}\n{facts:#?}\n{:#?}", plan.explain());
    }
    assert_eq!(
        Plan::new(spec, facts).as_ref(),
        Ok(&plan),
        "the same input gives the same plan"
    );
    let explained = plan.explain();
    assert!(!explained.to_text(80).is_empty() && !explained.to_text(0).is_empty());
    true
}
