//! This machine.

use crate::support::{Dir, installed, shell, shell_with, skip};
use rootlet::host::look::{Changeable, DirectoryEntry, EntryKind, Look, ThisMachine};
use rootlet::host::mountinfo::MountInfo;
use rootlet::preset::pieces::{Piece, Pieces, pieces};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn found() -> Pieces {
    let info = MountInfo::read().unwrap();
    assert_eq!(info.skipped, []);
    pieces(info.visible(), &[], &ThisMachine::default())
}

/// The piece that is seen at `path`.
fn seen<'a>(found: &'a Pieces, path: &Path) -> &'a Piece {
    let pieces = found.pieces.iter();
    let over = pieces.filter(|piece| path.starts_with(piece.path()));
    over.max_by_key(|piece| piece.path().components().count())
        .unwrap_or_else(|| panic!("no piece covers {path:?}"))
}

/// Mounts each overlay that `found` names at or below `top`, one after the other.
fn mount_every_overlay(found: &Pieces, top: &Path) {
    let overlays: Vec<&OsStr> = found
        .pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Overlay { .. }) && piece.path().starts_with(top))
        .map(|piece| piece.path().as_os_str())
        .collect();
    assert!(overlays.len() > 2, "{found:?}");
    let dir = Dir::new();
    for name in ["upper", "work", "merged"] {
        dir.directory(name);
    }
    // A lower layer named `.` needs no care for `:`, `,` and `\` in its path. What an overlay leaves in its work
    // directory has no permissions, so that root inside has to remove it.
    let script = r#"cd "$1" && shift && exec unshare -Urm sh -c '
        top=$PWD
        for lower; do
            cd "$lower" &&
                mount -t overlay -o "userxattr,lowerdir=.,upperdir=$top/upper,workdir=$top/work" overlay "$top/merged" &&
                cd "$top" && ls -d merged/. >/dev/null && umount merged || { echo "$lower"; exit 1; }
        done
        cd "$top" && rm -r work' sh "$@""#;
    let arguments: Vec<&OsStr> = [dir.path().as_os_str()]
        .into_iter()
        .chain(overlays)
        .collect();
    shell_with(script, &arguments).ok();
}

/// Whether user namespaces are to be had; otherwise says so, and the test is to be skipped.
fn may_unshare() -> bool {
    let may = installed(&["unshare"]) && shell("unshare -Urm true").status == 0;
    if !may {
        skip("no user namespaces");
    }
    may
}

#[test]
fn every_overlay_named_for_this_machine_can_be_mounted() {
    if may_unshare() {
        mount_every_overlay(&found(), Path::new("/"));
    }
}

/// Where the next test, run in a namespace that it makes, finds its mounts.
const MOUNTS: &str = "ROOTLET_TEST_MOUNTS";

#[test]
fn mounts_in_a_directory_of_the_callers_own_are_led_around() {
    if let Some(top) = std::env::var_os(MOUNTS) {
        return check_mounts_of_ones_own(Path::new(&top));
    }
    if !may_unshare() {
        return;
    }
    let dir = Dir::new();
    for name in [
        "plain",
        "a b",
        "mounts/over",
        "mounts/fixed",
        "mounts/deep/er",
    ] {
        dir.directory(name);
    }
    dir.file("file", "text");
    let script = r#"exec unshare -Urm sh -ec '
        mount -t tmpfs t "$1/a b"
        mount -t tmpfs t "$1/mounts/over"; mkdir "$1/mounts/over/hidden"; mount -t tmpfs t "$1/mounts/over/hidden"
        mount -t tmpfs t "$1/mounts/over"
        mount -t tmpfs -o ro t "$1/mounts/fixed"
        mount -t tmpfs t "$1/mounts/deep/er"
        exec "$2" --exact live::mounts_in_a_directory_of_the_callers_own_are_led_around' sh "$@""#;
    let program = std::env::current_exe().unwrap();
    let script = format!("export {MOUNTS}=\"$1\"; {script}");
    let ran = shell_with(&script, &[dir.path().as_os_str(), program.as_os_str()]);
    assert!(ran.ok().contains("1 passed"));
}

