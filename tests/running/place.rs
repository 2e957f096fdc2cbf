//! The directory of the containers' folders: what is refused in its place.

use crate::places;
use crate::runtime::Runtime;
use crate::support::{Ran, finish, is_root, skip};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Requires that nothing with a name is started, for this reason.
#[track_caller]
fn refused(runtime: &Runtime, change: fn(&str) -> std::io::Result<()>, words: &[&str]) {
    let file = runtime.dir().at("started");
    let ran = |line: &[&str]| changed(runtime, change, line);
    for options in [&["-d"][..], &["--name", "web"], &["-d", "--name", "web"]] {
        let ran = ran(&[&["run", "-t", "never"], options, &["touch", &file]].concat());
        assert_eq!(ran.out, "");
        ran.fails(125, words);
        assert!(!Path::new(&file).exists(), "{options:?}");
    }
}

/// Runs `rootlet` where `change` has been made with the directory of the folders.
fn changed(runtime: &Runtime, change: fn(&str) -> std::io::Result<()>, words: &[&str]) -> Ran {
    let mut command = runtime.command(words);
    let place = runtime.place().to_str().unwrap().to_string();
    // SAFETY: the tests' other threads hold no lock that this needs: it allocates, as the standard library's own does.
    unsafe { command.pre_exec(move || change(&place)) };
    finish(command)
}

/// What is long enough to be listed goes on when it cannot be, and that is said.
#[track_caller]
fn goes_on_without(runtime: &Runtime, change: fn(&str) -> std::io::Result<()>, words: &[&str]) {
    let ran = changed(
        runtime,
        change,
        &["run", "-t", "never", "sh", "-c", "sleep 0.1; echo done"],
    );
    assert_eq!(ran.out, "done");
    ran.fails(
        0,
        &[&["note: the container was not listed"], words].concat(),
    );
}

fn untouched(_: &str) -> std::io::Result<()> {
    Ok(())
}

#[test]
fn l12_a_link_in_the_place_of_the_directory_of_containers_is_refused() {
    let runtime = Runtime::new();
    let elsewhere = runtime.dir().directory("elsewhere");
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o700)).unwrap();
    for target in [elsewhere.as_str(), "nowhere"] {
        std::os::unix::fs::symlink(target, runtime.place()).unwrap();
        let words = ["/rootlet", "symbolic link"];
        refused(&runtime, untouched, &words);
        goes_on_without(&runtime, untouched, &words);
        runtime.rootlet(&["ps"]).fails(125, &words);
        std::fs::remove_file(runtime.place()).unwrap();
    }
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    std::fs::write(runtime.place(), "").unwrap();
    refused(&runtime, untouched, &["/rootlet", "ENOTDIR"]);
}

#[test]
fn one_that_others_may_look_into_is_refused() {
    let runtime = Runtime::new();
    std::fs::create_dir(runtime.place()).unwrap();
    for mode in [0o755, 0o770, 0o701] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(runtime.place(), permissions).unwrap();
        let shown = format!("mode 0{mode:o}");
        let words = ["open to others", &shown, "chmod 700"];
        refused(&runtime, untouched, &words);
        goes_on_without(&runtime, untouched, &words[..2]);
        runtime.rootlet(&["ps"]).fails(125, &words);
    }
    assert_eq!(std::fs::read_dir(runtime.place()).unwrap().count(), 0);
}

#[test]
fn somebody_elses_is_refused() {
    if is_root() {
        return skip("root's own directory stands in for somebody else's");
    }
    let runtime = Runtime::new();
    std::fs::create_dir(runtime.place()).unwrap();
    fn somebody_elses(place: &str) -> std::io::Result<()> {
        places::user()?;
        places::bind("/usr", place)
    }
    let words = ["belongs to user", "XDG_RUNTIME_DIR"];
    refused(&runtime, somebody_elses, &words);
    goes_on_without(&runtime, somebody_elses, &words[..1]);
    changed(&runtime, somebody_elses, &["ps"]).fails(125, &words);
}

#[test]
fn a_read_only_file_system_is_a_clear_error() {
    let runtime = Runtime::new();
    fn read_only(place: &str) -> std::io::Result<()> {
        places::user()?;
        let parent = Path::new(place).parent().unwrap().to_str().unwrap();
        places::remount(parent, libc::MS_RDONLY)
    }
    let words = ["/rootlet", "EROFS"];
    refused(&runtime, read_only, &words);
    goes_on_without(&runtime, read_only, &words);
    // With a directory that is there.
    std::fs::create_dir(runtime.place()).unwrap();
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(runtime.place(), mode).unwrap();
    refused(&runtime, read_only, &words);
    goes_on_without(&runtime, read_only, &words);
    assert_eq!(changed(&runtime, read_only, &["ps", "-q"]).ok(), "");
}

#[test]
fn a_full_file_system_is_a_clear_error_and_leaves_nothing_half() {
    let runtime = Runtime::new();
    std::fs::create_dir(runtime.place()).unwrap();
    fn full(place: &str) -> std::io::Result<()> {
        places::user()?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        places::mount("tmpfs", place, "tmpfs", flags, "size=4k,mode=700")
    }
    refused(&runtime, full, &["ENOSPC", "write"]);
    goes_on_without(&runtime, full, &["ENOSPC"]);
    // No room for a folder.
    fn fuller(place: &str) -> std::io::Result<()> {
        places::user()?;
        places::mount("tmpfs", place, "tmpfs", 0, "nr_inodes=1,mode=700")
    }
    refused(&runtime, fuller, &["ENOSPC", "make the directory"]);
    // In the very place, one command after the other: what is refused has not taken the room.
    fn shell(runtime: &Runtime, script: &str) -> Ran {
        let place = runtime.place().to_str().unwrap().to_string();
        let script =
            format!(r#"mount -t tmpfs -o size=4k,mode=700 tmpfs {place}; {script}; ls -A {place}"#);
        runtime.shell(&format!("exec unshare -Urm sh -c '{script}'"))
    }
    let script = r#""$rootlet" run -d true; "$rootlet" run -d --name web true; "$rootlet" ps -a"#;
    let ran = shell(&runtime, script);
    assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
    assert!(ran.out.starts_with("NAME\t"), "{ran:?}");
}
