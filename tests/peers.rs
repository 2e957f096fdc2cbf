//! The same cases with unshare(1) or bwrap(1) on the other side: what they agree on, rootlet has to agree on too.

mod support;

use support::*;

const UNSHARE: &str = "unshare -Urpf -i -u -C --mount-proc --kill-child";
const BWRAP: &str = "bwrap --bind / / --dev-bind /dev /dev --proc /proc --unshare-user --unshare-pid --unshare-ipc \
                     --unshare-uts --unshare-cgroup --uid 0 --gid 0";

/// What `script` prints in a container of each: rootlet's, unshare's, bwrap's.
fn three(script: &str) -> [String; 3] {
    let started = [&format!("'{ROOTLET}' run -t never --"), UNSHARE, BWRAP];
    started.map(|start| shell_with(&format!("exec {start} sh -ec \"$1\""), &[script.as_ref()]).ok())
}

#[test]
fn ids_and_maps_are_as_unshare_and_bwrap_have_them() {
    if !installed(&["unshare", "bwrap"]) {
        return;
    }
    let [ours, unshare, bwrap] =
        three("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups");
    assert_eq!(ours, unshare);
    assert_eq!(ours, bwrap);
}

#[test]
fn the_same_namespaces_are_new() {
    if !installed(&["unshare", "bwrap"]) {
        return;
    }
    const KINDS: &str =
        "for kind in user pid mnt ipc uts cgroup net time; do readlink /proc/self/ns/$kind; done";
    let outside = shell(KINDS).ok();
    let new = |inside: String| -> Vec<bool> {
        inside
            .lines()
            .zip(outside.lines())
            .map(|(inside, outside)| inside != outside)
            .collect()
    };
    let [ours, unshare, bwrap] = three(KINDS).map(new);
    assert_eq!(ours, [true, true, true, true, true, true, false, false]);
    assert_eq!(ours, unshare);
    assert_eq!(ours, bwrap);
}

#[test]
fn root_inside_can_have_all_the_capabilities_that_unshare_gives() {
    if !installed(&["unshare"]) {
        return;
    }
    let sets = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status";
    let all = shell(&format!("'{ROOTLET}' run -t never --cap-add ALL -- {sets}"));
    assert_eq!(all.ok(), shell(&format!("{UNSHARE} {sets}")).ok());
}

#[test]
fn exit_statuses_are_those_of_unshare_where_it_tells_them_apart() {
    if !installed(&["unshare"]) {
        return;
    }
    for command in [
        "true",
        "false",
        "sh -c 'exit 42'",
        "/nonexistent/command",
        "/etc/passwd",
    ] {
        let status = |start: &str| shell(&format!("{start} {command} 2>/dev/null")).status;
        let ours = status(&format!("'{ROOTLET}' run -t never --"));
        assert_eq!(ours, status(UNSHARE), "{command}");
    }
}

#[test]
fn the_mounts_but_for_proc_are_those_that_unshare_shows() {
    if !installed(&["unshare", "bwrap"]) {
        return;
    }
    let [ours, unshare, _] = three("cut -d' ' -f4,5,6 /proc/self/mountinfo | sort");
    assert_eq!(ours, unshare);
}
