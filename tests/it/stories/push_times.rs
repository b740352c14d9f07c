//! What was pushed last, by the registry's own word, and what `pushed` means where it gives none.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::{Story, target};
use axum::http::Method;
use serde_json::json;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tokio_util::sync::CancellationToken;

const DEV: &str = "deployment/dev/kustomization.yaml";
/// How long nobody is asked again after a list that could not be put away, and a little more.
const LEFT_ALONE: Duration = Duration::from_secs(31);
const LIST: &str = "/api/v2.0/projects/team/repositories/shop/artifacts";

/// A world whose registry is a Harbor, where that tag is pinned, and whose policy takes what was pushed there last.
async fn harbor(pinned: &str) -> Story {
    harbor_polled(pinned, "1s").await
}

/// The same, where it is read so often.
async fn harbor_polled(pinned: &str, every: &str) -> Story {
    let policy = POLICY.replace("REGISTRY/shop", "REGISTRY/team/shop").replace("follow: dev", "newest: pushed");
    let policy =
        policy.replace("    rollout:", "    pin: tag\n    rollout:").replace("poll: 1s", &format!("poll: {every}"));
    let kustomization = KUSTOMIZATION.replace("REGISTRY/shop", "REGISTRY/team/shop");
    let kustomization = kustomization.replace("newTag: old", &format!("newTag: {pinned}"));
    let mut story = Story::new(&policy, &[(DEV, &kustomization)]).await;
    let host = story.world.registry.host();
    let of = |settings: &str| format!("\"{host}\": {{ plain_http: true{settings} }}");
    story.config = story.config.replace(&of(""), &of(", provider: harbor"));
    story
}

