//! The JSON of every event and row, pinned: an entry of today is read for ever.

use super::*;
use crate::model::policy::{Check, CheckMethod, HttpCheck, OnFailure, Signal};
use crate::model::{Build, BuildFacts, Digest, ImageName, Pinned, Platform, Span};
use std::collections::{BTreeMap, BTreeSet};

const COMMIT: &str = "1111111111111111111111111111111111111111";
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn commit() -> CommitId {
    CommitId::parse(COMMIT).expect("commit")
}

fn release() -> Release {
    let at = |text: &str| Some(text.parse().expect("time"));
    let facts = BuildFacts {
        created: at("2026-01-01T00:00:00.000000001Z"),
        pushed: None,
        seen: at("2026-01-02T00:00:00Z"),
        revision: Some("abc".to_owned()),
        platforms: vec![Platform { os: "odd os".to_owned(), architecture: "arm".to_owned(), variant: None }],
        labels: BTreeMap::from([("a.b".to_owned(), "c \"d\"\n".to_owned())]),
    };
    let build = Build { tag: Tag::parse("v1").expect("tag"), digest: Digest::of(b""), facts: facts.into() };
    Release::new([(ImageName::parse("web").expect("image"), build)].into())
}

/// The text of `release()`.
fn release_text() -> String {
    format!(
        "{{\"web\":{{\"digest\":\"{DIGEST}\",\"facts\":{{\"created\":\"2026-01-01T00:00:00.000000001Z\",\
         \"labels\":{{\"a.b\":\"c \\\"d\\\"\\n\"}},\"platforms\":[{{\"architecture\":\"arm\",\"os\":\"odd os\",\
         \"variant\":null}}],\"pushed\":null,\"revision\":\"abc\",\"seen\":\"2026-01-02T00:00:00Z\"}},\"tag\":\"v1\"}}}}"
    )
}

fn pin() -> Pin {
    let pinned = Pinned { tag: Some(Tag::parse("v1").expect("tag")), digest: None };
    Pin([(ImageName::parse("web").expect("image"), pinned)].into())
}

/// An event, its kind, and its text with `R` for the text of `release()` and `ID` for its id.
type Case = (Event, &'static str, &'static str);

