//! The decisions: pure functions over plain values.

pub mod select;
