//! What is known now, and what follows from it without asking anybody.

pub(in crate::daemon) mod branch_answer;
pub(in crate::daemon) mod candidates;
pub(in crate::daemon) mod keeping;
pub(in crate::daemon) mod limits;
pub(in crate::daemon) mod lookahead;
pub(in crate::daemon) mod meant;
pub(in crate::daemon) mod memory;
pub(in crate::daemon) mod need;
pub(in crate::daemon) mod past;
pub(in crate::daemon) mod places;
pub(in crate::daemon) mod policy_sources;
pub(in crate::daemon) mod repository;
