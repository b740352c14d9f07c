//! What we rely on of git servers, and what the mirror promises on top of it: by path, on the sandbox, and on the web
//! server that `TAGRELAY_REAL_GIT` names (`http://host/`), where `TAGRELAY_REAL_GIT_ROOT` is the directory it serves.

use super::git_world::{Deed, Repository, TOKEN, World, author, ours};
use super::real;
use jiff::Timestamp;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use tagrelay::clients::git::{GitError, History, Mirror, NewCommit, Pushed};
use tagrelay::model::{CommitId, EnvironmentName, OurCommit, PolicyName};
use tagrelay::sandbox::fault::{Fault, Rule};

const AT: Timestamp = Timestamp::constant(1_800_000_000, 0);
const PIN: &str = "prod/kustomization.yaml";

/// Every remote that there is to test on.
async fn worlds(test: &str) -> Vec<World> {
    let mut worlds = vec![World::path(), World::sandbox().await];
    if let (Some(url), Some(root)) = (real(test, "TAGRELAY_REAL_GIT"), real(test, "TAGRELAY_REAL_GIT_ROOT")) {
        worlds.push(World::real(url, root));
    }
    worlds
}

/// The trailers of a commit of ours, after a subject.
fn message(sequence: u32, policy: &str, environment: &str) -> String {
    format!(
        "Deploy\n\nTagrelay-Journal: j1/{sequence}\nTagrelay-Policy: {policy}\nTagrelay-Environment: {environment}\n"
    )
}

async fn tip(mirror: &Mirror) -> CommitId {
    let tip = mirror.tip("main").await.expect("asked").expect("a branch");
    mirror.fetch("main", &tip).await.expect("fetched");
    tip
}

async fn read(mirror: &Mirror, at: &CommitId, path: &str) -> Option<String> {
    let read = mirror.read(at, &[path.to_owned()]).await.expect("read").remove(path);
    read.map(|content| content.expect("a text"))
}

/// The paths of what stands in a directory.
async fn list(mirror: &Mirror, at: &CommitId, directory: &str) -> Vec<String> {
    let listed = mirror.list(at, directory, |_| true).await.expect("listed");
    listed.into_iter().map(|listed| listed.path).collect()
}

async fn push(mirror: &Mirror, base: &CommitId, commits: Vec<NewCommit>) -> Result<Pushed, GitError> {
    mirror.push("main", base, commits, &author(), AT).await
}

/// The sequence that a search finds, `none` or `limit`; and which commit touched last.
async fn search(mirror: &Mirror, tip: &CommitId, stop_at: Option<&CommitId>) -> (String, History) {
    let (policy, environment) =
        (PolicyName::parse("shop").expect("a name"), EnvironmentName::parse("prod").expect("a name"));
    let found = mirror.search(tip, &[PIN.to_owned()], &policy, &environment, stop_at).await.expect("searched");
    let told = match &found.ours {
        OurCommit::Found(trailers) => trailers.sequence.to_string(),
        OurCommit::None => "none".to_owned(),
        OurCommit::LimitReached => "limit".to_owned(),
    };
    (told, found)
}

fn told(result: Result<Pushed, GitError>) -> String {
    match result {
        Ok(Pushed::Done(commits)) => format!("done {}", commits.len()),
        Ok(Pushed::Raced(_)) => "raced".to_owned(),
        Ok(Pushed::Locked(reason)) => reason,
        Err(error) => error.to_string(),
    }
}

async fn begun(world: &World) -> (Repository, CommitId) {
    let repository = world.repository().await;
    let base =
        repository.write("main", &[], &[(PIN, "tag: v1\n"), ("dev/values.yaml", "a: 1\n"), ("README", "x")], "Begin");
    (repository, base)
}

