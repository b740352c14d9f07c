//! When tags were first seen, by lists and one at a time, and what they were seen to name.

use super::{Place, at, list, shop, tag};
use crate::journal::{Journal, Sighting};
use crate::model::{BuildFacts, Digest, Knowledge, Repository, Times};
use futures_util::future::join_all;

#[tokio::test]
async fn tags_are_first_seen_once_and_a_moved_one_is_known() {
    let place = Place::new();
    let journal = place.open().await;
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let sight = async |name: &str, digest: Option<&Digest>, seconds| {
        journal.sight(&shop(), &tag(name), digest, at(seconds)).await.expect("sight")
    };
    let sight_list =
        async |names: &[&str], seconds| journal.sight_list(&shop(), &list(names), at(seconds)).await.expect("sight");
    // A followed tag alone is no reading of the list: what the list shows first may be older than we are.
    sight("dev", Some(&a), 1).await;
    sight_list(&["dev", "v1"], 2).await;
    sight_list(&["dev", "v1", "v2"], 3).await;
    sight("v1", Some(&a), 3).await;
    sight("v2", Some(&a), 3).await;
    sight("dev", Some(&b), 4).await;
    sight_list(&["dev", "v3"], 5).await;
    let seen = sight("dev", Some(&a), 5).await;
    let unasked = sight("v2", None, 5).await;

    let of = async |name: &str| journal.sighting(&shop(), &tag(name)).await.expect("read");
    let expected = [("dev", 1, true, 5), ("v1", 2, true, 3), ("v2", 3, false, 3)];
    for (name, first_seen, at_first_reading, since) in expected {
        let (first, last, at_last_since) = (Some(a.clone()), Some(a.clone()), Some(at(since)));
        let expected = Sighting { first_seen: at(first_seen), at_first_reading, first, last, at_last_since };
        assert_eq!(of(name).await, Some(expected), "{name}");
    }
    let unread = Sighting { first_seen: at(5), at_first_reading: false, first: None, last: None, at_last_since: None };
    assert_eq!((of("v3").await, of("v4").await), (Some(unread), None));
    assert_eq!((Some(seen), Some(unasked)), (of("dev").await, of("v2").await));
    let namings = journal.namings(&shop(), &tag("dev")).await.expect("namings");
    assert_eq!(namings, [(b.clone(), at(4)), (a.clone(), at(5))], "a tag that came back came back now");
    let moved = sight("v1", Some(&b), 6).await;
    assert_eq!((moved.first, moved.last), (Some(a), Some(b)));
}

#[tokio::test]
async fn what_was_read_of_tags_is_remembered_with_its_times() {
    let place = Place::new();
    let journal = place.open().await;
    let [a, b] = ["a", "b"].map(|text| Digest::of(text.as_bytes()));
    let sight = async |name: &str, digest: Option<&Digest>, seconds| {
        journal.sight(&shop(), &tag(name), digest, at(seconds)).await.expect("sight")
    };
    sight("v1", Some(&a), 1).await;
    sight("v1.1", Some(&a), 2).await;
    sight("moved", Some(&a), 3).await;
    sight("moved", Some(&b), 4).await;
    sight("gone", Some(&a), 5).await;
    sight("unread", None, 6).await;
    sight("unknown", Some(&Digest::of(b"c")), 7).await;
    for (digest, created, pushed) in [(&a, 8, None), (&b, 9, Some(at(10)))] {
        let labels = [("created".to_owned(), "never".to_owned())].into();
        let facts = BuildFacts { created: Some(at(created)), pushed, labels, ..BuildFacts::default() };
        journal.remember_builds(&shop(), &[(digest.clone(), facts.into())]).await.expect("remember");
    }
    sight("v2", Some(&b), 11).await;

    let listed = list(&["moved", "new", "unknown", "unread", "v1", "v1.1", "v2"]);
    let dated = journal.dated(&shop(), &listed).await.expect("dated");
    let told = dated.iter().map(|dated| (dated.tag.as_str(), dated.knowledge, dated.digest, dated.times));
    let times = |created, pushed: Option<i64>, seen| Times {
        created: Some(at(created)),
        pushed: pushed.map(at),
        seen: Some(at(seen)),
    };
    let (a, b) = (Some(a.as_str()), Some(b.as_str()));
    let expected = [
        ("v1", Knowledge::Remembered, a, times(8, None, 1)),
        ("v1.1", Knowledge::Remembered, a, times(8, None, 2)),
        ("v2", Knowledge::Remembered, b, times(9, Some(10), 11)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let seen = journal.first_seen(&shop(), &["gone", "new", "unread"].map(tag)).await.expect("seen");
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(tag("gone"), at(5)), (tag("unread"), at(6))]);
    assert!(journal.first_seen(&shop(), &[]).await.expect("seen").is_empty());
}

