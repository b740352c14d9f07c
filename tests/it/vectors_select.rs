//! What Flux, Argo CD Image Updater and Masterminds/semver answer to the same tags, ranges and versions.
//!
//! The vectors lie beside the repository, not in it: where they are absent the tests say so and pass. Answers that differ
//! on purpose stand in [`OTHERWISE`], each with its reason; an entry that no longer differs fails.

use jiff::Timestamp;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use tagrelay::model::policy::{Extreme, Image, Newest, Pattern, Select, Strategy, Together};
use tagrelay::model::{Build, BuildFacts, Digest, ImageName, Pinned, Platform, Repository, Span, Tag, TagList};
use tagrelay::relay::select::range::Range;
use tagrelay::relay::select::version::Version;
use tagrelay::relay::select::{Need, Request, TagFacts, Tags, check, choose, compared, filter, newer};

/// The vectors that are answered otherwise on purpose, and why that is better.
const OTHERWISE: [(&str, &str); 10] = [
    ("flux-select-019", "a tag that is no number is skipped and named by explain: it does not stop the environment"),
    ("flux-select-065", "a tag that is no number is skipped and named by explain: it does not stop the environment"),
    ("flux-select-066", "5e2 is the beginning of a commit, not five hundred"),
    ("flux-exclude-tags-007", "1.0.0.sig is no name of cosign's: only its own are attachments, `ignore` drops others"),
    ("flux-version-parse-003", "v1.0 is a version to Helm, Argo CD and the range itself; dropping it is a surprise"),
    ("flux-version-parse-004", "v1 is a version to Helm, Argo CD and the range itself; dropping it is a surprise"),
    ("flux-version-parse-006", "v1.2-5 is a version to Helm, Argo CD and the range itself"),
    ("or-build-metadata", "no registry holds a tag with `+`, so none is read"),
    ("or-ignore-broken-glob", "a broken glob is an error when the policy is loaded, not a filter that does nothing"),
    ("or-newest-constraint-ignored", "a policy names one strategy: a range beside newest cannot be written at all"),
];

/// The vectors of both peers; none where the folder is absent.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn vectors() -> Option<Vec<Value>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors");
    let folder = std::env::var_os("TAGRELAY_VECTORS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let files: Option<Vec<_>> = ["flux.json", "argocd-image-updater.json"].into_iter().map(read).collect();
    let Some(files) = files else {
        println!("skipped: no vectors in {}", folder.display());
        return None;
    };
    Some(files.iter().flat_map(|bytes| serde_json::from_slice::<Vec<Value>>(bytes).expect("vectors")).collect())
}

