//! Completions in the shells themselves, and the manual pages.

mod support;

use std::process::{Command, Stdio};
use support::{Dir, ROOTLET, finish};

/// A state directory of the test's own, with `box`, which runs, and `gone`, which has ended.
struct Place {
    dir: Dir,
}

impl Place {
    fn new() -> Place {
        let place = Place { dir: Dir::new() };
        for name in ["state", "bin", "work"] {
            place.dir.directory(name);
        }
        place.dir.file("work/some-file", "");
        std::os::unix::fs::symlink(ROOTLET, place.dir.at("bin/rootlet")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(place.dir.at("state"), private).unwrap();
        place.detach("box", &["sleep", "60"]);
        place.detach("gone", &["true"]);
        place.rootlet(&["wait", "gone"]);
        place
    }

    /// `program` where `rootlet` is a command, with the state directory.
    fn command(&self, program: &str) -> Command {
        let path = format!("{}:{}", self.dir.at("bin"), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command
            .env("PATH", path)
            .env("XDG_RUNTIME_DIR", self.dir.at("state"))
            .current_dir(self.dir.at("work"))
            .stdin(Stdio::null());
        command
    }

    /// Starts a container, whose processes have nothing of the test's open.
    #[track_caller]
    fn detach(&self, name: &str, words: &[&str]) {
        let mut command = self.command("rootlet");
        let command = command
            .args(["run", "-d", "--name", name, "--"])
            .args(words);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "{command:?}");
    }

    #[track_caller]
    fn rootlet(&self, arguments: &[&str]) -> String {
        let mut command = self.command("rootlet");
        command.args(arguments);
        finish(command).ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut command = self.command("rootlet");
        command.args(["rm", "--all", "--force"]);
        finish(command);
    }
}

/// A shell that says what it offers for a line.
trait Shell {
    /// The words, sorted.
    fn offers(&self, line: &str) -> Vec<String>;

    #[track_caller]
    fn offers_just(&self, line: &str, words: &[&str]) {
        assert_eq!(self.offers(line), words, "{line:?}");
    }

    #[track_caller]
    fn offers_also(&self, line: &str, words: &[&str]) {
        let offered = self.offers(line);
        for word in words {
            assert!(offered.iter().any(|it| it == word), "{line:?}: {offered:?}");
        }
    }
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = words
        .map(str::to_string)
        .filter(|word| !word.is_empty())
        .collect();
    words.sort();
    words.dedup();
    words
}

/// What has to be so in every shell.
fn completes(shell: &dyn Shell) {
    shell.offers_also("rootlet ", &["run", "try", "stop", "unpause", "completion"]);
    shell.offers_just("rootlet sto", &["stop"]);
    shell.offers_just("rootlet run --na", &["--name"]);
    shell.offers_just("rootlet try --kee", &["--keep"]);
    shell.offers_just("rootlet run --net ", &["host", "none"]);
    shell.offers_just("rootlet completion ", &["bash", "fish", "zsh"]);
    shell.offers_just("rootlet man renam", &["rename"]);

    for verb in [
        "stop", "kill", "pause", "unpause", "wait", "top", "attach", "exec",
    ] {
        shell.offers_just(&format!("rootlet {verb} "), &["box"]);
    }
    for verb in ["logs", "rm", "rename", "inspect"] {
        shell.offers_just(&format!("rootlet {verb} "), &["box", "gone"]);
    }
    shell.offers_just("rootlet -v stop --time 1s b", &["box"]);
    shell.offers_just("rootlet rm box g", &["gone"]);
    shell.offers_just("rootlet stop --ti", &["--time"]);
    assert!(!shell.offers("rootlet rename box ").contains(&"gone".into()));

    for line in [
        "rootlet run unsh",
        "rootlet run -- unsh",
        "rootlet sandbox --net none -v /a:/b --rm unsh",
        "rootlet try --net=none -- unsh",
        "rootlet exec box unsh",
        "rootlet exec -u keep box -- unsh",
        "rootlet enter 1 unsh",
    ] {
        shell.offers_also(line, &["unshare"]);
    }
}

struct Bash<'a> {
    place: &'a Place,
    script: String,
    /// What is run before the script, such as a bash-completion.
    before: &'static str,
}

impl Bash<'_> {
    fn new<'a>(place: &'a Place, before: &'static str) -> Bash<'a> {
        let text = place.rootlet(&["completion", "bash"]);
        let script = place.dir.file("rootlet.bash", text);
        Bash {
            place,
            script,
            before,
        }
    }
}

