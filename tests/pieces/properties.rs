//! What holds of every machine: trees of files and mounts made by chance, from fixed seeds.

use crate::recorded::{Node, Recorded};
use rootlet::host::look::EntryKind;
use rootlet::host::mountinfo::{MountInfo, MountPoint};
use rootlet::preset::pieces::{Held, Piece, Pieces, What, pieces};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const MACHINES: u64 = 3000;

/// xorshift64: the same numbers everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A machine, with the mount that is seen at each mount point.
struct Machine {
    mounts: MountInfo,
    files: Recorded,
    visible: BTreeMap<PathBuf, MountPoint>,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut nodes = BTreeMap::from([(PathBuf::from("/"), node(&mut chance, true))]);
        nodes.get_mut(Path::new("/")).unwrap().unlisted = false;
        for name in ["a", "b", "proc", "sys", "dev"] {
            grow(&mut chance, &mut nodes, Path::new("/").join(name), 0);
        }
        let files = Recorded(nodes);
        let (mounts, visible) = mount(&mut chance, &files);
        Machine {
            mounts,
            files,
            visible,
        }
    }

    fn pieces(&self) -> Pieces {
        pieces(self.mounts.visible(), &[], &self.files)
    }

    /// The mount that `path` is in.
    fn mount_of(&self, path: &Path) -> &MountPoint {
        let mut places = path.ancestors();
        places.find_map(|place| self.visible.get(place)).unwrap()
    }

    /// Whether the caller can write to `path`, on a file system whose writes are anybody's business.
    fn can_write(&self, path: &Path, node: &Node) -> bool {
        let mount = self.mount_of(path);
        let kinds = ["proc", "autofs", "nsfs", "vfat"];
        node.writable
            && self.files.is_reachable(path)
            && !is_left_out(path)
            && !mount.is_read_only()
            && !kinds.iter().any(|kind| mount.kind == *kind)
    }
}

fn node(chance: &mut Chance, directory: bool) -> Node {
    let shut = directory && chance.one_in(10);
    Node {
        kind: match directory {
            true => EntryKind::Directory,
            false => [
                EntryKind::File,
                EntryKind::File,
                EntryKind::Other,
                EntryKind::Symlink("x".into()),
            ][chance.below(4)]
            .clone(),
        },
        writable: chance.one_in(2),
        own: chance.one_in(2),
        shut: false,
        unlisted: directory && chance.one_in(10),
        taboo: false,
        size: [10, 1 << 20, 1 << 21][chance.below(3)],
    }
    .shut_if(shut)
}

impl Node {
    /// What cannot be searched cannot be written to either, whatever its mode.
    fn shut_if(self, shut: bool) -> Self {
        Node {
            shut,
            unlisted: self.unlisted || shut,
            writable: self.writable && !shut,
            ..self
        }
    }
}

fn grow(chance: &mut Chance, nodes: &mut BTreeMap<PathBuf, Node>, path: PathBuf, depth: usize) {
    let directory = depth == 0 || chance.below(3) > 0;
    let node = node(chance, directory);
    let directory = node.kind == EntryKind::Directory;
    nodes.insert(path.clone(), node);
    for name in ["a", "ab", "b", "c"] {
        if directory && depth < 4 && chance.one_in(2) {
            grow(chance, nodes, path.join(name), depth + 1);
        }
    }
}

/// Mounts at random places, some over others, some below what is covered later.
fn mount(chance: &mut Chance, files: &Recorded) -> (MountInfo, BTreeMap<PathBuf, MountPoint>) {
    let kinds = [
        "ext4", "ext4", "tmpfs", "overlay", "proc", "autofs", "nsfs", "vfat",
    ];
    let places: Vec<&PathBuf> = files
        .0
        .iter()
        .filter(|(_, node)| !matches!(node.kind, EntryKind::Symlink(_)))
        .map(|(path, _)| path)
        .collect();
    let mut lines = vec![line(10, 1, Path::new("/"), "ext4", "rw", "rw")];
    let mut visible = BTreeMap::new();
    let note = |line: &str, visible: &mut BTreeMap<PathBuf, MountPoint>| {
        let mount = MountInfo::parse(line.as_bytes()).mounts.remove(0);
        visible.retain(|place: &PathBuf, _| !place.starts_with(&mount.path));
        visible.insert(mount.path.clone(), mount);
    };
    note(&lines[0], &mut visible);
    for id in 11..11 + chance.below(9) as u32 {
        let place = *chance.pick(&places);
        let mut above = place.ancestors();
        let parent = above.find_map(|place| visible.get(place)).unwrap().id;
        let options = [["rw", "rw"], ["rw", "rw"], ["ro", "rw"], ["rw", "ro"]][chance.below(4)];
        let kind = chance.pick(&kinds);
        lines.push(line(id, parent, place, kind, options[0], options[1]));
        note(&lines[lines.len() - 1], &mut visible);
    }
    let at = chance.below(lines.len());
    lines.rotate_left(at);
    (MountInfo::parse(lines.concat().as_bytes()), visible)
}

