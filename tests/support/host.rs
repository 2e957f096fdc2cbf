//! A machine for a test: what an ordinary user has of one, made in memory by an outer container, so that a sandbox meets
//! the true paths and nothing is left anywhere.

use crate::support::{ROOTLET, Ran, finish, rootlet};
use std::process::Command;

/// What every script starts with: a home directory with a project in it; `sandbox` runs `rootlet sandbox`; and what the
/// user might write, were it not for a sandbox.
const START: &str = r#"
rootlet=/opt/rootlet
export HOME=/home/me XDG_RUNTIME_DIR=/run/user/$(id -u) XDG_CONFIG_HOME=
mkdir -p $HOME/project /home/other $XDG_RUNTIME_DIR /srv/deep/data
sandbox() { "$rootlet" sandbox -t never "$@"; }
cd $HOME/project
"#;

/// What a shell script does on a machine where /home, /run, /srv, /tmp and /var/tmp are the user's, who is in
/// /home/me/project. `variables` are the environment's.
pub fn on_a_host(variables: &[(&str, &str)], script: &str) -> Ran {
    on_a_host_with(&[], variables, script)
}

/// The same, with options for the outer container.
pub fn on_a_host_with(options: &[&str], variables: &[(&str, &str)], script: &str) -> Ran {
    let program = format!("{ROOTLET}:/opt/rootlet:ro");
    let places = ["/home", "/run", "/srv", "/tmp", "/var/tmp", "/opt"];
    let places = places.iter().flat_map(|place| ["--tmpfs", place]);
    let fixed = ["-u", "keep", "-w", "/", "-v", &program];
    let shell = ["--", "sh", "-ec"];
    let script = format!("{START}{script}");
    let words = places.chain(fixed).chain(options.iter().copied());
    let mut command: Command = rootlet(words.chain(shell).chain([script.as_str()]));
    command.envs(variables.iter().copied());
    finish(command)
}