#[tokio::test]
async fn fetched_read_pushed_and_read_again() {
    for world in worlds("git: fetched_read_pushed_and_read_again").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        assert_eq!(tip(&mirror).await, base, "{}", world.name);
        let wanted = [PIN, "dev/values.yaml", "missing.yaml", "README/x", "dev/missing/x"].map(str::to_owned);
        let files = mirror.read(&base, &wanted).await.expect("read");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["dev/values.yaml", PIN]);
        let commits = vec![
            ours(&[(PIN, Some("tag: v2\n"))], &message(1, "shop", "prod")),
            ours(&[("dev/values.yaml", None), ("new/deep/file", Some("n"))], &message(2, "shop", "dev")),
        ];
        let Ok(Pushed::Done(pushed)) = push(&mirror, &base, commits).await else { panic!("{}", world.name) };
        assert_eq!(repository.git(&["rev-parse", "main"]), pushed[1].as_str());
        assert_eq!(repository.git(&["rev-parse", "main~1", "main~2"]), format!("{}\n{base}", pushed[0]));
        assert_eq!(repository.git(&["show", "main:prod/kustomization.yaml"]), "tag: v2");
        assert_eq!(
            repository.git(&["ls-tree", "-r", "--name-only", "main"]),
            "README\nnew/deep/file\nprod/kustomization.yaml"
        );
        assert_eq!(
            repository.git(&["log", "-1", "--format=%an <%ae> %ct %s", "main"]),
            "tagrelay <tagrelay@example.com> 1800000000 Deploy"
        );
        repository.git(&["fsck", "--strict"]);
        assert_eq!(tip(&mirror).await, pushed[1]);
        assert_eq!(read(&mirror, &pushed[1], PIN).await.as_deref(), Some("tag: v2\n"));
        // Another's commit on ours.
        let foreign = repository.write("main", &[&pushed[1]], &[("README", "y")], "foreign");
        assert_eq!(tip(&mirror).await, foreign);
        assert_eq!(read(&mirror, &foreign, "README").await.as_deref(), Some("y"));
        assert_eq!(read(&repository.mirror("m"), &foreign, "README").await.as_deref(), Some("y"), "opened again");
        assert_eq!(list(&mirror, &foreign, "prod").await, [PIN]);
        assert_eq!(list(&mirror, &foreign, "").await, ["README"]);
        assert_eq!(list(&mirror, &foreign, "nowhere").await, [""; 0]);
        for (revision, expected) in [
            (pushed[0].as_str(), true),
            (&pushed[1].as_str()[..7], true),
            (foreign.as_str(), false),
            (&pushed[0].as_str()[..6], false),
            ("main", false),
            ("abcdef0", false),
        ] {
            assert_eq!(mirror.is_ours(revision).await, Ok(expected), "{revision}");
        }
    }
}

#[tokio::test]
async fn a_lost_race_is_told_and_changes_nothing() {
    for world in worlds("git: a_lost_race_is_told_and_changes_nothing").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        let deed = || vec![ours(&[(PIN, Some("tag: v2\n"))], "Deploy")];
        let foreign = repository.write("main", &[&base], &[("README", "y")], "foreign");
        assert_eq!(told(push(&mirror, &base, deed()).await), "raced", "{}", world.name);
        assert_eq!(repository.git(&["rev-parse", "main"]), foreign.as_str());
        // A branch that went back to before what we read.
        let ahead = repository.write("main", &[&foreign], &[("README", "z")], "ahead");
        assert_eq!(tip(&mirror).await, ahead);
        repository.git(&["update-ref", "refs/heads/main", base.as_str()]);
        assert_eq!(told(push(&mirror, &ahead, deed()).await), "raced", "{}", world.name);
        repository.git(&["update-ref", "-d", "refs/heads/main"]);
        assert_eq!(told(push(&mirror, &ahead, deed()).await), "raced", "{}", world.name);
        assert_eq!(mirror.tip("main").await, Ok(None), "{}", world.name);
        repository.git(&["update-ref", "refs/heads/main", ahead.as_str()]);
        assert_eq!(told(push(&mirror, &ahead, deed()).await), "done 1", "{}", world.name);
    }
}