fn line(id: u32, parent: u32, place: &Path, kind: &str, own: &str, super_options: &str) -> String {
    let place = place.display();
    format!("{id} {parent} 0:{id} / {place} {own} shared:1 - {kind} none {super_options}\n")
}

fn is_left_out(path: &Path) -> bool {
    let left_out = ["/proc", "/sys", "/dev"];
    left_out.iter().any(|place| path.starts_with(place))
}

/// Checks something of every machine.
fn every(check: impl Fn(&Machine, &Pieces)) {
    for seed in 1..=MACHINES {
        let machine = Machine::new(seed);
        let found = machine.pieces();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&machine, &found);
        }));
        if let Err(panic) = result {
            eprintln!("seed {seed}: {:#?}", machine.visible);
            eprintln!("{:#?}\n{}", machine.files.0, crate::text(&found));
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_visible_mounts_are_those_that_a_replay_leaves() {
    let mut covered = 0;
    for seed in 1..=MACHINES {
        let machine = Machine::new(seed);
        let ids: BTreeSet<u32> = machine.mounts.visible().iter().map(|m| m.id).collect();
        assert_eq!(ids, machine.visible.values().map(|m| m.id).collect());
        covered += machine.mounts.mounts.len() - ids.len();
    }
    assert!(covered > 500, "only {covered} mounts were covered");
}

#[test]
fn no_overlay_has_a_mount_below_it() {
    every(|machine, found| {
        for piece in &found.pieces {
            let path = piece.path();
            let below = |place: &&PathBuf| place.starts_with(path) && *place != path;
            if matches!(piece, Piece::Overlay { .. }) {
                assert_eq!(machine.visible.keys().find(below), None, "below {path:?}");
            }
        }
    });
}

#[test]
fn only_overlays_lie_below_an_overlay_and_none_twice_at_a_place_nor_where_others_lay() {
    every(|_, found| {
        let mut places = BTreeSet::new();
        for piece in &found.pieces {
            assert!(places.insert(piece.path()), "{piece:?} twice");
            assert!(!is_left_out(piece.path()), "{piece:?}");
        }
        let overlays = found.pieces.iter();
        for overlay in overlays.filter(|piece| matches!(piece, Piece::Overlay { .. })) {
            let mut below = found.pieces.iter();
            let is_other = |piece: &&Piece| {
                piece.path().starts_with(overlay.path()) && !matches!(piece, Piece::Overlay { .. })
            };
            assert_eq!(below.find(is_other), None);
        }
    });
}

#[test]
fn parents_come_before_children_and_have_a_place_for_them() {
    every(|machine, found| {
        let mut laid: BTreeMap<&Path, &Piece> = BTreeMap::new();
        for piece in &found.pieces {
            let path = piece.path();
            let above = path.ancestors().skip(1).find_map(|place| laid.get(place));
            match above {
                None => assert_eq!(path, Path::new("/")),
                Some(Piece::Bind { .. }) => {
                    let is_overlay = matches!(piece, Piece::Overlay { .. });
                    assert!(is_overlay || machine.visible.contains_key(path));
                }
                Some(Piece::Overlay { .. }) => assert!(matches!(piece, Piece::Overlay { .. })),
                Some(Piece::Directory { path: above }) => assert_eq!(path.parent(), Some(&**above)),
                Some(Piece::Picture {
                    path: above, holds, ..
                }) => {
                    assert_eq!(path.parent(), Some(&**above));
                    let held = holds.iter().find(|held| path.ends_with(&held.name));
                    let what = match piece {
                        Piece::File { .. } => What::File,
                        _ => What::Directory,
                    };
                    assert_eq!(held.unwrap().what, what, "{piece:?}");
                }
                Some(other) => panic!("{piece:?} lies on {other:?}"),
            }
            for later in &laid {
                assert!(
                    !later.0.starts_with(path),
                    "{path:?} comes after {:?}",
                    later.0
                );
            }
            laid.insert(path, piece);
        }
    });
}

/// Whether an overlay over `top` catches what is written to `path`, or could: the kernel copies only what is the
/// caller's, and of a new name the directories that lead to it.
fn could_catch(machine: &Machine, top: &Path, path: &Path) -> bool {
    let mut way = path.ancestors().take_while(|place| *place != top);
    way.all(|place| machine.files.0[place].own)
}

/// Whether `piece`, which is what is seen at `path`, catches what is written to that file or directory.
fn catches(machine: &Machine, piece: &Piece, path: &Path, directory: bool) -> bool {
    match piece {
        Piece::Overlay { path: top } => could_catch(machine, top, path),
        Piece::Picture {
            path: place,
            writable,
            ..
        } if directory => place == path && *writable,
        Piece::Picture {
            path: place, holds, ..
        } => {
            let is_copy =
                |held: &Held| path.file_name() == Some(&held.name) && held.what == What::Copy;
            path.parent() == Some(place) && holds.iter().any(is_copy)
        }
        _ => false,
    }
}

/// The largest directory without mounts below, but not the root, that `path` is in.
fn whole<'a>(machine: &Machine, path: &'a Path) -> Option<&'a Path> {
    let mounts_below = |place: &Path| {
        let below = |mount: &&PathBuf| mount.starts_with(place) && *mount != place;
        machine.visible.keys().any(|mount| below(&mount))
    };
    let places = path.ancestors().take_while(|place| !mounts_below(place));
    let is_directory = |place: &&Path| machine.files.0[*place].kind == EntryKind::Directory;
    places
        .filter(|place| *place != Path::new("/"))
        .filter(is_directory)
        .last()
}

