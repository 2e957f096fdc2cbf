//! What the reader makes of lines.

use super::super::tests::{caller, launch, launch_of, read, refusal, words};
use super::*;
use crate::spec::{Net, Seccomp};

/// What is read where descriptor 5 has `file`.
fn with_file(line: &str, file: &[u8]) -> Result<Asked, Refusal> {
    let mut read = |fd| match fd {
        5 => Ok(file.to_vec()),
        _ => Err(io::Error::from_raw_os_error(libc::EBADF)),
    };
    Reader::default().read(&words(line), &caller(), &mut read)
}

fn launched(asked: Result<Asked, Refusal>) -> Launch {
    match asked {
        Ok(Asked::Launch(launch)) => *launch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_help_and_the_version_come_before_what_follows_them() {
    assert_eq!(read("--help --nonsense", &caller()), Ok(Asked::Help));
    let line = "--ro-bind / / --version --nonsense";
    assert_eq!(read(line, &caller()), Ok(Asked::Version));
    assert_eq!(with_file("--args 5 true", b"--help"), Ok(Asked::Help));
}

#[test]
fn without_a_command_the_help_is_meant() {
    for line in ["", "--unshare-all", "--dir /a --", "--"] {
        assert_eq!(read(line, &caller()), Err(Refusal::Usage), "{line}");
    }
    // What contradicts each other is said before.
    assert_eq!(
        refusal("--disable-userns"),
        "--disable-userns requires --unshare-user"
    );
}

#[test]
fn the_command_begins_at_the_first_word_that_is_no_option() {
    for (line, command) in [
        ("sh -c x --dir /a", &["sh", "-c", "x", "--dir", "/a"][..]),
        ("-- --dir /a", &["--dir", "/a"]),
        ("--dir /a -- -- x", &["--", "x"]),
    ] {
        assert_eq!(launch_of(line, &caller()).spec.command, command, "{line}");
    }
}

#[test]
fn an_option_says_which_words_it_lacks() {
    for option in options::OPTIONS.iter().filter(|it| !it.words.is_empty()) {
        let name = match option.name {
            "--ro-bind-fd" => "--bind-fd",
            name => name,
        };
        let given = ["7"; 3][..option.words.len() - 1].join(" ");
        let said = refusal(&format!("{} {given}", option.name));
        assert_eq!(said, format!("{name} {}", option.missing));
    }
}

#[test]
fn a_wrong_value_is_refused_in_bubblewraps_words() {
    let data = "(descriptor 7 was read for another option already)";
    for (line, words) in [
        ("--nonsense", "Unknown option --nonsense"),
        ("-h", "Unknown option -h"),
        ("--ro-bind=/ /", "Unknown option --ro-bind=/"),
        ("--argv0 a --argv0 b", "--argv0 used multiple times"),
        ("--args x", "Invalid fd: x"),
        ("--sync-fd -1", "Invalid fd: -1"),
        ("--block-fd 7x", "Invalid fd: 7x"),
        ("--info-fd 2147483648", "Invalid fd: 2147483648"),
        ("--bind-fd x /d", "Invalid fd: x"),
        ("--file x /d", "Invalid fd: x"),
        ("--ro-bind-data x /d", "Invalid fd: x"),
        ("--seccomp x", "Invalid fd: x"),
        ("--add-seccomp-fd x", "Invalid fd: x"),
        ("--uid x", "Invalid uid: x"),
        ("--uid -1", "Invalid uid: -1"),
        ("--gid 4294967296", "Invalid gid: 4294967296"),
        ("--cap-add nothing", "unknown cap: nothing"),
        ("--cap-drop nothing", "unknown cap: nothing"),
        (
            "--perms 8 --dir /d",
            "--perms takes an octal argument <= 07777",
        ),
        (
            "--perms 10000 --dir /d",
            "--perms takes an octal argument <= 07777",
        ),
        ("--chmod 9 /d", "--chmod takes an octal argument <= 07777"),
        (
            "--chmod 10000 /d",
            "--chmod takes an octal argument <= 07777",
        ),
        (
            "--size 0 --tmpfs /d",
            "--size takes a non-zero number of bytes",
        ),
        (
            "--size -1 --tmpfs /d",
            "--size takes a non-zero number of bytes",
        ),
        (
            "--size 1m --tmpfs /d",
            "--size takes a non-zero number of bytes",
        ),
        (
            "--size 0x8000000000000000 --tmpfs /d",
            "--size (for tmpfs) is limited to 9223372036854775807",
        ),
        (
            "--perms 7 --perms 7",
            "--perms given twice for the same action",
        ),
        (
            "--size 7 --size 7",
            "--size given twice for the same action",
        ),
        (
            "--tmp-overlay /d",
            "--tmp-overlay requires at least one --overlay-src",
        ),
        (
            "--overlay /u /w /d",
            "--overlay requires at least one --overlay-src",
        ),
        (
            "--overlay-src /a --ro-overlay /d",
            "--ro-overlay requires at least two --overlay-src",
        ),
        (
            "--seccomp 7 --add-seccomp-fd 8",
            "--add-seccomp-fd cannot be combined with --seccomp",
        ),
        (
            "--add-seccomp-fd 7 --seccomp 8",
            "--seccomp cannot be combined with --add-seccomp-fd",
        ),
        (
            "--add-seccomp-fd 7 --add-seccomp-fd 7",
            "Can't read seccomp data: Bad file descriptor",
        ),
        ("--exec-label x", "labeling not supported on this system"),
        ("--file-label x", "labeling not supported on this system"),
    ] {
        assert_eq!(refusal(&format!("{line} true")), words, "{line}");
    }
    let said = refusal("--file 7 /d --bind-data 7 /e true");
    assert_eq!(
        said,
        format!("Can't write data to file /e: Bad file descriptor {data}")
    );
}

#[test]
fn what_changes_the_next_option_has_to_be_followed_by_one_that_it_changes() {
    let perms = "--perms must be followed by an option that creates a file";
    let size = "--size must be followed by --tmpfs";
    for (line, words) in [
        ("--perms 700 --bind /a /b", perms),
        ("--perms 700 --symlink a /b", perms),
        ("--perms 700 --unshare-all", perms),
        ("--perms 700 --args 5", perms),
        ("--size 7 --dir /d", size),
        ("--size 7 --perms 700 --dir /d", size),
        ("--perms 700 --size 7 --dir /d", size),
        ("--overlay-src /a --dir /d", LAYERS_ALONE),
        ("--overlay-src /a --perms 700", LAYERS_ALONE),
        ("--overlay-src /a", LAYERS_ALONE),
    ] {
        assert_eq!(refusal(&format!("{line} true")), words, "{line}");
    }
    // Before the command nobody asks.
    assert_eq!(launch("--perms 700 --size 7"), launch(""));
}

#[test]
fn what_is_said_of_the_next_option_is_not_said_of_the_one_after_it() {
    let modes: Vec<Option<OsString>> = launch(
        "--perms 700 --dir /a --dir /b --perms 644 --file 7 /c --file 8 /d --perms 711 --size 9 --tmpfs /e --tmpfs /f",
    )
    .spec
    .mounts
    .into_iter()
    .map(|mount| match mount {
        Mount::Directory { mode, .. } | Mount::File { mode, .. } => mode,
        Mount::Tmpfs { mode, size, .. } => {
            assert_eq!(size.is_some(), mode == Some("711".into()));
            mode
        }
        other => panic!("{other:?}"),
    })
    .collect();
    let wanted = ["700", "755", "644", "666", "711", "755"];
    assert_eq!(modes, wanted.map(|mode| Some(mode.into())));
    let layers = |number: usize| {
        let line = "--overlay-src /a --tmp-overlay /d --overlay-src /b --tmp-overlay /e";
        match &launch(line).spec.mounts[number] {
            Mount::Overlay { lower, .. } => lower.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        [layers(0), layers(1)],
        ["/a", "/b"].map(|path| vec![PathBuf::from(path)])
    );
}

#[test]
fn a_size_is_decimal_octal_or_hexadecimal() {
    for (word, bytes) in [
        ("1", 1),
        ("65536", 65_536),
        ("010", 8),
        ("0x10", 16),
        ("0xfF", 255),
        ("9223372036854775807", MOST_BYTES),
    ] {
        assert_eq!(super::bytes(OsStr::new(word)), Some(bytes), "{word}");
    }
    for word in [
        "",
        "08",
        "0x",
        "0xg",
        "x1",
        " 1",
        "+1",
        "18446744073709551616",
    ] {
        assert_eq!(super::bytes(OsStr::new(word)), None, "{word:?}");
    }
}

#[test]
fn permission_bits_are_octal() {
    for (word, bits) in [("0", 0), ("755", 0o755), ("00755", 0o755), ("7777", 0o7777)] {
        assert_eq!(octal(OsStr::new(word)), Some(bits), "{word}");
    }
    for word in ["", "8", "0o7", "10000", "-1", "7 "] {
        assert_eq!(octal(OsStr::new(word)), None, "{word:?}");
    }
}

#[test]
fn views_come_in_the_order_of_the_options() {
    let line = "--tmpfs /a --dir /a/b --bind /s /a/b/c --symlink x /a/l --chmod 700 /a --remount-ro /a --tmpfs /a";
    let launch = launch(line);
    let targets = launch.spec.mounts.iter().filter_map(Mount::target);
    let wanted = ["/a", "/a/b", "/a/b/c", "/a/l", "/a", "/a", "/a"];
    assert!(targets.eq(wanted.map(std::path::Path::new)));
}

#[test]
fn a_destination_starts_at_the_root_inside() {
    for (word, path) in [
        ("/a", "/a"),
        ("a", "/a"),
        ("./a//b/.", "/a/b"),
        ("//a", "/a"),
    ] {
        let launch = launch(&format!("--dir {word}"));
        assert_eq!(
            launch.spec.mounts[0].target(),
            Some(path.as_ref()),
            "{word}"
        );
    }
}

#[test]
fn of_some_options_the_last_counts_and_that_is_said() {
    for line in [
        "--chdir /a --chdir /d",
        "--uid 5 --uid 6",
        "--gid 5 --gid 6",
        "--hostname a --hostname b --unshare-uts",
        "--sync-fd 5 --sync-fd 6",
        "--block-fd 5 --block-fd 6",
        "--info-fd 5 --info-fd 6",
        "--json-status-fd 5 --json-status-fd 6",
        "--userns 5 --userns 6",
        "--userns2 5 --userns2 6",
        "--pidns 5 --pidns 6",
        "--seccomp 5 --seccomp 6",
        "--userns-block-fd 5 --userns-block-fd 6 --unshare-user --info-fd 9",
    ] {
        let mut reader = Reader::default();
        let words = words(&format!("{line} true"));
        let asked = reader.read(&words, &caller(), &mut |_| Ok(Vec::new()));
        let name = line.split(' ').next().unwrap();
        let said = format!("Only the last {name} option will take effect");
        assert_eq!(reader.warnings, [(false, said)], "{line}");
        let (_, last) = line.split_at(line.find(' ').unwrap() + 1);
        let (_, last) = last.split_at(last.find(' ').unwrap() + 1);
        assert_eq!(launched(asked), launch(last), "{line}");
    }
}

#[test]
fn what_is_said_has_its_severity_from_the_option_on_that_asks_for_it() {
    let mut reader = Reader::default();
    let words = words("--uid 5 --uid 5 --level-prefix --gid 5 --gid 5 true");
    reader
        .read(&words, &caller(), &mut |_| Ok(Vec::new()))
        .unwrap();
    let prefixed: Vec<bool> = reader
        .warnings
        .iter()
        .map(|(prefixed, _)| *prefixed)
        .collect();
    assert_eq!(prefixed, [false, true]);
    assert!(reader.level_prefix);
}

#[test]
fn the_network_is_what_the_last_option_says_of_it() {
    let net = |line| launch(line).spec.net;
    assert_eq!(net("--unshare-all --share-net"), Net::Host);
    assert_eq!(net("--unshare-net --share-net"), Net::Host);
    assert_eq!(net("--share-net --unshare-net"), Net::None);
    assert_eq!(net("--share-net --unshare-all"), Net::None);
}

#[test]
fn changes_to_the_environment_have_the_effect_of_one_after_the_other() {
    for (line, clear, unset, set) in [
        ("--setenv A 1 --setenv A 2", false, &[][..], &["A=2"][..]),
        (
            "--setenv A 1 --setenv B 1 --setenv A 2",
            false,
            &[],
            &["B=1", "A=2"],
        ),
        ("--setenv A 1 --unsetenv A", false, &["A"], &[]),
        ("--unsetenv A --setenv A 1", false, &["A"], &["A=1"]),
        ("--setenv A 1 --clearenv", true, &[], &[]),
        ("--unsetenv A --clearenv --setenv B 1", true, &[], &["B=1"]),
        (
            "--clearenv --setenv PATH /x:/y=z",
            true,
            &[],
            &["PATH=/x:/y=z"],
        ),
    ] {
        let spec = launch(line).spec;
        assert_eq!(spec.clear_env, clear, "{line}");
        assert_eq!(spec.unset_env, unset, "{line}");
        assert_eq!(spec.env, set, "{line}");
    }
}

#[test]
fn capabilities_are_given_and_taken_in_order() {
    let kept = |line: &str, uid| {
        let of_root = Caller { uid, ..caller() };
        let spec = launch_of(&format!("{line} true"), &of_root).spec;
        spec.kept_capabilities(uid)
    };
    let of = |words: &str| {
        let words: Vec<Capability> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        Capabilities::of(&words)
    };
    let (all, none) = (Capabilities::ALL, Capabilities::NONE);
    for (line, user, root) in [
        ("", none, all),
        ("--cap-add CAP_KILL", of("KILL"), all),
        ("--cap-drop CAP_KILL", none, all.without(of("KILL"))),
        (
            "--cap-add CAP_KILL --cap-drop CAP_KILL",
            none,
            all.without(of("KILL")),
        ),
        ("--cap-drop cap_kill --cap-add cap_kill", of("KILL"), all),
        ("--cap-add ALL", all, all),
        ("--cap-add all --cap-drop ALL", none, none),
        (
            "--cap-drop ALL --cap-add cap_chown --cap-add cap_kill",
            of("CHOWN KILL"),
            of("CHOWN KILL"),
        ),
        (
            "--cap-add ALL --cap-drop cap_sys_admin",
            all.without(of("SYS_ADMIN")),
            all.without(of("SYS_ADMIN")),
        ),
    ] {
        assert_eq!(kept(line, 1000).0, user.0, "{line}");
        assert_eq!(kept(line, 0).0, root.0, "{line}, by root");
    }
}

#[test]
fn options_can_come_from_a_file() {
    let from = |file: &[u8]| launched(with_file("--dir /a --args 5 --dir /z true", file));
    let inline = |line: &str| launch(&format!("--dir /a {line} --dir /z"));
    for (file, line) in [
        (&b""[..], ""),
        (b"--dir\0/b\0", "--dir /b"),
        (b"--dir\0/b", "--dir /b"),
        (
            b"--unshare-all\0--symlink\0a\0/b\0",
            "--unshare-all --symlink a /b",
        ),
        // A command in it is none.
        (b"--dir\0/b\0--\0--nonsense\0", "--dir /b"),
        (b"--dir\0/b\0sh\0--nonsense\0", "--dir /b"),
    ] {
        assert_eq!(from(file), inline(line), "{}", file.escape_ascii());
    }
    let empty_word = from(b"--setenv\0A\0\0");
    assert_eq!(empty_word.spec.env, ["A="]);
}

#[test]
fn a_file_of_options_is_refused_as_a_line_is() {
    for (file, words) in [
        (&b"--nonsense"[..], "Unknown option --nonsense"),
        (b"--args\x005", "--args not supported in arguments file"),
        (b"--dir", "--dir takes an argument"),
        (
            b"--perms\x00700",
            "--perms must be followed by an option that creates a file",
        ),
        (b"--overlay-src\0/a", LAYERS_ALONE),
    ] {
        let said = with_file("--args 5 true", file).unwrap_err();
        assert_eq!(said, Refusal::Words(words.into()));
    }
    let closed = with_file("--args 6 true", b"").unwrap_err();
    let words = "Can't read --args data: Bad file descriptor";
    assert_eq!(closed, Refusal::Words(words.into()));
}

#[test]
fn bytes_that_are_no_utf8_pass_or_are_refused() {
    let odd = || OsString::from_vec(vec![b'/', 0xff]);
    let read = |first: &str, rest: Vec<OsString>| {
        let words: Vec<OsString> = std::iter::once(first.into()).chain(rest).collect();
        Reader::default().read(&words, &caller(), &mut |_| Ok(Vec::new()))
    };
    let launch = launched(read("--bind", vec![odd(), odd(), odd()]));
    assert_eq!(launch.spec.command, [odd()]);
    assert_eq!(launch.spec.mounts[0].target(), Some(odd().as_ref()));
    for option in ["--uid", "--perms", "--size", "--cap-add", "--sync-fd"] {
        let asked = read(option, vec![odd(), "true".into()]);
        assert!(matches!(asked, Err(Refusal::Words(_))), "{option}");
    }
}

#[test]
fn filters_are_installed_in_the_order_of_their_options() {
    let line = "--add-seccomp-fd 9 --add-seccomp-fd 7 --add-seccomp-fd 8";
    assert_eq!(launch(line).spec.seccomp, Seccomp::Programs(vec![9, 7, 8]));
}
