//! The pure ring of `exec` and `enter`: what a command does that joins, beside what the container's own does.

mod targets;

use rootlet::child::step::{Entry, FilterOf, Step};
use rootlet::parent::details;
use rootlet::plan::ParentStep;
use rootlet::plan::join::{Join, flags};
use rootlet::spec::{IdRange, Seccomp, Share, Tty, User};
use rootlet::state::Details;
use rootlet::{Facts, Plan, Spec};
use std::ffi::OsString;
use targets::draw::{Draw, any_bytes, plain_facts};

fn command(words: &[&str]) -> Spec {
    Spec {
        command: words.iter().map(OsString::from).collect(),
        ..Spec::default()
    }
}

/// What is known of the container `spec`, and its own plan.
fn container(spec: &Spec) -> (Details, Plan) {
    let plan = Plan::new(spec, &plain_facts(spec)).unwrap();
    (details::of(&plan, spec), plan)
}

/// The plan of `asked` in a container.
fn join(
    details: &Details,
    own: &Plan,
    asked: &Spec,
    user: Option<User>,
) -> rootlet::error::Result<Plan> {
    let join = Join {
        flags: flags(&own.enforced.new),
        details: Some(details),
        group: None,
        bus: None,
        spec: asked,
        user,
    };
    Plan::join(&join, plain_facts(&Join::bare()))
}

fn steps(list: &[Entry]) -> Vec<Step> {
    list.iter().map(|entry| entry.step).collect()
}

fn at(list: &[Entry], wanted: impl Fn(&Step) -> bool) -> Option<usize> {
    list.iter().position(|entry| wanted(&entry.step))
}

/// What confines a command, of its list and init's, in order.
fn confinement(plan: &Plan) -> Vec<String> {
    let confines = |step: &Step| {
        matches!(
            step,
            Step::NoNewPrivileges
                | Step::LimitCapabilities { .. }
                | Step::LimitInit
                | Step::ScopeSockets
                | Step::Restrict { .. }
                | Step::SetLimit { .. }
                | Step::Filter { .. }
                | Step::Program { .. }
        )
    };
    let lists = plan.init.iter().chain(&plan.command);
    let all = lists.map(|entry| entry.step).filter(confines);
    all.map(|step| match step {
        // Where the descriptor is does not matter.
        Step::Restrict { .. } => "Restrict".to_string(),
        // Enough of it to be told apart.
        Step::Filter { of } => format!(
            "{step:?} {:x}",
            digest(&format!("{:?}", plan.filters[of.index()]))
        ),
        step => format!("{step:?}"),
    })
    .collect()
}

