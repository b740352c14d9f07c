//! Too much at once asks first; `mode: observe` changes nothing; a clock that cannot be trusted opens no gate.

use super::people::{BOTH, DEV, PROD, borrowed, chain};
use super::world::Story;
use std::time::Duration;
use tagrelay::daemon::{Command, Signal, Target};
use tagrelay::model::event::Verdict;
use tagrelay::model::{EnvironmentName, PolicyName, Scope};
use tagrelay::sandbox::fault::{Fault, Rule};

/// Services of one repository of images, each with a policy of its own whose prod follows the tag of its name; these lines
/// stand in each prod.
fn services(names: &[&str], lines: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for name in names {
        let policy = format!(
            "apiVersion: tagrelay/v1\nname: {name}\nimages: [REGISTRY/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n  \
             - {{ name: prod, select: {{ follow: {name} }}, write: [{{ kustomize: deployment/{name} }}], {lines} }}\n"
        );
        files.push((format!("policies/{name}.yaml"), policy));
        files.push((file_of(name), super::new_tag::KUSTOMIZATION.to_owned()));
    }
    files
}

/// Where the pin of a service stands.
fn file_of(name: &str) -> String {
    format!("deployment/{name}/kustomization.yaml")
}

/// The first of them is called `shop`.
async fn story_of(names: &[&str], lines: &str, limits: &str) -> Story {
    let mut files = services(names, lines);
    let (_, shop) = files.remove(0);
    Story::with(&shop, &borrowed(&files), &format!("limits: {limits}\n")).await
}

/// Waits until a build is what came last to a service's prod, and is in this state.
async fn until_at(story: &Story, name: &str, digest: &str, state: &str) {
    let is = || async {
        let current = story.view_of(name, "prod").await.and_then(|view| view.current);
        let of =
            |release: &tagrelay::daemon::view::ReleaseView| release.digests.iter().any(|(_, it)| it.as_str() == digest);
        current.is_some_and(|current| current.state == state && current.release.as_ref().is_some_and(of))
    };
    story.until(&format!("{digest} is {state} in {name}"), is).await;
}

async fn until_why(story: &Story, name: &str, code: &str) {
    let is = || async {
        story.view_of(name, "prod").await.is_some_and(|view| view.why.iter().any(|why| why.code() == code))
    };
    story.until(&format!("{name} says {code}"), is).await;
}

/// A build of a service comes, and fails.
async fn fails(story: &Story, name: &str, n: u32) {
    let digest = story.push(name, n);
    until_at(story, name, &digest, "progressing").await;
    post(story, name, Verdict::Failed).await;
    until_at(story, name, &digest, "failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_all_takes_the_places_that_rollouts_take() {
    let mut story = story_of(&["shop", "cart"], "rollout: { webhook: {} }", "{ rollouts: { prod: 1 } }").await;
    story.start().await;
    fails(&story, "shop", 1).await;
    fails(&story, "cart", 2).await;
    let state = |name: &'static str| {
        let view = story.view_of(name, "prod");
        async { view.await.and_then(|view| view.current).map(|current| current.state) }
    };
    let verify = Command::VerifyAll { scope: Scope::default() };
    let said = story.command("alice", verify).await.expect("judged");
    assert!(said.contains("2 environments are judged, at most 1 of one name at once"), "{said}");
    let first = if state("cart").await == Some("progressing") { "cart" } else { "shop" };
    let second = if first == "cart" { "shop" } else { "cart" };
    assert_eq!((state(first).await, state(second).await), (Some("progressing"), Some("failed")));
    post(&story, first, Verdict::Healthy).await;
    story.until("the second has its turn", || async { state(second).await == Some("progressing") }).await;
    post(&story, second, Verdict::Healthy).await;
    story.until("the second is verified", || async { state(second).await == Some("verified") }).await;
    story.stop().await;
}