/// What Harbor says of builds: digest, tag, time.
fn artifacts(builds: &[(&str, &str, &str)]) -> Fault {
    let artifact = |(digest, tag, at): &(&str, &str, &str)| json!({ "digest": digest, "push_time": at, "tags": [{ "name": tag, "push_time": at, "immutable": false }] });
    let artifacts: Vec<_> = builds.iter().map(artifact).collect();
    Fault::answer(200).body("application/json", json!(artifacts).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harbor_says_what_was_pushed_last() {
    let mut story = harbor("old").await;
    let [one, two, three] = [1, 2, 3].map(|n| story.push_image("team/shop", &format!("v{n}"), n));
    let pushed = [
        (two.as_str(), "v2", "2026-03-03T00:00:00Z"),
        (three.as_str(), "v3", "2026-03-02T00:00:00Z"),
        (one.as_str(), "v1", "2026-03-01T00:00:00Z"),
    ];
    let faults = &story.world.registry.face.faults;
    faults.add(Rule::every(artifacts(&pushed)).path(LIST));
    story.start().await;
    story.until_written(DEV, "newTag: v2").await;
    story.until_state("dev", "progressing").await;
    let explained = story.handle().explain(target("dev")).await.expect("explained");
    assert!(!explained.notes.iter().any(|note| note.contains("push times")), "{:?}", explained.notes);

    // From here on Harbor tells nothing: what is new then was first seen after everything else.
    story.world.registry.face.faults.clear();
    story.world.registry.face.faults.add(Rule::every(Fault::answer(403)).path(LIST));
    story.push_image("team/shop", "v0", 4);
    story.until_written(DEV, "newTag: v0").await;
    let explained = story.handle().explain(target("dev")).await.expect("explained");
    let note = explained.notes.first().expect("a note");
    assert!(note.contains("`pushed` means first seen here") && note.contains("403"), "{note}");
    let repositories = story.status().await.repositories;
    assert!(repositories.iter().all(|view| view.error.is_none() && view.note.as_ref() == Some(note)));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_of_a_list_that_could_not_be_put_away_is_told_again() {
    let mut story = harbor("old").await;
    let [one, two] = [1, 2].map(|n| story.push_image("team/shop", &format!("v{n}"), n));
    let pushed = [(one.as_str(), "v1", "2026-03-02T00:00:00Z"), (two.as_str(), "v2", "2026-03-01T00:00:00Z")];
    story.world.registry.face.faults.add(Rule::every(artifacts(&pushed)).path(LIST));
    assert!(story.world.registry.remove("team/shop", "v2"), "it comes later");
    story.start().await;
    story.until_written(DEV, "newTag: v1").await;

    let lists = story.home.path().join("journal.db.lists");
    let all = (0..100).map(|n| lists.join(n.to_string()));
    let in_the_way: Vec<_> = all.filter(|list| std::fs::create_dir(list).is_ok()).collect();
    story.world.registry.retag("team/shop", "v2", &two).expect("tagged");
    let fails = || async {
        let status = story.handle().status().await;
        let said = |error: &String| error.contains("could not be put away");
        status.is_ok_and(|status| status.repositories.iter().any(|view| view.error.as_ref().is_some_and(said)))
    };
    story.until("the list cannot be put away", fails).await;
    in_the_way.iter().for_each(|list| std::fs::remove_dir(list).expect("removed"));

    // Without a time it would count as first seen just now.
    let is_older = || async {
        let explained = story.handle().explain(target("dev")).await.expect("explained");
        explained.tags.iter().any(|told| told.tag == "v2" && told.fate.ends_with("behind the best"))
    };
    story.until("v2 is older than v1", is_older).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_without_push_times_is_named() {
    let policy = POLICY.replace("follow: dev", "newest: pushed");
    let mut story = Story::new(&policy, &[(DEV, KUSTOMIZATION)]).await;
    story.push("v1", 1);
    story.start().await;
    story.until_written(DEV, "newTag: v1").await;
    let host = story.world.registry.host();
    let notes = story.handle().explain(target("dev")).await.expect("explained").notes;
    assert!(notes.contains(&format!("{host} tells no push times: `pushed` means first seen here")), "{notes:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_time_that_is_told_while_its_tag_is_being_read_counts() {
    let mut story = harbor("v1").await;
    let [one, two] = [1, 2].map(|n| story.push_image("team/shop", &format!("v{n}"), n));
    let pushed = [(two.as_str(), "v2", "2026-03-03T00:00:00Z"), (one.as_str(), "v1", "2026-03-01T00:00:00Z")];
    let late = |path: &str| {
        let answered = CancellationToken::new();
        let fault = Fault::until(Moment::Before, &answered);
        story.world.registry.face.faults.add(Rule::every(fault).path(&format!("/v2/team/shop/{path}")));
        answered
    };
    let (list, pinned) = (late("tags/list"), late("manifests/v1"));
    story.world.registry.face.faults.add(Rule::every(artifacts(&pushed)).path(LIST));
    story.config = format!("mode: observe\n{}", story.config);
    story.start().await;
    // What is pinned is asked for before anything is listed, and known after that.
    let asked = || async {
        let requests = story.world.registry.face.requests();
        requests.iter().any(|asked| asked.path.ends_with("/manifests/v1"))
    };
    story.until("the pinned build is asked for", asked).await;
    list.cancel();
    let listed = || async {
        let status = story.status().await;
        status.repositories.iter().any(|view| view.n_tags == Some(2))
    };
    story.until("the list is known", listed).await;
    pinned.cancel();
    let config = || async { story.world.registry.face.count(&Method::GET, "/blobs/") > 1 };
    story.until("both were read", config).await;
    story.looked_again().await;
    let explained = story.handle().explain(target("dev")).await.expect("explained");
    let chosen = explained.tags.iter().find(|tag| tag.fate == "chosen").map(|tag| tag.tag.as_str());
    assert_eq!(chosen, Some("v2"));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_take_what_was_told_has_nobody_asked_all_the_time() {
    let mut story = harbor_polled("old", "1h").await;
    let digest = story.push_image("team/shop", "v1", 1);
    let faults = &story.world.registry.face.faults;
    faults.add(Rule::every(artifacts(&[(&digest, "v1", "2026-03-01T00:00:00Z")])).path(LIST));
    let listed = CancellationToken::new();
    faults.add(Rule::once(Fault::until(Moment::Before, &listed)).path("/v2/team/shop/tags/list"));
    story.start().await;
    let lists = || story.world.registry.face.count(&Method::GET, "/tags/list");
    story.until("it is being listed", || async { lists() > 0 }).await;
    // Every second file has no place: those of what lists tell.
    let room = story.home.path().join("journal.db.lists");
    (1..1000).step_by(2).for_each(|n| std::fs::create_dir(room.join(n.to_string())).expect("created"));
    listed.cancel();
    let (n_before, begun) = (lists(), std::time::Instant::now());
    for n in 1..=2 {
        story.idle().await;
        story.wait(LEFT_ALONE);
        story.until("it is listed again", || async { lists() >= n_before + n }).await;
    }
    // Two by time that the story let pass, one that was going on, and those of time that passed.
    let n_most = n_before + 3 + usize::try_from(begun.elapsed().as_secs() / 30).expect("a short time");
    assert!(lists() <= n_most, "{} readings, {n_most} at most", lists());
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_times_that_are_lost_on_disk_are_told_again() {
    let mut story = harbor("old").await;
    story.config = format!("mode: observe\n{}", story.config);
    let [one, two, three] = [1, 2, 3].map(|n| story.push_image("team/shop", &format!("v{n}"), n));
    let pushed = [
        (two.as_str(), "v2", "2026-03-03T00:00:00Z"),
        (three.as_str(), "v3", "2026-03-02T00:00:00Z"),
        (one.as_str(), "v1", "2026-03-01T00:00:00Z"),
    ];
    story.world.registry.face.faults.add(Rule::every(artifacts(&pushed)).path(LIST));
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.looked_again().await;

    // The list stays, and says what it said.
    let lists = story.home.path().join("journal.db.lists");
    let files = std::fs::read_dir(lists).expect("a directory").map(|entry| entry.expect("an entry").path());
    let largest = files.max_by_key(|path| std::fs::metadata(path).expect("a file").len()).expect("a file");
    std::fs::remove_file(largest).expect("removed");
    story.looked_again().await;
    story.looked_again().await;
    let explained = story.handle().explain(target("dev")).await.expect("explained");
    let chosen = explained.tags.iter().find(|tag| tag.fate == "chosen").map(|tag| tag.tag.as_str());
    assert_eq!(chosen, Some("v2"));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_times_that_were_told_while_nobody_wanted_them_count_when_somebody_does() {
    let mut story = harbor("old").await;
    story.config = format!("mode: observe\n{}", story.config);
    let [one, two, three] = [1, 2, 3].map(|n| story.push_image("team/shop", &format!("v{n}"), n));
    let pushed = [
        (one.as_str(), "v1", "2026-03-03T00:00:00Z"),
        (three.as_str(), "v3", "2026-03-02T00:00:00Z"),
        (two.as_str(), "v2", "2026-03-01T00:00:00Z"),
    ];
    let faults = &story.world.registry.face.faults;
    faults.add(Rule::every(artifacts(&pushed)).path(LIST));
    let listed = CancellationToken::new();
    faults.add(Rule::once(Fault::until(Moment::Before, &listed)).path("/v2/team/shop/tags/list"));
    story.start().await;
    let asked = |path| story.world.registry.face.count(&Method::GET, path);
    story.until("it is being listed", || async { asked("/tags/list") > 0 }).await;
    let policy = story.file("policies/shop.yaml").await;
    let commit = story.commit("policies/shop.yaml", Some(&policy.replace("newest: pushed", "semver: '*'"))).await;
    let is_read = || async {
        let branches = story.status().await.branches;
        branches.iter().any(|view| view.tip.as_ref().is_some_and(|tip| commit.starts_with(tip)))
    };
    story.until("the policy asks for versions", is_read).await;
    listed.cancel();
    let chosen = async |tag: &str| {
        let explained = story.handle().explain(target("dev")).await;
        explained.is_ok_and(|it| it.tags.iter().any(|view| view.tag == tag && view.fate == "chosen"))
    };
    story.until("the highest version would come", || chosen("v3")).await;
    story.commit("policies/shop.yaml", Some(&policy)).await;
    story.until("what was pushed last would come", || chosen("v1")).await;
    assert_eq!(asked(LIST), 1, "nobody is asked again");
    story.stop().await;
}
