//! `rootlet try`: the whole machine, and every write caught; then the list, the question, apply and drop.

#[path = "support/pty.rs"]
mod pty;
mod support;

use pty::Screen;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{Dir, ROOTLET, Ran, finish, installed};

/// A user with a home, and a project in it.
struct Person {
    home: Dir,
}

impl Person {
    fn new() -> Self {
        let home = Dir::new();
        home.directory("project/tree/sub");
        home.file("project/file", "old\n");
        home.file("project/tree/one", "1");
        home.file("project/tree/sub/two", "2");
        Person { home }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(ROOTLET);
        command
            .args(words)
            .current_dir(self.home.at("project"))
            .env("HOME", self.home.text())
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::null());
        command
    }

    fn rootlet(&self, words: &[&str]) -> Ran {
        finish(self.command(words))
    }

    /// Runs a script in a try whose changes stay in the directory that is returned.
    #[track_caller]
    fn try_script(&self, options: &[&str], script: &str) -> String {
        let dir = self.home.at("kept");
        let words = [
            &["try", "--keep", &dir][..],
            options,
            &["--", "sh", "-ec", script],
        ]
        .concat();
        self.rootlet(&words).ok();
        dir
    }

    /// The lines of `rootlet changes`, without the home directory, and without the sums.
    fn changes(&self, dir: &str) -> Vec<String> {
        let out = self.rootlet(&["changes", dir]).ok();
        let mut lines: Vec<String> = out
            .lines()
            .map(|line| line.replace(self.home.text(), "~"))
            .collect();
        lines.pop();
        lines
    }

    /// The directories of tries that nobody has named.
    fn left(&self) -> Vec<String> {
        let tries = self.home.path().join(".local/state/rootlet/try");
        let entries = std::fs::read_dir(tries).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().path().to_str().unwrap().to_string())
            .collect()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.at(name)).unwrap()
    }
}

const WORK: &str = "cat file; echo new >>file; echo added >added; rm -r tree; mkdir tree; echo 3 >tree/three; chmod 600 file; ln -s file link; cat file";

#[test]
fn the_command_sees_the_machine_and_its_own_writes_and_the_host_sees_nothing() {
    let me = Person::new();
    let ran = me.rootlet(&[
        "try",
        "--keep",
        &me.home.at("kept"),
        "--",
        "sh",
        "-ec",
        &format!("{WORK}; pwd; id -u; echo x >/dev/null; test -e /proc/self"),
    ]);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        ran.out,
        format!("old\nold\nnew\n{}\n{uid}", me.home.at("project"))
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(me.read("project/file"), "old\n");
    assert_eq!(me.read("project/tree/sub/two"), "2");
    assert!(!Path::new(&me.home.at("project/added")).exists());
}

