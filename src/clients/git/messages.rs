//! Our commits by their messages alone: the way back to the beginning of a history that is too long to be looked at place
//! by place.
//!
//! Without trees and contents a commit is some two hundred bytes, so that years of a busy branch come in one answer. They
//! come into a store of their own: commits without trees in the mirror would tell the server that we have the trees.

use super::cache;
use super::error::Fault;
use crate::model::pin::Trailers;
use crate::model::{EnvironmentName, OurCommit, PolicyName};
use git2::{Oid, Repository, Sort};
use std::collections::{BTreeMap, BTreeSet};

/// How many commits are looked at.
pub(super) const COMMITS_MAX: u32 = 100_000;

/// How many bytes of them come at the most.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// The newest commits of ours in the history of a tip.
#[derive(Debug)]
pub(super) struct Messages {
    /// The tip.
    pub(super) tip: Oid,
    ours: BTreeMap<(PolicyName, EnvironmentName), Trailers>,
    /// Whether that is the whole history.
    is_whole: bool,
}

impl Messages {
    /// The answer where the server cannot send messages alone: nothing is found, and the history is not whole.
    pub(super) fn unknown(tip: Oid) -> Self {
        Self { tip, ours: BTreeMap::new(), is_whole: false }
    }

    /// Reads the messages that are here.
    pub(super) fn read(repository: &Repository, cuts: &BTreeSet<Oid>, tip: Oid) -> Result<Self, Fault> {
        let mut order = repository.revwalk()?;
        order.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
        order.push(tip)?;
        let mut messages = Self { tip, ours: BTreeMap::new(), is_whole: true };
        for (n_before, id) in order.enumerate() {
            let id = id?;
            if n_before >= COMMITS_MAX as usize {
                messages.is_whole = false;
                break;
            }
            messages.is_whole &= !cuts.contains(&id);
            let commit = repository.find_commit(id)?;
            let text = String::from_utf8_lossy(commit.message_bytes());
            if let Some(trailers) = Trailers::read(&cache::name(id)?, &text) {
                let of = (trailers.policy.clone(), trailers.environment.clone());
                messages.ours.entry(of).or_insert(trailers);
            }
        }
        Ok(messages)
    }

    /// The newest commit of ours for an environment.
    pub(super) fn newest(&self, of: &(PolicyName, EnvironmentName)) -> OurCommit {
        match self.ours.get(of) {
            Some(trailers) => OurCommit::Found(trailers.clone()),
            None if self.is_whole => OurCommit::None,
            None => OurCommit::LimitReached,
        }
    }
}
