//! What happened, told as it happens: one line for each entry of the journal.

use super::say;
use crate::daemon::Handle;
use crate::daemon::view::HistoryView;

/// How many entries are asked for at a time: more than one look ever finds.
const PAGE: u32 = 200;

/// The kinds of entries that are not told: they say nothing about a release.
const UNTOLD: [&str; 2] = ["claimed", "rules_kept"];

/// Tells what is new.
pub(super) struct Teller {
    pub(super) handle: Handle,
    told: u64,
}

impl Teller {
    /// Nothing is told yet.
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, told: 0 }
    }

    /// The entries since the last time, oldest first.
    pub(super) async fn news(&mut self) -> anyhow::Result<Vec<HistoryView>> {
        let mut news = self.handle.history(None, None, PAGE).await?;
        news.retain(|entry| entry.sequence > self.told);
        news.reverse();
        self.told = news.last().map_or(self.told, |entry| entry.sequence);
        Ok(news)
    }

    /// Prints the entries since the last time.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        let news = self.news().await?;
        for entry in news.iter().filter(|entry| !UNTOLD.contains(&entry.kind)) {
            let environment = entry.scope.split_once('/').map_or(entry.scope.as_str(), |(_, environment)| environment);
            say(&format!("{environment:>9}  {:<9}  {}\n", entry.kind, entry.text))?;
        }
        Ok(())
    }
}
