//! Cases of the whole choice: a world that holds the truth, a reader that reveals what is asked for and counts.

use super::*;
use crate::model::policy::{Extreme, Newest, Pattern};
use crate::model::{BuildFacts, Builds, Pin, Pinned, Platform, Repository};
use std::cmp::Ordering;
use std::sync::Arc;

mod properties;

fn tag(text: &str) -> Tag {
    Tag::parse(text).expect(text)
}

fn name(text: &str) -> ImageName {
    ImageName::parse(text).expect(text)
}

/// That many minutes into the day.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(minutes * 60).expect("time")
}

fn pattern(text: &str) -> Pattern {
    Pattern { text: text.to_owned(), regex: regex::Regex::new(text).expect(text) }
}

fn by(strategy: Strategy) -> Select {
    Select {
        strategy,
        matches: None,
        extract: None,
        ignore: Vec::new(),
        branch: None,
        labels: Vec::new(),
        min_age: Span::ZERO,
        allow_downgrade: false,
    }
}

fn semver(range: &str) -> Select {
    by(Strategy::Semver(range.to_owned()))
}

/// A build that was made, pushed (nobody tells) and seen at these minutes.
fn built(text: &str, created: i64, seen: i64) -> TagFacts {
    let facts = BuildFacts { created: Some(at(created)), seen: Some(at(seen)), ..BuildFacts::default() };
    let build = Build { tag: tag(text), digest: Digest::of(text.as_bytes()), facts: facts.into() };
    TagFacts { moved_at: Some(at(seen)), ..TagFacts::of(build) }
}

/// The same, from a revision.
fn from(text: &str, revision: &str, created: i64) -> TagFacts {
    let mut known = built(text, created, created);
    if let Some(build) = &mut known.build {
        Arc::make_mut(&mut build.facts).revision = Some(revision.to_owned());
        build.digest = Digest::of(format!("{text}{revision}{created}").as_bytes());
    }
    known
}

/// The truth about some images, and what is asked of it.
struct World {
    select: Select,
    images: Vec<(Image, Vec<TagFacts>)>,
    together: Together,
    settle: Span,
    releases: HashSet<ReleaseId>,
    reserved: HashSet<Tag>,
    /// What was put away, by image.
    away: Vec<Dated>,
    own_commits: bool,
    depth: usize,
    now: Timestamp,
}

impl World {
    fn new(select: Select, images: &[(&str, Vec<TagFacts>)]) -> Self {
        let images = images.iter().map(|(image, truth)| {
            let repository = Repository::parse(&format!("localhost/{image}")).expect("repository");
            (
                Image { name: name(image), repository, before: Vec::new(), platforms: Vec::new(), source: None },
                truth.clone(),
            )
        });
        Self {
            select,
            images: images.collect(),
            together: Together::SameTag,
            settle: Span::ZERO,
            releases: HashSet::new(),
            reserved: HashSet::new(),
            away: Vec::new(),
            own_commits: false,
            depth: 1,
            now: at(1000),
        }
    }

    /// Reads what is asked for until nothing is; with how many readings.
    fn choose(&self) -> (Chosen, usize) {
        let mut known: Vec<HashMap<Tag, TagFacts>> = vec![HashMap::new(); self.images.len()];
        let mut readings = 0;
        loop {
            let chosen = self.ask(&known, choose);
            if chosen.wanted.is_empty() {
                return (chosen, readings);
            }
            assert!(chosen.releases.is_empty(), "nothing is chosen while something is to be read");
            for want in chosen.wanted {
                readings += 1;
                assert!(readings < 2000, "the reader makes progress: {want:?}");
                self.read(&want, &mut known);
            }
        }
    }

    fn read(&self, want: &Want, known: &mut [HashMap<Tag, TagFacts>]) {
        let position = self.images.iter().position(|(image, _)| image.name == want.image).expect("image");
        let holds = |truth: &&TagFacts| truth.build.as_ref().is_some_and(|build| build.tag == want.tag);
        let truth = self.images[position].1.iter().find(holds).cloned().unwrap_or_default();
        let before = known[position].get(&want.tag).cloned();
        let seen = known[position].entry(want.tag.clone()).or_default();
        match want.need {
            Need::Digest => {
                *seen = TagFacts { facts_read: false, on_branch: None, own_commit: None, ..truth };
                if let Some(build) = &mut seen.build {
                    let (pushed, first) = (build.facts.pushed, build.facts.seen);
                    build.facts = BuildFacts { pushed, seen: first, ..BuildFacts::default() }.into();
                }
            }
            Need::Facts => *seen = TagFacts { on_branch: None, own_commit: None, ..truth },
            Need::Branch => seen.on_branch = truth.on_branch.or(Some(false)),
            Need::OwnCommit => seen.own_commit = truth.own_commit.or(Some(false)),
        }
        assert_ne!(before.as_ref(), Some(&*seen), "what is known already is not asked for again: {want:?}");
    }

