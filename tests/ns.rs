//! `rootlet ns`: the namespaces that can be seen, who owns them and who is in them, and where one process is.

mod support;

use rootlet::namespaces::{Containers, Facts, Node, Tree, Whereabouts};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::{DEADLINE, Dir, ROOTLET, Ran, finish, inside, installed, rootlet, run};

/// What `rootlet ns` with `arguments` prints.
fn ns(arguments: &[&str]) -> Ran {
    let mut command = Command::new(ROOTLET);
    command.arg("ns").args(arguments).stdin(Stdio::null());
    finish(command)
}

/// As [`ns`], as JSON.
#[track_caller]
fn parsed(arguments: &[&str]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    serde_json::from_str(&ns(&arguments).ok()).unwrap()
}

/// The namespaces of a tree, whatever their depth.
fn flat(tree: &Value) -> Vec<&Value> {
    fn add<'a>(all: &mut Vec<&'a Value>, nodes: &'a Value) {
        for node in nodes.as_array().unwrap() {
            all.push(node);
            add(all, &node["owns"]);
        }
    }
    let mut all = Vec::new();
    add(&mut all, &tree["namespaces"]);
    all
}

fn node(tree: &Value, id: u64) -> &Value {
    let mut nodes = flat(tree).into_iter();
    let found = nodes.find(|node| node["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {tree:#}"))
}

/// The namespaces in lines such as `mnt:[4026531841]`.
fn links(lines: impl IntoIterator<Item = String>) -> BTreeMap<String, u64> {
    let link = |line: String| {
        let (kind, id) = line.trim_end_matches(']').split_once(":[").unwrap();
        (kind.to_string(), id.parse().unwrap())
    };
    lines.into_iter().map(link).collect()
}

const KINDS: [&str; 8] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"];

fn own() -> BTreeMap<String, u64> {
    links(KINDS.map(|kind| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        link.to_str().unwrap().to_string()
    }))
}

/// A container with one process besides init, which stays until this is dropped.
struct Container {
    launcher: Child,
    /// The namespaces of its command, by kind.
    namespaces: BTreeMap<String, u64>,
}

impl Container {
    fn new(options: &[&str]) -> Self {
        let script = "cd /proc/self/ns; readlink user mnt pid net ipc uts cgroup time; echo; read -r end || :";
        let mut command = rootlet(options.iter().chain(&["--", "sh", "-ec", script]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut launcher = command.spawn().unwrap();
        let lines = BufReader::new(launcher.stdout.take().unwrap()).lines();
        // At the empty line readlink is gone, and nothing comes or goes any more.
        let lines = lines
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty());
        let namespaces = links(lines);
        assert_eq!(namespaces.len(), KINDS.len(), "{namespaces:?}");
        Container {
            launcher,
            namespaces,
        }
    }

    /// A process of its, as seen here.
    fn pid(&self, tree: &Value) -> i32 {
        let pid = &node(tree, self.namespaces["pid"])["pid"];
        pid.as_i64().unwrap() as i32
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.launcher.stdin.take());
        let _ = self.launcher.wait();
    }
}