impl Shell for Bash<'_> {
    /// Words are parted as bash does, at = and : too.
    fn offers(&self, line: &str) -> Vec<String> {
        let parted = line.replace('=', " = ").replace(':', " : ");
        let mut words: Vec<&str> = parted.split_whitespace().collect();
        if line.ends_with([' ', '=']) {
            words.push("");
        }
        let code = r#"
            eval "$1"
            source "$2"
            specification=($(complete -p rootlet))
            COMP_LINE=$3 COMP_POINT=${#3} COMP_WORDS=("${@:4}") COMP_CWORD=$(($# - 4))
            function=${specification[*]}
            function=${function#*-F } function=${function%% *}
            "$function" rootlet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let mut command = self.place.command("bash");
        command
            .args(["--norc", "--noprofile", "-c", code, "bash", self.before])
            .args([&self.script, line])
            .args(words);
        let ran = finish(command);
        assert_eq!(ran.err, "", "{line:?}");
        sorted(ran.out.lines())
    }
}

#[test]
fn bash_completes_verbs_options_names_and_commands() {
    let place = Place::new();
    let bash = Bash::new(&place, "");
    completes(&bash);
    bash.offers_just("rootlet run --net=no", &["none"]);
    // Then the names of files, which are for readline to find.
    bash.offers_just("rootlet run -- cat ", &[]);
    bash.offers_just("rootlet changes ", &[]);
}

#[test]
fn bash_asks_for_the_words_of_a_command_whatever_knows_them() {
    let place = Place::new();
    for before in [
        "_comp_command_offset() { COMPREPLY=(from $1); }",
        "_command_offset() { COMPREPLY=(from $1); }",
    ] {
        let bash = Bash::new(&place, before);
        bash.offers_just("rootlet run -- cat ", &["3", "from"]);
        bash.offers_just("rootlet run -d -e A=b -- git -", &["8", "from"]);
        bash.offers_just("rootlet run make --ma", &["2", "from"]);
        bash.offers_just("rootlet exec box -- make -", &["4", "from"]);
    }
}

struct Zsh<'a>(&'a Place);

impl Shell for Zsh<'_> {
    /// An interactive zsh finds the script as it finds those of packages, completes the line, and leaves.
    fn offers(&self, line: &str) -> Vec<String> {
        let out = self.0.dir.file("zsh/out", "");
        let mut command = self.0.command("script");
        command
            .args(["-qec", "zsh -d -i", "/dev/null"])
            .env("ZDOTDIR", self.0.dir.at("zsh"))
            .env("TERM", "xterm")
            .env("LINE", line)
            .env("OUT", &out);
        let ran = finish(command);
        let text = std::fs::read_to_string(out).unwrap();
        assert!(text.ends_with("done\n"), "{line:?}: {text:?}: {ran:?}");
        sorted(text.lines().filter(|line| *line != "done").map(str::trim))
    }
}