/// Compares every vector of these kinds with the answer, less those of [`OTHERWISE`].
fn compare(kinds: &[&str], answer: impl Fn(&str, &Value) -> (Value, Value)) {
    let Some(vectors) = vectors() else { return };
    let (mut wrong, mut met) = (Vec::new(), 0);
    for vector in vectors.iter().filter(|v| kinds.contains(&text(&v["kind"]))) {
        met += 1;
        let id = text(&vector["id"]);
        let (ours, theirs) = answer(text(&vector["kind"]), vector);
        let otherwise = OTHERWISE.iter().any(|(known, _)| *known == id);
        if otherwise == (ours == theirs) {
            wrong.push(format!("{id}: ours {ours}, theirs {theirs}, input {}", vector["input"]));
        }
    }
    assert!(met > 0, "no vectors of {kinds:?}");
    assert!(wrong.is_empty(), "{} of {met}:\n{}", wrong.len(), wrong.join("\n"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
}

fn pattern(text: &str) -> Option<Pattern> {
    let regex = match text.strip_prefix("glob:") {
        Some(glob) => globset::Glob::new(glob).ok()?.regex().trim_start_matches("(?-u)").to_owned(),
        None => text.to_owned(),
    };
    Some(Pattern { text: text.to_owned(), regex: regex::Regex::new(&regex).ok()? })
}

fn select(strategy: Strategy) -> Select {
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

/// A Flux policy as a select; none where our language has no such thing or it is wrong.
fn of_flux(input: &Value) -> Option<Select> {
    let extreme = match text(&input["order"]).to_ascii_lowercase().as_str() {
        "" | "asc" => Extreme::Largest,
        "desc" => Extreme::Smallest,
        _ => return None,
    };
    let mut select = select(match text(&input["policy"]) {
        "semver" => Strategy::Semver(text(&input["range"]).to_owned()),
        "numerical" => Strategy::Numeric(extreme),
        "alphabetical" => Strategy::Alphabetical(extreme),
        _ => return None,
    });
    let filter = input.get("filter").unwrap_or(input);
    if let Some(wanted) = filter["pattern"].as_str() {
        select.matches = Some(pattern(wanted)?);
    }
    select.extract = filter["extract"].as_str().filter(|extract| !extract.is_empty()).map(str::to_owned);
    check(&select).is_ok().then_some(select)
}

/// An Argo CD Image Updater image as a select.
fn of_argocd(input: &Value) -> Option<Select> {
    let constraint = text(&input["constraint"]);
    let mut select = select(match text(&input["strategy"]) {
        "semver" if constraint.is_empty() => Strategy::Semver("*".to_owned()),
        "semver" => Strategy::Semver(constraint.to_owned()),
        "alphabetical" => Strategy::Alphabetical(Extreme::Largest),
        "newest-build" if constraint.is_empty() => Strategy::Newest(Newest::Created),
        "digest" => Strategy::Follow(Tag::parse(constraint).ok()?),
        _ => return None,
    });
    let globs = texts(&input["ignore"]).into_iter().map(|glob| pattern(&format!("glob:{glob}")));
    select.ignore = globs.collect::<Option<_>>()?;
    check(&select).is_ok().then_some(select)
}

fn digest_of(text: &str) -> Digest {
    Digest::parse(text).unwrap_or_else(|_| Digest::of(text.as_bytes()))
}

fn build(name: &str, digest: Option<&str>, created: Option<i64>) -> Option<Build> {
    let created = created.map(|seconds| Timestamp::from_second(seconds).expect("time"));
    let facts = BuildFacts { created, ..BuildFacts::default() };
    Some(Build { tag: Tag::parse(name).ok()?, digest: digest_of(digest.unwrap_or(name)), facts: facts.into() })
}

/// The tag that is chosen, reading what is asked for; texts that are no tags cannot be in a registry.
fn chosen(select: &Select, builds: &[Build]) -> Option<Build> {
    let image = Image {
        name: ImageName::parse("shop").expect("name"),
        repository: Repository::parse("localhost/shop").expect("repository"),
        before: Vec::new(),
        platforms: Vec::new(),
        source: None,
    };
    let tags: TagList = builds.iter().map(|build| &build.tag).collect();
    let (mut known, none) = (HashMap::new(), HashSet::new());
    // A tag is asked for its digest and then for its facts: a question that comes again for ever would hang the tests.
    for _ in 0..=2 * builds.len() {
        let tags = [Tags { image: &image, tags: &tags, known: &known, dated: None, reserved: &none }];
        let request = Request {
            select,
            images: &tags,
            together: Together::SameTag,
            settle: Span::ZERO,
            known_releases: &HashSet::new(),
            own_commits: false,
            depth: 1,
            now: Timestamp::UNIX_EPOCH,
        };
        let outcome = choose(&request);
        if outcome.wanted.is_empty() {
            return outcome.releases.first().and_then(|release| release.builds().get(&image.name).cloned());
        }
        for want in outcome.wanted {
            let build = builds.iter().find(|build| build.tag == want.tag).cloned();
            let (facts_read, moved_at) = (want.need == Need::Facts, Some(Timestamp::UNIX_EPOCH));
            known.insert(want.tag, TagFacts { build, facts_read, moved_at, ..TagFacts::default() });
        }
    }
    panic!("a tag is asked for again and again: {:?}", known.keys());
}

fn tag_json(tag: Option<&str>) -> Value {
    tag.map_or(Value::Null, |tag| Value::String(tag.to_owned()))
}

#[test]
fn select_kind() {
    compare(&["select"], |_, vector| {
        let input = &vector["input"];
        let expect = vector.get("better").unwrap_or(&vector["expect"]);
        let (select, builds) = if input.get("policy").is_some() {
            (of_flux(input), texts(&input["tags"]).into_iter().filter_map(|tag| build(tag, None, None)).collect())
        } else {
            let tags = input["tags"].as_array().cloned().unwrap_or_default();
            let of = |tag: &Value| build(text(&tag["name"]), tag["digest"].as_str(), tag["created"].as_i64());
            (of_argocd(input), tags.iter().filter_map(of).collect::<Vec<Build>>())
        };
        let found = select.as_ref().and_then(|select| chosen(select, &builds));
        if let (Some(found), Ok(digest)) = (&found, Digest::parse(text(&expect["digest"]))) {
            assert_eq!(found.digest, digest, "{vector}");
        }
        (tag_json(found.as_ref().map(|build| build.tag.as_str())), expect.get("tag").cloned().unwrap_or(Value::Null))
    });
}

#[test]
fn versions_and_ranges() {
    compare(&["semver_check", "constraint-check"], |_, vector| {
        let input = &vector["input"];
        let range = input.get("constraint").unwrap_or(&input["range"]);
        let range = Range::parse(text(range)).expect("range");
        let version = Version::parse(text(&input["version"])).expect("version");
        (range.admits(&version).into(), vector["expect"]["match"].clone())
    });
    compare(&["constraint-parse"], |_, vector| {
        let expect = &vector["expect"];
        let shape = Range::parse(text(&vector["input"]["range"])).ok().map(|range| range.shape());
        let first = shape.as_ref().and_then(|shape| shape.first()).copied();
        let ours = serde_json::json!([shape.map(|shape| shape.len()), first]);
        (ours, serde_json::json!([expect.get("ors"), expect.get("firstAnds")]))
    });
    compare(&["semver_parse", "version-parse"], |_, vector| {
        let expect = vector["expect"].get("ok").unwrap_or(&vector["expect"]["valid"]);
        (Version::parse(text(&vector["input"]["version"])).is_some().into(), expect.clone())
    });
    compare(&["semver_compare"], |_, vector| {
        let of = |key: &str| Version::parse(text(&vector["input"][key]));
        ((of("a").cmp(&of("b")) as i64).into(), vector["expect"]["cmp"].clone())
    });
    compare(&["policy-valid"], |_, vector| {
        (of_flux(&vector["input"]).is_some().into(), vector["expect"]["valid"].clone())
    });
}

#[test]
fn filters() {
    compare(&["filter-tags"], |_, vector| {
        let select = of_flux(&with(&vector["input"], "policy", "alphabetical")).expect("select");
        let tags = texts(&vector["input"]["tags"]).into_iter();
        let extracted: BTreeSet<String> = tags.filter_map(|tag| compared(&select, tag)).collect();
        (serde_json::json!(extracted), vector["expect"]["extractedSorted"].clone())
    });
    compare(&["exclude-tags"], |_, vector| {
        let mut select = select(Strategy::Alphabetical(Extreme::Largest));
        select.ignore = texts(&vector["input"]["exclusionList"]).into_iter().filter_map(pattern).collect();
        let tag = |text: &&str| Tag::parse(text).expect("tag");
        let kept = |text: &&str| filter::by_name(&select, &HashSet::new(), tag(text).by_ref()).is_ok();
        let tags: Vec<&str> = texts(&vector["input"]["tags"]).into_iter().filter(kept).collect();
        (serde_json::json!(tags), vector["expect"]["tags"].clone())
    });
    compare(&["allow_tags", "ignore_tags"], |kind, vector| {
        let input = &vector["input"];
        let mut select = select(Strategy::Alphabetical(Extreme::Largest));
        if kind == "ignore_tags" {
            let globs = texts(&input["ignore"]).into_iter();
            select.ignore = globs.filter_map(|glob| pattern(&format!("glob:{glob}"))).collect();
        } else if !text(&input["allow"]).eq_ignore_ascii_case("any") {
            let allow = text(&input["allow"]);
            select.matches = pattern(allow.strip_prefix("regexp:").unwrap_or(allow));
        }
        let passes = filter::by_patterns(&select, text(&input["tag"])).is_ok();
        let expect = &vector["expect"];
        (passes.into(), expect["match"].as_bool().unwrap_or_else(|| expect["ignored"] == false).into())
    });
    compare(&["platform"], |_, vector| {
        let has = Platform::parse(text(&vector["input"]["image"])).expect("platform");
        let wanted = texts(&vector["input"]["wanted"]).into_iter().filter_map(Platform::parse);
        (wanted.into_iter().all(|wanted| wanted.admits(&has)).into(), vector["expect"]["match"].clone())
    });
}

#[test]
fn orders() {
    compare(&["sort"], |_, vector| {
        let input = &vector["input"];
        let select = select(match text(&input["by"]) {
            "name" => Strategy::Alphabetical(Extreme::Largest),
            "created" => Strategy::Newest(Newest::Created),
            _ => Strategy::Semver("*".to_owned()),
        });
        let list = input["tags"].as_array().cloned().unwrap_or_default();
        let of = |tag: &Value| build(text(&tag["name"]), None, tag["created"].as_i64());
        let mut left: Vec<Build> = list.iter().filter_map(of).collect();
        let mut descending = Vec::new();
        while let Some(best) = chosen(&select, &left) {
            left.retain(|build| build.tag != best.tag);
            descending.push(best.tag.to_string());
        }
        descending.reverse();
        (serde_json::json!(descending), vector["expect"]["order"].clone())
    });
    compare(&["tag_equal", "needs_update"], |kind, vector| {
        let input = &vector["input"];
        let (found, current) =
            if kind == "tag_equal" { (&input["a"], &input["b"]) } else { (&input["candidate"], &input["current"]) };
        let found = build(text(&found["name"]), found["digest"].as_str(), None).expect("build");
        let pinned =
            Pinned { tag: Tag::parse(text(&current["name"])).ok(), digest: current["digest"].as_str().map(digest_of) };
        if kind == "tag_equal" {
            let tag_alone = vector["input"]["a"].get("digest").is_none() && pinned.digest.is_none();
            let equal = if tag_alone { pinned.says(&found) } else { pinned.digest == Some(found.digest) };
            return (equal.into(), vector["expect"]["equal"].clone());
        }
        let select = select(match text(&input["strategy"]) {
            "digest" => Strategy::Follow(found.tag.clone()),
            _ => Strategy::Semver("*".to_owned()),
        });
        let update = newer(&select, &found, &pinned, None).is_none_or(Ordering::is_gt);
        (update.into(), vector["expect"]["update"].clone())
    });
}

fn with(object: &Value, key: &str, value: &str) -> Value {
    let mut object = object.clone();
    object[key] = value.into();
    object
}
