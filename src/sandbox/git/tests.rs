//! The git server seen by the machine's own git.

use super::plumbing::command;
use super::*;
use std::path::Path;
use std::process::Output;

const ALICE: &str = "Alice <alice@example.org>";

async fn server() -> Git {
    Git::start(Effects::default()).await.expect("a git server")
}

/// Runs git as its user would, with a name to commit under.
async fn git(folder: &Path, arguments: &[&str]) -> Output {
    let name = ["-c", "user.name=Bot", "-c", "user.email=bot@example.org"];
    command(folder).args(name).args(arguments).output().await.expect("git runs")
}

async fn cloned(url: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let said = git(folder.path(), &["clone", "--quiet", url, "."]).await;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    folder
}

async fn pushes(folder: &Path, path: &str, text: &str) -> bool {
    std::fs::write(folder.join(path), text).expect("written");
    assert!(git(folder, &["add", "."]).await.status.success());
    assert!(git(folder, &["commit", "--quiet", "--allow-empty", "-m", "Push"]).await.status.success());
    git(folder, &["push", "--quiet", "origin", "HEAD:main"]).await.status.success()
}

#[tokio::test]
async fn people_commit_read_revert_reset_and_merge() {
    let server = server().await;
    let repository =
        server.create("platform/gitops", &[("apps/shop.yaml", "tag: 1\n"), ("README", "hi\n")]).await.expect("made");
    let first = repository.tip("main").await.expect("git").expect("a tip");
    let second = repository
        .commit(
            "main",
            &[("apps/shop.yaml", Some("tag: 2\n")), ("README", None)],
            "Move\n\nTagrelay-Policy: shop\n",
            ALICE,
        )
        .await
        .expect("committed");
    let read = |revision: String, path: &'static str| {
        let repository = repository.clone();
        async move { repository.read(&revision, path).await.expect("read") }
    };
    assert_eq!(read("main".into(), "apps/shop.yaml").await.as_deref(), Some("tag: 2\n"));
    assert_eq!(read("main".into(), "README").await, None);
    let log = repository.log("main").await.expect("a log");
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].parents, std::slice::from_ref(&first));
    assert_eq!((log[0].author.as_str(), log[0].message.as_str()), (ALICE, "Move\n\nTagrelay-Policy: shop\n"));

    repository.revert("main", &second, ALICE).await.expect("reverted");
    assert_eq!(read("main".into(), "README").await.as_deref(), Some("hi\n"));
    assert!(
        repository.log("main").await.expect("a log")[0].message.starts_with("Revert \"Move\"\n\nThis reverts commit")
    );

    repository.reset("topic", &second).await.expect("branched");
    repository.commit("topic", &[("new", Some("x"))], "Add", ALICE).await.expect("committed");
    repository.merge("topic", "main", "Merge", ALICE).await.expect("merged");
    assert_eq!(repository.log("main").await.expect("a log")[0].parents.len(), 2);
    assert_eq!(read("main".into(), "new").await.as_deref(), Some("x"));
    repository.reset("main", &first).await.expect("reset");
    assert_eq!(repository.resolve(&first[..8]).await.expect("git"), Some(first));
    assert_eq!(repository.resolve("nothing").await.expect("git"), None);
}

#[tokio::test]
async fn real_git_clones_and_pushes() {
    let server = server().await;
    let repository = server.create("platform/gitops", &[("a", "1\n")]).await.expect("made");
    server.require_token(Some("glpat-1"));
    let refused = git(server.root.path(), &["ls-remote", repository.url()]).await;
    assert!(!refused.status.success());
    let url = repository.url().replace("http://", "http://oauth2:glpat-1@");
    let folder = cloned(&url).await;
    let mut moves = repository.moves();
    assert!(pushes(folder.path(), "a", &"2\n".repeat(2000)).await);
    assert!(moves.has_changed().expect("alive"));
    moves.mark_unchanged();
    assert_eq!(repository.log("main").await.expect("a log")[0].author, "Bot <bot@example.org>");

    let bare = TempDir::new().expect("a folder");
    let filtered =
        git(bare.path(), &["clone", "--quiet", "--bare", "--filter=blob:none", "--depth=1", &url, "."]).await;
    assert!(filtered.status.success(), "{}", String::from_utf8_lossy(&filtered.stderr));
    let missing = git(bare.path(), &["rev-list", "--objects", "--missing=print", "HEAD"]).await;
    assert!(String::from_utf8_lossy(&missing.stdout).contains('?'), "blobs were left out");
}

#[tokio::test]
async fn compressed_requests_are_understood() {
    let server = server().await;
    let repository = server.create("many", &[("a", "1\n")]).await.expect("made");
    let first = repository.tip("main").await.expect("git").expect("a tip");
    let folder = cloned(repository.url()).await;
    for number in 0..40 {
        let said = git(folder.path(), &["commit", "--quiet", "--allow-empty", "-m", &number.to_string()]).await;
        assert!(said.status.success());
        let branch = format!("b{number}");
        assert!(git(folder.path(), &["branch", &branch]).await.status.success());
    }
    assert!(git(folder.path(), &["push", "--quiet", "--all"]).await.status.success());
    repository.reset("main", &first).await.expect("reset");
    // Forty wants make a request of more than 1 KiB, which git compresses.
    drop(cloned(repository.url()).await);
    let compressed = |asked: &crate::sandbox::face::Asked| {
        wire::header(&asked.headers, "content-encoding") == Some("gzip") && asked.status == Some(200)
    };
    assert!(server.face.requests().iter().any(compressed));
}

#[tokio::test]
async fn a_large_push_is_one_effect() {
    let effects = Effects::default();
    let server = Git::start(effects.clone()).await.expect("a git server");
    let repository = server.create("big", &[("a", "1\n")]).await.expect("made");
    let folder = cloned(repository.url()).await;
    // Past http.postBuffer (1 MiB) git asks first with a flush packet, then sends in chunks.
    let noise: String = (0_u64..300_000).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    assert!(pushes(folder.path(), "noise", &noise).await);
    assert_eq!(effects.count(), 1);
}

#[tokio::test]
async fn pushes_fail_on_purpose() {
    let server = server().await;
    let repository = server.create("gitops", &[("a", "1\n")]).await.expect("made");
    let folder = cloned(repository.url()).await;

    server.face.faults.add(Git::next_push(&repository, Fault::answer(503)));
    assert!(!pushes(folder.path(), "a", "2\n").await);
    server.face.faults.add(Git::next_push(&repository, Fault::Drop(Moment::Before)).times(9));
    assert!(!pushes(folder.path(), "a", "3\n").await);
    assert_eq!(repository.log("main").await.expect("a log").len(), 1);
    server.face.faults.clear();
    server.face.faults.add(Git::next_push(&repository, Fault::Drop(Moment::After)).times(9));
    assert!(!pushes(folder.path(), "a", "4\n").await);
    assert_eq!(repository.read("main", "a").await.expect("read").as_deref(), Some("4\n"), "it was applied");

    server.face.faults.clear();
    let theirs = repository.clone();
    server.before_next_push(&repository, move || {
        let theirs = theirs.clone();
        async move { drop(theirs.commit("main", &[("b", Some("theirs"))], "First", ALICE).await.expect("committed")) }
    });
    assert!(!pushes(folder.path(), "a", "5\n").await, "the race is lost");
    assert_eq!(repository.log("main").await.expect("a log")[0].author, ALICE);
}
