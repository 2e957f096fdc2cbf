//! The two programs that take bwrap's command line, and running them.

use crate::fds::{Fd, inherit};
use crate::support::{Dir, ROOTLET, Ran, finish, shell_with, skip};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

/// The host's files, read-only.
pub const HOST: &str = "--ro-bind / /";
/// A root of the host's programs and nothing else but /dev/null, which a shell cannot do without.
pub const TOOLS: &str = "--dev-bind /dev/null /dev/null --ro-bind /usr /usr --ro-bind /bin /bin --ro-bind /lib /lib \
                         --ro-bind-try /lib64 /lib64";
/// The ways to have a command: by itself, below an init, and in the place of the init.
pub const WAYS: [&str; 3] = ["", "--unshare-pid", "--unshare-pid --as-pid-1"];

/// The words of a line in which none has a blank.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The arguments for a shell script in a root of [`TOOLS`], and what `options` add.
pub fn in_tools<'a>(options: &'a str, script: &'a str) -> Vec<&'a str> {
    let options = [words(TOOLS), words(options)].concat();
    [&options[..], &["--", "sh", "-ec", script]].concat()
}

/// A program that takes bwrap's command line.
pub struct Bwrap {
    path: PathBuf,
    help: String,
    version: Vec<u32>,
}

static PEER: LazyLock<Option<Bwrap>> = LazyLock::new(|| match std::env::var_os("BWRAP") {
    Some(path) => Some(Bwrap::at(path.into())),
    None => {
        let path = PathBuf::from("/usr/bin/bwrap");
        path.exists().then(|| Bwrap::at(path))
    }
});
static OURS: LazyLock<Bwrap> = LazyLock::new(|| Bwrap::at(named_bwrap()));

/// The program under test under the name `bwrap`, until this process ends.
fn named_bwrap() -> PathBuf {
    static DIR: OnceLock<Dir> = OnceLock::new();
    extern "C" fn remove() {
        if let Some(dir) = DIR.get() {
            let _ = std::fs::remove_dir_all(dir.path());
        }
    }
    let path = DIR.get_or_init(Dir::new).path().join("bwrap");
    // SAFETY: the function is there until the process ends.
    assert_eq!(unsafe { libc::atexit(remove) }, 0);
    // Of another user's file there may be no hard link. What another process has written can be executed at once; what this
    // one had open may be so in a child of another test's.
    let link = "ln -- \"$1\" \"$2\" 2>/dev/null || cp -- \"$1\" \"$2\"";
    shell_with(link, &[ROOTLET.as_ref(), path.as_os_str()]).ok();
    path
}

/// Ours.
pub fn ours() -> &'static Bwrap {
    &OURS
}

/// Runs `case` with each program.
pub fn each(case: impl Fn(&Bwrap)) {
    each_that(|_| true, case);
}

/// Runs `case` with ours, and with the peer if it has these options.
pub fn with(options: &[&str], case: impl Fn(&Bwrap)) {
    let has = |peer: &Bwrap, option| peer.options().any(|listed| listed == option);
    each_that(|peer| options.iter().all(|option| has(peer, *option)), case);
}

/// Runs `case` with ours, and with the peer if it is of this version or a later one.
pub fn since(version: [u32; 3], case: impl Fn(&Bwrap)) {
    each_that(|peer| peer.version[..] >= version[..], case);
}

fn each_that(fits: impl Fn(&Bwrap) -> bool, case: impl Fn(&Bwrap)) {
    let run = |bwrap| {
        let _named = Named(bwrap);
        case(bwrap);
    };
    run(ours());
    match &*PEER {
        Some(peer) if fits(peer) => run(peer),
        Some(_) => (),
        None => skip("bwrap is not installed: ours alone is tested"),
    }
}

/// Says whose case it was that failed.
struct Named<'a>(&'a Bwrap);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was {}", self.0.path.display());
        }
    }
}

impl Bwrap {
    fn at(path: PathBuf) -> Bwrap {
        let printed = |option| {
            let mut command = Command::new(&path);
            command.arg(option);
            finish(command).ok()
        };
        let help = printed("--help");
        let version = numbers(&printed("--version"));
        Bwrap {
            help,
            version,
            path,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The options that its help lists.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        let words = self
            .help
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        words.filter(|word| word.starts_with("--"))
    }

    /// The program with these arguments, without input; it inherits `fds`.
    pub fn command(&self, fds: &[&Fd], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null());
        inherit(&mut command, fds);
        command
    }

    /// Runs [`Bwrap::command`].
    pub fn run(&self, fds: &[&Fd], arguments: &[&str]) -> Ran {
        finish(self.command(fds, arguments))
    }

    /// What a shell script prints that has to succeed, and nothing is said about, with the arguments of [`in_tools`].
    #[track_caller]
    pub fn inside(&self, fds: &[&Fd], options: &str, script: &str) -> String {
        let ran = self.run(fds, &in_tools(options, script));
        assert_eq!(ran.err, "", "{options}: {ran:#?}");
        ran.ok()
    }

    /// Requires that it fails without a command having run, and says why: `bwrap: ` and `why` first.
    #[track_caller]
    pub fn refuses(&self, fds: &[&Fd], arguments: &[&str], why: &str) {
        let ran = self.run(fds, arguments);
        assert_eq!((ran.status, &*ran.out), (1, ""), "{arguments:?}: {ran:#?}");
        let said = ran.err.strip_prefix("bwrap: ");
        assert!(
            said.is_some_and(|said| said.starts_with(why)),
            "{why:?} is not said first: {arguments:?}: {ran:#?}"
        );
    }

    /// The same with the arguments of [`in_tools`].
    #[track_caller]
    pub fn refuses_inside(&self, fds: &[&Fd], options: &str, why: &str) {
        self.refuses(fds, &in_tools(options, "echo ran"), why);
    }
}

/// The numbers of the version that is the last word of this line.
pub fn numbers(line: &str) -> Vec<u32> {
    let word = line.split_whitespace().last().unwrap_or_default();
    let number = |part: &str| {
        part.parse()
            .unwrap_or_else(|_| panic!("no version: {line:?}"))
    };
    word.split('.').map(number).collect()
}
