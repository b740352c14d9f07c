//! `tagrelay approve | reject | promote | rollback | verify`: what a person tells the daemon to do in one environment.

use super::client::Server;
use super::{Exit, Place, kept};
use crate::model::EnvironmentName;
use clap::Args;
use serde_json::{Map, Value, json};

/// A word about a release in an environment.
#[derive(Debug, Args)]
pub(in crate::cli) struct Order {
    /// The environment.
    #[arg(value_name = "POLICY/ENV")]
    place: Place,
    /// The release: a tag, a digest or an id, or the beginning of one as `status` shows it.
    release: Option<String>,
    /// Why: it is kept with your name.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
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
    /// The release, which ran there before: a tag, a digest or an id, or the beginning of one as `status` shows it.
    release: Option<String>,
    /// Why: it is kept with your name and stands in the commit.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
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
    /// The environment.
    #[arg(value_name = "POLICY/ENV")]
    place: Place,
    /// The release: a tag, a digest or an id, or the beginning of one as `status` shows it.
    release: Option<String>,
    /// Pass gates and holds; the reason is kept with your name.
    #[arg(long, requires = "reason")]
    force: bool,
    /// Why it is forced: it is kept with your name.
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Promote {
    /// Gives the order.
    pub(super) async fn give(self) -> anyhow::Result<Exit> {
        let Self { place, release, force, reason, server } = self;
        let force = [("force".to_owned(), json!(force))];
        Order { place, release, reason, server }.send("promote", force.into_iter().collect()).await
    }
}

/// What to verify.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The environment.
    #[arg(value_name = "POLICY/ENV", required_unless_present = "all", conflicts_with = "all")]
    place: Option<Place>,
    /// All that runs and is not verified yet, some environments at a time.
    #[arg(long)]
    all: bool,
    /// This environment of every policy.
    #[arg(long, value_name = "ENV", requires = "all", conflicts_with = "place")]
    #[arg(value_parser = |text: &str| EnvironmentName::parse(text).map_err(|error| error.to_string()))]
    env: Option<EnvironmentName>,
    #[command(flatten)]
    server: Server,
}

impl Verify {
    /// Gives the order.
    pub(super) async fn give(self) -> anyhow::Result<Exit> {
        let answer = match self.place {
            Some(place) => self.server.post(&place.path("verify"), &json!({})).await?,
            None => {
                let environment = self.env.map(|env| ("environment".to_owned(), json!(env.as_str())));
                self.server.post(&["verify"], &Value::Object(environment.into_iter().collect())).await?
            }
        };
        kept(&self.server, &answer)
    }
}
