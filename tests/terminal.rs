//! The command's own terminal, and the caller's: with real pseudo-terminals, and programs that people use in them.

#[path = "support/processes.rs"]
mod processes;
#[path = "support/pty.rs"]
mod pty;

use pty::{Screen, wait_until};
use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Termios};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const ROOTLET: &str = env!("CARGO_BIN_EXE_rootlet");

/// `rootlet run` with these words.
fn rootlet(words: &[&str]) -> Command {
    let mut command = Command::new(ROOTLET);
    command.arg("run").args(words);
    command
}

/// An interactive shell with job control, in which "$R" is rootlet. It edits no lines, so that it leaves the terminal's
/// settings alone, and shows typed lines as they were typed: tests wait for words that no typed line contains.
fn shell() -> Screen {
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "--noediting", "-i"]);
    command
        .env("R", ROOTLET)
        .env("PS1", "host> ")
        .env("HISTFILE", "/dev/null")
        .env("TERM", "xterm");
    let mut screen = Screen::start(&mut command);
    screen.shows("host> ");
    screen
}

/// A shell script, in which "$R" is rootlet.
fn script(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", text]).env("R", ROOTLET);
    command
}

/// Runs `text` without a terminal on its standard descriptors, with `input`; it is ended when it takes too long.
fn piped(text: &str, input: &str) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=1", "30", "sh", "-c", text])
        .env("R", ROOTLET);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_string();
    let writer =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    output
}

