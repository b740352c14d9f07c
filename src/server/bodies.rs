//! Bodies that are read before or after a proof, within a sum for all that are read at once: a small one for strangers, who hold of it only
//! what they have sent, and a larger one for registries that have proven themselves.

use crate::model::budget;
use crate::server::connection::Peer;
use crate::server::reply::Refused;
use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// In which steps room is taken.
const STEP_BYTES: usize = 16 * 1024;
/// How long a body may take: less than a connection is left with it.
const READ_WITHIN: Duration = Duration::from_secs(8);

/// The room for all such bodies.
#[derive(Clone)]
pub(super) struct Bodies {
    strangers: Arc<Semaphore>,
    proven: Arc<Semaphore>,
}

/// A body, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Default for Bodies {
    fn default() -> Self {
        let steps = |bytes: usize| Arc::new(Semaphore::new(bytes / STEP_BYTES));
        Self { strangers: steps(budget::UNPROVEN_BYTES), proven: steps(budget::DELIVERIES_BYTES) }
    }
}

impl Bodies {
    /// Reads the body of somebody whose proof is a signature of it.
    pub(super) async fn of_stranger(&self, request: Request) -> Result<Received, Refused> {
        let seat = request.extensions().get::<Peer>().map(|peer| peer.seat.clone());
        let _reading = seat.as_ref().map(|seat| seat.reading_unproven());
        read(request, &self.strangers, budget::UNPROVEN_BODY_BYTES).await
    }

    /// Reads the body of somebody who signs in.
    pub(super) async fn of_sign_in(&self, request: Request) -> Result<Received, Refused> {
        let seat = request.extensions().get::<Peer>().map(|peer| peer.seat.clone());
        let _reading = seat.as_ref().map(|seat| seat.reading_unproven());
        read(request, &self.strangers, budget::SIGN_IN_BYTES).await
    }

    /// Reads the body of a registry that has proven itself.
    pub(super) async fn of_registry(&self, request: Request) -> Result<Received, Refused> {
        read(request, &self.proven, budget::DELIVERY_BYTES).await
    }
}

impl Received {
    /// What came.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a piece, with room for it.
    fn add(&mut self, piece: &[u8], room: &Arc<Semaphore>) -> Result<(), Refused> {
        let wanted = self.bytes.len() + piece.len();
        if wanted > self.bytes.capacity() {
            let steps = wanted.div_ceil(STEP_BYTES) - self.bytes.capacity() / STEP_BYTES;
            let more = room.clone().try_acquire_many_owned(u32::try_from(steps).unwrap_or(u32::MAX));
            let more = more.map_err(|_| Refused::unavailable("too many deliveries are being read: send it again"))?;
            match &mut self.room {
                Some(room) => room.merge(more),
                None => self.room = Some(more),
            }
            let capacity = wanted.div_ceil(STEP_BYTES) * STEP_BYTES;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

async fn read(request: Request, room: &Arc<Semaphore>, bytes_max: usize) -> Result<Received, Refused> {
    let (mut pieces, end): (BodyDataStream, _) = (request.into_body().into_data_stream(), Instant::now() + READ_WITHIN);
    let mut body = Received { bytes: Vec::new(), room: None };
    loop {
        let piece = tokio::time::timeout_at(end, pieces.next()).await;
        let piece =
            piece.map_err(|_| Refused::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body came too slowly"))?;
        let Some(piece) = piece else { return Ok(body) };
        let piece = piece.map_err(|error| Refused::bad(&format!("the body: {error}")))?;
        if body.bytes.len() + piece.len() > bytes_max {
            let message = format!("the body is larger than is read here ({bytes_max} bytes): send less");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
        }
        body.add(&piece, room)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use futures_util::stream;

    fn request(body: Body) -> Request {
        Request::new(body)
    }

    fn steps(bytes: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(bytes / STEP_BYTES))
    }

    #[tokio::test]
    async fn a_body_takes_the_room_that_it_has_sent_and_gives_it_back() {
        let bodies = Bodies { strangers: steps(3 * STEP_BYTES), proven: steps(STEP_BYTES) };
        let first = bodies.of_stranger(request(Body::from(vec![b'x'; STEP_BYTES + 1]))).await.expect("room for two");
        assert_eq!(first.bytes().len(), STEP_BYTES + 1);
        assert_eq!(bodies.strangers.available_permits(), 1);
        let second = bodies.of_stranger(request(Body::from(vec![b'x'; STEP_BYTES + 1]))).await;
        assert!(second.expect_err("no room").message().contains("too many deliveries"));
        assert_eq!(bodies.strangers.available_permits(), 1, "what was refused holds nothing");
        assert!(bodies.of_registry(request(Body::from("x"))).await.is_ok(), "registries have room of their own");
        drop(first);
        assert_eq!(bodies.strangers.available_permits(), 3);
    }

    #[tokio::test]
    async fn a_body_of_many_pieces_is_whole_and_one_too_large_is_refused() {
        let bodies = Bodies::default();
        let pieces = |n: usize| {
            stream::iter(
                (0..n)
                    .map(|at| Ok::<_, std::io::Error>(Bytes::from(vec![b"abcdefghijklmnopqrstuvwxyz"[at % 26]; 1000]))),
            )
        };
        let body = bodies.of_stranger(request(Body::from_stream(pieces(100)))).await.expect("read");
        assert_eq!((body.bytes().len(), body.bytes()[1000], body.bytes()[99_999]), (100_000, b'b', b'v'));
        drop(body);
        let large = bodies.of_stranger(request(Body::from_stream(pieces(300)))).await.expect_err("too large");
        assert!(large.message().contains("262144 bytes"), "{}", large.message());
        assert_eq!(bodies.strangers.available_permits(), budget::UNPROVEN_BYTES / STEP_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let bodies = Bodies::default();
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let slow = bodies.of_stranger(request(body)).await.expect_err("too slow");
        assert!(slow.message().contains("too slowly"));
    }
}
