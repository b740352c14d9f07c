//! What the answers of all registries may take in memory together: lists, manifests, configs that are in flight at once.
//!
//! A large answer takes room while it is read and parsed. Nobody waits for room, since who waits holds some: where there
//! is none the reading is given up, gives its room back, and is made again later. One host gets no more than its share, so
//! that the others are read whatever it answers.

use super::error::RegistryError;
use crate::clients::http;
use crate::model::budget::{ANSWER_FREE_BYTES, ANSWERS_BYTES, ANSWERS_OF_HOST_BYTES};
use reqwest::{Response, Url};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In which steps room is taken.
const STEP_BYTES: usize = 16 << 10;
/// What each value of a JSON text takes at the most once it is parsed, with room for a list that grows: a descriptor of a
/// manifest has two such marks and takes some two hundred bytes.
const VALUE_BYTES: usize = 112;

/// The room for the answers of all hosts.
#[derive(Debug, Clone)]
pub(super) struct Answers(Arc<Semaphore>);

/// The room that one host may have of it.
#[derive(Debug, Clone)]
pub(super) struct Share {
    all: Arc<Semaphore>,
    of_host: Arc<Semaphore>,
}

/// The room that one reading takes until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    share: Share,
    bytes: usize,
    steps: usize,
    permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl Default for Answers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERS_BYTES / STEP_BYTES)))
    }
}

impl Answers {
    /// The share of a host.
    pub(super) fn share(&self) -> Share {
        Share { all: self.0.clone(), of_host: Arc::new(Semaphore::new(ANSWERS_OF_HOST_BYTES / STEP_BYTES)) }
    }
}

impl Share {
    /// Room for a reading, none of it taken yet.
    pub(super) fn room(&self) -> Room {
        Room { share: self.clone(), bytes: 0, steps: 0, permits: None }
    }
}

impl Room {
    /// Takes room for so many bytes more of what is at `url`.
    pub(super) fn take(&mut self, bytes: usize, url: &Url) -> Result<(), RegistryError> {
        let wanted = self.bytes.saturating_add(bytes);
        let steps = wanted.saturating_sub(ANSWER_FREE_BYTES).div_ceil(STEP_BYTES);
        if steps > ANSWERS_OF_HOST_BYTES / STEP_BYTES {
            let (what, most) = (http::shown_url(url), ANSWERS_OF_HOST_BYTES >> 20);
            let too_large =
                format!("{what}: reading it takes more than {most} MiB of memory; remove what is old there");
            return Err(RegistryError::Invalid(too_large));
        }
        if steps > self.steps {
            let more = u32::try_from(steps - self.steps).unwrap_or(u32::MAX);
            let of = |room: &Arc<Semaphore>| room.clone().try_acquire_many_owned(more).ok();
            let (Some(of_host), Some(of_all)) = (of(&self.share.of_host), of(&self.share.all)) else {
                let (what, most) = (http::shown_url(url), ANSWERS_BYTES >> 20);
                return Err(RegistryError::Busy {
                    message: format!(
                        "{what}: not read just now, for other large answers of registries take the {most} MiB that all \
                         may take together: it is read again later"
                    ),
                    // Whoever reads waits ever longer: to read a large answer again and again costs everybody.
                    retry_after: None,
                });
            };
            match &mut self.permits {
                Some([host, all]) => {
                    host.merge(of_host);
                    all.merge(of_all);
                }
                None => self.permits = Some([of_host, of_all]),
            }
            self.steps = steps;
        }
        self.bytes = wanted;
        Ok(())
    }

    /// Takes room for what a JSON text becomes once it is parsed.
    pub(super) fn take_parsed(&mut self, text: &[u8], url: &Url) -> Result<(), RegistryError> {
        let n_values = text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
        self.take(text.len() + n_values * VALUE_BYTES, url)
    }

    /// Gives room back that is needed no more.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        let steps = self.bytes.saturating_sub(ANSWER_FREE_BYTES).div_ceil(STEP_BYTES);
        for permit in self.permits.iter_mut().flatten() {
            drop(permit.split(self.steps - steps));
        }
        self.steps = steps;
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads a body up to `max` bytes.
    pub(super) async fn read(
        &mut self,
        response: Response,
        max: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = response.url().clone();
        http::body_within(response, max, what, |bytes| self.take(bytes, &url)).await
    }

    /// Reads a body of JSON up to `max` bytes, with room for what it becomes.
    pub(super) async fn read_json(
        &mut self,
        response: Response,
        max: usize,
        what: &'static str,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = response.url().clone();
        let text = self.read(response, max, what).await?;
        self.take_parsed(&text, &url)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://reg.io/v2/a/tags/list").expect("a URL")
    }

    #[test]
    fn small_answers_are_always_read_and_large_ones_within_the_room_of_all() {
        let answers = Answers::default();
        let share = answers.share();
        let take = |share: &Share, bytes: usize| {
            let mut room = share.room();
            room.take(bytes, &url()).map(|()| room)
        };
        let mut held: Vec<Room> = (0..200).map_while(|_| take(&share, 1 << 20).ok()).collect();
        assert_eq!(held.len(), ANSWERS_OF_HOST_BYTES >> 20);
        let error = take(&share, 1 << 20).expect_err("the host has its share");
        assert!(matches!(&error, RegistryError::Busy { retry_after: None, .. }), "{error:?}");
        assert!(take(&share, ANSWER_FREE_BYTES).is_ok(), "a small one needs no room");
        assert!(take(&answers.share(), 4 << 20).is_ok(), "another host has room of its own");
        held.truncate(1);
        let alone = take(&share, ANSWERS_OF_HOST_BYTES + (1 << 20)).expect_err("more than there ever is");
        assert!(matches!(&alone, RegistryError::Invalid(why) if why.contains("MiB of memory")), "{alone:?}");
        drop(held);
        assert_eq!(share.all.available_permits(), ANSWERS_BYTES / STEP_BYTES, "all of it was given back");
    }

    #[test]
    fn room_is_taken_in_pieces_and_given_back_in_pieces() {
        let share = Answers::default().share();
        let mut room = share.room();
        for _ in 0..100 {
            room.take(10_000, &url()).expect("room");
        }
        let taken = ANSWERS_BYTES / STEP_BYTES - share.all.available_permits();
        assert_eq!(taken, (1_000_000 - ANSWER_FREE_BYTES).div_ceil(STEP_BYTES));
        room.give_back(900_000);
        assert!(ANSWERS_BYTES / STEP_BYTES - share.all.available_permits() < 7);
        room.take_parsed(&b"1,".repeat(50_000), &url()).expect("room");
        assert!(room.bytes() > 50_000 * VALUE_BYTES);
        drop(room);
        assert_eq!(share.of_host.available_permits(), ANSWERS_OF_HOST_BYTES / STEP_BYTES);
    }
}