#[tokio::test]
async fn packs_stay_few_however_often_is_pushed() {
    for world in [World::path(), World::sandbox().await] {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        let mut at = tip(&mirror).await;
        assert_eq!(at, base, "{}", world.name);
        for number in 0..60 {
            let commits = vec![ours(&[(PIN, Some(&format!("tag: v{number}\n")))], "Deploy")];
            let Ok(Pushed::Done(pushed)) = push(&mirror, &at, commits).await else { panic!("{}", world.name) };
            at = pushed.last().expect("one").clone();
        }
        let objects = if world.is_served() {
            repository.mirror_path("m").join("objects")
        } else {
            repository.path.join("objects")
        };
        let packs = fs::read_dir(objects.join("pack")).expect("listed").map(|entry| entry.expect("an entry").path());
        let n_packs = packs.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).count();
        assert!(n_packs <= 51, "{}: {n_packs}", world.name);
        // One that git made as it began; of ours none.
        assert!(world.is_served() || n_packs <= 1, "{n_packs}");
        repository.git(&["fsck", "--strict"]);
        assert_eq!(repository.git(&["rev-list", "--count", "main"]), "61");
        assert_eq!(read(&mirror, &at, PIN).await.as_deref(), Some("tag: v59\n"), "{}", world.name);
    }
}

#[tokio::test]
async fn a_branch_that_is_locked_is_told_apart_from_a_race_and_a_refusal() {
    for world in worlds("git: a_branch_that_is_locked_is_told_apart_from_a_race_and_a_refusal").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        let deed = || vec![ours(&[(PIN, Some("tag: v2\n"))], "Deploy")];
        let lock = repository.path.join("refs/heads/main.lock");
        fs::write(&lock, "").expect("locked");
        let locked = push(&mirror, &base, deed()).await;
        assert!(matches!(&locked, Ok(Pushed::Locked(reason)) if reason.contains("lock")), "{}: {locked:?}", world.name);
        fs::remove_file(&lock).expect("unlocked");
        assert_eq!(told(push(&mirror, &base, deed()).await), "done 1", "{}", world.name);
    }
}

#[tokio::test]
async fn a_forced_branch_is_followed() {
    for world in worlds("git: a_forced_branch_is_followed").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        let one = repository.write("main", &[&base], &[(PIN, "tag: v2\n")], "one");
        assert_eq!(tip(&mirror).await, one);
        let other = repository.write("main", &[&base], &[(PIN, "tag: v3\n")], &message(7, "shop", "prod"));
        assert_eq!(tip(&mirror).await, other, "{}", world.name);
        assert_eq!(read(&mirror, &other, PIN).await.as_deref(), Some("tag: v3\n"));
        assert_eq!(search(&mirror, &other, Some(&one)).await.0, "7", "{}", world.name);
        // A history that shares nothing, and that the server has cleared of the old one.
        let orphan = repository.write("main", &[], &[(PIN, "tag: v4\n")], "orphan");
        repository.git(&["reflog", "expire", "--expire=now", "--all"]);
        repository.git(&["gc", "-q", "--prune=now"]);
        assert_eq!(tip(&mirror).await, orphan, "{}", world.name);
        assert_eq!(read(&mirror, &orphan, PIN).await.as_deref(), Some("tag: v4\n"));
        let (told, history) = search(&mirror, &orphan, Some(&other)).await;
        assert_eq!((told.as_str(), history.reached_stop), ("none", false), "{}", world.name);
        let gone = mirror.fetch("main", &CommitId::parse(&"1".repeat(40)).expect("an id")).await;
        assert!(matches!(gone, Err(GitError::Unreachable { .. })), "{}: {gone:?}", world.name);
    }
}

#[tokio::test]
async fn a_commit_stands_on_a_branch_at_or_after_another() {
    for world in worlds("git: a_commit_stands_on_a_branch_at_or_after_another").await {
        let (repository, base) = begun(&world).await;
        let one = repository.pile(&base, 60, "foreign");
        let two = repository.pile(&one, 3, "foreign");
        let aside = repository.write("aside", &[&one], &[("README", "z")], "aside");
        for (commit, since, expected) in [
            (&two, &one, true),
            (&one, &one, true),
            (&one, &base, true),
            (&base, &one, false),
            (&aside, &one, false),
            (&CommitId::parse(&"1".repeat(40)).expect("an id"), &one, false),
        ] {
            // A mirror that has nothing yet, so that history comes in steps.
            let mirror = repository.mirror(&format!("{commit}{since}"));
            assert_eq!(mirror.is_later("main", commit, since).await, Ok(expected), "{}: {commit} {since}", world.name);
        }
        let mirror = repository.mirror("m");
        assert_eq!(tip(&mirror).await, two);
        let three = repository.pile(&two, 1, "foreign");
        assert_eq!(mirror.is_later("main", &three, &two).await, Ok(true), "{}: it is fetched", world.name);
        assert_eq!(read(&mirror, &three, "foreign").await.as_deref(), Some("1"));
        assert_eq!(mirror.is_later("nowhere", &three, &two).await, Ok(false), "{}", world.name);
    }
}