const ZSHRC: &str = r#"
    fpath=($ZDOTDIR/functions $fpath)
    autoload -Uz compinit
    compinit -D -u
    setopt no_auto_list no_auto_menu
    compadd() {
        local -a found
        if [[ " ${(pj: :)@[1,(i)(-|--)]} " != *' -'[a-zA-Z]#[OAD]' '* ]]; then
            builtin compadd -O found "$@"
            print -rl -- $found >>$OUT
        fi
        builtin compadd "$@"
    }
    zle-line-init() {
        BUFFER=$LINE CURSOR=${#LINE}
        zle complete-word
        print done >>$OUT
        BUFFER=exit
        zle accept-line
    }
    zle -N zle-line-init
"#;

#[test]
fn zsh_completes_verbs_options_names_and_commands() {
    if !support::installed(&["zsh", "script"]) {
        return;
    }
    let place = Place::new();
    place.dir.directory("zsh/functions");
    place.dir.file("zsh/.zshrc", ZSHRC);
    let text = place.rootlet(&["completion", "zsh"]);
    place.dir.file("zsh/functions/_rootlet", text);
    let zsh = Zsh(&place);
    completes(&zsh);
    zsh.offers_just("rootlet run --net=no", &["none"]);
    zsh.offers_just("rootlet run -- cat som", &["some-file"]);
    zsh.offers_just("rootlet run cat som", &["some-file"]);
}

struct Fish<'a> {
    place: &'a Place,
    script: String,
}

impl Shell for Fish<'_> {
    fn offers(&self, line: &str) -> Vec<String> {
        let code = "source $argv[1]; complete -C $argv[2]";
        let mut command = self.place.command("fish");
        command.args(["--no-config", "-c", code, &self.script, line]);
        let ran = finish(command);
        assert_eq!(ran.err, "", "{line:?}");
        let words = ran.out.lines();
        sorted(words.filter_map(|line| line.split('\t').next()))
    }
}

#[test]
fn fish_completes_verbs_options_names_and_commands() {
    if !support::installed(&["fish"]) {
        return;
    }
    let place = Place::new();
    let text = place.rootlet(&["completion", "fish"]);
    let script = place.dir.file("rootlet.fish", text);
    let fish = Fish {
        place: &place,
        script,
    };
    completes(&fish);
    fish.offers_just("rootlet run --net=no", &["--net=none"]);
    fish.offers_just("rootlet run -- cat som", &["some-file"]);
    fish.offers_just("rootlet run cat som", &["some-file"]);
}

fn rootlet(arguments: &[&str]) -> support::Ran {
    let mut command = Command::new(ROOTLET);
    command.args(arguments);
    finish(command)
}

/// The verbs that help lists.
fn verbs() -> Vec<String> {
    let help = rootlet(&["--help"]).ok();
    let list = help.split("Verbs:\n").nth(1).unwrap();
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .map(str::to_string)
        .collect()
}

/// A page as it is read, without what makes letters bold, or the warnings of groff.
fn read(page: &str) -> String {
    let script = r#"groff -man -Tascii -P-cbou -rLL=200n -ww "$1" 2>&1"#;
    support::shell_with(script, &[page.as_ref()]).ok()
}

#[test]
fn every_verb_has_a_manual_page_that_groff_reads_without_a_warning() {
    if !support::installed(&["groff"]) {
        return;
    }
    let dir = Dir::new();
    let pages = dir.at("share/man1");
    rootlet(&["man", "--dir", &pages]).ok();
    let verbs = verbs();
    assert!(verbs.len() > 20, "{verbs:?}");
    let first = read(&format!("{pages}/rootlet.1"));
    for verb in &verbs {
        assert!(first.contains(&format!("rootlet-{verb}(1)")), "{first}");
        let file = format!("{pages}/rootlet-{verb}.1");
        let text = read(&file);
        assert!(!text.contains("warning"), "{text}");
        let names = [format!("rootlet {verb}"), format!("rootlet-{verb} - ")];
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
        let printed = rootlet(&["man", verb]).ok();
        assert_eq!(printed, std::fs::read_to_string(file).unwrap().trim_end());
    }
    let printed = rootlet(&["man"]).ok();
    let written = std::fs::read_to_string(format!("{pages}/rootlet.1")).unwrap();
    assert_eq!(printed, written.trim_end());
    assert!(!first.contains("warning"), "{first}");
    assert_eq!(
        std::fs::read_dir(&pages).unwrap().count(),
        verbs.len() + 1,
        "pages of no verb"
    );
}

#[test]
fn the_pages_of_launches_have_every_option_and_example() {
    for verb in ["run", "sandbox", "try"] {
        let help = rootlet(&[verb, "--help"]).ok();
        let page = rootlet(&["man", verb]).ok().replace("\\-", "-");
        let (options, examples) = help.split_once("Examples:").unwrap();
        let options = options.split_whitespace().filter_map(|word| {
            let name = word.strip_prefix("--")?;
            name.split(['[', '<', '=', ',', ';']).next()
        });
        let options: Vec<&str> = options.filter(|name| !name.is_empty()).collect();
        assert!(options.len() > 60, "{options:?}");
        for option in options {
            assert!(page.contains(&format!("--{option}")), "{verb} --{option}");
        }
        for example in examples.trim().lines() {
            assert!(page.contains(example), "{example:?}");
        }
    }
}

#[test]
fn a_page_that_cannot_be_is_an_error() {
    rootlet(&["man", "nope"]).fails(125, &["there is no verb \"nope\"", "hint:"]);
    rootlet(&["man", "--dir", "/dev/null/x"]).fails(125, &["make the directory", "ENOTDIR"]);
    rootlet(&["completion", "csh"]).fails(125, &["csh", "bash, zsh, fish"]);
}
