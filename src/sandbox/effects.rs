//! The gate that every mutating request of every face goes through, one at a time and numbered: what the crash matrix counts.
//!
//! It knows nothing of what a request does; whether one mutates is said by the system that answers it. Requests that
//! only read pass beside it, and a request that a fault answered never arrives.

use super::fault::Moment;
use super::held;
use axum::http::Method;
use axum::response::Response;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};

/// How many of the latest effects are kept to be looked at; a demo may run for weeks.
const SEEN_MAX: usize = 10_000;

/// A mutating request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Its number in the whole world, from 1.
    pub number: u64,
    /// The system that it was for.
    pub system: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, as it was sent.
    pub path: String,
}

/// The gate; a clone is the same gate.
#[derive(Debug, Clone, Default)]
pub struct Effects(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    /// Held from the number to the effect, so that the order of the numbers is the order of the effects.
    order: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    seen: VecDeque<Effect>,
    stop: Option<Stop>,
}

struct Stop {
    number: u64,
    moment: Moment,
    callback: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop({:?} {})", self.moment, self.number)
    }
}

impl Effects {
    /// How many mutating requests have arrived.
    #[must_use]
    pub fn count(&self) -> u64 {
        held(&self.0.state).count
    }

    /// The latest mutating requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Effect> {
        held(&self.0.state).seen.iter().cloned().collect()
    }

    /// At mutating request `number`, before or after it is applied: calls this back, once, and never answers.
    ///
    /// The callback (it kills the daemon) runs while every other mutating request waits, so that none slips in between.
    pub fn stop_at(&self, number: u64, moment: Moment, callback: impl FnOnce() + Send + 'static) {
        held(&self.0.state).stop = Some(Stop { number, moment, callback: Box::new(callback) });
    }

    /// Forgets a stop that has not come.
    pub fn run_on(&self) {
        held(&self.0.state).stop = None;
    }

    /// Applies one mutating request in its turn; none where it is never to be answered.
    pub(super) async fn apply<F>(&self, system: &'static str, method: Method, path: &str, effect: F) -> Option<Response>
    where
        F: Future<Output = Response>,
    {
        let _turn = self.0.order.lock().await;
        let number = self.number(system, method, path);
        if self.stops(number, Moment::Before) {
            return None;
        }
        let response = effect.await;
        (!self.stops(number, Moment::After)).then_some(response)
    }

    fn number(&self, system: &'static str, method: Method, path: &str) -> u64 {
        let mut state = held(&self.0.state);
        state.count += 1;
        let number = state.count;
        if state.seen.len() == SEEN_MAX {
            state.seen.pop_front();
        }
        state.seen.push_back(Effect { number, system, method, path: path.to_owned() });
        number
    }

    fn stops(&self, number: u64, moment: Moment) -> bool {
        let due = held(&self.0.state).stop.take_if(|stop| stop.number == number && stop.moment == moment);
        let stops = due.is_some();
        if let Some(stop) = due {
            (stop.callback)();
        }
        stops
    }
}
