//! The daemon's end of the handle: it answers everything at once with fixed views, and remembers what it was told.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tagrelay::daemon::handle::{Request, channel};
use tagrelay::daemon::health::Health;
use tagrelay::daemon::view::{
    ArrivalView, BranchView, ChangedView, EnvironmentView, Explanation, FileDiff, FileView, GateView, HistoryView,
    HoldView, HostView, PlanView, PolicyView, ProjectView, RefusalView, ReleaseView, RepositoryView, Status, TagView,
    ValueView, WriterView,
};
use tagrelay::daemon::{Command, Handle, Refusal, Signal, Target};
use tagrelay::model::{Digest, EnvironmentName, ImageName, PolicyName, ReleaseId, Why};
use tagrelay::relay;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A loop that makes no passes.
pub(super) struct Loop {
    pub(super) handle: Handle,
    pub(super) heard: Heard,
}

/// What the loop was told to change, one line each.
#[derive(Clone, Default)]
pub(super) struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    hangs: CancellationToken,
}

impl Heard {
    /// What was told since the last look.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().expect("a lock"))
    }

    /// Ends the loop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Has the loop answer nothing any more.
    pub(super) fn hang(&self) {
        self.hangs.cancel();
    }

    fn note(&self, line: String) {
        self.lines.lock().expect("a lock").push(line);
    }
}

impl Loop {
    pub(super) fn start() -> Self {
        let health = watch::Sender::new(health());
        let (handle, mut requests) = channel(health.subscribe());
        let heard = Heard::default();
        let told = heard.clone();
        tokio::spawn(async move {
            let _health = health;
            loop {
                tokio::select! {
                    biased;
                    () = told.stop.cancelled() => return,
                    () = told.hangs.cancelled() => {
                        told.stop.cancelled().await;
                        return;
                    }
                    request = requests.next() => match request {
                        Some(Request::Status(reply)) => {
                            let status = Arc::new(status());
                            requests.publish(status.clone());
                            drop(reply.send(status));
                        }
                        Some(request) => answer(request, &told),
                        None => return,
                    },
                }
            }
        });
        Self { handle, heard }
    }
}

fn answer(request: Request, heard: &Heard) {
    // Whoever asked may have left.
    match request {
        Request::Command(command, who, reply) => {
            heard.note(format!("{who}: {}", words(&command)));
            drop(reply.send(verdict(named(&command))));
        }
        Request::Signal(signal, reply) => {
            heard.note(format!("{}: Signal {}", signal.who, signal_words(&signal)));
            drop(reply.send(verdict(Some(&signal.rollout))));
        }
        Request::Explain(_, reply) => drop(reply.send(Ok(explanation()))),
        Request::Where(_, reply) => drop(reply.send(Err(unknown()))),
        Request::NotYet(_, reply) => drop(reply.send(Err(unknown()))),
        Request::Plan(_, reply) => drop(reply.send(Ok(vec![plan()]))),
        Request::File(_, reply) => drop(reply.send(file())),
        Request::History(_, reply) => drop(reply.send(Ok(vec![history()]))),
        Request::Reports(_, reply) => drop(reply.send(Ok(Vec::new()))),
        Request::RetryReports(who, reply) => {
            heard.note(format!("{who}: retry reports"));
            drop(reply.send(Ok("no report waits".to_owned())));
        }
        Request::Wake(repository, tag) => {
            let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
            heard.note(format!("{repository}{tag}"));
        }
        Request::Idle(reply) => drop(reply.send(())),
        Request::Status(_) | Request::Queue(_) | Request::Reload | Request::Reconfigure(_) => {}
    }
}

fn unknown() -> Refusal {
    Refusal::NotFound("nothing is known of it".to_owned())
}

fn named(command: &Command) -> Option<&str> {
    match command {
        Command::Approve { release, .. } => release.as_deref(),
        _ => None,
    }
}

fn verdict(named: Option<&str>) -> Result<String, Refusal> {
    let says = |word: &str| format!("the daemon says {word}");
    match named {
        Some(word @ "unknown") => Err(Refusal::NotFound(says(word))),
        Some(word @ "ambiguous") => Err(Refusal::Ambiguous(says(word))),
        Some(word @ "conflict") => Err(Refusal::Conflict(says(word))),
        Some(word @ "unavailable") => Err(Refusal::Unavailable(says(word))),
        _ => Ok("kept".to_owned()),
    }
}

fn place(target: &Target) -> String {
    format!("{}/{}", target.policy, target.environment)
}

