//! What people ask and order.

pub(in crate::daemon) mod commands;
pub(in crate::daemon) mod doctor;
pub(in crate::daemon) mod files;
pub(in crate::daemon) mod history;
pub(in crate::daemon) mod notes;
pub(in crate::daemon) mod plan;
pub(in crate::daemon) mod questions;
pub(in crate::daemon) mod reports;
pub(in crate::daemon) mod status;
pub(in crate::daemon) mod verdict;
pub(in crate::daemon) mod verify_all;
pub(in crate::daemon) mod vote;
pub(in crate::daemon) mod way_back;
pub(in crate::daemon) mod where_is;
