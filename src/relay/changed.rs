//! What each release changed in files and tags, as the journal tells it.

use super::places;
use crate::model::event::{Effect, Event};
use crate::model::{CommitId, Entry, Pin, PinForm, Sequence};
use std::collections::BTreeMap;

/// What a release, or a person, changed in an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The commit that changed it; none where a tag was moved.
    pub commit: Option<CommitId>,
    /// The places that were written: values of files for a commit, tags where these were moved. Empty where the journal was
    /// written before it kept them.
    pub places: Vec<String>,
    /// What was pinned before; none where the entries do not go back so far.
    pub was: Option<Pin>,
    /// What is pinned since.
    pub is: Pin,
}

/// What changed in one environment, by the number of the entry that says so. The entries are those of that environment,
/// oldest first; before them it wrote these places.
#[must_use]
pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>, places: Vec<String>) -> BTreeMap<Sequence, Changed> {
    let mut seen = Seen { places, ..Seen::default() };
    let mut changes = BTreeMap::new();
    for entry in entries {
        if let Some(changed) = seen.take(entry) {
            changes.insert(entry.sequence, changed);
        }
    }
    changes
}

/// What the entries up to one say.
#[derive(Default)]
struct Seen {
    /// The places that are written.
    places: Vec<String>,
    /// What is pinned.
    pin: Option<Pin>,
    /// What the tag names that we move beside the pin.
    tagged: Option<Pin>,
    intents: BTreeMap<Sequence, (Effect, Pin)>,
}

impl Seen {
    fn take(&mut self, entry: &Entry) -> Option<Changed> {
        match &entry.event {
            Event::Claimed { places } => {
                self.places.clone_from(places);
                None
            }
            Event::Adopted { pin, commit, .. } | Event::Moved { pin, commit, .. } => {
                let places = self.places(|place| places::in_file(place).is_some() == commit.is_some());
                let was = self.pin.replace(pin.clone());
                Some(Changed { commit: commit.clone(), places, was, is: pin.clone() })
            }
            Event::Intended { effect, release, .. } => {
                let form = match effect {
                    Effect::Commit { form } => *form,
                    Effect::Retag { .. } => PinForm::Digest,
                };
                self.intents.insert(entry.sequence, (effect.clone(), Pin::of(release, form)));
                None
            }
            Event::Committed { intent, commit } => {
                let (_, pin) = self.intents.remove(intent)?;
                let places = self.places(|place| places::in_file(place).is_some());
                let was = self.pin.replace(pin.clone());
                Some(Changed { commit: Some(commit.clone()), places, was, is: pin })
            }
            Event::Retagged { intent } => {
                let (effect, pin) = self.intents.remove(intent)?;
                let Effect::Retag { tag: _, is_pin } = effect else { return None };
                let before = if is_pin { &mut self.pin } else { &mut self.tagged };
                let was = before.replace(pin.clone());
                let places = self.places(|place| places::tag(place).is_some());
                Some(Changed { commit: None, places, was, is: pin })
            }
            _ => None,
        }
    }

    fn places(&self, is_written: impl Fn(&str) -> bool) -> Vec<String> {
        self.places.iter().filter(|place| is_written(place)).cloned().collect()
    }
}