fn words(command: &Command) -> String {
    match command {
        Command::Approve { target, release, reason, by } => {
            format!("Approve {{ target: {}, release: {release:?}, reason: {reason:?}, by: {by:?} }}", place(target))
        }
        Command::Unapprove { target, release, reason, by } => {
            format!("Unapprove {{ target: {}, release: {release:?}, reason: {reason:?}, by: {by:?} }}", place(target))
        }
        Command::Reject { target, release, reason, by } => {
            format!("Reject {{ target: {}, release: {release:?}, reason: {reason:?}, by: {by:?} }}", place(target))
        }
        Command::Hold { scope, reason, until } => {
            format!("Hold {{ scope: {scope}, reason: {reason:?}, until: {until:?} }}")
        }
        Command::Resume { scope, of, every } => {
            format!("Resume {{ scope: {scope}, of: {of:?}, every: {every} }}")
        }
        Command::Promote { target, release, force } => {
            format!("Promote {{ target: {}, release: {release:?}, force: {force:?} }}", place(target))
        }
        Command::Rollback { target, release, reason } => {
            format!("Rollback {{ target: {}, release: {release:?}, reason: {reason:?} }}", place(target))
        }
        Command::Verify { target } => format!("Verify {{ target: {} }}", place(target)),
        Command::VerifyAll { scope } => format!("VerifyAll {{ scope: {scope} }}"),
    }
}

fn signal_words(signal: &Signal) -> String {
    let Signal { target, rollout, check, digests, verdict, evidence, url, who: _ } = signal;
    let url = url.as_deref().unwrap_or("none");
    let n_digests = digests.as_ref().map_or("no".to_owned(), |digests| digests.len().to_string());
    format!("{} {rollout} {check:?} {n_digests} digests {verdict:?} {evidence} {url}", place(target))
}

