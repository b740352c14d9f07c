//! What is done outside, one effect of an environment at a time.

pub(in crate::daemon) mod copy;
pub(in crate::daemon) mod git_writer;
pub(in crate::daemon) mod outbox;
pub(in crate::daemon) mod perform;
pub(in crate::daemon) mod precheck;
pub(in crate::daemon) mod retention;