/// The tags that are known of these, whether each was there at the first reading, and when it was first seen.
async fn known<'n>(journal: &Journal, names: &[&'n str]) -> Vec<(&'n str, bool, i64)> {
    let mut known = Vec::new();
    for name in names {
        let sighting = journal.sighting(&shop(), &tag(name)).await.expect("read");
        known.extend(sighting.map(|it| (*name, it.at_first_reading, it.first_seen.as_second())));
    }
    known
}

#[tokio::test]
async fn a_long_list_of_tags_is_kept_and_what_is_new_in_it_found_wherever_it_stands() {
    let place = Place::new();
    let journal = place.open().await;
    let names: Vec<String> = (1000..2234).map(|n| format!("v{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut expected: Vec<_> = names.iter().map(|name| (*name, true, 1)).collect();
    journal.sight_list(&shop(), &list(&names), at(1)).await.expect("sight");
    assert_eq!(known(&journal, &names).await, expected);
    for (name, seconds) in [("v1499-1", 2), ("a", 3), ("z", 4)] {
        names.push(name);
        journal.sight_list(&shop(), &list(&names), at(seconds)).await.expect("sight");
        expected.push((name, false, seconds));
    }
    // What is listed no more was seen all the same.
    journal.sight_list(&shop(), &list(&["v1000", "v1000-1"]), at(5)).await.expect("sight");
    names.extend(["v1000-1", "v1000-2"]);
    expected.push(("v1000-1", false, 5));
    assert_eq!(known(&journal, &names).await, expected);
}

#[tokio::test]
async fn an_empty_list_is_a_first_reading_and_another_repository_has_its_own() {
    let place = Place::new();
    let journal = place.open().await;
    journal.sight_list(&shop(), &list(&[]), at(1)).await.expect("sight");
    journal.sight_list(&shop(), &list(&["a"]), at(2)).await.expect("sight");
    journal.sight(&shop(), &tag("b"), None, at(3)).await.expect("sight");
    let cart = Repository::parse("reg.example.com/cart").expect("repository");
    journal.sight_list(&cart, &list(&["a"]), at(4)).await.expect("sight");
    assert_eq!(known(&journal, &["a", "b"]).await, [("a", false, 2), ("b", false, 3)]);
    let other = journal.sighting(&cart, &tag("a")).await.expect("read").expect("seen");
    assert_eq!((other.first_seen, other.at_first_reading), (at(4), true));
}

#[tokio::test]
async fn readings_of_one_repository_at_once_tell_each_tag_once() {
    let place = Place::new();
    let journal = place.open().await;
    let (digest, lists) = (Digest::of(b"a"), [list(&["a", "b"]), list(&["b", "c"]), list(&["a", "b", "c"])]);
    for _ in 0..5 {
        let (repository, dev) = (shop(), tag("b"));
        let lists = lists.each_ref().map(|list| journal.sight_list(&repository, list, at(1)));
        let tags =
            [journal.sight(&repository, &dev, Some(&digest), at(1)), journal.sight(&repository, &dev, None, at(1))];
        let (lists, tags) = tokio::join!(join_all(lists), join_all(tags));
        assert!(lists.iter().all(Result::is_ok) && tags.iter().all(Result::is_ok), "{lists:?} {tags:?}");
    }
    let seen = known(&journal, &["a", "b", "c"]).await;
    assert!(seen.len() == 3 && seen.iter().all(|(_, _, at)| *at == 1), "{seen:?}");
    let b = journal.sighting(&shop(), &tag("b")).await.expect("read").expect("seen");
    assert_eq!((b.first, b.last), (Some(digest.clone()), Some(digest)), "a list touches no digest");
}
