//! Seats: at most so many connections at once, and who loses his seat to a newcomer.
//!
//! A newcomer always finds a seat: whoever says nothing loses it first, then whoever does not come to the end of his
//! request, the longest waiting of them. Nobody loses it while he waits for our answer. It knows phases, not bytes.

use crate::model::budget::SEATS;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection may say nothing between two requests, or before its first.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long the head of a request may take from its first byte on, and so long the body of somebody unproven.
const ASKING_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take: longer than a request may take from the end of its head, so that none is cut.
const ANSWERING_MAX: Duration = Duration::from_secs(60);
/// How often a deadline is looked at again, because it comes nearer when a request begins.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a connection is in the middle of; who comes first here loses his seat first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing, or taking our answer.
    Idle,
    /// Sending the head of a request.
    Head,
    /// Sending the body of a request, and nobody knows yet who it is.
    Body,
    /// Waiting for our answer.
    Answering,
}

impl Phase {
    fn lasts_at_most(self) -> Duration {
        match self {
            Self::Idle => IDLE_MAX,
            Self::Head | Self::Body => ASKING_MAX,
            Self::Answering => ANSWERING_MAX,
        }
    }
}

/// All seats.
#[derive(Clone)]
pub(super) struct Seats(Arc<Room>);

struct Room {
    size: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by_number: BTreeMap<u64, Arc<Seat>>,
}

/// One connection's seat.
pub(super) struct Seat {
    phase: Mutex<(Phase, Instant)>,
    lost: CancellationToken,
}

/// A seat until it is dropped.
pub(super) struct Guest {
    room: Arc<Room>,
    number: u64,
    seat: Arc<Seat>,
}

impl Seats {
    /// As many as the budget says.
    pub(super) fn new() -> Self {
        Self::of(SEATS)
    }

    fn of(size: usize) -> Self {
        Self(Arc::new(Room { size, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits for a seat, which it takes from somebody where none is free.
    pub(super) async fn take(&self) -> Guest {
        loop {
            let freed = self.0.freed.notified();
            if let Some(guest) = self.try_take() {
                return guest;
            }
            freed.await;
        }
    }

    /// A seat; none where everybody waits for our answer.
    fn try_take(&self) -> Option<Guest> {
        let mut taken = locked(&self.0.taken);
        if taken.by_number.len() >= self.0.size {
            let phases = taken.by_number.iter().map(|(number, seat)| (*locked(&seat.phase), *number));
            let loser = phases.filter(|((phase, _), _)| *phase != Phase::Answering).min()?.1;
            if let Some(seat) = taken.by_number.remove(&loser) {
                seat.lost.cancel();
            }
        }
        let seat = Arc::new(Seat { phase: Mutex::new((Phase::Idle, Instant::now())), lost: CancellationToken::new() });
        let number = taken.next;
        taken.next += 1;
        taken.by_number.insert(number, seat.clone());
        Some(Guest { room: self.0.clone(), number, seat })
    }
}

impl Guest {
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        locked(&self.room.taken).by_number.remove(&self.number);
        self.room.freed.notify_one();
    }
}

impl Seat {
    /// Bytes came: where nothing was asked, a request begins.
    pub(super) fn heard(&self) {
        let mut phase = locked(&self.phase);
        if phase.0 == Phase::Idle {
            *phase = (Phase::Head, Instant::now());
        }
    }

    /// Bytes of an answer went out.
    pub(super) fn said(&self) {
        let mut phase = locked(&self.phase);
        if phase.0 == Phase::Idle {
            phase.1 = Instant::now();
        }
    }

    /// The head of a request is there: it is being answered until this is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Until {
        self.enter(Phase::Answering, Phase::Idle)
    }

    /// The body of somebody unproven is being read until this is dropped.
    pub(super) fn reading_unproven(self: &Arc<Self>) -> Until {
        self.enter(Phase::Body, Phase::Answering)
    }

    fn enter(self: &Arc<Self>, phase: Phase, then: Phase) -> Until {
        *locked(&self.phase) = (phase, Instant::now());
        Until { seat: self.clone(), then }
    }

    /// Ends when the seat is lost, or when what the connection is in the middle of takes too long.
    pub(super) async fn ended(&self) {
        let overdue = async {
            loop {
                let (phase, since) = *locked(&self.phase);
                let left = phase.lasts_at_most().saturating_sub(since.elapsed());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
            }
        };
        tokio::select! {
            () = self.lost.cancelled() => {}
            () = overdue => {}
        }
    }
}

/// A phase that ends when this is dropped.
pub(super) struct Until {
    seat: Arc<Seat>,
    then: Phase,
}

impl Drop for Until {
    fn drop(&mut self) {
        *locked(&self.seat.phase) = (self.then, Instant::now());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a seat is lost.
    fn is_lost(guest: &Guest) -> bool {
        guest.seat.lost.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_loses_first_then_who_does_not_come_to_the_end() {
        let seats = Seats::of(4);
        let mut guests = Vec::new();
        for _ in 0..4 {
            guests.push(seats.take().await);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let [answered, unproven, asking, idle] = guests.as_slice() else { panic!("four guests") };
        let _answering = answered.seat().answering();
        let in_hand = unproven.seat().answering();
        let reading = unproven.seat().reading_unproven();
        asking.seat().heard();
        for (newcomer, loser) in [(1, idle), (2, asking), (3, unproven)] {
            assert!(!is_lost(loser), "newcomer {newcomer} has not come yet");
            let guest = seats.take().await;
            assert!(is_lost(loser), "newcomer {newcomer}");
            // It is answered at once, so that it is not the next who loses.
            std::mem::forget(guest.seat().answering());
            std::mem::forget(guest);
        }
        drop((reading, in_hand));
        assert!(!is_lost(answered));
        let waiting = tokio::time::timeout(Duration::from_secs(5), seats.take()).await;
        assert!(waiting.is_err(), "nobody loses a seat while he waits for our answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_is_free_again_when_a_connection_ends() {
        let seats = Seats::of(1);
        let first = seats.take().await;
        let _answering = first.seat().answering();
        let waiting = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.expect("a seat");
        drop(second);
        assert!(locked(&seats.0.taken).by_number.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_end() {
        for (phase, seconds) in [(Phase::Idle, 60), (Phase::Head, 10), (Phase::Body, 10), (Phase::Answering, 60)] {
            let guest = Seats::of(1).take().await;
            let _until = guest.seat().enter(phase, Phase::Idle);
            let begun = Instant::now();
            guest.seat().ended().await;
            assert_eq!(begun.elapsed().as_secs(), seconds, "{phase:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_puts_off_no_end() {
        let guest = Seats::of(1).take().await;
        let seat = guest.seat().clone();
        let begun = Instant::now();
        let dripping = async {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                seat.heard();
            }
        };
        tokio::select! {
            () = guest.seat().ended() => {}
            () = dripping => {}
        }
        assert!(begun.elapsed() <= ASKING_MAX + LOOK_EVERY + Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
