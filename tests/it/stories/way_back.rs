//! Sixty policies and a journal that is lost, or restored from a copy: two commands, and all that runs is verified again.

use super::new_tag::KUSTOMIZATION;
use super::people::named;
use super::world::Story;
use std::time::Instant;
use tagrelay::daemon::{Clock, Command, Refusal, Target};
use tagrelay::journal::{Journal, restore};
use tagrelay::model::{EnvironmentName, PolicyName};

const POLICIES: usize = 60;

/// The policies beside `shop`, whose rollouts nothing watches, and what they write.
fn files() -> Vec<(String, String)> {
    let mut files = vec![("deployment/shop/kustomization.yaml".to_owned(), KUSTOMIZATION.to_owned())];
    for n in 1..POLICIES {
        let name = format!("p{n:02}");
        files.push((format!("policies/{name}.yaml"), policy(&name, "")));
        files.push((format!("deployment/{name}/kustomization.yaml"), KUSTOMIZATION.to_owned()));
    }
    files
}

fn policy(name: &str, more: &str) -> String {
    format!(
        "apiVersion: tagrelay/v1\nname: {name}\nimages: [REGISTRY/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n  \
         - name: dev\n    select: {{ follow: dev }}\n    pin: tag@digest\n    \
         write: [{{ kustomize: deployment/{name} }}]\n{more}"
    )
}

/// What a person types, and how long it takes until all is as it should be.
struct Way {
    begun: Instant,
    commands: usize,
}

impl Way {
    async fn types(&mut self, story: &Story, command: Command) -> Result<String, Refusal> {
        self.commands += 1;
        story.command("alice", command).await
    }
}

async fn open() -> Story {
    let policy = policy(
        "shop",
        "    rollout: { webhook: {} }\n    report: [{ gitlab: { project: group/deploys, sha: commit } }]\n",
    );
    let files = files();
    let mut story = Story::with(&policy, &super::people::borrowed(&files), "limits: { changes: 100 }\n").await;
    story.start().await;
    story
}

/// Waits until all environments are in this state, or say that the journal is new.
async fn until_all(story: &Story, what: &str) {
    story
        .until(&format!("all environments are {what}"), || async {
            let status = story.status().await;
            let environments = || status.policies.iter().flat_map(|policy| &policy.environments);
            let n = environments().filter(|view| match what {
                "new" => view.why.iter().any(|why| why.code() == "JournalIsNew"),
                digest => view.current.as_ref().is_some_and(|current| {
                    let digests = current.release.iter().flat_map(|release| &release.digests);
                    let here = digests.map(|(_, it)| it.as_str()).eq([digest]);
                    here && (current.state == "verified" || view.policy.as_str() == "shop")
                }),
            });
            n.count() == POLICIES
        })
        .await;
}

fn forget(story: &Story) {
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let path = story.home.path().join(file);
        if path.exists() {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

/// What a person does once the daemon runs again: they look, resume and verify. Returns what the resume said.
#[expect(clippy::print_stdout, reason = "commands and time are what the story is asked for")]
async fn goes_on(story: &Story, way: &mut Way, digest: &str) -> String {
    until_all(story, "new").await;
    let all = named("*");
    let resume = Command::Resume { scope: all.clone(), of: None, every: false };
    let said = way.types(story, resume).await.expect("resumed");
    assert!(said.contains("adopted what runs in 60 environments"), "{said}");
    assert_eq!(
        said.matches(&format!(": dev ({})", &digest[7..19])).count(),
        POLICIES,
        "each is named with what it runs: {said}"
    );
    let judged = way.types(story, Command::VerifyAll { scope: all }).await.expect("judged");
    assert!(judged.contains("60 environments are judged, at most 10 of one name at once"), "{judged}");
    assert!(judged.contains("59 of them have neither signals nor checks"), "{judged}");
    until_all(story, digest).await;
    story.signal("dev", tagrelay::model::event::Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    let (commands, took) = (way.commands, way.begun.elapsed());
    println!("{POLICIES} policies: {commands} commands, {:.1} s until all is verified", took.as_secs_f64());
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_commands_bring_sixty_policies_back_after_the_journal_was_lost() {
    let mut story = open().await;
    let first = story.push("dev", 1);
    until_all(&story, &first).await;
    story.signal("dev", tagrelay::model::event::Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    let second = story.push("dev", 2);
    until_all(&story, &second).await;
    let told = || story.told("group/deploys", "dev");
    story.until("the rollout is told", || async { told() == [vec!["running", "success"], vec!["running"]] }).await;
    let strangers = story.world.gitlab.deployments("group/deploys").len();
    let before = story.n_commits().await;
    story.stop().await;
    forget(&story);

    let mut way = Way { begun: Instant::now(), commands: 0 };
    story.start().await;
    let said = goes_on(&story, &mut way, &second).await;
    assert_eq!(said.matches("; before it ran dev (").count(), POLICIES, "{said}");
    assert_eq!((story.n_commits().await, strangers), (before, 2), "nothing was written");
    let told = || story.told("group/deploys", "dev");
    let over = [vec!["running", "success"], vec!["running", "canceled"], vec!["running", "success"]];
    story.until("what the lost journal left running is over", || async { told() == over }).await;

    // What git alone tells of comes back when it is named.
    let target = |policy: &str| Target {
        policy: PolicyName::parse(policy).expect("a name"),
        environment: EnvironmentName::parse("dev").expect("a name"),
    };
    let back = |release: Option<&str>| {
        let (release, reason) = (release.map(str::to_owned), "it smokes".to_owned());
        Command::Rollback { target: target("p07"), release, reason }
    };
    let refused = story.command("alice", back(None)).await.expect_err("nobody knows how it ended").to_string();
    assert!(refused.contains("name one: ") && refused.contains("tagrelay rollback p07/dev "), "{refused}");
    story.command("alice", back(Some(&first))).await.expect("named");
    story.until_written("deployment/p07/kustomization.yaml", &first).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_commands_bring_sixty_policies_back_after_a_copy_was_restored() {
    let mut story = open().await;
    let first = story.push("dev", 1);
    until_all(&story, &first).await;
    let address = format!("sqlite://{}", story.home.path().join("journal.db").display());
    let copy = story.home.path().join("copy.db");
    let reading = Journal::open_for_reading(&address).await.expect("a journal");
    reading.backup(&copy).await.expect("copied");
    reading.close().await;
    let second = story.push("dev", 2);
    until_all(&story, &second).await;
    story.stop().await;

    let mut way = Way { begun: Instant::now(), commands: 1 };
    restore(&address, &copy, Clock::Shifted(story.shift.clone()).now()).await.expect("restored");
    story.start().await;
    goes_on(&story, &mut way, &second).await;
    story.stop().await;
}