/// A directory of this test's own.
fn directory(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("rootlet-terminal-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Words for `sleep` that no other process has.
fn long_time(test: u32) -> String {
    format!("3000{test}.{}", std::process::id())
}

// -------------------------------------------------------------------------------------------------------------------
// A terminal of its own
// -------------------------------------------------------------------------------------------------------------------

const WHERE: &str = "import os, sys
names = {os.ttyname(fd) for fd in (0, 1, 2)}
print('tty', *names, 'session', os.getsid(0), 'foreground', os.tcgetpgrp(0) == os.getpgrp(), 'end')";

#[test]
fn the_command_has_a_terminal_and_a_session_of_its_own() {
    let mut screen = Screen::start(&mut rootlet(&["--", "python3", "-c", WHERE]));
    let shown = screen.shows("end");
    assert!(shown.contains("tty /dev/pts/"), "{shown}");
    assert!(
        !shown.contains(&format!("tty {} ", screen.name())),
        "{shown}"
    );
    // Process 1 leads the session: the caller's would be 0 here, a process that cannot be seen.
    assert!(shown.contains("session 1 foreground True"), "{shown}");
    assert_eq!(screen.ends().0.code(), Some(0));
}

#[test]
fn without_a_terminal_of_its_own_the_command_has_the_callers() {
    let mut screen = Screen::start(&mut rootlet(&["-t", "never", "--", "python3", "-c", WHERE]));
    let shown = screen.shows("end");
    assert!(
        shown.contains(&format!("tty {} session 0 foreground", screen.name())),
        "{shown}"
    );
}

#[test]
fn a_root_file_system_of_its_own_has_terminals_of_its_own() {
    let root = directory("rootfs");
    for name in ["usr", "proc", "dev", "etc"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["bin", "lib", "lib64"] {
        let _ = std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name));
    }
    let words = [
        "--rootfs",
        root.to_str().unwrap(),
        "-v",
        "/usr:/usr:ro",
        "--",
        "sh",
        "-c",
        "tty; ls /dev/pts; stty size",
    ];
    let mut screen = Screen::start(&mut rootlet(&words));
    screen.shows("/dev/pts/0\r\n0  ptmx\r\n24 80\r\n");
    assert_eq!(screen.ends().0.code(), Some(0));
    std::fs::remove_dir_all(root).unwrap();
}

/// Types a line into its own terminal, as far as it is let: standard input, and that of the session.
const INJECT: &str = "import fcntl, os, termios
for tty in 0, os.open('/dev/tty', os.O_RDWR):
    for byte in b'injected\\n':
        try:
            fcntl.ioctl(tty, termios.TIOCSTI, bytes([byte]))
        except OSError as error:
            print(error)
            break
print('tried')";

#[test]
fn keys_that_are_injected_inside_do_not_arrive_outside() {
    // With the filter that refuses it, and by the terminal of one's own alone.
    for filter in ["default", "none"] {
        let words = ["--seccomp", filter, "--", "python3", "-c", INJECT];
        let mut screen = Screen::start(&mut rootlet(&words));
        screen.shows("tried");
        assert_eq!(screen.ends().0.code(), Some(0));
        assert_eq!(screen.unread_keys(), 0);
    }
}

/// Shows that the test above can fail, where the kernel lets anybody inject keys (dev.tty.legacy_tiocsti).
#[test]
fn keys_that_are_injected_into_the_callers_terminal_do_arrive() {
    if std::fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti")
        .is_ok_and(|value| value.trim() == "0")
    {
        eprintln!("nothing to see: this kernel refuses TIOCSTI");
        return;
    }
    let mut screen = Screen::start(&mut rootlet(&[
        "-t",
        "never",
        "--seccomp",
        "none",
        "--",
        "python3",
        "-c",
        INJECT,
    ]));
    screen.shows("tried");
    screen.ends();
    assert_eq!(screen.unread_keys(), 2 * "injected\n".len() as u64);
}

#[test]
fn tty4_the_callers_terminal_cannot_be_reached_through_init() {
    let mut screen = Screen::start(&mut rootlet(&[
        "--",
        "sh",
        "-c",
        "ls -l /proc/1/fd; cat </proc/1/fd/0; echo tried",
    ]));
    let shown = screen.shows("tried");
    assert_eq!(shown.matches("Permission denied").count(), 2, "{shown}");
}

// -------------------------------------------------------------------------------------------------------------------
// Size
// -------------------------------------------------------------------------------------------------------------------

#[test]
fn the_window_has_the_callers_size_and_follows_it() {
    for mode in ["auto", "never"] {
        let wait = r#"trap 'stty size; exit' WINCH; stty size; sleep 300 & wait"#;
        let mut screen = Screen::start(&mut rootlet(&["-t", mode, "--", "sh", "-c", wait]));
        screen.shows("24 80\r\n");
        screen.resize(31, 101);
        screen.shows("31 101\r\n");
        screen.ends();
    }
}

// -------------------------------------------------------------------------------------------------------------------
// Keys that send signals
// -------------------------------------------------------------------------------------------------------------------

#[test]
fn tty5_interrupt_and_quit_end_the_command_and_not_the_shell_around_it() {
    for mode in ["auto", "never"] {
        for (key, status) in [("\x03", 130), ("\x1c", 131)] {
            let mut screen = shell();
            // No core file of sleep's where a core dump is a file.
            screen.types(format!(
                "ulimit -c 0; $R run -t {mode} -- sh -c 'echo re\"\"ady; exec sleep 300'\n"
            ));
            screen.shows("ready");
            screen.types(key);
            screen.shows("host> ");
            screen.types("echo status=$?\n");
            screen.shows(&format!("status={status}"));
        }
    }
}

#[test]
fn end_of_file_is_typed_as_ever() {
    let mut screen = Screen::start(&mut rootlet(&["--", "cat"]));
    screen.types("word\n");
    screen.shows("word\r\nword\r\n");
    screen.types("\x04");
    assert_eq!(screen.ends().0.code(), Some(0));
}

/// Counts interrupts until it is told to quit. Without handlers, before which a program may just go to sleep.
const COUNT: &str = "import signal
both = {signal.SIGINT, signal.SIGQUIT}
signal.pthread_sigmask(signal.SIG_BLOCK, both)
print('ready', flush=True)
count = 0
while signal.sigwait(both) == signal.SIGINT:
    count += 1
    print('seen', count, flush=True)
print('interrupts:', count)";

#[test]
fn tty5_an_interrupt_arrives_once() {
    for mode in ["auto", "never"] {
        let mut screen = Screen::start(&mut rootlet(&["-t", mode, "--", "python3", "-c", COUNT]));
        screen.shows("ready");
        for number in 1..=3 {
            screen.types("\x03");
            screen.shows(&format!("seen {number}"));
        }
        screen.types("\x1c");
        screen.shows("interrupts: 3\r\n");
        assert_eq!(screen.ends().0.code(), Some(0));
    }
}

// -------------------------------------------------------------------------------------------------------------------
// Job control
// -------------------------------------------------------------------------------------------------------------------

#[test]
fn tty5_a_stopped_container_gives_the_terminal_back_and_goes_on_in_the_foreground() {
    for mode in ["auto", "never"] {
        let mut screen = shell();
        let cooked = screen.settings();
        screen.types(format!(
            "$R run -t {mode} -- sh -c 'echo re\"\"ady; while read line; do stty size; done'\n"
        ));
        screen.shows("ready");
        for (rows, columns) in [(40, 100), (50, 120)] {
            screen.types("\x1a");
            screen.shows("Stopped");
            screen.shows("host> ");
            assert_eq!(screen.settings(), cooked, "-t {mode}");
            screen.types("ps -o stat= -p $(jobs -p)\n");
            screen.shows("T");
            screen.resize(rows, columns);
            screen.types("fg\n");
            screen.shows("stty size; done'\r\n"); // the shell says what goes on
            screen.types("\n");
            screen.shows(&format!("{rows} {columns}"));
        }
        screen.types("\x04");
        screen.shows("host> ");
        assert_eq!(screen.settings(), cooked, "-t {mode}");
    }
}

#[test]
fn tty5_a_shell_inside_controls_its_own_jobs() {
    for mode in ["auto", "never"] {
        let mut screen = shell();
        screen.types(format!(
            "$R run -t {mode} -e PS1='ins''ide> ' -- bash --norc --noprofile -i\n"
        ));
        let greeting = screen.shows("inside> ");
        assert!(
            !greeting.contains("job control") && !greeting.contains("process group"),
            "{greeting}"
        );
        screen.types("sh -c 'echo re\"\"ady; while read line; do echo g\"\"ot $line; done'\r");
        screen.shows("ready");
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.shows("inside> ");
        screen.types("fg\r");
        screen.types("word\n");
        screen.shows("got word");
        screen.types("\x03");
        screen.shows("inside> ");
        screen.types("echo status=$?\r");
        screen.shows("status=130");
        screen.types("exit 5\r");
        screen.shows("host> ");
        screen.types("echo status=$?\r");
        screen.shows("status=5");
    }
}

#[test]
fn a_container_in_the_background_leaves_the_terminal_alone_until_it_is_in_front() {
    let mut screen = shell();
    let cooked = screen.settings();
    screen.types(
        "$R run -- sh -c 'echo re\"\"ady; while read line; do echo g\"\"ot $line; done' &\n",
    );
    screen.shows("ready");
    assert_eq!(screen.settings(), cooked);
    screen.types("echo for''-host\n");
    screen.shows("for-host");
    assert_eq!(screen.settings(), cooked);
    screen.types("fg\n");
    wait_until("raw mode", || screen.settings() != cooked);
    screen.types("word\n");
    screen.shows("got word");
    screen.types("\x04");
    screen.shows("host> ");
    assert_eq!(screen.settings(), cooked);
}

/// A shell that edits lines has the terminal in a mode of its own when a job in the background looks at it.
#[test]
fn what_the_shell_does_to_the_terminal_meanwhile_is_not_mistaken_for_its_settings() {
    let mut screen = shell();
    screen
        .types("stty -echo -icanon; $R run -- sh -c 'echo re\"\"ady; read line; echo g\"\"ot' &\n");
    screen.shows("ready");
    screen.types("stty echo icanon\n");
    screen.types("echo do''ne\n");
    screen.shows("done");
    let cooked = screen.settings();
    screen.types("fg\n");
    wait_until("raw mode", || screen.settings() != cooked);
    screen.types("\n");
    screen.shows("got");
    screen.shows("host> ");
    assert_eq!(screen.settings(), cooked);
}

/// To those in a PID namespace, the number of a group that is led from outside is 0.
#[test]
fn a_caller_whose_process_group_is_led_from_outside_its_pid_namespace_has_its_settings_all_the_same()
 {
    let nested = "exec unshare --user --map-root-user --pid --fork --mount-proc -- \
                  \"$R\" run -- stty -a";
    let mut screen = Screen::start_with(&mut script(nested), |settings| {
        settings.special_codes[SpecialCodeIndex::VINTR] = 0x07;
    });
    screen.shows("intr = ^G");
    assert_eq!(screen.ends().0.code(), Some(0));
}

/// Nobody would continue what stops in a session without a shell, and so the kernel lets nothing stop there.
#[test]
fn where_nobody_could_continue_it_a_container_does_not_stop() {
    let mut screen = Screen::start(&mut rootlet(&[
        "--",
        "sh",
        "-c",
        "echo ready; read line; echo read $line",
    ]));
    screen.shows("ready");
    screen.types("\x1a");
    screen.types("word\n");
    screen.shows("read word");
    assert_eq!(screen.ends().0.code(), Some(0));
}

// -------------------------------------------------------------------------------------------------------------------
// The caller's terminal afterwards
// -------------------------------------------------------------------------------------------------------------------

/// Settings that no program would choose by itself.
fn unusual(settings: &mut Termios) {
    settings
        .local_modes
        .remove(LocalModes::ECHOCTL | LocalModes::ECHOKE);
    settings.local_modes.insert(LocalModes::TOSTOP);
    settings
        .input_modes
        .insert(InputModes::IXANY | InputModes::IUTF8);
    settings.special_codes[SpecialCodeIndex::VERASE] = 8;
    settings.special_codes[SpecialCodeIndex::VMIN] = 7;
    settings.special_codes[SpecialCodeIndex::VTIME] = 9;
    settings.set_speed(9600).unwrap();
}

/// Runs `rootlet run` with `words` on a terminal with unusual settings, and lets `end` bring about the end when raw mode
/// is on. The settings are back then; by themselves when rootlet was killed. Returns the exit status, or minus a signal.
fn restored(words: &[&str], end: impl FnOnce(&mut Screen)) -> i32 {
    let before = Screen::start_with(&mut Command::new("true"), unusual).settings();
    let mut screen = Screen::start_with(&mut rootlet(words), unusual);
    wait_until("raw mode", || screen.settings() != before);
    end(&mut screen);
    let (status, _) = screen.ends();
    if status.signal().is_some() {
        wait_until("the old settings", || screen.settings() == before);
    }
    assert_eq!(screen.settings(), before);
    status
        .code()
        .or(status.signal().map(|signal| -signal))
        .unwrap()
}

fn kill(pid: i32, signal: i32) {
    rootlet::sys::kill(pid, signal).unwrap();
}

#[test]
fn the_terminal_is_as_before_when_the_command_ends() {
    assert_eq!(
        restored(&["--", "sh", "-c", "read line; exit 3"], |screen| screen
            .types("\n")),
        3
    );
}

#[test]
fn the_terminal_is_as_before_when_the_command_is_killed() {
    assert_eq!(
        restored(&["--", "sh", "-c", "read line; kill -9 $$"], |screen| {
            screen.types("\n")
        }),
        137
    );
}

#[test]
fn the_terminal_is_as_before_when_the_time_is_over() {
    assert_eq!(
        restored(&["--timeout", "500ms", "--", "sleep", "300"], |_| ()),
        124
    );
}

/// The children of `pid`.
fn children(pid: i32) -> Vec<i32> {
    let list =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

#[test]
fn tty7_the_terminal_is_as_before_when_init_is_killed() {
    let kill_init = |screen: &mut Screen| {
        // What the command says comes earlier than the launcher hears that it runs; until then set-up would have died.
        screen.shows("\"started\"");
        // The launcher's first child keeps the terminal.
        kill(children(screen.pid())[1], libc::SIGKILL);
    };
    assert_eq!(
        restored(&["--status-fd", "1", "--", "sleep", "300"], kill_init),
        137
    );
}

#[test]
fn the_terminal_is_as_before_when_rootlet_is_asked_to_end() {
    assert_eq!(
        restored(&["--", "sleep", "300"], |screen| kill(
            screen.pid(),
            libc::SIGTERM
        )),
        143
    );
}

#[test]
fn tty7_the_terminal_is_as_before_when_rootlet_is_killed() {
    for words in [
        &["--", "sleep", "300"][..],
        &["--no-init", "--", "sleep", "300"],
    ] {
        assert_eq!(
            restored(words, |screen| kill(screen.pid(), libc::SIGKILL)),
            -libc::SIGKILL
        );
    }
}

#[test]
fn the_terminal_is_as_before_when_the_set_up_fails() {
    for words in [
        &["-v", "/no/such/place:/mnt", "--", "true"][..],
        &["-w", "/no/such/place", "--", "true"],
    ] {
        let mut screen = Screen::start_with(&mut rootlet(words), unusual);
        assert_eq!(screen.ends().0.code(), Some(125));
        assert_eq!(
            screen.settings(),
            Screen::start_with(&mut Command::new("true"), unusual).settings()
        );
    }
}

#[test]
fn tty6_nothing_is_left_when_the_window_is_closed() {
    for (number, mode) in ["auto", "never"].iter().enumerate() {
        let time = long_time(number as u32);
        let loud = format!("echo ready; sleep {time}");
        let mut screen = Screen::start(&mut rootlet(&["-t", mode, "--", "sh", "-c", &loud]));
        screen.shows("ready");
        let mut program = screen.hang_up();
        wait_until("the end", || program.try_wait().unwrap().is_some());
        wait_until("the end of all", || processes::with_mark(&time).is_empty());
    }
}

// -------------------------------------------------------------------------------------------------------------------
// What goes through it
// -------------------------------------------------------------------------------------------------------------------

#[test]
fn a_large_output_arrives_whole() {
    let mut screen = Screen::start(&mut rootlet(&["--", "seq", "600000"]));
    let (status, shown) = screen.ends();
    assert_eq!(status.code(), Some(0));
    let expected: String = (1..=600_000)
        .map(|number| format!("{number}\r\n"))
        .collect();
    assert!(
        shown == expected,
        "{} bytes of {}",
        shown.len(),
        expected.len()
    );
}

#[test]
fn a_large_paste_arrives_whole() {
    let file = directory("paste").join("pasted");
    let take = format!(
        "stty raw -echo; echo ready; head -c 100000 >{}; echo taken",
        file.display()
    );
    let mut screen = Screen::start(&mut rootlet(&["--", "sh", "-c", &take]));
    screen.shows("ready");
    let keys: Vec<u8> = (0..100_000u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    screen.types(&keys);
    screen.shows("taken");
    assert!(std::fs::read(&file).unwrap() == keys);
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn a_redirected_standard_error_stays_redirected() {
    let file = directory("stderr").join("errors");
    let inside = "echo for-file >&2; test -t 0 && test -t 1 && ! test -t 2 && echo as expected";
    let mut screen = Screen::start(&mut script(&format!(
        "\"$R\" run -- sh -c '{inside}' 2>{}",
        file.display()
    )));
    screen.shows("as expected");
    screen.ends();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "for-file\n");
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn redirected_output_is_no_terminal_unless_asked_for() {
    let mut screen = Screen::start(&mut script(
        "\"$R\" run -- sh -c 'test -t 1 || echo plain' | cat",
    ));
    screen.shows("plain");
    let mut screen = Screen::start(&mut script(
        "\"$R\" run -t always -- sh -c 'test -t 1 && echo terminal' | cat",
    ));
    screen.shows("terminal");
}

#[test]
fn the_end_of_piped_input_ends_the_command() {
    for input in ["word\n", "word", "", "one\ntwo"] {
        let output = piped(r#""$R" run -t always -- sh -c 'stty -echo; cat'"#, input);
        assert_eq!(output.status.code(), Some(0), "{input:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(
            shown.ends_with(&input.replace('\n', "\r\n")),
            "{input:?}: {shown:?}"
        );
    }
}

#[test]
fn a_long_piped_input_arrives_whole() {
    let input: String = (1..=50_000).map(|number| format!("{number}\n")).collect();
    let output = piped(r#""$R" run -t always -- cksum"#, &input);
    let expected = piped("cksum", &input);
    let shown = String::from_utf8(output.stdout).unwrap();
    let sum = String::from_utf8(expected.stdout).unwrap();
    assert!(
        shown.ends_with(&sum.replace('\n', "\r\n")),
        "{:?}",
        shown.lines().last()
    );
}

#[test]
fn a_reader_that_goes_away_hangs_the_terminal_up() {
    let endless = r#"while :; do echo y; done 2>/dev/null"#;
    let output = piped(
        &format!(
            r#"{{ "$R" run -t always -- sh -c '{endless}'; echo "status $?" >&2; }} | head -n 1"#
        ),
        "",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "y\r\n");
    // SIGHUP, as when a window is closed.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "status 129\n");
}

#[test]
fn a_reader_that_does_not_read_keeps_no_signal_and_no_time_limit_from_the_command() {
    for (limit, signal, status) in [("300ms", None, 124), ("1h", Some(libc::SIGTERM), 143)] {
        let mut command = rootlet(&["-t", "always", "--timeout", limit, "--", "yes"]);
        let mut program = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = program.id() as i32;
        let mut reader = program.stdout.take().unwrap();
        std::io::Read::read_exact(&mut reader, &mut [0; 3]).unwrap();
        if let Some(signal) = signal {
            kill(pid, signal);
        }
        let mut ended = None;
        wait_until("the end", || {
            // Whoever asks twice does not want the rest of the output.
            signal.iter().for_each(|&signal| kill(pid, signal));
            ended = program.try_wait().unwrap();
            ended.is_some()
        });
        // The second signal may come when there is nobody any more to whom it could be passed on.
        let ended = ended.unwrap();
        assert_eq!(
            ended.code().or(ended.signal().map(|signal| 128 + signal)),
            Some(status)
        );
    }
}

// -------------------------------------------------------------------------------------------------------------------
// Programs that fill the screen
// -------------------------------------------------------------------------------------------------------------------

#[test]
fn vi_edits_a_file() {
    let directory = directory("vi");
    let mut command = rootlet(&["--", "vi", "-u", "NONE", "-N", "letter"]);
    let mut screen = Screen::start(command.current_dir(&directory).env("TERM", "xterm"));
    screen.shows("letter");
    screen.types("ihello\x1b");
    screen.types(":wq\r");
    assert_eq!(screen.ends().0.code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(directory.join("letter")).unwrap(),
        "hello\n"
    );
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn less_pages() {
    let mut screen = Screen::start(
        script("seq 1000 | \"$R\" run -- less")
            .env("TERM", "xterm")
            .env_remove("LESS"),
    );
    screen.shows("\n22");
    screen.types(" ");
    screen.shows("\n44");
    screen.types("q");
    assert_eq!(screen.ends().0.code(), Some(0));
}
