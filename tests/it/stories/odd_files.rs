//! Files that nobody can read: each stops the environments that need it, and nothing else on its branch.

use super::brake::{FILE, LINK, commit_raw};
use super::people::{DEV, borrowed, chain, with_other};
use super::world::Story;
use std::path::Path;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_file_stops_the_environment_that_needs_it_alone() {
    let files = with_other();
    let mut story = Story::new(&chain(""), &borrowed(&files)).await;
    let deploys = story.deploys.path().to_owned();
    let shop = story.push("dev", 1);
    story.push_image("other", "dev", 1);
    story.start().await;
    story.until_at("prod", &shop, "verified").await;
    let good = story.file(DEV).await;
    let large = vec![b'x'; (8 << 20) + 1];
    let below = format!("{DEV}/file");
    let odd: [(&str, u32, &[u8], &str); 5] = [
        (DEV, LINK, b"../prod/kustomization.yaml", "is a symbolic link"),
        (DEV, FILE, b"caf\xe9", "is not UTF-8"),
        (DEV, FILE, &large, "are the limit"),
        (DEV, FILE, b"images: [\n", "deployment/dev/kustomization.yaml"),
        (&below, FILE, b"x", "is a directory"),
    ];
    for (n, (path, mode, content, words)) in (2..).zip(odd) {
        commit_raw(&deploys, &[(DEV, None)]);
        commit_raw(&deploys, &[(path, Some((mode, content)))]);
        story.until_said("dev", words).await;
        let other = story.push_image("other", "dev", n);
        story.until_written("other/prod/kustomization.yaml", &other).await;
        commit_raw(&deploys, &[(path, None)]);
        commit_raw(&deploys, &[(DEV, Some((FILE, good.as_bytes())))]);
        let is_read = || async { story.view("dev").await.is_some_and(|view| view.pin.is_some()) };
        story.until("its pin is read again", is_read).await;
    }
    let status = story.status().await;
    assert!(status.branches.iter().all(|branch| branch.error.is_none()), "{status:#?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_policy_file_stops_itself_alone_under_its_last_good_text() {
    let files = with_other();
    let mut story = Story::new(&chain(""), &borrowed(&files)).await;
    let deploys = story.deploys.path().to_owned();
    story.start().await;
    story.until_why("dev", "SetIncomplete").await;
    let large = vec![b'#'; (1 << 20) + 1];
    let odd: [(u32, &[u8], &str); 3] =
        [(LINK, b"other.yaml", "is a symbolic link"), (FILE, b"caf\xe9", "UTF-8"), (FILE, &large, "are the limit")];
    for (n, (mode, content, words)) in (1..).zip(odd) {
        commit_raw(&deploys, &[("policies/shop.yaml", Some((mode, content)))]);
        story.until_said("dev", words).await;
        story.until_why("dev", "PolicyBroken").await;
        story.push("dev", n);
        let other = story.push_image("other", "dev", n);
        story.until_written("other/prod/kustomization.yaml", &other).await;
        assert!(!story.file(DEV).await.contains("sha256:"), "{words}");
    }
    // A link in the place of their directory is no directory without policies: all of them stay, and hold.
    link_in_the_place_of(&deploys, "policies");
    story.until_unwell("policies_unread", "`policies` is a symbolic link").await;
    story.until_said("dev", "`policies` is a symbolic link").await;
    assert_eq!(story.status().await.policies.len(), 2);
    story.stop().await;
}

/// Commits a symbolic link in the place of a directory at the root.
fn link_in_the_place_of(repository: &Path, directory: &str) {
    let repository = git2::Repository::open(repository).expect("a repository");
    let parent = repository.refname_to_id("refs/heads/main").expect("a branch");
    let parent = repository.find_commit(parent).expect("a commit");
    let mut root = repository.treebuilder(Some(&parent.tree().expect("a tree"))).expect("a builder");
    root.insert(directory, repository.blob(b"elsewhere").expect("a blob"), 0o120_000).expect("inserted");
    let tree = repository.find_tree(root.write().expect("written")).expect("a tree");
    let who = git2::Signature::now("Ann", "x@example.com").expect("a name");
    repository.commit(Some("refs/heads/main"), &who, &who, "by hand", &tree, &[&parent]).expect("committed");
}