/// A digest of one digit.
pub(super) fn digest(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

/// Text as somebody outside might choose it.
fn evil(what: &str) -> String {
    format!("{what}<script>alert('{what}')</script><img src=x onerror=\"alert(1)\">\"><b>")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn release(digit: &str, tags: String) -> ReleaseView {
    let image = ImageName::parse("shop").expect("a name");
    let digest = Digest::parse(&digest(digit)).expect("a digest");
    ReleaseView {
        id: ReleaseId::parse(&digit.repeat(64)).expect("an id"),
        tags,
        digests: vec![(image.clone(), digest)],
        revisions: vec![(image, evil("revision"))],
    }
}

fn environment(name: &str) -> EnvironmentView {
    EnvironmentView {
        policy: PolicyName::parse("shop").expect("a name"),
        environment: EnvironmentName::parse(name).expect("a name"),
        pin: Some(evil("pin")),
        current: None,
        candidate: None,
        gates: Vec::new(),
        waits_for_approval: false,
        why: Vec::new(),
        why_since: BTreeMap::new(),
        holds: Vec::new(),
        refusals: Vec::new(),
    }
}

fn hold(scope: &str, who: &str, why: &str) -> HoldView {
    let (since, until) = (time("2026-01-01T00:00:00Z"), Some(time("2026-01-03T00:00:00Z")));
    HoldView { scope: scope.to_owned(), who: who.to_owned(), why: why.to_owned(), since, until }
}

fn held(who: &str, reason: &str) -> Why {
    Why::Held { who: who.to_owned(), reason: reason.to_owned(), until: None }
}

fn arrival(state: &'static str) -> ArrivalView {
    ArrivalView {
        rollout: "j1-7".to_owned(),
        release: Some(release("1", evil("tag"))),
        since: time("2026-01-01T21:00:00Z"),
        because: evil("because"),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        state,
        why: Some(evil("evidence")),
        url: Some("https://ci.example.com/jobs/1?a=1&b=2".to_owned()),
    }
}

fn environments() -> Vec<EnvironmentView> {
    let dev = EnvironmentView {
        current: Some(arrival("failed")),
        why: vec![held("alice", "lunch"), Why::Following { what: evil("following") }],
        holds: vec![hold("shop/dev", "alice", "lunch"), hold("*", "bob", &evil("reason"))],
        refusals: vec![RefusalView { release: release("2", "1.2".to_owned()), who: evil("who"), why: evil("why") }],
        ..environment("dev")
    };
    let staging = EnvironmentView {
        why: vec![held("HOLD file", "year end")],
        holds: vec![hold("*/staging", "carol", "all staging stops")],
        ..environment("staging")
    };
    let missing = Why::ApprovalsMissing { have: 0, required: 1, of: "alice".to_owned(), fallen: Vec::new() };
    let prod = EnvironmentView {
        current: Some(arrival("verified")),
        candidate: Some(release("2", "1.2".to_owned())),
        gates: vec![
            GateView { open: true, words: evil("verified in staging") },
            GateView { open: false, words: missing.to_string() },
        ],
        waits_for_approval: true,
        why: vec![missing],
        why_since: BTreeMap::from([("ApprovalsMissing", time("2026-01-01T22:00:00Z"))]),
        ..environment("prod")
    };
    vec![dev, staging, prod]
}

/// A daemon that is ready, and has lost a registry.
fn health() -> Health {
    let mut watch = relay::health::Watch::default();
    let registries = vec![relay::health::Source {
        name: "registry.example.com/shop".to_owned(),
        is_tried: true,
        error: Some(evil("401 Unauthorized")),
    }];
    let facts = relay::health::Facts { registries, ..Default::default() };
    let look = watch.look(time("2026-01-01T23:00:00Z"), relay::health::findings(&facts));
    Health { turned_at: tokio::time::Instant::now(), unready: None, troubles: Arc::from(look.troubles) }
}

/// A status with something of everything.
pub(super) fn status() -> Status {
    let policy = PolicyView {
        name: PolicyName::parse("shop").expect("a name"),
        origin: evil("default:policies/shop.yaml"),
        broken: Some(evil("line 3")),
        images: vec!["registry.example.com/shop".to_owned()],
        environments: environments(),
    };
    let read_at = Some(time("2026-01-01T23:59:50Z"));
    let repository = RepositoryView {
        repository: "registry.example.com/shop".to_owned(),
        read_at,
        n_tags: Some(12),
        error: Some(evil("registry.example.com: 401 Unauthorized")),
        note: Some(evil("no push times")),
    };
    let (repository_name, branch) = ("default".to_owned(), evil("main"));
    let branch =
        BranchView { repository: repository_name, branch, tip: Some("0123abcd".to_owned()), read_at, error: None };
    let project = ProjectView {
        project: "group/shop".to_owned(),
        n_pending: 3,
        parked: vec![evil("rollout 4")],
        error: Some(evil("404")),
    };
    let hosts = vec![HostView { host: evil("reg.io"), n_requests: 7, at_once: 2, error: Some(evil("dead")) }];
    Status {
        now: time("2026-01-02T00:00:00Z"),
        journal: "j1".to_owned(),
        mode: "act",
        health: health(),
        policies: vec![policy],
        broken: vec![evil("broken.yaml:3: unknown key")],
        repositories: vec![repository],
        hosts,
        branches: vec![branch],
        projects: vec![project],
    }
}

fn explanation() -> Explanation {
    let image = ImageName::parse("shop").expect("a name");
    let tags = vec![TagView { image, tag: "1.2".to_owned(), fate: evil("fate") }];
    Explanation {
        environment: environments().remove(2),
        tags,
        n_tags: 1,
        notes: vec![evil("no push times")],
        opens: Some((time("2026-01-02T08:00:00Z"), "Fri 2026-01-02 09:00 CET".to_owned())),
        before: vec![arrival("verified")],
        way_back: Some(release("3", "1.1".to_owned())),
    }
}

fn plan() -> PlanView {
    PlanView {
        environment: environments().remove(2),
        effects: vec!["writes shop 1.2".to_owned()],
        later: Vec::new(),
        diffs: vec![FileDiff { path: "a.yaml".to_owned(), before: "a: 1\n".to_owned(), after: "a: 2\n".to_owned() }],
        reports: vec!["group/shop: running".to_owned()],
        message: None,
    }
}

fn history() -> HistoryView {
    let release = Some(release("1", String::new()).id);
    let (at, scope, text) = (time("2026-01-01T00:00:00Z"), "shop/prod".to_owned(), evil("text"));
    let place = "https://git.example.com/deploys\nmain\nprod.yaml\n0/spec/image".to_owned();
    let value =
        ValueView { image: ImageName::parse("shop").expect("a name"), was: Some("1.1".to_owned()), is: evil("value") };
    let changed = ChangedView { commit: Some("c0ffee".to_owned()), places: vec![place], values: vec![value] };
    HistoryView { sequence: 7, at, scope, kind: "signalled", text, release, changed: Some(changed) }
}

fn file() -> FileView {
    let writer = WriterView {
        environment: environments().remove(2),
        repository: "default".to_owned(),
        branch: "main".to_owned(),
        file: evil("prod.yaml"),
        keys: vec!["spec/image".to_owned()],
    };
    FileView { writers: vec![writer], n_writers: 1, notes: Vec::new(), near: vec!["dev.yaml".to_owned()] }
}