#[test]
fn what_changed_is_listed_applied_and_dropped() {
    let me = Person::new();
    let dir = me.try_script(&[], WORK);
    assert_eq!(
        me.changes(&dir),
        [
            "A ~/project/added  6 B",
            "C ~/project/file  4 B to 8 B",
            "A ~/project/link",
            "D ~/project/tree/one",
            "D ~/project/tree/sub/  with 1 in it",
            "A ~/project/tree/three  2 B",
        ]
    );
    let diff = me.rootlet(&["diff", &dir, "file"]).ok();
    assert!(diff.ends_with(" old\n+new"), "{diff}");
    me.rootlet(&["apply", &dir]).ok();
    assert_eq!(me.read("project/file"), "old\nnew\n");
    assert_eq!(me.read("project/tree/three"), "3\n");
    assert!(!Path::new(&me.home.at("project/tree/sub")).exists());
    let mode = std::fs::metadata(me.home.at("project/file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(me.changes(&dir), Vec::<String>::new());
    me.rootlet(&["drop", &dir]).ok();
    assert!(!Path::new(&dir).exists());
}

#[test]
fn some_can_be_applied_by_a_pattern() {
    let me = Person::new();
    let dir = me.try_script(&[], "echo 1 >a.txt; echo 2 >b.txt; echo 3 >c.o");
    me.rootlet(&["apply", &dir, "*.txt"]).ok();
    assert_eq!(me.changes(&dir), ["A ~/project/c.o  2 B"]);
}

#[test]
fn a_diff_tells_what_differs_besides_the_lines() {
    let me = Person::new();
    std::os::unix::fs::symlink("a", me.home.path().join("project/link")).unwrap();
    let script = "chmod 640 file; touch -d 2001-01-01T00:00:00Z tree/one; ln -sf 'b c' link; ln -s d new
        python3 -c 'import os; os.setxattr(\"tree/sub\", \"user.note\", b\"x\")'; rm tree/sub/two; ln -s e tree/sub/two";
    let dir = me.try_script(&[], script);
    let out = me.rootlet(&["diff", &dir]).ok();
    let out = out.replace(me.home.text(), "~");
    for line in [
        "M ~/project/file (mode 644 to 640)",
        "C ~/project/link (target a to b c)",
        "A ~/project/new (target d)",
        "M ~/project/tree/sub (attribute user.note)",
        "T ~/project/tree/sub/two (file to symbolic link, target e)",
    ] {
        assert!(out.lines().any(|it| it == line), "{line}: {out}");
    }
    assert!(out.contains("M ~/project/tree/one (time 20"), "{out}");
    assert!(out.contains(" to 2001-01-01T00:00:00Z)"), "{out}");
}

#[test]
fn names_of_one_file_that_come_apart_are_told() {
    let me = Person::new();
    let project = |name: &str| me.home.at(&format!("project/{name}"));
    std::fs::hard_link(project("file"), project("other")).unwrap();
    let dir = me.try_script(&[], "echo new >>file; cat other >seen; echo x >>tree/one");
    let ran = me.rootlet(&["apply", &dir]);
    let said = format!("other names of {} (hard links)", project("file"));
    assert!(ran.status == 0 && ran.err.contains(&said), "{ran:?}");
    assert_eq!(
        me.read("project/seen") + &me.read("project/other"),
        "old\nold\n"
    );
}

#[test]
fn a_descriptor_that_is_not_open_is_not_that_of_the_store() {
    let me = Person::new();
    for option in ["--pass-fd", "--status-fd"] {
        me.rootlet(&["try", option, "3", "--", "true"])
            .fails(125, &["descriptor 3", "is not open"]);
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_named() {
    let me = Person::new();
    let dir = me.try_script(&[], "echo 1 >a; rm -r tree");
    for verb in ["changes", "diff"] {
        let ran = me.rootlet(&[verb, &dir, "a", "nonsense"]);
        let said = format!(
            "rootlet: note: no change matches {}",
            me.home.at("project/nonsense")
        );
        assert_eq!((ran.status, ran.err.trim()), (0, said.as_str()), "{ran:?}");
        assert!(ran.out.contains(&me.home.at("project/a")), "{ran:?}");
    }
    let inside = format!(
        "{0}/sub/two: {0} is deleted as a whole",
        me.home.at("project/tree")
    );
    let words = ["apply", &dir, "a", "nonsense", "tree/sub/two"];
    let said = ["project/nonsense", &inside, "1 applied, 0 not"];
    me.rootlet(&words).fails(1, &said);
    assert_eq!(me.read("project/a"), "1\n");
    me.rootlet(&["apply", &dir, "tre?"]).ok();
}

#[test]
fn what_the_host_has_changed_since_is_not_overwritten_unless_forced() {
    let me = Person::new();
    let dir = me.try_script(&[], "echo mine >file; echo mine >tree/one");
    me.home.file("project/file", "theirs\n");
    let ran = me.rootlet(&["apply", &dir]);
    ran.fails(
        1,
        &["not applied", "file was changed on the host", "--force"],
    );
    assert_eq!(
        (me.read("project/file"), me.read("project/tree/one")),
        ("theirs\n".into(), "mine\n".into())
    );
    me.rootlet(&["apply", "--force", &dir]).ok();
    assert_eq!(me.read("project/file"), "mine\n");
}

#[test]
fn nothing_is_left_when_nothing_changed_or_nothing_ran() {
    let me = Person::new();
    let ran = me.rootlet(&["try", "--", "sh", "-c", "cat file; exit 3"]);
    assert_eq!((ran.status, ran.out.as_str()), (3, "old"), "{ran:?}");
    assert!(ran.err.contains("nothing was changed"), "{ran:?}");
    me.rootlet(&["try", "--", "no-such-command"])
        .fails(127, &[]);
    me.rootlet(&["try", "--keep", "", "--", "true"])
        .fails(125, &["keep \"\": the path is empty"]);
    me.rootlet(&["try", "--explain", "--", "true"]).ok();
    assert_eq!(me.left(), Vec::<String>::new());
}

#[test]
fn without_a_terminal_the_changes_stay_and_it_is_said_where() {
    let me = Person::new();
    let ran = me.rootlet(&["try", "--", "sh", "-c", "echo x >new; exit 4"]);
    let left = me.left();
    assert_eq!((ran.status, left.len()), (4, 1), "{ran:?}");
    assert!(
        ran.err.contains(&left[0]) && ran.err.contains("A "),
        "{ran:?}"
    );
    assert!(!Path::new(&me.home.at("project/new")).exists());
}

#[test]
fn the_list_is_json_for_programs() {
    let me = Person::new();
    let ran = me.rootlet(&[
        "try",
        "--json",
        "--keep",
        &me.home.at("kept"),
        "--",
        "sh",
        "-c",
        "echo x >new; rm -r tree",
    ]);
    let json: serde_json::Value = serde_json::from_str(&ran.ok()).unwrap();
    assert_eq!(json["dir"], me.home.at("kept"));
    assert_eq!(json["changes"][0]["path"], me.home.at("project/new"));
    assert_eq!(json["changes"][0]["kind"], "added");
    assert_eq!(
        (&json["counts"]["added"], &json["counts"]["deleted"]),
        (&1.into(), &4.into())
    );
    let nothing = me.rootlet(&["try", "--json", "--", "true"]).ok();
    let nothing: serde_json::Value = serde_json::from_str(&nothing).unwrap();
    let keys = |json: &serde_json::Value| -> Vec<String> {
        json.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&nothing), keys(&json));
    assert!(nothing["dir"].is_null() && nothing["counts"]["added"] == 0);
}

#[test]
fn temporary_directories_and_the_home_are_caught_too() {
    let me = Person::new();
    let names = [
        format!("/tmp/rootlet-try-{}", std::process::id()),
        format!("/var/tmp/rootlet-try-{}", std::process::id()),
        me.home.at("in-home"),
    ];
    let script = names
        .iter()
        .map(|name| format!("echo x >{name};"))
        .collect::<String>();
    me.try_script(&[], &script);
    for name in &names {
        assert!(!Path::new(name).exists(), "{name}");
    }
}

#[test]
fn shared_memory_is_caught_too() {
    let me = Person::new();
    let path = format!("/dev/shm/rootlet-try-{}", std::process::id());
    let dir = me.try_script(&[], &format!("echo tried >{path}; cat {path}"));
    assert!(!Path::new(&path).exists(), "{path} came to the host");
    assert_eq!(me.changes(&dir), [format!("A {path}  6 B")]);
}

#[test]
fn what_one_may_not_write_one_may_not_write_in_a_try() {
    let me = Person::new();
    me.try_script(&[], "for place in /etc /usr /etc/passwd /usr/bin/env; do if (: >>$place/rootlet-x || : >>$place) 2>&-; then exit 1; fi; done; test ! -r /etc/shadow");
}

#[test]
fn a_try_does_not_see_what_it_writes_to() {
    let me = Person::new();
    let dir = me.home.at("kept");
    me.try_script(&[], &format!("ls -A {dir} | wc -l >seen"));
    me.rootlet(&["apply", &dir]).ok();
    assert_eq!(me.read("project/seen"), "0\n");
}

#[test]
fn a_directory_with_a_mount_in_it_is_put_together() {
    // A home in which something is mounted, as a FUSE file system would be: in a container, and a try in it.
    let me = Person::new();
    me.home.directory("disk");
    me.home.file("own", "mine");
    let store = Dir::new();
    let script = format!(
        "set -e; mount -t tmpfs t {0}/disk; echo on-disk >{0}/disk/file
         '{ROOTLET}' try --keep {1}/kept -- sh -ec 'cd {0}; cat disk/file own; echo more >>disk/file; echo new >disk/new; echo x >>own; echo y >fresh' >&2
         cat {0}/disk/file {0}/own; test ! -e {0}/fresh; '{ROOTLET}' changes {1}/kept; '{ROOTLET}' apply {1}/kept >&2
         '{ROOTLET}' drop {1}/kept; cat {0}/own {0}/disk/new {0}/fresh",
        me.home.text(),
        store.text()
    );
    // Other tests make and remove directories beside it meanwhile, each of which would be a piece.
    let beside = me.home.path().parent().unwrap().to_str().unwrap();
    let ran = me.rootlet(&[
        "run",
        "-t",
        "never",
        "--cap-add",
        "sys_admin",
        "--tmpfs",
        beside,
        "-v",
        me.home.text(),
        "-v",
        store.text(),
        "-v",
        ROOTLET,
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let out = ran.out.replace(me.home.text(), "~");
    assert_eq!(ran.status, 0, "{ran:#?}");
    assert!(out.starts_with("on-disk\nmine"), "{out}");
    for line in ["C ~/disk/file", "A ~/disk/new", "C ~/own", "A ~/fresh"] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(out.ends_with("minex\nnew\ny"), "{out}");
}

#[test]
fn options_and_other_identities_refine_it() {
    let me = Person::new();
    let ran = me.rootlet(&[
        "try",
        "--keep",
        &me.home.at("kept"),
        "-u",
        "root",
        "--net",
        "none",
        "--tmpfs",
        "/srv",
        "--",
        "sh",
        "-ec",
        "id -u; ls /sys/class/net >&2; ls -A /srv; echo x >/srv/lost; echo y >kept-file",
    ]);
    assert_eq!(ran.out.lines().next(), Some("0"), "{ran:?}");
    assert_eq!(
        me.changes(&me.home.at("kept")),
        ["A ~/project/kept-file  2 B"]
    );
    me.rootlet(&["run", "--keep", "x", "--", "true"])
        .fails(125, &["--keep"]);
}

#[test]
fn a_place_that_is_taken_or_no_store_is_refused_by_name() {
    let me = Person::new();
    me.rootlet(&["try", "--keep", &me.home.at("project"), "--", "true"])
        .fails(125, &["project", "(EEXIST)"]);
    for verb in ["changes", "diff", "apply", "drop"] {
        me.rootlet(&[verb, &me.home.at("project")])
            .fails(125, &["is not what `rootlet try` leaves"]);
    }
    assert_eq!(me.read("project/file"), "old\n");
}

#[test]
fn a_try_that_is_killed_leaves_what_can_be_listed_and_dropped() {
    let me = Person::new();
    let dir = me.home.at("kept");
    let mut child = me
        .command(&[
            "try",
            "--keep",
            &dir,
            "--",
            "sh",
            "-c",
            "echo x >new; echo ready; sleep 100",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
        &mut line,
    )
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(me.changes(&dir), ["A ~/project/new  2 B"]);
    me.rootlet(&["drop", &dir]).ok();
    assert!(!Path::new(&dir).exists());
}

/// Starts a try whose command says `ready`, and then waits for the end of its standard input.
fn running(me: &Person, dir: &str, script: &str) -> Child {
    let script = format!("{script}; echo ready; cat >&2");
    let mut child = me
        .command(&[
            "try", "-t", "never", "--keep", dir, "--", "sh", "-ec", &script,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.as_mut().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn nobody_applies_or_drops_what_a_command_still_writes() {
    let me = Person::new();
    let dir = me.home.at("kept");
    // The command does not get what the lock lies on.
    let script = "echo one >new; ls -l /proc/*/fd 2>&- | grep try.toml && exit 1 || :";
    let child = running(&me, &dir, script);
    for verb in ["apply", "drop"] {
        me.rootlet(&[verb, &dir])
            .fails(125, &["kept is in use by another rootlet"]);
    }
    assert_eq!(me.changes(&dir), ["A ~/project/new  4 B"]);
    me.rootlet(&["diff", &dir]).ok();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("1 added"), "{said}");
    me.rootlet(&["apply", &dir]).ok();
    assert_eq!(me.read("project/new"), "one\n");
    me.rootlet(&["drop", &dir]).ok();
}

// The question.

/// Starts a try of a script on a terminal.
fn on_screen(me: &Person, script: &str, pager: &str) -> Screen {
    let mut command = me.command(&["try", "--", "sh", "-c", script]);
    Screen::start(command.env("PAGER", pager))
}

/// Answers the questions of a try on a terminal with these lines.
fn answer(me: &Person, lines: &[&str]) -> String {
    let mut screen = on_screen(me, "echo new >>file; echo x >added", "cat");
    for line in lines {
        screen.shows("eave them? ");
        screen.types(format!("{line}\n"));
    }
    screen.ends().1
}

#[test]
fn on_a_terminal_it_is_asked_and_all_can_be_kept() {
    let me = Person::new();
    answer(&me, &["k"]);
    assert_eq!(
        (me.read("project/file"), me.read("project/added")),
        ("old\nnew\n".into(), "x\n".into())
    );
    assert_eq!(me.left(), Vec::<String>::new());
}

#[test]
fn on_a_terminal_all_can_be_dropped_or_left() {
    let me = Person::new();
    answer(&me, &["nonsense", "r"]);
    assert_eq!(me.read("project/file"), "old\n");
    assert_eq!(me.left(), Vec::<String>::new());
    let said = answer(&me, &["l"]);
    assert!(said.contains("the changes are in"), "{said}");
    assert_eq!(
        (me.read("project/file"), me.left().len()),
        ("old\n".into(), 1)
    );
}

#[test]
fn colours_are_for_terminals_that_have_them_unless_somebody_says_no() {
    for (name, value, colours) in [
        ("NO_COLOR", "", true),
        ("NO_COLOR", "1", false),
        ("TERM", "dumb", false),
    ] {
        let me = Person::new();
        let mut command = me.command(&["try", "--", "sh", "-c", "echo x >added"]);
        command.env_remove("NO_COLOR").env("TERM", "xterm");
        let mut screen = Screen::start(command.env(name, value));
        let said = screen.shows("eave them? ");
        assert_eq!(
            said.contains("\x1b[32mA"),
            colours,
            "{name}={value}: {said}"
        );
        screen.types("r\n");
        screen.ends();
    }
}

#[test]
fn some_are_named_as_for_a_shell() {
    let me = Person::new();
    let mut screen = on_screen(
        &me,
        "for each in 'My file' 'a*' ab c; do echo x >\"$each\"; done",
        "cat",
    );
    for (question, line) in [
        ("eave them? ", "s"),
        ("quotes)? ", "'My"),
        ("a quote has no end", ""),
        ("eave them? ", "s"),
        ("quotes)? ", "My\\ file 'a*' nonsense"),
        ("no change matches", ""),
        ("2 applied, 0 not", ""),
        ("eave them? ", "x"),
        ("\"x\" is none of the letters", ""),
        ("eave them? ", "r"),
    ] {
        screen.shows(question);
        if !line.is_empty() {
            screen.types(format!("{line}\n"));
        }
    }
    screen.ends();
    assert_eq!(me.read("project/My file"), "x\n");
    assert_eq!(me.read("project/a*"), "x\n");
    for other in ["project/ab", "project/c"] {
        assert!(!Path::new(&me.home.at(other)).exists(), "{other}");
    }
}

#[test]
fn what_was_refused_can_be_forced_at_the_question() {
    let me = Person::new();
    let mut screen = on_screen(&me, "echo mine >file; echo x >added", "cat");
    screen.shows("eave them? ");
    me.home.file("project/file", "theirs\n");
    screen.types("f\n");
    screen.shows("\"f\" is none of the letters");
    screen.shows("eave them? ");
    screen.types("k\n");
    screen.shows("1 applied, 1 not");
    screen.shows("[f]orce what was refused");
    screen.shows("eave them? ");
    assert_eq!(me.read("project/file"), "theirs\n");
    screen.types("f\n");
    screen.ends();
    assert_eq!(me.read("project/file"), "mine\n");
    assert_eq!(me.left(), Vec::<String>::new());
}

#[test]
fn an_interrupt_at_the_question_leaves_the_changes_and_says_where() {
    let me = Person::new();
    let mut screen = on_screen(&me, "echo x >added; exit 5", "cat");
    screen.shows("eave them? ");
    screen.types("k\x03");
    let (status, said) = screen.ends();
    let left = me.left();
    assert_eq!((status.code(), left.len()), (Some(5), 1), "{said}");
    let said = said.replace("\r\n", "\n");
    assert!(
        said.contains(&format!("the changes are in {}\n", left[0])),
        "{said}"
    );
    assert!(!Path::new(&me.home.at("project/added")).exists());
}

#[test]
fn an_interrupt_in_the_pager_is_the_pagers() {
    let me = Person::new();
    // Whoever was started with interrupts ignored cannot trap them.
    let pager =
        "trap 'echo caught $seen' INT; cat; seen=it; echo shown; read line </dev/tty; exit 0";
    let mut screen = on_screen(&me, "echo x >added", pager);
    screen.shows("eave them? ");
    screen.types("d\n");
    screen.shows("+x");
    screen.shows("shown");
    screen.types("\x03");
    screen.shows("caught it");
    screen.types("\n");
    screen.shows("eave them? ");
    screen.types("r\n");
    assert_eq!(screen.ends().0.code(), Some(0));
    assert_eq!(me.left(), Vec::<String>::new());
}

#[test]
fn without_the_pager_the_differences_are_shown_all_the_same() {
    let me = Person::new();
    let mut screen = on_screen(&me, "echo x >added", "no-such-pager");
    screen.shows("eave them? ");
    screen.types("d\n");
    screen.shows("+x");
    screen.shows("eave them? ");
    screen.types("r\n");
    screen.ends();
}

// Real work.

#[test]
fn git_commits_and_a_make_install_are_caught_and_applied() {
    if !installed(&["git", "make"]) {
        return;
    }
    let me = Person::new();
    me.home.file("project/Makefile", "install:\n\tmkdir -p $(DESTDIR)/usr/bin\n\tcp file $(DESTDIR)/usr/bin/file\n\tln -sf file $(DESTDIR)/usr/bin/link\n");
    let script = "git init -q .; git add .; git -c user.name=me -c user.email=me@example.test commit -qm first; make -s install DESTDIR=$PWD/out; git status --short";
    let dir = me.try_script(&[], script);
    assert!(!Path::new(&me.home.at("project/.git")).exists());
    me.rootlet(&["apply", &dir]).ok();
    let ran = finish({
        let mut command = Command::new("git");
        command
            .args(["log", "--format=%s"])
            .current_dir(me.home.at("project"))
            .env("HOME", me.home.text())
            .stdin(Stdio::null());
        command
    });
    assert_eq!(ran.ok(), "first");
    assert_eq!(
        std::fs::read_link(me.home.at("project/out/usr/bin/link")).unwrap(),
        Path::new("file")
    );
}

#[test]
fn an_archive_that_is_unpacked_comes_out_as_it_is() {
    let me = Person::new();
    let mut tar = Command::new("tar")
        .args([
            "-cf",
            &me.home.at("a.tar"),
            "-C",
            &me.home.at("project"),
            ".",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().flush().unwrap();
    assert!(tar.wait().unwrap().success());
    let dir = me.try_script(&[], "mkdir out; tar -xf ../a.tar -C out; rm -rf tree");
    me.rootlet(&["apply", &dir]).ok();
    assert_eq!(me.read("project/out/tree/sub/two"), "2");
    assert!(!Path::new(&me.home.at("project/tree")).exists());
}

#[test]
fn a_package_that_is_unpacked_comes_out_as_its_files() {
    if !installed(&["dpkg-deb"]) {
        return;
    }
    let me = Person::new();
    let script = "
        mkdir -p deb/DEBIAN deb/usr/bin deb/usr/share/doc/tool
        printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.test>\nDescription: a tool\n' >deb/DEBIAN/control
        echo '#!/bin/sh' >deb/usr/bin/tool; chmod 755 deb/usr/bin/tool; echo text >deb/usr/share/doc/tool/README
        dpkg-deb --root-owner-group -b deb tool.deb >/dev/null; rm -r deb; dpkg -x tool.deb out";
    let dir = me.try_script(&[], script);
    me.rootlet(&["apply", &dir, "out"]).ok();
    assert_eq!(me.read("project/out/usr/share/doc/tool/README"), "text\n");
    let mode = std::fs::metadata(me.home.at("project/out/usr/bin/tool"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    let left = me.changes(&dir);
    assert!(
        left.len() == 1 && left[0].starts_with("A ~/project/tool.deb"),
        "{left:?}"
    );
}

#[test]
fn pip_and_npm_install_into_the_home_and_the_project() {
    if !installed(&["pip3", "npm"]) {
        return;
    }
    let me = Person::new();
    me.home.directory("package/hello");
    me.home
        .file("package/hello/__init__.py", "GREETING = 'hello'\n");
    me.home.file(
        "package/setup.py",
        "from setuptools import setup\nsetup(name='hello', version='1', packages=['hello'])\n",
    );
    me.home.directory("dep");
    me.home
        .file("dep/package.json", r#"{"name": "dep", "version": "1.0.0"}"#);
    me.home
        .file("dep/index.js", "module.exports = 'from npm'\n");
    me.home.file(
        "project/package.json",
        r#"{"name": "p", "version": "1.0.0"}"#,
    );
    let script = "
        python3 -m venv --system-site-packages --without-pip env
        env/bin/python -m pip install -q --user --no-index --no-build-isolation --break-system-packages ../package 2>&1 ||
            env/bin/python -m pip install -q --prefix $HOME/.local --no-index --no-build-isolation ../package
        (cd ../dep && npm pack --silent --pack-destination ../project >/dev/null)
        npm install --offline --silent --no-audit --no-fund ./dep-1.0.0.tgz
        node -e 'console.log(require(\"dep\"))'";
    let dir = me.try_script(&[], script);
    assert!(!Path::new(&me.home.at("project/node_modules")).exists());
    assert!(!Path::new(&me.home.at(".local/lib")).exists());
    me.rootlet(&["apply", &dir]).ok();
    let script = "node -e 'console.log(require(\"dep\"))'; cat ~/.local/lib/python3*/site-packages/hello/__init__.py";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .current_dir(me.home.at("project"))
        .env("HOME", me.home.text())
        .stdin(Stdio::null());
    assert_eq!(finish(command).ok(), "from npm\nGREETING = 'hello'");
}
