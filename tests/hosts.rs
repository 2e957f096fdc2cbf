//! Places that refuse something: rootlet names what is refused and why, and nothing is less in silence.
//!
//! Each is made for real, by an ordinary user, out of user namespaces, limits, filters and mounts. docs/hosts.md shows the same
//! table, and packaging/apparmor/rootlet is what doctor prints; `UPDATE_GOLDENS=1 cargo test --test hosts` in a checkout writes
//! both anew; read the difference.

#[path = "hosts/document.rs"]
mod document;
#[path = "support/filter.rs"]
mod filter;
#[path = "support/place.rs"]
mod place;
mod support;
#[path = "hosts/table.rs"]
mod table;

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Result;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Dir, ROOTLET, Ran, finish};
use table::{OPEN, PLACES, Row, Run};

/// Says which namespaces these are, and whether /proc is that of this PID namespace.
const LOOK: &str = r#"
    for kind in user pid mnt ipc uts cgroup; do readlink /proc/self/ns/$kind; done
    read -r pid rest </proc/self/stat; [ "$pid" = $$ ] && echo "own /proc" || echo "another's /proc""#;

/// What depends on the machine more than on the place.
const OF_THE_MACHINE: [&str; 2] = ["tun", "cgroups"];

impl Row {
    /// How a command ends in this place.
    fn ran(&self, words: &[&str]) -> Ran {
        let dir = Dir::new();
        let words = [self.through, words].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        for mark in [
            "container",
            "KUBERNETES_SERVICE_HOST",
            "GITHUB_ACTIONS",
            "GITLAB_CI",
            "CIRCLECI",
        ] {
            command.env_remove(mark);
        }
        command.envs(self.variables.iter().copied());
        let (make, path) = (self.make, dir.path().to_path_buf());
        // SAFETY: system calls; what is allocated is allocated after a fork, for which the C library is prepared.
        unsafe { command.pre_exec(move || make(&path)) };
        finish(command)
    }

    /// What `rootlet doctor --json` finds in this place; none where the kernel ends it.
    fn examined(&self) -> Findings {
        let ran = self.ran(&[ROOTLET, "doctor", "--json"]);
        let json: Value = serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{}: {error}: {ran:#?}", self.place));
        let status = match text(&json["verdict"]) {
            "works" => 0,
            "steps-down" => 1,
            _ => 2,
        };
        assert_eq!(ran.status, status, "{}: {ran:#?}", self.place);
        Findings(json)
    }

    /// How `rootlet run` ends; a launch that is to work looks around, before rootlet and inside.
    fn launched(&self) -> Ran {
        let run = match self.options.contains(&"-t") {
            true => &[ROOTLET, "run"][..],
            false => &[ROOTLET, "run", "-t", "never"],
        };
        // For so long that the container is listed, or that it is said that it is not.
        let look = format!("sleep 0.3\n{LOOK}");
        let look = ["sh", "-c", &look];
        let command = match self.command {
            [] => &look[..],
            command => command,
        };
        // In the same place: the numbers of namespaces that have gone are used again.
        let before = format!("{LOOK}\nexec \"$@\"");
        let first = match self.run {
            Run::Works | Run::Less(_) => &["sh", "-c", &before, "sh"][..],
            _ => &[],
        };
        self.ran(&[first, run, self.options, &["--"], command].concat())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What doctor has found.
struct Findings(Value);

impl Findings {
    fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        self.0[key].as_array().into_iter().flatten()
    }

    /// The gates that are shut, each with the answer.
    fn shut(&self) -> Vec<(&str, String)> {
        let shut = self.list("gates").filter(|gate| {
            let state = text(&gate["state"]);
            state != "works" && state != "not-tried"
        });
        shut.map(|gate| {
            let answer = match gate["signal"].as_i64() {
                Some(_) => text(&gate["state"]),
                None => text(&gate["symbol"]),
            };
            (text(&gate["gate"]), answer.to_string())
        })
        .filter(|(gate, _)| !OF_THE_MACHINE.contains(gate))
        .collect()
    }

    /// The names of the causes of what is shut.
    fn causes(&self) -> BTreeSet<&str> {
        let of_gates = self
            .list("gates")
            .filter(|gate| !OF_THE_MACHINE.contains(&text(&gate["gate"])));
        let all = of_gates.chain(self.list("commands"));
        all.map(|line| text(&line["cause"]["id"]))
            .filter(|id| !id.is_empty())
            .collect()
    }

    /// The commands that do not work, or with less.
    fn but(&self) -> BTreeSet<String> {
        let words = |command: &Value| {
            let name = text(&command["command"]).trim_start_matches("rootlet ");
            match text(&command["state"]) {
                "works" => None,
                "steps-down" => Some(format!("{name} with less")),
                _ => Some(name.to_string()),
            }
        };
        self.list("commands").filter_map(words).collect()
    }
}

/// Words with commas between them.
fn listed<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<S> = words.into_iter().collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(", ")
}

/// What `rootlet doctor` finds in this place is what the table says: no more and no less is shut, each for its true cause.
fn doctor_names_it(row: &Row) -> Findings {
    let found = row.examined();
    let shut = found.shut();
    let shut = listed(shut.iter().map(|(gate, answer)| format!("{gate} {answer}")));
    assert_eq!(
        (&*shut, &*listed(found.causes()), &*listed(found.but())),
        (row.shut, row.causes, row.but),
        "{}",
        row.place
    );
    for command in found.list("commands") {
        let Some(name) = text(&command["error"]).strip_prefix("it needs: ") else {
            continue;
        };
        let works = |gate: &Value| gate["name"] == name && gate["state"] == "works";
        assert!(!found.list("gates").any(works), "{}: {command}", row.place);
    }
    found
}

/// `rootlet run` ends as the table says, with a hint that names the cause that doctor has found.
fn a_launch_says_so(row: &Row, found: &Findings) {
    let ran = row.launched();
    let place = row.place;
    let notes: Vec<&str> = ran
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("rootlet: note: "))
        .collect();
    match row.run {
        Run::Works => {
            assert_eq!((ran.status, &*ran.err), (0, ""), "{place}: {ran:#?}");
            nothing_is_less_in_silence(row, &ran, &notes);
        }
        Run::Less(expected) => {
            assert_eq!(ran.status, 0, "{place}: {ran:#?}");
            assert_eq!(notes.len(), expected.len(), "{place}: {ran:#?}");
            assert_eq!(ran.err.lines().count(), expected.len(), "{place}: {ran:#?}");
            for (note, start) in notes.iter().zip(expected) {
                assert!(note.starts_with(start), "{place}: {note} is not: {start}");
            }
            nothing_is_less_in_silence(row, &ran, &notes);
        }
        Run::Fails(status, words) => {
            let hint = ran.err.lines().find_map(|line| line.strip_prefix("hint: "));
            let hint = hint.unwrap_or_else(|| panic!("{place}: no hint: {ran:#?}"));
            let (last, others) = words.split_last().unwrap();
            assert!(hint.contains(last), "{place}: {last}: {ran:#?}");
            assert_eq!(ran.status, status, "{place}: {ran:#?}");
            for word in others {
                assert!(ran.err.contains(word), "{place}: {word}: {ran:#?}");
            }
            // A command that cannot be executed is nothing that doctor asks for.
            let is_cause = |cause: &Value| hint.starts_with(text(&cause["why"]));
            assert!(
                status != 125 || found.list("causes").any(is_cause),
                "{place}: doctor has not said: {hint}"
            );
        }
        Run::Killed(signal) => assert_eq!(ran.status, 128 + signal, "{place}: {ran:#?}"),
    }
}

