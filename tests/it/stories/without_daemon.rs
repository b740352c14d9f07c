//! A person without a running daemon: `plan` looks by itself, `once` does one round of work.

use super::brake::{LINK, commit_raw};
use super::new_tag::{KUSTOMIZATION, POLICY};
use super::people::{BOTH, DEV, chain};
use super::world::Story;
use crate::cli::{Said, said, tagrelay};
use tagrelay::sandbox::fault::{Fault, Rule};

const FILE: &str = "deployment/dev/kustomization.yaml";

/// What the binary says, with the story's configuration and no daemon anywhere.
pub(super) async fn says(story: &Story, arguments: &[&str]) -> Said {
    let file = story.home.path().join("tagrelay.yaml");
    std::fs::write(&file, &story.config).expect("written");
    let mut command = tagrelay(story.home.path(), arguments);
    command.env("TAGRELAY_CONFIG", &file).env("TAGRELAY_SERVER", "http://127.0.0.1:1/");
    tokio::task::spawn_blocking(move || said(&mut command, "")).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_made_without_a_daemon_and_changes_nothing() {
    let story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let digest = story.push("dev", 1);
    let plan = says(&story, &["plan"]).await;
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
    assert!(plan.out.contains(&format!("+    digest: {digest}")), "{}", plan.out);
    assert!(plan.err.contains("no daemon answers"), "{}", plan.err);
    assert!(!story.file(FILE).await.contains(&digest));
    assert!(!story.home.path().join("journal.db").exists(), "it leaves no journal behind");
    assert_eq!(story.n_commits().await, 0);
    let none = says(&story, &["plan", "ship"]).await;
    assert_eq!(none.code, Some(3), "{}{}", none.out, none.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_serves_the_policies_that_it_is_told() {
    let story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let digest = story.push("dev", 1);
    let none = says(&story, &["once", "ship"]).await;
    assert_eq!(none.code, Some(3), "{}", none.err);
    assert!(none.err.contains("there is no policy `ship`"), "{}", none.err);
    assert!(!story.file(FILE).await.contains(&digest), "the other policies are left alone");
    let done = says(&story, &["once", "shop"]).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(story.file(FILE).await.contains(&digest));
    // What is planned now rests on what the journal says.
    let plan = says(&story, &["plan", "shop"]).await;
    assert!(plan.out.contains("would    do nothing") && plan.out.contains("progressing"), "{}", plan.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_fails_where_a_build_could_not_be_read_for_a_moment() {
    let story = Story::new(&POLICY.replace("follow: dev", "semver: '1.x'"), &[(FILE, KUSTOMIZATION)]).await;
    story.push("1.0.0", 1);
    story.world.registry.face.faults.add(Rule::every(Fault::CutBody).path("/v2/shop/blobs/"));
    let cut = says(&story, &["once"]).await;
    assert_eq!(cut.code, Some(1), "{}{}", cut.out, cut.err);
    assert!(cut.err.contains("error: http://") && cut.err.contains("/v2/shop/blobs/"), "{}", cut.err);
    story.world.registry.face.faults.clear();
    assert_eq!(says(&story, &["once"]).await.code, Some(0));
    assert!(story.file(FILE).await.contains("1.0.0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_and_plan_end_and_say_what_could_not_be_read_or_told() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.push("dev", 1);
    let sound = story.config.clone();
    let odd = [
        (sound.replace("branch: main", "branch: trunk"), "has no branch trunk"),
        (sound.replace("/deploys", "/nowhere"), "the policies of default could not be read"),
        (format!("{sound}policies: {}\n", story.home.path().join("nowhere").display()), "nowhere"),
    ];
    for (config, words) in odd {
        story.config = config;
        for command in ["once", "plan"] {
            let ended = says(&story, &[command]).await;
            assert!(ended.err.contains(words), "{command}: {}", ended.err);
            let told = ended.err.lines().filter(|line| line.starts_with("error:") && line.contains(words)).count();
            assert_eq!(told, 1, "{command}: {}", ended.err);
            assert_ne!(ended.code, Some(0), "{command}");
        }
    }
    story.config = sound;
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    let untold = says(&story, &["once"]).await;
    assert_eq!(untold.code, Some(1), "{}", untold.err);
    assert!(
        untold.err.contains("reports for group/deploys are not told yet") && untold.err.contains("503"),
        "{}",
        untold.err
    );
    story.world.gitlab.face.faults.clear();
    assert_eq!(says(&story, &["once"]).await.code, Some(0));
    commit_raw(story.deploys.path(), &[(DEV, Some((LINK, b"../prod/kustomization.yaml")))]);
    let unread = says(&story, &["once"]).await;
    assert_eq!(unread.code, Some(1), "{}", unread.err);
    assert!(unread.err.contains("is a symbolic link"), "{}", unread.err);
}
