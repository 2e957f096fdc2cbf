//! Options without all of their arguments, every one; and that both programs have these options.

use crate::programs::{each, ours, with, words};

/// How the lack of an argument is said, how many there have to be, and the options for which that is so.
const LACKS: [(&str, usize, &str); 4] = [
    (
        "takes an argument",
        1,
        "--add-seccomp-fd --args --block-fd --cap-add --cap-drop --dev --dir --exec-label --file-label --gid --hostname \
         --info-fd --json-status-fd --lock-file --mqueue --perms --pidns --proc --ro-overlay --seccomp --size --sync-fd \
         --tmp-overlay --tmpfs --uid --unsetenv --userns --userns-block-fd --userns2",
    ),
    ("takes one argument", 1, "--argv0 --chdir --remount-ro"),
    (
        "takes two arguments",
        2,
        "--bind --bind-data --bind-fd --bind-try --chmod --dev-bind --dev-bind-try --file --ro-bind --ro-bind-data \
         --ro-bind-try --setenv --symlink",
    ),
    ("takes three arguments", 3, "--overlay"),
];

/// Those of which it is said in other words. Of layers the peer says what would have to follow.
const OTHERWISE: [(&str, usize, &str); 2] = [
    ("--overlay-src", 1, "--overlay-src "),
    ("--ro-bind-fd", 2, "--bind-fd takes two arguments"),
];

/// The options that take none.
const PLAIN: &str = "--as-pid-1 --assert-userns-disabled --clearenv --die-with-parent --disable-userns --help --level-prefix \
                     --new-session --share-net --unshare-all --unshare-cgroup --unshare-cgroup-try --unshare-ipc \
                     --unshare-net --unshare-pid --unshare-user --unshare-user-try --unshare-uts --version";

/// Every option that takes arguments: how many, and how their lack is said.
fn lacks() -> Vec<(&'static str, usize, String)> {
    let usual = LACKS.iter().flat_map(|&(why, count, options)| {
        let lack = move |option| (option, count, format!("{option} {why}"));
        words(options).into_iter().map(lack)
    });
    let others = OTHERWISE.map(|(option, count, why)| (option, count, why.to_string()));
    usual.chain(others).collect()
}

#[test]
fn an_option_without_all_of_its_arguments_is_refused() {
    for (option, takes, why) in lacks() {
        with(&[option], |bwrap| {
            for given in 0..takes {
                let line = [&[option][..], &["/x", "/y"][..given]].concat();
                bwrap.refuses(&[], &line, &why);
            }
        });
    }
}

#[test]
fn ours_has_every_option_and_there_are_no_others() {
    let taking = lacks().into_iter().map(|(option, ..)| option);
    let all: Vec<&str> = taking.chain(words(PLAIN)).collect();
    for option in &all {
        assert!(ours().options().any(|listed| listed == *option), "{option}");
    }
    each(|bwrap| {
        for option in bwrap.options() {
            assert!(all.contains(&option), "{option}");
        }
    });
}