#[tokio::test]
async fn branches_are_made_once() {
    for world in worlds("git: branches_are_made_once").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        assert_eq!(mirror.create_branch("a", &base).await, Ok(Pushed::Done(vec![base.clone()])), "{}", world.name);
        assert_eq!(mirror.create_branch("a", &base).await, Ok(Pushed::Raced(Some(base.clone()))), "{}", world.name);
        assert_eq!(mirror.tip("a").await, Ok(Some(base.clone())));
        repository.git(&["update-ref", "-d", "refs/heads/a"]);
        assert_eq!(mirror.create_branch("a/b", &base).await, Ok(Pushed::Done(vec![base.clone()])), "{}", world.name);
        for wrong in ["a b", "", "a\nb", "../x", "x.lock"] {
            assert!(matches!(mirror.tip(wrong).await, Err(GitError::Invalid { .. })), "{wrong:?}");
        }
    }
}

#[tokio::test]
async fn only_contents_that_are_read_come() {
    for world in worlds("git: only_contents_that_are_read_come").await.into_iter().filter(World::is_served) {
        let (repository, base) = begun(&world).await;
        repository.pile(&base, 20, "README");
        let mirror = repository.mirror("m");
        let at = tip(&mirror).await;
        assert_eq!((repository.objects("m", "blob"), repository.objects("m", "commit")), (0, 1), "{}", world.name);
        world.forget();
        let wanted = [PIN, "dev/values.yaml", "missing"].map(str::to_owned);
        assert_eq!(mirror.read(&at, &wanted).await.expect("read").len(), 2);
        assert_eq!(mirror.read(&at, &wanted).await.expect("read").len(), 2);
        assert_eq!(repository.objects("m", "blob"), 2, "{}", world.name);
        assert_eq!(world.requests(), usize::from(world.git().is_some()), "one request brings all");
        // What lies between two tips comes, and only that.
        repository.pile(&at, 5, PIN);
        let later = tip(&mirror).await;
        assert_eq!((repository.objects("m", "blob"), repository.objects("m", "commit")), (2, 6), "{}", world.name);
        assert_eq!(read(&mirror, &later, PIN).await.as_deref(), Some("5"));
        // A tip that is known costs one small request.
        world.forget();
        tip(&mirror).await;
        assert_eq!(world.requests(), usize::from(world.git().is_some()));
    }
}

#[tokio::test]
async fn a_server_that_cannot_filter_sends_one_whole_tree() {
    for world in
        worlds("git: a_server_that_cannot_filter_sends_one_whole_tree").await.into_iter().filter(World::is_served)
    {
        let (repository, base) = begun(&world).await;
        repository.pile(&base, 20, "README");
        repository.git(&["config", "uploadpack.allowFilter", "false"]);
        repository.git(&["config", "uploadpack.allowAnySHA1InWant", "false"]);
        let mirror = repository.mirror("m");
        let at = tip(&mirror).await;
        assert_eq!((repository.objects("m", "blob"), repository.objects("m", "commit")), (3, 1), "{}", world.name);
        assert_eq!(read(&mirror, &at, PIN).await.as_deref(), Some("tag: v1\n"));
        assert_eq!(told(push(&mirror, &at, vec![ours(&[(PIN, Some("2"))], "Deploy")]).await), "done 1");
        repository.git(&["fsck", "--strict"]);
    }
}

