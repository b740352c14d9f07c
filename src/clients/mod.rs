//! The outside systems: one folder for each, and one way of speaking HTTP for all.
//!
//! Clients translate; they never decide, and never open the journal. Wire types stay in the folder that speaks them.

pub mod egress;
pub mod http;
pub mod kind;

pub mod aws;
pub mod checks;
pub mod git;
pub mod gitlab;
pub mod registry;