#[test]
fn the_user_namespace_of_a_container_is_below_ones_own_and_owns_the_others() {
    let container = Container::new(&[]);
    let tree = parsed(&[]);
    let user = node(&tree, container.namespaces["user"]);
    assert_eq!(user["owner"], own()["user"]);
    assert_eq!(user["own"], false);
    assert!(
        user["command"]
            .as_str()
            .unwrap()
            .contains("readlink user mnt")
    );
    let owned: Vec<&str> = user["owns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["kind"].as_str().unwrap())
        .collect();
    assert_eq!(owned, ["mnt", "pid", "ipc", "uts", "cgroup"]);
    for kind in owned {
        let node = node(&tree, container.namespaces[kind]);
        assert_eq!(node["owner"], user["id"], "{kind}");
        assert_eq!(node["processes"], user["processes"], "{kind}");
    }
    let pid = node(&tree, container.namespaces["pid"]);
    assert_eq!(pid["parent"], own()["pid"]);
}

#[test]
fn ones_own_namespaces_are_marked_and_no_other() {
    let _container = Container::new(&["--net", "none"]);
    let tree = parsed(&[]);
    let marked = flat(&tree).into_iter().filter(|node| node["own"] == true);
    let marked = marked.map(|node| {
        let kind = node["kind"].as_str().unwrap().to_string();
        (kind, node["id"].as_u64().unwrap())
    });
    let marked: Vec<(String, u64)> = marked.collect();
    assert_eq!(marked.len(), KINDS.len(), "{marked:?}");
    assert_eq!(BTreeMap::from_iter(marked), own());
    let text = ns(&[]).ok();
    for (kind, id) in own() {
        let row = format!("{kind} {id} *");
        assert!(text.contains(&row), "no {row:?} in {text}");
    }
}

/// In a container, where no other test's processes come and go: its own namespaces, those of another in it, and those of
/// the host that it shares, whose owner cannot be seen.
#[test]
fn namespaces_owners_parents_and_processes_are_those_that_lsns_finds() {
    if !installed(&["lsns", "unshare"]) {
        return;
    }
    let dir = Dir::new();
    let ready = dir.at("ready");
    let said = inside(
        &[],
        &format!(
            "unshare --user --map-root-user --pid --fork --mount sh -c 'echo >{ready}; exec sleep 1000' &
            until [ -e {ready} ]; do :; done
            {ROOTLET} ns --json
            echo
            lsns -rn -o NS,TYPE,NPROCS,PID,ONS,PNS
            :"
        ),
    );
    let (ours, theirs) = said.split_once("\n\n").unwrap();
    let tree: Value = serde_json::from_str(ours).unwrap();
    let mut ours: Vec<String> = flat(&tree).into_iter().map(row).collect();
    let mut theirs: Vec<String> = theirs.lines().map(String::from).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 11);
}

/// A namespace as lsns has it.
fn row(node: &Value) -> String {
    let number = |key: &str| node[key].as_u64().unwrap_or_default();
    format!(
        "{} {} {} {} {} {}",
        number("id"),
        node["kind"].as_str().unwrap(),
        number("processes"),
        number("pid"),
        number("owner"),
        number("parent")
    )
}

#[test]
fn those_whose_owner_cannot_be_seen_are_at_the_top() {
    let said = inside(&[], &format!("{ROOTLET} ns --json; :"));
    let tree: Value = serde_json::from_str(&said).unwrap();
    let top = tree["namespaces"].as_array().unwrap();
    let top: Vec<&str> = top
        .iter()
        .map(|node| node["kind"].as_str().unwrap())
        .collect();
    assert_eq!(top, ["net", "time", "user"]);
    for node in flat(&tree) {
        let host = own()[node["kind"].as_str().unwrap()];
        let shared = node["id"] == host;
        assert_eq!(
            node["owner"].is_null(),
            shared || node["kind"] == "user",
            "{node:#}"
        );
    }
}

#[test]
fn processes_that_may_not_be_looked_at_are_counted_and_said() {
    let said = |options: &[&str]| {
        let script = format!("{ROOTLET} ns; {ROOTLET} ns --json; :");
        let said = inside(options, &script);
        let (text, json) = said.split_once("\n{").unwrap();
        let json: Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        let last = text.lines().next_back().unwrap().to_string();
        (last, json["processes"].clone(), json["unreadable"].clone())
    };
    // init hides.
    let left_out = "left out: 1 process that may not be looked at".to_string();
    assert_eq!(said(&[]), (left_out, json!(2), json!(1)));
    let (last, processes, unreadable) = said(&["--no-init"]);
    assert!(!last.contains("left out"), "{last}");
    assert_eq!((processes, unreadable), (json!(2), json!(0)));
}