#[tokio::test]
async fn our_commit_is_found_behind_foreign_ones() {
    for world in worlds("git: our_commit_is_found_behind_foreign_ones").await {
        let (repository, base) = begun(&world).await;
        let one = repository.write("main", &[&base], &[(PIN, "tag: v2\n")], &message(1, "shop", "prod"));
        let two = repository.write("main", &[&one], &[(PIN, "tag: v3\n")], &message(2, "shop", "dev"));
        let elsewhere = repository.write("main", &[&two], &[("README", "r")], &message(3, "shop", "prod"));
        let top = repository.pile(&elsewhere, 120, "dev/values.yaml");
        let mirror = repository.mirror("m");
        assert_eq!(tip(&mirror).await, top);
        let (told, history) = search(&mirror, &top, None).await;
        assert_eq!(told, "1", "{}: one that touches other places is passed over", world.name);
        let touch = history.last_touch.expect("a touch");
        assert_eq!((touch.commit, touch.author.as_str()), (two.clone(), "Ann"));
        // Clocks that are wrong make no difference.
        let past = (0..9).map(|number| ours(&[("README", Some(&*number.to_string()))], "past")).collect();
        let pusher = repository.mirror("pusher");
        tip(&pusher).await;
        pusher.create_branch("past", &top).await.expect("made");
        let past = pusher.push("past", &top, past, &author(), Timestamp::UNIX_EPOCH).await.expect("pushed");
        let Pushed::Done(past) = past else { panic!("{}", world.name) };
        let fresh = repository.mirror("fresh");
        fresh.fetch("past", &past[8]).await.expect("fetched");
        assert_eq!(search(&fresh, &past[8], None).await.0, "1", "{}", world.name);
        // Searched again from a later tip, it goes no further than before.
        let later = repository.pile(&top, 3, "README");
        assert_eq!(tip(&mirror).await, later);
        world.forget();
        let (told, history) = search(&mirror, &later, Some(&top)).await;
        assert_eq!((told.as_str(), history.reached_stop, history.last_touch), ("none", true, None), "{}", world.name);
        let (told, history) = search(&mirror, &top, Some(&top)).await;
        assert_eq!((told.as_str(), history.reached_stop), ("none", true), "{}", world.name);
        assert_eq!(world.requests(), 0, "what is here is not asked for");
        if world.is_served() {
            assert!(repository.objects("m", "blob") == 0, "{}", world.name);
        }
    }
}

#[tokio::test]
async fn a_search_ends_at_the_root_or_at_its_limit() {
    for world in worlds("git: a_search_ends_at_the_root_or_at_its_limit").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        let (told, history) = search(&mirror, &base, None).await;
        assert_eq!(told, "none", "{}", world.name);
        assert_eq!(
            history.last_touch.map(|touch| touch.commit),
            Some(base.clone()),
            "the first commit touches what it adds"
        );
        let one = repository.write("main", &[&base], &[(PIN, "tag: v2\n")], &message(1, "shop", "prod"));
        let within = repository.pile(&one, 4_900, "README");
        let fresh = repository.mirror("within");
        assert_eq!(search(&fresh, &tip(&fresh).await, None).await.0, "1", "{}", world.name);
        // Behind what a served history is deepened to, the messages alone tell; and they come once for all environments.
        repository.pile(&within, 200, "README");
        let fresh = repository.mirror("beyond");
        let at = tip(&fresh).await;
        assert_eq!(search(&fresh, &at, None).await.0, "1", "{}", world.name);
        world.forget();
        let (policy, other) =
            (PolicyName::parse("shop").expect("a name"), EnvironmentName::parse("qa").expect("a name"));
        let found = fresh.search(&at, &[PIN.to_owned()], &policy, &other, None).await.expect("searched");
        assert_eq!((found.ours, world.requests()), (OurCommit::None, 0), "{}", world.name);
        assert!(!repository.mirror_path("beyond").join("aside").exists());
        if world.is_served() {
            repository.git(&["config", "uploadpack.allowFilter", "false"]);
            let fresh = repository.mirror("unfiltered");
            assert_eq!(search(&fresh, &tip(&fresh).await, None).await.0, "limit", "{}", world.name);
        }
    }
}

