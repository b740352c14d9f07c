//! The files as they are written: every key of the contract that is built, its description, default and place.
//!
//! What the values mean together is decided by those who read these forms.

pub(crate) mod config;
pub(crate) mod environment;
pub(crate) mod gates;
pub(crate) mod policy;
mod proxy;
