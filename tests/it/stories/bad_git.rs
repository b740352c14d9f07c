//! Git servers that are away, refuse, or are quicker than we: nothing is forced, nothing is lost, nothing is made twice.

use super::people::{BOB, BOTH, DEV, borrowed, chain, with_other};
use super::world::Story;
use std::os::unix::fs::PermissionsExt as _;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};

/// A world whose prod runs the first build.
async fn running() -> (Story, String) {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    (story, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_or_wants_another_token_is_said_and_waited_for() {
    let (mut story, first) = running().await;
    story.world.git.face.faults.add(Rule::every(Fault::answer(503)));
    let second = story.push("dev", 2);
    story.until_said("dev", "503").await;
    story.until_said("dev", "deploys").await;
    story.world.git.face.faults.clear();
    story.until_at("prod", &second, "verified").await;
    story.world.git.require_token(Some("another"));
    let third = story.push("dev", 3);
    story.until_said("dev", "401").await;
    assert!(!story.file(DEV).await.contains(&third));
    story.world.git.require_token(None);
    story.until_at("prod", &third, "verified").await;
    assert_eq!(story.n_commits().await, 6);
    assert_ne!(first, third);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_branch_is_said_in_the_servers_words_and_tried_again_later() {
    let (mut story, first) = running().await;
    let hook =
        install_hook(&story, "echo 'GitLab: You are not allowed to push code to protected branches' >&2\nexit 1");
    let second = story.push("dev", 2);
    story.until_said("dev", "not allowed to push code to protected branches").await;
    story.until_why("dev", "Blocked").await;
    let pushes = || story.world.git.face.count(&axum::http::Method::POST, "git-receive-pack");
    let before = pushes();
    story.looked_again().await;
    assert!(pushes() <= before + 4, "it is not tried again and again: {before} to {}", pushes());
    assert!(story.file(DEV).await.contains(&first));
    std::fs::remove_file(&hook).expect("removed");
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}

/// Has the server run this before it takes a push; what was pushed comes on standard input.
fn install_hook(story: &Story, script: &str) -> std::path::PathBuf {
    let hook = story.deploys.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
    std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    hook
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_the_server_refuses_holds_up_no_other_of_the_same_push() {
    let files = with_other();
    let mut story = Story::new(&chain(""), &borrowed(&files)).await;
    install_hook(
        &story,
        "while read old new ref; do\n  git diff --name-only $old $new | grep -q '^other/' && { echo 'other/ is closed' >&2; exit 1; }\ndone\nexit 0",
    );
    let (shop, other) = (story.push("dev", 1), story.push_image("other", "dev", 1));
    story.start().await;
    story.until_at("prod", &shop, "verified").await;
    assert!(!story.file("other/dev/kustomization.yaml").await.contains(&other));
    let said = || async {
        let view = story.view_of("other", "dev").await.expect("a view");
        view.why.iter().any(|why| why.to_string().contains("other/ is closed"))
    };
    story.until("the other says why", said).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_judged_anew_and_nothing_is_dropped() {
    let (mut story, _) = running().await;
    let deploys = story.deploys.clone();
    story.world.git.before_next_push(&story.deploys, move || {
        let deploys = deploys.clone();
        async move {
            deploys.commit("main", &[("notes.md", Some("by hand\n"))], "Notes\n", BOB).await.expect("committed");
        }
    });
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    assert_eq!(story.file("notes.md").await, "by hand\n");
    assert_eq!(story.n_commits().await, 4);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_whose_answer_is_lost_is_found_and_not_made_again() {
    let (mut story, _) = running().await;
    let lost = tagrelay::sandbox::git::Git::next_push(&story.deploys, Fault::Drop(Moment::After));
    story.world.git.face.faults.add(lost.times(3));
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    story.world.git.face.faults.clear();
    story.until_at("prod", &second, "verified").await;
    assert_eq!(story.n_commits().await, 4);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_there_or_says_two_things_is_said_with_its_file() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.commit(DEV, None).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_said("dev", "deployment/dev").await;
    story.until_said("dev", "commit the file").await;
    let kustomization = super::new_tag::KUSTOMIZATION;
    story.commit(DEV, Some("images:\n  - name: other\n    newTag: old\n")).await;
    story.until_said("dev", "missing: add").await;
    let twice = format!("{kustomization}  - name: again\n    newName: REGISTRY/shop\n    newTag: older\n");
    story.commit(DEV, Some(&twice)).await;
    story.until_said("dev", "deployment/dev/kustomization.yaml").await;
    story.commit(DEV, Some("images: [\n")).await;
    story.until_said("dev", "deployment/dev/kustomization.yaml:").await;
    assert_eq!(story.n_commits().await, 0);
    story.commit(DEV, Some(kustomization)).await;
    story.until_at("prod", &digest, "verified").await;
    story.stop().await;
}
