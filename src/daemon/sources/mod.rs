//! What is read from outside: registries, branches, policies, builds.

pub(in crate::daemon) mod away;
pub(in crate::daemon) mod branch_membership;
pub(in crate::daemon) mod build_reader;
pub(in crate::daemon) mod git_reader;
pub(in crate::daemon) mod holds;
pub(in crate::daemon) mod judge;
pub(in crate::daemon) mod policy_directory;
pub(in crate::daemon) mod pushed;
pub(in crate::daemon) mod registries;
pub(in crate::daemon) mod registry_poller;
pub(in crate::daemon) mod slots;
