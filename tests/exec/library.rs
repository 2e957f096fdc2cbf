//! The library: containers that belong to a program.

use crate::processes::with_mark;
use crate::runtime::until;
use crate::support::Dir;
use rootlet::spec::{Share, Tty};
use rootlet::{Container, Outcome, Spec};
use std::ffi::OsString;

/// A shell with `script`, and a mark.
fn spec(script: &str, mark: &str) -> Spec {
    Spec {
        command: ["sh", "-c", script, mark].map(OsString::from).to_vec(),
        tty: Tty::Never,
        ..Spec::default()
    }
}

#[test]
fn containers_are_started_and_executed_in_from_many_threads() {
    let dir = Dir::new();
    std::thread::scope(|scope| {
        for number in 0..4u8 {
            let dir = &dir;
            scope.spawn(move || {
                let mark = dir.at(&number.to_string());
                let host = format!("box{number}");
                let own = Spec {
                    hostname: Some(OsString::from(&host)),
                    ..spec("sleep 1000; :", &mark)
                };
                let mut container = Container::start(&own).unwrap();
                assert!(container.pid().unwrap() > 1);
                for turn in 0..5u8 {
                    let script = format!("test $(uname -n) = {host} && exit {}", number * 5 + turn);
                    let outcome = container
                        .exec(&spec(&script, &mark))
                        .unwrap()
                        .wait()
                        .unwrap();
                    assert_eq!(outcome, Outcome::Exited(i32::from(number * 5 + turn)));
                }
                let command = container.exec(&spec("sleep 1000; :", &mark)).unwrap();
                command.signal(15);
                assert_eq!(command.wait().unwrap(), Outcome::Killed(15));
                let mut command = container.exec(&spec("sleep 1000; :", &mark)).unwrap();
                assert!(command.pid().unwrap() > 1);
                command.kill();
                assert_eq!(command.wait().unwrap(), Outcome::Killed(9));
                container.signal(15);
                assert_eq!(container.wait().unwrap(), Outcome::Killed(15));
                until("nothing is left", || with_mark(&mark).is_empty());
            });
        }
    });
}

#[test]
fn what_is_dropped_ends() {
    let dir = Dir::new();
    for share in [vec![], vec![Share::Pid]] {
        let mark = dir.at("dropped");
        let own = Spec {
            share,
            ..spec("setsid sleep 1000 & sleep 1000; :", &mark)
        };
        let mut container = Container::start(&own).unwrap();
        container.pid().unwrap();
        let mut command = container.exec(&spec("sleep 1000; :", &mark)).unwrap();
        command.pid().unwrap();
        // The kernel tells of an exec a moment before /proc has the new words.
        until("both run", || with_mark(&mark).len() >= 2);
        drop(command);
        let mut other = container.exec(&spec("sleep 1000; :", &mark)).unwrap();
        other.pid().unwrap();
        drop(container);
        // By its namespace; without one a command that is executed in it is its program's to end.
        if own.share.is_empty() {
            assert_eq!(other.wait().unwrap(), Outcome::Killed(9));
        } else {
            drop(other);
        }
        until("nothing is left", || with_mark(&mark).is_empty());
    }
}

#[test]
fn what_cannot_be_executed_is_an_error_of_who_waits() {
    let dir = Dir::new();
    let mark = dir.at("errors");
    let missing = Spec {
        command: vec!["no-such-program".into()],
        tty: Tty::Never,
        ..Spec::default()
    };
    let error = Container::start(&missing).unwrap().wait().unwrap_err();
    assert_eq!(error.kind, rootlet::error::Kind::NotFound, "{error}");
    assert!(Container::start(&missing).unwrap().pid().is_err());
    assert!(Container::start(&missing).unwrap().exec(&missing).is_err());
    let mut container = Container::start(&spec("sleep 1000; :", &mark)).unwrap();
    let error = container.exec(&missing).unwrap().wait().unwrap_err();
    assert_eq!(error.kind, rootlet::error::Kind::NotFound, "{error}");
    let nowhere = Spec {
        workdir: Some("/no/such/place".into()),
        ..spec(":", &mark)
    };
    let error = container.exec(&nowhere).unwrap().wait().unwrap_err();
    assert!(error.to_string().contains("working directory"), "{error}");
    // A command is no container.
    let mut command = container.exec(&spec("sleep 1000; :", &mark)).unwrap();
    let error = command.exec(&spec(":", &mark)).err().unwrap();
    assert!(error.to_string().contains("no container"), "{error}");
    // What has ended.
    container.kill();
    until("nothing is left", || with_mark(&mark).is_empty());
    let executed = container.exec(&spec(":", &mark));
    let error = executed.and_then(rootlet::Running::wait).unwrap_err();
    assert!(!error.to_string().is_empty());
}
