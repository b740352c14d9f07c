//! What a writer does with a server that is away, and among others who push.

use super::*;
use crate::clients::git::{Remote, location, readable};
use crate::clients::http::{Counter, Transport};
use crate::config;
use crate::model::budget::PUSH_SMALL_BYTES;
use crate::model::policy::PolicyOrigin;
use crate::relay::tests::world::cleared;
use crate::sandbox::World;
use crate::sandbox::fault::{Fault, Moment};
use crate::sandbox::git::{Git, Repository};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const SHOP: &str = "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.example.com/shop]\nenvironments:\n  \
    - { name: dev, select: { follow: dev }, write: [{ kustomize: dev }] }\n  \
    - { name: qa, select: { follow: qa }, write: [{ kustomize: qa }] }\n";

fn config() -> Config {
    let settings = |_: &Path| {
        Ok("repositories:\n  default: { url: 'https://git.example.com/a.git', branch: main, policies: policies/ }\n\
        journal: sqlite:///tmp/j.db\n"
            .to_owned())
    };
    config::load(Path::new("tagrelay.yaml"), &settings).expect("a configuration")
}

fn order() -> WriteOrder {
    let origin = PolicyOrigin { repository: Some("default".to_owned()), path: "shop.yaml".to_owned() };
    let loaded = config::policies(&config(), &[(origin, SHOP.to_owned())]);
    WriteOrder {
        policy: Arc::new(loaded.policies.into_iter().next().expect("a policy")),
        index: 0,
        cleared: cleared(),
        intent: Sequence(1),
        journal: "j1".to_owned(),
        judged: (CommitId::parse(&"a".repeat(40)).expect("an id"), Pin::default()),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn writer(directory: &Path, url: &str, counter: Counter) -> (Writer, mpsc::Receiver<Message>) {
    let remote = Remote {
        url: location(url).expect("a location"),
        username: "oauth2".to_owned(),
        token: None,
        transport: Transport { plain_http: true, ..Transport::default() },
    };
    let (out, inbox) = mpsc::channel(16);
    let edits = Edits::new(1 << 20);
    let writer = Writer {
        mirror: Arc::new(Mirror::open(&directory.join("m"), remote, counter).expect("a mirror")),
        edits,
        config: watch::channel(Arc::new(config())).1,
        branch: "main".to_owned(),
        base: "main".to_owned(),
        author: Author { name: "tagrelay".to_owned(), email: "tagrelay@example.com".to_owned() },
        race_max: Duration::from_secs(600),
        metrics: Metrics::new("test"),
        out,
    };
    (writer, inbox)
}

const PIN: &str = "images:\n  - name: reg.example.com/shop\n    newTag: old\n";

/// A repository of the sandbox, its writer, and an order that was judged on its tip.
struct Begun {
    world: World,
    repository: Repository,
    writer: Writer,
    inbox: mpsc::Receiver<Message>,
    order: WriteOrder,
    _scratch: tempfile::TempDir,
}

impl Begun {
    async fn new() -> Self {
        let world = World::start().await.expect("a sandbox");
        let [dev, qa] = ["dev/kustomization.yaml", "qa/kustomization.yaml"];
        let files = [(dev, PIN), (qa, PIN), ("policies/shop.yaml", SHOP), ("README", "")];
        let repository = world.git.create("deploys", &files).await.expect("made");
        let scratch = tempfile::tempdir().expect("a directory");
        let (writer, inbox) = writer(scratch.path(), repository.url(), crate::clients::http::uncounted());
        let mut order = order();
        let tip = writer.mirror.tip("main").await.expect("asked").expect("a tip");
        writer.mirror.fetch("main", &tip).await.expect("fetched");
        let environment = &order.policy.environments[0];
        let read = writer.mirror.read(&tip, &edit::wanted(&environment.write)).await.expect("read");
        let files = readable(&read, &edit::wanted(&environment.write)).expect("texts");
        order.judged = (tip, edit::read(&environment.write, &environment.images, &files).expect("a pin"));
        Self { world, repository, writer, inbox, order, _scratch: scratch }
    }

    /// What was told of one order.
    fn told(&mut self) -> Written {
        let told = self.inbox.try_recv().expect("told");
        let Message::Done { done: Done::Write { written, .. }, .. } = told else { panic!("no write") };
        written
    }

    fn n_pushes(&self) -> usize {
        self.world.git.face.count(&reqwest::Method::POST, "git-receive-pack")
    }
}

/// What becomes of an order that loses its first three pushes to commits that touch this path, and how many requests and
/// pushes that costs.
async fn raced(path: &'static str) -> (Written, usize, usize) {
    let mut begun = Begun::new().await;
    let Begun { world, repository, writer, order, .. } = &mut begun;
    let order = std::mem::replace(order, self::order());
    let (others, n_pushed) = (repository.clone(), Arc::new(AtomicUsize::new(0)));
    let deed = move || {
        let (others, text) = (others.clone(), format!("# {}\n{PIN}", n_pushed.fetch_add(1, Ordering::SeqCst)));
        async move {
            let files = [(path, Some(text.as_str()))];
            others.commit("main", &files, "Foreign\n", "Bob <bob@example.com>").await.expect("committed");
        }
    };
    world.git.face.faults.add(Git::next_push(repository, Fault::meanwhile(Moment::Before, deed)).times(3));
    world.git.face.forget();
    assert!(writer.write(&[order], &mut Vec::new()).await);
    (begun.told(), begun.world.git.face.requests().len(), begun.n_pushes())
}

/// Puts a lock on the branch, as a git process holds it that moves it.
fn lock(repository: &Repository) -> std::path::PathBuf {
    let lock = repository.path().join("refs/heads/main.lock");
    std::fs::write(&lock, "").expect("locked");
    lock
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_another_push_has_locked_is_pushed_to_again() {
    let mut begun = Begun::new().await;
    let lock = lock(&begun.repository);
    let n_asked = Arc::new(AtomicUsize::new(0));
    let unlock = move || {
        if n_asked.fetch_add(1, Ordering::SeqCst) == 2 {
            std::fs::remove_file(&lock).expect("unlocked");
        }
        async {}
    };
    let unlock = Fault::meanwhile(Moment::Before, unlock);
    begun.world.git.face.faults.add(Git::next_push(&begun.repository, unlock).times(3));
    begun.world.git.face.forget();
    let order = std::mem::replace(&mut begun.order, order());
    assert!(begun.writer.write(&[order], &mut Vec::new()).await);
    let written = begun.told();
    assert!(matches!(written, Written::Committed(..)), "{written:?}");
    assert_eq!(begun.n_pushes(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_stays_is_told_and_splits_no_batch() {
    let mut begun = Begun::new().await;
    lock(&begun.repository);
    begun.writer.race_max = Duration::ZERO;
    begun.world.git.face.forget();
    let judged = begun.order.judged.clone();
    let batch = [begun.order, WriteOrder { judged, ..order() }];
    begun.order = order();
    assert!(begun.writer.write(&batch, &mut Vec::new()).await);
    for _ in &batch {
        let written = begun.told();
        assert!(matches!(&written, Written::Failed(why) if why.contains("lock")), "{written:?}");
    }
    assert_eq!(begun.n_pushes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_run_again_at_once_on_the_tip_that_won() {
    let (written, n_requests, n_pushes) = raced("README").await;
    assert!(matches!(written, Written::Committed(..)), "{written:?}");
    // The tip and the push; and three times the tip that won, its commits, and the push on it.
    assert_eq!((n_requests, n_pushes), (2 + 3 * 3, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_touches_what_was_judged_sends_the_order_back() {
    for path in ["dev/kustomization.yaml", "policies/HOLD", "policies/shop.yaml"] {
        let (written, _, n_pushes) = raced(path).await;
        assert!(matches!(written, Written::Raced), "{path}: {written:?}");
        assert_eq!(n_pushes, 1, "{path}: it is not pushed again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_text_for_one_push_goes_with_the_next() {
    // All at once; the second is not read with the first; and it is read, but its commit is too much beside the first.
    for (bytes, expected) in [(1 << 20, 1), (PIN.len() + 10, 2), (2 * PIN.len(), 2)] {
        let mut begun = Begun::new().await;
        begun.writer.edits = Edits::new(bytes);
        begun.world.git.face.forget();
        let judged = begun.order.judged.clone();
        let batch = [begun.order, WriteOrder { judged, index: 1, intent: Sequence(2), ..order() }];
        begun.order = order();
        assert!(begun.writer.write(&batch, &mut Vec::new()).await);
        for _ in &batch {
            let written = begun.told();
            assert!(matches!(written, Written::Committed(..)), "{bytes}: {written:?}");
        }
        assert_eq!(begun.n_pushes(), expected, "{bytes}");
        let text = begun.repository.read("main", "qa/kustomization.yaml").await.expect("read").expect("a file");
        assert_ne!(text, PIN);
    }
}

#[tokio::test]
async fn a_push_that_waits_for_room_leaves_the_mirror_to_its_readers() {
    let mut begun = Begun::new().await;
    let edits = begun.writer.edits.clone();
    let mut taken = Vec::new();
    for bytes in [PUSH_SMALL_BYTES, 1] {
        while let Some(room) = edits.try_room(bytes) {
            taken.push(room);
        }
    }
    let mirror = begun.writer.mirror.clone();
    let (batch, mut chain) = ([begun.order], Vec::new());
    begun.order = order();
    {
        let mut write = std::pin::pin!(begun.writer.write(&batch, &mut chain));
        // The first turn is the writer's. It would keep it for as long as it waits for room.
        assert!(futures_util::poll!(&mut write).is_pending());
        tokio::select! {
            _ = &mut write => panic!("there is no room"),
            tip = mirror.tip("main") => assert!(tip.expect("a tip").is_some()),
        }
        drop(taken);
        assert!(write.await);
    }
    let written = begun.told();
    assert!(matches!(written, Written::Committed(..)), "{written:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_once_for_a_whole_batch() {
    let scratch = tempfile::tempdir().expect("a directory");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let counter: Counter = Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let (writer, mut inbox) = writer(scratch.path(), "http://127.0.0.1:1/a.git", counter);
    let batch: Vec<WriteOrder> = (0..8).map(|_| order()).collect();
    assert!(writer.write(&batch, &mut Vec::new()).await);
    for _ in &batch {
        let told = inbox.try_recv().expect("told");
        assert!(matches!(told, Message::Done { done: Done::Write { written: Written::Failed(_), .. }, .. }));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
