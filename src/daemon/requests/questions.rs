//! Questions that people and pages ask: the loop answers them in a tenth of its time, however many there are.
//!
//! Whoever asks for the status at one time gets one view, made once. What is read from the journal or from files is read
//! beside the loop, a few readings at once.

use crate::daemon::Daemon;
use crate::daemon::handle::Request;
use crate::daemon::inbox::answer;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How many questions are answered beside the loop at once: each may hold a thousand entries of the journal, or the files
/// of every policy.
pub(in crate::daemon) const READINGS_MAX: usize = 4;
/// How long the loop answers questions at a stretch, when there are more than one.
const STRETCH_MAX: Duration = Duration::from_millis(20);
/// How long the loop does other things afterwards, as a multiple of that time.
const REST_TIMES: u32 = 9;

impl Daemon {
    /// Answers a question and some that wait behind it, then leaves the others waiting for a while.
    pub(in crate::daemon) async fn answer_some(&mut self, first: Request) {
        let begun = Instant::now();
        let (mut next, mut readers) = (Some(first), Vec::new());
        while let Some(question) = next {
            match question {
                Request::Status(reply) => readers.push(reply),
                other => self.asked(other).await,
            }
            next = if begun.elapsed() < STRETCH_MAX { self.requests.questions.try_recv().ok() } else { None };
        }
        if !readers.is_empty() {
            let status = Arc::new(self.status().await);
            self.requests.publish(status.clone());
            for reply in readers {
                answer(reply, status.clone());
            }
        }
        self.questions_at = Instant::now() + begun.elapsed() * REST_TIMES;
    }
}