#[tokio::test]
async fn merges_are_judged_against_each_parent() {
    for world in worlds("git: merges_are_judged_against_each_parent").await {
        let (repository, base) = begun(&world).await;
        let left = repository.write("main", &[&base], &[("README", "left")], "left");
        let right = repository.write("side", &[&base], &[(PIN, "tag: v2\n")], &message(1, "shop", "prod"));
        let files = [("100644", PIN, Some("tag: v2\n"))];
        let merge =
            repository.commit(&Deed { branch: "main", parents: &[&left, &right], files: &files, message: "Merge" });
        let top = repository.pile(&merge, 60, "dev/values.yaml");
        let mirror = repository.mirror("m");
        assert_eq!(tip(&mirror).await, top);
        let (told, history) = search(&mirror, &top, None).await;
        assert_eq!(told, "1", "{}", world.name);
        assert_eq!(history.last_touch.map(|touch| touch.commit), Some(right.clone()), "a clean merge touches nothing");
        // Both lines touched it: the merge that settles this is a touch of its own.
        let ours = repository.write("main", &[&top], &[(PIN, "tag: v3\n")], &message(2, "shop", "prod"));
        let theirs = repository.write("side", &[&right], &[(PIN, "tag: v4\n")], "theirs");
        let files = [("100644", PIN, Some("tag: v5\n"))];
        let evil =
            repository.commit(&Deed { branch: "main", parents: &[&ours, &theirs], files: &files, message: "Merge" });
        assert_eq!(tip(&mirror).await, evil);
        let (told, history) = search(&mirror, &evil, Some(&top)).await;
        assert_eq!((told.as_str(), history.last_touch.map(|touch| touch.commit)), ("2", Some(evil)), "{}", world.name);
    }
}

#[tokio::test]
async fn modes_are_kept_and_what_is_no_file_is_refused() {
    for world in worlds("git: modes_are_kept_and_what_is_no_file_is_refused").await {
        let repository = world.repository().await;
        let module = "1".repeat(40);
        let base = repository.commit(&Deed {
            branch: "main",
            parents: &[],
            files: &[
                ("100755", "run.sh", Some("1")),
                ("120000", "link", Some("run.sh")),
                ("100644", "d/f", Some("f")),
                ("100644", "latin1", Some("x")),
            ],
            message: "Begin",
        });
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        let commits = vec![
            ours(&[("run.sh", Some("2")), ("d/g", Some("g"))], "Deploy"),
            ours(&[("run.sh", Some("3"))], "Deploy"),
        ];
        let Ok(Pushed::Done(pushed)) = push(&mirror, &base, commits).await else { panic!("{}", world.name) };
        let modes = repository.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]);
        assert_eq!(modes, "100644 d/f\n100644 d/g\n100644 latin1\n120000 link\n100755 run.sh", "{}", world.name);
        repository.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{module},module")]);
        let base = pushed.last().expect("two");
        for (path, expected) in [
            ("link", "a symbolic link"),
            ("link/x", "lies behind `link`, a symbolic link"),
            ("d", "a directory"),
            ("../x", "no path inside"),
            ("/x", "no path inside"),
            (".git/config", "cannot be written"),
            ("run.sh/x", "cannot be written"),
            ("d//f", "no path inside"),
        ] {
            let told = told(push(&mirror, base, vec![ours(&[(path, Some("x"))], "Deploy")]).await);
            assert!(told.contains(expected), "{path}: {told}");
        }
        let told = told(push(&mirror, base, vec![ours(&[("run.sh", Some("3")), ("nothing", None)], "Deploy")]).await);
        assert!(told.contains("would change nothing in nothing, run.sh"), "{told}");
        let link = mirror.read(base, &["link".to_owned()]).await.expect("each by itself");
        let link = link["link"].as_ref().expect_err("a link");
        assert!(link.lasts && link.reason.contains("`link` is a symbolic link"), "{link:?}");
    }
}

