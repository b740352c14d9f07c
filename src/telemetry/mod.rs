//! What the process says of itself while it runs: logs and metrics, each name written down once.
//!
//! Nothing is decided by what is measured here, and no text reaches a log that `model::text::shown` did not pass first.

pub mod logs;
pub mod metrics;

pub use logs::{Format, LogError};
pub use metrics::Metrics;
