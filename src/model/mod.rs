//! The words: plain values that every other floor speaks in, and the small languages they are written in.
//!
//! Nothing here reads a clock, a file or a socket, and nothing is serialised: whoever crosses a boundary owns the wire
//! form. A value that parsed once is valid ever after.

pub mod address;
pub mod advice;
pub mod budget;
pub mod by_image;
pub mod dated;
pub mod duration;
pub mod ecr;
pub mod event;
pub mod journal_ids;
pub mod ledger;
pub mod name;
pub mod network;
pub mod observation;
pub mod pin;
pub mod place;
pub mod policy;
pub mod provider;
pub mod reference;
pub mod release;
pub mod schedule;
pub mod sqs;
pub mod tags;
pub mod text;
pub mod why;

pub use advice::{Advice, Turn};
pub use by_image::ByImage;
pub use dated::{Dated, DatedTag, Knowledge, Walk};
pub use duration::Span;
pub use event::{Because, Entry, Event, Origin, Outcome, Scope, Sequence};
pub use journal_ids::{FormerId, JournalIds};
pub use ledger::{Arrival, Ledger};
pub use name::{EnvironmentName, ImageName, PolicyName};
pub use network::Network;
pub use observation::{Build, BuildFacts, Platform, Times};
pub use pin::{CommitId, OurCommit, Pin, PinReading, Pinned};
pub use place::{HelmKeys, PinForm, Place, Target};
pub use policy::{Environment, Image, Policy};
pub use provider::Provider;
pub use reference::{Digest, Digesting, Repository, Tag, TagRef};
pub use release::{Builds, Release, ReleaseId};
pub use tags::{TagList, TagNames};
pub use why::Why;
