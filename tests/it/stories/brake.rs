//! HOLD files that are hard to read, hidden, misspelt or new: the brake fails shut.

use super::new_tag::KUSTOMIZATION;
use super::people::{BOTH, DEV, PROD, chain};
use super::world::Story;
use std::path::Path;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Rule};

/// A file.
pub(super) const FILE: u32 = 0o100_644;
/// A symbolic link.
pub(super) const LINK: u32 = 0o120_000;

/// The mode and content of an entry; none removes it.
type Entry<'a> = Option<(u32, &'a [u8])>;

/// Commits entries of any kind and content, or removes them, as git itself would.
pub(super) fn commit_raw(repository: &Path, entries: &[(&str, Entry<'_>)]) {
    let repository = git2::Repository::open(repository).expect("a repository");
    let parent = repository.refname_to_id("refs/heads/main").expect("a branch");
    let parent = repository.find_commit(parent).expect("a commit");
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, entry) in entries {
        match entry {
            Some((mode, content)) => {
                let mode = if *mode == LINK { git2::FileMode::Link } else { git2::FileMode::Blob };
                update.upsert(*path, repository.blob(content).expect("a blob"), mode);
            }
            None => drop(update.remove(*path)),
        }
    }
    let tree = update.create_updated(&repository, &parent.tree().expect("a tree")).expect("a tree");
    let tree = repository.find_tree(tree).expect("a tree");
    let who = |name: &str| git2::Signature::now(name, "x@example.com").expect("a name");
    let (author, committer) = (who("Ann"), who("Bob"));
    repository.commit(Some("refs/heads/main"), &author, &committer, "by hand", &tree, &[&parent]).expect("committed");
}

impl Story {
    /// Waits until a file holds prod, in these words.
    async fn until_held(&self, words: &str) {
        self.until_said("prod", words).await;
        self.until_why("prod", "HeldByFile").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_file_holds_whatever_it_is_and_whatever_stands_beside_it() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let wide: Vec<u8> = "\u{feff}stop é\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deploys = story.deploys.path().to_owned();
    // A file that nobody can read stands beside them all.
    commit_raw(&deploys, &[("policies/evil.yaml", Some((FILE, b"\xff\xfe")))]);
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &digest, "verified").await;
    let large = vec![b'x'; 9 << 20];
    let cases: [(&str, u32, &[u8], &str); 6] = [
        ("policies/HOLD", FILE, &wide, "held by the file HOLD beside the policies, which Bob committed: stop é"),
        (
            "policies/hold.Prod.txt",
            FILE,
            b"caf\xe9",
            "held by the file hold.Prod.txt beside the policies, which Bob committed: café",
        ),
        ("policies/HOLD.shop.prod", LINK, b"../nowhere", "symbolic link"),
        ("policies/HOLD.md", FILE, &large, "are the limit"),
        ("policies/HOLD.production", FILE, b"stop", "fits no policy and no environment"),
        ("policies/HOLD.prod", FILE, b"", "gives no reason"),
    ];
    for (path, mode, content, words) in cases {
        commit_raw(&deploys, &[(path, Some((mode, content)))]);
        story.until_held(words).await;
        let file = path.trim_start_matches("policies/");
        match words {
            "symbolic link" | "are the limit" => story.until_unwell("holds_unread", file).await,
            "fits no policy and no environment" => story.until_unwell("hold_misnamed", file).await,
            _ => {}
        }
        commit_raw(&deploys, &[(path, None)]);
        story.until("the hold is gone", || async { !story.why("prod").await.contains(&"HeldByFile".to_owned()) }).await;
    }
    // The server has lost the text of a file, and nothing else.
    commit_raw(&deploys, &[("policies/HOLD", Some((FILE, b"the fair")))]);
    let blob = git2::Oid::hash_object(git2::ObjectType::Blob, b"the fair").expect("an id").to_string();
    let object = deploys.join("objects").join(&blob[..2]).join(&blob[2..]);
    let lost = story.home.path().join("lost");
    std::fs::rename(&object, &lost).expect("taken away");
    let second = story.push("dev", 2);
    story.until_held("held by the file HOLD").await;
    story.looked_again().await;
    assert!(!story.file(DEV).await.contains(&second));
    std::fs::rename(&lost, &object).expect("brought back");
    commit_raw(&deploys, &[("policies/HOLD", None)]);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}

/// A world whose policies stand in a repository of their own, which is read once a minute.
async fn apart(prod: &str) -> (Story, tagrelay::sandbox::git::Repository) {
    let mut story = Story::new("apiVersion: [", BOTH).await;
    let policy = chain(prod).replace("REGISTRY", &story.world.registry.host());
    let policies = story.world.git.create("rules", &[("policies/shop.yaml", &policy)]).await.expect("a repository");
    story.config = story.config.replace("policies: policies/, ", "");
    let rules = format!(
        "  rules: {{ url: \"{}\", branch: main, policies: policies/, plain_http: true, may: {{ repositories: [default] }} }}\n",
        policies.url()
    );
    story.config = story.config.replace("registries:\n", &format!("{rules}registries:\n"));
    (story, policies)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_file_is_looked_for_again_right_before_each_effect() {
    for prod in ["", "promote: { from: dev, retag: prod }"] {
        let (mut story, policies) = apart("").await;
        if !prod.is_empty() {
            let policy = chain("").replace("promote: { from: dev }", prod);
            let policy = policy.replace("REGISTRY", &story.world.registry.host());
            policies
                .commit("main", &[("policies/shop.yaml", Some(&policy))], "x", super::people::BOB)
                .await
                .expect("ok");
        }
        let first = story.push("dev", 1);
        story.start().await;
        story.until_at("prod", &first, "verified").await;
        // Nobody reads this branch for a minute, and the effects come at once.
        commit_raw(policies.path(), &[("policies/HOLD.prod", Some((FILE, b"the fair")))]);
        let second = story.push("dev", 2);
        story.until_at("dev", &second, "verified").await;
        story.until_held("the fair").await;
        assert!(story.file(PROD).await.contains(&first));
        assert_ne!(story.world.registry.digest_of("shop", "prod").unwrap_or_default(), second);
        commit_raw(policies.path(), &[("policies/HOLD.prod", None)]);
        story.handle().reload();
        story.until_at("prod", &second, "verified").await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_with_policies_that_cannot_be_read_for_long_lets_nothing_new_begin() {
    let (mut story, policies) = apart("").await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let path = policies.url().rsplit_once('/').expect("a path").1.to_owned();
    story.world.git.face.faults.add(Rule::every(Fault::answer(503)).path(&format!("/{path}")));
    let unread = || async {
        let status = story.status().await;
        status.broken.iter().any(|it| it.contains("the policies of rules could not be read"))
    };
    story.handle().reload();
    story.until("it cannot be read", unread).await;
    story.wait(Duration::from_secs(121));
    // A reload has the branch read at once.
    let held = || async {
        story.handle().reload();
        story.why("prod").await.contains(&"HoldsUnread".to_owned())
    };
    story.until("nothing new begins", held).await;
    story.until_unwell("holds_unread", "beside the policies of rules").await;
    let second = story.push("dev", 2);
    story.looked_again().await;
    assert!(story.file(DEV).await.contains(&first));
    // A person may still force it.
    story.force("dev", Some(&second)).await.expect("ordered");
    story.until_at("dev", &second, "verified").await;
    story.world.git.face.faults.clear();
    story.handle().reload();
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_files_hold_in_a_local_directory_too_and_in_no_others_name() {
    let mut story =
        Story::new("apiVersion: [", &[(DEV, KUSTOMIZATION), (PROD, KUSTOMIZATION), ("policies/HOLD", "x")]).await;
    let local = story.home.path().join("policies");
    std::fs::create_dir(&local).expect("made");
    let policy = chain("").replace("REGISTRY", &story.world.registry.host());
    std::fs::write(local.join("shop.yaml"), policy).expect("written");
    std::fs::write(local.join("evil.yaml"), b"\xff\xfe").expect("written");
    story.config += &format!("policies: {}\n", local.display());
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    std::os::unix::fs::symlink("/nowhere", local.join("hold")).expect("linked");
    let second = story.push("dev", 2);
    story.until_said("prod", "its text cannot be read").await;
    story.looked_again().await;
    assert!(story.file(DEV).await.contains(&first));
    std::fs::remove_file(local.join("hold")).expect("removed");
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}
