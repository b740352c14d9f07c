//! Reports to GitLab: each state of a rollout once and in order, whatever breaks on the way and whenever we are killed.
//!
//! The outbox here is the smallest that keeps what `send` asks its caller to keep; the daemon's own has its own tests.

use axum::http::Method;
use secrecy::SecretString;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tagrelay::clients::gitlab::{DeploymentId, Ensured, GitLab, GitLabError, Settings, send};
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::model::{CommitId, Sequence};
use tagrelay::relay::report::{Revision, Row, State};
use tagrelay::sandbox::World;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::gitlab::{Role, throttled};

const PROJECT: &str = "group/shop";
const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";
const SIDE: &str = "3333333333333333333333333333333333333333";

/// How often a row is tried before the test gives up: each fault happens once.
const TRIES_MAX: usize = 5;

async fn world() -> (World, GitLab) {
    let world = World::start().await.expect("a world");
    let commits = world.gitlab.add_project(PROJECT);
    commits.add_commit(OLD, "main").add_commit(NEW, "main").add_commit(SIDE, "side").add_tag("v1.0", OLD);
    world.gitlab.grant("dev", PROJECT, Role::Developer).expect("a project");
    let client = client(&world, "dev");
    (world, client)
}

fn client(world: &World, token: &'static str) -> GitLab {
    client_within(world, token, Transport::default().timeout)
}

fn client_within(world: &World, token: &'static str, timeout: Duration) -> GitLab {
    GitLab::new(Settings {
        url: world.gitlab.face.url(),
        tokens: Arc::new(move |_| Ok(SecretString::from(token))),
        transport: Transport { plain_http: true, timeout, ..Transport::default() },
        counter: uncounted(),
    })
    .expect("settings")
}

fn row(rollout: u64, state: State) -> Row {
    Row {
        project: PROJECT.to_owned(),
        environment: "prod/eu".to_owned(),
        rollout: Sequence(rollout),
        state,
        revision: Revision::Commit(CommitId::parse(NEW).expect("a commit")),
        git_tag: None,
        git_ref: None,
        is_tag: false,
        tier: Some("production".to_owned()),
        url: Some("https://shop.example.com".to_owned()),
    }
}

/// What the journal would keep.
#[derive(Default)]
struct Outbox {
    rows: VecDeque<Row>,
    is_intended: bool,
    ids: BTreeMap<Sequence, DeploymentId>,
}

impl Outbox {
    /// Three rollouts of one commit in one environment, so that none can be told from the others by what it deploys.
    fn of_three_rollouts() -> Self {
        let ends = [State::Success, State::Failed, State::Canceled];
        let rows = (1..).zip(ends).flat_map(|(rollout, end)| [row(rollout, State::Running), row(rollout, end)]);
        Self { rows: rows.collect(), ..Self::default() }
    }

    /// Tries the first row once, keeping the intent before and the id after.
    async fn step(&mut self, gitlab: &GitLab) -> Result<(), GitLabError> {
        let Some(row) = self.rows.front() else { return Ok(()) };
        let was_intended = std::mem::replace(&mut self.is_intended, true);
        let newest = self.ids.values().max().copied();
        let sent = send(gitlab, row, self.ids.get(&row.rollout).copied(), newest, was_intended).await?;
        self.ids.insert(row.rollout, sent.id);
        self.rows.pop_front();
        self.is_intended = false;
        Ok(())
    }

    async fn drain(&mut self, gitlab: &GitLab) -> usize {
        let mut failures = 0;
        while !self.rows.is_empty() {
            if let Err(error) = self.step(gitlab).await {
                assert!(!error.is_final(), "{error}");
                failures += 1;
                assert!(failures < TRIES_MAX, "{error}");
            }
        }
        failures
    }
}

fn histories(world: &World) -> Vec<Vec<String>> {
    world.gitlab.deployments(PROJECT).into_iter().map(|deployment| deployment.history).collect()
}

