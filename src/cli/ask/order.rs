//! `tagrelay approve | reject | promote | rollback | verify`: what a person tells the daemon to do in one environment.

use super::client::Server;
use super::{Exit, Place, kept};
use clap::Args;
use serde_json::{Map, Value, json};

/// A word about a release in an environment.
#[derive(Debug, Args)]
pub(in crate::cli) struct Order {
    /// The environment.
    #[arg(value_name = "POLICY/ENV")]
    place: Place,
    /// The release: an id, a tag or a digest.
    release: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Order {
    /// Gives the order.
    pub(super) async fn give(self, what: &str) -> anyhow::Result<Exit> {
        self.send(what, Map::new()).await
    }

    async fn send(self, what: &str, mut body: Map<String, Value>) -> anyhow::Result<Exit> {
        body.extend(self.release.map(|release| ("release".to_owned(), json!(release))));
        body.extend(self.reason.map(|reason| ("reason".to_owned(), json!(reason))));
        let answer = self.server.post(&self.place.path(what), &Value::Object(body)).await?;
        kept(&self.server, &answer)
    }
}

/// What to bring back, and why.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The environment.
    #[arg(value_name = "POLICY/ENV")]
    place: Place,
    /// The release, which ran there before: an id, a tag or a digest.
    release: Option<String>,
    /// Why: it is kept with your name and stands in the commit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    server: Server,
}

impl Rollback {
    /// Gives the order.
    pub(super) async fn give(self) -> anyhow::Result<Exit> {
        let Self { place, release, reason, server } = self;
        Order { place, release, reason: Some(reason), server }.give("rollback").await
    }
}

/// An order that waits for the gates, or passes them.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    #[command(flatten)]
    order: Order,
    /// Pass gates and holds; the reason is kept with your name.
    #[arg(long, requires = "reason")]
    force: bool,
}

impl Promote {
    /// Gives the order.
    pub(super) async fn give(self) -> anyhow::Result<Exit> {
        let force = [("force".to_owned(), json!(self.force))];
        self.order.send("promote", force.into_iter().collect()).await
    }
}

/// What to verify.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The environment.
    #[arg(value_name = "POLICY/ENV")]
    place: Place,
    #[command(flatten)]
    server: Server,
}

impl Verify {
    /// Gives the order.
    pub(super) async fn give(self) -> anyhow::Result<Exit> {
        let answer = self.server.post(&self.place.path("verify"), &json!({})).await?;
        kept(&self.server, &answer)
    }
}