/// Every namespace is new, and /proc is that of the new ones, unless a note says otherwise.
fn nothing_is_less_in_silence(row: &Row, ran: &Ran, notes: &[&str]) {
    if !row.command.is_empty() {
        return;
    }
    let lines: Vec<&str> = ran.out.lines().collect();
    let (outside, inside) = lines.split_at(lines.len() / 2);
    assert_eq!(inside.len(), 7, "{}: {ran:#?}", row.place);
    let said = |word: &str| notes.iter().any(|note| note.contains(word));
    for (before, now) in outside.iter().zip(inside) {
        let told = match now.split_once(':') {
            Some((kind, _)) => {
                before != now
                    || said(&format!(
                        "keep the host's {} namespace",
                        kind.to_uppercase()
                    ))
            }
            None => *now == "own /proc" || said("keep the host's /proc"),
        };
        assert!(told, "{}: {now} in silence: {ran:#?}", row.place);
    }
}

#[test]
fn every_place_is_named_and_nothing_is_less_in_silence() {
    if support::is_root() {
        return support::skip("root may do more than these places allow");
    }
    let open = OPEN.examined();
    assert_eq!(
        open.shut(),
        [],
        "these tests need a host that refuses nothing"
    );
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    // Most of the time goes by while the kernel ends namespaces.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(row) =
                    PLACES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let checked = std::panic::catch_unwind(|| {
                        let found = doctor_names_it(row);
                        a_launch_says_so(row, &found);
                        document::has_remedies(&found);
                    });
                    if checked.is_err() {
                        wrong.lock().unwrap().push(row.place);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} places: {wrong:#?}",
        wrong.len(),
        PLACES.len()
    );
}

#[test]
fn the_document_has_the_same_table() {
    document::has_table();
}

/// rootlet at /usr/bin/rootlet.
fn installed(dir: &Path) -> Result<()> {
    place::user()?;
    let dir = dir.to_string_lossy();
    place::cover(&[&dir])?;
    for name in ["upper", "work"] {
        std::fs::create_dir(format!("{dir}/{name}"))?;
    }
    std::fs::write(format!("{dir}/upper/rootlet"), "")?;
    let options = format!("userxattr,lowerdir=/usr/bin,upperdir={dir}/upper,workdir={dir}/work");
    place::mount("overlay", "/usr/bin", "overlay", 0, &options)?;
    place::bind(ROOTLET, "/usr/bin/rootlet")
}

#[test]
fn the_packaged_profile_is_what_doctor_prints_when_it_is_installed() {
    let row = Row {
        make: installed,
        ..OPEN
    };
    let printed = row.ran(&["/usr/bin/rootlet", "doctor", "--apparmor-profile"]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/apparmor/rootlet");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, printed.ok() + "\n").unwrap();
        return;
    }
    assert_eq!(printed.ok() + "\n", std::fs::read_to_string(path).unwrap());
}