/// The kinds that say what we and others did: each variant, and each variant inside of one.
fn effects() -> Vec<Case> {
    let (who, why, intent) = (|| "alice".to_owned(), || "w".to_owned(), Sequence(7));
    let intended = |effect, because| Event::Intended { effect, release: release(), because };
    let tag = Tag::parse("staging").expect("tag");
    vec![
        (Event::ClockSet { by_ms: -5, since: intent }, "clock_set", r#"{"by_ms":-5,"since":7}"#),
        (
            Event::Adopted { pin: pin(), release: Some(release()), commit: Some(commit()) },
            "adopted",
            r#"{"commit":"1111111111111111111111111111111111111111","pin":{"web":{"digest":null,"tag":"v1"}},"release":R}"#,
        ),
        (
            Event::Adopted { pin: Pin::of(&release(), PinForm::Digest), release: None, commit: None },
            "adopted",
            r#"{"commit":null,"pin":{"web":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","tag":null}},"release":null}"#,
        ),
        (
            intended(Effect::Commit { form: PinForm::Tag }, Because::NoGates),
            "intended",
            r#"{"because":"no_gates","effect":{"commit":{"form":"tag"}},"release":R}"#,
        ),
        (
            intended(Effect::Commit { form: PinForm::Digest }, Because::GatesOpen(vec!["soak".to_owned()])),
            "intended",
            r#"{"because":{"gates_open":["soak"]},"effect":{"commit":{"form":"digest"}},"release":R}"#,
        ),
        (
            intended(Effect::Commit { form: PinForm::TagAtDigest }, Because::Rollback { who: who(), why: why() }),
            "intended",
            r#"{"because":{"rollback":{"who":"alice","why":"w"}},"effect":{"commit":{"form":"tag_at_digest"}},"release":R}"#,
        ),
        (
            intended(Effect::Retag { tag, is_pin: true }, Because::Forced { who: who(), reason: why() }),
            "intended",
            r#"{"because":{"forced":{"reason":"w","who":"alice"}},"effect":{"retag":{"is_pin":true,"tag":"staging"}},"release":R}"#,
        ),
        (
            Event::Committed { intent, commit: commit() },
            "committed",
            r#"{"commit":"1111111111111111111111111111111111111111","intent":7}"#,
        ),
        (Event::Retagged { intent }, "retagged", r#"{"intent":7}"#),
        (Event::Withdrawn { intent, why: why() }, "withdrawn", r#"{"intent":7,"why":"w"}"#),
        (
            Event::Moved { pin: pin(), release: None, commit: None, who: who() },
            "moved",
            r#"{"commit":null,"pin":{"web":{"digest":null,"tag":"v1"}},"release":null,"who":"alice"}"#,
        ),
    ]
}

fn rules_of_a_rollout() -> RolloutRules {
    let url = "https://a".to_owned();
    let http = HttpCheck { url, status: 200, times: 3, every: Span::seconds(5) };
    let check = |name: &str, method, timeout, retries| Check { name: name.to_owned(), method, timeout, retries };
    RolloutRules {
        rollout: vec![Signal::Webhook],
        verify: vec![
            check("health", CheckMethod::Http(http), Span::minutes(2), 1),
            check("smoke", CheckMethod::Webhook, Span::minutes(20), 0),
        ],
        on_failure: OnFailure::Rollback,
    }
}

/// The rules that a rollout keeps.
fn kept_rules() -> Vec<Case> {
    vec![(
        Event::RulesKept { rules: rules_of_a_rollout() },
        "rules_kept",
        r#"{"rules":{"on_failure":"rollback","rollout":["webhook"],"verify":[{"method":{"http":{"every":"5s","status":200,"times":3,"url":"https://a"}},"name":"health","retries":1,"timeout":"2m"},{"method":"webhook","name":"smoke","timeout":"20m"}]}}"#,
    )]
}

/// The kinds that say how it went and what people said, as in `effects`.
fn verdicts() -> Vec<Case> {
    let (who, why, rollout) = (|| "alice".to_owned(), || "w".to_owned(), Sequence(7));
    let signalled = |verdict, url| Event::Signalled { rollout, verdict, who: who(), evidence: "e".to_owned(), url };
    let checked = |result| Event::Checked { rollout, check: "smoke".to_owned(), result, url: None };
    let ended = |outcome| Event::Ended { rollout, outcome, why: why() };
    let (voted_for, rules) = (|| release().id().clone(), || "f00".to_owned());
    let voted = |approve, by, why| Event::Voted { release: voted_for(), rules: rules(), approve, who: who(), by, why };
    let ordered = |order| Event::Ordered { order, who: who() };
    vec![
        (
            signalled(Verdict::Healthy, None),
            "signalled",
            r#"{"evidence":"e","rollout":7,"url":null,"verdict":"healthy","who":"alice"}"#,
        ),
        (
            signalled(Verdict::Failed, Some("https://a".to_owned())),
            "signalled",
            r#"{"evidence":"e","rollout":7,"url":"https://a","verdict":"failed","who":"alice"}"#,
        ),
        (checked(CheckResult::Passed), "checked", r#"{"check":"smoke","result":"passed","rollout":7}"#),
        (checked(CheckResult::Failed(why())), "checked", r#"{"check":"smoke","result":{"failed":"w"},"rollout":7}"#),
        (Event::Lost { rollout, why: why() }, "lost", r#"{"rollout":7,"why":"w"}"#),
        (ended(Outcome::Verified), "ended", r#"{"outcome":"verified","rollout":7,"why":"w"}"#),
        (ended(Outcome::Failed), "ended", r#"{"outcome":"failed","rollout":7,"why":"w"}"#),
        (ended(Outcome::Canceled), "ended", r#"{"outcome":"canceled","rollout":7,"why":"w"}"#),
        (
            voted(true, Ballot::Cli, String::new()),
            "voted",
            r#"{"approve":true,"by":"cli","release":"ID","rules":"f00","who":"alice"}"#,
        ),
        (
            voted(false, Ballot::Page, why()),
            "voted",
            r#"{"approve":false,"by":"page","release":"ID","rules":"f00","who":"alice","why":"w"}"#,
        ),
        (
            Event::Held { who: who(), why: why(), until: Some("2026-01-01T00:00:00Z".parse().expect("time")) },
            "held",
            r#"{"until":"2026-01-01T00:00:00Z","who":"alice","why":"w"}"#,
        ),
        (Event::Held { who: who(), why: why(), until: None }, "held", r#"{"until":null,"who":"alice","why":"w"}"#),
        (Event::Claimed { places: vec!["a\nb".to_owned()] }, "claimed", r#"{"places":["a\nb"]}"#),
        (Event::Resumed { who: who(), met: None, holds: None }, "resumed", r#"{"met":null,"who":"alice"}"#),
        (
            Event::Resumed { who: who(), met: None, holds: Some(vec![Sequence(3), Sequence(5)]) },
            "resumed",
            r#"{"holds":[3,5],"met":null,"who":"alice"}"#,
        ),
        (
            Event::Resumed { who: who(), met: Some(commit()), holds: None },
            "resumed",
            r#"{"met":"1111111111111111111111111111111111111111","who":"alice"}"#,
        ),
        (
            Event::Refused { release: release(), who: who(), why: why() },
            "refused",
            r#"{"release":R,"who":"alice","why":"w"}"#,
        ),
        (
            ordered(Order::Promote { release: release(), force: Some(why()), holds: true }),
            "ordered",
            r#"{"order":{"promote":{"force":"w","holds":true,"release":R}},"who":"alice"}"#,
        ),
        (
            ordered(Order::Rollback { to: release(), why: why() }),
            "ordered",
            r#"{"order":{"rollback":{"to":R,"why":"w"}},"who":"alice"}"#,
        ),
        (ordered(Order::Verify), "ordered", r#"{"order":"verify","who":"alice"}"#),
    ]
}

#[test]
fn every_event_is_written_as_ever_and_comes_back_whole() {
    for (event, kind, body) in effects().into_iter().chain(kept_rules()).chain(verdicts()) {
        let body = body.replace("\"ID\"", &format!("\"{}\"", release().id().as_str())).replace('R', &release_text());
        assert_eq!(encode(&event).expect("encode"), (kind.to_owned(), body.clone()));
        let back = decode(Sequence(1), kind, &body).expect("decode");
        // The model compares releases by their ids; every fact of a build must come back too.
        assert_eq!(format!("{back:?}"), format!("{event:?}"));
    }
}

#[test]
fn an_old_vote_comes_back_and_is_for_no_release() {
    let id = release().id().clone();
    let body = format!(r#"{{"approve":true,"by":"cli","release":"{id}","rules":"f00","who":"alice"}}"#);
    let Event::Voted { release, .. } = decode(Sequence(1), "voted", &body).expect("an old vote") else {
        panic!("a vote");
    };
    assert_eq!(release.as_str(), id.to_string());
    assert_ne!(release, id);
    let body = body.replace(&id.to_string(), "e3b0");
    assert!(decode(Sequence(1), "voted", &body).is_err(), "that short is none");
}

#[test]
fn the_cases_have_every_kind() {
    let kinds: BTreeSet<&str> =
        effects().into_iter().chain(kept_rules()).chain(verdicts()).map(|(_, kind, _)| kind).collect();
    let unknown = serde_json::from_str::<EventText>(r#"{"x":{}}"#).map(|_| ()).expect_err("no such kind").to_string();
    // "unknown variant `x`, expected one of `adopted`, `intended`, ..."
    let known: BTreeSet<&str> = unknown.split('`').skip(3).step_by(2).collect();
    assert_eq!(kinds, known);
}

#[test]
fn what_makes_no_sense_is_an_error_that_names_the_entry() {
    for (kind, body, said) in [
        ("upgraded", "{}", "unknown variant `upgraded`"),
        ("lost", r#"{"rollout":7}"#, "missing field `why`"),
        ("lost", r#"{"rollout":7,"why":"w","more":1}"#, "unknown field `more`"),
        ("lost", r#"{"rollout":-1,"why":"w"}"#, "invalid value"),
        ("committed", r#"{"commit":"zz","intent":7}"#, "`zz` is not a valid value here"),
        ("lost", "", "expected value"),
        ("a\"b", "{}", "unknown variant"),
        ("lost", r#"{"rollout":7,"why":"w"},"lost":{"rollout":8,"why":"w"}"#, "expected"),
    ] {
        let error = decode(Sequence(17), kind, body).expect_err(kind).to_string();
        assert!(error.starts_with("entry 17 (`") && error.contains(said), "{error}");
        assert!(error.contains("restore a backup"), "{error}");
    }
}
