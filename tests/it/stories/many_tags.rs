//! A repository with more builds than anybody looks at: those behind the best leave their times on disk, and come back.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::{Story, target};
use axum::http::Method;
use std::path::PathBuf;
use tagrelay::sandbox::registry::ImageSpec;

/// Enough that some are put away, whichever are read first.
const TAGS: u32 = 300;

/// A daemon that observes a repository with that many tags, each built a minute after the one before, and has read it.
async fn many(policy: &str) -> Story {
    let kustomization = KUSTOMIZATION.replace("newTag: old", "newTag: v1");
    let mut story = Story::new(policy, &[("deployment/dev/kustomization.yaml", &kustomization)]).await;
    // Whoever acts looks once more at what it is about to write.
    story.config = format!("mode: observe\n{}", story.config);
    (1..=TAGS).for_each(|n| push(&story, n));
    story.start().await;
    is_best(&story, TAGS).await;
    story
}

fn push(story: &Story, n: u32) {
    let image = ImageSpec::new(&format!("build {n}"), &format!("2026-01-01T{:02}:{:02}:00Z", n / 60, n % 60));
    story.world.registry.push_image("shop", &format!("v{n}"), &image).expect("pushed");
}

async fn is_best(story: &Story, n: u32) {
    let what = format!("v{n} would come");
    let chosen = || async {
        let explained = story.handle().explain(target("dev")).await;
        explained.is_ok_and(|it| it.tags.iter().any(|tag| tag.tag == format!("v{n}") && tag.fate == "chosen"))
    };
    story.until(&what, chosen).await;
}

/// What was asked of single tags and digests: digests alone, manifests, configs.
fn asked(story: &Story) -> (usize, usize, usize) {
    let count = |method: Method, path: &str| story.world.registry.face.count(&method, path);
    (count(Method::HEAD, "/manifests/"), count(Method::GET, "/manifests/"), count(Method::GET, "/blobs/"))
}

/// What lies on disk, the largest last.
fn on_disk(story: &Story) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(story.home.path().join("journal.db.lists")).expect("a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort_by_key(|path| std::fs::metadata(path).expect("a file").len());
    files
}

fn remove(story: &Story, tags: impl Iterator<Item = u32>) {
    for n in tags {
        assert!(story.world.registry.remove("shop", &format!("v{n}")), "v{n} was there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_the_best_lies_on_disk_and_is_not_asked_for_again() {
    let mut story = many(&POLICY.replace("follow: dev", "newest: created")).await;
    let n = usize::try_from(TAGS).expect("small");
    assert_eq!(asked(&story), (0, n, n));
    let lie_there = || async { on_disk(&story).len() == 2 };
    story.until("the list lies on disk, and the times of what was put away", lie_there).await;
    let files = on_disk(&story);
    let away = std::fs::read_to_string(&files[1]).expect("text").lines().count();
    assert!((45..n).contains(&away), "{away}");

    // The best ones go, and what comes then was put away long ago.
    story.world.registry.face.forget();
    remove(&story, 121..=TAGS);
    is_best(&story, 120).await;
    story.looked_again().await;
    assert_eq!(asked(&story), (0, 0, 0));

    // What lies there is lost: the journal remembers it, and the best alone is asked for its digest.
    on_disk(&story).iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
    remove(&story, 30..=120);
    is_best(&story, 29).await;
    story.looked_again().await;
    assert_eq!(asked(&story), (1, 0, 0));
    push(&story, 200);
    is_best(&story, 200).await;
    story.stop().await;
}
