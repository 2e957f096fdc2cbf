//! What was found, in words and as JSON.

use super::{Ability, Examination, State, Tried};
use crate::error::Errno;
use crate::host::cause::Cause;
use crate::host::gate::{Answer, Gate};
use crate::host::remedy::Remedy;
use crate::plan::describe::signal_name;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The examination as `rootlet doctor --json` prints it. Keys and their words stay as they are; others may be added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Json<'a> {
    /// rootlet's version.
    rootlet: &'static str,
    kernel: &'a str,
    uid: u32,
    /// The state of plain `rootlet run`.
    verdict: State,
    gates: Vec<GateLine<'a>>,
    commands: &'a [Ability],
    causes: Vec<CauseLine>,
    /// Directories in which nothing can be executed.
    no_exec: &'a [PathBuf],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct GateLine<'a> {
    gate: Gate,
    name: &'static str,
    /// `works`, `refused`, `killed`, `absent` or `not-tried`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Gate>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct CauseLine {
    #[serde(flatten)]
    cause: Cause,
    why: String,
    gates: Vec<Gate>,
    remedies: Vec<Remedy>,
}

impl<'a> Json<'a> {
    /// Of this examination.
    pub fn new(examination: &'a Examination) -> Self {
        let gates = examination.findings.iter().map(|finding| {
            let mut line = GateLine {
                gate: finding.gate,
                name: finding.gate.name(),
                state: "works",
                detail: finding.detail.as_deref(),
                errno: None,
                symbol: None,
                signal: None,
                cause: None,
                needs: None,
            };
            match &finding.result {
                Tried::Works => {}
                Tried::Needs(gate) => {
                    line.state = "not-tried";
                    line.needs = Some(*gate);
                }
                Tried::Shut(answer, cause) => {
                    line.cause = Some(cause);
                    match answer {
                        Answer::Killed(signal) => {
                            line.state = "killed";
                            line.signal = Some(*signal);
                        }
                        Answer::Refused(errno) => {
                            line.state = "refused";
                            line.errno = Some(*errno);
                            line.symbol = Some(Errno(*errno).symbol());
                        }
                        Answer::Works | Answer::Absent => line.state = "absent",
                    }
                }
            }
            line
        });
        let causes = examination.causes().into_iter();
        Json {
            rootlet: env!("CARGO_PKG_VERSION"),
            kernel: &examination.place.kernel,
            uid: examination.place.uid,
            verdict: examination.verdict(),
            gates: gates.collect(),
            commands: &examination.abilities,
            causes: causes
                .map(|(cause, gates, remedies)| CauseLine {
                    why: cause.why(),
                    cause,
                    gates,
                    remedies,
                })
                .collect(),
            no_exec: &examination.place.no_exec,
        }
    }
}

/// The examination for people.
pub fn text(examination: &Examination) -> String {
    let mut text = heading(examination);
    text += "\nWhat the host allows:\n";
    for finding in &examination.findings {
        let (mark, said) = match &finding.result {
            Tried::Works => ("yes", finding.detail.clone().unwrap_or_default()),
            Tried::Needs(gate) => ("-", format!("not tried: it needs {}", article(*gate))),
            Tried::Shut(answer, cause) => ("NO", answered(answer) + &cause.why()),
        };
        line(&mut text, mark, finding.gate.name(), &said);
    }
    text += "\nWhat rootlet can do here:\n";
    for ability in &examination.abilities {
        let (mark, said) = match ability.state {
            State::Works => ("yes", String::new()),
            State::StepsDown => ("less", ability.stepped_down.join("; ")),
            State::Impossible => ("NO", ability.error.clone().unwrap_or_default()),
        };
        line(&mut text, mark, ability.command, &said);
    }
    for place in &examination.place.no_exec {
        let said = "nothing in it can be executed: it is mounted noexec";
        line(&mut text, "note", &place.display().to_string(), said);
    }
    let causes = examination.causes();
    if causes.iter().any(|(_, _, remedies)| !remedies.is_empty()) {
        text += "\nWhat can be done:\n";
        for (cause, gates, remedies) in &causes {
            remedied(&mut text, cause, gates, remedies);
        }
    }
    text
}

fn heading(examination: &Examination) -> String {
    let place = &examination.place;
    let verdict = match examination.verdict() {
        State::Works => "`rootlet run` works here",
        State::StepsDown => "`rootlet run` works here, with something weaker in one place",
        State::Impossible => "`rootlet run` does not work here",
    };
    format!(
        "{verdict}: rootlet {}, Linux {}, user id {}\n",
        env!("CARGO_PKG_VERSION"),
        place.kernel,
        place.uid,
    )
}

fn line(text: &mut String, mark: &str, name: &str, said: &str) {
    let row = format!("  {mark:<4} {name:<28} {said}");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", row.trim_end());
}

fn article(gate: Gate) -> String {
    match gate.name() {
        name if gate.namespace().is_some() => format!("a {name}"),
        name => name.to_string(),
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Works | Answer::Absent => String::new(),
        Answer::Refused(errno) => Errno(*errno).symbol() + ": ",
        Answer::Killed(signal) => format!("killed by {}: ", signal_name(*signal)),
    }
}

fn remedied(text: &mut String, cause: &Cause, gates: &[Gate], remedies: &[Remedy]) {
    if remedies.is_empty() {
        return;
    }
    let names: Vec<&str> = gates.iter().map(|gate| gate.name()).collect();
    let about = match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", names.join(", ")),
    };
    let _ = writeln!(text, "  {}{about}", cause.why());
    for remedy in remedies {
        let _ = writeln!(text, "    {}: {}", remedy.who, remedy.what);
        for line in &remedy.lines {
            let _ = writeln!(text, "        {line}");
        }
    }
}

/// An AppArmor profile that lets `program` make user namespaces (apparmor.d(5), userns; ABI 4.0).
pub fn apparmor_profile(program: &Path) -> String {
    let mut path = String::new();
    for letter in program.to_string_lossy().chars() {
        if "*?[]{}^\"\\".contains(letter) {
            path.push('\\');
        }
        path.push(letter);
    }
    format!(
        "# Lets rootlet make user namespaces where kernel.apparmor_restrict_unprivileged_userns is 1,
# as on Ubuntu since 24.04. Load it with: sudo apparmor_parser -r /etc/apparmor.d/rootlet
abi <abi/4.0>,
include <tunables/global>

profile rootlet \"{path}\" flags=(unconfined) {{
  userns,

  include if exists <local/rootlet>
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_the_program_whatever_letters_it_has() {
        let profile = apparmor_profile(Path::new("/home/a b/ro[o]t{let"));
        assert!(
            profile.contains(r#"profile rootlet "/home/a b/ro\[o\]t\{let" flags=(unconfined) {"#)
        );
        assert!(profile.contains("\n  userns,\n"));
    }
}
