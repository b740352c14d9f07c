//! What strangers do wrong, told in the log now and then, however often they do it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often one kind of it is told.
const EVERY: Duration = Duration::from_secs(10);

/// One kind of what strangers do wrong.
#[derive(Default)]
pub(super) struct Alarm(Mutex<State>);

#[derive(Default)]
struct State {
    told: Option<Instant>,
    n_untold: u64,
}

impl Alarm {
    /// It happened again: how often since it was told last, where it is time to tell.
    pub(super) fn ring(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.n_untold += 1;
        if state.told.is_some_and(|told| told.elapsed() < EVERY) {
            return None;
        }
        state.told = Some(Instant::now());
        Some(std::mem::take(&mut state.n_untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_now_and_then_with_how_often_it_was() {
        let alarm = Alarm::default();
        assert_eq!(alarm.ring(), Some(1), "the first at once");
        assert_eq!([alarm.ring(), alarm.ring(), alarm.ring()], [None; 3]);
        tokio::time::advance(EVERY).await;
        assert_eq!(alarm.ring(), Some(4));
    }
}
