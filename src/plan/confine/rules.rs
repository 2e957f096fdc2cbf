//! The rules of a ruleset: which trees, and what may be done in each.

use super::rights::{DEVICE, FILE, READ, READ_DIR, WRITE};
use crate::error::{Error, Result};
use crate::host::Facts;
use crate::host::tree::{Found, Kind};
use crate::plan::views::name;
use crate::spec::{Mount, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Trees in which the same may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What may be done in them, of [`super::rights`].
    pub access: u64,
    /// Where they are.
    pub paths: Vec<PathBuf>,
    /// Whether they were found beside something else: one that is gone is left out.
    pub found: bool,
}

/// A place where other things may be done than around it.
#[derive(Clone, Debug)]
struct Place {
    access: u64,
    kind: Kind,
    /// The view that says so.
    view: String,
}

/// The rules that allow what `spec` allows of the host's files.
///
/// # Errors
/// What rules cannot say: they can only allow whole trees.
pub fn rules(spec: &Spec, facts: &Facts) -> Result<Vec<Rule>> {
    let base = if spec.read_only { READ } else { WRITE };
    let mut rules = Rules {
        places: places(spec, facts),
        facts,
        list: Vec::new(),
    };
    rules.tree(Path::new("/"), base, false)?;
    Ok(rules.list)
}

/// The places of the views, and of the devices; a later one covers what is below it.
fn places(spec: &Spec, facts: &Facts) -> BTreeMap<PathBuf, Place> {
    let mut places = BTreeMap::new();
    if spec.read_only {
        for Found { path, kind } in &facts.tree.devices {
            let (access, kind, view) = (DEVICE, *kind, String::new());
            places.insert(path.clone(), Place { access, kind, view });
        }
    }
    for (mount, found) in spec.mounts.iter().zip(&facts.tree.places) {
        let access = match mount {
            Mount::Mask { .. } => 0,
            Mount::Bind { read_only, .. } if *read_only => READ,
            _ => WRITE,
        };
        if let Some(Found { path, kind }) = found {
            let (kind, view) = (*kind, name(mount));
            places.retain(|place, _| !place.starts_with(path));
            places.insert(path.clone(), Place { access, kind, view });
        }
    }
    places
}

struct Rules<'a> {
    places: BTreeMap<PathBuf, Place>,
    facts: &'a Facts,
    list: Vec<Rule>,
}

impl Rules<'_> {
    /// Allows the tree at `path`, in which `around` may be done if nothing else is said of it.
    ///
    /// A rule holds for all that is below. So where less may be done somewhere below, only what may be done everywhere is
    /// allowed here, and the rest in each of the trees that are in here now: `found` says that this is one of those.
    fn tree(&mut self, path: &Path, around: u64, found: bool) -> Result<()> {
        let here = self.places.get(path);
        let access = here.map_or(around, |place| place.access);
        let found = found && here.is_none();
        let below = self.below(path);
        let common = below
            .iter()
            .fold(access, |common, (_, place)| common & place.everywhere());
        self.allow(common, vec![path.to_path_buf()], found);
        if common == access {
            // Everywhere below as much may be done, or more.
            return tops(&below)
                .iter()
                .try_for_each(|top| self.tree(top, access, false));
        }
        let narrower = below
            .iter()
            .find(|(_, place)| place.everywhere() & access != access);
        let view = narrower.map_or("", |(_, place)| &place.view).to_string();
        self.beside(path, access, &view)
    }

    /// Allows what is in `directory`, each by itself, since `view` is somewhere below.
    fn beside(&mut self, directory: &Path, access: u64, view: &str) -> Result<()> {
        let wrong = |why: String| {
            Err(Error::usage(format!("{view}: without namespaces {why}"))
                .with_hint("leave it out, or --no-namespaces"))
        };
        if directory.starts_with("/proc") {
            return wrong(
                "a part of /proc cannot be set apart, since processes come and go beside it".into(),
            );
        }
        let Some(listed) = self.facts.tree.listings.get(directory) else {
            return wrong(format!(
                "all that lies beside it has to be known, and {} cannot be listed",
                directory.display()
            ));
        };
        let leads = self.leading(directory);
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        for (entry, kind) in listed
            .iter()
            .filter(|(entry, _)| !leads.contains(entry.as_os_str()))
        {
            match kind {
                Kind::Directory => directories.push(directory.join(entry)),
                _ => files.push(directory.join(entry)),
            }
        }
        let leads: Vec<PathBuf> = leads.iter().map(|name| directory.join(name)).collect();
        self.allow(access, directories, true);
        self.allow(access & FILE, files, true);
        leads
            .iter()
            .try_for_each(|path| self.tree(path, access, true))
    }

    fn allow(&mut self, access: u64, paths: Vec<PathBuf>, found: bool) {
        let is_file = |path: &PathBuf| {
            self.places
                .get(path)
                .is_some_and(|it| it.kind != Kind::Directory)
        };
        let access = if paths.iter().any(is_file) {
            access & FILE
        } else {
            access
        };
        if access == 0 || paths.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some(last) if (last.access, last.found) == (access, found) => last.paths.extend(paths),
            _ => self.list.push(Rule {
                access,
                paths,
                found,
            }),
        }
    }

    /// The places below `path`.
    fn below(&self, path: &Path) -> Vec<(PathBuf, Place)> {
        let below = self
            .places
            .iter()
            .filter(|(place, _)| place.starts_with(path) && *place != path);
        below
            .map(|(path, place)| (path.clone(), place.clone()))
            .collect()
    }

    /// The names in `directory` that are places or lead to some.
    fn leading(&self, directory: &Path) -> BTreeSet<&OsStr> {
        let rest = self
            .places
            .keys()
            .filter_map(|place| place.strip_prefix(directory).ok());
        rest.filter_map(|rest| Some(rest.components().next()?.as_os_str()))
            .collect()
    }
}