async fn post(story: &Story, name: &str, verdict: Verdict) {
    let current = story.view_of(name, "prod").await.and_then(|view| view.current).expect("a rollout");
    let target = Target {
        policy: PolicyName::parse(name).expect("a name"),
        environment: EnvironmentName::parse("prod").expect("a name"),
    };
    let (evidence, who) = ("seen by the story".to_owned(), "story".to_owned());
    let rollout = current.rollout;
    let signal = Signal { target, rollout, check: None, digests: None, verdict, evidence, url: None, who };
    story.handle().signal(signal).await.expect("kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flapping_team_does_not_hold_prod_for_all() {
    let names = ["shop", "cart", "mail"];
    let mut story = story_of(&names, "rollout: { webhook: {} }", "{ failures: { prod: 2 } }").await;
    story.start().await;
    for n in 1..=3 {
        fails(&story, "shop", n).await;
    }
    // The second team that fails is one too many, and a person says when it goes on.
    fails(&story, "cart", 4).await;
    let mail = story.push("mail", 5);
    until_why(&story, "mail", "ManyFailed").await;
    story.until_unwell("many_failed", "2 policies failed in prod within an hour: cart, shop").await;
    story.looked_again().await;
    assert!(!story.file(&file_of("mail")).await.contains(&mail));
    story.resume("*/prod").await;
    until_at(&story, "mail", &mail, "progressing").await;
    fails(&story, "shop", 6).await;
    fails(&story, "mail", 7).await;
    until_why(&story, "cart", "ManyFailed").await;
    let cart = story.push("cart", 8);
    story.wait(Duration::from_secs(3600));
    until_at(&story, "cart", &cart, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_cannot_be_read_gives_its_place_to_those_who_wait() {
    // Nothing may ask there, so nobody ever learns how the rollout went.
    let check = "verify: [{ name: smoke, http: { url: 'http://169.254.169.254/' } }]";
    let mut story = story_of(&["shop", "cart", "mail"], check, "{ rollouts: { '*': 1 } }").await;
    let shop = story.push("shop", 1);
    story.start().await;
    until_at(&story, "shop", &shop, "progressing").await;
    until_why(&story, "shop", "Blocked").await;
    let mail = story.push("mail", 2);
    until_why(&story, "mail", "TooManyRollouts").await;
    let cart = story.push("cart", 3);
    until_why(&story, "cart", "TooManyRollouts").await;
    story.wait(Duration::from_secs(601));
    until_at(&story, "mail", &mail, "progressing").await;
    until_why(&story, "cart", "TooManyRollouts").await;
    story.wait(Duration::from_secs(601));
    until_at(&story, "cart", &cart, "progressing").await;
    story.stop().await;
}

/// A merge: each service is built anew.
fn push_all(story: &Story, names: &[&str], n: u32) -> Vec<String> {
    names.iter().map(|name| story.push(name, n)).collect()
}

/// Whether each service's pin names its digest.
async fn all_hold(story: &Story, names: &[&str], digests: &[String]) -> bool {
    for (name, digest) in names.iter().zip(digests) {
        if !story.file(&file_of(name)).await.contains(digest) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_of_one_repository_ask_nobody_at_each_merge() {
    let names: Vec<String> = (1..25).map(|n| format!("s{n}")).collect();
    let names: Vec<&str> = std::iter::once("shop").chain(names.iter().map(String::as_str)).collect();
    let mut story = story_of(&names, "keep: 0", "{ changes: 3, rollouts: { prod: 4 } }").await;
    let first = push_all(&story, &names, 1);
    story.start().await;
    // They are all met for the first time, so a person is asked.
    let waits = || async {
        let status = story.status().await;
        let mut views = status.policies.into_iter().flat_map(|policy| policy.environments);
        views.any(|view| view.why.iter().any(|why| why.code() == "TooManyChanges"))
    };
    story.until("a person is asked", &waits).await;
    let met = || async {
        if waits().await {
            story.resume("*").await;
        }
        all_hold(&story, &names, &first).await
    };
    story.until("all run the first build", met).await;
    story.looked_again().await;
    for n in [2, 3] {
        let digests = push_all(&story, &names, n);
        let what = format!("all run build {n}, and nobody was asked");
        story.until(&what, || all_hold(&story, &names, &digests)).await;
        story.looked_again().await;
    }
    story.stop().await;
}

/// A policy of four environments that follow one tag.
fn four() -> (String, Vec<(String, String)>) {
    let mut policy =
        "apiVersion: tagrelay/v1\nname: shop\nimages: [REGISTRY/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n"
            .to_owned();
    let mut files = Vec::new();
    for n in 1..=4 {
        policy.push_str(&format!(
            "  - {{ name: e{n}, select: {{ follow: dev }}, write: [{{ kustomize: deployment/e{n} }}] }}\n"
        ));
        let path = format!("deployment/e{n}/kustomization.yaml");
        files.push((path, super::new_tag::KUSTOMIZATION.to_owned()));
    }
    (policy, files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_allowed_wait_for_a_person_unless_a_new_build_brings_them() {
    let (policy, files) = four();
    let mut story = Story::with(&policy, &borrowed(&files), "limits: { changes: 3 }\n").await;
    let first = story.push("dev", 1);
    story.start().await;
    let waits = || async {
        let mut waiting = Vec::new();
        for environment in ["e1", "e2", "e3", "e4"] {
            if story.why(environment).await.contains(&"TooManyChanges".to_owned()) {
                waiting.push(environment);
            }
        }
        waiting
    };
    story.until("three changed, one asks", || async { story.n_commits().await == 3 && waits().await.len() == 1 }).await;
    story.resume("*").await;
    for environment in ["e1", "e2", "e3", "e4"] {
        story.until_at(environment, &first, "verified").await;
    }
    // A build that comes while everything rests is what they are for.
    story.looked_again().await;
    let second = story.push("dev", 2);
    for environment in ["e1", "e2", "e3", "e4"] {
        story.until_at(environment, &second, "verified").await;
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_changes_nothing_anywhere_and_says_what_it_would_do() {
    let mut story =
        Story::new(&chain("promote: { from: dev, retag: prod }").replace("    promote: { from: dev }\n", ""), BOTH)
            .await;
    story.config = format!("mode: observe\n{}", story.config);
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.until_said("dev", "would write dev").await;
    let pinned = story.file(DEV).await.replace("newTag: old", &format!("digest: {first}\n    newTag: dev"));
    story.commit(DEV, Some(&pinned)).await;
    story.until_at("dev", &first, "adopted").await;
    let second = story.push("dev", 2);
    story.until_why("dev", "Observing").await;
    story.push("dev", 1);
    story.looked_again().await;
    assert!(!story.file(DEV).await.contains(&second));
    assert!(story.view("dev").await.expect("dev").holds.is_empty());
    let pinned = story.file(DEV).await.replace(&first, &second);
    story.commit(DEV, Some(&pinned)).await;
    story.until_at("dev", &second, "adopted").await;
    story.until_said("dev", "would hold it: tag dev was moved back").await;
    let seen = story.world.effects.seen();
    assert!(seen.is_empty(), "{seen:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_sends_no_report_that_act_left_behind() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
    story.world.gitlab.face.faults.clear();
    story.wait(std::time::Duration::from_secs(3600));
    story.config = format!("mode: observe\n{}", story.config);
    let before = story.world.effects.count();
    story.start().await;
    story.looked_again().await;
    assert_eq!(story.world.effects.count(), before);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_disagrees_with_most_servers_opens_no_gate() {
    // GitLab is heard once dev is reported: the registry, the git server and GitLab are three.
    let reported = "evidence: none\n    report: [{ gitlab: { project: group/shop, sha: revision } }]";
    let mut story = Story::new(&chain("").replace("evidence: none", reported), BOTH).await;
    let late = || Fault::header("date", Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    story.world.registry.face.faults.add(Rule::every(late()));
    story.world.git.face.faults.add(Rule::every(late()));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "ClockDoubtful").await;
    story.until_unwell("clock_doubtful", "").await;
    story.looked_again().await;
    assert!(story.file(DEV).await.contains(&first), "dev asks no gate");
    assert!(!story.file(PROD).await.contains(&first));
    // One server with a wrong clock closes nothing.
    story.world.git.face.faults.clear();
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
}