fn check_mounts_of_ones_own(top: &Path) {
    let found = found();
    let at = |name: &str| {
        let piece = seen(&found, &top.join(name));
        assert_eq!(piece.path(), top.join(name));
        piece
    };
    assert!(
        matches!(seen(&found, top), Piece::Picture { writable: true, holds, .. } if holds.len() == 4)
    );
    for name in ["plain", "a b", "mounts/over", "mounts/deep/er"] {
        assert!(matches!(at(name), Piece::Overlay { .. }), "{name}");
    }
    assert!(matches!(at("mounts/deep"), Piece::Picture { .. }));
    assert!(matches!(at("mounts/fixed"), Piece::Bind { .. }));
    // Beside it other tests make and remove theirs.
    mount_every_overlay(&found, top);
}

#[test]
fn the_pieces_cover_the_root_and_catch_what_is_written_at_home() {
    let found = found();
    let root = &found.pieces[0];
    assert_eq!(root.path(), Path::new("/"));
    for DirectoryEntry { name, .. } in ThisMachine::default().entries(Path::new("/")).unwrap() {
        let path = Path::new("/").join(&name);
        let held = match root {
            Piece::Picture { holds, .. } => holds.iter().any(|held| held.name == name),
            _ => found.pieces.iter().any(|piece| piece.path() == path),
        };
        let ours = !["proc", "sys", "dev"].iter().any(|other| name == *other);
        assert_eq!(held, ours, "{path:?} in {found:?}");
    }
    let dir = Dir::new();
    assert!(seen(&found, dir.path()).catches_writes(), "{found:?}");
}

#[test]
fn a_look_tells_what_is_there() {
    let dir = Dir::new();
    dir.file("file", "text");
    dir.directory("directory");
    std::os::unix::fs::symlink("to/nowhere", dir.at("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.at("socket")).unwrap();
    let mut entries = ThisMachine::default().entries(dir.path()).unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let kinds: Vec<_> = entries.into_iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            EntryKind::Directory,
            EntryKind::File,
            EntryKind::Symlink("to/nowhere".into()),
            EntryKind::Other
        ]
    );
    let size = |name| ThisMachine::default().size(Path::new(&dir.at(name)));
    assert_eq!(size("file"), Some(4));
    assert_eq!([size("directory"), size("link"), size("gone")], [None; 3]);
    let errno = ThisMachine::default()
        .entries(Path::new(&dir.at("gone")))
        .unwrap_err();
    assert_eq!(errno.0, libc::ENOENT);
}

#[test]
fn whoever_owns_a_directory_may_change_it_whatever_its_mode() {
    let dir = Dir::new();
    dir.directory("directory");
    for mode in [0o700, 0o500, 0o400, 0o100, 0] {
        let set = |mode| std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode));
        set(mode).unwrap();
        let found = ThisMachine::default().changeable(dir.path());
        set(0o700).unwrap();
        let itself = Changeable {
            itself: true,
            directories: Vec::new(),
        };
        assert_eq!(found, itself, "{mode:o}");
    }
}

#[test]
fn of_directories_of_others_those_in_them_are_found_that_one_may_write() {
    if crate::support::is_root() {
        return skip("root may write anywhere");
    }
    let look = |path: &str| ThisMachine::default().changeable(Path::new(path));
    assert!(look("/tmp").itself);
    // Where one may be of the group that manages /usr/local.
    assert!(!look("/usr").itself);
    assert_eq!(look("/root"), Changeable::default());
    assert_eq!(look("/nowhere"), Changeable::default());
    let var = look("/var");
    assert!(
        !var.itself && var.directories.contains(&"tmp".into()),
        "{var:?}"
    );
}
