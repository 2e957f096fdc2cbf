//! `rootlet sandbox`: what may be written and seen, and the words that refine it.

#[path = "support/host.rs"]
mod host;
mod support;

use host::on_a_host;
use rootlet::preset::places::{SECRETS, TOOLS, VARIABLES};
use std::collections::BTreeSet;

/// Puts a file, or a directory with a file, at every place of the list in `$1` in the home directory, where nothing is
/// in the way: each says its own name.
const PLANT: &str = r#"
plant_files() {
    printf '%s\n' "$1" | while read -r name; do
        case $name in */*) mkdir -p "$HOME/${name%/*}" ;; esac
        echo "planted $name" >"$HOME/$name"
    done
}
plant_directories() {
    printf '%s\n' "$1" | while read -r name; do
        mkdir -p "$HOME/$name"; echo "planted $name" >"$HOME/$name/inner"
    done
}
"#;

fn secrets() -> String {
    SECRETS.join("\n")
}

fn tools() -> String {
    TOOLS.join("\n")
}

/// The output's lines.
fn lines(out: &str) -> BTreeSet<&str> {
    out.lines().collect()
}

// What may be written.

#[test]
fn only_the_working_directory_and_what_is_private_can_be_written() {
    let script = r#"
        touch /srv/file ~/file ~/project/file
        before=$(find /home /opt /run /srv /tmp /var/tmp | sort)
        sandbox -- sh -c '
            { printf "%s\n" / /* ~ ~/* /etc/* /home/* /srv/* /var/* /var/tmp /dev/shm "$XDG_RUNTIME_DIR" "$PWD"/*
              cut -d" " -f5 /proc/self/mountinfo; } | sort -u | while read -r place; do
                if test -d "$place"
                then if (: >"$place/probe") 2>&-; then readlink -f "$place"; fi
                elif test -f "$place" && (: >>"$place") 2>&-; then echo "$place"
                fi
            done'
        after=$(find /home /opt /run /srv /tmp /var/tmp | sort)
        test "$(printf '%s\n' "$before" $HOME/project/probe | sort)" = "$after" || echo left "$after""#;
    let out = on_a_host(&[], script).ok();
    let id = rustix::process::getuid().as_raw().to_string();
    let runtime = format!("/run/user/{id}");
    let wanted = [
        "/dev",
        "/dev/shm",
        "/home/me",
        "/home/me/project",
        "/home/me/project/file",
        "/run",
        &runtime,
        "/tmp",
        "/var/tmp",
    ];
    let written: BTreeSet<_> = lines(&out);
    assert_eq!(written, wanted.into_iter().collect());
}

#[test]
fn what_is_private_starts_empty_and_ends_with_the_sandbox() {
    let script = r#"
        for place in ~ /tmp /var/tmp /run $XDG_RUNTIME_DIR; do echo host >$place/file; done
        sandbox -- sh -c 'for place in ~ /tmp /var/tmp /run "$XDG_RUNTIME_DIR"; do
            ls -A $place; stat -c %a $place; echo inside >$place/file; done'
        cat ~/file /tmp/file /var/tmp/file /run/file $XDG_RUNTIME_DIR/file"#;
    let out = on_a_host(&[], script).ok();
    let inside = "project\n700\n1777\n1777\nuser\n755\n700\n";
    assert_eq!(out, format!("{inside}{}", ["host"; 5].join("\n")));
}

#[test]
fn it_cannot_be_undone_from_inside() {
    let script = r#"sandbox -- sh -c '
        grep CapEff /proc/self/status
        for how in "" "unshare -Urm"; do
            for place in / /srv; do $how mount -o remount,rw,bind $place 2>&- && echo undone $place; done
            $how umount ~ 2>&- && echo shown
        done; :'"#;
    assert_eq!(on_a_host(&[], script).ok(), "CapEff:\t0000000000000000");
}

#[test]
fn process_ids_ipc_and_network_are_its_own_and_ids_are_the_callers() {
    let script = r#"
        spaces() { for kind in pid ipc net mnt user; do readlink /proc/self/ns/$kind; done; id -u; id -g; }
        spaces >/srv/host
        sandbox -- sh -c 'for kind in pid ipc net mnt user; do readlink /proc/self/ns/$kind; done; id -u; id -g
            ls /sys/class/net >/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1' >/srv/inside
        sandbox --net host -- readlink /proc/self/ns/net >>/srv/inside
        cat /srv/host; echo; cat /srv/inside"#;
    let out = on_a_host(&[], script).ok();
    let (host, inside) = out.split_once("\n\n").unwrap();
    let (host, inside): (Vec<_>, Vec<_>) = (host.lines().collect(), inside.lines().collect());
    for number in 0..5 {
        assert_ne!(host[number], inside[number], "{out}");
    }
    assert_eq!((host[5], host[6]), (inside[5], inside[6]));
    assert_eq!(inside[7].trim(), "lo");
    assert_eq!(inside[8], host[2], "--net host is the host's network");
}

// What of the home directory is seen.

#[test]
fn every_tool_place_can_be_read_and_not_written() {
    let script = format!(
        r#"{PLANT}
        plant_directories "$TOOLS"
        sandbox -- sh -c 'printf "%s\n" "$TOOLS" | while read -r name; do
            cat "$HOME/$name/inner"
            for path in inner new; do if (: >>"$HOME/$name/$path") 2>&-; then echo written; fi; done
        done' "#
    );
    let script = script.replace("sandbox --", "sandbox -e TOOLS --");
    let out = on_a_host(&[("TOOLS", &tools())], &script).ok();
    let wanted: Vec<_> = TOOLS.iter().map(|name| format!("planted {name}")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn no_secret_is_seen_in_any_view_that_does_not_name_it() {
    // The last line of each is a file that is no secret: what is looked for would be found.
    let script = r#"
        echo 'planted tool' >~/.cargo/config.toml; echo 'planted file' >~/file
        ln -s /home/me /srv/link; ln -s /srv/link /srv/link2; mkdir ~/x
        look() {
            sandbox "$@" -- grep -rs planted /home /mnt /opt /run /srv /tmp /var/tmp \
                | sed 's/^/'"$(echo "$*" | tr -c 'a-z\n' _)"' /'
            echo
        }
        look; look --read ~; look --write ~; look --write ~/x; look -v ~:/mnt; look -v /home:/mnt; look --read /home
        look -v /srv/link:/mnt; look -v /srv/link2/project/..:/mnt; look -v ..:/mnt; look --read /srv/link
        look --overlay $HOME,/mnt; look --overlay /srv/deep:/home/me,/mnt; look --tmpfs ~/.ssh -v ~:/mnt
        look --read ~/.local --read ~/.config; look --read ~ --read ~/x; look --read ~/.cargo/bin/..
        cd /; cd /srv/deep; HOME=/srv/link look --read /srv/link
        cd ~/.config; look"#;
    for plant in ["plant_files", "plant_directories"] {
        let script = format!("{PLANT}\nmkdir -p ~/.cargo\n{plant} \"$SECRETS\"\n{script}");
        let out = on_a_host(&[("SECRETS", &secrets())], &script).ok();
        let found = |line: &&str| line.contains("planted");
        let known = |line: &&str| line.ends_with("planted tool") || line.ends_with("planted file");
        let seen: Vec<_> = out
            .lines()
            .filter(found)
            .filter(|line| !known(line))
            .collect();
        assert!(seen.is_empty(), "{plant}: {seen:#?}");
        assert!(out.lines().filter(known).count() > 20, "{out}");
    }
}

#[test]
fn a_secret_is_seen_when_it_is_asked_for_by_its_name() {
    let script = format!(
        r#"{PLANT}
        plant_directories "$SECRETS"
        printf '%s\n' "$SECRETS" | while read -r name; do
            sandbox --read ~/"$name" -- cat "$HOME/$name/inner" </dev/null
        done
        sandbox --read ~ --read ~/.ssh -- cat ~/.ssh/inner
        sandbox --read ~/.ssh --read ~ -- cat ~/.ssh/inner
        sandbox -v ~/.ssh:/mnt -- cat /mnt/inner
        for options in "" "--read $HOME" "--read $HOME/.local"; do
            sandbox $options --read ~/.ssh/inner --read ~/.local/share/keyrings/inner -- \
                cat ~/.ssh/inner ~/.local/share/keyrings/inner
        done"#
    );
    let out = on_a_host(&[("SECRETS", &secrets())], &script).ok();
    let parts = [".ssh", ".local/share/keyrings"];
    let names = SECRETS.iter().chain(&[".ssh"; 3]);
    let names = names.chain(parts.iter().cycle().take(6));
    let wanted: Vec<_> = names.map(|name| format!("planted {name}")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_secret_that_is_a_link_is_seen_at_neither_end() {
    let script = r#"
        mkdir /srv/keys ~/dotfiles ~/dotfiles/cargo; echo planted >/srv/keys/id; ln -s /srv/keys ~/.ssh
        echo planted >~/dotfiles/netrc; ln -s dotfiles/netrc ~/.netrc
        echo planted >~/dotfiles/cargo/credentials.toml; ln -s dotfiles/cargo ~/.cargo; echo tool >~/.cargo/env
        sandbox -- sh -c 'cat ~/.ssh/id /srv/keys/id ~/.netrc ~/.cargo/credentials.toml; cat ~/.cargo/env' 2>&- || :
        sandbox --read ~ -- sh -c 'cat ~/.ssh/id /srv/keys/id ~/.netrc ~/.cargo/credentials.toml; cat ~/.cargo/env' 2>&- || :
        cd ~/dotfiles
        sandbox -- sh -c 'cat netrc cargo/credentials.toml; cat ~/.cargo/env' 2>&-
        sandbox --read ~/.ssh -- cat ~/.ssh/id"#;
    assert_eq!(on_a_host(&[], script).ok(), "tool\ntool\ntool\nplanted");
}

#[test]
fn the_rest_of_the_home_directory_is_not_seen() {
    let script =
        "mkdir ~/Documents ~/.config ~/.unknown; touch ~/letter; sandbox -- ls -A /home/me";
    assert_eq!(on_a_host(&[], script).ok(), "project");
}

// The working directory.

#[test]
fn the_working_directory_may_be_among_the_tools_or_private_places_or_anywhere() {
    let script = r#"
        for place in ~/.local ~/.local/share/app ~/go ~/.config ~/a/b/c /tmp/p /var/tmp/p /run/p $XDG_RUNTIME_DIR/p /srv/deep; do
            mkdir -p $place; cd $place
            sandbox -- sh -c 'pwd; echo inside >file'; cat file
        done"#;
    let out = on_a_host(&[], script).ok();
    let id = rustix::process::getuid().as_raw();
    let runtime = format!("/run/user/{id}/p");
    let home = [".local", ".local/share/app", "go", ".config", "a/b/c"];
    let places: Vec<String> = home.iter().map(|name| format!("/home/me/{name}")).collect();
    let others = ["/tmp/p", "/var/tmp/p", "/run/p", &runtime, "/srv/deep"];
    let all = places.iter().map(String::as_str).chain(others);
    let wanted: Vec<_> = all.flat_map(|place| [place, "inside"]).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_working_directory_or_a_home_that_is_reached_by_a_link_is_the_same() {
    let script = r#"
        ln -s ~/project /srv/link; cd /srv/link; sandbox -- sh -c 'pwd; echo one >file'; cat ~/project/file
        ln -s /home/me /srv/me; touch ~/letter; mkdir ~/.local ~/.ssh; echo key >~/.ssh/key
        export HOME=/srv/me; cd /home/me/project
        sandbox -- sh -c 'ls -A ~ /home/me; echo two >file; (: >~/.local/x) 2>&- && echo written; :'; cat file
        sandbox --read ~/.ssh -- cat ~/.ssh/key
        sandbox --read ~ -- sh -c 'ls -A ~ ~/.ssh; echo three >file'; cat file"#;
    let listing = "/home/me:\n.local\nproject\n\n/srv/me:\n.local\nproject";
    let read = "/srv/me:\n.local\n.ssh\nletter\nproject\n\n/srv/me/.ssh:";
    assert_eq!(
        on_a_host(&[], script).ok(),
        format!("/home/me/project\none\n{listing}\ntwo\nkey\n{read}\nthree")
    );
}

#[test]
fn a_working_directory_that_is_too_wide_is_refused_with_a_hint() {
    for (place, why) in [
        ("/home/me", "is your home directory"),
        ("/home", "holds your home directory"),
        ("/", "holds your home directory"),
        ("/tmp", "is one that a sandbox has of its own"),
        ("/run/user", "is one that a sandbox has of its own"),
        ("$XDG_RUNTIME_DIR", "is one that a sandbox has of its own"),
    ] {
        let ran = on_a_host(&[], &format!("cd {place}; sandbox -- true"));
        ran.fails(125, &[why, "hint: cd to the directory of one project"]);
    }
    on_a_host(&[], "mkdir gone; cd gone; rmdir ../gone; sandbox -- true")
        .fails(125, &["the working directory has no name any more"]);
}

#[test]
fn without_home_nothing_is_shown_by_mistake() {
    for home in ["unset HOME", "HOME="] {
        on_a_host(&[], &format!("{home}; sandbox -- true"))
            .fails(125, &["HOME is not set", "hint: set HOME"]);
    }
    for (home, is_missing) in [("/", false), ("/dev/null", true), ("/no/such", true)] {
        let ran = on_a_host(&[], &format!("export HOME={home}; sandbox -- pwd"));
        let note = "note: HOME names no directory: no home directory is hidden";
        assert_eq!(ran.err.contains(note), is_missing, "{home}: {ran:#?}");
        assert_eq!(ran.ok(), "/home/me/project");
    }
}

// The three words.

#[test]
fn write_read_and_hide_refine_it() {
    let script = r#"
        mkdir ~/w ~/r ~/project/h; touch ~/project/h/file ~/project/secret ~/r/file
        sandbox --write ~/w --read ~/r --hide h --hide ~/project/secret --write /srv/deep -- sh -c '
            echo w >~/w/new; echo d >/srv/deep/new; ls ~/r; ls h; cat secret
            for path in ~/r/new /srv/new h/new secret; do if (: >>$path) 2>&-; then echo written $path; fi; done'
        cat ~/w/new /srv/deep/new; ls ~/r /srv"#;
    assert_eq!(
        on_a_host(&[], script).ok(),
        "file\nw\nd\n/home/me/r:\nfile\n\n/srv:\ndeep"
    );
}

#[test]
fn a_directory_beside_the_working_directory_is_named_with_two_dots() {
    let script = r#"
        mkdir -p ~/lib ~/deep/far; echo lib >~/lib/file; ln -s deep/far ~/project/link; ln -s ~/deep/far ~/project/far
        for option in --read --write -v; do sandbox $option ../lib -- cat ~/lib/file; done
        sandbox --write ../lib -- sh -c 'echo new >../lib/new; ls ..'; cat ~/lib/new
        sandbox --tmpfs ~/project/../made/x/.. -- sh -c 'cd ~/made && touch file && ls'
        mkdir ~/deep/near; sandbox --read far/../near -- ls ~/deep
        sandbox --read ../.ssh/known_hosts --read .. -- ls ~/.ssh"#;
    let plant = "mkdir ~/.ssh; echo key >~/.ssh/id; echo host >~/.ssh/known_hosts;";
    assert_eq!(
        on_a_host(&[], &format!("{plant}{script}")).ok(),
        "lib\nlib\nlib\nlib\nproject\nnew\nfile\nnear\nknown_hosts"
    );
}

#[test]
fn parts_of_what_may_be_written_can_be_kept_and_parts_of_tools_can_be_written() {
    let script = r#"
        mkdir -p .git ~/.cargo/registry; echo token >~/.cargo/credentials
        sandbox --read .git --write ~/.cargo/registry -- sh -c '
            for place in .git/x x ~/.cargo/x ~/.cargo/registry/x; do (: >$place) 2>&- && echo $place; done
            cat ~/.cargo/credentials'"#;
    assert_eq!(on_a_host(&[], script).ok(), "x\n/home/me/.cargo/registry/x");
}

#[test]
fn a_view_above_the_working_directory_leaves_it_writable() {
    let script = r#"
        for option in "--read /home/me" "--read /home" "--tmpfs /home/me" "--overlay /home/me,/home/me"; do
            sandbox $option -- sh -c 'echo one >>file'
        done
        cat file
        mkdir /tmp/p; cd /tmp/p; sandbox --tmpfs /tmp:size=1m -- sh -c 'echo two >file'; cat file"#;
    assert_eq!(on_a_host(&[], script).ok(), "one\none\none\none\ntwo");
}

#[test]
fn an_options_view_stands_for_the_presets_at_the_same_place() {
    let script = r#"
        mkdir ~/other ~/.local; echo mine >~/other/file; echo local >~/.local/file
        sandbox --tmpfs /tmp:size=1m -- sh -c 'stat -f -c "%b %s" /tmp' | { read blocks size; echo $((blocks * size)); }
        sandbox -v ~/other:/tmp -- sh -c 'cat /tmp/file; touch /tmp/new'; ls ~/other
        sandbox --write ~/.local -- sh -c 'echo new >~/.local/file'; cat ~/.local/file
        sandbox --tmpfs ~/.local -- ls -A ~/.local
        sandbox --read . -- sh -c 'if (: >file) 2>&-; then echo written; fi'"#;
    assert_eq!(on_a_host(&[], script).ok(), "1048576\nmine\nfile\nnew\nnew");
}

#[test]
fn nothing_is_left_on_the_host() {
    let script = r#"
        mkdir ~/.cargo ~/.ssh; touch ~/.ssh/key ~/.cargo/credentials .env
        state() { find /home /opt /run /srv /tmp /var/tmp -printf '%p %m %s %i\n' | sort; }
        before=$(state)
        for options in "" "--hide-env" "--hide ~/missing --hide missing --hide a/b --hide /tmp/missing" \
            "--read $HOME --hide $HOME/missing" "--tmpfs $HOME/.cargo" "-w /no/such" "--write /no/such" "--net host"; do
            sandbox $options -- true 2>&- || :
            sandbox $options -- sh -c 'kill -9 $$; touch ~/x /tmp/x' || :
        done 2>&-
        test "$before" = "$(state)" || { echo "$before"; echo; state; }"#;
    assert_eq!(on_a_host(&[], script).ok(), "");
}

// The environment.

#[test]
fn u9_only_known_variables_go_in_and_what_is_asked_for() {
    let tokens = [
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "NPM_TOKEN",
        "CARGO_REGISTRY_TOKEN",
        "SSH_AUTH_SOCK",
        "SSH_AGENT_PID",
        "GPG_AGENT_INFO",
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DOCKER_HOST",
        "CONTAINER_HOST",
        "LD_PRELOAD_OTHER",
        "MINE",
    ];
    let variables: Vec<(&str, &str)> = VARIABLES
        .iter()
        .chain(&tokens)
        .filter(|name| !["PATH", "HOME", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH"].contains(name))
        .map(|name| (*name, "5"))
        .collect();
    let script = r#"export LD_LIBRARY_PATH=/no/such; names() { tr '\0' '\n' | cut -d= -f1 | sort | tr '\n' ' '; echo; }
        sandbox cat /proc/self/environ | names
        sandbox -e MINE -e NEW=6 -e CI=7 sh -c 'echo $MINE $NEW $CI'
        sandbox --clear-env cat /proc/self/environ | names"#;
    let out = on_a_host(&variables, script).ok();
    let mut lines = out.lines();
    let mut wanted = VARIABLES.to_vec();
    wanted.sort_unstable();
    let inside: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(inside, wanted);
    assert_eq!(lines.next(), Some("5 6 7"));
}

#[test]
fn hide_env_hides_the_settings_of_the_working_directory() {
    let script = r#"
        for name in .env .env.local .env.production .envrc .env.example main; do echo $name >$name; done
        sandbox -- cat .env .env.local .env.production .envrc .env.example main; echo
        sandbox --hide-env -- cat .env .env.local .env.production .envrc .env.example main
        sandbox --hide-env -- sh -c '(: >.env) 2>&- && echo written; :'"#;
    assert_eq!(
        on_a_host(&[], script).ok(),
        ".env\n.env.local\n.env.production\n.envrc\n.env.example\nmain\n\n.env.example\nmain"
    );
}

// Profiles and specs.

#[test]
fn a_rootlet_toml_is_read_only_when_it_is_asked_for() {
    let script = r#"
        mkdir ~/.ssh ~/w; echo key >~/.ssh/key
        printf 'net = "host"\n[[mounts]]\ntype = "bind"\nsource = "/home/me/.ssh"\n' >rootlet.toml
        sandbox -- sh -c 'cat ~/.ssh/key || echo closed' 2>&-
        sandbox --profile ./rootlet.toml -- cat ~/.ssh/key
        sandbox --profile "$PWD/rootlet.toml" -- cat ~/.ssh/key
        sandbox --profile rootlet -- true"#;
    let ran = on_a_host(&[], script);
    assert_eq!(ran.out, "closed\nkey\nkey");
    ran.fails(
        125,
        &["/home/me/.config/rootlet/profiles/rootlet.toml", "(ENOENT)"],
    );
}

#[test]
fn a_profile_adds_to_lists_and_replaces_values_and_options_come_after() {
    let script = r#"
        mkdir -p ~/.config/rootlet/profiles ~/w ~/.local; touch ~/.local/file
        cat >~/.config/rootlet/profiles/box.toml <<'end'
hostname = "box"
env = ["ADDED=1"]
[[mounts]]
type = "bind"
source = "/home/me/w"
[[mounts]]
type = "tmpfs"
target = "/home/me/.local"
end
        sandbox --profile box -- sh -c 'uname -n; echo $ADDED; echo $HOME; echo w >~/w/file; ls -A ~ ~/.local'; cat ~/w/file
        sandbox --hostname other --profile box -e ADDED=2 -- sh -c 'uname -n; echo $ADDED'
        mkdir -p /srv/config/rootlet/profiles; echo 'hostname = "third"' >/srv/config/rootlet/profiles/box.toml
        XDG_CONFIG_HOME=/srv/config sandbox --profile box -- uname -n
        printf 'hostname = "a"\nhide = true\n' >~/.config/rootlet/profiles/wrong.toml
        sandbox --profile wrong -- true"#;
    let ran = on_a_host(&[], script);
    let listing = "/home/me:\n.local\nproject\nw\n\n/home/me/.local:";
    assert_eq!(
        ran.out,
        format!("box\n1\n/home/me\n{listing}\nw\nother\n2\nthird"),
        "{ran:#?}"
    );
    ran.fails(125, &["profiles/wrong.toml, line 2: unknown field `hide`"]);
}

#[test]
fn a_printed_sandbox_is_the_same_container_when_it_is_run() {
    let script = r#"
        mkdir ~/.cargo ~/.ssh ~/w; touch ~/.cargo/credentials .env
        show='id; pwd; ls -A ~ ~/.cargo; cut -d" " -f4,5,6 /proc/self/mountinfo; tr "\0" "\n" </proc/self/environ | sort; tail -n +3 /proc/net/dev'
        options="--write $HOME/w --hide-env --read $HOME --tmpfs /tmp:size=1m -e A=1 -e B=2"
        sandbox $options -- sh -c "$show" >/srv/one
        sandbox $options --print-spec -- sh -c "$show" >/srv/spec
        "$rootlet" run --spec /srv/spec >/srv/two
        diff /srv/one /srv/two; grep -c . /srv/two"#;
    let lines: usize = on_a_host(&[], script).ok().parse().unwrap();
    assert!(lines > 40);
}

// Sockets.

/// Makes unix sockets and listens; `connect PATH` (an abstract one starts with @) says whether one can be reached.
const SOCKETS: &str = r#"
cat >/srv/listen.py <<'end'
import os, socket, sys
sockets = []
for path in sys.argv[1:]:
    if not path.startswith("@"): os.makedirs(os.path.dirname(path), exist_ok=True)
    sockets.append(socket.socket(socket.AF_UNIX)); sockets[-1].bind(path.replace("@", "\0", 1)); sockets[-1].listen()
open(os.environ.get("READY", "/srv/ready"), "w").close()
import time; time.sleep(1000)
end
cat >/srv/connect.py <<'end'
import errno, socket, sys
for path in sys.argv[1:]:
    try: socket.socket(socket.AF_UNIX).connect(path.replace("@", "\0", 1)); print("reached", path)
    except OSError as error: print(errno.errorcode[error.errno], path)
end
await() { while ! test -e $1; do sleep 0.01; done; }
python=/usr/bin/python3
"#;

#[test]
fn s4_sockets_of_the_desktop_and_of_daemons_are_not_reached_by_path() {
    let sockets = "$XDG_RUNTIME_DIR/bus $XDG_RUNTIME_DIR/wayland-0 $XDG_RUNTIME_DIR/podman/podman.sock \
        $XDG_RUNTIME_DIR/keyring/ssh $XDG_RUNTIME_DIR/gnupg/S.gpg-agent /run/docker.sock /var/run/docker.sock2 /run/dbus/system_bus_socket \
        /tmp/.X11-unix/X0 /tmp/ssh-x/agent.1 $HOME/.gnupg/S.gpg-agent $HOME/.docker/run/docker.sock /srv/runtime/bus";
    let script = format!(
        r#"{SOCKETS}
        sockets="{sockets}"
        $python /srv/listen.py $sockets & await /srv/ready
        $python /srv/connect.py $sockets
        for options in "" "--net host" "--read $HOME" "--write /home"; do
            XDG_RUNTIME_DIR=/srv/runtime sandbox $options -- $python /srv/connect.py $sockets
            sandbox $options -- $python /srv/connect.py ${{sockets% *}}
        done
        sandbox --read $XDG_RUNTIME_DIR/bus -- $python /srv/connect.py $XDG_RUNTIME_DIR/bus
        kill %1 2>/dev/null || kill $!"#
    );
    let out = on_a_host(&[], &script).ok();
    let (reached, others): (Vec<_>, Vec<_>) =
        out.lines().partition(|line| line.starts_with("reached"));
    assert_eq!(reached.len(), 13 + 1, "{out}");
    assert!(out.ends_with(reached[0]), "{out}");
    assert_eq!(others.len(), 4 * (13 + 12), "{out}");
    for line in others {
        assert!(line.starts_with("ENOENT"), "{line}");
    }
}

#[test]
fn s1_abstract_sockets_of_the_host_are_reached_only_when_asked_for_and_those_inside_are() {
    let name = format!("@rootlet-test-{}", std::process::id());
    let script = format!(
        r#"{SOCKETS}
        $python /srv/listen.py {name} & await /srv/ready
        $python /srv/connect.py {name}
        sandbox -- $python /srv/connect.py {name}
        sandbox --net host -- $python /srv/connect.py {name}
        sandbox --net host --abstract-sockets host -- $python /srv/connect.py {name}
        for net in host none; do
            sandbox --net $net -e READY=/tmp/ready -- sh -c '$0 /srv/listen.py {name}-in & while ! test -e /tmp/ready; do sleep 0.01; done
                $0 /srv/connect.py {name}-in' $python
        done
        kill $!"#
    );
    assert_eq!(
        on_a_host(&[], &script).ok(),
        format!(
            "reached {name}\nECONNREFUSED {name}\nEPERM {name}\nreached {name}\nreached {name}-in\nreached {name}-in"
        )
    );
}

// What is said of it.

#[test]
fn every_entry_of_the_lists_is_documented() {
    let text = include_str!("../docs/sandbox.md");
    for name in TOOLS.iter().chain(SECRETS) {
        assert!(text.contains(&format!("`~/{name}`")), "~/{name}");
    }
    for name in VARIABLES {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}
