//! The words of every trouble, readiness, and when a trouble begins and ends.

use super::*;
use crate::model::{EnvironmentName, PolicyName};

fn now() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().expect("a time")
}

fn later(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

fn prod() -> Scope {
    Scope::of(&PolicyName::parse("shop").expect("a name"), &EnvironmentName::parse("prod").expect("a name"))
}

fn many_failed() -> Why {
    Why::ManyFailed { environment: "prod".to_owned(), reason: "2 policies failed".to_owned(), until: now() }
}

fn source(name: &str, is_tried: bool, error: Option<&str>) -> Source {
    Source { name: name.to_owned(), is_tried, error: error.map(str::to_owned) }
}

fn place(n_files: Option<usize>, n_before: usize, error: Option<&str>) -> PolicyPlace {
    let name = "policies/ on branch main of default".to_owned();
    PolicyPlace { name, is_tried: n_files.is_some(), n_files, n_before, error: error.map(str::to_owned) }
}

fn holds(error: Option<&str>, unread: &[&str], misnamed: &[&str]) -> Holds {
    Holds {
        place: "the policies of rules".to_owned(),
        error: error.map(str::to_owned),
        unread: unread.iter().map(|file| ((*file).to_owned(), "a symbolic link".to_owned())).collect(),
        misnamed: misnamed.iter().map(|file| (*file).to_owned()).collect(),
    }
}

fn told(facts: &Facts) -> Vec<String> {
    findings(facts).into_iter().map(|found| format!("{}: {}", found.kind.code(), found.text)).collect()
}

#[test]
fn what_is_wrong_with_the_daemon_and_its_policies_has_its_words() {
    let text = |text: &str| Some(text.to_owned());
    let table: Vec<(Facts, Vec<&str>)> = vec![
        (Facts::default(), vec![]),
        (
            Facts { journal: text("no room is left"), ..Facts::default() },
            vec!["journal_takes_no_write: the journal did not take its last write: no room is left"],
        ),
        (
            Facts { clock: text("the clock is off by 90 s"), ..Facts::default() },
            vec!["clock_doubtful: the clock is off by 90 s"],
        ),
        (
            Facts { configuration: Some(Configuration::Broken("tagrelay.yaml:3: no".to_owned())), ..Facts::default() },
            vec!["configuration_stale: the configuration on disk cannot be used: tagrelay.yaml:3: no"],
        ),
        (
            Facts { configuration: Some(Configuration::Waiting(vec!["mode", "journal"])), ..Facts::default() },
            vec!["configuration_stale: of the configuration on disk these keys are not in use yet: mode, journal"],
        ),
        (
            Facts { queue: text("the queue could not be read: 403"), ..Facts::default() },
            vec!["queue_unread: the queue could not be read: 403"],
        ),
        (
            Facts { policies: vec![place(Some(3), 3, Some("404"))], ..Facts::default() },
            vec!["policies_unread: policies/ on branch main of default cannot be read: 404"],
        ),
        (
            Facts { policies: vec![place(Some(0), 0, None)], ..Facts::default() },
            vec!["policies_gone: policies/ on branch main of default holds no policy file"],
        ),
        (
            Facts { policies: vec![place(Some(0), 12, None)], ..Facts::default() },
            vec!["policies_gone: policies/ on branch main of default holds no policy file, and held 12 before"],
        ),
        (Facts { policies: vec![place(Some(1), 12, None), place(None, 0, None)], ..Facts::default() }, vec![]),
        (Facts { holds: vec![holds(None, &[], &[])], ..Facts::default() }, vec![]),
        (
            Facts { holds: vec![holds(Some("503"), &["HOLD"], &["HOLD.production"])], ..Facts::default() },
            vec![
                "holds_unread: nobody can tell which HOLD files stand beside the policies of rules: 503",
                "holds_unread: the file HOLD beside the policies of rules: a symbolic link",
                "hold_misnamed: the file HOLD.production beside the policies of rules fits no policy and no environment, so it holds all of them",
            ],
        ),
        (
            Facts { broken: vec![("a.yaml".to_owned(), "a.yaml:3: unknown key".to_owned())], ..Facts::default() },
            vec!["policy_broken: a.yaml:3: unknown key"],
        ),
    ];
    for (facts, expected) in table {
        assert_eq!(told(&facts), expected);
    }
}

#[test]
fn what_is_lost_fails_or_waits_has_its_words() {
    let blocked = Why::Blocked { effect: "the push".to_owned(), why: "403".to_owned(), until: now() };
    let incomplete = Why::SetIncomplete { detail: "worker lacks 1.2".to_owned() };
    let held = Why::Held { who: "alice".to_owned(), reason: "lunch".to_owned(), until: None };
    let text = |text: &str| Some(text.to_owned());
    let table: Vec<(Facts, Vec<&str>)> = vec![
        (
            Facts {
                branches: vec![source("branch main of default", true, Some("refused")), source("other", true, None)],
                registries: vec![source("reg.io/web", true, Some("401"))],
                ..Facts::default()
            },
            vec![
                "branch_unread: branch main of default cannot be read: refused",
                "registry_unread: reg.io/web cannot be read: 401",
            ],
        ),
        (
            Facts { pins: vec![(prod(), "it is a symlink".to_owned())], ..Facts::default() },
            vec!["pin_unread: the pin of shop/prod cannot be read: it is a symlink"],
        ),
        (
            Facts { environments: vec![(prod(), vec![held, incomplete, blocked])], ..Facts::default() },
            vec![
                "effect_fails: shop/prod: the push failed: 403",
                "stuck: shop/prod: the push failed and is tried again at 2026-01-05T10:00:00Z: 403",
                "stuck: shop/prod: the builds do not make a whole release: worker lacks 1.2",
            ],
        ),
        (
            Facts {
                environments: vec![(prod(), vec![Why::ImageMissing { what: "web is gone".to_owned(), until: now() }])],
                ..Facts::default()
            },
            vec![
                "effect_fails: shop/prod: web is gone: nothing is written that cannot be pulled; it is looked for again at 2026-01-05T10:00:00Z",
                "stuck: shop/prod: web is gone: nothing is written that cannot be pulled; it is looked for again at 2026-01-05T10:00:00Z",
            ],
        ),
        (
            Facts {
                environments: vec![(prod(), vec![many_failed()]), (prod(), vec![many_failed()])],
                ..Facts::default()
            },
            vec![
                "many_failed: nothing new begins in any prod until 2026-01-05T10:00:00Z (limits.failures): 2 policies failed; `tagrelay resume --all --env prod` ends it",
            ],
        ),
        (
            Facts {
                reports: vec![
                    Reports { project: "group/b".to_owned(), n_waiting: 2, error: text("403") },
                    Reports { project: "group/a".to_owned(), n_waiting: 1, error: None },
                ],
                ..Facts::default()
            },
            vec!["reports_wait: 1 report waits for group/a", "reports_wait: 2 reports wait for group/b: 403"],
        ),
    ];
    for (facts, expected) in table {
        assert_eq!(told(&facts), expected);
    }
}

#[test]
fn codes_differ_and_stand_in_order() {
    for pair in Kind::ALL.windows(2) {
        assert!(pair[0] < pair[1] && pair[0].code() != pair[1].code(), "{pair:?}");
    }
}

#[test]
fn ready_once_every_source_was_tried_and_as_long_as_the_journal_takes_writes() {
    let fresh = Facts {
        policies: vec![place(Some(1), 1, None)],
        branches: vec![source("branch main of default", false, None)],
        registries: vec![source("reg.io/web", false, None), source("reg.io/worker", true, None)],
        ..Facts::default()
    };
    let missing = "not read yet: branch main of default, reg.io/web";
    let lost = Facts { branches: vec![source("branch main of default", true, Some("refused"))], ..Facts::default() };
    let full = Facts { journal: Some("no room is left".to_owned()), ..Facts::default() };
    let unread = Facts { policies: vec![place(None, 0, None)], ..Facts::default() };
    for (facts, was_ready, expected) in [
        (&fresh, false, Some(missing)),
        // A policy that comes later brings sources of its own.
        (&fresh, true, None),
        (&lost, false, None),
        (&lost, true, None),
        (&full, false, Some("the journal did not take its last write: no room is left")),
        (&full, true, Some("the journal did not take its last write: no room is left")),
        (&unread, false, Some("not read yet: policies/ on branch main of default")),
    ] {
        assert_eq!(unready(facts, was_ready).as_deref(), expected);
    }
}

#[test]
fn a_trouble_begins_once_keeps_its_beginning_and_ends_once() {
    let lost = |error: &str| {
        findings(&Facts { branches: vec![source("branch main of default", true, Some(error))], ..Facts::default() })
    };
    let mut watch = Watch::default();
    let first = watch.look(now(), lost("refused"));
    assert_eq!((first.troubles.len(), first.began.len(), first.ended.len()), (1, 1, 0));
    let words = "branch_unread since 2026-01-05T10:00:00Z: branch main of default cannot be read: refused; \
                 what is written there stays as it is: look at the server, the network and the token";
    assert_eq!(first.troubles[0].to_string(), words);
    let second = watch.look(later(60), lost("timed out"));
    assert_eq!((second.troubles[0].since, second.began.len(), second.ended.len()), (now(), 0, 0));
    assert!(second.troubles[0].finding.text.ends_with("timed out"));
    let third = watch.look(later(90), Vec::new());
    assert_eq!((third.troubles.len(), third.began.len(), third.ended.len()), (0, 0, 1));
    assert_eq!(watch.look(later(91), lost("refused")).troubles[0].since, later(91));
}

#[test]
fn what_may_pass_by_itself_is_told_later() {
    let stands_at = |why: Why| findings(&Facts { environments: vec![(prod(), vec![why])], ..Facts::default() });
    let incomplete = || stands_at(Why::SetIncomplete { detail: "worker lacks 1.2".to_owned() });
    let mut watch = Watch::default();
    assert_eq!(watch.look(now(), incomplete()).troubles, []);
    assert_eq!(watch.look(later(3599), incomplete()).troubles, []);
    let stuck = watch.look(later(3600), incomplete());
    assert_eq!((stuck.troubles[0].finding.kind, stuck.troubles[0].since, stuck.began.len()), (Kind::Stuck, now(), 1));
    // Another reason begins anew, and what was never told does not end.
    assert_eq!(watch.look(later(3601), stands_at(Why::Unbound)).ended.len(), 1);
    assert_eq!(watch.look(later(3602), Vec::new()).ended, []);
}

#[test]
fn a_text_stays_short_whatever_is_wrong() {
    let registries = (0..500).map(|n| source(&format!("reg.io/{n:03}"), true, Some("401"))).collect();
    let found = findings(&Facts { registries, ..Facts::default() });
    let lines = lines(&Watch::default().look(now(), found).troubles);
    assert_eq!(lines.len(), NAMED_MAX + 1);
    assert_eq!(lines[NAMED_MAX], "registry_unread: 480 more of this kind");
}