#[tokio::test]
async fn each_state_is_told_once_and_in_order() {
    let faults = [
        Fault::Drop(Moment::Before),
        Fault::Drop(Moment::After),
        Fault::Delay(Moment::After, Duration::from_secs(2)),
        Fault::CutBody,
        Fault::html(),
        throttled(1),
        Fault::answer(502).body("text/html", "<html>Bad gateway</html>"),
        Fault::Endless,
    ];
    for fault in faults {
        for method in [Method::GET, Method::POST, Method::PUT] {
            for before in [0, 1, 3] {
                let (world, gitlab) = world().await;
                let mut outbox = Outbox::of_three_rollouts();
                for _ in 0..before {
                    outbox.step(&gitlab).await.expect("no fault yet");
                }
                world.gitlab.face.faults.add(Rule::once(fault.clone()).method(method.clone()));
                // Where a machine has too much to do, more than the fault may end with this limit: that is tried again.
                let hurried = client_within(&world, "dev", Duration::from_millis(500));
                let failures = outbox.drain(&hurried).await;
                let told = histories(&world);
                let case = format!("{fault:?}, {method} after {before} rows, {failures} failures");
                assert_eq!(told, [["running", "success"], ["running", "failed"], ["running", "canceled"]], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_report_is_complete() {
    let (world, gitlab) = world().await;
    Outbox::of_three_rollouts().drain(&gitlab).await;
    let made = &world.gitlab.deployments(PROJECT)[0];
    assert_eq!((made.sha.as_str(), made.reference.as_str(), made.environment.as_str()), (NEW, "main", "prod/eu"));
    let environment = &world.gitlab.environments(PROJECT)[0];
    assert_eq!(environment.tier, "production");
    assert_eq!(environment.external_url.as_deref(), Some("https://shop.example.com"));
}

#[tokio::test]
async fn killed_between_any_two_steps_nothing_is_told_twice() {
    // Killed is: the answer came, and the id was not kept.
    let (world, gitlab) = world().await;
    let mut outbox = Outbox::of_three_rollouts();
    while let Some(row) = outbox.rows.front().cloned() {
        let newest = outbox.ids.values().max().copied();
        let known = outbox.ids.get(&row.rollout).copied();
        send(&gitlab, &row, known, newest, outbox.is_intended).await.expect("sent");
        outbox.is_intended = true;
        outbox.step(&gitlab).await.expect("sent again");
    }
    assert_eq!(histories(&world), [["running", "success"], ["running", "failed"], ["running", "canceled"]]);
    assert_eq!(world.gitlab.face.count(&Method::POST, "/environments"), 1);
    assert_eq!(world.gitlab.face.count(&Method::PUT, "/environments"), 0);
}

#[tokio::test]
async fn a_day_without_gitlab_is_made_up_for() {
    let (world, gitlab) = world().await;
    world.gitlab.face.faults.add(Rule::every(Fault::Drop(Moment::Before)));
    let mut outbox = Outbox::of_three_rollouts();
    for _ in 0..3 {
        let error = outbox.step(&gitlab).await.expect_err("away");
        assert!(matches!(error, GitLabError::Unreachable(_)), "{error}");
    }
    world.gitlab.face.faults.clear();
    assert_eq!(outbox.drain(&gitlab).await, 0);
    assert_eq!(histories(&world), [["running", "success"], ["running", "failed"], ["running", "canceled"]]);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let (world, dev) = world().await;
    world.gitlab.grant("reporter", PROJECT, Role::Reporter).expect("a project");
    world.gitlab.grant("reader", PROJECT, Role::Developer).expect("a project");
    world.gitlab.add_token("reader", &["read_api"]);
    world.gitlab.add_token("stranger", &["api"]);
    world.gitlab.protect(PROJECT, "protected").expect("a project");
    let named = |environment: &str| Row { environment: environment.to_owned(), ..row(1, State::Running) };
    let commit = |text: &str| Revision::Commit(CommitId::parse(text).expect("a commit"));
    let plain = Row { tier: None, url: None, git_ref: Some("main".to_owned()), ..row(1, State::Running) };
    let cases = [
        (client(&world, "reporter"), plain.clone(), false, "needs the role Developer in group/shop"),
        (client(&world, "reader"), plain.clone(), false, "the scope `api`"),
        (client(&world, "stranger"), plain.clone(), false, "is the path group/shop right"),
        (client(&world, "unknown"), plain.clone(), false, "does not take the token for group/shop"),
        (dev.clone(), named("protected"), false, "allow that user to deploy to it"),
        (dev.clone(), named("no*name"), true, "can contain only letters"),
        (dev.clone(), Row { revision: commit(&"9".repeat(40)), ..plain.clone() }, true, "group/shop does not"),
        (dev.clone(), Row { git_ref: Some("gone".to_owned()), ..plain.clone() }, true, "set `ref` of this report"),
        (
            dev.clone(),
            Row { revision: Revision::Label("dirty".to_owned()), ..plain },
            true,
            "has none of these: a commit or git tag",
        ),
    ];
    for (gitlab, row, is_final, part) in cases {
        let error = send(&gitlab, &row, None, None, false).await.expect_err(part);
        assert_eq!(error.is_final(), is_final, "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(world.gitlab.deployments(PROJECT), []);
}

#[tokio::test]
async fn what_somebody_else_moved_on_is_not_overwritten_silently() {
    let (world, gitlab) = world().await;
    let sent = send(&gitlab, &row(1, State::Running), None, None, false).await.expect("sent");
    gitlab.update_deployment(PROJECT, sent.id, State::Canceled).await.expect("canceled");
    let error = gitlab.update_deployment(PROJECT, sent.id, State::Running).await.expect_err("no way back");
    assert!(error.to_string().contains("it is `canceled` there, and cannot become `running`"), "{error}");
    let found = gitlab.deployment(PROJECT, sent.id).await.expect("an answer").expect("a deployment");
    assert_eq!((found.status, found.sha.as_str(), found.is_of_ci), (Some(State::Canceled), NEW, false));
    assert_eq!(gitlab.deployment(PROJECT, DeploymentId(9999)).await, Ok(None));
    assert_eq!(histories(&world), [["running", "canceled"]]);
}

#[tokio::test]
async fn revisions_and_branches() {
    let (world, gitlab) = world().await;
    assert_eq!(gitlab.default_branch(PROJECT).await.as_deref(), Ok("main"));
    assert_eq!(gitlab.resolve(PROJECT, &NEW[..8]).await, Ok(Some(NEW.to_owned())));
    assert_eq!(gitlab.resolve(PROJECT, "main").await, Ok(None), "a branch is no revision");
    assert_eq!(gitlab.resolve(PROJECT, "4444444").await, Ok(None));
    assert_eq!(gitlab.resolve(PROJECT, "v1.0").await, Ok(Some(OLD.to_owned())), "a git tag is one");
    for (sha, branch, expected) in
        [(NEW, "main", true), (OLD, "main", true), (SIDE, "main", false), (OLD, "side", false), (SIDE, "side", true)]
    {
        assert_eq!(gitlab.is_on_branch(PROJECT, sha, branch).await, Ok(expected), "{sha} {branch}");
    }
    assert_eq!(gitlab.is_on_branch(PROJECT, &"9".repeat(40), "main").await, Ok(false));
    assert!(gitlab.is_on_branch(PROJECT, NEW, "gone").await.is_err_and(|error| error.waits_for_a_person()));
    assert_eq!(gitlab.ensure_environment(PROJECT, "qa", Some("testing"), None).await, Ok(Ensured::Created));
    assert_eq!(gitlab.ensure_environment(PROJECT, "qa", Some("testing"), None).await, Ok(Ensured::Unchanged));
    assert_eq!(gitlab.ensure_environment(PROJECT, "qa", Some("staging"), None).await, Ok(Ensured::Updated));
    assert_eq!(world.gitlab.environments(PROJECT)[0].tier, "staging");
}

#[tokio::test]
async fn many_running_deployments_are_paged_through() {
    let (world, gitlab) = world().await;
    let mut first = None;
    for _ in 0..130 {
        let sent = send(&gitlab, &Row { tier: None, url: None, ..row(1, State::Running) }, None, None, false).await;
        first = first.or(sent.ok().map(|sent| sent.id));
    }
    world.gitlab.face.forget();
    let found = gitlab.running_since(PROJECT, "prod/eu", NEW, None).await.expect("pages");
    assert_eq!(found.map(|deployment| deployment.id), first);
    assert_eq!(world.gitlab.face.count(&Method::GET, "/deployments"), 2);
    let newest = world.gitlab.deployments(PROJECT).last().map(|deployment| DeploymentId(deployment.id));
    assert_eq!(gitlab.running_since(PROJECT, "prod/eu", NEW, newest).await, Ok(None));
}

#[tokio::test]
async fn requests_are_counted_by_host_and_status() {
    let (world, _) = world().await;
    let counted = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&counted);
    let gitlab = GitLab::new(Settings {
        url: world.gitlab.face.url(),
        tokens: Arc::new(|_| Ok(SecretString::from("dev"))),
        transport: Transport { plain_http: true, ..Transport::default() },
        counter: Arc::new(move |url, answered| {
            let host = url.host_str().expect("a host");
            let status = answered.map_or(0, |answered| answered.status);
            seen.lock().expect("a lock").push(format!("{host} {status}"));
        }),
    })
    .expect("settings");
    gitlab.default_branch(PROJECT).await.expect("a branch");
    world.gitlab.face.faults.add(Rule::once(throttled(120)));
    let error = gitlab.default_branch(PROJECT).await.expect_err("throttled");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(*counted.lock().expect("a lock"), ["127.0.0.1 200", "127.0.0.1 429"]);
}