    fn ask<T>(&self, known: &[HashMap<Tag, TagFacts>], question: impl FnOnce(&Request<'_>) -> T) -> T {
        let of = |truth: &[TagFacts]| {
            truth.iter().filter_map(|known| known.build.as_ref().map(|build| &build.tag)).collect()
        };
        let lists: Vec<TagList> = self.images.iter().map(|(_, truth)| of(truth)).collect();
        let away = self.away.iter().map(Some).chain(std::iter::repeat(None));
        let images: Vec<Tags<'_>> = (self.images.iter().zip(&lists).zip(away).zip(known))
            .map(|((((image, _), tags), dated), known)| Tags { image, tags, known, dated, reserved: &self.reserved })
            .collect();
        question(&Request {
            select: &self.select,
            images: &images,
            together: self.together,
            settle: self.settle,
            known_releases: &self.releases,
            own_commits: self.own_commits,
            depth: self.depth,
            now: self.now,
        })
    }

    /// The tags of the candidates, joined; or the code of the reason.
    fn outcome(&self) -> String {
        let (chosen, _) = self.choose();
        let releases: Vec<String> = chosen.releases.iter().map(Release::to_string).collect();
        match chosen.why {
            Some(why) => why.code().to_owned(),
            None => releases.join(" > "),
        }
    }
}

fn one(select: Select, tags: &[&str]) -> World {
    World::new(select, &[("shop", tags.iter().map(|text| built(text, 0, 0)).collect())])
}

#[test]
fn strategies_choose() {
    let check = |select: Select, tags: &[&str], expected: &str| {
        assert_eq!(one(select.clone(), tags).outcome(), expected, "{select:?} {tags:?}");
    };
    check(semver("~1.2"), &["1.2.9", "1.2.10", "1.3.0", "v1.2.11", "1.2.12-rc1", "latest"], "v1.2.11");
    check(semver(">=1.0-0"), &["1.0.0", "1.1.0-rc.9", "1.1.0-rc.10"], "1.1.0-rc.10");
    check(semver("*"), &["99999999999999999998", "99999999999999999999"], "99999999999999999999");
    check(semver("^7"), &["1.0.0"], "NoTagMatches");
    check(semver("*"), &[], "NoTagMatches");
    check(by(Strategy::Numeric(Extreme::Largest)), &["9", "10", "latest", "9007199254740993"], "9007199254740993");
    check(by(Strategy::Numeric(Extreme::Smallest)), &["9", "10", "1e1"], "9");
    check(by(Strategy::Alphabetical(Extreme::Largest)), &["a", "B", "Z"], "a");
    check(by(Strategy::Alphabetical(Extreme::Smallest)), &["a", "B", "Z"], "B");
    check(by(Strategy::Pinned), &["a"], "UpToDate");
    check(semver("~~"), &["1"], "PolicyBroken");
    let extracting = Select { matches: Some(pattern("^rel-(.*)$")), extract: Some("$1".to_owned()), ..semver("*") };
    check(extracting, &["rel-1.2", "rel-1.10", "2.0"], "rel-1.10");
}

#[test]
fn names_that_are_no_candidates() {
    let last = by(Strategy::Alphabetical(Extreme::Largest));
    let attachment = format!("sha256-{}.sig", "a".repeat(64));
    assert_eq!(one(last.clone(), &["a", &attachment]).outcome(), "a");
    assert_eq!(one(last.clone(), &["a", "tagrelay-prod-0123456789ab"]).outcome(), "a");
    let mut world = one(last.clone(), &["a", "staging"]);
    world.reserved.insert(tag("staging"));
    assert_eq!(world.outcome(), "a");
    let ignoring = Select { ignore: vec![pattern("^b")], matches: Some(pattern("[abc]")), ..last };
    assert_eq!(one(ignoring, &["a", "b", "d"]).outcome(), "a");
}

#[test]
fn the_youngest_wins() {
    let world = |newest, known: Vec<TagFacts>| World::new(by(Strategy::Newest(newest)), &[("shop", known)]).outcome();
    let old_made_late_seen = vec![built("a", 10, 500), built("b", 20, 100)];
    assert_eq!(world(Newest::Created, old_made_late_seen.clone()), "b");
    assert_eq!(world(Newest::Seen, old_made_late_seen.clone()), "a");
    assert_eq!(world(Newest::Pushed, old_made_late_seen), "a", "no push time is told: first seen");
    let first_reading = vec![built("a", 30, 100), built("b", 40, 100), built("c", 1, 200)];
    assert_eq!(world(Newest::Pushed, first_reading[..2].to_vec()), "b", "one reading showed both: created ranks them");
    assert_eq!(world(Newest::Pushed, first_reading), "c", "seen later ranks above all of the first reading");
    let mut pushed = vec![built("a", 30, 100), built("b", 40, 100)];
    for (known, minutes) in pushed.iter_mut().zip([300, 200]) {
        if let Some(build) = &mut known.build {
            Arc::make_mut(&mut build.facts).pushed = Some(at(minutes));
        }
    }
    assert_eq!(world(Newest::Pushed, pushed), "a");
}

#[test]
fn the_fewest_readings() {
    let many: Vec<String> = (0..300).map(|n| format!("1.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(one(semver("*"), &many).choose().1, 1, "semver reads the digest of the best");
    let mut deep = one(semver("*"), &many);
    deep.depth = 5;
    assert_eq!(deep.choose().1, 5);
    assert_eq!(one(by(Strategy::Newest(Newest::Created)), &many).choose().1, 300, "created is read of every tag");
    let mut branch = one(Select { branch: Some("main".to_owned()), ..semver("*") }, &["1.1", "1.2", "1.3"]);
    branch.images[0].1[1].on_branch = Some(true);
    let (chosen, readings) = branch.choose();
    assert_eq!(chosen.releases[0].to_string(), "1.2");
    assert_eq!(readings, 4, "facts and branch of 1.3, then of 1.2, and nothing of 1.1");
    assert_eq!(chosen.passed_over, [(name("shop"), tag("1.3"), Why::NotOnBranch { branch: "main".to_owned() })]);
}

#[test]
fn behind_any_number_of_failures_the_next_good_one_is_found() {
    let many: Vec<String> = (0..200).map(|n| format!("1.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut world = one(Select { branch: Some("main".to_owned()), ..semver("*") }, &many);
    world.images[0].1[0].on_branch = Some(true);
    assert_eq!(world.outcome(), "1.0.0");
}

#[test]
fn ties_go_to_the_younger_then_the_later_name() {
    let world = |known| World::new(semver("*"), &[("shop", known)]).outcome();
    assert_eq!(world(vec![built("1.20", 5, 0), built("1.20.0", 4, 0)]), "1.20");
    assert_eq!(world(vec![built("1.20", 4, 0), built("1.20.0", 4, 0)]), "1.20.0");
    let select = Select { matches: Some(pattern("^([0-9.]+)-")), extract: Some("$1".to_owned()), ..semver("*") };
    let known = |n: i64| built(&format!("6.2.6-alpine3.{n}"), n, 0);
    let many = (1..100).map(known).collect::<Vec<_>>();
    assert_eq!(World::new(select, &[("redis", many)]).outcome(), "6.2.6-alpine3.99");
}

#[test]
fn facts_that_rule_a_build_out() {
    let check = |change: fn(&mut World), expected: &str| {
        let mut world = one(semver("*"), &["1.0", "2.0"]);
        change(&mut world);
        assert_eq!(world.outcome(), expected);
    };
    check(|w| w.images[0].1[1].was = Some(Digest::of(b"before")), "1.0");
    check(|w| w.images[0].1[1].unreadable = Some("it is no manifest".to_owned()), "1.0");
    check(|w| w.images[0].1.iter_mut().for_each(|known| known.unreadable = Some("gone".to_owned())), "Unread");
    check(|w| w.select.min_age = Span::minutes(2000), "TooYoung");
    check(|w| w.select.min_age = Span::minutes(1000), "2.0");
    check(|w| w.select.labels = vec![("team".to_owned(), pattern("^web$"))], "LabelDiffers");
    check(|w| w.images[0].0.platforms = Platform::parse("linux/arm64").into_iter().collect(), "PlatformMissing");
    check(|w| w.select.branch = Some("main".to_owned()), "NotOnBranch");
    check(
        |w| {
            w.own_commits = true;
            w.images[0].1[1].own_commit = Some(true);
        },
        "1.0",
    );
    let mut world = one(semver("*"), &["1.0"]);
    world.images[0].1.push(TagFacts { build: None, ..TagFacts::default() });
    assert_eq!(world.outcome(), "1.0");
}

#[test]
fn sets_of_one_tag() {
    let world = |shop: &[&str], worker: &[&str]| {
        let of = |tags: &[&str]| tags.iter().map(|text| built(text, 0, 0)).collect();
        World::new(semver("*"), &[("shop", of(shop)), ("worker", of(worker))])
    };
    assert_eq!(world(&["1.0", "1.1", "1.2"], &["1.0", "1.1"]).outcome(), "1.1");
    assert_eq!(world(&["1.2"], &["1.1"]).outcome(), "SetIncomplete");
    let (chosen, readings) = world(&["1.0", "1.1"], &["1.1", "1.0"]).choose();
    assert_eq!((chosen.releases.len(), readings), (1, 2));
    let youngest = World::new(
        by(Strategy::Newest(Newest::Created)),
        &[("shop", vec![built("a", 10, 0), built("b", 20, 0)]), ("worker", vec![built("a", 30, 0), built("b", 21, 0)])],
    );
    assert_eq!(youngest.outcome(), "a", "a set is as old as its youngest member");
}

#[test]
fn sets_of_one_revision() {
    let (new, old) = ("b".repeat(40), "a".repeat(40));
    let mut world = World::new(
        by(Strategy::Newest(Newest::Created)),
        &[
            ("shop", vec![from("s2", &new, 20), from("s1", &old, 10)]),
            ("worker", vec![from("w2", "bbbbbbbb", 19), from("w1", &old, 9)]),
        ],
    );
    world.together = Together::SameRevision;
    world.depth = 2;
    assert_eq!(world.outcome(), "s2, worker w2 > s1, worker w1", "a short revision is the long one's beginning");
    world.images[1].1.remove(0);
    assert_eq!(world.outcome(), "s1, worker w1");
    assert_eq!(world.choose().0.passed_over.len(), 1, "s2 stands above it and is incomplete");
    world.images[1].1.clear();
    assert_eq!(world.outcome(), "NoTagMatches");
    world.images[1].1 = vec![from("w9", &"c".repeat(40), 9)];
    assert_eq!(world.outcome(), "SetIncomplete");
}

#[test]
fn sets_of_the_latest_of_each() {
    let shop = vec![built("1.0", 1, 1), built("1.1", 50, 50)];
    let worker = vec![built("3.0", 2, 2), built("3.1", 40, 40)];
    let mut world = World::new(semver("*"), &[("shop", shop), ("worker", worker)]);
    world.together = Together::Latest;
    assert_eq!(world.outcome(), "1.1, worker 3.1");
    world.depth = 5;
    assert_eq!(world.outcome(), "1.1, worker 3.1 > 1.0, worker 3.1 > 1.0, worker 3.0");
}

#[test]
fn a_followed_tag() {
    let (new, old) = ("b".repeat(40), "a".repeat(40));
    let follow = by(Strategy::Follow(tag("staging")));
    let of = |shop: &str, worker: &str| {
        let images = [("shop", vec![from("staging", shop, 990)]), ("worker", vec![from("staging", worker, 995)])];
        World { together: Together::SameRevision, settle: Span::minutes(2), ..World::new(follow.clone(), &images) }
    };
    assert_eq!(of(&new, &new).outcome(), "staging");
    assert_eq!(of(&new, &old).outcome(), "SetIncomplete");
    let mut moving = of(&new, &new);
    moving.now = at(996);
    assert_eq!(moving.choose().0.why, Some(Why::Unsettled { until: at(997) }));
    // The names of both tags are old, and the registry says when it took the builds, which may be older too.
    for (image, moved_at) in [(0, 993), (1, 996)] {
        let known = &mut moving.images[image].1[0];
        known.moved_at = Some(at(moved_at));
        known.build = known.build.take().map(|build| build.with(|facts| facts.pushed = Some(at(1))));
    }
    let why = |world: &World| world.choose().0.why;
    assert_eq!(why(&moving), Some(Why::Unsettled { until: at(998) }), "the last of them moved at 996");
    moving.select.min_age = Span::minutes(5);
    assert_eq!(why(&moving), Some(Why::TooYoung { until: at(998) }), "the first moved at 993");
    moving.now = at(999);
    assert_eq!(why(&moving), Some(Why::TooYoung { until: at(1001) }), "both have stood still, one is too young");
    moving.now = at(1001);
    assert_eq!(moving.outcome(), "staging");
    // They moved by a clock that was far ahead, and is right again: what was first seen is read by it as it is now.
    for (first, moved_at) in [(990, 993), (995, 996)] {
        let known = &mut moving.images[usize::from(first == 995)].1[0];
        known.moved_at = Some(at(1_000_000));
        known.see(at(first), Some(at(moved_at)));
    }
    assert_eq!(moving.outcome(), "staging", "an hour that never was holds nothing up");
    let mut known = of(&new, &old);
    known.now = at(996);
    let builds = known.images.iter().map(|(image, truth)| (image.name.clone(), truth[0].build.clone().expect("build")));
    known.releases.insert(Release::new(builds.collect()).id().clone());
    assert_eq!(known.outcome(), "staging", "what was a release before needs neither `together` nor rest");
    let mut alone = one(follow, &["staging", "other"]);
    alone.reserved.insert(tag("staging"));
    alone.images[0].1[0].was = Some(Digest::of(b"before"));
    assert_eq!(alone.choose().0.releases.len(), 1, "it is meant to move");
    assert_eq!(alone.choose().1, 1, "one HEAD");
    alone.images[0].1.remove(0);
    assert_eq!(alone.outcome(), "SetIncomplete");
}

#[test]
fn what_a_select_may_not_say() {
    let check = |select: Select, says: &str| {
        let error = super::check(&select).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    };
    check(semver("~1.2, foo"), "column 7");
    check(semver(" "), "write `*`");
    check(Select { extract: Some("$1".to_owned()), ..semver("*") }, "there is no `match`");
    let matching = Select { matches: Some(pattern("^v(.*)$")), ..semver("*") };
    check(Select { extract: Some("$2".to_owned()), ..matching.clone() }, "no group `2`");
    let extracting = Select { extract: Some("$1".to_owned()), ..matching };
    for strategy in [Strategy::Newest(Newest::Pushed), Strategy::Follow(tag("v1")), Strategy::Pinned] {
        check(Select { strategy, ..extracting.clone() }, "compares no part");
    }
    let follow = by(Strategy::Follow(tag("staging")));
    check(Select { ignore: vec![pattern("stag")], ..follow.clone() }, "can never pass");
    assert_eq!(super::check(&follow), Ok(()));
}

#[test]
fn newer_than_what_is_pinned() {
    let build = |known: TagFacts| known.build.expect("build");
    let check = |select: &Select, found: &str, pinned: Option<&str>, expected: Option<Ordering>| {
        let pinned = Pinned { tag: pinned.map(tag), digest: None };
        assert_eq!(newer(select, &build(built(found, 0, 0)), &pinned, None), expected, "{found} {pinned}");
    };
    check(&semver("~1"), "1.2", Some("1.1"), Some(Ordering::Greater));
    check(&semver("~1"), "1.2", Some("2.0"), Some(Ordering::Less));
    check(&semver("~1"), "1.20", Some("1.20.0"), Some(Ordering::Equal));
    check(&semver("~1"), "1.2", Some("latest"), None);
    check(&semver("~1"), "1.2", None, None);
    check(&by(Strategy::Numeric(Extreme::Smallest)), "8", Some("9"), Some(Ordering::Greater));
    check(&by(Strategy::Newest(Newest::Seen)), "8", Some("9"), None);
    check(&by(Strategy::Newest(Newest::Seen)), "8", Some("8"), Some(Ordering::Equal));
    check(&by(Strategy::Follow(tag("a"))), "a", Some("a"), None);
    let (old, new) = (build(built("a", 1, 1)), build(built("b", 2, 2)));
    let newest = by(Strategy::Newest(Newest::Created));
    assert_eq!(newer(&newest, &new, &Pinned::default(), Some(&old)), Some(Ordering::Greater));
    assert_eq!(newer(&newest, &old, &Pinned::default(), Some(&new)), Some(Ordering::Less));
    assert_eq!(newer(&newest, &old, &Pinned::default(), Some(&old)), Some(Ordering::Equal));

    let release = |a: &str, b: &str| {
        Release::new([(name("a"), build(built(a, 0, 0))), (name("b"), build(built(b, 0, 0)))].into())
    };
    let mixed = |found: (&str, &str), pinned: (&str, &str)| {
        let pin = Pin::of(&release(pinned.0, pinned.1), crate::model::PinForm::Tag);
        newer_release(&semver("*"), Together::Latest, &release(found.0, found.1), &pin, &Builds::default())
    };
    assert_eq!(mixed(("2", "1"), ("1", "1")), Some(Ordering::Greater));
    assert_eq!(mixed(("2", "1"), ("1", "2")), Some(Ordering::Less));
    assert_eq!(mixed(("1", "x"), ("y", "z")), None);
}

#[test]
fn every_tag_is_explained() {
    let mut world = one(semver("~1"), &["1.3", "1.2", "1.1", "2.0", "latest", "staging", "1.0-debug", "1.9-rc"]);
    world.select.ignore = vec![pattern("-debug$")];
    world.reserved.insert(tag("staging"));
    world.images[0].1[0].was = Some(Digest::of(b"before"));
    let known: HashMap<Tag, TagFacts> =
        world.images[0].1.iter().take(2).map(|k| (k.build.clone().expect("b").tag, k.clone())).collect();
    let fates: Vec<String> = world.ask(std::slice::from_ref(&known), |request| {
        explain(request).map(|(_, tag, fate)| format!("{tag}: {fate}")).collect()
    });
    let starts = [
        "1.0-debug: ignored by `-debug$`",
        "1.1: matches, behind",
        "1.2: chosen",
        "1.3: passed over: tag 1.3 of `shop` was moved",
        "1.9-rc: a pre-release, and the range names none",
        "2.0: not in the range",
        "latest: no version: `latest`",
        "staging: a tag that a policy follows",
    ];
    assert_eq!(fates.len(), starts.len());
    for (fate, start) in fates.iter().zip(starts) {
        assert!(fate.starts_with(start), "{fate}");
    }
    let first: Vec<String> =
        world.ask(&[known], |request| explain_first(request, 4).iter().map(|(_, tag, _)| tag.to_string()).collect());
    assert_eq!(first, ["1.2", "1.3", "1.1", "staging"], "the best first, and of those that are none the last ones");
}

#[test]
fn lines_of_text() {
    let check = |select: Select, lines: &str, expected: Option<&str>| {
        assert_eq!(pick(&select, lines.lines()).map(|picked| picked.tag), Ok(expected.map(tag)), "{lines}");
    };
    check(semver("~1.2"), "1.2.3\n\n1.2.10\r\n1.3\nlatest\n", Some("1.2.10"));
    check(semver("~9"), "1.2.3\n", None);
    check(by(Strategy::Alphabetical(Extreme::Largest)), "a\nc\nb", Some("c"));
    let newest = by(Strategy::Newest(Newest::Pushed));
    check(newest.clone(), "a\t2026-01-02T00:00:00Z\nb\t2026-01-01T23:00:00-05:00", Some("b"));
    let error = |select: &Select, lines: &str| pick(select, lines.lines()).expect_err(lines).to_string();
    assert!(error(&newest, "a\t2026-01-02T00:00:00Z\nb").starts_with("line 2: newest needs"));
    assert!(error(&semver("*"), "1.0\nno tag").starts_with("line 2: `no tag` is no tag"));
    assert!(error(&semver("~~"), "1.0").contains("column 2"));
}

#[test]
fn what_a_select_beside_a_promotion_objects_to() {
    let mut world = one(semver("~1"), &["1.0", "2.0"]);
    let release = |text: &str| Release::new([(name("shop"), built(text, 0, 0).build.expect("build"))].into());
    let known: HashMap<Tag, TagFacts> = [(tag("1.0"), built("1.0", 0, 0))].into();
    let ask = |world: &World, text: &str| {
        world.ask(std::slice::from_ref(&known), |request| objection(request, &release(text)))
    };
    assert_eq!(ask(&world, "1.0"), (None, Vec::new()));
    assert_eq!(
        ask(&world, "2.0").0,
        Some((name("shop"), Fate::Unranked { why: Unranked::OutOfRange, compared: "2.0".to_owned() }))
    );
    world.select.branch = Some("main".to_owned());
    assert_eq!(ask(&world, "1.0").1, [Want { image: name("shop"), tag: tag("1.0"), need: Need::Branch }]);
}