/// Checks that each place that the caller can write to is caught by `found` or told of, if any overlay there could catch
/// it; says how many there are.
fn check_caught(machine: &Machine, found: &Pieces) -> usize {
    let mut checked = 0;
    for (path, node) in &machine.files.0 {
        let directory = node.kind == EntryKind::Directory;
        if !machine.can_write(path, node) || !directory && node.kind != EntryKind::File {
            continue;
        }
        let is_in_reach = |top: &Path| {
            let whole = &machine.files.0[top];
            let looks_into = !whole.own && !whole.writable && !whole.unlisted;
            let is_seen = looks_into && path.parent() == Some(top) && directory;
            could_catch(machine, top, path) || is_seen
        };
        if whole(machine, path).is_some_and(|top| !is_in_reach(top)) {
            continue;
        }
        checked += 1;
        let mut told = found.uncovered.iter();
        let told = told.any(|(place, _)| path.starts_with(place));
        let over = found.pieces.iter().filter(|p| path.starts_with(p.path()));
        let seen = over
            .max_by_key(|piece| piece.path().components().count())
            .unwrap();
        assert!(
            catches(machine, seen, path, directory) || told,
            "{path:?} {seen:?}"
        );
    }
    checked
}

#[test]
fn what_the_caller_can_write_is_caught_or_told_of() {
    let checked = std::cell::Cell::new(0);
    every(|machine, found| checked.set(checked.get() + check_caught(machine, found)));
    let checked = checked.get();
    assert!(checked > 8_000, "only {checked} were checked");
}

#[test]
fn on_a_copy_of_the_tree_the_same_is_caught() {
    every(|machine, found| {
        let mut left = found.clone().on_a_copy();
        left.pieces.insert(0, Piece::Bind { path: "/".into() });
        check_caught(machine, &left);
    });
}

#[test]
fn on_a_copy_of_the_tree_what_a_picture_hides_is_laid_again_and_nothing_else() {
    every(|_, found| {
        let left = found.clone().on_a_copy().pieces;
        let mut held_places = BTreeSet::new();
        for piece in &left {
            let Piece::Picture { path, holds, .. } = piece else {
                continue;
            };
            let laid = |held: &&Held| matches!(held.what, What::File | What::Directory);
            held_places.extend(holds.iter().filter(laid).map(|held| path.join(&held.name)));
        }
        for piece in &left {
            let held = held_places.remove(piece.path());
            assert!(held || piece.catches_writes(), "{piece:?}");
        }
        assert_eq!(held_places, BTreeSet::new(), "would be empty");
    });
}

#[test]
fn the_order_of_the_mounts_does_not_matter() {
    every(|machine, found| {
        let mut mounts = machine.mounts.clone();
        mounts.mounts.reverse();
        let again = pieces(mounts.visible(), &[], &machine.files);
        assert_eq!(*found, again);
    });
}

/// Wherever the caller works.
#[test]
fn a_place_that_the_caller_uses_is_caught_however_deep_it_lies_in_directories_of_others() {
    let mut deep = 0;
    for seed in 1..=MACHINES {
        let machine = Machine::new(seed);
        for (path, node) in &machine.files.0 {
            if node.kind != EntryKind::Directory || !machine.can_write(path, node) {
                continue;
            }
            let Some(top) = whole(&machine, path) else {
                continue;
            };
            let used = [path.clone()];
            let found = pieces(machine.mounts.visible(), &used, &machine.files);
            let over = found.pieces.iter().filter(|p| path.starts_with(p.path()));
            let seen = over.max_by_key(|piece| piece.path().components().count());
            let caught = seen.is_some_and(|piece| catches(&machine, piece, path, true));
            let told = found
                .uncovered
                .iter()
                .any(|(place, _)| path.starts_with(place));
            assert!(caught || told, "seed {seed}: {path:?} {seen:?}");
            deep += usize::from(!could_catch(&machine, top, path));
        }
    }
    assert!(deep > 500, "only {deep} lay deep");
}
