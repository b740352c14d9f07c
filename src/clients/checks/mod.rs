//! Smoke tests: what they ask of the outside, and where they may ask it.
//!
//! It runs a check and says how it ended; when one starts, and what its end means, is decided elsewhere.

mod http;

pub use http::http;