#[test]
fn a_process_has_its_namespaces_owners_maps_and_ids() {
    let container = Container::new(&["-u", "1234:5678"]);
    let pid = container.pid(&parsed(&[]));
    let place = parsed(&[&pid.to_string()]);
    let mut found = BTreeMap::new();
    for at in place["namespaces"].as_array().unwrap() {
        let kind = at["kind"].as_str().unwrap().to_string();
        let shared = ["net", "time"].contains(&&*kind);
        assert_eq!(at["own"], shared, "{kind}");
        let owner = match shared || kind == "user" {
            true => own()["user"],
            false => container.namespaces["user"],
        };
        assert!(
            at["owner"] == owner || owner_is_unseen(&at["owner"], shared),
            "{at:#}"
        );
        found.insert(kind, at["id"].as_u64().unwrap());
    }
    assert_eq!(found, container.namespaces);
    assert_eq!(place["pid"], pid);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let chain: Vec<i32> = support::field(&status, "NSpid")
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(place["nspid"], json!(chain));
    assert_eq!(chain.len(), 2);
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let map = |inside, outside| json!([{"inside": inside, "outside": outside, "count": 1}]);
    assert_eq!(place["uid-map"], map(1234, uid));
    assert_eq!(place["gid-map"], map(5678, gid));
    let text = ns(&[&pid.to_string()]).ok();
    for words in [
        format!(
            "process id {pid} here, {} in the PID namespaces below",
            chain[1]
        ),
        format!("user id 1234 inside is {uid} outside (1 id)"),
        format!("group id 5678 inside is {gid} outside (1 id)"),
    ] {
        assert!(text.contains(&words), "no {words:?} in {text}");
    }
}

/// Where the tests themselves run below the first user namespace, the owner of what is the host's is beyond it.
fn owner_is_unseen(owner: &Value, shared: bool) -> bool {
    owner.is_null() && shared
}

#[test]
fn a_container_is_named_at_the_namespaces_that_are_not_the_readers() {
    let container = Container::new(&[]);
    let pid = container.pid(&parsed(&[]));
    let containers = Containers::from([(pid, "web".to_string()), (i32::MAX, "gone".to_string())]);
    let mut named = BTreeMap::new();
    let mut left = Tree::new(&Facts::gather().unwrap(), &containers).namespaces;
    while let Some(Node {
        kind,
        id,
        containers,
        owns,
        ..
    }) = left.pop()
    {
        left.extend(owns);
        if !containers.is_empty() {
            assert_eq!(containers, ["web"]);
            named.insert(kind.name().to_string(), id);
        }
    }
    let mut expected = container.namespaces.clone();
    expected.retain(|kind, id| own()[kind] != *id);
    assert_eq!(named, expected);
    assert_eq!(named.len(), 6);
    let whereabouts = Whereabouts::of(&pid.to_string(), &containers).unwrap();
    for place in whereabouts.namespaces {
        assert_eq!(place.containers.is_empty(), place.own, "{place:?}");
    }
}

#[test]
fn a_process_that_is_none_or_may_not_be_looked_at_is_an_error_that_says_so() {
    ns(&["x1"]).fails(
        125,
        &["\"x1\" is no process id", "hint: a process id is a number"],
    );
    ns(&["0"]).fails(125, &["\"0\" is no process id"]);
    let absent = i32::MAX.to_string();
    ns(&[&absent]).fails(125, &["look at process 2147483647", "(ESRCH)", "hint:"]);
    ns(&["--json", &absent]).fails(125, &["(ESRCH)"]);
    run([ROOTLET, "ns", "1"]).fails(
        125,
        &[
            "look at the namespaces of process 1",
            "(EACCES)",
            "hint: only processes of your own",
        ],
    );
}

#[test]
fn a_process_that_has_ended_and_was_not_waited_for_is_said_to_have_ended() {
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = ended.id().to_string();
    let start = Instant::now();
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !stat().contains(") Z ") {
        assert!(start.elapsed() < DEADLINE, "{}", stat());
    }
    ns(&[&pid]).fails(125, &[&format!("process {pid} has ended")]);
    ended.wait().unwrap();
    ns(&[&pid]).fails(125, &["(ESRCH)"]);
}

#[test]
fn processes_that_end_while_they_are_read_are_no_error() {
    let script = "while :; do unshare -Ur true; /bin/true & /bin/true & wait; done";
    let mut busy = Command::new("sh").args(["-c", script]).spawn().unwrap();
    let ran: Vec<Ran> = (0..30).map(|_| ns(&["--json"])).collect();
    busy.kill().unwrap();
    busy.wait().unwrap();
    for ran in ran {
        let tree: Value = serde_json::from_str(&ran.ok()).unwrap();
        assert!(!flat(&tree).is_empty());
    }
}
