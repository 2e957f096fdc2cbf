//! What only root can ask for: ranges of ids, written without newuidmap. Run as root, without the runner.

mod support;

use std::os::unix::fs::MetadataExt;
use support::{Dir, ROOTLET, field, inside, run, shell_with};

const RANGE: [&str; 4] = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

/// Whether ranges can be mapped; otherwise the test that calls this is skipped.
fn may_map() -> bool {
    if !support::is_root() {
        support::skip("this is about being root");
        return false;
    }
    true
}

#[test]
fn a_range_of_ids_is_mapped() {
    if may_map() {
        let script = "id -u; id -g; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; cat /proc/self/setgroups; id -G";
        let lines = inside(&RANGE, script);
        assert_eq!(lines, "0\n0\n 0 100000 65536\n 0 100000 65536\nallow\n0");
    }
}

#[test]
fn files_belong_to_the_outside_ids() {
    if may_map() {
        let dir = Dir::new();
        shell_with("chown 100000:100000 \"$1\"", &[dir.path().as_os_str()]).ok();
        let options = [&RANGE[..], &["-w", dir.text()]].concat();
        inside(&options, "touch zero; touch seven; chown 7:8 seven");
        let owner = |name: &str| {
            std::fs::metadata(dir.at(name))
                .map(|data| (data.uid(), data.gid()))
                .unwrap()
        };
        assert_eq!(
            (owner("zero"), owner("seven")),
            ((100000, 100000), (100007, 100008))
        );
    }
}

#[test]
fn an_id_of_the_range_has_no_capabilities() {
    if may_map() {
        for options in [&[][..], &["--no-init"], &["--share", "pid"]] {
            let options = [&RANGE[..], &["-u", "1000:1001"], options].concat();
            let status = inside(&options, "cat /proc/self/status");
            assert_eq!(field(&status, "Uid"), "1000\t1000\t1000\t1000");
            assert_eq!(field(&status, "Gid"), "1001\t1001\t1001\t1001");
            assert_eq!(field(&status, "Groups"), "");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(field(&status, set), "0".repeat(16), "{options:?} {set}");
            }
        }
    }
}

#[test]
fn by_default_root_maps_its_own_id_alone() {
    if may_map() {
        assert_eq!(
            inside(
                &[],
                "tr -s ' ' </proc/self/uid_map; cat /proc/self/setgroups"
            ),
            " 0 0 1\ndeny"
        );
        assert_eq!(inside(&["-u", "5:6"], "id -u; id -g"), "5\n6");
    }
}

#[test]
fn an_id_that_no_range_maps_is_an_error() {
    if may_map() {
        run(RANGE.iter().chain(&["-u", "65536", "true"])).fails(125, &["user 65536", "hint: "]);
        run(["--uidmap", "0:1:5", "--uidmap", "4:10:5", "true"]).fails(125, &["overlap"]);
    }
}

#[test]
fn nothing_is_left_when_rootlet_with_a_range_is_killed() {
    if may_map() {
        use std::io::BufRead;
        let script = ["sh", "-c", "sleep 1000 & echo ready; sleep 1000"];
        let mut command = support::rootlet(RANGE.iter().chain(&script));
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        support::send(child.id(), libc::SIGKILL);
        child.wait().unwrap();
        assert_eq!(
            (output.read_line(&mut line).unwrap(), &*line),
            (0, "ready\n")
        );
    }
}

#[test]
fn a_try_by_root_catches_what_is_written_and_says_what_cannot_be() {
    if !support::is_root() {
        return support::skip("this is about being root");
    }
    let dir = Dir::new();
    let kept = dir.at("kept");
    let script =
        "echo x >/etc/rootlet-was-here; id -u; if (: >/rootlet-was-here) 2>&-; then exit 9; fi";
    let mut command = std::process::Command::new(ROOTLET);
    command
        .args([
            "try", "-t", "never", "--keep", &kept, "--", "sh", "-c", script,
        ])
        .stdin(std::process::Stdio::null());
    let ran = support::finish(command);
    assert_eq!((ran.status, ran.out.as_str()), (0, "0"), "{ran:#?}");
    assert!(ran.err.contains("note: / is read-only"), "{ran:#?}");
    assert!(ran.err.contains("A /etc/rootlet-was-here"), "{ran:#?}");
    for path in ["/etc/rootlet-was-here", "/rootlet-was-here"] {
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
}