impl Place {
    /// What may be done in all of it. A file that is hidden or read-only can be listed with those beside it.
    fn everywhere(&self) -> u64 {
        match self.kind {
            Kind::Directory => self.access,
            _ => self.access | READ_DIR,
        }
    }
}

/// Those of `places`, which are in order, that lie in no other of them.
fn tops(places: &[(PathBuf, Place)]) -> Vec<PathBuf> {
    let mut tops: Vec<PathBuf> = Vec::new();
    for (path, _) in places {
        if !tops.last().is_some_and(|top| path.starts_with(top)) {
            tops.push(path.clone());
        }
    }
    tops
}

#[cfg(test)]
mod tests {
    use super::super::rights::{EXECUTE, READ_FILE, TRUNCATE, WRITE_FILE};
    use super::*;
    use crate::host::tree::Tree;

    /// A small generator of numbers, so that every run tries the same trees.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, most: usize) -> usize {
            let next = self.0.wrapping_mul(6364136223846793005);
            self.0 = next.wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % most
        }
    }

    /// A small machine: every path with what it is.
    fn machine(numbers: &mut Numbers) -> Vec<(PathBuf, Kind)> {
        let mut paths = vec![(PathBuf::from("/"), Kind::Directory)];
        let mut next = 0;
        while next < paths.len() && paths.len() < 40 {
            if let (path, Kind::Directory) = paths[next].clone() {
                for name in ["a", "b", "c"].iter().take(1 + numbers.below(3)) {
                    let kind = [Kind::Directory, Kind::File][numbers.below(2)];
                    paths.push((path.join(name), kind));
                }
            }
            next += 1;
        }
        paths
    }

    fn facts(paths: &[(PathBuf, Kind)], places: Vec<Option<Found>>) -> Facts {
        let mut tree = Tree {
            places,
            ..Tree::default()
        };
        for (directory, _) in paths.iter().filter(|(_, kind)| *kind == Kind::Directory) {
            let inside = paths
                .iter()
                .filter(|(path, _)| path.parent() == Some(directory));
            let entry = |(path, kind): &(PathBuf, Kind)| (path.file_name().unwrap().into(), *kind);
            let listing = inside.map(entry).collect();
            tree.listings.insert(directory.clone(), listing);
        }
        Facts {
            tree,
            ..Facts::gather(&Spec::default()).unwrap()
        }
    }

    fn view(path: &Path, access: u64) -> Mount {
        match access {
            0 => Mount::Mask {
                target: path.into(),
            },
            access => Mount::same(path, access == READ),
        }
    }

    /// What the kernel allows at `path` under `rules`: what any rule does that is for it or for something around it.
    fn allowed(rules: &[Rule], path: &Path) -> u64 {
        let around = |rule: &&Rule| rule.paths.iter().any(|tree| path.starts_with(tree));
        rules
            .iter()
            .filter(around)
            .fold(0, |all, rule| all | rule.access)
    }

    #[test]
    fn each_path_gets_what_the_last_view_around_it_says() {
        let mut numbers = Numbers(1);
        let mut splits = 0;
        for _ in 0..2000 {
            let paths = machine(&mut numbers);
            let mut views: Vec<(PathBuf, Kind, u64)> = Vec::new();
            for _ in 0..numbers.below(4) {
                let (path, kind) = paths[1 + numbers.below(paths.len() - 1)].clone();
                views.push((path, kind, [0, READ, WRITE][numbers.below(3)]));
            }
            let spec = Spec {
                namespaces: false,
                read_only: numbers.below(2) == 0,
                mounts: views
                    .iter()
                    .map(|(path, _, access)| view(path, *access))
                    .collect(),
                ..Spec::default()
            };
            let found = |(path, kind, _): &(PathBuf, Kind, u64)| Found {
                path: path.clone(),
                kind: *kind,
            };
            let places = views.iter().map(|view| Some(found(view))).collect();
            let rules = rules(&spec, &facts(&paths, places)).unwrap();
            for (path, kind) in &paths {
                let last = views.iter().rev().find(|(view, ..)| path.starts_with(view));
                let base = if spec.read_only { READ } else { WRITE };
                let wanted = last.map_or(base, |view| view.2);
                let allowed = allowed(&rules, path);
                match kind {
                    Kind::Directory => {
                        splits += usize::from(allowed != wanted);
                        assert_eq!(
                            allowed & !wanted,
                            0,
                            "{} in {views:?}: {rules:?}",
                            path.display()
                        );
                    }
                    _ => assert_eq!(
                        allowed & FILE,
                        wanted & FILE,
                        "{} in {views:?}: {rules:?}",
                        path.display()
                    ),
                }
            }
        }
        assert!(splits > 500, "only {splits} directories lead to something");
    }

    #[test]
    fn what_is_made_later_beside_something_hidden_is_out_of_reach() {
        let mut numbers = Numbers(7);
        let paths = machine(&mut numbers);
        let (hidden, kind) = paths.last().unwrap().clone();
        let spec = Spec {
            namespaces: false,
            mounts: vec![view(&hidden, 0)],
            ..Spec::default()
        };
        let found = Found {
            path: hidden.clone(),
            kind,
        };
        let rules = rules(&spec, &facts(&paths, vec![Some(found)])).unwrap();
        let new = hidden.with_file_name("new");
        let to_use = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE;
        assert_eq!(allowed(&rules, &new) & to_use, 0);
    }
}
