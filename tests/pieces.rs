//! Of which overlays a root is put together: recorded machines, what holds of every machine, and this one.
//!
//! `UPDATE_GOLDENS=1 cargo test --test pieces` in a checkout writes tests/mountinfo/*.pieces anew; read the difference.

#[path = "pieces/live.rs"]
mod live;
#[path = "pieces/properties.rs"]
mod properties;
#[path = "pieces/recorded.rs"]
mod recorded;
mod support;

use recorded::Recorded;
use rootlet::host::mountinfo::MountInfo;
use rootlet::preset::pieces::{Piece, Pieces, What, pieces};

/// The pieces as text: one a line, and what a picture holds below it.
fn text(found: &Pieces) -> String {
    let mut text = String::new();
    for piece in &found.pieces {
        let path = piece.path().display();
        text += &match piece {
            Piece::Overlay { .. } => format!("overlay    {path}\n"),
            Piece::Bind { .. } => format!("bind       {path}\n"),
            Piece::File { .. } => format!("file       {path}\n"),
            Piece::Symlink { to, .. } => format!("symlink    {path} -> {}\n", to.display()),
            Piece::Directory { .. } => format!("directory  {path}\n"),
            Piece::Picture { writable, .. } => match writable {
                true => format!("picture    {path}\n"),
                false => format!("picture    {path} (no new names)\n"),
            },
        };
        let Piece::Picture { holds, .. } = piece else {
            continue;
        };
        for held in holds {
            let name = held.name.display();
            text += &match &held.what {
                What::Directory => format!("               directory {name}\n"),
                What::File => format!("               file {name}\n"),
                What::Copy => format!("               copy {name}\n"),
                What::Symlink(to) => format!("               symlink {name} -> {}\n", to.display()),
            };
        }
    }
    for (path, reason) in &found.uncovered {
        text += &format!("uncovered  {}: {reason}\n", path.display());
    }
    text
}

fn check(name: &str, mounts: &str, files: &str, golden: &str) {
    let info = MountInfo::parse(mounts.as_bytes());
    let text = text(&pieces(info.visible(), &[], &Recorded::parse(files)));
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let path = format!(
            "{}/tests/mountinfo/{name}.pieces",
            env!("CARGO_MANIFEST_DIR")
        );
        return std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, golden, "the pieces of {name} have changed");
}

macro_rules! golden {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(
                stringify!($name),
                include_str!(concat!("mountinfo/", stringify!($name), ".txt")),
                include_str!(concat!("mountinfo/", stringify!($name), ".files")),
                include_str!(concat!("mountinfo/", stringify!($name), ".pieces")),
            );
        })*
    };
}

golden!(single_root github_runner fedora nixos wsl2 docker snaps odd);