#[tokio::test]
async fn a_hook_is_heard_in_its_words() {
    for world in worlds("git: a_hook_is_heard_in_its_words").await {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        tip(&mirror).await;
        let hook = repository.path.join("hooks/pre-receive");
        fs::create_dir_all(repository.path.join("hooks")).expect("made");
        fs::write(&hook, "#!/bin/sh\necho 'GitLab: You are not allowed to push' >&2\nexit 1\n").expect("written");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("executable");
        let refused = push(&mirror, &base, vec![ours(&[(PIN, Some("2"))], "Deploy")]).await;
        let expected = if world.is_served() { "GitLab: You are not allowed to push" } else { "pre-receive hook" };
        assert!(matches!(&refused, Err(GitError::Refused { reason, .. }) if reason.contains(expected)), "{refused:?}");
        assert_eq!(repository.git(&["rev-parse", "main"]), base.as_str());
    }
}

#[tokio::test]
async fn a_mirror_killed_half_way_goes_on() {
    for world in worlds("git: a_mirror_killed_half_way_goes_on").await.into_iter().filter(World::is_served) {
        let (repository, base) = begun(&world).await;
        let mirror = repository.mirror("m");
        // Killed after the cut was noted, before the objects were there; and with the objects, before the tip was noted.
        fs::write(repository.mirror_path("m").join("shallow"), format!("{base}\n")).expect("written");
        tip(&mirror).await;
        fs::remove_dir_all(repository.mirror_path("m").join("refs/tips")).expect("removed");
        let mirror = repository.mirror("m");
        let top = repository.pile(&base, 3, PIN);
        assert_eq!(tip(&mirror).await, top);
        assert_eq!(search(&mirror, &top, None).await.0, "none", "{}", world.name);
        // Objects that went bad on disk are noticed, and come again.
        for entry in fs::read_dir(repository.mirror_path("m").join("objects/pack")).expect("listed") {
            let path = entry.expect("an entry").path();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
            fs::write(&path, "junk").expect("written");
        }
        let mirror = repository.mirror("m");
        assert_eq!(tip(&mirror).await, top, "{}", world.name);
        assert_eq!(read(&mirror, &top, PIN).await.as_deref(), Some("3"));
    }
}

#[tokio::test]
async fn answers_that_are_no_success_say_what_to_do() {
    let world = World::sandbox().await;
    let (repository, base) = begun(&world).await;
    let faults = &world.git().expect("the sandbox").face.faults;
    let check = async |status: u16, text: &'static str, expected: &str| {
        faults.clear();
        faults.add(Rule::every(Fault::answer(status).body("text/plain", text).with("location", text)));
        let mirror = repository.mirror("m");
        let error = format!("{:?}", mirror.tip("main").await.expect_err("no success"));
        assert!(error.contains(expected) && !error.contains(TOKEN), "{expected}: {error}");
    };
    check(302, "https://bob:pw@evil.example.com/x?token=1", "sends us on to https://evil.example.com/x?…;").await;
    check(403, "You are not allowed", "Refused").await;
    check(403, "You are not allowed", "403 Forbidden: You are not allowed; may this token").await;
    check(404, "<html>", "404 Not Found; is the URL right").await;
    check(502, "", "Unreachable").await;
    check(429, "Retry later", "try later").await;
    check(429, "Retry later", "retry_after: None").await;
    faults.clear();
    faults.add(Rule::every(Fault::answer(503).with("retry-after", "7")));
    let busy = repository.mirror("m").tip("main").await.expect_err("no success");
    let asked = |wait: &Option<Duration>| *wait == Some(Duration::from_secs(7));
    assert!(matches!(&busy, GitError::Unreachable { retry_after, .. } if asked(retry_after)), "{busy:?}");
    check(200, "<html>Sign in</html>", "not git's protocol").await;
    check(200, "", "does not speak git's protocol version 2").await;
    faults.clear();
    let wrong = repository.mirror_as("m", "glpat-wrong").tip("main").await.expect_err("a wrong token");
    let text = wrong.to_string();
    assert!(matches!(wrong, GitError::Refused { .. }) && text.contains("401") && !text.contains("wrong"), "{text}");
    let mirror = repository.mirror("m");
    tip(&mirror).await;
    faults.add(Rule::every(Fault::answer(200)));
    let lost = push(&mirror, &base, vec![ours(&[(PIN, Some("2"))], "Deploy")]).await;
    assert!(matches!(lost, Err(GitError::Unreachable { .. })), "{lost:?}");
}