/// FNV-1a.
fn digest(text: &str) -> u64 {
    let step = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// What holds of every plan that joins `own`.
fn check(joined: &Plan, own: &Plan, details: &Details) {
    let setup = &joined.setup;
    let joins = at(setup, |step| matches!(step, Step::JoinNamespaces { .. }));
    let hides = at(setup, |step| *step == Step::HideInit);
    let closes = at(setup, |step| *step == Step::CloseOthers);
    assert_eq!(joins.is_some(), !own.enforced.new.is_empty());
    assert!(hides.is_some() && closes < hides, "{setup:?}");
    if let Some(joins) = joins {
        assert!(hides < Some(joins), "{setup:?}");
        let after = &setup[joins..];
        assert!(at(after, |step| *step == Step::Tie).is_some(), "{setup:?}");
        let inside = |step: &Step| {
            matches!(
                step,
                Step::OpenTerminal
                    | Step::ChangeDirectory { .. }
                    | Step::BecomeIds { .. }
                    | Step::NewKeyring
            )
        };
        assert!(at(&setup[..joins], inside).is_none(), "{setup:?}");
    }
    let shows = |step: &Step| matches!(step, Step::BecomeIds { .. });
    let tie = setup.iter().rposition(|entry| entry.step == Step::Tie);
    assert!(
        at(setup, shows) < tie,
        "a change of ids takes the tie back: {setup:?}"
    );
    assert!(at(setup, |step| *step == Step::NewKeyring).is_some());
    assert_eq!(joined.command[0].step, Step::TieToInit);
    assert_eq!(joined.command.last().unwrap().step, Step::Exec);
    assert_eq!(
        at(&joined.command, |step| matches!(step, Step::PassFd { .. })),
        None
    );
    assert!(joined.pass_fds.is_empty());
    // As the container's own. One without an init has no limits of init's, and no filter in common with it.
    if !own.init.is_empty() && own.listened.is_none() {
        assert_eq!(confinement(joined), confinement(own), "{:#?}", details.spec);
    }
    assert_eq!(joined.ids, own.ids);
    for of in [FilterOf::Command, FilterOf::Files { attributes: true }] {
        let own = own.filters[of.index()].len();
        assert_eq!(joined.filters[of.index()].len(), own, "{of:?}");
    }
    assert_eq!(
        details.ruleset,
        at(&joined.command, |step| matches!(
            step,
            Step::Restrict { .. }
        ))
        .is_some()
    );
}

/// Whether all is known of a container that it takes to be in it: not what was a descriptor of who made it.
fn is_known(spec: &Spec) -> bool {
    let named = &spec.descriptors;
    let joined = [
        named.user_namespace,
        named.last_user_namespace,
        named.pid_namespace,
    ];
    joined == [None; 3] && !matches!(spec.seccomp, Seccomp::Programs(_))
}

/// Whether all that is mapped are ids: the last number is none.
fn are_ids(spec: &Spec) -> bool {
    let ranges = spec.uid_map.iter().chain(&spec.gid_map);
    let is_read = |range: &IdRange| range.to_string().parse() == Ok(*range);
    ranges.into_iter().all(is_read)
}

#[test]
fn what_joins_is_confined_as_the_container_is_whatever_that_is() {
    let mut made = 0;
    for bytes in any_bytes(10_000) {
        let mut draw = Draw::new(&bytes);
        let spec = draw.spec();
        let facts = draw.facts(&spec);
        let Ok(own) = Plan::new(&spec, &facts) else {
            continue;
        };
        if !are_ids(&spec) {
            continue;
        }
        let details = details::of(&own, &spec);
        let asked = Spec {
            tty: spec.tty,
            stdio: spec.stdio,
            ..command(&["true"])
        };
        match join(&details, &own, &asked, None) {
            Ok(joined) if is_known(&spec) => check(&joined, &own, &details),
            Err(_) if !is_known(&spec) => {}
            other => panic!("{other:?}\n{spec:#?}\n{:#?}", own.explain()),
        }
        made += 1;
    }
    assert!(made > 1_000, "{made} containers were joined");
}

#[test]
fn a_terminal_is_the_containers_and_its_session_is_led_by_the_process_between() {
    let (details, own) = container(&command(&["sleep", "1"]));
    let asked = Spec {
        tty: Tty::Always,
        ..Spec::default()
    };
    let plan = join(&details, &own, &asked, None).unwrap();
    let place = |wanted: Step| at(&plan.setup, |step| *step == wanted);
    let joins = at(&plan.setup, |step| {
        matches!(step, Step::JoinNamespaces { .. })
    });
    assert!(joins < place(Step::OpenTerminal));
    assert!(place(Step::OpenTerminal) < place(Step::LeadSession));
    assert!(steps(&plan.command).contains(&Step::LeadGroup { foreground: true }));
}

#[test]
fn another_user_has_no_more_capabilities_than_the_containers() {
    let all = Spec {
        user: User::Ids { uid: 5, gid: 5 },
        ..command(&["sleep", "1"])
    };
    let (mut details, own) = container(&all);
    for side in &mut details.maps {
        side.extend(["0:100000:5", "6:100005:100"].map(|range| range.parse::<IdRange>().unwrap()));
    }
    let kept = |plan: &Plan| {
        plan.command.iter().find_map(|entry| match entry.step {
            Step::LimitCapabilities { kept, .. } => Some(kept),
            _ => None,
        })
    };
    let root = join(&details, &own, &Spec::default(), Some(User::Root)).unwrap();
    assert_eq!(kept(&root), kept(&own));
    assert!(
        steps(&root.setup)
            .iter()
            .any(|step| matches!(step, Step::BecomeIds { uid: 0, gid: 0, .. }))
    );
    let other = User::Ids { uid: 4242, gid: 5 };
    let error = join(&details, &own, &Spec::default(), Some(other)).unwrap_err();
    assert!(error.to_string().contains("user 4242 is nobody"), "{error}");
}

#[test]
fn what_ends_with_its_container_by_no_namespace_is_swept() {
    let shared = Spec {
        share: vec![Share::Pid],
        ..command(&["sleep", "1"])
    };
    for (spec, sweeps) in [(command(&["sleep", "1"]), false), (shared, true)] {
        let (details, own) = container(&spec);
        let plan = join(&details, &own, &command(&["true"]), None).unwrap();
        assert_eq!(steps(&plan.init).contains(&Step::Subreaper), sweeps);
        let supervise = steps(&plan.init).last().copied();
        assert!(matches!(supervise, Some(Step::Supervise { sweep, .. }) if sweep == sweeps));
    }
}

#[test]
fn what_enters_is_not_confined_and_hides_all_the_same() {
    let join = Join {
        flags: libc::CLONE_NEWUSER | libc::CLONE_NEWNS,
        details: None,
        group: None,
        bus: None,
        spec: &command(&["true"]),
        user: None,
    };
    let plan = Plan::join(&join, plain_facts(&Join::bare())).unwrap();
    // But for core dumps, of which there are none wherever something is executed.
    let confined = confinement(&plan);
    assert!(
        confined.len() <= 1 && confined.iter().all(|step| step.starts_with("SetLimit")),
        "{confined:?}"
    );
    let hides = at(&plan.setup, |step| *step == Step::HideInit);
    let joins = at(&plan.setup, |step| {
        matches!(step, Step::JoinNamespaces { .. })
    });
    assert!(hides.is_some() && hides < joins);
    assert!(
        !plan
            .parent
            .iter()
            .any(|step| matches!(step, ParentStep::WriteLimit { .. }))
    );
    let facts = Facts {
        main_thread: false,
        ..plain_facts(&Join::bare())
    };
    // From a thread that may end before, only the life pipe ties.
    assert_eq!(
        at(&Plan::join(&join, facts).unwrap().setup, |step| *step
            == Step::Tie),
        None
    );
}

fn check_golden(name: &str, plan: &Plan, golden: &str) {
    let text = plan.explain().to_text(100);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        return std::fs::write(path, text).unwrap();
    }
    assert_eq!(text, golden, "the plan {name} has changed");
}

#[test]
fn exec_in_a_plain_container() {
    let (details, own) = container(&command(&["sleep", "1"]));
    let plan = join(&details, &own, &command(&["true"]), None).unwrap();
    check_golden("exec", &plan, include_str!("golden/exec.txt"));
}
