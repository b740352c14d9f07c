//! What a writer does with a server that is away.

use super::*;
use crate::clients::git::{Remote, location};
use crate::clients::http::{Counter, Transport};
use crate::config;
use crate::model::policy::PolicyOrigin;
use crate::relay::tests::world::cleared;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const SHOP: &str = "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.example.com/shop]\nenvironments:\n  \
    - { name: dev, select: { follow: dev }, write: [{ kustomize: dev }] }\n";

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

#[tokio::test]
async fn a_server_that_is_away_is_asked_once_for_a_whole_batch() {
    let scratch = tempfile::tempdir().expect("a directory");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let counter: Counter = Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let remote = Remote {
        url: location("http://127.0.0.1:1/a.git").expect("a location"),
        username: "oauth2".to_owned(),
        token: None,
        transport: Transport { plain_http: true, ..Transport::default() },
    };
    let (out, mut inbox) = mpsc::channel(16);
    let writer = Writer {
        mirror: Arc::new(Mirror::open(&scratch.path().join("m"), remote, counter).expect("a mirror")),
        config: watch::channel(Arc::new(config())).1,
        branch: "main".to_owned(),
        base: "main".to_owned(),
        author: Author { name: "tagrelay".to_owned(), email: "tagrelay@example.com".to_owned() },
        metrics: Metrics::new("test"),
        out,
    };
    let batch: Vec<WriteOrder> = (0..8).map(|_| order()).collect();
    assert!(writer.write(&batch, &mut Vec::new()).await);
    for _ in &batch {
        let told = inbox.try_recv().expect("told");
        assert!(matches!(told, Message::Done { done: Done::Write { written: Written::Failed(_), .. }, .. }));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
